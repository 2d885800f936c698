//! How long a decision takes with the default set: `cargo run --release -p tenure-policy --example decide`.

#![expect(clippy::disallowed_methods, reason = "a measurement: it goes by the machine's clock")]

use std::hint::black_box;
use std::time::Instant;

use tenure_core::policy::PolicyEngine;
use tenure_policy::{CedarPolicy, bench};

const ROUNDS: u32 = 20_000;
const NAMES: &[&str] = &[
    "an active workload gets a token of an hour",
    "an active workload uses what it was granted",
    "nothing is used beyond the scope",
    "owner or manager approve 90 days in production",
    "security suspends anything",
    "a manager reads any record",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let policy = CedarPolicy::default_set()?;
    println!("load and validate the default set: {:?}", started.elapsed());
    let cases = bench::parse(include_str!("../cases/default.json"))?;
    for case in cases.iter().filter(|case| NAMES.contains(&case.name.as_str())) {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            black_box(policy.decide(black_box(&case.question)));
        }
        println!("{:>9.2?}  {:<9} {}", started.elapsed() / ROUNDS, case.question.action.as_str(), case.name);
    }
    Ok(())
}
