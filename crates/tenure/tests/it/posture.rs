//! Posture: rules as data, what they find, and what hangs on what is found (R97, R99, R100).

use serde_json::{Value, json};

use crate::on_one;
use crate::signals::{cloud_headers, deliver, event, registration, source};
use crate::world::{Key, Store, World};

const DAY: i64 = 86_400;

async fn findings(world: &World, rule: &str, subject: &str) -> Vec<Value> {
    let path = format!("/v1/findings?state=open&rule={rule}&subject={subject}");
    world.get(&world.auditor, &path).await.expect(200).body["items"].as_array().unwrap().clone()
}

async fn identity(world: &World, id: &str) -> Value {
    world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).body
}

/// A vendor, and an active integration that it operates.
async fn operated(world: &World) -> (String, String, Key) {
    world
        .post(&world.admin, "/v1/data-domains", json!({"name": "orders", "sensitivity": "internal"}))
        .await
        .expect(201);
    let body =
        json!({"name": "acme", "contact": "soc@acme.example", "owner": world.owner_id, "data_domains": ["orders"]});
    let vendor = world.post(&world.admin, "/v1/vendors", body).await.expect(201).text("/id");
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    charter["vendor"] = json!(vendor);
    charter["data_domains"] = json!(["orders"]);
    let body = json!({"kind": "integration", "name": "acme-connector", "charter": charter, "stage": "pending"});
    let registered = world.post(&world.owner, "/v1/identities", body).await.expect(201);
    let (id, request) = (registered.text("/id"), registered.text("/request"));
    world.approve(&world.owner, &request).await.expect(200);
    world.approve(&world.security, &request).await.expect(200);
    (vendor, id, key)
}

on_one! {
    async fn r41_rules_are_data_and_say_how_they_stand(world: World) {
        let rules = world.get(&world.auditor, "/v1/finding-rules").await.expect(200).body["items"].as_array().unwrap().clone();
        for number in 1..=10 {
            let risk = json!(format!("NHI{number}:2025"));
            let answers = |rule: &&Value| rule["frameworks"].as_array().unwrap().contains(&risk);
            assert!(rules.iter().any(|rule| answers(&rule)), "no rule answers {risk}");
        }
        let of = |id: &str| rules.iter().find(|rule| rule["id"] == id).unwrap().clone();
        assert_eq!(
            (&of("wildcard-scope")["fix"], &of("wildcard-scope")["holds"], &of("wildcard-scope")["suppressed_by"]),
            (&json!("by_setting"), &json!(false), &json!("wildcard_scope"))
        );
        assert_eq!((&of("dormant")["fix"], &of("dormant")["holds"]), (&json!("hold"), &json!(true)));
        assert_eq!((&of("used-after-end")["fix"], &of("used-after-end")["open"]), (&json!("note"), &json!(0)));
        // Who may not read all findings isn't told how many there are.
        let owner = world.get(&world.owner, "/v1/finding-rules/wildcard-scope").await.expect(200);
        assert_eq!((owner.text("/id"), owner.body.get("open").is_some()), ("wildcard-scope".into(), false));
        world.get(&world.auditor, "/v1/finding-rules/imagined").await.expect(404);
    }

    async fn nhi3_a_breached_vendor_is_told_identity_by_identity_until_it_is_over(world: World) {
        let (vendor, id, key) = operated(&world).await;
        let token = world.token(&key, &id, "production").await;
        let path = format!("/v1/vendors/{vendor}");
        let because = json!({"reason": "its CI was taken over"});
        world.post(&world.manager, &format!("{path}/breach"), because.clone()).await.expect(403);
        let declared = world.post(&world.security, &format!("{path}/breach"), because.clone()).await.expect(200);
        assert_eq!(declared.text("/breach/reason"), "its CI was taken over");
        world.post(&world.security, &format!("{path}/breach"), because.clone()).await.expect(409);
        world.until(async || findings(&world, "vendor-breached", &id).await.len() == 1).await;
        let found = findings(&world, "vendor-breached", &id).await.remove(0);
        assert_eq!((&found["severity"], &found["evidence"]["vendor"]), (&json!("high"), &json!(vendor)));
        // It stops nothing by itself. One action does, for all of them.
        assert!(world.is_live(&token).await);
        let (_, sib) = world.person("Sib", &["security"]).await;
        let cut = json!({"target": {"type": "vendor", "id": vendor}, "reason": "breached", "suspend": true});
        world.post(&sib, "/v1/revocations", cut).await.expect(200);
        assert!(!world.is_live(&token).await);
        // Who declared it doesn't say that it is over.
        world.post(&world.security, &format!("{path}/breach-over"), because.clone()).await.expect(403);
        world.post(&sib, &format!("{path}/breach-over"), because.clone()).await.expect(200);
        world.until(async || findings(&world, "vendor-breached", &id).await.is_empty()).await;
        world.post(&sib, &format!("{path}/breach-over"), because).await.expect(409);
    }

    async fn r99_what_has_ended_and_is_still_calling_is_denied_and_found(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        world.post(&world.owner, &format!("/v1/identities/{id}/retire"), json!({"reason": "replaced"})).await.expect(200);
        world.until_state(&id, "retired").await;
        assert!(findings(&world, "used-after-end", &id).await.is_empty());
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "identity_retired");
        assert!(!world.is_live(&token).await);
        let found = findings(&world, "used-after-end", &id).await;
        let asked: Vec<&Value> = found.iter().map(|found| &found["evidence"]["asked"]).collect();
        assert_eq!(found[0]["severity"], "high");
        assert!(asked.contains(&&json!("token")) && asked.contains(&&json!(world.orders)), "{found:?}");
        assert_eq!(found[0]["evidence"]["retirement"]["because"], "by_hand");
    }

    async fn r100_a_test_identity_in_production_is_denied_and_found(world: World) {
        let key = Key::new();
        let staging = world.resource("https://orders.staging.internal", "staging", "online").await;
        let mut charter = world.charter(key.jwk());
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": staging}]);
        let id = world.active("tester", charter).await;
        let token = world.token(&key, &id, "staging").await;
        // Production's issuer is asked for a token, production's gateway is shown one, production's resource is asked for.
        world.ask_token(&key, &id, "production").await.expect(400);
        assert!(!world.is_live(&token).await);
        assert_eq!(world.evaluate(&id, Some(&token), "read").await.expect(200).body["decision"], json!(false));
        let found = findings(&world, "environment-mismatch", &id).await;
        assert!(!found.is_empty());
        assert!(found.iter().all(|found| found["severity"] == "high" && found["evidence"]["environment"] == "staging"), "{found:?}");
    }

    async fn r97_what_hangs_on_a_silent_source_is_neither_removable_nor_renewed(world: World) {
        let assets = source(&world, registration(&world, "assets", "cloud_events", "hmac")).await;
        let mut charter = world.charter(Key::new().jwk());
        charter["expires_at"] = json!(crate::world::in_secs(60 * DAY));
        let id = world.active("exporter", charter).await;
        world.hold();
        // It speaks once a day, about something else.
        for day in 0..16 {
            let body = event(&format!("e{day}"), "application.retired", &format!("application:other-{day}"));
            deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await.expect(202);
            world.pass(DAY).await;
        }
        assert!(findings(&world, "source-silent", &assets.id).await.is_empty());
        assert!(identity(&world, &id).await.get("silent").is_none());
        // Longer than twice its longest silence.
        world.pass(DAY + DAY / 2).await;
        world.until(async || findings(&world, "source-silent", &assets.id).await.len() == 1).await;
        let shown = identity(&world, &id).await;
        assert_eq!((&shown["silent"][0]["id"], &shown["silent"][0]["name"]), (&json!(assets.id), &json!("assets")), "{shown}");
        let page = world.text(&world.owner, &format!("/identities/{id}")).await;
        assert!(page.contains("Not heard or reached: assets"), "{page}");
        // It is heard again: at once nothing hangs.
        let body = event("back", "application.retired", "application:other");
        deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await.expect(202);
        assert!(findings(&world, "source-silent", &assets.id).await.is_empty());
        assert!(identity(&world, &id).await.get("silent").is_none());
    }
}

#[tokio::test]
async fn r41_a_rule_that_is_set_to_suspend_does() {
    let world = World::start_with(Store::Sqlite, &[("TENURE_HOLD_FINDINGS", "vendor-breached")]).await;
    let (vendor, id, key) = operated(&world).await;
    world.token(&key, &id, "production").await;
    let rule = world.get(&world.auditor, "/v1/finding-rules/vendor-breached").await.expect(200);
    assert_eq!(rule.body["holds"], json!(true));
    let because = json!({"reason": "its CI was taken over"});
    world.post(&world.security, &format!("/v1/vendors/{vendor}/breach"), because).await.expect(200);
    world.until_state(&id, "suspended").await;
    let shown = identity(&world, &id).await;
    assert_eq!(
        (&shown["suspensions"][0]["kind"], &shown["suspensions"][0]["releasable_by"]),
        (&json!("rule_broken"), &json!("security"))
    );
    assert_eq!(findings(&world, "vendor-breached", &id).await.len(), 1);
    assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "identity_suspended");
}
