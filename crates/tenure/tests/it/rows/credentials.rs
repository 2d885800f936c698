//! R6, R52, R58, R63, R67, R75: what credentials are, who gets them, and that they die.

use serde_json::{Value, json};

use super::refusals;
use crate::world::{Key, Store, World, assertion_claims, in_secs, now};
use crate::{in_real_time, on_both};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// RFC 7009, by a client that proves itself.
async fn revoke_by_client(world: &World, key: &Key, client: &str, token: &str) -> u16 {
    let assertion = key.assertion(client, &world.issuer("production"));
    let fields =
        [("token", token), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
    world.form("", "/env/production/revoke", &fields).await.status
}

async fn credentials(world: &World, id: &str) -> Vec<Value> {
    world.get(&world.auditor, &format!("/v1/identities/{id}/credentials")).await.expect(200).body["items"]
        .as_array()
        .unwrap()
        .clone()
}

on_both! { because "grants and credentials are found by terms";
    async fn r6_a_token_is_inactive_after_its_revocation(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (first, second, third) = (world.ask_token(&key, &id, "production").await, world.token(&key, &id, "production").await, world.token(&key, &id, "production").await);
        let credential = first.text("/credential");
        let first = first.text("/access_token");
        for token in [&first, &second, &third] {
            assert!(world.is_live(token).await);
        }
        world.revoke("credential", &credential).await.expect(201);
        let answer = world.form(&world.gateway, "/env/production/introspect", &[("token", &first)]).await.expect(200);
        assert_eq!(answer.body, json!({"active": false}));
        assert!(!world.is_allowed(&id, Some(&first), "read").await);
        // By protocol: the client itself. Another client changes nothing, and learns nothing.
        let (other, other_key) = world.exporter("other").await;
        assert_eq!(revoke_by_client(&world, &other_key, &other, &second).await, 200);
        assert!(world.is_live(&second).await);
        assert_eq!(revoke_by_client(&world, &Key::new(), &id, &second).await, 401);
        assert!(world.is_live(&second).await);
        assert_eq!(revoke_by_client(&world, &key, &id, &second).await, 200);
        assert!(!world.is_live(&second).await);
        // Only what was named is dead, and what comes after is alive.
        assert!(world.is_live(&third).await);
        assert!(world.is_live(&world.token(&key, &id, "production").await).await);
        // Twice is as good as once.
        assert_eq!(revoke_by_client(&world, &key, &id, &second).await, 200);
        world.revoke("credential", &credential).await.expect(201);
        assert!(!world.is_live(&first).await);
        assert_eq!(world.events_of("credential.revoked", &credential).await[0]["actor"]["id"], json!(world.security_id));
    }

    async fn r52_a_caller_without_proof_is_denied(world: World) {
        let mut world = world;
        let (id, key) = world.exporter("exporter").await;
        let issuer = world.issuer("production");
        let path = "/env/production/token";
        let answer = world.form("", path, &[("grant_type", "client_credentials")]).await.expect(401);
        assert_eq!((answer.code().as_str(), &answer.body["error"]), ("proof_missing", &json!("invalid_client")));
        let answer = world.form("", path, &[("grant_type", "client_credentials"), ("client_id", &id)]).await.expect(401);
        assert_eq!(answer.code(), "proof_missing");
        world.form("", path, &[("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", "hunter2")]).await.expect(401);
        // A key that is not bound, somebody else's name, another environment's issuer, nothing signed at all.
        let unsigned = key.sign(&json!({"alg": "none"}), &assertion_claims(&id, &issuer));
        let late = {
            let mut claims = assertion_claims(&id, &issuer);
            claims["exp"] = json!(claims["iat"].as_i64().unwrap() - 3_600);
            key.sign(&json!({"alg": "EdDSA", "typ": "client-authentication+jwt"}), &claims)
        };
        let proofs = [Key::new().assertion(&id, &issuer), key.assertion(&world.gateway_id, &issuer), key.assertion(&id, &world.issuer("staging")), unsigned, late, "x".to_owned()];
        for proof in &proofs {
            let answer = world.present(proof, "production").await.expect(401);
            assert_eq!(answer.body["error"], "invalid_client", "{proof}");
        }
        assert!(credentials(&world, &id).await.is_empty());
        assert!(world.events_of("credential.issued", &id).await.is_empty());
        // A proof that holds is good once.
        let proof = key.assertion(&id, &issuer);
        world.present(&proof, "production").await.expect(200);
        assert_eq!(world.present(&proof, "production").await.expect(401).code(), "proof_replayed");
        assert_eq!(credentials(&world, &id).await.len(), 1);
        // Strangers are recorded as one event for each reason, source and minute: at the latest when the server stops.
        world.server.stop();
        world.restart();
        let events = world.events().await;
        let counted = |reason: &str| {
            let of = events.iter().filter(|event| event["kind"] == "access.refused_aggregate" && event["data"]["reason"] == reason && event["data"]["source"] == "127.0.0.1");
            of.map(|event| event["data"]["count"].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(counted("proof_missing"), 2);
        assert!(counted("proof_invalid") >= 3, "{}", counted("proof_invalid"));
        // What the right key signed is on its identity's own record.
        for reason in ["proof_audience_wrong", "proof_not_now"] {
            assert_eq!(events.iter().filter(|event| event["kind"] == "access.refused" && event["data"]["reason"] == reason).count(), 1, "{reason}");
        }
    }

    async fn r58_a_just_in_time_identity_holds_nothing_at_rest(world: World) {
        world.hold();
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["coverage"] = json!("just_in_time");
        let id = world.active("migrator", charter).await;
        let access = format!("/v1/identities/{id}/access");
        // At rest: no credential, no access, and none to be had.
        assert!(credentials(&world, &id).await.is_empty());
        assert_eq!(world.get(&world.auditor, &access).await.expect(200).body["access"], json!([]));
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "no_live_grant");
        assert!(!world.is_allowed(&id, None, "read").await);
        assert_eq!(refusals(&world, &id, "no_live_grant").await.len(), 2);
        // A grant is inside the charter, bounded, and opened by somebody who may.
        let grant = |action: &str, duration: &str| json!({"type": "access", "identity": id, "entitlement": {"actions": [action], "resource": world.orders}, "duration": duration});
        assert_eq!(world.ask(&world.owner, grant("write", "10s"), "migration 12").await.expect(403).code(), "outside_scope");
        assert_eq!(world.ask(&world.owner, grant("read", "91d"), "migration 12").await.expect(403).code(), "no_route");
        assert_eq!(world.ask(&world.owner, grant("read", "1s"), "migration 12").await.expect(422).field_codes(), ["duration_too_short"]);
        let request = world.ask(&world.owner, grant("read", "10s"), "migration 12").await.expect(201).text("/id");
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "no_live_grant");
        for nobody in [&world.owner, &world.admin, &world.auditor] {
            world.approve(nobody, &request).await.expect(403);
        }
        let begun = now();
        world.approve(&world.manager, &request).await.expect(200);
        let answer = world.ask_token(&key, &id, "production").await.expect(200);
        let token = answer.text("/access_token");
        assert!(answer.body["expires_in"].as_i64().unwrap() <= 10);
        assert!(world.is_live(&token).await);
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        // The grant's end takes the credential with it.
        world.pass(7).await;
        assert!(world.is_live(&token).await);
        world.until(async || !world.is_live(&token).await).await;
        assert!(now() - begun >= 9, "{} s", now() - begun);
        world.until(async || !world.events_of("grant.expired", &id).await.is_empty()).await;
        assert!(!world.is_allowed(&id, Some(&token), "read").await);
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "no_live_grant");
        assert!(credentials(&world, &id).await.iter().all(|credential| credential["state"] != "live"));
        assert_eq!(world.get(&world.auditor, &access).await.expect(200).body["access"], json!([]));
    }

    async fn r58_a_revoked_grant_takes_its_credentials_with_it(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["coverage"] = json!("just_in_time");
        let id = world.active("migrator", charter).await;
        let grant = world.grant(&id, &["read"], "30m").await;
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_live(&token).await);
        world.post(&world.owner, &format!("/v1/grants/{grant}/revoke"), json!({"reason": "done"})).await.expect(200);
        assert!(!world.is_live(&token).await);
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "no_live_grant");
        assert_eq!(world.post(&world.owner, &format!("/v1/grants/{grant}/revoke"), json!({"reason": "again"})).await.expect(409).code(), "illegal_transition");
        assert_eq!(world.events_of("grant.revoked", &grant).await.len(), 1);
    }

    async fn r63_the_shortest_lived_type_is_the_default(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let answer = world.ask_token(&key, &id, "production").await.expect(200);
        assert!((1..=600).contains(&answer.body["expires_in"].as_i64().unwrap()), "{}", answer.body);
        let record = world.get(&world.auditor, &format!("/v1/credentials/{}", answer.text("/credential"))).await.expect(200);
        assert_eq!(record.text("/type"), "access_token");
        // A longer life has to be asked for, and ends at an hour.
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["credential_ttl"] = json!("1h");
        let id = world.active("slower", charter.clone()).await;
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(200).body["expires_in"], 3_600);
        for ttl in ["1h1s", "24h", "5s"] {
            charter["workload_binding"]["jwk"] = Key::new().jwk();
            charter["credential_ttl"] = json!(ttl);
            assert_eq!(world.register("slowest", charter.clone(), "active").await.expect(422).field_codes(), ["credential_ttl_out_of_range"], "{ttl}");
        }
        charter["credential_ttl"] = json!("10m");
        charter["credential_types"] = json!(["api_key"]);
        assert_eq!(world.register("slowest", charter, "pending").await.expect(403).body["policies"], json!(["weaker-credential"]));
        // No credential outlives its identity.
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["expires_at"] = json!(in_secs(120));
        let id = world.active("brief", charter).await;
        assert!(world.ask_token(&key, &id, "production").await.expect(200).body["expires_in"].as_i64().unwrap() <= 120);
    }

    async fn r67_every_credential_has_an_expiry_and_a_revocation_trigger(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let ending = Key::new();
        let mut charter = world.charter(ending.jwk());
        charter["auto_revocation"] = json!(["suspension"]);
        let ending_id = world.active("ending", charter).await;
        for _ in 0..3 {
            world.token(&key, &id, "production").await;
            world.token(&ending, &ending_id, "production").await;
        }
        let identities = world.get(&world.auditor, "/v1/identities").await.expect(200).body["items"].as_array().unwrap().clone();
        let mut seen = 0;
        for identity in identities {
            for credential in credentials(&world, identity["id"].as_str().unwrap()).await {
                assert!(credential["expires_at"].as_str().is_some_and(|at| at > credential["issued_at"].as_str().unwrap()), "{credential}");
                let triggers = credential["revoked_by"].as_array().unwrap();
                assert!(!triggers.is_empty() && triggers.iter().all(|trigger| trigger.as_str().is_some_and(|text| !text.is_empty())), "{credential}");
                assert_eq!(triggers.contains(&json!("suspension")), identity["id"] == json!(ending_id));
                seen += 1;
            }
        }
        assert_eq!(seen, 7, "three of each, and the gateway's");
    }

    async fn r75_a_key_is_for_one_identity_for_ever(world: World) {
        let (first, key) = world.exporter("first").await;
        for stage in ["draft", "pending"] {
            let answer = world.register("second", world.charter(key.jwk()), stage).await.expect(409);
            assert_eq!(answer.code(), "key_already_bound", "{stage}");
        }
        // The same key under other members is the same key.
        let mut dressed = key.jwk();
        dressed["kid"] = json!("another");
        assert_eq!(world.register("second", world.charter(dressed), "pending").await.expect(409).code(), "key_already_bound");
        world.post(&world.owner, &format!("/v1/identities/{first}/retire"), json!({"reason": "done"})).await.expect(200);
        world.until_state(&first, "retired").await;
        assert_eq!(world.register("third", world.charter(key.jwk()), "pending").await.expect(409).code(), "key_already_bound");
        let events = world.events().await;
        assert_eq!(events.iter().filter(|event| event["kind"] == "access.refused" && event["data"]["reason"] == "key_already_bound").count(), 4);
        // A key of its own is welcome under a name that a refusal did not use up.
        world.active("second", world.charter(Key::new().jwk())).await;
    }

    async fn r75_a_credential_is_for_one_resource(world: World) {
        let ledger = world.resource("https://ledger.internal", "production", "online").await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read"], "resource": world.orders}, {"actions": ["read"], "resource": ledger}]);
        let id = world.active("exporter", charter).await;
        // With more than one, the purpose has to be named.
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).body["error"], "invalid_target");
        let assertion = key.assertion(&id, &world.issuer("production"));
        let fields = [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str()), ("resource", "https://ledger.internal")];
        let token = world.form("", "/env/production/token", &fields).await.expect(200).text("/access_token");
        assert!(!world.is_live(&token).await, "the gateway of another resource is told nothing");
        assert_eq!(world.evaluate(&id, Some(&token), "read").await.expect(200).code(), "outside_scope");
    }
}

in_real_time! {
    r58_a_just_in_time_identity_holds_nothing_at_rest on World::binary(Store::Sqlite, &[]);
}
