//! The first look through a target that has very many accounts: how long it takes until each of them is in the inventory,
//! with an identity of its own, and how much memory the server takes for it.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::http::Api;
use crate::logins::Site;
use crate::openbao::OpenBao;
use crate::tenure::{Scale, Tenure};

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(1_200);
const PAUSE: Duration = Duration::from_millis(100);
/// Roles that are made in one transaction.
const BATCH: usize = 5_000;
/// Connections by which tokens are made.
const CONNECTIONS: usize = 16;

/// What was measured at one target.
pub struct Figures {
    at: &'static str,
    seen: u64,
    took: Duration,
    /// Anonymous memory before it began, and the most of it meanwhile, in MiB.
    resident: (u64, u64),
}

/// Measures a look through so many roles of a PostgreSQL, and through so many tokens of an OpenBao if there is one.
pub async fn measure(program: &Path, peer: Option<&Path>, folder: &Path, count: usize) -> Result<Vec<Figures>> {
    let mut figures = Vec::new();
    let site = Site::start(folder).await?;
    eprintln!("bench: {count} roles are made");
    for first in (0..count).step_by(BATCH) {
        let last = (first + BATCH).min(count) - 1;
        site.run(&format!(
            "DO $$ BEGIN FOR n IN {first}..{last} LOOP
               EXECUTE format('CREATE ROLE %I LOGIN', 'service_' || n);
             END LOOP; END $$"
        ))?;
    }
    site.run("VACUUM ANALYZE")?;
    let look = Look { program, folder, name: "roles", count };
    figures.push(look.through(("postgresql", "PostgreSQL"), &site.endpoint()?, &site.login()).await?);
    site.stop().await?;
    if let Some(peer) = peer {
        let server = OpenBao::start(peer, folder).await?;
        eprintln!("bench: {count} tokens are made");
        server.tokens(count, CONNECTIONS).await?;
        let (endpoint, login) = server.target()?;
        let look = Look { name: "tokens", ..look };
        figures.push(look.through(("openbao", "OpenBao"), &endpoint, &login).await?);
        server.stop().await?;
    }
    Ok(figures)
}

struct Look<'a> {
    program: &'a Path,
    folder: &'a Path,
    name: &'a str,
    count: usize,
}

impl Look<'_> {
    async fn through(&self, (kind, at): (&str, &'static str), endpoint: &Value, login: &Value) -> Result<Figures> {
        let data = self.folder.join(format!("look-{}", self.name));
        let tenure = Tenure::start(self.program, &data, None, Scale { workloads: 0, tokens: 0 }).await?;
        let figures = self.figures(&tenure, (kind, at), endpoint, login).await;
        let figures = figures.with_context(|| tenure.log_tail())?;
        tenure.stop().await?;
        Ok(figures)
    }

    async fn figures(
        &self,
        tenure: &Tenure,
        (kind, at): (&str, &'static str),
        endpoint: &Value,
        login: &Value,
    ) -> Result<Figures> {
        let second: Api = tenure.second().await?;
        let before = tenure.resident();
        let begun = Instant::now();
        let target = tenure.target(&second, (kind, "observe"), endpoint, login).await?;
        let mut most = before;
        let scanned = loop {
            most = most.max(tenure.resident());
            if let Some(scanned) = tenure.scanned(&target).await? {
                break scanned;
            }
            ensure!(begun.elapsed() < PATIENCE, "{at} isn't looked through after {PATIENCE:?}");
            sleep(PAUSE).await;
        };
        let took = begun.elapsed();
        let seen = scanned.get("seen").and_then(Value::as_u64).context("the look says not how many it saw")?;
        ensure!(seen as usize >= self.count, "{seen} of {} accounts at {at} were seen", self.count);
        eprintln!("bench: {seen} accounts at {at} in {:.1} s", took.as_secs_f64());
        Ok(Figures { at, seen, took, resident: (before, most) })
    }
}

/// The table for people.
pub fn table(figures: &[Figures]) -> String {
    let mut text = "| at | accounts | until all are in the inventory | a second | RssAnon before, at most |\n|---|---|---|---|---|\n".to_owned();
    for Figures { at, seen, took, resident: (before, most) } in figures {
        let (seconds, rate) = (took.as_secs_f64(), *seen as f64 / took.as_secs_f64());
        let _ = writeln!(text, "| {at} | {seen} | {seconds:.1} s | {rate:.0} | {before} MiB, {most} MiB |");
    }
    text
}

/// The same for machines.
pub fn json(figures: &[Figures]) -> Value {
    let rows = figures.iter().map(|of| {
        json!({
            "at": of.at, "accounts": of.seen, "seconds": of.took.as_secs_f64(),
            "rss_anon_mib": { "before": of.resident.0, "most": of.resident.1 },
        })
    });
    json!({ "discovery": rows.collect::<Vec<_>>() })
}
