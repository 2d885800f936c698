//! Asks targets, apart from every other deadline: a slow one must hold up nothing but itself.

use std::sync::Arc;

use futures_util::{StreamExt, future, stream};
use tenure_core::base::time::Span;
use tenure_core::store::due::DueKind;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::kernel::Kernel;
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::run::deadlines;
use crate::targets::{acting, drift_acts, scanning};

/// Longer than what is asked in one turn takes: a few calls, each bounded by the patience of its reach.
const LEASE: Span = Span::from_secs(90);
const BATCH: u16 = 32;
const KINDS: [DueKind; 3] = [DueKind::TargetScan, DueKind::Account, DueKind::Drift];

/// Works off what is due at targets now; returns how much.
///
/// # Errors
/// The store can't be asked.
pub async fn work_targets(kernel: &Kernel) -> Result<usize, OpError> {
    let done = future::try_join_all(KINDS.map(|kind| work_kind(kernel, kind))).await?;
    Ok(done.into_iter().sum())
}

async fn work_kind(kernel: &Kernel, kind: DueKind) -> Result<usize, OpError> {
    let now = kernel.now();
    let claimed = kernel.store.claim(kind, now, LEASE, BATCH).await?;
    let mut work = stream::iter(claimed)
        .map(|claimed| async move {
            let span = deadlines::span_of(&claimed);
            let worked = async {
                match kind {
                    DueKind::TargetScan => scanning::work_scan(kernel, &claimed).await,
                    DueKind::Drift => drift_acts::work_drift(kernel, &claimed).await,
                    _ => acting::work_account(kernel, &claimed).await,
                }
            };
            (Box::pin(worked).instrument(span).await, claimed)
        })
        .buffer_unordered(usize::from(BATCH));
    let mut done = 0;
    while let Some((worked, claimed)) = work.next().await {
        match worked {
            Ok(()) => {
                done += 1;
                count(&kernel.counters.worked);
            }
            Err(error) => {
                count(&kernel.counters.retried);
                tracing::warn!(%error, kind = kind.as_str(), subject = claimed.subject, "a target is asked again when the lease ends");
            }
        }
    }
    Ok(done)
}

pub(crate) async fn run(kernel: Arc<Kernel>, stop: watch::Receiver<bool>) {
    let kinds = KINDS.map(|kind| deadlines::run_kind(&kernel, kind, stop.clone(), |kind| work_kind(&kernel, kind)));
    future::join_all(kinds).await;
}
