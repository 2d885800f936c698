//! Calls back, apart from every other deadline: somebody's slow endpoint must hold up nothing but itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tenure_core::base::time::Span;
use tenure_core::store::due::DueKind;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::kernel::Kernel;
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::matters::callbacks;
use crate::run::deadlines;

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
    let mut work = stream::iter(claimed)
        .map(|claimed| async move {
            let span = deadlines::span_of(&claimed);
            (Box::pin(callbacks::work_callback(kernel, &claimed, now)).instrument(span).await, claimed)
        })
        .buffer_unordered(usize::from(BATCH));
    let mut done = 0;
    while let Some((worked, claimed)) = work.next().await {
        match worked {
            Ok(()) => done += 1,
            Err(error) => {
                count(&kernel.counters.retried);
                tracing::warn!(%error, subject = claimed.subject, "a call back is retried when its lease ends");
            }
        }
    }
    Ok(done)
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
