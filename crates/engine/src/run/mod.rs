//! The loops that work off what falls due. Each may run on every replica: work is leased, and acknowledged with a
//! fencing token.

pub mod archiving;
mod cadences;
pub mod callbacks;
mod contexts;
mod counts;
pub mod deadlines;
pub mod erasure;
mod folding;
mod loops;
pub mod nightly;
pub mod ownership;
pub mod purging;
pub mod targets;
pub mod upkeep;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::kernel::Kernel;
use crate::kernel::notice::Notify;
use crate::kernel::search::fold;
use crate::log::{indexing, outbox, sealer};
use crate::state::verification;

/// What every process does, whatever its role: it keeps up what it holds by itself, learns of epochs and contradictions,
/// seals what is committed, hands checkpoints over and looks at those that are kept (S-1), counts for its pages, looks at whom it met. Until
/// `stop` turns true.
pub async fn keep(kernel: Arc<Kernel>, stop: watch::Receiver<bool>) {
    tokio::join!(
        upkeep::run(Arc::clone(&kernel), stop.clone()),
        counts::run(Arc::clone(&kernel), stop.clone()),
        contexts::run(Arc::clone(&kernel), stop.clone()),
        sealer::run_sealer(kernel, stop),
    );
}

/// Works for the whole deployment until `stop` turns true. One process has to; of several, each does a part.
pub async fn work(kernel: Arc<Kernel>, channels: Vec<Arc<dyn Notify>>, stop: watch::Receiver<bool>) {
    // Each is a task of its own: what reads for minutes, as a verification does, holds up nothing that falls due.
    let mut tasks = JoinSet::new();
    tasks.spawn(deadlines::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(callbacks::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(targets::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(outbox::run(Arc::clone(&kernel), channels, stop.clone()));
    tasks.spawn(verification::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(ownership::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(cadences::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(archiving::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(erasure::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(indexing::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(fold::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(folding::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(nightly::run(Arc::clone(&kernel), stop.clone()));
    tasks.spawn(purging::run(kernel, stop));
    loops::all(tasks).await;
}
