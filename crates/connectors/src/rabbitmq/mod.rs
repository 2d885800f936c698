//! RabbitMQ: users, over its management API.
//!
//! The API shows and changes users for administrators alone: that only observing goes on holds Tenure, and not the
//! server. Users of other authentication backends (LDAP, OAuth) are none of its.

mod api;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, MAX_FOUND, Mode, NewAccount, Probe, ProofWorth, Reach,
    SeenAccount, TargetKind, TargetLogin, words,
};
use tenure_outbound::Outbound;

use self::api::Api;
use self::user::{PERMISSIONS, Permissions, User, check_mark, check_name, permissions, wanted};
use crate::place::{Form, GONE, Place, asked, gone, in_time, may_end, may_issue, may_provision, not_ourselves};

const FORM: Form =
    Form { schemes: &[("https", Some(true)), ("http", Some(false))], ports: (15671, 15672), path: false, options: &[] };
const SHA_256: &str = "rabbit_password_hashing_sha256";
const SHA_512: &str = "rabbit_password_hashing_sha512";
/// How long closed connections are waited for.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSES: usize = 250;

/// The connector to RabbitMQ.
#[derive(Debug)]
pub struct Rabbitmq {
    outbound: Arc<Outbound>,
}

impl Rabbitmq {
    /// A connector on this way out.
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound }
    }
}

/// A password as the server keeps it: four bytes of salt, and the hash of these and the password. The salt comes from the
/// name and the secret, so that the same is the same.
fn hash(name: &str, secret: &Secret<String>) -> String {
    let seed = digest(&SHA256, format!("{name}\0{}", secret.expose()).as_bytes());
    let salt = seed.as_ref().get(..4).unwrap_or_default();
    let hash = digest(&SHA256, &[salt, secret.expose().as_bytes()].concat());
    STANDARD.encode([salt, hash.as_ref()].concat())
}

async fn get(api: &Api<'_>, name: &str) -> Result<Option<User>, ConnectorError> {
    Ok(api.get(&["users", name]).await?.as_ref().map(User::of))
}

async fn put(api: &Api<'_>, name: &str, user: &User) -> Result<(), ConnectorError> {
    api.put(&["users", name], user.body()?).await
}

async fn permissions_of(api: &Api<'_>, name: &str) -> Result<Permissions, ConnectorError> {
    let told = api.get(&["users", name, "permissions"]).await?.unwrap_or(Value::Null);
    Ok(permissions(&told).remove(name).unwrap_or_default())
}

async fn connections(api: &Api<'_>, name: &str) -> Result<u32, ConnectorError> {
    let told = api.get(&["connections", "username", name]).await?;
    Ok(told.as_ref().and_then(Value::as_array).map_or(0, |list| u32::try_from(list.len()).unwrap_or(u32::MAX)))
}

/// Closes the connections of a user, be it there or not.
async fn end_sessions(api: &Api<'_>, name: &str, said: &str) -> Result<Ending, ConnectorError> {
    let open = connections(api, name).await?;
    let mut left = open;
    for _ in 0..PAUSES {
        if left == 0 {
            break;
        }
        api.delete(&["connections", "username", name]).await?;
        tokio::time::sleep(PAUSE).await;
        left = connections(api, name).await?;
    }
    Ok(Ending { words: words(said), sessions_ended: open.saturating_sub(left), sessions_left: Some(left) })
}

/// A user that isn't our own, if it is there.
async fn other(api: &Api<'_>, reach: &Reach<'_>, name: &str) -> Result<Option<User>, ConnectorError> {
    not_ourselves(reach.login.name == name)?;
    get(api, name).await
}

async fn seen(api: &Api<'_>, name: &str) -> Result<Option<SeenAccount>, ConnectorError> {
    let Some(user) = get(api, name).await? else { return Ok(None) };
    Ok(Some(user.seen(name, &permissions_of(api, name).await?, connections(api, name).await?)))
}

/// Leaves a user these permissions and no others.
async fn permit(api: &Api<'_>, name: &str, now: &Permissions, wanted: &Permissions) -> Result<(), ConnectorError> {
    for (host, patterns) in wanted {
        if now.get(host) != Some(patterns) {
            let body: BTreeMap<&str, &String> = PERMISSIONS.into_iter().zip(patterns).collect();
            api.put(&["permissions", host, name], json!(body)).await?;
        }
    }
    for host in now.keys().filter(|host| !wanted.contains_key(*host)) {
        api.delete(&["permissions", host, name]).await?;
    }
    Ok(())
}

impl Connector for Rabbitmq {
    fn kind(&self) -> TargetKind {
        TargetKind::Rabbitmq
    }

    fn abilities(&self) -> &'static [Ability] {
        &[
            Ability::Discover,
            Ability::Provision,
            Ability::Rotate,
            Ability::Hold,
            Ability::Narrow,
            Ability::Revoke,
            Ability::Probe,
            Ability::CountSessions,
            Ability::EndSessions,
        ]
    }

    fn proof(&self) -> ProofWorth {
        ProofWorth::Refusal
    }

    fn rights(&self, _mode: Mode) -> &'static str {
        "# The API shows users to administrators alone, whatever they are shown for; it needs no virtual host.\n\
         rabbitmqctl set_user_tags LOGIN administrator\n"
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &[
            "users of other authentication backends, such as LDAP and OAuth",
            "when a user was made and used last: the server keeps neither",
        ]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        Place::of(endpoint, &FORM).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let api = Api::open(&self.outbound, reach).await?;
            let us = api.get(&["whoami"]).await?.map(|told| User::of(&told)).unwrap_or_default();
            let lacks = !us.tags.contains("administrator");
            Ok(lacks.then(|| "it lacks the tag administrator".to_owned()).into_iter().collect())
        })
    }

    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        asked(reach, async move {
            let api = Api::open(&self.outbound, reach).await?;
            let told = api.list(&["users"]).await?;
            let name = |user: &Value| user.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let users = told.iter().map(|user| (name(user), User::of(user)));
            let mut users: Vec<_> = users.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after)).collect();
            users.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            let more = users.len() > MAX_FOUND;
            users.truncate(MAX_FOUND);
            let permissions = permissions(&Value::Array(api.list(&["permissions"]).await?));
            let mut open: BTreeMap<String, u32> = BTreeMap::new();
            for connection in api.list(&["connections"]).await? {
                let user = connection.get("user").and_then(Value::as_str).unwrap_or_default();
                let count = open.entry(user.to_owned()).or_default();
                *count = count.saturating_add(1);
            }
            let mut found =
                Found { next: users.last().filter(|_| more).map(|(name, _)| name.clone()), ..Found::default() };
            let none = Permissions::new();
            for (name, user) in users {
                let sessions = open.get(&name).copied().unwrap_or(0);
                found.accounts.push(user.seen(&name, permissions.get(&name).unwrap_or(&none), sessions));
            }
            Ok(found)
        })
    }

    fn read<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<SeenAccount>, ConnectorError>> {
        asked(reach, async move {
            let api = Api::open(&self.outbound, reach).await?;
            seen(&api, key).await
        })
    }

    fn provision<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<SeenAccount, ConnectorError>> {
        asked(reach, async move {
            may_provision(reach, account)?;
            check_name(account.name)?;
            check_mark(account.mark)?;
            let (tags, wanted) = wanted(account.grants)?;
            if tags.contains("administrator") {
                return Err(ConnectorError::Unable("no account is made with TAG administrator".to_owned()));
            }
            let name = account.name;
            let api = Api::open(&self.outbound, reach).await?;
            let known = other(&api, reach, name).await?;
            if known.as_ref().is_some_and(|user| user.made_for.as_deref() != Some(account.mark)) {
                return Err(ConnectorError::Taken);
            }
            let made_for = Some(account.mark.to_owned());
            let hash = hash(name, account.secret);
            let user = User { hash, algorithm: SHA_256.to_owned(), tags, held: None, made_for };
            let now = permissions_of(&api, name).await?;
            put(&api, name, &user).await?;
            permit(&api, name, &now, &wanted).await?;
            if known.is_some() {
                end_sessions(&api, name, "").await?;
            }
            let made = seen(&api, name).await?;
            made.ok_or_else(|| ConnectorError::Rejected("the user that was made isn't there".to_owned()))
        })
    }

    fn rotate<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        secret: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_issue(reach)?;
            let api = Api::open(&self.outbound, reach).await?;
            let user = other(&api, reach, key).await?.ok_or_else(gone)?;
            let hash = hash(key, secret);
            // One that is held stays held, and comes back with this secret.
            let user = match &user.held {
                Some(_) => User { hash, held: Some(SHA_256.to_owned()), algorithm: SHA_512.to_owned(), ..user },
                None => User { hash, algorithm: SHA_256.to_owned(), ..user },
            };
            put(&api, key, &user).await?;
            end_sessions(&api, key, "another password").await
        })
    }

    /// The hash is left, and read by another algorithm, whose hashes have another length: no password has it. So a hold
    /// is taken back without the secret, and keeps nothing of it anywhere else.
    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let api = Api::open(&self.outbound, reach).await?;
            let Some(user) = other(&api, reach, key).await? else { return end_sessions(&api, key, GONE).await };
            if user.held.is_none() && !user.hash.is_empty() {
                let with = if user.algorithm == SHA_512 { SHA_256 } else { SHA_512 };
                let held = User { held: Some(user.algorithm.clone()), algorithm: with.to_owned(), ..user };
                put(&api, key, &held).await?;
            }
            end_sessions(&api, key, "its password is read by another algorithm").await
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let api = Api::open(&self.outbound, reach).await?;
            let user = other(&api, reach, key).await?.ok_or_else(gone)?;
            match user.held.clone() {
                Some(algorithm) => put(&api, key, &User { held: None, algorithm, ..user }).await,
                None => Ok(()),
            }
        })
    }

    /// Running consumers go on by the permissions that they began with: so connections are closed.
    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let api = Api::open(&self.outbound, reach).await?;
            let Some(user) = other(&api, reach, key).await? else { return end_sessions(&api, key, GONE).await };
            let now = permissions_of(&api, key).await?;
            let held = user.grants(&now);
            let kept: Vec<String> = held.iter().filter(|grant| keep.contains(grant)).cloned().collect();
            if kept.len() == held.len() {
                let words = "it has no other grants".to_owned();
                return Ok(Ending { words, sessions_ended: 0, sessions_left: Some(connections(&api, key).await?) });
            }
            let (tags, wanted) = wanted(&kept)?;
            permit(&api, key, &now, &wanted).await?;
            if tags != user.tags {
                put(&api, key, &User { tags, ..user }).await?;
            }
            end_sessions(&api, key, &format!("{} of {} grants taken", held.len() - kept.len(), held.len())).await
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let api = Api::open(&self.outbound, reach).await?;
            let before = if other(&api, reach, key).await?.is_some() { connections(&api, key).await? } else { 0 };
            // The server closes the connections of a user that it deletes.
            api.delete(&["users", key]).await?;
            let ending = end_sessions(&api, key, "the user is deleted").await?;
            let ended = before.saturating_sub(ending.sessions_left.unwrap_or(0));
            Ok(Ending { sessions_ended: ended.max(ending.sessions_ended), ..ending })
        })
    }

    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            let api = Api::at(&self.outbound, endpoint, login, patience)?;
            let answer = api.ask(Method::GET, &["whoami"], None).await?;
            if answer.is_known() {
                Ok(Probe::Accepted)
            } else if answer.is_refusal() {
                Ok(Probe::Refused { words: answer.words() })
            } else {
                Err(ConnectorError::Unreachable(answer.words()))
            }
        }))
    }
}
