//! R16, R42, R68, R103: how identities end, and that no step is taken that the state table doesn't have.

use serde_json::json;

use super::refusals;
use crate::world::{Key, Store, World, in_secs, now};
use crate::{in_real_time, on_both};

/// The identity reports its own end.
async fn complete(world: &World, key: &Key, signer: &str, id: &str) -> crate::world::Answer {
    let assertion = key.assertion(signer, &world.issuer("production"));
    world
        .post(
            "",
            &format!("/v1/identities/{id}/complete-task"),
            json!({"outcome": "migrated", "client_assertion": assertion}),
        )
        .await
}

async fn step(world: &World, token: &str, id: &str, step: &str) -> crate::world::Answer {
    let body = match step {
        "activate" => return world.activate(token, id).await,
        "submit" => json!({}),
        "resume" => json!({"cause": 0, "reason": "test"}),
        "complete-task" => json!({"outcome": "test"}),
        _ => json!({"reason": "test"}),
    };
    world.post(token, &format!("/v1/identities/{id}/{step}"), body).await
}

on_both! { because "deadlines are claimed from the engine";
    async fn r16_a_one_task_identity_ends_with_its_task(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["retirement"] = json!([{"type": "task_completed"}]);
        let id = world.active("migration", charter).await;
        let (other, other_key) = world.exporter("other").await;
        let token = world.token(&key, &id, "production").await;
        // Only the identity itself, with a proof of its own, or who answers for it may say so.
        assert_ne!(complete(&world, &other_key, &other, &id).await.status, 200);
        assert_ne!(complete(&world, &other_key, &id, &id).await.status, 200);
        world.post(&token, &format!("/v1/identities/{id}/complete-task"), json!({})).await.expect(401);
        world.post("", &format!("/v1/identities/{id}/complete-task"), json!({})).await.expect(401);
        world.post(&world.auditor, &format!("/v1/identities/{id}/complete-task"), json!({})).await.expect(403);
        assert!(world.is_live(&token).await);
        complete(&world, &key, &id, &id).await.expect(200);
        assert!(!world.is_live(&token).await);
        assert_ne!(world.ask_token(&key, &id, "production").await.status, 200);
        world.until_state(&id, "retired").await;
        let answer = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200);
        assert_eq!(answer.text("/retirement/because"), "task_completed");
        // No person had a hand in it.
        for kind in ["identity.task_completed", "identity.retiring", "identity.retired"] {
            let events = world.events_of(kind, &id).await;
            assert_eq!(events.len(), 1, "{kind}");
            assert_ne!(events[0]["actor"]["type"], "person", "{kind}");
        }
        assert_ne!(complete(&world, &key, &id, &id).await.status, 200);
    }

    async fn r16_a_one_task_identity_ends_when_its_time_passes(world: World) {
        world.hold();
        let (key, dated) = (Key::new(), Key::new());
        let mut charter = world.charter(key.jwk());
        charter["retirement"] = json!([{"type": "task_completed"}]);
        charter["expires_at"] = json!(in_secs(5));
        let id = world.active("migration", charter).await;
        let mut charter = world.charter(dated.jwk());
        charter["retirement"] = json!([{"type": "task_completed"}, {"type": "date", "at": in_secs(5)}]);
        let dated_id = world.active("dated", charter).await;
        let tokens = [world.token(&key, &id, "production").await, world.token(&dated, &dated_id, "production").await];
        world.pass(5).await;
        for (id, because) in [(&id, "expiry"), (&dated_id, "date")] {
            world.until_state(id, "retired").await;
            let answer = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200);
            assert_eq!(answer.text("/retirement/because"), because);
            let events = world.events_of("identity.retiring", id).await;
            assert_eq!((events.len(), &events[0]["actor"]["type"]), (1, &json!("system")));
            assert_eq!(world.events_of("identity.retired", id).await.len(), 1);
        }
        for token in &tokens {
            assert!(!world.is_live(token).await);
        }
        for (key, id) in [(&key, &id), (&dated, &dated_id)] {
            assert_eq!(world.ask_token(key, id, "production").await.expect(400).code(), "identity_retired");
        }
    }

    async fn r42_every_legal_transition_writes_one_event(world: World) {
        let id = world.register("whole-life", world.charter(Key::new().jwk()), "draft").await.expect(201).text("/id");
        let (_, second) = world.person("Sid", &["security"]).await;
        let closed = world.register("given-up", world.charter(Key::new().jwk()), "draft").await.expect(201).text("/id");
        let closed_later = world.register("given-up-later", world.charter(Key::new().jwk()), "pending").await.expect(201).text("/id");
        for (token, name, state) in [
            (&world.owner, "submit", "pending"),
            (&world.manager, "activate", "active"),
            (&world.security, "suspend", "suspended"),
            (&second, "resume", "active"),
            (&world.owner, "suspend", "suspended"),
            (&world.owner, "retire", "retiring"),
        ] {
            let answer = step(&world, token, &id, name).await.expect(200);
            assert_eq!(answer.text("/state"), state, "{name}");
            assert!(answer.body["log"]["promise"].is_string());
        }
        world.until_state(&id, "retired").await;
        for (event, count) in [
            ("identity.registered", 1),
            ("identity.submitted", 1),
            ("identity.activated", 1),
            ("identity.suspended", 2),
            ("identity.resumed", 1),
            ("identity.retiring", 1),
            ("identity.retired", 1),
        ] {
            assert_eq!(world.events_of(event, &id).await.len(), count, "{event}");
        }
        for id in [&closed, &closed_later] {
            assert_eq!(step(&world, &world.owner, id, "close").await.expect(200).text("/state"), "closed");
            assert_eq!(world.events_of("identity.closed", id).await.len(), 1);
        }
        assert!(refusals(&world, &id, "illegal_transition").await.is_empty());
    }

    async fn r42_every_illegal_transition_is_refused_and_recorded(world: World) {
        const STEPS: [&str; 7] = ["submit", "activate", "suspend", "resume", "retire", "close", "complete-task"];
        // Each by somebody whose role allows the step, so that the state alone refuses it. Two people of security share
        // the refusals, so that each is recorded one by one.
        let (_, second) = world.person("Sid", &["security"]).await;
        for (state, way, illegal) in [
            ("draft", &[][..], &["activate", "suspend", "resume", "retire", "complete-task"][..]),
            ("pending", &["submit"], &["submit", "suspend", "resume", "retire", "complete-task"]),
            ("active", &["submit", "activate"], &["submit", "activate", "resume", "close"]),
            ("suspended", &["submit", "activate", "suspend"], &["submit", "activate", "close"]),
            ("retired", &["submit", "activate", "retire"], &STEPS),
            ("closed", &["close"], &STEPS),
        ] {
            let id = world.register(&format!("{state}-one"), world.charter(Key::new().jwk()), "draft").await.expect(201).text("/id");
            for name in way {
                let token = if *name == "activate" { &world.manager } else { &world.owner };
                step(&world, token, &id, name).await.expect(200);
            }
            world.until_state(&id, state).await;
            for name in illegal {
                let token = if *name == "submit" { &world.owner } else { &second };
                let answer = step(&world, token, &id, name).await.expect(409);
                assert_eq!(answer.code(), "illegal_transition", "{state} {name}");
            }
            assert_eq!(world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).text("/state"), state);
            let recorded = refusals(&world, &id, "illegal_transition").await;
            let asked: Vec<String> = recorded.iter().map(|event| event["data"]["asked"].as_str().unwrap().trim_start_matches("identity.").replace('_', "-")).collect();
            assert_eq!(asked, illegal, "{state}");
        }
    }

    async fn r68_the_end_of_the_workload_revokes_its_credentials(world: World) {
        let key = Key::new();
        let id = world.active("job", world.charter(key.jwk())).await;
        let (other, other_key) = world.exporter("other").await;
        let mut tokens = Vec::new();
        for _ in 0..3 {
            tokens.push(world.token(&key, &id, "production").await);
        }
        let bystander = world.token(&other_key, &other, "production").await;
        let ended = now();
        complete(&world, &key, &id, &id).await.expect(200);
        for token in &tokens {
            assert!(!world.is_live(token).await);
            assert!(!world.is_allowed(&id, Some(token), "read").await);
        }
        // By the server's time, which doesn't move by itself: no worker had to run for it.
        assert!(now() - ended <= 1);
        assert!(world.is_live(&bystander).await);
        let path = format!("/v1/receipts?target=identity/{id}");
        world.until(async || world.get(&world.auditor, &path).await.expect(200).body["items"].as_array().unwrap().iter().any(|receipt| receipt["signed"].is_string())).await;
        let receipts = world.get(&world.auditor, &path).await.expect(200).body["items"].as_array().unwrap().clone();
        assert_eq!(receipts.len(), 1);
        assert_eq!(receipts[0]["points"][0]["outcome"]["state"], "refused", "{}", receipts[0]);
        let items = world.get(&world.auditor, &format!("/v1/identities/{id}/credentials")).await.expect(200).body["items"].as_array().unwrap().clone();
        assert!(items.len() == 3 && items.iter().all(|credential| credential["state"] == "credential_cut"), "{items:?}");
    }

    async fn r103_suspension_is_a_state_of_its_own(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (_, second) = world.person("Sid", &["security"]).await;
        let path = format!("/v1/identities/{id}");
        let kept = world.token(&key, &id, "production").await;
        let revoked = world.ask_token(&key, &id, "production").await;
        step(&world, &world.security, &id, "suspend").await.expect(200);
        for token in [&kept, &revoked.text("/access_token")] {
            assert!(!world.is_live(token).await);
            assert!(!world.is_allowed(&id, Some(token), "read").await);
        }
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "identity_suspended");
        world.revoke("credential", &revoked.text("/credential")).await.expect(201);
        // A second cause keeps it suspended when the first is released.
        assert_eq!(step(&world, &world.owner, &id, "suspend").await.expect(200).body["suspensions"].as_array().unwrap().len(), 2);
        // With more than one cause, a release names the revision that it was read in: its place alone may be another's
        // by now.
        let blind = json!({"cause": 0, "reason": "looked at"});
        assert_eq!(world.post(&second, &format!("{path}/resume"), blind).await.expect(422).field_codes(), ["revision_missing"]);
        let revision = world.get(&world.owner, &path).await.expect(200).body["revision"].as_u64().unwrap();
        let resume = |cause: usize, revision: u64| json!({"cause": cause, "revision": revision, "reason": "looked at"});
        assert_eq!(world.post(&second, &format!("{path}/resume"), resume(0, revision - 1)).await.expect(412).code(), "revision_changed");
        // Who placed a cause can't release it, nor can the owner release what security placed.
        for (token, cause) in [(&world.security, 0), (&world.owner, 1), (&world.owner, 0), (&world.admin, 0), (&world.auditor, 0)] {
            world.post(token, &format!("{path}/resume"), resume(cause, revision)).await.expect(403);
        }
        assert_eq!(world.get(&world.owner, &path).await.expect(200).text("/state"), "suspended");
        assert_eq!(world.post(&second, &format!("{path}/resume"), resume(0, revision)).await.expect(200).text("/state"), "suspended");
        // The same release again, as a client that lost the reply would send it, releases nothing else.
        world.post(&second, &format!("{path}/resume"), resume(0, revision)).await.expect(412);
        assert!(!world.is_live(&kept).await);
        assert_eq!(world.post(&second, &format!("{path}/resume"), resume(0, revision + 1)).await.expect(200).text("/state"), "active");
        // What was held back is back; what was revoked meanwhile is not.
        assert!(world.is_live(&kept).await);
        assert!(!world.is_live(&revoked.text("/access_token")).await);
        assert!(world.is_live(&world.token(&key, &id, "production").await).await);
        assert_eq!(world.events_of("identity.suspended", &id).await.len(), 2);
        assert_eq!(world.events_of("identity.resumed", &id).await.len(), 2);
    }

    async fn r103_a_charter_may_say_that_suspension_revokes(world: World) {
        // What the charter says about suspension is stronger: the credentials are revoked.
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["auto_revocation"] = json!(["suspension"]);
        let id = world.active("careful", charter).await;
        let token = world.token(&key, &id, "production").await;
        step(&world, &world.owner, &id, "suspend").await.expect(200);
        step(&world, &world.security, &id, "resume").await.expect(200);
        assert!(!world.is_live(&token).await);
        assert!(world.is_live(&world.token(&key, &id, "production").await).await);
    }
}

in_real_time! {
    r16_a_one_task_identity_ends_when_its_time_passes on World::binary(Store::Sqlite, &[]);
}
