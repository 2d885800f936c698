//! What no policy set takes away (S-9): taking authority away, and the way back to the built-in set.

use serde_json::json;

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
            propose(&world, other, BUILT_IN).await.expect(if *other == world.security { 201 } else { 403 });
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
}
