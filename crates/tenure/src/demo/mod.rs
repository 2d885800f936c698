//! `tenure demo`: one identity from charter to receipt, on a server of its own.
//!
//! Every step goes through the public HTTP API and checks what comes back; the first one that isn't as it should be ends the demo
//! with exit code 1.

mod story;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;

use crate::config::Config;
use crate::server;

/// Shows one identity from charter to receipt: a server of its own, no account, no database, a few seconds.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  tenure demo
  tenure demo --keep      leaves the server running and says what to try")]
pub struct Args {
    /// Leave the server running at the end and say what to try.
    #[arg(long)]
    pub keep: bool,
    /// The folder for the demo's data; a new one in the system's temporary folder if not given.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Runs the demo.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let folder = match &args.data {
        Some(folder) => folder.clone(),
        None => fresh_folder()?,
    };
    let config = Config {
        data: folder.clone(),
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        ..Config::default()
    };
    let running = server::start(&config).await.context("the demo's server can't start")?;
    let told = story::tell(&running.url, &folder).await;
    match &told {
        Ok(()) => println!("\nEvery step gave what it should, in {:.1} s.", started.elapsed().as_secs_f64()),
        Err(error) => println!("\nA step did not give what it should: {error:#}"),
    }
    if args.keep && told.is_ok() {
        what_to_try(&running.url, &folder);
        tokio::signal::ctrl_c().await?;
    }
    running.stop().await;
    if args.data.is_none() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("can't remove {}", folder.display()))?;
    }
    Ok(if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fresh_folder() -> anyhow::Result<PathBuf> {
    let mut random = [0u8; 8];
    tenure_core::entropy::Entropy::fill(&tenure_credentials::entropy::OsEntropy, &mut random);
    Ok(std::env::temp_dir().join(format!("tenure-demo-{:016x}", u64::from_le_bytes(random))))
}

fn what_to_try(url: &str, folder: &std::path::Path) {
    let folder = folder.display();
    println!(
        "\nThe server keeps running at {url}; stop it with ctrl-c. In another terminal:\n\
         \n  export TENURE_SERVER={url} TENURE_TOKEN_FILE={folder}/operator-token\n\
         \n  tenure identity list                 who is registered, and in which state\
         \n  tenure receipt list                  what was revoked, and how that was proven\
         \n  tenure events                        everything that happens, as it happens\
         \n  tenure log export -f copy.ndjson && tenure log verify copy.ndjson"
    );
}
