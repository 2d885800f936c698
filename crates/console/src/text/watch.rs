//! Words of what is watched: findings, reviews, transfers, exceptions.

words! {
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

/// The title of a transfer.
pub fn transfer_of(identity: &str) -> String {
    format!("Who answers for {identity}?")
}
