//! A system that no connector knows, and the endpoint that the documentation shows for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{SECRET, Started, home, listening};
use crate::process::free_port;
use crate::workspace::Workspace;

const LEGACY: &str = include_str!("legacy.py");

pub(super) async fn start(workspace: &Workspace, peers: &Path, folder: &Path) -> Started {
    let home = home(folder, "webhook")?;
    let (database, keys) = (home.join("legacy.db"), home.join("keys"));
    let log = home.join("endpoint");
    for folder in [&keys, &log] {
        fs::create_dir_all(folder)?;
    }
    let python = peers.join("venv-targets/bin/python3");
    let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
    let (system, port) = (free_port()?, free_port()?);
    let mut legacy = Command::new(&python);
    legacy.args(["-c", LEGACY, &system.to_string()]).args([&certificate, &key, &database]).arg(SECRET);
    let legacy = listening("the system", legacy, &home, system).await?;
    let mut endpoint = Command::new(&python);
    endpoint.arg(workspace.root.join("examples/webhook-target/endpoint.py")).arg(port.to_string());
    endpoint.args([&certificate, &key, &database, &keys]);
    let endpoint = listening("its endpoint", endpoint, &log, port).await?;
    let place = json!({
        "url": format!("https://localhost:{port}/tenure"),
        "system": format!("https://localhost:{system}"),
        "keys": keys,
        "name": "",
        "secret": SECRET,
    });
    Ok((vec![legacy, endpoint], place))
}
