//! The bench, which is a package of its own: its load generator and its clients would be built before every other task.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::suite::code;
use crate::workspace::{Workspace, show};

/// Options of `bench`: those of the package `tenure-bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Options for the bench.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "BENCH ARGS")]
    options: Vec<String>,
}

/// Builds the bench, in release unless it only has to show that it runs, and runs it.
///
/// # Errors
/// It can't be built or started.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let mut command = workspace.cargo(["run", "--quiet", "--package", "tenure-bench"]);
    // An unoptimised generator would measure itself.
    if !args.options.iter().any(|option| option == "--smoke" || option == "--help" || option == "-h") {
        command.arg("--release");
    }
    command.arg("--").args(&args.options);
    let status = command.status().with_context(|| format!("could not start {}", show(&command)))?;
    Ok(code(status))
}
