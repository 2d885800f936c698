//! The pages of the console over a deployment with a history: how long the server takes for each, how much a browser
//! transfers for it with everything that it loads, and in how many requests.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use xtask::process::free_port;

use crate::http::{Api, Connection};
use crate::inventory::{Asked, fetch, get, indexed, post, resident, settled};
use crate::stats::{Latencies, Summary};

/// How often each page is asked for.
const VIEWS: usize = 200;
/// The longest that a page may take at the 99th percentile, the most that it may transfer, and in how many requests.
const BOUND: Duration = Duration::from_millis(50);
const MOST_BYTES: usize = 100 * 1_000;
const MOST_REQUESTS: usize = 10;

/// A page with the addresses that it was asked for at.
struct Page {
    name: &'static str,
    paths: Vec<String>,
}

/// What came of a page.
struct Row {
    name: &'static str,
    took: Summary,
    bytes: usize,
    requests: usize,
}

impl Row {
    fn is_within(&self) -> bool {
        self.took.p99 <= BOUND && self.bytes <= MOST_BYTES && self.requests <= MOST_REQUESTS
    }
}

/// Measures, and returns the table, its JSON, and whether a page is beyond its bounds.
pub async fn measure(asked: &Asked<'_>) -> Result<(String, Value, bool)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let launch = asked.launch();
    let mut server = launch.server(address, None)?;
    server.until(async || crate::answers(address, None, "/readyz").await).await?;
    let admin = asked.administrator(address)?;
    let identities = indexed(&admin).await?;
    settled(&server, asked.patience).await;
    let calm = resident(&server);
    let security = somebody(&admin, "role=security").await?;
    let waiting = fetch(&security, "/v1/waiting?limit=200").await?;
    let all = ids(&fetch(&admin, "/v1/identities?state=active&limit=200&sort=-name").await?);
    let mut rows = Vec::new();
    for page in pages(&admin, &all, &ids(&waiting)).await? {
        eprintln!("bench: {}", page.name);
        // Who votes reads what waits; who administers reads all the rest.
        let reader = if page.name.contains("wait") { &security } else { &admin };
        rows.push(of_page(reader, page).await?);
    }
    server.stop(rustix::process::Signal::TERM).await?;
    let mut table = format!(
        "{identities} identities, each page {VIEWS} times, one after the other; RssAnon {calm} MiB calm\n\n| page | p50 | p99 | max | transferred with everything | requests |\n|---|---|---|---|---|---|\n"
    );
    let millis = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
    for row in &rows {
        let cells = [row.took.p50, row.took.p99, row.took.max].map(millis).join(" | ");
        let mark = if row.is_within() { "" } else { " (beyond its bounds)" };
        let _ =
            writeln!(table, "| {}{mark} | {cells} | {:.1} KB | {} |", row.name, row.bytes as f64 / 1e3, row.requests);
    }
    let told: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "page": row.name, "p50_ms": row.took.p50.as_secs_f64() * 1e3, "p99_ms": row.took.p99.as_secs_f64() * 1e3, "max_ms": row.took.max.as_secs_f64() * 1e3, "bytes": row.bytes, "requests": row.requests }))
        .collect();
    let is_beyond = rows.iter().any(|row| !row.is_within());
    Ok((table, json!({ "identities": identities, "pages": told }), is_beyond))
}

/// The API as somebody may use it whom this list of people finds first.
async fn somebody(admin: &Api, query: &str) -> Result<Api> {
    let people = ids(&fetch(admin, &format!("/v1/people?{query}&limit=1")).await?);
    let person = people.first().context("the history has nobody like that")?;
    let made = post(admin, &format!("/v1/people/{person}/operator-tokens"), &json!({})).await?;
    let token = made.get("operator_token").and_then(Value::as_str).context("no operator token was made")?;
    Ok(Api { authorization: Some(format!("authorization: Bearer {token}")), ..*admin })
}

fn ids(page: &Value) -> Vec<String> {
    let items = page.get("items").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.get("id")?.as_str().map(str::to_owned)).collect()
}

/// Every page, with addresses that differ where there are many records of its sort.
async fn pages(admin: &Api, identities: &[String], requests: &[String]) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    let mut one = |name: &'static str, path: &str| pages.push(Page { name, paths: vec![path.to_owned()] });
    one("home", "/");
    one("home of who votes, where 10,000 wait", "/");
    one("what waits for a vote", "/waiting");
    one("the inventory", "/identities");
    one("the inventory, by a word, by end", "/identities?q=exporter&sort=end");
    one("the inventory, by tier, by last use", "/identities?state=active&tier=high&sort=last_use");
    one("requests", "/requests");
    one("open requests", "/requests?state=open");
    one("receipts", "/receipts");
    one("findings", "/findings?state=open");
    one("reviews", "/reviews?state=open");
    one("transfers", "/transfers");
    one("exceptions", "/exceptions");
    one("removals", "/removals");
    one("people", "/people");
    one("teams", "/teams");
    one("applications", "/applications");
    one("vendors", "/vendors");
    one("resources", "/resources");
    one("environments", "/environments");
    one("cloud accounts", "/cloud-accounts");
    one("stop, by a word", "/stop?q=billing");
    one("the log", "/log");
    one("the policy in force", "/policy");
    let below = |path: &str, ids: &[String]| ids.iter().map(|id| format!("{path}/{id}")).collect::<Vec<_>>();
    pages.push(Page { name: "an identity", paths: below("/identities", identities) });
    pages.push(Page { name: "stop an identity", paths: below("/stop/identity", identities) });
    pages.push(Page { name: "a request that waits", paths: below("/requests", requests) });
    for (name, list, path) in [
        ("a receipt", "/v1/receipts?sort=-id&limit=50", "/receipts"),
        ("a finding", "/v1/findings?limit=50", "/findings"),
        ("a person", "/v1/people?limit=50", "/people"),
        ("an application", "/v1/applications?limit=50", "/applications"),
        ("stop an application", "/v1/applications?limit=50", "/stop/application"),
        ("a resource", "/v1/resources?limit=50", "/resources"),
        ("a vendor", "/v1/vendors?limit=50", "/vendors"),
    ] {
        pages.push(Page { name, paths: below(path, &ids(&fetch(admin, list).await?)) });
    }
    pages
        .push(Page { name: "an environment, with a third of all", paths: vec!["/environments/production".to_owned()] });
    Ok(pages)
}

/// Asks for a page again and again, and looks once at what its HTML loads.
async fn of_page(reader: &Api, page: Page) -> Result<Row> {
    let mut connection = Connection::open(reader.address).await?;
    let mut latencies = Latencies::default();
    let (mut bytes, mut files) = (0, BTreeSet::new());
    for path in page.paths.iter().cycle().take(VIEWS) {
        let ask = get(reader, path);
        let begun = Instant::now();
        let reply = connection.exchange(&ask).await?;
        latencies.add(begun.elapsed());
        if !reply.is_success() {
            bail!("{path} answered {}", reply.summary());
        }
        if reply.body.len() > bytes {
            bytes = reply.body.len();
            let html = String::from_utf8_lossy(&reply.body);
            files = html.split('"').filter(|part| part.starts_with("/assets/")).map(str::to_owned).collect();
        }
        if !connection.is_reusable() {
            connection = Connection::open(reader.address).await?;
        }
    }
    let requests = 1 + files.len();
    for file in &files {
        bytes += Connection::open(reader.address).await?.exchange(&get(reader, file)).await?.body.len();
    }
    Ok(Row { name: page.name, took: latencies.finish(), bytes, requests })
}
