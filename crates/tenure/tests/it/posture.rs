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

/// The same world, where people's tokens last for a month.
pub async fn lasting(mut world: World) -> World {
    let mut lasting = Vec::new();
    for token in [&world.owner, &world.manager, &world.security, &world.auditor, &world.admin] {
        let id = world.get(token, "/v1/me").await.expect(200).text("/person/id");
        let path = format!("/v1/people/{id}/operator-tokens");
        let made = world.post(&world.admin, &path, json!({"ttl": "30d"})).await.expect(201);
        lasting.push(made.text("/operator_token"));
    }
    if let Ok([owner, manager, security, auditor, admin]) = <[String; 5]>::try_from(lasting) {
        (world.owner, world.manager, world.security, world.auditor, world.admin) =
            (owner, manager, security, auditor, admin);
    }
    world
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
    world.approve(&world.manager, &request).await.expect(200);
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
        world.post(&sib, "/v1/revocations", cut).await.expect(201);
        assert!(!world.is_live(&token).await);
        // Who declared it doesn't say that it is over.
        world.post(&world.security, &format!("{path}/breach-over"), because.clone()).await.expect(403);
        world.post(&sib, &format!("{path}/breach-over"), because.clone()).await.expect(200);
        world.until(async || findings(&world, "vendor-breached", &id).await.is_empty()).await;
        world.post(&sib, &format!("{path}/breach-over"), because).await.expect(409);
    }

    async fn nhi10_a_page_asked_for_with_a_workloads_credential_is_found(world: World) {
        let body = json!({"uri": world.server.url, "type": "tenure", "actions": ["read"], "application": world.application, "environment": "production", "verification": "online"});
        let tenure = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read"], "resource": tenure}]);
        let id = world.active("reader", charter).await;
        let token = world.token(&key, &id, "production").await;
        // The API is for it; a page is for people.
        world.get(&token, "/v1/me").await;
        assert!(findings(&world, "used-by-person", &id).await.is_empty());
        world.get(&token, "/identities").await.expect(404);
        let found = findings(&world, "used-by-person", &id).await;
        assert_eq!((found.len(), &found[0]["evidence"]["page"]), (1, &json!("/identities")));
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

    async fn r99_what_is_deprecated_is_counted_per_caller_until_its_sunset_and_denied_after_it(world: World) {
        let world = lasting(world).await;
        let old = world.application("orders-v1").await;
        let mut callers = Vec::new();
        for name in ["exporter", "importer"] {
            let key = Key::new();
            let mut charter = world.charter(key.jwk());
            charter["application"] = json!(old);
            callers.push((world.active(name, charter).await, key));
        }
        let (importer, other) = callers.pop().unwrap();
        let (exporter, key) = callers.pop().unwrap();
        world.hold();
        let declare = |sunset: i64| json!({"of": {"type": "application", "id": old}, "sunset": crate::world::in_secs(sunset), "reason": "replaced", "instead": "orders-v2"});
        world.post(&world.manager, "/v1/deprecations", declare(10 * DAY)).await.expect(403);
        world.post(&world.owner, "/v1/deprecations", declare(-1)).await.expect(422);
        let declared = world.post(&world.owner, "/v1/deprecations", declare(10 * DAY)).await.expect(201);
        assert_eq!((declared.text("/state"), declared.text("/instead")), ("announced".into(), "orders-v2".into()));
        assert_eq!(identity(&world, &exporter).await["deprecations"][0]["of"], json!(old));
        // Before the sunset it is used on, and counted per caller.
        world.pass(61).await;
        world.token(&key, &exporter, "production").await;
        let path = format!("/v1/deprecations/{old}");
        let uses = async |caller: &str| {
            let shown = world.get(&world.security, &path).await.expect(200);
            let callers = shown.body["callers"].as_array().cloned().unwrap_or_default();
            callers.iter().find(|known| known["caller"] == caller).map(|known| known["uses"].as_u64().unwrap())
        };
        for _ in 0..3 {
            world.token(&key, &exporter, "production").await;
        }
        world.token(&other, &importer, "production").await;
        world.pass(61).await;
        world.until(async || uses(&exporter).await.is_some_and(|uses| uses >= 3) && uses(&importer).await.is_some()).await;
        let page = world.text(&world.security, &format!("/deprecations/{old}")).await;
        assert!(page.contains("exporter") && page.contains("importer"), "{page}");
        // After it what belongs to it is suspended, and what still calls is found.
        world.pass(11 * DAY).await;
        for id in [&exporter, &importer] {
            world.until_state(id, "suspended").await;
            assert_eq!(findings(&world, "past-sunset", id).await[0]["severity"], "high");
        }
        assert_eq!(world.get(&world.security, &path).await.expect(200).text("/state"), "past");
        assert_eq!(world.ask_token(&key, &exporter, "production").await.expect(400).code(), "identity_suspended");
        assert_eq!(findings(&world, "used-after-end", &exporter).await[0]["evidence"]["asked"], "token");
        assert!(findings(&world, "used-after-end", &importer).await.is_empty());
        // It isn't resumed until somebody else than who declared it puts the sunset off.
        let resume = format!("/v1/identities/{exporter}/resume");
        let refused = world.post(&world.security, &resume, json!({"reason": "needed"})).await.expect(403);
        assert_eq!(refused.code(), "need_ended");
        world.post(&world.owner, "/v1/deprecations", declare(30 * DAY)).await.expect(403);
        world.post(&world.security, "/v1/deprecations", declare(30 * DAY)).await.expect(201);
        world.post(&world.security, &resume, json!({"reason": "needed"})).await.expect(200);
        world.token(&key, &exporter, "production").await;
        assert!(findings(&world, "past-sunset", &exporter).await.is_empty());
    }

    async fn r107_break_glass_is_approved_before_told_bounded_and_looked_at_before_the_next_time(world: World) {
        let world = lasting(world).await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["coverage"] = json!("just_in_time");
        let id = world.active("restorer", charter).await;
        let path = format!("/v1/identities/{id}/break-glass");
        let ask = |duration: &str| json!({"entitlement": {"actions": ["read"], "resource": world.orders}, "duration": duration, "reason": "restore of orders"});
        // Only where it was approved before.
        assert_eq!(world.post(&world.owner, &path, ask("30m")).await.expect(403).code(), "not_allowed");
        let exception = crate::exceptions::granted(&world, "break_glass", &id, "30d").await;
        world.ask_token(&key, &id, "production").await.expect(400);
        world.post(&world.manager, &path, ask("30m")).await.expect(403);
        assert_eq!(world.post(&world.owner, &path, ask("61m")).await.expect(422).field_codes(), ["duration_out_of_range"]);
        let mut outside = ask("30m");
        outside["entitlement"]["actions"] = json!(["write"]);
        assert_eq!(world.post(&world.owner, &path, outside).await.expect(403).code(), "outside_scope");
        let started = world.post(&world.owner, &path, ask("30m")).await.expect(201);
        let glass = started.text("/id");
        assert_eq!((started.text("/state"), started.text("/exception")), ("unreviewed".into(), exception.clone()));
        // An alert, a log of its own, a hard end.
        let event = world.events_of("break_glass.started", &id).await.remove(0);
        assert_eq!((&event["data"]["alert"], &event["data"]["notify"]["roles"]), (&json!(true), &json!(["security"])));
        let logged = world.get(&world.auditor, "/v1/log/exceptional?access=break_glass_started").await.expect(200);
        assert_eq!((logged.text("/items/0/identity"), logged.text("/items/0/allowed_by")), (id.clone(), exception));
        world.hold();
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_live(&token).await);
        world.pass(31 * 60).await;
        world.until(async || !world.events_of("grant.expired", &id).await.is_empty()).await;
        world.ask_token(&key, &id, "production").await.expect(400);
        // No next time until somebody else has looked at it; after two days that is a finding.
        assert_eq!(world.post(&world.owner, &path, ask("30m")).await.expect(409).code(), "illegal_transition");
        world.pass(2 * DAY).await;
        world.until(async || findings(&world, "break-glass-unreviewed", &id).await.len() == 1).await;
        let review = format!("/v1/break-glass/{glass}/review");
        let found = json!({"justified": true, "note": "restored, nothing else touched"});
        world.post(&world.owner, &review, found.clone()).await.expect(403);
        world.post(&world.security, &review, found.clone()).await.expect(200);
        assert!(findings(&world, "break-glass-unreviewed", &id).await.is_empty());
        world.post(&world.security, &review, found).await.expect(409);
        let again = world.post(&world.security, &path, ask("5m")).await.expect(201).text("/id");
        // Who started it isn't who looks at it; one that wasn't justified bars the rest of its exception.
        let review = format!("/v1/break-glass/{again}/review");
        let unjustified = json!({"justified": false, "note": "nothing was down"});
        world.post(&world.security, &review, unjustified.clone()).await.expect(403);
        let (_, sib) = world.person("Sib", &["security"]).await;
        world.post(&sib, &review, unjustified).await.expect(200);
        assert_eq!(world.post(&world.owner, &path, ask("5m")).await.expect(409).code(), "illegal_transition");
        let listed = world.get(&world.auditor, &format!("/v1/break-glass?identity={id}")).await.expect(200);
        assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
    }

    async fn r97_a_drill_proves_that_an_identity_can_be_removed(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let path = format!("/v1/identities/{id}/drill");
        // Without anything that is alive there is nothing to rehearse on.
        assert_eq!(world.call(reqwest::Method::POST, &world.owner, &path, None).await.expect(409).code(), "illegal_transition");
        world.get(&world.owner, &path).await.expect(404);
        let token = world.token(&key, &id, "production").await;
        world.call(reqwest::Method::POST, &world.manager, &path, None).await.expect(403);
        let drill = world.call(reqwest::Method::POST, &world.owner, &path, None).await.expect(200);
        assert_eq!(drill.text("/drilled/0/resource"), world.orders);
        assert!(!world.is_live(&token).await);
        // Its workload works on with another one, beside which the first is proven to be refused.
        let next = world.token(&key, &id, "production").await;
        assert!(world.is_live(&next).await);
        world.until(async || world.get(&world.owner, &path).await.expect(200).body["proven"] == json!(true)).await;
        let shown = identity(&world, &id).await;
        assert_eq!((&shown["drill"]["proven"], &shown["state"]), (&json!(true), &json!("active")));
        let receipt = drill.text("/drilled/0/receipt");
        let page = world.text(&world.owner, &format!("/identities/{id}")).await;
        assert!(page.contains(&format!("/receipts/{receipt}")), "{page}");
    }

    async fn r105_r112_debt_is_counted_each_night_and_its_trend_is_told(world: World) {
        let world = lasting(world).await;
        let trend = async || world.get(&world.auditor, "/v1/debt").await.expect(200).body["trend"].as_array().unwrap().clone();
        world.until(async || !trend().await.is_empty()).await;
        let (id, _) = world.exporter("exporter").await;
        crate::exceptions::granted(&world, "late_review", &id, "30d").await;
        let now = world.get(&world.auditor, "/v1/debt").await.expect(200);
        assert_eq!(now.body["debt"]["exceptions"], 1);
        world.pass(DAY).await;
        world.until(async || trend().await.last().is_some_and(|day| day["exceptions"] == 1)).await;
        assert!(trend().await.len() >= 2);
        let metrics = world.text("", "/metrics").await;
        assert!(metrics.contains("tenure_debt{of=\"exceptions\"} 1"), "{metrics}");
        let page = world.text(&world.auditor, "/debt").await;
        assert!(page.contains("Day by day"), "{page}");
        world.get(&world.owner, "/v1/debt").await.expect(403);
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
        let world = lasting(world).await;
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
