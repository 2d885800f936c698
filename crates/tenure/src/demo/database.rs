//! A login that nobody owns, in a real server: found, answered for, ended with its identity, and refused there.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tenure_core::base::entropy::Entropy as _;
use tenure_credentials::entropy::OsEntropy;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

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

/// A login of a Redis is found, claimed and approved, works, and is refused once its identity is retired.
pub async fn login(harbour: &Organisation, folder: &Path) -> anyhow::Result<()> {
    step(
        17,
        "A login that nobody owns is found in a database, gets an owner and an end, and ends",
        "A real Redis, with a login that people made once. The database itself says in the end that it is refused.",
    )?;
    let Some(redis) = Redis::start(folder).await? else {
        say!("    Left out: no redis-server is installed here (Debian: apt install redis-server).")?;
        return Ok(());
    };
    let (ada, bea, olu, max, sam) = (
        harbour.person("ada")?,
        harbour.person("bea")?,
        harbour.person("olu")?,
        harbour.person("max")?,
        harbour.person("sam")?,
    );
    let body = json!({
        "name": "cart-cache", "kind": "redis", "mode": "end", "environment": "production", "owner": olu.id,
        "identity": harbour.places.id("identity:orders-gateway")?,
        "endpoint": {"url": format!("redis://127.0.0.1:{}", redis.port), "plaintext": true},
    });
    let proposed = harbour.wire.aloud(ada.speaks(), Method::POST, "/v1/targets", Some(&body), &["/state"]).await?;
    ensure!(proposed.text("/state")? == "proposed", "one administrator was enough: {}", proposed.body);
    let target = format!("/v1/targets/{}", proposed.text("/id")?);
    let confirm = format!("{target}/confirm");
    let confirmed = harbour.wire.aloud(bea.speaks(), Method::POST, &confirm, None, &["/state"]).await?;
    ensure!(confirmed.text("/state")? == "active", "the target is not confirmed: {}", confirmed.body);
    let own = json!({"name": CONNECTOR, "secret": redis.connector});
    harbour.wire.post(&ada.token, &format!("{target}/login"), own).await?;

    let path = format!("/v1/accounts?name={LOGIN}");
    let is_there = |answer: &Answer| answer.items().next().is_some();
    let found = harbour.until_aloud("the first look through the database", &sam.token, &path, is_there).await?;
    let (account, identity) = (found.text("/items/0/id")?, found.text("/items/0/identity")?);
    harbour.wire.call(&account, LOGIN);
    let suggest = format!("/v1/accounts/{account}/suggestions");
    let parts = ["/items/0/owner", "/items/0/strength"];
    let suggested = harbour.wire.aloud(sam.speaks(), Method::GET, &suggest, None, &parts).await?;
    ensure!(suggested.status == 200, "nobody is suggested: {}", suggested.body);

    let mut charter = harbour.places.fill(files::INVOICE_EXPORTER, harbour.now, None)?;
    let mut charter = charter.get_mut("charter").map(Value::take).context("the file has no charter")?;
    if let Some(charter) = charter.as_object_mut() {
        charter.insert("workload_binding".into(), json!({"type": "account", "workload": "cron/billing"}));
        // The application billing is cut afterwards, and its receipt is about what lives.
        charter.insert("application".into(), json!(harbour.places.id("application:shop")?));
    }
    let claim = json!({"kind": "workload", "charter": charter});
    let path = format!("/v1/identities/{identity}");
    let parts = ["/state", "/charter/owner", "/charter/account_grants/0/grants"];
    let claimed =
        harbour.wire.aloud(olu.speaks(), Method::POST, &format!("{path}/claim"), Some(&claim), &parts).await?;
    ensure!(claimed.status == 200, "it was not claimed: {}", claimed.body);
    let submitted = harbour.wire.post(&olu.token, &format!("{path}/submit"), json!({})).await?;
    let request = submitted.text("/request")?;
    let done = harbour.vote_aloud(max, &request, 200, &["/state"]).await?;
    ensure!(done.text("/state")? == "fulfilled", "the manager's vote did not settle it: {}", done.body);
    ensure!(redis.asked().await? == "OK", "the database doesn't take it");
    exchange(&format!("{LOGIN} signs in at the database"), Ink::Green, "OK", "")?;

    let over = json!({"reason": "the export runs elsewhere now"});
    let parts = ["/state"];
    harbour.wire.aloud(olu.speaks(), Method::POST, &format!("{path}/retire"), Some(&over), &parts).await?;
    let account = format!("/v1/accounts/{account}");
    let is_ended = |answer: &Answer| answer.at("/state") == &json!("ended");
    harbour.until_aloud("the end of the login there", &sam.token, &account, is_ended).await?;
    let refused = redis.asked().await?;
    ensure!(refused.starts_with("WRONGPASS"), "the database still takes it: {refused}");
    exchange(&format!("{LOGIN} signs in at the database"), Ink::Red, "refused", &refused)?;
    let over = json!({"reason": "the story goes on without it"});
    harbour.wire.post(&ada.token, &format!("{target}/remove"), over).await?;
    Ok(())
}

/// A Redis of the demo's own, which goes with it.
struct Redis {
    child: Child,
    port: u16,
    connector: String,
    secret: String,
}

impl Redis {
    /// Starts one; none if there is none to start.
    async fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        let port = TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port();
        let (connector, secret) = (drawn(), drawn());
        let users = [format!("{CONNECTOR} on >{connector} ~* &* +@all"), format!("{LOGIN} on >{secret} ~* +@read")];
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(folder);
        for user in &users {
            command.arg("--user").args(user.split(' '));
        }
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("redis-server can't be started"),
        };
        let redis = Self { child, port, connector, secret };
        for _ in 0..TRIES {
            if redis.asked().await.is_ok_and(|said| said == "OK") {
                return Ok(Some(redis));
            }
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::bail!("the Redis of the demo doesn't begin to serve")
    }

    /// What it says to whoever signs in with the login.
    async fn asked(&self) -> anyhow::Result<String> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await?);
        stream.write_all(format!("AUTH {LOGIN} {}\r\n", self.secret).as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        Ok(line.trim().trim_start_matches(['+', '-']).to_owned())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::warn!(%error, "the demo's Redis can't be stopped");
        }
    }
}

fn drawn() -> String {
    let mut random = [0u8; 16];
    OsEntropy.fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
