//! A client as Mosquitto's dynamic security has it, and what it may do in one normal form: `ROLE sensors`,
//! `GROUP fleet`.
//!
//! Its description is what people see of it, and ours to mark: nobody writes it but whoever may change clients.

use std::collections::BTreeSet;

use serde_json::Value;
use tenure_core::target::connector::{AccountSort, ConnectorError, MAX_TARGET_GRANTS, SeenAccount, words};

use super::session::COMMANDS;
use crate::comment::Comment;

const MAX_NAME: usize = 200;

/// A client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Client {
    pub name: String,
    pub title: String,
    pub comment: Comment,
    /// The client id without which its login is refused.
    pub bound_to: Option<String>,
    pub disabled: bool,
    pub roles: BTreeSet<String>,
    pub groups: BTreeSet<String>,
}

/// The names of a list of objects.
fn names(told: &Value, list: &str, name: &str) -> BTreeSet<String> {
    let items = told.get(list).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.get(name).and_then(Value::as_str)).map(str::to_owned).collect()
}

impl Client {
    pub fn of(told: &Value) -> Self {
        let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
        Self {
            name: text("username").to_owned(),
            title: text("textname").to_owned(),
            comment: Comment::read(text("textdescription")),
            bound_to: told.get("clientid").and_then(Value::as_str).map(str::to_owned),
            disabled: told.get("disabled").and_then(Value::as_bool).unwrap_or(false),
            roles: names(told, "roles", "rolename"),
            groups: names(told, "groups", "groupname"),
        }
    }

    /// What it may do.
    pub fn grants(&self) -> BTreeSet<String> {
        let roles = self.roles.iter().map(|role| format!("{ROLE}{role}"));
        roles.chain(self.groups.iter().map(|group| format!("{GROUP}{group}"))).collect()
    }

    /// As the port has it, beside the roles and groups by which anybody may change clients.
    pub fn seen(&self, masters: &Masters) -> SeenAccount {
        let grants = self.grants();
        let mut marks = self.comment.marks();
        for (name, text) in [("textname", Some(&self.title)), ("clientid", self.bound_to.as_ref())] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                marks.insert(name.to_owned(), words(text));
            }
        }
        SeenAccount {
            key: self.name.clone(),
            name: self.name.clone(),
            sort: AccountSort::Login,
            enabled: !self.disabled,
            ends_at: None,
            made_at: None,
            last_used_at: None,
            sessions: None,
            built_in: false,
            privileged: !self.roles.is_disjoint(&masters.roles) || !self.groups.is_disjoint(&masters.groups),
            more_grants: u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX),
            grants: grants.into_iter().take(MAX_TARGET_GRANTS).collect(),
            marks,
        }
    }
}

/// Roles that may change clients, and groups that have one of them.
#[derive(Debug, Default)]
pub(super) struct Masters {
    roles: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl Masters {
    pub fn of(roles: &Value, groups: &Value) -> Self {
        let list = |told: &Value, name: &str| {
            told.get(name).and_then(Value::as_array).into_iter().flatten().cloned().collect::<Vec<_>>()
        };
        let text = |told: &Value, name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let commands = |acl: &Value| {
            text(acl, "acltype") == "publishClientSend"
                && acl.get("allow").and_then(Value::as_bool).unwrap_or(false)
                && is_matched(&text(acl, "topic"), COMMANDS)
        };
        let roles: BTreeSet<String> = list(roles, "roles")
            .iter()
            .filter(|role| list(role, "acls").iter().any(commands))
            .map(|role| text(role, "rolename"))
            .collect();
        let groups = list(groups, "groups");
        let groups = groups.iter().filter(|group| !names(group, "roles", "rolename").is_disjoint(&roles));
        Self { groups: groups.map(|group| text(group, "groupname")).collect(), roles }
    }
}

/// Whether a topic is one of a filter's. A filter that begins with a wildcard matches nothing that begins with `$`.
fn is_matched(filter: &str, topic: &str) -> bool {
    let (mut levels, mut first) = (topic.split('/'), true);
    for part in filter.split('/') {
        let level = levels.next();
        match part {
            "#" | "+" if first && topic.starts_with('$') => return false,
            "#" => return true,
            "+" if level.is_some() => {}
            part if level == Some(part) => {}
            _ => return false,
        }
        first = false;
    }
    levels.next().is_none()
}

const ROLE: &str = "ROLE ";
const GROUP: &str = "GROUP ";

/// Grants as roles and groups.
pub(super) fn wanted(grants: &[String]) -> Result<(BTreeSet<String>, BTreeSet<String>), ConnectorError> {
    let (mut roles, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for grant in grants {
        let (list, name) = match (grant.strip_prefix(ROLE), grant.strip_prefix(GROUP)) {
            (Some(role), _) => (&mut roles, role),
            (_, Some(group)) => (&mut groups, group),
            _ => (&mut roles, ""),
        };
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(ConnectorError::Rejected(format!(
                "expected a grant such as ROLE sensors or GROUP fleet: {}",
                words(grant)
            )));
        }
        list.insert(name.to_owned());
    }
    Ok((roles, groups))
}

/// A name that a login has.
pub(super) fn check_name(name: &str) -> Result<(), ConnectorError> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ConnectorError::Misconfigured(format!("a name has 1 to {MAX_NAME} bytes, none of them a control")));
    }
    Ok(())
}

/// A name that we give. Brokers put names into topics: one that is several levels or a wildcard there would be others'.
pub(super) fn check_new_name(name: &str) -> Result<(), ConnectorError> {
    check_name(name)?;
    if name.contains(['/', '+', '#']) {
        return Err(ConnectorError::Misconfigured("a name that stands in topics has no /, + or #".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn grants_come_back_as_they_are_written() {
        let grants = ["GROUP a b", "ROLE x", "ROLE ROLE y"].map(str::to_owned);
        let (roles, groups) = wanted(&grants).unwrap();
        let client = Client { roles, groups, ..Client::default() };
        assert_eq!(client.grants(), grants.into_iter().collect());
        for bad in ["", "ROLE ", "GROUP ", "x", "role x", "ROLE a\u{0}"] {
            assert!(wanted(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn whoever_may_send_commands_is_a_master() {
        for (filter, is) in [
            ("$CONTROL/dynamic-security/#", true),
            ("$CONTROL/#", true),
            ("$CONTROL/+/v1", true),
            ("$CONTROL/dynamic-security/v1", true),
            ("#", false),
            ("+/dynamic-security/v1", false),
            ("$CONTROL/+", false),
            ("$CONTROL/dynamic-security/v1/+", false),
            ("$CONTROL/dynamic-security/v2", false),
        ] {
            let acl = json!({ "acltype": "publishClientSend", "topic": filter, "allow": true });
            let roles = json!({ "roles": [{ "rolename": "r", "acls": [acl] }] });
            let groups = json!({ "groups": [{ "groupname": "g", "roles": [{ "rolename": "r" }] }] });
            let masters = Masters::of(&roles, &groups);
            assert_eq!((masters.roles.contains("r"), masters.groups.contains("g")), (is, is), "{filter}");
        }
        let denied = json!({ "acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": false });
        let roles = json!({ "roles": [{ "rolename": "r", "acls": [denied] }] });
        assert!(Masters::of(&roles, &json!({})).roles.is_empty());
    }
}
