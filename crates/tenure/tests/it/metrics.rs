//! What operators see of a running server: metrics as a scraper reads them, and spans in its log.

use reqwest::Method;
use serde_json::{Value, json};

use crate::mailbox::Hooks;
use crate::on_one;
use crate::peers::{python, said};
use crate::world::{Store, World};

/// A sample's value, if there is one with these labels.
fn sample(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let found = text.lines().find(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label)))
    });
    found.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn requests(world: &World, labels: &[&str]) -> f64 {
    let text = world.text("", "/metrics").await;
    sample(&text, "tenure_http_request_duration_seconds_count", labels).unwrap_or_default()
}

/// Every series of the histogram of requests, without its buckets' bounds.
async fn series(world: &World) -> Vec<String> {
    let text = world.text("", "/metrics").await;
    let lines = text.lines().filter(|line| line.starts_with("tenure_http_request_duration_seconds_count"));
    let mut series: Vec<String> = lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
    series.sort();
    series
}

on_one! {
    async fn metrics_are_read_by_the_client_of_prometheus(world: World) {
        let (id, key) = world.exporter("exporter").await;
        world.token(&key, &id, "production").await;
        world.revoke("identity", &id).await.expect(201);
        world.until(async || sample(&world.text("", "/metrics").await, "tenure_deadlines_worked_total", &[]) > Some(0.0)).await;
        world.until(async || sample(&world.text("", "/metrics").await, "tenure_seal_duration_seconds_count", &[]) > Some(0.0)).await;
        let mut scrape = python("metrics.py");
        scrape.arg(format!("{}/metrics", world.server.url));
        let read = said(scrape).await;
        assert_eq!(read["type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
        for (name, kind, unit) in [
            ("tenure_log_entries", "gauge", ""),
            ("tenure_log_sealed_entries", "gauge", ""),
            ("tenure_clock_reliable", "gauge", ""),
            ("tenure_disk_full", "gauge", ""),
            ("tenure_log_contradicted", "gauge", ""),
            ("tenure_checkpoint_places_failing", "gauge", ""),
            ("tenure_epoch", "gauge", ""),
            ("tenure_state_faults", "gauge", ""),
            ("tenure_state_verified_timestamp_seconds", "gauge", "seconds"),
            ("tenure_holds", "gauge", ""),
            ("tenure_credentials_issued", "counter", ""),
            ("tenure_refusals", "counter", ""),
            ("tenure_introspections", "counter", ""),
            ("tenure_decisions_allowed", "counter", ""),
            ("tenure_decisions_denied", "counter", ""),
            ("tenure_receipts_checked", "counter", ""),
            ("tenure_conflicts", "counter", ""),
            ("tenure_deadlines_worked", "counter", ""),
            ("tenure_deadlines_retried", "counter", ""),
            ("tenure_http_request_duration_seconds", "histogram", "seconds"),
            ("tenure_commit_duration_seconds", "histogram", "seconds"),
            ("tenure_seal_duration_seconds", "histogram", "seconds"),
        ] {
            let family = &read["families"][name];
            assert_eq!((&family["type"], &family["unit"]), (&json!(kind), &json!(unit)), "{name}: {family}");
            assert!(!family["help"].as_str().unwrap().is_empty() && !family["samples"].as_array().unwrap().is_empty(), "{name}: {family}");
        }
        // Each has its meaning in the operators' page.
        let page = include_str!("../../../../docs/operations/telemetry.md");
        for (name, family) in read["families"].as_object().unwrap() {
            let name = if family["type"] == "counter" { format!("{name}_total") } else { name.clone() };
            assert!(page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}{{")), "{name} is not in the page");
        }
        let issued = read["families"]["tenure_credentials_issued"]["samples"][0].clone();
        assert_eq!(issued[0], "tenure_credentials_issued_total");
        assert!(issued[2].as_f64() >= Some(2.0), "{issued}");
        let commits = read["families"]["tenure_commit_duration_seconds"]["samples"].as_array().unwrap();
        let of = |control: &str| commits.iter().any(|one| one[1] == json!({"control": control, "outcome": "committed"}) && one[2].as_f64() > Some(0.0));
        assert!(of("issue") && of("revoke"), "{commits:?}");
    }

    async fn requests_are_counted_by_method_route_and_class(world: World) {
        let (found, missing) = (
            [r#"method="GET""#, r#"route="/v1/identities/{id}""#, r#"status="2xx""#],
            [r#"method="GET""#, r#"route="/v1/identities/{id}""#, r#"status="4xx""#],
        );
        let before = (requests(&world, &found).await, requests(&world, &missing).await);
        for _ in 0..3 {
            world.get(&world.auditor, &format!("/v1/identities/{}", world.gateway_id)).await.expect(200);
        }
        world.get(&world.auditor, "/v1/identities/nobody").await.expect(404);
        world.get("", &format!("/v1/identities/{}", world.gateway_id)).await.expect(401);
        let after = (requests(&world, &found).await, requests(&world, &missing).await);
        assert_eq!((after.0 - before.0, after.1 - before.1), (3.0, 2.0));
        // Each of them is in the last bucket, and in the one of everything.
        let text = world.text("", "/metrics").await;
        let within = |bound: &str| {
            let labels = [&found[..], &[bound]].concat();
            sample(&text, "tenure_http_request_duration_seconds_bucket", &labels)
        };
        assert_eq!(within(r#"le="+Inf""#), Some(after.0));
        assert!(within(r#"le="10.0""#) <= Some(after.0) && within(r#"le="0.0005""#).is_some(), "{text}");
    }

    async fn what_anybody_sends_makes_no_series(world: World) {
        let send = async |method: &str, path: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            world.http.request(method, format!("{}{path}", world.server.url)).send().await.unwrap().status().as_u16()
        };
        // One of each answer, so that its series are there.
        for (method, path, status) in [("GET", "/nowhere", 404), ("PURGE", "/nowhere", 404), ("GET", "/v1/people/per_1", 401), ("PURGE", "/v1/people/per_1", 405)] {
            assert_eq!(send(method, path).await, status, "{method} {path}");
        }
        world.text("", "/metrics").await;
        let before = series(&world).await;
        for n in 0..1_000 {
            send("GET", &format!("/{n}/{}", "x".repeat(n % 50))).await;
        }
        for n in 0..50 {
            send("GET", &format!("/v1/people/per_{n}%22%7D%0a?{n}")).await;
            send(&format!("PURGE{n}"), "/nowhere").await;
            send(&format!("PURGE{n}"), "/v1/people/per_1").await;
            send(["PUT", "OPTIONS", "DELETE", "TRACE", "CONNECTED"][n % 5], "/v1/people/per_1").await;
        }
        let after = series(&world).await;
        assert_eq!(before, after);
        assert!(after.iter().any(|series| series.contains(r#"route="none""#)), "{after:?}");
        assert!(requests(&world, &[r#"route="none""#, r#"method="GET""#]).await > 1_000.0);
    }
}

/// The lines of a server's log that are JSON.
fn lines(world: &World) -> Vec<Value> {
    world.server.said().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The fields of the span in which a line was written.
fn spans_of(world: &World, message: &str) -> Vec<Value> {
    let lines = lines(world);
    let said = lines.iter().filter(|line| line["fields"]["message"] == message);
    said.map(|line| line["span"].clone()).collect()
}

const SAYS_MORE: [(&str, &str); 2] =
    [("TENURE_JSON_LOGS", "true"), ("TENURE_LOG", "info,tenure_server=debug,tenure_engine=debug")];

#[tokio::test]
async fn spans_say_who_called_what_was_committed_and_where() {
    let hooks = Hooks::start("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 204);
    let webhook = hooks.environment();
    let mut environment = SAYS_MORE.to_vec();
    environment.extend(webhook.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let world = World::binary(Store::Sqlite, &environment).await;
    let (zoe, token) = world.person("Zebedee Quux", &["administrator"]).await;
    let record = json!({"name": "Quentin Zyzzyva", "email": "quentin@example.com", "roles": ["requester"]});
    world.post(&token, "/v1/people", record).await.expect(201);
    let made = world
        .http
        .post(format!("{}/v1/applications", world.server.url))
        .bearer_auth(&token)
        .header("x-request-id", "the-making")
        // What is kept under the key is a commit of its own, and not the request's.
        .header("idempotency-key", "once");
    let made = World::answer(made.json(&json!({"name": "making", "owner": world.owner_id}))).await.expect(201);
    let position = &made.body["log"]["position"];
    let commit = format!("{}:{}", position["shard"], position["index"]);
    world.until(async || spans_of(&world, "answered").iter().any(|span| span["id"] == "the-making")).await;
    let span = spans_of(&world, "answered").into_iter().find(|span| span["id"] == "the-making").unwrap();
    let said = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (said("name"), said("method"), said("route"), said("caller"), said("commit")),
        ("request".into(), "POST".into(), "/v1/applications".into(), zoe.clone(), commit.clone()),
        "{span}"
    );
    assert_eq!(span["status"], 201, "{span}");
    let id = said("via");
    assert!(
        id.starts_with("opt_") && token.contains(id.trim_start_matches("opt_")) && token.len() > id.len() + 20,
        "{span}"
    );

    // The commit has a span of its own within the request's.
    let committed = lines(&world)
        .into_iter()
        .find(|line| line["fields"]["message"] == "committed" && line["span"]["position"] == commit.as_str());
    let committed = committed.unwrap();
    assert_eq!(
        (&committed["span"]["name"], &committed["span"]["event"]),
        (&json!("commit"), &json!("application.created")),
        "{committed}"
    );
    assert!(committed["spans"].as_array().unwrap().iter().any(|around| around["id"] == "the-making"), "{committed}");

    // A workload is named too, by what it proves; so is an enforcement point.
    let (exporter, key) = world.exporter("exporter").await;
    let issued = world.token(&key, &exporter, "production").await;
    assert!(world.is_live(&issued).await);
    let called = |route: &str, who: &str| {
        spans_of(&world, "answered").iter().any(|span| span["route"] == route && span["caller"] == who)
    };
    world
        .until(async || {
            called("/env/{environment}/token", &exporter) && called("/env/{environment}/introspect", &world.gateway_id)
        })
        .await;

    // Sealing, a deadline and a notice.
    world.revoke("identity", &exporter).await.expect(201);
    world
        .until(async || {
            spans_of(&world, "worked off").iter().any(|span| span["kind"] == "receipt" && span["commit"].is_string())
        })
        .await;
    world
        .until(async || {
            spans_of(&world, "sealed")
                .iter()
                .any(|span| span["name"] == "seal" && span["size"].as_u64() > span["from"].as_u64())
        })
        .await;
    let is_notice =
        |span: &Value| span["name"] == "notice" && span["channel"] == "webhook" && span["outcome"] == "delivered";
    world.until(async || spans_of(&world, "a delivery ended").iter().any(is_notice)).await;
    let metrics = world.text("", "/metrics").await;
    let notices =
        sample(&metrics, "tenure_notice_duration_seconds_count", &[r#"channel="webhook""#, r#"outcome="delivered""#]);
    assert!(notices >= Some(1.0), "{metrics}");

    // Names, addresses and secrets are in neither.
    let all = format!("{}\n{metrics}", world.server.said());
    for secret in [
        "Zebedee",
        "Quux",
        "Quentin",
        "quentin@",
        token.as_str(),
        &issued,
        &world.admin,
        &world.gateway,
        "whsec_",
        "tnr_op_",
        "eyJ",
    ] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_build_that_sends_no_spans_refuses_to_be_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::world::tenure();
    command.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path());
    command.env("TENURE_OTLP_ENDPOINT", if cfg!(feature = "otlp") { "nonsense" } else { "http://127.0.0.1:4318" });
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("otlp_endpoint"), "{said}");
    assert_eq!(said.contains("--features otlp"), !cfg!(feature = "otlp"), "{said}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is begun");
}
