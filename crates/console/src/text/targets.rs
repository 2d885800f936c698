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
    GONE_FOR_GOOD = "Said to be gone for good";
    GONE = "gone, by the word of two people";
    ONE_SAYS_SO = "one person says so; somebody else has to, before it counts";
    ATTESTED_GONE = "not proven: its target is gone";
    BY_TWO_PEOPLE = "two people say that its target is gone for good; nobody could ask it";
    NARROWED_READ_BACK = "narrowed, as its catalogue says";
    NARROWED = "Narrowed";
    AT_TARGETS = "Time to stop, by target";
    DROPPED = "May no more";
    STRAY = "Bears Tenure's mark, and no record knew it";
    LOGINS = "Logins just in time";
    ANOTHER_SECRET = "Give it another secret";
    ANOTHER_SECRET_LEAD = "The account gets a new secret at its target, and its open sessions end. No page shows the secret: it is fetched once, on the command line, and whatever signs in with the old one is refused from then on.";
    SECRET_GIVEN = "Another secret";
    SECRET_ASKED = "asked for; the target hasn’t got it yet";
    SECRET_THERE = "the target has it";
    OLD_SECRET = "The secret before";
    SECRET_SHOWN = "Shown to somebody";
    SECRET_FETCHED_BY = "Shown once by";
    DRIFT = "Drift";
    NO_DRIFT = "Every target has what was approved, as far as it was seen.";
    DRIFT_LEAD = "A target has something that nobody approved, or lacks something. It closes by itself once the target and the charter say the same.";
    GAINED = "What it gained";
    DECIDED = "Decided";
    CLOSED_BY = "Closed";
    FOUND = "Found";
    TAKE_AWAY = "Take it away there";
    ASK_FOR_IT = "Ask for it";
    LEAVE_ALONE = "Leave it alone";
    LEFT_ALONE_HINT = "Only to leave it alone: by security, 90 days at most.";
    LEFT_ALONE_UNTIL = "Until when";
    MAY_BE_WHOSE = "Who may answer for it";
    SUGGESTIONS_BIND_NOBODY = "Nobody answers for it by being suggested.";
    CLAIM_IT = "Answer for it";
    CLAIM_LEAD = "You answer for it from now on. It becomes a draft in the environment where it was found; what it may do at its target now is written into its charter, and whoever approves it reads that.";
    PURPOSE_OF_IT = "What it is for";
    PURPOSE_OF_IT_HINT = "The need that it serves: whoever approves it reads this.";
    CLAIMED_APPLICATION_HINT = "The application that it works for, by name.";
    WORKLOAD_OF_IT_HINT = "What uses the account, e.g. batch/billing.";
    IDLE_DAYS = "Days without use that end it";
    IDLE_DAYS_HINT = "What retires it besides its end.";
    PROPOSE_THEM = "Propose them";
    PROPOSE_LEAD = "Whom the strongest suggestion names is told, and may claim it. Nobody answers for anything by that. 500 at once.";
    PROPOSE_BY_RULE = "Propose accounts";
    NAME_BEGINS = "Names that begin with";
    NAME_BEGINS_HINT = "Empty: all that nobody answers for.";
    MARK_HAS = "Mark that has";
    MARK_HAS_HINT = "As name=text, e.g. comment=billing; may be left empty.";
    PROPOSE_TO = "To whom";
    PROPOSE_TO_HINT = "By name or address; empty: to whom the suggestions name.";
    AT_LEAST = "Suggestions that are at least";
    REHEARSE = "Only say which";
    WOULD_BE_PROPOSED = "Would be proposed";
}

/// How the secret of an account is fetched.
pub fn secret_command(account: &str) -> String {
    format!("tenure account secret {account} --out FILE")
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

/// What a target said to a secret that was ended, and what became of the sessions.
pub fn refused_there(words: &str, ended: u32, left: Option<u32>) -> String {
    let left = left.map_or_else(|| "it doesn’t tell how many are left".to_owned(), |left| format!("{left} left"));
    format!("{words} (sessions: {ended} ended, {left})")
}
