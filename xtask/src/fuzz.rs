//! The fuzzer over the targets of `fuzz`.
//!
//! The mechanism is cargo-fuzz on the stable toolchain: without a sanitizer, which finds misuse of memory in a
//! workspace that forbids `unsafe`, it needs no nightly. One program holds every target, and a variable says which one
//! runs, so that thirty of them are built and linked once.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, make_folder, must};

/// The longest input in bytes: what the server takes as a body.
const MAX_INPUT: u32 = 64 * 1024;
/// Seconds after which an input counts as a hang.
const HANG: u32 = 10;
/// Memory in MiB beyond which an input counts as a fault.
const MEMORY: u32 = 2_048;

/// What `cargo xtask fuzz` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The target; all of them, one after the other, if none is named.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// List the targets and end.
    #[arg(long, conflicts_with = "target")]
    list: bool,
}

/// Runs targets, all even if one fails; the exit code says whether one did.
///
/// # Errors
/// The fuzzer is missing or can't be built, or there is no such target.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let targets = targets(workspace)?;
    if args.list {
        targets.iter().for_each(|target| println!("{target}"));
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = match &args.target {
        None => targets,
        Some(name) if targets.contains(name) => vec![name.clone()],
        Some(name) => bail!("there is no target {name}: cargo xtask fuzz --list"),
    };
    is_installed(workspace)?;
    must(&mut cargo_fuzz(workspace, "build"))?;
    let mut failed = Vec::new();
    for target in wanted {
        if !one(workspace, &target, args.seconds)? {
            eprintln!(
                "fuzz: {target}: FAILED; copy the sample into fuzz/corpus/{target}, fix the fault, and run: cargo nextest run -p tenure-fuzz {target}"
            );
            failed.push(target);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("fuzz: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Each target has a corpus of its name; a test in `fuzz` holds them to it.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let corpora = workspace.root.join("fuzz/corpus");
    let entries = std::fs::read_dir(&corpora).with_context(|| format!("could not read {}", corpora.display()))?;
    let names: Result<Vec<String>, _> =
        entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect();
    let mut names = names?;
    names.sort();
    Ok(names)
}

fn is_installed(workspace: &Workspace) -> Result<()> {
    let mut asked = workspace.cargo(["fuzz", "--version"]);
    let there = asked.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        bail!(
            "cargo-fuzz is missing: cargo install cargo-fuzz --locked; a C++ compiler has to be there, too. The corpora are replayed without it: cargo nextest run -p tenure-fuzz"
        );
    }
    Ok(())
}

fn cargo_fuzz(workspace: &Workspace, what: &str) -> Command {
    workspace.cargo(["fuzz", what, "--fuzz-dir", "fuzz", "--sanitizer", "none", "--features", "libfuzzer", "any"])
}

/// Runs one target; whether it found nothing.
fn one(workspace: &Workspace, target: &str, seconds: u32) -> Result<bool> {
    // What is found on the way stays out of the tree; the checked-in samples are read and never written.
    let (found, faults) =
        (workspace.target.join("fuzz").join(target), workspace.root.join("fuzz/artifacts").join(target));
    make_folder(&found)?;
    make_folder(&faults)?;
    let mut command = cargo_fuzz(workspace, "run");
    command.arg(found).arg(format!("fuzz/corpus/{target}")).arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={MAX_INPUT}"),
        format!("-timeout={HANG}"),
        format!("-rss_limit_mb={MEMORY}"),
        format!("-artifact_prefix={}/", faults.display()),
        "-print_final_stats=1".to_owned(),
        "-verbosity=0".to_owned(),
    ]);
    eprintln!("fuzz: {target}: {seconds} s");
    let status = command.env("TENURE_FUZZ_TARGET", target).status().context("could not start cargo fuzz")?;
    Ok(status.success())
}
