//! Out of office, and asking back: whose vote it is, and what leaves votes as they are (S-8).

use reqwest::Method;
use serde_json::{Value, json};

use crate::four_eyes::high_risk;
use crate::on_one;
use crate::world::{Answer, Key, World, in_secs};

async fn named(world: &World, token: &str, who: &str, body: Value) -> Answer {
    world.call(Method::PUT, token, &format!("/v1/people/{who}/stand-in"), Some(body)).await
}

/// Names somebody for a day.
async fn away(world: &World, token: &str, who: &str, to: &str) {
    named(world, token, who, json!({"person": to, "until": in_secs(86_400)})).await.expect(200);
}

/// An activation that waits for the owner's manager and for security.
async fn asked(world: &World) -> String {
    let charter = high_risk(world, "finance").await;
    world.register("payer", charter, "pending").await.expect(201).text("/request")
}

async fn request(world: &World, token: &str, id: &str) -> Answer {
    world.get(token, &format!("/v1/requests/{id}")).await
}

/// What waits for somebody's vote.
async fn waiting(world: &World, token: &str) -> Vec<String> {
    let found = world.get(token, "/v1/waiting").await.expect(200);
    found.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

async fn note(world: &World, token: &str, id: &str, text: &str) -> Answer {
    world.post(token, &format!("/v1/requests/{id}/notes"), json!({"text": text})).await
}

on_one! {
    async fn s8_a_stand_in_votes_where_somebody_is_named_and_away(world: World) {
        let (mia_id, mia) = world.person("Mia", &["manager"]).await;
        let id = asked(&world).await;
        assert_eq!(world.approve(&mia, &id).await.expect(403).code(), "not_eligible");
        away(&world, &world.manager, &world.manager_id, &mia_id).await;
        let seen = request(&world, &mia, &id).await.expect(200);
        assert_eq!((seen.text("/stand_ins/0/person"), seen.text("/stand_ins/0/instead_of")), (mia_id.clone(), world.manager_id.clone()));
        let voted = world.approve(&mia, &id).await.expect(200);
        assert_eq!((voted.text("/state"), voted.text("/votes/0/by"), voted.text("/votes/0/instead_of")), ("open".into(), mia_id.clone(), world.manager_id.clone()));
        // The place is filled, and the two are one person.
        world.approve(&world.manager, &id).await.expect(403);
        world.approve(&mia, &id).await.expect(403);
        assert_eq!(world.approve(&world.security, &id).await.expect(200).text("/state"), "fulfilled");
        let event = &world.events_of("request.voted", &id).await[0];
        assert_eq!(event["data"]["instead_of"], json!(world.manager_id));
        let told = &world.events_of("person.stand_in_named", &mia_id).await[0];
        assert_eq!((&told["data"]["notify"]["to"], &told["data"]["stand_in"]), (&json!([mia_id]), &json!(mia_id)));
    }

    async fn s8_what_waits_for_who_is_away_waits_for_their_stand_in(world: World) {
        let (mia_id, mia) = world.person("Mia", &["manager"]).await;
        let (moe_id, moe) = world.person("Moe", &["manager"]).await;
        let id = asked(&world).await;
        assert_eq!(waiting(&world, &mia).await, [] as [String; 0]);
        // Named for later, they stand in later; a stand-in of theirs stands in for nobody else.
        named(&world, &world.manager, &world.manager_id, json!({"person": mia_id, "from": in_secs(600), "until": in_secs(3_600)})).await.expect(200);
        assert_eq!(waiting(&world, &mia).await, [] as [String; 0]);
        world.pass(660).await;
        named(&world, &mia, &mia_id, json!({"person": moe_id, "until": in_secs(3_600)})).await.expect(200);
        assert_eq!((waiting(&world, &mia).await, waiting(&world, &moe).await), (vec![id.clone()], vec![]));
        assert!(crate::console::page(&world, &mia, "/waiting").await.expect(200).text.contains(&id));
        // Whoever is suspended is nobody to stand in for.
        let manager = format!("/v1/people/{}", world.manager_id);
        world.post(&world.security, &format!("{manager}/suspend"), json!({"reason": "lost laptop"})).await.expect(200);
        assert_eq!(waiting(&world, &mia).await, [] as [String; 0]);
        let (_, sid) = world.person("Sid", &["security"]).await;
        world.post(&sid, &format!("{manager}/resume"), json!({"reason": "found"})).await.expect(200);
        // Whoever of the two has voted, it waits for neither.
        assert_eq!((waiting(&world, &mia).await, waiting(&world, &world.manager).await), (vec![id.clone()], vec![id.clone()]));
        world.approve(&mia, &id).await.expect(200);
        assert_eq!((waiting(&world, &mia).await, waiting(&world, &world.manager).await), (vec![], vec![]));
        let more = async |name: &str| {
            let mut charter = world.charter(Key::new().jwk());
            charter["data_domains"] = json!(["payments"]);
            world.register(name, charter, "pending").await.expect(201).text("/request")
        };
        let other = more("second-payer").await;
        world.approve(&world.manager, &other).await.expect(200);
        assert_eq!(waiting(&world, &mia).await, [] as [String; 0]);
        // Once they are back, it waits for them alone.
        let last = more("third-payer").await;
        assert_eq!(waiting(&world, &mia).await, vec![last.clone()]);
        world.pass(3_600).await;
        assert_eq!((waiting(&world, &mia).await, waiting(&world, &world.manager).await), (vec![], vec![last]));
    }

    async fn s8_what_somebody_asked_for_waits_for_no_stand_in_of_theirs(world: World) {
        let (ola_id, ola) = world.person("Ola", &["owner"]).await;
        away(&world, &world.owner, &world.owner_id, &ola_id).await;
        let mut charter = world.charter(Key::new().jwk());
        charter["coverage"] = json!("just_in_time");
        let identity = world.active("exporter", charter).await;
        let ask = json!({"type": "access", "identity": identity, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "1h"});
        let own = world.ask(&world.owner, ask, "migration").await.expect(201).text("/id");
        assert_eq!((waiting(&world, &ola).await, waiting(&world, &world.manager).await), (vec![], vec![own]));
    }

    async fn s8_one_person_stands_in_for_a_bounded_number_of_others(world: World) {
        let (mia_id, mia) = world.person("Mia", &["manager"]).await;
        for n in 0..20 {
            let (id, token) = world.person(&format!("Boss {n}"), &["manager"]).await;
            named(&world, &token, &id, json!({"person": mia_id, "until": in_secs(600)})).await.expect(200);
            // Again, for longer, is no other.
            named(&world, &token, &id, json!({"person": mia_id, "until": in_secs(700)})).await.expect(200);
        }
        let answer = named(&world, &world.manager, &world.manager_id, json!({"person": mia_id, "until": in_secs(86_400)})).await.expect(422);
        assert_eq!(answer.field_codes(), ["stand_in_taken"]);
        assert_eq!(waiting(&world, &mia).await, [] as [String; 0]);
        // Whose time is over counts no more.
        world.pass(701).await;
        named(&world, &world.manager, &world.manager_id, json!({"person": mia_id, "until": in_secs(86_400)})).await.expect(200);
    }

    async fn s8_nobody_approves_through_a_stand_in_what_they_could_not_approve(world: World) {
        // What one asked for oneself.
        let (ola_id, ola) = world.person("Ola", &["owner"]).await;
        away(&world, &world.owner, &world.owner_id, &ola_id).await;
        let mut charter = world.charter(Key::new().jwk());
        charter["coverage"] = json!("just_in_time");
        let identity = world.active("exporter", charter).await;
        let ask = json!({"type": "access", "identity": identity, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "1h"});
        let own = world.ask(&world.owner, ask, "migration").await;
        world.approve(&ola, &own.expect(201).text("/id")).await.expect(403);
        // A stand-in's stand-in.
        let (mia_id, mia) = world.person("Mia", &["manager"]).await;
        let (moe_id, moe) = world.person("Moe", &["manager"]).await;
        away(&world, &world.manager, &world.manager_id, &mia_id).await;
        away(&world, &mia, &mia_id, &moe_id).await;
        let id = asked(&world).await;
        assert_eq!(world.approve(&moe, &id).await.expect(403).code(), "not_eligible");
        // Nor for somebody who may not act any more.
        world.post(&world.security, &format!("/v1/people/{}/suspend", world.manager_id), json!({"reason": "gone"})).await.expect(200);
        assert_eq!(world.approve(&mia, &id).await.expect(403).code(), "not_eligible");
    }

    async fn s8_what_a_third_party_operates_waits_for_no_stand_in_from_outside(world: World) {
        world.post(&world.admin, "/v1/data-domains", json!({"name": "sales", "sensitivity": "internal"})).await.expect(201);
        let body = json!({"name": "acme", "contact": "soc@acme.example", "owner": world.owner_id, "data_domains": ["sales"], "ends_at": in_secs(60 * 86_400)});
        let vendor = world.post(&world.admin, "/v1/vendors", body).await.expect(201).text("/id");
        let (rae, requester) = world.person("Rae", &["requester"]).await;
        let contractor = json!({"name": "Con", "roles": ["owner"], "class": "contractor", "ends_at": in_secs(60 * 86_400)});
        let (con_id, con) = world.person_as(contractor).await;
        let (emp_id, emp) = world.person("Emp", &["owner"]).await;
        away(&world, &world.owner, &world.owner_id, &con_id).await;
        let mut charter = world.charter(Key::new().jwk());
        (charter["vendor"], charter["data_domains"]) = (json!(vendor), json!(["sales"]));
        charter["parties"]["requester"] = json!(rae);
        let body = json!({"kind": "integration", "name": "sync", "charter": charter, "stage": "pending"});
        let id = world.post(&requester, "/v1/identities", body).await.expect(201).text("/request");
        // They are offered nothing that would be refused them, and are no stand-in of it.
        assert_eq!((waiting(&world, &con).await, waiting(&world, &world.owner).await), (vec![], vec![id.clone()]));
        assert!(!crate::console::page(&world, &con, "/waiting").await.expect(200).text.contains(&id));
        world.approve(&con, &id).await.expect(403);
        assert!(request(&world, &world.security, &id).await.body["stand_ins"].as_array().is_none_or(Vec::is_empty));
        away(&world, &world.owner, &world.owner_id, &emp_id).await;
        assert_eq!(waiting(&world, &emp).await, vec![id.clone()]);
        assert_eq!(request(&world, &world.security, &id).await.text("/stand_ins/0/person"), emp_id);
        world.approve(&emp, &id).await.expect(200);
    }

    async fn s8_who_is_away_and_who_stands_in_are_one_person_in_two_places(world: World) {
        // The manager is of security, too, and so is one stand-in.
        let (mo_id, mo) = world.person("Mo", &["manager", "security"]).await;
        let (sia_id, sia) = world.person("Sia", &["manager", "security"]).await;
        world.post(&world.admin, &format!("/v1/people/{}/change", world.owner_id), json!({"manager": mo_id})).await.expect(200);
        away(&world, &mo, &mo_id, &sia_id).await;
        let id = asked(&world).await;
        assert_eq!(world.approve(&sia, &id).await.expect(200).text("/votes/0/instead_of"), mo_id);
        for token in [&sia, &mo] {
            let again = world.approve(token, &id).await.expect(403);
            assert_eq!(again.code(), "self_approval");
        }
        assert_eq!(request(&world, &world.security, &id).await.text("/state"), "open");
        assert_eq!(world.approve(&world.security, &id).await.expect(200).text("/state"), "fulfilled");
    }

    async fn s8_a_vote_of_a_stand_in_falls_with_their_naming_and_not_with_its_time(world: World) {
        let (mia_id, mia) = world.person("Mia", &["manager"]).await;
        let back = format!("/v1/people/{}/end-stand-in", world.manager_id);
        away(&world, &world.manager, &world.manager_id, &mia_id).await;
        let id = asked(&world).await;
        world.approve(&mia, &id).await.expect(200);
        world.post(&world.manager, &back, json!({})).await.expect(200);
        // Named by mistake: what they said counts no more, and they learn nothing new.
        let voted = world.approve(&world.security, &id).await.expect(200);
        assert_eq!((voted.text("/state"), &voted.body["waits_for"]), ("open".into(), &json!([["manager"]])));
        world.approve(&mia, &id).await.expect(403);
        assert_eq!(world.post(&world.manager, &back, json!({})).await.expect(409).code(), "illegal_transition");
        assert_eq!(world.approve(&world.manager, &id).await.expect(200).text("/state"), "fulfilled");
        assert_eq!(world.events_of("person.stand_in_ended", &world.manager_id).await.len(), 1);
    }

    async fn s8_a_stand_in_is_named_by_oneself_for_a_time_and_for_what_they_could_do(world: World) {
        let (mia_id, mia) = world.person("Mia", &["manager"]).await;
        let (rex_id, _) = world.person("Rex", &["requester"]).await;
        let me = &world.manager_id;
        let code = |answer: &Answer| answer.field_codes().join(",");
        let tomorrow = in_secs(86_400);
        for (body, wanted) in [
            (json!({"person": me, "until": tomorrow}), "stand_in_oneself"),
            (json!({"person": rex_id, "until": tomorrow}), "stand_in_without_role"),
            (json!({"person": format!("per_{}", "0".repeat(25) + "1"), "until": tomorrow}), "person_unknown"),
            (json!({"person": mia_id, "until": in_secs(91 * 86_400)}), "until_out_of_range"),
            (json!({"person": mia_id, "until": in_secs(-1)}), "until_out_of_range"),
            (json!({"person": mia_id, "from": in_secs(-86_400), "until": tomorrow}), "from_out_of_range"),
        ] {
            let answer = named(&world, &world.manager, me, body).await.expect(422);
            assert_eq!(code(&answer), wanted);
        }
        // Nobody sends somebody else away, not even who administers.
        for token in [&mia, &world.admin, &world.security] {
            named(&world, token, me, json!({"person": mia_id, "until": tomorrow})).await.expect(404);
            world.post(token, &format!("/v1/people/{me}/end-stand-in"), json!({})).await.expect(404);
        }
        // Before it begins it means nothing.
        named(&world, &world.manager, me, json!({"person": mia_id, "from": in_secs(600), "until": in_secs(1_200)})).await.expect(200);
        let id = asked(&world).await;
        world.approve(&mia, &id).await.expect(403);
        // And who is away then is nobody's stand-in.
        let (moe_id, moe) = world.person("Moe", &["manager"]).await;
        let answer = named(&world, &moe, &moe_id, json!({"person": me, "until": tomorrow})).await.expect(422);
        assert_eq!(code(&answer), "stand_in_away");
        world.pass(660).await;
        world.approve(&mia, &id).await.expect(200);
        world.pass(660).await;
        // It is over: nothing new is theirs, and what they said while it stood counts.
        assert_eq!(world.approve(&world.security, &id).await.expect(200).text("/state"), "fulfilled");
    }

    async fn s8_asking_back_leaves_votes_and_an_edit_voids_them(world: World) {
        let id = asked(&world).await;
        let lapses = request(&world, &world.security, &id).await.text("/lapses_at");
        let (_, ola) = world.person("Ola", &["owner"]).await;
        world.approve(&world.security, &id).await.expect(200);
        // An answer to nothing, and questions of those who have no say.
        assert_eq!(note(&world, &world.owner, &id, "please").await.expect(409).code(), "illegal_transition");
        for token in [&ola, &world.admin, &world.auditor] {
            assert_eq!(note(&world, token, &id, "why?").await.expect(403).code(), "not_eligible");
        }
        for text in ["", "  ", &"x".repeat(1_001)] {
            assert_eq!(note(&world, &world.manager, &id, text).await.expect(422).field_codes(), ["note_malformed"]);
        }
        let question = note(&world, &world.manager, &id, "until when <exactly>?\nper_x").await.expect(200);
        assert_eq!((question.text("/state"), question.body["votes"].as_array().unwrap().len(), question.text("/lapses_at")), ("open".into(), 1, lapses.clone()));
        let event = &world.events_of("request.asked_back", &id).await[0];
        assert_eq!((&event["data"]["note"], &event["data"]["notify"]["to"]), (&json!("until when <exactly>?\nper_x"), &json!([world.owner_id])));
        // What somebody wrote stands in one line, and looks like nothing that we say.
        assert!(event["data"]["notify"]["text"].as_str().unwrap().contains("until when <exactly>? per_x\nIt stays open"));
        let answer = note(&world, &world.owner, &id, "until March").await.expect(200);
        assert_eq!((answer.text("/notes/0/kind"), answer.text("/notes/1/kind")), ("question".into(), "answer".into()));
        assert_eq!(world.events_of("request.explained", &id).await[0]["data"]["notify"]["to"], json!([world.manager_id]));
        assert_eq!(note(&world, &world.owner, &id, "and more").await.expect(409).code(), "illegal_transition");
        // An edit voids the vote, and leaves what was said.
        let path = format!("/v1/requests/{id}");
        let edited = world.call(Method::PUT, &world.owner, &path, Some(json!({"purpose": "until March"}))).await.expect(200);
        assert_eq!((edited.body["votes"].as_array().unwrap().len(), edited.body["notes"].as_array().unwrap().len()), (0, 2));
        let read = request(&world, &world.security, &id).await;
        assert_eq!((read.text("/brief/edited/0/field"), read.text("/brief/edited/0/value")), ("purpose".into(), "until March".into()));
        assert!(read.body["brief"]["tier_because"].as_array().unwrap().contains(&json!("it touches restricted data")), "{}", read.body["brief"]);
        // So many questions, and no more.
        for n in 1..10 {
            note(&world, &world.manager, &id, &format!("question {n}")).await.expect(200);
        }
        assert_eq!(note(&world, &world.manager, &id, "one more").await.expect(409).code(), "illegal_transition");
        world.approve(&world.security, &id).await.expect(200);
        assert_eq!(world.approve(&world.manager, &id).await.expect(200).text("/state"), "fulfilled");
        assert_eq!(note(&world, &world.manager, &id, "late").await.expect(409).code(), "illegal_transition");
    }
}
