//! Campaigns that go otherwise than they should: reviewers who leave, answers that meet, subjects that end, scopes that are
//! everything, clocks that step.

use serde_json::{Value, json};

use super::{campaign, writer};
use crate::on_one;
use crate::posture::lasting;
use crate::world::{Key, World, in_secs};

const DAY: i64 = 86_400;

async fn state(world: &World, id: &str) -> String {
    world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).text("/state")
}

async fn review(world: &World, id: &str) -> Value {
    world.get(&world.security, &format!("/v1/reviews/{id}")).await.expect(200).body
}

on_one! {
    async fn r95_a_reviewer_who_leaves_in_the_middle_answers_nothing_and_keeps_nothing(world: World) {
        world.hold();
        let person = json!({"name": "Lea", "roles": ["requester", "owner"], "manager": world.manager_id});
        let (lea, token) = world.person_as(person).await;
        let mut charter = world.charter(Key::new().jwk());
        (charter["owner"], charter["parties"]["requester"]) = (json!(lea), json!(lea));
        let made = json!({"kind": "workload", "name": "leas", "charter": charter, "stage": "pending"});
        let id = world.post(&token, "/v1/identities", made).await.expect(201).text("/id");
        world.activate(&world.manager, &id).await.expect(200);
        let running = world.campaign(campaign(&format!("owner={lea}"))).await;
        let item = world.review_in(&running, &id).await;
        assert_eq!(review(&world, &item).await["reviewer"], json!(lea));
        world.post(&world.security, &format!("/v1/people/{lea}/depart"), json!({"reason": "left"})).await.expect(200);
        // Who is gone answers nothing, whatever they still hold; the review stays, and is no longer theirs alone.
        assert_eq!(world.complete(&token, &item, "keep").await.status, 401);
        assert_eq!(review(&world, &item).await["state"], "open");
        // Nobody keeps what they don't answer for, and what nobody answers ends by the deadline.
        assert!(world.complete(&world.owner, &item, "keep").await.status >= 403);
        world.pass(121).await;
        world.until(async || !world.events_of("campaign.reminded", &running).await.is_empty()).await;
        world.pass(61).await;
        let over = world.until_campaign(&running, "closed").await;
        assert_eq!((&over["tally"]["kept"], &over["tally"]["lapsed"]), (&json!(0), &json!(1)), "{over}");
        assert_eq!(state(&world, &id).await, "suspended");
    }

    async fn r95_of_two_who_answer_at_once_one_is_heard_and_the_count_is_right(world: World) {
        world.hold();
        let mut items = Vec::new();
        for n in 0..6 {
            items.push(writer(&world, &format!("w{n}")).await.0);
        }
        let running = world.campaign(campaign("environment=production&kind=workload")).await;
        let mut heard = [0_u64; 2];
        for id in &items {
            let item = world.review_in(&running, id).await;
            let (kept, revoked) = tokio::join!(
                world.complete(&world.owner, &item, "keep"),
                world.complete(&world.security, &item, "revoke"),
            );
            let statuses = [kept.status, revoked.status];
            assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
            assert!(statuses.contains(&409), "the other one is told that it is answered: {statuses:?}");
            let answer = usize::from(revoked.status == 200);
            heard[answer] += 1;
            let expected = if answer == 0 { vec!["active"] } else { vec!["retiring", "retired"] };
            assert!(expected.contains(&state(&world, id).await.as_str()), "what was heard is what was done");
        }
        let tally = world.get(&world.security, &format!("/v1/campaigns/{running}")).await.expect(200).body["tally"].clone();
        assert_eq!((&tally["kept"], &tally["revoked"]), (&json!(heard[0]), &json!(heard[1])), "{tally}");
        assert_eq!(tally["opened"].as_u64().unwrap(), heard[0] + heard[1] + waiting(&tally));
    }

    async fn r95_an_item_whose_subject_ended_meanwhile_is_closed_and_counted(world: World) {
        world.hold();
        let (ended, _) = writer(&world, "ended").await;
        let (left, _) = writer(&world, "left").await;
        let running = world.campaign(campaign("environment=production&kind=workload")).await;
        let item = world.review_in(&running, &ended).await;
        world.post(&world.owner, &format!("/v1/identities/{ended}/retire"), json!({"reason": "over"})).await.expect(200);
        world.until_state(&ended, "retired").await;
        assert!(world.complete(&world.owner, &item, "keep").await.status >= 400, "nothing is kept of what has ended");
        let tally = async || world.get(&world.security, &format!("/v1/campaigns/{running}")).await.expect(200).body["tally"].clone();
        // The deadline does nothing to it, and what it leaves is somebody else's.
        world.pass(121).await;
        world.until(async || !world.events_of("campaign.reminded", &running).await.is_empty()).await;
        world.pass(61).await;
        world.until_campaign(&running, "closed").await;
        assert_eq!((state(&world, &ended).await, state(&world, &left).await), ("retired".into(), "suspended".into()));
        assert_eq!(review(&world, &item).await["state"], "closed");
        assert_eq!((waiting(&tally().await), &tally().await["closed"]), (0, &json!(1)));
    }

    async fn r95_a_campaign_over_everybody_asks_about_each_and_ends_nothing_beyond_its_cap(world: World) {
        world.hold();
        let (one, _) = writer(&world, "one").await;
        let (two, _) = writer(&world, "two").await;
        let mut asked = campaign("state=active");
        asked["cap"] = json!(1);
        let running = world.campaign(asked).await;
        let active = world.get(&world.security, "/v1/identities?state=active&count=true&limit=200").await.expect(200);
        let seen = world.get(&world.security, &format!("/v1/campaigns/{running}")).await.expect(200);
        let opened = seen.body["tally"]["opened"].as_u64().unwrap() + seen.body["tally"]["passed_over"].as_u64().unwrap();
        assert_eq!(opened as usize, active.body["items"].as_array().unwrap().len(), "the gateway and all the rest, too");
        world.pass(121).await;
        world.until(async || !world.events_of("campaign.reminded", &running).await.is_empty()).await;
        world.pass(61).await;
        world.until_campaign(&running, "waiting").await;
        assert_eq!((state(&world, &one).await, state(&world, &two).await), ("active".into(), "active".into()));
    }

    async fn r95_a_clock_that_steps_over_reminder_and_deadline_suspends_nobody_unwarned(world: World) {
        let world = lasting(world).await;
        let mut charter = world.charter(Key::new().jwk());
        charter["expires_at"] = json!(in_secs(60 * DAY));
        let id = world.active("stepped", charter).await;
        world.hold();
        let running = world.campaign(campaign("environment=production&kind=workload")).await;
        let due = world.get(&world.security, &format!("/v1/campaigns/{running}")).await.expect(200).text("/due_at");
        // Days pass in one step: both the reminder and the deadline are long over.
        world.pass(9 * DAY).await;
        world.until(async || !world.events_of("campaign.reminded", &running).await.is_empty()).await;
        let put_off = world.get(&world.security, &format!("/v1/campaigns/{running}")).await.expect(200);
        assert!(put_off.text("/due_at") > due && put_off.text("/state") == "open", "{}", put_off.body);
        assert_eq!(state(&world, &id).await, "active");
        world.pass(61).await;
        let over = world.until_campaign(&running, "closed").await;
        assert!(over["tally"]["lapsed"].as_u64() >= Some(1), "{over}");
        assert_eq!(state(&world, &id).await, "suspended");
    }
}

/// Reviews of a campaign that wait for an answer.
fn waiting(tally: &Value) -> u64 {
    tally["open"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
}
