//! Findings that are let be for a while: approved by others, listed as accepted, back by themselves; and what is never let be.

use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Key, Store, World};

/// An identity that several share, and the finding that says so.
async fn shared(world: &World) -> (String, String) {
    let mut charter = world.charter(Key::new().jwk());
    charter["shared"] = json!({"consumers": ["emea", "apac"], "migration_plan": "each gets its own by May"});
    let id = world.register("everyones", charter, "draft").await.expect(201).text("/id");
    crate::exceptions::granted(world, "shared_use", &id, "60d").await;
    crate::exceptions::activate(world, &id).await;
    world.until(async || open(world, &id).await.len() == 1).await;
    let finding = open(world, &id).await[0]["id"].as_str().unwrap().to_owned();
    (id, finding)
}

async fn listed(world: &World, id: &str, state: &str) -> Vec<Value> {
    let path = format!("/v1/findings?state={state}&rule=shared-identity&subject={id}");
    world.get(&world.security, &path).await.expect(200).body["items"].as_array().unwrap().clone()
}

async fn open(world: &World, id: &str) -> Vec<Value> {
    listed(world, id, "open").await
}

fn ask(id: &str, finding: &str, duration: &str) -> Value {
    json!({"type": "accepted_finding", "subject": {"type": "identity", "id": id}, "finding": finding, "reason": "it is split in May",
        "compensating": [{"control": "monitoring", "description": "alert on each use"}], "duration": duration})
}

/// Accepted: asked for by the owner, approved by their manager and security; the exception's id.
async fn accepted(world: &World, id: &str, finding: &str, duration: &str) -> String {
    let proposed = world.post(&world.owner, "/v1/exceptions", ask(id, finding, duration)).await.expect(201);
    let request = proposed.text("/request");
    assert_eq!(open(world, id).await.len(), 1, "it is open until others have approved");
    world.approve(&world.owner, &request).await.expect(403);
    world.approve(&world.manager, &request).await.expect(200);
    assert_eq!(world.approve(&world.security, &request).await.expect(200).text("/state"), "fulfilled");
    proposed.text("/id")
}

on_one! {
    async fn a_finding_is_accepted_by_others_until_a_day_and_comes_back_by_itself(world: World) {
        let (id, finding) = shared(&world).await;
        world.hold();
        let exception = accepted(&world, &id, &finding, "1h").await;
        let shown = world.get(&world.security, &format!("/v1/findings/{finding}")).await.expect(200);
        assert_eq!((shown.text("/state"), shown.text("/accepted/exception")), ("accepted".into(), exception.clone()));
        assert!(open(&world, &id).await.is_empty() && listed(&world, &id, "accepted").await.len() == 1);
        let summary = world.get(&world.auditor, "/v1/findings/summary").await.expect(200);
        assert!(summary.body["open_by_rule"].get("shared-identity").is_none(), "{}", summary.body);
        let page = world.text(&world.security, &format!("/findings/{finding}")).await;
        assert!(page.contains("Accepted until") && page.contains(&format!("/exceptions/{exception}")), "{page}");
        // A second one of the same, and one of another identity's, are refused.
        let again = world.post(&world.owner, "/v1/exceptions", ask(&id, &finding, "1h")).await.expect(201);
        assert_eq!(again.body["renewals"], 1, "the next one counts as a renewal");
        world.post(&world.owner, &format!("/v1/exceptions/{}/withdraw", again.text("/id")), json!({"reason": "not needed"})).await.expect(200);
        // Said to be done, and found again, it is the same thing still.
        world.post(&world.security, &format!("/v1/findings/{finding}/resolve"), json!({"how": "as it is"})).await.expect(200);
        world.pass(60).await;
        world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "odd"})).await.expect(200);
        let (_, sib) = world.person("Sib", &["security"]).await;
        world.post(&sib, &format!("/v1/identities/{id}/resume"), json!({"reason": "was us"})).await.expect(200);
        world.until(async || listed(&world, &id, "accepted").await.len() == 1).await;
        assert!(open(&world, &id).await.is_empty());
        // Its time is over: it is open by itself, and told.
        world.pass(3_600).await;
        world.until(async || open(&world, &id).await.len() == 1).await;
        assert!(listed(&world, &id, "accepted").await.is_empty());
        let told = world.events_of("finding.returned", &id).await.remove(0);
        assert_eq!(told["data"]["notify"]["roles"], json!(["security"]));
        assert_eq!(told["data"]["notify"]["to"], json!([world.owner_id]));
    }

    async fn what_is_accepted_comes_back_at_once_where_its_exception_is_taken_back(world: World) {
        let (id, finding) = shared(&world).await;
        let exception = accepted(&world, &id, &finding, "30d").await;
        assert!(open(&world, &id).await.is_empty());
        world.post(&world.security, &format!("/v1/exceptions/{exception}/withdraw"), json!({"reason": "not any more"})).await.expect(200);
        assert_eq!(open(&world, &id).await[0]["id"], json!(finding));
    }

    async fn what_may_be_an_attack_is_never_accepted_and_nobody_accepts_what_is_anothers(world: World) {
        let (id, finding) = shared(&world).await;
        let propose = async |ask: Value| world.post(&world.owner, "/v1/exceptions", ask).await;
        // A test identity in production: it may be an attack, whoever asks.
        let staging = world.resource("https://orders.staging.internal", "staging", "online").await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": staging}]);
        let tester = world.active("tester", charter).await;
        world.ask_token(&key, &tester, "production").await.expect(400);
        let path = format!("/v1/findings?rule=environment-mismatch&subject={tester}");
        let mismatch = world.get(&world.security, &path).await.expect(200).text("/items/0/id");
        assert_eq!(propose(ask(&tester, &mismatch, "1h")).await.expect(422).code(), "not_waivable");
        // One of another identity, one that isn't there: the same answer.
        for other in [&mismatch, "fin_00000000000000000000000000"] {
            assert_eq!(propose(ask(&id, other, "1h")).await.expect(422).field_codes(), ["finding_unknown"], "{other}");
        }
        let mut none = ask(&id, &finding, "1h");
        none.as_object_mut().unwrap().remove("finding");
        assert_eq!(propose(none).await.expect(422).field_codes(), ["finding_missing"]);
        let mut other_type = ask(&id, &finding, "1h");
        other_type["type"] = json!("late_review");
        assert_eq!(propose(other_type).await.expect(422).field_codes(), ["finding_not_taken"]);
        // Not without an end, not for longer than 90 days, not unwatched.
        for duration in ["0s", "91d"] {
            assert_eq!(propose(ask(&id, &finding, duration)).await.expect(422).field_codes(), ["duration_out_of_range"]);
        }
        let mut unwatched = ask(&id, &finding, "1h");
        unwatched["compensating"] = json!([]);
        assert_eq!(propose(unwatched).await.expect(422).field_codes(), ["control_missing"]);
        assert_eq!(open(&world, &id).await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_accepted_suspends_nothing_until_it_is_back() {
    let world = World::start_with(Store::Sqlite, &[("TENURE_HOLD_FINDINGS", "shared-identity")]).await;
    let mut charter = world.charter(Key::new().jwk());
    charter["shared"] = json!({"consumers": ["emea", "apac"], "migration_plan": "each gets its own by May"});
    let id = world.register("everyones", charter, "draft").await.expect(201).text("/id");
    crate::exceptions::granted(&world, "shared_use", &id, "60d").await;
    crate::exceptions::activate(&world, &id).await;
    world.until_state(&id, "suspended").await;
    let finding = open(&world, &id).await[0]["id"].as_str().unwrap().to_owned();
    world.hold();
    accepted(&world, &id, &finding, "1h").await;
    world
        .post(&world.security, &format!("/v1/identities/{id}/resume"), json!({"reason": "accepted"}))
        .await
        .expect(200);
    world.pass(600).await;
    world.until(async || listed(&world, &id, "accepted").await.len() == 1).await;
    let state = async || world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).text("/state");
    assert_eq!(state().await, "active");
    world.pass(3_600).await;
    world.until_state(&id, "suspended").await;
    assert_eq!(open(&world, &id).await.len(), 1);
}
