//! What acts in an organisation at GitHub: installations of apps, fine-grained personal access tokens, deploy keys.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenure_core::base::time::Timestamp;
use tenure_core::target::connector::{AccountSort, ConnectorError, MAX_TARGET_GRANTS, SeenAccount, words};

/// What lets whoever has it give itself the rest.
const TO_EVERYTHING: [(&str, &str); 2] = [("organization_administration", "write"), ("members", "write")];

/// What names an account for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// An installation of an app.
    Installation(u64),
    /// A personal access token, by its access to the organisation.
    Pat(u64),
    /// A deploy key of a repository, by the repository's number: its name may be another one's tomorrow.
    DeployKey(u64, u64),
}

impl Named {
    /// Reads it strictly.
    pub fn of(key: &str) -> Result<Self, ConnectorError> {
        let parts: Vec<&str> = key.split(':').collect();
        let id = |text: &str| text.parse::<u64>().ok().filter(|id| id.to_string() == text);
        let named = match parts.as_slice() {
            ["installation", number] => id(number).map(Self::Installation),
            ["pat", number] => id(number).map(Self::Pat),
            ["deploy_key", repository, number] => {
                id(repository).zip(id(number)).map(|(repository, number)| Self::DeployKey(repository, number))
            }
            _ => None,
        };
        named.ok_or_else(|| {
            let known = "installation:ID, pat:ID or deploy_key:ID:ID";
            ConnectorError::Misconfigured(format!("the key is none: {known}"))
        })
    }
}

fn text<'a>(of: &'a Value, pointer: &str) -> &'a str {
    of.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn time(of: &Value, pointer: &str) -> Option<Timestamp> {
    text(of, pointer).parse().ok()
}

/// The number by which GitHub knows something.
pub(super) fn id(of: &Value) -> Option<u64> {
    of.get("id").and_then(Value::as_u64)
}

/// Permissions as grants, `PERMISSION contents write`, and whether they lead to all others.
fn permissions(of: &Value, prefix: &str) -> (BTreeSet<String>, bool) {
    let levels = of.as_object().into_iter().flatten();
    let levels = levels.filter_map(|(name, level)| Some((name.as_str(), level.as_str()?)));
    let (mut grants, mut privileged) = (BTreeSet::new(), false);
    for (name, level) in levels {
        privileged |= TO_EVERYTHING.contains(&(name, level)) || level == "admin";
        grants.insert(words(&format!("PERMISSION {prefix}{name} {level}")));
    }
    (grants, privileged)
}

fn account(key: String, name: &str, sort: AccountSort, grants: BTreeSet<String>) -> SeenAccount {
    SeenAccount {
        key,
        name: words(name),
        sort,
        enabled: true,
        ends_at: None,
        made_at: None,
        last_used_at: None,
        sessions: None,
        built_in: false,
        privileged: false,
        more_grants: u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX),
        grants: grants.into_iter().take(MAX_TARGET_GRANTS).collect(),
        marks: BTreeMap::new(),
    }
}

fn marks(of: &Value, named: &[(&str, &str)]) -> BTreeMap<String, String> {
    let said = named.iter().map(|(name, pointer)| ((*name).to_owned(), words(text(of, pointer))));
    said.filter(|(_, value)| !value.is_empty()).collect()
}

/// An installation as the port has it.
pub(super) fn installation(told: &Value) -> Option<SeenAccount> {
    let (mut grants, privileged) = permissions(told.get("permissions")?, "");
    grants.insert(words(&format!("REPOSITORIES {}", text(told, "/repository_selection"))));
    let seen = account(format!("installation:{}", id(told)?), text(told, "/app_slug"), AccountSort::Role, grants);
    Some(SeenAccount {
        enabled: told.get("suspended_at").is_none_or(Value::is_null),
        privileged,
        made_at: time(told, "/created_at"),
        marks: marks(told, &[("suspended_by", "/suspended_by/login"), ("page", "/html_url")]),
        ..seen
    })
}

/// A personal access token as the port has it.
pub(super) fn pat(told: &Value) -> Option<SeenAccount> {
    let (mut grants, mut privileged) = (BTreeSet::new(), false);
    for (of, prefix) in [("organization", "organization "), ("repository", ""), ("other", "other ")] {
        let (more, everything) = permissions(told.get("permissions")?.get(of).unwrap_or(&Value::Null), prefix);
        grants.extend(more);
        privileged |= everything;
    }
    grants.insert(words(&format!("REPOSITORIES {}", text(told, "/repository_selection"))));
    let name = format!("{}/{}", text(told, "/owner/login"), text(told, "/token_name"));
    Some(SeenAccount {
        enabled: told.get("token_expired") != Some(&Value::Bool(true)),
        privileged,
        ends_at: time(told, "/token_expires_at"),
        made_at: time(told, "/access_granted_at"),
        last_used_at: time(told, "/token_last_used_at"),
        marks: marks(told, &[("owner", "/owner/login")]),
        ..account(format!("pat:{}", id(told)?), &name, AccountSort::Token, grants)
    })
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// Its number, which stays.
    pub id: u64,
    /// What it is called now.
    pub name: String,
}

impl Repository {
    pub fn of(told: &Value) -> Option<Self> {
        let name = text(told, "/name");
        Some(Self { id: id(told)?, name: words(name) }).filter(|_| !name.is_empty())
    }
}

/// A deploy key as the port has it.
pub(super) fn deploy_key(of: &Repository, told: &Value) -> Option<SeenAccount> {
    let repository = &of.name;
    let level = if told.get("read_only") == Some(&Value::Bool(true)) { "read" } else { "write" };
    let grants = BTreeSet::from([format!("REPOSITORY {repository} {level}")]);
    let name = format!("{repository}/{}", text(told, "/title"));
    Some(SeenAccount {
        enabled: told.get("enabled") != Some(&Value::Bool(false)),
        made_at: time(told, "/created_at"),
        last_used_at: time(told, "/last_used"),
        marks: marks(told, &[("added_by", "/added_by")]),
        ..account(format!("deploy_key:{}:{}", of.id, id(told)?), &name, AccountSort::Token, grants)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_strictly() {
        assert_eq!(Named::of("installation:17").unwrap(), Named::Installation(17));
        assert_eq!(Named::of("pat:1").unwrap(), Named::Pat(1));
        assert_eq!(Named::of("deploy_key:7:5").unwrap(), Named::DeployKey(7, 5));
        for bad in [
            "",
            "pat",
            "pat:",
            "pat:x",
            "pat:-1",
            "pat:+1",
            "pat:01",
            "deploy_key:5",
            "deploy_key:web:5",
            "deploy_key:..:5",
            "deploy_key:07:5",
            "deploy_key:7:b:5",
            "installation:1:2",
            "installation:1?x",
            "user:1",
        ] {
            assert!(Named::of(bad).is_err(), "{bad}");
        }
    }
}
