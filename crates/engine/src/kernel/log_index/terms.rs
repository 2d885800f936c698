//! What an entry is found by. The same function decides what is indexed and whether an entry that was found is meant, so
//! that a number that two terms share misleads nobody.

use serde_json::Value;
use tenure_core::base::text::check_line;
use tenure_core::store::event_kind::EventKind;
use tenure_credentials::index_keys::IndexKeys;
use tenure_log::Leaf;

use crate::kernel::error::OpError;

/// The version of [`terms_of`]: segments of another one are made again. It rises whenever an entry gets another term.
pub(crate) const TERMS: u8 = 1;

/// What is asked about a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Class {
    /// Grants that were opened on a resource, or on all of them.
    Opened = 1,
    /// What changed a grant, or what an identity or a person may.
    Authority = 2,
    /// Holds on a scope, by what its id is.
    Held = 3,
    /// What was refused to somebody, or about something.
    Refused = 4,
    /// Whatever happened to somebody or something, or was done by them.
    All = 5,
}

/// Ids that name one thing that is used once: nobody asks for its history, and there is one for almost each entry.
const ONE_OFF: [&str; 1] = ["crd_"];

/// What a question about a subject is recorded under: nothing, where it is no text that a subject could be.
pub(crate) fn named(subject: &str) -> &str {
    if check_line(subject).is_ok() { subject } else { "" }
}

/// That a text could be a subject's.
pub(crate) fn check_subject(subject: &str) -> Result<(), OpError> {
    check_line(subject).map_err(|bad| OpError::field("subject", bad.code(), &bad.to_string()))
}

/// Whether a subject has a timeline.
pub(crate) fn has_timeline(subject: &str) -> bool {
    !subject.is_empty() && !ONE_OFF.iter().any(|prefix| subject.starts_with(prefix))
}

/// The terms of an entry, each once.
pub(crate) fn terms_of(leaf: &Leaf) -> Vec<(Class, &str)> {
    let mut terms = Vec::with_capacity(8);
    let acts = !matches!(leaf.actor.kind.as_str(), "system" | "stranger");
    let actor = acts.then_some(leaf.actor.id.as_str());
    let subjects = leaf.subjects.iter().map(String::as_str);
    terms.extend(subjects.clone().chain(actor).filter(|id| has_timeline(id)).map(|id| (Class::All, id)));
    let first = leaf.subjects.first().map(String::as_str);
    match EventKind::named(&leaf.kind) {
        Some(EventKind::GrantOpened | EventKind::PersonGrantOpened) => {
            let resource = text(leaf.data.get("entitlement"), "resource");
            terms.extend(resource.map(|id| (Class::Opened, id)));
            terms.extend(resource.map(|id| (Class::All, id)));
            terms.extend(first.map(|id| (Class::Authority, id)));
        }
        Some(
            EventKind::GrantRevoked
            | EventKind::GrantExpired
            | EventKind::PersonGrantRevoked
            | EventKind::PersonGrantExpired
            | EventKind::IdentityActivated
            | EventKind::IdentitySuspended
            | EventKind::IdentityResumed
            | EventKind::IdentityRetiring
            | EventKind::IdentityRetired
            | EventKind::PersonSuspended
            | EventKind::PersonResumed
            | EventKind::PersonDeparted,
        ) => terms.extend(first.map(|id| (Class::Authority, id))),
        Some(EventKind::IdentityRegistered | EventKind::IdentityCharterWritten | EventKind::IdentityCharterChanged) => {
            terms.extend(first.map(|id| (Class::Authority, id)));
            let named = ["owner", "application", "environment", "vendor", "cloud_account"];
            let named = named.iter().filter_map(|name| text(leaf.data.get("charter"), name));
            terms.extend(named.filter(|id| !id.is_empty()).map(|id| (Class::All, id)));
        }
        Some(EventKind::IdentityTransferred) => {
            terms.extend(first.map(|id| (Class::Authority, id)));
            let to = leaf.data.get("to").and_then(Value::as_str);
            terms.extend(to.map(|id| (Class::All, id)));
        }
        Some(EventKind::ScopeHeld | EventKind::ScopeReleased) => terms.extend(first.map(|id| (Class::Held, id))),
        Some(EventKind::AccessRefused) => {
            terms.extend(subjects.chain([leaf.actor.id.as_str()]).map(|id| (Class::Refused, id)));
        }
        _ => {}
    }
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// Whether an entry bears a term.
pub(crate) fn bears(leaf: &Leaf, class: Class, subject: &str) -> bool {
    terms_of(leaf).contains(&(class, subject))
}

/// The number of a term.
pub(crate) fn number(keys: &IndexKeys, class: Class, subject: &str) -> u64 {
    keys.term(class as u8, subject)
}

fn text<'a>(object: Option<&'a Value>, name: &str) -> Option<&'a str> {
    object.and_then(|object| object.get(name)).and_then(Value::as_str)
}
