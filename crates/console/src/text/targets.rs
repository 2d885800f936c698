//! Words of targets and accounts there.

words! {
    NO_TARGETS = "No target is registered yet: tenure target register.";
    NO_ACCOUNTS = "No account was found yet.";
    TARGET = "Target";
    OBSERVES = "Its connector only reads: nothing is ended there.";
    ENDS_ACCOUNTS = "Its connector stops and ends accounts there.";
    ISSUES_ACCOUNTS = "Its connector makes, stops and ends accounts there.";
    WHERE = "Where it is";
    CONNECTOR = "Asked as";
    LOGIN = "Signs in there as";
    NO_LOGIN = "no login yet";
    TROUBLE = "Why it can’t be asked";
    LOOKED_THROUGH = "Looked through";
    SEEN_THERE = "What was seen";
    NOT_SEEN = "What could not be seen";
    CLAIMED_WITHIN = "Time to claim what is found";
    BELONGS_TO = "Belongs to";
    PROPOSED_TO = "Proposed to";
    CLAIM_BY = "To be claimed by";
    LETS_IT_IN = "The target lets it in.";
    LETS_IT_NOT_IN = "The target doesn’t let it in.";
    NOT_IN_THE_CATALOGUE = "Not in the target’s catalogue since";
    THE_CATALOGUE_SAYS = "What the target says";
    MAY_ALL = "May do whatever there is";
    SESSIONS = "Open sessions";
    LAST_USED_THERE = "Last used";
    TARGET_ENDS_IT = "The target ends it";
    MAY_THERE = "What it may do there";
    MARKS = "What stands beside it there";
    DONE_BECAUSE = "Done because";
    WHAT_SHOWS_IT = "What shows it";
    WAITS_FOR_A_SECOND = "waits for a second person";
    CANT_BE_ASKED = "can’t be asked";
    MISSING = "missing there";
    STANDS_AGAIN = "The target’s catalogue has it enabled.";
    ENDED_READ_BACK = "ended, read back";
    GOES_ON = "accepted there";
}

/// What a look through a target saw.
pub fn seen_there(seen: u64, fresh: u64) -> String {
    format!("{seen} accounts, {fresh} of them new")
}

/// How many more there are.
pub fn and_more(more: u64) -> String {
    format!("and {more} more")
}

/// What a target said of an ending that its catalogue confirms, and what became of the sessions.
pub fn ended_there(words: &str, ended: u32, left: Option<u32>) -> String {
    let left = left.map_or_else(|| "it doesn’t tell how many are left".to_owned(), |left| format!("{left} left"));
    format!("{words} (sessions: {ended} ended, {left}). Its catalogue confirms it; the old secret wasn’t tried.")
}
