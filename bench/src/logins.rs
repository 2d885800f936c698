//! Logins just in time beside OpenBao's database engine, on the same PostgreSQL in one run: how fast they are made, and how
//! soon all of them are gone, which OpenBao says, and Tenure proves by the refusal of each.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cpu::Group;
use crate::load::{Load, Measured};
use crate::openbao::OpenBao;
use crate::tenure::{Scale, Tenure};
use crate::tls::Certificates;
use xtask::postgres::{Durability, Postgres, Tls, tools};
use xtask::workspace::output;

/// Connections of the load, as of the figure of OpenBao's that is in PEERS.md.
pub const CONNECTIONS: usize = 16;
/// The superuser's password, which nobody else needs.
const PASSWORD: &str = "bench-superuser";
const PEER: &str = "openbao";
/// What each login is a member of. Were each granted the table itself, its row in the catalogue would be full at some
/// 2,400 of them: "row is too big" (PostgreSQL 15.18).
pub const GROUP: &str = "readers";
/// Logins that an identity may have at once are 32.
const EACH: usize = 30;
/// How long all of them may take to be made, or to be gone.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(50);

/// The server at which logins are made, durable and over TLS.
pub struct Site {
    postgres: Postgres,
    certificates: Certificates,
}

/// What was measured of one of them.
pub struct Figures {
    by: &'static str,
    made: Measured,
    /// How many were there to be ended, and how long that took.
    ended: (usize, Duration),
}

impl Site {
    /// Starts it on a data folder of its own below `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let certificates = Certificates::make(&folder.join("certificates"))?;
        let tls = Tls { certificate: certificates.path("server.pem"), key: certificates.path("server.key") };
        let postgres = Postgres::start_with_passwords(folder, Durability::Durable, &tls, PASSWORD).await?;
        let site = Self { postgres, certificates };
        site.run(&format!("CREATE TABLE orders (id int); CREATE ROLE {GROUP}; GRANT SELECT ON orders TO {GROUP}"))?;
        Ok(site)
    }

    /// Runs statements as the superuser.
    pub fn run(&self, sql: &str) -> Result<()> {
        let psql = tools().context("PostgreSQL is not installed: cargo xtask peers")?.join("psql");
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=require", self.postgres.port());
        let mut psql = Command::new(psql);
        output(psql.args(["--no-psqlrc", "--command", sql, &url]).env("PGPASSWORD", PASSWORD)).map(drop)
    }

    /// Stops it.
    pub async fn stop(self) -> Result<()> {
        self.postgres.stop().await
    }

    fn group(&self) -> Result<Group> {
        Ok(Group::Family(self.postgres.pid().context("PostgreSQL is not running")?))
    }

    /// Where OpenBao connects.
    pub fn connection_url(&self) -> String {
        format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=require",
            self.postgres.port()
        )
    }

    /// Who OpenBao connects as.
    pub fn login(&self) -> Value {
        json!({ "name": "postgres", "secret": PASSWORD })
    }

    /// Where Tenure's connector connects.
    pub fn endpoint(&self) -> Result<Value> {
        let ca = std::fs::read_to_string(self.certificates.path("ca.pem"))?;
        Ok(json!({ "url": format!("postgres://127.0.0.1:{}/postgres", self.postgres.port()), "ca": ca }))
    }
}

/// Measures the peer, if there is one, and then Tenure.
pub async fn measure(program: &Path, peer: Option<&Path>, folder: &Path, workloads: usize) -> Result<Vec<Figures>> {
    let site = Site::start(folder).await?;
    let mut figures = Vec::new();
    if let Some(peer) = peer {
        figures.push(of_peer(peer, folder, &site).await?);
    }
    for (by, iterations) in [("tenure", None), ("tenure, scram_iterations=1", Some("1"))] {
        let data = folder.join(format!("logins-{}", iterations.unwrap_or("usual")));
        let tenure = Tenure::start(program, &data, None, Scale { workloads: 0, tokens: 0 }).await?;
        let own = of_tenure(&tenure, &site, workloads, (by, iterations)).await;
        figures.push(own.with_context(|| tenure.log_tail())?);
        tenure.stop().await?;
    }
    site.stop().await?;
    Ok(figures)
}

async fn of_peer(program: &Path, folder: &Path, site: &Site) -> Result<Figures> {
    let server = OpenBao::start(program, folder).await?;
    let load = Load { connections: CONNECTIONS, warm_up: Duration::from_secs(1), measured: Duration::from_secs(8) };
    let made = server.database_login(site, load, site.group()?).await?;
    eprintln!("bench: {} logins were made by OpenBao, {:.0} a second; they are revoked", made.answers, made.rate());
    let ended = server.revoke_database_logins().await?;
    server.stop().await?;
    Ok(Figures { by: PEER, made, ended })
}

async fn of_tenure(
    tenure: &Tenure,
    site: &Site,
    workloads: usize,
    (by, iterations): (&'static str, Option<&str>),
) -> Result<Figures> {
    let mut endpoint = site.endpoint()?;
    if let (Some(iterations), Some(endpoint)) = (iterations, endpoint.as_object_mut()) {
        endpoint.insert("options".to_owned(), json!({ "scram_iterations": iterations }));
    }
    let users = tenure.login_users(&endpoint, &site.login(), workloads).await?;
    let load = Load { connections: CONNECTIONS, warm_up: Duration::ZERO, measured: PATIENCE };
    eprintln!("bench: {workloads} workloads ask for {EACH} logins each");
    let made = tenure.logins(&users, EACH, load, site.group()?).await?;
    eprintln!("bench: {} logins were made, {:.0} a second; they are cut", made.answers, made.rate());
    let begun = Instant::now();
    tenure.cut_logins(&users).await?;
    while tenure.has_logins(&users).await? {
        ensure!(begun.elapsed() < PATIENCE, "logins are there after {PATIENCE:?}");
        sleep(PAUSE).await;
    }
    let took = begun.elapsed();
    let (proved, others) = tenure.ended_logins(&users).await?;
    if let Some(login) = others.first() {
        bail!("{} logins were not refused beside another that was taken, e.g. {login}", others.len());
    }
    ensure!(proved >= made.answers, "{} logins were made, and the end of {proved} was proved", made.answers);
    Ok(Figures { by, made, ended: (proved, took) })
}

impl Figures {
    fn ended_rate(&self) -> f64 {
        self.ended.0 as f64 / self.ended.1.as_secs_f64()
    }
}

/// The table for people.
pub fn table(figures: &[Figures]) -> String {
    let mut text = format!(
        "{CONNECTIONS} connections, one PostgreSQL over TLS; all share this machine: compare only within one run\n\n| by | logins made/s | p50 | p99 | errors | ended/s | of |\n|---|---|---|---|---|---|---|\n"
    );
    for of in figures {
        let millis = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
        let (p50, p99) = (millis(of.made.latency.p50), millis(of.made.latency.p99));
        let (rate, errors, ended, count) = (of.made.rate(), of.made.errors, of.ended_rate(), of.ended.0);
        let _ = writeln!(text, "| {} | {rate:.0} | {p50} | {p99} | {errors} | {ended:.0} | {count} |", of.by);
        let _ = of.made.example.as_ref().map(|example| writeln!(text, "\none of the errors: {example}\n"));
    }
    let peer = figures.iter().find(|of| of.by == PEER);
    for (own, peer) in figures.iter().filter(|of| of.by != PEER).filter_map(|own| Some((own, peer?))) {
        let (made, ended) = (own.made.rate() / peer.made.rate(), own.ended_rate() / peer.ended_rate());
        let _ = writeln!(
            text,
            "\n{}: made {made:.2} times as fast, ended and proved {ended:.2} times as fast as ended there",
            own.by
        );
    }
    for of in figures {
        let (server, database) = (of.made.server_cpu, of.made.database_cpu.unwrap_or_default());
        let each = |seconds: f64| seconds * 1e3 / (of.made.answers.max(1) as f64);
        let generator = each(of.made.generator_cpu);
        let _ = writeln!(
            text,
            "{}: CPU of a login that is made: {:.2} ms there, {:.2} ms in the database, {generator:.2} ms in the generator",
            of.by,
            each(server),
            each(database)
        );
    }
    text
}

/// The same for machines.
pub fn json(figures: &[Figures]) -> Value {
    let rows = figures.iter().map(|of| {
        json!({
            "by": of.by, "made_per_second": of.made.rate(), "answers": of.made.answers, "errors": of.made.errors,
            "p50_us": of.made.latency.p50.as_micros() as u64, "p99_us": of.made.latency.p99.as_micros() as u64,
            "ended": of.ended.0, "ended_seconds": of.ended.1.as_secs_f64(),
        })
    });
    json!({ "logins": rows.collect::<Vec<_>>() })
}

/// Whether anything went wrong.
pub fn failed(figures: &[Figures]) -> bool {
    figures.iter().any(|of| of.made.errors > 0 || of.made.answers == 0)
}
