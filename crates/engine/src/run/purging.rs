//! What has ended is dropped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;

const EVERY: Duration = Duration::from_secs(1);
/// Rows of each sort dropped in one commit: few, so that others don't wait long behind it.
const PURGE: u32 = 250;
/// Such commits in one round: what ends in a second at any rate of issuance goes in one.
const PURGES: u32 = 100;

/// Drops records, keys and counts whose time is over; returns how many went.
///
/// # Errors
/// The store can't be reached.
pub async fn purge(kernel: &Kernel) -> Result<u64, OpError> {
    let reading = kernel.reading();
    // A clock that stepped ahead must not make Tenure forget proofs that are still valid, nor may one that is merely
    // ahead of others: what is over is over by the log's own time too.
    if !reading.reliable {
        return Ok(0);
    }
    let logged = kernel.store.head().await?.last_at;
    Ok(kernel.store.purge(reading.now.min(logged), PURGE).await?)
}

async fn purge_all(kernel: &Kernel) -> Result<(), OpError> {
    for _ in 0..PURGES {
        if purge(kernel).await? < u64::from(PURGE) {
            break;
        }
    }
    Ok(())
}

pub(crate) async fn run(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(error) = purge_all(&kernel).await {
            tracing::warn!(%error, "what has ended is dropped later");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => {}
        }
    }
}
