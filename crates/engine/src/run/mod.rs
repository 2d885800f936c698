//! The loops that work off what falls due. Each may run on every replica: work is leased, and acknowledged with a fencing token.

pub mod callbacks;
pub mod deadlines;
pub mod notify;
pub mod ownership;
pub mod push;
pub mod seal;
pub mod upkeep;
pub mod verification;

use std::sync::Arc;

use tokio::sync::watch;

use crate::Kernel;
use crate::notice::Notify;

/// Runs every loop until `stop` turns true.
pub async fn run(engine: Arc<Kernel>, channels: Vec<Arc<dyn Notify>>, stop: watch::Receiver<bool>) {
    tokio::join!(
        deadlines::run(Arc::clone(&engine), stop.clone()),
        callbacks::run(Arc::clone(&engine), stop.clone()),
        seal::run_sealer(Arc::clone(&engine), stop.clone()),
        notify::run(Arc::clone(&engine), channels, stop.clone()),
        verification::run(Arc::clone(&engine), stop.clone()),
        ownership::run(Arc::clone(&engine), stop.clone()),
        upkeep::run(engine, stop),
    );
}
