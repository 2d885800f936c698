//! The decision endpoint (OpenID AuthZEN) under attack: who may ask, about what, and that only the record counts.

use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, Key, ORDERS, World};

async fn ask(world: &World, caller: &str, body: Value) -> Answer {
    world.post(caller, "/access/v1/evaluation", body).await
}

/// A question that is answered with yes, with parts replaced.
fn question(world: &World, id: &str, token: &str, with: &Value) -> Value {
    let mut body = json!({
        "subject": {"type": "identity", "id": id, "properties": {"access_token": token}},
        "resource": {"type": "database", "id": world.orders},
        "action": {"name": "read"},
    });
    merge(&mut body, with);
    body
}

fn merge(body: &mut Value, with: &Value) {
    for (name, value) in with.as_object().unwrap() {
        match (&mut body[name], value) {
            (Value::Object(inner), Value::Object(_)) => {
                let mut inner_value = Value::Object(std::mem::take(inner));
                merge(&mut inner_value, value);
                body[name] = inner_value;
            }
            (place, value) => *place = value.clone(),
        }
    }
}

on_one! {
    async fn only_a_gateway_of_the_resource_is_answered(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let good = question(&world, &id, &token, &json!({}));
        assert_eq!(ask(&world, &world.gateway, good.clone()).await.expect(200).body["decision"], json!(true));

        // Callers that enforce nothing.
        let assertion = key.assertion(&id, &world.issuer("production"));
        for (caller, status, code) in [("", 401, "proof_missing"), (&*world.admin, 401, "proof_invalid"), (&*world.security, 401, "proof_invalid"), ("x", 401, "proof_invalid"), (&*assertion, 401, "proof_invalid"), (&*token, 403, "not_allowed")] {
            let answer = ask(&world, caller, good.clone()).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
            assert!(answer.body.get("decision").is_none());
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert!(!answer.body.to_string().contains(&token));
        }
        let refusals = world.events_of("access.refused", &id).await;
        assert_eq!(refusals.iter().filter(|event| event["data"]["reason"] == "not_allowed").count(), 1);

        // A gateway of two resources, whose token is for one: about the other it is not answered with it.
        let ledger = world.resource("https://ledger.internal", "production", "online").await;
        let staging = world.resource("https://orders.staging", "staging", "online").await;
        let gateway_key = Key::new();
        let mut charter = world.charter(gateway_key.jwk());
        charter["application"] = json!(world.edge);
        charter["scope"] = json!([{"actions": ["enforce"], "resource": world.orders}, {"actions": ["enforce"], "resource": ledger}]);
        let gateway_id = world.active("two-gateways", charter).await;
        let assertion = gateway_key.assertion(&gateway_id, &world.issuer("production"));
        let fields = [("grant_type", "client_credentials"), ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), ("client_assertion", assertion.as_str()), ("resource", "https://ledger.internal")];
        let for_ledger = world.form("", "/env/production/token", &fields).await.expect(200).text("/access_token");
        let other = ask(&world, &for_ledger, good.clone()).await.expect(200);
        assert_eq!((&other.body["decision"], other.code().as_str()), (&json!(false), "resource_unknown"));
        assert_eq!(world.events_of("access.refused", &gateway_id).await[0]["data"]["reason"], "resource_unknown");

        // What isn't its own reads as what isn't there: a no, and no error by which a gateway would take the decision
        // point for broken.
        for resource in [
            json!({"type": "database", "id": ledger}),
            json!({"type": "database", "id": staging}),
            json!({"type": "queue", "id": world.orders}),
            json!({"type": "database", "id": "rsc_00000000000000000000000000"}),
            json!({"type": "database", "id": "https://nowhere.internal"}),
            json!({"type": "database", "id": "*"}),
            json!({"type": "Database", "id": world.orders}),
            json!({"type": "database", "id": format!("{ORDERS}/a")}),
            json!({"type": "database", "id": id}),
            json!({"type": "database", "id": "a\u{0}b"}),
        ] {
            let answer = ask(&world, &world.gateway, question(&world, &id, &token, &json!({"resource": resource}))).await;
            assert_eq!((answer.status, answer.code().as_str()), (200, "resource_unknown"), "{resource}");
            assert_eq!(answer.body["decision"], json!(false), "{resource}");
            assert!(!answer.text("/context/hint").is_empty());
        }
        assert_eq!(world.events_of("access.refused", &world.gateway_id).await.len(), 10);
        // By its URI it is the same resource, however that is spelled.
        for uri in [ORDERS.to_owned(), format!("{ORDERS}/"), "HTTPS://Orders.internal:443".into()] {
            let by_uri = question(&world, &id, &token, &json!({"resource": {"id": uri}}));
            assert_eq!(ask(&world, &world.gateway, by_uri).await.expect(200).body["decision"], json!(true), "{uri}");
        }

        // A gateway that is suspended is a gateway no more.
        world.post(&world.security, &format!("/v1/identities/{}/suspend", world.gateway_id), json!({"reason": "test"})).await.expect(200);
        let answer = ask(&world, &world.gateway, good).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "identity_suspended"));
    }

    async fn only_records_count(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let (other, other_key) = world.exporter("other").await;
        let token = world.token(&key, &id, "production").await;
        let others = world.token(&other_key, &other, "production").await;
        let staging_key = Key::new();
        let orders_staging = world.resource("https://orders.staging", "staging", "online").await;
        let mut charter = world.charter(staging_key.jwk());
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": orders_staging}]);
        let staging_id = world.active("stager", charter).await;
        let staging = world.token(&staging_key, &staging_id, "staging").await;
        let mut bent = token.clone();
        let middle = token.find('.').unwrap() + 30;
        bent.replace_range(middle..=middle, if token.as_bytes()[middle] == b'A' { "B" } else { "A" });
        let claim = json!({"environment": "staging", "owner": "me", "actions": ["write"], "roles": ["administrator"], "data_domains": [], "owns": true, "live_grant": true});
        let before = world.changes().await;

        let cases: Vec<(&str, Value, &str)> = vec![
            ("another action", json!({"action": {"name": "write"}}), "outside_scope"),
            ("the gateway's action", json!({"action": {"name": "enforce"}}), "outside_scope"),
            ("every action", json!({"action": {"name": "*"}}), "outside_scope"),
            ("the action in capitals", json!({"action": {"name": "READ"}}), "outside_scope"),
            ("the action and more", json!({"action": {"name": "read write"}}), "outside_scope"),
            ("an action that the caller says is held", json!({"action": {"name": "write", "properties": claim}, "context": claim}), "outside_scope"),
            ("a resource that the caller says is another", json!({"action": {"name": "write"}, "resource": {"properties": claim}}), "outside_scope"),
            ("a subject that the caller says may", json!({"action": {"name": "write"}, "subject": {"properties": claim}}), "outside_scope"),
            ("another's name on the token", json!({"subject": {"id": other}}), "proof_invalid"),
            ("another's token", json!({"subject": {"properties": {"access_token": others}}}), "proof_invalid"),
            ("a token of staging", json!({"subject": {"properties": {"access_token": staging}}}), "proof_invalid"),
            ("a token of staging under its own name", json!({"subject": {"id": staging_id, "properties": {"access_token": staging}}}), "wrong_environment"),
            ("a name of staging", json!({"subject": {"id": staging_id, "properties": {"access_token": token}}}), "proof_invalid"),
            ("a bent token", json!({"subject": {"properties": {"access_token": bent}}}), "credential_unknown"),
            ("a token that is none", json!({"subject": {"properties": {"access_token": ""}}}), "credential_unknown"),
            ("an assertion", json!({"subject": {"properties": {"access_token": key.assertion(&id, &world.issuer("production"))}}}), "credential_unknown"),
            ("an operator token", json!({"subject": {"properties": {"access_token": world.admin}}}), "credential_unknown"),
            ("the gateway's own token", json!({"subject": {"id": world.gateway_id, "properties": {"access_token": world.gateway}}}), "outside_scope"),
            ("nobody", json!({"subject": {"id": "idn_00000000000000000000000000"}}), "proof_invalid"),
            ("a person", json!({"subject": {"id": world.owner_id}}), "identity_unknown"),
            ("every identity", json!({"subject": {"id": "*"}}), "identity_unknown"),
        ];
        for (what, with, reason) in &cases {
            let answer = ask(&world, &world.gateway, question(&world, &id, &token, with)).await.expect(200);
            assert_eq!((&answer.body["decision"], answer.code().as_str()), (&json!(false), *reason), "{what}: {}", answer.body);
            assert!(!answer.body.to_string().contains(&token), "{what}");
        }
        // Properties change nothing about a yes either, and without a token the charter decides.
        let claimed = question(&world, &id, &token, &json!({"context": claim, "resource": {"properties": claim}, "unknown": 1}));
        assert_eq!(ask(&world, &world.gateway, claimed).await.expect(200).body["decision"], json!(true));
        for (who, action, decision) in [(&id, "read", true), (&id, "write", false), (&staging_id, "read", false), (&world.gateway_id, "read", false), (&world.gateway_id, "enforce", true)] {
            let answer = world.evaluate(who, None, action).await.expect(200);
            assert_eq!(answer.body["decision"], json!(decision), "{who} {action}");
        }
        assert_eq!(world.changes().await, before);
        // Refusals about a known identity name it, the resource and the gateway.
        let refusals = world.events_of("access.refused", &id).await;
        assert!(refusals.len() >= 9);
        for event in &refusals {
            let subjects = event["subjects"].as_array().unwrap();
            assert!(subjects.contains(&json!(world.orders)) && subjects.contains(&json!(world.gateway_id)), "{event}");
        }
    }

    async fn e06_who_asks_is_settled_before_what_they_ask(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let post = async |caller: &str, kind: &str, body: &str| {
            let request = world.http.post(format!("{}/access/v1/evaluation", world.server.url)).header("content-type", kind).body(body.to_owned());
            World::answer(if caller.is_empty() { request } else { request.bearer_auth(caller) }).await
        };
        let large = format!("[{}]", " ".repeat(70_000));
        for (kind, body) in [("application/json", "["), ("application/json", "{}"), ("text/plain", "x"), ("application/json", "{\"a\":1,\"a\":2}"), ("application/json", &large)] {
            for (caller, status, code) in [("", 401, "proof_missing"), ("x", 401, "proof_invalid"), (&*world.admin, 401, "proof_invalid"), (&*token, 403, "not_allowed")] {
                let answer = post(caller, kind, body).await;
                assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body:.20}: {}", answer.body);
            }
            assert!((400..500).contains(&post(&world.gateway, kind, body).await.status), "{body:.20}");
        }
        // The same at introspection: who shows a token is known before its form is read.
        for (caller, status) in [("x", 401), (&*world.gateway, 400)] {
            let request = world.http.post(format!("{}/introspect", world.issuer("production"))).bearer_auth(caller).body("token");
            assert_eq!(World::answer(request).await.status, status, "{caller:.10}");
        }
        // A subject of a sort that is nobody here: a no with its reason.
        for kind in ["user", "Identity", "group", "*"] {
            let answer = ask(&world, &world.gateway, question(&world, &id, &token, &json!({"subject": {"type": kind}}))).await.expect(200);
            assert_eq!((&answer.body["decision"], answer.code().as_str()), (&json!(false), "subject_type_unknown"), "{kind}");
            assert!(!answer.text("/context/hint").is_empty());
        }
    }

    async fn d19_a_request_id_comes_back_with_every_answer(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let good = question(&world, &id, &token, &json!({}));
        let url = format!("{}/access/v1/evaluation", world.server.url);
        let cases = [(&*world.gateway, good.clone(), 200), ("", good.clone(), 401), (&*token, good, 403), (&*world.gateway, json!({}), 400)];
        for (n, (caller, body, status)) in cases.into_iter().enumerate() {
            let request_id = format!("bfe9eb29-ab87-4ca3-be83-a1d5d8305716/{n}");
            let mut request = world.http.post(&url).header("x-request-id", &request_id).json(&body);
            if !caller.is_empty() {
                request = request.bearer_auth(caller);
            }
            let answer = World::answer(request).await.expect(status);
            assert_eq!(answer.headers["x-request-id"], request_id.as_str());
        }
        let metadata = world.http.get(format!("{}/.well-known/authzen-configuration", world.server.url)).header("x-request-id", "a");
        assert_eq!(World::answer(metadata).await.expect(200).headers["x-request-id"], "a");
        // Who sent none is given the one by which the log names the request.
        assert!(world.get("", "/.well-known/authzen-configuration").await.headers.contains_key("x-request-id"));
    }

    async fn malformed_questions_are_no_decisions(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let before = world.changes().await;
        let with = |with: Value| question(&world, &id, &token, &with).to_string();
        let good = with(json!({}));
        let cases: Vec<(&str, String, u16, &str)> = vec![
            ("empty", String::new(), 400, "body_malformed"),
            ("nothing asked", "{}".into(), 400, "body_malformed"),
            ("no subject", with(json!({"subject": null})), 400, "body_malformed"),
            ("no action", with(json!({"action": {}, "resource": {}})).replace("\"name\":\"read\"", ""), 400, "body_malformed"),
            ("a subject that is text", with(json!({"subject": "x"})), 400, "body_malformed"),
            ("a list of questions", format!("[{good}]"), 400, "body_malformed"),
            ("the subject twice", good.replacen('{', r#"{"subject":{"type":"identity","id":"x"},"#, 1), 400, "body_malformed"),
            ("the token twice", good.replacen(r#""access_token":"#, r#""access_token":"x","access_token":"#, 1), 400, "body_malformed"),
            ("a token that is a list", with(json!({"subject": {"properties": {"access_token": [token]}}})), 422, "fields_invalid"),
            ("a token that is null", with(json!({"subject": {"properties": {"access_token": null}}})), 422, "fields_invalid"),
            ("a subject without type", with(json!({"subject": {"type": ""}})), 422, "fields_invalid"),
            ("a subject without name", with(json!({"subject": {"id": ""}})), 422, "fields_invalid"),
            ("an action without name", with(json!({"action": {"name": ""}})), 422, "fields_invalid"),
            ("an endless action", with(json!({"action": {"name": "x".repeat(501)}})), 422, "fields_invalid"),
            ("an endless resource", with(json!({"resource": {"id": "x".repeat(501)}})), 422, "fields_invalid"),
            ("deep properties", with(json!({"context": {"x": 0}})).replace("\"x\":0", &format!("\"x\":{}{}", "[".repeat(2_000), "]".repeat(2_000))), 400, "body_malformed"),
            ("too large", with(json!({"context": {"x": "x".repeat(70_000)}})), 413, "body_too_large"),
        ];
        for (what, body, status, code) in cases {
            let request = world.http.post(format!("{}/access/v1/evaluation", world.server.url)).bearer_auth(&world.gateway).header("content-type", "application/json").body(body);
            let answer = World::answer(request).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}: {}", answer.body);
            assert!(answer.body.get("decision").is_none() && !answer.body.to_string().contains(&token), "{what}");
            assert_eq!(answer.headers["content-type"], "application/problem+json");
        }
        let two = world.http.post(format!("{}/access/v1/evaluation", world.server.url)).bearer_auth(&world.gateway).bearer_auth(&world.gateway).header("content-type", "application/json").body(good);
        assert_eq!(World::answer(two).await.expect(400).code(), "request_malformed");
        assert_eq!(world.changes().await, before);
        let metadata = world.get("", "/.well-known/authzen-configuration").await.expect(200);
        assert_eq!(metadata.text("/policy_decision_point"), world.server.url);
        assert_eq!(metadata.text("/access_evaluation_endpoint"), format!("{}/access/v1/evaluation", world.server.url));
    }
}
