//! What acts in a group at GitLab: tokens of groups, projects and service accounts, deploy tokens, deploy keys.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenure_core::base::time::Timestamp;
use tenure_core::target::connector::{AccountSort, ConnectorError, SeenAccount, words};

/// Scopes and the access level that let a token give itself the rest: an owner's, by the whole API.
const OWNER: u64 = 50;

/// In what an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// A group.
    Group,
    /// A project.
    Project,
}

impl Within {
    /// As keys have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Project => "project",
        }
    }

    /// As paths have it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Group => "groups",
            Self::Project => "projects",
        }
    }
}

/// What sort of thing an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// An access token.
    Token,
    /// A deploy token.
    DeployToken,
    /// A deploy key.
    DeployKey,
}

impl Sort {
    /// Every sort.
    pub const ALL: [Self; 3] = [Self::Token, Self::DeployToken, Self::DeployKey];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::DeployToken => "deploy_token",
            Self::DeployKey => "deploy_key",
        }
    }

    pub const fn path(self) -> &'static str {
        match self {
            Self::Token => "access_tokens",
            Self::DeployToken => "deploy_tokens",
            Self::DeployKey => "deploy_keys",
        }
    }
}

/// What names an account for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// Of a group or a project: where, its sort, its number.
    In(Within, u64, Sort, u64),
    /// A token of a service account of a group: the group, the account, the token.
    OfService(u64, u64, u64),
}

impl Named {
    /// Reads it strictly.
    pub fn of(key: &str) -> Result<Self, ConnectorError> {
        let id = |text: &str| text.parse::<u64>().ok().filter(|id| id.to_string() == text);
        let parts: Vec<&str> = key.split(':').collect();
        let named = match parts.as_slice() {
            ["group", group, "service_account", user, token] => match (id(group), id(user), id(token)) {
                (Some(group), Some(user), Some(token)) => Some(Self::OfService(group, user, token)),
                _ => None,
            },
            [within, place, sort, number] => {
                let within = [Within::Group, Within::Project].into_iter().find(|known| known.name() == *within);
                let sort = Sort::ALL.into_iter().find(|known| known.name() == *sort);
                match (within, id(place), sort, id(number)) {
                    (Some(Within::Group), _, Some(Sort::DeployKey), _) => None,
                    (Some(within), Some(place), Some(sort), Some(number)) => {
                        Some(Self::In(within, place, sort, number))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        named.ok_or_else(|| {
            let known = "group:ID:token:ID, group:ID:deploy_token:ID, group:ID:service_account:ID:ID, \
                         project:ID:token:ID, project:ID:deploy_token:ID or project:ID:deploy_key:ID";
            ConnectorError::Misconfigured(format!("the key is none: {known}"))
        })
    }

    /// The number of the access token that it is; none of a deploy token or key.
    pub const fn token(&self) -> Option<u64> {
        match self {
            Self::In(_, _, Sort::Token, number) | Self::OfService(_, _, number) => Some(*number),
            Self::In(..) => None,
        }
    }

    /// Where it is, below the API.
    pub fn path(&self) -> Vec<String> {
        match self {
            Self::In(within, place, sort, number) => {
                vec![within.path().into(), place.to_string(), sort.path().into(), number.to_string()]
            }
            Self::OfService(group, user, token) => {
                let mut path = service_tokens(*group, *user);
                path.push(token.to_string());
                path
            }
        }
    }
}

/// Where the tokens of a service account are.
pub(super) fn service_tokens(group: u64, user: u64) -> Vec<String> {
    let (group, user) = (group.to_string(), user.to_string());
    ["groups", &group, "service_accounts", &user, "personal_access_tokens"].map(str::to_owned).to_vec()
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::In(within, place, sort, number) => write!(f, "{}:{place}:{}:{number}", within.name(), sort.name()),
            Self::OfService(group, user, token) => write!(f, "group:{group}:service_account:{user}:{token}"),
        }
    }
}

/// The number by which GitLab knows something.
pub(super) fn id(of: &Value) -> Option<u64> {
    of.get("id").and_then(Value::as_u64)
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A time, or the day at whose beginning, by UTC, a token ends.
fn time(of: &Value, name: &str) -> Option<Timestamp> {
    let text = text(of, name);
    if text.len() == 10 { format!("{text}T00:00:00Z").parse().ok() } else { text.parse().ok() }
}

/// An account as the port has it; `place` is what people call the group or the project, or the service account.
pub(super) fn seen(named: &Named, place: &str, told: &Value) -> SeenAccount {
    let is = |name: &str| told.get(name) == Some(&Value::Bool(true));
    let sort = match named {
        Named::In(_, _, sort, _) => *sort,
        Named::OfService(..) => Sort::Token,
    };
    let scopes = told.get("scopes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut grants: BTreeSet<String> = scopes.map(|scope| words(&format!("SCOPE {scope}"))).collect();
    let level = told.get("access_level").and_then(Value::as_u64);
    let privileged = grants.contains("SCOPE api") && level.is_some_and(|level| level >= OWNER);
    grants.extend(level.map(|level| format!("ACCESS LEVEL {level}")));
    if sort == Sort::DeployKey {
        grants.insert(if is("can_push") { "PUSH" } else { "PULL" }.to_owned());
    }
    let name = match (text(told, "name"), text(told, "title")) {
        ("", title) => title,
        (name, _) => name,
    };
    let marks = [("username", "username"), ("description", "description")];
    let marks = marks.map(|(mark, member)| (mark.to_owned(), words(text(told, member))));
    SeenAccount {
        key: named.to_string(),
        name: words(&format!("{place}/{name}")),
        sort: AccountSort::Token,
        enabled: told.get("active") != Some(&Value::Bool(false)) && !is("revoked") && !is("expired"),
        ends_at: time(told, "expires_at"),
        made_at: time(told, "created_at"),
        last_used_at: time(told, "last_used_at"),
        sessions: None,
        built_in: false,
        privileged,
        grants: grants.into_iter().collect(),
        more_grants: 0,
        marks: BTreeMap::from_iter(marks.into_iter().filter(|(_, value)| !value.is_empty())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_strictly_and_written_as_they_were_read() {
        for key in [
            "group:1:token:2",
            "group:1:deploy_token:2",
            "group:1:service_account:2:3",
            "project:1:token:2",
            "project:1:deploy_token:2",
            "project:1:deploy_key:2",
        ] {
            assert_eq!(Named::of(key).unwrap().to_string(), key);
        }
        for bad in [
            "",
            "group:1",
            "group:1:deploy_key:2",
            "project:1:service_account:2:3",
            "project:1:token:02",
            "project:1:token:",
            "project:a/b:token:1",
            "user:1:token:2",
            "group:1:token:2:3",
            "group:-1:token:2",
        ] {
            assert!(Named::of(bad).is_err(), "{bad}");
        }
    }
}
