//! An agent asks for more while it runs (R56): the backchannel, its callbacks, and the page on which people answer.

mod page;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::mailbox::Pings;
use crate::on_one;
use crate::peers::{AUDIENCE, Provider, node, oidc_binding, trust};
use crate::world::{Answer, Key, ORDERS, Store, World, in_secs};

const GRANT: &str = "urn:openid:params:grant-type:ciba";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An agent that may be given reading and writing of `orders`, for a task each, and holds nothing by itself.
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) key: Key,
}

impl Agent {
    pub(super) async fn new(world: &World, name: &str, more: Value) -> Self {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
        charter["coverage"] = json!("just_in_time");
        charter["expires_at"] = json!(in_secs(20 * 86_400));
        charter["tasks"] = json!([
            {"name": "report", "purpose": "reports on orders", "scope": [{"actions": ["read"], "resource": world.orders}]},
            {"name": "refund", "purpose": "refunds orders", "scope": [{"actions": ["write"], "resource": world.orders}]},
        ]);
        for (field, value) in more.as_object().unwrap() {
            charter[field] = value.clone();
        }
        let body = json!({"kind": "agent", "name": name, "charter": charter, "stage": "pending"});
        let id = world.post(&world.owner, "/v1/identities", body).await.expect(201).text("/id");
        world.activate(&world.manager, &id).await.expect(200);
        Self { id, key }
    }

    /// A token for a task, under what the agent holds.
    async fn token(&self, world: &World, task: &str) -> Answer {
        let details = json!([{"type": "tenure_task", "task": task}]).to_string();
        self.form(world, "token", &[("grant_type", "client_credentials"), ("authorization_details", &details)]).await
    }

    async fn form(&self, world: &World, endpoint: &str, fields: &[(&str, &str)]) -> Answer {
        let assertion = self.key.assertion(&self.id, &world.issuer("production"));
        let mut all = vec![("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
        all.extend_from_slice(fields);
        world.form("", &format!("/env/production/{endpoint}"), &all).await
    }

    /// Asks to write for a while.
    pub(super) async fn ask(&self, world: &World, secs: i64, purpose: &str, more: &[(&str, &str)]) -> Answer {
        let details = wants_to_write(secs).to_string();
        let mut fields = vec![("authorization_details", details.as_str()), ("binding_message", purpose)];
        fields.extend_from_slice(more);
        self.form(world, "bc-authorize", &fields).await
    }

    pub(super) async fn fetch(&self, world: &World, auth_req_id: &str) -> Answer {
        self.form(world, "token", &[("grant_type", GRANT), ("auth_req_id", auth_req_id)]).await
    }
}

fn wants_to_write(secs: i64) -> Value {
    json!([{"type": "tenure_access", "locations": [ORDERS], "actions": ["write"], "task": "refund", "duration_secs": secs}])
}

async fn request(world: &World, id: &str) -> Value {
    world.get(&world.security, &format!("/v1/requests/{id}")).await.expect(200).body
}

async fn grants(world: &World, agent: &Agent) -> Vec<Value> {
    let report = world.get(&world.owner, &format!("/v1/identities/{}/access", agent.id)).await.expect(200);
    report.body["access"].as_array().unwrap().clone()
}

async fn refused_as(world: &World, agent: &Agent, reason: &str) -> bool {
    let refused = world.events_of("access.refused", &agent.id).await;
    refused.iter().any(|event| event["data"]["reason"] == reason)
}

on_one! {
    async fn r56_an_agent_that_asks_for_more_gets_a_new_bounded_grant(world: World) {
        world.hold();
        let agent = Agent::new(&world, "invoice-agent", json!({})).await;
        let matter = json!({"type": "access", "identity": agent.id, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "1h"});
        let first = world.ask(&world.owner, matter, "daily report").await.expect(201).text("/id");
        world.approve(&world.manager, &first).await.expect(200);
        let reading = agent.token(&world, "report").await.expect(200).text("/access_token");
        let before = grants(&world, &agent).await;
        assert!(world.is_allowed(&agent.id, Some(&reading), "read").await);

        let asked = agent.ask(&world, 12, "refund of order 12", &[]).await.expect(200);
        let (auth_req_id, id) = (asked.text("/auth_req_id"), asked.text("/request"));
        assert_eq!((&asked.body["interval"], asked.body["expires_in"].as_i64()), (&json!(5), Some(7 * 86_400)));
        let opened = request(&world, &id).await;
        assert_eq!((&opened["requested_by"]["id"], &opened["purpose"], &opened["matter"]["task"]), (&json!(agent.id), &json!("refund of order 12"), &json!("refund")));
        // The same route as anybody's; the owner answers for the agent, and so is who asks (S-8).
        assert_eq!((&opened["route"], &opened["interested"]), (&json!("owner_or_manager"), &json!([world.owner_id])));
        let waits = agent.fetch(&world, &auth_req_id).await.expect(400);
        assert_eq!((waits.text("/error").as_str(), waits.code().as_str()), ("authorization_pending", "authorization_pending"));
        world.approve(&world.owner, &id).await.expect(403);
        let approved = world.approve(&world.manager, &id).await.expect(200);
        let grant = approved.text("/outcome/grants/0");

        let given = agent.fetch(&world, &auth_req_id).await.expect(200);
        let writing = given.text("/access_token");
        assert_eq!((given.text("/scope").as_str(), &given.body["authorization_details"][0]["task"]), ("write", &json!("refund")));
        assert!(given.body["expires_in"].as_i64().unwrap() <= 12, "{}", given.body);
        assert!(world.is_allowed(&agent.id, Some(&writing), "write").await);
        assert!(!world.is_allowed(&agent.id, Some(&writing), "read").await, "the new token is under the new grant only");

        // The original is what it was: its grant, its record, and what its token is good for.
        let after = grants(&world, &agent).await;
        assert_eq!(after.len(), before.len() + 1);
        assert_eq!(after[0], before[0]);
        assert!(world.is_allowed(&agent.id, Some(&reading), "read").await);
        assert!(!world.is_allowed(&agent.id, Some(&reading), "write").await);

        // A decision of its own, with a record of its own.
        let credential = given.text("/credential");
        let issued = &world.events_of("credential.issued", &credential).await[0];
        assert_eq!((&issued["data"]["grants"], &issued["data"]["task"]), (&json!([grant]), &json!("refund")));
        let opened = &world.events_of("grant.opened", &grant).await[0];
        assert_eq!((&opened["data"]["request"], &opened["data"]["approved_by"]), (&json!(id), &json!([world.manager_id])));
        assert_eq!(world.events_of("request.redeemed", &credential).await[0]["subjects"][0], json!(id));
        // One answer, one token.
        let again = agent.fetch(&world, &auth_req_id).await.expect(400);
        assert_eq!((again.text("/error").as_str(), again.code().as_str()), ("invalid_grant", "request_unknown"));

        // It ends by its time, and the original goes on.
        world.pass(12).await;
        world.until(async || !world.is_live(&writing).await).await;
        assert!(world.is_live(&reading).await);
        assert!(!world.is_allowed(&agent.id, None, "write").await);
    }

    async fn r56_who_asks_too_often_is_slowed_down_and_who_is_denied_is_told(world: World) {
        let agent = Agent::new(&world, "hasty-agent", json!({})).await;
        let asked = agent.ask(&world, 60, "refund of order 12", &[]).await.expect(200);
        let (auth_req_id, id) = (asked.text("/auth_req_id"), asked.text("/request"));
        assert_eq!(agent.fetch(&world, &auth_req_id).await.expect(400).text("/error"), "authorization_pending");
        for _ in 0..2 {
            assert_eq!(agent.fetch(&world, &auth_req_id).await.expect(400).text("/error"), "slow_down");
        }
        let polled = world.events_of("request.polled", &id).await;
        let intervals: Vec<&Value> = polled.iter().map(|event| &event["data"]["interval"]).collect();
        assert_eq!(intervals, [&json!("5s"), &json!("10s"), &json!("15s")]);
        let hash = request(&world, &id).await["content_hash"].clone();
        let body = json!({"content_hash": hash, "comment": "not today"});
        world.post(&world.manager, &format!("/v1/requests/{id}/deny"), body).await.expect(200);
        // An answer is never told to wait.
        let denied = agent.fetch(&world, &auth_req_id).await.expect(400);
        assert_eq!((denied.text("/error").as_str(), denied.code().as_str()), ("access_denied", "request_denied"));
        assert!(grants(&world, &agent).await.is_empty());
        assert!(refused_as(&world, &agent, "request_denied").await);
        assert_eq!(world.events_of("request.opened", &id).await[0]["data"]["channel"], "backchannel");
    }

    async fn s14_an_answer_is_for_who_asked_alone_and_no_proof_is_taken_twice(world: World) {
        let (agent, other) = (Agent::new(&world, "one-agent", json!({})).await, Agent::new(&world, "other-agent", json!({})).await);
        let asked = agent.ask(&world, 600, "refund of order 12", &[]).await.expect(200);
        let (auth_req_id, id) = (asked.text("/auth_req_id"), asked.text("/request"));
        let (request_id, tag) = auth_req_id.split_once('.').unwrap();
        assert_eq!((request_id, tag.len()), (id.as_str(), 43));
        world.approve(&world.manager, &id).await.expect(200);
        // Another client with the same auth_req_id; one that is guessed, altered or cut off; a request that never went
        // this way.
        let stolen = other.fetch(&world, &auth_req_id).await.expect(400);
        assert_eq!((stolen.text("/error").as_str(), stolen.code().as_str()), ("invalid_grant", "request_unknown"));
        assert!(refused_as(&world, &other, "request_unknown").await);
        let matter = json!({"type": "access", "identity": agent.id, "entitlement": {"actions": ["write"], "resource": world.orders}, "duration": "1h"});
        let elsewhere = world.ask(&world.owner, matter, "by hand").await.expect(201).text("/id");
        world.approve(&world.manager, &elsewhere).await.expect(200);
        let mut altered = auth_req_id.clone().into_bytes();
        altered[request_id.len() + 1] ^= 1;
        let altered = String::from_utf8(altered).unwrap();
        let long = format!("{id}.{}", "A".repeat(5_000));
        for bad in [id.as_str(), &format!("{id}."), &format!("{elsewhere}.{tag}"), &altered, &long, "x", "."] {
            assert_eq!(agent.fetch(&world, bad).await.expect(400).text("/error"), "invalid_grant", "{bad}");
        }
        // No proof, a proof of nobody's, and another environment's issuer.
        world.form("", "/env/production/token", &[("grant_type", GRANT), ("auth_req_id", &auth_req_id)]).await.expect(401);
        let forged = Agent { id: agent.id.clone(), key: Key::new() };
        assert_eq!(forged.fetch(&world, &auth_req_id).await.expect(401).text("/error"), "invalid_client");
        forged.ask(&world, 60, "x", &[]).await.expect(401);
        let assertion = agent.key.assertion(&agent.id, &world.issuer("staging"));
        let fields = [("grant_type", GRANT), ("auth_req_id", auth_req_id.as_str()), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)];
        assert_ne!(world.form("", "/env/staging/token", &fields).await.status, 200);
        // More than was given.
        let wider = agent.form(&world, "token", &[("grant_type", GRANT), ("auth_req_id", &auth_req_id), ("scope", "write read")]).await;
        assert_eq!(wider.expect(400).text("/error"), "invalid_scope");
        // Less of it is said by the scope: details that would be passed over are refused, and use nothing up.
        let details = wants_to_write(1).to_string();
        let narrower = agent.form(&world, "token", &[("grant_type", GRANT), ("auth_req_id", &auth_req_id), ("authorization_details", &details)]).await;
        assert_eq!(narrower.expect(400).text("/error"), "invalid_authorization_details");
        agent.fetch(&world, &auth_req_id).await.expect(200);

        // A proof that was taken for a question is good for no other, pending or not.
        let asked = agent.ask(&world, 600, "refund of order 13", &[]).await.expect(200).text("/auth_req_id");
        let assertion = agent.key.assertion(&agent.id, &world.issuer("production"));
        let fields = [("grant_type", GRANT), ("auth_req_id", asked.as_str()), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)];
        assert_eq!(world.form("", "/env/production/token", &fields).await.expect(400).text("/error"), "authorization_pending");
        assert_eq!(world.form("", "/env/production/token", &fields).await.expect(401).code(), "proof_replayed");
        let details = wants_to_write(60).to_string();
        let replayed = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str()), ("authorization_details", &details), ("binding_message", "x")];
        assert_eq!(world.form("", "/env/production/bc-authorize", &replayed).await.expect(401).code(), "proof_replayed");
        // What was given and then taken back is not fetched.
        let asked = agent.ask(&world, 600, "refund of order 14", &[]).await.expect(200);
        let grant = world.approve(&world.manager, &asked.text("/request")).await.expect(200).text("/outcome/grants/0");
        world.post(&world.security, &format!("/v1/grants/{grant}/revoke"), json!({"reason": "test"})).await.expect(200);
        let late = agent.fetch(&world, &asked.text("/auth_req_id")).await.expect(400);
        assert_eq!((late.text("/error").as_str(), late.code().as_str()), ("expired_token", "request_expired"));
    }

    async fn r54_only_what_the_charter_and_the_task_take_can_be_asked_for(world: World) {
        let agent = Agent::new(&world, "curious-agent", json!({})).await;
        let ask = async |details: &str, message: &str| {
            let answer = agent.form(&world, "bc-authorize", &[("authorization_details", details), ("binding_message", message)]).await;
            (answer.status, answer.text("/error"), answer.body["reason_code"].as_str().unwrap_or_default().to_owned())
        };
        let wrong = |status: u16, error: &str, reason: &str| (status, error.to_owned(), reason.to_owned());
        // What the approvers would read otherwise than it is (d20).
        for message in ["refund\u{202e}21 redro", "refund\r\nApproved by Max"] {
            let answer = ask(&wants_to_write(60).to_string(), message).await;
            assert_eq!((answer.0, answer.1.as_str()), (400, "invalid_binding_message"), "{message:?}");
        }
        let with = |field: &str, value: Value| {
            let mut details = wants_to_write(60);
            details[0][field] = value;
            details.to_string()
        };
        let invalid = wrong(400, "invalid_authorization_details", "");
        assert_eq!(ask(&with("task", json!("report")), "x").await, wrong(400, "invalid_authorization_details", "outside_intent"));
        assert_eq!(ask(&with("task", json!("nothing")), "x").await, wrong(400, "invalid_authorization_details", "outside_intent"));
        assert_eq!(ask(&with("task", Value::Null), "x").await, wrong(400, "invalid_authorization_details", "intent_missing"));
        assert_eq!(ask(&with("actions", json!(["enforce"])), "x").await, wrong(400, "invalid_scope", "outside_scope"));
        assert_eq!(ask(&with("locations", json!(["https://payments.internal"])), "x").await, wrong(400, "invalid_target", "resource_unknown"));
        for (field, value) in [("type", json!("tenure_task")), ("actions", json!([])), ("actions", json!(["write", "write"])), ("locations", json!([])), ("duration_secs", json!(0)), ("duration_secs", json!(-5)), ("extra", json!(1))] {
            assert_eq!(ask(&with(field, value.clone()), "x").await, invalid, "{field} {value}");
        }
        let one = wants_to_write(60).to_string();
        let twice = format!("[{0},{0}]", &one[1..one.len() - 1]);
        let long = format!("[{}{}]", &one[1..one.len() - 1], " ".repeat(9_000));
        let doubled = one.replacen("\"task\"", "\"task\":\"report\",\"task\"", 1);
        for bad in ["", "[]", "{}", "null", "[1]", "[[]]", &twice, &long, &doubled, &format!("{one},\"x\":[]"), &one[1..]] {
            let answer = ask(bad, "x").await;
            assert_eq!(answer.0, 400, "{bad}");
        }
        assert_eq!(ask(&one, " ").await.1, "invalid_binding_message");
        assert_eq!(ask(&one, &"x".repeat(1_001)).await.1, "invalid_binding_message");
        // Longer than policy takes for its tier: no route.
        assert_eq!(ask(&with("duration_secs", json!(i64::MAX)), "x").await, wrong(403, "access_denied", "no_route"));
        for (name, value) in [("requested_expiry", "5"), ("requested_expiry", "soon"), ("client_notification_token", "good"), ("request", "e30.e30."), ("client_secret", "x")] {
            assert!([400, 401].contains(&agent.ask(&world, 60, "x", &[(name, value)]).await.status), "{name}");
        }
        let twice = [("authorization_details", one.as_str()), ("authorization_details", &one), ("binding_message", "x")];
        assert_eq!(agent.form(&world, "bc-authorize", &twice).await.expect(400).text("/error"), "invalid_request");
        // A few wait at once; more is a flood of notices.
        for n in 0..16 {
            agent.ask(&world, 60, &format!("refund {n}"), &[]).await.expect(200);
        }
        assert_eq!(agent.ask(&world, 60, "one more", &[]).await.expect(429).code(), "budget_spent");
        assert!(refused_as(&world, &agent, "budget_spent").await && refused_as(&world, &agent, "outside_intent").await);
        // Who may do nothing asks for nothing, and fetches nothing.
        world.post(&world.security, &format!("/v1/identities/{}/suspend", agent.id), json!({"reason": "looks odd"})).await.expect(200);
        assert_eq!(agent.ask(&world, 60, "x", &[]).await.code(), "identity_suspended");
    }

    async fn r56_an_agent_does_not_answer_itself(world: World) {
        let tenure = world.server.url.clone();
        let body = json!({"uri": tenure, "type": "tenure", "actions": ["read", "request"], "application": world.application, "environment": "production", "verification": "online"});
        let api = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let scope = json!([{"actions": ["read", "write"], "resource": world.orders}, {"actions": ["read", "request"], "resource": api}]);
        let tasks = json!([
            {"name": "refund", "purpose": "refunds orders", "scope": [{"actions": ["write"], "resource": world.orders}]},
            {"name": "ask", "purpose": "asks for more", "scope": [{"actions": ["read", "request"], "resource": api}]},
        ]);
        let agent = Agent::new(&world, "sly-agent", json!({"scope": scope, "tasks": tasks, "coverage": "role_based"})).await;
        let details = json!([{"type": "tenure_task", "task": "ask"}]).to_string();
        let fields = [("grant_type", "client_credentials"), ("authorization_details", details.as_str()), ("resource", &tenure)];
        let token = agent.form(&world, "token", &fields).await.expect(200).text("/access_token");
        let asked = agent.ask(&world, 60, "refund of order 12", &[]).await.expect(200);
        let id = asked.text("/request");
        let hash = request(&world, &id).await["content_hash"].clone();
        let refused = world.post(&token, &format!("/v1/requests/{id}/approve"), json!({"content_hash": hash})).await.expect(403);
        assert_eq!(refused.code(), "not_allowed");
        // It takes back what it asked for, and is told so.
        world.post(&token, &format!("/v1/requests/{id}/withdraw"), json!({})).await.expect(200);
        assert_eq!(agent.fetch(&world, &asked.text("/auth_req_id")).await.expect(400).text("/error"), "expired_token");
    }

    async fn r56_what_a_rule_approves_is_there_at_once(world: World) {
        let body = json!({"uri": "https://orders.staging", "type": "database", "actions": ["read", "write", "enforce"], "application": world.application, "environment": "staging", "verification": "online"});
        let orders = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let scope = json!([{"actions": ["read"], "resource": orders}]);
        let template = json!({
            "name": "job", "kind": "workload", "description": "jobs that read the orders of staging",
            "default_life": "15m", "max_life": "1h", "max_credential_ttl": "5m", "max_tier": "low", "max_scope": scope, "environments": ["staging"],
            "defaults": {
                "owner": world.owner_id, "purpose": "a job", "scope": scope,
                "trust_boundary": {"type": "trust_domain", "value": "staging.example.com"}, "environment": "staging",
                "application": world.application, "retirement": [{"type": "task_completed"}], "rotation_cadence": "30d", "coverage": "just_in_time",
                "parties": {"requester": world.owner_id, "operator": "billing", "beneficiary": "finance"},
            },
        });
        let body = json!({"template": template, "purpose": "jobs"});
        world.call(reqwest::Method::PUT, &world.admin, "/v1/templates/job", Some(body)).await.expect(201);
        let pings = Pings::start(&[204]);
        let key = Key::new();
        let charter = json!({"workload_binding": {"type": "public_key", "workload": "job", "jwk": key.jwk()}, "notification_endpoint": pings.url()});
        let body = json!({"kind": "workload", "name": "job-1", "template": "job", "stage": "active", "charter": charter});
        let id = world.post(&world.owner, "/v1/identities", body).await.expect(201).text("/id");
        let details = json!([{"type": "tenure_access", "locations": ["https://orders.staging"], "actions": ["read"], "duration_secs": 60}]).to_string();
        let ask = async |endpoint: &str, fields: &[(&str, &str)]| {
            let assertion = key.assertion(&id, &world.issuer("staging"));
            let mut all = vec![("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
            all.extend_from_slice(fields);
            world.form("", &format!("/env/staging/{endpoint}"), &all).await
        };
        let asked = ask("bc-authorize", &[("authorization_details", &details), ("binding_message", "nightly job"), ("client_notification_token", "token")]).await.expect(200);
        let given = ask("token", &[("grant_type", GRANT), ("auth_req_id", &asked.text("/auth_req_id"))]).await.expect(200);
        assert_eq!(given.text("/scope"), "read");
        let made = request(&world, &asked.text("/request")).await;
        assert_eq!((&made["state"], &made["route"], &made["votes"]), (&json!("fulfilled"), &json!("auto"), &json!([])));
        // Longer than the rule takes is nobody's to approve by rule.
        let details = details.replace("60", "7200");
        let longer = ask("bc-authorize", &[("authorization_details", &details), ("binding_message", "nightly job")]).await;
        let waits = longer.status == 200 && request(&world, &longer.text("/request")).await["state"] == "open";
        assert!(waits || longer.code() == "no_route", "{longer:?}");
    }

    async fn r56_a_workload_of_a_foreign_issuer_asks_for_more(world: World) {
        let provider = Provider::start("ES256", "first");
        trust(&world, &provider).await;
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = oidc_binding(&provider, 0);
        charter["coverage"] = json!("just_in_time");
        let id = world.active("foreign", charter).await;
        let form = async |endpoint: &str, token: &str, fields: &[(&str, &str)]| {
            let mut all = vec![("client_id", id.as_str()), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", token)];
            all.extend_from_slice(fields);
            world.form("", &format!("/env/production/{endpoint}"), &all).await
        };
        let details = json!([{"type": "tenure_access", "locations": [ORDERS], "actions": ["read"], "duration_secs": 60}]).to_string();
        let wanted = [("authorization_details", details.as_str()), ("binding_message", "read once")];
        form("bc-authorize", &provider.token(0, "green", AUDIENCE).await, &wanted).await.expect(401);
        form("bc-authorize", &provider.token(1, "blue", AUDIENCE).await, &wanted).await.expect(401);
        let proof = provider.token(0, "blue", AUDIENCE).await;
        let asked = form("bc-authorize", &proof, &wanted).await.expect(200);
        assert_eq!(form("bc-authorize", &proof, &wanted).await.expect(401).code(), "proof_replayed");
        world.approve(&world.manager, &asked.text("/request")).await.expect(200);
        let auth_req_id = asked.text("/auth_req_id");
        let fetch = [("grant_type", GRANT), ("auth_req_id", auth_req_id.as_str())];
        let given = form("token", &provider.token(0, "blue", AUDIENCE).await, &fetch).await.expect(200);
        assert!(world.is_allowed(&id, Some(&given.text("/access_token")), "read").await);
    }

    async fn r56_the_command_line_asks_waits_and_prints_the_token(world: World) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.key");
        let tenure = |arguments: &[&str]| {
            let mut command = tokio::process::Command::from(crate::world::tenure());
            command.args(["-o", "json", "--server", &world.server.url]).args(arguments).stdin(Stdio::null());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let made = tenure(&["key", "generate", "--out", file.to_str().unwrap()]).output().await.unwrap();
        let jwk: Value = serde_json::from_slice(&made.stdout).unwrap();
        let binding = json!({"type": "public_key", "workload": "deployment/agent", "jwk": jwk});
        let agent = Agent::new(&world, "cli-agent", json!({"workload_binding": binding})).await;
        let who = ["--identity", agent.id.as_str(), "--key", file.to_str().unwrap(), "--environment", "production"];
        let what = ["--resource", ORDERS, "--action", "write", "--task", "refund", "--for", "5m", "--purpose", "refund of order 12"];
        let waiting = tenure(&[&["access", "ask"], &who[..], &what[..]].concat()).spawn().unwrap();
        let open = format!("/v1/requests?state=open&requester={}", agent.id);
        let items = async || world.get(&world.security, &open).await.expect(200).body["items"].as_array().unwrap().clone();
        world.until(async || !items().await.is_empty()).await;
        let id = items().await[0]["id"].as_str().unwrap().to_owned();
        world.until(async || !world.events_of("request.polled", &id).await.is_empty()).await;
        world.approve(&world.manager, &id).await.expect(200);
        let ended = waiting.wait_with_output().await.unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.success() && said.contains(&id) && said.contains("waiting for an answer"), "{said}");
        let token: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert!(world.is_allowed(&agent.id, token["access_token"].as_str(), "write").await);

        // In two steps; a no is a failure that says so.
        let asked = tenure(&[&["access", "ask", "--no-wait"], &who[..], &what[..]].concat()).output().await.unwrap();
        let asked: Value = serde_json::from_slice(&asked.stdout).unwrap();
        let fetch = [&["access", "fetch", "--auth-req-id", asked["auth_req_id"].as_str().unwrap()], &who[..]].concat();
        let pending = tenure(&fetch).output().await.unwrap();
        assert!(pending.status.code() == Some(1) && String::from_utf8_lossy(&pending.stderr).contains("authorization_pending"));
        let id = asked["request"].as_str().unwrap();
        let body = json!({"content_hash": request(&world, id).await["content_hash"]});
        world.post(&world.manager, &format!("/v1/requests/{id}/deny"), body).await.expect(200);
        let denied = tenure(&[&fetch[..], &["--wait"]].concat()).output().await.unwrap();
        assert!(denied.status.code() == Some(1) && String::from_utf8_lossy(&denied.stderr).contains("an approver said no"));
    }

    async fn r56_the_charters_endpoint_is_called_back(world: World) {
        // It fails at first, and is tried again.
        let pings = Pings::start(&[503, 302, 204]);
        let agent = Agent::new(&world, "patient-agent", json!({"notification_endpoint": pings.url()})).await;
        let asked = agent.ask(&world, 600, "refund of order 12", &[("client_notification_token", "a-token.of_the~agent")]).await.expect(200);
        let (auth_req_id, id) = (asked.text("/auth_req_id"), asked.text("/request"));
        assert!(pings.calls().is_empty());
        world.approve(&world.manager, &id).await.expect(200);
        world.until(async || pings.calls().len() == 3).await;
        for call in pings.calls() {
            assert_eq!((&call["method"], &call["path"], &call["headers"]["authorization"]), (&json!("POST"), &json!("/called"), &json!("Bearer a-token.of_the~agent")));
            assert_eq!(call["headers"]["content-type"], "application/json");
            assert_eq!(serde_json::from_str::<Value>(call["body"].as_str().unwrap()).unwrap(), json!({"auth_req_id": auth_req_id}));
        }
        world.until(async || world.events_of("request.called_back", &id).await.len() == 3).await;
        let called = world.events_of("request.called_back", &id).await;
        let delivered: Vec<&Value> = called.iter().map(|event| &event["data"]["delivered"]).collect();
        assert_eq!(delivered, [&json!(false), &json!(false), &json!(true)]);
        assert!(called[0]["data"]["why"].as_str().unwrap().contains("503") && called[2]["data"]["again_at"].is_null(), "{called:?}");
        agent.fetch(&world, &auth_req_id).await.expect(200);
        // A denial is an answer too; and what is fetched before anybody calls needs no call.
        let asked = agent.ask(&world, 600, "refund of order 13", &[("client_notification_token", "another")]).await.expect(200);
        let hash = request(&world, &asked.text("/request")).await["content_hash"].clone();
        world.post(&world.manager, &format!("/v1/requests/{}/deny", asked.text("/request")), json!({"content_hash": hash})).await.expect(200);
        world.until(async || pings.calls().len() == 4).await;
        // Nobody reads the token: not in the log, and not in the record.
        assert!(!world.events().await.iter().any(|event| event.to_string().contains("a-token.of_the~agent")));
    }
}

#[tokio::test]
async fn s17_a_notification_endpoint_inside_the_network_is_not_called() {
    let pings = Pings::start(&[204]);
    let world = World::start_with(Store::Sqlite, &[("TENURE_OUTBOUND_ALLOW", "192.0.2.0/24")]).await;
    for (n, endpoint) in
        [pings.url(), pings.url().replace("http://", "https://"), "http://169.254.169.254/latest/meta-data".into()]
            .into_iter()
            .enumerate()
    {
        let agent = Agent::new(&world, &format!("agent-{n}"), json!({"notification_endpoint": endpoint})).await;
        let asked =
            agent.ask(&world, 600, "refund of order 12", &[("client_notification_token", "token")]).await.expect(200);
        let id = asked.text("/request");
        world.approve(&world.manager, &id).await.expect(200);
        world.until(async || !world.events_of("request.called_back", &id).await.is_empty()).await;
        let called = world.events_of("request.called_back", &id).await.remove(0);
        assert!(called["data"]["why"].as_str().unwrap().contains("may not be reached"), "{called}");
        // Who isn't called still polls.
        agent.fetch(&world, &asked.text("/auth_req_id")).await.expect(200);
    }
    assert!(pings.calls().is_empty());
}

#[tokio::test]
async fn r56_a_question_that_nobody_answers_lapses() {
    let world = World::start_with(Store::Sqlite, &[("TENURE_REQUEST_OPEN_FOR", "4s")]).await;
    world.hold();
    let pings = Pings::start(&[204]);
    let agent = Agent::new(&world, "lonely-agent", json!({"notification_endpoint": pings.url()})).await;
    let asked = agent
        .ask(&world, 60, "refund of order 12", &[("client_notification_token", "token"), ("requested_expiry", "86400")])
        .await
        .expect(200);
    assert_eq!(asked.body["expires_in"], 4, "no longer than requests wait here");
    world.pass(4).await;
    world.until(async || request(&world, &asked.text("/request")).await["state"] == "lapsed").await;
    let late = agent.fetch(&world, &asked.text("/auth_req_id")).await.expect(400);
    assert_eq!((late.text("/error").as_str(), late.code().as_str()), ("expired_token", "request_expired"));
    assert_eq!(world.approve(&world.manager, &asked.text("/request")).await.expect(409).code(), "illegal_transition");
    // Approved in time, and fetched too late.
    let asked = agent.ask(&world, 60, "refund of order 13", &[]).await.expect(200);
    world.approve(&world.manager, &asked.text("/request")).await.expect(200);
    world.pass(5).await;
    let late = agent.fetch(&world, &asked.text("/auth_req_id")).await.expect(400);
    assert_eq!((late.text("/error").as_str(), late.code().as_str()), ("expired_token", "request_expired"));
}

/// openid-client asks and polls by itself; its user approves meanwhile, or doesn't.
#[tokio::test]
async fn r56_a_stock_client_asks_for_more() {
    let world = World::start(Store::Sqlite).await;
    let jwk = stock_key().await;
    let public = json!({"kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"]});
    let binding = json!({"type": "public_key", "workload": "deployment/agent", "jwk": public});
    let agent = Agent::new(&world, "stock-agent", json!({"workload_binding": binding})).await;
    for (answer, wanted) in [("approve", "granted"), ("deny", "refused")] {
        let task = json!({"issuer": world.issuer("production"), "id": agent.id, "jwk": jwk, "details": wants_to_write(300), "message": "refund of order 12"});
        let mut child = node("ciba.mjs").arg(task.to_string()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let waits = lines.next().expect("it asks");
        assert_eq!((&waits["modes"], &waits["waits"]["interval"]), (&json!(["poll", "ping"]), &json!(5)));
        let id = waits["waits"]["request"].as_str().unwrap().to_owned();
        let body = json!({"content_hash": request(&world, &id).await["content_hash"]});
        world.post(&world.manager, &format!("/v1/requests/{id}/{answer}"), body).await.expect(200);
        let said = tokio::task::spawn_blocking(move || lines.next().expect("it ends")).await.unwrap();
        let _ = child.wait();
        match wanted {
            "granted" => {
                assert_eq!(said["granted"]["scope"], "write", "{said}");
                assert!(world.is_allowed(&agent.id, said["granted"]["access_token"].as_str(), "write").await);
            }
            _ => assert_eq!(said["refused"], "access_denied", "{said}"),
        }
    }
}

/// A private key in the form that WebCrypto takes.
async fn stock_key() -> Value {
    let output = tokio::task::spawn_blocking(|| node("client.mjs").arg("keys").output().unwrap()).await.unwrap();
    let keys: Value = serde_json::from_slice(&output.stdout).unwrap();
    keys["EdDSA"].clone()
}
