//! The deterministic simulation: the engine's operations, planners and worker steps on the memory store, with a virtual
//! clock, seeded entropy and faults, and the invariants of the design checked after each step.
//!
//! There is no async runtime. Several nodes share a store; operations are futures that the loop in [`world`] polls one
//! step at a time, in an order that the seed determines, so that they interleave at every access to the store, are
//! dropped there (a crash, a lost reply), and meet conflicts, unknown outcomes, duplicates and clocks that step.
//! [`model`] holds what was acknowledged, apart from the engine's own view; [`check`] reads the store's content. The
//! same seed gives the same trace.
//!
//! One assumption: a node that starts again has its clock right. A clock that is wrong when a server starts has nothing
//! to be held against.

pub mod authority;
mod calm;
pub mod check;
pub mod clock;
mod defects;
mod delegation;
pub mod effects;
pub mod exec;
mod feed;
pub mod focus;
mod furnish;
pub mod intent;
mod judge;
pub mod model;
pub mod ops;
mod people;
mod policies;
mod requests;
pub mod rng;
mod signals;
pub mod store;
pub mod workload;
pub mod world;

use std::collections::BTreeMap;

use world::World;

pub use focus::Focus;
pub use model::Violation;
pub use store::Planted;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// The hash over the whole trace.
    pub hash: String,
    /// The trace.
    pub lines: Vec<String>,
    /// How often each kind of event happened.
    pub kinds: BTreeMap<String, u64>,
    /// The rule that did not hold, if one did not.
    pub violation: Option<Violation>,
}

/// Runs a seed for so many steps; with a defect, if one is planted. `verbose` prints the trace as it grows.
pub fn run(seed: u64, steps: u64, planted: Option<Planted>, verbose: bool) -> Report {
    run_on(seed, steps, planted, None, verbose)
}

/// The same with most of what is asked of one sort, so that what is sought there is found soon.
pub fn run_on(seed: u64, steps: u64, planted: Option<Planted>, focus: Option<Focus>, verbose: bool) -> Report {
    match World::new(seed, planted, focus, verbose) {
        Ok(mut world) => {
            let violation = world.run(steps).err();
            Report {
                hash: world.trace().hash(),
                lines: world.trace().lines.clone(),
                kinds: world.kinds().clone(),
                violation,
            }
        }
        Err((invariant, what)) => {
            let violation = Some(Violation { invariant, what, seed, step: 0 });
            Report { hash: String::new(), lines: Vec::new(), kinds: BTreeMap::new(), violation }
        }
    }
}
