//! Groups of a SCIM service provider, and who is a member.
//!
//! A user may tell its groups, and a group its members; providers leave out either. What one of them says counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tenure_core::target::connector::{ConnectorError, words};

use super::api::{Api, Change, Config};
use super::user::{User, quoted, values};

const ATTRIBUTES: &str = "displayName,members";

/// Groups, as far as the provider tells them.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Their names, by their ids.
    names: BTreeMap<String, String>,
    /// The ids of the groups that have a member, by its id.
    members: BTreeMap<String, BTreeSet<String>>,
    /// Why these aren't all, if they aren't.
    pub lacks: Option<String>,
}

impl Groups {
    /// All of them.
    pub async fn all(api: &Api<'_>) -> Result<Self, ConnectorError> {
        Self::listed(api, None).await
    }

    /// The same, where nothing of them was cut off.
    async fn uncut(api: &Api<'_>, filter: Option<&str>) -> Result<Self, ConnectorError> {
        let Some(listed) = api.list("Groups", ATTRIBUTES, filter).await? else { return Ok(Self::default()) };
        Ok(Self::of_resources(listed.uncut()?))
    }

    /// Those of one user: asked for, and looked for where a provider doesn't understand the question.
    pub async fn of(api: &Api<'_>, config: &Config, id: &str) -> Result<Self, ConnectorError> {
        let filter = format!("members.value eq {}", quoted(id));
        match Self::uncut(api, Some(&filter).filter(|_| config.filter).map(String::as_str)).await {
            Err(ConnectorError::Rejected(_)) if config.filter => Self::uncut(api, None).await,
            groups => groups,
        }
    }

    async fn listed(api: &Api<'_>, filter: Option<&str>) -> Result<Self, ConnectorError> {
        // A provider without groups has none.
        let Some(listed) = api.list("Groups", ATTRIBUTES, filter).await? else { return Ok(Self::default()) };
        Ok(Self { lacks: listed.lacks, ..Self::of_resources(listed.resources) })
    }

    fn of_resources(resources: BTreeMap<String, Value>) -> Self {
        let mut groups = Self::default();
        for (id, told) in resources {
            for member in values(&told, "members") {
                groups.members.entry(member).or_default().insert(id.clone());
            }
            groups.names.insert(id, name(&told));
        }
        groups
    }

    /// The groups of a user, by their ids. One whose name isn't told goes by its id.
    pub fn of_user(&self, user: &User) -> BTreeMap<String, String> {
        let told = self.members.get(&user.id).into_iter().flatten().chain(&user.groups);
        told.map(|id| (id.clone(), self.names.get(id).unwrap_or(id).clone())).collect()
    }
}

fn name(told: &Value) -> String {
    told.get("displayName").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The ids of groups, one for each name.
pub(super) async fn ids(
    api: &Api<'_>,
    config: &Config,
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, String>, ConnectorError> {
    let mut ids = BTreeMap::new();
    for wanted in names {
        let filter = format!("displayName eq {}", quoted(wanted));
        let filter = Some(filter.as_str()).filter(|_| config.filter);
        let listed = api.list("Groups", "displayName", filter).await?;
        let found: Vec<String> = listed
            .unwrap_or_default()
            .uncut()?
            .into_iter()
            .filter(|(_, told)| name(told) == *wanted)
            .map(|(id, _)| id)
            .collect();
        match found.as_slice() {
            [id] => ids.insert(id.clone(), wanted.clone()),
            [] => return Err(ConnectorError::Rejected(format!("there is no group {}", words(wanted)))),
            _ => return Err(ConnectorError::Rejected(format!("several groups are called {}", words(wanted)))),
        };
    }
    Ok(ids)
}

pub(super) async fn join(api: &Api<'_>, config: &Config, group: &str, member: &str) -> Result<(), ConnectorError> {
    let entry = json!([{ "value": member }]);
    let edit = |told: &mut Value| {
        let mut members = told.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        members.push(json!({ "value": member }));
        set(told, members);
    };
    let change = Change {
        patches: vec![
            json!([{ "op": "add", "path": "members", "value": entry }]),
            json!([{ "op": "add", "value": { "members": entry } }]),
        ],
        edit: &edit,
        is_done: &|told| is_member(told, member),
    };
    let joined = api.change(config, &["Groups", group], change).await?;
    joined.map(|_| ()).ok_or_else(|| ConnectorError::Rejected("the group is gone".to_owned()))
}

/// Takes a member out of a group. Some providers understand one form alone, and answer the other with 200 and nobody
/// removed.
pub(super) async fn leave(api: &Api<'_>, config: &Config, group: &str, member: &str) -> Result<(), ConnectorError> {
    let path = ["Groups", group];
    let Some(told) = api.get(&path).await? else { return Ok(()) };
    if !is_member(&told, member) {
        return Err(ConnectorError::Rejected(format!("it is in the group {} by another one", words(&name(&told)))));
    }
    let edit = |told: &mut Value| {
        let mut members = told.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        members.retain(|entry| entry.get("value").and_then(Value::as_str) != Some(member));
        set(told, members);
    };
    let change = Change {
        patches: vec![
            json!([{ "op": "remove", "path": format!("members[value eq {}]", quoted(member)) }]),
            json!([{ "op": "remove", "path": "members", "value": [{ "value": member }] }]),
        ],
        edit: &edit,
        is_done: &|told| !is_member(told, member),
    };
    api.change(config, &path, change).await.map(|_| ())
}

fn is_member(told: &Value, member: &str) -> bool {
    values(told, "members").iter().any(|id| id == member)
}

fn set(told: &mut Value, members: Vec<Value>) {
    if let Some(told) = told.as_object_mut() {
        told.insert("members".to_owned(), members.into());
    }
}
