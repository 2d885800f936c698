//! R49, R61: templates give defaults and ceilings, and at the speed of machines a decision with its credential.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::problems;
use crate::on_one;
use crate::world::{Answer, Key, World, in_secs, now, random};

/// A place where jobs of staging read orders, and a template for them.
struct Jobs<'a> {
    world: &'a World,
    orders: String,
}

impl<'a> Jobs<'a> {
    async fn start(world: &'a World, with: Value) -> Self {
        let body = json!({"uri": "https://orders.staging", "type": "database", "actions": ["read", "write", "enforce"], "application": world.application, "environment": "staging", "verification": "online"});
        let orders = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let jobs = Self { world, orders };
        jobs.put("job", with).await.expect(201);
        jobs
    }

    async fn put(&self, name: &str, with: Value) -> Answer {
        let world = self.world;
        let mut template = json!({
            "name": name, "kind": "workload", "description": "jobs that read the orders of staging",
            "default_life": "15m", "max_life": "1h", "max_credential_ttl": "5m", "max_tier": "low",
            "max_scope": [{"actions": ["read"], "resource": self.orders}], "environments": ["staging"],
            "defaults": {
                "owner": world.owner_id, "purpose": "a job", "scope": [{"actions": ["read"], "resource": self.orders}],
                "trust_boundary": {"type": "trust_domain", "value": "staging.example.com"}, "environment": "staging",
                "application": world.application, "retirement": [{"type": "task_completed"}], "rotation_cadence": "30d", "coverage": "role_based",
                "parties": {"requester": world.owner_id, "operator": "billing", "beneficiary": "finance"},
            },
        });
        for (field, value) in with.as_object().unwrap() {
            template[field] = value.clone();
        }
        let body = json!({"template": template, "purpose": "jobs"});
        world.call(reqwest::Method::PUT, &world.admin, &format!("/v1/templates/{name}"), Some(body)).await
    }

    fn ask(&self, name: &str, key: &Key, charter: Value) -> Value {
        let mut whole = json!({"workload_binding": {"type": "public_key", "workload": name, "jwk": key.jwk()}});
        for (field, value) in charter.as_object().unwrap() {
            whole[field] = value.clone();
        }
        json!({"kind": "workload", "name": name, "template": "job", "stage": "active", "charter": whole})
    }

    async fn register(&self, name: &str, charter: Value) -> Answer {
        self.world.post(&self.world.owner, "/v1/identities", self.ask(name, &Key::new(), charter)).await
    }

    /// The proof that comes with a registration, with parts replaced.
    fn proof(&self, key: &Key, name: &str, with: Value) -> String {
        let mut claims =
            json!({"sub": name, "aud": self.world.issuer("staging"), "jti": random(), "iat": now(), "exp": now() + 60});
        for (field, value) in with.as_object().unwrap() {
            claims[field] = value.clone();
        }
        key.sign(&json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &claims)
    }
}

on_one! {
    async fn r49_what_is_wider_or_longer_than_the_template_is_refused(world: World) {
        let jobs = Jobs::start(&world, json!({})).await;
        for (charter, field) in [
            (json!({"expires_at": in_secs(7_200)}), "charter.expires_at"),
            (json!({"credential_ttl": "10m"}), "charter.credential_ttl"),
            (json!({"scope": [{"actions": ["read", "write"], "resource": jobs.orders}]}), "charter.scope"),
            (json!({"scope": [{"actions": ["*"], "resource": jobs.orders}]}), "charter.scope"),
            (json!({"scope": [{"actions": ["read"], "resource": world.orders}], "environment": "production"}), "charter.environment"),
        ] {
            let answer = jobs.register("wide", charter).await.expect(403);
            let detail = answer.text("/detail");
            assert_eq!(answer.code(), "over_ceiling");
            assert!(detail.contains(field) && detail.contains("wanted") && detail.contains("allowed"), "{detail}");
        }
        // The tier, too, is derived and bounded.
        let answer = jobs.register("wide", json!({"coverage": "privileged"})).await.expect(403);
        assert_eq!(answer.code(), "over_ceiling");
        assert!(answer.text("/detail").contains("risk tier"), "{}", answer.body);
        assert_eq!(jobs.register("wide", json!({"environment": "moon"})).await.expect(403).code(), "over_ceiling");
        let mut unknown = jobs.ask("wide", &Key::new(), json!({}));
        unknown["template"] = json!("nothing");
        assert_eq!(problems(&world.post(&world.owner, "/v1/identities", unknown).await.expect(422))[0].1, "template_unknown");
        let mut bot = jobs.ask("wide", &Key::new(), json!({}));
        bot["kind"] = json!("bot");
        assert_eq!(problems(&world.post(&world.owner, "/v1/identities", bot).await.expect(422))[0].1, "kind_not_of_template");
        let refused = world.events().await.into_iter().filter(|event| event["kind"] == "access.refused" && event["data"]["reason"] == "over_ceiling");
        assert_eq!(refused.count(), 7);
        // Inside the ceilings it is there at once, and by a named rule.
        let made = jobs.register("narrow", json!({})).await.expect(201);
        assert_eq!((made.text("/state"), made.text("/template"), made.text("/charter/credential_ttl")), ("active".into(), "job".into(), "5m".into()));
        assert_eq!(made.body["charter"]["scope"], json!([{"actions": ["read"], "resource": jobs.orders}]));
        // The ceilings stay: neither a later end nor a wider charter goes past them.
        let id = made.text("/id");
        let later = json!({"type": "renewal", "identity": id, "until": in_secs(7_200)});
        let answer = world.ask(&world.owner, later, "more").await.expect(422);
        assert_eq!(answer.field_codes(), ["over_ceiling"]);
        let mut charter = made.body["charter"].clone();
        charter["scope"] = json!([{"actions": ["read", "write"], "resource": jobs.orders}]);
        let wider = json!({"type": "charter", "identity": id, "charter": charter});
        assert_eq!(world.ask(&world.owner, wider, "more").await.expect(403).code(), "over_ceiling");
    }

    async fn r49_or_cut_down_to_it_and_the_record_says_so(world: World) {
        let jobs = Jobs::start(&world, json!({"when_over": "clip"})).await;
        let wide = json!({"expires_at": in_secs(86_400), "scope": [{"actions": ["read", "write"], "resource": jobs.orders}]});
        let made = jobs.register("wide", wide).await.expect(201);
        assert_eq!(made.body["charter"]["scope"], json!([{"actions": ["read"], "resource": jobs.orders}]));
        assert!(made.text("/charter/expires_at") < in_secs(3_660));
        let event = world.events_of("identity.registered", &made.text("/id")).await.remove(0);
        let clipped = event["data"]["clipped"].as_array().unwrap().clone();
        assert_eq!(clipped.iter().map(|c| c["field"].as_str().unwrap()).collect::<Vec<_>>(), ["charter.expires_at", "charter.scope"]);
        assert!(clipped[1]["wanted"].as_str().unwrap().starts_with("read,write on") && clipped[1]["given"].as_str().unwrap().starts_with("read on"), "{event}");
        // What can't be cut down is refused.
        let none = json!({"scope": [{"actions": ["write"], "resource": jobs.orders}]});
        assert_eq!(jobs.register("none", none).await.expect(403).code(), "over_ceiling");
    }

    async fn r49_templates_change_by_request_and_everybody_who_asks_sees_them(world: World) {
        let jobs = Jobs::start(&world, json!({})).await;
        let shown = world.get(&world.owner, "/v1/templates/job").await.expect(200);
        assert_eq!((&shown.body["version"], shown.text("/max_tier")), (&json!(1), "low".to_owned()));
        assert_eq!(world.get(&world.owner, "/v1/templates?kind=workload").await.expect(200).body["items"].as_array().unwrap().len(), 1);
        assert_eq!(world.get(&world.owner, "/v1/templates?kind=agent").await.expect(200).body["items"], json!([]));
        world.get(&world.owner, "/v1/templates/none").await.expect(404);
        let body = json!({"template": shown.body, "purpose": "x"});
        world.call(reqwest::Method::PUT, &world.owner, "/v1/templates/job", Some(body)).await.expect(400);
        assert_eq!(jobs.put("job", json!({"name": "other"})).await.expect(422).field_codes(), ["name_mismatch"]);
        let codes = jobs.put("job", json!({"default_life": "2h", "defaults": {"credential_ttl": "1h"}})).await.expect(422).field_codes();
        assert_eq!(codes, ["default_life_out_of_range", "defaults_over_ceiling"]);
        // With a second administrator, one proposes and the other approves.
        let (_, bea) = world.person("Bea", &["administrator"]).await;
        let asked = jobs.put("job", json!({"max_life": "30m"})).await.expect(201);
        assert_eq!(asked.text("/state"), "open");
        let request = asked.text("/id");
        assert_eq!(world.approve(&world.admin, &request).await.expect(403).code(), "self_approval");
        assert_eq!(world.get(&world.owner, "/v1/templates/job").await.expect(200).text("/max_life"), "1h");
        world.approve(&bea, &request).await.expect(200);
        let shown = world.get(&world.owner, "/v1/templates/job").await.expect(200);
        assert_eq!((&shown.body["version"], shown.text("/max_life")), (&json!(2), "30m".to_owned()));
        assert_eq!(world.events_of("template.changed", "job").await.len(), 2);
    }

    async fn r61_one_call_gives_the_decision_and_the_credential(world: World) {
        let jobs = Jobs::start(&world, json!({})).await;
        let key = Key::new();
        let mut ask = jobs.ask("job-1", &key, json!({}));
        let good = jobs.proof(&key, "job-1", json!({}));
        // Nothing is registered by a proof that fails.
        for (proof, code) in [
            (jobs.proof(&Key::new(), "job-1", json!({})), "proof_invalid"),
            (jobs.proof(&key, "job-2", json!({})), "proof_invalid"),
            (jobs.proof(&key, "job-1", json!({"aud": world.issuer("production")})), "proof_invalid"),
            (jobs.proof(&key, "job-1", json!({"exp": now() - 600})), "proof_invalid"),
            (key.assertion("job-1", &world.issuer("staging")), "proof_invalid"),
        ] {
            ask["token"] = json!({"proof": proof});
            assert_eq!(world.post(&world.owner, "/v1/identities", ask.clone()).await.expect(403).code(), code);
        }
        ask["token"] = json!({"proof": good});
        ask["stage"] = json!("pending");
        assert_eq!(problems(&world.post(&world.owner, "/v1/identities", ask.clone()).await.expect(422))[0].1, "token_without_activation");
        ask["stage"] = json!("active");
        assert_eq!(world.get(&world.security, "/v1/identities?name=job-1").await.expect(200).body["items"], json!([]));
        // What takes somebody's approval is refused, and nothing of it is left.
        let mut long = ask.clone();
        long.as_object_mut().unwrap().remove("template");
        long["charter"] = {
            let mut charter = world.charter(key.jwk());
            charter["environment"] = json!("staging");
            charter["scope"] = json!([{"actions": ["read"], "resource": jobs.orders}]);
            charter
        };
        assert_eq!(world.post(&world.owner, "/v1/identities", long).await.expect(403).code(), "approval_needed");
        assert_eq!(world.get(&world.security, "/v1/identities?name=job-1").await.expect(200).body["items"], json!([]));

        let began = Instant::now();
        let made = world.post(&world.owner, "/v1/identities", ask.clone()).await.expect(201);
        assert!(began.elapsed() < Duration::from_secs(5));
        let (id, token) = (made.text("/id"), made.text("/token/access_token"));
        assert_eq!((made.text("/state"), made.text("/token/scope")), ("active".to_owned(), "read".to_owned()));
        assert!((1..=300).contains(&made.body["token"]["expires_in"].as_i64().unwrap()));
        let request = made.text("/activation/request");
        assert_eq!(world.get(&world.security, &format!("/v1/requests/{request}")).await.expect(200).text("/state"), "fulfilled");
        // It is a credential like any other: in the inventory, durable before it was handed over, and dead with its
        // identity.
        let listed = world.get(&world.owner, &format!("/v1/identities/{id}/credentials")).await.expect(200);
        assert_eq!((listed.text("/items/0/state"), listed.text("/items/0/id")), ("live".to_owned(), made.text("/token/credential")));
        let issued = world.events_of("credential.issued", &id).await;
        assert_eq!((issued.len(), issued[0]["data"]["method"].as_str()), (1, Some("private_key_jwt")));
        assert!(!world.text(&world.auditor, "/v1/log/export").await.contains(&token));
        // Neither the name nor the key nor the proof is good again.
        assert_eq!(world.post(&world.owner, "/v1/identities", ask.clone()).await.expect(409).code(), "taken");
        ask["name"] = json!("job-3");
        ask["token"] = json!({"proof": jobs.proof(&key, "job-3", json!({}))});
        assert_eq!(world.post(&world.owner, "/v1/identities", ask).await.expect(409).code(), "key_already_bound");
        // A workload goes on by itself at the token endpoint; the task's end ends it.
        world.token(&key, &id, "staging").await;
        world.post(&world.owner, &format!("/v1/identities/{id}/complete-task"), json!({"outcome": "done"})).await.expect(200);
        assert_ne!(world.ask_token(&key, &id, "staging").await.status, 200);
        // What can't be issued is said, and the identity is there.
        let other = Key::new();
        let mut ask = jobs.ask("job-4", &other, json!({}));
        ask["token"] = json!({"proof": jobs.proof(&other, "job-4", json!({})), "scope": "write"});
        let made = world.post(&world.owner, "/v1/identities", ask).await.expect(201);
        assert_eq!((made.text("/token_refused/code"), made.text("/state")), ("outside_scope".to_owned(), "active".to_owned()));
        assert!(made.body.get("token").is_none());
    }

    async fn r61_an_agent_gets_its_first_credential_for_a_task_in_the_same_call(world: World) {
        let jobs = Jobs::start(&world, json!({})).await;
        let scope = json!([{"actions": ["read", "write"], "resource": jobs.orders}]);
        let tasks = json!([
            {"name": "report", "purpose": "reports on orders", "scope": [{"actions": ["read"], "resource": jobs.orders}]},
            {"name": "refund", "purpose": "refunds orders", "scope": [{"actions": ["write"], "resource": jobs.orders}]},
        ]);
        let shown = world.get(&world.owner, "/v1/templates/job").await.expect(200);
        let mut defaults = shown.body["defaults"].clone();
        defaults["scope"] = scope.clone();
        defaults["tasks"] = tasks;
        jobs.put("helper", json!({"name": "helper", "kind": "agent", "max_scope": scope, "defaults": defaults})).await.expect(201);
        let register = async |name: &str, key: &Key, token: Value| {
            let mut ask = jobs.ask(name, key, json!({}));
            (ask["kind"], ask["template"]) = (json!("agent"), json!("helper"));
            ask["token"] = token;
            ask["token"]["proof"] = json!(jobs.proof(key, name, json!({})));
            world.post(&world.owner, "/v1/identities", ask).await.expect(201)
        };
        let key = Key::new();
        let began = Instant::now();
        let made = register("helper-1", &key, json!({"task": "report"})).await;
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!((made.text("/state"), made.text("/kind"), made.text("/token/scope")), ("active".into(), "agent".into(), "read".into()));
        assert_eq!(made.text("/token/authorization_details/0/task"), "report");
        let issued = world.events_of("credential.issued", &made.text("/token/credential")).await;
        assert_eq!((issued.len(), &issued[0]["data"]["task"]), (1, &json!("report")));
        assert_eq!(world.get(&world.security, &format!("/v1/requests/{}", made.text("/activation/request"))).await.expect(200).text("/route"), "auto");
        // Without a task where several would do, with another's, or for more than its task takes, there is an identity
        // and no credential; both are on record.
        for (name, token, code) in [
            ("helper-2", json!({}), "intent_missing"),
            ("helper-3", json!({"task": "rob"}), "outside_intent"),
            ("helper-4", json!({"task": "report", "scope": "write"}), "outside_intent"),
        ] {
            let made = register(name, &Key::new(), token).await;
            assert_eq!((made.text("/token_refused/code"), made.text("/state")), (code.to_owned(), "active".to_owned()), "{name}");
            assert!(made.body.get("token").is_none());
            assert_eq!(crate::rows::refusals(&world, &made.text("/id"), code).await.len(), 1);
        }
    }
}
