//! Reviews that end things, and campaigns of them (R81, R88, R93, R95, R101, R116).

mod odds;

use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Answer, Key, World};

/// An identity that may read and write orders, and its key.
async fn writer(world: &World, name: &str) -> (String, Key) {
    let key = Key::new();
    let mut charter = world.charter(key.jwk());
    charter["scope"] = json!([{"actions": ["read", "write"], "resource": world.orders}]);
    (world.active(name, charter).await, key)
}

fn campaign(scope: &str) -> Value {
    json!({"name": "Before the audit", "scope": scope, "due_in": "3m", "reason": "the audit is in December"})
}

impl World {
    /// A campaign over a scope, once all of its reviews are open.
    async fn campaign(&self, asked: Value) -> String {
        let id = self.post(&self.security, "/v1/campaigns", asked).await.expect(201).text("/id");
        self.until_campaign(&id, "open").await;
        id
    }

    async fn until_campaign(&self, id: &str, state: &str) -> Value {
        let mut seen = Value::Null;
        self.until(async || {
            seen = self.get(&self.security, &format!("/v1/campaigns/{id}")).await.expect(200).body;
            seen["state"] == state
        })
        .await;
        seen
    }

    /// The review of an identity in a campaign.
    async fn review_in(&self, campaign: &str, identity: &str) -> String {
        let path = format!("/v1/reviews?campaign={campaign}&identity={identity}");
        self.get(&self.security, &path).await.expect(200).text("/items/0/id")
    }

    async fn complete(&self, token: &str, review: &str, answer: &str) -> Answer {
        self.post(token, &format!("/v1/reviews/{review}/complete"), json!({"answer": answer})).await
    }
}

on_one! {
    async fn r95_r101_a_campaign_keeps_narrows_and_suspends_what_nobody_answers(world: World) {
        world.hold();
        let (kept, _) = writer(&world, "kept").await;
        let (narrowed, key) = writer(&world, "narrowed").await;
        let (left, _) = writer(&world, "left").await;
        let token = world.token(&key, &narrowed, "production").await;
        assert!(world.is_allowed(&narrowed, Some(&token), "read").await);

        // Only what it would come to: nothing is written.
        let mut tried = campaign("environment=production&kind=workload");
        tried["dry_run"] = json!(true);
        let before = world.changes().await.len();
        let shown = world.post(&world.security, "/v1/campaigns", tried).await.expect(200);
        let in_scope = shown.body["in_scope"].as_u64().unwrap();
        assert!(in_scope >= 3, "{}", shown.body);
        assert_eq!(world.changes().await.len(), before);

        let id = world.campaign(campaign("environment=production&kind=workload")).await;
        let opened = world.until_campaign(&id, "open").await;
        assert_eq!(opened["tally"]["opened"].as_u64(), Some(in_scope));
        assert_eq!(opened["forecast"]["identities"].as_u64(), Some(in_scope));
        assert_eq!(world.events_of("review.opened", &left).await.len(), 1);
        // Whoever answers for them is told once, and asked for each.
        let told = world.events_of("campaign.opened", &id).await;
        assert!(told[0]["data"]["notify"]["to"].to_string().contains(&world.owner_id), "{told:?}");

        // Granted beside used, what is recommended, and what would be left.
        let review = world.review_in(&id, &narrowed).await;
        let seen = world.get(&world.owner, &format!("/v1/reviews/{review}")).await.expect(200);
        let used: Vec<(&str, bool)> = seen.body["facts"]["granted"].as_array().unwrap().iter()
            .map(|one| (one["action"].as_str().unwrap(), one["last_used"].is_string())).collect();
        assert_eq!(used, [("read", true), ("write", false)]);
        assert_eq!(seen.text("/facts/granted/0/verdict"), "used");
        // What was granted today and is not used yet is no reason to take it away: somebody has to say so.
        assert_eq!(seen.text("/facts/granted/1/verdict"), "new");
        assert_eq!(world.complete(&world.owner, &review, "narrow").await.expect(422).field_codes(), ["nothing_to_narrow"]);
        // Somebody whom it isn't addressed to doesn't answer; what isn't less is no narrowing.
        let (_, stranger) = world.person("Hal", &["owner"]).await;
        assert_eq!(world.complete(&stranger, &review, "narrow").await.status, 403);
        let wider = json!({"answer": "narrow", "scope": [{"actions": ["read", "write"], "resource": world.orders}]});
        let path = format!("/v1/reviews/{review}/complete");
        assert_eq!(world.post(&world.owner, &path, wider).await.expect(422).field_codes(), ["not_narrower"]);
        let less = json!({"answer": "narrow", "scope": [{"actions": ["read"], "resource": world.orders}]});
        let done = world.post(&world.owner, &path, less).await.expect(200);
        assert_eq!(done.body["answer"]["dropped"], json!([{"actions": ["write"], "resource": world.orders}]));
        assert!(world.is_allowed(&narrowed, Some(&token), "read").await);
        assert!(!world.is_allowed(&narrowed, None, "write").await);
        // Of two who answer at once, one comes second.
        assert_eq!(world.complete(&world.security, &review, "revoke").await.expect(409).code(), "illegal_transition");

        let review = world.review_in(&id, &kept).await;
        world.complete(&world.owner, &review, "keep").await.expect(200);
        let view = world.get(&world.owner, &format!("/v1/identities/{kept}")).await.expect(200);
        assert!(view.body["reviewed_at"].is_string(), "{}", view.body);

        // Two thirds of the time are over: whoever has not answered is told, and security what the deadline would do.
        world.pass(120).await;
        world.until(async || !world.events_of("campaign.reminded", &world.owner_id).await.is_empty()).await;
        world.pass(60).await;
        world.until_state(&left, "suspended").await;
        let over = world.until_campaign(&id, "closed").await;
        assert_eq!((&over["tally"]["kept"], &over["tally"]["narrowed"]), (&json!(1), &json!(1)));
        assert_eq!(over["tally"]["lapsed"].as_u64(), Some(in_scope - 2));
        let lapsed = world.get(&world.security, &format!("/v1/reviews?campaign={id}&state=lapsed&identity={left}")).await.expect(200);
        assert_eq!(lapsed.body["items"].as_array().unwrap().len(), 1);
        // To go on is its owner's decision.
        let cause = json!({"cause": 0, "reason": "it runs every night"});
        world.post(&world.owner, &format!("/v1/identities/{left}/resume"), cause).await.expect(200);
    }

    async fn r95_a_deadline_beyond_its_cap_waits_for_security_and_nothing_renews_meanwhile(world: World) {
        world.hold();
        let (first, _) = writer(&world, "first").await;
        let (second, _) = writer(&world, "second").await;
        let mut asked = campaign("environment=production&kind=workload");
        asked["cap"] = json!(1);
        let id = world.campaign(asked).await;
        let seen = world.until_campaign(&id, "open").await;
        assert_eq!(seen["forecast"]["beyond_cap"], json!(true));
        world.pass(120).await;
        world.until(async || !world.events_of("campaign.reminded", &id).await.is_empty()).await;
        world.pass(60).await;
        let waiting = world.until_campaign(&id, "waiting").await;
        assert!(world.events_of("campaign.waiting", &id).await[0]["data"]["notify"]["roles"].to_string().contains("security"));
        for identity in [&first, &second] {
            let view = world.get(&world.security, &format!("/v1/identities/{identity}")).await.expect(200);
            assert_eq!(view.text("/state"), "active");
        }
        // An overdue review stands in the way of every renewal.
        let matter = json!({"type": "renewal", "identity": first, "until": crate::world::in_secs(35 * 86_400)});
        let refused = world.ask(&world.owner, matter, "goes on").await;
        assert!(refused.status >= 400, "{}", refused.body);

        // Who confirms has seen what it does now, and is of security.
        let confirm = format!("/v1/campaigns/{id}/confirm");
        let digest = json!({"digest": waiting["forecast"]["digest"]});
        assert_eq!(world.post(&world.admin, &confirm, digest.clone()).await.status, 403);
        assert_eq!(world.post(&world.owner, &confirm, digest.clone()).await.status, 403);
        assert_eq!(world.post(&world.security, &confirm, json!({"digest": "sha256:0"})).await.expect(409).code(), "plan_changed");
        // An answer that comes late counts, and what was seen is another thing then.
        let review = world.review_in(&id, &second).await;
        world.complete(&world.owner, &review, "keep").await.expect(200);
        assert_eq!(world.post(&world.security, &confirm, digest).await.expect(409).code(), "plan_changed");
        let seen = world.get(&world.security, &format!("/v1/campaigns/{id}")).await.expect(200);
        world.post(&world.security, &confirm, json!({"digest": seen.body["forecast"]["digest"]})).await.expect(200);
        world.until_state(&first, "suspended").await;
        let over = world.until_campaign(&id, "closed").await;
        assert_eq!(over["confirmed_by"], json!(world.security_id));
        let view = world.get(&world.security, &format!("/v1/identities/{second}")).await.expect(200);
        assert_eq!(view.text("/state"), "active");
        assert_eq!(world.post(&world.security, &format!("/v1/campaigns/{id}/cancel"), json!({"reason": "late"})).await.status, 409);
    }

    async fn r95_what_is_not_ones_own_is_handed_over_and_answered_by_the_same_deadline(world: World) {
        let (id, _) = writer(&world, "exporter").await;
        let running = world.campaign(campaign("environment=production&kind=workload")).await;
        let review = world.review_in(&running, &id).await;
        let (heir, heir_token) = world.person("Hal", &["owner"]).await;
        let hand_over = format!("/v1/reviews/{review}/hand-over");
        // Nobody hands it to somebody who can't own it, or to themselves; and nobody else hands it over.
        assert_eq!(world.post(&heir_token, &hand_over, json!({"to": heir})).await.status, 403);
        assert_eq!(world.post(&world.owner, &hand_over, json!({"to": world.manager_id})).await.status, 422);
        let handed = world.post(&world.owner, &hand_over, json!({"to": heir})).await.expect(200);
        assert_eq!((handed.text("/reviewer"), handed.text("/state")), (heir.clone(), "open".to_owned()));
        // Who was asked takes it over first: nobody keeps what they don't answer for.
        assert_eq!(world.complete(&heir_token, &review, "keep").await.expect(409).code(), "illegal_transition");
        let offered = world.get(&heir_token, "/v1/transfers?state=offered").await.expect(200).text("/items/0/id");
        world.post(&heir_token, &format!("/v1/transfers/{offered}/accept"), json!({})).await.expect(200);
        let open = world.get(&world.security, &format!("/v1/reviews?identity={id}&state=open")).await.expect(200);
        assert_eq!(open.body["items"].as_array().unwrap().len(), 1, "the review that came with it covers the transfer");
        world.complete(&heir_token, &review, "keep").await.expect(200);
    }

    async fn r95_who_stands_in_answers_and_who_manages_does_once_it_is_late(world: World) {
        world.hold();
        let (first, _) = writer(&world, "first").await;
        let (second, _) = writer(&world, "second").await;
        let id = world.campaign(campaign("environment=production&kind=workload")).await;
        let (first, second) = (world.review_in(&id, &first).await, world.review_in(&id, &second).await);
        let (stand_in, token) = world.person("Ida", &["owner"]).await;
        assert_eq!(world.complete(&token, &first, "keep").await.status, 403);
        let until = crate::world::in_secs(86_400);
        let named = json!({"person": stand_in, "until": until});
        world.put(&world.owner, &format!("/v1/people/{}/stand-in", world.owner_id), named).await.expect(200);
        world.get(&token, &format!("/v1/reviews/{first}")).await.expect(200);
        world.complete(&token, &first, "keep").await.expect(200);
        let answered = world.events_of("review.answered", &first).await;
        assert_eq!(answered[0]["data"]["instead_of"], json!(world.owner_id));
        // The owner's manager answers once two thirds of the time are over.
        assert_eq!(world.complete(&world.manager, &second, "keep").await.status, 403);
        world.pass(120).await;
        world.complete(&world.manager, &second, "keep").await.expect(200);
    }

    async fn r95_in_bulk_something_is_taken_away_and_only_what_is_low_is_kept(world: World) {
        let (first, _) = writer(&world, "first").await;
        let (second, _) = writer(&world, "second").await;
        let id = world.campaign(campaign("environment=production&kind=workload")).await;
        let (a, b) = (world.review_in(&id, &first).await, world.review_in(&id, &second).await);
        let ask = |deed: &str, dry_run: bool, expect: Option<&str>| {
            json!({"reviews": [a, b], "deed": deed, "reason": "the shop is gone", "dry_run": dry_run, "expect": expect})
        };
        // In production it is of no low tier: each is looked at by itself.
        let kept = world.post(&world.owner, "/v1/reviews/bulk", ask("keep", false, None)).await.expect(200);
        assert_eq!((kept.text("/each/0/outcome").as_str(), kept.text("/each/1/outcome").as_str()), ("not_allowed", "not_allowed"));
        let shown = world.post(&world.owner, "/v1/reviews/bulk", ask("revoke", true, None)).await.expect(200);
        assert_eq!(shown.text("/each/0/outcome"), "done");
        let view = world.get(&world.owner, &format!("/v1/identities/{first}")).await.expect(200);
        assert_eq!(view.text("/state"), "active", "a dry run changes nothing");
        // Somebody else answered one meanwhile: what was shown isn't what would be done.
        world.complete(&world.owner, &a, "keep").await.expect(200);
        let digest = shown.text("/digest");
        let changed = world.post(&world.owner, "/v1/reviews/bulk", ask("revoke", false, Some(&digest))).await;
        assert_eq!(changed.expect(409).code(), "plan_changed");
        let shown = world.post(&world.owner, "/v1/reviews/bulk", ask("revoke", true, None)).await.expect(200);
        let digest = shown.text("/digest");
        let done = world.post(&world.owner, "/v1/reviews/bulk", ask("revoke", false, Some(&digest))).await.expect(200);
        assert_eq!((done.text("/each/0/outcome").as_str(), done.text("/each/1/outcome").as_str()), ("illegal_transition", "done"));
        world.until_state(&second, "retired").await;
        let none = json!({"reviews": [], "deed": "revoke", "reason": "x"});
        assert_eq!(world.post(&world.owner, "/v1/reviews/bulk", none).await.expect(422).field_codes(), ["too_many"]);
    }

    async fn r95_who_keeps_everything_within_seconds_is_a_finding_that_names_nobody(world: World) {
        world.hold();
        let mut identities = Vec::new();
        for n in 0..20 {
            identities.push(writer(&world, &format!("exporter-{n}")).await.0);
        }
        let id = world.campaign(campaign("environment=production&kind=workload")).await;
        for identity in &identities {
            let review = world.review_in(&id, identity).await;
            world.complete(&world.owner, &review, "keep").await.expect(200);
        }
        // What else is of the world's own is not kept.
        let open = world.get(&world.security, &format!("/v1/reviews?campaign={id}&state=open")).await.expect(200);
        for review in open.body["items"].as_array().unwrap() {
            world.complete(&world.security, review["id"].as_str().unwrap(), "revoke").await.expect(200);
        }
        world.until_campaign(&id, "closed").await;
        let path = format!("/v1/findings?rule=rubber-stamped&subject={id}&state=open");
        world.until(async || !world.get(&world.security, &path).await.expect(200).body["items"].as_array().unwrap().is_empty()).await;
        let found = world.get(&world.security, &path).await.expect(200);
        assert!(!found.body["items"][0]["evidence"].to_string().contains("per_"), "{}", found.body);
    }

    async fn r95_a_campaign_over_nobody_or_by_nobody_is_refused_and_figures_are_ones_own(world: World) {
        let (id, _) = writer(&world, "exporter").await;
        for (scope, codes) in [
            ("environment=nowhere", vec!["nobody_in_scope"]),
            ("tier=enormous", vec!["value_unknown"]),
            ("colour=red", vec!["parameter_unknown"]),
            ("environment=production&limit=3", vec!["scope_unfit"]),
        ] {
            let refused = world.post(&world.security, "/v1/campaigns", campaign(scope)).await.expect(422);
            assert_eq!(refused.field_codes(), codes, "{scope}: {}", refused.body);
        }
        for (field, value) in [("due_in", json!("5s")), ("due_in", json!("400d")), ("cap", json!(0)), ("name", json!(" ")), ("reason", json!(""))] {
            let mut asked = campaign("environment=production");
            asked[field] = value;
            assert_eq!(world.post(&world.security, "/v1/campaigns", asked).await.status, 422, "{field}");
        }
        assert_eq!(world.post(&world.owner, "/v1/campaigns", campaign("environment=production")).await.status, 403);
        let running = world.campaign(campaign("environment=production&kind=workload")).await;
        let review = world.review_in(&running, &id).await;
        world.complete(&world.owner, &review, "keep").await.expect(200);
        let path = format!("/v1/campaigns/{running}/statistics");
        let figures = async |token: &str| world.get(token, &path).await.expect(200).body["reviewers"].as_array().unwrap().len();
        assert_eq!(figures(&world.owner).await, 1, "one's own");
        assert_eq!(figures(&world.manager).await, 1, "those of whom one manages");
        assert_eq!(figures(&world.auditor).await, 1, "an auditor sees all");
        let (_, stranger) = world.person("Hal", &["owner"]).await;
        assert_eq!(figures(&stranger).await, 0);
        // Given up, nobody is asked any more, and nothing ends by it.
        let (other, _) = writer(&world, "other").await;
        let second = world.campaign(campaign("environment=production&kind=workload")).await;
        world.post(&world.security, &format!("/v1/campaigns/{second}/cancel"), json!({"reason": "asked twice"})).await.expect(200);
        let open = format!("/v1/reviews?campaign={second}&state=open");
        world.until(async || world.get(&world.security, &open).await.expect(200).body["items"].as_array().unwrap().is_empty()).await;
        let view = world.get(&world.security, &format!("/v1/identities/{other}")).await.expect(200);
        assert_eq!(view.text("/state"), "active");
    }
}

on_one! { by |store| World::start_with(store, &[("TENURE_REVIEW_EVERY", "4m"), ("TENURE_REVIEW_WITHIN", "3m")]);
    async fn r95_r119_a_cadence_opens_its_campaign_by_itself(world: World) {
        world.hold();
        let (id, _) = writer(&world, "exporter").await;
        let view = world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200);
        let tier = view.text("/tier");
        world.pass(240).await;
        let path = format!("/v1/campaigns?cause=cadence_{tier}");
        let mut found = Value::Null;
        world.until(async || {
            found = world.get(&world.security, &path).await.expect(200).body["items"][0].clone();
            found["state"] == "open"
        }).await;
        let review = world.review_in(found["id"].as_str().unwrap(), &id).await;
        let seen = world.get(&world.owner, &format!("/v1/reviews/{review}")).await.expect(200);
        assert_eq!(seen.text("/trigger"), "cadence");
        world.complete(&world.owner, &review, "keep").await.expect(200);
        // What nobody answers for is suspended when the time is over.
        let campaign = found["id"].as_str().unwrap();
        world.pass(120).await;
        world.until(async || !world.events_of("campaign.reminded", campaign).await.is_empty()).await;
        world.pass(60).await;
        world.until_campaign(found["id"].as_str().unwrap(), "closed").await;
    }
}
