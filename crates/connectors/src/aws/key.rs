//! Access keys of users, and what their users may do, in one normal form: `POLICY arn:…`, `INLINE name`, `GROUP name`.
//!
//! A key is named by its id and its user's, which never change: users are renamed. Keys have no tags; that it was us who
//! stopped one stands in a tag of its user's, which the user can't take away unless it may change users.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

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

/// A time as AWS writes them.
pub(super) fn time(text: &str) -> Option<Timestamp> {
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
            privileged: around.policies.iter().any(|policy| is_everything(policy)),
            more_grants: u32::try_from(around.grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX),
            grants: around.grants.iter().take(MAX_TARGET_GRANTS).cloned().collect(),
            marks: marks.map(|(name, value)| (words(name), words(value))).collect(),
        }
    }
}

/// Whether a managed policy lets whoever has it give itself the rest.
pub(super) fn is_everything(policy: &str) -> bool {
    TO_EVERYTHING.iter().any(|end| policy.ends_with(end))
}

/// The tag by which it is known that we stopped a key.
pub(super) fn held(key: &str) -> String {
    format!("{HELD}{key}")
}

fn place(key: &str, user: &str) -> String {
    format!("{key}:{user}")
}

/// What a key of an account names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// An access key, by its id and its user's.
    Key(&'a str, &'a str),
    /// A role, by its id and its name.
    Role(&'a str, &'a str),
    /// A session that was begun here.
    Session(SessionKey<'a>),
}

/// What names a session: its role's name, its own, and its end in seconds; and once it was begun, the id of its role, as
/// another one may be made by the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionKey<'a> {
    pub role: &'a str,
    pub name: &'a str,
    pub ends_at: i64,
    pub role_id: Option<&'a str>,
}

impl SessionKey<'_> {
    /// Whether it is past its end.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.as_secs() >= self.ends_at
    }
}

impl fmt::Display for SessionKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session:{}:{}:{}", self.role, self.name, self.ends_at)?;
        self.role_id.map_or(Ok(()), |id| write!(f, ":{id}"))
    }
}

impl<'a> Named<'a> {
    /// Reads it strictly.
    pub fn of(key: &'a str) -> Result<Self, ConnectorError> {
        let id = |id: &str| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        let parts: Vec<&str> = key.split(':').collect();
        match parts.as_slice() {
            ["role" | "session", _] => Err(no_key()),
            ["role", role, name] if id(role) && is_name(name) => Ok(Self::Role(role, name)),
            [key, user] if id(key) && id(user) => Ok(Self::Key(key, user)),
            ["session", role, name, ends_at, of @ ..] if is_name(role) && is_name(name) => {
                let ends_at = ends_at.parse().map_err(|_| no_key())?;
                let role_id = match of {
                    [] => None,
                    [of] if id(of) => Some(*of),
                    _ => return Err(no_key()),
                };
                Ok(Self::Session(SessionKey { role, name, ends_at, role_id }))
            }
            _ => Err(no_key()),
        }
    }
}

fn no_key() -> ConnectorError {
    let known = "the id of an access key and of its user, with a colon, role:ID:NAME, or session:ROLE:NAME:END:ID";
    ConnectorError::Misconfigured(format!("the key is none: {known}"))
}

/// Whether a role or a session may be called so.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_two_ids_and_a_role_by_its_id_and_name() {
        assert_eq!(Named::of("AKIA1:AIDA1").unwrap(), Named::Key("AKIA1", "AIDA1"));
        assert_eq!(Named::of("role:AROA1:a+b@c").unwrap(), Named::Role("AROA1", "a+b@c"));
        let session = SessionKey { role: "exporter", name: "tnr_1", ends_at: 17, role_id: None };
        for session in [session, SessionKey { role_id: Some("AROA1"), ..session }] {
            assert_eq!(Named::of(&session.to_string()).unwrap(), Named::Session(session));
        }
        assert!(session.is_over(Timestamp::from_secs(17)) && !session.is_over(Timestamp::from_secs(16)));
        for bad in [
            "",
            "AKIA1",
            ":",
            "AKIA1:",
            ":AIDA1",
            "AKIA1:AIDA1:x",
            "role:AROA1",
            "role:AROA1:a b",
            "role:AROA1:a:b",
            "session:a:b",
            "session:a:b:c",
            "session:a b:c:1",
            "session:a:b:1:",
            "session:a:b:1:AROA1:x",
            "AKIA1:a b",
            "AKIA1:&Action=DeleteUser",
        ] {
            assert!(Named::of(bad).is_err(), "{bad}");
        }
    }
}
