//! Logins just in time as their users meet them: on real servers, with psql as the witness.

use serde_json::{Value, json};

use crate::on_one;
use crate::targets::{Orders, described, mark};
use crate::world::{Answer, Key, World};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A workload with a key of its own.
pub struct Worker {
    pub id: String,
    pub key: Key,
}

impl World {
    /// A resource that is at a target, its mapping approved by a second administrator; gives its id.
    pub async fn resource_at(&self, uri: &str, target: &str, actions: Value) -> String {
        let second = self.second_administrator().await;
        let resource = self.resource(uri, "production", "online").await;
        let path = format!("/v1/resources/{resource}");
        let logins = json!({"logins": {"target": target, "actions": actions}, "purpose": "the nightly export"});
        let opened = self.patch(&self.admin, &path, Some("*"), &logins).await.expect(201).text("/id");
        assert!(self.get(&self.admin, &path).await.expect(200).body["logins"].is_null(), "one alone widens nothing");
        self.approve(&self.admin, &opened).await.expect(403);
        self.approve(&second, &opened).await.expect(200);
        resource
    }

    pub async fn worker(&self, name: &str, resource: &str, change: impl FnOnce(&mut Value)) -> Worker {
        let key = Key::new();
        let mut charter = self.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read"], "resource": resource}]);
        charter["credential_types"] = json!(["access_token", "login"]);
        change(&mut charter);
        Worker { id: self.active(name, charter).await, key }
    }

    pub async fn ask_login(&self, worker: &Worker, more: &[(&str, &str)]) -> Answer {
        let assertion = worker.key.assertion(&worker.id, &self.issuer("production"));
        let mut fields = vec![("client_assertion_type", ASSERTION), ("client_assertion", assertion.as_str())];
        fields.extend(more);
        self.form("", "/env/production/logins", &fields).await
    }

    pub async fn until_ended(&self, login: &str) -> Value {
        let path = format!("/v1/logins/{login}");
        let mut found = Value::Null;
        self.until(async || {
            found = self.get(&self.security, &path).await.expect(200).body;
            found["state"] == "ended"
        })
        .await;
        found
    }

    /// The receipt of an identity's last revocation, once it is signed.
    pub async fn signed_receipt(&self, target: &str) -> Value {
        let path = format!("/v1/receipts?target={target}");
        let mut found = Value::Null;
        self.until(async || {
            let id = self.get(&self.security, &path).await.expect(200).text("/items/0/id");
            found = self.get(&self.security, &format!("/v1/receipts/{id}")).await.expect(200).body;
            found["signed"].is_string()
        })
        .await;
        found
    }
}

impl Orders {
    /// A table that nobody else has.
    pub fn table(&self) -> String {
        let name = format!("orders_{}", self.mark);
        self.admin(&format!("CREATE TABLE {name} (id int); INSERT INTO {name} VALUES (7)"));
        name
    }

    /// How the connector calls the right to read it.
    pub fn reading(&self, table: &str) -> String {
        let (_, database) = self.url.rsplit_once('/').unwrap();
        format!("SELECT ON TABLE {database}.public.{table}")
    }

    /// The logins at the server that were made here for an identity.
    fn made_for(&self, identity: &str) -> String {
        self.admin(&format!(
            "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'tnr\\_%' AND shobj_description(oid, 'pg_authid') LIKE '%{identity}%'"
        ))
    }

    fn takes(&self, issued: &Value, sql: &str) -> Result<String, String> {
        let (name, secret) = (issued["name"].as_str().unwrap(), issued["secret"].as_str().unwrap());
        let said = self.psql(name, secret, sql);
        match said.status.success() {
            true => Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&said.stderr).into_owned()),
        }
    }
}

on_one! {
    async fn r58_at_rest_nothing_is_there_and_a_login_lives_as_long_as_its_grant(world: World) {
        let orders = Orders::new();
        let table = orders.table();
        let target = world.target(&orders, "jit-db", "issue").await;
        let uri = format!("postgres://{}", orders.mark);
        let resource = world.resource_at(&uri, &target, json!({"read": [orders.reading(&table)]})).await;
        let worker = world.worker("migrator", &resource, |_| {}).await;
        assert_eq!(orders.made_for(&worker.id), "0", "at rest it holds no login at all");

        let issued = world.ask_login(&worker, &[("resource", &uri), ("scope", "read"), ("request_id", "r-1")]).await.expect(200);
        let login = issued.text("/login");
        assert_eq!(orders.takes(&issued.body, &format!("SELECT id FROM {table}")), Ok("7".to_owned()));
        assert!(orders.takes(&issued.body, &format!("DELETE FROM {table}")).unwrap_err().contains("permission denied"));
        assert_eq!(orders.made_for(&worker.id), "1");
        // R67: an end, at the target too, and what ends it before.
        let until = orders.admin(&format!("SELECT rolvaliduntil < now() + interval '20 minutes' FROM pg_roles WHERE rolname = '{}'", issued.text("/name")));
        assert_eq!(until, "t");
        let credential = world.get(&world.security, &format!("/v1/credentials/{login}")).await.expect(200);
        assert_eq!((credential.text("/type"), credential.text("/state")), ("login".to_owned(), "live".to_owned()));
        assert!(!credential.body["revoked_by"].as_array().unwrap().is_empty());

        // Its secret is nowhere to be read, and not told again.
        let secret = issued.text("/secret");
        let shown = world.get(&world.security, &format!("/v1/logins/{login}")).await.expect(200);
        assert!(shown.body["sealed"].is_null() && !shown.body.to_string().contains(&secret));
        assert!(!world.text(&world.security, "/v1/log/export").await.contains(&secret));
        world.ask_login(&worker, &[("request_id", "r-1")]).await.expect(400);
        assert_eq!(orders.made_for(&worker.id), "1");
        // Nobody else fetches it, and who may not read credentials sees none of them.
        let other = world.worker("other", &resource, |_| {}).await;
        world.ask_login(&other, &[("login", &login)]).await.expect(404);
        assert_eq!(world.get(&world.owner, "/v1/logins").await.status, 403);

        // It ends by itself, and nothing is left of it.
        world.pass(16 * 60).await;
        let ended = world.until_ended(&login).await;
        assert_eq!((ended["end"]["because"].as_str(), ended["outcome"]["state"].as_str()), (Some("credential_expired"), Some("refused_verified")));
        assert!(orders.takes(&issued.body, "SELECT 1").unwrap_err().contains("authentication failed"));
        assert_eq!(orders.made_for(&worker.id), "0");
        orders.admin(&format!("DROP TABLE {table}"));
    }
}

on_one! {
    async fn r72_a_revocation_is_proved_by_the_targets_own_refusal_beside_a_login_that_it_takes(world: World) {
        let orders = Orders::new();
        let table = orders.table();
        let target = world.target(&orders, "proof-db", "issue").await;
        let uri = format!("postgres://{}", orders.mark);
        let resource = world.resource_at(&uri, &target, json!({"read": [orders.reading(&table)]})).await;
        let worker = world.worker("exporter", &resource, |_| {}).await;
        let first = world.ask_login(&worker, &[]).await.expect(200);
        let second = world.ask_login(&worker, &[]).await.expect(200);
        // One in use, with a session that is open.
        let mut session = orders.session(&first.text("/name"), &first.text("/secret"));
        let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", first.text("/name"));
        world.until(async || orders.admin(&sessions) == "1").await;
        let cut = json!({"target": {"type": "identity", "id": worker.id}, "reason": "leaked"});
        world.post(&world.security, "/v1/revocations", cut).await.expect(201);
        let receipt = world.signed_receipt(&format!("identity/{}", worker.id)).await;
        assert_eq!(receipt["state"], "refused_verified", "{receipt}");
        assert_eq!((&receipt["accounts"]["count"], &receipt["accounts"]["refused_verified"]), (&json!(2), &json!(2)));
        let of = |login: &str| receipt["accounts"]["first"].as_array().unwrap().iter().find(|point| point["login"] == login).unwrap()["outcome"].clone();
        let outcome = of(&first.text("/login"));
        assert_eq!((&outcome["sessions_ended"], &outcome["sessions_left"]), (&json!(1), &json!(0)));
        assert!(outcome["words"].as_str().unwrap().contains("password authentication failed"), "{outcome}");
        assert_eq!(outcome["control"], of(&second.text("/login"))["control"], "one canary serves both");
        assert!(!session.wait().unwrap().success());
        for issued in [&first, &second] {
            assert!(orders.takes(&issued.body, "SELECT 1").unwrap_err().contains("authentication failed"));
        }
        // What it was tried with is destroyed.
        let shown = world.get(&world.security, &format!("/v1/logins/{}", first.text("/login"))).await.expect(200);
        assert_eq!(shown.body["secret_kept"], false);
        orders.admin(&format!("DROP TABLE {table}"));
    }
}

on_one! {
    async fn r82_r16_a_task_takes_its_login_along(world: World) {
        let orders = Orders::new();
        let table = orders.table();
        let target = world.target(&orders, "task-db", "issue").await;
        let uri = format!("postgres://{}", orders.mark);
        let resource = world.resource_at(&uri, &target, json!({"read": [orders.reading(&table)]})).await;
        let worker = world.worker("migration", &resource, |charter| charter["retirement"] = json!([{"type": "task_completed"}])).await;
        let issued = world.ask_login(&worker, &[]).await.expect(200);
        assert!(orders.takes(&issued.body, "SELECT 1").is_ok());
        let done = json!({"reason": "the migration is through"});
        world.post(&world.owner, &format!("/v1/identities/{}/retire", worker.id), done).await.expect(200);
        world.until_state(&worker.id, "retired").await;
        assert!(orders.takes(&issued.body, "SELECT 1").is_err());
        assert_eq!(orders.made_for(&worker.id), "0");
        let receipt = world.signed_receipt(&format!("identity/{}", worker.id)).await;
        assert_eq!(receipt["state"], "refused_verified", "{receipt}");
        orders.admin(&format!("DROP TABLE {table}"));
    }
}

on_one! {
    async fn r72_other_kinds_of_targets_prove_it_too(world: World) {
        let targets = described();
        let kinds = [
            ("mariadb", "SELECT ON mysql.help_topic"),
            ("redis", "+ping"),
            ("rabbitmq", "READ .* ON VHOST /"),
            ("nats", "publish:orders.new"),
        ];
        for (kind, grant) in kinds {
            let text = |pointer: &str| targets.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
            let options = targets.pointer(&format!("/{kind}/options")).cloned().unwrap_or(json!({}));
            let endpoint = json!({"url": text(&format!("/{kind}/url")), "ca": text("/ca"), "options": options});
            let login = json!({"name": text(&format!("/{kind}/name")), "secret": text(&format!("/{kind}/secret"))});
            let target = world.target_of(kind, endpoint, &login, &format!("jit-{kind}"), "issue").await;
            let uri = format!("{kind}://{}", mark());
            let resource = world.resource_at(&uri, &target, json!({"read": [grant]})).await;
            let worker = world.worker(&format!("{kind}-worker"), &resource, |_| {}).await;
            let issued = world.ask_login(&worker, &[]).await;
            assert_eq!(issued.status, 200, "{kind}: {}", issued.body);
            // What its holder logs in with at NATS is a file with what was signed for it, too.
            assert_eq!(issued.text("/secret").contains("BEGIN NATS USER JWT"), kind == "nats");
            let cut = json!({"target": {"type": "credential", "id": issued.text("/login")}, "reason": "leaked"});
            world.post(&world.security, "/v1/revocations", cut).await.expect(201);
            let receipt = world.signed_receipt(&format!("credential/{}", issued.text("/login"))).await;
            assert_eq!(receipt["state"], "refused_verified", "{kind}: {receipt}");
        }
    }
}
