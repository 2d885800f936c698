//! The English of whatever isn't a sentence of one template: titles, labels, and words for the values of records.

use tenure_api::pages::is_id;
use tenure_core::credential::receipt::{ReceiptOf, ReceiptState};
use tenure_core::request::RequestState;

/// The home page.
pub const HOME: &str = "Home";
/// A name that was erased.
pub const ERASED: &str = "somebody whose name was erased";
/// The sign-in page.
pub const SIGN_IN: &str = "Sign in";
/// The page of who is signed in.
pub const SIGNED_IN: &str = "Signed in";
/// The page of the command line's sign-in.
pub const COMMAND_LINE: &str = "Command line";
/// The set-up page.
pub const SET_UP: &str = "Set up";
/// The page of a form whose session has ended.
pub const SESSION_OVER: &str = "Sign in anew";
/// Leads to the sign-in page.
pub const TO_SIGN_IN: &str = "Back to the sign-in page";
/// The page of an approval link that is not good.
pub const NO_SUCH_LINK: &str = "No such link";
/// The list of requests.
pub const REQUESTS: &str = "Requests";
/// Leads home.
pub const TO_HOME: &str = "Go home";

/// The title of a page about a problem.
pub const fn failed(status: u16) -> &'static str {
    match status {
        401 => "Sign in first",
        403 => "Not for you",
        404 | 405 => "Not here",
        409 | 412 => "Changed meanwhile",
        429 | 503 => "Not now",
        _ => "That did not work",
    }
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

/// A word of the API as people read it: `service_account` is `service account`.
pub fn plain(word: &str) -> String {
    word.replace('_', " ")
}

/// A text of so many letters at most, which says where it was cut.
pub fn cut(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A reason as people read it: what Tenure noted of a signal is said in words, and what somebody wrote as they wrote it.
pub fn reason(text: &str) -> String {
    let (of, rest) = text.split_once(": ").filter(|(of, _)| is_id(of)).unwrap_or(("", text));
    let said = rest.split_once(" by ").filter(|(_, by)| by.starts_with("sig_") && is_id(by));
    match said {
        Some((kind, _)) => format!("{}, as a signal said", sentence(&plain(kind))),
        None if of.is_empty() => text.to_owned(),
        None => rest.to_owned(),
    }
}

/// A text with a capital at its beginning.
pub fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// The route of what a rule approves.
pub const BY_A_RULE: &str = "a rule, without a vote";

/// What a request became.
pub const fn became(state: RequestState) -> &'static str {
    match state {
        RequestState::Open => "It is open",
        RequestState::Approved => "It is approved, and waits for its start",
        RequestState::Denied => "It is denied",
        RequestState::Withdrawn => "It is taken back",
        RequestState::Lapsed => "It has lapsed",
        RequestState::Fulfilled => "It is approved, and in force",
    }
}

/// A field of a charter or a request as people read it: the API's path of it, in words.
pub fn field(path: &str) -> String {
    let known = match path {
        "access" => "What it may do",
        "charter.scope" | "scope" => "Scope",
        "expires_at" | "charter.expires_at" => "Ends at the latest",
        "until" => "Goes on until",
        "credential_ttl" | "charter.credential_ttl" => "Life of a credential",
        "parties.operator" | "charter.parties.operator" => "Run by",
        "parties.beneficiary" | "charter.parties.beneficiary" => "Serves",
        "parties.requester" | "charter.parties.requester" => "Asked for by",
        "owner" | "charter.owner" => "Accountable owner",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let path = path.strip_prefix("charter.").unwrap_or(path);
    // Items are counted from 1 where people read: `retirement[0].after` is `Retirement 1: after`.
    let mut words = String::new();
    for (n, part) in path.split('[').enumerate() {
        match (n, part.split_once(']')) {
            (0, _) | (_, None) => words.push_str(part),
            (_, Some((item, rest))) => {
                let item = item.parse::<usize>().map_or_else(|_| item.to_owned(), |item| (item + 1).to_string());
                words.push_str(&format!(" {item}{rest}"));
            }
        }
    }
    sentence(&plain(&words.replace('.', ": ")))
}

macro_rules! words {
    ($($name:ident = $text:literal;)*) => {$(#[doc = $text] pub const $name: &str = $text;)*};
}

words! {
    IDENTITIES = "Identities";
    PAST_DUE = "Overdue";
    WAITING = "Waiting for your vote";
    NOTHING_WAITS = "No request waits for your vote.";
    WAS_DONE = "done";
    WOULD_BE_DONE = "would be done";
    STANDS_SO = "stands so already";
    LOOK_AGAIN = "What would happen";
    DO_IT = "Do it";
    TO_BE_SAID = "to be said";
    CHANGED_MEANWHILE = "somebody else has made it:";
    EMPTIED_MEANWHILE = "somebody else has emptied it";
    GO_ON = "Go on";
    SEVERAL_GOING = "It is done to some at a time. If you leave this page, the others stay as they are.";
    NONE_CHOSEN = "choose at least one of the list";
    SEVERAL_MORE = "More of them fit: these are the first 500, the others are for the next time.";
    SELECT = "Select";
    VIEWS = "Saved views";
    VIEWS_LEAD = "A view is the inventory by a name: its filters, its order, its columns. Whoever opens one sees what they may see.";
    NO_VIEWS = "None is saved yet. Narrow the inventory down and save it by a name.";
    SAVE_VIEW = "Save this view";
    VIEW_NAME_HINT = "At most 80 characters";
    SHARED_WITH = "Who sees it too";
    NOBODY_ELSE = "nobody else";
    OPEN_VIEW = "Open";
    RENAME = "Rename or delete";
    WHOSE = "Whose";
    SHOWS = "Shows";
    SAVED_AT = "Saved";
    CHANGE_IT = "Change";
    ALL_OF_IT = "all of it";
    OWN_TEAM = "name a team of your own";
    SAVE = "Save";
    DELETE = "Delete";
    SELECTED = "Those selected";
    ALL_THAT_FIT = "All that fit, at most 500";
    COLUMNS = "Columns";
    NOT_ALL = "THIS FILE IS NOT ALL: the server could not read on. Get it again.";
    NOTHING_DISCOVERED = "Nothing discovers identities yet: what stands here was registered.";
    STOP = "Stop";
    NO_IDENTITIES = "There are no identities yet: tenure identity register makes the first.";
    NO_REQUESTS = "There are no requests.";
    ON_HOLD = "on hold";
    YES = "yes";
    NO = "no";
    LONG_AGO = "not lately";
    NEVER = "not yet";
    STILL_NEEDED = "Still needed?";
    STILL_SCOPED = "Still scoped?";
    STILL_MONITORED = "Still watched?";
    STILL_REMOVABLE = "Still removable?";
    BY_USE = "It was used.";
    BY_REVIEW = "A review kept it.";
    NEVER_USED = "No use of it is on record.";
    NOBODY_NAMED = "nobody named";
    REMOVES_IT = "answers for its removal.";
    HAS_NO_MEMBER = "answers for its removal, and has no active member.";
    NO_REMOVAL_GROUP = "No team answers for its removal.";
    NEVER_TRIED = "No removal of it is on record.";
    SUSPENDED = "Suspended";
    OWNER_RELEASES = "Its owner or security may release it, but nobody who placed it.";
    SECURITY_RELEASES = "Security may release it, but nobody who placed it.";
    STOP_IT = "Stop it";
    SUSPEND = "Suspend";
    RESUME = "Release";
    RENEW = "Renew";
    TRANSFER = "Transfer";
    RETIRE = "Retire";
    CLOSE = "Close";
    OWNER = "Accountable owner";
    BACKUP = "Backup owner";
    REMOVAL_GROUP = "Answers for its removal";
    OF_THE_APPLICATION = "the application’s, since the charter names none";
    APPLICATION = "Application";
    VENDOR = "Vendor";
    WORKLOAD = "Workload";
    TOUCHES = "What it touches";
    DATA = "Data domains";
    ENDS_AT = "Ends at the latest";
    ENDS_IT = "What else ends it";
    A_RULE = "a rule, without a vote";
    APPROVED_BY = "Approved by";
    NEED_AS_APPROVED = "The need as it then read";
    APPROVED_IN = "Approved in";
    THE_REQUEST = "the request";
    RETIRED_BECAUSE = "Retired because";
    FOR = "for";
    CREDENTIAL_TYPES = "Credentials";
    RUN_BY = "Run by";
    SERVES = "Serves";
    REGISTERED_BY = "Registered by";
    ON = "on";
    WITHOUT_USE = "without use";
    TASK_COMPLETED = "when its task is completed";
    LIVE = "live";
    NOT_LIVE = "not live";
    GRANTS = "Grants";
    CREDENTIALS = "Live credentials";
    KEY_BOUND = "its key";
    BEARER = "whoever holds it";
    OVERDUE = "overdue";
    REVIEWS = "Reviews";
    NO_PURPOSE = "No purpose yet.";
    VOTES = "Votes";
    TRANSFERS = "Transfers";
    ENDING = "Ends this week";
    ASKED_BY = "Asked by";
    LAPSES = "lapses";
    DECIDE = "Decide";
    OFFERED_BY = "Offered by";
    ANSWER = "Answer";
    A_GRANT = "a grant of a person";
    DUE = "due";
    ENDS = "ends";
    SINCE = "found";
    LOOK = "Look";
    A_CREDENTIAL = "a credential";
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
    ASKED = "asked";
    NOT_ANSWERED = "It has not answered yet.";
    REFUSED = "refused";
    ACCEPTED_UNTIL = "accepted until";
    CHECKS_BY_ITSELF = "It checks signatures by itself, so what was revoked is good there until its own end.";
    NOTHING_LIVE = "nothing live";
    NOTHING_TO_REFUSE = "There was nothing live to refuse.";
    UNPROVEN = "unproven";
    WATCHED = "Watched";
    ORGANISATION = "Organisation";
    FINDINGS = "Findings";
    EXCEPTIONS = "Exceptions";
    REMOVALS = "Removals";
    PEOPLE = "People";
    TEAMS = "Teams";
    APPLICATIONS = "Applications";
    VENDORS = "Vendors";
    RESOURCES = "Resources";
    ENVIRONMENTS = "Environments";
    CLOUD_ACCOUNTS = "Cloud accounts";
    LATER = "Not here yet";
    COMMENT = "Comment";
    HELD_BECAUSE = "On hold because";
    STOP_ALL = "Stop everything of it";
    STOP_THEIRS = "Stop everything of theirs";
    NO_CONTROL = "no live credential was there to compare with";
    LAST_RECEIPTS = "The last of them, the newest first.";
    NONE = "none";
    IN_FORCE = "in force";
    OVER = "over";
    NO_PEOPLE = "There is nobody yet.";
    NO_TEAMS = "There are no teams yet.";
    NO_APPLICATIONS = "There are no applications yet.";
    NO_VENDORS = "There are no vendors yet.";
    NO_RESOURCES = "There are no resources yet.";
    NO_ENVIRONMENTS = "There are no environments yet.";
    NO_CLOUD_ACCOUNTS = "There are no cloud accounts yet.";
    ELSEWHERE = "Elsewhere";
    TARGETS = "Targets";
    ACCOUNTS = "Accounts";
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
    NO_FINDINGS = "There are no findings.";
    NO_EXCEPTIONS = "There are no exceptions.";
    NO_REVIEWS = "There are no reviews.";
    NO_TRANSFERS = "There are no transfers.";
    NO_REMOVALS = "There are no removals.";
    EMAIL = "E-mail address";
    CLASS = "Class";
    ROLES = "Roles";
    MANAGER = "Manager";
    STARTS = "Starts";
    LEAVES = "Leaves";
    ITS_MEMBERS = "Its members";
    ITS_RESOURCES = "Its resources";
    MADE = "Made";
    CONTACT = "Contact";
    CONTRACT_ENDS = "Contract ends";
    TYPE = "Type";
    ENVIRONMENT = "Environment";
    ACTIONS = "Actions";
    CHECKED = "Credentials are checked";
    CHECKED_ONLINE = "by asking Tenure, so that what is revoked is refused at once";
    CHECKED_OFFLINE = "by their signature, so that what is revoked is accepted until its own end";
    UNREACHABLE = "When Tenure can’t be reached";
    UNREACHABLE_DENIES = "everything is refused";
    UNREACHABLE_ACCEPTS = "what is good until a later time is accepted";
    COUNTS_AS = "Counts as";
    PRODUCTION = "production";
    NOT_PRODUCTION = "not production";
    SIGNING_KEYS = "Signing keys";
    ABOUT = "About";
    FIXED_BY = "What fixes it";
    SHOWN_BY = "What shows a breach";
    BLIND_SPOTS = "What the rule can’t see";
    FALSE_POSITIVES = "What looks like it and isn’t";
    FRAMEWORKS = "Frameworks";
    EVIDENCE = "Evidence";
    FIRST_SEEN = "First seen";
    LAST_SEEN = "Last seen";
    TENURE = "Tenure";
    RESOLVED = "Resolved";
    WHAT_WAS_DONE = "What was done about it";
    RESOLVE = "Resolve";
    WAIVES = "Waives";
    PROPOSED_BY = "Proposed by";
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
    IDENTITY = "Identity";
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
    CONFIRMED_BY = "Confirmed by";
    RELEASED = "Released";
    THE_PROOF = "the proof";
    RECORD = "Record";
    LOG = "Log";
    POLICY = "Policy";
    POLICY_SETS = "Policy sets that were proposed";
    ASK_ACCESS = "Ask for access";
    ASK_LEAD = "Asks that it may do something more for a bounded time, inside its charter. Whoever has to approve is asked.";
    RESOURCE = "Resource";
    RESOURCE_HINT = "its URI or id";
    ACTIONS_HINT = "with commas between them";
    FOR_HOW_LONG = "For how long";
    FOR_HOW_LONG_HINT = "such as 30m, 8h, 5d";
    REGISTER = "Register an identity";
    REGISTER_LEAD = "Its charter says who answers for it, what it is for, what it touches and what ends it. Nothing is issued to it before somebody else has approved that.";
    REGISTER_BUTTON = "Register and ask for approval";
    KIND = "Kind";
    NAME = "Name";
    NAME_HINT = "unique for ever";
    PURPOSE = "What it is for";
    PURPOSE_HINT = "the business need, in at most 1000 bytes";
    OWNER_HINT = "e-mail address, name or id; you, if left empty";
    BACKUP_HINT = "who stands in; may be left empty";
    RUN_BY_HINT = "a team or a company";
    SERVES_HINT = "whom it is good for: a team or a company";
    BOUNDARY = "Trust domain";
    BOUNDARY_HINT = "inside which it is trusted, such as prod.example.com";
    LAST_DAY = "Its last day";
    LAST_DAY_HINT = "its end at the latest";
    IDLE = "Ends when unused for";
    IDLE_HINT = "such as 30d";
    COVERAGE = "What it holds at rest";
    WORKLOAD_HINT = "what runs it, such as deployment/exporter";
    PUBLIC_KEY = "Its public key";
    PUBLIC_KEY_HINT = "as a JWK; left empty, it enrols a key of its own with a join token";
    NEW_APPLICATION = "New application";
    NEW_APPLICATION_LEAD = "What identities work for. It has somebody who answers for it.";
    NEW_ENVIRONMENT = "New environment";
    NEW_ENVIRONMENT_LEAD = "Each is an issuer of its own, with keys of its own: what is of one is good in no other.";
    NEW_RESOURCE = "New resource";
    NEW_RESOURCE_LEAD = "What identities act on: a service, a database, an API.";
    NEW_PERSON = "New person";
    NEW_PERSON_LEAD = "Somebody whom identities can belong to, or who decides. How they sign in is theirs to bind, by an invitation.";
    URI = "URI";
    URI_HINT = "by which its tokens name it, such as https://orders.internal";
    TYPE_HINT = "such as database, api, queue";
    MAKE = "Make it";
    EMAIL_HINT = "may be left empty";
    ROLES_HINT = "of requester, owner, manager, security, administrator, auditor, with commas between them; may be left empty";
    LINEAGE = "Lineage";
    COMES_FROM = "What it comes from";
    THE_IDENTITY = "The identity";
    COMES_OF_IT = "What comes from it";
    AND_MORE = "and";
    LINK_REGISTERED = "registered by";
    LINK_TEMPLATE = "made from the template";
    LINK_APPROVED = "approved by";
    LINK_NEED = "needed for";
    LINK_ACTS_FOR = "acts for";
    LINK_DELEGATES = "lets act for it";
    LINK_HOLDS = "holds";
    LINK_BACK = "comes back by";
    OWNERS = "Owners";
    THE_OTHERS = "the others";
    NEW_TEAM = "New team";
    NEW_TEAM_LEAD = "People who answer for something together, such as the removal of an application’s identities. Being in one confers nothing.";
    REMOVERS_HINT = "a team; may be left empty if each identity names its own";
    REMOVERS_OF_ONE_HINT = "a team; the application’s, if left empty";
    MANAGER_HINT = "who approves what they ask for; e-mail address, name or id; may be left empty";
    TEAMS_HINT = "with commas between them; may be left empty";
    STATE = "State";
    UNTIL = "Until";
    UNTIL_HINT = "the last day";
    TO_WHOM = "To whom";
    TO_WHOM_HINT = "e-mail address, name or id";
    SUSPENDED_BECAUSE = "Suspended because";
    SUSPEND_LEAD = "Nothing of it works until somebody else releases it: its tokens are refused at once, and what it has is kept. Time runs on.";
    RESUME_LEAD = "It works again once no cause is left. What was revoked meanwhile stays revoked.";
    RENEW_LEAD = "Asks that it goes on until another day, as far as its charter and its tier let it. Whoever has to approve is asked.";
    TRANSFER_LEAD = "Asks somebody else to answer for it. Until they accept, it stays with its owner.";
    RETIRE_LEAD = "It ends for good: everything of it is refused at once, and it never comes back.";
    CLOSE_LEAD = "It never began, and ends here for good.";
    RECEIPTS = "Receipts";
    NO_RECEIPTS = "Nothing was revoked yet.";
    STOPS = "What stops";
    NOTHING_RETURNS = "Nothing: what was stopped can’t get new credentials before somebody lets it.";
    LOOKED_AT = "Looked at";
    HITS = "Whom it hits";
    COMES_BACK = "What can come back by itself";
    HOW = "How";
    STOP_AND_HOLD = "Stop, and keep it from coming back.";
    STOP_AND_HOLD_HINT = "What it holds is refused for good, and it gets nothing new until somebody else releases it.";
    STOP_ONLY = "Refuse what it holds now.";
    STOP_ONLY_HINT = "What can prove itself gets new credentials at once: for a secret that leaked.";
    STOP_NOW = "Stop now";
    THE_FIRST_OF_THEM = "The first of them";
    ALL_OF_THEM = "All of them";
    SIGNALS = "Signals";
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
    CONFIRM = "Confirm";
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
    PERSON_GRANTS = "Temporary access";
    NO_PERSON_GRANTS = "Nobody holds anything for a while.";
    HELD_LEAD = "Everything that they hold or will hold here, with who approved it, for which need, and what ends it.";
    ACCESS = "Access";
    TAKE_BACK = "Take it back";
    TAKE_BACK_WHICH = "Which";
    PACKAGES = "Packages";
    NO_PACKAGES = "There are no packages yet: tenure package put makes the first.";
    AT_MOST = "For at most";
    AT_ONCE = "at once";
    GIVES = "What it gives";
    EXCEPTIONAL = "Exceptional access";
    NO_EXCEPTIONAL = "Nobody came in besides the ordinary way.";
    CHAINS = "Chains";
    CHAINS_LEAD = "What it says that it is for, who may act for it, and for whom it acts now. A chain dies with each of its links.";
    ACTS_FOR = "Acts for";
    ACTS = "Acts";
    FOR_NOBODY = "nobody else now";
    MORE = "More";
    FIRST_CREDENTIALS = "only its first credentials were looked at";
    TASKS = "Tasks that it declares";
    MAY_ACT_FOR_IT = "May act for it";
    WHO_ACTS = "Who acts for whom, in order";
    DERIVED_FROM = "Derived from";
    ISSUED = "Issued";
    REVOKED_AT = "Revoked";
    STOP_CHAIN = "Stop it, and all that derives from it";
    SYSTEM = "System";
    PERMITS = "permits";
    FORBIDS = "forbids";
    IN_PLAIN_WORDS = "In plain words";
    POLICY_SET = "A change of policy";
    PROPOSE_POLICY = "Propose a change of policy";
    GRANTS_NOTHING_NEW = "No: it is proven to allow nothing that wasn’t allowed.";
    GRANTS_MORE = "Yes: here is what becomes allowed.";
    UNDECIDED = "It could not be proven either way.";
    NOT_ANALYSED = "Nobody looked here. Where the server has a solver, tenure policy review asks it.";
    ONLY_THE_FIRST = "only the first two hundred of each were looked at";
    SYSTEM_LEAD = "How this server does, what of its notices is undelivered, and the configuration in force. No secret stands here.";
    LOG_ENTRIES = "Entries of the log";
    SEALED = "Under a signed checkpoint";
    INDEXED = "In its index";
    EPOCH = "Epoch";
    STATE_VERIFIED = "State held against the log";
    NOT_SINCE_START = "not since the start";
    HOLDS_IN_FORCE = "Holds in force";
    IS_IT_WELL = "Is it well?";
    WELL = "well";
    LOOK_AT_IT = "look at it";
    THE_CLOCK = "Clock";
    THE_DISK = "Disk";
    CHECKPOINTS = "Checkpoints kept outside";
    OUTSIDE = "What is kept outside";
    THE_STATE = "State";
    THE_SEAL = "Sealing";
    THE_INDEX = "Index of the log";
    NOTICES = "Notices";
    NO_CHANNELS = "nobody is notified: neither mail nor a webhook was ever configured";
    UNDELIVERED = "Undelivered";
    CONFIGURATION = "Configuration in force";
    NOT_SET = "not set";
    TASKS_AND_CHAINS = "Tasks and chains";
    WHAT_THEY_HOLD = "What they hold";
    IS_NEW = "is new";
    GOES = "goes";
    READS_OTHERWISE = "reads otherwise";
    SUSPEND_PERSON_LEAD = "Nothing of theirs works until somebody of security who didn’t stop them lets them go on: sessions and tokens end at once.";
    RESUME_PERSON_LEAD = "They may act again. What was revoked meanwhile stays revoked.";
    DEPART_LEAD = "They leave for good: what they answer for goes to others or stops, and what they hold ends. First it says what that would be.";
    WOULD_LEAVE = "This is what would leave with them. Nothing is done yet.";
    WHAT_LEAVES = "What leaves with them?";
    THEY_LEAVE = "They leave";
    LEAVES_FOR_GOOD = "Leaves for good";
    LEFT_BEHIND = "What they answer for";
    INVITE = "Invite";
    INVITE_LEAD = "An invitation lets them choose how they sign in, within a day. Whoever has its link can use it: hand it to nobody else.";
    ONE_MORE_WAY = "Add a way to sign in.";
    ONE_MORE_WAY_HINT = "What they have stays.";
    REPLACES = "Replace what was lost.";
    REPLACES_HINT = "The sign-ins and sessions that they have end with its use.";
    INVITED_LEAD = "Copy the link now. It stands on this page alone and is shown this once.";
    LINK = "Link";
    GOOD_UNTIL = "Good until";
    BUT = "But";
    WAITS_FOR_ANOTHER = "it is good for nothing before another administrator confirms it";
    INVITATIONS = "Invitations";
    NO_INVITATIONS = "There are no invitations of the last day.";
    FOR_WHOM = "For";
    USED = "used or taken back";
    USED_AT = "Used or taken back";
    GOOD = "good";
    NOT_GOOD = "waits for another administrator";
    EDIT_LEAD = "What takes something away is so at once. What lets somebody do more becomes a request that another administrator has to approve.";
    CHANGE = "Change";
    STAYS_HINT = "stays as it is, if left empty";
    FOR_WHICH_NEED = "For which need";
    FOR_WHICH_NEED_HINT = "has to be said of what takes a request";
    NO_END_HINT = "none, if left empty";
    ANSWERS_FOR = "Answers for";
    WAITS_FOR_THEM = "What waits for them";
    OF_REVIEWS = "Reviews";
    OF_TRANSFERS = "Identities offered to them";
    OF_VOTES = "Votes, by name";
    NO_HOLDS = "Nothing is on hold.";
    RELEASE_LEAD = "What belongs to it works again once nothing else holds it. What was cut stays cut. Who placed a hold doesn’t release it.";
    ASK_BACK = "Ask back";
    ASK_BACK_HINT = "whoever asked is told; it stays open, and votes stand";
    ASK = "Ask";
    ANSWER_BACK = "Answer what was asked";
    ANSWER_BACK_HINT = "whoever asked back is told; votes stand";
    SEND_ANSWER = "Send the answer";
    ASKED_BACK = "asked back";
    ANSWERED_BACK = "answered";
    CHANGED_IT = "changed it";
    VOTES_VOID = "votes of before don’t count";
    ASSURED = "by a sign-in that can’t be phished";
    BY_A_TOKEN = "an operator token stood for them";
    AWAY = "Out of office";
    STAND_IN = "Stands in";
    STAND_IN_HINT = "who votes in your place: e-mail address, name or id";
    AWAY_LEAD = "While you are away, somebody else votes where you are named: as accountable owner or as manager. They do nothing that they couldn’t do on their own, and nothing that you couldn’t.";
    AWAY_FROM = "First day";
    AWAY_UNTIL_HINT = "the last day that you are away; at most 90 days later";
    AT_ONCE_HINT = "at once, if left empty";
    NAME_THEM = "Name them";
    BACK_AGAIN = "I am back";
    BACK_LEAD = "Nobody stands in for you any more. Votes that they cast and that still wait for others count no more.";
    REASON = "Reason";
    REASON_HINT = "it goes into the record";
}

/// In which place somebody voted.
pub fn voted_as(place: &str) -> String {
    format!("as {place}")
}

/// How long an answer took.
pub fn decided_after(span: &str, reminders: u8) -> String {
    format!("{span}{}", reminded(reminders))
}

/// For how long something waits.
pub fn waits_since(span: &str, reminders: u8) -> String {
    format!("has waited for {span}{}", reminded(reminders))
}

fn reminded(reminders: u8) -> String {
    match reminders {
        0 => String::new(),
        1 => "; its approvers were reminded once".to_owned(),
        count => format!("; its approvers were reminded {count} times"),
    }
}

/// Who stands in for somebody, and when.
pub fn stands_in(person: &str, from: &str, until: &str) -> String {
    format!("{person}, from {from} until {until}")
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

/// What a person holds, as a title.
pub fn access_of(person: &str) -> String {
    format!("What {person} holds")
}

/// Some time after the beginning.
pub fn after(span: &str) -> String {
    format!("after {span}")
}

/// What allowed something, by the sort of its id.
pub fn allowed_by(id: &str) -> String {
    match id.split_once('_').map(|(prefix, _)| prefix) {
        Some("req") => "a request".to_owned(),
        Some("exc") => "an exception".to_owned(),
        _ => id.to_owned(),
    }
}

/// The chains of an identity, as a title.
pub fn chains_of(identity: &str) -> String {
    format!("Tasks and chains of {identity}")
}

/// A credential, as a title.
pub fn credential_of(links: &str) -> String {
    format!("Credential of {links}")
}

/// What a picture of chains shows, in words.
pub fn pictured_chains(count: usize) -> String {
    if count == 1 { "1 chain.".to_owned() } else { format!("{count} chains.") }
}

/// What is well of the clock, and what isn't.
pub const CLOCK_SAYS: [&str; 2] = ["relied on", "it stepped: nothing is issued until it is relied on again"];
/// What is well of the disk, and what isn't.
pub const DISK_SAYS: [&str; 2] = ["there is room", "full: only what takes authority away is written"];
/// What is well of the places that keep checkpoints, and what isn't.
pub const CHECKPOINTS_SAY: [&str; 2] =
    ["every place that is configured keeps them", "a place doesn’t: a rollback would not be noticed there"];
/// What is well of what is kept outside, and what isn't.
pub const OUTSIDE_SAYS: [&str; 2] =
    ["nothing contradicts the log", "a checkpoint contradicts the log: nothing is issued until a new epoch begins"];
/// What is well of the state, and what isn't.
pub const STATE_SAYS: [&str; 2] = ["its rows are what the log says", "rows aren’t what the log says: see the findings"];
/// What is well of sealing, and what isn't.
pub const SEAL_SAYS: [&str; 2] = ["follows the log", "many entries wait for a signed checkpoint"];
/// What is well of the index, and what isn't.
pub const INDEX_SAYS: [&str; 2] = ["follows the log", "it is being made: timelines wait for it"];

/// How much somebody may do in a minute.
pub fn a_minute_each(count: u32) -> String {
    format!("{count} a minute")
}

/// How many decisions of lately would be others, and how many of them stand below.
pub fn otherwise(count: usize, shown: usize) -> String {
    if count > shown { format!("{count} decided otherwise, the first {shown}") } else { "Decided otherwise".to_owned() }
}

/// How many decisions were asked again.
pub fn asked_again(asked: usize, otherwise: usize) -> String {
    match otherwise {
        0 => format!("Of {asked} questions none is decided otherwise."),
        count => format!("Of {asked} questions {count} are decided otherwise."),
    }
}

/// How a set does in the cases of the built-in one.
pub fn cases(passed: usize, all: usize) -> String {
    match passed == all {
        true => format!("All {all} cases of the built-in set come out as they do there."),
        false => format!("{passed} of {all} cases of the built-in set come out as they do there; these don’t:"),
    }
}

/// How many identities somebody would leave behind.
pub fn left_behind(count: usize, more: bool) -> String {
    match (count, more) {
        (0, _) => "none".to_owned(),
        (count, true) => format!("{count} at once, and more in batches"),
        (count, false) => count.to_string(),
    }
}

/// How many grants end.
pub fn grants_end(count: usize) -> String {
    format!("{count} of theirs end{}", if count == 1 { "s" } else { "" })
}

/// An invitation, as a title.
pub fn invitation_of(person: &str) -> String {
    format!("Invitation of {person}")
}

/// A filter's name.
pub fn filter(name: &str) -> String {
    sentence(&plain(name))
}

/// What is held, by the sort of its scope.
pub fn held(kind: &str) -> String {
    match kind {
        "identity" => "On hold".to_owned(),
        kind => format!("Its {} is on hold", plain(kind)),
    }
}

/// How much a charter allows, and how much of it is granted now.
pub fn scoped(entitlements: usize, live: usize) -> String {
    let s = |count: usize| if count == 1 { "" } else { "s" };
    format!("{entitlements} entitlement{} in its charter, {live} grant{} live.", s(entitlements), s(live))
}

/// How many rules were looked at, and how many are broken.
pub fn monitored(rules: usize, broken: usize) -> String {
    match broken {
        _ if rules == 0 => "No rule was looked at.".to_owned(),
        0 => format!("{rules} rules looked at, none broken."),
        broken => format!("{rules} rules looked at, {broken} broken."),
    }
}

/// Why a review was opened, as a sentence.
pub fn review_because(trigger: &str) -> String {
    let because = match trigger {
        "rotation" => "long-lived key material is due for replacement",
        "offboarding" => "its owner leaves",
        "early" => "an early look was agreed",
        "cadence" => "its cadence has come round",
        "dormancy" => "it has not been used",
        "release" => "a suspension was released",
        other => other,
    };
    format!("Is it still needed? Asked because {because}.")
}

/// How many identities there are to a person.
pub fn ratio(identities: u64, people: u64) -> String {
    let tenths = identities.saturating_mul(10) / people.max(1);
    format!("{}.{} active identities to each active person ({people}).", tenths / 10, tenths % 10)
}

/// What a receipt is about, in its title.
pub const fn receipt_of(what: ReceiptOf) -> &'static str {
    match what {
        ReceiptOf::Revocation => "Stopped",
        ReceiptOf::Suspension => "Suspended",
        ReceiptOf::Narrowing => "Narrowed",
    }
}

/// Where a receipt stands.
pub const fn receipt(state: ReceiptState) -> &'static str {
    match state {
        ReceiptState::Requested => "being proven",
        ReceiptState::NothingToRefuse => "nothing to refuse",
        ReceiptState::RefusedVerified => "refused, verified",
        ReceiptState::Refused => "refused",
        ReceiptState::CannotRevoke => "accepted until it ends",
        ReceiptState::EndedReadBack => "ended, as its catalogue says",
        ReceiptState::NarrowedReadBack => "narrowed, as its catalogue says",
        ReceiptState::AttestedGone => "not proven: two people say a target is gone",
        ReceiptState::Lifted => "taken back before it was proven",
        ReceiptState::Unreachable => "a target can't be asked",
        ReceiptState::Unproven => "unproven",
    }
}

/// What stopping something does.
pub fn stop_lead(kind: &str) -> String {
    match kind {
        "identity" => "Everything that was issued to it until now is refused for good, here and everywhere that asks. The proof follows.".to_owned(),
        kind => format!(
            "Everything that was issued to the identities of this {} until now is refused for good, here and everywhere that asks. The proof follows.",
            plain(kind)
        ),
    }
}

/// How many identities something takes with it.
pub fn active_identities(count: u64, more: bool) -> String {
    match count {
        0 => "No active identity that you may see.".to_owned(),
        1 => "1 active identity.".to_owned(),
        count => format!("{count} active identities{}.", if more { ", of which the first stand below" } else { "" }),
    }
}

/// That no more than these were looked at.
pub fn the_first(count: u16) -> String {
    format!("The first {count} of them: what follows is of these.")
}

/// How many of what is named can prove themselves and get new credentials; of the first so many, if these aren't all.
pub fn returning(count: usize, is_identity: bool, of_the_first: Option<u16>) -> String {
    let of = of_the_first.map_or_else(|| "of them".to_owned(), |first| format!("of the first {first}"));
    match (count, is_identity) {
        (0, _) => "None of what is named here has a way to prove itself.".to_owned(),
        (_, true) => "It can prove itself, and would get new credentials at once unless it is kept from it.".to_owned(),
        (1, false) => {
            format!("1 {of} can prove itself, and would get new credentials at once unless it is kept from it.")
        }
        (count, false) => format!(
            "{count} {of} can prove themselves, and would get new credentials at once unless they are kept from it."
        ),
    }
}

/// How many identities a record has, of which how many are shown.
pub fn its_identities(count: u64, shown: usize) -> String {
    match count {
        0 => String::new(),
        1 => "1 identity".to_owned(),
        count if count > shown as u64 => format!("{count} identities, the first {shown}"),
        count => format!("{count} identities"),
    }
}

/// How long an answer takes.
pub fn median(span: &str, answers: usize) -> String {
    format!("half of {answers} took {span} or less")
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

/// What a picture shows, in words.
pub fn pictured(owners: usize, identities: usize, resources: usize) -> String {
    let s = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    format!(
        "{} of {}, touching {}.",
        s(identities, "identity", "identities"),
        s(owners, "owner", "owners"),
        s(resources, "resource", "resources"),
    )
}

/// A lineage, in words.
pub fn lineage(name: &str, before: usize, after: usize) -> String {
    format!("What {name} comes from ({before}), and what comes from it or brings it back ({after}).")
}

/// What is too much to be told one by one.
pub fn others(count: usize) -> String {
    format!("{count} others")
}

/// Grants that are live.
pub fn live_grants(count: usize) -> String {
    if count == 1 { "1 live grant".to_owned() } else { format!("{count} live grants") }
}

/// Credentials that are live, of those that were counted.
pub fn live_credentials(count: usize, more: bool) -> String {
    match (count, more) {
        (count, true) => format!("{count} live credentials, or more"),
        (1, false) => "1 live credential".to_owned(),
        (count, false) => format!("{count} live credentials"),
    }
}

/// By what an identity gets new credentials.
pub fn proves_itself(workload: &str) -> String {
    format!("a proof of {workload}")
}

/// That an identity's end moves by itself.
pub fn renews_itself(by: &str) -> String {
    format!("renewal by {by}, while used")
}

/// Identities of a kind, folded into one node.
pub fn folded(count: usize, kind: &str) -> String {
    format!("{} × {count}", plain(kind))
}

/// What can get new credentials after a revocation.
pub fn comes_back(count: u32) -> String {
    match count {
        1 => "1 can prove itself and get new credentials, since it is neither suspended nor held:".to_owned(),
        count => {
            format!("{count} can prove themselves and get new credentials, since they are neither suspended nor held:")
        }
    }
}

/// A bucket of times with a bound.
pub fn up_to(length: &str) -> String {
    format!("up to {length}")
}

/// The bucket of times that have none.
pub fn longer_than(length: &str) -> String {
    format!("longer than {length}")
}

/// What a distribution of the times of revocations is about.
pub fn times_said(receipts: u32, has_more: bool) -> String {
    match has_more {
        true => {
            format!("The last {receipts} revocations, from the call until the last point refused or accepts no longer")
        }
        false => format!(
            "All {receipts} revocations of the last 30 days, from the call until the last point refused or accepts no longer"
        ),
    }
}

/// What of them stands in no bucket.
pub fn times_besides(nothing_to_refuse: u32, open: u32) -> String {
    let mut besides = String::new();
    if nothing_to_refuse > 0 {
        besides.push_str(&format!("; {nothing_to_refuse} had nothing live to refuse"));
    }
    if open > 0 {
        besides.push_str(&format!("; {open} not proven yet"));
    }
    besides + "."
}

/// Identities that nobody owns.
pub fn unowned(count: u64) -> String {
    format!("{count} without an owner")
}

/// The title of a page that does the same to several identities.
pub fn several_title(deed: &str, count: usize) -> String {
    match count {
        1 => format!("{} one identity", sentence(deed)),
        _ => format!("{} {count} identities", sentence(deed)),
    }
}

/// How many were chosen, before anything was looked at.
pub fn several_chosen(count: usize) -> String {
    format!("{count} chosen. Nothing is done before you have seen what would happen to each.")
}

/// What would become of several, by what was looked at just now.
pub fn several_would(good: usize, refused: usize, all: usize) -> String {
    format!(
        "Of {all} it would be done to {good}, {refused} would be refused, {} stand so already. Nothing is done yet; each is decided anew when it is.",
        all.saturating_sub(good + refused)
    )
}

/// What became of several.
pub fn several_done(good: usize, refused: usize, all: usize) -> String {
    format!(
        "Of {all} it was done to {good}, {refused} were refused, {} stood so already. Sent again, it does nothing twice.",
        all.saturating_sub(good + refused)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_reads_as_words() {
        assert_eq!(field("charter.retirement[0].after"), "Retirement 1: after");
        assert_eq!(field("charter.owner"), "Accountable owner");
        assert_eq!(field("rotation_cadence"), "Rotation cadence");
    }
}
