//! Calls back, apart from every other deadline: somebody's slow endpoint must hold up nothing but itself.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::base::time::Span;
use tenure_core::store::due::DueKind;
use tenure_core::store::port::Claimed;
use tokio::sync::watch;

use crate::kernel::error::OpError;
use crate::kernel::{Kernel, work};
use crate::matters::callbacks;

/// Longer than a call takes, so that nobody else makes it meanwhile.
const LEASE: Span = Span::from_secs(15);
const BATCH: u16 = 32;
const IDLE: Duration = Duration::from_millis(500);

/// Makes the calls that are due now, all at once; returns how many.
///
/// # Errors
/// The store can't be asked.
pub async fn work_callbacks(kernel: &Kernel) -> Result<usize, OpError> {
    let now = kernel.now();
    let claimed = kernel.store.claim(DueKind::Callback, now, LEASE, BATCH).await?;
    let work = |claimed: Claimed| async move { callbacks::work_callback(kernel, &claimed, now).await };
    work::work_off(kernel, claimed, usize::from(BATCH), work).await
}

pub(crate) async fn run(engine: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match work_callbacks(&engine).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "nobody can be called back now"),
        }
        tokio::select! {
            () = tokio::time::sleep(IDLE) => {}
            _ = stop.changed() => {}
        }
    }
}
