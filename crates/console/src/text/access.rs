//! Words of what people hold for a while, and chains of agents.

words! {
    NO_PERSON_GRANTS = "Nobody holds anything for a while.";
    HELD_LEAD = "Everything that they hold or will hold here, with who approved it, for which need, and what ends it.";
    ACCESS = "Access";
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
    FOR_NOBODY = "nobody else now";
    FIRST_CREDENTIALS = "only its first credentials were looked at";
    TASKS = "Tasks that it declares";
    MAY_ACT_FOR_IT = "May act for it";
    WHO_ACTS = "Who acts for whom, in order";
    DERIVED_FROM = "Derived from";
    ISSUED = "Issued";
    REVOKED_AT = "Revoked";
    STOP_CHAIN = "Stop it, and all that derives from it";
}

/// What a person holds, as a title.
pub fn access_of(person: &str) -> String {
    format!("What {person} holds")
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
