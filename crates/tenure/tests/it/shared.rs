//! Shared identities: each consumer is told apart, and ends alone (R105).

use serde_json::{Value, json};

use crate::exceptions::{activate, granted};
use crate::on_one;
use crate::world::{Key, World};

async fn identity(world: &World, id: &str) -> Value {
    world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).body
}

fn own(consumer: &str, key: &Key) -> Value {
    json!({"consumer": consumer, "binding": {"type": "public_key", "workload": format!("deployment/{consumer}"), "jwk": key.jwk()}})
}

/// A charter that `emea`, `apac` and `amer` share, of whom these have a key of their own.
fn charter(world: &World, main: &Key, own: &[Value]) -> Value {
    let mut charter = world.charter(main.jwk());
    let plan = "each gets its own by May";
    charter["shared"] = json!({"consumers": ["emea", "apac", "amer"], "migration_plan": plan, "bindings": own});
    charter
}

async fn end(world: &World, token: &str, id: &str, consumer: &str) -> crate::world::Answer {
    let body = json!({"consumer": consumer, "reason": "has its own now"});
    world.post(token, &format!("/v1/identities/{id}/end-consumer"), body).await
}

on_one! {
    async fn r105_each_consumer_is_told_apart_and_ends_alone(world: World) {
        let (main, emea, apac) = (Key::new(), Key::new(), Key::new());
        let own = [own("emea", &emea), own("apac", &apac)];
        let id = world.register("everyones", charter(&world, &main, &own), "draft").await.expect(201).text("/id");
        granted(&world, "shared_use", &id, "60d").await;
        activate(&world, &id).await;
        let shown = identity(&world, &id).await;
        let consumers = shown["consumers"].as_array().unwrap();
        assert_eq!(consumers.len(), 3);
        assert!(consumers.iter().all(|consumer| consumer["binding"].is_string() && consumer["last_used"].is_null()), "{shown}");
        // Each proves itself by a key of its own; whose use it was stands in the record.
        let (of_main, of_emea, of_apac) =
            (world.token(&main, &id, "production").await, world.token(&emea, &id, "production").await, world.token(&apac, &id, "production").await);
        let issued = world.events_of("credential.issued", &id).await;
        let by: Vec<&Value> = issued.iter().map(|event| &event["data"]["consumer"]).collect();
        assert_eq!(by, [&json!("amer"), &json!("emea"), &json!("apac")], "who has none of its own is the charter's");
        assert!(world.is_allowed(&id, Some(&of_emea), "read").await);
        let held = world.get(&world.owner, &format!("/v1/identities/{id}/credentials")).await.expect(200);
        let mut named: Vec<&str> = held.body["items"].as_array().unwrap().iter().map(|item| item["consumer"].as_str().unwrap()).collect();
        named.sort_unstable();
        assert_eq!(named, ["amer", "apac", "emea"]);
        assert!(identity(&world, &id).await["consumers"].as_array().unwrap().iter().all(|consumer| consumer["last_used"].is_string()));
        let page = world.text(&world.owner, &format!("/identities/{id}")).await;
        assert!(page.contains("emea (deployment/emea), used last"), "{page}");
        // One ends, and the others go on.
        end(&world, &world.manager, &id, "emea").await.expect(403);
        end(&world, &world.auditor, &id, "emea").await.expect(403);
        let ended = end(&world, &world.owner, &id, "emea").await.expect(200);
        assert_eq!(ended.body["charter"]["shared"]["consumers"], json!(["apac", "amer"]));
        assert!(!world.is_live(&of_emea).await && !world.is_allowed(&id, Some(&of_emea), "read").await);
        assert!(world.is_live(&of_main).await && world.is_live(&of_apac).await);
        assert_ne!(world.ask_token(&emea, &id, "production").await.status, 200);
        world.token(&apac, &id, "production").await;
        let event = world.events_of("consumer.ended", &id).await.remove(0);
        let receipt = event["data"]["receipts"][0].as_str().unwrap().to_owned();
        world.until(async || world.get(&world.auditor, &format!("/v1/receipts/{receipt}")).await.expect(200).text("/state") != "open").await;
        // Not twice, not one that there isn't, and its key proves nobody else.
        assert_eq!(end(&world, &world.owner, &id, "emea").await.expect(422).field_codes(), ["consumer_unknown"]);
        let mut taken = world.charter(emea.jwk());
        taken["purpose"] = json!("something else");
        assert_eq!(world.register("copy", taken, "draft").await.expect(409).code(), "key_already_bound");
        // The one that proves itself by the charter's own binding ends with that; the last one isn't ended so.
        end(&world, &world.security, &id, "amer").await.expect(200);
        assert_ne!(world.ask_token(&main, &id, "production").await.status, 200);
        assert!(!world.is_live(&of_main).await && world.is_live(&of_apac).await);
        assert_eq!(end(&world, &world.owner, &id, "apac").await.expect(409).code(), "illegal_transition");
        world.token(&apac, &id, "production").await;
    }

    async fn r105_a_consumers_binding_is_checked_like_every_other(world: World) {
        let (main, emea) = (Key::new(), Key::new());
        let wrong = async |bindings: Value, code: &str| {
            let mut charter = charter(&world, &main, &[]);
            charter["shared"]["bindings"] = bindings;
            let refused = world.register("everyones", charter, "pending").await.expect(422);
            assert!(refused.field_codes().contains(&code.to_owned()), "{code}: {}", refused.body);
        };
        let stranger = own("somebody", &emea);
        wrong(json!([stranger]), "consumer_unknown").await;
        wrong(json!([own("emea", &emea), own("emea", &Key::new())]), "consumer_unknown").await;
        wrong(json!([{"consumer": "emea", "binding": {"type": "join_token", "workload": "w"}}]), "binding_not_of_consumer").await;
        wrong(json!([{"consumer": "emea", "binding": {"type": "oidc", "workload": "w", "issuer": "https://nobody.example", "claims": {}}}]), "claims_missing").await;
        let many: Vec<Value> = (0..17).map(|_| own("emea", &Key::new())).collect();
        wrong(json!(many), "too_many").await;
        // One key for two of them tells nobody apart; of a draft, too.
        let twice = charter(&world, &main, &[own("emea", &main)]);
        assert_eq!(world.register("twice", twice, "draft").await.expect(409).code(), "key_already_bound");
        let twice = charter(&world, &main, &[own("emea", &emea), own("apac", &emea)]);
        assert_eq!(world.register("twice", twice, "draft").await.expect(409).code(), "key_already_bound");
        // Where several have none of their own, nobody is told apart by it, and none of them ends alone.
        let id = world.register("everyones", charter(&world, &main, &[own("emea", &emea)]), "draft").await.expect(201).text("/id");
        granted(&world, "shared_use", &id, "60d").await;
        activate(&world, &id).await;
        world.token(&main, &id, "production").await;
        assert!(world.events_of("credential.issued", &id).await[0]["data"]["consumer"].is_null());
        assert_eq!(end(&world, &world.owner, &id, "apac").await.expect(409).code(), "illegal_transition");
        world.until(async || {
            let path = format!("/v1/findings?state=open&rule=shared-identity&subject={id}");
            let found = world.get(&world.auditor, &path).await.expect(200);
            found.body["items"][0]["evidence"]["not_told_apart"] == json!(["apac", "amer"])
        })
        .await;
        // A consumer's binding is added by a request, and taken away without one.
        let mut wider = identity(&world, &id).await["charter"].clone();
        let apac = Key::new();
        wider["shared"]["bindings"].as_array_mut().unwrap().push(own("apac", &apac));
        let path = format!("/v1/identities/{id}/charter");
        assert_eq!(world.put(&world.owner, &path, wider.clone()).await.expect(403).code(), "approval_needed");
        let asked = world.ask(&world.owner, json!({"type": "charter", "identity": id, "charter": wider}), "apac has its own key").await.expect(201);
        let request = asked.text("/id");
        for token in [&world.manager, &world.security] {
            if world.get(&world.security, &format!("/v1/requests/{request}")).await.text("/state") == "open" {
                world.approve(token, &request).await.expect(200);
            }
        }
        let token = world.token(&apac, &id, "production").await;
        let mut narrower = identity(&world, &id).await["charter"].clone();
        narrower["shared"]["bindings"].as_array_mut().unwrap().remove(0);
        world.put(&world.owner, &path, narrower).await.expect(200);
        assert_ne!(world.ask_token(&emea, &id, "production").await.status, 200);
        assert!(world.is_live(&token).await);
    }
}
