//! A burst of signed webhooks: how fast they are durable, how soon they are worked off, and that none is lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cpu::Group;
use crate::http::{Api, request, text};
use crate::load::{Load, Measured, Operation, run};

/// Repositories that the webhooks tell of.
const REPOSITORIES: usize = 100;
/// More than any burst sends in a minute: what is measured is not the limit.
const RATE: u32 = 60_000;
/// The most signals that a page of the list has.
const PAGE: usize = 200;
/// How long the working off may take.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(100);

/// A burst that came through whole.
pub struct Burst {
    /// The deliveries: all of them, from the first that was sent to the last that was acknowledged.
    pub measured: Measured,
    /// From the last acknowledgement until none waited any more.
    pub drained: Duration,
}

/// Sends so many distinct webhooks as fast as they are taken, waits until all are worked off, and holds the record
/// against what was acknowledged.
pub async fn burst(
    api: &Api,
    owner: &str,
    count: usize,
    connections: usize,
    server: Group,
    database: Option<Group>,
) -> Result<Burst> {
    let ask = json!({
        "name": "bench-ci", "format": "github", "owner": owner, "kinds": ["run_ended"], "subjects": ["repository:bench/*"],
        "rate_per_minute": RATE, "auth": { "type": "hmac" },
    });
    let source = api.call("POST", "/v1/sources", &ask).await?;
    ensure!(text(&source, "/state")? == "active", "the source waits for somebody: {source}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, text(&source, "/secret")?.as_bytes());
    let requests: Vec<Vec<u8>> = (0..count).map(|run| delivery(api, &key, run)).collect();
    let operation = Operation {
        address: api.address,
        request: &|n| requests.get(n).map(Vec::as_slice),
        expected: "\"duplicate\":false",
        server,
        database,
    };
    let load = Load { connections, warm_up: Duration::ZERO, measured: PATIENCE };
    let measured = run(load, &operation).await?;
    let acknowledged = Instant::now();
    let source = text(&source, "/id")?;
    while !page(api, &format!("source={source}&state=received&limit=1")).await?.0.is_empty() {
        ensure!(acknowledged.elapsed() < PATIENCE, "signals wait for more than {PATIENCE:?}");
        sleep(PAUSE).await;
    }
    let drained = acknowledged.elapsed();
    let recorded = recorded(api, source).await?;
    let distinct: BTreeSet<&String> = recorded.iter().collect();
    if distinct.len() != recorded.len() || distinct.len() < measured.answers || distinct.len() > count {
        let (all, distinct) = (recorded.len(), distinct.len());
        bail!("{} were acknowledged, but {all} are recorded, {distinct} of them distinct", measured.answers);
    }
    Ok(Burst { measured, drained })
}

/// The end of a run as GitHub tells of it, signed.
fn delivery(api: &Api, key: &hmac::Key, run: usize) -> Vec<u8> {
    let repository = run % REPOSITORIES;
    let body = json!({
        "action": "completed",
        "workflow_run": {
            "id": run, "name": "build", "path": ".github/workflows/build.yml", "run_number": run, "run_attempt": 1, "event": "push", "status": "completed",
            "conclusion": "success", "head_branch": "main", "head_sha": "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "updated_at": "2026-11-22T06:00:00Z",
        },
        "workflow": { "id": 1, "name": "build", "path": ".github/workflows/build.yml", "state": "active" },
        "repository": {
            "id": repository, "name": format!("r{repository}"), "full_name": format!("bench/r{repository}"), "private": true, "default_branch": "main",
            "owner": { "login": "bench", "id": 1, "type": "Organization" },
        },
        "sender": { "login": "bench", "id": 1, "type": "User" },
    })
    .to_string();
    let hex: String = hmac::sign(key, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [
        "content-type: application/json",
        "x-github-event: workflow_run",
        &format!("x-hub-signature-256: sha256={hex}"),
    ];
    request("POST", "/signals/bench-ci", api.address, &headers, body.as_bytes())
}

/// The run of each signal of the source.
async fn recorded(api: &Api, source: &str) -> Result<Vec<String>> {
    let mut runs = Vec::new();
    let mut after = String::new();
    loop {
        let (items, next) = page(api, &format!("source={source}&limit={PAGE}{after}")).await?;
        for item in &items {
            runs.push(text(item, "/word/facts/run_id")?.to_owned());
        }
        let Some(next) = next else { return Ok(runs) };
        after = format!("&after={next}");
    }
}

async fn page(api: &Api, query: &str) -> Result<(Vec<Value>, Option<String>)> {
    let page = api.call("GET", &format!("/v1/signals?{query}"), &Value::Null).await?;
    let items = page.get("items").and_then(Value::as_array).context("the list of signals has no items")?;
    Ok((items.clone(), page.get("next").and_then(Value::as_str).map(str::to_owned)))
}
