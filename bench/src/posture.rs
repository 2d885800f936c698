//! Reviews and posture over a deployment with a history: how soon a campaign is open, how long its reviewer's pages take,
//! how long the nightly look over everything takes and what it costs those who are issued credentials meanwhile, and how
//! soon a right size is replayed against what was decided.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::time::sleep;
use xtask::process::{Server, free_port};

use crate::http::{Api, Connection, text};
use crate::inventory::{Asked, Issuer, ask, fetch, indexed, issuers, post, settled, token_request};
use crate::load::Load;
use crate::stats::{Latencies, Summary};
use crate::tenure::{Launch, Scale, Tenure, Work};

/// How often each page is asked for.
const VIEWS: usize = 200;
/// For how long credentials are issued with nothing beside.
const ALONE: Duration = Duration::from_secs(20);
/// How often it is looked whether something is done.
const LOOK: Duration = Duration::from_millis(50);
/// What the server's log says when it has looked over everything.
const LOOKED_OVER: &str = "everything was looked over";
/// The size of the campaign that is wanted.
const ITEMS: u64 = 50_000;
/// Decisions that a right size is replayed against.
const DECISIONS: usize = 100_000;

/// What is measured of posture.
struct Figures {
    identities: u64,
    nightly: Duration,
    beside: Summary,
    alone: Summary,
    scope: String,
    items: u64,
    opened: Duration,
    pages: Vec<(&'static str, Summary)>,
    decisions: usize,
    replay: Summary,
}

/// Measures, and returns the table and its JSON.
pub async fn measure(asked: &Asked<'_>, folder: &Path) -> Result<(String, Value)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let launch = asked.launch();
    let admin = asked.administrator(address)?;
    // What there is to do after the first start, the indexes and what the first look finds, is no matter of each night.
    let server = started(&launch, address).await?;
    let identities = indexed(&admin).await?;
    looked_over(&launch, asked.patience).await?;
    settled(&server, asked.patience).await;
    server.stop(rustix::process::Signal::TERM).await?;
    eprintln!("bench: {identities} identities; the nightly look");
    let server = started(&launch, address).await?;
    let (nightly, beside, alone) = nightly(asked, &admin, &launch).await?;
    settled(&server, asked.patience).await;
    eprintln!("bench: a campaign");
    let (scope, items) = scope_of(&admin).await?;
    let (id, opened) = open(&admin, &scope).await?;
    let pages = reviewers_pages(&admin, &id).await?;
    server.stop(rustix::process::Signal::TERM).await?;
    eprintln!("bench: a right size");
    let (decisions, replay) = replayed(asked.program, folder).await?;
    let figures = Figures { identities, nightly, beside, alone, scope, items, opened, pages, decisions, replay };
    Ok((figures.table(), figures.json()))
}

async fn started(launch: &Launch, address: SocketAddr) -> Result<Server> {
    let mut server = launch.server(address, None)?;
    server.until(async || crate::answers(address, None, "/readyz").await).await?;
    Ok(server)
}

/// Waits until the server has looked over everything since its start: its log begins with it.
async fn looked_over(launch: &Launch, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        let log = std::fs::read_to_string(launch.data.join("server.log")).unwrap_or_default();
        if log.contains(LOOKED_OVER) {
            return Ok(());
        }
        sleep(LOOK).await;
    }
    bail!("it has not looked over everything within {} s", patience.as_secs())
}

/// How long the look takes that follows a start, and what issuance takes beside it and alone.
async fn nightly(asked: &Asked<'_>, admin: &Api, launch: &Launch) -> Result<(Duration, Summary, Summary)> {
    let begun = Instant::now();
    let issuers = issuers(admin, asked.data, asked.public_url).await?;
    let stop = Cell::new(false);
    let looking = async {
        looked_over(launch, asked.patience).await?;
        stop.set(true);
        anyhow::Ok(begun.elapsed())
    };
    let (took, beside) = tokio::try_join!(looking, issue(admin.address, asked.public_url, &issuers, &stop))?;
    let stop = Cell::new(false);
    let resting = async {
        sleep(ALONE).await;
        stop.set(true);
        anyhow::Ok(())
    };
    let ((), alone) = tokio::try_join!(resting, issue(admin.address, asked.public_url, &issuers, &stop))?;
    Ok((took, beside, alone))
}

/// Issues credentials to one after the other until it is stopped.
async fn issue(address: SocketAddr, public_url: &str, issuers: &[Issuer], stop: &Cell<bool>) -> Result<Summary> {
    let latencies = RefCell::new(Latencies::default());
    let mut connection = Connection::open(address).await?;
    for issuer in issuers.iter().cycle() {
        if stop.get() {
            break;
        }
        let request = token_request(address, public_url, issuer)?;
        let begun = Instant::now();
        let reply = connection.exchange(&request).await?;
        latencies.borrow_mut().add(begun.elapsed());
        if !reply.is_success() {
            bail!("an issuance was answered {}", reply.summary());
        }
        if !connection.is_reusable() {
            connection = Connection::open(address).await?;
        }
    }
    Ok(latencies.into_inner().finish())
}

/// Which query of the inventory finds as many as are wanted, about.
async fn scope_of(admin: &Api) -> Result<(String, u64)> {
    let mut best: Option<(String, u64)> = None;
    for kind in ["workload", "pipeline", "service_account", "ai_agent", "device", "bot"] {
        for environment in ["production", "staging", "development"] {
            for tier in ["", "&tier=high", "&tier=medium", "&tier=low"] {
                let scope = format!("kind={kind}&environment={environment}{tier}");
                let ask = json!({ "name": "measured", "scope": scope, "reason": "measured", "dry_run": true });
                // Of what no identity is there is no campaign.
                let Ok(view) = post(admin, "/v1/campaigns", &ask).await else { continue };
                let count = view.get("in_scope").and_then(Value::as_u64).unwrap_or_default();
                if best.as_ref().is_none_or(|(_, best)| count.abs_diff(ITEMS) < best.abs_diff(ITEMS)) {
                    best = Some((scope, count));
                }
            }
        }
    }
    best.context("no scope finds anything")
}

/// Opens a campaign; its id, and how long it took until each of its reviews was open.
async fn open(admin: &Api, scope: &str) -> Result<(String, Duration)> {
    let ask = json!({ "name": "measured", "scope": scope, "reason": "measured" });
    let begun = Instant::now();
    let id = text(&post(admin, "/v1/campaigns", &ask).await?, "/id")?.to_owned();
    let path = format!("/v1/campaigns/{id}");
    while text(&fetch(admin, &path).await?, "/state")? == "opening" {
        sleep(LOOK).await;
    }
    Ok((id, begun.elapsed()))
}

/// The pages of one whom the campaign asks.
async fn reviewers_pages(admin: &Api, campaign: &str) -> Result<Vec<(&'static str, Summary)>> {
    let open = fetch(admin, &format!("/v1/reviews?state=open&campaign={campaign}&limit=200")).await?;
    let items = open.get("items").and_then(Value::as_array).context("a list has no items")?;
    let reviewer = items.iter().find_map(|item| item.get("reviewer")?.as_str()).context("nobody is asked")?;
    let made = post(admin, &format!("/v1/people/{reviewer}/operator-tokens"), &json!({})).await?;
    let token = text(&made, "/operator_token")?;
    let api = Api { authorization: Some(format!("authorization: Bearer {token}")), ..*admin };
    let theirs = fetch(&api, &format!("/v1/reviews?state=open&reviewer={reviewer}&limit=200")).await?;
    let ids: Vec<&str> = theirs
        .get("items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("id")?.as_str())
        .collect();
    let mut pages = Vec::new();
    let again = |path: String| vec![path; VIEWS];
    let each = |before: &str| ids.iter().cycle().take(VIEWS).map(|id| format!("{before}{id}")).collect::<Vec<_>>();
    for (name, paths) in [
        ("the reviewer's list, by the API", again(format!("/v1/reviews?state=open&reviewer={reviewer}"))),
        ("the reviewer's list, a page", again(format!("/reviews?state=open&reviewer={reviewer}"))),
        ("a review, by the API", each("/v1/reviews/")),
        ("a review, a page", each("/reviews/")),
        ("the campaign, by the API", again(format!("/v1/campaigns/{campaign}"))),
    ] {
        pages.push((name, ask(&api, &paths).await.with_context(|| name.to_owned())?));
    }
    Ok(pages)
}

/// How soon a right size is replayed against so many decisions.
async fn replayed(program: &Path, folder: &Path) -> Result<(usize, Summary)> {
    let data = folder.join("right-size");
    let server = Tenure::start(program, &data, None, Scale { workloads: 1, tokens: 1 }).await?;
    let mut decisions = 0;
    let load = Load { connections: 32, warm_up: Duration::from_secs(1), measured: Duration::from_secs(10) };
    while decisions < DECISIONS {
        decisions += server.measure(Work::Decision, load).await?.answers;
    }
    let replay = server.usage(VIEWS).await?;
    server.stop().await?;
    Ok((decisions, replay))
}

impl Figures {
    fn table(&self) -> String {
        let millis = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
        let mut table = format!("{} identities\n\n| what | p50 | p99 | max |\n|---|---|---|---|\n", self.identities);
        let issued = [("an issuance beside the nightly look", self.beside), ("an issuance alone", self.alone)];
        let replay = [("a right size, replayed", self.replay)];
        for (name, took) in issued.iter().chain(&self.pages).chain(&replay) {
            let cells = [took.p50, took.p99, took.max].map(millis).join(" | ");
            let _ = writeln!(table, "| {name} | {cells} |");
        }
        let _ = writeln!(
            table,
            "\nThe nightly look took {:.1} s. A campaign of {} ({}) was open after {:.2} s. Decisions that were replayed: {}.",
            self.nightly.as_secs_f64(),
            self.items,
            self.scope,
            self.opened.as_secs_f64(),
            self.decisions
        );
        table
    }

    fn json(&self) -> Value {
        let of = |took: &Summary| json!({ "p50_ms": took.p50.as_secs_f64() * 1e3, "p99_ms": took.p99.as_secs_f64() * 1e3, "max_ms": took.max.as_secs_f64() * 1e3 });
        let pages: Vec<Value> =
            self.pages.iter().map(|(page, took)| json!({ "page": page, "took": of(took) })).collect();
        json!({
            "identities": self.identities, "nightly_s": self.nightly.as_secs_f64(), "issuance_beside": of(&self.beside),
            "issuance_alone": of(&self.alone), "campaign": { "scope": self.scope, "items": self.items, "opened_s": self.opened.as_secs_f64() },
            "pages": pages, "decisions": self.decisions, "replay": of(&self.replay),
        })
    }
}
