//! Histories from a seed: what a deployment has after months of use, made in minutes.
//!
//! The engine plays every tale once, on a store in memory and by a clock that goes on when the tale says so: what
//! becomes of a workload, of an agent, of what its owner leaves behind. What it commits is the tale. It is then told of
//! many others, commit by commit, with other names, ids, times and keys, in the order of their times. So each row,
//! term, deadline, key and event is one that the engine itself has written, and nothing here says what they look like.

mod error;
mod finale;
mod frame;
mod generate;
mod history;
mod holder;
mod random;
mod recorder;
mod repertoire;
mod schedule;
mod stage;
mod stencil;
mod tale;
mod words;

pub use error::SeedError;
pub use generate::{Report, Seeded, Stand, generate, kernel_of, root_key};
pub use history::History;
pub use holder::{Holder, workload_seed};

/// Runs something where there is room for it: the policy engine stops where the stack is nearly used up, and tales go
/// deep.
///
/// # Errors
/// No thread can be begun, or it panicked.
pub fn in_a_deep_place<T: Send>(what: impl FnOnce() -> T + Send) -> Result<T, SeedError> {
    const STACK: usize = 64 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, what)
            .map_err(|error| SeedError::Other(format!("no thread can be begun: {error}")))?;
        thread.join().map_err(|_| SeedError::Other("the thread that makes the history panicked".into()))
    })
}
