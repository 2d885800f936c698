//! Formatting, lints, layers, dependencies.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::workspace::{Workspace, must};
use crate::{deps, layers, rooms};

/// Runs all checks, even after one failed, and says how long each took.
pub fn run(workspace: &Workspace) -> ExitCode {
    let results = [
        timed("fmt", || report("fmt", none(must(&mut workspace.cargo(["fmt", "--all", "--check"]))))),
        timed("layers", || report("layers", layers_and_rooms(workspace))),
        timed("deps", || report("deps", deps::check(workspace))),
        timed("clippy", || {
            report(
                "clippy",
                none(must(&mut workspace.cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
            )
        }),
        // The demo is built without the solver.
        timed("solver", || {
            let plain = ["clippy", "--package", "tenure-policy", "--lib", "--", "-D", "warnings"];
            report("solver", none(must(&mut workspace.cargo(plain))))
        }),
        // What sends spans is in releases, and in nothing that is built here otherwise.
        timed("otlp", || {
            let sending =
                ["clippy", "--package", "tenure", "--all-targets", "--features", "otlp", "--", "-D", "warnings"];
            report("otlp", none(must(&mut workspace.cargo(sending))))
        }),
    ];
    if results.iter().all(|result| *result == ExitCode::SUCCESS) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what a check found.
pub fn report(name: &str, found: Result<Vec<String>>) -> ExitCode {
    match found {
        Ok(found) if found.is_empty() => {
            eprintln!("{name}: ok");
            ExitCode::SUCCESS
        }
        Ok(found) => {
            for line in &found {
                eprintln!("{name}: {line}");
            }
            eprintln!("{name}: {} to fix", found.len());
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("{name}: {why:#}");
            ExitCode::FAILURE
        }
    }
}

/// A check that prints its findings itself.
fn none(result: Result<()>) -> Result<Vec<String>> {
    result.map(|()| Vec::new())
}

fn timed(name: &str, check: impl FnOnce() -> ExitCode) -> ExitCode {
    let start = Instant::now();
    let code = check();
    eprintln!("{name}: {:.1} s", start.elapsed().as_secs_f64());
    code
}

/// Which crate may know which, and inside a crate which room.
///
/// # Errors
/// The workspace can't be read.
pub fn layers_and_rooms(workspace: &Workspace) -> Result<Vec<String>> {
    let mut found = layers::check(workspace)?;
    found.extend(rooms::check(workspace)?);
    Ok(found)
}
