//! Words of sources, signals and removals.

words! {
    SOURCES = "Sources of signals";
    SOURCE = "Source";
    NO_SOURCES = "There are no sources of signals yet: tenure source create makes the first.";
    NO_SIGNALS = "There are no signals.";
    ITS_SIGNALS = "What it said";
    SPEAKS_AS = "Speaks as";
    MAY_SAY = "What it may say, and what that does";
    PROVES_ITSELF = "How it proves itself";
    DELIVERS_TO = "Delivers to";
    RATE = "May send";
    BLAST_CAP = "May hold";
    TEMPLATE = "Template";
    ISSUER = "Issuer";
    ONE_PERSON = "One person";
    ALONE = "did what two have to, because there was no second administrator";
    REMOVE = "Remove";
    DRAFTS = "a draft of an identity is made";
    VERIFIES_AGAIN = "its proofs are verified again, and what no longer fits is held";
    HOLDS_AND_RETIRES = "what lives by it is cut and held, and retires unless it is released";
    HOLDS = "what it concerns is held";
    ENDS_THE_TASK = "its task is over";
    ASKS_A_REVIEW = "a review is asked for";
    PERSON_LEAVES = "the person leaves";
    BY_HMAC = "by an HMAC over what it sends, under a key that only it and Tenure have";
    BY_SECRET = "by a secret that it sends along: it says who sends, not what";
    SETS_OFF = "Sets off";
    HAPPENED_AT = "Happened";
    RECEIVED = "Received";
    WHAT_IT_SAID = "What else it said";
    REMOVAL = "Removal";
    WHAT_IT_TAKES = "what it takes with it";
    WHO_LEFT = "Who left";
    DIGEST = "Digest of what was delivered";
}

/// How often something may happen.
pub fn a_minute(count: u32) -> String {
    format!("{count} signals a minute")
}

/// How much something may hold before somebody has to confirm.
pub fn an_hour(count: u32) -> String {
    format!("{count} identities an hour, before somebody of security has to confirm")
}

/// How a source with keys of its own proves itself.
pub fn by_keys(issuer: &str, audience: &str) -> String {
    format!("by its signatures, under the keys of {issuer}, for {audience}")
}
