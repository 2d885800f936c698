//! Roles: who may assume one, what it may do, and how its sessions are refused.
//!
//! A role is stopped by one inline policy of ours that denies everything. A denial counts against whatever else allows,
//! in sessions that are open too; one act sets it and one takes it away, and its name says that it is ours. An ended role
//! stays for the same reason: deleted, it would take its denial with it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use roxmltree::Node;
use serde_json::{Value, json};
use tenure_core::base::time::Timestamp;
use tenure_core::target::connector::{AccountSort, ConnectorError, Ending, MAX_TARGET_GRANTS, SeenAccount, words};

use super::api::{Api, members, text};
use super::denials::refuse_older;
use super::key::{is_everything, time};
use super::user::{every, list};
use super::{AT_ONCE, ended};
use crate::place::{GONE, gone};

/// The inline policy by which a role is held, and the one by which it is ended.
const HELD: &str = "tenure-held";
const ENDED: &str = "tenure-ended";
/// What the names of all inline policies of ours begin with: they are no grants of the role.
pub(super) const OURS: &str = "tenure-";
/// Where AWS keeps roles that are its own, and nobody else changes.
const AWS_OWN: [&str; 2] = ["/aws-service-role/", "/aws-reserved/"];
const GOES_ON: &str = "AWS brings this everywhere within seconds; sessions of other roles that its sessions assumed go \
                       on until their own end, an hour at most";

/// What a role is named by for good: roles aren't renamed, and one that is made anew by a name has another id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleKey {
    pub id: String,
    pub name: String,
    path: String,
}

impl RoleKey {
    fn of(told: Node<'_, '_>) -> Self {
        Self { id: text(told, "RoleId"), name: text(told, "RoleName"), path: text(told, "Path") }
    }
}

/// A role.
pub(super) struct Role {
    pub key: RoleKey,
    pub arn: String,
    /// The longest session that it allows, in seconds.
    pub longest: i64,
    made_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    trust: String,
    tags: BTreeMap<String, String>,
}

impl Role {
    fn of(told: Node<'_, '_>) -> Self {
        let tags = members(told, "Tags").into_iter().map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect();
        Self {
            key: RoleKey::of(told),
            arn: text(told, "Arn"),
            longest: text(told, "MaxSessionDuration").parse().unwrap_or(3_600),
            made_at: time(&text(told, "CreateDate")),
            last_used_at: time(&text(told, "LastUsedDate")),
            trust: text(told, "AssumeRolePolicyDocument"),
            tags,
        }
    }

    fn is_aws_own(&self) -> bool {
        AWS_OWN.iter().any(|path| self.key.path.starts_with(path))
    }
}

/// Every role.
pub(super) async fn roles(api: &Api<'_>) -> Result<Vec<RoleKey>, ConnectorError> {
    every(api, "ListRoles", "Roles", RoleKey::of).await
}

/// The role of a name; none where it is gone.
pub(super) async fn named(api: &Api<'_>, name: &str) -> Result<Option<Role>, ConnectorError> {
    api.find("GetRole", &[("RoleName", name)]).await?.map(|answer| answer.read(Role::of)).transpose()
}

async fn find(api: &Api<'_>, id: &str, name: &str) -> Result<Option<Role>, ConnectorError> {
    Ok(named(api, name).await?.filter(|role| role.key.id == id))
}

/// These roles as the port has them.
pub(super) async fn accounts(api: &Api<'_>, roles: Vec<RoleKey>) -> Result<Vec<SeenAccount>, ConnectorError> {
    let told = stream::iter(roles).map(async |role| read(api, &role.id, &role.name).await);
    let accounts: Vec<Option<SeenAccount>> = told.buffered(AT_ONCE).try_collect().await?;
    Ok(accounts.into_iter().flatten().collect())
}

/// One role as it stands now.
pub(super) async fn read(api: &Api<'_>, id: &str, name: &str) -> Result<Option<SeenAccount>, ConnectorError> {
    let Some(role) = find(api, id, name).await? else { return Ok(None) };
    let whose = ("RoleName", name);
    let attached = list(api, "ListAttachedRolePolicies", whose, ("AttachedPolicies", "PolicyArn")).await?;
    let inline = list(api, "ListRolePolicies", whose, ("PolicyNames", "")).await?;
    let mut enabled = true;
    for stop in [HELD, ENDED] {
        let is_there = inline.iter().any(|name| name == stop);
        enabled &= !(is_there && policy(api, name, stop).await? == Some(denial(None)));
    }
    let mut grants: BTreeSet<String> = trusted(&role.trust);
    let privileged = attached.iter().any(|policy| is_everything(policy));
    grants.extend(attached.into_iter().map(|policy| format!("POLICY {policy}")));
    grants.extend(inline.into_iter().filter(|name| !name.starts_with(OURS)).map(|name| format!("INLINE {name}")));
    Ok(Some(SeenAccount {
        key: format!("role:{id}:{name}"),
        name: name.to_owned(),
        sort: AccountSort::Role,
        enabled,
        ends_at: None,
        made_at: role.made_at,
        last_used_at: role.last_used_at,
        sessions: None,
        built_in: role.is_aws_own(),
        privileged,
        more_grants: u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX),
        grants: grants.into_iter().take(MAX_TARGET_GRANTS).collect(),
        marks: role.tags.iter().map(|(name, value)| (words(name), words(value))).collect(),
    }))
}

/// Who may assume a role, by its trust policy: `TRUST SERVICE ec2.amazonaws.com`, and with what condition.
fn trusted(document: &str) -> BTreeSet<String> {
    let Some(trust) = decoded(document) else { return BTreeSet::from(["TRUST what can't be read".to_owned()]) };
    let mut found = BTreeSet::new();
    let allows = |statement: &&Value| statement.get("Effect").is_some_and(|effect| effect == "Allow");
    for statement in several(trust.get("Statement")).into_iter().filter(allows) {
        let condition = statement.get("Condition").map(|condition| format!(" IF {condition}")).unwrap_or_default();
        let mut trust = |whom: &str| found.insert(words(&format!("TRUST {whom}{condition}")));
        match statement.get("Principal") {
            Some(Value::Object(principals)) => {
                for (sort, names) in principals {
                    for name in several(Some(names)) {
                        trust(&format!("{} {}", sort.to_uppercase(), name.as_str().unwrap_or("?")));
                    }
                }
            }
            Some(Value::String(anybody)) => drop(trust(anybody)),
            _ => {
                let but = statement.get("NotPrincipal").map(Value::to_string).unwrap_or_default();
                trust(&format!("ALL BUT {but}"));
            }
        }
    }
    found
}

/// A list, or what stands in the place of a list of one.
fn several(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(several)) => several.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// A policy as answers have it: JSON in percent encoding.
fn decoded(document: &str) -> Option<Value> {
    let form: Vec<(String, String)> = serde_urlencoded::from_str(&format!("json={document}")).ok()?;
    serde_json::from_str(&form.first()?.1).ok()
}

/// A policy that denies everything, on a condition or without one.
pub(super) fn denial(condition: Option<Value>) -> Value {
    let mut statement = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
    if let (Some(condition), Some(members)) = (condition, statement.as_object_mut()) {
        members.insert("Condition".to_owned(), condition);
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

/// An inline policy of a role.
pub(super) async fn policy(api: &Api<'_>, role: &str, name: &str) -> Result<Option<Value>, ConnectorError> {
    let Some(answer) = api.find("GetRolePolicy", &[("RoleName", role), ("PolicyName", name)]).await? else {
        return Ok(None);
    };
    answer.read(|told| decoded(&text(told, "PolicyDocument")))
}

/// Writes an inline policy of ours.
pub(super) async fn put(api: &Api<'_>, role: &str, name: &str, policy: &Value) -> Result<(), ConnectorError> {
    let policy = policy.to_string();
    let parameters = [("RoleName", role), ("PolicyName", name), ("PolicyDocument", &policy)];
    api.must("PutRolePolicy", &parameters).await.map(|_| ())
}

/// Takes an inline policy of ours away.
pub(super) async fn delete(api: &Api<'_>, role: &str, name: &str) -> Result<(), ConnectorError> {
    api.find("DeleteRolePolicy", &[("RoleName", role), ("PolicyName", name)]).await.map(|_| ())
}

/// Has everything denied to a role's sessions, those that are open and those that begin.
async fn stop(api: &Api<'_>, id: &str, name: &str, by: &str) -> Result<Ending, ConnectorError> {
    let Some(role) = find(api, id, name).await? else { return Ok(ended(GONE)) };
    if role.is_aws_own() {
        return Err(ConnectorError::Unable("the role is AWS's own, which nobody else changes".to_owned()));
    }
    put(api, name, by, &denial(None)).await?;
    Ok(ended(&format!("PutRolePolicy {by}: everything is denied to its sessions; {GOES_ON}")))
}

/// Stops a role until the hold is taken back.
pub(super) async fn hold(api: &Api<'_>, id: &str, name: &str) -> Result<Ending, ConnectorError> {
    stop(api, id, name, HELD).await
}

/// Stops a role for good.
pub(super) async fn revoke(api: &Api<'_>, id: &str, name: &str) -> Result<Ending, ConnectorError> {
    stop(api, id, name, ENDED).await
}

/// Takes a hold back. Sessions from before stay refused: they were ended.
pub(super) async fn release(api: &Api<'_>, id: &str, name: &str) -> Result<(), ConnectorError> {
    find(api, id, name).await?.ok_or_else(gone)?;
    if policy(api, name, HELD).await?.is_some() {
        refuse_older(api, name).await?;
        delete(api, name, HELD).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_policy_is_told_by_whom_it_lets_in_and_on_what_condition() {
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}, "Action": "sts:AssumeRole"},
            {"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::1:oidc-provider/x"}, "Action": "sts:AssumeRoleWithWebIdentity",
             "Condition": {"StringEquals": {"x:aud": "sts.amazonaws.com"}}},
            {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
            {"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::2:root"}, "Action": "sts:AssumeRole"},
        ]});
        let encoded = serde_urlencoded::to_string([("json", trust.to_string())]).unwrap().replace('+', "%20");
        let told: Vec<_> = trusted(encoded.strip_prefix("json=").unwrap()).into_iter().collect();
        let expected = [
            "TRUST *",
            r#"TRUST FEDERATED arn:aws:iam::1:oidc-provider/x IF {"StringEquals":{"x:aud":"sts.amazonaws.com"}}"#,
            "TRUST SERVICE ec2.amazonaws.com",
            "TRUST SERVICE lambda.amazonaws.com",
        ];
        assert_eq!(told, expected);
        assert_eq!(trusted("%7Bnot").into_iter().next().as_deref(), Some("TRUST what can't be read"));
    }
}
