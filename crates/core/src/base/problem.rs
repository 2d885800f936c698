//! What is wrong with an input, by field, with stable codes; and why something was refused.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// One field that is missing or wrong. A refusal names all of them at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FieldProblem {
    /// Where: a path such as `charter.scope[0].resource`.
    pub field: String,
    /// Stable code, e.g. `owner_missing`.
    pub code: String,
    /// What to do.
    pub hint: String,
}

impl FieldProblem {
    /// The most problems that one refusal names, in its answer and in its record: whoever is refused chooses how much
    /// is wrong.
    pub const MAX: usize = 32;
    /// The longest path of a field, in bytes; what is longer is cut.
    const MAX_PATH: usize = 256;

    /// A problem with a field.
    pub fn new(field: impl Into<String>, code: impl Into<String>, hint: impl Into<String>) -> Self {
        let mut field = field.into();
        field.truncate(field.floor_char_boundary(Self::MAX_PATH));
        Self { field, code: code.into(), hint: hint.into() }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $hint:literal;)*) => {
        /// Why something was refused; the code is stable and has a page in the documentation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $variant,)* }
        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
            /// The stable code.
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code,)* } }
            /// What the reader can do about it.
            pub const fn hint(self) -> &'static str { match self { $(Self::$variant => $hint,)* } }
        }
    };
}

reasons! {
    /// The charter lacks facts.
    CharterIncomplete = "charter_incomplete", "complete the charter's fields that are named, then try again";
    /// The identity is a draft or waits for activation.
    IdentityNotActive = "identity_not_active", "an identity authenticates only while it is active: submit and activate it first";
    /// The identity is suspended.
    IdentitySuspended = "identity_suspended", "ask whoever may release the suspension; the identity's page names the causes";
    /// The identity is retiring or retired.
    IdentityRetired = "identity_retired", "a retired identity never comes back: register a new one";
    /// The identity's end has passed.
    IdentityExpired = "identity_expired", "the charter's end has passed: register a new identity if the need remains";
    /// No such identity.
    IdentityUnknown = "identity_unknown", "check the identity's id";
    /// The owner is not an active person.
    OwnerNotActive = "owner_not_active", "the accountable owner must be an active person: transfer the identity";
    /// A scope of the identity is on hold.
    ScopeOnHold = "scope_on_hold", "the owner, application, environment, vendor or cloud account is on hold: ask security";
    /// No live grant covers what was asked.
    NoLiveGrant = "no_live_grant", "request access: no live grant of this identity covers it";
    /// Outside the charter's scope.
    OutsideScope = "outside_scope", "the charter doesn't contain this action on this resource";
    /// Another environment's resource, issuer or audience.
    WrongEnvironment = "wrong_environment", "an identity acts only in the environment of its charter";
    /// Policy forbids it, or permits nothing.
    PolicyDenied = "policy_denied", "the decision names the policies; ask whoever administers them";
    /// Policy could not be evaluated.
    PolicyError = "policy_error", "a policy failed to evaluate, and what enables fails closed: ask an administrator";
    /// The credential was revoked.
    CredentialRevoked = "credential_revoked", "a revoked credential never comes back: get a new one";
    /// The credential falls under a cut.
    CredentialCut = "credential_cut", "everything issued before the cut is refused: get a new credential";
    /// The credential's time is over.
    CredentialExpired = "credential_expired", "get a new credential";
    /// The credential is not known here.
    CredentialUnknown = "credential_unknown", "the credential was not issued here, or its record has ended";
    /// The proof failed.
    ProofInvalid = "proof_invalid", "the proof is malformed, over, for somebody else or by an unknown key; an assertion is signed by a bound key (EdDSA or ES256), with iss and sub the identity's id, aud the issuer identifier alone, exp at most ten minutes ahead and a fresh jti";
    /// The right key signed, for another audience.
    ProofAudienceWrong = "proof_audience_wrong", "the right key signed, for somebody else: let aud be exactly what is expected, and alone; of an assertion that is the environment's issuer identifier";
    /// The right key signed what is over or has not begun.
    ProofNotNow = "proof_not_now", "the right key signed, for another time: make each proof when it is needed, and compare this machine's clock with the server's";
    /// The right key signed for longer than a proof lives.
    ProofTooLong = "proof_too_long", "the right key signed, for too long: let exp be at most ten minutes ahead (a day, of an issuer's token)";
    /// The right key signed claims that are no proof.
    ProofClaimsWrong = "proof_claims_wrong", "the right key signed, and a claim is missing or wrong: of an assertion iss and sub are the identity's id, and exp and a jti of 1 to 256 bytes have to be there";
    /// The proof was used before.
    ProofReplayed = "proof_replayed", "each proof is good for one use: make a new one with a fresh jti";
    /// The certificate that was shown is not good yet, or its lifetime is over.
    CertificateEnded = "certificate_ended", "the certificate that was shown isn't good now: register the one that followed it, and show that";
    /// No proof was presented.
    ProofMissing = "proof_missing", "present a proof of identity: an assertion, a token, or a client certificate at the address for certificates";
    /// No binding, or more than one, matches the proof.
    BindingNotMatched = "binding_not_matched", "exactly one binding of the identity must match the proof";
    /// The binding is suspended.
    BindingSuspended = "binding_suspended", "the binding is suspended: ask security";
    /// A weaker credential than the charter allows.
    WeakerCredential = "weaker_credential", "ask for a credential type that the charter allows";
    /// The issuance budget is spent.
    BudgetSpent = "budget_spent", "a bound on what one caller or one identity may do or hold is reached: wait as long as Retry-After says, and reuse the credential that there is; where it says nothing, give something back first";
    /// The clock is not to be trusted.
    ClockUnreliable = "clock_unreliable", "the server's clock stepped: issuance waits until an operator has set it right";
    /// A transition that the state table doesn't have.
    IllegalTransition = "illegal_transition", "the thing's state doesn't allow this step";
    /// The caller may not do this.
    NotAllowed = "not_allowed", "ask somebody whose role allows it";
    /// Done by someone who must not be the same person.
    SamePerson = "same_person", "somebody other than the person who placed, proposed or confirmed it has to do this";
    /// The join token was used, is too old, or is unknown.
    JoinTokenSpent = "join_token_spent", "each is good for one use and ten minutes; a second use suspends the identity until security resumes it. Then ask the owner for a new one";
    /// The key is bound to another identity.
    KeyAlreadyBound = "key_already_bound", "make a key of its own for each identity: keys are never shared or reassigned";
    /// The approver is not another person than who asks.
    SelfApproval = "self_approval", "another accountable person has to approve: not who asked, answers for what asked, registered it or benefits";
    /// The approver fills no open place of the route.
    NotEligible = "not_eligible", "the request's route names who may approve it";
    /// What was read is not what stands now.
    RequestChanged = "request_changed", "the request was changed meanwhile: read it again and vote on its new content_hash";
    /// No route is permitted.
    NoRoute = "no_route", "no policy permits a way of approving this, or nobody is there who may: ask for less, for an exception, or for the people that the detail names";
    /// Somebody has to approve it first.
    ApprovalNeeded = "approval_needed", "hand a new identity in as pending, or ask for a wider charter (tenure request charter): the request names its approvers";
    /// Wider or longer than a ceiling allows.
    OverCeiling = "over_ceiling", "ask for what the template, the risk tier or the vendor allows";
    /// A renewal whose conditions fail.
    NeedNotVerified = "need_not_verified", "renewal needs recent use, an active owner who accepted it, and no overdue review or critical finding";
    /// The sign-in is too old, or of a kind that can be phished.
    FreshSignInNeeded = "fresh_sign_in_needed", "sign in again with a passkey (at most 5 minutes ago): an API token or an old session does not approve";
    /// The invitation is unknown, used, over, or waits for a second administrator.
    InvitationInvalid = "invitation_invalid", "an invitation is good once, for 24 hours, and after a second administrator confirmed it: ask an administrator";
    /// The sign-in at the provider came to nothing, or is not this browser's.
    SignInFailed = "sign_in_failed", "start again from the sign-in page; if it stays so, the server's log says what the provider answered";
    /// Signed in at the provider, but nobody here is bound to that.
    SignInUnknown = "sign_in_unknown", "nobody is bound to this sign-in: ask an administrator for an invitation and enter it on the sign-in page first";
    /// The identity's business need has ended.
    NeedEnded = "need_ended", "the project, integration or contract that it served is closed";
    /// Outside the data domains that the charter allows.
    OutsideDataDomains = "outside_data_domains", "the resource holds data domains that the charter doesn't allow";
    /// Outside the hours or the posture that the charter demands.
    WrongContext = "wrong_context", "the charter bounds when and in which posture it may be used";
    /// The control can't be waived, or the exception is not in force.
    NotWaivable = "not_waivable", "no exception waives the owner or the expiry; others are typed, approved and end";
    /// The exception's renewals are used up.
    RenewalsUsedUp = "renewals_used_up", "the number of renewals is capped: solve the cause instead";
    /// What would remove the identity has fired already: its removal is not put off (R109).
    RemovalTriggered = "removal_triggered", "a removal is put off only by an exception that was approved before anything ended: let it end, or give what depends on it another identity";
    /// No access by this name, or none in force.
    NoAccess = "no_access", "request access: the person holds no live grant that covers it";
    /// A record of the other class was handed to this API (R1).
    ClassMismatch = "class_mismatch", "people are made at /v1/people and non-human identities at /v1/identities: neither takes the other's class";
    /// A complete feed lacks too many of the records that it had (invariant 6).
    FeedTooShort = "feed_too_short", "so much missing reads as a failed export: nothing was changed; check the export, or hand it in with complete=false";
    /// The signal's signature or secret is wrong, or the source isn't active.
    SignalNotAuthentic = "signal_not_authentic", "check the source's name and that it is confirmed; sign the raw body with its current secret as its format wants, within 5 minutes where the time is signed";
    /// The signal is of a kind or about a subject that its source may not speak of.
    SignalOutsideSource = "signal_outside_source", "the source's registration names its kinds and its subjects: propose another one for more";
    /// The source sends more than it may.
    SignalsTooFast = "signals_too_fast", "the source's rate is spent: send it again after the time that Retry-After names";
    /// What would be done is not what was seen in the dry run.
    PlanChanged = "plan_changed", "what it concerns has changed since the dry run: look at it again and send its new digest";
    /// More identities than the source may hold without a person.
    OverBlastCap = "over_blast_cap", "a person of security has to confirm it: tenure removal confirm";
    /// The DPoP proof lacks the nonce that the server gave, or has an old one.
    DpopNonceNeeded = "dpop_nonce_needed", "make the proof again with the nonce of the header DPoP-Nonce (RFC 9449, section 8)";
    /// The DPoP proof fails.
    DpopInvalid = "dpop_invalid", "the DPoP proof is malformed, too old, used before, or for another request, token or key";
    /// A token that is bound to a key was shown without it.
    TokenBound = "token_bound", "the token is bound to a key: show it with a DPoP proof or over the connection of its certificate, never as a bearer";
    /// A credential without a key where the charter demands one.
    SenderConstraintNeeded = "sender_constraint_needed", "the charter allows only bound tokens: send a DPoP proof or connect with a client certificate";
    /// The declared task doesn't take what is asked.
    OutsideIntent = "outside_intent", "the charter declares no such task, or what is asked for is not part of it: declare another one, or ask for more";
    /// No task was declared.
    IntentMissing = "intent_missing", "more than one task fits, or none: declare one in authorization_details, type tenure_task, or as task:NAME in the scope (on the command line: --task)";
    /// Nobody delegated this to the actor.
    DelegationNotAllowed = "delegation_not_allowed", "the subject's charter has to name the actor as a delegate, and the subject token has to authorise it";
    /// Handed on too often.
    DelegationTooDeep = "delegation_too_deep", "authority was handed on as often as it may be: act under authority of your own";
    /// A credential or an identity that this derives from has ended.
    ParentEnded = "parent_ended", "what this was derived from has ended, and it with it: begin again at the start of the chain";
    /// Two instances present one key.
    SecondInstance = "second_instance", "another instance holds this key: give each agent an identity and a key of its own";
    /// The proof's repository is not on the identity's list.
    RepositoryNotPermitted = "repository_not_permitted", "the charter's repositories don't list the one that the proof names";
    /// The proof comes from a place that the charter doesn't name (R21).
    PlaceNotPermitted = "place_not_permitted", "each region, cluster or pipeline is a use of its own: give it an identity of its own, or have a shared_use exception list it";
    /// The workload changed, and the proof is from before.
    BindingUnverified = "binding_unverified", "the workload was changed: come with a proof that was made after that";
    /// The cluster says that the proof's token counts no more.
    TokenReviewRefused = "token_review_refused", "the cluster no longer takes this token: its pod, service account or secret is gone, or was made anew; run the workload again and come with the token that it gets";
    /// The cluster could not be asked about the proof's token.
    TokenReviewUnavailable = "token_review_unavailable", "the cluster could not be asked whether this token still counts, and without its answer nothing is issued: try again; an operator finds the cause in the server's log";
    /// Nobody has answered yet.
    AuthorizationPending = "authorization_pending", "the approvers have not answered yet: ask again after the interval";
    /// Asked again too soon.
    SlowDown = "slow_down", "wait longer between questions, as the answer's interval says";
    /// An approver said no.
    RequestDenied = "request_denied", "an approver said no: the request's record says what they wrote; ask for something else";
    /// The request ended without an answer, or what it gave is over.
    RequestExpired = "request_expired", "the time to fetch the answer, or what it gave, is over: ask again";
    /// No request of this caller's waits under this auth_req_id.
    RequestUnknown = "request_unknown", "use the auth_req_id that this client got; each is good for one token";
    /// A checkpoint that is kept outside contradicts the log.
    LogContradicted = "log_contradicted", "a checkpoint outside says that the database was put back to an earlier state or is another one's fork: until `tenure restore --new-epoch` nothing is issued, and revocations work";
    /// What was issued or made before the database was put back.
    BeforeEpoch = "before_epoch", "the database was put back to an earlier state since: get a new one";
    /// The resource isn't known, or not this caller's.
    ResourceUnknown = "resource_unknown", "name a registered resource on which the caller holds or enforces something";
    /// A decision is asked about a subject of a type that nothing here has.
    SubjectTypeUnknown = "subject_type_unknown", "ask about a subject of the type identity or person";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl JsonSchema for Reason {
    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<&str> = Self::ALL.iter().map(|reason| reason.code()).collect();
        json_schema!({"type": "string", "enum": codes, "description": "A stable code that says why."})
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
