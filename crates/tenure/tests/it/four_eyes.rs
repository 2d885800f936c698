//! Attacks by one person who would get alone what takes two (S-8, S-9, S-10), and renewals by another name.

use reqwest::Method;
use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Key, World, in_secs};

/// Pays with a restricted resource, so that the manager and security have to agree, for whomever the charter says.
pub async fn high_risk(world: &World, beneficiary: &str) -> Value {
    world
        .post(&world.admin, "/v1/data-domains", json!({"name": "payments", "sensitivity": "restricted"}))
        .await
        .expect(201);
    let mut charter = world.charter(Key::new().jwk());
    charter["data_domains"] = json!(["payments"]);
    charter["parties"]["beneficiary"] = json!(beneficiary);
    charter
}

on_one! {
    async fn s10_an_administrator_who_gets_rid_of_the_other_is_not_the_only_one(world: World) {
        let (second_id, _) = world.person("Bea", &["administrator"]).await;
        let (third_id, _) = world.person("Cas", &[]).await;
        let roles = json!({"roles": ["administrator"], "purpose": "helps"});
        let because = json!({"reason": "in the way"});
        for step in ["suspend", "depart"] {
            world.post(&world.admin, &format!("/v1/people/{second_id}/{step}"), because.clone()).await.expect(200);
            // What took two people still does, and there is no second.
            let asked = world.post(&world.admin, &format!("/v1/people/{third_id}/roles"), roles.clone()).await.expect(403);
            assert_eq!(asked.code(), "no_route", "{step}");
            let text = world.get(&world.admin, "/v1/policy").await.expect(200).text("/text");
            let proposed = json!({"text": format!("{text}\n// {step}\n"), "purpose": "mine"});
            assert_eq!(world.post(&world.admin, "/v1/policies", proposed).await.expect(403).code(), "no_route", "{step}");
            let invited = world.post(&world.admin, "/v1/invitations", json!({"person": world.security_id})).await.expect(201);
            assert_eq!((&invited.body["good"], &invited.body["single_person"]), (&json!(false), &json!(false)), "{step}");
        }
        assert_eq!(world.get(&world.admin, &format!("/v1/people/{third_id}")).await.expect(200).body["roles"], json!([]));
    }

    async fn s9_nobody_hands_themselves_what_somebody_else_answers_for(world: World) {
        let (thief_id, thief) = world.person("Eve", &["security", "owner"]).await;
        let (id, _) = world.exporter("exporter").await;
        let path = format!("/v1/identities/{id}/transfer");
        let to_herself = json!({"to": thief_id});
        assert_eq!(world.post(&thief, &path, to_herself.clone()).await.expect(403).code(), "same_person");
        // Nor by way of an offer to somebody else, nor of an owner whom she suspends.
        let (heir, _) = world.person("Hal", &["owner"]).await;
        let transfer = world.post(&thief, &path, json!({"to": heir})).await.expect(201).text("/id");
        let offer = format!("/v1/transfers/{transfer}/offer");
        assert_eq!(world.post(&thief, &offer, to_herself.clone()).await.expect(403).code(), "same_person");
        world.post(&thief, &format!("/v1/people/{}/suspend", world.owner_id), json!({"reason": "in the way"})).await.expect(200);
        assert_eq!(world.post(&thief, &offer, to_herself.clone()).await.expect(403).code(), "same_person");
        // Two people may.
        world.post(&world.security, &offer, to_herself).await.expect(200);
    }

    async fn s8_who_gained_when_it_was_asked_never_becomes_an_approver(world: World) {
        let team = world.post(&world.admin, "/v1/teams", json!({"name": "payers"})).await.expect(201).text("/id");
        let join = json!({"teams": [team]});
        world.post(&world.admin, &format!("/v1/people/{}/change", world.security_id), join.clone()).await.expect(200);
        // There is somebody else of security: without, nothing would open.
        world.person("Sue", &["security"]).await;
        let charter = high_risk(&world, &team).await;
        let pending = world.register("payer", charter, "pending").await.expect(201).text("/request");
        assert_eq!(world.approve(&world.security, &pending).await.expect(403).code(), "self_approval");
        // A second member makes the team another than the one person; for what was asked before it makes no difference.
        let (other, _) = world.person("Pat", &["requester"]).await;
        world.post(&world.admin, &format!("/v1/people/{other}/change"), join).await.expect(200);
        assert_eq!(world.approve(&world.security, &pending).await.expect(403).code(), "self_approval");
        world.call(Method::PUT, &world.owner, &format!("/v1/requests/{pending}"), Some(json!({"purpose": "the same"}))).await.expect(200);
        assert_eq!(world.approve(&world.security, &pending).await.expect(403).code(), "self_approval");
    }

    async fn s8_who_answers_for_the_identity_that_gains_is_no_approver(world: World) {
        let (sue, sue_token) = world.person("Sue", &["security", "owner"]).await;
        let mut hers = world.charter(Key::new().jwk());
        hers["owner"] = json!(sue);
        let hers = world.register("hers", hers, "draft").await.expect(201).text("/id");
        let charter = high_risk(&world, &hers).await;
        let pending = world.register("payer", charter, "pending").await.expect(201).text("/request");
        assert_eq!(world.approve(&sue_token, &pending).await.expect(403).code(), "self_approval");
        world.approve(&world.security, &pending).await.expect(200);
    }

    async fn r50_a_later_end_in_a_wider_charter_is_held_to_what_a_renewal_is(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let later = async |days: i64| {
            let mut charter = world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200).body["charter"].clone();
            charter["expires_at"] = json!(in_secs(days * 86_400));
            world.ask(&world.owner, json!({"type": "charter", "identity": id, "charter": charter}), "goes on").await
        };
        // Never used: as with a renewal, no route leads there.
        let refused = later(60).await.expect(403);
        assert_eq!((refused.code().as_str(), &refused.body["policies"]), ("no_route", &json!(["unverified-need"])));
        world.token(&key, &id, "production").await;
        assert_eq!(later(200).await.expect(403).code(), "over_ceiling");
        let asked = later(60).await.expect(201).text("/id");
        world.approve(&world.manager, &asked).await.expect(200);
    }
}
