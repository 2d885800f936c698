//! A user of a SCIM service provider, and what it may do in one normal form: `GROUP admins`, `ROLE auditor`,
//! `ENTITLEMENT export`.
//!
//! Which account we made stands in its `externalId`, which is the client's own (RFC 7643 section 3.1); whom we stopped,
//! in an entitlement that nobody else gives, as the `externalId` of others is theirs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tenure_core::target::connector::{
    AccountSort, ConnectorError, MADE_FOR, MAX_ACCOUNT_NAME, MAX_TARGET_GRANTS, SeenAccount, words,
};

/// The entitlement of those whom we stopped.
const HELD: &str = "tenure.held";
const EXTERNAL: &str = "tenure:";
const MAX_NAME: usize = 200;
/// Lists of a user that say what it may do, and what their grants begin with.
pub(super) const LISTS: [(&str, &str); 2] = [("roles", "ROLE "), ("entitlements", "ENTITLEMENT ")];
const GROUP: &str = "GROUP ";

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub id: String,
    pub name: String,
    pub active: bool,
    /// Whether it was us who stopped it.
    pub held: bool,
    pub user_type: Option<String>,
    external: Option<String>,
    /// The ids of groups that the user itself tells.
    pub groups: BTreeSet<String>,
    grants: BTreeSet<String>,
    made_at: Option<String>,
    display: Option<String>,
}

fn text(told: &Value, name: &str) -> Option<String> {
    told.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The values of a list, which are objects with a value, or plain texts at some.
pub(super) fn values(told: &Value, list: &str) -> Vec<String> {
    let items = told.get(list).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| text(item, "value").or_else(|| item.as_str().map(str::to_owned))).collect()
}

impl User {
    /// A user as it is told; none without an id and a name.
    pub fn of(told: &Value) -> Option<Self> {
        let short = |text: &String| text.len() <= MAX_ACCOUNT_NAME;
        let mut grants = BTreeSet::new();
        for (list, word) in LISTS {
            grants.extend(values(told, list).into_iter().filter(|value| value != HELD).map(|it| format!("{word}{it}")));
        }
        Some(Self {
            id: text(told, "id").filter(short)?,
            name: text(told, "userName").filter(short)?,
            // Who isn't said to be stopped is let in.
            active: told.get("active").and_then(Value::as_bool).unwrap_or(true),
            held: is_held(told),
            user_type: text(told, "userType"),
            external: text(told, "externalId"),
            groups: values(told, "groups").into_iter().collect(),
            grants,
            made_at: told.pointer("/meta/created").and_then(Value::as_str).map(str::to_owned),
            display: text(told, "displayName"),
        })
    }

    /// For whom it was made, if we made it.
    pub fn made_for(&self) -> Option<&str> {
        self.external.as_ref()?.strip_prefix(EXTERNAL)
    }

    /// What it may do, beside the names of its groups.
    pub fn grants(&self, groups: &BTreeMap<String, String>) -> BTreeSet<String> {
        self.grants.iter().cloned().chain(groups.values().map(|name| group_grant(name))).collect()
    }

    pub fn seen(&self, groups: &BTreeMap<String, String>) -> SeenAccount {
        let grants = self.grants(groups);
        let external = self.external.as_ref().filter(|_| self.made_for().is_none());
        let marks = [
            (MADE_FOR, self.made_for()),
            ("externalId", external.map(String::as_str)),
            ("displayName", self.display.as_deref()),
            ("userType", self.user_type.as_deref()),
        ];
        let marks = marks.into_iter().filter_map(|(name, text)| Some((name.to_owned(), words(text?))));
        SeenAccount {
            key: self.id.clone(),
            name: self.name.clone(),
            sort: AccountSort::Login,
            enabled: self.active,
            ends_at: None,
            made_at: self.made_at.as_ref().and_then(|at| at.parse().ok()),
            last_used_at: None,
            sessions: None,
            built_in: false,
            privileged: false,
            more_grants: u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX),
            grants: grants.into_iter().take(MAX_TARGET_GRANTS).collect(),
            marks: marks.collect(),
        }
    }
}

pub(super) fn is_held(told: &Value) -> bool {
    values(told, "entitlements").iter().any(|value| value == HELD)
}

/// The mark of those whom we stopped, as an entitlement.
pub(super) fn held() -> Value {
    json!({ "value": HELD, "type": "tenure" })
}

/// The `externalId` of what we make.
pub(super) fn external(mark: &str) -> String {
    format!("{EXTERNAL}{mark}")
}

pub(super) fn group_grant(name: &str) -> String {
    format!("{GROUP}{name}")
}

/// A text in a filter, as JSON has it (RFC 7644 section 3.4.2.2).
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Grants by what gives them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub groups: BTreeSet<String>,
    pub lists: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Wanted {
    pub fn of(grants: &[String]) -> Result<Self, ConnectorError> {
        let mut wanted = Self::default();
        for grant in grants {
            let list = LISTS.iter().find_map(|(list, word)| Some((*list, grant.strip_prefix(word)?)));
            let (into, name) = match (list, grant.strip_prefix(GROUP)) {
                (Some((list, name)), _) => (wanted.lists.entry(list).or_default(), name),
                (None, Some(name)) => (&mut wanted.groups, name),
                (None, None) => (&mut wanted.groups, ""),
            };
            if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) || name == HELD {
                return Err(ConnectorError::Rejected(format!(
                    "expected a grant such as GROUP admins, ROLE auditor or ENTITLEMENT export: {}",
                    words(grant)
                )));
            }
            into.insert(name.to_owned());
        }
        Ok(wanted)
    }

    /// The values of a list as SCIM has them.
    pub fn list(&self, list: &str) -> Value {
        let values = self.lists.get(list).into_iter().flatten();
        values.map(|value| json!({ "value": value })).collect::<Vec<_>>().into()
    }
}

/// A name that a login has. Basic authentication ends a name at its first colon.
pub(super) fn check_name(name: &str) -> Result<(), ConnectorError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_come_back_as_they_are_written() {
        let grants = ["ENTITLEMENT a b", "GROUP x", "ROLE ROLE y"].map(str::to_owned);
        let wanted = Wanted::of(&grants).unwrap();
        let told = json!({ "id": "1", "userName": "n", "roles": wanted.list("roles"),
            "entitlements": wanted.list("entitlements") });
        let groups = wanted.groups.iter().map(|name| ("g".to_owned(), name.clone())).collect();
        assert_eq!(User::of(&told).unwrap().grants(&groups), grants.into_iter().collect());
        for bad in ["", "ROLE ", "GROUP ", "x", "role x", "ROLE a\u{0}", "ENTITLEMENT tenure.held"] {
            assert!(Wanted::of(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn our_marks_are_told_from_those_of_people() {
        let told = json!({ "id": "1", "userName": "n", "active": false, "externalId": "hr:7",
            "entitlements": ["plain", held()] });
        let user = User::of(&told).unwrap();
        let seen = user.seen(&BTreeMap::new());
        assert!(user.held && user.made_for().is_none() && !seen.enabled);
        assert_eq!((seen.grants, seen.marks["externalId"].as_str()), (vec!["ENTITLEMENT plain".to_owned()], "hr:7"));
        let ours = json!({ "id": "1", "userName": "n", "externalId": external("idn_1") });
        assert_eq!(User::of(&ours).unwrap().seen(&BTreeMap::new()).marks[MADE_FOR], "idn_1");
        assert!(User::of(&json!({ "id": "1" })).is_none() && User::of(&json!({ "userName": "n" })).is_none());
    }

    #[test]
    fn a_filter_holds_a_text_whatever_is_in_it() {
        assert_eq!(quoted("a\" or userName pr or \"b\\"), r#""a\" or userName pr or \"b\\""#);
    }
}
