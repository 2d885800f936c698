//! What no policy set takes away (S-9): taking authority away, and the way back to the built-in set.

use reqwest::Method;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, Key, World};

const BUILT_IN: &str = tenure_policy::DEFAULT_POLICIES;

/// Forbids everything to everybody, but for what the checks of a proposal ask and what puts it in force.
const LOCKED: &str = r#"
@id("locked")
@control("NHI5:2025")
@doc("Nobody does anything.")
forbid (principal, action, resource)
unless { action == Action::"approve" || (principal is Person && principal == Person::"someone") };
"#;

/// Approves by itself whatever isn't of high risk and lasts an hour at most: what is asked about Tenure itself has
/// neither a risk nor a duration.
const LIGHT: &str = r#"
@id("short-and-light")
@control("NHI7:2025")
@doc("No approval for what is short and of no high risk.")
permit (principal, action == Action::"route_auto", resource)
when { context.tier != "high" && context.duration_secs <= 3600 };
"#;

/// The built-in set without one of its policies, and with more.
fn edited(without: &str, more: &str) -> String {
    let begin = BUILT_IN.find(&format!("@id(\"{without}\")")).unwrap();
    let end = begin + BUILT_IN[begin..].find("\n\n").unwrap();
    format!("{}{}{more}", &BUILT_IN[..begin], &BUILT_IN[end..])
}

async fn propose(world: &World, caller: &str, text: &str) -> Answer {
    world.post(caller, "/v1/policies", json!({"text": text, "purpose": "test"})).await
}

on_one! {
    async fn a02_no_set_bars_taking_authority_away_or_the_way_back(world: World) {
        let key = Key::new();
        let id = world.active("exporter", world.charter(key.jwk())).await;
        let token = world.token(&key, &id, "production").await;
        assert_eq!(propose(&world, &world.admin, &format!("{BUILT_IN}{LOCKED}")).await.expect(201).text("/state"), "fulfilled");
        // Nothing is given any more, and no other set is taken.
        world.post(&world.admin, "/v1/people", json!({"name": "Eve"})).await.expect(403);
        assert_eq!(propose(&world, &world.admin, &format!("{BUILT_IN}// As it was.\n")).await.expect(403).code(), "not_allowed");
        // Security stops anything, an owner what is theirs, and nobody what is somebody else's.
        let suspend = format!("/v1/identities/{id}/suspend");
        let reason = json!({"reason": "test"});
        for stranger in [&world.manager, &world.admin, &world.auditor] {
            world.post(stranger, &suspend, reason.clone()).await.expect(403);
        }
        let hold = json!({"scope": {"type": "identity", "id": id}, "reason": "test"});
        world.post(&world.manager, "/v1/holds", hold.clone()).await.expect(403);
        world.post(&world.security, "/v1/holds", hold).await.expect(201);
        world.post(&world.owner, &suspend, reason.clone()).await.expect(200);
        world.post(&world.security, &suspend, reason).await.expect(200);
        world.revoke("identity", &id).await.expect(201);
        assert!(!world.is_live(&token).await);
        // An administrator reads what is in force, and goes back.
        let in_force = world.get(&world.admin, "/v1/policy").await.expect(200);
        assert!(in_force.text("/text").ends_with(LOCKED));
        for other in [&world.security, &world.owner, &world.auditor] {
            let proposed = propose(&world, other, BUILT_IN).await.expect(if *other == world.security { 201 } else { 403 });
            // Alone is the administrator, and nobody else in their place.
            assert!(*other != world.security || proposed.text("/state") == "open");
        }
        assert_eq!(propose(&world, &world.admin, BUILT_IN).await.expect(201).text("/state"), "fulfilled");
        assert_eq!(world.get(&world.admin, "/v1/policy").await.expect(200).text("/text"), BUILT_IN);
        world.post(&world.admin, "/v1/people", json!({"name": "Eve"})).await.expect(201);
    }

    async fn a02_two_administrators_go_back_together(world: World) {
        propose(&world, &world.admin, &format!("{BUILT_IN}{LOCKED}")).await.expect(201);
        propose(&world, &world.admin, BUILT_IN).await.expect(201);
        let (_, second) = world.person("Ben", &["administrator"]).await;
        let locked = propose(&world, &world.admin, &format!("{BUILT_IN}{LOCKED}")).await.expect(201);
        assert_eq!(locked.text("/state"), "open");
        world.approve(&second, &locked.text("/id")).await.expect(200);
        world.post(&world.admin, "/v1/people", json!({"name": "Eve"})).await.expect(403);
        // The author does not put it in force alone; the other reads what the vote binds.
        let back = propose(&world, &world.admin, BUILT_IN).await.expect(201);
        let id = back.text("/id");
        assert_eq!(world.approve(&world.admin, &id).await.expect(403).code(), "self_approval");
        world.get(&second, &format!("/v1/requests/{id}")).await.expect(200);
        assert_eq!(world.approve(&second, &id).await.expect(200).text("/state"), "fulfilled");
        world.post(&world.admin, "/v1/people", json!({"name": "Eve"})).await.expect(201);
    }

    async fn a02_a_set_that_locks_out_is_refused_when_it_is_proposed(world: World) {
        let before = world.changes().await;
        for (rule, told) in [
            ("forbid (principal, action, resource);", "nobody could change the policy"),
            ("forbid (principal, action == Action::\"suspend\", resource);", "security could not suspend"),
            ("forbid (principal, action in [Action::\"suspend\", Action::\"revoke\"], resource is Inventory) unless { context.owns };", "security could not revoke"),
            ("forbid (principal, action == Action::\"complete\", resource) when { context.owns };", "an owner could not complete"),
            ("forbid (principal, action == Action::\"revoke\", resource is Inventory) when { resource.environment == \"production\" };", "security could not revoke"),
            ("forbid (principal, action == Action::\"read\", resource);", "security could not read"),
            ("forbid (principal, action == Action::\"request\", resource) when { context.matter == \"policy\" };", "nobody could change the policy"),
            ("forbid (principal, action == Action::\"route_administrator\", resource) when { context.matter == \"policy\" };", "nobody could change the policy"),
            ("forbid (principal, action == Action::\"approve\", resource) when { context.matter == \"policy\" && context.single_person };", "nobody could change the policy"),
        ] {
            let rule = format!("{BUILT_IN}\n@id(\"locks\")\n@control(\"NHI5:2025\")\n@doc(\"x\")\n{rule}\n");
            let refused = propose(&world, &world.admin, &rule).await.expect(422);
            let codes = refused.field_codes();
            assert!(!codes.is_empty() && codes.iter().all(|code| code == "policy_locks_out"), "{rule}: {}", refused.body);
            assert!(refused.body.to_string().contains(told), "{told}: {}", refused.body);
        }
        assert_eq!(world.changes().await, before);
        // Alone, too, whoever puts a set in force is judged by it as well: under this one nobody is left who could.
        let not_by_them = format!("{BUILT_IN}\n@id(\"not-me\")\n@control(\"NHI5:2025\")\n@doc(\"x\")\nforbid (principal, action == Action::\"approve\", resource) unless {{ principal is Person && principal == Person::\"someone\" }};\n");
        assert_eq!(propose(&world, &world.admin, &not_by_them).await.expect(403).code(), "no_route");
    }

    async fn a02_tenure_itself_changes_by_an_administrators_vote_whatever_a_set_permits(world: World) {
        let light = edited("cross-class", LIGHT);
        assert_eq!(propose(&world, &world.admin, &light).await.expect(201).text("/state"), "fulfilled");
        let (_, second) = world.person("Ben", &["administrator"]).await;
        let (eve, _) = world.person("Eve", &[]).await;
        let person = world.get(&world.admin, &format!("/v1/people/{eve}")).await.expect(200);
        world.post(&world.admin, "/v1/data-domains", json!({"name": "sales", "sensitivity": "restricted"})).await.expect(201);
        // Roles and what authority rests on wait for another administrator.
        let roles = world.post(&world.admin, &format!("/v1/people/{eve}/roles"), json!({"roles": ["administrator", "security"], "purpose": "x"})).await.expect(201);
        let lower = json!({"sensitivity": "public", "purpose": "x"});
        let lower = world.at(Method::PUT, &world.admin, "/v1/data-domains/sales", Some("*"), &lower).await.expect(201);
        for asked in [&roles, &lower] {
            let id = asked.text("/id");
            assert_eq!((asked.text("/state"), asked.text("/route")), ("open".to_owned(), "administrator".to_owned()), "{}", asked.body);
            assert_eq!(world.approve(&world.admin, &id).await.expect(403).code(), "self_approval");
        }
        assert_eq!(world.get(&world.admin, &format!("/v1/people/{eve}")).await.expect(200).body["roles"], person.body["roles"]);
        assert_eq!(world.approve(&second, &roles.text("/id")).await.expect(200).text("/state"), "fulfilled");
        // So does another set, and a second administrator puts it in force.
        let other = propose(&world, &world.admin, &format!("{light}// Once more.\n")).await.expect(201);
        assert_eq!((other.text("/state"), other.text("/route")), ("open".to_owned(), "administrator".to_owned()));
        assert_eq!(world.approve(&second, &other.text("/id")).await.expect(200).text("/state"), "fulfilled");
    }

    async fn a02_a_set_that_bars_the_one_route_of_a_policy_is_refused(world: World) {
        let barred = "@id(\"bars\")\nforbid (principal, action == Action::\"route_administrator\", resource);\n";
        let refused = propose(&world, &world.admin, &edited("cross-class", &format!("{LIGHT}{barred}"))).await.expect(422);
        assert_eq!(refused.field_codes(), ["policy_locks_out"]);
    }

    async fn a01_a_set_that_takes_long_to_decide_is_refused_before_it_is_read(world: World) {
        let before = world.changes().await;
        let slow = format!("\"{}\" like \"*{}b\"", "a".repeat(3_000), "a".repeat(2_000));
        let slow = format!("{BUILT_IN}@id(\"slow\")\nforbid (principal, action, resource) when {{ {slow} }};\n");
        let refused = propose(&world, &world.security, &slow).await.expect(422);
        let line = slow.lines().count();
        assert_eq!((refused.field_codes().as_slice(), refused.text("/fields/0/field")), (["policy_invalid".to_owned()].as_slice(), format!("policies:{line}:45")));
        assert!(refused.body.to_string().contains("more than 1024 bytes"), "{}", refused.body);
        assert_eq!(world.changes().await, before);
    }

    async fn a02_trust_is_taken_back_and_what_ends_is_read_under_any_set(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let (eve, _) = world.person("Eve", &[]).await;
        let mut made = Vec::new();
        for (path, body) in [
            ("/v1/sources", crate::signals::registration(&world, "one", "cloud_events", "hmac")),
            ("/v1/sources", crate::signals::registration(&world, "two", "cloud_events", "hmac")),
            ("/v1/invitations", json!({"person": eve})),
            ("/v1/invitations", json!({"person": eve})),
        ] {
            made.push(format!("{path}/{}", world.post(&world.admin, path, body).await.expect(201).text("/id")));
        }
        world.post(&world.admin, "/v1/data-domains", json!({"name": "sales", "sensitivity": "internal"})).await.expect(201);
        let shut = r#"
@id("shut")
forbid (principal, action in [Action::"trust", Action::"administer", Action::"enable", Action::"signal"], resource);
@id("blind")
forbid (principal, action == Action::"read", resource)
unless { principal is Person && principal == Person::"someone" };
"#;
        propose(&world, &world.admin, &format!("{BUILT_IN}{shut}")).await.expect(201);
        // Nothing new is trusted or made, and nobody reads who takes nothing away.
        world.post(&world.admin, "/v1/sources", crate::signals::registration(&world, "three", "cloud_events", "hmac")).await.expect(403);
        world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(403);
        // Security reads what it ends, an owner what is theirs, an administrator what they take back.
        for path in [format!("/v1/identities/{id}"), "/v1/identities".into(), "/v1/receipts".into(), "/v1/holds".into(), "/v1/removals".into(), made[0].clone()] {
            world.get(&world.security, &path).await.expect(200);
        }
        world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200);
        world.get(&world.admin, &made[0]).await.expect(200);
        world.get(&world.admin, &format!("/v1/identities/{id}")).await.expect(403);
        for (who, source, invitation) in [(&world.admin, &made[0], &made[2]), (&world.security, &made[1], &made[3])] {
            world.post(&world.owner, &format!("{source}/remove"), json!({"reason": "test"})).await.expect(403);
            world.post(who, &format!("{source}/remove"), json!({"reason": "test"})).await.expect(200);
            world.post(who, &format!("{invitation}/revoke"), json!({})).await.expect(200);
        }
        // What is reached is narrowed by an administrator, and by nobody widened.
        let narrow = async |who: &str, path: &str, body: Value| {
            let request = world.http.request(Method::PATCH, format!("{}{path}", world.server.url)).bearer_auth(who).header("If-Match", "*");
            World::answer(request.json(&body)).await
        };
        let orders = format!("/v1/resources/{}", world.orders);
        narrow(&world.security, &orders, json!({"actions": ["read"]})).await.expect(403);
        narrow(&world.admin, &orders, json!({"actions": ["read"]})).await.expect(200);
        narrow(&world.admin, "/v1/environments/staging", json!({"signing_algorithm": "RS256"})).await.expect(403);
        narrow(&world.admin, "/v1/environments/staging", json!({"production": true})).await.expect(200);
        let raised = world.at(Method::PUT, &world.admin, "/v1/data-domains/sales", Some("*"), &json!({"sensitivity": "restricted"})).await.expect(200);
        assert_eq!(raised.text("/sensitivity"), "restricted");
    }
}
