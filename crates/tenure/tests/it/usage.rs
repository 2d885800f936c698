//! What an identity may do beside what it does (R101).

use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Key, World};

const WEEK: i64 = 7 * 86_400;

/// Tokens of people that outlive a week.
async fn lasting(world: &World, person: &str) -> String {
    let path = format!("/v1/people/{person}/operator-tokens");
    world.post(&world.admin, &path, json!({"ttl": "30d"})).await.expect(201).text("/operator_token")
}

async fn allowed(world: &World, gateway: &str, id: &str, token: &str, action: &str) -> bool {
    let subject = json!({"type": "identity", "id": id, "properties": {"access_token": token}});
    let resource = json!({"type": "database", "id": world.orders});
    let body = json!({"subject": subject, "resource": resource, "action": {"name": action}});
    world.post(gateway, "/access/v1/evaluation", body).await.expect(200).body["decision"] == json!(true)
}

fn verdicts(usage: &Value) -> Vec<(&str, &str)> {
    let granted = usage["right_size"]["granted"].as_array().unwrap();
    granted.iter().map(|granted| (granted["action"].as_str().unwrap(), granted["verdict"].as_str().unwrap())).collect()
}

on_one! {
    async fn r101_what_is_unused_is_shown_and_narrowed_by_a_request(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
        let id = world.active("web", charter).await;
        let (owner, manager) = (lasting(&world, &world.owner_id).await, lasting(&world, &world.manager_id).await);
        let security = lasting(&world, &world.security_id).await;
        let token = world.token(&key, &id, "production").await;
        assert!(allowed(&world, &world.gateway, &id, &token, "read").await);
        let path = format!("/v1/identities/{id}/usage?window=7d");
        let narrow = format!("/v1/identities/{id}/right-size");
        let usage = world.get(&owner, &path).await.expect(200).body;
        assert_eq!(verdicts(&usage), [("read", "used"), ("write", "new")]);
        assert_eq!(usage["right_size"]["withheld"], "counted_too_shortly");
        world.post(&owner, &narrow, json!({"window": "7d"})).await.expect(409);
        world.get(&owner, &format!("/v1/identities/{id}/usage?window=8d")).await.expect(422);

        world.pass(WEEK + 3_600).await;
        let gateway = world.token(&world.gateway_key, &world.gateway_id, "production").await;
        let token = world.token(&key, &id, "production").await;
        assert!(allowed(&world, &gateway, &id, &token, "read").await);
        assert!(!allowed(&world, &gateway, &id, &token, "enforce").await);
        let usage = world.get(&owner, &path).await.expect(200).body;
        assert_eq!(verdicts(&usage), [("read", "used"), ("write", "unused")]);
        assert_eq!(usage["unused"], json!({"things": 1, "of": 2, "percent": 50}));
        assert_eq!(usage["right_size"]["replayed"], json!({"would_deny": 0, "of": 2, "untold": 0}));
        let only_read = json!([{"actions": ["read"], "resource": world.orders}]);
        assert_eq!(usage["right_size"]["proposal"], only_read);
        // A manager approves it, and doesn't ask for it.
        world.post(&manager, &narrow, json!({"window": "7d"})).await.expect(403);
        // Security asks where its people may ask at all: in this world they hold no other role.
        world.post(&security, &narrow, json!({"window": "7d", "dry_run": true})).await.expect(403);
        let planned = world.post(&owner, &narrow, json!({"window": "7d", "dry_run": true})).await.expect(200);
        assert!(planned.body["request"].is_null());
        let asked = world.post(&owner, &narrow, json!({"window": "7d"})).await.expect(201);
        let request = &asked.body["request"];
        assert_eq!(request["matter"]["charter"]["scope"], only_read);
        if request["state"] == "open" {
            assert!(allowed(&world, &gateway, &id, &token, "write").await, "until it is approved nothing changes");
            let vote = json!({"content_hash": request["content_hash"]});
            let path = format!("/v1/requests/{}/approve", request["id"].as_str().unwrap());
            world.post(&manager, &path, vote).await.expect(200);
        }
        assert!(!allowed(&world, &gateway, &id, &token, "write").await);
        let token = world.token(&key, &id, "production").await;
        assert!(allowed(&world, &gateway, &id, &token, "read").await);
        world.post(&owner, &narrow, json!({"window": "7d"})).await.expect(409);
    }
}
