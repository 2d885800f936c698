//! R103, R72: what is taken away without being revoked has receipts, too: suspensions, holds and narrowings.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Key, World};

/// The newest receipt of something, once its state is this.
async fn receipt(world: &World, target: &str, what: &str, state: &str) -> Value {
    let path = format!("/v1/receipts?target={target}&sort=-id");
    let mut found = Value::Null;
    world
        .until(async || {
            let listed = world.get(&world.auditor, &path).await.expect(200);
            let newest = listed.body["items"].as_array().unwrap().iter().find(|receipt| receipt["what"] == what);
            let Some(id) = newest.and_then(|receipt| receipt["id"].as_str().map(str::to_owned)) else { return false };
            found = world.get(&world.auditor, &format!("/v1/receipts/{id}")).await.expect(200).body;
            found["state"] == state
        })
        .await;
    found
}

/// What a receipt signs.
fn signed(receipt: &Value) -> Value {
    let payload = receipt["signed"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

on_one! {
    async fn r103_a_suspension_and_a_hold_have_receipts_and_resuming_revives_nothing_revoked(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let issued = world.ask_token(&key, &id, "production").await.expect(200);
        let (kept, revoked) = (world.token(&key, &id, "production").await, issued.text("/access_token"));
        world.post(&world.owner, &format!("/v1/identities/{id}/suspend"), json!({"reason": "odd traffic"})).await.expect(200);
        let target = format!("identity/{id}");
        let proven = receipt(&world, &target, "suspension", "refused_verified").await;
        let outcome = &proven["points"][0]["outcome"];
        assert_eq!((&outcome["state"], &outcome["reason"]), (&json!("refused"), &json!("identity_suspended")));
        assert!(outcome["control"].is_string(), "beside a live one that is accepted");
        let statement = signed(&proven);
        assert_eq!((&statement["form"], &statement["what"], &statement["id"]), (&json!(2), &json!("suspension"), &proven["id"]));
        world.revoke("credential", &issued.text("/credential")).await.expect(201);
        world.post(&world.security, &format!("/v1/identities/{id}/resume"), json!({"reason": "was the batch"})).await.expect(200);
        assert!(world.is_live(&kept).await && !world.is_live(&revoked).await);
        // The receipt says what was so when it was proven, and stays.
        assert_eq!(receipt(&world, &target, "suspension", "refused_verified").await["signed"], proven["signed"]);

        let hold = json!({"scope": {"type": "application", "id": world.application}, "reason": "under investigation"});
        world.post(&world.security, "/v1/holds", hold).await.expect(201);
        let held = receipt(&world, &format!("application/{}", world.application), "suspension", "refused_verified").await;
        let outcome = &held["points"][0]["outcome"];
        assert_eq!(outcome["reason"], "scope_on_hold");
        assert!(outcome["control"].is_string(), "beside the gateway's own, which is of another application");
    }

    async fn r103_a_narrowed_charter_is_refused_what_was_dropped_beside_what_was_kept(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
        let id = world.active("writer", charter.clone()).await;
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_allowed(&id, Some(&token), "write").await);
        charter["scope"] = json!([{"actions": ["read"], "resource": world.orders}]);
        let path = format!("/v1/identities/{id}/charter");
        let narrowed = world.at(reqwest::Method::PUT, &world.owner, &path, Some("*"), &charter).await;
        narrowed.expect(200);
        assert!(world.is_allowed(&id, Some(&token), "read").await && !world.is_allowed(&id, Some(&token), "write").await);
        let proven = receipt(&world, &format!("identity/{id}"), "narrowing", "refused_verified").await;
        let outcome = &proven["points"][0]["outcome"];
        assert_eq!(outcome["control"], outcome["probe"], "the same credential may do what was kept");
        assert_eq!(proven["narrowed"], json!([{"at": {"type": "resource", "id": world.orders}, "dropped": ["write"]}]));
        assert_eq!(signed(&proven)["narrowed"], proven["narrowed"]);
    }

    async fn r103_a_grant_that_is_taken_back_has_a_receipt_unless_another_gives_the_same(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
        charter["coverage"] = json!("just_in_time");
        let id = world.active("migration", charter).await;
        let (narrow, wide) = (world.grant(&id, &["read"], "1h").await, world.grant(&id, &["read", "write"], "1h").await);
        let token = world.token(&key, &id, "production").await;
        let because = json!({"reason": "done"});
        world.post(&world.owner, &format!("/v1/grants/{narrow}/revoke"), because.clone()).await.expect(200);
        let path = format!("/v1/receipts?target=identity/{id}");
        assert_eq!(world.get(&world.auditor, &path).await.expect(200).body["items"], json!([]), "nothing was dropped");
        world.post(&world.owner, &format!("/v1/grants/{wide}/revoke"), because).await.expect(200);
        assert!(!world.is_live(&token).await);
        let proven = receipt(&world, &format!("identity/{id}"), "narrowing", "refused_verified").await;
        assert_eq!(proven["narrowed"][0]["dropped"], json!(["read", "write"]));
    }
}
