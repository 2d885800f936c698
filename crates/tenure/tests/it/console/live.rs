//! Pages that are told of changes: a proof arrives line by line, at whoever may still read it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::send;
use crate::passkeys::devtools::Chromium;
use crate::world::{Key, Server, Store, World, client};

/// Identities that one step of a proof looks at, and one more.
const MORE_THAN_A_STEP: usize = 201;

/// A world whose server works nothing off: what falls due waits for a worker.
async fn without_a_worker() -> World {
    let mut world = World::binary(Store::Postgres, &[]).await;
    world.server.stop();
    world.server.restart(&[("TENURE_ROLE", "api")]);
    world.http = client();
    world
}

/// Whoever works off what falls due in that world.
fn worker_of(world: &World) -> Server {
    let root_key = world.server.data().join("root-key");
    let settings = [
        ("TENURE_ROLE", "worker"),
        ("TENURE_STORE", world.server.database().unwrap()),
        ("TENURE_ROOT_KEY_FILE", root_key.to_str().unwrap()),
        ("TENURE_PUBLIC_URL", world.server.url.as_str()),
    ];
    Server::start(Store::Sqlite, &settings)
}

/// Stops `billing`, one identity of which has a token, and which has more of them than the proof's first step looks at;
/// the address that whoever stopped it lands on.
async fn stopped(world: &World) -> String {
    let (id, key) = world.exporter("exporter").await;
    world.token(&key, &id, "production").await;
    let draft = |n: usize| async move {
        world.register(&format!("draft-{n}"), world.charter(Key::new().jwk()), "draft").await.expect(201)
    };
    join_all((0..MORE_THAN_A_STEP).map(draft)).await;
    let at = format!("/stop/application/{}", world.application);
    let reason = "leaked <script>alert(1)</script>";
    send(world, &world.security, &at, &[("reason", reason), ("how", "cut")]).await.expect(303).location.unwrap()
}

/// The receipt that such an address names, by its own.
fn receipt_of(landed: &str) -> String {
    format!("/receipts/{}", landed.split_once("?receipt=").unwrap().1)
}

/// A stream of a page.
struct Live {
    response: reqwest::Response,
    unread: String,
}

impl Live {
    async fn open(world: &World, token: &str, proof: &str) -> Self {
        let url = format!("{}{proof}/live", world.server.url);
        let response = world.http.get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, unread: String::new() }
    }

    /// The next part that it is told, as HTML; nothing once it has ended.
    async fn told(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let lines: Vec<String> = event.lines().map(str::to_owned).collect();
                self.unread = rest.to_owned();
                let known = |line: &String| ["data: ", "retry: ", ":"].iter().any(|known| line.starts_with(known));
                assert!(lines.iter().all(known), "{lines:?}");
                let html: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("data: ")).collect();
                if !html.is_empty() {
                    return Some(html.join("\n"));
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.response.chunk()).await.unwrap();
            // A stream ends where the server ends it, however it does.
            self.unread.push_str(std::str::from_utf8(&chunk.ok()??).unwrap());
        }
    }
}

#[tokio::test]
async fn r72_a_proof_arrives_at_whoever_may_still_read_it() {
    let world = without_a_worker().await;
    let proof = receipt_of(&stopped(&world).await);
    let (pia_id, pia) = world.person("Pia", &["security"]).await;
    let (quin_id, quin) = world.person("Quin", &["security"]).await;
    let (rex_id, _) = world.person("Rex", &["security"]).await;
    let tokens = format!("/v1/people/{rex_id}/operator-tokens");
    let made = world.post(&world.admin, &tokens, json!({})).await.expect(201);
    let rex = made.text("/operator_token");
    let mut own = Live::open(&world, &world.security, &proof).await;
    let mut others = join_all([&pia, &quin, &rex].map(|token| Live::open(&world, token, &proof))).await;
    // What stands there at first: the point of the first step, and that there is more.
    for live in std::iter::once(&mut own).chain(&mut others) {
        let first = live.told().await.unwrap();
        assert!(first.contains(&format!("data-live=\"{proof}/live\"")) && first.contains("<h1>Stopped: billing</h1>"));
        assert!(first.contains("https://orders.internal") && !first.contains("the signed receipt"), "{first}");
        assert!(!first.contains("<script>"), "{first}");
    }
    // Who may not read it is told so, and who is nobody is led to the sign-in.
    let live = async |token: &str| {
        let url = format!("{}{proof}/live", world.server.url);
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        http.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let (_, nobody) = world.person("Nobody", &[]).await;
    assert_eq!(live(&nobody).await, 403);
    // One person has sixteen at once, and others theirs.
    let more = join_all((0..15).map(|_| Live::open(&world, &world.security, &proof))).await;
    assert_eq!((live(&world.security).await, live(&world.auditor).await), (429, 200));
    drop(more);

    // A person who is suspended, a right that is gone, a session that ended: each ends its stream, and nothing more
    // comes by it.
    world.post(&world.admin, &format!("/v1/people/{pia_id}/suspend"), json!({"reason": "left"})).await.expect(200);
    let roles = json!({"roles": [], "purpose": "another job"});
    let changed = world.post(&world.admin, &format!("/v1/people/{quin_id}/roles"), roles).await;
    assert_eq!(changed.text("/state"), "fulfilled", "{}", changed.body);
    let token = made.text("/id");
    world.post(&world.admin, &format!("/v1/operator-tokens/{token}/revoke"), json!({})).await.expect(200);
    assert_eq!(join_all(others.iter_mut().map(Live::told)).await, [None, None, None]);

    let worker = worker_of(&world);
    let last = loop {
        let Some(part) = own.told().await else { panic!("it ended before the proof was whole") };
        if !part.contains("data-live") {
            break part;
        }
    };
    for part in ["the signed receipt", "https://orders.internal", ">refused</span>"] {
        assert!(last.contains(part), "{part} is missing in {last}");
    }
    assert_eq!(own.told().await, None, "it ends with the proof");
    let again = Live::open(&world, &world.security, &proof).await.told().await.unwrap();
    assert!(!again.contains("data-live"), "{again}");
    drop(worker);
}

#[tokio::test]
async fn r72_a_page_shows_the_proof_by_itself_also_when_its_server_was_away() {
    let mut world = without_a_worker().await;
    let landed = stopped(&world).await;
    let proof = receipt_of(&landed);
    let mut browser = Chromium::start().await;
    browser.call("Network.enable", json!({})).await;
    let bearer = json!({"headers": {"Authorization": format!("Bearer {}", world.security)}});
    browser.call("Network.setExtraHTTPHeaders", bearer).await;
    browser.open(&format!("{}{landed}", world.server.url)).await;
    assert_eq!(
        browser.run("document.querySelector('.columns').innerText.includes('What could come back by itself')").await,
        json!(true)
    );
    browser.run("window.kept = document.querySelector('main > div')").await;
    assert_eq!(browser.run("kept.dataset.live").await, format!("{proof}/live"));
    // Whoever has gone to a link of it by keyboard is still there afterwards.
    browser.run("document.querySelector('.work a').focus()").await;
    let begun = Instant::now();
    world.server.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "a page that is told of changes holds up no stop");
    world.server.restart(&[]);
    browser.until("!kept.dataset.live && kept.innerText.includes('the signed receipt')").await;
    assert_eq!(browser.run("document.querySelector('main > div') === kept").await, json!(true));
    assert_eq!(browser.run("document.activeElement.closest('.work') !== null").await, json!(true));
}

#[tokio::test]
#[ignore = "long: measures what a hundred open pages cost"]
async fn what_a_hundred_open_pages_cost() {
    const LONG: Duration = Duration::from_secs(30);
    let world = without_a_worker().await;
    let proof = receipt_of(&stopped(&world).await);
    let cost = async |what: &str, changes_each: Option<Duration>| {
        let (begun, before) = (Instant::now(), world.server.processor_time());
        let mut changes = 0;
        while begun.elapsed() < LONG {
            match changes_each {
                Some(pause) => {
                    let body = json!({"name": format!("Rex {changes}")});
                    world.post(&world.admin, "/v1/people", body).await.expect(201);
                    changes += 1;
                    tokio::time::sleep(pause).await;
                }
                None => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        let share = (world.server.processor_time() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
        println!("{what}: {:.2} % of a core, {changes} changes", share * 100.0);
        share
    };
    let often = Some(Duration::from_millis(200));
    let idle = cost("no page, nothing happens", None).await;
    let busy = cost("no page, others change things", often).await;
    let mut pages = Vec::new();
    for n in 0..7 {
        let (_, token) = world.person(&format!("Reader {n}"), &["security"]).await;
        for _ in 0..if n < 6 { 15 } else { 10 } {
            let mut live = Live::open(&world, &token, &proof).await;
            live.told().await.unwrap();
            pages.push(tokio::spawn(async move { while live.told().await.is_some() {} }));
        }
    }
    assert_eq!(pages.len(), 100);
    let open = cost("a hundred pages, nothing happens", None).await - idle;
    let beside = cost("a hundred pages, others change things", often).await - busy;
    println!("a hundred pages cost {:.2} % of a core, and {:.2} % beside changes", open * 100.0, beside * 100.0);
    assert!(pages.iter().all(|page| !page.is_finished()));
    // Unoptimised, beside other tests; the figure of a release is a fraction.
    assert!(open < 0.05 && beside < 0.10, "{open} {beside}");
}
