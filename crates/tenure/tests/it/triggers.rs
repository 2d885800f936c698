//! What signals set off, and what a removal does to whom (R8, R15, R77, R80, R82–R88, R94, S-12).

mod attacks;
mod platforms;

use serde_json::{Value, json};

use crate::signals::{Source, cloud_headers, deliver, event, registration, source};
use crate::world::{Key, World, in_secs, random};
use crate::{on_both, on_one};

/// A hold that is over at once, and one that no test sees the end of.
const SHORT: [(&str, &str); 1] = [("TENURE_REMOVAL_HOLD", "1s")];
const LONG: [(&str, &str); 1] = [("TENURE_REMOVAL_HOLD", "7d")];

const KINDS: [&str; 15] = [
    "workload_created",
    "workload_changed",
    "workload_removed",
    "workload_disabled",
    "pipeline_changed",
    "pipeline_deleted",
    "repository_moved",
    "repository_archived",
    "run_ended",
    "released",
    "application_retired",
    "vendor_terminated",
    "cloud_account_deleted",
    "integration_removed",
    "employment_ended",
];

/// A source that may say everything of everything, and hold this many in an hour.
async fn platform(world: &World, name: &str, blast_cap: u32) -> Source {
    service_template(world).await;
    let mut wide = registration(world, name, "cloud_events", "hmac");
    wide["kinds"] = json!(KINDS);
    let sorts = ["workload", "repository", "application", "vendor", "cloud_account", "need", "person", "identity"];
    wide["subjects"] = sorts.iter().map(|sort| json!(format!("{sort}:*"))).collect();
    wide["blast_cap"] = json!(blast_cap);
    wide["template"] = json!("service");
    source(world, wide).await
}

/// A template whose identities are approved by a named rule once somebody hands them in.
async fn service_template(world: &World) {
    let uri = format!("https://{}.staging", random().to_lowercase().replace(['-', '_'], "x"));
    let resource = world.resource(&uri, "staging", "online").await;
    let scope = json!([{"actions": ["read"], "resource": resource}]);
    let template = json!({
        "name": "service", "kind": "workload", "description": "services of staging", "default_life": "15m", "max_life": "1h",
        "max_credential_ttl": "5m", "max_tier": "low", "max_scope": scope, "environments": ["staging"],
        "defaults": {
            "owner": world.owner_id, "purpose": "serves", "scope": scope, "environment": "staging", "application": world.application,
            "trust_boundary": {"type": "trust_domain", "value": "staging.example.com"}, "retirement": [{"type": "task_completed"}],
            "rotation_cadence": "30d", "coverage": "role_based", "parties": {"requester": world.owner_id, "operator": "billing", "beneficiary": "finance"},
        },
    });
    let body = json!({"template": template, "purpose": "services"});
    world.call(reqwest::Method::PUT, &world.admin, "/v1/templates/service", Some(body)).await.expect(201);
}

/// Has the source say something, and waits until that is worked off.
async fn say(world: &World, from: &Source, kind: &str, subject: &str, data: Value) -> Value {
    let mut body: Value = serde_json::from_str(&event(&random(), kind, subject)).unwrap();
    if !data.is_null() {
        body["data"] = data;
    }
    hear(world, from, &body).await
}

/// Delivers a whole event, and waits until it is worked off.
async fn hear(world: &World, from: &Source, body: &Value) -> Value {
    let body = body.to_string();
    let taken = deliver(world, &from.name, &cloud_headers(&from.secret, &body), &body).await.expect(202);
    let path = format!("/v1/signals/{}", taken.text("/signals/0/id"));
    world.until(async || world.get(&world.security, &path).await.expect(200).text("/state") != "received").await;
    world.get(&world.security, &path).await.expect(200).body
}

/// An active identity with parts of its charter replaced, and its live token.
async fn living(world: &World, name: &str, with: Value) -> (String, Key, String) {
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    for (field, value) in with.as_object().unwrap() {
        charter[field] = value.clone();
    }
    charter["workload_binding"]["workload"] = json!(format!("prod/deployment/{name}"));
    let id = world.active(name, charter).await;
    let token = world.token(&key, &id, "production").await;
    (id, key, token)
}

async fn identity(world: &World, id: &str) -> Value {
    world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).body
}

/// That a suspended identity gets no token: for its state, or because its proof is of the second in which its workload
/// changed.
async fn nothing_for(world: &World, key: &Key, id: &str) {
    let refused = world.ask_token(key, id, "production").await.expect(400).code();
    assert!(["identity_suspended", "binding_unverified"].contains(&refused.as_str()), "{refused}");
}

async fn removal(world: &World, id: &Value) -> Value {
    world.get(&world.security, &format!("/v1/removals/{}", id.as_str().unwrap())).await.expect(200).body
}

async fn until_done(world: &World, id: &Value) -> Value {
    world.pass(1).await;
    world.until(async || removal(world, id).await["state"] == "done").await;
    removal(world, id).await
}

/// Another person of security than those who raise and confirm.
async fn sara(world: &World) -> String {
    world.person("Sara", &["security"]).await.1
}

async fn need(world: &World, name: &str) -> String {
    let body = json!({"type": "integration", "name": name, "owner": world.owner_id});
    world.post(&world.admin, "/v1/needs", body).await.expect(201).text("/id")
}

on_both! { because "removals work off lists of the engine in steps that are claimed", by |store| World::start_with(store, &LONG);
    async fn r08_a_deployment_makes_a_draft_from_a_template(world: World) {
        let forge = platform(&world, "forge", 25).await;
        let heard = say(&world, &forge, "workload.created", "workload:prod/deployment/web", Value::Null).await;
        let id = heard["outcome"]["identities"][0].as_str().unwrap().to_owned();
        let draft = identity(&world, &id).await;
        assert_eq!((&draft["state"], &draft["name"], &draft["template"]), (&json!("draft"), &json!("prod-deployment-web"), &json!("service")));
        assert_eq!(draft["charter"]["workload_binding"], json!({"type": "join_token", "workload": "prod/deployment/web"}));
        let made = world.events_of("identity.registered", &id).await.remove(0);
        assert_eq!((&made["data"]["workflow"], &made["actor"]["type"]), (&json!("workload.joiner"), &json!("system")));
        assert!(made["data"]["notify"]["to"].as_array().unwrap().contains(&json!(world.owner_id)), "{made}");
        // Once is enough, and people hand it in like any other.
        let again = say(&world, &forge, "workload.created", "workload:prod/deployment/web", Value::Null).await;
        assert_eq!(again["outcome"]["identities"], json!([id]));
        let listed = world.get(&world.security, "/v1/identities?name=prod-deployment-web").await.expect(200);
        assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
        world.post(&world.owner, &format!("/v1/identities/{id}/submit"), json!({})).await.expect(200);
        assert_eq!(identity(&world, &id).await["state"], "active");
    }

    async fn r80_a_new_service_has_the_values_of_its_template(world: World) {
        let forge = platform(&world, "forge", 25).await;
        let heard = say(&world, &forge, "workload.created", "workload:prod/deployment/ledger", Value::Null).await;
        let draft = identity(&world, heard["outcome"]["identities"][0].as_str().unwrap()).await;
        let charter = &draft["charter"];
        assert_eq!((&charter["owner"], &charter["environment"], &charter["purpose"]), (&json!(world.owner_id), &json!("staging"), &json!("serves")));
        assert_eq!(charter["retirement"], json!([{"type": "task_completed"}]));
        assert!(charter["expires_at"].is_string() && draft["tier"] == "low" && draft["activation"].is_null(), "{draft}");
    }

    async fn r77_machines_have_joiners_movers_and_leavers_by_those_names(world: World) {
        let forge = platform(&world, "forge", 25).await;
        let (id, key, token) = living(&world, "web", json!({})).await;
        let joined = say(&world, &forge, "workload.created", "workload:prod/deployment/other", Value::Null).await;
        let changed = say(&world, &forge, "workload.changed", "workload:prod/deployment/web", json!({"image": "web:2"})).await;
        assert_eq!(changed["outcome"]["identities"], json!([id]));
        // Nothing contradicts its binding: it goes on, with a proof that is newer than the change.
        assert!(world.is_live(&token).await);
        let gone = say(&world, &forge, "workload.removed", "workload:prod/deployment/web", Value::Null).await;
        for (signal, name) in [(&joined, "workload.joiner"), (&changed, "workload.mover"), (&gone, "workload.leaver")] {
            let worked = world.events_of("signal.worked_off", signal["id"].as_str().unwrap()).await;
            assert_eq!(worked[0]["data"]["workflow"], name);
        }
        assert_eq!(world.events_of("workload.mover", &id).await.len(), 1);
        assert_eq!(world.events_of("identity.suspended", &id).await[0]["data"]["workflow"], "workload.leaver");
        assert!(!world.is_live(&token).await);
        nothing_for(&world, &key, &id).await;
    }

    async fn r84_a_retired_application_shows_its_blast_radius(world: World) {
        let forge = platform(&world, "forge", 25).await;
        let (first, key, token) = living(&world, "first", json!({})).await;
        let (second, _, other) = living(&world, "second", json!({})).await;
        let mut shared = world.charter(Key::new().jwk());
        shared["application"] = json!(world.edge);
        let (elsewhere, _, untouched) = living(&world, "elsewhere", json!({"application": world.edge})).await;
        let plan = |expect: Value| json!({"subject": {"type": "application", "id": "billing"}, "reason": "replaced by ledger", "dry_run": expect.is_null(), "expect": expect});
        let (_, una) = world.person("Una", &["requester", "owner"]).await;
        world.post(&una, "/v1/removals", plan(Value::Null)).await.expect(403);
        let before = world.changes().await;
        let dry = world.post(&world.owner, "/v1/removals", plan(Value::Null)).await.expect(200).body;
        assert_eq!(world.changes().await, before, "a dry run changes nothing");
        let mut concerned = [first.clone(), second.clone()];
        concerned.sort();
        assert_eq!((&dry["blast"]["identities"], &dry["blast"]["live_credentials"]), (&json!(concerned), &json!(2)));
        assert_eq!(dry["blast"]["owners"], json!([world.owner_id]));
        assert!(world.is_live(&token).await && world.is_live(&other).await);

        // The signal does exactly what the dry run showed.
        let heard = say(&world, &forge, "application.retired", "application:billing", Value::Null).await;
        let held = removal(&world, &heard["outcome"]["removal"]).await;
        assert_eq!((&held["state"], &held["digest"], &held["blast"]["identities"]), (&json!("held"), &dry["digest"], &json!(concerned)));
        assert!(!world.is_live(&token).await && !world.is_live(&other).await && world.is_live(&untouched).await);
        assert_eq!(world.ask_token(&key, &first, "production").await.code(), "scope_on_hold");
        assert_eq!(identity(&world, &elsewhere).await["state"], "active");
        let queue = world.get(&world.auditor, "/v1/removals?state=held&subject=application:billing").await.expect(200);
        assert_eq!(queue.body["items"][0]["id"], held["id"]);
        let told = world.events_of("removal.held", held["id"].as_str().unwrap()).await.remove(0);
        assert_eq!(told["data"]["notify"]["roles"], json!(["security"]));
        assert!(told["data"]["notify"]["to"].as_array().unwrap().contains(&json!(world.owner_id)));
    }

    async fn r88_a_release_lists_current_beside_used_privileges(world: World) {
        let forge = platform(&world, "forge", 25).await;
        let (id, _, token) = living(&world, "web", json!({"scope": [{"actions": ["read", "write"], "resource": world.orders}]})).await;
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        say(&world, &forge, "release.published", "application:billing", Value::Null).await;
        let path = format!("/v1/reviews?identity={id}&trigger=release");
        let review = world.get(&world.auditor, &path).await.expect(200).body["items"][0].clone();
        assert_eq!((&review["state"], &review["reviewer"]), (&json!("open"), &json!(world.owner_id)));
        let privileges = review["privileges"].as_array().unwrap();
        let actions: Vec<(&Value, bool)> = privileges.iter().map(|privilege| (&privilege["action"], privilege["last_used"].is_string())).collect();
        assert_eq!(actions, [(&json!("read"), true), (&json!("write"), false)], "{review}");
        assert!(privileges.iter().all(|privilege| privilege["resource"] == json!(world.orders)));
        // Another release brings the open review up to date; the answer is people's.
        say(&world, &forge, "release.published", "workload:prod/deployment/web", Value::Null).await;
        let open = world.get(&world.auditor, &path).await.expect(200);
        assert_eq!(open.body["items"].as_array().unwrap().len(), 1);
        assert!(world.is_live(&token).await);
    }
}

on_both! { because "removals work off lists of the engine in steps that are claimed", by |store| World::start_with(store, &SHORT);
    async fn r15_a_deleted_cloud_account_takes_what_is_bound_to_it(world: World) {
        let forge = platform(&world, "forge", 25).await;
        let body = json!({"provider": "aws", "account": "123456789012", "owner": world.owner_id, "environment": "production"});
        let account = world.post(&world.admin, "/v1/cloud-accounts", body).await.expect(201).text("/id");
        let (id, _, token) = living(&world, "bound", json!({"cloud_account": account})).await;
        let (free, _, untouched) = living(&world, "free", json!({})).await;
        let heard = say(&world, &forge, "cloud_account.deleted", "cloud_account:aws/123456789012", Value::Null).await;
        assert!(!world.is_live(&token).await && world.is_live(&untouched).await);
        until_done(&world, &heard["outcome"]["removal"]).await;
        assert_eq!((&identity(&world, &id).await["state"], &identity(&world, &free).await["state"]), (&json!("retired"), &json!("active")));
        let closed = world.get(&world.auditor, &format!("/v1/cloud-accounts/{account}")).await.expect(200);
        assert_eq!(closed.text("/standing"), "closed");
    }

    async fn r87_no_orphan_credential_of_a_cloud_account_stays_active(world: World) {
        let body = json!({"provider": "gcp", "account": "acme-prod", "owner": world.owner_id, "environment": "production"});
        let account = world.post(&world.admin, "/v1/cloud-accounts", body).await.expect(201).text("/id");
        let mut tokens = Vec::new();
        for n in 0..3 {
            tokens.push(living(&world, &format!("bound-{n}"), json!({"cloud_account": account})).await);
        }
        // By hand, with the same playbook.
        let ask = json!({"subject": {"type": "cloud_account", "id": "gcp/acme-prod"}, "reason": "project deleted"});
        let raised = world.post(&world.owner, "/v1/removals", ask.clone()).await.expect(201).body;
        assert_eq!((&raised["kind"], &raised["state"], &raised["blast"]["live_credentials"]), (&json!("cloud_account_deleted"), &json!("held"), &json!(3)));
        for (id, key, token) in &tokens {
            assert!(!world.is_live(token).await && !world.is_allowed(id, Some(token), "read").await);
            world.ask_token(key, id, "production").await.expect(400);
        }
        until_done(&world, &raised["id"]).await;
        for (id, ..) in &tokens {
            assert_eq!(identity(&world, id).await["state"], "retired");
        }
        world.post(&world.owner, "/v1/removals", ask).await.expect(409);
    }

    async fn r82_a_deleted_pipelines_identities_are_revoked_with_proof(world: World) {
        let forge = platform(&world, "forge", 25).await;
        let (id, key, token) = living(&world, "deployer", json!({"repositories": ["acme/payments", "acme/web"]})).await;
        let (_, _, untouched) = living(&world, "other", json!({"repositories": ["acme/docs"]})).await;
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        let heard = say(&world, &forge, "pipeline.deleted", "repository:acme/payments", Value::Null).await;
        assert!(!world.is_live(&token).await && world.is_live(&untouched).await);
        world.ask_token(&key, &id, "production").await.expect(400);
        let done = until_done(&world, &heard["outcome"]["removal"]).await;
        assert_eq!((&done["retired"], &identity(&world, &id).await["state"]), (&json!(1), &json!("retired")));
        // Each with a receipt that is signed once every point has answered.
        let receipt = done["receipts"][0].as_str().unwrap();
        world.until(async || {
            let receipt = world.get(&world.auditor, &format!("/v1/receipts/{receipt}")).await.expect(200);
            receipt.text("/state") != "open" && receipt.body["points"].as_array().is_some_and(|points| !points.is_empty())
        })
        .await;
        let all = world.get(&world.auditor, &format!("/v1/receipts?target=identity/{id}")).await.expect(200);
        assert!(all.body["items"].as_array().unwrap().len() >= 2, "one of the hold and one of the retirement");
    }

    async fn r83_each_of_three_removals_needs_no_manual_step(world: World) {
        let forge = platform(&world, "forge", 25).await;
        // An application, an integration, and somebody's employment.
        let ledger = world.application("ledger").await;
        let feed = "key,name,email,manager_key\n77,Hedy,hedy@example.com,\n";
        let imported = world
            .http
            .post(format!("{}/v1/people/import?source=hr&complete=false", world.server.url))
            .bearer_auth(&world.admin)
            .header("content-type", "text/csv")
            .body(feed);
        World::answer(imported).await.expect(200);
        let hedy = world.get(&world.admin, "/v1/people?source=hr").await.expect(200).text("/items/0/id");
        let (app, _, of_app) = living(&world, "of-app", json!({"application": ledger})).await;
        let serves = need(&world, "atlas").await;
        let (integration, _, of_integration) = living(&world, "of-integration", json!({"need": serves})).await;
        let mut removals = Vec::new();
        for (kind, subject) in [("application.retired", "application:ledger"), ("integration.removed", "need:atlas")] {
            removals.push(say(&world, &forge, kind, subject, Value::Null).await["outcome"]["removal"].clone());
        }
        let left = say(&world, &forge, "employment.ended", "person:hr/77", Value::Null).await;
        assert_eq!(left["outcome"]["person"], json!(hedy));
        assert!(!world.is_live(&of_app).await && !world.is_live(&of_integration).await);
        for id in &removals {
            until_done(&world, id).await;
        }
        assert_eq!((&identity(&world, &app).await["state"], &identity(&world, &integration).await["state"]), (&json!("retired"), &json!("retired")));
        assert_eq!(world.get(&world.auditor, &format!("/v1/needs/{serves}")).await.expect(200).text("/standing"), "closed");
        assert_eq!(world.get(&world.auditor, &format!("/v1/applications/{ledger}")).await.expect(200).text("/standing"), "closed");
        assert_eq!(world.get(&world.security, &format!("/v1/people/{hedy}")).await.expect(200).text("/state"), "departed");
        // Nothing begins again where it ended.
        let mut late = world.charter(Key::new().jwk());
        late["application"] = json!(ledger);
        assert_eq!(world.register("late", late, "pending").await.expect(422).field_codes(), ["application_retired"]);
    }

    async fn r85_a_vendor_ends_by_one_playbook(world: World) {
        let forge = platform(&world, "forge", 25).await;
        world.post(&world.admin, "/v1/data-domains", json!({"name": "orders", "sensitivity": "internal"})).await.expect(201);
        let (rita_id, rita) = world.person("Rita", &["requester"]).await;
        let mut vendors = Vec::new();
        for name in ["acme", "bolt", "coil"] {
            let body = json!({"name": name, "contact": "x@example.com", "owner": world.owner_id, "data_domains": ["orders"]});
            let vendor = world.post(&world.admin, "/v1/vendors", body).await.expect(201).text("/id");
            let key = Key::new();
            let mut charter = world.charter(key.jwk());
            charter["vendor"] = json!(vendor);
            charter["data_domains"] = json!(["orders"]);
            charter["parties"]["requester"] = json!(rita_id);
            let body = json!({"kind": "integration", "name": format!("{name}-link"), "charter": charter, "stage": "pending"});
            let made = world.post(&rita, "/v1/identities", body).await.expect(201);
            let (id, request) = (made.text("/id"), made.text("/request"));
            world.approve(&world.owner, &request).await.expect(200);
            world.approve(&world.security, &request).await.expect(200);
            world.until_state(&id, "active").await;
            let token = world.token(&key, &id, "production").await;
            vendors.push((vendor, id, token));
        }
        // Ended by the signal, by its own endpoint, and by hand: the same removal comes of it.
        say(&world, &forge, "vendor.terminated", "vendor:acme", Value::Null).await;
        world.post(&world.admin, &format!("/v1/vendors/{}/end", vendors[1].0), json!({"reason": "terminated"})).await.expect(200);
        let ask = json!({"subject": {"type": "vendor", "id": vendors[2].0}, "reason": "terminated"});
        world.post(&world.security, "/v1/removals", ask).await.expect(201);
        for (name, (vendor, id, token)) in ["acme", "bolt", "coil"].iter().zip(&vendors) {
            assert!(!world.is_live(token).await, "{name}");
            let listed = world.get(&world.auditor, &format!("/v1/removals?subject=vendor:{name}&kind=vendor_terminated")).await.expect(200);
            let done = until_done(&world, &listed.body["items"][0]["id"]).await;
            assert_eq!((&done["blast"]["count"], &identity(&world, id).await["state"]), (&json!(1), &json!("retired")), "{name}");
            assert_eq!(world.get(&world.auditor, &format!("/v1/vendors/{vendor}")).await.expect(200).text("/standing"), "closed");
        }
    }
}
