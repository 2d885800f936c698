//! What no endpoint takes from anybody: other methods, other bodies, ids of other things, and what a page of another
//! site makes a browser send.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stage::{Cell, Stage};
use super::{Line, lines};
use crate::world::Store;

/// Members that these don't know are let pass, as their specifications demand: AuthZEN, and Web Authentication's forms,
/// which grow.
const LENIENT: &[&str] = &["/access/v1/evaluation", "/sign-in/passkey/finish"];
/// These never look at a cookie: a body or an enforcement point's token speaks there.
const WITHOUT_COOKIES: &[&str] = &[
    "/v1/setup",
    "/v1/enrol",
    "/env/production/token",
    "/env/production/logins",
    "/env/production/bc-authorize",
    "/env/production/introspect",
    "/env/production/revoke",
    "/access/v1/evaluation",
    "/sign-in/cli/token",
];
/// The largest body. Lists of accounts, feeds of people and forms with a policy set have limits of their own, which their tests try.
const LIMIT: usize = 64 * 1024;
const LARGER: [&str; 3] = ["/v1/identities/import", "/v1/people/import", "/policies/new"];
/// Deliveries are judged by their signature before anything is read of them, and have a limit of their own: tests of
/// signals try the rest.
const SIGNED: &str = "/signals/";

/// Somebody who gets as far as the body.
pub(super) fn who(line: &Line) -> Option<usize> {
    let may = line.verdicts.iter().rposition(|verdict| *verdict == '+');
    may.or_else(|| (line.verdicts[0] == '=').then_some(0))
}

/// Whether an id of ours: a short name of its sort, and what is never the same twice.
fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(sort, rest)| sort.len() == 3 && rest.len() == 26)
}

async fn bodies(stage: &Stage, line: &Line, role: usize, path: &str, body: &str, complaints: &mut Vec<String>) {
    let token = stage.token(role);
    let mut expect = async |what: &str, body: String, kind: &str, status: u16| {
        let mut request = stage.request(line.method.clone(), path, "").header("content-type", kind).body(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = Stage::head_of(request).await;
        if answer.status != status {
            complaints.push(format!(
                "{} {path} with {what}: {} instead of {status}: {}",
                line.method, answer.status, answer.body
            ));
        }
    };
    if !body.starts_with('{') {
        return;
    }
    let mut unknown: Value = serde_json::from_str(body).unwrap();
    unknown["unknown_member"] = json!(true);
    if !LENIENT.contains(&&*line.path) {
        expect("an unknown member", unknown.to_string(), "application/json", 400).await;
    }
    expect("a member twice", body.replacen('{', r#"{"twice":1,"twice":2,"#, 1), "application/json", 400).await;
    expect("a body that is none", "[".to_owned(), "application/json", 400).await;
    expect("a body of another type", "{}".to_owned(), "text/plain", 415).await;
}

/// The status of an answer to a body that is longer than the limit, of which only that much is sent: what is never read
/// could cost the answer.
async fn over_the_limit(stage: &Stage, line: &Line, role: usize, path: &str, body: &str) -> String {
    let place = stage.world.server.url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(place).await.unwrap();
    let kind = if body.starts_with('{') { "json" } else { "x-www-form-urlencoded" };
    let bearer = match stage.token(role) {
        "" => String::new(),
        token => format!("authorization: Bearer {token}\r\n"),
    };
    let head = format!(
        "{} {path} HTTP/1.1\r\nhost: {place}\r\n{bearer}origin: {}\r\ncontent-type: application/{kind}\r\n",
        line.method, stage.world.server.url
    );
    let text = format!("{head}content-length: {}\r\n\r\nx={}", 4 * LIMIT, "x".repeat(LIMIT));
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    String::from_utf8_lossy(&status).into_owned()
}

/// An address that names something of another sort names nothing.
async fn other_ids(
    stage: &Stage,
    line: &Line,
    role: usize,
    cell: &mut Cell<'_>,
    body: &str,
    complaints: &mut Vec<String>,
) {
    let names: Vec<String> =
        line.path.split('<').skip(1).filter_map(|rest| Some(rest.split_once('>')?.0.to_owned())).collect();
    for name in names.iter().filter(|_| !line.path.contains('?')) {
        let value = cell.fill(&format!("<{name}>")).await;
        if !is_id(&value) {
            continue;
        }
        let other = if value.starts_with("per_") { &stage.world.gateway_id } else { &stage.world.owner_id };
        let before = line.path.replace(&format!("<{name}>"), other);
        let path = cell.fill(&before).await;
        let answer = stage.send(line.method.clone(), stage.token(role), &path, body).await;
        // Who doesn't read all of its sort isn't told that there is no such thing.
        if ![403, 404].contains(&answer.status) {
            complaints
                .push(format!("{} {path}, which names something else: {} {}", line.method, answer.status, answer.body));
        }
    }
}

/// Pages of other sites, and requests that don't say where they come from, do nothing by a cookie.
async fn cookies(stage: &Stage, calls: &[(Method, String, String)], complaints: &mut Vec<String>) {
    let (browser, _) = stage.signed_in().await;
    let session = browser.cookie("tenure-session").unwrap();
    let me = stage.request(Method::GET, "/v1/me", "").header("cookie", format!("tenure-session={session}"));
    assert_eq!(Stage::head_of(me).await.status, 200);
    for (method, path, body) in calls.iter().filter(|(method, ..)| *method != Method::GET) {
        for (header, value) in [
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("x-nothing", "said"),
        ] {
            let request =
                stage.request(method.clone(), path, body).header("cookie", format!("tenure-session={session}"));
            let answer = Stage::head_of(request.header(header, value)).await;
            let refused = match WITHOUT_COOKIES.contains(&&**path) || path.starts_with(SIGNED) {
                true => (400..500).contains(&answer.status),
                // A page says so in its HTML.
                false => {
                    let is_page = |html: &str| html.contains("data-code=\"cross_site\"");
                    let says_so = answer.body["code"] == "cross_site" || answer.body.as_str().is_some_and(is_page);
                    answer.status == 403 && says_so
                }
            };
            if !refused {
                complaints.push(format!(
                    "{method} {path} by a cookie, with {header}: {value}: {} {}",
                    answer.status, answer.body
                ));
            }
        }
    }
}

#[tokio::test]
async fn no_endpoint_takes_another_body_or_id_or_a_cookie_from_another_site() {
    let (stage, table) = (Stage::new(Store::Sqlite).await, lines());
    let (mut complaints, mut calls) = (Vec::new(), Vec::new());
    for line in &table {
        // Where nobody is let in, whoever is told so will do.
        let role = who(line).unwrap_or(1);
        let mut cell = Cell::new(&stage, role, BTreeMap::new());
        let (path, body) = (cell.fill(&line.path).await, cell.fill(&line.body).await);
        let signed = path.starts_with(SIGNED);
        if who(line).is_some() && !body.is_empty() && !signed {
            bodies(&stage, line, role, &path, &body, &mut complaints).await;
            if !LARGER.contains(&line.path.as_str()) {
                let status = over_the_limit(&stage, line, role, &path, &body).await;
                if status != "HTTP/1.1 413" {
                    complaints.push(format!("{} {path} with a body over the limit: {status}", line.method));
                }
            }
        }
        if who(line).is_some() && !signed {
            other_ids(&stage, line, role, &mut cell, &body, &mut complaints).await;
        }
        calls.push((line.method.clone(), path, body));
    }
    cookies(&stage, &calls, &mut complaints).await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Routes of the management API that have to read a body before they know who asks.
const OPEN: &[&str] = &["/v1/setup", "/v1/enrol"];

/// The management API has places that are kept for who revokes; no stranger holds one by a body that doesn't come.
#[tokio::test]
async fn a06_the_management_api_waits_for_no_strangers_body() {
    let stage = Stage::new(Store::Sqlite).await;
    let place = stage.world.server.url.trim_start_matches("http://").to_owned();
    let tried: BTreeSet<(String, String)> = lines()
        .iter()
        .filter(|line| line.method != Method::GET && line.path.starts_with("/v1/") && !OPEN.contains(&&*line.path))
        .map(|line| (line.method.to_string(), without_names(&line.path)))
        .collect();
    assert!(tried.len() > 80, "{}", tried.len());
    for (method, path) in tried {
        let mut stream = tokio::net::TcpStream::connect(&place).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {place}\r\nauthorization: Bearer tnr_nobody\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        // Less than a body may pause.
        let answered = tokio::time::timeout(std::time::Duration::from_secs(4), stream.read_exact(&mut status)).await;
        assert!(answered.is_ok(), "{method} {path} waits for the body of somebody unknown");
        assert_eq!(&status, b"HTTP/1.1 401", "{method} {path}");
    }
}

/// A path with nothing real in the places of what it names.
fn without_names(path: &str) -> String {
    path.split('<')
        .map(|part| part.split_once('>').map_or(part.to_owned(), |(_, rest)| format!("none{rest}")))
        .collect()
}

/// The same address with the id of a record of its sort that isn't there.
fn of_nobody(path: &str) -> Option<String> {
    let id = path.split('/').find(|part| is_id(part))?;
    Some(path.replace(id, &format!("{}_{}7", &id[..3], "0".repeat(25))))
}

/// The sorts of records that are called by a name: how their ids begin, their list, and the member that is the name.
const NAMED: [(&str, &str, &str); 10] = [
    ("app_", "applications", "name"),
    ("idn_", "identities", "name"),
    ("iss_", "issuers", "url"),
    ("nee_", "needs", "name"),
    ("per_", "people", "name"),
    ("res_", "resources", "uri"),
    ("src_", "sources", "name"),
    ("tea_", "teams", "name"),
    ("tgt_", "targets", "name"),
    ("ven_", "vendors", "name"),
];

/// An address by the name of the record whose id it has, and the same address by a name that nothing bears: each with the
/// name itself.
async fn by_name(stage: &Stage, path: &str) -> Option<[(String, String); 2]> {
    let id = path.split(['/', '=', '?', '&']).find(|part| is_id(part))?;
    let (_, list, member) = NAMED.iter().find(|(prefix, ..)| id.starts_with(prefix))?;
    let record = stage.world.get(&stage.world.auditor, &format!("/v1/{list}/{id}")).await.expect(200);
    let name = record.body[member].as_str().unwrap_or_else(|| panic!("{path}: {}", record.body)).to_owned();
    let at = |name: String| {
        let escaped = name.replace('%', "%25").replace('/', "%2F").replace(':', "%3A").replace(' ', "%20");
        (path.replace(id, &escaped), name)
    };
    Some([at(name.clone()), at(format!("{name}x"))])
}

#[tokio::test]
async fn no_address_tells_who_may_not_read_it_whether_something_of_a_name_is_there() {
    let stage = Stage::new(Store::Sqlite).await;
    let (mut complaints, mut tried) = (Vec::new(), BTreeMap::<String, u32>::new());
    for (n, line) in lines().into_iter().enumerate().filter(|(_, line)| line.path.contains('<')) {
        // A person without roles, the requester, and the owner of other things, in turn: none reads all of anything.
        let mut roles = (1..=3).cycle().skip(n % 3).take(3);
        let Some(role) = roles.find(|role| ['-', '0'].contains(&line.verdicts[*role])) else { continue };
        let mut cell = Cell::new(&stage, role, BTreeMap::new());
        let (path, body) = (cell.fill(&line.path).await, cell.fill(&line.body).await);
        let Some(named) = by_name(&stage, &path).await else { continue };
        let mut told = Vec::new();
        for (path, name) in named {
            let answer = stage.send(line.method.clone(), stage.token(role), &path, &body).await;
            let said = match answer.body {
                // A page says beside everything else who looks at it, and when.
                Value::String(page) => page.split("data-code=\"").nth(1).map(|code| code.chars().take(40).collect()),
                mut problem => {
                    if let Some(problem) = problem.as_object_mut() {
                        problem.remove("request_id");
                    }
                    Some(problem.to_string().replace(&name, "NAME"))
                }
            };
            told.push((answer.status, said.unwrap_or_default()));
        }
        let list = line.path.split(['/', '?']).find(|part| NAMED.iter().any(|(_, list, _)| list == part));
        *tried.entry(list.unwrap_or_default().to_owned()).or_default() += 1;
        if told[0] != told[1] {
            complaints.push(format!("{} {} as {}: {told:?}", line.method, line.path, super::ROLES[role]));
        }
    }
    for (_, list, _) in NAMED {
        assert!(tried.contains_key(list), "nothing was called by a name in {list}: {tried:?}");
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test]
async fn no_deed_tells_who_may_not_do_it_whether_what_it_names_is_there() {
    let stage = Stage::new(Store::Sqlite).await;
    let (mut complaints, mut tried) = (Vec::new(), 0);
    let is_deed = |line: &Line| line.method != Method::GET && line.path.starts_with("/v1/");
    for line in lines().into_iter().filter(is_deed) {
        // The requester, and the owner of other things: neither reads all of anything.
        for role in [2, 3].into_iter().filter(|role| line.verdicts[*role] == '-') {
            let mut cell = Cell::new(&stage, role, BTreeMap::new());
            let (path, body) = (cell.fill(&line.path).await, cell.fill(&line.body).await);
            let Some(nowhere) = of_nobody(&path) else { continue };
            // What is said besides is of the deed: which policy, or whom it waits for.
            let told = async |path: &str| {
                let answer = stage.send(line.method.clone(), stage.token(role), path, &body).await;
                (answer.status, answer.body["code"].clone())
            };
            let (there, none) = (told(&path).await, told(&nowhere).await);
            tried += 1;
            if there != none {
                complaints.push(format!("{} {}: {there:?} and {none:?}", line.method, line.path));
            }
        }
    }
    assert!(tried > 60, "{tried}");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
