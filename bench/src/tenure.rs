//! Tenure itself, set up and measured through its public API.

mod bound;
mod exchange;
mod logins;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::assertion::{Key, encode, form};
use crate::cpu::Group;
use crate::http::{Api, Connection, request, text};
use crate::inventory::{ask, resident};
use crate::load::{Load, Measured, Operation, run, run_as};
use crate::signals::{self, Burst};
use crate::stats::Summary;
use crate::tls::{Certificates, Client};
use xtask::process::{Server, free_port};
use xtask::workspace::output;

const ENVIRONMENT: &str = "bench";
const RESOURCE: &str = "https://orders.bench.example/";
const RESOURCE_TYPE: &str = "api";
/// How much a server is furnished with before it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Workloads that are issued to.
    pub workloads: usize,
    /// Live tokens that introspection and decisions go over.
    pub tokens: usize,
}

/// The rate that the short run before a measurement is signed for. It finds out how many the measurement needs.
const TRIAL_RATE: f64 = 30_000.0;
/// How many times the assertions that the trial's rate asks for are signed.
const RESERVE: f64 = 1.6;
pub const FORM: &str = "content-type: application/x-www-form-urlencoded";
const JSON: &str = "content-type: application/json";
const TOKEN_PATH: &str = "/env/bench/token";
/// What the reply to a request for a token has.
const ISSUED: &str = "\"access_token\"";

/// A running server with an environment, a resource, its enforcement point, and workloads that may read it.
pub struct Tenure {
    scale: Scale,
    server: Server,
    launch: Launch,
    database: Option<Group>,
    address: SocketAddr,
    issuer: String,
    resource: String,
    workloads: Vec<Workload>,
    enforcement_point: Workload,
    registrar: Registrar,
    /// Who set it up, by the header that authenticates them, and who owns what is in it.
    administrator: String,
    owner: String,
}

/// How it is started, and started again on what it has.
pub struct Launch {
    /// The binary.
    pub program: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// The database, if it isn't SQLite in the folder.
    pub store: Option<String>,
    /// Where clients reach it.
    pub public_url: String,
}

impl Launch {
    /// Starts the binary with no budgets to run into; with certificates, with TLS, and a second listener that asks for
    /// a client's.
    pub fn server(&self, listen: SocketAddr, mutual: Option<(&Certificates, SocketAddr)>) -> Result<Server> {
        let mut command = Command::new(&self.program);
        // What somebody set for a server of their own is not what is measured.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TENURE_")) {
            command.env_remove(name);
        }
        command
            .args(["server", "--listen", &listen.to_string(), "--data"])
            .arg(&self.data)
            .env("TENURE_PUBLIC_URL", &self.public_url)
            // Targets of a bench are on this machine.
            .env("TENURE_OUTBOUND_ALLOW", "127.0.0.0/8");
        if let Some(store) = &self.store {
            command.env("TENURE_STORE", store);
        }
        if let Some((certificates, address)) = mutual {
            command
                .env("TENURE_TLS_CERTIFICATE", certificates.path("server.pem"))
                .env("TENURE_TLS_KEY", certificates.path("server.key"))
                .env("TENURE_MTLS_LISTEN", address.to_string());
        }
        for name in budgets(&output(Command::new(&self.program).args(["server", "--help"]))?) {
            command.env(name, "1000000000");
        }
        let log = if mutual.is_some() { "server-tls.log" } else { "server.log" };
        Server::spawn("tenure", command, &self.data.join(log))
    }
}

/// Who asks for identities and who approves them, and what all of their charters say.
struct Registrar {
    owner: Api,
    manager: Api,
    charter: Value,
}

/// Where requests go.
#[derive(Clone, Copy)]
enum To<'a> {
    Clear(SocketAddr),
    /// To the listener that asks for certificates, as this client.
    Tls(SocketAddr, &'a Client),
}

impl<'a> To<'a> {
    fn parts(self) -> (SocketAddr, Option<&'a Client>) {
        match self {
            Self::Clear(address) => (address, None),
            Self::Tls(address, client) => (address, Some(client)),
        }
    }
}

/// An identity with the key that proves it.
struct Workload {
    id: String,
    key: Key,
}

/// A live access token and whose it is.
struct Issued {
    token: String,
    identity: String,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A fresh proof in, an access token out, its event durable before.
    Issuance,
    /// The same with a DPoP proof per request (RFC 9449): the token is bound to its key.
    Dpop,
    /// A live token and a fresh proof of the actor in, a token by which it acts out (RFC 8693).
    Exchange,
    /// RFC 7662, asked by the enforcement point.
    Introspection,
    /// OpenID AuthZEN, asked by the enforcement point.
    Decision,
}

impl Tenure {
    /// Starts the binary on a fresh data folder and sets it up. `database` is a PostgreSQL's address and processes;
    /// SQLite in the data folder without.
    pub async fn start(program: &Path, data: &Path, database: Option<(String, Group)>, scale: Scale) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let (store, group) = database.unzip();
        let launch = Launch {
            program: program.to_owned(),
            data: data.to_owned(),
            store,
            public_url: format!("http://{address}"),
        };
        let mut server = launch.server(address, None)?;
        server.until(async || super::answers(address, None, "/readyz").await).await?;
        let mut tenure = Self::before_set_up(server, launch, address, group, scale)?;
        let set_up = tenure.set_up(data).await;
        set_up.with_context(|| format!("could not set Tenure up; its log says:\n{}", tenure.server.log_tail()))?;
        Ok(tenure)
    }

    fn before_set_up(
        server: Server,
        launch: Launch,
        address: SocketAddr,
        database: Option<Group>,
        scale: Scale,
    ) -> Result<Self> {
        let enforcement_point = Workload { id: String::new(), key: Key::generate()? };
        let issuer = format!("http://{address}/env/{ENVIRONMENT}");
        let nobody = || Api { address, authorization: None };
        Ok(Self {
            scale,
            server,
            launch,
            database,
            address,
            issuer,
            resource: String::new(),
            workloads: Vec::new(),
            enforcement_point,
            registrar: Registrar { owner: nobody(), manager: nobody(), charter: Value::Null },
            administrator: String::new(),
            owner: String::new(),
        })
    }

    async fn set_up(&mut self, data: &Path) -> Result<()> {
        let mut api = Api { address: self.address, authorization: None };
        let setup_token =
            std::fs::read_to_string(data.join("setup-token")).context("the server left no set-up token")?;
        let done =
            api.call("POST", "/v1/setup", &json!({ "setup_token": setup_token.trim(), "name": "Bench" })).await?;
        self.administrator = format!("authorization: Bearer {}", text(&done, "/operator_token")?);
        api.authorization = Some(self.administrator.clone());
        // Who owns identities holds the role, and asks for them; their manager approves.
        let (manager, as_manager) = employ(&api, &json!({ "name": "Manager", "roles": ["manager"] })).await?;
        let (person, as_owner) =
            employ(&api, &json!({ "name": "Owner", "roles": ["requester", "owner"], "manager": manager })).await?;
        self.owner.clone_from(&person);
        let team = api.call("POST", "/v1/teams", &json!({ "name": "bench" })).await?;
        let team = text(&team, "/id")?;
        api.call("POST", &format!("/v1/people/{person}/change"), &json!({ "teams": [team] })).await?;
        let application = json!({ "name": "bench", "owner": person, "removal_group": team });
        let application = api.call("POST", "/v1/applications", &application).await?;
        api.call("POST", "/v1/environments", &json!({ "name": ENVIRONMENT, "production": false })).await?;
        let resource = json!({
            "uri": RESOURCE, "type": RESOURCE_TYPE, "actions": ["read", "enforce"], "application": text(&application, "/id")?,
            "environment": ENVIRONMENT, "data_domains": [], "verification": "online", "when_unreachable": "deny",
        });
        text(&api.call("POST", "/v1/resources", &resource).await?, "/id")?.clone_into(&mut self.resource);
        let charter = json!({
            "owner": person, "purpose": "measures how fast Tenure is", "environment": ENVIRONMENT, "application": text(&application, "/id")?,
            "trust_boundary": { "type": "trust_domain", "value": "bench.example" },
            "expires_at": jiff::Timestamp::from_second(now() + 30 * 86_400)?.to_string(), "retirement": [{ "type": "idle", "after": "30d" }],
            "rotation_cadence": "30d", "credential_ttl": "30m", "coverage": "role_based",
            "parties": { "requester": person, "operator": "bench", "beneficiary": "bench" },
        });
        self.registrar = Registrar { owner: as_owner, manager: as_manager, charter };
        let may = |action: &str| json!({ "scope": [{ "actions": [action], "resource": self.resource }] });
        for n in 0..self.scale.workloads {
            self.workloads.push(self.registrar.register(&format!("workload-{n}"), &may("read")).await?);
        }
        self.enforcement_point = self.registrar.register("enforcement-point", &may("enforce")).await?;
        Ok(())
    }

    /// Measures one kind of work.
    pub async fn measure(&self, work: Work, load: Load) -> Result<Measured> {
        match work {
            Work::Issuance => {
                let sign = async |count: usize| self.token_requests(count);
                self.prepared(load, To::Clear(self.address), ISSUED, sign).await
            }
            Work::Dpop => self.dpop(load).await,
            Work::Exchange => self.exchange(load).await,
            Work::Introspection => {
                self.questions("/env/bench/introspect", FORM, "\"active\":true", load, |issued| {
                    format!("token={}", encode(&issued.token))
                })
                .await
            }
            Work::Decision => {
                self.questions("/access/v1/evaluation", JSON, "\"decision\":true", load, |issued| {
                    json!({
                        "subject": { "type": "identity", "id": issued.identity, "properties": { "access_token": issued.token } },
                        "resource": { "type": RESOURCE_TYPE, "id": self.resource },
                        "action": { "name": "read" },
                    })
                    .to_string()
                })
                .await
            }
        }
    }

    /// Sends it a burst of signed webhooks and looks for each in what it recorded.
    pub async fn burst(&self, count: usize, connections: usize) -> Result<Burst> {
        let api = Api { address: self.address, authorization: Some(self.administrator.clone()) };
        signals::burst(&api, &self.owner, count, connections, self.group(), self.database).await
    }

    /// Asks what its first workload may do beside what it did in ninety days, with the scope that would do, replayed.
    pub async fn usage(&self, times: usize) -> Result<Summary> {
        let api = Api { address: self.address, authorization: Some(self.administrator.clone()) };
        let workload = self.workloads.first().context("there is no workload")?;
        ask(&api, &vec![format!("/v1/identities/{}/usage?window=90d", workload.id); times]).await
    }

    /// Stops it.
    pub async fn stop(self) -> Result<()> {
        self.server.stop(Signal::TERM).await
    }

    /// A short trial shows how many requests the measurement can use; they are signed before it starts.
    async fn prepared(
        &self,
        load: Load,
        to: To<'_>,
        expected: &str,
        sign: impl AsyncFn(usize) -> Result<Vec<Vec<u8>>>,
    ) -> Result<Measured> {
        let trial = Load { warm_up: load.warm_up / 2, measured: load.warm_up / 2, ..load };
        let for_trial = (TRIAL_RATE * load.warm_up.as_secs_f64()) as usize;
        let requests = sign(for_trial).await?;
        let trial = self.run(trial, to, expected, &requests).await?;
        if trial.answers == 0 {
            return Ok(trial);
        }
        let seconds = (load.warm_up + load.measured).as_secs_f64();
        // A trial that had little of the machine must not let them run out while the measurement warms up.
        let wanted = (trial.rate() * seconds * RESERVE) as usize;
        let requests = sign(wanted.max(for_trial) + load.connections).await?;
        self.run(load, to, expected, &requests).await
    }

    /// Puts a question about each of many live tokens, over and over.
    async fn questions(
        &self,
        path: &str,
        kind: &str,
        expected: &str,
        load: Load,
        body: impl Fn(&Issued) -> String,
    ) -> Result<Measured> {
        let asker = self.issue(&self.enforcement_point).await?;
        let authorization = format!("authorization: Bearer {}", asker.token);
        let mut requests = Vec::with_capacity(self.scale.tokens);
        for workload in self.workloads.iter().cycle().take(self.scale.tokens) {
            let issued = self.issue(workload).await?;
            requests.push(request("POST", path, self.address, &[kind, &authorization], body(&issued).as_bytes()));
        }
        let first = requests.first().context("no requests")?;
        let reply = Connection::open(self.address).await?.exchange(first).await?;
        if !reply.is_success() || !String::from_utf8_lossy(&reply.body).contains(expected) {
            bail!("{path} answered {}", reply.summary());
        }
        let operation = Operation {
            address: self.address,
            request: &|n| requests.get(n % self.scale.tokens).map(Vec::as_slice),
            expected,
            server: self.group(),
            database: self.database,
        };
        run(load, &operation).await
    }

    async fn run(&self, load: Load, to: To<'_>, expected: &str, requests: &[Vec<u8>]) -> Result<Measured> {
        let (address, client) = to.parts();
        let operation = Operation {
            address,
            request: &|n| requests.get(n).map(Vec::as_slice),
            expected,
            server: self.group(),
            database: self.database,
        };
        run_as(load, &operation, client).await
    }

    fn token_requests(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        self.workloads.iter().cycle().take(count).map(|workload| self.token_request(workload, &[])).collect()
    }

    fn token_request(&self, workload: &Workload, headers: &[&str]) -> Result<Vec<u8>> {
        let assertion = workload.key.assertion(&workload.id, &self.issuer, now())?;
        let parameters = [("grant_type", "client_credentials"), ("resource", RESOURCE)];
        Ok(self.at_token_endpoint(headers, &form(&assertion, &parameters)))
    }

    fn at_token_endpoint(&self, headers: &[&str], form: &str) -> Vec<u8> {
        request("POST", TOKEN_PATH, self.address, &[&[FORM], headers].concat(), form.as_bytes())
    }

    async fn issue(&self, workload: &Workload) -> Result<Issued> {
        Ok(Issued {
            token: self.token(To::Clear(self.address), &self.token_request(workload, &[])?).await?,
            identity: workload.id.clone(),
        })
    }

    /// The token that one request gets.
    async fn token(&self, to: To<'_>, request: &[u8]) -> Result<String> {
        let (address, client) = to.parts();
        let reply = Connection::open_as(address, client).await?.exchange(request).await?;
        if !reply.is_success() {
            bail!("the token endpoint answered {}", reply.summary());
        }
        let body: Value = serde_json::from_slice(&reply.body)?;
        Ok(text(&body, "/access_token")?.to_owned())
    }

    /// Sends what is to be measured once, and looks into the token: a measurement of another kind of token under this
    /// one's name would be worthless.
    async fn look(&self, to: To<'_>, requests: Vec<Vec<u8>>, claim: &str) -> Result<()> {
        let token = self.token(to, requests.first().context("no requests")?).await?;
        let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
        let claims: Value = serde_json::from_slice(&payload.context("the access token is no JWT")?)?;
        text(&claims, claim).map(|_| ())
    }

    /// The end of what its server says.
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }

    /// Anonymous memory of its server in MiB.
    pub fn resident(&self) -> u64 {
        resident(&self.server)
    }

    fn group(&self) -> Group {
        Group::Process(self.server.pid())
    }
}

/// A person, by id, and a way to call for whom an operator token stands.
async fn employ(api: &Api, person: &Value) -> Result<(String, Api)> {
    let made = api.call("POST", "/v1/people", person).await?;
    let id = text(&made, "/id")?.to_owned();
    let token = api.call("POST", &format!("/v1/people/{id}/operator-tokens"), &json!({})).await?;
    let as_them = Api {
        address: api.address,
        authorization: Some(format!("authorization: Bearer {}", text(&token, "/operator_token")?)),
    };
    Ok((id, as_them))
}

impl Registrar {
    /// An identity with these facts in its charter, which its owner asks for and the owner's manager approves.
    async fn register(&self, name: &str, facts: &Value) -> Result<Workload> {
        let key = Key::generate()?;
        let mut charter = self.charter.clone();
        if let (Some(charter), Some(facts)) = (charter.as_object_mut(), facts.as_object()) {
            charter.extend(facts.clone());
            charter.insert(
                "workload_binding".to_owned(),
                json!({ "type": "public_key", "workload": name, "jwk": key.jwk() }),
            );
        }
        let asked = json!({ "kind": "workload", "name": name, "charter": charter, "stage": "pending" });
        let registered = self.owner.call("POST", "/v1/identities", &asked).await?;
        let (id, request) = (text(&registered, "/id")?.to_owned(), text(&registered, "/request")?);
        let read = self.manager.call("GET", &format!("/v1/requests/{request}"), &Value::Null).await?;
        let vote = json!({ "content_hash": text(&read, "/content_hash")? });
        let approved = self.manager.call("POST", &format!("/v1/identities/{id}/activate"), &vote).await?;
        if text(&approved, "/state")? != "active" {
            bail!("{id} is not active after its approval: {approved}");
        }
        Ok(Workload { id, key })
    }
}

/// The variables that `tenure server --help` names for issuance budgets: the bench must not run into them.
fn budgets(help: &str) -> Vec<&str> {
    let words = help.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    let mut found: Vec<_> = words.filter(|word| word.starts_with("TENURE_") && word.contains("BUDGET")).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[expect(clippy::disallowed_methods, reason = "the bench is a client at the edge: its assertions carry the real time")]
pub fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}

#[cfg(test)]
mod tests;
