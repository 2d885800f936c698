//! Requests: routes, votes, what votes bind, changes of charters, renewals (R44–R51, R62; S-8, S-9).

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Key, Store, World, in_secs};
use crate::{in_real_time, on_both, on_one};

fn access(id: &str, resource: &str, action: &str, duration: &str) -> Value {
    json!({"type": "access", "identity": id, "entitlement": {"actions": [action], "resource": resource}, "duration": duration})
}

async fn request(world: &World, id: &str) -> Answer {
    world.get(&world.security, &format!("/v1/requests/{id}")).await.expect(200)
}

/// An active identity that holds nothing at rest.
async fn just_in_time(world: &World, name: &str) -> (String, Key) {
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    charter["coverage"] = json!("just_in_time");
    charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
    (world.active(name, charter).await, key)
}

/// Puts another policy set in force: the only administrator does, and the record says so.
async fn put_in_force(world: &World, change: impl Fn(String) -> String) -> Answer {
    let text = world.get(&world.admin, "/v1/policy").await.expect(200).text("/text");
    let changed = change(text.clone());
    assert_ne!(changed, text, "the change changed nothing");
    world.post(&world.admin, "/v1/policies", json!({"text": changed, "purpose": "test"})).await
}

on_both! { because "votes and fulfilment race at the commit, and lists go by terms";
    async fn r44_a_vote_quotes_the_purpose_as_it_read(world: World) {
        let (id, _) = just_in_time(&world, "migrator").await;
        let opened = world.ask(&world.owner, access(&id, &world.orders, "read", "30m"), "migration 12").await.expect(201);
        let path = format!("/v1/requests/{}", opened.text("/id"));
        let first = opened.text("/content_hash");
        let amended = world.call(Method::PUT, &world.owner, &path, Some(json!({"purpose": "migration 13"}))).await.expect(200);
        assert_ne!(amended.text("/content_hash"), first);
        assert!(first.starts_with("v2:sha256:"), "d14: {first} says in which form it was made");
        // Who read the old purpose has to read again.
        let stale = world.post(&world.manager, &format!("{path}/approve"), json!({"content_hash": first})).await.expect(409);
        assert_eq!(stale.code(), "request_changed");
        let approved = world.approve(&world.manager, &opened.text("/id")).await.expect(200);
        assert_eq!((approved.text("/state"), approved.text("/votes/0/purpose")), ("fulfilled".into(), "migration 13".into()));
        let grants = world.get(&world.owner, &format!("/v1/identities/{id}/access")).await.expect(200);
        assert_eq!(grants.text("/access/0/need"), "migration 13");
        let events = world.events_of("request.approved", &opened.text("/id")).await;
        assert_eq!(events[0]["data"]["purpose"], "migration 13");
    }

    async fn r45_an_approved_request_becomes_a_grant_that_links_back(world: World) {
        let (id, key) = just_in_time(&world, "migrator").await;
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "no_live_grant");
        let opened = world.ask(&world.owner, access(&id, &world.orders, "read", "30m"), "migration 12").await.expect(201).text("/id");
        // An open request confers nothing.
        assert_eq!(world.ask_token(&key, &id, "production").await.expect(400).code(), "no_live_grant");
        let approved = world.approve(&world.manager, &opened).await.expect(200);
        let grant = approved.text("/outcome/grants/0");
        let report = world.get(&world.owner, &format!("/v1/identities/{id}/access")).await.expect(200);
        assert_eq!((report.text("/access/0/grant"), report.text("/access/0/request")), (grant.clone(), opened.clone()));
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        assert!(!world.is_allowed(&id, Some(&token), "write").await);
        let event = &world.events_of("grant.opened", &grant).await[0];
        assert_eq!((&event["data"]["request"], &event["data"]["approved_by"]), (&json!(opened), &json!([world.manager_id])));
    }

    async fn r47_high_risk_takes_the_manager_and_security_and_never_who_asks(world: World) {
        world.post(&world.admin, "/v1/data-domains", json!({"name": "payments", "sensitivity": "restricted"})).await.expect(201);
        let body = json!({"uri": "https://payments.internal", "type": "database", "actions": ["read"], "application": world.application, "environment": "production", "data_domains": ["payments"], "verification": "online"});
        let payments = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let mut charter = world.charter(Key::new().jwk());
        charter["scope"] = json!([{"actions": ["read"], "resource": payments}]);
        let pending = world.register("payer", charter.clone(), "pending").await.expect(201);
        assert_eq!(pending.text("/tier"), "high");
        let id = pending.text("/request");
        let opened = request(&world, &id).await;
        assert_eq!((opened.text("/route"), &opened.body["waits_for"]), ("manager_and_security".into(), &json!([["manager"], ["security"]])));
        assert_eq!(world.approve(&world.owner, &id).await.expect(403).code(), "not_eligible");
        assert_eq!(world.approve(&world.manager, &id).await.expect(200).text("/state"), "open");
        // One person fills one place.
        assert_eq!(world.approve(&world.manager, &id).await.expect(403).code(), "not_eligible");
        assert_eq!(world.get(&world.owner, &format!("/v1/identities/{}", pending.text("/id"))).await.expect(200).text("/state"), "pending");
        assert_eq!(world.approve(&world.security, &id).await.expect(200).text("/state"), "fulfilled");
        // Longer than the ceiling of its tier: no route at all.
        charter["workload_binding"]["jwk"] = Key::new().jwk();
        charter["expires_at"] = json!(in_secs(31 * 86_400));
        let refused = world.register("payer-for-long", charter, "pending").await.expect(403);
        assert_eq!(refused.code(), "no_route");
    }

    async fn r48_without_a_policy_that_matches_nothing_is_issued(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let kept = world.token(&key, &id, "production").await;
        // A set that lets only pipelines get credentials and enforcement points work.
        let changed = put_in_force(&world, |text| text.replacen("[\"private_key_jwt\", ", "[\"nothing\", ", 1)).await.expect(201);
        assert_eq!((changed.text("/state"), &changed.body["single_person"]), ("fulfilled".into(), &json!(true)));
        let refused = world.ask_token(&key, &id, "production").await.expect(403);
        assert_eq!(refused.text("/reason_code"), "policy_denied");
        // What was issued before the change is not touched by it.
        assert!(world.is_live(&kept).await);
        assert_eq!(world.events_of("policy.changed", &changed.text("/matter/policy")).await.len(), 1);
    }

    async fn r50_a_renewal_without_recent_use_is_refused(world: World) {
        let (used, key) = world.exporter("used").await;
        let (unused, _) = world.exporter("unused").await;
        world.token(&key, &used, "production").await;
        let renewal = |id: &str| json!({"type": "renewal", "identity": id, "until": in_secs(60 * 86_400)});
        let refused = world.ask(&world.owner, renewal(&unused), "still needed").await.expect(403);
        assert_eq!((refused.code().as_str(), &refused.body["policies"]), ("no_route", &json!(["unverified-need"])));
        let asked = world.ask(&world.owner, renewal(&used), "still needed").await.expect(201).text("/id");
        world.approve(&world.manager, &asked).await.expect(200);
        let renewed = world.get(&world.owner, &format!("/v1/identities/{used}")).await.expect(200);
        assert!(renewed.text("/charter/expires_at") > in_secs(59 * 86_400), "{}", renewed.body);
        assert_eq!(world.events_of("identity.renewed", &used).await.len(), 1);
        // Not beyond the ceiling.
        let far = json!({"type": "renewal", "identity": used, "until": in_secs(200 * 86_400)});
        assert_eq!(world.ask(&world.owner, far, "for ever").await.expect(403).code(), "over_ceiling");
    }

    async fn r51_renewal_by_itself_needs_its_conditions(world: World) {
        world.hold();
        let (used_key, idle_key) = (Key::new(), Key::new());
        let mut charter = world.charter(used_key.jwk());
        charter["expires_at"] = json!(in_secs(10));
        charter["retirement"] = json!([{"type": "task_completed"}]);
        charter["renewal"] = json!({"window": "6s", "extend_by": "1h", "used_within": "1h"});
        let used = world.active("used", charter.clone()).await;
        charter["workload_binding"]["jwk"] = idle_key.jwk();
        let idle = world.active("idle", charter).await;
        world.token(&used_key, &used, "production").await;
        world.pass(5).await;
        world.until(async || !world.events_of("identity.renewed", &used).await.is_empty()).await;
        let event = &world.events_of("identity.renewed", &used).await[0];
        assert_eq!((&event["actor"]["type"], &event["data"]["policies"]), (&json!("system"), &json!(["renew"])));
        assert!(event["data"]["evidence"]["last_used"].is_string(), "{event}");
        // Where a condition fails it lapses at its end, and the record says which.
        world.pass(5).await;
        world.until_state(&idle, "retired").await;
        let refused = &world.events_of("identity.renewal_refused", &idle).await[0];
        assert!(refused["data"]["evidence"]["problems"][0].as_str().unwrap().starts_with("no use within"), "{refused}");
        assert_eq!(world.get(&world.owner, &format!("/v1/identities/{used}")).await.expect(200).text("/state"), "active");
        assert!(world.is_live(&world.token(&used_key, &used, "production").await).await);
    }

    async fn r62_a_change_of_policy_changes_the_path_of_what_matches_alone(world: World) {
        let staging = world.resource("https://staging.internal", "staging", "online").await;
        let ask = async |name: &str, environment: &str, resource: &str| {
            let mut charter = world.charter(Key::new().jwk());
            charter["environment"] = json!(environment);
            charter["scope"] = json!([{"actions": ["read"], "resource": resource}]);
            world.register(name, charter, "pending").await.expect(201)
        };
        let waiting = ask("waiting", "staging", &staging).await;
        assert_eq!(waiting.text("/state"), "pending");
        let rule = r#"
@id("auto-approve-staging")
@control("NHI5:2025")
@doc("Whatever is not production and of low risk needs nobody.")
permit (principal, action == Action::"route_auto", resource is Inventory)
when { context.class == "non_human" && context.matter == "activation" && !context.production && context.tier == "low" };
"#;
        let changed = put_in_force(&world, |text| format!("{text}{rule}")).await.expect(201);
        let event = &world.events_of("policy.changed", &changed.text("/matter/policy")).await[0];
        assert_eq!((&event["data"]["single_person"], &event["data"]["purpose"]), (&json!(true), &json!("test")));
        let by_rule = ask("by-rule", "staging", &staging).await;
        assert_eq!(by_rule.text("/state"), "active");
        let approved = &world.events_of("request.approved", &by_rule.text("/activation/request")).await[0];
        assert_eq!((&approved["data"]["policies"], &approved["data"]["approved_by"]), (&json!(["auto-approve-staging"]), &json!([])));
        assert_eq!(ask("in-production", "production", &world.orders).await.text("/state"), "pending");
    }

    async fn d03_the_vote_for_an_activation_is_for_what_was_read(world: World) {
        let pending = world.register("read-first", world.charter(Key::new().jwk()), "pending").await.expect(201);
        let (id, request) = (pending.text("/id"), pending.text("/request"));
        let path = format!("/v1/identities/{id}/activate");
        let read = world.get(&world.manager, &format!("/v1/requests/{request}")).await.expect(200).text("/content_hash");
        world.post(&world.manager, &path, json!({})).await.expect(400);
        let amended = json!({"purpose": "Exports everything to everybody"});
        world.call(Method::PUT, &world.owner, &format!("/v1/requests/{request}"), Some(amended)).await.expect(200);
        let stale = world.post(&world.manager, &path, json!({"content_hash": read})).await.expect(409);
        assert_eq!(stale.code(), "request_changed");
        assert_eq!(world.get(&world.manager, &format!("/v1/identities/{id}")).await.expect(200).text("/state"), "pending");
        assert_eq!(world.activate(&world.manager, &id).await.expect(200).text("/state"), "active");
    }

    async fn s8_a_vote_is_somebody_elses_and_of_somebody_who_still_may(world: World) {
        // Who asks is the owner: the owner's place is not theirs to fill.
        let pending = world.register("mine", world.charter(Key::new().jwk()), "pending").await.expect(201);
        assert_eq!(world.approve(&world.owner, &pending.text("/request")).await.expect(403).code(), "self_approval");
        assert_eq!(world.activate(&world.owner, &pending.text("/id")).await.expect(403).code(), "self_approval");
        // Nor does somebody who stands in the charter as the one who asks, or whom it serves.
        for (n, party) in ["requester", "operator", "beneficiary"].iter().enumerate() {
            let mut charter = world.charter(Key::new().jwk());
            charter["parties"][party] = json!(world.manager_id);
            let pending = world.register(&format!("for-max-{n}"), charter, "pending").await.expect(201).text("/request");
            // It goes past them: another route, whose place they don't fill.
            assert_eq!(request(&world, &pending).await.text("/route"), "security", "{party}");
            assert_eq!(world.approve(&world.manager, &pending).await.expect(403).code(), "not_eligible", "{party}");
        }
        // A manager who came after it was asked doesn't count; the one who was recorded does.
        let (late_id, late) = world.person("Lia", &["manager"]).await;
        let change = json!({"manager": late_id});
        world.post(&world.admin, &format!("/v1/people/{}/change", world.owner_id), change).await.expect(200);
        assert_eq!(world.approve(&late, &pending.text("/request")).await.expect(403).code(), "not_eligible");
        world.approve(&world.manager, &pending.text("/request")).await.expect(200);
    }

    async fn s8_an_edit_voids_votes(world: World) {
        world.post(&world.admin, "/v1/data-domains", json!({"name": "payments", "sensitivity": "restricted"})).await.expect(201);
        let mut charter = world.charter(Key::new().jwk());
        charter["data_domains"] = json!(["payments"]);
        let id = world.register("payer", charter, "pending").await.expect(201).text("/request");
        world.approve(&world.manager, &id).await.expect(200);
        let amended = world.call(Method::PUT, &world.owner, &format!("/v1/requests/{id}"), Some(json!({"purpose": "another need"}))).await.expect(200);
        assert_eq!(amended.body["votes"], json!([]));
        assert_eq!(world.approve(&world.security, &id).await.expect(200).text("/state"), "open");
        // Only who asked changes or withdraws it.
        world.call(Method::PUT, &world.manager, &format!("/v1/requests/{id}"), Some(json!({"purpose": "mine"}))).await.expect(403);
        world.post(&world.manager, &format!("/v1/requests/{id}/withdraw"), json!({})).await.expect(403);
        assert_eq!(world.post(&world.owner, &format!("/v1/requests/{id}/withdraw"), json!({})).await.expect(200).text("/state"), "withdrawn");
        assert_eq!(world.approve(&world.manager, &id).await.expect(409).code(), "illegal_transition");
    }

    async fn s9_no_policy_overrides_the_kernel(world: World) {
        // A set that would let anybody approve anything, themselves included.
        let rule = r#"
@id("anything-goes")
@control("NHI5:2025")
@doc("A mistake.")
permit (principal is Person, action == Action::"approve", resource is Inventory);
"#;
        let without = |text: String| {
            let start = text.find("@id(\"self-approval\")").unwrap();
            let end = start + text[start..].find("};").unwrap() + 2;
            format!("{}{}{rule}", &text[..start], &text[end..])
        };
        put_in_force(&world, without).await.expect(201);
        let pending = world.register("mine", world.charter(Key::new().jwk()), "pending").await.expect(201);
        assert_eq!(world.approve(&world.owner, &pending.text("/request")).await.expect(403).code(), "self_approval");
        // Places are filled by who holds them, whatever policy says.
        assert_eq!(world.approve(&world.auditor, &pending.text("/request")).await.expect(403).code(), "not_eligible");
    }

    async fn s9_a_policy_takes_an_administrator_who_is_not_its_author(world: World) {
        let (_, second) = world.person("Bea", &["administrator"]).await;
        let text = world.get(&world.admin, "/v1/policy").await.expect(200).text("/text");
        let version = world.get(&world.admin, "/v1/policy").await.expect(200).text("/version");
        let proposed = world.post(&world.admin, "/v1/policies", json!({"text": format!("{text}\n// reviewed\n"), "purpose": "a note"})).await.expect(201);
        assert_eq!((proposed.text("/state"), &proposed.body["single_person"]), ("open".into(), &json!(false)));
        assert_eq!(world.get(&world.admin, "/v1/policy").await.expect(200).text("/version"), version);
        let id = proposed.text("/id");
        assert_eq!(world.approve(&world.admin, &id).await.expect(403).code(), "self_approval");
        assert_eq!(world.approve(&world.security, &id).await.expect(403).code(), "not_eligible");
        // Meanwhile another set comes into force: what was proposed on the old one is void.
        let other = world.post(&second, "/v1/policies", json!({"text": format!("{text}\n// faster\n"), "purpose": "first"})).await.expect(201).text("/id");
        world.approve(&world.admin, &other).await.expect(200);
        assert_ne!(world.get(&world.admin, "/v1/policy").await.expect(200).text("/version"), version);
        assert_eq!(world.approve(&second, &id).await.expect(409).code(), "request_changed");
        // A set that doesn't hold together is refused with every mistake named.
        let broken = world.post(&world.admin, "/v1/policies", json!({"text": "permit (principal, action == Action::\"fly\", resource);", "purpose": "x"})).await.expect(422);
        assert!(!broken.field_codes().is_empty(), "{}", broken.body);
    }

    async fn s9_a_forbid_on_a_route_pushes_to_a_heavier_one(world: World) {
        let rule = r#"
@id("two-in-production")
@control("NHI5:2025")
@doc("In production one approval is not enough.")
forbid (principal, action in [Action::"route_owner_or_manager", Action::"route_security"], resource)
when { context.production };
"#;
        let before = world.register("before", world.charter(Key::new().jwk()), "pending").await.expect(201).text("/request");
        put_in_force(&world, |text| format!("{text}{rule}")).await.expect(201);
        let pending = world.register("after", world.charter(Key::new().jwk()), "pending").await;
        match pending.status {
            201 => assert_ne!(request(&world, &pending.text("/request")).await.text("/route"), "owner_or_manager"),
            _ => assert_eq!(pending.code(), "no_route"),
        }
        // What was asked before goes the way that policy demands now.
        let voted = world.approve(&world.manager, &before).await;
        assert!(voted.status == 403 || voted.text("/state") == "open", "{}", voted.body);
    }

    async fn what_narrows_works_at_once_and_what_widens_is_asked_for(world: World) {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
        let id = world.active("exporter", charter.clone()).await;
        let token = world.token(&key, &id, "production").await;
        assert!(world.is_allowed(&id, Some(&token), "write").await);
        let path = format!("/v1/identities/{id}/charter");
        let mut narrow = charter.clone();
        narrow["scope"] = json!([{"actions": ["read"], "resource": world.orders}]);
        world.put(&world.owner, &path, narrow.clone()).await.expect(200);
        // The token that was issued before holds what is left.
        assert!(world.is_live(&token).await);
        let seen = world.form(&world.gateway, "/env/production/introspect", &[("token", &token)]).await.expect(200);
        assert_eq!(seen.body["scope"], "read");
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        assert!(!world.is_allowed(&id, Some(&token), "write").await);
        // Back again is wider, and takes a request; the old token gains nothing by it.
        assert_eq!(world.put(&world.owner, &path, charter.clone()).await.expect(403).code(), "approval_needed");
        let matter = json!({"type": "charter", "identity": id, "charter": charter});
        let asked = world.ask(&world.owner, matter, "writes again").await.expect(201).text("/id");
        world.approve(&world.manager, &asked).await.expect(200);
        assert!(!world.is_allowed(&id, Some(&token), "write").await);
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        let fresh = world.token(&key, &id, "production").await;
        assert!(world.is_allowed(&id, Some(&fresh), "write").await);
        // Facts that have ways of their own are not changed by the way.
        let mut stolen = narrow;
        stolen["owner"] = json!(world.security_id);
        let refused = world.put(&world.owner, &path, stolen).await.expect(422);
        assert_eq!(refused.field_codes(), ["fact_fixed"]);
    }

    async fn of_overlapping_grants_one_is_enough(world: World) {
        let (id, key) = just_in_time(&world, "migrator").await;
        let first = world.grant(&id, &["read"], "30m").await;
        let second = world.grant(&id, &["read", "write"], "20m").await;
        let token = world.token(&key, &id, "production").await;
        let revoke = async |grant: &str| world.post(&world.owner, &format!("/v1/grants/{grant}/revoke"), json!({"reason": "done"})).await.expect(200);
        revoke(&second).await;
        assert!(world.is_allowed(&id, Some(&token), "read").await);
        assert!(!world.is_allowed(&id, Some(&token), "write").await);
        revoke(&first).await;
        assert!(!world.is_live(&token).await);
        // A later grant of the same revives nothing.
        world.grant(&id, &["read"], "30m").await;
        assert!(!world.is_live(&token).await);
        assert!(world.is_live(&world.token(&key, &id, "production").await).await);
    }

    async fn roles_take_a_second_administrator_once_there_is_one(world: World) {
        let (bea_id, bea) = world.person("Bea", &["administrator"]).await;
        let (una, _) = world.person("Una", &[]).await;
        let asked = world.ask(&world.admin, json!({"type": "roles", "person": una, "roles": ["security"]}), "joins security").await.expect(201);
        assert_eq!(asked.text("/state"), "open");
        assert_eq!(world.approve(&world.admin, &asked.text("/id")).await.expect(403).code(), "self_approval");
        assert_eq!(world.get(&world.admin, &format!("/v1/people/{una}")).await.expect(200).body["roles"], json!([]));
        world.approve(&bea, &asked.text("/id")).await.expect(200);
        assert_eq!(world.get(&world.admin, &format!("/v1/people/{una}")).await.expect(200).body["roles"], json!(["security"]));
        // Not for themselves either: of what concerns one of two, nobody is left to approve.
        let own = json!({"type": "roles", "person": bea_id, "roles": ["administrator", "security"]});
        assert_eq!(world.ask(&world.admin, own.clone(), "more").await.expect(403).code(), "no_route");
        let (_, cas) = world.person("Cas", &[]).await;
        let third = world.get(&cas, "/v1/me").await.expect(200).text("/person/id");
        let asked = world.ask(&world.admin, json!({"type": "roles", "person": third, "roles": ["administrator"]}), "helps").await.expect(201);
        world.approve(&bea, &asked.text("/id")).await.expect(200);
        let own = world.ask(&world.admin, own, "more").await.expect(201).text("/id");
        assert_eq!(world.approve(&bea, &own).await.expect(403).code(), "self_approval");
        world.approve(&cas, &own).await.expect(200);
    }

    async fn why_says_who_was_refused_what_and_who_could_touch_what(world: World) {
        let (id, key) = just_in_time(&world, "migrator").await;
        world.ask_token(&key, &id, "production").await.expect(400);
        let refused = world.get(&world.owner, &format!("/v1/refusals?subject={id}")).await.expect(200);
        assert_eq!((refused.text("/items/0/reason"), refused.text("/items/0/asked")), ("no_live_grant".into(), "private_key_jwt".into()));
        assert!(refused.text("/items/0/hint").contains("request access"));
        let path = format!("/v1/resources/{}/access", world.orders);
        let nobody = world.get(&world.auditor, &path).await.expect(200);
        let holds = |answer: &Answer| answer.body["access"].as_array().unwrap().iter().filter(|access| access["holder"] == json!(id)).cloned().collect::<Vec<_>>();
        assert!(holds(&nobody).is_empty());
        let grant = world.grant(&id, &["write"], "30m").await;
        let during = world.events_of("grant.opened", &grant).await[0]["at"].as_i64().unwrap();
        let during = tenure_core::base::time::Timestamp::from_micros(during).to_string();
        let now = holds(&world.get(&world.auditor, &path).await.expect(200));
        assert_eq!((now.len(), &now[0]["grant"], &now[0]["reach"], &now[0]["purpose"], &now[0]["approved_by"]), (1, &json!(grant), &json!("could"), &json!("migration 12"), &json!([world.manager_id])));
        world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"})).await.expect(200);
        let blocked = holds(&world.get(&world.auditor, &path).await.expect(200));
        assert_eq!((&blocked[0]["reach"], &blocked[0]["because"]), (&json!("blocked"), &json!("suspended")));
        world.post(&world.owner, &format!("/v1/grants/{grant}/revoke"), json!({"reason": "done"})).await.expect(200);
        assert!(holds(&world.get(&world.auditor, &path).await.expect(200)).is_empty());
        // The past stays as it was.
        let then = holds(&world.get(&world.auditor, &format!("{path}?at={during}")).await.expect(200));
        assert_eq!((then.len(), &then[0]["reach"], &then[0]["ended_at"]), (1, &json!("could"), &Value::Null));
        world.get(&world.owner, &path).await.expect(403);
        world.get(&world.auditor, &format!("{path}?at={}", in_secs(3_600))).await.expect(422);
    }

    async fn a_proposed_policy_is_reviewed_before_it_is_voted_on(world: World) {
        let (_, second) = world.person("Bea", &["administrator"]).await;
        let (id, key) = world.exporter("exporter").await;
        world.token(&key, &id, "production").await;
        let text = world.get(&world.admin, "/v1/policy").await.expect(200).text("/text");
        let start = text.find("@id(\"issue-and-use\")").unwrap();
        let end = start + text[start..].find(";\n").unwrap() + 2;
        let without = format!("{}{}", &text[..start], &text[end..]);
        let proposed = world.post(&world.admin, "/v1/policies", json!({"text": without, "purpose": "stop"})).await.expect(201);
        let review = world.get(&second, &format!("/v1/policies/{}", proposed.text("/matter/policy"))).await.expect(200);
        assert_eq!(review.text("/state"), "proposed");
        assert!(review.body["review"]["diff"].to_string().contains("issue-and-use"), "{}", review.body["review"]["diff"]);
        // What the workload was just given would be denied.
        assert!(review.body["review"]["replay"]["changed_count"].as_u64().unwrap() >= 1, "{}", review.body["review"]["replay"]);
        assert!(review.body["review"]["analysis"]["verdict"].is_string());
        world.get(&world.owner, &format!("/v1/policies/{}", proposed.text("/matter/policy"))).await.expect(403);
        let listed = world.get(&second, "/v1/policies?state=proposed").await.expect(200);
        assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
        world.get(&second, "/v1/policies").await.expect(200);
    }
}

in_real_time! {
    r51_renewal_by_itself_needs_its_conditions on World::binary(Store::Sqlite, &[]);
}

on_one! {
    async fn d26_a_policy_asks_more_of_one_application_resource_domain_team_or_action(world: World) {
        world.post(&world.admin, "/v1/data-domains", json!({"name": "invoices", "sensitivity": "internal"})).await.expect(201);
        let body = json!({"uri": "https://ledger.internal", "type": "database", "actions": ["read", "post"], "application": world.edge, "environment": "production", "data_domains": ["invoices"], "verification": "online"});
        let ledger = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let team = world.post(&world.admin, "/v1/teams", json!({"name": "payments"})).await.expect(201).text("/id");
        let (other_id, _) = world.person("Pia", &["owner"]).await;
        world.post(&world.admin, &format!("/v1/people/{other_id}/change"), json!({"teams": [team]})).await.expect(200);
        let charter = |owner: &str, application: &str, resource: &str, action: &str| {
            let mut charter = world.charter(Key::new().jwk());
            charter["owner"] = json!(owner);
            charter["application"] = json!(application);
            charter["scope"] = json!([{"actions": [action], "resource": resource}]);
            if resource == ledger {
                charter["data_domains"] = json!(["invoices"]);
            }
            charter
        };
        // What each says of three identities: one of billing that reads orders, one of edge on the ledger, one of
        // somebody in the team.
        let says = [
            ("context.applications.contains(\"billing\")", [true, false, true]),
            ("context.resources.contains(\"https://ledger.internal\")", [false, true, false]),
            ("context.data_domains.contains(\"invoices\")", [false, true, false]),
            ("context.teams.contains(\"payments\")", [false, false, true]),
            ("context.actions.contains(\"post\")", [false, true, false]),
        ];
        let mut text = world.get(&world.admin, "/v1/policy").await.expect(200).text("/text");
        let built_in = text.clone();
        for (n, (when, expected)) in says.into_iter().enumerate() {
            text = format!("{built_in}\n@id(\"more\") @doc(\"{n}\") forbid (principal, action == Action::\"route_owner_or_manager\", resource) when {{ {when} }};\n");
            world.post(&world.admin, "/v1/policies", json!({"text": text, "purpose": "test"})).await.expect(201);
            let subjects = [
                charter(&world.owner_id, &world.application, &world.orders, "read"),
                charter(&world.owner_id, &world.edge, &ledger, "post"),
                charter(&other_id, &world.application, &world.orders, "read"),
            ];
            for (m, (charter, more)) in subjects.into_iter().zip(expected).enumerate() {
                let asked = world.register(&format!("asked-{n}-{m}"), charter, "pending").await.expect(201).text("/request");
                let route = if more { "security" } else { "owner_or_manager" };
                assert_eq!(request(&world, &asked).await.text("/route"), route, "{when} of {m}");
            }
        }
        // An access is judged by what it touches, not by all that the charter has.
        let mut wide = charter(&world.owner_id, &world.application, &world.orders, "read");
        wide["coverage"] = json!("just_in_time");
        wide["data_domains"] = json!(["invoices"]);
        wide["scope"] = json!([{"actions": ["read"], "resource": world.orders}, {"actions": ["post"], "resource": ledger}]);
        let id = world.register("wide", wide, "pending").await.expect(201);
        world.approve(&world.security, &id.text("/request")).await.expect(200);
        let reads = world.ask(&world.owner, access(&id.text("/id"), &world.orders, "read", "30m"), "looks").await.expect(201);
        let posts = world.ask(&world.owner, access(&id.text("/id"), &ledger, "post", "30m"), "posts").await.expect(201);
        assert_eq!((reads.text("/route").as_str(), posts.text("/route").as_str()), ("owner_or_manager", "security"));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

on_one! {
    async fn d03_an_approver_votes_on_what_they_read(world: World) {
        let (id, _) = just_in_time(&world, "migrator").await;
        let opened = world.ask(&world.owner, access(&id, &world.orders, "read", "30m"), "migration 12").await.expect(201);
        let (request, read) = (opened.text("/id"), opened.text("/content_hash"));
        let folder = tempfile::tempdir().unwrap();
        let max = |arguments: &[&str], answers: Option<&str>| world.by_hand(&world.manager, folder.path(), arguments, answers);
        let shown = text(&max(&["request", "show", &request], None).stdout);
        for part in ["migration 12", "Olu (per_", "workload migrator (idn_", crate::world::ORDERS, "30m", "owner or manager", &read] {
            assert!(shown.contains(part), "{part} is missing in {shown}");
        }
        // The requester asks for something else meanwhile.
        world.call(Method::PUT, &world.owner, &format!("/v1/requests/{request}"), Some(json!({"purpose": "drop it all"}))).await.expect(200);
        for verb in ["approve", "deny"] {
            let unread = max(&["request", verb, &request, "--comment", "x"], None);
            assert_eq!(unread.status.code(), Some(2), "{}", text(&unread.stderr));
            assert!(text(&unread.stderr).contains("--content-hash"), "{}", text(&unread.stderr));
            let stale = max(&["request", verb, &request, "--comment", "x", "--content-hash", &read], None);
            assert_eq!(stale.status.code(), Some(1));
            assert!(text(&stale.stderr).contains("request_changed"), "{}", text(&stale.stderr));
            let silent = max(&["request", verb, &request, "--comment", "x"], Some("\n"));
            assert_eq!(silent.status.code(), Some(1), "{}", text(&silent.stdout));
        }
        assert_eq!(self::request(&world, &request).await.body["votes"], json!([]));
        let folder = tempfile::tempdir().unwrap();
        let max = |arguments: &[&str], answers: Option<&str>| world.by_hand(&world.manager, folder.path(), arguments, answers);
        max(&["request", "show", &request], None);
        world.call(Method::PUT, &world.owner, &format!("/v1/requests/{request}"), Some(json!({"purpose": "migration 13"}))).await.expect(200);
        let asked = max(&["request", "approve", &request], Some("y\n"));
        let terminal = text(&asked.stdout);
        assert_eq!(asked.status.code(), Some(0), "{terminal}");
        assert!(terminal.contains("was drop it all; is migration 13") && terminal.contains("Approve this? [y/N]"), "{terminal}");
        let voted = self::request(&world, &request).await;
        assert_eq!((voted.text("/state"), voted.text("/votes/0/purpose")), ("fulfilled".into(), "migration 13".into()));
    }

    async fn d03_a_request_tells_its_approver_all_that_the_vote_binds(world: World) {
        let charter = world.charter(Key::new().jwk());
        let pending = world.register("exporter", charter.clone(), "pending").await.expect(201);
        let (id, request) = (pending.text("/id"), pending.text("/request"));
        let facts = async |request: &str| -> std::collections::BTreeMap<String, (String, Option<String>)> {
            let view = world.get(&world.manager, &format!("/v1/requests/{request}")).await.expect(200);
            assert_eq!(view.body["brief"]["current"], true, "{}", view.body);
            let facts = view.body["brief"]["facts"].as_array().unwrap();
            facts.iter().map(|fact| (fact["field"].as_str().unwrap().to_owned(), (fact["value"].as_str().unwrap().to_owned(), fact["before"].as_str().map(str::to_owned)))).collect()
        };
        let activation = facts(&request).await;
        assert_eq!(activation["identity"].0, format!("workload exporter ({id})"));
        assert!(activation["scope"].0.ends_with(&format!(" on {} ({})", crate::world::ORDERS, world.orders)), "{activation:?}");
        assert_eq!(activation["owner"].0, format!("Olu ({})", world.owner_id));
        for bound in ["purpose", "environment", "expires_at", "workload_binding.type"] {
            assert!(activation.contains_key(bound), "{bound} is missing in {activation:?}");
        }
        let view = world.get(&world.manager, &format!("/v1/requests/{request}")).await.expect(200);
        let interested: Vec<&str> = view.body["interested"].as_array().unwrap().iter().map(|person| person.as_str().unwrap()).collect();
        let distinct: std::collections::BTreeSet<&str> = interested.iter().copied().collect();
        assert_eq!(distinct.len(), interested.len(), "each person stands there once: {interested:?}");
        world.approve(&world.manager, &request).await.expect(200);
        // What changes stands beside what is.
        let end = in_secs(50 * 86_400);
        let renewal = world.ask(&world.owner, json!({"type": "renewal", "identity": id, "until": end}), "goes on").await;
        if renewal.status == 201 {
            let facts = facts(&renewal.text("/id")).await;
            assert!(facts["until"].1.as_deref() == charter["expires_at"].as_str(), "{facts:?}");
        }
        let roles = world.post(&world.admin, &format!("/v1/people/{}/roles", world.owner_id), json!({"roles": ["owner", "security"], "purpose": "stands in"})).await.expect(201);
        let view = world.get(&world.admin, &format!("/v1/requests/{}", roles.text("/id"))).await.expect(200);
        assert!(view.text("/brief/summary").contains("the roles of Olu (per_"), "{}", view.body);
        // An identity that reads its own request learns nobody's name by it.
        assert!(world.get(&world.manager, "/v1/requests").await.expect(200).body["items"].as_array().unwrap().iter().all(|item| item["brief"].is_null()));
    }
}
