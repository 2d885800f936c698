//! What ends an identity ends its accounts, at every kind of target: each row's trigger beside each kind's own client
//! (R15, R16, R68, R79, R83–R85, R87, R91). A kind of target joins by its line in `sites.rs`, a trigger by its line here.

use serde_json::{Value, json};

use super::mark;
use super::sites::{Place, SITES, Site};
use crate::on_one;
use crate::world::{Key, World};

/// What has to become of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// Gone for good, with its identity.
    Ended,
    /// Stopped until its identity has an owner again.
    Held,
    /// Stopped until it has another secret: its identity goes on.
    Cut,
}

/// What ends identities: whose they are, what their charters name for it, and what becomes of their accounts.
struct Trigger {
    word: &'static str,
    rows: &'static str,
    charter: fn(&Stage, &mut Value),
    end: End,
}

const TRIGGERS: [Trigger; 7] = [
    Trigger {
        word: "cloud",
        rows: "R15 R87",
        charter: |stage, charter| charter["cloud_account"] = json!(stage.cloud),
        end: End::Ended,
    },
    Trigger {
        word: "task",
        rows: "R16",
        charter: |_, charter| charter["retirement"] = json!([{"type": "task_completed"}]),
        end: End::Ended,
    },
    Trigger { word: "workload", rows: "R68", charter: |_, _| {}, end: End::Cut },
    Trigger {
        word: "application",
        rows: "R83 R84",
        charter: |stage, charter| charter["application"] = json!(stage.application),
        end: End::Ended,
    },
    Trigger {
        word: "vendor",
        rows: "R85",
        charter: |stage, charter| {
            charter["vendor"] = json!(stage.vendor);
            charter["data_domains"] = json!(["orders"]);
        },
        end: End::Ended,
    },
    Trigger { word: "contractor", rows: "R79", charter: |_, _| {}, end: End::Held },
    Trigger { word: "leaver", rows: "R91", charter: |_, _| {}, end: End::Held },
];

/// What ends.
struct Stage {
    cloud: String,
    application: String,
    vendor: String,
    /// Who owns what of a trigger, and their token.
    contractor: (String, String),
    leaver: (String, String),
}

impl Stage {
    async fn of(world: &World) -> Self {
        let body =
            json!({"provider": "aws", "account": "123456789012", "owner": world.owner_id, "environment": "production"});
        let cloud = world.post(&world.admin, "/v1/cloud-accounts", body).await.expect(201).text("/id");
        world
            .post(&world.admin, "/v1/data-domains", json!({"name": "orders", "sensitivity": "restricted"}))
            .await
            .expect(201);
        let body =
            json!({"name": "acme", "contact": "x@example.com", "owner": world.owner_id, "data_domains": ["orders"]});
        let vendor = world.post(&world.admin, "/v1/vendors", body).await.expect(201).text("/id");
        let owns = ["requester", "owner"];
        let manager = &world.manager_id;
        let contractor = json!({"name": "Con", "class": "contractor", "ends_at": crate::world::in_secs(40 * 86_400), "roles": owns, "manager": manager});
        Self {
            cloud,
            application: world.application("ledger").await,
            vendor,
            contractor: world.person_as(contractor).await,
            leaver: world.person_as(json!({"name": "Lea", "roles": owns, "manager": manager})).await,
        }
    }

    fn owner<'a>(&'a self, world: &'a World, trigger: &Trigger) -> (&'a str, &'a str) {
        match trigger.word {
            "contractor" => (&self.contractor.0, &self.contractor.1),
            "leaver" => (&self.leaver.0, &self.leaver.1),
            _ => (&world.owner_id, &world.owner),
        }
    }
}

/// An account at a target, and its identity.
struct Owned<'a> {
    site: &'a Site,
    place: &'a Place,
    name: String,
    identity: String,
}

impl World {
    async fn registered(&self, site: &Site, place: &Place, second: &str) -> String {
        let name = format!("{}-of-all", site.kind);
        let connector = self.active(&format!("{name}-connector"), self.charter(Key::new().jwk())).await;
        let body = json!({
            "name": name, "kind": site.kind, "endpoint": place.endpoint(site), "mode": "end", "identity": connector,
            "owner": self.owner_id, "environment": "production", "claim_within": "90d",
        });
        let id = self.post(&self.admin, "/v1/targets", body).await.expect(201).text("/id");
        self.post(second, &format!("/v1/targets/{id}/confirm"), json!({})).await.expect(200);
        let login = json!({"name": place.name, "secret": place.secret});
        self.post(&self.admin, &format!("/v1/targets/{id}/login"), login).await.expect(200);
        id
    }

    /// Claims the account that was found under this name, for whoever owns what of the trigger, and has it approved.
    async fn claimed_for(&self, stage: &Stage, trigger: &Trigger, target: &str, name: &str) -> String {
        let path = format!("/v1/accounts?target={target}&name={name}");
        let mut account = Value::Null;
        self.until(async || {
            account = self.get(&self.security, &path).await.expect(200).body["items"][0].clone();
            !account.is_null()
        })
        .await;
        let identity = account["identity"].as_str().unwrap().to_owned();
        let (owner, token) = stage.owner(self, trigger);
        if owner != self.owner_id {
            let proposal = json!({"name_prefix": name, "owner": owner, "reason": "theirs"});
            self.post(&self.security, &format!("/v1/targets/{target}/propose"), proposal).await.expect(200);
        }
        let mut charter = self.charter(json!({}));
        charter["owner"] = json!(owner);
        charter["parties"]["requester"] = json!(owner);
        charter["workload_binding"] = json!({"type": "account", "workload": format!("batch/{name}")});
        (trigger.charter)(stage, &mut charter);
        let kind = if trigger.word == "vendor" { "integration" } else { "service_account" };
        let body = json!({"kind": kind, "charter": charter});
        self.post(token, &format!("/v1/identities/{identity}/claim"), body).await.expect(200);
        let request = self.post(token, &format!("/v1/identities/{identity}/submit"), json!({})).await.expect(200);
        for approver in [&self.manager, &self.owner, &self.security] {
            let state = self.get(&self.security, &format!("/v1/identities/{identity}")).await.expect(200);
            if state.text("/state") == "active" {
                break;
            }
            let hash = self
                .get(&self.security, &format!("/v1/requests/{}", request.text("/request")))
                .await
                .expect(200)
                .text("/content_hash");
            // Whose vote it doesn't wait for is refused, and somebody else's is asked for.
            self.post(
                approver,
                &format!("/v1/requests/{}/approve", request.text("/request")),
                json!({"content_hash": hash}),
            )
            .await;
        }
        self.until_state(&identity, "active").await;
        identity
    }

    async fn set_off(&self, stage: &Stage, trigger: &Trigger, owned: &[Owned<'_>]) {
        let removal = async |kind: &str, id: &str| {
            let ask = json!({"subject": {"type": kind, "id": id}, "reason": "it ended"});
            self.post(&self.security, "/v1/removals", ask).await.expect(201);
        };
        match trigger.word {
            "cloud" => removal("cloud_account", "aws/123456789012").await,
            "application" => removal("application", "ledger").await,
            "vendor" => removal("vendor", &stage.vendor).await,
            "task" | "workload" => {
                for account in owned {
                    let path = format!("/v1/identities/{}/complete-task", account.identity);
                    self.post(&self.owner, &path, json!({})).await.expect(200);
                }
            }
            "contractor" => {
                let path = format!("/v1/people/{}/change", stage.contractor.0);
                self.post(&self.admin, &path, json!({"ends_at": crate::world::in_secs(1)})).await.expect(200);
            }
            _ => {
                let path = format!("/v1/people/{}/depart", stage.leaver.0);
                self.post(&self.admin, &path, json!({"reason": "left"})).await.expect(200);
            }
        }
    }
}

on_one! { by |store| World::start_with(store, &[("TENURE_REMOVAL_HOLD", "1s"), ("TENURE_TRANSFER_WINDOW", "3s"), ("TENURE_LAPSED_GRACE", "30d")]);
    async fn r15_r16_r68_r79_r83_r84_r85_r87_r91_what_ends_an_identity_ends_its_accounts_at_every_kind_of_target(world: World) {
        let stage = Stage::of(&world).await;
        let second = world.second_administrator().await;
        let mark = format!("t{}", mark());
        let places: Vec<(&Site, Place)> = SITES.iter().map(|site| (site, Place::of(site, &mark))).collect();
        let name = |trigger: &Trigger| format!("{mark}_{}", trigger.word);
        let mut targets = Vec::new();
        for (site, place) in &places {
            for trigger in &TRIGGERS {
                site.make(place, &name(trigger));
            }
            // One that nothing ends, as the positive control.
            site.make(place, &format!("{mark}_stays"));
            targets.push(world.registered(site, place, &second).await);
        }
        let mut owned: Vec<Vec<Owned<'_>>> = Vec::new();
        for trigger in &TRIGGERS {
            let mut of_trigger = Vec::new();
            for ((site, place), target) in places.iter().zip(&targets) {
                let name = name(trigger);
                let identity = world.claimed_for(&stage, trigger, target, &name).await;
                assert!(site.lets_in(place, &name), "{} at {}", trigger.word, site.kind);
                of_trigger.push(Owned { site, place, name, identity });
            }
            owned.push(of_trigger);
        }
        for (trigger, of_trigger) in TRIGGERS.iter().zip(&owned) {
            world.set_off(&stage, trigger, of_trigger).await;
        }
        world.pass(8).await;
        for (trigger, of_trigger) in TRIGGERS.iter().zip(&owned) {
            let (state, of_identity) = match trigger.end {
                End::Ended => ("ended", "retired"),
                End::Held => ("held", "suspended"),
                End::Cut => ("held", "active"),
            };
            for Owned { site, place, name, identity } in of_trigger {
                let what = format!("{}: {} at {}", trigger.rows, trigger.word, site.kind);
                let path = format!("/v1/accounts?identity={identity}");
                world.until(async || world.get(&world.security, &path).await.expect(200).text("/items/0/state") == state).await;
                world.until_state(identity, of_identity).await;
                assert!(!site.lets_in(place, name), "{what}: it is let in");
                // Its receipt says by what it is known, and that Tenure never held its secret.
                let path = format!("/v1/accounts?identity={identity}");
                let account = world.get(&world.security, &path).await.expect(200);
                assert_eq!(account.text("/items/0/intent/outcome/state"), "ended_read_back", "{what}");
            }
        }
        for (site, place) in &places {
            assert!(site.lets_in(place, &format!("{mark}_stays")), "{}: it lets in nobody any more", site.kind);
        }
    }
}
