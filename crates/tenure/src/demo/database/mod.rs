//! A login that nobody owns, in a real server: found, answered for, stopped when its owner leaves and nobody takes it,
//! ended when nobody does for long, and refused there, in the server's own words.

mod postgresql;
mod redis;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tenure_core::base::entropy::Entropy as _;
use tenure_credentials::entropy::OsEntropy;
use tokio::net::TcpListener;

use self::postgresql::Postgres;
use self::redis::Redis;
use super::files;
use super::organisation::Organisation;
use super::page::{Ink, exchange, say, step};
use super::wire::Answer;

/// The login that people made once, and the name of the connector's own.
const LOGIN: &str = "billing_ro";
const CONNECTOR: &str = "tenure";
/// How often a server that starts is asked whether it does, and how long is waited in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(30);

/// A real server of the demo's own.
enum Database {
    Postgres(Postgres),
    Redis(Redis),
}

/// What a server said to whoever signed in with the login.
struct Answered {
    takes: bool,
    /// Whether it is the server itself that refused.
    is_refusal: bool,
    words: String,
}

impl Database {
    /// Starts whichever is installed; says what stands in, or that none is.
    async fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        match Postgres::start(folder).await {
            Ok(Some(postgres)) => return Ok(Some(Self::Postgres(postgres))),
            Ok(None) => say!("    No PostgreSQL is installed here (Debian: apt install postgresql).")?,
            Err(error) => say!("    The PostgreSQL that is installed here doesn't start: {error:#}.")?,
        }
        match Redis::start(folder).await? {
            Some(redis) => {
                say!("    A Redis stands in for it.")?;
                Ok(Some(Self::Redis(redis)))
            }
            None => {
                say!("    No redis-server is, either: this is left out.")?;
                Ok(None)
            }
        }
    }

    fn registration(&self) -> (&'static str, Value, &str) {
        match self {
            Self::Postgres(postgres) => ("postgresql", postgres.endpoint(), postgres.connector()),
            Self::Redis(redis) => ("redis", redis.endpoint(), redis.connector()),
        }
    }

    /// Signs in with the login, as whatever has its secret does, and shows what comes of it in the server's own words.
    async fn asked_aloud(&self, takes: bool) -> anyhow::Result<()> {
        let (client, answered) = match self {
            Self::Postgres(postgres) => ("psql", postgres.asked().await?),
            Self::Redis(redis) => ("a client", redis.asked().await?),
        };
        let (ink, ended) = if answered.takes { (Ink::Green, "taken") } else { (Ink::Red, "refused") };
        exchange(&format!("{client} signs in as {LOGIN}"), ink, ended, "")?;
        ensure!(answered.takes == takes, "the database says otherwise: {}", answered.words);
        if !takes {
            ensure!(answered.is_refusal, "it is not the database that refuses: {}", answered.words);
            say!("      {}", answered.words)?;
        }
        Ok(())
    }
}

/// The login, as Tenure knows it, with its server.
pub struct Login {
    database: Database,
    target: String,
    account: String,
    identity: String,
}

/// The login is found, claimed by whom a comment beside it names, and approved as what it may do; none where no server
/// is installed.
pub async fn found(harbour: &mut Organisation, folder: &Path) -> anyhow::Result<Option<Login>> {
    step(
        11,
        "A login that nobody owns is found in a database, and gets an owner and an end",
        "A real PostgreSQL, with a login that people made once. What is found there is nobody's until somebody claims it.",
    )?;
    let Some(database) = Database::start(folder).await? else {
        return Ok(None);
    };
    let target = registered(harbour, &database).await?;
    let sam = harbour.person("sam")?;
    let path = format!("/v1/accounts?name={LOGIN}");
    let is_there = |answer: &Answer| answer.items().next().is_some();
    let found = harbour.until_aloud("the first look through the database", &sam.token, &path, is_there).await?;
    let (account, identity) = (found.text("/items/0/id")?, found.text("/items/0/identity")?);
    harbour.wire.call(&account, LOGIN);
    let suggest = format!("/v1/accounts/{account}/suggestions");
    let parts = ["/items/0/owner", "/items/0/strength"];
    let suggested = harbour.wire.aloud(sam.speaks(), Method::GET, &suggest, None, &parts).await?;
    ensure!(suggested.status == 200, "nobody is suggested: {}", suggested.body);
    let lea = &harbour.person("lea")?.id;
    let ask = json!({"name_prefix": LOGIN, "owner": lea, "reason": "the report is hers"});
    let path = format!("{target}/propose");
    let proposed = harbour.wire.aloud(sam.speaks(), Method::POST, &path, Some(&ask), &["/accounts/0/name"]).await?;
    ensure!(proposed.status == 200, "it was proposed to nobody: {}", proposed.body);

    let (lea, max) = (harbour.person("lea")?, harbour.person("max")?);
    let claim = harbour.places.fill(files::BILLING_REPORT, harbour.now, None)?;
    let path = format!("/v1/identities/{identity}");
    let parts = ["/state", "/charter/owner", "/charter/account_grants/0/grants"];
    let claimed =
        harbour.wire.aloud(lea.speaks(), Method::POST, &format!("{path}/claim"), Some(&claim), &parts).await?;
    ensure!(claimed.status == 200, "it was not claimed: {}", claimed.body);
    let submitted = harbour.wire.post(&lea.token, &format!("{path}/submit"), json!({})).await?;
    let done = harbour.vote_aloud(max, &submitted.text("/request")?, 200, &["/state"]).await?;
    ensure!(done.text("/state")? == "fulfilled", "the manager's vote did not settle it: {}", done.body);
    database.asked_aloud(true).await?;
    harbour.places.ids.insert(format!("identity:{LOGIN}"), identity.clone());
    Ok(Some(Login { database, target, account: format!("/v1/accounts/{account}"), identity }))
}

/// The database is a target by two administrators, with a login of its connector's own: where that is.
async fn registered(harbour: &Organisation, database: &Database) -> anyhow::Result<String> {
    let (ada, bea) = (harbour.person("ada")?, harbour.person("bea")?);
    let (kind, endpoint, secret) = database.registration();
    let body = json!({
        "name": "reports-db", "kind": kind, "mode": "end", "environment": "production",
        "owner": harbour.person("mia")?.id, "identity": harbour.places.id("identity:orders-gateway")?,
        "endpoint": endpoint,
    });
    let proposed = harbour.wire.aloud(ada.speaks(), Method::POST, "/v1/targets", Some(&body), &["/state"]).await?;
    ensure!(proposed.text("/state")? == "proposed", "one administrator was enough: {}", proposed.body);
    let target = format!("/v1/targets/{}", proposed.text("/id")?);
    let confirm = format!("{target}/confirm");
    let confirmed = harbour.wire.aloud(bea.speaks(), Method::POST, &confirm, None, &["/state"]).await?;
    ensure!(confirmed.text("/state")? == "active", "the target is not confirmed: {}", confirmed.body);
    harbour.wire.post(&ada.token, &format!("{target}/login"), json!({"name": CONNECTOR, "secret": secret})).await?;
    Ok(target)
}

impl Login {
    /// The login's name, by which its identity is known in the story.
    pub const NAME: &'static str = LOGIN;

    /// Its identity is suspended, since its owner left and nobody took it: the login is stopped there.
    pub async fn stopped(&self, harbour: &Organisation) -> anyhow::Result<()> {
        self.until(harbour, "held", "the login to be stopped there").await?;
        self.database.asked_aloud(false).await
    }

    /// Nobody took it for long: its identity is retired, and the login is there no more.
    pub async fn ended(self, harbour: &mut Organisation) -> anyhow::Result<()> {
        self.until(harbour, "ended", "the end of the login there").await?;
        self.database.asked_aloud(false).await?;
        let sam = harbour.person("sam")?;
        let path = format!("/v1/identities/{}", self.identity);
        let retired = |answer: &Answer| answer.at("/state") == &json!("retired");
        harbour.until(&sam.token, &path, retired).await?;
        let path = format!("/v1/receipts?target=identity/{}", self.identity);
        let receipts = harbour.wire.get(&sam.token, &path).await?;
        let of_end = receipts.items().find(|receipt| receipt.get("what") == Some(&json!("revocation")));
        let id = of_end.and_then(|receipt| receipt.get("id")).and_then(Value::as_str);
        let path = format!("/v1/receipts/{}", id.context("its end has no receipt")?);
        let receipt = harbour.until(&sam.token, &path, |answer| answer.at("/signed").is_string()).await?;
        ensure!(receipt.text("/state")? == "ended_read_back", "its end is not shown: {}", receipt.body);
        say!("    its receipt says ended_read_back: the database's catalogue has it no more, and no session of it")?;
        let over = json!({"reason": "the story goes on without it"});
        harbour.wire.post(&harbour.person("ada")?.token, &format!("{}/remove", self.target), over).await?;
        harbour.forget(&[LOGIN.to_owned()]);
        Ok(())
    }

    async fn until(&self, harbour: &Organisation, state: &str, what: &str) -> anyhow::Result<()> {
        let is_so = |answer: &Answer| answer.at("/state") == &json!(state);
        let token = &harbour.person("sam")?.token;
        harbour.until_aloud(what, token, &self.account, is_so).await.map(drop)
    }
}

async fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await.context("no port of this machine is free")?.local_addr()?.port())
}

fn drawn() -> String {
    let mut random = [0u8; 16];
    OsEntropy.fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
