//! Requirements, row by row.

mod charter;
mod credentials;
mod endings;
mod kinds;
mod receipts;
mod templates;
mod tiers;
mod withdrawals;

use serde_json::{Value, json};

use crate::on_both;
use crate::world::{Answer, World};

/// The fields that an answer names, with their codes.
fn problems(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    answer.body["fields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|field| (text(&field["field"]), text(&field["code"])))
        .collect()
}

/// Refusals for this reason that the log has about a subject.
pub async fn refusals(world: &World, subject: &str, reason: &str) -> Vec<Value> {
    world
        .events_of("access.refused", subject)
        .await
        .into_iter()
        .filter(|event| event["data"]["reason"] == reason)
        .collect()
}

on_both! { because "lists are paged by the engine";
    async fn r46_one_call_says_who_approved_for_which_need_and_what_ends_it(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let path = format!("/v1/identities/{id}/access");
        let answer = world.get(&world.auditor, &path).await.expect(200);
        let access = answer.body["access"].as_array().unwrap().clone();
        assert_eq!(access.len(), 1);
        assert_eq!(access[0]["approved_by"], json!([world.manager_id]));
        assert!(access[0]["request"].as_str().unwrap().starts_with("req_"));
        assert_eq!(access[0]["need"], "exports invoices");
        assert_eq!(access[0]["live"], true);
        assert!(access[0]["policies"].as_array().unwrap().contains(&json!("approve-standard")), "{access:?}");
        let ends = access[0]["ends"].as_array().unwrap().iter().map(|end| end.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert!(ends.iter().any(|end| end.starts_with("date: ")) && ends.iter().any(|end| end.contains("30d without use")) && ends.iter().any(|end| end == "suspension"), "{ends:?}");
        // A second access, opened by somebody else for a need of its own, answers for itself.
        let (rita_id, rita) = world.person("Rita", &["requester"]).await;
        let matter = json!({"type": "access", "identity": id, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "10m"});
        let request = world.ask(&rita, matter, "incident 7").await.expect(201).text("/id");
        assert_eq!(world.get(&rita, &format!("/v1/requests/{request}")).await.expect(200).text("/requested_by/id"), rita_id);
        world.approve(&world.owner, &request).await.expect(200);
        let answer = world.get(&world.owner, &path).await.expect(200);
        let access = answer.body["access"].as_array().unwrap().clone();
        let incident = access.iter().find(|access| access["need"] == "incident 7").unwrap();
        assert_eq!((access.len(), &incident["approved_by"], &incident["request"]), (2, &json!([world.owner_id]), &json!(request)));
        // What is not live is not shown as live.
        world.token(&key, &id, "production").await;
        world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"})).await.expect(200);
        let answer = world.get(&world.owner, &path).await.expect(200);
        assert!(answer.body["access"].as_array().unwrap().iter().all(|access| access["live"] == false));
        // It is not everybody's business.
        let (_, stranger) = world.person("Una", &["requester"]).await;
        world.get(&stranger, &path).await.expect(403);
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
