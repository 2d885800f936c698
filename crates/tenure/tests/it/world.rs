//! A running server with people, environments, an application, a resource and its gateway.

pub mod clock;
pub(crate) mod server;
mod template;

use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use tenure_core::base::time::Span;
use tenure_log::Leaf;

use self::clock::thread_time;
use self::template::Place;

pub use self::clock::TestClock;

pub use self::server::{Host, Server, tenure};
pub use self::template::Handed;

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Sqlite,
    Postgres,
}

/// Makes of `async fn name(world: World)` a test on each engine, `name::sqlite` and `name::postgres`, `because` what it
/// shows rests on what the engines do differently: locks and claims, races of commits, uniqueness, lists by terms,
/// restarts. `by` says how its world starts.
#[macro_export]
macro_rules! on_both {
    (because $why:literal; $($tests:tt)*) => { $crate::on_both! { because $why, by $crate::world::World::start; $($tests)* } };
    (because $why:literal, by $start:expr; $(async fn $name:ident($world:ident: World) $body:block)*) => {$(
        #[doc = $why]
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "not every test needs everything")]
            use super::*;
            pub(super) async fn run($world: $crate::world::World) $body
            #[tokio::test]
            async fn sqlite() { run(($start)($crate::world::Store::Sqlite).await).await; }
            #[tokio::test]
            async fn postgres() { run(($start)($crate::world::Store::Postgres).await).await; }
        }
    )*};
}

/// The same for what doesn't rest on the engine: on SQLite, and on PostgreSQL in the long form of the suite (`cargo
/// xtask test --long engines`).
#[macro_export]
macro_rules! on_one {
    (by $start:expr; $(async fn $name:ident($world:ident: World) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "not every test needs everything")]
            use super::*;
            pub(super) async fn run($world: $crate::world::World) $body
            #[tokio::test]
            async fn sqlite() { run(($start)($crate::world::Store::Sqlite).await).await; }
            #[tokio::test]
            #[ignore = "long: the second engine"]
            async fn postgres() { run(($start)($crate::world::Store::Postgres).await).await; }
        }
    )*};
    ($($tests:tt)*) => { $crate::on_one! { by $crate::world::World::start; $($tests)* } };
}

/// Runs tests of this file once more on the real binary, by the machine's clock: one real wait of each kind of deadline
/// is left.
#[macro_export]
macro_rules! in_real_time {
    ($($name:ident on $world:expr;)*) => {
        mod in_real_time {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() { super::$name::run($world.await).await; }
            )*
        }
    };
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

/// Where a line goes on that was too long, in a text that was put together again.
pub const WRAPPED: char = '\u{2028}';

/// The JSON web tokens of a text, each as far as a quotation mark, a blank or an ampersand. A token begins where a word
/// does, or where a line was broken, and with JSON: the same letters in the middle of random text, of which a page of
/// keys and hashes is full, are none.
pub fn jwts(text: &str) -> Vec<String> {
    use base64::Engine as _;
    let (mut whole, mut broken) = (String::new(), std::collections::BTreeSet::new());
    for piece in text.split(WRAPPED) {
        broken.insert(whole.len());
        whole.push_str(piece);
    }
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_json = |token: &str| {
        let end = token.find(|c: char| !in_word(c)).unwrap_or(token.len()).min(20);
        let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&token[..end - end % 4]).unwrap_or_default();
        head.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
    };
    let (mut found, mut end) = (Vec::new(), 0);
    for (place, _) in whole.match_indices("eyJ") {
        let token = whole[place..].split(['"', ' ', '\n', '&']).next().unwrap();
        let begins = broken.contains(&place) || !whole[..place].ends_with(in_word);
        if place >= end && begins && is_json(token) {
            end = place + token.len();
            found.push(token.to_owned());
        }
    }
    found
}

impl Answer {
    /// The answer, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
    /// In how many seconds it says to ask again.
    pub fn retry_after(&self) -> Option<u64> {
        self.headers.get("retry-after")?.to_str().ok()?.parse().ok()
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
    /// The same key again, from PKCS#8.
    pub fn from_pkcs8(der: &[u8]) -> Self {
        Self(Ed25519KeyPair::from_pkcs8(der).unwrap())
    }
    pub fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref())})
    }
    /// A compact JWS over these claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
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

/// The time of this test, in seconds since 1970.
pub fn now() -> i64 {
    thread_time().as_secs()
}

/// The same in microseconds.
pub fn now_micros() -> i64 {
    thread_time().as_micros()
}

/// An RFC 3339 time this many seconds from now.
pub fn in_secs(secs: i64) -> String {
    tenure_core::base::time::Timestamp::from_secs(now() + secs).to_string()
}

/// A client without connections of before. It gives one up before the server does: a test that was busy with something
/// else for so long would send its next request into a connection that is closed.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let idle = Duration::from_secs(5);
    reqwest::Client::builder().no_proxy().pool_idle_timeout(idle).build().unwrap()
}

/// A server with a small organisation.
pub struct World {
    pub server: Server,
    pub http: reqwest::Client,
    /// The clock that its server goes by, if it isn't the machine's.
    clock: Option<TestClock>,
    /// Kept until the server is gone: its address is nobody else's so long.
    _place: Option<Place>,
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
    /// What stands in every text that people write, in place of what a test says, from when this is set.
    pub ink: Option<&'static str>,
    /// A second administrator, once somebody asked for one.
    second: tokio::sync::OnceCell<String>,
}

/// The members of bodies that take whatever people write.
const WRITTEN: [&str; 14] = [
    "purpose",
    "reason",
    "comment",
    "note",
    "how",
    "description",
    "contact",
    "migration_plan",
    "operator",
    "beneficiary",
    "posture",
    "consumers",
    "outcome",
    "why",
];

/// A body with the same text in every member that takes any.
fn inked(value: &mut Value, ink: &str) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if WRITTEN.contains(&name.as_str()) => *text = ink.to_owned(),
                    below => inked(below, ink),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| inked(item, ink)),
        _ => {}
    }
}

pub const ORDERS: &str = "https://orders.internal";
/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(POLL_MILLIS as u64);
const POLL_MILLIS: i64 = 50;
/// The host under which worlds are reached, unless a test needs a name.
const ADDRESS: &str = "127.0.0.1";

impl World {
    /// A world inside this process, by a clock of its own.
    pub async fn start(store: Store) -> Self {
        Self::start_with(store, &[]).await
    }

    /// The same with settings of the server.
    pub async fn start_with(store: Store, environment: &[(&str, &str)]) -> Self {
        Self::copied(store, ADDRESS, environment, Host::inside()).await
    }

    /// The same under a host name, which passkeys need.
    pub async fn on_localhost(store: Store, environment: &[(&str, &str)]) -> Self {
        Self::copied(store, "localhost", environment, Host::inside()).await
    }

    /// A world of the real binary, by the machine's clock.
    pub async fn binary(store: Store, environment: &[(&str, &str)]) -> Self {
        Self::copied(store, ADDRESS, environment, Host::Binary).await
    }

    /// The same under a host name.
    pub async fn binary_on_localhost(store: Store, environment: &[(&str, &str)]) -> Self {
        Self::copied(store, "localhost", environment, Host::Binary).await
    }

    /// A world of the real binary whose server is set up with these settings and reached with this client: its address,
    /// its database or its certificate are the test's matter.
    pub async fn fresh(environment: &[(&str, &str)], store: Store, http: reqwest::Client) -> Self {
        Self::furnished(Server::start(store, environment), http).await
    }

    /// A world on a server that nobody has set up yet.
    pub async fn furnished(server: Server, http: reqwest::Client) -> Self {
        Self::furnished_by(server, http, None).await
    }

    async fn furnished_by(server: Server, http: reqwest::Client, clock: Option<TestClock>) -> Self {
        let mut world = Self::unfurnished(server, http, clock);
        world.furnish().await;
        world.gateway = world.token(&world.gateway_key, &world.gateway_id, "production").await;
        world
    }

    /// A world that somebody else furnished.
    pub fn taken_over(server: Server, clock: Option<TestClock>, handed: Handed, gateway: String) -> Self {
        let mut world = Self::unfurnished(server, client(), clock);
        world.take_over(handed);
        world.gateway = gateway;
        world
    }

    async fn copied(store: Store, host_name: &'static str, environment: &[(&str, &str)], host: Host) -> Self {
        let Some(place) = Place::take(store, host_name) else {
            host.is_of_this_thread();
            let database = (store == Store::Postgres).then(tenure_store::testing::postgres);
            let server = Server::on(&host, tempfile::tempdir().unwrap(), database, environment);
            return Self::furnished_by(server, client(), host.clock()).await;
        };
        let copy = match place.copy() {
            Some(copy) => copy,
            None => {
                Self::make(store, &place).await;
                place.copy().unwrap()
            }
        };
        host.is_of_this_thread();
        let (address, url) = (place.address(), place.url());
        let mut all = vec![("TENURE_LISTEN", address.as_str()), ("TENURE_PUBLIC_URL", url.as_str())];
        all.extend_from_slice(environment);
        let server = Server::on(&host, copy.data, copy.database, &all);
        let mut world = Self::unfurnished(server, client(), host.clock());
        world._place = Some(place);
        world.take_over(copy.handed);
        world.gateway = world.token(&world.gateway_key, &world.gateway_id, "production").await;
        world
    }

    /// Furnishes a world some minutes ago, lets what is due soon be done, and leaves it in its place.
    async fn make(store: Store, place: &Place) {
        let clock = TestClock::new(TestClock::of_the_machine().minus(Span::from_mins(4)));
        let host = Host::Inside(clock.clone());
        host.is_of_this_thread();
        let (address, url) = (place.address(), place.url());
        let database = (store == Store::Postgres).then(tenure_store::testing::postgres);
        let environment = [("TENURE_LISTEN", address.as_str()), ("TENURE_PUBLIC_URL", url.as_str())];
        let server = Server::on(&host, tempfile::tempdir().unwrap(), database, &environment);
        let mut world = Self::unfurnished(server, client(), Some(clock.clone()));
        world.furnish().await;
        clock.advance(Span::from_mins(2));
        world.until_quiet().await;
        world.server.stop();
        let handed = world.handed();
        let database = world.server.take_database();
        place.keep(world.server.data.path(), database, handed);
    }

    fn unfurnished(server: Server, http: reqwest::Client, clock: Option<TestClock>) -> Self {
        Self {
            server,
            http,
            clock,
            _place: None,
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
            ink: None,
            second: tokio::sync::OnceCell::new(),
        }
    }

    /// Sets it up, with people, places and the gateway.
    async fn furnish(&mut self) {
        let world = self;
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
        world.make_removers().await;
        world.application = world.application("billing").await;
        world.edge = world.application("edge").await;
        world.orders = world.resource(ORDERS, "production", "online").await;
        let mut charter = world.charter(world.gateway_key.jwk());
        charter["application"] = json!(world.edge);
        charter["scope"] = json!([{"actions": ["enforce"], "resource": world.orders}]);
        world.gateway_id = world.active("gateway", charter).await;
    }

    /// What whoever takes this world over needs.
    pub fn handed(&self) -> Handed {
        Handed {
            admin: self.admin.clone(),
            owner: self.owner.clone(),
            manager: self.manager.clone(),
            security: self.security.clone(),
            auditor: self.auditor.clone(),
            owner_id: self.owner_id.clone(),
            manager_id: self.manager_id.clone(),
            security_id: self.security_id.clone(),
            application: self.application.clone(),
            edge: self.edge.clone(),
            orders: self.orders.clone(),
            gateway_id: self.gateway_id.clone(),
            gateway_key: self.gateway_key.0.to_pkcs8().unwrap().as_ref().to_vec(),
        }
    }

    fn take_over(&mut self, handed: Handed) {
        self.admin = handed.admin;
        self.owner = handed.owner;
        self.manager = handed.manager;
        self.security = handed.security;
        self.auditor = handed.auditor;
        self.owner_id = handed.owner_id;
        self.manager_id = handed.manager_id;
        self.security_id = handed.security_id;
        self.application = handed.application;
        self.edge = handed.edge;
        self.orders = handed.orders;
        self.gateway_id = handed.gateway_id;
        self.gateway_key = Key::from_pkcs8(&handed.gateway_key);
    }

    /// Starts the server that was stopped or killed, and leaves its old connections behind.
    pub fn restart(&mut self) {
        self.server.restart(&[]);
        self.http = client();
    }

    /// The command line of whoever holds a token, on a terminal of 80 columns with these answers if there are any; what
    /// the terminal shows is standard output then.
    pub fn by_hand(
        &self,
        token: &str,
        folder: &std::path::Path,
        arguments: &[&str],
        answers: Option<&str>,
    ) -> std::process::Output {
        use std::io::Write as _;
        let mut command = tenure();
        if answers.is_some() {
            let words = std::iter::once(command.get_program().to_str().unwrap()).chain(arguments.iter().copied());
            let line = words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
            command = self::server::clean(std::path::Path::new("script"));
            command.args(["-qec", &format!("stty cols 80 -echo; {line}"), "/dev/null"]);
        } else {
            command.args(arguments);
        }
        command.envs([
            ("TENURE_SERVER", self.server.url.as_str()),
            ("TENURE_TOKEN", token),
            ("TENURE_DATA", folder.to_str().unwrap()),
        ]);
        let mut child = command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(answers.unwrap_or_default().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
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
            request = request.json(&self.written(path, body));
        }
        Self::answer(request).await
    }

    fn written(&self, path: &str, mut body: Value) -> Value {
        if let Some(ink) = self.ink {
            inked(&mut body, ink);
            if let (true, Some(name)) = (path == "/v1/people", body["name"].as_str()) {
                body["name"] = json!(format!("{name} {ink}"));
            }
        }
        body
    }

    pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)), headers }
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(Method::POST, token, path, Some(body)).await
    }

    /// Puts a record in the place of whatever is there now, if anything is.
    pub async fn put(&self, token: &str, path: &str, body: Value) -> Answer {
        let is_new = self.get(&self.admin, path).await.status == 404 && !path.ends_with("/charter");
        self.at(Method::PUT, token, path, (!is_new).then_some("*"), &body).await
    }

    /// A change under a condition.
    pub async fn at(&self, method: Method, token: &str, path: &str, if_match: Option<&str>, body: &Value) -> Answer {
        let body = self.written(path, body.clone());
        let request = self.http.request(method, format!("{}{path}", self.server.url)).bearer_auth(token).json(&body);
        Self::answer(match if_match {
            Some(etag) => request.header("If-Match", etag),
            None => request,
        })
        .await
    }

    pub async fn patch(&self, token: &str, path: &str, if_match: Option<&str>, body: &Value) -> Answer {
        self.at(Method::PATCH, token, path, if_match, body).await
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

    /// A second administrator: always the same, since a third one takes the vote of two.
    pub async fn second_administrator(&self) -> String {
        self.second.get_or_init(|| async { self.person("Bea", &["administrator"]).await.1 }).await.clone()
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

    /// An application whose identities the removers answer for.
    pub async fn application(&self, name: &str) -> String {
        let id = self
            .post(&self.admin, "/v1/applications", json!({"name": name, "owner": self.owner_id}))
            .await
            .expect(201)
            .text("/id");
        self.give_removers(&id).await;
        id
    }

    /// The team that answers for removals: the administrator is in it.
    pub async fn make_removers(&self) {
        let team = self.post(&self.admin, "/v1/teams", json!({"name": "removers"})).await.expect(201).text("/id");
        let admin = self.get(&self.admin, "/v1/me").await.expect(200).text("/person/id");
        let join = json!({"teams": [team]});
        self.post(&self.admin, &format!("/v1/people/{admin}/change"), join).await.expect(200);
    }

    /// Has the removers answer for an application's identities. A release that doesn't know of such groups asks for
    /// none.
    pub async fn give_removers(&self, application: &str) {
        let removers = self.get(&self.admin, "/v1/teams?name=removers").await.expect(200).text("/items/0/id");
        let path = format!("/v1/applications/{application}");
        let changed = self.patch(&self.admin, &path, Some("*"), &json!({"removal_group": removers})).await;
        assert!([200, 405].contains(&changed.status), "{}", changed.body);
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
        let identity = self.get(&self.security, &format!("/v1/identities/{id}")).await.expect(200);
        let hash = match identity.body["request"].as_str() {
            Some(request) => {
                self.get(&self.security, &format!("/v1/requests/{request}")).await.expect(200).text("/content_hash")
            }
            None => "none".to_owned(),
        };
        self.post(token, &format!("/v1/identities/{id}/activate"), json!({"content_hash": hash})).await
    }

    /// An open request.
    pub async fn ask(&self, token: &str, matter: Value, purpose: &str) -> Answer {
        self.post(token, "/v1/requests", json!({"matter": matter, "purpose": purpose})).await
    }

    /// A vote for a request as it stands now.
    pub async fn approve(&self, token: &str, request: &str) -> Answer {
        let hash = self.get(&self.security, &format!("/v1/requests/{request}")).await.expect(200).text("/content_hash");
        self.post(token, &format!("/v1/requests/{request}/approve"), json!({"content_hash": hash})).await
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
        self.form(&self.gateway, "/env/production/introspect", &[("token", token)]).await.expect(200).body["active"]
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
                serde_json::from_slice(&Leaf::parse(&leaf).unwrap().encode_json().unwrap()).unwrap()
            })
            .collect()
    }

    /// What somebody changed, of every event so far. Refusals are recorded, and Tenure looks after its identities by
    /// itself whenever it comes to that: neither is a change that somebody made. A test that shows that nothing changed
    /// compares this, and never the log's length.
    pub async fn changes(&self) -> Vec<Value> {
        let made = |event: &Value| {
            !event["kind"].as_str().unwrap().starts_with("access.refused") && event["actor"]["type"] != "system"
        };
        self.events().await.into_iter().filter(made).collect()
    }

    /// Events of a kind that name a subject.
    pub async fn events_of(&self, kind: &str, subject: &str) -> Vec<Value> {
        let about = |event: &Value| event["subjects"].as_array().unwrap().iter().any(|s| s == subject);
        self.events().await.into_iter().filter(|event| event["kind"] == kind && about(event)).collect()
    }

    /// Holds the time, so that no slow machine brings a deadline nearer than the test wants it. The machine's time goes
    /// on.
    pub fn hold(&self) {
        if let Some(clock) = &self.clock {
            clock.hold();
        }
    }

    /// Lets so many seconds pass: at once by a clock of the test's, by waiting where the machine's is the server's.
    pub async fn pass(&self, secs: i64) {
        match &self.clock {
            Some(clock) => clock.advance(Span::from_secs(secs)),
            None => tokio::time::sleep(Duration::from_secs(u64::try_from(secs).unwrap())).await,
        }
    }

    /// Waits until no worker has written anything for longer than any of them rests, and all is sealed.
    pub async fn until_quiet(&self) {
        let mut last = (0, Instant::now());
        self.until(async || {
            let size = self.events().await.len();
            if size != last.0 {
                last = (size, Instant::now());
            }
            last.1.elapsed() > Duration::from_millis(1_500)
        })
        .await;
    }

    /// Waits until an identity is in a state.
    pub async fn until_state(&self, id: &str, state: &str) {
        self.until(async || {
            self.get(&self.security, &format!("/v1/identities/{id}")).await.expect(200).text("/state") == state
        })
        .await;
    }

    /// Waits for a condition, at most for a minute: a machine that is busy takes its time.
    pub async fn until(&self, condition: impl AsyncFnMut() -> bool) {
        self.until_within(PATIENCE, condition).await;
    }

    /// Waits for a condition, at most this long.
    pub async fn until_within(&self, limit: Duration, condition: impl AsyncFnMut() -> bool) {
        // A time that is held goes on as fast as the machine's while somebody waits.
        self.poll(limit, Span::from_millis(POLL_MILLIS), condition).await;
    }

    /// Waits for a condition that needs no time to pass: a time that is held stands still, whatever the machine takes.
    pub async fn until_at_once(&self, condition: impl AsyncFnMut() -> bool) {
        self.poll(PATIENCE, Span::from_secs(0), condition).await;
    }

    async fn poll(&self, limit: Duration, passes: Span, mut condition: impl AsyncFnMut() -> bool) {
        let end = Instant::now() + limit;
        while !condition().await {
            assert!(Instant::now() < end, "the condition did not come true within {limit:?}");
            tokio::time::sleep(POLL).await;
            if let Some(clock) = self.clock.as_ref().filter(|clock| clock.is_held()) {
                clock.advance(passes);
            }
        }
    }
}
