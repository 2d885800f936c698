//! Replays seeds of the simulation.

use std::process::ExitCode;

use clap::Parser;
use tenure_sim::Focus;

/// Replays one seed with its trace, or a range of seeds with one line each.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  cargo run -p tenure-sim --release -- --seed 17 --steps 400
  cargo run -p tenure-sim --release -- --seeds 0..10000")]
struct Args {
    /// The seed to replay.
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Seeds to run, as FROM..TO.
    #[arg(long, value_name = "FROM..TO", value_parser = range)]
    seeds: Option<(u64, u64)>,
    /// What is asked most.
    #[arg(long, value_enum)]
    focus: Option<Focus>,
    /// Steps before the faults stop.
    #[arg(long, default_value_t = 400)]
    steps: u64,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let bad = || "give two numbers, e.g. 0..200".to_owned();
    let (from, to) = text.split_once("..").ok_or_else(bad)?;
    Ok((from.parse().map_err(|_| bad())?, to.parse().map_err(|_| bad())?))
}

fn main() -> ExitCode {
    let args = Args::parse();
    let verbose = args.seed.is_some();
    let (from, to) = args.seed.map(|seed| (seed, seed + 1)).or(args.seeds).unwrap_or_default();
    let mut bad = 0_u64;
    let mut kinds = std::collections::BTreeMap::<String, u64>::new();
    for seed in from..to {
        let report = tenure_sim::run_on(seed, args.steps, None, args.focus, verbose);
        for (kind, n) in report.kinds {
            *kinds.entry(kind).or_default() += n;
        }
        match report.violation {
            Some(violation) => {
                bad += 1;
                println!("{violation}");
            }
            None if verbose => println!("seed {seed}: {}", report.hash),
            None => {}
        }
    }
    eprintln!("{} seeds, {bad} with a violation", to.saturating_sub(from));
    for (kind, n) in kinds {
        eprintln!("{n:>9} {kind}");
    }
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
