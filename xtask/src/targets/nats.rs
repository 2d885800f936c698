//! A NATS server that trusts an operator, with a full resolver: `nats.py` makes its keys and its configuration.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::{Started, home, listening};
use crate::process::free_port;
use crate::workspace::output;

const SET_UP: &str = include_str!("nats.py");

pub(super) async fn start(peers: &Path, folder: &Path) -> Started {
    let home = home(folder, "nats")?;
    let programs = peers.join("venv-targets/bin");
    let port = free_port()?;
    let mut set_up = Command::new(programs.join("python3"));
    set_up.args(["-c", SET_UP]).arg(&home).arg(port.to_string());
    set_up.arg(folder.join("server.pem")).arg(folder.join("server.key"));
    let said = output(set_up.stdin(Stdio::null()))?;
    let mut place: Map<String, Value> = serde_json::from_str(&said).context("nats.py said no keys")?;
    place.insert("url".to_owned(), format!("nats://localhost:{port}").into());
    let mut command = Command::new(programs.join("nats-server"));
    command.current_dir(&home).arg("-c").arg(home.join("nats.conf"));
    let server = listening("nats-server", command, &home, port).await?;
    Ok((vec![server], place.into()))
}
