//! Cuts and holds: each reaches exactly what it covers.

use serde_json::{Value, json};

use crate::on_both;
use crate::world::{Key, World};

/// An identity and the credential that it holds now.
struct Member {
    id: String,
    key: Key,
    environment: &'static str,
    credential: String,
    token: String,
}

impl Member {
    async fn new(world: &World, name: &str, environment: &'static str, change: impl FnOnce(&mut Value)) -> Self {
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["environment"] = json!(environment);
        change(&mut charter);
        let id = world.active(name, charter).await;
        let mut member = Self { id, key, environment, credential: String::new(), token: String::new() };
        member.renew(world).await;
        member
    }

    async fn renew(&mut self, world: &World) {
        let answer = world.ask_token(&self.key, &self.id, self.environment).await.expect(200);
        (self.credential, self.token) = (answer.text("/credential"), answer.text("/access_token"));
    }

    async fn state(&self, world: &World) -> String {
        world.get(&world.auditor, &format!("/v1/credentials/{}", self.credential)).await.expect(200).text("/state")
    }
}

on_both! { because "a cut is ordered against issuance by the log of the engine";
    async fn a_cut_kills_exactly_what_it_covers(world: World) {
        let mut world = world;
        let (other_owner, _) = world.person("Oda", &["requester", "owner"]).await;
        let ledger = world.application("ledger").await;
        let staging = world.resource("https://orders.staging.internal", "staging", "online").await;
        let mut members = [
            Member::new(&world, "plain", "production", |_| {}).await,
            Member::new(&world, "other-application", "production", |charter| charter["application"] = json!(ledger)).await,
            Member::new(&world, "other-owner", "production", |charter| charter["owner"] = json!(other_owner)).await,
            Member::new(&world, "other-environment", "staging", |charter| charter["scope"][0]["resource"] = json!(staging)).await,
        ];
        let first = members[0].id.clone();
        for (kind, id, covered) in [
            ("identity", first, [true, false, false, false]),
            ("application", world.application.clone(), [true, false, true, true]),
            ("owner", world.owner_id.clone(), [true, true, false, true]),
            ("environment", "production".to_owned(), [true, true, true, false]),
            ("owner", other_owner.clone(), [false, false, true, false]),
        ] {
            let answer = world.revoke(kind, &id).await.expect(201);
            // The gateway falls under its own owner's and environment's cut; it proves itself anew.
            world.gateway = world.token(&world.gateway_key, &world.gateway_id, "production").await;
            for (member, covered) in members.iter().zip(covered) {
                let expected = if covered { "credential_cut" } else { "live" };
                assert_eq!(member.state(&world).await, expected, "{kind} {id} {}", member.id);
                if member.environment == "production" {
                    assert_eq!(world.is_live(&member.token).await, !covered, "{kind} {}", member.id);
                    assert_eq!(world.is_allowed(&member.id, Some(&member.token), "read").await, !covered, "{kind} {}", member.id);
                }
            }
            // What is issued afterwards works, for those who were cut and for those who were not.
            for member in &mut members {
                member.renew(&world).await;
                assert_eq!(member.state(&world).await, "live", "{kind} {}", member.id);
            }
            let subject = &id;
            let cuts = world.events_of("scope.cut", subject).await;
            assert_eq!((cuts.len(), &cuts[0]["data"]["scope"]), (1, &json!(kind)));
            let receipt = answer.text("/id");
            let listed = world.get(&world.auditor, &format!("/v1/receipts?target={kind}/{id}")).await.expect(200);
            assert_eq!(listed.body["items"][0]["id"], json!(receipt));
        }
        let all = world.get(&world.auditor, "/v1/receipts").await.expect(200).body["items"].as_array().unwrap().clone();
        assert_eq!(all.len(), 5);
        // Lists are paged by id, each receipt once.
        let mut paged = Vec::new();
        let mut path = "/v1/receipts?limit=2".to_owned();
        loop {
            let page = world.get(&world.auditor, &path).await.expect(200);
            paged.extend(page.body["items"].as_array().unwrap().clone());
            let Some(next) = page.body["next"].as_str() else { break };
            path = format!("/v1/receipts?limit=2&after={next}");
        }
        assert_eq!(paged, all);
    }

    async fn who_joins_a_scope_after_its_cut_loses_nothing(world: World) {
        // One that was registered before the cut and joins at its activation after it, one that comes wholly after it.
        let waiting_key = Key::new();
        let waiting = world.register("waiting", world.charter(waiting_key.jwk()), "pending").await.expect(201).text("/id");
        for (kind, id) in [("application", world.application.as_str()), ("owner", world.owner_id.as_str())] {
            world.revoke(kind, id).await.expect(201);
        }
        let mut world = world;
        world.gateway = world.token(&world.gateway_key, &world.gateway_id, "production").await;
        world.activate(&world.manager, &waiting).await.expect(200);
        let (new, new_key) = world.exporter("new").await;
        for (key, id) in [(&waiting_key, &waiting), (&new_key, &new)] {
            let token = world.token(key, id, "production").await;
            assert!(world.is_live(&token).await);
            assert!(world.is_allowed(id, Some(&token), "read").await);
        }
        // The next cut finds them.
        let token = world.token(&new_key, &new, "production").await;
        world.revoke("application", &world.application).await.expect(201);
        assert!(!world.is_live(&token).await);
    }

    async fn a_hold_stops_a_scope_until_another_person_releases_it(world: World) {
        let ledger = world.application("ledger").await;
        let (_, second) = world.person("Sid", &["security"]).await;
        let member = Member::new(&world, "held", "production", |_| {}).await;
        let other = Member::new(&world, "free", "production", |charter| charter["application"] = json!(ledger)).await;
        let hold = json!({"scope": {"type": "application", "id": world.application}, "reason": "looking into it"});
        world.post(&world.security, "/v1/holds", hold.clone()).await.expect(201);
        assert_eq!(member.state(&world).await, "scope_on_hold");
        assert!(!world.is_live(&member.token).await);
        assert_eq!(world.evaluate(&member.id, Some(&member.token), "read").await.expect(200).code(), "scope_on_hold");
        assert_eq!(world.ask_token(&member.key, &member.id, "production").await.expect(400).code(), "scope_on_hold");
        assert!(world.is_live(&other.token).await);
        assert_eq!(world.post(&world.security, "/v1/holds", hold.clone()).await.expect(409).code(), "illegal_transition");
        // Neither who placed it, nor the owner whom security stopped, nor who has no part in it.
        for token in [&world.security, &world.owner, &world.admin, &world.auditor] {
            world.post(token, "/v1/holds/release", hold.clone()).await.expect(403);
        }
        assert!(!world.is_live(&member.token).await);
        world.post(&second, "/v1/holds/release", hold.clone()).await.expect(200);
        assert!(world.is_live(&member.token).await);
        assert_eq!(world.post(&second, "/v1/holds/release", hold).await.expect(409).code(), "illegal_transition");
        assert_eq!(world.events_of("scope.held", &world.application).await.len(), 1);
        assert_eq!(world.events_of("scope.released", &world.application).await.len(), 1);
    }

    async fn an_owner_cuts_what_is_theirs_and_no_environment(world: World) {
        let (_, stranger) = world.person("Oda", &["requester", "owner"]).await;
        let member = Member::new(&world, "mine", "production", |_| {}).await;
        let cut = |kind: &str, id: &str| json!({"target": {"type": kind, "id": id}, "reason": "test"});
        for (token, body) in [
            (&world.owner, cut("environment", "production")),
            (&world.owner, cut("owner", &world.security_id)),
            (&stranger, cut("application", &world.application)),
            (&stranger, cut("owner", &world.owner_id)),
            (&stranger, cut("identity", &member.id)),
            (&stranger, cut("credential", &member.credential)),
            (&world.admin, cut("identity", &member.id)),
        ] {
            world.post(token, "/v1/revocations", body.clone()).await.expect(403);
            assert!(world.is_live(&member.token).await, "{body}");
        }
        assert_eq!(world.post(&world.security, "/v1/revocations", cut("environment", "nowhere")).await.expect(404).code(), "not_found");
        world.post(&world.owner, "/v1/revocations", cut("application", &world.application)).await.expect(201);
        assert!(!world.is_live(&member.token).await);
        assert_eq!(world.events_of("access.refused", "production").await.len(), 1);
    }
}
