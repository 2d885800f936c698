//! A running server with people, environments, an application, a resource and its gateway.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use tenure_store::testing::TestPostgres;

/// The engines that every test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Sqlite,
    Postgres,
}

/// Makes of `async fn name(world: World)` a test on each engine, named `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! on_both {
    ($(async fn $name:ident($world:ident: World) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "not every test needs everything")]
            use super::*;
            async fn run($world: $crate::world::World) $body
            #[tokio::test]
            async fn sqlite() { run($crate::world::World::start($crate::world::Store::Sqlite).await).await; }
            #[tokio::test]
            async fn postgres() { run($crate::world::World::start($crate::world::Store::Postgres).await).await; }
        }
    )*};
}

/// A running server.
pub struct Server {
    child: Mutex<Child>,
    pub url: String,
    pub data: tempfile::TempDir,
    /// What it has written to its standard error.
    pub said: Arc<Mutex<String>>,
    _database: Option<TestPostgres>,
}

impl Server {
    /// Starts the binary with an empty store of this sort.
    pub fn start(store: Store, environment: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let database = (store == Store::Postgres).then(tenure_store::testing::postgres);
        let said = Arc::default();
        let (child, url) = launch(data.path(), database.as_ref().map(TestPostgres::url), environment, &said);
        Self {
            child: Mutex::new(child),
            url,
            data,
            said,
            _database: database,
        }
    }

    /// Starts a server that was stopped or killed, on the same data and address.
    pub fn restart(&mut self, environment: &[(&str, &str)]) {
        let url = self.url.clone();
        let address = url.trim_start_matches("http://").to_owned();
        let database = self._database.as_ref().map(|database| database.url().to_owned());
        let mut all = vec![("TENURE_LISTEN", address.as_str())];
        all.extend_from_slice(environment);
        let (child, _) = launch(self.data.path(), database.as_deref(), &all, &self.said);
        *self.child.lock().unwrap() = child;
    }

    /// Asks the server to stop, and waits until it has.
    pub fn stop(&self) {
        let mut child = self.child.lock().unwrap();
        assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
        assert!(child.wait().unwrap().success());
    }

    /// Kills the server as a power cut would.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// The URL of its database, if it is on PostgreSQL.
    pub fn database(&self) -> Option<&str> {
        self._database.as_ref().map(TestPostgres::url)
    }

    pub fn data(&self) -> PathBuf {
        self.data.path().to_owned()
    }
}

fn launch(data: &std::path::Path, database: Option<&str>, environment: &[(&str, &str)], said: &Arc<Mutex<String>>) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command
        .arg("server")
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
        .env("TENURE_LISTEN", "127.0.0.1:0")
        .env("TENURE_OUTBOUND_ALLOW", "127.0.0.0/8")
        .env("TENURE_KEY_OVERLAP", "2s");
    for name in ["TENURE_STORE", "TENURE_ROOT_KEY", "TENURE_SERVER", "TENURE_TOKEN"] {
        command.env_remove(name);
    }
    if let Some(database) = database {
        command.env("TENURE_STORE", database);
    }
    command.envs(environment.iter().copied());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = Arc::clone(said);
    let note = move |line: &str| said.lock().unwrap().push_str(&format!("{line}\n"));
    let mut start = String::new();
    let url = loop {
        let Some(Ok(line)) = lines.next() else {
            panic!("the server did not start: {start}")
        };
        note(&line);
        match line.strip_prefix("Tenure serves ") {
            Some(url) => break url.to_owned(),
            None => start.push_str(&format!("{line}\n")),
        }
    };
    let on = move |line: String| {
        eprintln!("server: {line}");
        note(&line);
    };
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(on));
    (child, url)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl Answer {
    /// The answer, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
    /// A text of the body by JSON pointer.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> String {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {}", self.body))
            .to_owned()
    }
    /// The problem's or OAuth error's reason.
    #[track_caller]
    pub fn code(&self) -> String {
        for pointer in ["/code", "/reason_code", "/context/reason_code", "/error"] {
            if let Some(code) = self.body.pointer(pointer).and_then(Value::as_str) {
                return code.to_owned();
            }
        }
        panic!("no code in {}", self.body)
    }
    /// The codes of the fields that are missing or wrong.
    pub fn field_codes(&self) -> Vec<String> {
        self.body["fields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|field| field["code"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

/// A workload's key pair.
pub struct Key(pub Ed25519KeyPair);

impl Key {
    pub fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }
    pub fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref())})
    }
    /// A compact JWS over these claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.0.sign(input.as_bytes()).as_ref()))
    }
    /// A client assertion (RFC 7523) that passes.
    pub fn assertion(&self, client: &str, issuer: &str) -> String {
        self.sign(&json!({"alg": "EdDSA", "typ": "client-authentication+jwt"}), &assertion_claims(client, issuer))
    }
}

pub fn assertion_claims(client: &str, issuer: &str) -> Value {
    json!({"iss": client, "sub": client, "aud": issuer, "jti": random(), "iat": now(), "exp": now() + 60})
}

pub fn random() -> String {
    let mut bytes = [0u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    URL_SAFE_NO_PAD.encode(bytes)
}

#[expect(clippy::disallowed_methods, reason = "tests live in real time")]
pub fn now() -> i64 {
    i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// An RFC 3339 time this many seconds from now.
pub fn in_secs(secs: i64) -> String {
    tenure_core::time::Timestamp::from_secs(now() + secs).to_string()
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A server with a small organisation.
pub struct World {
    pub server: Server,
    pub http: reqwest::Client,
    /// Operator tokens.
    pub admin: String,
    pub owner: String,
    pub manager: String,
    pub security: String,
    pub auditor: String,
    /// Ids.
    pub owner_id: String,
    pub manager_id: String,
    pub security_id: String,
    pub application: String,
    pub edge: String,
    pub orders: String,
    /// The gateway: an enforcement point of `orders`, and its live access token.
    pub gateway_id: String,
    pub gateway_key: Key,
    pub gateway: String,
}

pub const ORDERS: &str = "https://orders.internal";

impl World {
    pub async fn start(store: Store) -> Self {
        Self::start_with(store, &[]).await
    }

    pub async fn start_with(store: Store, environment: &[(&str, &str)]) -> Self {
        Self::start_for(store, environment, client()).await
    }

    /// A world whose server is reached with this client.
    pub async fn start_for(store: Store, environment: &[(&str, &str)], http: reqwest::Client) -> Self {
        let server = Server::start(store, environment);
        let mut world = Self {
            server,
            http,
            admin: String::new(),
            owner: String::new(),
            manager: String::new(),
            security: String::new(),
            auditor: String::new(),
            owner_id: String::new(),
            manager_id: String::new(),
            security_id: String::new(),
            application: String::new(),
            edge: String::new(),
            orders: String::new(),
            gateway_id: String::new(),
            gateway_key: Key::new(),
            gateway: String::new(),
        };
        let setup = std::fs::read_to_string(world.server.data.path().join("setup-token")).unwrap();
        world.admin = world
            .post("", "/v1/setup", json!({"setup_token": setup, "name": "Ada"}))
            .await
            .expect(201)
            .text("/operator_token");
        (world.manager_id, world.manager) = world.person("Max", &["manager"]).await;
        let owner = json!({"name": "Olu", "roles": ["requester", "owner"], "manager": world.manager_id});
        (world.owner_id, world.owner) = world.person_as(owner).await;
        (world.security_id, world.security) = world.person("Sam", &["security"]).await;
        (_, world.auditor) = world.person("Aud", &["auditor"]).await;
        for (name, production) in [("production", true), ("staging", false)] {
            world
                .post(&world.admin, "/v1/environments", json!({"name": name, "production": production}))
                .await
                .expect(201);
        }
        world.application = world.application("billing").await;
        world.edge = world.application("edge").await;
        world.orders = world.resource(ORDERS, "production", "online").await;
        let mut charter = world.charter(world.gateway_key.jwk());
        charter["application"] = json!(world.edge);
        charter["scope"] = json!([{"actions": ["enforce"], "resource": world.orders}]);
        world.gateway_id = world.active("gateway", charter).await;
        world.gateway = world.token(&world.gateway_key, &world.gateway_id, "production").await;
        world
    }

    /// Starts the server that was stopped or killed, and leaves its old connections behind.
    pub fn restart(&mut self) {
        self.server.restart(&[]);
        self.http = client();
    }

    pub fn issuer(&self, environment: &str) -> String {
        format!("{}/env/{environment}", self.server.url)
    }

    pub async fn call(&self, method: Method, token: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.server.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Self::answer(request).await
    }

    pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
            headers,
        }
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(Method::POST, token, path, Some(body)).await
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(Method::GET, token, path, None).await
    }

    pub async fn form(&self, token: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut request = self.http.post(format!("{}{path}", self.server.url)).form(fields);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        Self::answer(request).await
    }

    /// A new person, whose manager is Max, and an operator token for them.
    pub async fn person(&self, name: &str, roles: &[&str]) -> (String, String) {
        let mut record = json!({"name": name, "roles": roles});
        if !self.manager_id.is_empty() {
            record["manager"] = json!(self.manager_id);
        }
        self.person_as(record).await
    }

    /// The same from a whole record.
    pub async fn person_as(&self, record: Value) -> (String, String) {
        let id = self.post(&self.admin, "/v1/people", record).await.expect(201).text("/id");
        let token = self
            .post(&self.admin, &format!("/v1/people/{id}/operator-tokens"), json!({}))
            .await
            .expect(201)
            .text("/operator_token");
        (id, token)
    }

    pub async fn application(&self, name: &str) -> String {
        self.post(&self.admin, "/v1/applications", json!({"name": name, "owner": self.owner_id}))
            .await
            .expect(201)
            .text("/id")
    }

    pub async fn resource(&self, uri: &str, environment: &str, verification: &str) -> String {
        let body = json!({"uri": uri, "type": "database", "actions": ["read", "write", "enforce"], "application": self.application, "environment": environment, "verification": verification});
        self.post(&self.admin, "/v1/resources", body).await.expect(201).text("/id")
    }

    /// A complete charter for production, reading `orders`.
    pub fn charter(&self, jwk: Value) -> Value {
        json!({
            "owner": self.owner_id,
            "purpose": "exports invoices",
            "scope": [{"actions": ["read"], "resource": self.orders}],
            "trust_boundary": {"type": "trust_domain", "value": "prod.example.com"},
            "environment": "production",
            "application": self.application,
            "workload_binding": {"type": "public_key", "workload": "deployment/exporter", "jwk": jwk},
            "expires_at": in_secs(30 * 86_400),
            "retirement": [{"type": "idle", "after": "30d"}],
            "rotation_cadence": "30d",
            "coverage": "role_based",
            "parties": {"requester": self.owner_id, "operator": "billing", "beneficiary": "finance"},
        })
    }

    pub async fn register(&self, name: &str, charter: Value, stage: &str) -> Answer {
        self.post(
            &self.owner,
            "/v1/identities",
            json!({"kind": "workload", "name": name, "charter": charter, "stage": stage}),
        )
        .await
    }

    /// An active identity with this charter: the owner hands it in, and their manager approves it.
    pub async fn active(&self, name: &str, charter: Value) -> String {
        let id = self.register(name, charter, "pending").await.expect(201).text("/id");
        self.activate(&self.manager, &id).await.expect(200);
        id
    }

    /// A just-in-time grant that the owner asked for and their manager approved.
    pub async fn grant(&self, id: &str, actions: &[&str], duration: &str) -> String {
        let matter = json!({"type": "access", "identity": id, "entitlement": {"actions": actions, "resource": self.orders}, "duration": duration});
        let request = self.ask(&self.owner, matter, "migration 12").await.expect(201).text("/id");
        self.approve(&self.manager, &request).await.expect(200).text("/outcome/grants/0")
    }

    /// A draft is handed in by its owner and approved by their manager.
    pub async fn hand_in(&self, id: &str) {
        self.post(&self.owner, &format!("/v1/identities/{id}/submit"), json!({})).await.expect(200);
        self.activate(&self.manager, id).await.expect(200);
    }

    /// A vote for the activation of a pending identity.
    pub async fn activate(&self, token: &str, id: &str) -> Answer {
        self.post(token, &format!("/v1/identities/{id}/activate"), json!({})).await
    }

    /// An open request.
    pub async fn ask(&self, token: &str, matter: Value, purpose: &str) -> Answer {
        self.post(token, "/v1/requests", json!({"matter": matter, "purpose": purpose})).await
    }

    /// A vote for a request as it stands now.
    pub async fn approve(&self, token: &str, request: &str) -> Answer {
        let hash = self
            .get(&self.security, &format!("/v1/requests/{request}"))
            .await
            .expect(200)
            .text("/content_hash");
        self.post(token, &format!("/v1/requests/{request}/approve"), json!({"content_hash": hash}))
            .await
    }

    /// An active identity with the usual charter, and its key.
    pub async fn exporter(&self, name: &str) -> (String, Key) {
        let key = Key::new();
        (self.active(name, self.charter(key.jwk())).await, key)
    }

    pub async fn ask_token(&self, key: &Key, id: &str, environment: &str) -> Answer {
        let assertion = key.assertion(id, &self.issuer(environment));
        self.present(&assertion, environment).await
    }

    /// Asks for a token for a task of the charter (RFC 9396).
    pub async fn ask_task(&self, key: &Key, id: &str, task: &str) -> Answer {
        let assertion = key.assertion(id, &self.issuer("production"));
        let details = json!([{"type": "tenure_task", "task": task}]).to_string();
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
            ("authorization_details", &details),
        ];
        self.form("", "/env/production/token", &fields).await
    }

    /// Presents an assertion at the token endpoint.
    pub async fn present(&self, assertion: &str, environment: &str) -> Answer {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        self.form("", &format!("/env/{environment}/token"), &fields).await
    }

    pub async fn token(&self, key: &Key, id: &str, environment: &str) -> String {
        self.ask_token(key, id, environment).await.expect(200).text("/access_token")
    }

    /// Whether the gateway is told that a token is alive.
    pub async fn is_live(&self, token: &str) -> bool {
        self.form(&self.gateway, "/env/production/introspect", &[("token", token)])
            .await
            .expect(200)
            .body["active"]
            == json!(true)
    }

    pub async fn evaluate(&self, id: &str, token: Option<&str>, action: &str) -> Answer {
        let mut subject = json!({"type": "identity", "id": id});
        if let Some(token) = token {
            subject["properties"] = json!({"access_token": token});
        }
        let body = json!({"subject": subject, "resource": {"type": "database", "id": self.orders}, "action": {"name": action}});
        self.post(&self.gateway, "/access/v1/evaluation", body).await
    }

    pub async fn is_allowed(&self, id: &str, token: Option<&str>, action: &str) -> bool {
        self.evaluate(id, token, action).await.expect(200).body["decision"] == json!(true)
    }

    pub async fn revoke(&self, kind: &str, id: &str) -> Answer {
        self.post(&self.security, "/v1/revocations", json!({"target": {"type": kind, "id": id}, "reason": "test"}))
            .await
    }

    /// What an address answers, as text.
    pub async fn text(&self, token: &str, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.server.url)).bearer_auth(token);
        request.send().await.unwrap().text().await.unwrap()
    }

    /// Every event so far, from the export.
    pub async fn events(&self) -> Vec<Value> {
        let text = self.text(&self.auditor, "/v1/log/export").await;
        text.lines()
            .skip(1)
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                let leaf = URL_SAFE_NO_PAD.decode(line["leaf"].as_str().unwrap()).unwrap();
                serde_json::from_slice(&leaf).unwrap()
            })
            .collect()
    }

    /// Events of a kind that name a subject.
    pub async fn events_of(&self, kind: &str, subject: &str) -> Vec<Value> {
        let about = |event: &Value| event["subjects"].as_array().unwrap().iter().any(|s| s == subject);
        self.events().await.into_iter().filter(|event| event["kind"] == kind && about(event)).collect()
    }

    /// Waits until an identity is in a state.
    pub async fn until_state(&self, id: &str, state: &str) {
        self.until(async || self.get(&self.security, &format!("/v1/identities/{id}")).await.expect(200).text("/state") == state)
            .await;
    }

    /// Waits for a condition, at most 20 seconds.
    pub async fn until(&self, condition: impl AsyncFn() -> bool) {
        self.until_within(Duration::from_secs(20), condition).await;
    }

    /// Waits for a condition, at most this long.
    pub async fn until_within(&self, limit: Duration, condition: impl AsyncFn() -> bool) {
        let end = Instant::now() + limit;
        while !condition().await {
            assert!(Instant::now() < end, "the condition did not come true within {limit:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
