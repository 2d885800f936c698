//! Who may call what: every endpoint by every sort of caller, with a check that no endpoint is missing (STYLE.md,
//! testing 6; S-6, S-7, S-8).
//!
//! The table is `matrix/endpoints.txt`. Which addresses there are is read from the server's sources, and which methods
//! an address takes is asked of the running server: a route without a line fails, and so does a line without a route.

mod attacks;
mod conditions;
mod contract;
mod schemathesis;
pub mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use self::contract::Contract;
use self::stage::{Cell, Stage};
use crate::world::{Answer, Store};

/// The sorts of callers, in the order of the table's columns.
pub const ROLES: [&str; 15] = [
    "nobody",
    "person without roles",
    "requester",
    "owner of other things",
    "accountable owner",
    "manager",
    "security",
    "administrator",
    "auditor",
    "auditor with every other role",
    "source",
    "enforcement point",
    "workload",
    "suspended person",
    "ended token",
];

/// A line of the table.
pub struct Line {
    /// One character for each caller.
    pub verdicts: Vec<char>,
    pub method: Method,
    /// The address, with `<names>` for what is prepared.
    pub path: String,
    /// JSON, a form, or nothing.
    pub body: String,
    /// The route that it is at.
    pub route: String,
}

impl Line {
    /// The address as the router knows it: what is prepared stands for any.
    fn is_at(&self, route: &str) -> bool {
        let (path, _) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let (ours, theirs): (Vec<_>, Vec<_>) = (path.split('/').collect(), route.split('/').collect());
        let fits =
            |(ours, theirs): (&&str, &&str)| ours == theirs || (theirs.starts_with('{') && ours.starts_with('<'));
        match theirs.last() {
            Some(last) if last.starts_with("{*") => {
                ours.len() >= theirs.len() && ours.iter().zip(&theirs).take(theirs.len() - 1).all(fits)
            }
            _ => ours.len() == theirs.len() && ours.iter().zip(&theirs).all(fits),
        }
    }
}

/// The table.
pub fn lines() -> Vec<Line> {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/matrix/endpoints.txt")).unwrap();
    let line = |line: &str| {
        let (verdicts, rest) = line.split_once(' ').unwrap();
        let (method, rest) = rest.split_once(' ').unwrap();
        let (path, body) = rest.split_at(end_of_address(rest));
        assert_eq!(verdicts.chars().count(), ROLES.len(), "{line}");
        Line {
            verdicts: verdicts.chars().collect(),
            method: method.parse().unwrap(),
            path: path.to_owned(),
            body: body.trim().to_owned(),
            route: String::new(),
        }
    };
    text.lines().filter(|text| !text.is_empty() && !text.starts_with('#')).map(line).collect()
}

/// Where an address ends: at the first space outside a `<name>`.
fn end_of_address(text: &str) -> usize {
    let mut inside = false;
    let ends = |(_, c): &(usize, char)| {
        inside = *c == '<' || (inside && *c != '>');
        *c == ' ' && !inside
    };
    text.char_indices().find(ends).map_or(text.len(), |(at, _)| at)
}

/// The addresses of the server. All of them are made in one place, which knows them.
fn routes() -> BTreeSet<String> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("contract/api.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                for other in [".route(", ".nest(", ".nest_service(", ".route_service(", ".fallback_service("] {
                    assert!(
                        !text.contains(other),
                        "{}: {other} makes addresses that the matrix doesn't see",
                        path.display()
                    );
                }
            }
        }
    }
    tenure_server::addresses().into_iter().map(str::to_owned).collect()
}

/// The methods that the server says an address takes; HEAD comes with GET. Every other is refused by a problem.
async fn methods(stage: &Stage, path: &str, complaints: &mut Vec<String>) -> BTreeSet<String> {
    let answer = stage.send(Method::from_bytes(b"BREW").unwrap(), "", path, "").await;
    let allow = answer.headers.get("allow").map(|allow| allow.to_str().unwrap()).unwrap_or_default();
    let allowed: BTreeSet<String> = allow.split(',').filter(|method| *method != "HEAD").map(str::to_owned).collect();
    for method in
        ["BREW", "GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().filter(|method| !allowed.contains(*method))
    {
        let answer = stage.send(method.parse().unwrap(), "", path, "").await;
        let is_problem = answer.headers.get("content-type").is_some_and(|kind| kind == "application/problem+json");
        if answer.status != 405 || !is_problem || answer.body["code"] != "method_not_allowed" {
            complaints.push(format!("{method} {path}: {} {} instead of a problem", answer.status, answer.body));
        }
    }
    allowed
}

/// What an answer was, as the table says it.
fn verdict(answer: &Answer) -> char {
    match answer.status {
        303 if answer.headers.get("location").is_some_and(|to| to.as_bytes().starts_with(b"/sign-in")) => '>',
        200..=399 => '+',
        401 => '!',
        403 => '-',
        404 => '0',
        _ => '?',
    }
}

/// Calls a line as everybody, those who may last; what came out, and who was refused in which order.
async fn row(
    stage: &Stage,
    line: &Line,
    contract: &Contract,
    refused: &mut Vec<(String, String)>,
    complaints: &mut Vec<String>,
) -> String {
    let mut out = vec![' '; ROLES.len()];
    // What is refused changes nothing, so one set of things is enough for all who are.
    let mut shared = BTreeMap::new();
    for (may, role) in [false, true].into_iter().flat_map(|may| (0..ROLES.len()).map(move |role| (may, role))) {
        if line.verdicts[role] == '.' {
            out[role] = '.';
        }
        if out[role] == '.' || may != (line.verdicts[role] == '+') {
            continue;
        }
        let mut cell = Cell::new(stage, role, if may { BTreeMap::new() } else { std::mem::take(&mut shared) });
        let (path, body) = (cell.fill(&line.path).await, cell.fill(&line.body).await);
        let answer = stage.send(line.method.clone(), stage.token(role), &path, &body).await;
        complaints.extend(contract.complaint(line.method.as_str(), &line.route, &answer));
        out[role] = match line.verdicts[role] {
            // What the body proves decides, and who calls changes nothing.
            '=' => same(&answer, &mut cell),
            _ => verdict(&answer),
        };
        if out[role] != line.verdicts[role] {
            complaints.push(format!(
                "{} {path} as {}: {} instead of {}: {} {}",
                line.method, ROLES[role], out[role], line.verdicts[role], answer.status, answer.body
            ));
        }
        if out[role] == '-' {
            refused.push((stage.actor(role), format!("{} {} {}", line.method, line.path, reason(&answer))));
        }
        shared = if may { BTreeMap::new() } else { cell.made };
    }
    out.into_iter().collect()
}

/// The reason that a refusal gives, be it a problem or an error of OAuth.
fn reason(answer: &Answer) -> String {
    match (&answer.body, &answer.body["reason_code"]) {
        (_, Value::String(reason)) => reason.clone(),
        // A page says it where scripts find it.
        (Value::String(page), _) if page.contains("data-code=\"") => {
            page.split("data-code=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
        }
        _ => answer.code(),
    }
}

/// `=` if it is the answer that the line's first caller got.
fn same(answer: &Answer, cell: &mut Cell) -> char {
    let now =
        format!("{} {}", answer.status, answer.body.get("code").or(answer.body.get("error")).unwrap_or(&Value::Null));
    let first = cell.made.entry("=".to_owned()).or_insert_with(|| now.clone());
    if *first == now { '=' } else { '?' }
}

/// Every refusal of a known caller is in the log, one by one and in order, and nobody else's is.
async fn check_record(stage: &Stage, refused: &[(String, String)], complaints: &mut Vec<String>) {
    let callers: BTreeSet<String> = (0..ROLES.len()).map(|role| stage.actor(role)).collect();
    let events = stage.world.events().await;
    let recorded: Vec<(String, String)> = events
        .iter()
        // The gateway is told no about what a finding is made of.
        .filter(|event| event["kind"] == "access.refused" && event["data"]["reason"] != "wrong_environment")
        .map(|event| {
            let actor = event["actor"]["id"].as_str().unwrap_or("stranger").to_owned();
            (
                actor,
                format!(
                    "{} {}",
                    event["data"]["asked"].as_str().unwrap_or("nothing"),
                    event["data"]["reason"].as_str().unwrap_or_default()
                ),
            )
        })
        .collect();
    for (actor, what) in &recorded {
        if !callers.contains(actor) || actor == "stranger" {
            complaints.push(format!("a refusal of somebody else is recorded: {actor} {what}"));
        }
    }
    let code = |text: &str| text.rsplit(' ').next().unwrap_or_default().to_owned();
    // One that is missing, or too many, is told by itself: the next ones are compared with theirs.
    let mut right = recorded.as_slice();
    for refusal in refused {
        let is_theirs = |record: &(String, String)| record.0 == refusal.0 && code(&record.1) == code(&refusal.1);
        match right.iter().take(ROLES.len() * 2).position(is_theirs) {
            Some(at) => {
                for record in &right[..at] {
                    complaints.push(format!("recorded, though nobody was refused: {record:?}; before {refusal:?}"));
                }
                right = &right[at + 1..];
            }
            None => complaints.push(format!("not recorded: {refusal:?}; next is {:?}", right.first())),
        }
    }
    for record in right {
        complaints.push(format!("recorded, though nobody was refused: {record:?}"));
    }
}

/// Every route has a line, and every line a route.
async fn check_coverage(stage: &Stage, table: &mut [Line], complaints: &mut Vec<String>) {
    let mut covered = vec![false; table.len()];
    let routes = routes();
    for route in &routes {
        // A literal wins over a name at the same place.
        let literal =
            |line: &Line| routes.iter().any(|other| other != route && !other.contains('{') && line.is_at(other));
        let here: Vec<usize> = (0..table.len())
            .filter(|n| table[*n].is_at(route) && (!literal(&table[*n]) || !route.contains('{')))
            .collect();
        let path: Vec<&str> = route.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        let taken = methods(stage, &path.join("/"), complaints).await;
        let ours: BTreeSet<String> = here.iter().map(|n| table[*n].method.to_string()).collect();
        for missing in taken.difference(&ours) {
            complaints.push(format!("no line for {missing} {route}"));
        }
        for n in here {
            if taken.contains(table[n].method.as_str()) {
                covered[n] = true;
                table[n].route.clone_from(route);
            }
        }
    }
    for (line, covered) in table.iter().zip(covered) {
        if !covered {
            complaints.push(format!("no route for {} {}", line.method, line.path));
        }
    }
}

/// The answer about a record names the record's page, and the page is there, for every sort that has pages.
async fn check_pages(stage: &Stage, complaints: &mut Vec<String>) {
    let everything = ROLES.iter().position(|role| *role == "auditor with every other role").unwrap();
    let get = async |path: &str| stage.send(Method::GET, stage.token(everything), path, "").await;
    let events = stage.world.events().await;
    let mut subjects =
        events.iter().filter_map(|event| event["subjects"].as_array()).flatten().filter_map(Value::as_str);
    let credential = subjects.rfind(|id| id.starts_with("crd_")).unwrap_or_default().to_owned();
    let lists = tenure_api::pages::PAGES.iter().map(|(_, list)| *list).chain([tenure_api::pages::ENVIRONMENTS]);
    for list in lists {
        let first = get(&format!("/v1{list}?limit=1")).await;
        let item = &first.body["items"][0];
        let id = match item["id"].as_str().or(item["name"].as_str()) {
            Some(id) => id.to_owned(),
            // Credentials are listed with their identity alone.
            None if list == "/credentials" => credential.clone(),
            None => {
                complaints.push(format!("nothing is in {list}: {}", first.body));
                continue;
            }
        };
        let record = get(&format!("/v1{list}/{id}")).await;
        let link = record.headers.get("link").and_then(|link| link.to_str().ok()).unwrap_or_default();
        let expected = format!("<{}{list}/{id}>; rel=\"alternate\"; type=\"text/html\"", stage.world.server.url);
        if link != expected {
            complaints.push(format!("/v1{list}/{id} names {link:?} as its page"));
        }
        let page = get(&format!("{list}/{id}")).await;
        if page.status != 200 || page.headers["content-type"] != "text/html; charset=utf-8" {
            complaints.push(format!("{list}/{id} is no page: {}", page.status));
        }
    }
}

async fn matrix(store: Store) {
    let (stage, mut table) = (Stage::new(store).await, lines());
    let (mut complaints, mut refused) = (Vec::new(), Vec::new());
    check_coverage(&stage, &mut table, &mut complaints).await;
    let contract = Contract::new();
    let mut seen = String::new();
    for line in &table {
        let out = row(&stage, line, &contract, &mut refused, &mut complaints).await;
        seen.push_str(&format!("{out} {} {} {}\n", line.method, line.path, line.body));
    }
    check_record(&stage, &refused, &mut complaints).await;
    check_pages(&stage, &mut complaints).await;
    assert!(complaints.is_empty(), "{}\n\nas it is:\n{seen}", complaints.join("\n"));
}

#[tokio::test]
async fn every_endpoint_answers_every_caller_as_the_table_says_sqlite() {
    matrix(Store::Sqlite).await;
}

// Who may call what is asked of records that both engines keep alike, which the conformance of the stores shows.
#[tokio::test]
#[ignore = "long: the second engine"]
async fn every_endpoint_answers_every_caller_as_the_table_says_postgres() {
    matrix(Store::Postgres).await;
}
