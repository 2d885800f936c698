//! R72: a receipt proves that what was revoked is refused, or says honestly that it can't.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::{Answer, Key, World};
use crate::{on_both, on_one};

/// What a receipt's signature covers, checked with the published key and without any code of Tenure's.
async fn signed_statement(world: &World, receipt: &str) -> Value {
    let keys = world.get("", "/.well-known/tenure-keys").await.expect(200);
    let jwk = &keys.body["receipts"]["keys"][0];
    let jws = world.text(&world.security, &format!("/v1/receipts/{receipt}.jws")).await;
    let (input, signature) = jws.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let key = decode(jwk["x"].as_str().unwrap());
    let key = UnparsedPublicKey::new(&ED25519, &key);
    key.verify(input.as_bytes(), &decode(signature)).unwrap();
    assert!(key.verify(format!("{input}x").as_bytes(), &decode(signature)).is_err());
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!((&header["typ"], &header["kid"]), (&json!("tenure-receipt+jwt"), &jwk["kid"]));
    serde_json::from_slice(&decode(payload)).unwrap()
}

fn point(answer: &Answer, resource: &str) -> Value {
    answer.body["points"]
        .as_array()
        .unwrap()
        .iter()
        .find(|point| point["resource"] == json!(resource))
        .unwrap_or_else(|| panic!("no point {resource} in {}", answer.body))
        .clone()
}

on_one! {
    async fn d02_whatever_a_gateway_enforces_is_found_by_it(world: World) {
        let mut resources = vec![world.orders.clone()];
        for n in 1..7 {
            resources.push(world.resource(&format!("https://api-{n}.internal"), "production", "online").await);
        }
        let enforcing = |resources: &[String]| {
            let mut charter = world.charter(Key::new().jwk());
            charter["application"] = json!(world.edge);
            charter["scope"] = resources.iter().map(|resource| json!({"actions": ["enforce"], "resource": resource})).collect();
            charter
        };
        let wide = world.active("wide", enforcing(&resources)).await;
        for resource in &resources {
            let listed = world.get(&world.auditor, &format!("/v1/identities?enforces={resource}&state=active")).await.expect(200);
            let found: Vec<_> = listed.body["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
            assert!(found.contains(&json!(wide)), "{resource}: {found:?}");
        }
        // A receipt names it at each of them.
        let mut charter = world.charter(Key::new().jwk());
        charter["scope"] = resources.iter().map(|resource| json!({"actions": ["read"], "resource": resource})).collect();
        let id = world.active("reader", charter).await;
        let receipt = world.revoke("identity", &id).await.expect(201);
        for resource in &resources {
            assert!(point(&receipt, resource)["enforcement_points"].as_array().unwrap().contains(&json!(wide)), "{}", receipt.body);
        }
        // Its end leaves each of them without, but for the one that somebody else enforces as the last of many.
        let mut others = resources[1..].to_vec();
        others.retain(|resource| resource != &resources[3]);
        let mut charter = enforcing(&[&resources[4..], &resources[..1], &resources[3..4]].concat());
        charter["application"] = json!(world.application);
        world.active("other", charter).await;
        let removal = json!({"subject": {"type": "application", "id": "edge"}, "reason": "replaced", "dry_run": true});
        let plan = world.post(&world.admin, "/v1/removals", removal).await.expect(200);
        let mut left: Vec<_> = plan.body["blast"]["enforced_resources"].as_array().unwrap().clone();
        left.sort_by_key(ToString::to_string);
        let mut expected = vec![json!(resources[1]), json!(resources[2])];
        expected.sort_by_key(ToString::to_string);
        assert_eq!(left, expected);
    }

    async fn d02_a_draft_names_no_more_than_lists_find_it_by(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        charter["repositories"] = (0..33).map(|n| json!(format!("acme/{n}"))).collect();
        let refused = world.register("many", charter.clone(), "draft").await.expect(422);
        assert_eq!(refused.field_codes(), ["too_many"]);
        charter["repositories"] = (0..32).map(|n| json!(format!("acme/{n}"))).collect();
        world.register("many", charter, "draft").await.expect(201);
    }
}

on_both! { because "a receipt counts what the engine finds";
    async fn r72_a_receipt_names_the_refused_probe_and_a_positive_control(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let issued = world.ask_token(&key, &id, "production").await.expect(200);
        let credential = issued.text("/credential");
        let answer = world.revoke("credential", &credential).await.expect(201);
        assert_eq!(answer.text("/state"), "refused_verified");
        let point = point(&answer, &world.orders);
        assert_eq!(point["verification"], "online");
        assert_eq!(point["enforcement_points"], json!([world.gateway_id]));
        assert_eq!(point["outcome"]["state"], "refused");
        assert_eq!((&point["outcome"]["probe"], &point["outcome"]["reason"]), (&json!(credential), &json!("credential_revoked")));
        // The control is a credential that the same check accepts: here the gateway's own.
        let control = point["outcome"]["control"].as_str().unwrap();
        let record = world.get(&world.auditor, &format!("/v1/credentials/{control}")).await.expect(200);
        assert_eq!((record.text("/state"), record.text("/identity")), ("live".to_owned(), world.gateway_id.clone()));
        // It says when it was asked and in force, where in the log, and is signed.
        let id = answer.text("/id");
        assert!(answer.text("/asked_at") <= answer.text("/in_force_at"));
        let statement = signed_statement(&world, &id).await;
        assert_eq!((&statement["id"], &statement["state"], &statement["points"]), (&json!(id), &json!("refused_verified"), &answer.body["points"]));
        assert_eq!(statement["position"], answer.body["log"]["position"]);
        let events = world.events().await;
        let index = usize::try_from(statement["position"]["index"].as_u64().unwrap()).unwrap();
        assert_eq!(events[index]["kind"], "credential.revoked");
        let checked = world.events_of("revocation.checked", &id).await;
        assert!(checked.iter().any(|event| event["data"]["state"] == "refused_verified"));
    }

    async fn r72_without_a_live_credential_to_compare_with_it_claims_less(world: World) {
        let (id, key) = world.exporter("exporter").await;
        world.token(&key, &id, "production").await;
        // The environment's cut takes the gateway's credential, too.
        let answer = world.revoke("environment", "production").await.expect(201);
        assert_eq!(answer.text("/state"), "refused");
        let point = point(&answer, &world.orders);
        assert_eq!((&point["outcome"]["state"], &point["outcome"]["control"]), (&json!("refused"), &Value::Null));
        assert_eq!(signed_statement(&world, &answer.text("/id")).await["state"], "refused");
    }

    async fn r72_offline_verifiers_accept_until_the_end(world: World) {
        let archive = world.resource("https://archive.internal", "production", "offline").await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read"], "resource": archive}]);
        let id = world.active("archiver", charter).await;
        let credential = world.ask_token(&key, &id, "production").await.expect(200).text("/credential");
        let record = world.get(&world.auditor, &format!("/v1/credentials/{credential}")).await.expect(200);
        let answer = world.revoke("credential", &credential).await.expect(201);
        assert_eq!(answer.text("/state"), "cannot_revoke");
        let outcome = &point(&answer, &archive)["outcome"];
        assert_eq!((&outcome["state"], &outcome["until"]), (&json!("accepted_until"), &record.body["expires_at"]));
        assert_eq!(signed_statement(&world, &answer.text("/id")).await["state"], "cannot_revoke");
        // At the centre it is dead all the same.
        assert_eq!(world.get(&world.auditor, &format!("/v1/credentials/{credential}")).await.expect(200).text("/state"), "credential_revoked");
    }

    async fn r72_a_revocation_of_nothing_is_no_success_story(world: World) {
        // Nothing was issued: the receipt says so instead of claiming a refusal.
        let (id, _) = world.exporter("exporter").await;
        let answer = world.revoke("identity", &id).await.expect(201);
        assert_eq!(point(&answer, &world.orders)["outcome"]["state"], "nothing_live");
        world.revoke("credential", &format!("crd_{}", id.split_once('_').unwrap().1)).await.expect(404);
        world.post(&world.security, "/v1/revocations", json!({"target": {"type": "identity", "id": id}, "reason": " "})).await.expect(422);
        assert_eq!(world.get("", "/v1/receipts").await.status, 401);
        let list = world.get(&world.auditor, &format!("/v1/receipts?target=identity/{id}")).await.expect(200);
        assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
    }
}
