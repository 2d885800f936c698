//! Denials of sessions that were ended at a role: inline policies of the role, each of many sessions.
//!
//! AWS has no way to change a policy on the condition that it is still what was read, and several of us end sessions of
//! one role at once. So a policy of ours is written once and never changed: its name is made of what it says. Small ones
//! are put together into another one, and removed when that stands. Whoever does the same at the same time removes only
//! what stands in theirs, too.
//!
//! A role has room for some ten thousand bytes. Where there is none for one denial more, everything is denied to all
//! sessions of the role that were begun before then: the place for that is taken by the first denial.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE32_NOPAD;
use serde_json::{Value, json};
use tenure_core::base::id::CredentialId;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::target::connector::{ConnectorError, Ending, SeenAccount, words};
use tenure_core::target::login::{FETCH_WITHIN, Login};

use super::api::{Api, SKEW, Service};
use super::ended;
use super::key::SessionKey;
use super::role::{Role, delete, denial, policy, put, read as role_now};
use super::session::{SHORTEST, seen, user_id};
use super::user::list;

/// What the names of these policies begin with; then the second in which the last of their denials is over, how many they
/// are, and a digest of them.
const PREFIX: &str = "tenure-sessions.";
/// The inline policy that refuses sessions from before a time.
const SINCE: &str = "tenure-sessions-since";
/// Small policies that are put together, and the denials of one that is left alone.
const TOGETHER: usize = 8;
const SMALL: usize = 32;
/// How long the denial of a session stays after its end: AWS's own end of a short one is later than ours.
const SPARE: i64 = SHORTEST;
/// Denials that end within the same quarter of an hour stand in one statement.
const QUARTER: i64 = 900;
const SOON: &str = "AWS brings this everywhere within seconds";

/// Sessions to which everything is denied, by the second in which the denial is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Denials(BTreeMap<i64, BTreeSet<String>>);

impl Denials {
    fn add(&mut self, id: String, ends_at: i64) {
        let over = ends_at.saturating_add(SPARE).saturating_add(QUARTER) / QUARTER * QUARTER;
        self.0.entry(over).or_default().insert(id);
    }

    fn add_all(&mut self, others: Self, now: Timestamp) {
        for (over, ids) in others.0.into_iter().filter(|(over, _)| *over > now.as_secs()) {
            self.0.entry(over).or_default().extend(ids);
        }
    }

    /// What a policy denies in our words. A statement in other words is nobody's denial.
    fn of(policy: &Value) -> Self {
        let statements = policy.get("Statement").and_then(Value::as_array).into_iter().flatten();
        let of = |told: &Value| {
            let over = told.get("Sid")?.as_str()?.strip_prefix("Until")?.parse().ok()?;
            let ids = told.pointer("/Condition/StringEquals/aws:userid")?.as_array()?;
            let ids = ids.iter().map(|id| id.as_str().map(str::to_owned)).collect::<Option<BTreeSet<_>>>()?;
            (statement(over, &ids) == *told).then_some((over, ids))
        };
        Self(statements.filter_map(of).collect())
    }

    fn policy(&self) -> Value {
        let statements: Vec<Value> = self.0.iter().map(|(over, ids)| statement(*over, ids)).collect();
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    fn has(&self, id: &str) -> bool {
        self.0.values().any(|ids| ids.contains(id))
    }

    /// What its policy is called.
    fn name(&self) -> String {
        let over = self.0.last_key_value().map_or(0, |(over, _)| *over);
        let count: usize = self.0.values().map(BTreeSet::len).sum();
        let of = BASE32_NOPAD.encode(digest(&SHA256, self.policy().to_string().as_bytes()).as_ref());
        format!("{PREFIX}{over}.{count}.{}", of.get(..20).unwrap_or(&of))
    }
}

fn statement(over: i64, ids: &BTreeSet<String>) -> Value {
    let condition = json!({"StringEquals": {"aws:userid": ids}});
    json!({"Sid": format!("Until{over}"), "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition})
}

/// A policy of denials, by its name.
struct Named {
    name: String,
    over: i64,
    count: usize,
}

impl Named {
    fn of(name: String) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('.');
        let (over, count) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { name, over, count })
    }
}

/// The inline policies of a role.
struct Inline {
    denials: Vec<Named>,
    has_since: bool,
}

async fn inline(api: &Api<'_>, role: &str) -> Result<Inline, ConnectorError> {
    let names = list(api, "ListRolePolicies", ("RoleName", role), ("PolicyNames", "")).await?;
    let has_since = names.iter().any(|name| name == SINCE);
    Ok(Inline { denials: names.into_iter().filter_map(Named::of).collect(), has_since })
}

fn before(at: Timestamp) -> Value {
    denial(Some(json!({"DateLessThan": {"aws:TokenIssueTime": at}})))
}

/// Before when sessions of a role were begun that are refused, whichever they are.
async fn since(api: &Api<'_>, role: &str) -> Result<Option<Timestamp>, ConnectorError> {
    let Some(policy) = policy(api, role, SINCE).await? else { return Ok(None) };
    let told = policy.pointer("/Statement/0/Condition/DateLessThan/aws:TokenIssueTime").and_then(Value::as_str);
    let at: Option<Timestamp> = told.and_then(|told| told.parse().ok());
    Ok(at.filter(|at| before(*at) == policy))
}

/// Has everything denied to all sessions of a role that were begun until now, by AWS's own clock; never to fewer than
/// before, whoever does the same.
pub(super) async fn refuse_older(api: &Api<'_>, role: &str) -> Result<Timestamp, ConnectorError> {
    let known = since(api, role).await?;
    let at = Timestamp::from_secs(api.time().as_secs().saturating_add(1));
    let at = known.map_or(at, |known| known.max(at));
    for _ in 0..2 {
        put(api, role, SINCE, &before(at)).await?;
        if since(api, role).await?.is_some_and(|stands| stands >= at) {
            return Ok(at);
        }
    }
    Err(ConnectorError::Rejected(format!("PutRolePolicy {SINCE} was answered, and the policy says something else")))
}

/// Writes an inline policy of ours; false where the role has no room for it.
async fn has_room(api: &Api<'_>, role: &str, name: &str, policy: &Value) -> Result<bool, ConnectorError> {
    let policy = policy.to_string();
    let parameters = [("RoleName", role), ("PolicyName", name), ("PolicyDocument", &policy)];
    match api.ask(Service::Iam, "PutRolePolicy", &parameters).await? {
        Ok(_) => Ok(true),
        Err(fault) if fault.is_full() => Ok(false),
        Err(fault) => Err(fault.meaning()),
    }
}

/// Ends sessions of one role: everything is denied to them, and to no others as long as there is room for that.
pub(super) async fn end(
    api: &Api<'_>,
    role: &Role,
    keys: &[SessionKey<'_>],
    now: Timestamp,
) -> Result<Ending, ConnectorError> {
    let at = role.key.name.as_str();
    let mut ours = Denials::default();
    for key in keys {
        ours.add(user_id(&role.key.id, key.name), key.ends_at);
    }
    let Inline { denials, has_since } = inline(api, at).await?;
    let (over, standing): (Vec<Named>, Vec<Named>) = denials.into_iter().partition(|it| it.over <= now.as_secs());
    for it in over {
        delete(api, at, &it.name).await?;
    }
    if !has_since {
        // The place of the denial that is needed once there is no room: of sessions that nobody has.
        has_room(api, at, SINCE, &before(Timestamp::from_secs(0))).await?;
    }
    if let Some(name) = put_together(api, at, &ours, &standing, now).await? {
        return Ok(done(&name));
    }
    let name = ours.name();
    match has_room(api, at, &name, &ours.policy()).await? {
        true => Ok(done(&name)),
        false => end_older(api, at, &ours, &standing).await,
    }
}

/// Puts denials together with those of small policies, where there are some; gives the name of their policy.
async fn put_together(
    api: &Api<'_>,
    role: &str,
    ours: &Denials,
    standing: &[Named],
    now: Timestamp,
) -> Result<Option<String>, ConnectorError> {
    let small: Vec<&Named> = standing.iter().filter(|it| it.count < SMALL).collect();
    if small.len() < TOGETHER {
        return Ok(None);
    }
    let mut all = ours.clone();
    for it in &small {
        all.add_all(policy(api, role, &it.name).await?.map(|told| Denials::of(&told)).unwrap_or_default(), now);
    }
    let name = all.name();
    if !has_room(api, role, &name, &all.policy()).await? {
        return Ok(None);
    }
    for it in small.iter().filter(|it| it.name != name) {
        delete(api, role, &it.name).await?;
    }
    Ok(Some(name))
}

fn done(name: &str) -> Ending {
    ended(&words(&format!("PutRolePolicy {name}: everything is denied to the session; {SOON}")))
}

/// Ends all sessions of a role that were begun until now: there is no room for one denial more. Those that were denied one
/// by one are among them, so their denials make room.
async fn end_older(api: &Api<'_>, role: &str, ours: &Denials, standing: &[Named]) -> Result<Ending, ConnectorError> {
    let at = refuse_older(api, role).await?;
    for it in standing {
        delete(api, role, &it.name).await?;
    }
    // What says of these by themselves that they are ended; without it, the other denial counts as soon as it is old enough.
    has_room(api, role, &ours.name(), &ours.policy()).await?;
    Ok(ended(&words(&format!(
        "PutRolePolicy {SINCE}: the role has no room for one denial more, so everything is denied to all of its sessions \
         that were begun before {at}; {SOON}"
    ))))
}

/// These sessions of a role as they stand now: AWS lists none, and what is known is whether everything is denied to them.
pub(super) async fn read<'k>(
    api: &Api<'_>,
    role: &Role,
    keys: &[SessionKey<'k>],
) -> Result<Vec<SeenAccount>, ConnectorError> {
    let at = role.key.name.as_str();
    let mut denied = Denials::default();
    for it in inline(api, at).await?.denials {
        for (over, ids) in policy(api, at, &it.name).await?.map(|told| Denials::of(&told)).unwrap_or_default().0 {
            denied.0.entry(over).or_default().extend(ids);
        }
    }
    let since = since(api, at).await?;
    let stopped = role_now(api, &role.key.id, at).await?.is_none_or(|role| !role.enabled);
    let is_denied = |key: &SessionKey<'_>| denied.has(&user_id(&role.key.id, key.name)) || is_older(key, since);
    Ok(keys.iter().map(|key| seen(key, !stopped && !is_denied(key))).collect())
}

/// Whether a session was begun before a time for certain: by its name, and as long as one waits to begin at most.
fn is_older(key: &SessionKey<'_>, since: Option<Timestamp>) -> bool {
    let begun = |since: Timestamp| CredentialId::floor(since.minus(FETCH_WITHIN).minus(SKEW).minus(Span::from_mins(1)));
    Login::named(key.name).zip(since).is_some_and(|(id, since)| id < begun(since))
}

#[cfg(test)]
mod tests {
    use super::super::role::OURS;
    use super::*;

    #[test]
    fn denials_come_back_as_they_are_written_and_weaker_ones_are_none() {
        let mut denials = Denials::default();
        for (id, ends_at) in [("AROA1:tnr_1", 1_000), ("AROA1:tnr_2", 1_001), ("AROA1:tnr_3", 9_000)] {
            denials.add(id.to_owned(), ends_at);
        }
        assert_eq!(denials.0.keys().copied().collect::<Vec<_>>(), [2_700, 10_800], "each stays until AWS's own end");
        let policy = denials.policy();
        assert_eq!(Denials::of(&policy), denials);
        assert!(denials.has("AROA1:tnr_2") && !denials.has("AROA1:tnr_"));
        let named = Named::of(denials.name()).unwrap();
        assert_eq!((named.over, named.count), (10_800, 3));
        assert!(named.name.len() <= 128 && named.name.starts_with(OURS));
        // By what it says, so that it is never another one's.
        let mut others = denials.clone();
        others.add("AROA1:tnr_4".to_owned(), 9_000);
        assert_ne!(others.name(), denials.name());
        // What is over is left out of what is put together.
        let mut together = Denials::default();
        together.add_all(denials.clone(), Timestamp::from_secs(2_700));
        assert!(!together.has("AROA1:tnr_1") && together.has("AROA1:tnr_3"));
        // Whoever weakens a statement has it count for nothing.
        for (pointer, weaker) in [
            ("/Statement/1/Action", json!("s3:*")),
            ("/Statement/1/Effect", json!("Allow")),
            ("/Statement/1/Resource", json!("arn:aws:s3:::x")),
            ("/Statement/1/Condition/StringLike", json!({"aws:userid": ["x"]})),
            ("/Statement/1/Condition/StringEquals/aws:userid", json!("AROA1:tnr_3")),
        ] {
            let mut weak = policy.clone();
            match weak.pointer_mut(pointer) {
                Some(part) => *part = weaker,
                None => weak["Statement"][1]["Condition"]["StringLike"] = weaker,
            }
            let read = Denials::of(&weak);
            assert!(read.has("AROA1:tnr_1") && !read.has("AROA1:tnr_3"), "{pointer}");
        }
        for other in ["tenure-held", "tenure-sessions-since", "tenure-sessions.x.1.y", "tenure-sessions."] {
            assert!(Named::of(other.to_owned()).is_none(), "{other}");
        }
    }

    #[test]
    fn a_session_is_older_than_a_time_only_where_that_is_certain() {
        let since = Timestamp::from_secs(1_796_000_000);
        let name = |ago: i64| Login::name_of(CredentialId::floor(since.minus(Span::from_mins(ago))));
        let older =
            |name: &str, since| is_older(&SessionKey { role: "r", name, ends_at: i64::MAX, role_id: None }, since);
        assert!(older(&name(12), Some(since)) && !older(&name(12), None));
        assert!(!older(&name(10), Some(since)), "it may have begun since, or by another clock");
        assert!(!older("peoples", Some(since)));
    }
}
