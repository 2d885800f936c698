//! Each kind of source starts a revocation, and says nothing of people that can't be erased (R90, S-12).

use serde_json::{Value, json};

use super::tokens::{AUDIENCE, Transmitter, push};
use super::{archived, cloud_headers, deliver, event, github_headers, received, registration, source};
use crate::on_one;
use crate::world::{Key, World, now, random};

/// What came of the newest signal of a source, once it is worked off.
async fn outcome(world: &World, source: &str) -> Value {
    let path = format!("/v1/signals?source={source}");
    let newest = async || {
        world.get(&world.security, &path).await.expect(200).body["items"].as_array().unwrap().last().cloned().unwrap()
    };
    world.until(async || newest().await["state"] != "received").await;
    newest().await
}

on_one! {
    async fn r90_a_signed_event_of_each_kind_of_source_starts_revocation(world: World) {
        // CI/CD: GitHub's webhook, and a pipeline of the repository that it is about.
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["repositories"] = json!(["acme/payments"]);
        charter["auto_revocation"] = json!(["suspension"]);
        let body = json!({"kind": "pipeline", "name": "release", "charter": charter, "stage": "pending"});
        let pipeline = world.post(&world.owner, "/v1/identities", body).await.expect(201).text("/id");
        world.activate(&world.manager, &pipeline).await.expect(200);
        let pipeline_token = world.token(&key, &pipeline, "production").await;
        // IAM: a security event token about one identity.
        let (machine, key) = world.exporter("machine").await;
        let machine_token = world.token(&key, &machine, "production").await;
        // Asset management: a CloudEvent about an application.
        let payroll = world.application("payroll").await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["application"] = json!(payroll);
        let member = world.active("payroll-export", charter).await;
        let member_token = world.token(&key, &member, "production").await;

        let github = source(&world, registration(&world, "github", "github", "hmac")).await;
        let idp = Transmitter::start().await;
        let mut body = registration(&world, "idp", "set", "keys");
        body["kinds"] = json!(["workload_disabled", "workload_removed"]);
        body["subjects"] = json!(["identity:*"]);
        body["auth"] = json!({"type": "keys", "issuer": idp.url, "audience": AUDIENCE});
        let iam = source(&world, body).await;
        let assets = source(&world, registration(&world, "assets", "cloud_events", "hmac")).await;

        for (token, id) in [(&pipeline_token, &pipeline), (&machine_token, &machine), (&member_token, &member)] {
            assert!(world.is_live(token).await, "{id}");
        }
        let body = archived("acme/payments");
        deliver(&world, &github.name, &github_headers(&github.secret, &body), &body).await.expect(202);
        let claims = json!({"iss": idp.url, "aud": AUDIENCE, "jti": random(), "iat": now(), "sub_id": {"format": "opaque", "id": machine},
            "events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {"event_timestamp": now(), "initiating_entity": "policy"}}});
        push(&world, "idp", &idp.key.sign(&Transmitter::header(), &claims)).await.expect(202);
        let body = event("1", "application.retired", "application:payroll");
        deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await.expect(202);

        for (token, id, source) in [(&pipeline_token, &pipeline, &github), (&machine_token, &machine, &iam), (&member_token, &member, &assets)] {
            let done = outcome(&world, &source.id).await;
            assert_eq!(done["state"], json!("done"), "{done}");
            assert!(!world.is_live(token).await, "{done}");
            assert!(!world.is_allowed(id, None, "read").await, "{done}");
        }
        // What was not spoken of goes on.
        assert!(world.is_live(&world.gateway).await);
    }

    async fn s12_by_which_key_a_source_knows_a_person_is_no_public_fact(world: World) {
        let people = json!({"source": "hr", "complete": false, "people": [{"key": "4711-known", "name": "Eve"}]});
        world.post(&world.admin, "/v1/people/import", people).await.expect(200);
        let mut body = registration(&world, "hr", "cloud_events", "hmac");
        body["kinds"] = json!(["employment_ended"]);
        body["subjects"] = json!(["person:hr/*"]);
        let hr = source(&world, body).await;
        for key in ["4711-known", "4712-unknown"] {
            let body = event(key, "employment.ended", &format!("person:hr/{key}"));
            deliver(&world, &hr.name, &cloud_headers(&hr.secret, &body), &body).await.expect(202);
        }
        outcome(&world, &hr.id).await;
        let events = received(&world).await;
        assert_eq!(events.len(), 2);
        assert!(events.iter().all(|event| event["data"]["subject"] == "person"));
        // The person who is known is named by their id, and the key stands beside the log, where it can be erased.
        assert!(events[0]["subjects"].as_array().unwrap().iter().any(|subject| subject.as_str().unwrap().starts_with("per_")));
        assert!(events[0]["personal"].get("source_key").is_some());
        assert!(world.events().await.iter().all(|event| !event.to_string().contains("4711-known") && !event.to_string().contains("4712-unknown")));
    }
}
