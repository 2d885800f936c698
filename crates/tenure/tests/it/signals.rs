//! Sources of signals and what becomes of their deliveries on the way in (S-12).

mod attacks;
mod batches;
mod cli;
mod starts;
mod tokens;

use reqwest::Method;
use serde_json::{Value, json};
use tenure_core::base::time::Timestamp;
use tenure_credentials::signal::{github_signature, standard_signature, timed_signature};

use crate::on_one;
use crate::world::{Answer, World, now};

/// A registered source, as the system behind it knows it.
pub struct Source {
    pub id: String,
    pub name: String,
    pub secret: String,
}

pub type Headers = Vec<(&'static str, String)>;

/// What a source is registered with, if nothing else is said.
pub fn registration(world: &World, name: &str, format: &str, auth: &str) -> Value {
    json!({
        "name": name, "format": format, "owner": world.owner_id, "auth": {"type": auth},
        "kinds": ["repository_archived", "application_retired", "integration_removed"], "subjects": ["repository:acme/*", "application:*"],
    })
}

/// A source that is listened to: as long as there is one administrator, proposing is confirming.
pub async fn source(world: &World, registration: Value) -> Source {
    let made = world.post(&world.admin, "/v1/sources", registration).await.expect(201);
    Source {
        id: made.text("/id"),
        name: made.text("/name"),
        secret: made.body["secret"].as_str().unwrap_or_default().to_owned(),
    }
}

/// A delivery to the source with this id or name.
pub async fn deliver(world: &World, source: &str, headers: &Headers, body: &str) -> Answer {
    let mut request =
        world.http.request(Method::POST, format!("{}/signals/{source}", world.server.url)).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    World::answer(request).await
}

/// The body of a CloudEvent.
pub fn event(id: &str, kind: &str, subject: &str) -> String {
    json!({"specversion": "1.0", "id": id, "source": "/assets", "type": format!("dev.tenure.{kind}.v1"), "subject": subject,
        "time": Timestamp::from_secs(now()).to_string()})
    .to_string()
}

/// The headers of a CloudEvent that this secret signs now.
pub fn cloud_headers(secret: &str, body: &str) -> Headers {
    vec![
        ("content-type", "application/cloudevents+json".into()),
        ("tenure-signature", timed_signature(secret, body.as_bytes(), Timestamp::from_secs(now()))),
    ]
}

/// The body of GitHub's event `repository` about an archived one.
pub fn archived(repository: &str) -> String {
    let (owner, name) = repository.split_once('/').unwrap();
    json!({"action": "archived", "repository": {"id": 42, "name": name, "full_name": repository, "owner": {"login": owner, "id": 7},
        "archived": true, "updated_at": "2026-11-20T10:00:00Z"}, "sender": {"login": "ada", "id": 1}})
    .to_string()
}

/// GitHub's headers of an event.
pub fn github_headers(secret: &str, body: &str) -> Headers {
    vec![
        ("content-type", "application/json".into()),
        ("x-github-event", "repository".into()),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".into()),
        ("x-hub-signature-256", github_signature(secret, body.as_bytes())),
    ]
}

/// Every event of a reception.
pub async fn received(world: &World) -> Vec<Value> {
    world.events().await.into_iter().filter(|event| event["kind"] == "signal.received").collect()
}

on_one! {
    async fn s12_a_delivery_is_durable_once_however_often_it_comes(world: World) {
        let assets = source(&world, registration(&world, "assets", "cloud_events", "hmac")).await;
        let body = event("1", "application.retired", "application:payments");
        let first = deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await.expect(202);
        assert_eq!((first.body["duplicate"].clone(), first.body["signals"].as_array().unwrap().len()), (json!(false), 1));
        let signal = first.text("/signals/0/id");
        assert_eq!((first.text("/signals/0/kind"), first.body["signals"][0]["subject"].clone()),
            ("application_retired".into(), json!({"type": "application", "id": "payments"})));
        let events = received(&world).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["actor"], json!({"type": "source", "id": assets.id}));
        assert_eq!(events[0]["subjects"], json!([signal, assets.id]));
        assert_eq!((&events[0]["data"]["kind"], &events[0]["data"]["subject"]), (&json!("application_retired"), &json!("application:payments")));

        // By its id, signed anew: it is the same delivery.
        let again = deliver(&world, &assets.id, &cloud_headers(&assets.secret, &body), &body).await.expect(202);
        assert_eq!((again.body["duplicate"].clone(), again.text("/signals/0/id")), (json!(true), signal.clone()));
        assert_eq!(received(&world).await.len(), 1);

        let record = world.get(&world.security, &format!("/v1/signals/{signal}")).await.expect(200);
        assert_eq!((record.text("/source"), record.text("/word/subject/id")), (assets.id.clone(), "payments".into()));
        let filtered = format!("/v1/signals?source={}&kind=application_retired&subject=application:payments", assets.id);
        assert_eq!(world.get(&world.auditor, &filtered).await.expect(200).text("/items/0/id"), signal);
    }

    async fn s12_what_is_of_no_interest_is_taken_and_leaves_no_row(world: World) {
        let github = source(&world, registration(&world, "github", "github", "hmac")).await;
        let body = json!({"zen": "Keep it logically awesome.", "hook_id": 1}).to_string();
        let mut headers = github_headers(&github.secret, &body);
        headers[1].1 = "ping".into();
        let taken = deliver(&world, &github.name, &headers, &body).await.expect(202);
        assert_eq!(taken.body, json!({"signals": [], "duplicate": false}));
        assert!(world.get(&world.security, "/v1/signals").await.expect(200).body["items"].as_array().unwrap().is_empty());
        assert!(received(&world).await.is_empty());
        // It is counted, and the count is in the log when the server stops at the latest.
        let mut world = world;
        world.server.stop();
        world.restart();
        let ignored = world.events().await.into_iter().find(|event| event["kind"] == "signal.ignored").unwrap();
        assert_eq!((&ignored["data"]["source"], &ignored["data"]["count"]), (&json!(github.id), &json!(1)));
    }

    async fn s12_each_platform_is_known_by_its_own_rules(world: World) {
        let wide = |name: &str, format: &str, auth: &str| {
            let mut wide = registration(&world, name, format, auth);
            wide["kinds"] = json!(["run_ended", "workload_removed", "repository_archived"]);
            wide["subjects"] = json!(["repository:*", "workload:*"]);
            wide
        };
        let github = source(&world, wide("github", "github", "hmac")).await;
        let body = archived("acme/payments");
        deliver(&world, &github.name, &github_headers(&github.secret, &body), &body).await.expect(202);

        let destroyed = |id: u32| json!({"event_name": "project_destroy", "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z",
            "name": "payments", "path": "payments", "path_with_namespace": "acme/payments", "project_id": id, "owners": [], "project_visibility": "private"}).to_string();
        let plain = || ("content-type", "application/json".to_owned());
        let gitlab = source(&world, wide("gitlab", "gitlab", "token")).await;
        let taken = deliver(&world, &gitlab.name, &vec![plain(), ("x-gitlab-token", gitlab.secret.clone())], &destroyed(1)).await;
        assert_ne!(taken.status, 401, "{}", taken.body);
        let signed = source(&world, wide("gitlab-signed", "gitlab", "hmac")).await;
        assert!(signed.secret.starts_with("whsec_"));
        let (body, at) = (destroyed(2), now().to_string());
        let signature = standard_signature(&signed.secret, "msg_1", &at, body.as_bytes()).unwrap();
        let headers = vec![plain(), ("webhook-id", "msg_1".into()), ("webhook-timestamp", at), ("webhook-signature", signature)];
        assert_ne!(deliver(&world, &signed.name, &headers, &body).await.status, 401);

        let cluster = source(&world, wide("cluster", "kubernetes", "token")).await;
        let audit = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": []}).to_string();
        let bearer = ("authorization", format!("Bearer {}", cluster.secret));
        deliver(&world, &cluster.name, &vec![plain(), bearer], &audit).await.expect(202);
        // A secret is good in the place that it was made for only.
        for (name, header) in [(&gitlab.name, "authorization"), (&cluster.name, "x-gitlab-token")] {
            let both = [&gitlab.secret, &cluster.secret].map(|secret| if header == "authorization" { format!("Bearer {secret}") } else { secret.clone() });
            for value in both {
                assert_eq!(deliver(&world, name, &vec![plain(), (header, value)], &audit).await.expect(401).code(), "signal_not_authentic");
            }
        }
    }

    async fn s12_a_registration_says_what_is_wrong_with_it(world: World) {
        let good = registration(&world, "assets", "cloud_events", "hmac");
        let with = |change: Value| {
            let mut body = good.clone();
            for (name, value) in change.as_object().unwrap() {
                body[name] = value.clone();
            }
            body
        };
        for (change, code) in [
            (json!({"name": "Assets"}), "name_malformed"),
            (json!({"kinds": []}), "kinds_malformed"),
            (json!({"subjects": []}), "subjects_malformed"),
            (json!({"subjects": ["application:pay*"]}), "subject_malformed"),
            (json!({"subjects": ["application:acme/../*"]}), "subject_malformed"),
            (json!({"rate_per_minute": 0}), "rate_out_of_range"),
            (json!({"blast_cap": 10_001}), "blast_cap_out_of_range"),
            (json!({"kinds": ["workload_created"]}), "template_missing"),
            (json!({"template": "nothing"}), "template_unknown"),
            (json!({"issuer": "https://nobody.example"}), "issuer_unknown"),
            (json!({"owner": "per_00000000000000000000000000"}), "owner_unknown"),
            (json!({"auth": {"type": "token"}}), "auth_not_for_format"),
            (json!({"format": "set"}), "auth_not_for_format"),
            (json!({"format": "github", "auth": {"type": "keys", "issuer": "https://x.example", "audience": "a", "jwks_uri": "https://x.example/k"}}), "auth_not_for_format"),
            (json!({"format": "set", "auth": {"type": "keys", "issuer": "http://x.example", "audience": "a"}}), "url_malformed"),
            (json!({"format": "set", "auth": {"type": "keys", "issuer": "https://x.example", "audience": "", "algorithms": ["HS256"]}}), "algorithm_unknown"),
        ] {
            let answer = world.post(&world.admin, "/v1/sources", with(change.clone())).await.expect(422);
            assert!(answer.field_codes().contains(&code.to_owned()), "{change}: {}", answer.body);
        }
        source(&world, good.clone()).await;
        assert_eq!(world.post(&world.admin, "/v1/sources", good).await.expect(409).code(), "taken");
    }
}

on_one! { by |store| World::binary(store, &[]);
    async fn s12_a_secret_is_shown_once_and_stands_nowhere(world: World) {
        let hook = source(&world, registration(&world, "github", "github", "hmac")).await;
        let cluster = source(&world, registration(&world, "cluster", "kubernetes", "token")).await;
        let rotated = world.post(&world.admin, &format!("/v1/sources/{}/rotate-key", hook.id), json!({})).await.expect(200).text("/secret");
        assert_ne!(rotated, hook.secret);
        let everywhere = [
            world.text(&world.admin, "/v1/sources").await,
            world.text(&world.admin, &format!("/v1/sources/{}", hook.id)).await,
            world.text(&world.auditor, "/v1/log/export").await,
            world.events().await.iter().map(Value::to_string).collect(),
            world.server.said(),
        ];
        for secret in [&hook.secret, &rotated, &cluster.secret] {
            assert!(secret.starts_with("tnr_whk_"), "{secret}");
            assert!(everywhere.iter().all(|text| !text.contains(&secret[..40])));
        }
        assert!(everywhere.iter().all(|text| !text.contains("sealed") && !text.contains("\"hash\":")));
    }
}

/// Sends so many deliveries at once to a source that takes so many a minute: each that is acknowledged is recorded
/// once.
async fn burst(world: World, deliveries: usize, rate: usize) {
    use futures_util::{StreamExt as _, stream};
    let mut fast = registration(&world, "assets", "cloud_events", "hmac");
    fast["rate_per_minute"] = json!(rate);
    let assets = source(&world, fast).await;
    let (world, assets) = (&world, &assets);
    let answers: Vec<Answer> = stream::iter(0..deliveries)
        .map(|n| async move {
            let body = event(&n.to_string(), "application.retired", &format!("application:app-{n}"));
            deliver(world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await
        })
        .buffer_unordered(64)
        .collect()
        .await;
    let mut taken: Vec<String> =
        answers.iter().filter(|answer| answer.status == 202).map(|answer| answer.text("/signals/0/id")).collect();
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 202).collect();
    assert!(
        refused.iter().all(|answer| matches!(answer.status, 429 | 503) && answer.headers.contains_key("retry-after"))
    );
    assert!(taken.len() >= rate, "{}", taken.len());
    let mut logged: Vec<String> =
        received(world).await.iter().map(|event| event["subjects"][0].as_str().unwrap().to_owned()).collect();
    taken.sort_unstable();
    logged.sort_unstable();
    assert_eq!(taken.len(), logged.len());
    assert!(taken == logged, "what was acknowledged is what is in the log");
}

mod s12_ten_thousand_deliveries_in_a_burst_lose_nothing {
    use super::*;
    use crate::world::Store;

    #[tokio::test]
    async fn sqlite() {
        burst(World::start(Store::Sqlite).await, 1_000, 600).await;
    }

    #[tokio::test]
    async fn postgres() {
        burst(World::start(Store::Postgres).await, 1_000, 600).await;
    }

    #[tokio::test]
    #[ignore = "long: ten thousand"]
    async fn many_sqlite() {
        burst(World::start(Store::Sqlite).await, 10_000, 6_000).await;
    }

    #[tokio::test]
    #[ignore = "long: ten thousand"]
    async fn many_postgres() {
        burst(World::start(Store::Postgres).await, 10_000, 6_000).await;
    }
}
