//! `tenure demo`: a small organisation, loaded from `examples/organisation`, and a story about it, on a server of its
//! own.
//!
//! Every step goes through the public HTTP API and checks what comes back; the first one that isn't as it should be
//! ends the demo with exit code 1.

mod agents;
mod approvals;
mod clock;
mod database;
mod directory;
mod ending;
mod files;
mod leaving;
mod organisation;
mod page;
mod past;
mod story;
mod triggers;
mod using;
mod wire;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tenure_core::base::time::Span;

use self::clock::PastClock;
use self::directory::Directory;
use self::page::say;
use crate::config::{Config, Listen};
use crate::server;

/// How long an identity goes on without its owner here: a week would be long to watch.
const TRANSFER_WINDOW: Span = Span::from_secs(5);
/// How long what nobody took stays suspended here, in place of a month.
const LAPSED_GRACE: Span = Span::from_secs(6);
/// How long a removal can be released here.
const REMOVAL_HOLD: Span = Span::from_secs(2);

/// Shows a small organisation, approvals, a leaver, a cut and its proof: a server of its own, no account, no database,
/// a few seconds.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  tenure demo
  tenure demo --wire      each call in full
  tenure demo --keep      leaves the server running and says what to try")]
pub struct Args {
    /// Leave the server running at the end and say what to try.
    #[arg(long)]
    pub keep: bool,
    /// Show each call in full, but for secrets.
    #[arg(long)]
    pub wire: bool,
    /// The folder for the demo's data; a new one in the system's temporary folder if not given.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Runs the demo.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let folder = match &args.data {
        Some(folder) => folder.clone(),
        None => fresh_folder(),
    };
    // Only what it made itself is removed, whichever way it ends.
    let _made = args.data.is_none().then(|| Made(folder.clone()));
    // What is left running has months behind it: its server's clock begins with them, and ends as the machine's.
    let clock = PastClock::behind(if args.keep { past::BEGAN } else { Span::from_secs(0) });
    say!("A server of its own starts, and a small organisation is loaded.")?;
    let windows = settings(&folder, 0);
    let config =
        Config { transfer_window: TRANSFER_WINDOW, lapsed_grace: LAPSED_GRACE, removal_hold: REMOVAL_HOLD, ..windows };
    let mut serves = Serves { running: None, clock };
    serves.start(&config).await?;
    let ended = Box::pin(show(&args, &mut serves, &folder)).await;
    serves.stop().await;
    match ended {
        Ok(code) => Ok(code),
        // Whoever read along has had enough of it; not every step was shown.
        Err(error) if is_closed_pipe(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}

/// How the demo's servers are set up.
fn settings(folder: &Path, port: u16) -> Config {
    Config {
        data: folder.to_owned(),
        listen: Listen::Localhost(port),
        // Where the demo's directory of people is.
        outbound_allow: vec!["127.0.0.1/32".to_owned()],
        ..Config::default()
    }
}

/// The demo's server.
struct Serves {
    running: Option<server::Running>,
    clock: Arc<PastClock>,
}

impl Serves {
    async fn start(&mut self, config: &Config) -> anyhow::Result<()> {
        let clock = Arc::clone(&self.clock);
        self.running = Some(server::start(config, clock).await.context("the demo's server can't start")?);
        Ok(())
    }

    fn url(&self) -> &str {
        self.running.as_ref().map_or("", |running| &running.url)
    }

    async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }
}

async fn show(args: &Args, serves: &mut Serves, folder: &Path) -> anyhow::Result<ExitCode> {
    let told = tokio::select! {
        told = Box::pin(tell(args, serves, folder)) => told,
        stopped = server::terminated() => {
            stopped?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let directory = match told {
        Ok(directory) => directory,
        Err(error) => {
            if !is_closed_pipe(&error) {
                say!("\nA step did not give what it should: {error:#}")?;
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let Some(directory) = directory else {
        say!(
            "\nNext:\n  tenure demo --keep    the same, and the server goes on: look around, ask, approve, cut\n  tenure demo --wire    the same with every call in full\n  tenure server         a server of your own: docs/get-started.md goes from there to a workload's first token"
        )?;
        return Ok(ExitCode::SUCCESS);
    };
    let tried = what_to_try(serves.url(), folder, directory.link());
    if tried.is_ok() {
        server::terminated().await?;
    }
    directory.close().await;
    tried.map(|()| ExitCode::SUCCESS)
}

/// Tells the story, and what has happened since if the server is left running: then it gives the directory by which one
/// signs in.
async fn tell(args: &Args, serves: &mut Serves, folder: &Path) -> anyhow::Result<Option<Directory>> {
    let clock = Arc::clone(&serves.clock);
    let mut harbour = Box::pin(story::tell(serves.url(), folder, args.wire, &clock, args.keep)).await?;
    if !args.keep {
        return Ok(None);
    }
    // The story's windows are seconds; from here on they are what they are for everybody.
    let port = serves.url().rsplit(':').next().and_then(|port| port.parse().ok()).context("the server has no port")?;
    serves.stop().await;
    serves.start(&settings(folder, port)).await?;
    Box::pin(past::weeks(&mut harbour, folder)).await?;
    Ok(Some(Directory::open(&harbour).await?))
}

/// A folder that goes with the demo.
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, folder = %self.0.display(), "can't remove the demo's folder");
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

fn fresh_folder() -> PathBuf {
    let mut random = [0u8; 8];
    tenure_core::base::entropy::Entropy::fill(&tenure_credentials::entropy::OsEntropy, &mut random);
    std::env::temp_dir().join(format!("tenure-demo-{:016x}", u64::from_le_bytes(random)))
}

fn what_to_try(url: &str, folder: &Path, link: &str) -> anyhow::Result<()> {
    let folder = folder.display();
    let program = std::env::current_exe()?;
    page::verbatim(&format!(
        "\nThe server keeps running at {url}, with months behind it; stop it with ctrl-c. Its console, signed in as whom you like\
         \n(the link is good once, in a browser of this machine):\n\
         \n  {link}\n\
         \nIn another terminal:\n\
         \n  alias tenure={}\
         \n  export TENURE_SERVER={url} TENURE_TOKEN_FILE={folder}/operator-token\n\
         \n  tenure identity list                 who is registered, and in which state\
         \n  tenure request list                  what was asked, by whom, and who approved it\
         \n  tenure finding list                  what is not as it should be\
         \n  tenure transfer list                 what the leaver answered for\
         \n  tenure signal list                   what GitHub said, and what came of it\
         \n  tenure removal list                  what ended, and what it took with it\
         \n  tenure receipt list                  what was revoked, and how that was proven\
         \n  tenure log export -f copy.ndjson && tenure log verify copy.ndjson\
         \n\nThat token stands for Ada, an administrator, for eight hours; {folder}/people has one for each of the others.\
         \nTo ask as Olu and approve as his manager:\
         \n\n  tenure identity charter-template > new.json        fill in the ids\
         \n  tenure identity register -f new.json --token-file {folder}/people/olu.token\
         \n  tenure request list --state open\
         \n  tenure request approve req_… --token-file {folder}/people/max.token\
         \n\nFrom the first sign-in on, operator tokens no longer approve: then people vote in the console, each as themselves.",
        program.display()
    ))?;
    Ok(())
}
