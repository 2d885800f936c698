//! Spans by OTLP, to a receiver that reads them with OpenTelemetry's own messages. Compiled with the feature `otlp`
//! alone: `cargo xtask test --long otlp`.

use serde_json::{Value, json};

use crate::mailbox::Collector;
use crate::world::{Store, World};

/// The span of the request with this id.
fn of_request(collector: &Collector, id: &str) -> Option<Value> {
    collector.spans().into_iter().find(|span| span["attributes"]["tenure.id"] == id)
}

async fn create(world: &World, id: &str, traceparent: Option<&str>) -> String {
    let url = format!("{}/v1/applications", world.server.url);
    let mut request = world.http.post(url).bearer_auth(&world.admin).header("x-request-id", id);
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let made =
        World::answer(request.json(&json!({"name": format!("quux-{id}"), "owner": world.owner_id}))).await.expect(201);
    let position = &made.body["log"]["position"];
    format!("{}:{}", position["shard"], position["index"])
}

#[tokio::test]
async fn spans_reach_a_collector_with_route_caller_and_commit() {
    let collector = Collector::start();
    let url = collector.url();
    let environment = [
        ("TENURE_OTLP_ENDPOINT", url.as_str()),
        ("TENURE_OUTBOUND_ALLOW", ""),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20ours"),
    ];
    let world = World::binary(Store::Sqlite, &environment).await;
    let commit = create(&world, "alone", None).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    // The client of this one asks to be left out: that is not its to say.
    create(&world, "within", Some(&format!("00-{trace}-00f067aa0ba902b7-00"))).await;
    create(&world, "nonsense", Some("00-zz-00-01")).await;
    world.get("", "/nowhere/4711").await.expect(404);
    // What was not sent yet is when the server stops.
    world.server.stop();

    let span = of_request(&collector, "alone").unwrap();
    assert_eq!((&span["service"], &span["version"]), (&json!("tenure"), &json!(env!("CARGO_PKG_VERSION"))), "{span}");
    assert_eq!(
        (&span["name"], &span["kind"], &span["parent"]),
        (&json!("POST /v1/applications"), &json!("SPAN_KIND_SERVER"), &json!("")),
        "{span}"
    );
    assert_eq!(
        (&span["error"], &span["repeated"], &span["events"]),
        (&json!(false), &json!(false), &json!(0)),
        "{span}"
    );
    assert_eq!(span["authorization"], "Bearer ours", "{span}");
    let attributes = &span["attributes"];
    assert_eq!(attributes["http.route"], "/v1/applications", "{span}");
    assert_eq!(attributes["http.request.method"], "POST", "{span}");
    assert_eq!(attributes["http.response.status_code"], 201, "{span}");
    assert_eq!(attributes["tenure.commit"], commit.as_str(), "{span}");
    assert!(attributes["tenure.caller"].as_str().is_some_and(|caller| caller.starts_with("per_")), "{span}");
    assert!(attributes["tenure.via"].as_str().is_some_and(|via| via.starts_with("opt_")), "{span}");
    let spans = collector.spans();
    let inner = spans.iter().find(|inner| inner["name"] == "commit" && inner["trace"] == span["trace"]).unwrap();
    assert_eq!((&inner["parent"], &inner["attributes"]["tenure.position"]), (&span["span"], &json!(commit)), "{inner}");

    let span = of_request(&collector, "within").unwrap();
    assert_eq!((&span["trace"], &span["parent"]), (&json!(trace), &json!("00f067aa0ba902b7")), "{span}");
    let span = of_request(&collector, "nonsense").unwrap();
    assert_eq!(span["parent"], "", "{span}");
    // Where there is no route, the path isn't said either.
    assert!(
        spans.iter().any(|span| span["name"] == "GET" && span["attributes"]["http.response.status_code"] == 404),
        "{spans:?}"
    );
    assert!(spans.iter().any(|span| span["name"] == "seal"), "{spans:?}");
    let all = json!(spans).to_string();
    for secret in ["quux", "Ada", "4711", world.admin.as_str(), "tnr_"] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    // Nobody listens there.
    let world = World::binary(
        Store::Sqlite,
        &[("TENURE_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_BSP_SCHEDULE_DELAY", "100")],
    )
    .await;
    create(&world, "one", None).await;
    world.until(async || world.server.said().contains("BatchSpanProcessor")).await;
    create(&world, "two", None).await;
    world.server.stop();
}
