//! A deployment with a history behind it (`tenure-seed`): how soon it is ready, how long its lists and its questions about
//! the past take, alone and while credentials are issued, how fast its state is verified, and how soon an identity is cut.

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use xtask::process::{Server, free_port};

use crate::assertion::{Key, encode, form};
use crate::cpu::Group;
use crate::http::{Api, Connection, request, text};
use crate::report::Report;
use crate::stats::{Latencies, Summary};
use crate::tenure::{FORM, Launch, now};

/// Questions of each sort.
const QUESTIONS: usize = 300;
/// Connections on which credentials are issued meanwhile.
const ISSUERS: usize = 4;
/// For how long it has to be calm.
const CALM: Duration = Duration::from_secs(5);
/// One of those who may revoke, in every seeded history.
const SECURITY: &str = "Sunniva%20Berg";
/// How often it is asked whether the index is made.
const LOOK: Duration = Duration::from_millis(500);

/// What is measured.
pub struct Asked<'a> {
    /// The binary.
    pub program: &'a Path,
    /// The data folder that the generator made.
    pub data: &'a Path,
    /// The database, if it isn't SQLite in the folder.
    pub store: Option<String>,
    /// The public URL that the history was made for.
    pub public_url: &'a str,
    /// For how long it may do what there is to do after its start.
    pub patience: Duration,
}

impl Asked<'_> {
    /// How the server is started on the folder.
    pub fn launch(&self) -> Launch {
        Launch {
            program: self.program.to_owned(),
            data: self.data.to_owned(),
            store: self.store.clone(),
            public_url: self.public_url.to_owned(),
        }
    }

    /// The API of the server at an address, as the administrator may use it whose token the generator left.
    pub fn administrator(&self, address: SocketAddr) -> Result<Api> {
        let token =
            std::fs::read_to_string(self.data.join("operator-token")).context("the folder has no operator token")?;
        Ok(Api { address, authorization: Some(format!("authorization: Bearer {}", token.trim())) })
    }
}

/// A sort of question, with how long its answers took.
struct Row {
    question: &'static str,
    alone: Summary,
    beside: Summary,
}

/// A choice that is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        #[expect(clippy::indexing_slicing, reason = "the place is below the length")]
        of[self.below(of.len())]
    }
}

/// Measures, and returns the table and its JSON.
pub async fn measure(asked: &Asked<'_>, report: &Report) -> Result<(String, Value)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let launch = asked.launch();
    let begun = Instant::now();
    let mut server = launch.server(address, None)?;
    server.until(async || crate::answers(address, None, "/readyz").await).await?;
    let ready = begun.elapsed();
    let api = asked.administrator(address)?;
    let at_start = resident(&server);
    let identities = indexed(&api).await?;
    let made = begun.elapsed();
    eprintln!(
        "bench: {identities} identities, ready after {:.2} s, indexed after {:.0} s",
        ready.as_secs_f64(),
        made.as_secs_f64()
    );
    settled(&server, asked.patience).await;
    let settled_after = begun.elapsed();
    let settled = resident(&server);
    let questions = questions(&api).await?;
    let issuers = issuers(&api, asked.data, asked.public_url).await?;
    let mut rows = Vec::new();
    for (question, paths) in &questions {
        rows.push(Row { question, alone: ask(&api, paths).await?, beside: Summary::default() });
    }
    let (issued, seconds) = (Cell::new(0), Instant::now());
    let stop = Cell::new(false);
    let issuing = futures_util::future::try_join_all(
        (0..ISSUERS).map(|n| issue(address, asked.public_url, &issuers, n, &issued, &stop)),
    );
    let asking = async {
        for (row, (_, paths)) in rows.iter_mut().zip(&questions) {
            row.beside = ask(&api, paths).await?;
        }
        stop.set(true);
        anyhow::Ok(())
    };
    tokio::try_join!(issuing, asking)?;
    let rate = f64::from(issued.get()) / seconds.elapsed().as_secs_f64();
    let under_load = resident(&server);
    let verified = verify(&api).await?;
    let cuts = cut(&api, &issuers).await?;
    server.stop(rustix::process::Signal::TERM).await?;
    let mut table = format!(
        "{identities} identities; ready after {:.2} s; all of its index made {:.0} s after the start; calm {:.0} s after it; RssAnon {at_start} MiB when it was ready, {settled} MiB calm, {under_load} MiB under load; fdatasync p50 {:.2} ms\n\n| question | p50 | p99 | max | p99 beside {rate:.0} issuances/s |\n|---|---|---|---|---|\n",
        ready.as_secs_f64(),
        made.as_secs_f64(),
        settled_after.as_secs_f64(),
        report.fdatasync.as_secs_f64() * 1e3,
    );
    let millis = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
    for Row { question, alone, beside } in &rows {
        let cells = [alone.p50, alone.p99, alone.max, beside.p99].map(millis).join(" | ");
        let _ = writeln!(table, "| {question} | {cells} |");
    }
    let _ = writeln!(
        table,
        "\n{:.0} rows/s verified against the log ({} rows, {} entries, all of it); an identity is cut in {}, at most {}.",
        verified.rate,
        verified.rows,
        verified.entries,
        millis(cuts.p50),
        millis(cuts.max)
    );
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "question": row.question, "p50_ms": row.alone.p50.as_secs_f64() * 1e3, "p99_ms": row.alone.p99.as_secs_f64() * 1e3, "p99_beside_ms": row.beside.p99.as_secs_f64() * 1e3 }))
        .collect();
    let json = json!({ "identities": identities, "ready_s": ready.as_secs_f64(), "indexed_s": made.as_secs_f64(), "rss_anon_mib": { "ready": at_start, "calm": settled, "load": under_load }, "issuances_per_s": rate, "rows": rows, "verified_rows_per_s": verified.rate, "cut_p50_ms": cuts.p50.as_secs_f64() * 1e3, "entries": verified.entries });
    Ok((table, json))
}

/// Anonymous memory of the server in MiB.
pub fn resident(server: &Server) -> u64 {
    let status =
        std::fs::read_to_string(PathBuf::from("/proc").join(server.pid().as_raw_nonzero().to_string()).join("status"));
    let line = status.unwrap_or_default().lines().find(|line| line.starts_with("RssAnon")).map(str::to_owned);
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// Waits until it has done what there was to do after its start: the indexes are made, the state was verified once.
pub async fn settled(server: &Server, patience: Duration) {
    let (group, begun) = (Group::Process(server.pid()), Instant::now());
    while begun.elapsed() < patience {
        let before = group.seconds();
        tokio::time::sleep(CALM).await;
        if group.seconds() - before < CALM.as_secs_f64() / 10.0 {
            return;
        }
    }
}

/// Waits until lists are counted, and says how many identities there are.
pub async fn indexed(api: &Api) -> Result<u64> {
    loop {
        let mut connection = Connection::open(api.address).await?;
        let reply = connection.exchange(&get(api, "/v1/identities?count=true&limit=1")).await?;
        match reply.status {
            200 => {
                let body: Value = serde_json::from_slice(&reply.body)?;
                return body.get("count").and_then(Value::as_u64).context("the list isn't counted");
            }
            503 => tokio::time::sleep(LOOK).await,
            _ => bail!("a list was answered {}", reply.summary()),
        }
    }
}

pub fn get(api: &Api, path: &str) -> Vec<u8> {
    request("GET", path, api.address, api.authorization.as_deref().as_slice(), b"")
}

/// Paths of questions, by their sort.
async fn questions(api: &Api) -> Result<Vec<(&'static str, Vec<String>)>> {
    let mut names: Vec<String> = Vec::new();
    for order in ["name", "-name", "-last_use", "end"] {
        let page = fetch(api, &format!("/v1/identities?limit=200&sort={order}")).await?;
        let items = page.get("items").and_then(Value::as_array).context("a list has no items")?;
        names.extend(items.iter().filter_map(|item| item.get("name")?.as_str().map(str::to_owned)));
    }
    let words: Vec<&str> = names
        .iter()
        .flat_map(|name| name.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .collect();
    let mut dice = Dice(7);
    let orders = ["name", "-name", "end", "-end", "risk", "-risk", "last_use", "-last_use"];
    let word = |dice: &mut Dice, most: usize| {
        let word = dice.one(&words);
        let letters = 1 + dice.below(most);
        encode(&word.chars().take(letters).collect::<String>())
    };
    let mut each = |of: &mut dyn FnMut(&mut Dice) -> String| (0..QUESTIONS).map(|_| of(&mut dice)).collect::<Vec<_>>();
    let by_word = each(&mut |dice| format!("/v1/identities?q={}", word(dice, 6)));
    let mut sorted =
        |dice: &mut Dice| format!("/v1/identities?q={}&sort={}&count=true", word(dice, 4), dice.one(&orders));
    let by_word_sorted = each(&mut sorted);
    let mut two =
        |dice: &mut Dice| format!("/v1/identities?q={}%20{}&sort={}", word(dice, 3), word(dice, 3), dice.one(&orders));
    let by_two = each(&mut two);
    let filtered = each(&mut |dice| {
        let state = dice.one(&["active", "suspended", "retired", "draft", "pending"]);
        let kind = dice.one(&["workload", "pipeline", "service_account", "ai_agent", "device"]);
        let environment = dice.one(&["production", "staging", "development"]);
        format!("/v1/identities?state={state}&kind={kind}&environment={environment}&sort={}", dice.one(&orders))
    });
    let whole = each(&mut |dice| format!("/v1/identities?sort={}&count=true", dice.one(&orders)));
    let ids = |page: &Value| -> Vec<String> {
        let items = page.get("items").and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.get("id")?.as_str().map(str::to_owned)).collect()
    };
    let resources = ids(&fetch(api, "/v1/resources?limit=200").await?);
    let some = ids(&fetch(api, "/v1/identities?limit=200&sort=name").await?);
    let cycled = |ids: &[String], path: &dyn Fn(&str) -> String| -> Vec<String> {
        ids.iter().cycle().take(QUESTIONS).map(|id| path(id)).collect()
    };
    let touched = cycled(&resources, &|id| format!("/v1/resources/{id}/access"));
    let timelines = cycled(&some, &|id| format!("/v1/log/timeline?subject={id}&limit=100"));
    let mut deep = Vec::with_capacity(QUESTIONS);
    let first = "/v1/identities?state=active&sort=-name".to_owned();
    let mut next = first.clone();
    for _ in 0..QUESTIONS {
        let page = fetch(api, &next).await?;
        deep.push(next);
        next = match page.get("next").and_then(Value::as_str) {
            Some(cursor) => format!("{first}&after={cursor}"),
            None => first.clone(),
        };
    }
    Ok(vec![
        ("a word", by_word),
        ("a word, sorted, counted", by_word_sorted),
        ("two words, sorted", by_two),
        ("three filters, sorted", filtered),
        ("all, sorted, counted", whole),
        ("pages 1 to 300", deep),
        ("who could touch a resource", touched),
        ("what happened to an identity", timelines),
    ])
}

pub async fn fetch(api: &Api, path: &str) -> Result<Value> {
    let reply = Connection::open(api.address).await?.exchange(&get(api, path)).await?;
    if !reply.is_success() {
        bail!("{path} answered {}", reply.summary());
    }
    Ok(serde_json::from_slice(&reply.body)?)
}

/// Puts each question once, one after the other.
pub async fn ask(api: &Api, paths: &[String]) -> Result<Summary> {
    let mut connection = Connection::open(api.address).await?;
    let mut latencies = Latencies::default();
    for path in paths {
        let bytes = get(api, path);
        let begun = Instant::now();
        let reply = connection.exchange(&bytes).await?;
        latencies.add(begun.elapsed());
        if !reply.is_success() {
            bail!("{path} answered {}", reply.summary());
        }
        if !connection.is_reusable() {
            connection = Connection::open(api.address).await?;
        }
    }
    Ok(latencies.finish())
}

/// How fast the state was held against the whole log.
struct VerifiedState {
    rate: f64,
    rows: u64,
    entries: u64,
}

async fn verify(api: &Api) -> Result<VerifiedState> {
    let begun = Instant::now();
    let report = post(api, "/v1/log/verify-state?full=true", &json!({})).await?;
    let count = |member: &str| report.get(member).and_then(Value::as_u64).context("a report without its counts");
    let (rows, entries) = (count("rows")?, count("entries")?);
    match report.get("faults").and_then(Value::as_array).map(Vec::len) {
        Some(0) => Ok(VerifiedState { rate: rows as f64 / begun.elapsed().as_secs_f64(), rows, entries }),
        _ => bail!("the state isn't what the log says: {report}"),
    }
}

/// Revokes everything of each of these identities, one after the other.
async fn cut(api: &Api, issuers: &[Issuer]) -> Result<Summary> {
    let mut latencies = Latencies::default();
    let made = post(api, &format!("/v1/people/{SECURITY}/operator-tokens"), &json!({})).await?;
    let token = text(&made, "/operator_token")?;
    let api = &Api { authorization: Some(format!("authorization: Bearer {token}")), ..*api };
    for issuer in issuers {
        let ask = json!({ "target": { "type": "identity", "id": issuer.id }, "reason": "measured" });
        let begun = Instant::now();
        post(api, "/v1/revocations", &ask).await?;
        latencies.add(begun.elapsed());
    }
    Ok(latencies.finish())
}

pub async fn post(api: &Api, path: &str, body: &Value) -> Result<Value> {
    let headers: Vec<&str> =
        api.authorization.as_deref().into_iter().chain(["content-type: application/json"]).collect();
    let request = request("POST", path, api.address, &headers, body.to_string().as_bytes());
    let reply = Connection::open(api.address).await?.exchange(&request).await?;
    if !reply.is_success() {
        bail!("{path} answered {}", reply.summary());
    }
    Ok(serde_json::from_slice(&reply.body)?)
}

/// An identity that gets credentials.
pub struct Issuer {
    id: String,
    key: Key,
    environment: String,
    resource: String,
}

/// Those of the seeded identities that a key of theirs vouches for.
pub async fn issuers(api: &Api, data: &Path, public_url: &str) -> Result<Vec<Issuer>> {
    let seeded: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(data.join("seeded.json"))?)?;
    let mut issuers = Vec::new();
    for identity in &seeded {
        let id = text(identity, "/id")?;
        let record = fetch(api, &format!("/v1/identities/{id}")).await?;
        if record.pointer("/charter/workload_binding/type").and_then(Value::as_str) != Some("public_key") {
            continue;
        }
        let resource = fetch(api, &format!("/v1/resources/{}", text(&record, "/charter/scope/0/resource")?)).await?;
        let issuer = Issuer {
            id: id.to_owned(),
            key: Key::from_seed(text(identity, "/key")?)?,
            environment: text(&record, "/charter/environment")?.to_owned(),
            resource: text(&resource, "/uri")?.to_owned(),
        };
        // Some of them are held at the end of the history.
        let trial = token_request(api.address, public_url, &issuer)?;
        if Connection::open(api.address).await?.exchange(&trial).await?.is_success() {
            issuers.push(issuer);
        }
    }
    if issuers.is_empty() {
        bail!("none of the seeded identities gets a token");
    }
    Ok(issuers)
}

/// The request of a token for one of them, signed now.
pub fn token_request(address: SocketAddr, public_url: &str, issuer: &Issuer) -> Result<Vec<u8>> {
    let Issuer { id, key, environment, resource } = issuer;
    let assertion = key.assertion(id, &format!("{public_url}/env/{environment}"), now())?;
    let parameters = [("grant_type", "client_credentials"), ("resource", resource.as_str())];
    let path = format!("/env/{environment}/token");
    Ok(request("POST", &path, address, &[FORM], form(&assertion, &parameters).as_bytes()))
}

/// Issues credentials to one after the other until it is stopped.
async fn issue(
    address: SocketAddr,
    public_url: &str,
    issuers: &[Issuer],
    first: usize,
    issued: &Cell<u32>,
    stop: &Cell<bool>,
) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    for issuer in issuers.iter().cycle().skip(first) {
        if stop.get() {
            return Ok(());
        }
        let reply = connection.exchange(&token_request(address, public_url, issuer)?).await?;
        if !reply.is_success() {
            bail!("an issuance was answered {}", reply.summary());
        }
        issued.set(issued.get() + 1);
        if !connection.is_reusable() {
            connection = Connection::open(address).await?;
        }
    }
    Ok(())
}
