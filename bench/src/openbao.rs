//! The peer: OpenBao with raft storage and a file audit device, its AppRole login, and its database engine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cpu::Group;
use crate::http::{Api, request, text};
use crate::load::{Load, Measured, Operation, run};
use crate::logins::Site;
use xtask::process::{Server, free_port};

/// How a login is made, as its documentation has it, with the right that Tenure's gets too ([`crate::logins::GROUP`]).
const CREATION: &str = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT readers TO \"{{name}}\";";

/// A running, unsealed OpenBao with the login method AppRole.
pub struct OpenBao {
    server: Server,
    api: Api,
}

/// What a login leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A service token: stored, can be revoked.
    Stored,
    /// A batch token: not stored, can't be revoked.
    Batch,
}

impl OpenBao {
    /// Starts it on a data folder of its own below `folder`.
    pub async fn start(program: &Path, folder: &Path) -> Result<Self> {
        let folder = folder.join("openbao");
        std::fs::create_dir_all(folder.join("raft"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let mut command = Command::new(program);
        command.current_dir(&folder).args(["server", "-config"]).arg(configure(&folder, address)?);
        let mut server = Server::spawn("OpenBao", command, &folder.join("log"))?;
        let mut api = Api { address, authorization: None };
        server.until(async || api.call("GET", "/v1/sys/seal-status", &Value::Null).await.is_ok()).await?;
        let keys = api.call("PUT", "/v1/sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 })).await?;
        api.call("PUT", "/v1/sys/unseal", &json!({ "key": text(&keys, "/keys_base64/0")? })).await?;
        api.authorization = Some(format!("x-vault-token: {}", text(&keys, "/root_token")?));
        server.until(async || api.call("GET", "/v1/sys/health", &Value::Null).await.is_ok()).await?;
        api.call("POST", "/v1/sys/auth/approle", &json!({ "type": "approle" })).await?;
        Ok(Self { server, api })
    }

    /// Measures logins of a role that gets tokens of this kind.
    pub async fn login(&self, token: Token, load: Load) -> Result<Measured> {
        let (name, kind) = match token {
            Token::Stored => ("stored", "service"),
            Token::Batch => ("batch", "batch"),
        };
        let role = format!("/v1/auth/approle/role/{name}");
        self.api
            .call("POST", &role, &json!({ "token_type": kind, "token_ttl": "15m", "token_max_ttl": "15m" }))
            .await?;
        let role_id = self.api.call("GET", &format!("{role}/role-id"), &Value::Null).await?;
        let secret_id = self.api.call("POST", &format!("{role}/secret-id"), &json!({})).await?;
        let login =
            json!({ "role_id": text(&role_id, "/data/role_id")?, "secret_id": text(&secret_id, "/data/secret_id")? })
                .to_string();
        let bytes = request(
            "POST",
            "/v1/auth/approle/login",
            self.api.address,
            &["content-type: application/json"],
            login.as_bytes(),
        );
        let operation = Operation {
            address: self.api.address,
            request: &|_| Some(&bytes),
            expected: "\"client_token\"",
            server: Group::Process(self.server.pid()),
            database: None,
        };
        run(load, &operation).await
    }

    /// Measures logins that its database engine makes at a PostgreSQL.
    pub async fn database_login(&self, site: &Site, load: Load, database: Group) -> Result<Measured> {
        self.api.call("POST", "/v1/sys/mounts/database", &json!({ "type": "database" })).await?;
        let login = site.login();
        let config = json!({
            "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": site.connection_url(),
            "username": text(&login, "/name")?, "password": text(&login, "/secret")?, "max_open_connections": load.connections,
        });
        self.api.call("POST", "/v1/database/config/bench", &config).await?;
        let role = json!({ "db_name": "bench", "default_ttl": "15m", "creation_statements": [CREATION] });
        self.api.call("POST", "/v1/database/roles/bench", &role).await?;
        let authorization = self.api.authorization.as_deref();
        let headers: Vec<&str> = authorization.into_iter().collect();
        let bytes = request("GET", "/v1/database/creds/bench", self.api.address, &headers, b"");
        let operation = Operation {
            address: self.api.address,
            request: &|_| Some(&bytes),
            expected: "\"password\"",
            server: Group::Process(self.server.pid()),
            database: Some(database),
        };
        run(load, &operation).await
    }

    /// Revokes all of them at once; how many there were, and how long that took.
    pub async fn revoke_database_logins(&self) -> Result<(usize, Duration)> {
        let leases = self.api.call("LIST", "/v1/sys/leases/lookup/database/creds/bench", &Value::Null).await?;
        let count = leases.pointer("/data/keys").and_then(Value::as_array).map_or(0, Vec::len);
        let begun = Instant::now();
        self.api.call("PUT", "/v1/sys/leases/revoke-prefix/database/creds/bench", &json!({ "sync": true })).await?;
        Ok((count, begun.elapsed()))
    }

    /// Makes so many tokens that may do nothing.
    pub async fn tokens(&self, count: usize, connections: usize) -> Result<()> {
        let token = json!({ "policies": ["default"], "ttl": "1h", "no_parent": true }).to_string();
        let authorization = self.api.authorization.as_deref();
        let headers: Vec<&str> = authorization.into_iter().collect();
        let bytes = request("POST", "/v1/auth/token/create", self.api.address, &headers, token.as_bytes());
        let operation = Operation {
            address: self.api.address,
            request: &|n| (n < count).then_some(&bytes),
            expected: "\"client_token\"",
            server: Group::Process(self.server.pid()),
            database: None,
        };
        let load = Load { connections, warm_up: Duration::ZERO, measured: Duration::from_secs(600) };
        let made = run(load, &operation).await?;
        ensure!(made.errors == 0 && made.answers >= count, "{} tokens of {count} were made", made.answers);
        Ok(())
    }

    /// Where Tenure's connector connects, and as whom.
    pub fn target(&self) -> Result<(Value, Value)> {
        let authorization = self.api.authorization.as_deref().unwrap_or_default();
        let token = authorization.strip_prefix("x-vault-token: ").context("it has no root token")?;
        let endpoint = json!({ "url": format!("http://{}", self.api.address), "plaintext": true });
        Ok((endpoint, json!({ "name": "", "secret": token })))
    }

    /// Stops it.
    pub async fn stop(self) -> Result<()> {
        self.server.stop(Signal::TERM).await
    }
}

/// Writes the configuration: raft on disk, every request and reply in an audit file, no TLS.
fn configure(folder: &Path, address: SocketAddr) -> Result<PathBuf> {
    let cluster = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let shown = folder.display();
    let path = folder.join("config.hcl");
    std::fs::write(
        &path,
        format!(
            r#"storage "raft" {{
  path    = "{shown}/raft"
  node_id = "bench"
}}
listener "tcp" {{
  address         = "{address}"
  cluster_address = "{cluster}"
  tls_disable     = true
}}
audit "file" "file" {{
  options {{
    file_path = "{shown}/audit.log"
  }}
}}
api_addr     = "http://{address}"
cluster_addr = "http://{cluster}"
log_level    = "warn"
"#
        ),
    )?;
    Ok(path)
}
