//! R22–R25, R27–R29, R34: a charter that lacks a fact is refused, whichever way it is handed in.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::problems;
use crate::on_one;
use crate::world::{Key, World, in_secs};

fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("lacking-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn without(field: &'static str) -> impl Fn(&mut Value) {
    move |charter| drop(charter.as_object_mut().unwrap().remove(field).unwrap())
}

fn with(field: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |charter| charter[field] = value.clone()
}

/// The changed charter is refused for this field and nothing else: as pending, as active at once, by whoever asks, and
/// as a draft on its way. Nothing gets a credential of it, and the log has each refusal.
async fn is_refused(world: &World, change: impl Fn(&mut Value), field: &str, code: &str) {
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    change(&mut charter);
    let expected = [(field.to_owned(), code.to_owned())];
    for (token, stage) in [(&world.owner, "pending"), (&world.owner, "active"), (&world.admin, "active")] {
        let body = json!({"kind": "workload", "name": name(), "charter": charter, "stage": stage});
        let answer = world.post(token, "/v1/identities", body).await.expect(422);
        assert_eq!(
            (answer.code().as_str(), problems(&answer).as_slice()),
            ("fields_invalid", &expected[..]),
            "{}",
            answer.body
        );
        assert!(answer.body["fields"][0]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    }
    let draft = world.register(&name(), charter, "draft").await.expect(201).text("/id");
    let answer = world.post(&world.owner, &format!("/v1/identities/{draft}/submit"), json!({})).await.expect(422);
    assert_eq!(problems(&answer), expected);
    for token in [&world.owner, &world.security] {
        let answer = world.activate(token, &draft).await.expect(409);
        assert_eq!(answer.code(), "illegal_transition");
    }
    assert_ne!(world.ask_token(&key, &draft, "production").await.status, 200);
    let events = world.events().await;
    let recorded = events.iter().filter(|event| {
        event["kind"] == "access.refused" && event["data"]["fields"][0] == json!({"field": field, "code": code})
    });
    assert!(recorded.count() >= 4, "{field} {code}");
    assert!(
        !events.iter().any(|event| event["kind"] == "credential.issued"
            && event["subjects"].as_array().unwrap().contains(&json!(draft)))
    );
}

/// With nothing left out, the same way leads to an active identity and a token.
async fn is_accepted(world: &World, change: impl Fn(&mut Value)) {
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    change(&mut charter);
    let id = world.active(&name(), charter).await;
    assert!(world.is_live(&world.token(&key, &id, "production").await).await);
}

on_one! {
    async fn r22_an_owner_is_required(world: World) {
        is_refused(&world, without("owner"), "charter.owner", "owner_missing").await;
        // An approver is no owner: one who asks for it and one who would activate it don't stand in.
        let requested = |charter: &mut Value| {
            charter.as_object_mut().unwrap().remove("owner").unwrap();
            charter["parties"]["requester"] = json!(world.security_id);
        };
        is_refused(&world, requested, "charter.owner", "owner_missing").await;
        let mut approved = world.charter(Key::new().jwk());
        approved.as_object_mut().unwrap().remove("owner").unwrap();
        approved["approver"] = json!(world.security_id);
        assert_eq!(world.register(&name(), approved, "active").await.expect(400).code(), "body_malformed");
        // There is no exception to ask for.
        let mut waived = world.charter(Key::new().jwk());
        waived.as_object_mut().unwrap().remove("owner").unwrap();
        waived["exception"] = json!("owner_missing");
        assert_eq!(world.register(&name(), waived, "active").await.expect(400).code(), "body_malformed");
        // Nobody unknown, and nothing non-human, owns.
        let mut unknown = world.charter(Key::new().jwk());
        unknown["owner"] = json!(format!("per_{}", world.application.split_once('_').unwrap().1));
        for stage in ["draft", "pending", "active"] {
            assert_eq!(world.register(&name(), unknown.clone(), stage).await.expect(422).field_codes(), ["person_unknown"]);
        }
        let mut inhuman = world.charter(Key::new().jwk());
        inhuman["owner"] = json!(world.gateway_id);
        world.register(&name(), inhuman, "active").await.expect(400);
        // Owner and approver are two fields.
        let id = world.register(&name(), world.charter(Key::new().jwk()), "pending").await.expect(201).text("/id");
        let answer = world.activate(&world.manager, &id).await.expect(200);
        assert_eq!((answer.text("/charter/owner"), answer.text("/activation/by/0")), (world.owner_id.clone(), world.manager_id.clone()));
        is_accepted(&world, |_| {}).await;
    }

    async fn r23_a_purpose_is_required(world: World) {
        is_refused(&world, without("purpose"), "charter.purpose", "purpose_missing").await;
        is_refused(&world, with("purpose", json!("")), "charter.purpose", "purpose_missing").await;
        is_refused(&world, with("purpose", json!(" \t\n ")), "charter.purpose", "purpose_missing").await;
        is_accepted(&world, with("purpose", json!("closes the books"))).await;
    }

    async fn r24_a_scope_is_required_and_names_what_it_covers(world: World) {
        is_refused(&world, without("scope"), "charter.scope", "scope_missing").await;
        is_refused(&world, with("scope", json!([])), "charter.scope", "scope_missing").await;
        is_refused(&world, with("scope", json!([{"actions": [], "resource": world.orders}])), "charter.scope[0].actions", "actions_missing").await;
        for scope in [json!([{"actions": ["read"], "resource": "*"}]), json!([{"actions": ["*"], "resource": world.orders}])] {
            let mut charter = world.charter(Key::new().jwk());
            charter["scope"] = scope.clone();
            for stage in ["pending", "active"] {
                let answer = world.register(&name(), charter.clone(), stage).await.expect(403);
                assert_eq!(answer.body["policies"], json!(["wildcard-scope"]), "{}", answer.body);
            }
            // A draft confers nothing, and it doesn't become more.
            let draft = world.register(&name(), charter, "draft").await.expect(201).text("/id");
            let answer = world.post(&world.owner, &format!("/v1/identities/{draft}/submit"), json!({})).await.expect(403);
            assert_eq!((answer.code().as_str(), &answer.body["policies"]), ("no_route", &json!(["wildcard-scope"])), "{}", answer.body);
        }
        let events = world.events().await;
        let recorded = events.iter().filter(|event| event["kind"] == "access.refused" && event["data"]["policies"] == json!(["wildcard-scope"]));
        assert_eq!(recorded.count(), 6);
        is_accepted(&world, |_| {}).await;
    }

    async fn r24_a_draft_does_not_gain_a_wildcard_later(world: World) {
        let charter = world.charter(Key::new().jwk());
        let id = world.register(&name(), charter.clone(), "draft").await.expect(201).text("/id");
        let path = format!("/v1/identities/{id}/charter");
        let mut wild = charter.clone();
        wild["scope"] = json!([{"actions": ["read"], "resource": "*"}]);
        world.put(&world.owner, &path, wild).await.expect(200);
        let answer = world.post(&world.owner, &format!("/v1/identities/{id}/submit"), json!({})).await.expect(403);
        assert_eq!(answer.body["policies"], json!(["wildcard-scope"]), "{}", answer.body);
        world.put(&world.owner, &path, charter.clone()).await.expect(200);
        // Nor does anybody take a draft over by naming themselves its owner.
        let (stranger, token) = world.person("Una", &["owner"]).await;
        let mut taken = charter.clone();
        taken["owner"] = json!(stranger);
        world.put(&token, &path, taken).await.expect(403);
        world.hand_in(&id).await;
        let answer = world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200);
        assert_eq!((&answer.body["charter"]["scope"], &answer.body["charter"]["owner"]), (&charter["scope"], &charter["owner"]));
    }

    async fn r25_a_trust_boundary_is_required(world: World) {
        is_refused(&world, without("trust_boundary"), "charter.trust_boundary", "trust_boundary_missing").await;
        is_refused(&world, with("trust_boundary", json!({"type": "trust_domain", "value": " "})), "charter.trust_boundary.value", "trust_boundary_missing").await;
        for boundary in ["trust_domain", "issuer", "network", "organisation"] {
            is_accepted(&world, with("trust_boundary", json!({"type": boundary, "value": "prod.example.com"}))).await;
        }
    }

    async fn r27_an_intended_workload_is_required(world: World) {
        is_refused(&world, without("workload_binding"), "charter.workload_binding", "workload_binding_missing").await;
        let unnamed = |charter: &mut Value| charter["workload_binding"]["workload"] = json!("  ");
        is_refused(&world, unnamed, "charter.workload_binding.workload", "workload_missing").await;
        is_accepted(&world, |_| {}).await;
    }

    async fn r28_a_removal_trigger_is_required(world: World) {
        is_refused(&world, without("retirement"), "charter.retirement", "retirement_condition_missing").await;
        is_refused(&world, with("retirement", json!([])), "charter.retirement", "retirement_condition_missing").await;
        is_refused(&world, with("retirement", json!([{"type": "date", "at": in_secs(-60)}])), "charter.retirement[0].at", "retirement_past").await;
        for condition in [json!({"type": "date", "at": in_secs(3_600)}), json!({"type": "idle", "after": "7d"}), json!({"type": "task_completed"})] {
            is_accepted(&world, with("retirement", json!([condition]))).await;
        }
    }

    async fn r29_an_expiry_is_required(world: World) {
        is_refused(&world, without("expires_at"), "charter.expires_at", "expiry_missing").await;
        is_refused(&world, with("expires_at", json!(in_secs(-60))), "charter.expires_at", "expiry_past").await;
        is_accepted(&world, with("expires_at", json!(in_secs(3_600)))).await;
    }

    async fn r34_a_rotation_cadence_is_required_where_key_material_lasts(world: World) {
        is_refused(&world, without("rotation_cadence"), "charter.rotation_cadence", "rotation_cadence_missing").await;
        is_refused(&world, with("rotation_cadence", json!("10s")), "charter.rotation_cadence", "rotation_cadence_too_short").await;
        let enrolling = |charter: &mut Value| {
            charter["workload_binding"] = json!({"type": "join_token", "workload": "job/migration"});
            charter.as_object_mut().unwrap().remove("rotation_cadence").unwrap();
        };
        is_refused(&world, enrolling, "charter.rotation_cadence", "rotation_cadence_missing").await;
        is_accepted(&world, |_| {}).await;
        // An external issuer's proofs are single-use: no cadence is asked for, only that the issuer is known.
        let mut external = world.charter(Value::Null);
        external["workload_binding"] = json!({"type": "oidc", "workload": "ci", "issuer": "https://ci.example.com", "claims": {"sub": "repo:billing"}});
        external.as_object_mut().unwrap().remove("rotation_cadence").unwrap();
        assert_eq!(world.register(&name(), external, "pending").await.expect(422).field_codes(), ["issuer_unknown"]);
    }

    async fn every_missing_field_is_named_at_once(world: World) {
        let answer = world.register("Not A Name", json!({}), "active").await.expect(422);
        let expected = [
            ("name", "name_malformed"),
            ("charter.owner", "owner_missing"),
            ("charter.purpose", "purpose_missing"),
            ("charter.scope", "scope_missing"),
            ("charter.trust_boundary", "trust_boundary_missing"),
            ("charter.environment", "environment_missing"),
            ("charter.application", "application_missing"),
            ("charter.workload_binding", "workload_binding_missing"),
            ("charter.expires_at", "expiry_missing"),
            ("charter.retirement", "retirement_condition_missing"),
            ("charter.rotation_cadence", "rotation_cadence_missing"),
            ("charter.coverage", "coverage_missing"),
            ("charter.parties", "parties_missing"),
        ];
        assert_eq!(problems(&answer), expected.map(|(field, code)| (field.to_owned(), code.to_owned())));
        assert_eq!(answer.body["status"], 422);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        // The log has them all, too.
        let events = world.events().await;
        let recorded = events.iter().rev().find(|event| event["kind"] == "access.refused").unwrap();
        assert_eq!(recorded["data"]["fields"].as_array().unwrap().len(), expected.len());
    }
}
