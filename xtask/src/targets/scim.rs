//! A SCIM service provider: a library by others, with an application around it of `scim.py`.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{SECRET, Started, home, listening};
use crate::process::free_port;

const APPLICATION: &str = include_str!("scim.py");

pub(super) async fn start(peers: &Path, folder: &Path) -> Started {
    let home = home(folder, "scim")?;
    let port = free_port()?;
    let mut command = Command::new(peers.join("venv-targets/bin/python3"));
    command.current_dir(&home).args(["-c", APPLICATION, &port.to_string()]);
    command.arg(folder.join("server.pem")).arg(folder.join("server.key")).arg(SECRET);
    let server = listening("scim2-server", command, &home, port).await?;
    let base = format!("https://localhost:{port}");
    let place = json!({ "url": format!("{base}/plain/v2"), "base": base, "name": "", "secret": SECRET });
    Ok((vec![server], place))
}
