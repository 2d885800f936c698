//! A Redis of the demo's own, where no PostgreSQL is installed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{Answered, CONNECTOR, LOGIN, PAUSE, TRIES, drawn, free_port};

/// A running Redis, which goes with the demo.
pub struct Redis {
    child: Child,
    port: u16,
    connector: String,
    secret: String,
}

impl Redis {
    /// Starts one; none if there is none to start.
    ///
    /// # Errors
    /// It is installed and doesn't serve.
    pub async fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        let port = free_port().await?;
        let (connector, secret) = (drawn(), drawn());
        let users = [format!("{CONNECTOR} on >{connector} ~* &* +@all"), format!("{LOGIN} on >{secret} ~* +@read")];
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(folder);
        for user in &users {
            command.arg("--user").args(user.split(' '));
        }
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("redis-server can't be started"),
        };
        let redis = Self { child, port, connector, secret };
        for _ in 0..TRIES {
            if redis.asked().await.is_ok_and(|answered| answered.takes) {
                return Ok(Some(redis));
            }
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::bail!("the Redis of the demo doesn't begin to serve")
    }

    /// How it is registered.
    pub fn endpoint(&self) -> Value {
        json!({"url": format!("redis://127.0.0.1:{}", self.port), "plaintext": true})
    }

    /// The connector's own secret.
    pub fn connector(&self) -> &str {
        &self.connector
    }

    /// What it says to whoever signs in with the login.
    ///
    /// # Errors
    /// It doesn't answer.
    pub async fn asked(&self) -> anyhow::Result<Answered> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await?);
        stream.write_all(format!("AUTH {LOGIN} {}\r\n", self.secret).as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let words = line.trim().trim_start_matches(['+', '-']).to_owned();
        Ok(Answered { takes: words == "OK", is_refusal: words.starts_with("WRONGPASS"), words })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::warn!(%error, "the demo's Redis can't be stopped");
        }
    }
}
