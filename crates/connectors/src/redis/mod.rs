//! Redis: users of its access control list, from version 7 on.
//!
//! Each server keeps users of its own: a replica is a target by itself. A change is written to the server's file of users
//! where it has one; where it has none, its words say that a restart undoes it.

mod session;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use redis::{Value, cmd, pipe};
use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, MAX_FOUND, Mode, NewAccount, Probe, ProofWorth, Reach,
    SeenAccount, TargetKind, TargetLogin, words,
};
use tenure_outbound::Outbound;

use self::session::{Session, connect, is_refusal, meaning, own, said};
use self::user::{User, check_mark, check_name, rules};
use crate::place::{Form, GONE, Place, asked, gone, in_time, may_end, may_issue, may_provision, not_ourselves};

const FORM: Form =
    Form { schemes: &[("rediss", Some(true)), ("redis", Some(false))], ports: (6379, 6379), path: false, options: &[] };
const PAUSE: Duration = Duration::from_millis(10);
const PAUSES: usize = 200;

/// The connector to Redis.
#[derive(Debug)]
pub struct Redis {
    outbound: Arc<Outbound>,
}

impl Redis {
    /// A connector on this way out.
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound }
    }

    async fn open(&self, reach: &Reach<'_>) -> Result<Session, ConnectorError> {
        let place = Place::of(reach.endpoint, &FORM)?;
        own(&self.outbound, &place, reach).await
    }
}

/// A text of an answer's, whatever bytes are in it.
fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    }
}

/// A user as `ACL GETUSER` tells it.
fn user(told: &Value) -> Result<Option<User>, ConnectorError> {
    let fields: Vec<Value> = match told {
        Value::Nil => return Ok(None),
        Value::Array(fields) => fields.clone(),
        Value::Map(fields) => fields.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect(),
        _ => return Err(ConnectorError::Unreachable("ACL GETUSER was answered with no user".to_owned())),
    };
    let fields: BTreeMap<String, Value> =
        fields.as_chunks::<2>().0.iter().map(|[name, value]| (text(name), value.clone())).collect();
    let list = |value: Option<&Value>| -> Vec<String> {
        match value {
            Some(Value::Array(items)) => items.iter().map(text).collect(),
            Some(value) => text(value).split_whitespace().map(str::to_owned).collect(),
            None => Vec::new(),
        }
    };
    let flags = list(fields.get("flags"));
    let mut user = User {
        enabled: flags.iter().any(|flag| flag == "on"),
        open: flags.iter().any(|flag| flag == "nopass"),
        commands: list(fields.get("commands")),
        ..User::default()
    };
    user.patterns = list(fields.get("keys")).into_iter().chain(list(fields.get("channels"))).collect();
    if let Some(Value::Array(selectors)) = fields.get("selectors") {
        for selector in selectors {
            let parts: Vec<Value> = match selector {
                Value::Array(parts) => parts.clone(),
                Value::Map(parts) => parts.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect(),
                _ => Vec::new(),
            };
            let values = parts.as_chunks::<2>().0.iter().map(|[_, value]| text(value));
            let values: Vec<String> = values.filter(|value| !value.is_empty()).collect();
            user.select(values.join(" "));
        }
    }
    Ok(Some(user))
}

async fn get(session: &mut Session, name: &str) -> Result<Option<User>, ConnectorError> {
    let told: Value = session.ask(cmd("ACL").arg("GETUSER").arg(name)).await?;
    user(&told)
}

/// Open connections by their users.
async fn sessions(session: &mut Session) -> Result<BTreeMap<String, u32>, ConnectorError> {
    let list: Value = session.ask(cmd("CLIENT").arg("LIST")).await?;
    let mut sessions = BTreeMap::new();
    for line in text(&list).lines() {
        if let Some(name) = line.split(' ').find_map(|field| field.strip_prefix("user=")) {
            let count: &mut u32 = sessions.entry(name.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
    }
    Ok(sessions)
}

async fn whose(session: &mut Session) -> Result<String, ConnectorError> {
    session.ask(cmd("ACL").arg("WHOAMI")).await
}

async fn set(session: &mut Session, name: &str, rules: &[String]) -> Result<&'static str, ConnectorError> {
    let () = session.ask(cmd("ACL").arg("SETUSER").arg(name).arg(rules)).await?;
    save(session).await
}

/// Has the server write its users to its file. What it says where it has none is told, and no failure: the users in
/// memory are what counts until it restarts.
async fn save(session: &mut Session) -> Result<&'static str, ConnectorError> {
    match session.ask::<()>(cmd("ACL").arg("SAVE")).await {
        Ok(()) => Ok(""),
        Err(ConnectorError::Rejected(_)) => {
            Ok(", in memory alone: ACL SAVE failed, so a restart brings back what the server's configuration has")
        }
        Err(error) => Err(error),
    }
}

/// The verifier of a password as the server keeps it: the secret stands in no log of its commands.
fn verifier(secret: &Secret<String>) -> String {
    let hash = digest(&SHA256, secret.expose().as_bytes());
    hash.as_ref().iter().fold(String::from("#"), |hex, byte| format!("{hex}{byte:02x}"))
}

async fn end_sessions(session: &mut Session, name: &str, said: String) -> Result<Ending, ConnectorError> {
    let mut sessions_ended = 0_u32;
    let mut left = 0;
    for _ in 0..PAUSES {
        let closed = session.ask::<u32>(cmd("CLIENT").arg("KILL").arg("USER").arg(name)).await;
        let closed = match closed {
            // A user that is deleted has no connections: the server closes them with it.
            Err(ConnectorError::Rejected(why)) if why.contains("No such user") => 0,
            closed => closed?,
        };
        sessions_ended = sessions_ended.saturating_add(closed);
        left = sessions(session).await?.get(name).copied().unwrap_or(0);
        if left == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Ending { words: words(&said), sessions_ended, sessions_left: Some(left) })
}

/// A user that isn't our own, if it is there.
async fn other(session: &mut Session, name: &str) -> Result<Option<User>, ConnectorError> {
    not_ourselves(whose(session).await? == name)?;
    get(session, name).await
}

impl Connector for Redis {
    fn kind(&self) -> TargetKind {
        TargetKind::Redis
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

    fn rights(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Observe => "ACL SETUSER LOGIN +acl|users +acl|getuser +acl|whoami +acl|dryrun +client|list\n",
            Mode::End | Mode::Issue => {
                "ACL SETUSER LOGIN +acl|users +acl|getuser +acl|whoami +acl|dryrun +client|list +acl|setuser +acl|deluser +acl|save +client|kill\n"
            }
        }
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &[
            "users of replicas and of other nodes: each server has its own",
            "when a user was made and used last: the server keeps neither",
        ]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        Place::of(endpoint, &FORM).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let mut session = self.open(reach).await?;
            let observing: &[&[&str]] = &[&["ACL", "USERS"], &["ACL", "GETUSER", "x"], &["CLIENT", "LIST"]];
            let ending: &[&[&str]] = &[
                &["ACL", "SETUSER", "x"],
                &["ACL", "DELUSER", "x"],
                &["ACL", "SAVE"],
                &["CLIENT", "KILL", "USER", "x"],
            ];
            let needed = if reach.mode == Mode::Observe { observing.to_vec() } else { [observing, ending].concat() };
            let us = match whose(&mut session).await {
                Ok(us) => us,
                Err(ConnectorError::Rejected(why)) => return Ok(vec![why]),
                Err(error) => return Err(error),
            };
            let mut problems = Vec::new();
            for command in needed {
                let may: Result<Value, _> = session.ask(cmd("ACL").arg("DRYRUN").arg(&us).arg(command)).await;
                match may {
                    Ok(answer) if text(&answer) == "OK" || answer == Value::Okay => {}
                    Ok(_) => problems.push(format!("it may not run {}", command.join(" "))),
                    Err(ConnectorError::Rejected(why)) => problems.push(why),
                    Err(error) => return Err(error),
                }
            }
            Ok(problems)
        })
    }

    fn discover<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Found, ConnectorError>> {
        asked(reach, async move {
            let mut session = self.open(reach).await?;
            let mut names: Vec<String> = session.ask(cmd("ACL").arg("USERS")).await?;
            names.sort_unstable();
            names.retain(|name| after.is_none_or(|after| name.as_str() > after));
            let more = names.len() > MAX_FOUND;
            names.truncate(MAX_FOUND);
            let open = sessions(&mut session).await?;
            let mut ask = pipe();
            for name in &names {
                ask.cmd("ACL").arg("GETUSER").arg(name);
            }
            let told = if names.is_empty() { Vec::new() } else { session.ask_all(&ask).await? };
            let mut found = Found { next: names.last().filter(|_| more).cloned(), ..Found::default() };
            for (name, told) in names.iter().zip(&told) {
                if let Some(user) = user(told)? {
                    found.accounts.push(user.seen(name, open.get(name).copied().unwrap_or(0)));
                }
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
            let mut session = self.open(reach).await?;
            let Some(user) = get(&mut session, key).await? else { return Ok(None) };
            let open = sessions(&mut session).await?;
            Ok(Some(user.seen(key, open.get(key).copied().unwrap_or(0))))
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
            let name = account.name;
            let mut session = self.open(reach).await?;
            let known = other(&mut session, name).await?;
            if known.as_ref().is_some_and(|user| user.made_for.as_deref() != Some(account.mark)) {
                return Err(ConnectorError::Taken);
            }
            // One command makes it whole, or not at all.
            let mut all = vec!["reset".to_owned(), "on".to_owned(), verifier(account.secret)];
            for grant in account.grants {
                all.extend(rules(grant)?.into_iter().map(str::to_owned));
            }
            let marked = User { made_for: Some(account.mark.to_owned()), ..User::default() };
            all.extend(marked.selector_rules());
            set(&mut session, name, &all).await?;
            if known.is_some() {
                end_sessions(&mut session, name, String::new()).await?;
            }
            let made = get(&mut session, name).await?;
            made.map(|user| user.seen(name, 0))
                .ok_or_else(|| ConnectorError::Rejected("the user that was made isn't there".to_owned()))
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
            let mut session = self.open(reach).await?;
            if other(&mut session, key).await?.is_none() {
                return Err(gone());
            }
            let saved = set(&mut session, key, &["resetpass".to_owned(), verifier(secret)]).await?;
            end_sessions(&mut session, key, format!("ACL SETUSER: another password{saved}")).await
        })
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let mut session = self.open(reach).await?;
            let Some(mut user) = other(&mut session, key).await? else {
                return end_sessions(&mut session, key, GONE.to_owned()).await;
            };
            let mut saved = "";
            if user.enabled {
                user.held = true;
                let mut all = vec!["off".to_owned(), "clearselectors".to_owned()];
                all.extend(user.selector_rules());
                saved = set(&mut session, key, &all).await?;
            }
            end_sessions(&mut session, key, format!("ACL SETUSER: off{saved}")).await
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let mut session = self.open(reach).await?;
            let mut user = other(&mut session, key).await?.ok_or_else(gone)?;
            if user.held {
                user.held = false;
                let mut all = vec!["on".to_owned(), "clearselectors".to_owned()];
                all.extend(user.selector_rules());
                set(&mut session, key, &all).await?;
            }
            Ok(())
        })
    }

    fn narrow<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        key: &'a str,
        keep: &'a [String],
    ) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let mut session = self.open(reach).await?;
            let Some(mut user) = other(&mut session, key).await? else {
                return end_sessions(&mut session, key, GONE.to_owned()).await;
            };
            let held = user.grants();
            let kept: Vec<&String> = held.iter().filter(|grant| keep.contains(grant)).collect();
            let taken = held.len() - kept.len();
            if taken == 0 {
                let open = sessions(&mut session).await?.get(key).copied().unwrap_or(0);
                let words = "it has no other rules".to_owned();
                return Ok(Ending { words, sessions_ended: 0, sessions_left: Some(open) });
            }
            user.selectors.clear();
            let reset = ["resetkeys", "resetchannels", "clearselectors", "-@all"].map(str::to_owned);
            let mut all = reset.to_vec();
            for grant in kept {
                all.extend(rules(grant)?.into_iter().map(str::to_owned));
            }
            all.extend(user.selector_rules());
            let saved = set(&mut session, key, &all).await?;
            // Nothing that began by the old rules goes on.
            end_sessions(&mut session, key, format!("ACL SETUSER: {taken} of {} rules taken{saved}", held.len())).await
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let mut session = self.open(reach).await?;
            if other(&mut session, key).await?.is_none() {
                return end_sessions(&mut session, key, GONE.to_owned()).await;
            }
            let off = set(&mut session, key, &["off".to_owned(), "resetpass".to_owned()]).await?;
            let mut ending = end_sessions(&mut session, key, String::new()).await?;
            let deleted: u32 = session.ask(cmd("ACL").arg("DELUSER").arg(key)).await?;
            let saved = save(&mut session).await?;
            let saved = if saved.is_empty() { off } else { saved };
            ending.words = words(&format!("ACL DELUSER: {deleted}{saved}"));
            Ok(ending)
        })
    }

    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> BoxFuture<'a, Result<Probe, ConnectorError>> {
        Box::pin(in_time(patience, async move {
            let place = Place::of(endpoint, &FORM)?;
            let mut session = connect(&self.outbound, &place).await?;
            match session.log_in(login).await {
                Ok(()) => Ok(Probe::Accepted),
                Err(error) if is_refusal(&error) => Ok(Probe::Refused { words: said(&error) }),
                Err(error) => Err(ConnectorError::Unreachable(words(&meaning(&error).to_string()))),
            }
        }))
    }
}
