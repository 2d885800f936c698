//! Development tasks of Tenure, run as `cargo xtask <task>`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::workspace::Workspace;
use xtask::{bench, check, deps, fuzz, long, pages, peers, release, suite, targets, upgrade};

/// Development tasks of Tenure.
///
/// A fresh clone needs nothing but Rust, Node 20, npm and Python 3: `cargo xtask test` installs the servers and
/// libraries by other people that the tests run against (into target/peers; PostgreSQL and Chromium through apt),
/// starts a PostgreSQL of its own, and runs every test.
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
    ///   cargo xtask test --long                   what takes too long for every change, all parts
    ///   cargo xtask test --long seeds --long flakes
    #[command(verbatim_doc_comment)]
    Test {
        #[command(flatten)]
        suite: suite::Args,
        /// Run the long form instead: all parts, or this one; may be repeated.
        #[arg(long, value_enum, value_name = "PART", num_args = 0..=1, default_missing_value = "all")]
        long: Vec<long::Part>,
    },
    /// Check formatting, lints, layers, dependencies and licences; all of them, even if one fails.
    Check,
    /// `check`, then `test`: what a change must pass.
    Ci,
    /// Check that each crate depends only on the crates that its layer may know (ARCHITECTURE.md, "Layers").
    Layers,
    /// Check all packages against deny.toml: banned ones, and licences.
    Deps,
    /// Start the real servers that connectors are tested against, say where they are, and stop them on ctrl-c.
    ///
    /// Examples:
    ///   cargo xtask targets
    ///   TENURE_TEST_TARGETS=… cargo nextest run -p tenure-connectors
    #[command(verbatim_doc_comment)]
    Targets,
    /// Install the software by other people that tests and benches run against. Done already: returns at once.
    Peers(peers::Args),
    /// Measure issuance (plain, with DPoP, over mTLS, by token exchange), introspection, decisions and signals on both
    /// engines, beside OpenBao's AppRole login, in one run.
    ///
    /// Builds release binaries, starts each server in turn on this machine, and measures it through its public API with
    /// a load generator that keeps its connections open. Prints a table and writes target/bench.json. `cargo xtask
    /// bench --help` lists the options.
    ///
    /// Examples:
    ///   cargo xtask bench
    ///   cargo xtask bench --engine sqlite --skip-openbao --seconds 5
    ///   cargo xtask bench --smoke                              debug, a moment each, no figures: that it runs
    ///   cargo xtask bench --compare ../before/target/release/tenure
    #[command(verbatim_doc_comment, disable_help_flag = true)]
    Bench(bench::Args),
    /// Look through every page of the console with axe, as every role, in four widths and two themes, and leave pictures
    /// of them in target/pages; half an hour.
    Pages,
    /// Search for input that a parser of untrusted bytes fails on, from the samples in fuzz/corpus; needs cargo-fuzz.
    ///
    /// Examples:
    ///   cargo xtask fuzz --list
    ///   cargo xtask fuzz                          every target, a minute each
    ///   cargo xtask fuzz log_export --seconds 600
    #[command(verbatim_doc_comment)]
    Fuzz(fuzz::Args),
    /// Build what a release consists of, into target/release-<version>: the stripped binary, its symbols, checksums,
    /// licences of third parties, an SBOM.
    Release(release::Args),
    /// Upgrade live from an earlier release: builds it, lets it write, and opens what it wrote with this tree's build.
    ///
    /// Examples:
    ///   cargo xtask upgrade                    from the newest release in xtask/releases.toml
    ///   cargo xtask upgrade --from 0.1.0
    ///   cargo xtask upgrade --from 0.1.0 --keep        writes tests/upgrade/0.1.0 anew
    #[command(verbatim_doc_comment)]
    Upgrade(upgrade::Args),
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match task {
        Task::Test { suite, long } if long.is_empty() => runtime.block_on(suite::run(&workspace, &suite)),
        Task::Test { suite, long } => runtime.block_on(long::run(&workspace, &suite, &long)),
        Task::Check => Ok(check::run(&workspace)),
        Task::Ci => {
            let checked = check::run(&workspace);
            let tested = runtime.block_on(suite::run(&workspace, &suite::Args::default()))?;
            Ok(if checked == ExitCode::SUCCESS { tested } else { checked })
        }
        Task::Layers => Ok(check::report("layers", check::layers_and_rooms(&workspace))),
        Task::Deps => Ok(check::report("deps", deps::check(&workspace))),
        Task::Peers(args) => peers::run(&workspace, &args).map(|()| ExitCode::SUCCESS),
        Task::Targets => {
            let peers = peers::for_targets(&workspace)?;
            runtime.block_on(targets::keep(&workspace, &peers)).map(|()| ExitCode::SUCCESS)
        }
        Task::Bench(args) => bench::run(&workspace, &args),
        Task::Pages => runtime.block_on(pages::run(&workspace, &suite::Args::default())),
        Task::Fuzz(args) => fuzz::run(&workspace, &args),
        Task::Release(args) => release::run(&workspace, &args),
        Task::Upgrade(args) => runtime.block_on(upgrade::run(&workspace, &args)),
    }
}
