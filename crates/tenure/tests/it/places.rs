//! Where a workload runs, and what its platform says of it: another place, another workload, a second one, none (R21, R89).

use serde_json::{Value, json};

use crate::exceptions::{approved, proposal, propose};
use crate::on_one;
use crate::peers::{AUDIENCE, Provider, exchange};
use crate::posture::lasting;
use crate::presets::{REPOSITORY, active, github, github_is_trusted, is_issued, is_refused, pipeline, register, trust};
use crate::signals::{cloud_headers, deliver, event, registration, source};
use crate::world::{Key, World, in_secs, random};

const DAY: i64 = 86_400;
const SETTINGS: [(&str, &str); 1] = [("TENURE_DORMANT_AFTER", "2d")];
const RELEASE: &str = "acme/billing/.github/workflows/release.yml";
const DEPLOY: &str = "acme/billing/.github/workflows/deploy.yml";

async fn identity(world: &World, id: &str) -> Value {
    world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).body
}

async fn findings(world: &World, rule: &str, subject: &str) -> Vec<Value> {
    let path = format!("/v1/findings?state=open&rule={rule}&subject={subject}");
    world.get(&world.auditor, &path).await.expect(200).body["items"].as_array().unwrap().clone()
}

/// What a job of a workflow is told by GitHub.
fn job(workflow: &str) -> Value {
    github(&json!({"workflow_ref": format!("{workflow}@refs/heads/main")}))
}

/// A charter for a workload whose platform's tokens have these claims.
fn attested(world: &World, provider: &Provider, workload: &str, claims: Value) -> Value {
    let mut charter = world.charter(json!({}));
    charter["workload_binding"] =
        json!({"type": "oidc", "workload": workload, "issuer": provider.url, "claims": claims});
    charter
}

on_one! {
    async fn r21_a_proof_from_another_place_is_refused(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let claims = json!({"repository_id": REPOSITORY, "environment": "production"});
        let mut charter = pipeline(&world, &provider, &["acme/billing"], &claims);
        charter["places"] = json!([{"type": "pipeline", "name": RELEASE}]);
        let id = active(&world, "pipeline", "release", &charter).await;
        is_issued(&world, &provider, &id, &job(RELEASE)).await;
        // Another pipeline of the same repository is another use; so is one that doesn't say which it is.
        is_refused(&world, &id, &provider.shaped(&job(DEPLOY), AUDIENCE).await, "place_not_permitted").await;
        is_refused(&world, &id, &provider.shaped(&github(&json!({})), AUDIENCE).await, "place_not_permitted").await;
        let refused = exchange(&world, &id, &provider.shaped(&job(DEPLOY), AUDIENCE).await, "production").await.expect(400);
        assert!(refused.text("/error_description").contains("deploy.yml"), "{}", refused.body);
        // The exception for its shared use lists it, for a while.
        let mut ask = proposal("shared_use", &id, "30d");
        ask["places"] = json!([{"type": "pipeline", "name": DEPLOY}]);
        let proposed = propose(&world, ask.clone()).await.expect(201);
        is_refused(&world, &id, &provider.shaped(&job(DEPLOY), AUDIENCE).await, "place_not_permitted").await;
        approved(&world, &proposed).await;
        is_issued(&world, &provider, &id, &job(DEPLOY)).await;
        is_refused(&world, &id, &provider.shaped(&job("acme/billing/.github/workflows/x.yml"), AUDIENCE).await, "place_not_permitted").await;
        let path = format!("/v1/exceptions/{}/withdraw", proposed.text("/id"));
        world.post(&world.security, &path, json!({"reason": "moved"})).await.expect(200);
        is_refused(&world, &id, &provider.shaped(&job(DEPLOY), AUDIENCE).await, "place_not_permitted").await;
        is_issued(&world, &provider, &id, &job(RELEASE)).await;
        // More places, or none to keep to, take an approval; fewer don't.
        let path = format!("/v1/identities/{id}/charter");
        let current = identity(&world, &id).await["charter"].clone();
        for places in [json!([{"type": "pipeline", "name": RELEASE}, {"type": "pipeline", "name": DEPLOY}]), json!([])] {
            let mut wider = current.clone();
            wider["places"] = places;
            assert_eq!(world.put(&world.owner, &path, wider).await.expect(403).code(), "approval_needed");
        }
        let mut narrower = current;
        narrower["places"].as_array_mut().unwrap().push(json!({"type": "region", "name": "eu-central-1"}));
        world.put(&world.owner, &path, narrower).await.expect(200);
        // Its platform says no region: nothing is taken for one.
        let claims_one = github(&json!({"workflow_ref": format!("{RELEASE}@refs/heads/main"), "region": "eu-central-1"}));
        is_refused(&world, &id, &provider.shaped(&claims_one, AUDIENCE).await, "place_not_permitted").await;
    }

    async fn r21_places_are_checked_and_are_for_what_says_them(world: World) {
        let provider = Provider::start("RS256", "first");
        github_is_trusted(&world, &provider).await;
        let claims = json!({"repository_id": REPOSITORY, "environment": "production"});
        let charter = pipeline(&world, &provider, &["acme/billing"], &claims);
        let place = |name: &str| json!({"type": "pipeline", "name": name});
        let many: Vec<Value> = (0..33).map(|n| place(&n.to_string())).collect();
        for (places, code) in [
            (json!([place("")]), "item_malformed"),
            (json!([place(&"x".repeat(501))]), "item_malformed"),
            (json!([place("a\u{0}b")]), "text_has_control_character"),
            (json!(many), "too_many"),
        ] {
            let mut wrong = charter.clone();
            wrong["places"] = places.clone();
            let refused = register(&world, "pipeline", "release", &wrong, "pending").await.expect(422);
            assert!(refused.field_codes().contains(&code.to_owned()), "{}", refused.body);
            let mut ask = proposal("shared_use", &world.exporter(&format!("e{}", random().to_lowercase().replace(['-', '_'], "x"))).await.0, "1d");
            ask["places"] = places;
            let refused = propose(&world, ask).await.expect(422).field_codes();
            assert!(refused == ["item_malformed"] || refused == [code], "{refused:?}");
        }
        let mut unknown = charter.clone();
        unknown["places"] = json!([{"type": "planet", "name": "mars"}]);
        register(&world, "pipeline", "release", &unknown, "pending").await.expect(400);
        // A key says no place, and no other exception lists any.
        let mut keyed = world.charter(Key::new().jwk());
        keyed["places"] = json!([{"type": "region", "name": "eu"}]);
        assert_eq!(world.register("keyed", keyed, "pending").await.expect(422).field_codes(), ["places_unproven"]);
        let mut fixed = charter.clone();
        fixed["places"] = json!([place(RELEASE)]);
        fixed["credential_types"] = json!(["access_token", "api_key"]);
        let refused = register(&world, "pipeline", "release", &fixed, "pending").await.expect(422);
        assert_eq!(refused.field_codes(), ["places_unproven"], "a static key is used from anywhere");
        let (id, _) = world.exporter("exporter").await;
        let mut ask = proposal("late_review", &id, "1d");
        ask["places"] = json!([place(DEPLOY)]);
        assert_eq!(propose(&world, ask).await.expect(422).field_codes(), ["places_not_of_type"]);
    }
}

on_one! { by |store| World::start_with(store, &SETTINGS);
    async fn r89_a_workload_that_changed_doubled_or_went_is_found_as_exactly_that(world: World) {
        let world = lasting(world).await;
        let provider = Provider::start("RS256", "first");
        trust(&world, &provider, "oidc", json!({})).await.expect(201);
        let mut wide = registration(&world, "platform", "cloud_events", "hmac");
        wide["kinds"] = json!(["workload_changed", "workload_removed"]);
        wide["subjects"] = json!(["workload:*"]);
        let platform = source(&world, wide).await;
        let say = async |kind: &str, subject: &str, data: Value| {
            let mut body: Value = serde_json::from_str(&event(&random(), kind, subject)).unwrap();
            body["data"] = data;
            let body = body.to_string();
            let taken = deliver(&world, &platform.name, &cloud_headers(&platform.secret, &body), &body).await.expect(202);
            let path = format!("/v1/signals/{}", taken.text("/signals/0/id"));
            world.until(async || world.get(&world.security, &path).await.expect(200).text("/state") != "received").await;
        };
        let mut running = Vec::new();
        for name in ["image", "account", "repository", "gone"] {
            let claims = json!({"sub": name, "image": "sha256:1", "service_account": "exporter", "repository": "acme/app"});
            let id = active(&world, "workload", name, &attested(&world, &provider, &format!("prod/{name}"), claims.clone())).await;
            let token = is_issued(&world, &provider, &id, &claims).await.text("/access_token");
            running.push((id, token));
        }
        // The attestation changed: each is held at once, and what it holds is refused.
        let changes = [("image", "image", "sha256:2"), ("account", "service_account", "other"), ("repository", "repository", "acme/evil")];
        for ((name, claim, now), (id, token)) in changes.into_iter().zip(&running) {
            say("workload.changed", &format!("workload:prod/{name}"), json!({claim: now})).await;
            let held = identity(&world, id).await;
            assert_eq!((&held["state"], &held["suspensions"][0]["kind"]), (&json!("suspended"), &json!("binding_broken")), "{held}");
            assert!(!world.is_live(token).await);
            let found = findings(&world, "binding-broken", id).await;
            assert_eq!((found.len(), &found[0]["evidence"]["broken"]), (1, &json!([claim])));
        }
        // It disappeared: held at once, too, and it will retire.
        let (gone, token) = running.pop().unwrap();
        say("workload.removed", "workload:prod/gone", json!({})).await;
        assert_eq!(identity(&world, &gone).await["state"], "suspended");
        assert!(!world.is_live(&token).await && findings(&world, "binding-broken", &gone).await.is_empty());
        // One identity in two clusters at the same time is shared, whatever its charter says.
        let claims = json!({"sub": "twin"});
        let twin = active(&world, "workload", "twin", &attested(&world, &provider, "prod/twin", claims)).await;
        let at = |cluster: &str| json!({"sub": "twin", "cluster": cluster});
        is_issued(&world, &provider, &twin, &at("eu")).await;
        is_issued(&world, &provider, &twin, &at("eu")).await;
        assert!(findings(&world, "two-places", &twin).await.is_empty());
        is_issued(&world, &provider, &twin, &at("us")).await;
        let found = findings(&world, "two-places", &twin).await;
        assert_eq!((&found[0]["evidence"]["attested_in"], &found[0]["evidence"]["and_in"]), (&json!("cluster us"), &json!("cluster eu")));
        // A second instance where one is allowed, and none at all.
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["tasks"] = json!([{"name": "reconcile", "purpose": "reconciles invoices", "scope": charter["scope"]}]);
        charter["expires_at"] = json!(in_secs(10 * DAY));
        let agent = active(&world, "agent", "accountant", &charter).await;
        world.ask_task(&key, &agent, "reconcile").await.expect(200);
        let second_host = reqwest::Client::builder().no_proxy().local_address("127.0.0.2".parse::<std::net::IpAddr>().unwrap()).build().unwrap();
        let assertion = key.assertion(&agent, &world.issuer("production"));
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
            ("authorization_details", r#"[{"type":"tenure_task","task":"reconcile"}]"#),
        ];
        let refused = World::answer(second_host.post(format!("{}/env/production/token", world.server.url)).form(&fields)).await.expect(400);
        assert_eq!(refused.code(), "second_instance");
        assert_eq!(findings(&world, "key-shared", &agent).await.len(), 1);
        let (idle, _) = world.exporter("idle").await;
        world.hold();
        world.pass(2 * DAY + 60).await;
        world.until_state(&idle, "suspended").await;
        assert_eq!(findings(&world, "dormant", &idle).await.len(), 1);
        assert_eq!(identity(&world, &idle).await["suspensions"][0]["kind"], "dormant");
    }
}
