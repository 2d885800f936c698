//! A user of a RabbitMQ, and what it may do in one normal form: `READ ^orders ON VHOST /`, `TAG monitoring`.
//!
//! Tags are free words: by two of them it is known what we made, and what we stopped.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenure_core::target::connector::{AccountSort, ConnectorError, MAX_TARGET_GRANTS, SeenAccount, words};

const HELD: &str = "tenure.held.";
const MADE_FOR: &str = "tenure.made_for.";
const MAX_NAME: usize = 200;
/// The three permissions of a virtual host.
pub(super) const PERMISSIONS: [&str; 3] = ["configure", "write", "read"];
const ON: &str = " ON VHOST ";

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct User {
    pub hash: String,
    pub algorithm: String,
    /// What people gave it.
    pub tags: BTreeSet<String>,
    /// How its password was hashed before we stopped it.
    pub held: Option<String>,
    pub made_for: Option<String>,
}

impl User {
    pub fn of(told: &Value) -> Self {
        let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut user = Self { hash: text("password_hash"), algorithm: text("hashing_algorithm"), ..Self::default() };
        let listed = told.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let joined = told.get("tags").and_then(Value::as_str).into_iter().flat_map(|tags| tags.split(','));
        for tag in listed.chain(joined).filter(|tag| !tag.is_empty()) {
            if let Some(algorithm) = tag.strip_prefix(HELD) {
                user.held = Some(algorithm.to_owned());
            } else if let Some(mark) = tag.strip_prefix(MADE_FOR) {
                user.made_for = Some(mark.to_owned());
            } else {
                user.tags.insert(tag.to_owned());
            }
        }
        user
    }

    /// As the API takes it.
    pub fn body(&self) -> Result<Value, ConnectorError> {
        let held = self.held.as_ref().map(|algorithm| format!("{HELD}{algorithm}"));
        let made_for = self.made_for.as_ref().map(|mark| format!("{MADE_FOR}{mark}"));
        let tags: Vec<String> = self.tags.iter().cloned().chain(held).chain(made_for).collect();
        if tags.iter().any(|tag| tag.contains(',')) {
            return Err(ConnectorError::Rejected("a tag of the user has a comma in it".to_owned()));
        }
        Ok(serde_json::json!({
            "password_hash": self.hash,
            "hashing_algorithm": self.algorithm,
            "tags": tags.join(","),
        }))
    }

    /// What it may do, with its permissions by virtual host.
    pub fn grants(&self, permissions: &Permissions) -> BTreeSet<String> {
        let tags = self.tags.iter().map(|tag| format!("TAG {tag}"));
        let permissions = permissions.iter().flat_map(|(host, patterns)| {
            PERMISSIONS
                .iter()
                .zip(patterns)
                .filter(|(_, pattern)| !pattern.is_empty())
                .map(move |(what, pattern)| format!("{} {pattern}{ON}{host}", what.to_uppercase()))
        });
        tags.chain(permissions).collect()
    }

    pub fn seen(&self, name: &str, permissions: &Permissions, sessions: u32) -> SeenAccount {
        let grants = self.grants(permissions);
        let more_grants = u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX);
        let marks = self.made_for.as_ref().map(|mark| ("tenure".to_owned(), words(mark))).into_iter().collect();
        SeenAccount {
            key: name.to_owned(),
            name: name.to_owned(),
            sort: AccountSort::Login,
            enabled: self.held.is_none() && !self.hash.is_empty(),
            ends_at: None,
            made_at: None,
            last_used_at: None,
            sessions: Some(sessions),
            built_in: name == "guest",
            privileged: self.tags.contains("administrator"),
            grants: grants.into_iter().take(MAX_TARGET_GRANTS).collect(),
            more_grants,
            marks,
        }
    }
}

/// Patterns in the order of [`PERMISSIONS`], by virtual host.
pub(super) type Permissions = BTreeMap<String, [String; 3]>;

/// The permissions of an answer, by user.
pub(super) fn permissions(told: &Value) -> BTreeMap<String, Permissions> {
    let mut all: BTreeMap<String, Permissions> = BTreeMap::new();
    for permission in told.as_array().into_iter().flatten() {
        let text = |name: &str| permission.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        all.entry(text("user")).or_default().insert(text("vhost"), PERMISSIONS.map(text));
    }
    all
}

/// Grants, as the API takes them.
pub(super) fn wanted(grants: &[String]) -> Result<(BTreeSet<String>, Permissions), ConnectorError> {
    let (mut tags, mut permissions) = (BTreeSet::new(), Permissions::new());
    for grant in grants {
        let bad = || {
            ConnectorError::Rejected(format!(
                "expected a grant such as READ ^orders ON VHOST / or TAG monitoring: {}",
                words(grant)
            ))
        };
        if grant.len() > 1024 || grant.chars().any(char::is_control) {
            return Err(bad());
        }
        if let Some(tag) = grant.strip_prefix("TAG ") {
            if tag.is_empty() || tag.contains(',') || tag.starts_with("tenure.") {
                return Err(bad());
            }
            tags.insert(tag.to_owned());
            continue;
        }
        let (rest, host) = grant.rsplit_once(ON).filter(|(_, host)| !host.is_empty()).ok_or_else(bad)?;
        let (what, pattern) = rest.split_once(' ').filter(|(_, pattern)| !pattern.is_empty()).ok_or_else(bad)?;
        let patterns = permissions.entry(host.to_owned()).or_default();
        let slot = PERMISSIONS.iter().zip(patterns.iter_mut()).find(|(name, _)| name.to_uppercase() == what);
        let (_, slot) = slot.ok_or_else(bad)?;
        if !slot.is_empty() && slot.as_str() != pattern {
            // One pattern is all that a virtual host keeps.
            return Err(bad());
        }
        pattern.clone_into(slot);
    }
    Ok((tags, permissions))
}

pub(super) fn check_name(name: &str) -> Result<(), ConnectorError> {
    // Basic authentication ends a name at its first colon.
    let good = !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.contains(':')
        && !name.chars().any(char::is_control)
        && name.trim() == name;
    if good {
        Ok(())
    } else {
        Err(ConnectorError::Misconfigured(format!(
            "a name has 1 to {MAX_NAME} bytes, no colon, and no blank at either end"
        )))
    }
}

pub(super) fn check_mark(mark: &str) -> Result<(), ConnectorError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if mark.is_empty() || mark.len() > MAX_NAME || !mark.chars().all(plain) {
        return Err(ConnectorError::Misconfigured("a mark has letters, digits, _, - and . alone".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_come_back_as_they_are_written() {
        let grants =
            ["CONFIGURE ^$ ON VHOST /", "READ ^a b ON VHOST x ON VHOST y", "TAG monitoring", "WRITE .* ON VHOST /"];
        let grants: BTreeSet<String> = grants.into_iter().map(str::to_owned).collect();
        let list: Vec<String> = grants.iter().cloned().collect();
        let (tags, permissions) = wanted(&list).unwrap();
        assert_eq!(User { tags, ..User::default() }.grants(&permissions), grants);
        for bad in [
            "",
            "TAG ",
            "TAG a,b",
            "TAG tenure.held.x",
            "READ",
            "READ x",
            "READ  ON VHOST /",
            "ALL .* ON VHOST /",
            "READ x ON VHOST ",
        ] {
            assert!(wanted(&[bad.to_owned()]).is_err(), "{bad}");
        }
        assert!(wanted(&["READ a ON VHOST /", "READ b ON VHOST /"].map(str::to_owned)).is_err());
    }

    #[test]
    fn our_tags_are_told_from_those_of_people() {
        let told = serde_json::json!({ "password_hash": "h", "hashing_algorithm": "a",
            "tags": ["management", "tenure.held.b", "tenure.made_for.idn_1"] });
        let user = User::of(&told);
        assert_eq!((user.held.as_deref(), user.made_for.as_deref(), user.tags.len()), (Some("b"), Some("idn_1"), 1));
        let joined =
            serde_json::json!({ "password_hash": "h", "hashing_algorithm": "a", "tags": user.body().unwrap()["tags"] });
        assert_eq!(User::of(&joined), user);
    }
}
