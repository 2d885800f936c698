//! Requirements, row by row.

use serde_json::json;

use crate::on_both;
use crate::world::Key;

on_both! {
    async fn r22_an_owner_is_required(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter.as_object_mut().unwrap().remove("owner");
        let answer = world.register("exporter", charter, "pending").await.expect(422);
        assert_eq!(answer.field_codes(), ["owner_missing"]);
        let events = world.events().await;
        assert!(events.iter().any(|event| event["kind"] == "access.refused" && event["data"]["fields"][0]["code"] == json!("owner_missing")));
    }

    async fn r55_the_next_decision_after_a_suspension_is_deny(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_live(&token).await);
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"})).await.expect(200);
        assert!(!world.is_live(&token).await);
        let answer = world.evaluate(&id, Some(&token), "read").await.expect(200);
        assert_eq!(answer.code(), "identity_suspended");
    }
}
