//! Tenure itself, set up and measured through its public API.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::assertion::{Key, encode, form};
use super::cpu::Group;
use super::http::{Api, Connection, request, text};
use super::load::{Load, Measured, Operation, run};
use super::signals::{self, Burst};
use crate::process::{Server, free_port};
use crate::workspace::output;

const ENVIRONMENT: &str = "bench";
const RESOURCE: &str = "https://orders.bench.example/";
const RESOURCE_TYPE: &str = "api";
const WORKLOADS: usize = 64;
/// How many live tokens introspection and decisions go over.
const TOKENS: usize = 512;
/// The rate that the short run before a measurement is signed for. It finds out how many the measurement needs.
const TRIAL_RATE: f64 = 30_000.0;
/// How many times the assertions that the trial's rate asks for are signed.
const RESERVE: f64 = 1.6;
const FORM: &str = "content-type: application/x-www-form-urlencoded";
const JSON: &str = "content-type: application/json";

/// A running server with an environment, a resource, its enforcement point, and workloads that may read it.
pub struct Tenure {
    server: Server,
    database: Option<Group>,
    address: SocketAddr,
    issuer: String,
    resource: String,
    workloads: Vec<Workload>,
    enforcement_point: Workload,
    /// Who set it up, by the header that authenticates them, and who owns what is in it.
    administrator: String,
    owner: String,
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
    /// RFC 7662, asked by the enforcement point.
    Introspection,
    /// OpenID AuthZEN, asked by the enforcement point.
    Decision,
}

impl Tenure {
    /// Starts the binary on a fresh data folder and sets it up. `database` is a PostgreSQL's address and processes; SQLite in the data folder without.
    pub async fn start(program: &Path, data: &Path, database: Option<(String, Group)>) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let mut command = Command::new(program);
        command
            .args(["server", "--listen", &address.to_string(), "--data"])
            .arg(data)
            .env("TENURE_PUBLIC_URL", format!("http://{address}"));
        if let Some((url, _)) = &database {
            command.env("TENURE_STORE", url);
        }
        for name in budgets(&output(Command::new(program).args(["server", "--help"]))?) {
            command.env(name, "1000000000");
        }
        let mut server = Server::spawn("tenure", command, &data.join("server.log"))?;
        server.until(async || super::answers(address, "/readyz").await).await?;
        let mut tenure = Self::before_set_up(server, address, database.map(|(_, group)| group))?;
        let set_up = tenure.set_up(data).await;
        set_up.with_context(|| format!("could not set Tenure up; its log says:\n{}", tenure.server.log_tail()))?;
        Ok(tenure)
    }

    fn before_set_up(server: Server, address: SocketAddr, database: Option<Group>) -> Result<Self> {
        let enforcement_point = Workload {
            id: String::new(),
            key: Key::generate()?,
        };
        let issuer = format!("http://{address}/env/{ENVIRONMENT}");
        Ok(Self {
            server,
            database,
            address,
            issuer,
            resource: String::new(),
            workloads: Vec::new(),
            enforcement_point,
            administrator: String::new(),
            owner: String::new(),
        })
    }

    async fn set_up(&mut self, data: &Path) -> Result<()> {
        let mut api = Api {
            address: self.address,
            authorization: None,
        };
        let setup_token = std::fs::read_to_string(data.join("setup-token")).context("the server left no set-up token")?;
        let done = api
            .call("POST", "/v1/setup", &json!({ "setup_token": setup_token.trim(), "name": "Bench" }))
            .await?;
        self.administrator = format!("authorization: Bearer {}", text(&done, "/operator_token")?);
        api.authorization = Some(self.administrator.clone());
        // Who owns identities holds the role, and asks for them; their manager approves.
        let (manager, approver) = employ(&api, &json!({ "name": "Manager", "roles": ["manager"] })).await?;
        let (person, owner) = employ(&api, &json!({ "name": "Owner", "roles": ["requester", "owner"], "manager": manager })).await?;
        self.owner.clone_from(&person);
        let application = api.call("POST", "/v1/applications", &json!({ "name": "bench", "owner": person })).await?;
        api.call("POST", "/v1/environments", &json!({ "name": ENVIRONMENT, "production": false }))
            .await?;
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
        for n in 0..WORKLOADS {
            self.workloads
                .push(register(&owner, &approver, &charter, &format!("workload-{n}"), "read", &self.resource).await?);
        }
        self.enforcement_point = register(&owner, &approver, &charter, "enforcement-point", "enforce", &self.resource).await?;
        Ok(())
    }

    /// Measures one kind of work.
    pub async fn measure(&self, work: Work, load: Load) -> Result<Measured> {
        match work {
            Work::Issuance => self.issuance(load).await,
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
        let api = Api {
            address: self.address,
            authorization: Some(self.administrator.clone()),
        };
        signals::burst(&api, &self.owner, count, connections, self.group(), self.database).await
    }

    /// Stops it.
    pub async fn stop(self) -> Result<()> {
        self.server.stop(Signal::TERM).await
    }

    /// A short trial shows how many assertions the measurement can use; they are signed before it starts.
    async fn issuance(&self, load: Load) -> Result<Measured> {
        let trial = Load {
            warm_up: load.warm_up / 2,
            measured: load.warm_up / 2,
            ..load
        };
        let requests = self.token_requests((TRIAL_RATE * load.warm_up.as_secs_f64()) as usize)?;
        let trial = self.run(trial, "\"access_token\"", &requests).await?;
        if trial.answers == 0 {
            return Ok(trial);
        }
        let seconds = (load.warm_up + load.measured).as_secs_f64();
        let requests = self.token_requests((trial.rate() * seconds * RESERVE) as usize + load.connections)?;
        self.run(load, "\"access_token\"", &requests).await
    }

    /// Puts a question about each of many live tokens, over and over.
    async fn questions(&self, path: &str, kind: &str, expected: &str, load: Load, body: impl Fn(&Issued) -> String) -> Result<Measured> {
        let asker = self.issue(&self.enforcement_point).await?;
        let authorization = format!("authorization: Bearer {}", asker.token);
        let mut requests = Vec::with_capacity(TOKENS);
        for workload in self.workloads.iter().cycle().take(TOKENS) {
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
            request: &|n| requests.get(n % TOKENS).map(Vec::as_slice),
            expected,
            server: self.group(),
            database: self.database,
        };
        run(load, &operation).await
    }

    async fn run(&self, load: Load, expected: &str, requests: &[Vec<u8>]) -> Result<Measured> {
        let operation = Operation {
            address: self.address,
            request: &|n| requests.get(n).map(Vec::as_slice),
            expected,
            server: self.group(),
            database: self.database,
        };
        run(load, &operation).await
    }

    fn token_requests(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        self.workloads.iter().cycle().take(count).map(|workload| self.token_request(workload)).collect()
    }

    fn token_request(&self, workload: &Workload) -> Result<Vec<u8>> {
        let assertion = workload.key.assertion(&workload.id, &self.issuer, now())?;
        Ok(request(
            "POST",
            "/env/bench/token",
            self.address,
            &[FORM],
            form(&assertion, RESOURCE).as_bytes(),
        ))
    }

    async fn issue(&self, workload: &Workload) -> Result<Issued> {
        let reply = Connection::open(self.address).await?.exchange(&self.token_request(workload)?).await?;
        if !reply.is_success() {
            bail!("the token endpoint answered {}", reply.summary());
        }
        let body: Value = serde_json::from_slice(&reply.body)?;
        Ok(Issued {
            token: text(&body, "/access_token")?.to_owned(),
            identity: workload.id.clone(),
        })
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

/// An identity that its owner asks for and the owner's manager approves.
async fn register(owner: &Api, manager: &Api, charter: &Value, name: &str, action: &str, resource: &str) -> Result<Workload> {
    let key = Key::generate()?;
    let mut charter = charter.clone();
    if let Some(facts) = charter.as_object_mut() {
        facts.insert("scope".to_owned(), json!([{ "actions": [action], "resource": resource }]));
        facts.insert(
            "workload_binding".to_owned(),
            json!({ "type": "public_key", "workload": name, "jwk": key.jwk() }),
        );
    }
    let asked = json!({ "kind": "workload", "name": name, "charter": charter, "stage": "pending" });
    let id = text(&owner.call("POST", "/v1/identities", &asked).await?, "/id")?.to_owned();
    let approved = manager.call("POST", &format!("/v1/identities/{id}/activate"), &Value::Null).await?;
    if text(&approved, "/state")? != "active" {
        bail!("{id} is not active after its approval: {approved}");
    }
    Ok(Workload { id, key })
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
fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const OPERATOR: &str = "authorization: Bearer tnr_op_toy";

    /// What a toy of Tenure answers; it refuses what the real one would refuse for its form.
    fn answer(path: &str, head: &str, body: &str) -> (u16, Value) {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        let form = || body.contains("client_assertion=ey") && body.contains("&resource=https%3A%2F%2Forders.bench.example%2F");
        let asked_by_point = head.contains("authorization: Bearer token-of-a-workload");
        match path {
            "/v1/setup" if json["setup_token"] == "once" => (201, json!({ "operator_token": "tnr_op_toy" })),
            "/env/bench/token" if form() => (200, json!({ "access_token": "token-of-a-workload", "token_type": "Bearer" })),
            "/env/bench/introspect" if asked_by_point && body == "token=token-of-a-workload" => (200, json!({ "active": true })),
            "/access/v1/evaluation" if asked_by_point => {
                let right = json["subject"]["properties"]["access_token"] == "token-of-a-workload"
                    && json["resource"]["id"] == "res_1"
                    && json["action"]["name"] == "read";
                (200, json!({ "decision": right }))
            }
            "/signals/bench-ci" if head.contains("x-hub-signature-256: sha256=") && json["action"] == "completed" => {
                (202, json!({ "signals": [{ "id": "sig_1" }], "duplicate": false }))
            }
            _ if !head.contains(OPERATOR) => (401, json!({ "code": "unauthenticated" })),
            "/v1/people" if json["roles"] == json!(["manager"]) => (201, json!({ "id": "per_2" })),
            "/v1/people" if json["roles"] == json!(["requester", "owner"]) && json["manager"] == "per_2" => (201, json!({ "id": "per_1" })),
            "/v1/people/per_1/operator-tokens" => (201, json!({ "operator_token": "tnr_op_toy" })),
            "/v1/people/per_2/operator-tokens" => (201, json!({ "operator_token": "tnr_op_toy_manager" })),
            path if path.starts_with("/v1/identities/") && path.ends_with("/activate") && head.contains("tnr_op_toy_manager") => {
                (200, json!({ "state": "active" }))
            }
            "/v1/applications" if json["owner"] == "per_1" => (201, json!({ "id": "app_1" })),
            "/v1/environments" if json["name"] == "bench" => (201, json!({ "name": "bench" })),
            "/v1/resources" if json["application"] == "app_1" => (201, json!({ "id": "res_1" })),
            "/v1/identities" => {
                let charter = &json["charter"];
                let facts = [
                    "owner",
                    "purpose",
                    "scope",
                    "trust_boundary",
                    "environment",
                    "application",
                    "workload_binding",
                    "expires_at",
                    "retirement",
                    "coverage",
                    "parties",
                ];
                let complete = facts.iter().all(|fact| !charter[fact].is_null()) && charter["scope"][0]["resource"] == "res_1" && json["stage"] == "pending";
                if complete {
                    (201, json!({ "id": format!("idn_{}", json["name"].as_str().unwrap()) }))
                } else {
                    (422, json!({ "code": "charter_incomplete" }))
                }
            }
            "/v1/sources" if json["owner"] == "per_1" => (201, json!({ "id": "src_1", "state": "active", "secret": "tnr_whk_toy" })),
            "/v1/signals?source=src_1&state=received&limit=1" => (200, json!({ "items": [] })),
            "/v1/signals?source=src_1&limit=200" => (200, json!({ "items": [run_of("0"), run_of("1")], "next": "sig_2" })),
            "/v1/signals?source=src_1&limit=200&after=sig_2" => (200, json!({ "items": [run_of("2")] })),
            _ => (400, json!({ "code": "unexpected", "path": path, "body": body })),
        }
    }

    fn run_of(run: &str) -> Value {
        json!({ "word": { "facts": { "run_id": run } } })
    }

    async fn toy() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    loop {
                        let text = String::from_utf8(bytes.clone()).unwrap();
                        let whole = text
                            .split_once("\r\n\r\n")
                            .filter(|(head, body)| head.ends_with(&format!("content-length: {}", body.len())));
                        let Some((head, body)) = whole else {
                            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                                return;
                            }
                            continue;
                        };
                        let (status, reply) = answer(head.split(' ').nth(1).unwrap(), head, body);
                        let reply = reply.to_string();
                        stream
                            .write_all(format!("HTTP/1.1 {status} Toy\r\ncontent-length: {}\r\n\r\n{reply}", reply.len()).as_bytes())
                            .await
                            .unwrap();
                        bytes.clear();
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn it_is_set_up_and_measured_through_the_public_api() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("setup-token"), "once\n").unwrap();
        let mut process = Command::new("sleep");
        process.arg("60");
        let server = Server::spawn("toy", process, &data.path().join("log")).unwrap();
        let mut tenure = Tenure::before_set_up(server, toy().await, None).unwrap();
        tenure.set_up(data.path()).await.unwrap();
        assert_eq!(tenure.workloads.len(), WORKLOADS);
        assert_eq!(tenure.enforcement_point.id, "idn_enforcement-point");
        let load = Load {
            connections: 2,
            warm_up: Duration::from_millis(60),
            measured: Duration::from_millis(60),
        };
        for work in [Work::Issuance, Work::Introspection, Work::Decision] {
            let measured = tenure.measure(work, load).await.unwrap();
            assert!(measured.answers > 0 && measured.errors == 0, "{work:?}: {measured:?}");
        }
        let burst = tenure.burst(3, 2).await.unwrap();
        assert_eq!((burst.measured.answers, burst.measured.errors), (3, 0));
        let lost = tenure.burst(4, 2).await.err().unwrap().to_string();
        assert!(lost.contains("4 were acknowledged, but 3 are recorded"), "{lost}");
        tenure.stop().await.unwrap();
    }

    #[test]
    fn budgets_are_found_in_the_help() {
        let help =
            "  --listen <ADDR> [env: TENURE_LISTEN=]\n  --issuance-budget <N>  per identity and minute [env: TENURE_ISSUANCE_BUDGET=]\n TENURE_ISSUANCE_BUDGET";
        assert_eq!(budgets(help), ["TENURE_ISSUANCE_BUDGET"]);
        assert!(budgets("nothing").is_empty());
    }
}
