//! Everybody who calls, and what there is to be called about: fresh things, made by people who are none of the callers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ROLES;
use crate::passkeys::authenticator::Authenticator;
use crate::passkeys::register;
use crate::passkeys::visitor::Visitor;
use crate::signals;
use crate::world::{Answer, Key, Store, World, assertion_claims, in_secs};

/// A caller: the token, and who the log says it is.
struct Caller {
    token: String,
    id: String,
}

/// A world with every sort of caller.
pub struct Stage {
    pub world: World,
    callers: Vec<Caller>,
    /// The other security person and the requester who prepare what is called about.
    sib: String,
    rita: String,
    rita_id: String,
    /// Another owner.
    hal: String,
    staging: String,
    /// A server with discovery documents under any path.
    documents: String,
    number: AtomicU32,
    /// What is answered is looked at, and where it leads is not gone to.
    http: reqwest::Client,
    /// Invitations that are still to be used, and how many there were.
    invited: tokio::sync::Mutex<Vec<String>>,
    signed_in: AtomicUsize,
}

/// How many people sign in, at most.
const SIGN_INS: usize = 8;

impl Stage {
    pub async fn new(store: Store) -> Self {
        let much = ["TENURE_REFUSAL_BUDGET", "TENURE_WRITE_BUDGET", "TENURE_WRITE_BUDGET_KIB"]
            .map(|budget| (budget, "1000000"));
        let world = World::on_localhost(store, &much).await;
        let staging = world.resource("https://orders.staging", "staging", "online").await;
        let (rita_id, rita) = world.person("Rita", &["requester"]).await;
        let (hal, _) = world.person("Hal", &["owner"]).await;
        let (_, sib) = world.person("Sib", &["security"]).await;
        let mut stage = Self {
            world,
            callers: Vec::new(),
            sib,
            rita,
            rita_id,
            hal,
            staging,
            documents: documents().await,
            number: AtomicU32::new(0),
            http: reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            invited: tokio::sync::Mutex::default(),
            signed_in: AtomicUsize::new(0),
        };
        stage.callers = stage.everybody().await;
        assert_eq!(stage.callers.len(), ROLES.len());
        stage
    }

    /// One of each sort, in the order of [`ROLES`].
    async fn everybody(&self) -> Vec<Caller> {
        let world = &self.world;
        let person = async |name: &str, roles: &[&str]| {
            let (id, token) = world.person(name, roles).await;
            Caller { token, id }
        };
        let known = |token: &str, id: &str| Caller { token: token.to_owned(), id: id.to_owned() };
        let auditor = world.get(&world.auditor, "/v1/me").await.expect(200).text("/person/id");
        let suspended = person("Sue", &["security", "manager"]).await;
        self.step(&world.security, &format!("/v1/people/{}/suspend", suspended.id)).await.expect(200);
        let ended = person("Eve", &["security", "manager"]).await;
        let revoked = world.get(&ended.token, "/v1/me").await.expect(200).text("/via/operator_token");
        self.step_bare(&world.admin, &format!("/v1/operator-tokens/{revoked}/revoke")).await.expect(200);
        let source = self.source().await;
        let (workload, key) = world.exporter("workload").await;
        let workload_token = world.token(&key, &workload, "production").await;
        let mut all = vec![
            known("", "nobody"),
            person("Una", &[]).await,
            person("Rex", &["requester"]).await,
            person("Ola", &["owner"]).await,
            known(&world.owner, &world.owner_id),
            known(&world.manager, &world.manager_id),
            known(&world.security, &world.security_id),
            person("Dan", &["administrator"]).await,
            known(&world.auditor, &auditor),
        ];
        // From here on there are two administrators, and one of them alone gives nobody a role.
        let everything = person("Xan", &[]).await;
        let roles = json!({"roles": ["auditor", "requester", "owner", "manager", "security", "administrator"], "purpose": "test"});
        let asked = world
            .post(&world.admin, &format!("/v1/people/{}/roles", everything.id), roles)
            .await
            .expect(201)
            .text("/id");
        world.approve(&all[7].token, &asked).await.expect(200);
        all.extend([
            everything,
            source,
            known(&world.gateway, &world.gateway_id),
            known(&workload_token, &workload),
            suspended,
            ended,
        ]);
        all
    }

    /// An identity whose token is good for handing in feeds of people.
    async fn source(&self) -> Caller {
        let world = &self.world;
        let body = json!({"uri": world.server.url, "type": "tenure", "actions": ["import", "read", "request", "complete", "audit"],
            "application": world.application, "environment": "production", "verification": "online"});
        let tenure = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["import"], "resource": tenure}]);
        let id = world.active("hr-feed", charter).await;
        Caller { token: world.token(&key, &id, "production").await, id }
    }

    pub fn token(&self, role: usize) -> &str {
        &self.callers[role].token
    }

    /// Who the log says calls.
    pub fn actor(&self, role: usize) -> String {
        self.callers[role].id.clone()
    }

    /// Calls an address; of a stream, only its head.
    pub async fn send(&self, method: Method, token: &str, path: &str, body: &str) -> Answer {
        let replaces = path.ends_with("/charter")
            || path.starts_with("/v1/data-domains/")
            || path.starts_with("/v1/naming-standards/");
        let is_change = method == Method::PATCH || (method == Method::PUT && replaces);
        let mut request = self.request(method, path, body);
        if is_change {
            request = request.header("if-match", "*");
        }
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        Self::head_of(request).await
    }

    /// A request with a body as its text says.
    pub fn request(&self, method: Method, path: &str, body: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.world.server.url));
        match body.chars().next() {
            None => request,
            Some('{') => request.header("content-type", "application/json").body(body.to_owned()),
            Some(_) => request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned()),
        }
    }

    pub async fn head_of(request: reqwest::RequestBuilder) -> Answer {
        let (client, request) = request.build_split();
        let response = client.execute(request.unwrap()).await.unwrap();
        let is_stream = response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = if is_stream { String::new() } else { response.text().await.unwrap() };
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)), headers }
    }

    fn new_name(&self) -> String {
        format!("n{}", self.number.fetch_add(1, Ordering::Relaxed))
    }

    async fn step(&self, token: &str, path: &str) -> Answer {
        self.world.post(token, path, json!({"reason": "test"})).await
    }

    async fn step_bare(&self, token: &str, path: &str) -> Answer {
        self.world.call(Method::POST, token, path, None).await
    }

    async fn made(&self, token: &str, path: &str, body: Value) -> String {
        self.world.post(token, path, body).await.expect(201).text("/id")
    }

    async fn person(&self) -> (String, String) {
        self.world.person(&self.new_name(), &[]).await
    }

    /// A whole charter of the accountable owner's, asked for by somebody else.
    fn charter(&self) -> Value {
        let mut charter = self.world.charter(Key::new().jwk());
        charter["parties"]["requester"] = json!(self.rita_id);
        charter
    }

    async fn registered(&self, charter: Value, stage: &str) -> Answer {
        let body = json!({"kind": "workload", "name": self.new_name(), "charter": charter, "stage": stage});
        self.world.post(&self.rita, "/v1/identities", body).await.expect(201)
    }

    async fn active(&self, charter: Value) -> String {
        let id = self.registered(charter, "pending").await.text("/id");
        self.world.activate(&self.world.manager, &id).await.expect(200);
        id
    }

    async fn identity(&self) -> String {
        self.active(self.charter()).await
    }

    async fn suspended(&self) -> String {
        let id = self.identity().await;
        self.step(&self.sib, &format!("/v1/identities/{id}/suspend")).await.expect(200);
        id
    }

    /// An identity that was used just now.
    async fn used(&self) -> String {
        let key = Key::new();
        let mut charter = self.charter();
        charter["workload_binding"]["jwk"] = key.jwk();
        let id = self.active(charter).await;
        self.world.token(&key, &id, "production").await;
        let shown = async || self.world.get(&self.world.security, &format!("/v1/identities/{id}")).await.expect(200);
        self.world.until(async || shown().await.body["last_used"].is_string()).await;
        id
    }

    async fn credential(&self) -> String {
        let id = self.used().await;
        let held = self.world.get(&self.world.security, &format!("/v1/identities/{id}/credentials")).await.expect(200);
        held.text("/items/0/id")
    }

    /// An open request of a sort, asked by somebody who is no caller.
    async fn request_for(&self, matter: &str) -> String {
        let world = &self.world;
        match matter {
            "access" => {
                let identity = self.identity().await;
                let matter = json!({"type": "access", "identity": identity, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "10m"});
                world.ask(&self.rita, matter, "test").await.expect(201).text("/id")
            }
            "activation" => self.registered(self.charter(), "pending").await.text("/request"),
            "person" => {
                let (person, token) = self.person().await;
                world.ask(&token, self.access_of(&person), "test").await.expect(201).text("/id")
            }
            "roles" => {
                let (person, _) = self.person().await;
                self.made(
                    &world.admin,
                    &format!("/v1/people/{person}/roles"),
                    json!({"roles": ["requester"], "purpose": "test"}),
                )
                .await
            }
            "template" => {
                let name = self.new_name();
                let body = json!({"template": self.template(&name), "purpose": "test"});
                world
                    .call(Method::PUT, &world.admin, &format!("/v1/templates/{name}"), Some(body))
                    .await
                    .expect(201)
                    .text("/id")
            }
            "policy" => {
                self.made(&world.admin, "/v1/policies", json!({"text": self.policy().await, "purpose": "test"})).await
            }
            "exception" => {
                let identity = self.identity().await;
                let proposed = world.post(&self.rita, "/v1/exceptions", Self::late_review(&identity)).await.expect(201);
                proposed.text("/request")
            }
            other => panic!("no request for {other}"),
        }
    }

    /// The policy set in force, short, with a note.
    async fn policy(&self) -> String {
        let text = self.world.get(&self.world.admin, "/v1/policy").await.expect(200).text("/text");
        let says = |line: &&str| !["//", "@doc", "@control"].iter().any(|talk| line.starts_with(talk));
        let lines: Vec<&str> = text.lines().map(str::trim).filter(says).collect();
        format!("{}\n// {}\n", lines.join("\n"), self.new_name())
    }

    fn access_of(&self, person: &str) -> Value {
        json!({"type": "person_access", "person": person, "entitlements": [{"actions": ["read"], "resource": self.world.orders}], "duration": "1d"})
    }

    fn late_review(identity: &str) -> Value {
        let controls = json!([{"control": "monitoring", "description": "as written down in runbook 12"}]);
        json!({"type": "late_review", "subject": {"type": "identity", "id": identity}, "reason": "test", "compensating": controls, "duration": "5d"})
    }

    fn template(&self, name: &str) -> Value {
        json!({"name": name, "kind": "workload", "description": "jobs", "default_life": "15m", "max_life": "1h", "max_tier": "low", "environments": ["staging"]})
    }

    /// A request of the caller's own; somebody else's, where they can't ask.
    async fn own_request(&self, role: usize) -> String {
        let asks = (1..=7).contains(&role);
        if !asks {
            return self.request_for("person").await;
        }
        let caller = &self.callers[role];
        self.world.ask(&caller.token, self.access_of(&caller.id), "test").await.expect(201).text("/id")
    }

    /// A view of the caller's own; somebody else's, where they keep none.
    async fn own_view(&self, role: usize) -> String {
        let token = if (1..=9).contains(&role) { &self.callers[role].token } else { &self.sib };
        self.made(token, "/v1/views", json!({"name": self.new_name(), "query": "state=active"})).await
    }

    async fn exception(&self, approved: bool) -> String {
        let identity = self.identity().await;
        let proposed = self.world.post(&self.rita, "/v1/exceptions", Self::late_review(&identity)).await.expect(201);
        if approved {
            let request = proposed.text("/request");
            self.world.approve(&self.world.owner, &request).await.expect(200);
            assert_eq!(self.world.approve(&self.sib, &request).await.expect(200).text("/state"), "fulfilled");
        }
        proposed.text("/id")
    }

    /// An identity for which break-glass was approved before.
    async fn glass(&self) -> String {
        let identity = self.identity().await;
        let mut ask = Self::late_review(&identity);
        ask["type"] = json!("break_glass");
        ask["compensating"] = json!([{"control": "monitoring", "description": "pager"}, {"control": "after_review", "description": "next morning"}]);
        let proposed = self.world.post(&self.rita, "/v1/exceptions", ask).await.expect(201);
        let request = proposed.text("/request");
        self.world.approve(&self.world.owner, &request).await.expect(200);
        assert_eq!(self.world.approve(&self.sib, &request).await.expect(200).text("/state"), "fulfilled");
        identity
    }

    async fn vendor(&self) -> String {
        let domain = self.data_domain().await;
        let body = json!({"name": self.new_name(), "contact": "x@example.com", "owner": self.world.owner_id, "data_domains": [domain]});
        self.made(&self.world.admin, "/v1/vendors", body).await
    }

    async fn breached(&self) -> String {
        let id = self.exception(true).await;
        let breach = json!({"control": "monitoring", "note": "test"});
        self.world.post(&self.sib, &format!("/v1/exceptions/{id}/report-breach"), breach).await.expect(200);
        id
    }

    async fn grant(&self) -> String {
        let mut charter = self.charter();
        charter["coverage"] = json!("just_in_time");
        let identity = self.active(charter).await;
        self.world.grant(&identity, &["read"], "1h").await
    }

    async fn person_grant(&self) -> String {
        let request = self.request_for("person").await;
        self.world.approve(&self.world.manager, &request).await.expect(200).text("/outcome/person_grants/0")
    }

    /// An identity that is offered to the owner of other things.
    async fn transfer(&self) -> String {
        let identity = self.identity().await;
        self.made(&self.world.owner, &format!("/v1/identities/{identity}/transfer"), json!({"to": self.callers[3].id}))
            .await
    }

    /// An identity that enrols its key with a join token.
    async fn joiner(&self) -> String {
        let mut charter = self.charter();
        charter["workload_binding"] = json!({"type": "join_token", "workload": "vm/exporter"});
        self.active(charter).await
    }

    /// An identity that may have API keys, by an exception.
    async fn keyed(&self) -> String {
        let mut charter = self.charter();
        charter["credential_types"] = json!(["access_token", "api_key"]);
        let id = self.registered(charter, "draft").await.text("/id");
        let controls = ["vaulting", "rotation", "ownership", "revalidation"]
            .map(|control| json!({"control": control, "description": "runbook 12"}));
        let ask = json!({"type": "weaker_credential", "subject": {"type": "identity", "id": id}, "reason": "legacy", "compensating": controls, "duration": "20d"});
        let request = self.world.post(&self.rita, "/v1/exceptions", ask).await.expect(201).text("/request");
        self.world.approve(&self.world.owner, &request).await.expect(200);
        assert_eq!(self.world.approve(&self.sib, &request).await.expect(200).text("/state"), "fulfilled");
        self.step(&self.rita, &format!("/v1/identities/{id}/submit")).await.expect(200);
        let request =
            self.world.get(&self.world.security, &format!("/v1/identities/{id}")).await.expect(200).text("/request");
        self.world.approve(&self.world.manager, &request).await.expect(200);
        id
    }

    /// A review that a second key asks for.
    async fn review(&self) -> String {
        let id = self.joiner().await;
        for _ in 0..2 {
            let ask = self.enrolment(&id).await;
            self.world.post("", "/v1/enrol", ask).await.expect(201);
        }
        let open =
            self.world.get(&self.world.security, &format!("/v1/reviews?identity={id}&state=open")).await.expect(200);
        open.text("/items/0/id")
    }

    /// A campaign over so many identities of the owner's, of which it ends one by itself.
    async fn campaign(&self, count: usize) -> String {
        let world = &self.world;
        let application =
            world.application(&format!("campaign-{}", crate::world::random().to_lowercase().replace('_', "0"))).await;
        // One that is still being opened, over everything, would take up what is made now.
        let opening = async || world.get(&world.security, "/v1/campaigns?state=opening").await.expect(200);
        world.until(async || opening().await.body["items"].as_array().is_some_and(Vec::is_empty)).await;
        for _ in 0..count {
            let mut charter = self.charter();
            charter["application"] = json!(application);
            self.active(charter).await;
        }
        let asked = json!({"name": "test", "scope": format!("application={application}"), "due_in": "1m", "cap": 1, "reason": "test"});
        let id = world.post(&world.security, "/v1/campaigns", asked).await.expect(201).text("/id");
        self.until_campaign(&id, "open").await;
        id
    }

    /// One whose deadline is over and would end more than it may.
    async fn waiting_campaign(&self) -> String {
        let id = self.campaign(2).await;
        self.world.pass(40).await;
        self.world.until(async || !self.world.events_of("campaign.reminded", &id).await.is_empty()).await;
        self.world.pass(20).await;
        self.until_campaign(&id, "waiting").await;
        id
    }

    async fn until_campaign(&self, id: &str, state: &str) {
        let path = format!("/v1/campaigns/{id}");
        let mut last = Value::Null;
        let is_so = async || {
            last = self.world.get(&self.world.security, &path).await.expect(200).body;
            let is_over = ["closed", "cancelled"].iter().any(|over| last["state"] == *over);
            assert!(!is_over, "the campaign is to be {state}, and never will be: {last}");
            last["state"] == state
        };
        self.world.until(is_so).await;
    }

    async fn enrolment(&self, id: &str) -> Value {
        let issued = self
            .world
            .post(&self.world.owner, &format!("/v1/identities/{id}/join-tokens"), json!({}))
            .await
            .expect(201);
        let key = Key::new();
        let mut claims = assertion_claims("x", &issued.text("/audience"));
        claims["join_token_id"] = json!(issued.text("/id"));
        let proof = key.sign(&json!({"alg": "EdDSA", "typ": "tenure-enrol+jwt"}), &claims);
        json!({"join_token": issued.text("/join_token"), "jwk": key.jwk(), "proof": proof})
    }

    async fn finding(&self) -> String {
        let world = &self.world;
        let mut charter = self.charter();
        charter["environment"] = json!("staging");
        charter["scope"] = json!([{"actions": ["read"], "resource": self.staging}]);
        let id = self.active(charter).await;
        world.evaluate(&id, None, "read").await.expect(200);
        let found = world.get(&world.security, &format!("/v1/findings?state=open&subject={id}")).await.expect(200);
        found.text("/items/0/id")
    }

    /// An identity that two share, of whom one proves itself apart.
    async fn shared(&self) -> String {
        let mut charter = self.charter();
        let own = json!({"type": "public_key", "workload": "deployment/emea", "jwk": Key::new().jwk()});
        charter["shared"] = json!({"consumers": ["emea", "apac"], "migration_plan": "each gets its own by May",
            "bindings": [{"consumer": "emea", "binding": own}]});
        let id = self.registered(charter, "draft").await.text("/id");
        let mut ask = Self::late_review(&id);
        ask["type"] = json!("shared_use");
        ask["compensating"] = json!([{"control": "consumers", "description": "two regions"}, {"control": "migration_plan", "description": "by May"}]);
        let request = self.world.post(&self.rita, "/v1/exceptions", ask).await.expect(201).text("/request");
        self.world.approve(&self.world.owner, &request).await.expect(200);
        assert_eq!(self.world.approve(&self.sib, &request).await.expect(200).text("/state"), "fulfilled");
        crate::exceptions::activate(&self.world, &id).await;
        id
    }

    /// One that may be let be for a while: several share an identity.
    async fn shared_finding(&self) -> String {
        let id = self.shared().await;
        let path = format!("/v1/findings?state=open&rule=shared-identity&subject={id}");
        let found = async || self.world.get(&self.world.security, &path).await.expect(200).body;
        self.world.until(async || found().await["items"][0]["id"].is_string()).await;
        found().await["items"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn difference(&self) -> String {
        let source = self.new_name();
        for count in [8, 7] {
            let people: Vec<Value> =
                (0..count).map(|n| json!({"key": n.to_string(), "name": format!("{source} {n}")})).collect();
            let body = json!({"source": source, "complete": true, "people": people});
            self.world.post(&self.world.admin, "/v1/people/import", body).await.expect(200);
        }
        let open =
            self.world.get(&self.world.admin, &format!("/v1/differences?state=open&source={source}")).await.expect(200);
        open.text("/items/0/id")
    }

    async fn provider(&self) -> String {
        let body = json!({"name": self.new_name(), "issuer": format!("{}/{}", self.documents, self.new_name()), "client_id": "tenure"});
        self.made(&self.world.admin, "/v1/sign-in-providers", body).await
    }

    async fn signal_source(&self) -> signals::Source {
        signals::source(&self.world, signals::registration(&self.world, &self.new_name(), "cloud_events", "hmac")).await
    }

    /// A target on this machine, where nothing listens.
    async fn proposed_target(&self) -> String {
        let body = json!({
            "name": self.new_name(),
            "kind": "postgresql",
            "endpoint": {"url": "postgres://127.0.0.1:1/x", "plaintext": true},
            "identity": self.identity().await,
            "owner": self.world.owner_id,
            "environment": "production",
        });
        self.made(&self.world.admin, "/v1/targets", body).await
    }

    async fn confirmed_target(&self) -> String {
        let id = self.proposed_target().await;
        self.step_bare(&self.callers[7].token, &format!("/v1/targets/{id}/confirm")).await.expect(200);
        id
    }

    async fn asked_target(&self) -> String {
        let id = self.confirmed_target().await;
        let login = json!({"name": "x", "secret": "y"});
        self.world.post(&self.world.admin, &format!("/v1/targets/{id}/login"), login).await.expect(200);
        id
    }

    /// An account that was found at the PostgreSQL of this run, and its identity.
    async fn found_account(&self) -> (String, String) {
        let url = std::env::var("TENURE_TEST_POSTGRES").expect("TENURE_TEST_POSTGRES: cargo xtask test starts one");
        let name = format!("matrix_{}", crate::world::random().to_lowercase().replace(['-', '_'], "0"));
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("CREATE ROLE {name} LOGIN CREATEDB")).await.unwrap();
        let body = json!({
            "name": self.new_name(),
            "kind": "postgresql",
            "endpoint": {"url": url.replace("postgres@", ""), "plaintext": true},
            "identity": self.identity().await,
            "owner": self.world.owner_id,
            "environment": "production",
        });
        let id = self.made(&self.world.admin, "/v1/targets", body).await;
        self.step_bare(&self.callers[7].token, &format!("/v1/targets/{id}/confirm")).await.expect(200);
        let login = json!({"name": "postgres", "secret": "none is asked for"});
        self.world.post(&self.world.admin, &format!("/v1/targets/{id}/login"), login).await.expect(200);
        let path = format!("/v1/accounts?name={name}&target={id}");
        let mut found = Value::Null;
        self.world
            .until(async || {
                found = self.world.get(&self.world.security, &path).await.expect(200).body["items"][0].clone();
                !found.is_null()
            })
            .await;
        client.batch_execute(&format!("DROP ROLE {name}")).await.unwrap();
        let text = |member: &str| found[member].as_str().unwrap().to_owned();
        (text("id"), text("identity"))
    }

    /// Something that an account gained at the PostgreSQL of this run, and that its charter doesn't name.
    async fn drift(&self) -> String {
        let url = std::env::var("TENURE_TEST_POSTGRES").expect("TENURE_TEST_POSTGRES: cargo xtask test starts one");
        let world = &self.world;
        let (name, target) = (self.new_name().replace('-', "_"), self.new_name());
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("CREATE ROLE {name} LOGIN")).await.unwrap();
        let body = json!({
            "name": target,
            "kind": "postgresql",
            "endpoint": {"url": url.replace("postgres@", ""), "plaintext": true},
            "mode": "end",
            "identity": self.identity().await,
            "owner": world.owner_id,
            "environment": "production",
        });
        let id = self.made(&world.admin, "/v1/targets", body).await;
        self.step_bare(&self.callers[7].token, &format!("/v1/targets/{id}/confirm")).await.expect(200);
        let login = json!({"name": "postgres", "secret": "none is asked for"});
        world.post(&world.admin, &format!("/v1/targets/{id}/login"), login).await.expect(200);
        let first = async |path: &str| {
            let mut found = Value::Null;
            world
                .until(async || {
                    found = world.get(&world.security, path).await.expect(200).body["items"][0].clone();
                    !found.is_null()
                })
                .await;
            found
        };
        let account = first(&format!("/v1/accounts?name={name}&target={id}")).await;
        let identity = account["identity"].as_str().unwrap().to_owned();
        let mut charter = world.charter(json!({}));
        charter["workload_binding"] = json!({"type": "account", "workload": "batch/test"});
        let claim = json!({"charter": charter});
        world.post(&world.owner, &format!("/v1/identities/{identity}/claim"), claim).await.expect(200);
        world.hand_in(&identity).await;
        client.batch_execute(&format!("ALTER ROLE {name} CREATEDB")).await.unwrap();
        world
            .post(&world.admin, &format!("/v1/targets/{id}/login"), json!({"name": "postgres", "secret": "none"}))
            .await
            .expect(200);
        let item = first(&format!("/v1/drift?identity={identity}")).await;
        client.batch_execute(&format!("DROP ROLE {name}")).await.unwrap();
        item["id"].as_str().unwrap().to_owned()
    }

    async fn signal(&self) -> String {
        let source = self.signal_source().await;
        let confirm = format!("/v1/sources/{}/confirm", source.id);
        self.step_bare(&self.callers[7].token, &confirm).await.expect(200);
        let body = signals::event(&self.new_name(), "application.retired", &format!("application:{}", self.new_name()));
        let taken =
            signals::deliver(&self.world, &source.name, &signals::cloud_headers(&source.secret, &body), &body).await;
        taken.expect(202).text("/signals/0/id")
    }

    /// What a source wants that may hold nothing by itself.
    async fn waiting_removal(&self) -> String {
        let mut registration = signals::registration(&self.world, &self.new_name(), "cloud_events", "hmac");
        registration["kinds"] = json!(["workload_removed"]);
        registration["subjects"] = json!(["identity:*"]);
        registration["blast_cap"] = json!(0);
        let source = signals::source(&self.world, registration).await;
        let confirm = format!("/v1/sources/{}/confirm", source.id);
        self.step_bare(&self.callers[7].token, &confirm).await.expect(200);
        let body = signals::event(&self.new_name(), "workload.removed", &format!("identity:{}", self.identity().await));
        let taken =
            signals::deliver(&self.world, &source.name, &signals::cloud_headers(&source.secret, &body), &body).await;
        let path = format!("/v1/signals/{}", taken.expect(202).text("/signals/0/id"));
        let security = &self.world.security;
        self.world.until(async || self.world.get(security, &path).await.expect(200).text("/state") == "done").await;
        self.world.get(security, &path).await.expect(200).text("/outcome/removal")
    }

    async fn issuer(&self) -> String {
        let body = json!({"url": format!("{}/{}", self.documents, self.new_name()), "audience": "https://tenure.example", "environments": ["production"]});
        self.made(&self.world.admin, "/v1/issuers", body).await
    }

    /// One whose cluster is asked about tokens, confirmed.
    async fn reviewed_issuer(&self) -> String {
        let url = format!("{}/{}", self.documents, self.new_name());
        let body = json!({"preset": "kubernetes", "url": url, "audience": "https://tenure.example",
            "environments": ["production"], "token_review": {"url": "https://127.0.0.1:1"}});
        let id = self.made(&self.world.admin, "/v1/issuers", body).await;
        let confirm = format!("/v1/issuers/{id}/confirm");
        self.step_bare(&self.callers[7].token, &confirm).await.expect(200);
        id
    }

    async fn named(&self, path: &str, body: Value) -> String {
        self.world.post(&self.world.admin, path, body).await.expect(201).text("/name")
    }

    async fn data_domain(&self) -> String {
        self.named("/v1/data-domains", json!({"name": self.new_name(), "sensitivity": "internal"})).await
    }

    async fn package(&self) -> String {
        let name = self.new_name();
        let body = json!({"description": "test", "entitlements": [{"actions": ["read"], "resource": self.world.orders}], "max_duration": "30d"});
        self.world.put(&self.world.admin, &format!("/v1/packages/{name}"), body).await;
        name
    }

    async fn template_in_force(&self) -> String {
        let request = self.request_for("template").await;
        self.world.approve(&self.callers[7].token, &request).await.expect(200).text("/matter/template/name")
    }

    /// A browser in which somebody has signed in, and their passkey. From the first on, operator tokens neither approve
    /// nor confirm: all are invited before.
    pub async fn signed_in(&self) -> (Visitor, String) {
        let mut invited = self.invited.lock().await;
        while invited.len() < SIGN_INS && self.signed_in.fetch_add(1, Ordering::Relaxed) < SIGN_INS {
            let made = self
                .world
                .post(&self.world.admin, "/v1/invitations", json!({"person": self.person().await.0}))
                .await
                .expect(201);
            let confirm = format!("/v1/invitations/{}/confirm", made.text("/id"));
            self.step_bare(&self.callers[7].token, &confirm).await.expect(200);
            invited.push(made.text("/invitation"));
        }
        let browser = Visitor::new(&self.world);
        let registered = register(&browser, &mut Authenticator::es256(&self.world), &invited.pop().unwrap()).await;
        (browser, registered["passkey"]["id"].as_str().unwrap().to_owned())
    }

    async fn hash(&self, request: &str) -> String {
        self.world.get(&self.world.security, &format!("/v1/requests/{request}")).await.expect(200).text("/content_hash")
    }
}

/// One call: who makes it, and what was made for it.
pub struct Cell<'a> {
    stage: &'a Stage,
    role: usize,
    pub made: BTreeMap<String, String>,
}

impl<'a> Cell<'a> {
    pub fn new(stage: &'a Stage, role: usize, made: BTreeMap<String, String>) -> Self {
        Self { stage, role, made }
    }

    /// A text of the table with its `<names>` filled in.
    pub async fn fill(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            let (name, after) = after.split_once('>').unwrap();
            out.push_str(before);
            out.push_str(&self.value(name).await);
            rest = after;
        }
        out + rest
    }

    async fn value(&mut self, name: &str) -> String {
        // What is the caller's own is another thing for each.
        if let Some(value) = self.of_caller(name).await {
            return value;
        }
        if !self.made.contains_key(name) {
            let value = match name.strip_suffix(".hash") {
                // Of the identity's request.
                Some("pending") => {
                    let path = format!("/v1/identities/{}", self.made["pending"]);
                    let request =
                        self.stage.world.get(&self.stage.world.security, &path).await.expect(200).text("/request");
                    self.stage.hash(&request).await
                }
                Some(request) => self.stage.hash(&self.made[request].clone()).await,
                None if name == "waiting campaign.digest" => {
                    let path = format!("/v1/campaigns/{}", self.made["waiting campaign"]);
                    let shown = self.stage.world.get(&self.stage.world.security, &path).await.expect(200);
                    shown.text("/forecast/digest")
                }
                None if name == "waiting removal.digest" => {
                    let path = format!("/v1/removals/{}", self.made["waiting removal"]);
                    self.stage.world.get(&self.stage.world.security, &path).await.expect(200).text("/digest")
                }
                None => self.make(name).await,
            };
            self.made.insert(name.to_owned(), value);
        }
        self.made[name].clone()
    }

    async fn of_caller(&mut self, name: &str) -> Option<String> {
        match name {
            "me" => Some(self.stage.actor(self.role)),
            "me away" => {
                let (stage, me) = (self.stage, self.stage.actor(self.role));
                if (1..=9).contains(&self.role) {
                    let body = json!({"person": stage.hal, "until": in_secs(60 * 86_400)});
                    let path = format!("/v1/people/{me}/stand-in");
                    stage.world.call(Method::PUT, stage.token(self.role), &path, Some(body)).await.expect(200);
                }
                Some(me)
            }
            "own view" => Some(self.stage.own_view(self.role).await),
            "own request" => Some(self.stage.own_request(self.role).await),
            _ => None,
        }
    }

    async fn make(&self, name: &str) -> String {
        let (stage, world) = (self.stage, &self.stage.world);
        let admin = &world.admin;
        match name {
            "new" => stage.new_name(),
            "olu" => world.owner_id.clone(),
            "ola" => stage.actor(3),
            "max" => world.manager_id.clone(),
            "hal" => stage.hal.clone(),
            "entry" => "0".to_owned(),
            "production" | "not_allowed" | "link" | "asset" => name.to_owned(),
            "used" => stage.used().await,
            "standard" => {
                let body = json!({"pattern": "^bot-[a-z0-9-]+$", "example": "bot-a"});
                world.put(admin, "/v1/naming-standards/bot", body).await.expect(200).text("/kind")
            }
            "policy set" => {
                let request = stage.request_for("policy").await;
                world.get(admin, &format!("/v1/requests/{request}")).await.expect(200).text("/matter/policy")
            }
            "orders" => world.orders.clone(),
            "billing" => world.application.clone(),
            "removers" => world.get(&world.admin, "/v1/teams?name=removers").await.expect(200).text("/items/0/id"),
            "documents" => stage.documents.clone(),
            "charter" => stage.charter().to_string(),
            "template json" => stage.template(&self.made["new"]).to_string(),
            "later" => in_secs(60 * 86_400),
            "day" => in_secs(59 * 86_400)[..10].to_owned(),
            "bot" => "bot".to_owned(),
            "policy form" => {
                let escaped = reqwest::Url::parse_with_params("http://x/", [("text", stage.policy().await)]).unwrap();
                escaped.query().unwrap().trim_start_matches("text=").to_owned()
            }
            "policy json" => json!({"text": stage.policy().await, "purpose": "test"}).to_string(),
            "exception json" => Stage::late_review(&stage.identity().await).to_string(),
            "joiner" => stage.joiner().await,
            "keyed" => stage.keyed().await,
            "person" => stage.person().await.0,
            "suspended person" => {
                let (id, _) = stage.person().await;
                stage.step(&stage.sib, &format!("/v1/people/{id}/suspend")).await.expect(200);
                id
            }
            "operator token" => {
                let (_, token) = stage.person().await;
                world.get(&token, "/v1/me").await.expect(200).text("/via/operator_token")
            }
            "application" => world.application(&stage.new_name()).await,
            "resource" => {
                world.resource(&format!("https://{}.internal", stage.new_name()), "production", "online").await
            }
            "environment" => {
                stage.named("/v1/environments", json!({"name": stage.new_name(), "production": false})).await
            }
            "identity" => stage.identity().await,
            "draft" => stage.registered(stage.charter(), "draft").await.text("/id"),
            "pending" => stage.registered(stage.charter(), "pending").await.text("/id"),
            "suspended" => stage.suspended().await,
            "credential" => stage.credential().await,
            "grant" => stage.grant().await,
            "person grant" => stage.person_grant().await,
            "exception" => stage.exception(true).await,
            "proposed exception" => stage.exception(false).await,
            "breached exception" => stage.breached().await,
            "transfer" => stage.transfer().await,
            "session" => stage.signed_in().await.0.get("/v1/sessions").await.expect(200).text("/items/0/id"),
            "passkey" => stage.signed_in().await.1,
            "review" => stage.review().await,
            "finding" => stage.finding().await,
            "shared" => stage.shared().await,
            "shared finding" => stage.shared_finding().await,
            "difference" => stage.difference().await,
            "provider" => stage.provider().await,
            "issuer" => stage.issuer().await,
            "reviewed issuer" => stage.reviewed_issuer().await,
            "signal source" => stage.signal_source().await.id,
            "proposed target" => stage.proposed_target().await,
            "target" => stage.confirmed_target().await,
            "asked target" => stage.asked_target().await,
            "gone target" => {
                let id = stage.confirmed_target().await;
                let ask = json!({"reason": "it was switched off", "evidence": "INC-1"});
                stage.world.post(&stage.sib, &format!("/v1/targets/{id}/attest-gone"), ask).await.expect(200);
                id
            }
            "account" => stage.found_account().await.0,
            "discovered" => stage.found_account().await.1,
            "drift" => stage.drift().await,
            "soon" => in_secs(7 * 86_400),
            "signal" => stage.signal().await,
            "package" => stage.package().await,
            "template" => stage.template_in_force().await,
            "team" => stage.made(admin, "/v1/teams", json!({"name": stage.new_name()})).await,
            "need" => {
                stage
                    .made(
                        admin,
                        "/v1/needs",
                        json!({"type": "project", "name": stage.new_name(), "owner": world.owner_id}),
                    )
                    .await
            }
            "deprecated" => {
                let of = stage.identity().await;
                let body =
                    json!({"of": {"type": "identity", "id": of}, "sunset": "2027-11-30T00:00:00Z", "reason": "test"});
                world.post(&stage.sib, "/v1/deprecations", body).await.expect(201);
                of
            }
            "drilled" => {
                let identity = stage.used().await;
                stage.step_bare(&stage.sib, &format!("/v1/identities/{identity}/drill")).await.expect(200);
                // What was revoked is followed by another one, as a workload's is.
                identity
            }
            "rule" => "wildcard-scope".to_owned(),
            "glass" => stage.glass().await,
            "broken glass" => {
                let identity = stage.glass().await;
                let body = json!({"entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "5m", "reason": "test"});
                stage.made(&stage.sib, &format!("/v1/identities/{identity}/break-glass"), body).await
            }
            "vendor" => stage.vendor().await,
            "breached vendor" => {
                let vendor = stage.vendor().await;
                stage.step(&stage.sib, &format!("/v1/vendors/{vendor}/breach")).await.expect(200);
                vendor
            }
            "cloud account" => {
                let body = json!({"provider": "aws", "account": stage.new_name(), "owner": world.owner_id, "environment": "production"});
                stage.made(admin, "/v1/cloud-accounts", body).await
            }
            "data domain" => stage.data_domain().await,
            "invitation" => stage.made(admin, "/v1/invitations", json!({"person": stage.person().await.0})).await,
            "receipt" => {
                let body = json!({"target": {"type": "identity", "id": stage.identity().await}, "reason": "test"});
                stage.made(&stage.sib, "/v1/revocations", body).await
            }
            "removal" => {
                let body = json!({"subject": {"type": "identity", "id": stage.identity().await}, "reason": "test"});
                stage.made(&stage.sib, "/v1/removals", body).await
            }
            "view" => stage.own_view(0).await,
            "campaign" => stage.campaign(1).await,
            "waiting campaign" => stage.waiting_campaign().await,
            "waiting removal" => stage.waiting_removal().await,
            "held" => {
                let id = stage.identity().await;
                let body = json!({"scope": {"type": "identity", "id": id}, "reason": "test"});
                world.post(&stage.sib, "/v1/holds", body).await.expect(201);
                id
            }
            other => match other.strip_suffix(" request") {
                Some(matter) => stage.request_for(matter).await,
                None => panic!("nothing is called {other}"),
            },
        }
    }
}

/// A server of discovery documents: what stands before `/.well-known/` is the issuer.
async fn documents() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = base.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let count = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..count]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let issuer = format!("{answer}{}", path.split("/.well-known/").next().unwrap_or_default());
            let body = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks"), "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "id_token_signing_alg_values_supported": ["ES256"]})
            .to_string();
            let text = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    base
}
