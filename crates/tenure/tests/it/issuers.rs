//! What holds for every way of getting a credential. A new one joins by an entry in [`ALL`] and its arms below.

use serde_json::json;

use crate::on_one;
use crate::peers::{AUDIENCE, Provider, exchange, oidc_binding, trust};
use crate::world::{Answer, Key, World};

/// A way of getting a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Issuance {
    PrivateKeyJwt,
    JwtBearer,
}

const ALL: &[Issuance] = &[Issuance::PrivateKeyJwt, Issuance::JwtBearer];

/// An identity that can prove itself.
struct Subject {
    id: String,
    key: Key,
    workload: usize,
}

/// The world with the servers around it that these ways need.
struct Issuers {
    world: World,
    provider: Provider,
    workloads: std::cell::Cell<usize>,
}

impl Issuers {
    async fn start(world: World) -> Self {
        let provider = Provider::start("ES256", "first");
        trust(&world, &provider).await;
        Self { world, provider, workloads: std::cell::Cell::new(0) }
    }

    /// An identity registered as far as this stage.
    async fn prepare(&self, how: Issuance, name: &str, stage: &str) -> Subject {
        let (key, workload) = (Key::new(), self.workloads.replace(self.workloads.get() + 1));
        let mut charter = self.world.charter(key.jwk());
        if how == Issuance::JwtBearer {
            charter["workload_binding"] = oidc_binding(&self.provider, workload);
        }
        let name = format!("{name}-{workload}");
        let id = match stage {
            "active" => self.world.active(&name, charter).await,
            stage => self.world.register(&name, charter, stage).await.expect(201).text("/id"),
        };
        Subject { id, key, workload }
    }

    /// Asks for a credential with a fresh, valid proof.
    async fn ask(&self, how: Issuance, subject: &Subject) -> Answer {
        match how {
            Issuance::PrivateKeyJwt => self.world.ask_token(&subject.key, &subject.id, "production").await,
            Issuance::JwtBearer => {
                let proof = self.provider.token(subject.workload, "blue", AUDIENCE).await;
                exchange(&self.world, &subject.id, &proof, "production").await
            }
        }
    }

    async fn step(&self, subject: &Subject, step: &str) {
        let path = format!("/v1/identities/{}/{step}", subject.id);
        self.world.post(&self.world.security, &path, json!({"reason": "test"})).await.expect(200);
    }
}

on_one! {
    async fn r31_an_issued_credential_is_in_the_inventory_and_in_the_log(world: World) {
        let issuers = Issuers::start(world).await;
        let world = &issuers.world;
        for how in ALL {
            let subject = issuers.prepare(*how, "issued", "active").await;
            let issued = issuers.ask(*how, &subject).await.expect(200);
            let credential = issued.text("/credential");
            let record = world.get(&world.security, &format!("/v1/credentials/{credential}")).await.expect(200);
            assert_eq!((record.text("/identity"), record.text("/state")), (subject.id.clone(), "live".into()), "{how:?}");
            let events = world.events_of("credential.issued", &credential).await;
            assert_eq!(events.len(), 1, "{how:?}");
            assert!(events[0]["subjects"].as_array().unwrap().contains(&json!(subject.id)));
            // The secret itself stands in neither.
            let token = issued.text("/access_token");
            assert!(!record.body.to_string().contains(&token) && !events[0].to_string().contains(&token));
        }
    }

    async fn r38_what_is_not_active_gets_nothing_and_the_refusal_is_recorded(world: World) {
        let issuers = Issuers::start(world).await;
        let world = &issuers.world;
        for how in ALL {
            let stages: [(&str, &str, &[&str], &str); 5] = [
                ("draft", "draft", &[], "identity_not_active"),
                ("pending", "pending", &[], "identity_not_active"),
                ("suspended", "active", &["suspend"], "identity_suspended"),
                ("retired", "active", &["retire"], "identity_retired"),
                ("closed", "pending", &["close"], "identity_not_active"),
            ];
            for (state, stage, steps, reason) in stages {
                let subject = issuers.prepare(*how, state, stage).await;
                for step in steps {
                    issuers.step(&subject, step).await;
                }
                if state == "retired" {
                    world.until_state(&subject.id, "retired").await;
                }
                let answer = issuers.ask(*how, &subject).await.expect(400);
                assert_eq!((answer.text("/error"), answer.text("/reason_code")), ("unauthorized_client".into(), reason.into()), "{how:?} {state}");
                assert!(answer.body.get("access_token").is_none());
                let refusals = world.events_of("access.refused", &subject.id).await;
                assert_eq!(refusals.len(), 1, "{how:?} {state}");
                assert_eq!(refusals[0]["data"]["reason"], json!(reason));
                assert!(world.events_of("credential.issued", &subject.id).await.is_empty());
            }
        }
    }

    async fn r55_after_a_suspension_the_next_introspection_and_decision_are_deny(world: World) {
        let issuers = Issuers::start(world).await;
        let world = &issuers.world;
        for how in ALL {
            let subject = issuers.prepare(*how, "cut-off", "active").await;
            let token = issuers.ask(*how, &subject).await.expect(200).text("/access_token");
            assert!(world.is_live(&token).await && world.is_allowed(&subject.id, Some(&token), "read").await, "{how:?}");
            issuers.step(&subject, "suspend").await;
            assert!(!world.is_live(&token).await, "{how:?}");
            for shown in [Some(token.as_str()), None] {
                let answer = world.evaluate(&subject.id, shown, "read").await.expect(200);
                assert_eq!((&answer.body["decision"], answer.code()), (&json!(false), "identity_suspended".into()), "{how:?}");
            }
            assert_eq!(issuers.ask(*how, &subject).await.expect(400).code(), "identity_suspended");
        }
    }
}
