//! The whole test suite, with the servers that it needs.

use std::path::Path;
use std::pin::pin;
use std::process::{Command, ExitCode, ExitStatus, Output, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, kill_process};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::peers;
use crate::postgres::{Durability, Postgres};
use crate::targets::{self, Targets};
use crate::workspace::{Workspace, show};

/// Options of `test`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Install and start nothing and leave out documentation tests: tests that need PostgreSQL or a peer start
    /// their own or skip themselves.
    #[arg(long)]
    fast: bool,
    /// Arguments for `cargo nextest run`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "NEXTEST ARGS")]
    nextest: Vec<String>,
    /// Variables for the tests.
    #[arg(skip)]
    environment: Vec<(&'static str, String)>,
}

impl Args {
    /// The same with more arguments for nextest.
    pub fn with(&self, nextest: &[&str]) -> Self {
        let mut args = self.clone();
        args.nextest.extend(nextest.iter().map(|arg| (*arg).to_owned()));
        args
    }

    /// The same with a variable that the tests read.
    pub fn telling(mut self, name: &'static str, value: String) -> Self {
        self.environment.push((name, value));
        self
    }
}

/// Runs the suite; the exit code is that of the part that failed, nextest's first.
///
/// # Errors
/// The servers can't be had, or a signal came.
pub async fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    // From here on no signal ends us before the servers are stopped.
    let mut signals = Signals::listen()?;
    if args.fast {
        return tests(workspace, args, &[], &mut signals).await;
    }
    let peers = peers::for_tests(workspace)?;
    let postgres = Postgres::start(&peers, Durability::Fast).await?;
    let mut places = vec![("TENURE_TEST_POSTGRES", postgres.url()), ("TENURE_TEST_PEERS", peers.display().to_string())];
    let targets = if asks_targets(&args.nextest) {
        let targets = Targets::start(workspace, &peers::for_targets(workspace)?).await?;
        places.push((targets::VARIABLE, targets.description().display().to_string()));
        Some(targets)
    } else {
        None
    };
    places.extend(args.environment.iter().cloned());
    for (name, place) in &places {
        eprintln!("test: {name}={place}");
    }
    let code = tests(workspace, args, &places, &mut signals).await;
    if let Some(targets) = targets {
        targets.stop().await?;
    }
    postgres.stop().await?;
    code
}

/// Documentation tests first and in one line, so that nextest's summary ends the output.
async fn tests(
    workspace: &Workspace,
    args: &Args,
    places: &[(&str, String)],
    signals: &mut Signals,
) -> Result<ExitCode> {
    let mut documented = ExitCode::SUCCESS;
    if !args.fast && args.nextest.is_empty() {
        documented = documentation(workspace, places, signals).await?;
    }
    let mut nextest = workspace.cargo(["nextest", "run"]);
    nextest.args(selection(&args.nextest)).envs(places.iter().map(|(name, place)| (name, place)));
    eprintln!("test: {}", show(&nextest));
    let status = signals.attend(nextest, false).await?.status;
    Ok(if status.success() { documented } else { code(status) })
}

/// The arguments for nextest: the whole workspace and the profile `ci` unless others are named.
fn selection(given: &[String]) -> Vec<String> {
    let names = |short: &str, long: &str| {
        given.iter().any(|arg| arg == short || arg == long || arg.starts_with(&format!("{long}=")))
    };
    let mut all = Vec::new();
    if !names("-p", "--package") && !names("--workspace", "--all") {
        all.push("--workspace".to_owned());
    }
    if !names("-P", "--profile") {
        all.extend(["--profile", "ci"].map(str::to_owned));
    }
    all.extend_from_slice(given);
    all
}

/// Whether the servers that connectors are tested against are needed: they take some seconds to start.
fn asks_targets(given: &[String]) -> bool {
    let mut packages = given.iter().enumerate().filter_map(|(at, arg)| match arg.as_str() {
        "-p" | "--package" => given.get(at + 1).map(String::as_str),
        arg => arg.strip_prefix("--package="),
    });
    let named: Vec<_> = packages.by_ref().collect();
    // The product's own tests of targets say so by their names.
    let chosen = given.iter().any(|arg| arg.contains("targets"));
    named.is_empty() || named.contains(&"tenure-connectors") || chosen
}

async fn documentation(workspace: &Workspace, places: &[(&str, String)], signals: &mut Signals) -> Result<ExitCode> {
    let start = Instant::now();
    let mut command = workspace.cargo(["test", "--doc"]);
    for package in documented(&workspace.root)? {
        command.args(["--package", &package]);
    }
    command.envs(places.iter().map(|(name, place)| (name, place)));
    let output = signals.attend(command, true).await?;
    let seconds = start.elapsed().as_secs_f64();
    if output.status.success() {
        eprintln!("documentation tests: ok, {seconds:.1} s");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    eprintln!("documentation tests: FAILED, {seconds:.1} s");
    Ok(code(output.status))
}

/// The packages with code in their documentation: of the others rustdoc reads every line to find none, which takes minutes.
fn documented(root: &Path) -> Result<Vec<String>> {
    let crates = root.join("crates");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&crates).with_context(|| format!("could not read {}", crates.display()))? {
        let folder = entry?.path();
        if has_code(&folder.join("src"))? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            names.push(if name == "tenure" { name.into_owned() } else { format!("tenure-{name}") });
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn has_code(folder: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if has_code(&path)? {
                return Ok(true);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            let opens = |line: &str| line.trim_start_matches("//!").trim_start_matches("///").trim().starts_with("```");
            if text.lines().map(str::trim).any(|line| line.starts_with("//") && opens(line)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The signals that would end us.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Runs a command to its end, whatever signal comes; its output is kept for the caller if `quiet`. A ctrl-c reaches
    /// it by itself, since it is in our process group; a request to terminate is sent to us alone and is passed on. One
    /// that came before it started keeps it from starting.
    async fn attend(&mut self, command: Command, quiet: bool) -> Result<Output> {
        let shown = show(&command);
        let mut command = tokio::process::Command::from(command);
        if quiet {
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        if self.came().await {
            bail!("interrupted before {shown}");
        }
        let child = command.kill_on_drop(true).spawn().with_context(|| format!("could not start {shown}"))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let mut end = pin!(child.wait_with_output());
        let mut interrupted = false;
        let output = loop {
            tokio::select! {
                output = &mut end => break output?,
                _ = self.interrupt.recv() => interrupted = true,
                _ = self.terminate.recv() => {
                    interrupted = true;
                    if let Some(pid) = pid {
                        kill_process(pid, rustix::process::Signal::TERM)?;
                    }
                }
            }
        };
        if interrupted {
            bail!("interrupted during {shown}, which ended with {}", output.status);
        }
        Ok(output)
    }

    async fn came(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => true,
            () = std::future::ready(()) => false,
        }
    }
}

/// The exit code that passes a command's on; failure if a signal ended it.
pub(crate) fn code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(args: &[&str]) -> Vec<String> {
        selection(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn everything_by_the_profile_of_ci_unless_told_otherwise() {
        assert_eq!(select(&[]), ["--workspace", "--profile", "ci"]);
        assert_eq!(select(&["-p", "tenure-log"]), ["--profile", "ci", "-p", "tenure-log"]);
        assert_eq!(
            select(&["--profile=default", "-E", "test(r22)"]),
            ["--workspace", "--profile=default", "-E", "test(r22)"]
        );
    }

    #[test]
    fn targets_are_started_for_those_who_ask_them() {
        let asks = |args: &[&str]| asks_targets(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        assert!(asks(&[]) && asks(&["-E", "test(x)"]) && asks(&["-p", "tenure-log", "-p", "tenure-connectors"]));
        assert!(!asks(&["-p", "tenure-log"]) && !asks(&["--package=tenure"]));
    }

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[tokio::test]
    async fn exit_codes_pass_through() {
        let output = Signals::listen().unwrap().attend(shell("exit 100"), false).await.unwrap();
        assert_eq!(code(output.status), ExitCode::from(100));
    }

    #[tokio::test]
    async fn a_request_to_terminate_is_passed_on_and_waited_for() {
        let mut signals = Signals::listen().unwrap();
        // The child asks for our end once it is ready for its own.
        let script = "trap 'exit 7' TERM; kill -TERM $PPID; while :; do sleep 0.01; done";
        let error = signals.attend(shell(script), true).await.unwrap_err().to_string();
        assert!(error.contains("interrupted during") && error.contains("exit status: 7"), "{error}");
    }
}
