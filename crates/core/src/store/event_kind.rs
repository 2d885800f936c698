//! Kinds of events: what can happen, at which control point, and what it does to anybody's authority.

use serde::Serialize;

use crate::store::event::{ControlPoint, Effect};

macro_rules! event_kinds {
    ($(#[doc = $help:literal] $variant:ident = $text:literal at $control:ident $(does $effect:ident)?;)*) => {
        /// What happened. Its name stands in the log for ever: a kind is added, never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $(#[doc = $help] $variant,)* }

        impl EventKind {
            /// Every kind, in the order of their names.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
            /// The name in the log, as `noun.what_was_done`.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }
            /// What the kind says, in a sentence.
            pub const fn description(self) -> &'static str { match self { $(Self::$variant => $help.trim_ascii(),)* } }
            /// The kind of this name, if it is one of this version's.
            pub fn named(name: &str) -> Option<Self> { match name { $($text => Some(Self::$variant),)* _ => None } }
            /// The control point at which it happens, unless its event says another.
            pub const fn control(self) -> ControlPoint { match self { $(Self::$variant => ControlPoint::$control,)* } }
            /// What it does to anybody's authority, where that isn't what its control point does.
            pub(crate) const fn own_effect(self) -> Option<Effect> {
                match self { $($(Self::$variant => Some(Effect::$effect),)?)* _ => None }
            }
        }
    };
}

event_kinds! {
    /// Somebody was refused; the facts say what was asked for and why not.
    AccessRefused = "access.refused" at Use does Notes;
    /// Refusals of one sort in a minute, counted.
    AccessRefusedAggregate = "access.refused_aggregate" at Use;
    /// What was asked of a target about an account didn't come to its end; it is tried again.
    AccountActFailed = "account.act_failed" at Suspend does Notes;
    /// Something is about to be done to an account at its target.
    AccountActIntended = "account.act_intended" at Suspend does Notes;
    /// What was to be done to an account ended by the word of two people that its target is gone: nothing proves it.
    AccountAttestedGone = "account.attested_gone" at Revoke does Notes;
    /// An account at a target was ended for good.
    AccountEnded = "account.ended" at Revoke does Notes;
    /// An account was found at a target.
    AccountFound = "account.found" at Administer does Notes;
    /// An account at a target was stopped.
    AccountHeld = "account.held" at Suspend does Notes;
    /// The catalogue of a target has an account no more.
    AccountMissed = "account.missed" at Review does Notes;
    /// An account at a target was narrowed: it has fewer grants there.
    AccountNarrowed = "account.narrowed" at Revoke does Notes;
    /// An account at a target is to have fewer grants there.
    AccountNarrowingAsked = "account.narrowing_asked" at Revoke;
    /// An account that nobody answers for was proposed to somebody.
    AccountProposed = "account.proposed" at Transfer;
    /// An account at a target was let go again.
    AccountReleased = "account.released" at Resume does Notes;
    /// An account that was stopped or ended works again, and nobody here did that.
    AccountRevived = "account.revived" at Review does Notes;
    /// An account at a target was given another secret, or the one before was refused.
    AccountRotated = "account.rotated" at Revoke does Notes;
    /// An account at a target is to be given another secret.
    AccountRotationAsked = "account.rotation_asked" at Issue;
    /// The secret that an account was given was shown, once.
    AccountSecretShown = "account.secret_shown" at Issue;
    /// What the catalogue of a target says of an account has changed.
    AccountSeenChanged = "account.seen_changed" at Review does Notes;
    /// An application was registered.
    ApplicationCreated = "application.created" at Administer;
    /// An application is gone, with whatever lived by it.
    ApplicationRetired = "application.retired" at Retire;
    /// An application changed.
    ApplicationUpdated = "application.updated" at Administer;
    /// A binding was taken away for ever: what was issued on it is dead.
    BindingRemoved = "binding.removed" at Revoke;
    /// A workload was seen twice at once where its identity is one instance.
    BindingSecondInstance = "binding.second_instance" at Use;
    /// A binding of a workload counts no more.
    BindingSuspended = "binding.suspended" at Suspend;
    /// A workload proved that it is what its identity is bound to.
    BindingVerified = "binding.verified" at Issue;
    /// Nobody has looked at a break-glass access in time.
    BreakGlassOverdue = "break_glass.overdue" at Review does Notes;
    /// Somebody looked at a break-glass access afterwards.
    BreakGlassReviewed = "break_glass.reviewed" at Review does Enables;
    /// A break-glass access of an identity began.
    BreakGlassStarted = "break_glass.started" at Approve;
    /// Reviews of a campaign that nobody answered in time are worked off.
    CampaignApplied = "campaign.applied" at Suspend does Notes;
    /// A campaign of reviews was given up: those that are open are closed.
    CampaignCancelled = "campaign.cancelled" at Review;
    /// A campaign is over: no review of it is open.
    CampaignClosed = "campaign.closed" at Review;
    /// Somebody of security has seen what a campaign's deadline would suspend, and lets it.
    CampaignConfirmed = "campaign.confirmed" at Suspend does Notes;
    /// Every review of a campaign is open.
    CampaignOpened = "campaign.opened" at Review;
    /// Who still has to answer reviews of a campaign was told what comes of those that are left.
    CampaignReminded = "campaign.reminded" at Review;
    /// The cadences of reviews begin to count.
    CampaignScheduled = "campaign.scheduled" at Review;
    /// A campaign of reviews was asked for.
    CampaignStarted = "campaign.started" at Review;
    /// A campaign's deadline would suspend more than it may by itself: somebody of security has to confirm it.
    CampaignWaiting = "campaign.waiting" at Review;
    /// Reviews of a campaign were opened.
    CampaignWorkedOn = "campaign.worked_on" at Review;
    /// A cloud account is gone, with whatever lived by it.
    CloudAccountClosed = "cloud_account.closed" at Retire;
    /// A cloud account was registered.
    CloudAccountCreated = "cloud_account.created" at Administer;
    /// A cloud account changed.
    CloudAccountUpdated = "cloud_account.updated" at Administer;
    /// A consumer of a shared identity ended, and the others go on.
    ConsumerEnded = "consumer.ended" at Revoke;
    /// A credential was issued.
    CredentialIssued = "credential.issued" at Issue;
    /// One credential was revoked.
    CredentialRevoked = "credential.revoked" at Revoke;
    /// The classification of a data domain changed.
    DataDomainClassified = "data_domain.classified" at Administer;
    /// A data domain was registered.
    DataDomainCreated = "data_domain.created" at Administer;
    /// Risk tiers were derived anew from a data domain.
    DataDomainTiersDerived = "data_domain.tiers_derived" at Administer;
    /// What fell due concerned nothing any more.
    DeadlineDropped = "deadline.dropped" at Administer does Notes;
    /// What fell due was put off.
    DeadlinePostponed = "deadline.postponed" at Administer does Notes;
    /// How many administrators there are changed.
    DeploymentAdministratorsStated = "deployment.administrators_stated" at Administer;
    /// The database was restored, and a new epoch began.
    DeploymentEpochBegun = "deployment.epoch_begun" at Administer;
    /// An administrator got in again by the root key.
    DeploymentRecovered = "deployment.recovered" at Administer;
    /// The deployment was set up.
    DeploymentSetUp = "deployment.set_up" at Administer;
    /// The first way to sign in was set up: operator tokens administer no more by themselves.
    DeploymentSignInSetUp = "deployment.sign_in_set_up" at Administer;
    /// Something goes on a day.
    DeprecationDeclared = "deprecation.declared" at Change does Takes;
    /// What was past its sunset goes on a later day.
    DeprecationPutOff = "deprecation.put_off" at Change does Enables;
    /// Something is past its sunset.
    DeprecationSunset = "deprecation.sunset" at Suspend;
    /// Something that is deprecated was used.
    DeprecationUsed = "deprecation.used" at Review does Notes;
    /// A deprecation was taken back.
    DeprecationWithdrawn = "deprecation.withdrawn" at Change does Enables;
    /// Somebody decided on a difference between the directory and the people known here.
    DifferenceDecided = "difference.decided" at Administer;
    /// The directory differs from the people known here.
    DifferenceOpened = "difference.opened" at Administer;
    /// A difference to the directory is gone.
    DifferenceSettled = "difference.settled" at Administer;
    /// What was to be taken away at a target was not; where it may still be, it is tried again.
    DriftActFailed = "drift.act_failed" at Suspend does Notes;
    /// What a target has and nobody approved is another thing than it was.
    DriftChanged = "drift.changed" at Review does Notes;
    /// A target has again what was approved, and nothing else.
    DriftClosed = "drift.closed" at Review does Notes;
    /// Somebody decided what becomes of a difference at a target.
    DriftDecided = "drift.decided" at Change;
    /// A target has something that nobody approved, or lacks something.
    DriftFound = "drift.found" at Review does Notes;
    /// What a target had and nobody approved was taken away there.
    DriftTakenAway = "drift.taken_away" at Suspend does Notes;
    /// An environment was registered.
    EnvironmentCreated = "environment.created" at Administer;
    /// An environment signs with a new key.
    EnvironmentKeyRotated = "environment.key_rotated" at Administer;
    /// Risk tiers were derived anew from an environment.
    EnvironmentTiersDerived = "environment.tiers_derived" at Administer;
    /// An environment changed.
    EnvironmentUpdated = "environment.updated" at Administer;
    /// An exception is in force.
    ExceptionActivated = "exception.activated" at Approve;
    /// A compensating control of an exception failed.
    ExceptionBreached = "exception.breached" at Suspend;
    /// The compensating controls of an exception were checked, and are in place as far as that can be seen.
    ExceptionChecked = "exception.checked" at Review does Notes;
    /// An exception ends soon.
    ExceptionEnding = "exception.ending" at Review;
    /// An exception ended.
    ExceptionExpired = "exception.expired" at Revoke;
    /// An exception was granted, for when it begins.
    ExceptionGranted = "exception.granted" at Approve;
    /// An exception was asked for.
    ExceptionProposed = "exception.proposed" at Request;
    /// A compensating control works again.
    ExceptionRestored = "exception.restored" at Resume;
    /// An exception was taken back.
    ExceptionWithdrawn = "exception.withdrawn" at Revoke;
    /// A finding is let be until an exception ends.
    FindingAccepted = "finding.accepted" at Review;
    /// A finding was opened.
    FindingOpened = "finding.opened" at Review;
    /// A finding was resolved.
    FindingResolved = "finding.resolved" at Review;
    /// A finding that was accepted is open again.
    FindingReturned = "finding.returned" at Review;
    /// What a finding says was seen again.
    FindingSeenAgain = "finding.seen_again" at Review;
    /// A grant of an identity ended in time.
    GrantExpired = "grant.expired" at Revoke;
    /// An identity was granted an entitlement.
    GrantOpened = "grant.opened" at Approve;
    /// A grant of an identity was revoked.
    GrantRevoked = "grant.revoked" at Revoke;
    /// An identity was activated.
    IdentityActivated = "identity.activated" at Approve;
    /// An identity authenticated.
    IdentityAuthenticated = "identity.authenticated" at Use;
    /// The charter of an identity that lives was changed.
    IdentityCharterChanged = "identity.charter_changed" at Change;
    /// The charter of an identity that doesn't live yet was written.
    IdentityCharterWritten = "identity.charter_written" at Change;
    /// Somebody answers for an identity that was found at a target.
    IdentityClaimed = "identity.claimed" at Request;
    /// An identity that was never active was closed.
    IdentityClosed = "identity.closed" at Retire;
    /// An identity was used in a context that it isn't known in.
    IdentityContextNew = "identity.context_new" at Use;
    /// What an identity's contexts are was forgotten, and is learnt anew.
    IdentityContextsForgotten = "identity.contexts_forgotten" at Administer does Notes;
    /// An identity was found at a target; nobody answers for it yet.
    IdentityDiscovered = "identity.discovered" at Administer does Notes;
    /// The removal of an identity was rehearsed on credentials of its.
    IdentityDrilled = "identity.drilled" at Revoke does Notes;
    /// A list of accounts from elsewhere was brought in.
    IdentityImported = "identity.imported" at Administer does Notes;
    /// An identity was left less than it had.
    IdentityNarrowed = "identity.narrowed" at Change;
    /// An identity's proof came from another environment than its own.
    IdentityOutOfEnvironment = "identity.out_of_environment" at Use;
    /// An identity is outside its vendor's contract.
    IdentityOutsideContract = "identity.outside_contract" at Suspend;
    /// What is wrong with an identity was looked for.
    IdentityPostureChecked = "identity.posture_checked" at Review;
    /// An identity was registered.
    IdentityRegistered = "identity.registered" at Request;
    /// A removal of an identity waits for the end of an exception that was approved before.
    IdentityRemovalDeferred = "identity.removal_deferred" at Retire does Notes;
    /// An identity can't be renewed.
    IdentityRenewalRefused = "identity.renewal_refused" at Renew;
    /// An identity got a later end.
    IdentityRenewed = "identity.renewed" at Renew;
    /// A cause of an identity's suspension is gone.
    IdentityResumed = "identity.resumed" at Resume;
    /// An identity is retired.
    IdentityRetired = "identity.retired" at Retire;
    /// An identity is on its way out.
    IdentityRetiring = "identity.retiring" at Retire;
    /// An identity was put before its approvers.
    IdentitySubmitted = "identity.submitted" at Request;
    /// An identity was suspended.
    IdentitySuspended = "identity.suspended" at Suspend;
    /// An identity did what it was for.
    IdentityTaskCompleted = "identity.task_completed" at Retire;
    /// An identity is of another risk tier.
    IdentityTierChanged = "identity.tier_changed" at Change;
    /// A transfer came to its end.
    IdentityTransferClosed = "identity.transfer_closed" at Transfer;
    /// An identity was offered to somebody, who declined.
    IdentityTransferDeclined = "identity.transfer_declined" at Transfer;
    /// Nobody took an identity in time.
    IdentityTransferLapsed = "identity.transfer_lapsed" at Transfer;
    /// An identity was offered to another owner.
    IdentityTransferOffered = "identity.transfer_offered" at Transfer;
    /// The owner of an identity left: somebody has to take it.
    IdentityTransferOpened = "identity.transfer_opened" at Transfer;
    /// An identity is offered to the next who may take it.
    IdentityTransferPassedOn = "identity.transfer_passed_on" at Transfer;
    /// An identity has another owner.
    IdentityTransferred = "identity.transferred" at Transfer does Enables;
    /// An identity that has ended called, and was refused.
    IdentityUsedAfterEnd = "identity.used_after_end" at Use does Notes;
    /// A page for people was asked for with an identity's credential.
    IdentityUsedByPerson = "identity.used_by_person" at Use does Notes;
    /// An invitation was confirmed by a second person.
    InvitationConfirmed = "invitation.confirmed" at Administer;
    /// A person was invited to sign in.
    InvitationMade = "invitation.made" at Administer;
    /// An invitation was revoked.
    InvitationRevoked = "invitation.revoked" at Revoke;
    /// An external issuer is trusted.
    IssuerActivated = "issuer.activated" at Administer;
    /// An external issuer was proposed.
    IssuerProposed = "issuer.proposed" at Administer;
    /// An external issuer is trusted no more.
    IssuerRemoved = "issuer.removed" at Revoke;
    /// An external issuer was given the login by which its cluster is asked about tokens.
    IssuerReviewLoginSet = "issuer.review_login_set" at Administer;
    /// A join token was made.
    JoinTokenCreated = "join_token.created" at Issue;
    /// A workload's key was enrolled.
    KeyEnrolled = "key.enrolled" at Issue;
    /// A key that belongs to one identity was presented for another.
    KeyPresentedForAnother = "key.presented_for_another" at Use;
    /// A checkpoint kept outside contradicts the log.
    LogContradicted = "log.contradicted" at Review;
    /// A place outside doesn't take checkpoints.
    LogPlaceFailed = "log.place_failed" at Review;
    /// A place outside takes checkpoints again.
    LogPlaceRecovered = "log.place_recovered" at Review;
    /// The log's index was thrown away, to be made again.
    LogReindexed = "log.reindexed" at Administer does Notes;
    /// What was asked of a target about a login made just in time didn't come to its end; it is tried again.
    LoginActFailed = "login.act_failed" at Revoke does Notes;
    /// The secret of a login was asked for again after it had been handed out.
    LoginAskedAgain = "login.asked_again" at Use does Notes;
    /// A canary is about to be made at a target.
    LoginCanaryIntended = "login.canary_intended" at Issue does Notes;
    /// A login made just in time is about to be ended at its target.
    LoginEndIntended = "login.end_intended" at Revoke does Notes;
    /// A login made just in time was ended at its target.
    LoginEnded = "login.ended" at Revoke does Notes;
    /// The secret of a login made just in time was handed out, once.
    LoginFetched = "login.fetched" at Issue;
    /// A login made just in time stands at its target.
    LoginMade = "login.made" at Issue does Notes;
    /// The naming standard of a kind was set.
    NamingStandardSet = "naming_standard.set" at Administer;
    /// A business need ended.
    NeedClosed = "need.closed" at Suspend;
    /// A business need was registered.
    NeedCreated = "need.created" at Administer;
    /// A business need changed.
    NeedUpdated = "need.updated" at Administer;
    /// Identities were stopped since their business need ended.
    NeedWorkedOff = "need.worked_off" at Suspend;
    /// Notices were delivered, or are to be tried again.
    NoticesSettled = "notices.settled" at Administer;
    /// A channel of notices begins here.
    NoticesStarted = "notices.started" at Administer;
    /// A channel has read on in the log.
    NoticesTaken = "notices.taken" at Administer;
    /// An operator token was made.
    OperatorTokenCreated = "operator_token.created" at Administer;
    /// An operator token was revoked.
    OperatorTokenRevoked = "operator_token.revoked" at Revoke;
    /// Records are left without an owner who is there.
    OwnershipLeftBehind = "ownership.left_behind" at Transfer;
    /// Nobody has taken records over in time.
    OwnershipOverdue = "ownership.overdue" at Transfer;
    /// Records without an owner who is there were looked for.
    OwnershipSwept = "ownership.swept" at Transfer;
    /// A package of access was written.
    PackageWritten = "package.written" at Administer;
    /// A passkey's counter went back: there may be a copy.
    PasskeyCopySuspected = "passkey.copy_suspected" at Use;
    /// A passkey was removed.
    PasskeyRemoved = "passkey.removed" at Revoke;
    /// A directory's people were read in.
    PeopleImported = "people.imported" at Administer;
    /// A person changed.
    PersonChanged = "person.changed" at Change;
    /// A control point of a joiner was passed.
    PersonCheckRecorded = "person.check_recorded" at Change does Enables;
    /// A person was asked for.
    PersonCreated = "person.created" at Request;
    /// A person left.
    PersonDeparted = "person.departed" at Retire;
    /// A person's departure waits for somebody to confirm it.
    PersonDepartureWaits = "person.departure_waits" at Suspend;
    /// A person's values were erased.
    PersonErased = "person.erased" at Administer;
    /// The identities of somebody who left were sorted to whom they go.
    PersonIdentitiesSorted = "person.identities_sorted" at Transfer;
    /// A person is active again.
    PersonResumed = "person.resumed" at Resume;
    /// A person has other roles.
    PersonRolesChanged = "person.roles_changed" at Administer;
    /// Somebody who was away is back before their time.
    PersonStandInEnded = "person.stand_in_ended" at Change does Takes;
    /// Somebody named who votes in their place while they are away.
    PersonStandInNamed = "person.stand_in_named" at Change does Enables;
    /// A person begins.
    PersonStarted = "person.started" at Approve;
    /// A person was suspended.
    PersonSuspended = "person.suspended" at Suspend;
    /// A person's grant ended in time.
    PersonGrantExpired = "person_grant.expired" at Revoke;
    /// A person was granted access.
    PersonGrantOpened = "person_grant.opened" at Approve;
    /// A person's grant was revoked.
    PersonGrantRevoked = "person_grant.revoked" at Revoke;
    /// A person's grant began.
    PersonGrantStarted = "person_grant.started" at Approve;
    /// Another policy set is in force.
    PolicyChanged = "policy.changed" at Administer;
    /// A proposed policy set was dropped.
    PolicyDropped = "policy.dropped" at Administer;
    /// A policy set was proposed.
    PolicyProposed = "policy.proposed" at Request;
    /// What is owed was counted.
    PostureDebtCounted = "posture.debt_counted" at Review does Notes;
    /// The nightly look found something.
    PostureFound = "posture.found" at Review does Notes;
    /// Identities are to be looked at anew.
    PostureLooksSet = "posture.looks_set" at Review does Notes;
    /// A removal was confirmed by a second person.
    RemovalConfirmed = "removal.confirmed" at Suspend;
    /// A removal is done.
    RemovalDone = "removal.done" at Retire;
    /// A removal put what it concerns on hold.
    RemovalHeld = "removal.held" at Suspend;
    /// A removal was raised.
    RemovalRaised = "removal.raised" at Suspend;
    /// A removal was called off, and what it held released.
    RemovalReleased = "removal.released" at Resume;
    /// A removal retires what it held.
    RemovalRetiring = "removal.retiring" at Retire;
    /// A removal waits for somebody to confirm it.
    RemovalWaiting = "removal.waiting" at Suspend;
    /// A removal went one step on.
    RemovalWorkedOn = "removal.worked_on" at Retire;
    /// The people of a removal group were counted.
    RemovalGroupChecked = "removal_group.checked" at Transfer;
    /// A removal group has nobody left.
    RemovalGroupEmpty = "removal_group.empty" at Transfer;
    /// A removal group has had nobody for too long.
    RemovalGroupOverdue = "removal_group.overdue" at Transfer;
    /// A request was changed by who asked.
    RequestAmended = "request.amended" at Change;
    /// The answer to a request with an idempotency key was kept.
    RequestAnswered = "request.answered" at Administer does Notes;
    /// A request was approved.
    RequestApproved = "request.approved" at Approve;
    /// Somebody who may vote on a request asked back.
    RequestAskedBack = "request.asked_back" at Approve does Notes;
    /// An identity was told of the answer to its request.
    RequestCalledBack = "request.called_back" at Use;
    /// A request was denied.
    RequestDenied = "request.denied" at Approve;
    /// A request was told to others, since nobody answered.
    RequestEscalated = "request.escalated" at Approve;
    /// Who asked for something answered what was asked back.
    RequestExplained = "request.explained" at Request does Notes;
    /// What a request asked for is so.
    RequestFulfilled = "request.fulfilled" at Approve;
    /// A request came to nothing in time.
    RequestLapsed = "request.lapsed" at Approve;
    /// A request was opened.
    RequestOpened = "request.opened" at Request;
    /// An identity asked for the answer to its request.
    RequestPolled = "request.polled" at Use;
    /// An identity took the answer to its request.
    RequestRedeemed = "request.redeemed" at Issue;
    /// The approvers of a request were reminded.
    RequestReminded = "request.reminded" at Approve;
    /// What a request was approved for begins.
    RequestStarted = "request.started" at Approve;
    /// One of several approvers voted.
    RequestVoted = "request.voted" at Approve;
    /// A request was withdrawn by who asked.
    RequestWithdrawn = "request.withdrawn" at Request;
    /// A resource was registered.
    ResourceCreated = "resource.created" at Administer;
    /// Tokens for a resource are signed by another algorithm.
    ResourceSigningChanged = "resource.signing_changed" at Administer;
    /// Risk tiers were derived anew from a resource.
    ResourceTiersDerived = "resource.tiers_derived" at Administer;
    /// A resource changed.
    ResourceUpdated = "resource.updated" at Administer;
    /// A review was answered.
    ReviewAnswered = "review.answered" at Review;
    /// A review was closed, since what it is about ended.
    ReviewClosed = "review.closed" at Review;
    /// A review was handed on, together with what it is about.
    ReviewHandedOver = "review.handed_over" at Review;
    /// Nobody answered a review in time.
    ReviewLapsed = "review.lapsed" at Review;
    /// A review was opened.
    ReviewOpened = "review.opened" at Review;
    /// An open review says what changed meanwhile.
    ReviewRefreshed = "review.refreshed" at Review;
    /// What a revocation comes to was checked at its points.
    RevocationChecked = "revocation.checked" at Revoke;
    /// Whatever was issued to a scope until now counts no more.
    ScopeCut = "scope.cut" at Revoke;
    /// A scope was put on hold.
    ScopeHeld = "scope.held" at Suspend;
    /// A hold was lifted.
    ScopeReleased = "scope.released" at Resume;
    /// A session was ended by somebody.
    SessionRevoked = "session.revoked" at Revoke;
    /// A person's session began.
    SessionStarted = "session.started" at Use;
    /// A way to sign in was bound to a person.
    SignInBound = "sign_in.bound" at Administer;
    /// All sign-ins and sessions of a person ended.
    SignInEnded = "sign_in.ended" at Revoke;
    /// A person signed in.
    SignInSucceeded = "sign_in.succeeded" at Use;
    /// A provider of sign-ins is trusted.
    SignInProviderActivated = "sign_in_provider.activated" at Administer;
    /// A provider of sign-ins was proposed.
    SignInProviderProposed = "sign_in_provider.proposed" at Administer;
    /// A provider of sign-ins is trusted no more.
    SignInProviderRemoved = "sign_in_provider.removed" at Revoke;
    /// Signals of no interest in a minute, counted.
    SignalIgnored = "signal.ignored" at Use;
    /// A signal was taken.
    SignalReceived = "signal.received" at Request;
    /// What a signal says was acted on.
    SignalWorkedOff = "signal.worked_off" at Change;
    /// A source of signals is trusted.
    SourceActivated = "source.activated" at Administer;
    /// A source of signals has a new key.
    SourceKeyRotated = "source.key_rotated" at Administer;
    /// A source of signals was proposed.
    SourceProposed = "source.proposed" at Administer;
    /// A source of signals is trusted no more.
    SourceRemoved = "source.removed" at Revoke;
    /// A source of signals says nothing for longer than its own rhythm.
    SourceSilent = "source.silent" at Review does Notes;
    /// A source of signals was heard, for the first time in a while.
    SourceSpoke = "source.spoke" at Review does Notes;
    /// A source of signals changed.
    SourceUpdated = "source.updated" at Administer;
    /// A digest of every row is being made.
    StateDigestBegun = "state.digest_begun" at Review;
    /// A digest of every row was made.
    StateDigested = "state.digested" at Review;
    /// Every row was held against the log.
    StateVerified = "state.verified" at Review;
    /// A target system is confirmed: its connector works from then on.
    TargetActivated = "target.activated" at Administer;
    /// A target answers that was said to be gone, and what ended by that word is asked of it again.
    TargetAnswersAgain = "target.answers_again" at Review does Notes;
    /// Somebody says that a target is gone for good.
    TargetGoneAttested = "target.gone_attested" at Revoke does Notes;
    /// Somebody else says so, too: what waits for its accounts ends with their word.
    TargetGoneConfirmed = "target.gone_confirmed" at Revoke does Notes;
    /// The word that a target is gone was taken back.
    TargetGoneWithdrawn = "target.gone_withdrawn" at Revoke does Notes;
    /// The connector of a target was given its login.
    TargetLoginSet = "target.login_set" at Administer;
    /// A target was registered.
    TargetProposed = "target.proposed" at Administer;
    /// A target was removed, with the login of its connector.
    TargetRemoved = "target.removed" at Revoke;
    /// The accounts of a target were looked through.
    TargetScanned = "target.scanned" at Review does Notes;
    /// A target can't be asked.
    TargetUnreachable = "target.unreachable" at Review does Notes;
    /// What is asked of a target changed, or who answers for it; where it goes, its connector's login doesn't follow.
    TargetUpdated = "target.updated" at Administer;
    /// A team was registered.
    TeamCreated = "team.created" at Administer;
    /// A template of identities changed.
    TemplateChanged = "template.changed" at Administer;
    /// It was said that a vendor's breach is over.
    VendorBreachOver = "vendor.breach_over" at Review does Enables;
    /// A vendor was breached.
    VendorBreached = "vendor.breached" at Review;
    /// What a vendor's contract allows was applied to its identities.
    VendorContractApplied = "vendor.contract_applied" at Administer;
    /// A vendor was registered.
    VendorCreated = "vendor.created" at Administer;
    /// A vendor's contract ended.
    VendorEnded = "vendor.ended" at Revoke;
    /// A vendor changed.
    VendorUpdated = "vendor.updated" at Administer;
    /// A saved view of the inventory has another name, or shows something else, or to others.
    ViewChanged = "view.changed" at Change does Notes;
    /// A saved view of the inventory was deleted.
    ViewDeleted = "view.deleted" at Change does Notes;
    /// Somebody keeps a view of the inventory under a name.
    ViewSaved = "view.saved" at Change does Notes;
    /// A workload is no longer what its identity is bound to.
    WorkloadMover = "workload.mover" at Suspend;
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_and_in_order() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::named(kind.as_str()), Some(*kind));
            let (noun, done) = kind.as_str().split_once('.').unwrap();
            assert!(
                [noun, done].iter().all(|part| part.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())),
                "{kind}"
            );
        }
        assert!(EventKind::ALL.is_sorted_by(|a, b| a.as_str() < b.as_str()));
        assert_eq!(EventKind::named("identity.imagined"), None);
    }

    #[test]
    fn the_reference_names_every_kind() {
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/events.md")).unwrap();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let row = |kind: &EventKind| format!("| `{kind}` | {} | {} |", kind.control().as_str(), kind.description());
        assert_eq!(rows, EventKind::ALL.iter().map(row).collect::<Vec<_>>());
    }
}
