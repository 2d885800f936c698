//! Access keys of users, and what their users may do, in one normal form: `POLICY arn:…`, `INLINE name`, `GROUP name`.
//!
//! A key is named by its id and its user's, which never change: users are renamed. Keys have no tags; that it was us who
//! stopped one stands in a tag of its user's, which the user can't take away unless it may change users.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::Node;
use tenure_core::base::time::Timestamp;
use tenure_core::target::connector::{AccountSort, ConnectorError, MAX_TARGET_GRANTS, SeenAccount, words};

use super::api::text;

const HELD: &str = "tenure:held:";
/// What lets a user give itself the rest.
const TO_EVERYTHING: [&str; 2] = [":policy/AdministratorAccess", ":policy/IAMFullAccess"];

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub id: String,
    pub name: String,
}

impl User {
    pub fn of(told: Node<'_, '_>) -> Self {
        Self { id: text(told, "UserId"), name: text(told, "UserName") }
    }
}

/// What stands beside a user's keys.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub tags: BTreeMap<String, String>,
    pub grants: BTreeSet<String>,
    /// Managed policies, its groups' among them.
    pub policies: BTreeSet<String>,
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub id: String,
    pub active: bool,
    pub made_at: Option<Timestamp>,
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

impl Key {
    pub fn of(told: Node<'_, '_>) -> Self {
        Self {
            id: text(told, "AccessKeyId"),
            active: text(told, "Status") == "Active",
            made_at: time(&text(told, "CreateDate")),
        }
    }

    pub fn seen(&self, user: &User, last_used: &str, around: &Surroundings) -> SeenAccount {
        let marks = around.tags.iter().filter(|(name, _)| !name.starts_with(HELD));
        let everything = |policy: &String| TO_EVERYTHING.iter().any(|end| policy.ends_with(end));
        SeenAccount {
            key: place(&self.id, &user.id),
            name: format!("{}/{}", user.name, self.id),
            sort: AccountSort::Token,
            enabled: self.active,
            ends_at: None,
            made_at: self.made_at,
            last_used_at: time(last_used),
            sessions: None,
            built_in: false,
            privileged: around.policies.iter().any(everything),
            more_grants: u32::try_from(around.grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX),
            grants: around.grants.iter().take(MAX_TARGET_GRANTS).cloned().collect(),
            marks: marks.map(|(name, value)| (words(name), words(value))).collect(),
        }
    }
}

/// The tag by which it is known that we stopped a key.
pub(super) fn held(key: &str) -> String {
    format!("{HELD}{key}")
}

fn place(key: &str, user: &str) -> String {
    format!("{key}:{user}")
}

/// The ids of an access key and of its user.
pub(super) fn ids(key: &str) -> Result<(&str, &str), ConnectorError> {
    let plain = |id: &str| !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    key.split_once(':').filter(|(key, user)| plain(key) && plain(user)).ok_or_else(|| {
        ConnectorError::Misconfigured(
            "the key is none: the id of an access key and of its user, with a colon".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_two_ids_and_nothing_else() {
        assert_eq!(ids("AKIA1:AIDA1").unwrap(), ("AKIA1", "AIDA1"));
        for bad in ["", "AKIA1", ":", "AKIA1:", ":AIDA1", "AKIA1:AIDA1:x", "AKIA1:a b", "AKIA1:&Action=DeleteUser"] {
            assert!(ids(bad).is_err(), "{bad}");
        }
    }
}
