//! A server that took the connector's login: what it tells of the account, and what is changed there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_core::target::connector::{ConnectorError, Ending, words};

use super::account::{Account, User};
use super::jwt::{claims, signed, text, verified};
use super::key::{Owner, is_public};
use super::login::Keys;
use super::session::Session;
use super::{ACCOUNT, ACCOUNTS, CONNECTIONS, UPDATE};

/// Connections of a server that are asked for at once, and how often.
const PAGE: u64 = 1_024;
const PAGES: u64 = 100;
/// How often an account's JWT is pushed that others push meanwhile.
const PUSHES: usize = 5;
/// How long servers are waited for that have to heed a JWT, and connections that have to close.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSES: usize = 60;

/// A server that took the connector's login.
pub(super) struct Own {
    pub session: Session,
    pub keys: Keys,
    pub account: String,
    /// By whose keys the account's JWT may be signed.
    pub operators: Vec<String>,
}

/// An open connection: its server and its number there.
struct Connection {
    server: String,
    number: u64,
    user: String,
    jwt: Option<String>,
}

/// Whether servers heed what was pushed.
enum Heed {
    All,
    /// Others pushed meanwhile.
    Others,
    No,
}

/// Where no server answers, it isn't known that there is nothing.
fn silent() -> ConnectorError {
    ConnectorError::Unreachable("no server tells of its accounts and connections".to_owned())
}

impl Own {
    pub async fn newest(&mut self) -> Result<String, ConnectorError> {
        let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", self.account);
        let told = self.session.ask(&subject, b"", false).await?.pop();
        let told = told.ok_or_else(|| ConnectorError::Rejected("its servers have no account resolver".to_owned()))?;
        let told = String::from_utf8(told).unwrap_or_default();
        if told.is_empty() {
            return Err(ConnectorError::Rejected("its servers have no such account".to_owned()));
        }
        Ok(told)
    }

    pub fn read(&self, jwt: &str) -> Result<Account, ConnectorError> {
        let claims = claims(jwt).filter(|claims| text(claims, "/sub") == self.account);
        claims.map(Account::of).ok_or_else(|| ConnectorError::Unreachable("it told no JWT of the account".to_owned()))
    }

    /// What each server that has the account heeds: the JWT, and what it says.
    async fn in_force(&mut self) -> Result<Vec<(String, Account)>, ConnectorError> {
        let question = json!({ ACCOUNT: self.account });
        let answers = self.session.ask(ACCOUNTS, question.to_string().as_bytes(), true).await?;
        if answers.is_empty() {
            return Err(silent());
        }
        let told = answers.iter().filter_map(|answer| serde_json::from_slice::<Value>(answer).ok());
        // A server to which nobody of the account has connected doesn't know it yet.
        let told = told.filter_map(|told| Some(told.pointer("/data/account_detail/jwt")?.as_str()?.to_owned()));
        told.map(|jwt| Ok((jwt.clone(), self.read(&jwt)?))).collect()
    }

    /// The account as it is in force: what only some servers refuse is let in by others.
    pub async fn account(&mut self) -> Result<Account, ConnectorError> {
        let newest = self.newest().await?;
        let mut account = self.read(&newest)?;
        for (_, heeded) in self.in_force().await? {
            account.revoked = account
                .revoked
                .into_iter()
                .filter_map(|(key, at)| Some((key.clone(), at.min(*heeded.revoked.get(&key)?))))
                .collect();
        }
        Ok(account)
    }

    async fn connections(&mut self, user: Option<&str>) -> Result<Vec<Connection>, ConnectorError> {
        let mut connections = Vec::new();
        for page in 0..PAGES {
            // A user of no name is everybody.
            let user = user.unwrap_or_default();
            let offset = page * PAGE;
            let question = json!({ "acc": self.account, "auth": true, "user": user, "limit": PAGE, "offset": offset });
            let mut more = false;
            let answers = self.session.data(CONNECTIONS, &question, true).await?;
            if answers.is_empty() {
                return Err(silent());
            }
            for told in answers {
                // It stands in a subject later.
                let server = text(&told, "/server/id");
                if server.is_empty() || !server.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                    continue;
                }
                let total = told.pointer("/data/total").and_then(Value::as_u64).unwrap_or(0);
                more |= total > (page + 1) * PAGE;
                for it in told.pointer("/data/connections").and_then(Value::as_array).into_iter().flatten() {
                    let user = text(it, "/authorized_user");
                    let number = it.get("cid").and_then(Value::as_u64);
                    if let Some(number) = number.filter(|_| is_public(&user, Owner::User)) {
                        let jwt = it.get("jwt").and_then(Value::as_str).map(str::to_owned);
                        connections.push(Connection { server: server.clone(), number, user, jwt });
                    }
                }
            }
            if !more {
                return Ok(connections);
            }
        }
        Err(ConnectorError::Rejected(format!("a server has more than {} connections of the account", PAGES * PAGE)))
    }

    /// The users of whom anything is known: all, or one.
    pub async fn users(
        &mut self,
        account: &Account,
        one: Option<&str>,
    ) -> Result<BTreeMap<String, User>, ConnectorError> {
        let mut users: BTreeMap<String, User> = BTreeMap::new();
        for connection in self.connections(one).await? {
            users.entry(connection.user).or_default().connected(connection.jwt.as_deref(), account);
        }
        for (key, made) in &account.made {
            users.entry(key.clone()).or_default().made(made);
        }
        let held = account.held.iter().map(|(key, held)| (key, &held.name));
        for (key, name) in held.chain(&account.known) {
            users.entry(key.clone()).or_default().called(name);
        }
        for key in account.revoked.keys().filter(|key| is_public(key, Owner::User)) {
            users.entry(key.clone()).or_default();
        }
        users.retain(|key, _| one.is_none_or(|one| one == key));
        Ok(users)
    }

    /// Changes the account's JWT on what is there then, until every server heeds it.
    pub async fn change(
        &mut self,
        now: i64,
        edit: impl Fn(&mut Account),
        is_done: impl Fn(&Account) -> bool,
    ) -> Result<(), ConnectorError> {
        let lacks = || ConnectorError::Unable("the connector's login holds no operator's seed, SO…".to_owned());
        for _ in 0..PUSHES {
            let before = self.newest().await?;
            let claims = verified(&before, &self.operators).map_err(|why| ConnectorError::Rejected(words(&why)))?;
            let mut account = Account::of(claims);
            let mut pushed = before.clone();
            if !is_done(&account) {
                edit(&mut account);
                pushed = signed(self.keys.operator.as_ref().ok_or_else(lacks)?, account.written(now), now);
                self.push(&pushed).await?;
            }
            match self.heed(&pushed, &is_done).await? {
                Heed::All => return Ok(()),
                // On what they have.
                Heed::Others => {}
                Heed::No => return Err(self.take_back(&before, &pushed).await?),
            }
        }
        Err(ConnectorError::Rejected("others change the account's JWT all the time".to_owned()))
    }

    /// Waits until every server heeds the JWT that was pushed last.
    async fn heed(&mut self, pushed: &str, is_done: impl Fn(&Account) -> bool) -> Result<Heed, ConnectorError> {
        for _ in 0..PAUSES {
            if self.newest().await? != pushed {
                return Ok(Heed::Others);
            }
            if self.in_force().await?.iter().all(|(_, account)| is_done(account)) {
                return Ok(Heed::All);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Heed::No)
    }

    /// Has the servers keep a JWT again that they heed: what none does would refuse everybody once a server starts anew.
    /// That is the one from before the push, unless that one was never heeded either, as where a push was cut off.
    async fn take_back(&mut self, before: &str, pushed: &str) -> Result<ConnectorError, ConnectorError> {
        let heeded = self.in_force().await?.into_iter().filter(|(jwt, _)| jwt != pushed);
        let heeded =
            heeded.max_by_key(|(jwt, account)| (jwt == before, account.claims.get("iat").and_then(Value::as_i64)));
        let took = "it took the account's JWT and doesn't heed it: the operator's key is none that it trusts";
        let Some((heeded, _)) = heeded else {
            return Ok(ConnectorError::Rejected(format!("{took}, and it told no other one that could stand again")));
        };
        self.push(&heeded).await?;
        Ok(ConnectorError::Rejected(took.to_owned()))
    }

    async fn push(&mut self, jwt: &str) -> Result<(), ConnectorError> {
        let answers = self.session.ask(UPDATE, jwt.as_bytes(), true).await?;
        if answers.is_empty() {
            return Err(ConnectorError::Rejected("its servers have no account resolver that takes JWTs".to_owned()));
        }
        for answer in answers {
            let told: Value = serde_json::from_slice(&answer).unwrap_or(Value::Null);
            if told.pointer("/data/code").and_then(Value::as_u64) != Some(200) {
                return Err(ConnectorError::Rejected(words(&text(&told, "/error/description"))));
            }
        }
        Ok(())
    }

    /// Closes a user's connections: servers do as soon as they heed its entry, and are told where they don't.
    pub async fn end_sessions(&mut self, key: &str, before: u32, said: &str) -> Result<Ending, ConnectorError> {
        let mut left = self.connections(Some(key)).await?;
        for _ in 0..PAUSES {
            if left.is_empty() {
                break;
            }
            for Connection { server, number, .. } in &left {
                let subject = format!("$SYS.REQ.SERVER.{server}.KICK");
                self.session.data(&subject, &json!({ "cid": number }), false).await?;
            }
            tokio::time::sleep(PAUSE).await;
            left = self.connections(Some(key)).await?;
        }
        let left = u32::try_from(left.len()).unwrap_or(u32::MAX);
        Ok(Ending { words: words(said), sessions_ended: before.saturating_sub(left), sessions_left: Some(left) })
    }

    /// What of a right is missing, if it is.
    pub async fn lacks(&mut self, subject: &str, question: &[u8]) -> Result<Option<String>, ConnectorError> {
        match self.session.ask(subject, question, false).await {
            Err(ConnectorError::Rejected(said)) => Ok(Some(said)),
            answer => answer.map(|_| None),
        }
    }
}
