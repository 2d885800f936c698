//! Entries that are old are archived: compressed, and read as before.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::base::time::Timestamp;
use tenure_log::Leaf;
use tenure_log::tile::TILE_WIDTH;
use tokio::sync::watch;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60);
/// Between two bundles of one look: whoever issues doesn't wait behind this.
const PAUSE: Duration = Duration::from_millis(2);

/// Archives the oldest entries that aren't, if all of a bundle is older than `archive_after`; whether one was.
///
/// # Errors
/// The store can't be reached, or an entry isn't what the log was sealed with.
pub async fn archive_next(kernel: &Kernel) -> Result<bool, OpError> {
    let reading = kernel.reading();
    // By a clock that stepped ahead nothing is old. Nor is anything lost if it is archived too early.
    if !reading.reliable {
        return Ok(false);
    }
    let bundle = kernel.store.archived().await?;
    let last = bundle.saturating_add(1).saturating_mul(u64::from(TILE_WIDTH)) - 1;
    let entries = kernel.store.entries(last, 1).await?;
    let Some(entry) = entries.first().filter(|entry| entry.index == last) else {
        return Ok(false);
    };
    let leaf = Leaf::read(&entry.leaf).map_err(|error| OpError::Internal(format!("the entry {last}: {error}")))?;
    if Timestamp::from_micros(leaf.at).plus(kernel.settings.archive_after) > reading.now {
        return Ok(false);
    }
    Ok(kernel.store.archive(bundle).await?)
}

pub(crate) async fn run(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let mut archived = 0_u64;
        let pause = loop {
            match archive_next(&kernel).await {
                Ok(true) => archived += 1,
                Ok(false) => break EVERY,
                Err(error) => {
                    tracing::warn!(%error, "what is old of the log is archived later");
                    break EVERY;
                }
            }
            tokio::time::sleep(PAUSE).await;
            if *stop.borrow() {
                return;
            }
        };
        if archived > 0 {
            tracing::info!(entries = archived * u64::from(TILE_WIDTH), "entries of the log were archived");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}
