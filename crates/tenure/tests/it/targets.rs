//! Targets as their users meet them: real servers, found, claimed, held and ended, with the target's own clients as
//! witnesses. What a target that lies or is away does is tested in the engine, beside a target that has such faults.

mod away;
mod endings;
mod listed;
mod missing;
mod openbao;
mod sites;

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Key, Store, World};

/// What the names of one test have in them.
pub fn mark() -> String {
    crate::world::random().to_lowercase().chars().filter(char::is_ascii_alphanumeric).take(10).collect()
}

/// The real servers of this run (`cargo xtask targets`).
pub fn described() -> Value {
    let path = std::env::var("TENURE_TEST_TARGETS")
        .expect("TENURE_TEST_TARGETS says where the real targets are: cargo xtask test starts them");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A PostgreSQL of this run, with names that no other test has.
pub struct Orders {
    pub url: String,
    ca: Option<String>,
    name: String,
    secret: String,
    pub mark: String,
}

impl Orders {
    pub fn new() -> Self {
        let targets = described();
        let text = |pointer: &str| targets.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        Self {
            url: text("/postgresql/url"),
            ca: Some(text("/ca")),
            name: text("/postgresql/name"),
            secret: text("/postgresql/secret"),
            mark: mark(),
        }
    }

    /// The one that stores of this run stand on, where nobody else has logins: whoever holds what nobody claimed holds
    /// everybody's. It asks for no passwords.
    fn of_stores() -> Self {
        let url = std::env::var("TENURE_TEST_POSTGRES").expect("TENURE_TEST_POSTGRES: cargo xtask test starts one");
        let url = url.replace("postgres@", "");
        Self { url, ca: None, name: "postgres".into(), secret: "none is asked for".into(), mark: mark() }
    }

    fn endpoint(&self) -> Value {
        match &self.ca {
            Some(ca) => json!({"url": self.url, "ca": ca}),
            None => json!({"url": self.url, "plaintext": true}),
        }
    }

    /// What psql says to somebody who signs in and asks this.
    pub fn psql(&self, name: &str, secret: &str, sql: &str) -> Output {
        let (_, place) = self.url.split_once("://").unwrap();
        Command::new("psql")
            .arg(format!("postgres://{name}@{place}?sslmode=prefer&connect_timeout=10"))
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql])
            .env("PGPASSWORD", secret)
            .stdin(Stdio::null())
            .output()
            .expect("psql is installed: cargo xtask peers")
    }

    pub fn admin(&self, sql: &str) -> String {
        let said = self.psql(&self.name, &self.secret, sql);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    }

    /// A login that people made, as they do.
    pub fn login(&self, prefix: &str) -> String {
        let name = format!("{prefix}_{}", self.mark);
        self.admin(&format!("CREATE ROLE {name} LOGIN PASSWORD 'of-{name}'"));
        name
    }

    /// A session of a login that goes on until somebody ends it.
    pub fn session(&self, name: &str, secret: &str) -> std::process::Child {
        Command::new("psql")
            .arg(format!("postgres://{name}@{}?sslmode=require", self.url.split_once("://").unwrap().1))
            .args(["--no-psqlrc", "--command", "SELECT pg_sleep(120)"])
            .env("PGPASSWORD", secret)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn lets_in(&self, name: &str) -> bool {
        self.psql(name, &format!("of-{name}"), "SELECT 1").status.success()
    }

    /// Why it doesn't let somebody in.
    fn refusal(&self, name: &str) -> String {
        let said = self.psql(name, &format!("of-{name}"), "SELECT 1");
        assert!(!said.status.success(), "{name} was let in");
        String::from_utf8_lossy(&said.stderr).into_owned()
    }
}

impl World {
    /// The target, registered, confirmed by a second person, and with its connector's login.
    pub async fn target(&self, orders: &Orders, name: &str, mode: &str) -> String {
        let login = json!({"name": orders.name, "secret": orders.secret});
        self.target_of("postgresql", orders.endpoint(), &login, name, mode).await
    }

    /// The same of any kind.
    pub async fn target_of(&self, kind: &str, endpoint: Value, login: &Value, name: &str, mode: &str) -> String {
        let second = self.second_administrator().await;
        let connector = self.active(&format!("{name}-connector"), self.charter(Key::new().jwk())).await;
        let body = json!({
            "name": name,
            "kind": kind,
            "endpoint": endpoint,
            "mode": mode,
            "identity": connector,
            "owner": self.owner_id,
            "environment": "production",
            "scan_every": "1m",
            "claim_within": "1h",
        });
        let id = self.post(&self.admin, "/v1/targets", body).await.expect(201).text("/id");
        assert_eq!(self.post(&self.admin, &format!("/v1/targets/{id}/login"), login.clone()).await.status, 409);
        self.post(&self.admin, &format!("/v1/targets/{id}/confirm"), json!({})).await.expect(403);
        self.post(&second, &format!("/v1/targets/{id}/confirm"), json!({})).await.expect(200);
        let shown = self.post(&self.admin, &format!("/v1/targets/{id}/login"), login.clone()).await.expect(200);
        assert!(!shown.body.to_string().contains(login["secret"].as_str().unwrap()));
        id
    }

    /// The account of this name, once it was found.
    pub async fn account(&self, name: &str) -> Value {
        let path = format!("/v1/accounts?name={name}");
        let mut found = Value::Null;
        self.until(async || {
            found = self.get(&self.security, &path).await.expect(200).body["items"][0].clone();
            !found.is_null()
        })
        .await;
        found
    }

    /// Waits until the receipt of an identity that is of this is in this state.
    async fn until_receipt(&self, identity: &str, what: &str, state: &str) {
        let path = format!("/v1/receipts?target=identity/{identity}");
        self.until(async || {
            let listed = self.get(&self.security, &path).await.expect(200);
            let of_it = listed.body["items"].as_array().unwrap().iter().find(|receipt| receipt["what"] == what);
            let Some(id) = of_it.and_then(|receipt| receipt["id"].as_str().map(str::to_owned)) else { return false };
            self.get(&self.security, &format!("/v1/receipts/{id}")).await.expect(200).text("/state") == state
        })
        .await;
    }

    async fn until_account(&self, name: &str, state: &str) -> Value {
        let path = format!("/v1/accounts?name={name}");
        let mut found = Value::Null;
        self.until(async || {
            found = self.get(&self.security, &path).await.expect(200).body["items"][0].clone();
            found["state"] == state
        })
        .await;
        found
    }
}

on_one! {
    async fn r98_r72_a_login_that_nobody_owns_is_found_claimed_and_ended_with_its_owners_leaving(world: World) {
        let orders = Orders::new();
        let name = orders.login("billing");
        let target = world.target(&orders, "orders-db", "end").await;
        let account = world.account(&name).await;
        let identity = account["identity"].as_str().unwrap().to_owned();
        let found = world.get(&world.security, &format!("/v1/identities/{identity}")).await.expect(200);
        assert_eq!(found.text("/state"), "discovered");
        assert!(found.body["charter"]["owner"].is_null());
        // What a look came to is written after the accounts that it found.
        world
            .until(async || {
                let looked = world.get(&world.security, &format!("/v1/targets/{target}")).await.expect(200);
                looked.body["scanned"]["seen"].as_u64() > Some(0)
            })
            .await;

        // Whoever it may belong to is asked, and claims it.
        let proposal = json!({"name_prefix": format!("billing_{}", orders.mark), "owner": world.owner_id, "reason": "the billing team made it"});
        let proposed = world.post(&world.security, "/v1/targets/orders-db/propose", proposal).await.expect(200);
        assert_eq!(proposed.body["accounts"].as_array().unwrap().len(), 1);
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = json!({"type": "account", "workload": "batch/billing"});
        let body = json!({"charter": charter});
        world.post(&world.owner, &format!("/v1/identities/{identity}/claim"), body).await.expect(200);
        world.hand_in(&identity).await;
        world.until_state(&identity, "active").await;
        assert!(orders.lets_in(&name));

        // Suspended, it is stopped there, and its open session with it.
        let mut session = orders.session(&name, &format!("of-{name}"));
        let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{name}'");
        world.until(async || orders.admin(&sessions) == "1").await;
        let because = json!({"reason": "odd traffic"});
        world.post(&world.owner, &format!("/v1/identities/{identity}/suspend"), because).await.expect(200);
        let held = world.until_account(&name, "held").await;
        assert_eq!(held["intent"]["because"], "suspended");
        assert_eq!(held["intent"]["outcome"]["state"], "ended_read_back");
        assert_eq!(held["intent"]["outcome"]["sessions_ended"], 1);
        assert!(orders.refusal(&name).contains("not permitted to log in"));
        assert!(!session.wait().unwrap().success(), "its session goes on");
        assert_eq!(orders.admin(&sessions), "0");

        // Let go by somebody else than who stopped it, it works again.
        world.post(&world.security, &format!("/v1/identities/{identity}/resume"), json!({"reason": "was the batch"})).await.expect(200);
        world.until_account(&name, "standing").await;
        assert!(orders.lets_in(&name));

        // Retired, it is gone, the receipt says what shows it, and only then the identity is retired.
        let over = json!({"reason": "the batch is over"});
        world.post(&world.owner, &format!("/v1/identities/{identity}/retire"), over).await.expect(200);
        world.until_state(&identity, "retired").await;
        assert!(orders.refusal(&name).contains("password authentication failed"));
        assert_eq!(orders.admin(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{name}'")), "0");
        let receipts = world.get(&world.security, &format!("/v1/receipts?target=identity/{identity}")).await.expect(200);
        let receipt = receipts.body["items"].as_array().unwrap().iter().find(|receipt| receipt["what"] == "revocation").unwrap();
        let path = format!("/v1/receipts/{}", receipt["id"].as_str().unwrap());
        let receipt = world.get(&world.security, &path).await.expect(200);
        assert_eq!(receipt.text("/state"), "ended_read_back");
        assert_eq!(receipt.text("/accounts/first/0/name"), name);
        assert!(receipt.body["signed"].is_string());
        // Whatever says where, says it by name.
        for path in [&path, "/v1/accounts", "/v1/drift", &format!("/v1/log/timeline?subject={identity}")] {
            let told = world.get(&world.security, path).await.expect(200);
            assert!(!told.body.to_string().contains(&target) || told.body["names"][&target] == "orders-db", "{path}: {}", told.body);
        }
        world.pass(61).await;
        world
            .until(async || {
                let times = world.get(&world.security, "/v1/refusal-times").await.expect(200);
                times.body["by_target"][0]["target"] == json!(target) && times.body["names"][&target] == "orders-db"
            })
            .await;
        let mut command = crate::world::tenure();
        command.args(["account", "list"]).env("TENURE_SERVER", &world.server.url).env("TENURE_TOKEN", &world.security);
        let listed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(listed.contains("orders-db") && !listed.contains(&target), "{listed}");
    }
}

on_one! {
    async fn r92_an_observing_connector_writes_nothing_and_says_that_what_it_sees_goes_on(world: World) {
        let orders = Orders::new();
        let name = orders.login("seen");
        world.target(&orders, "seen-db", "observe").await;
        let identity = world.account(&name).await["identity"].as_str().unwrap().to_owned();
        let over = json!({"reason": "nobody uses it"});
        world.post(&world.security, &format!("/v1/identities/{identity}/retire"), over).await.expect(200);
        let path = format!("/v1/receipts?target=identity/{identity}");
        let receipt = world.get(&world.security, &path).await.expect(200).text("/items/0/id");
        let path = format!("/v1/receipts/{receipt}");
        world.until(async || world.get(&world.security, &path).await.expect(200).body["state"] == "cannot_revoke").await;
        assert!(orders.lets_in(&name), "it may not be ended there, and the receipt says so");
        orders.admin(&format!("DROP ROLE {name}"));
    }
}

on_one! {
    async fn what_nobody_claims_in_time_is_held_there_and_let_go_by_a_claim(world: World) {
        let orders = Orders::of_stores();
        let name = orders.login("late");
        let target = world.target(&orders, "late-db", "end").await;
        let identity = world.account(&name).await["identity"].as_str().unwrap().to_owned();
        world.post(&world.owner, &format!("/v1/targets/{target}/confirm-holds"), json!({})).await.expect(403);
        world.pass(3_600 + 60).await;
        let held = world.until_account(&name, "held").await;
        assert_eq!(held["intent"]["because"], "unclaimed");
        assert!(orders.refusal(&name).contains("not permitted to log in"));
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = json!({"type": "account", "workload": "batch/late"});
        let claim = world.post(&world.owner, &format!("/v1/identities/{identity}/claim"), json!({"charter": charter})).await;
        claim.expect(200);
        world.hand_in(&identity).await;
        world.until_account(&name, "standing").await;
        assert!(orders.lets_in(&name));
        orders.admin(&format!("DROP ROLE {name}"));
    }
}

impl World {
    /// The identity of a login, claimed by the owner and approved by their manager as what its catalogue says it may.
    pub async fn claimed(&self, name: &str) -> String {
        self.claimed_as(name, |_| {}).await
    }

    /// The same by a charter with something else in it.
    pub async fn claimed_as(&self, name: &str, change: impl FnOnce(&mut Value)) -> String {
        let identity = self.account(name).await["identity"].as_str().unwrap().to_owned();
        let mut charter = self.charter(json!({}));
        charter["workload_binding"] = json!({"type": "account", "workload": "batch/ledger"});
        change(&mut charter);
        let claim = json!({"charter": charter});
        self.post(&self.owner, &format!("/v1/identities/{identity}/claim"), claim).await.expect(200);
        self.post(&self.owner, &format!("/v1/identities/{identity}/submit"), json!({})).await.expect(200);
        // Who votes for it reads what it may.
        let view = self.get(&self.security, &format!("/v1/identities/{identity}")).await.expect(200);
        let request = self.get(&self.manager, &format!("/v1/requests/{}", view.text("/request"))).await.expect(200);
        for grant in view.body["charter"]["account_grants"][0]["grants"].as_array().into_iter().flatten() {
            let brief = request.body["brief"].to_string();
            assert!(brief.contains(grant.as_str().unwrap()), "its approvers don't read {grant}: {brief}");
        }
        self.activate(&self.manager, &identity).await.expect(200);
        self.until_state(&identity, "active").await;
        identity
    }

    /// The one difference of an identity in a state, once it is there.
    async fn drift_of(&self, identity: &str, state: &str) -> Value {
        let path = format!("/v1/drift?identity={identity}&state={state}");
        let mut found = Value::Null;
        self.until(async || {
            found = self.get(&self.security, &path).await.expect(200).body["items"][0].clone();
            !found.is_null()
        })
        .await;
        found
    }
}

on_one! {
    async fn r102_a_role_granted_behind_our_back_is_one_item_and_is_taken_away_beside_a_kept_one(world: World) {
        let orders = Orders::new();
        let name = orders.login("ledger");
        let (kept, gained) = (format!("kept_{}", orders.mark), format!("gained_{}", orders.mark));
        orders.admin(&format!("CREATE TABLE {kept} (n int); CREATE TABLE {gained} (n int); GRANT SELECT ON {kept} TO {name}"));
        let may = |table: &str| orders.admin(&format!("SELECT has_table_privilege('{name}', '{table}', 'SELECT')"));
        let target = world.target(&orders, "ledger-db", "end").await;
        let identity = world.claimed(&name).await;

        // Who voted for it read what it may.
        let view = world.get(&world.security, &format!("/v1/identities/{identity}")).await.expect(200);
        let approved = view.body["charter"]["account_grants"][0]["grants"].to_string();
        assert!(approved.contains(&kept) && !approved.contains(&gained), "{approved}");

        // Granted behind our back, it is found, and told as one finding with one deed.
        orders.admin(&format!("GRANT SELECT ON {gained} TO {name}"));
        world.post(&world.owner, &format!("/v1/targets/{target}/scan"), json!({})).await.expect(200);
        let item = world.drift_of(&identity, "open").await;
        assert_eq!(item["kind"], "grants_gained");
        assert_eq!(item["grants"].as_array().unwrap().len(), 1);
        assert!(item["grants"][0].as_str().unwrap().contains(&gained));
        let found = world.get(&world.security, &format!("/v1/findings?subject={identity}&rule=access-drift")).await.expect(200);
        assert_eq!(found.body["items"].as_array().unwrap().len(), 1);
        assert_eq!((may(&kept), may(&gained)), ("t".to_owned(), "t".to_owned()));

        // One action takes it away, and leaves what was approved.
        let path = format!("/v1/drift/{}", item["id"].as_str().unwrap());
        world.post(&world.manager, &format!("{path}/fix"), json!({"reason": "mine"})).await.expect(403);
        world.post(&world.owner, &format!("{path}/fix"), json!({"reason": "nobody asked for it"})).await.expect(200);
        let closed = world.drift_of(&identity, "closed").await;
        assert_eq!(closed["outcome"]["state"], "ended_read_back", "{closed}");
        assert_eq!((may(&kept), may(&gained)), ("t".to_owned(), "f".to_owned()));
        let found = world.get(&world.security, &format!("/v1/findings?subject={identity}&rule=access-drift")).await.expect(200);
        assert_eq!(found.text("/items/0/state"), "resolved");
        assert!(orders.lets_in(&name), "it works on with what was approved");

        // Wanted after all, it is asked for: others approve the wider charter, and the item closes by that.
        orders.admin(&format!("GRANT SELECT ON {gained} TO {name}"));
        world.post(&world.owner, &format!("/v1/targets/{target}/scan"), json!({})).await.expect(200);
        let item = world.drift_of(&identity, "open").await;
        let path = format!("/v1/drift/{}", item["id"].as_str().unwrap());
        let accepted = world.post(&world.owner, &format!("{path}/accept"), json!({"reason": "the year-end report"})).await.expect(200);
        let request = accepted.text("/decision/request");
        world.approve(&world.manager, &request).await.expect(200);
        world.until(async || world.get(&world.security, &path).await.expect(200).body["state"] == "closed").await;
        assert_eq!(may(&gained), "t");
        orders.admin(&format!("DROP TABLE {kept}, {gained}; DROP ROLE {name}"));
    }
}

on_one! {
    async fn r98_every_login_that_nobody_answers_for_is_listed_and_proposed_by_what_speaks_for_somebody(world: World) {
        let orders = Orders::new();
        let names: Vec<String> = (0..40).map(|n| orders.login(&format!("crowd{n}"))).collect();
        let owner = world.get(&world.admin, &format!("/v1/people/{}", world.owner_id)).await.expect(200);
        let who = owner.body["email"].as_str().or(owner.body["name"].as_str()).unwrap().to_owned();
        orders.admin(&format!("COMMENT ON ROLE {} IS 'owner: {}'", names[0], who.to_lowercase()));
        world.target(&orders, "crowd-db", "observe").await;
        let ours = |value: &Value| value.as_str().is_some_and(|name| name.contains(&orders.mark));
        let listed = async || {
            let (mut listed, mut after) = (Vec::new(), String::new());
            loop {
                let path = format!("/v1/identities?unowned=true&limit=200{after}");
                let page = world.get(&world.security, &path).await.expect(200);
                listed.extend(page.body["items"].as_array().unwrap().iter().filter(|one| ours(&one["name"])).cloned());
                match page.body["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => return listed,
                }
            }
        };
        // All of them, and each once.
        world.until(async || listed().await.len() == names.len()).await;
        assert!(listed().await.iter().all(|one| one["state"] == "discovered" && one["charter"]["owner"].is_null()));

        // What is written beside one speaks for its owner, and makes nobody one.
        let account = world.account(&names[0]).await;
        let path = format!("/v1/accounts/{}/suggestions", account["id"].as_str().unwrap());
        let suggested = world.get(&world.security, &path).await.expect(200);
        assert_eq!(suggested.text("/items/0/owner"), world.owner_id, "{}", suggested.body);
        assert_eq!(suggested.text("/items/0/strength"), "strong");
        let rule = json!({"marks": {"comment": "OWNER"}, "by_suggestion": "strong", "reason": "as suggested", "dry_run": true});
        let rehearsed = world.post(&world.security, "/v1/targets/crowd-db/propose", rule.clone()).await.expect(200);
        let told = rehearsed.body["accounts"].as_array().unwrap();
        assert_eq!(told.iter().filter(|one| ours(&one["name"])).count(), 1);
        assert_eq!(world.account(&names[0]).await["proposed"], Value::Null);
        let mut rule = rule;
        rule["dry_run"] = json!(false);
        world.post(&world.security, "/v1/targets/crowd-db/propose", rule).await.expect(200);
        let mine = world.get(&world.owner, &format!("/v1/accounts?proposed={}", world.owner_id)).await.expect(200);
        assert!(mine.body["items"].as_array().unwrap().iter().any(|one| one["seen"]["name"] == names[0]));
        world.get(&world.owner, "/v1/accounts").await.expect(403);
        assert_eq!(listed().await.len(), names.len(), "nobody answers for it by that");

        // A claimed one is listed no more, and all the others are.
        world.claimed(&names[0]).await;
        world.until(async || listed().await.len() == names.len() - 1).await;
        for name in &names {
            orders.admin(&format!("DROP ROLE {name}"));
        }
    }
}

on_one! {
    async fn r98_a_list_from_elsewhere_is_rehearsed_brought_in_once_and_makes_nobody_an_owner(world: World) {
        let owner = world.get(&world.admin, &format!("/v1/people/{}", world.owner_id)).await.expect(200);
        let who = owner.body["email"].as_str().or(owner.body["name"].as_str()).unwrap().to_owned();
        let rows: Vec<Value> = (2..122)
            .map(|line| json!({"line": line, "name": format!("BATCH{line}"), "system": "mainframe", "owner_name": who, "evidence": "RACF export"}))
            .collect();
        let mut ask = json!({"source": "racf", "environment": "production", "rows": rows, "dry_run": true});
        let mut wrong = ask.clone();
        wrong["rows"][3]["seen_at"] = json!("yesterday");
        wrong["rows"][5]["environment"] = json!("nowhere");
        let answer = world.post(&world.admin, "/v1/identities/import", wrong).await.expect(422);
        let fields: Vec<_> = answer.body["fields"].as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap().to_owned()).collect();
        assert_eq!(fields, ["lines[5].seen_at", "lines[7].environment"]);
        world.post(&world.owner, "/v1/identities/import", ask.clone()).await.expect(403);

        // A dry run says what would come of each line, and does nothing.
        let before = world.changes().await;
        let planned = world.post(&world.admin, "/v1/identities/import", ask.clone()).await.expect(200);
        assert_eq!(planned.body["items"].as_array().unwrap().len(), rows.len());
        assert_eq!(planned.text("/items/0/outcome"), "discovered");
        assert_eq!(planned.text("/items/0/proposed_to"), world.owner_id);
        assert_eq!(world.changes().await, before);
        ask["dry_run"] = json!(false);
        ask["expect"] = json!("sha256:0");
        world.post(&world.admin, "/v1/identities/import", ask.clone()).await.expect(409);

        // Exactly that is done, and once: handed in again nothing is new.
        ask["expect"] = json!(planned.text("/digest"));
        world.post(&world.admin, "/v1/identities/import", ask.clone()).await.expect(200);
        let again = world.post(&world.admin, "/v1/identities/import", ask).await.expect(200);
        assert!(again.body["items"].as_array().unwrap().iter().all(|item| item["outcome"] == "known"));
        let identity = again.text("/items/0/identity");
        let found = world.get(&world.security, &format!("/v1/identities/{identity}")).await.expect(200);
        assert_eq!(found.text("/state"), "discovered");
        assert!(found.body["charter"]["owner"].is_null());
        let listed = world.get(&world.security, "/v1/identities?unowned=true&limit=200").await.expect(200);
        assert_eq!(listed.body["items"].as_array().unwrap().iter().filter(|one| one["name"].as_str().unwrap().contains("mainframe")).count(), rows.len());
        let seen = world.get(&world.owner, &format!("/v1/sightings?proposed={}&limit=200", world.owner_id)).await.expect(200);
        assert_eq!(seen.body["items"].as_array().unwrap().len(), rows.len());
        assert_eq!(seen.text("/items/0/evidence"), "RACF export");

        // Whoever it was proposed to claims it.
        let charter = json!({"charter": {"purpose": "closes the books"}});
        world.post(&world.owner, &format!("/v1/identities/{identity}/claim"), charter).await.expect(200);
    }
}

/// What is wrong with a registration is said, field by field, and to nobody who may not register.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_none_is_told_what_is_wrong() {
    let orders = Orders::new();
    let world = World::start(Store::Sqlite).await;
    let connector = world.active("wrong-connector", world.charter(Key::new().jwk())).await;
    let good = json!({"name": "wrong-db", "kind": "postgresql", "endpoint": orders.endpoint(), "identity": connector, "owner": world.owner_id, "environment": "production"});
    for (field, value, code) in [
        ("name", json!("Wrong DB"), "name_malformed"),
        ("endpoint", json!({"url": "postgres://user:secret@db:5432/x"}), "endpoint_malformed"),
        ("endpoint", json!({"url": "http://db"}), "endpoint_malformed"),
        ("identity", json!("idn_00000000000000000000000001"), "identity_not_active"),
        ("owner", json!("per_00000000000000000000000001"), "owner_unknown"),
        ("environment", json!("nowhere"), "environment_unknown"),
        ("scan_every", json!("1s"), "scan_every_out_of_range"),
        ("claim_within", json!("400d"), "claim_within_out_of_range"),
        ("blast_cap", json!(1_000_000), "blast_cap_out_of_range"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = world.post(&world.admin, "/v1/targets", body.clone()).await.expect(422);
        assert!(answer.field_codes().iter().any(|given| given == code), "{field}: {}", answer.body);
        assert_eq!(world.post(&world.security, "/v1/targets", body).await.status, 403);
    }
    let secret = json!({"name": "x".repeat(600), "secret": ""});
    let id = world.post(&world.admin, "/v1/targets", good).await.expect(201).text("/id");
    let answer = world.post(&world.admin, &format!("/v1/targets/{id}/login"), secret).await.expect(422);
    assert_eq!(answer.field_codes().len(), 2);
}

on_one! {
    async fn s18_a_login_that_somebody_lets_in_again_at_postgresql_is_stopped_again_and_told(world: World) {
        let orders = Orders::new();
        let name = orders.login("revived");
        let target = world.target(&orders, "revived-db", "end").await;
        let identity = world.account(&name).await["identity"].as_str().unwrap().to_owned();
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = json!({"type": "account", "workload": "batch/revived"});
        world.post(&world.owner, &format!("/v1/identities/{identity}/claim"), json!({"charter": charter})).await.expect(200);
        world.hand_in(&identity).await;
        world.until_state(&identity, "active").await;
        let because = json!({"reason": "odd traffic"});
        world.post(&world.owner, &format!("/v1/identities/{identity}/suspend"), because).await.expect(200);
        world.until_account(&name, "held").await;
        world.until_receipt(&identity, "suspension", "ended_read_back").await;
        assert!(!orders.lets_in(&name));
        // As the database's people do who know nothing of it.
        orders.admin(&format!("ALTER ROLE {name} LOGIN"));
        assert!(orders.lets_in(&name));
        world.post(&world.security, &format!("/v1/targets/{target}/scan"), json!({})).await.expect(200);
        world.until(async || !orders.lets_in(&name)).await;
        let findings = format!("/v1/findings?rule=account-revived&subject={identity}");
        assert_eq!(world.get(&world.security, &findings).await.expect(200).text("/items/0/severity"), "critical");
        world.until_account(&name, "held").await;
        orders.admin(&format!("DROP ROLE {name}"));
    }

    async fn r103_a_login_is_narrowed_at_postgresql_and_may_do_what_it_keeps(world: World) {
        let orders = Orders::new();
        let name = orders.login("narrowed");
        let table = format!("t_{name}");
        orders.admin(&format!("CREATE TABLE {table} (n int); GRANT SELECT, INSERT ON {table} TO {name}"));
        world.target(&orders, "narrowed-db", "end").await;
        let account = world.account(&name).await;
        let grants: Vec<String> = account["seen"]["grants"].as_array().unwrap().iter().map(|grant| grant.as_str().unwrap().to_owned()).collect();
        let keep: Vec<&String> = grants.iter().filter(|grant| !grant.starts_with("INSERT")).collect();
        assert_eq!(keep.len() + 1, grants.len(), "{grants:?}");
        let path = format!("/v1/accounts/{}/narrow", account["id"].as_str().unwrap());
        let body = json!({"keep": keep, "reason": "it only reads"});
        world.post(&world.owner, &path, body.clone()).await.expect(403);
        world.post(&world.security, &path, body).await.expect(200);
        world.until_receipt(account["identity"].as_str().unwrap(), "narrowing", "narrowed_read_back").await;
        let asks = |sql: &str| orders.psql(&name, &format!("of-{name}"), sql).status.success();
        assert!(asks(&format!("SELECT * FROM {table}")) && !asks(&format!("INSERT INTO {table} VALUES (1)")));
        orders.admin(&format!("DROP TABLE {table}; DROP ROLE {name}"));
    }
}
