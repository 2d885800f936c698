//! Upkeep: the policy set that another replica put in force is taken, last-used stamps and aggregates are written, and what has ended is dropped.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::base::time::Timestamp;
use tokio::sync::watch;

use crate::kernel::error::OpError;
use crate::kernel::{Kernel, refresh};

const EVERY: Duration = Duration::from_secs(1);
/// Rows of each sort dropped in one commit: few, so that others don't wait long behind it.
const PURGE: u32 = 250;
/// Such commits in one round: what ends in a second at any rate of issuance goes in one.
const PURGES: u32 = 100;

/// Writes the noted stamps of last use.
///
/// # Errors
/// The store can't take them; they are noted again.
pub async fn flush_used(kernel: &Kernel) -> Result<(), OpError> {
    let used: Vec<(String, Timestamp)> = kernel.used.lock().iter().map(|(subject, at)| (subject.clone(), *at)).collect();
    if used.is_empty() {
        return Ok(());
    }
    kernel.store.touch(&used).await?;
    // Only now: who asks meanwhile finds the stamp in one of the two places.
    let mut noted = kernel.used.lock();
    for (subject, at) in used {
        if noted.get(&subject) == Some(&at) {
            noted.remove(&subject);
        }
    }
    Ok(())
}

/// Drops records, keys and counts whose time is over; returns how many went.
///
/// # Errors
/// The store can't be reached.
pub async fn purge(kernel: &Kernel) -> Result<u64, OpError> {
    let reading = kernel.reading();
    // A clock that stepped ahead must not make Tenure forget proofs that are still valid, nor may one that is merely ahead of
    // others: what is over is over by the log's own time too.
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

pub(crate) async fn run(engine: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    loop {
        let stopping = *stop.borrow();
        for result in [
            refresh::refresh_policy(&engine).await,
            flush_used(&engine).await,
            engine.flush_refusals(stopping).await,
            purge_all(&engine).await,
        ] {
            if let Err(error) = result {
                tracing::warn!(%error, "upkeep is tried again");
            }
        }
        if stopping {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => {}
        }
    }
}
