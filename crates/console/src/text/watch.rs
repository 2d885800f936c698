//! Words of what is watched: findings, reviews, transfers, exceptions.

words! {
    ACCEPT_FINDING = "Let it be for a while";
    ACCEPT_FINDING_LEAD = "An exception is asked for. Once whoever manages the owner and security have approved it, the finding is listed as accepted and holds nothing, until the exception ends: then it is open again by itself.";
    NOT_ACCEPTABLE = "It isn’t let be: it isn’t open, is critical, may be an attack, or is about no identity.";
    HOW_IT_IS_WATCHED = "How it is watched meanwhile";
    HOW_IT_IS_WATCHED_HINT = "The compensating control “monitoring”: who looks at what, and how often.";
    LET_BE_UNTIL = "Accepted until";
    ACCEPTS = "Lets be";
    THE_EXCEPTION = "the exception";
    BREAK_GLASS = "Break-glass";
    NO_GLASS = "No glass was broken.";
    START_GLASS = "Break the glass";
    START_GLASS_LEAD = "It may do this at once, for an hour at most. Its owner and security are told, it stands in the log of exceptional access, and until somebody of security who didn’t start it has looked at it there is no next time.";
    MAY_DO = "What it may do";
    STARTED_BY = "Started by";
    APPROVED_BEFORE = "Approved before by";
    LOOK_UNTIL = "To be looked at until";
    WHAT_WAS_FOUND = "What was found";
    SOMEBODY_ELSE_LOOKS = "Somebody of security who didn’t start it looks at it.";
    JUSTIFIED = "It was needed";
    UNJUSTIFIED = "It was not";
    DECLARE_BREACH = "Declare a breach";
    DECLARE_BREACH_LEAD = "Each identity that it operates has a finding as long as it works. It stops nothing by itself: what would be stopped is listed here, and stopping all of it is one act.";
    ITS_BREACH = "Its breach";
    BREACHED_VENDOR = "breached";
    BREACH_OVER = "It is over";
    DECLARED_BY = "Declared by";
    DECLARED_AT = "Declared";
    ITS_FINDING = "found";
    WHAT_IT_OPERATES = "What it operates";
    STOP_ALL_OF_IT = "Stop all of it";
    OVERDUE = "overdue";
    NO_FINDINGS = "There are no findings.";
    NO_EXCEPTIONS = "There are no exceptions.";
    NO_REVIEWS = "There are no reviews.";
    NO_TRANSFERS = "There are no transfers.";
    NO_REMOVALS = "There are no removals.";
    RULES_LEAD = "What findings are about: which risk each rule answers, what fixes a breach, what Tenure does by itself, and which exception suppresses it, until that ends.";
    RULES_LEAD_CAPPED = "What findings are about. More findings are open than are counted: each number is at least that.";
    IT_IS_TOLD = "tells of it";
    IT_IS_TOLD_AS_SET = "tells of it, as it is set";
    IT_IS_HELD_AS_SET = "suspends, as it is set";
    IT_IS_HELD = "stops it at once";
    BY_ITSELF = "What Tenure does by itself";
    SUPPRESSED_BY = "Suppressed by an exception";
    OPEN_FINDINGS = "Open findings";
    THE_RULE = "Rule";
    DEBT = "Debt";
    DEBT_LEAD = "What is allowed for a while and has to be paid off, as it stands now, and as it was counted each night.";
    SHARED_IDENTITIES = "Identities that several share";
    EXCEPTIONS_IN_FORCE = "Exceptions in force";
    RENEWED_EXCEPTIONS = "Exceptions that renew an earlier one";
    BREACHED_EXCEPTIONS = "Exceptions without a control that makes up for them";
    NOBODYS = "Identities that are nobody’s";
    DAY_BY_DAY = "Day by day";
    DEPRECATIONS = "Deprecations";
    NO_DEPRECATIONS = "Nothing is deprecated.";
    DEPRECATED_SINCE = "Deprecated since";
    SUNSET = "Sunset";
    INSTEAD = "Instead";
    OTHER_USES = "Uses by others";
    WHO_STILL_USES_IT = "Who still uses it";
    FIXED_BY = "What fixes it";
    SHOWN_BY = "What shows a breach";
    BLIND_SPOTS = "What the rule can’t see";
    FALSE_POSITIVES = "What looks like it and isn’t";
    FRAMEWORKS = "Frameworks";
    EVIDENCE = "Evidence";
    FIRST_SEEN = "First seen";
    RESOLVED = "Resolved";
    WHAT_WAS_DONE = "What was done about it";
    RESOLVE = "Resolve";
    WAIVES = "Waives";
    DEMANDS = "What makes up for it";
    RENEWALS = "Renewals";
    BREACHED = "Breached";
    REVIEWER = "Reviewer";
    ASKED_AT = "Asked";
    DUE_AT = "Due";
    CAMPAIGN = "Campaign";
    CAMPAIGNS = "Campaigns";
    NO_CAMPAIGNS = "There are no campaigns.";
    NEW_CAMPAIGN = "New campaign";
    CAMPAIGN_LEAD = "Whoever answers for what is found is asked whether it is still needed. What nobody answers in time ends.";
    SCOPE_HINT = "Words and filters as the address of the inventory has them: tier=high&environment=production. What is active or suspended of it is reviewed.";
    HOW_LONG = "How long it may take";
    HOW_LONG_HINT = "1m to 90d; 14d if left empty.";
    CAP = "How many its deadline ends by itself";
    CAP_HINT = "100 if left empty. For more, somebody of security looks first.";
    WITHOUT_ANSWER = "Without an answer";
    IS_SUSPENDED = "it is suspended, and whoever owns it may resume it";
    IS_RETIRED = "it is retired";
    IN_SCOPE = "In its scope";
    WAIT_FOR_ANSWER = "Wait for an answer";
    USED_LAST = "Last used";
    ITS_SCOPE = "Which identities";
    SEEN_BY = "Confirmed by";
    OPENED_BY = "Opened by";
    ITS_REVIEWS = "Its reviews";
    DEADLINE_WOULD = "The deadline would end";
    FIRST_OF_THEM = "The first of them";
    GIVE_UP = "Give it up";
    OPEN_IT = "Open it";
    HANDED_OVER = "Handed over";
    HAND_OVER = "Not mine";
    NOT_MINE = "If it isn’t yours: whose is it?";
    NOT_MINE_HINT = "A name or an e-mail address. They take it over, and answer by the same deadline.";
    STILL_YOURS = "Answers for it now";
    RECOMMENDED = "Recommended";
    LOOK_CLOSELY = "Look closely";
    REVIEWED_AT = "Last found needed";
    ENDS_BY = "What ends it";
    NARROW_TO_USE = "Narrow to what was used";
    WAS_NARROWED = "narrowed";
    LEFT_OUT = "Left out";
    WOULD_BE_LEFT = "Narrowed, it would keep";
    WOULD_HAVE_DENIED = "Replayed";
    KEPT = "kept";
    REVOKED = "revoked";
    ANSWERED = "Answered";
    WHAT_IT_HOLDS = "What it holds";
    KEEP = "Keep";
    REVOKE = "Revoke";
    TRANSFER_ASKS = "Whoever accepts answers for the identity from then on: for its purpose, its reviews and its end.";
    FROM = "From";
    OFFERED_TO = "Offered to";
    DECLINED_BY = "Declined by";
    BECAUSE = "Because";
    LAPSES_AT = "Lapses";
    ACCEPT = "Accept";
    DECLINE = "Decline";
    OFFER = "Offer";
    WHAT_HAPPENED = "What happened";
    BEGAN = "Began";
    HELD_SINCE = "Held since";
    RETIRES = "What it takes retires";
    LIVE_CREDENTIALS = "Live credentials";
    ENFORCED = "Enforced by nobody else";
    CONSUMERS = "Consumers of what is shared";
    DELEGATES = "Acts for each other";
    WAIT_FOR_EXCEPTION = "Wait for the end of an exception";
    COMPROMISED = "Is it leaked or breached? Then nothing waits";
    RELEASED = "Released";
    THE_PROOF = "the proof";
    LET_GO = "Let it go";
    CONFIRM_REMOVAL = "Confirm: hold them";
    WHY_RELEASED = "Why it is let go";
    SAY_IT_ENDED = "Something has ended";
    WOULD_DO = "This is what it would do. Nothing is done yet.";
    RAISE_LEAD = "What lived by something that has ended is cut and held at once, and retires unless somebody of security releases it. First it says what that would be.";
    WHAT_ENDED = "What ended";
    WHAT_ENDED_HINT = "its name or id, as it is registered";
    LOOK_FIRST = "What would it do?";
    DO_EXACTLY = "Do exactly this";
    NO_HOLDS = "Nothing is on hold.";
    RELEASE_LEAD = "What belongs to it works again once nothing else holds it. What was cut stays cut. Who placed a hold doesn’t release it.";
}

/// How often an exception was renewed, and may be yet.
pub fn renewals(renewed: u8, left: u8) -> String {
    format!("{renewed} so far, {left} left.")
}

/// The title of an exception.
pub fn exception_of(subject: &str) -> String {
    format!("Exception of {subject}")
}

/// The title of a review.
pub fn still_needed(subject: &str) -> String {
    format!("Is {subject} still needed?")
}

/// What becomes of what nobody answers.
pub fn no_answer(deed: &str, cap: u64) -> String {
    format!("{deed}; more than {cap} at once only once somebody of security has seen that.")
}

/// What a narrower scope would have done.
pub fn would_deny(denied: u64, of: u64) -> String {
    format!("It would have denied {denied} of {of} decisions of the last 90 days.")
}

/// What a deadline would end.
pub fn would_end(identities: u64, high: u64) -> String {
    format!("{identities} identities, {high} of them of high tier.")
}

/// The title of a transfer.
pub fn transfer_of(identity: &str) -> String {
    format!("Who answers for {identity}?")
}

/// The title of the page on which a finding is let be.
pub fn accept(title: &str) -> String {
    format!("{ACCEPT_FINDING}: {title}")
}

/// A break-glass access, by its identity.
pub fn glass_of(identity: &str) -> String {
    format!("{BREAK_GLASS}: {identity}")
}

/// A vendor's breach.
pub fn breach_of(vendor: &str) -> String {
    format!("Breach of {vendor}")
}

/// How many identities there are, and how many of those that are listed work.
pub fn operated(count: u64, works: usize, listed: usize) -> String {
    if count > listed as u64 {
        return format!("{count} identities; of the {listed} that are listed, {works} work");
    }
    format!("{count} identities, of which {works} work")
}
