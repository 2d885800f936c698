//! R4, R10–R13, R18, R26, R30, R33, R35–R37, R40: every kind of identity with its own charter rules, in one inventory.

use serde_json::{Value, json};

use super::{problems, refusals};
use crate::on_one;
use crate::world::{Answer, Key, World, in_secs, now, random};

/// Hands in an identity of a kind, as its owner.
async fn hand_in(world: &World, kind: &str, name: &str, charter: &Value, stage: &str) -> Answer {
    let body = json!({"kind": kind, "name": name, "charter": charter, "stage": stage});
    world.post(&world.owner, "/v1/identities", body).await
}

/// An active identity of a kind, approved by the owner's manager.
async fn active(world: &World, kind: &str, name: &str, charter: &Value) -> String {
    let id = hand_in(world, kind, name, charter, "pending").await.expect(201).text("/id");
    world.activate(&world.manager, &id).await.expect(200);
    id
}

/// The charter with parts replaced.
fn with(charter: &Value, parts: Value) -> Value {
    let mut charter = charter.clone();
    for (name, value) in parts.as_object().unwrap() {
        charter[name] = value.clone();
    }
    charter
}

/// The charter is refused for exactly these fields, handed in as pending and on its way from a draft.
async fn is_refused(world: &World, kind: &str, charter: &Value, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> =
        expected.iter().map(|(field, code)| (format!("charter.{field}"), (*code).to_owned())).collect();
    for stage in ["pending", "active"] {
        let answer = hand_in(world, kind, &format!("x-{}", now()), charter, stage).await.expect(422);
        assert_eq!(problems(&answer), expected, "{kind} {stage}: {}", answer.body);
        assert!(answer.body["fields"][0]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    }
}

async fn domains(world: &World, names: &[(&str, &str)]) {
    for (name, sensitivity) in names {
        let body = json!({"name": name, "sensitivity": sensitivity});
        world.post(&world.admin, "/v1/data-domains", body).await.expect(201);
    }
}

async fn vendor(world: &World, name: &str, domains: &[&str], ends_at: Option<String>) -> String {
    let body = json!({"name": name, "contact": "soc@acme.example", "owner": world.owner_id, "data_domains": domains, "ends_at": ends_at});
    world.post(&world.admin, "/v1/vendors", body).await.expect(201).text("/id")
}

async fn resource(world: &World, uri: &str, environment: &str, domains: &[&str]) -> String {
    let body = json!({"uri": uri, "type": "database", "actions": ["read", "write", "enforce"], "application": world.application, "environment": environment, "verification": "online", "data_domains": domains});
    world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id")
}

/// A gateway of a resource: its live token, to ask for decisions with.
async fn gateway(world: &World, name: &str, resource: &str, environment: &str) -> String {
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    charter["application"] = json!(world.edge);
    charter["environment"] = json!(environment);
    charter["scope"] = json!([{"actions": ["enforce"], "resource": resource}]);
    let id = world.active(name, charter).await;
    world.token(&key, &id, environment).await
}

async fn decide(world: &World, gateway: &str, id: &str, resource: &str, action: &str, context: Value) -> Answer {
    let body = json!({"subject": {"type": "identity", "id": id}, "resource": {"type": "database", "id": resource}, "action": {"name": action}, "context": context});
    world.post(gateway, "/access/v1/evaluation", body).await.expect(200)
}

/// A vendor's integration, asked for by somebody else than its owner; and the request about it.
async fn integration(world: &World, name: &str, charter: &Value) -> (String, String) {
    let (requester, token) = world.person("Rae", &["requester"]).await;
    let charter =
        with(charter, json!({"parties": {"requester": requester, "operator": "acme", "beneficiary": "finance"}}));
    let body = json!({"kind": "integration", "name": name, "charter": charter, "stage": "pending"});
    let answer = world.post(&token, "/v1/identities", body).await.expect(201);
    (answer.text("/id"), answer.text("/request"))
}

on_one! {
    async fn r04_a_service_account_reaches_every_control_point(world: World) {
        domains(&world, &[("orders", "internal")]).await;
        let key = Key::new();
        let charter = with(&world.charter(key.jwk()), json!({"data_domains": ["orders"], "coverage": "role_based", "expires_at": in_secs(20 * 86_400)}));
        let id = active(&world, "service_account", "billing", &charter).await;
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        // A use that is refused leaves a record.
        assert!(!world.is_allowed(&id, Some(&token), "write").await);
        let matter = json!({"type": "renewal", "identity": id, "until": in_secs(60 * 86_400)});
        let renewal = world.ask(&world.owner, matter, "still needed").await.expect(201).text("/id");
        world.approve(&world.manager, &renewal).await.expect(200);
        // A rise of its risk opens a review of what it now holds for too long.
        let classified = json!({"sensitivity": "restricted"});
        world.put(&world.admin, "/v1/data-domains/orders", classified).await.expect(200);
        world.until(async || !world.events_of("identity.tier_changed", &id).await.is_empty()).await;
        let reviews = world.get(&world.owner, &format!("/v1/reviews?identity={id}&state=open")).await.expect(200);
        let review = reviews.body["items"][0]["id"].as_str().unwrap().to_owned();
        world.post(&world.owner, &format!("/v1/reviews/{review}/complete"), json!({"answer": "keep", "comment": "needed"})).await.expect(200);
        let person = json!({"reason": "test"});
        world.post(&world.security, &format!("/v1/identities/{id}/suspend"), person.clone()).await.expect(200);
        let (_, sara) = world.person("Sara", &["security"]).await;
        world.post(&sara, &format!("/v1/identities/{id}/resume"), json!({"cause": 0, "reason": "cleared"})).await.expect(200);
        world.revoke("identity", &id).await.expect(201);
        assert!(!world.is_live(&token).await);
        world.post(&world.owner, &format!("/v1/identities/{id}/retire"), person).await.expect(200);
        world.until_state(&id, "retired").await;
        let about = |event: &Value| event["subjects"].as_array().unwrap().iter().any(|subject| subject == &json!(id));
        let mut reached: Vec<String> = world.events().await.iter().filter(|event| about(event)).map(|event| event["control"].as_str().unwrap().to_owned()).collect();
        reached.sort_unstable();
        reached.dedup();
        for point in ["request", "approve", "issue", "use", "renew", "change", "review", "suspend", "resume", "revoke", "retire"] {
            assert!(reached.contains(&point.to_owned()), "{point}: {reached:?}");
        }
    }

    async fn r10_a_bot_without_owner_is_refused(world: World) {
        let mut ownerless = world.charter(Key::new().jwk());
        ownerless.as_object_mut().unwrap().remove("owner");
        is_refused(&world, "bot", &ownerless, &[("owner", "owner_missing")]).await;
        let key = Key::new();
        let id = active(&world, "bot", "ticket-bot", &world.charter(key.jwk())).await;
        assert!(world.is_live(&world.token(&key, &id, "production").await).await);
    }

    async fn r11_an_agent_is_dedicated_bounded_and_short(world: World) {
        let key = Key::new();
        let charter = with(&world.charter(key.jwk()), json!({"expires_at": in_secs(29 * 86_400)}));
        is_refused(&world, "agent", &charter, &[("tasks", "tasks_missing")]).await;
        let task = |actions: &[&str]| json!({"tasks": [{"name": "export", "purpose": "exports invoices", "scope": [{"actions": actions, "resource": world.orders}]}]});
        is_refused(&world, "agent", &with(&charter, task(&["write"])), &[("tasks[0].scope", "task_outside_scope")]).await;
        let charter = with(&charter, task(&["read"]));
        let shared = json!({"shared": {"consumers": ["a", "b"], "migration_plan": "split it"}});
        is_refused(&world, "agent", &with(&charter, shared), &[("shared", "agent_shared")]).await;
        is_refused(&world, "agent", &with(&charter, json!({"scope": [{"actions": ["*"], "resource": world.orders}]})), &[("scope", "agent_scope_unbounded")]).await;
        is_refused(&world, "agent", &with(&charter, json!({"expires_at": in_secs(31 * 86_400)})), &[("expires_at", "life_too_long")]).await;
        is_refused(&world, "agent", &with(&charter, json!({"credential_ttl": "16m"})), &[("credential_ttl", "credential_ttl_out_of_range")]).await;
        let id = active(&world, "agent", "invoice-agent", &charter).await;
        // Each of its credentials is for a task of its charter, whether it says so or not.
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(200).text("/authorization_details/0/task"), "export");
        let issued = world.ask_task(&key, &id, "export").await.expect(200);
        assert!((1..=900).contains(&issued.body["expires_in"].as_i64().unwrap()), "{}", issued.body);
        let view = world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200);
        assert_eq!((&view.body["ceilings"]["max_duration"], &view.body["tier"]), (&json!("30d"), &json!("medium")));
        // Its end moves no further ahead than an agent lives.
        let matter = json!({"type": "renewal", "identity": id, "until": in_secs(40 * 86_400)});
        assert_eq!(world.ask(&world.owner, matter, "still needed").await.expect(403).code(), "over_ceiling");
        // The name that others use for the kind is the same kind.
        let charter = with(&charter, json!({"workload_binding": {"type": "public_key", "workload": "a", "jwk": Key::new().jwk()}}));
        assert_eq!(hand_in(&world, "ai_agent", "other-agent", &charter, "draft").await.expect(201).text("/kind"), "agent");
    }

    async fn r12_an_integration_has_a_vendor_an_internal_owner_and_data_domains(world: World) {
        domains(&world, &[("orders", "internal"), ("payments", "restricted")]).await;
        let acme = vendor(&world, "acme", &["orders"], Some(in_secs(60 * 86_400))).await;
        let key = Key::new();
        let charter = world.charter(key.jwk());
        is_refused(&world, "integration", &charter, &[("vendor", "vendor_missing"), ("data_domains", "data_domains_missing")]).await;
        let charter = with(&charter, json!({"vendor": acme, "data_domains": ["orders"]}));
        let mut ownerless = charter.clone();
        ownerless.as_object_mut().unwrap().remove("owner");
        is_refused(&world, "integration", &ownerless, &[("owner", "owner_missing")]).await;
        let contractor = json!({"name": "Cleo", "roles": ["owner"], "class": "contractor", "ends_at": in_secs(90 * 86_400)});
        let (contractor, _) = world.person_as(contractor).await;
        is_refused(&world, "integration", &with(&charter, json!({"owner": contractor})), &[("owner", "owner_not_internal")]).await;
        is_refused(&world, "integration", &with(&charter, json!({"expires_at": in_secs(61 * 86_400)})), &[("expires_at", "expiry_after_contract")]).await;
        let other = with(&charter, json!({"vendor": format!("ven_{}", world.application.split_once('_').unwrap().1)}));
        is_refused(&world, "integration", &other, &[("vendor", "vendor_unknown")]).await;

        // A third party takes its accountable owner and security.
        let (id, request) = integration(&world, "acme-connector", &charter).await;
        let shown = world.get(&world.security, &format!("/v1/requests/{request}")).await.expect(200);
        assert_eq!(shown.text("/route"), "owner_and_security");
        world.approve(&world.owner, &request).await.expect(200);
        world.approve(&world.security, &request).await.expect(200);
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_live(&token).await);
        let listed = world.get(&world.security, &format!("/v1/identities?vendor={acme}")).await.expect(200);
        assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);

        // Its end cuts and holds all that it operates, with one record each.
        let (_, stranger) = world.person("Una", &["requester"]).await;
        world.post(&stranger, &format!("/v1/vendors/{acme}/end"), json!({"reason": "x"})).await.expect(403);
        let ended = world.post(&world.admin, &format!("/v1/vendors/{acme}/end"), json!({"reason": "terminated"})).await.expect(200);
        assert_eq!(ended.text("/standing"), "closed");
        assert!(!world.is_live(&token).await);
        // Held by the vendor's scope; the next look at the identity itself suspends it too.
        let refused = world.ask_token(&key, &id, "production").await.code();
        assert!(["scope_on_hold", "identity_suspended"].contains(&refused.as_str()), "{refused}");
        let event = world.events_of("vendor.ended", &acme).await.remove(0);
        assert!(event["data"]["notify"]["to"].as_array().unwrap().contains(&json!(world.owner_id)), "{event}");
        let rows: Vec<&str> = event["rows"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap()).collect();
        for row in ["vendor", "cut", "hold", "receipt"] {
            assert!(rows.contains(&row), "{rows:?}");
        }
        world.post(&world.admin, &format!("/v1/vendors/{acme}/end"), json!({"reason": "again"})).await.expect(409);
        is_refused(&world, "integration", &with(&charter, json!({"workload_binding": {"type": "join_token", "workload": "w"}})), &[("vendor", "vendor_ended")]).await;
        // Nor does a released hold bring it back.
        let (_, sara) = world.person("Sara", &["security"]).await;
        let release = json!({"scope": {"type": "vendor", "id": acme}, "reason": "why not"});
        world.post(&sara, "/v1/holds/release", release).await.expect(409);
    }

    async fn r12_vendors_and_cloud_accounts_are_scopes_of_their_own(world: World) {
        let account = |provider: &str, environment: &str| json!({"provider": provider, "account": "123456789012", "owner": world.owner_id, "environment": environment});
        let aws = world.post(&world.admin, "/v1/cloud-accounts", account("aws", "production")).await.expect(201).text("/id");
        assert_eq!(world.post(&world.admin, "/v1/cloud-accounts", account("aws", "staging")).await.expect(409).code(), "taken");
        assert_eq!(world.post(&world.admin, "/v1/cloud-accounts", account("gcp", "moon")).await.expect(422).field_codes(), ["environment_unknown"]);
        let staging = world.post(&world.admin, "/v1/cloud-accounts", account("gcp", "staging")).await.expect(201).text("/id");
        world.post(&world.owner, "/v1/cloud-accounts", account("azure", "production")).await.expect(403);
        let key = Key::new();
        let charter = with(&world.charter(key.jwk()), json!({"cloud_account": aws}));
        is_refused(&world, "workload", &with(&charter, json!({"cloud_account": staging})), &[("cloud_account", "wrong_environment")]).await;
        let id = active(&world, "workload", "in-aws", &charter).await;
        let (other, other_key) = world.exporter("elsewhere").await;
        let (inside, outside) = (world.token(&key, &id, "production").await, world.token(&other_key, &other, "production").await);
        let scope = json!({"type": "cloud_account", "id": aws});
        world.revoke("cloud_account", &aws).await.expect(201);
        assert!(!world.is_live(&inside).await && world.is_live(&outside).await);
        let inside = world.token(&key, &id, "production").await;
        world.post(&world.security, "/v1/holds", json!({"scope": scope, "reason": "test"})).await.expect(201);
        assert!(!world.is_live(&inside).await && world.is_live(&outside).await);
        let names = |what: &str| json!({"name": what, "contact": "x", "owner": world.owner_id, "data_domains": ["nothing"]});
        assert_eq!(world.post(&world.admin, "/v1/vendors", names("acme")).await.expect(422).field_codes(), ["data_domain_unknown"]);
        assert_eq!(world.post(&world.admin, "/v1/vendors", names("Acme")).await.expect(422).field_codes(), ["name_malformed", "data_domain_unknown"]);
    }

    async fn r13_a_device_enrols_a_key_of_its_own_in_the_same_inventory(world: World) {
        let charter = world.charter(Key::new().jwk());
        let shared = json!({"shared": {"consumers": ["a", "b"], "migration_plan": "split it"}});
        is_refused(&world, "device", &with(&charter, shared), &[("shared", "device_shared")]).await;
        let oidc = json!({"workload_binding": {"type": "oidc", "workload": "w", "issuer": "https://ci.example.com", "claims": {"sub": "s"}}});
        is_refused(&world, "device", &with(&charter, oidc), &[("workload_binding", "device_without_key"), ("workload_binding.issuer", "issuer_unknown")]).await;
        let charter = with(&charter, json!({"workload_binding": {"type": "join_token", "workload": "till/17"}}));
        let id = active(&world, "device", "till-17", &charter).await;
        let key = Key::new();
        assert_ne!(world.ask_token(&key, &id, "production").await.status, 200);
        let join = world.post(&world.owner, &format!("/v1/identities/{id}/join-tokens"), json!({})).await.expect(201);
        let claims = json!({"aud": join.text("/audience"), "join_token_id": join.text("/id"), "jti": random(), "iat": now(), "exp": now() + 60});
        let proof = key.sign(&json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &claims);
        world.post("", "/v1/enrol", json!({"join_token": join.text("/join_token"), "jwk": key.jwk(), "proof": proof})).await.expect(201);
        assert!(world.is_live(&world.token(&key, &id, "production").await).await);
        let listed = world.get(&world.security, "/v1/identities?kind=device").await.expect(200);
        assert_eq!((listed.body["items"].as_array().unwrap().len(), listed.text("/items/0/id")), (1, id));
        let all = world.get(&world.security, "/v1/identities").await.expect(200);
        assert!(all.body["items"].as_array().unwrap().len() >= 2);
    }

    async fn r18_an_identity_is_bound_to_no_directory_user(world: World) {
        let user = json!({"workload_binding": {"type": "directory_user", "workload": "w", "user": "olu@example.com"}});
        let charter = with(&world.charter(Key::new().jwk()), user);
        for kind in ["service_account", "workload", "bot", "agent", "device"] {
            let tasks = json!([{"name": "t", "purpose": "p", "scope": charter["scope"]}]);
            let charter = with(&charter, json!({"expires_at": in_secs(20 * 86_400), "tasks": tasks}));
            is_refused(&world, kind, &charter, &[("workload_binding", "binding_is_directory_user")]).await;
        }
        let draft = hand_in(&world, "workload", "drafted", &charter, "draft").await.expect(201).text("/id");
        let answer = world.post(&world.owner, &format!("/v1/identities/{draft}/submit"), json!({})).await.expect(422);
        assert_eq!(answer.field_codes(), ["binding_is_directory_user"]);
    }

    async fn r26_a_credential_of_staging_is_denied_in_production(world: World) {
        let staging = resource(&world, "https://orders.staging", "staging", &[]).await;
        let key = Key::new();
        let charter = with(&world.charter(key.jwk()), json!({"environment": "staging", "scope": [{"actions": ["read"], "resource": staging}]}));
        let id = active(&world, "workload", "stager", &charter).await;
        let token = world.token(&key, &id, "staging").await;
        let answer = world.evaluate(&id, Some(&token), "read").await.expect(200);
        assert_eq!((&answer.body["decision"], answer.code().as_str()), (&json!(false), "wrong_environment"));
        assert!(!world.is_live(&token).await);
        assert_eq!(world.ask_token(&key, &id, "production").await.code(), "wrong_environment");
        assert!(!refusals(&world, &id, "wrong_environment").await.is_empty());
        is_refused(&world, "workload", &with(&charter, json!({"environment": "production", "workload_binding": {"type": "join_token", "workload": "w"}})), &[("scope[0].resource", "wrong_environment")]).await;
    }

    async fn r30_a_name_against_its_kinds_standard_is_refused_with_the_pattern(world: World) {
        let path = "/v1/naming-standards/service_account";
        let standard = json!({"pattern": "svc-[a-z]+-(prod|staging)", "example": "svc-billing-prod"});
        let put = async |token: &str, path: &str, body: Value| world.put(token, path, body).await;
        put(&world.owner, path, standard.clone()).await.expect(403);
        put(&world.admin, "/v1/naming-standards/robot", standard.clone()).await.expect(404);
        assert_eq!(put(&world.admin, path, with(&standard, json!({"pattern": "("}))).await.expect(422).field_codes(), ["pattern_malformed"]);
        assert_eq!(put(&world.admin, path, with(&standard, json!({"example": "billing"}))).await.expect(422).field_codes(), ["example_mismatch"]);
        put(&world.admin, path, standard).await.expect(200);
        assert_eq!(world.get(&world.owner, path).await.expect(200).text("/pattern"), "svc-[a-z]+-(prod|staging)");
        let charter = world.charter(Key::new().jwk());
        for stage in ["draft", "pending", "active"] {
            for name in ["billing", "svc-billing-prod-2", "svc-billing-production"] {
                let answer = hand_in(&world, "service_account", name, &charter, stage).await.expect(422);
                assert_eq!(problems(&answer), [("name".to_owned(), "name_against_standard".to_owned())]);
                let hint = answer.text("/fields/0/hint");
                assert!(hint.contains("svc-[a-z]+-(prod|staging)") && hint.contains("svc-billing-prod"), "{hint}");
            }
        }
        hand_in(&world, "service_account", "svc-billing-prod", &charter, "pending").await.expect(201);
        // Each kind has its own.
        hand_in(&world, "workload", "billing", &world.charter(Key::new().jwk()), "pending").await.expect(201);
        assert_eq!(world.get(&world.owner, "/v1/naming-standards").await.expect(200).body["items"].as_array().unwrap().len(), 1);
    }

    async fn r33_coverage_is_decided_before_activation_and_shown(world: World) {
        let mut without = world.charter(Key::new().jwk());
        without.as_object_mut().unwrap().remove("coverage");
        is_refused(&world, "workload", &without, &[("coverage", "coverage_missing")]).await;
        for (name, coverage, tier) in [("a", "role_based", "medium"), ("b", "just_in_time", "medium"), ("c", "privileged", "high")] {
            let charter = with(&world.charter(Key::new().jwk()), json!({"coverage": coverage, "expires_at": in_secs(20 * 86_400)}));
            let answer = hand_in(&world, "workload", name, &charter, "pending").await.expect(201);
            let view = world.get(&world.auditor, &format!("/v1/identities/{}", answer.text("/id"))).await.expect(200);
            assert_eq!((view.text("/charter/coverage"), view.text("/tier")), (coverage.to_owned(), tier.to_owned()));
            assert_eq!(view.text("/ceilings/max_duration"), if tier == "high" { "30d" } else { "90d" });
            let registered = world.events_of("identity.registered", &answer.text("/id")).await.remove(0);
            assert_eq!(registered["data"]["charter"]["coverage"], coverage);
        }
    }

    async fn r35_a_third_partys_key_stays_inside_its_data_domains(world: World) {
        domains(&world, &[("orders", "internal"), ("payments", "internal"), ("health", "restricted")]).await;
        let acme = vendor(&world, "acme", &["orders", "payments"], None).await;
        let shipping = resource(&world, "https://shipping.internal", "production", &["orders"]).await;
        let ledger = resource(&world, "https://ledger.internal", "production", &["orders", "payments"]).await;
        let key = Key::new();
        let charter = with(&world.charter(key.jwk()), json!({"vendor": acme, "data_domains": ["orders"], "scope": [{"actions": ["read"], "resource": shipping}]}));
        is_refused(&world, "integration", &with(&charter, json!({"data_domains": []})), &[("data_domains", "data_domains_missing"), ("scope[0].resource", "outside_data_domains")]).await;
        is_refused(&world, "integration", &with(&charter, json!({"data_domains": ["orders", "health"]})), &[("data_domains", "outside_vendor_contract")]).await;
        is_refused(&world, "integration", &with(&charter, json!({"data_domains": ["orders", "gossip"]})), &[("data_domains", "data_domain_unknown")]).await;
        is_refused(&world, "integration", &with(&charter, json!({"scope": [{"actions": ["read"], "resource": ledger}]})), &[("scope[0].resource", "outside_data_domains")]).await;
        let (id, request) = integration(&world, "acme-connector", &charter).await;
        world.approve(&world.owner, &request).await.expect(200);
        world.approve(&world.security, &request).await.expect(200);
        let inside = gateway(&world, "shipping-gateway", &shipping, "production").await;
        let outside = gateway(&world, "ledger-gateway", &ledger, "production").await;
        assert_eq!(decide(&world, &inside, &id, &shipping, "read", json!({})).await.body["decision"], json!(true));
        let denied = decide(&world, &outside, &id, &ledger, "read", json!({})).await;
        assert_eq!((&denied.body["decision"], denied.code().as_str()), (&json!(false), "outside_data_domains"));
        assert!(denied.body["context"]["policies"].as_array().unwrap().contains(&json!("outside-data-domains")), "{}", denied.body);
        let unknown = json!({"uri": "https://x.internal", "type": "database", "actions": ["read"], "application": world.application, "environment": "production", "verification": "online", "data_domains": ["gossip"]});
        assert_eq!(world.post(&world.admin, "/v1/resources", unknown).await.expect(422).field_codes(), ["data_domain_unknown"]);
    }

    async fn r36_a_pipelines_repositories_are_not_the_requesters_to_permit(world: World) {
        let key = Key::new();
        let charter = with(&world.charter(key.jwk()), json!({"auto_revocation": ["suspension"], "repositories": ["acme/billing"]}));
        is_refused(&world, "pipeline", &with(&charter, json!({"repositories": []})), &[("repositories", "repositories_missing")]).await;
        let oidc = |repository: &str| json!({"workload_binding": {"type": "oidc", "workload": "w", "issuer": "https://ci.example.com", "claims": {"sub": "s", "repository": repository}}});
        is_refused(&world, "pipeline", &with(&charter, oidc("acme/other")), &[("workload_binding.claims", "repository_not_permitted"), ("workload_binding.issuer", "issuer_unknown")]).await;
        // Without a template somebody else than the requester confirms them.
        let answer = hand_in(&world, "pipeline", "release", &charter, "active").await.expect(403);
        assert_eq!(answer.code(), "approval_needed");
        let id = active(&world, "pipeline", "release", &charter).await;
        let decided = world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200);
        assert_eq!(decided.body["activation"]["by"], json!([world.manager_id]));
        // A template's list is policy: what is on it needs nobody, what is not on it is refused.
        let staging = resource(&world, "https://orders.staging", "staging", &[]).await;
        let template = json!({"name": "ci", "kind": "pipeline", "description": "builds", "default_life": "30m", "max_life": "1h", "max_tier": "low", "environments": ["staging"]});
        let put = async |template: &Value| world.call(reqwest::Method::PUT, &world.admin, "/v1/templates/ci", Some(json!({"template": template, "purpose": "builds"}))).await;
        assert_eq!(put(&template).await.expect(422).field_codes(), ["repositories_missing"]);
        put(&with(&template, json!({"repositories": ["acme/billing", "acme/web"]}))).await.expect(201);
        let mut charter = with(&charter, json!({"environment": "staging", "scope": [{"actions": ["read"], "resource": staging}], "workload_binding": {"type": "public_key", "workload": "build", "jwk": Key::new().jwk()}}));
        charter.as_object_mut().unwrap().remove("expires_at");
        let ask = |name: &str, repositories: &[&str]| json!({"kind": "pipeline", "name": name, "template": "ci", "stage": "active", "charter": with(&charter, json!({"repositories": repositories}))});
        let refused = world.post(&world.owner, "/v1/identities", ask("build-1", &["acme/billing", "acme/secret"])).await.expect(403);
        assert_eq!(refused.code(), "over_ceiling");
        assert!(refused.text("/detail").contains("acme/secret"), "{}", refused.body);
        let built = world.post(&world.owner, "/v1/identities", ask("build-1", &["acme/billing"])).await.expect(201);
        assert_eq!((built.text("/state").as_str(), &built.body["activation"]["by"]), ("active", &json!([])));
        assert!(built.body["activation"]["policies"].as_array().unwrap().contains(&json!("auto-approve-ephemeral")), "{}", built.body);
    }

    async fn r37_a_pipeline_without_an_automatic_revocation_rule_is_refused(world: World) {
        let key = Key::new();
        let charter = with(&world.charter(key.jwk()), json!({"repositories": ["acme/billing"]}));
        is_refused(&world, "pipeline", &charter, &[("auto_revocation", "auto_revocation_missing")]).await;
        let id = active(&world, "pipeline", "release", &with(&charter, json!({"auto_revocation": ["suspension"]}))).await;
        let token = world.token(&key, &id, "production").await;
        world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"})).await.expect(200);
        let (_, sara) = world.person("Sara", &["security"]).await;
        world.post(&sara, &format!("/v1/identities/{id}/resume"), json!({"cause": 0, "reason": "cleared"})).await.expect(200);
        // The rule was there before the identity: what it held is gone for good.
        assert!(!world.is_live(&token).await);
        assert!(world.is_live(&world.token(&key, &id, "production").await).await);
    }

    async fn r40_requester_operator_and_beneficiary_are_three_facts(world: World) {
        domains(&world, &[("orders", "internal")]).await;
        let acme = vendor(&world, "acme", &["orders"], None).await;
        let charter = with(&world.charter(Key::new().jwk()), json!({"vendor": acme, "data_domains": ["orders"]}));
        let mut without = charter.clone();
        without.as_object_mut().unwrap().remove("parties");
        is_refused(&world, "integration", &without, &[("parties", "parties_missing")]).await;
        let blank = json!({"parties": {"requester": world.owner_id, "operator": " ", "beneficiary": ""}});
        is_refused(&world, "integration", &with(&charter, blank), &[("parties.operator", "operator_missing"), ("parties.beneficiary", "beneficiary_missing")]).await;
        let (id, _) = integration(&world, "acme-connector", &charter).await;
        let view = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200);
        let parties = &view.body["charter"]["parties"];
        assert_eq!((&parties["operator"], &parties["beneficiary"]), (&json!("acme"), &json!("finance")));
        assert_ne!(parties["requester"], json!(world.owner_id));
        let evidence = world.events_of("identity.registered", &id).await.remove(0);
        assert_eq!(&evidence["data"]["charter"]["parties"], parties);
    }
}
