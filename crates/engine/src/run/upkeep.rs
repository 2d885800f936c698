//! Upkeep of what a process holds by itself: the policy set that another replica put in force is taken, last-used
//! stamps and aggregates are written.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::base::time::Timestamp;
use tokio::sync::watch;

use crate::credentials::deprecated_use;
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, refresh, tallies};

const EVERY: Duration = Duration::from_secs(1);
/// Counts of use are written at every so many turns: whoever is used all the time has one row written for it.
const TALLIES_EVERY: u32 = 10;

/// Writes the noted stamps of last use.
///
/// # Errors
/// The store can't take them; they are noted again.
pub async fn flush_used(kernel: &Kernel) -> Result<(), OpError> {
    let used: Vec<(String, Timestamp)> =
        kernel.used.lock().iter().map(|(subject, at)| (subject.clone(), *at)).collect();
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

/// Keeps up what this process holds until `stop` turns true, and writes it down then.
pub(crate) async fn run(engine: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    let mut turn = 0_u32;
    loop {
        let stopping = *stop.borrow();
        turn = turn.wrapping_add(1);
        if (stopping || turn.is_multiple_of(TALLIES_EVERY))
            && let Err(error) = tallies::flush_tallies(&engine).await
        {
            tracing::warn!(%error, "how often identities were used is written later");
        }
        for result in [
            refresh::refresh_policy(&engine).await,
            flush_used(&engine).await,
            deprecated_use::keep_up(&engine, stopping).await,
            engine.flush_refusals(stopping).await,
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
