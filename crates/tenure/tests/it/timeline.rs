//! What happened to somebody or something, told from the log and its index.

use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Key, World};

fn kinds(timeline: &Value) -> Vec<&str> {
    timeline["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect()
}

/// Fills the log until a stretch of it is in a segment of the index.
async fn filled(world: &World, id: &str, key: &Key) {
    for _ in 0..3 {
        for _ in 0..9 {
            let tokens = (0..40).map(|_| world.token(key, id, "production"));
            futures_util::future::join_all(tokens).await;
        }
        world.pass(61).await;
    }
}

on_one! {
    async fn r97_what_happened_to_an_identity_is_told_and_by_whom(world: World) {
        let (id, key) = world.exporter("exporter").await;
        world.token(&key, &id, "production").await;
        world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"})).await.expect(200);
        let path = format!("/v1/log/timeline?subject={id}");
        // What the server does by itself may follow.
        let newest = world.get(&world.auditor, &path).await.expect(200).body;
        let suspended = newest["items"].as_array().unwrap().iter().find(|item| item["kind"] == "identity.suspended");
        let end = suspended.unwrap()["position"]["index"].as_u64().unwrap() + 1;
        let told = world.get(&world.auditor, &format!("{path}&limit=200&before={end}")).await.expect(200).body;
        let all = kinds(&told);
        assert_eq!(all.first(), Some(&"identity.suspended"));
        assert_eq!(all.last(), Some(&"identity.registered"));
        assert!(all.contains(&"credential.issued") && all.contains(&"grant.opened"), "{all:?}");
        assert_eq!(told["items"][0]["actor"]["id"], json!(world.security_id));
        assert_eq!((&told["names"][&id], &told["before"]), (&json!("exporter"), &Value::Null));
        // In pages it is the same.
        let (mut paged, mut before) = (Vec::new(), format!("&before={end}"));
        loop {
            let page = world.get(&world.auditor, &format!("{path}&limit=3{before}")).await.expect(200).body;
            paged.extend(kinds(&page).into_iter().map(str::to_owned));
            match page["before"].as_u64() {
                Some(index) => before = format!("&before={index}"),
                None => break,
            }
        }
        assert_eq!(paged, all);
        // Whoever answers for the identity reads its timeline, and no other; a person's is for those who may audit.
        world.get(&world.owner, &path).await.expect(200);
        let (una, other) = world.person("Una", &["owner"]).await;
        world.get(&other, &path).await.expect(403);
        world.get(&world.owner, &format!("/v1/log/timeline?subject={}", world.owner_id)).await.expect(403);
        for subject in [&world.owner_id, &world.application, &world.orders] {
            let told = world.get(&world.auditor, &format!("/v1/log/timeline?subject={subject}&limit=200")).await.expect(200).body;
            assert!(!kinds(&told).is_empty(), "{subject}");
        }
        for wrong in ["crd_1&limit=20", "x&limit=0", "x&limit=201", "a%00b", "a%0Ab"] {
            world.get(&world.auditor, &format!("/v1/log/timeline?subject={wrong}")).await.expect(422);
        }
        // What can't be a subject's is told to those who may ask, and the others' question is on record all the same.
        world.get(&world.auditor, "/v1/refusals?subject=a%1Bb").await.expect(422);
        for question in ["log/timeline", "refusals"] {
            world.get(&other, &format!("/v1/{question}?subject=a%00b")).await.expect(403);
        }
        let refused = world.get(&world.auditor, &format!("/v1/refusals?subject={una}")).await.expect(200).body;
        assert_eq!(refused["items"].as_array().unwrap().len(), 3, "{refused}");
    }

    async fn r97_the_past_is_told_by_the_index_as_by_the_log(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let questions = [
            format!("/v1/log/timeline?subject={id}&limit=7&before=50"),
            format!("/v1/log/timeline?subject={}&limit=5&before=50", world.application),
            format!("/v1/refusals?subject={}&before=50", world.owner_id),
            format!("/v1/resources/{}/access", world.orders),
        ];
        world.get(&world.owner, "/v1/log/exceptional").await.expect(403);
        let ask = async || {
            let mut answers = Vec::new();
            for question in &questions {
                let answer = world.get(&world.auditor, question).await.expect(200).body;
                answers.push((answer["items"].clone(), answer["access"].clone()));
            }
            answers
        };
        let before = ask().await;
        filled(&world, &id, &key).await;
        assert_eq!(ask().await, before);
        // Thrown away, it is made again, and what is told is the same meanwhile.
        world.post(&world.owner, "/v1/log/reindex", json!({})).await.expect(403);
        world.post(&world.auditor, "/v1/log/reindex", json!({})).await.expect(200);
        assert_eq!(ask().await, before);
        let told = world.get(&world.auditor, "/v1/log/timeline?subject=log&limit=1").await.expect(200).body;
        assert_eq!(kinds(&told), ["log.reindexed"]);
    }
}
