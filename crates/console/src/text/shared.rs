//! Words that several rooms say.

use tenure_api::pages::is_id;
use tenure_api::views::CertificateState;

words! {
    IDENTITIES = "Identities";
    SELECT = "Select";
    STOP = "Stop";
    ON_HOLD = "on hold";
    YES = "yes";
    NO = "no";
    NEVER = "not yet";
    STOP_IT = "Stop it";
    SUSPEND = "Suspend";
    RESUME = "Release";
    RENEW = "Renew";
    OWNER = "Accountable owner";
    BACKUP = "Backup owner";
    REMOVAL_GROUP = "Answers for its removal";
    APPLICATION = "Application";
    WORKLOAD = "Workload";
    DATA = "Data domains";
    ENDS_AT = "Ends at the latest";
    CERTIFICATE_ENDS = "Its certificate ends";
    APPROVED_BY = "Approved by";
    APPROVED_IN = "Approved in";
    THE_REQUEST = "the request";
    RUN_BY = "Run by";
    SERVES = "Serves";
    REVIEWS = "Reviews";
    TRANSFERS = "Transfers";
    A_GRANT = "a grant of a person";
    A_CREDENTIAL = "a credential";
    ASKED = "asked";
    NOT_ANSWERED = "It has not answered yet.";
    REFUSED = "refused";
    UNPROVEN = "unproven";
    WATCHED = "Watched";
    ORGANISATION = "Organisation";
    FINDINGS = "Findings";
    RULES = "Rules";
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
    NONE = "none";
    IN_FORCE = "in force";
    ELSEWHERE = "Elsewhere";
    TARGETS = "Targets";
    ACCOUNTS = "Accounts";
    STARTS = "Starts";
    MADE = "Made";
    TYPE = "Type";
    ENVIRONMENT = "Environment";
    ACTIONS = "Actions";
    ABOUT = "About";
    LAST_SEEN = "Last seen";
    TENURE = "Tenure";
    PROPOSED_BY = "Proposed by";
    IDENTITY = "Identity";
    CONFIRMED_BY = "Confirmed by";
    RECORD = "Record";
    LOG = "Log";
    POLICY = "Policy";
    RESOURCE = "Resource";
    RESOURCE_HINT = "its URI or id";
    ACTIONS_HINT = "with commas between them";
    REGISTER = "Register an identity";
    NAME = "Name";
    STATE = "State";
    UNTIL = "Until";
    TO_WHOM = "To whom";
    TO_WHOM_HINT = "e-mail address, name or id";
    SUSPENDED_BECAUSE = "Suspended because";
    RECEIPTS = "Receipts";
    HITS = "Whom it hits";
    HOW = "How";
    SIGNALS = "Signals";
    CONFIRM = "Confirm";
    PERSON_GRANTS = "Temporary access";
    TAKE_BACK = "Take it back";
    ACTS_FOR = "Acts for";
    MORE = "More";
    SYSTEM = "System";
    HOLDS_IN_FORCE = "Holds in force";
    AWAY = "Out of office";
    STAND_IN = "Stands in";
    BACK_AGAIN = "I am back";
    REASON = "Reason";
    REASON_HINT = "it goes into the record";
}

/// The home page.
pub const HOME: &str = "Home";

/// A name that was erased.
pub const ERASED: &str = "somebody whose name was erased";

/// Leads to the sign-in page.
pub const TO_SIGN_IN: &str = "Back to the sign-in page";

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

/// Some time after the beginning.
pub fn after(span: &str) -> String {
    format!("after {span}")
}

/// A filter's name.
pub fn filter(name: &str) -> String {
    sentence(&plain(name))
}

/// Why a review was opened, as a sentence.
pub fn review_because(trigger: &str) -> String {
    let because = match trigger {
        "rotation" => "long-lived key material is due for replacement",
        "offboarding" => "its owner leaves",
        "early" => "an early look was agreed",
        "cadence" => "its cadence has come round",
        "dormancy" => "it has not been used",
        "release" => "it was released anew, or its integration has changed",
        "new_context" => "it was used in a context that it isn't known in, and was approved for how it behaves",
        other => other,
    };
    format!("Is it still needed? Asked because {because}.")
}

/// Whether a certificate proves anything, and which it is.
pub fn certificate(state: CertificateState, serial: &str) -> String {
    let state = match state {
        CertificateState::Good => "good",
        CertificateState::NotYet => "not good yet",
        CertificateState::Ended => "over: it is refused",
        CertificateState::Revoked => "revoked with its identity: it is refused",
    };
    format!("serial {serial}, {state}")
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
