//! Removals that wait for the end of an exception (R109).

use serde_json::{Value, json};

use crate::exceptions::{granted, proposal, propose};
use crate::on_one;
use crate::posture::lasting;
use crate::world::{Answer, Key, World};

const DAY: i64 = 86_400;
const HOLD: [(&str, &str); 1] = [("TENURE_REMOVAL_HOLD", "1d")];

async fn identity(world: &World, id: &str) -> Value {
    world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).body
}

/// An application, and so many active identities that work for it.
async fn application(world: &World, name: &str, identities: usize) -> (String, Vec<(String, Key)>) {
    let application = world.application(name).await;
    let mut of_it = Vec::new();
    for n in 0..identities {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["application"] = json!(application);
        of_it.push((world.active(&format!("{name}-{n}"), charter).await, key));
    }
    (application, of_it)
}

/// Lets time pass, after which the gateway has a token again.
async fn later(world: &mut World, secs: i64) {
    world.pass(secs).await;
    world.gateway = world.token(&world.gateway_key, &world.gateway_id, "production").await;
}

async fn raise(world: &World, subject: &str, more: Value) -> Answer {
    let (kind, id) = subject.split_once(':').unwrap();
    let mut body = json!({"subject": {"type": kind, "id": id}, "reason": "replaced by ledger"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.post(&world.owner, "/v1/removals", body).await
}

async fn until_removal(world: &World, id: &str, state: &str) -> Value {
    let path = format!("/v1/removals/{id}");
    world.until(async || world.get(&world.security, &path).await.expect(200).text("/state") == state).await;
    world.get(&world.security, &path).await.expect(200).body
}

on_one! { by |store| World::start_with(store, &HOLD);
    async fn r109_a_removal_waits_for_the_end_of_an_exception_that_was_approved_before(world: World) {
        let mut world = lasting(world).await;
        let (_, mut of_it) = application(&world, "billing-v1", 2).await;
        let (other, _) = of_it.pop().unwrap();
        let (kept, key) = of_it.pop().unwrap();
        world.hold();
        let exception = granted(&world, "removal_deferred", &kept, "20d").await;
        let token = world.token(&key, &kept, "production").await;
        // The dry run says who waits, and the effect is that one.
        let plan = raise(&world, "application:billing-v1", json!({"dry_run": true})).await.expect(200);
        assert_eq!((&plan.body["blast"]["deferred"], &plan.body["blast"]["count"]), (&json!([kept]), &json!(2)));
        let raised = raise(&world, "application:billing-v1", json!({"expect": plan.text("/digest")})).await.expect(201);
        let removal = raised.text("/id");
        assert_eq!(identity(&world, &other).await["state"], "suspended");
        let shown = identity(&world, &kept).await;
        assert_eq!((&shown["state"], &shown["deferred"][0]["exception"]), (&json!("active"), &json!(exception)));
        assert_eq!((&shown["deferred"][0]["trigger"], &shown["deferred"][0]["of"]), (&json!("removal"), &json!(removal)));
        assert!(world.is_live(&token).await && world.is_allowed(&kept, Some(&token), "read").await);
        let told = world.events_of("identity.removal_deferred", &kept).await;
        assert_eq!((told.len(), &told[0]["data"]["notify"]["to"]), (1, &json!([world.owner_id])));
        assert_eq!(told[0]["data"]["notify"]["roles"], json!(["security"]));
        let page = world.text(&world.owner, &format!("/identities/{kept}")).await;
        assert!(page.contains("Its removal waits for the end of") && page.contains(&exception), "{page}");
        // What waits isn't put off once more.
        let renewal = json!({"reason": "not yet", "duration": "20d"});
        let refused = world.post(&world.owner, &format!("/v1/exceptions/{exception}/renew"), renewal).await.expect(409);
        assert_eq!(refused.code(), "removal_triggered");
        // The others retire with their application; it goes on, and a cut reaches it all the same.
        later(&mut world, 2 * DAY).await;
        world.until_state(&other, "retired").await;
        let token = world.token(&key, &kept, "production").await;
        assert!(world.is_live(&token).await);
        world.revoke("identity", &kept).await.expect(201);
        assert!(!world.is_live(&token).await);
        assert_eq!(until_removal(&world, &removal, "retiring").await["retired"], 1);
        let token = world.token(&key, &kept, "production").await;
        // At the end of the exception the removal goes on by itself.
        later(&mut world, 19 * DAY).await;
        world.until_state(&kept, "retired").await;
        assert!(!world.is_live(&token).await);
        assert_eq!(world.ask_token(&key, &kept, "production").await.expect(400).code(), "identity_retired");
        // It is looked at every five minutes.
        world.pass(600).await;
        assert_eq!(until_removal(&world, &removal, "done").await["retired"], 2);
        let state = world.get(&world.owner, &format!("/v1/exceptions/{exception}")).await.expect(200).text("/state");
        assert_eq!(state, "expired");
    }

    async fn r109_what_is_asked_for_after_something_fired_is_refused(world: World) {
        let (application, mut of_it) = application(&world, "billing-v1", 2).await;
        let (late, _) = of_it.pop().unwrap();
        let (voted, _) = of_it.pop().unwrap();
        // Each of the three controls has to be there, as for every long-lived account.
        for absent in ["monitoring", "scope_reduction", "documented_expiry"] {
            let mut ask = proposal("removal_deferred", &voted, "20d");
            ask["compensating"].as_array_mut().unwrap().retain(|control| control["control"] != absent);
            assert_eq!(propose(&world, ask).await.expect(422).field_codes(), ["control_missing"]);
        }
        let mut beyond = proposal("removal_deferred", &voted, "91d");
        assert_eq!(propose(&world, beyond.clone()).await.expect(422).field_codes(), ["duration_out_of_range"]);
        beyond["duration"] = json!("60d");
        // Proposed before it fires, and voted on after: too late, too.
        let proposed = propose(&world, beyond).await.expect(201);
        let request = proposed.text("/request");
        world.approve(&world.manager, &request).await.expect(200);
        world.post(&world.auditor, "/v1/removals", json!({"subject": {"type": "application", "id": "billing-v1"}, "reason": "over"})).await.expect(403);
        let removal = raise(&world, "application:billing-v1", json!({})).await.expect(201).text("/id");
        for id in [&voted, &late] {
            assert!(identity(&world, id).await["deferred"].is_null());
        }
        let refused = world.approve(&world.security, &request).await;
        assert!((400..500).contains(&refused.status), "{}", refused.body);
        let state = world.get(&world.owner, &format!("/v1/exceptions/{}", proposed.text("/id"))).await.expect(200).text("/state");
        assert_ne!(state, "active");
        let refused = propose(&world, proposal("removal_deferred", &late, "20d")).await.expect(409);
        assert_eq!(refused.code(), "removal_triggered");
        assert!(refused.text("/detail").contains(&removal), "{}", refused.body);
        // Nor for one that isn't active, and nor by whoever may not ask.
        let (id, _) = world.exporter("exporter").await;
        world.post(&world.auditor, "/v1/exceptions", proposal("removal_deferred", &id, "20d")).await.expect(403);
        world.post(&world.owner, &format!("/v1/identities/{id}/suspend"), json!({"reason": "incident 42"})).await.expect(200);
        let refused = propose(&world, proposal("removal_deferred", &id, "20d")).await.expect(409);
        assert_eq!(refused.code(), "illegal_transition");
        assert!(identity(&world, &late).await["charter"]["application"] == json!(application));
    }

    async fn r109_a_compromise_waits_for_nothing(world: World) {
        let world = lasting(world).await;
        let (id, key) = world.exporter("exporter").await;
        granted(&world, "removal_deferred", &id, "20d").await;
        let token = world.token(&key, &id, "production").await;
        let subject = format!("identity:{id}");
        let plan = raise(&world, &subject, json!({"dry_run": true})).await.expect(200);
        assert_eq!(plan.body["blast"]["deferred"], json!([id]));
        let leaked = raise(&world, &subject, json!({"dry_run": true, "compromise": true})).await.expect(200);
        assert!(leaked.body["blast"]["deferred"].is_null() && leaked.text("/digest") != plan.text("/digest"));
        // The digest of the one doesn't do the other.
        let other = json!({"compromise": true, "expect": plan.text("/digest")});
        assert_eq!(raise(&world, &subject, other).await.expect(409).code(), "plan_changed");
        world.hold();
        let raised = raise(&world, &subject, json!({"compromise": true})).await.expect(201);
        assert_eq!(raised.body["compromise"], true);
        let shown = identity(&world, &id).await;
        assert_eq!((&shown["state"], &shown["deferred"]), (&json!("suspended"), &Value::Null));
        assert!(!world.is_live(&token).await);
        world.pass(DAY + 60).await;
        world.until_state(&id, "retired").await;
    }

    async fn r109_a_breach_of_a_control_withdraws_it_and_the_removal_goes_on(world: World) {
        let mut world = lasting(world).await;
        let (_, mut of_it) = application(&world, "billing-v1", 1).await;
        let (kept, key) = of_it.pop().unwrap();
        world.hold();
        let exception = granted(&world, "removal_deferred", &kept, "20d").await;
        let removal = raise(&world, "application:billing-v1", json!({})).await.expect(201).text("/id");
        assert_eq!(identity(&world, &kept).await["state"], "active");
        let breach = json!({"control": "monitoring", "note": "the alert is muted"});
        world.post(&world.security, &format!("/v1/exceptions/{exception}/report-breach"), breach).await.expect(200);
        // It has its grace, and no more.
        later(&mut world, DAY).await;
        let token = world.token(&key, &kept, "production").await;
        assert!(world.is_live(&token).await);
        later(&mut world, DAY + 60).await;
        let path = format!("/v1/exceptions/{exception}");
        world.until(async || world.get(&world.owner, &path).await.expect(200).text("/state") == "withdrawn").await;
        world.until_state(&kept, "retired").await;
        assert!(!world.is_live(&token).await);
        world.pass(600).await;
        until_removal(&world, &removal, "done").await;
        let suspended = world.events_of("identity.suspended", &kept).await;
        assert_eq!(suspended[0]["data"]["exception"], json!(exception));
    }

    async fn r109_the_end_of_a_need_and_a_sunset_wait_and_go_on(world: World) {
        let world = lasting(world).await;
        let need = json!({"type": "project", "name": "atlas", "owner": world.owner_id});
        let need = world.post(&world.admin, "/v1/needs", need).await.expect(201).text("/id");
        let mut served = Vec::new();
        for n in 0..2 {
            let key = Key::new();
            let mut charter = world.charter(key.jwk());
            charter["need"] = json!(need);
            served.push((world.active(&format!("atlas-{n}"), charter).await, key));
        }
        let (other, _) = served.pop().unwrap();
        let (kept, key) = served.pop().unwrap();
        let (old, old_key) = world.exporter("old").await;
        world.hold();
        let exception = granted(&world, "removal_deferred", &kept, "10d").await;
        let until_sunset = granted(&world, "removal_deferred", &old, "10d").await;
        let sunset = json!({"of": {"type": "identity", "id": old}, "sunset": crate::world::in_secs(DAY), "reason": "replaced"});
        world.post(&world.owner, "/v1/deprecations", sunset).await.expect(201);
        world.post(&world.owner, &format!("/v1/needs/{need}/close"), json!({"reason": "over"})).await.expect(200);
        world.until_state(&other, "suspended").await;
        world.pass(2 * DAY).await;
        world.until_state(&other, "retired").await;
        world.until(async || identity(&world, &old).await["deferred"][0]["trigger"] == "sunset").await;
        assert_eq!(identity(&world, &kept).await["deferred"][0]["trigger"], "service_ended");
        for (id, key) in [(&kept, &key), (&old, &old_key)] {
            assert_eq!(identity(&world, id).await["state"], "active");
            world.token(key, id, "production").await;
        }
        // Taken back by hand, it is stopped at once.
        world.post(&world.security, &format!("/v1/exceptions/{until_sunset}/withdraw"), json!({"reason": "no longer"})).await.expect(200);
        assert_eq!(identity(&world, &old).await["suspensions"][0]["kind"], "sunset");
        world.post(&world.auditor, &format!("/v1/exceptions/{exception}/withdraw"), json!({"reason": "x"})).await.expect(403);
        world.pass(9 * DAY).await;
        world.until_state(&kept, "retired").await;
        let ended = world.events_of("identity.suspended", &kept).await;
        assert_eq!(ended[0]["data"]["cause"], "need_ended");
    }
}
