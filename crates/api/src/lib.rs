//! What goes over the wire: requests, replies and problems. No web framework, no decisions.
//!
//! Records of the domain (identities, receipts, …) are their own wire form; here is what only the API has.

pub mod api_keys;
pub mod break_glass;
pub mod bulk;
pub mod deprecations;
pub mod drift;
pub mod drills;
pub mod exceptions;
pub mod findings;
pub mod intake;
pub mod issuers;
pub mod log;
pub mod logins;
pub mod notices;
pub mod overview;
pub mod ownership;
pub mod pages;
pub mod passkeys;
pub mod people;
pub mod person_access;
pub mod policies;
pub mod problem;
pub mod removals;
pub mod request;
pub mod requests;
pub mod reviews;
pub mod revised;
pub mod saved_views;
pub mod sign_in;
pub mod signals;
pub mod targets;
pub mod templates;
pub mod third_party;
pub mod usage;
pub mod views;
pub mod why;

/// A value that was given, be it that there is none: a field that may be left out, and may be taken away by `null`.
fn given<'de, T: serde::Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    <Option<T> as serde::Deserialize>::deserialize(deserializer).map(Some)
}
