//! The long form of the suite: what every release must pass and no change can wait for.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::suite::{self, Args};
use crate::workspace::Workspace;

/// A part of the long form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// All of them, in this order.
    All,
    /// Every test of the product on the second engine, too.
    Engines,
    /// Many: ten thousand identities, big files, many kills.
    Many,
    /// Two thousand seeds of the simulation.
    Seeds,
    /// A live upgrade from the newest release.
    Upgrade,
    /// The build that sends spans, against a receiver of them.
    Otlp,
    /// Every page of the console as every role, in every width and theme, with pictures.
    Pages,
    /// The whole suite ten times, shuffled, beside two busy processes; no failure, no retry.
    Flakes,
}

/// How often the suite runs to find what fails now and then.
const RUNS: u32 = 10;
/// Processes that keep the machine busy meanwhile.
const BUSY: usize = 2;
/// Classes that tests are thrown into for their order: a rule of nextest's for each.
const CLASSES: u64 = 64;

/// Runs the parts; the exit code is that of the first one that failed.
///
/// # Errors
/// A part can't be run.
pub async fn run(workspace: &Workspace, args: &Args, parts: &[Part]) -> Result<ExitCode> {
    let every = [Part::Engines, Part::Many, Part::Seeds, Part::Upgrade, Part::Otlp, Part::Pages, Part::Flakes];
    let wanted = |part: &Part| parts.contains(&Part::All) || parts.contains(part);
    let mut failed = Vec::new();
    for part in every.iter().filter(|part| wanted(part)) {
        let start = Instant::now();
        let code = Box::pin(one(workspace, args, *part)).await?;
        let passed = code == ExitCode::SUCCESS;
        eprintln!("long: {part:?}: {} in {:.0} s", if passed { "ok" } else { "FAILED" }, start.elapsed().as_secs_f64());
        if !passed {
            failed.push(*part);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("long: failed: {failed:?}");
    Ok(ExitCode::FAILURE)
}

async fn one(workspace: &Workspace, args: &Args, part: Part) -> Result<ExitCode> {
    match part {
        Part::All => bail!("`all` is no part of its own"),
        Part::Engines => ignored(workspace, args, "package(tenure) and test(/::postgres$/)").await,
        Part::Many => ignored(workspace, args, "test(/(^|::)many/)").await,
        Part::Seeds => ignored(workspace, args, "package(tenure-sim)").await,
        Part::Upgrade => crate::upgrade::run(workspace, &crate::upgrade::Args::default()).await,
        Part::Otlp => {
            let sending = ["-p", "tenure", "--features", "otlp", "-E", "test(/^otlp::/) or test(/^metrics::/)"];
            suite::run(workspace, &args.with(&sending)).await
        }
        Part::Pages => crate::pages::run(workspace, args).await,
        Part::Flakes => flakes(workspace, args).await,
    }
}

/// What the suite leaves out.
async fn ignored(workspace: &Workspace, args: &Args, filter: &str) -> Result<ExitCode> {
    suite::run(workspace, &args.with(&["--run-ignored", "only", "-E", filter])).await
}

async fn flakes(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let _busy: Vec<Busy> = (0..BUSY).map(|_| Busy::start()).collect::<Result<_>>()?;
    let mut failures = 0;
    for run in 1..=RUNS {
        let seed = RandomState::new().build_hasher().finish();
        let order = workspace.target.join("nextest-order.toml");
        std::fs::write(&order, shuffled(seed)).with_context(|| format!("could not write {}", order.display()))?;
        eprintln!("long: run {run} of {RUNS}, in the order of seed {seed:016x}");
        let tool = format!("order:{}", order.display());
        if suite::run(workspace, &args.with(&["--tool-config-file", &tool])).await? != ExitCode::SUCCESS {
            failures += 1;
        }
    }
    eprintln!("long: {failures} of {RUNS} runs failed");
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An order of nextest's: tests are thrown into classes by the letters of their names, and each class gets a random
/// priority.
fn shuffled(seed: u64) -> String {
    let mut state = seed | 1;
    let mut random = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let letters: Vec<char> = "abcdefghijklmnopqrstuvwxyz_".chars().collect();
    let mut rules = String::new();
    for _ in 0..CLASSES {
        let mut draw = || letters.get(usize::try_from(random() % 27).unwrap_or(0)).copied().unwrap_or('a');
        let (one, other) = (draw(), draw());
        let priority = i64::try_from(random() % 201).unwrap_or(0) - 100;
        rules.push_str(&format!(
            "[[profile.ci.overrides]]\nfilter = 'test(/{one}.?{other}/)'\npriority = {priority}\n\n"
        ));
    }
    rules
}

/// A process that takes a core for itself; it ends with us.
struct Busy(Child);

impl Busy {
    fn start() -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
        Ok(Self(command.spawn().context("could not start a busy process")?))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_seed_is_another_order_and_the_same_one_the_same() {
        assert_eq!(shuffled(7), shuffled(7));
        assert_ne!(shuffled(7), shuffled(9));
        assert_eq!(shuffled(7).matches("priority = ").count() as u64, CLASSES);
    }
}
