//! Development tasks of Tenure, run as `cargo xtask <task>`.

mod bench;
mod check;
mod deps;
mod layers;
mod metadata;
mod peers;
mod postgres;
mod process;
mod suite;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Development tasks of Tenure.
///
/// A fresh clone needs nothing but Rust, Node 20, npm and Python 3: `cargo xtask test` installs the servers and libraries by other people that the tests run
/// against (into target/peers; PostgreSQL and Chromium through apt), starts a PostgreSQL of its own, and runs every test.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test: on SQLite, on a private PostgreSQL, and against other people's software.
    ///
    /// Arguments after the options go to nextest; with any, the documentation tests are left out.
    ///
    /// Examples:
    ///   cargo xtask test
    ///   cargo xtask test -p tenure-store
    ///   cargo xtask test --fast -E 'test(r22)'
    #[command(verbatim_doc_comment)]
    Test(suite::Args),
    /// Check formatting, lints, layers, dependencies and licences; all of them, even if one fails.
    Check,
    /// `check`, then `test`: what a change must pass.
    Ci,
    /// Check that each crate depends only on the crates that its layer may know (ARCHITECTURE.md, "Layers").
    Layers,
    /// Check all packages against deny.toml: banned ones, and licences.
    Deps,
    /// Install the software by other people that tests and benches run against. Done already: returns at once.
    Peers(peers::Args),
    /// Measure issuance (plain, with DPoP, over mTLS, by token exchange), introspection, decisions and signals on both engines, beside OpenBao's AppRole login,
    /// in one run.
    ///
    /// Builds release binaries, starts each server in turn on this machine, and measures it through its public API with a load generator that keeps its
    /// connections open. Prints a table and writes target/bench.json.
    ///
    /// Examples:
    ///   cargo xtask bench
    ///   cargo xtask bench --engine sqlite --skip-openbao --seconds 5
    #[command(verbatim_doc_comment)]
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let task = Cli::parse().task;
    run(task).unwrap_or_else(|why| {
        eprintln!("error: {why:#}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    // One thread: the generator of the bench shares two cores with what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match task {
        Task::Test(args) => runtime.block_on(suite::run(&workspace, &args)),
        Task::Check => Ok(check::run(&workspace)),
        Task::Ci => {
            let checked = check::run(&workspace);
            let tested = runtime.block_on(suite::run(&workspace, &suite::Args::default()))?;
            Ok(if checked == ExitCode::SUCCESS { tested } else { checked })
        }
        Task::Layers => Ok(check::report("layers", layers::check(&workspace))),
        Task::Deps => Ok(check::report("deps", deps::check(&workspace))),
        Task::Peers(args) => peers::run(&workspace, &args).map(|()| ExitCode::SUCCESS),
        Task::Bench(args) => bench::run(&workspace, &args, &runtime),
    }
}
