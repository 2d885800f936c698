//! NATS whose servers trust an operator: users of one account, over the system account.
//!
//! - Options of an endpoint: `account`, the public key of the account whose users these are; `operators`, the public keys
//!   by which its JWT may be signed, with commas between them.
//! - The connector's login: the JWT and the seed of a user of the system account and, where users are stopped, the seeds
//!   of a signing key of the operator and of one of the account, with blanks between them or as the files have them.
//!
//! Users are JWTs, and nobody has a list of them: who isn't connected, wasn't made here and wasn't stopped is told by
//! nobody. A user ends by an entry in the account's JWT, which covers whatever was issued to its key until then. The JWT
//! that was pushed last counts, whoever pushed it and whatever it was made of: one is pushed at a time here, on what is
//! there then. A server answers that it took one that it won't heed, keeps it, and tells it to whoever looks: so what is
//! in force is asked of each server by itself.

mod account;
mod jwt;
mod key;
mod login;
mod own;
mod session;
#[cfg(feature = "testing")]
pub mod testing;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tenure_core::base::time::{Clock, Span};
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, MAX_FOUND, Mode, NewAccount, Probe, ProofWorth, Reach,
    SeenAccount, TargetKind, TargetLogin,
};
use tenure_outbound::Outbound;

use self::account::{Account, Held, Made, User, check_mark, check_name, permissions};
use self::jwt::{signed, texts, verified};
use self::key::{Owner, Pair, is_public};
use self::login::{Keys, creds, seed_of};
use self::own::Own;
use self::session::{Greeting, Session};
use crate::locks::Locks;
use crate::place::{Form, Place, asked, in_time, may_end, may_provision, not_ourselves};

const ACCOUNT: &str = "account";
const OPERATORS: &str = "operators";
const FORM: Form = Form {
    schemes: &[("nats", None), ("tls", Some(true))],
    ports: (4222, 4222),
    path: false,
    options: &[ACCOUNT, OPERATORS],
};
const CONNECTIONS: &str = "$SYS.REQ.SERVER.PING.CONNZ";
const ACCOUNTS: &str = "$SYS.REQ.SERVER.PING.ACCOUNTZ";
const UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";
/// How long a JWT that was pushed is followed up, whoever waits for it.
const FOLLOWED: Duration = Duration::from_secs(30);

/// The connector to NATS.
pub struct Nats {
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
    /// Held while an account's JWT is changed, by the account's key: wherever its servers are, it has one writer.
    changing: Locks,
}

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nats").finish_non_exhaustive()
    }
}

fn misconfigured(why: &str) -> ConnectorError {
    ConnectorError::Misconfigured(why.to_owned())
}

/// The account and the operators that an endpoint names.
fn names(place: &Place<'_>) -> Result<(String, Vec<String>), ConnectorError> {
    let account = place.option(ACCOUNT).filter(|key| is_public(key, Owner::Account));
    let account = account.ok_or_else(|| misconfigured("the option account is the public key of an account, A…"))?;
    let operators = place.option(OPERATORS).into_iter().flat_map(|keys| keys.split(',')).map(str::to_owned);
    let operators: Vec<String> = operators.collect();
    if !operators.iter().all(|key| is_public(key, Owner::Operator)) {
        return Err(misconfigured("the option operators has public keys of operators, O…, with commas between them"));
    }
    Ok((account.to_owned(), operators))
}

/// The key of the account, as a login holds it: its own, or one that signs for it whatever its users may.
fn signing<'k>(keys: &'k Keys, account: &Account, id: &str) -> Result<&'k Pair, ConnectorError> {
    let lacks =
        || ConnectorError::Unable("the connector's login holds no seed of a key of the account, SA…".to_owned());
    let pair = keys.account.as_ref().ok_or_else(lacks)?;
    let public = pair.public();
    if public == id || texts(&account.claims, "/nats/signing_keys").contains(&public) {
        Ok(pair)
    } else {
        Err(ConnectorError::Unable("the key of the account in the connector's login signs nothing there".to_owned()))
    }
}

impl Nats {
    /// A connector on this way out; JWTs are issued by this clock.
    pub fn new(outbound: Arc<Outbound>, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, clock, changing: Locks::default() }
    }

    async fn open(&self, reach: &Reach<'_>) -> Result<Own, ConnectorError> {
        let place = Place::of(reach.endpoint, &FORM)?;
        let (account, mut operators) = names(&place)?;
        match Session::connect(&self.outbound, &place, || Keys::of(reach.login.secret.expose())).await? {
            (Greeting::Accepted(session), keys) => {
                operators.extend(keys.operator.as_ref().map(Pair::public));
                Ok(Own { session, keys, account, operators })
            }
            (Greeting::Refused(said), _) => Err(ConnectorError::Unauthorized(said)),
        }
    }

    /// Changes the account's JWT. What was pushed is followed up also where whoever asked waits no more: a JWT that no
    /// server heeds is taken back.
    async fn change(
        &self,
        mut own: Own,
        edit: impl Fn(&mut Account) + Send + Sync + 'static,
        is_done: impl Fn(&Account) -> bool + Send + Sync + 'static,
    ) -> Result<Own, ConnectorError> {
        let changing = self.changing.of(&own.account).await;
        let now = self.now();
        let changed = tokio::spawn(async move {
            let _changing = changing;
            let long = || ConnectorError::Unreachable("the account's JWT was not heeded in time".to_owned());
            let changed = tokio::time::timeout(FOLLOWED, own.change(now, edit, is_done)).await;
            changed.map_err(|_| long())?.map(|()| own)
        });
        changed.await.map_err(|_| ConnectorError::Unreachable("its answer is none that can be read".to_owned()))?
    }

    fn now(&self) -> i64 {
        self.clock.now().as_secs()
    }

    /// A server, and what is known of a user that isn't our own.
    async fn other(&self, reach: &Reach<'_>, key: &str) -> Result<(Own, Account, User), ConnectorError> {
        check_key(key)?;
        let mut own = self.open(reach).await?;
        not_ourselves(own.keys.user.public() == key)?;
        let account = own.account().await?;
        let user = own.users(&account, Some(key)).await?.remove(key).unwrap_or_default();
        Ok((own, account, user))
    }

    /// Refuses whatever was issued to a user's key until now. Also a JWT of it that nobody has seen: so it goes by now, and
    /// by the newest that was seen, where that is later by another clock.
    async fn stop(&self, reach: &Reach<'_>, key: &str, holds: bool) -> Result<Ending, ConnectorError> {
        let (own, _, user) = self.other(reach, key).await?;
        let now = self.now();
        let issued = user.issued().unwrap_or(now);
        let until = now.max(issued);
        let name = user.name().unwrap_or(key).to_owned();
        let whose = key.to_owned();
        let edit = move |account: &mut Account| {
            // Whom people stopped, no release lets in; whom we hold may be ended.
            let entry = account.revoked.get(&whose).copied();
            let held = account.held.remove(&whose);
            let is_ours = held.is_some() || !account.is_revoked(&whose, issued);
            account.known.remove(&whose);
            account.revoked.insert(whose.clone(), entry.map_or(until, |entry| until.max(entry)));
            if holds && is_ours {
                let before = held.map_or(entry, |held| held.before);
                account.held.insert(whose.clone(), Held { name: name.clone(), before });
            } else {
                account.known.insert(whose.clone(), name.clone());
            }
        };
        let whose = key.to_owned();
        let is_done = move |account: &Account| {
            let is_stopped = account.revoked.get(&whose).is_some_and(|until| *until >= issued);
            is_stopped && (holds || !account.held.contains_key(&whose))
        };
        let mut own = self.change(own, edit, is_done).await?;
        let said = format!("revoked: JWTs that were issued to its key until {until}");
        own.end_sessions(key, user.sessions, &said).await
    }
}

/// A user that is to be made.
#[derive(Clone)]
struct Making {
    key: String,
    name: String,
    mark: String,
    ends: i64,
}

impl Making {
    /// Others of that name: one with another secret is another key.
    fn others<'a>(&'a self, account: &'a Account) -> impl Iterator<Item = (&'a String, &'a Made)> {
        account.made.iter().filter(|(other, made)| made.name == self.name && **other != self.key)
    }

    fn edit(&self, account: &mut Account, now: i64) {
        let others: Vec<_> = self.others(account).map(|(other, made)| (other.clone(), made.issued)).collect();
        for (other, issued) in others {
            let until = account.revoked.entry(other).or_insert(now);
            *until = (*until).max(issued);
        }
        // Whatever its key was refused for is of another JWT, which was issued before.
        let until = account.revoked.get(&self.key).copied().unwrap_or(i64::MIN);
        let issued = now.max(until.saturating_add(1));
        account.held.remove(&self.key);
        account.known.remove(&self.key);
        let made = Made { name: self.name.clone(), mark: self.mark.clone(), issued, ends: self.ends };
        account.made.insert(self.key.clone(), made);
    }

    fn is_done(&self, account: &Account) -> bool {
        let is_over = |(other, made): (&String, &Made)| account.is_revoked(other, made.issued);
        let stands = |made: &Made| made.ends == self.ends && !account.is_revoked(&self.key, made.issued);
        account.made.get(&self.key).is_some_and(stands) && self.others(account).all(is_over)
    }
}

fn check_key(key: &str) -> Result<(), ConnectorError> {
    let is_key = is_public(key, Owner::User);
    if is_key { Ok(()) } else { Err(misconfigured("the key is none: the public key of a user of NATS, U…")) }
}

/// The bytes of the key of a login that we make, and its public key.
fn made_key(account: &NewAccount<'_>) -> Result<(Vec<u8>, String), ConnectorError> {
    let seed = seed_of(account.name, account.secret);
    let pair = Pair::of_bytes(&seed, Owner::User);
    let public = pair.map(|pair| pair.public()).ok_or_else(|| misconfigured("no key can be made of the secret"))?;
    Ok((seed, public))
}

impl Connector for Nats {
    fn kind(&self) -> TargetKind {
        TargetKind::Nats
    }

    fn abilities(&self) -> &'static [Ability] {
        &[
            Ability::Discover,
            Ability::Provision,
            Ability::Hold,
            Ability::Revoke,
            Ability::Probe,
            Ability::CountSessions,
            Ability::EndSessions,
        ]
    }

    fn cannot(&self, what: Ability) -> &'static str {
        match what {
            Ability::Narrow => "what a user of NATS may do stands in its JWT",
            _ => "a user of NATS is its key: another key is another user",
        }
    }

    fn proof(&self) -> ProofWorth {
        ProofWorth::Refusal
    }

    fn rights(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Observe => include_str!("observe.sh"),
            // Canaries are users like any other.
            Mode::End | Mode::Issue => include_str!("end.sh"),
        }
    }

    fn blind_spots(&self) -> &'static [&'static str] {
        &[
            "users that aren't connected, weren't made here and weren't stopped",
            "servers that answered late, leaf nodes, and users of other accounts",
        ]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), ConnectorError> {
        names(&Place::of(endpoint, &FORM)?).map(|_| ())
    }

    fn whoami<'a>(&'a self, reach: &'a Reach<'a>) -> BoxFuture<'a, Result<Vec<String>, ConnectorError>> {
        asked(reach, async move {
            let mut own = self.open(reach).await?;
            let mut problems = Vec::new();
            let lookup = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", own.account);
            let question = json!({ ACCOUNT: own.account, "acc": own.account, "limit": 1 }).to_string();
            for (subject, question) in [(lookup.as_str(), ""), (ACCOUNTS, &question), (CONNECTIONS, &question)] {
                problems.extend(own.lacks(subject, question.as_bytes()).await?);
            }
            if reach.mode > Mode::Observe && problems.is_empty() {
                // No JWT, and no server.
                problems.extend(own.lacks(UPDATE, b"tenure").await?);
                problems.extend(own.lacks("$SYS.REQ.SERVER.tenure.KICK", b"{}").await?);
                let newest = own.newest().await?;
                problems.extend(verified(&newest, &own.operators).err());
                let account = own.read(&newest)?;
                if own.keys.operator.is_none() {
                    problems.push("its login holds no operator's seed, SO…".to_owned());
                }
                problems.extend(signing(&own.keys, &account, &own.account).err().map(|why| why.to_string()));
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
            let mut own = self.open(reach).await?;
            let account = own.account().await?;
            let users = own.users(&account, None).await?;
            let mut left = users.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
            let accounts: Vec<_> = left.by_ref().take(MAX_FOUND).map(|(key, user)| user.seen(key, &account)).collect();
            let next = left.next().and(accounts.last()).map(|last| last.key.clone());
            let mut found = Found { accounts, next, ..Found::default() };
            if after.is_none() && account.revoked.contains_key("*") {
                found.unseen.push("users that an entry for all of them stops".to_owned());
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
            check_key(key)?;
            let mut own = self.open(reach).await?;
            let account = own.account().await?;
            match own.users(&account, Some(key)).await?.get(key) {
                Some(user) => Ok(Some(user.seen(key, &account))),
                // It may have a JWT all the same.
                None => Err(ConnectorError::Unable("a user that isn't connected is told by nobody".to_owned())),
            }
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
            permissions(account.grants)?;
            let (_, key) = made_key(account)?;
            let mut own = self.open(reach).await?;
            let known = own.account().await?;
            signing(&own.keys, &known, &own.account)?;
            let users = own.users(&known, None).await?;
            let ours = |key: &str| known.made.get(key).is_some_and(|made| made.mark == account.mark);
            if users.iter().any(|(key, user)| user.name() == Some(account.name) && !ours(key)) {
                return Err(ConnectorError::Taken);
            }
            let ends = account.ends_at.as_secs();
            let made = Making { key: key.clone(), name: account.name.to_owned(), mark: account.mark.to_owned(), ends };
            let (now, done) = (self.now(), made.clone());
            let mut own = self.change(own, move |it| made.edit(it, now), move |it| done.is_done(it)).await?;
            let known = own.account().await?;
            let made = own.users(&known, Some(&key)).await?.get(&key).map(|user| user.seen(&key, &known));
            let made = made.ok_or_else(|| ConnectorError::Rejected("the user that was made isn't known".to_owned()))?;
            Ok(SeenAccount { grants: account.grants.to_vec(), ..made })
        })
    }

    /// The JWT that says who it is and what it may do, and the seed of its key: a `.creds` file.
    fn credential<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        account: &'a NewAccount<'a>,
    ) -> BoxFuture<'a, Result<Option<Secret<String>>, ConnectorError>> {
        asked(reach, async move {
            may_provision(reach, account)?;
            let (seed, key) = made_key(account)?;
            let mut own = self.open(reach).await?;
            let known = own.account().await?;
            let made = known.made.get(&key).filter(|made| made.mark == account.mark);
            let made = made.ok_or_else(|| ConnectorError::Rejected("it isn't made yet".to_owned()))?;
            let signing = signing(&own.keys, &known, &own.account)?;
            let issuer = (signing.public() != own.account).then(|| ("issuer_account", own.account.as_str().into()));
            let all = [("type", "user".into()), ("version", 2.into())];
            let all = all.into_iter().chain(["subs", "data", "payload"].map(|what| (what, (-1).into())));
            let nats = all.chain(issuer).chain(permissions(account.grants)?);
            let nats: Map<String, Value> = nats.map(|(name, value)| (name.to_owned(), value)).collect();
            let claims = [
                ("sub", key.into()),
                ("name", account.name.into()),
                ("exp", made.ends.into()),
                ("nats", Value::Object(nats)),
            ];
            let claims = claims.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            Ok(Some(creds(&signed(signing, claims, made.issued), &seed)))
        })
    }

    fn hold<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            self.stop(reach, key, true).await
        })
    }

    fn release<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<(), ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            let (own, account, _) = self.other(reach, key).await?;
            if !account.held.contains_key(key) {
                return Ok(());
            }
            let whose = key.to_owned();
            let edit = move |account: &mut Account| {
                let Some(Held { name, before }) = account.held.remove(&whose) else { return };
                match before {
                    Some(before) => account.revoked.insert(whose.clone(), before),
                    None => account.revoked.remove(&whose),
                };
                account.known.insert(whose.clone(), name);
            };
            let whose = key.to_owned();
            self.change(own, edit, move |account| !account.held.contains_key(&whose)).await.map(drop)
        })
    }

    fn revoke<'a>(&'a self, reach: &'a Reach<'a>, key: &'a str) -> BoxFuture<'a, Result<Ending, ConnectorError>> {
        asked(reach, async move {
            may_end(reach)?;
            self.stop(reach, key, false).await
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
            match Session::connect(&self.outbound, &place, || Keys::of(login.secret.expose())).await? {
                (Greeting::Accepted(_), _) => Ok(Probe::Accepted),
                (Greeting::Refused(words), _) => Ok(Probe::Refused { words }),
            }
        }))
    }
}
