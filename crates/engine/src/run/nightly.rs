//! The nightly look over everything, by the deployment's clock: once after the start, then once a day.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::base::time::{Span, Timestamp};
use tokio::sync::watch;

use crate::identities::nightly::{NightlyRun, look_over_everything};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::matters::exceptions::checks;

const EVERY: Span = Span::from_days(1);
/// When it is tried again.
const AGAIN: Span = Span::from_mins(1);
/// Between two looks at the clock.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether nothing is in the log yet, as far as that can be read.
async fn is_empty(kernel: &Kernel) -> bool {
    kernel.store.head().await.map_or(true, |head| head.size == 0)
}

/// Looks over everything, and checks what makes up for exceptions.
///
/// # Errors
/// The store can't be read or written; what was found until then stands.
pub async fn nightly_run(kernel: &Kernel) -> Result<NightlyRun, OpError> {
    checks::check_controls(kernel).await?;
    look_over_everything(kernel).await
}

pub(crate) async fn run(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    let mut next = Timestamp::default();
    while !*stop.borrow() {
        let reading = kernel.reading();
        // By a clock that stepped ahead everything is overdue; and set-up wants an empty log (S-10).
        if reading.reliable && reading.now >= next && !is_empty(&kernel).await {
            next = reading.now.plus(EVERY);
            match nightly_run(&kernel).await {
                Ok(run) => tracing::info!(?run, "everything was looked over"),
                Err(error) => {
                    next = kernel.now().plus(AGAIN);
                    tracing::warn!(%error, "everything is looked over later");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stop.changed() => {}
        }
    }
}
