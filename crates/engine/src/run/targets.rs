//! Asks targets, apart from every other deadline: a slow one must hold up nothing but itself.

use std::sync::Arc;

use futures_util::future;
use tenure_core::base::time::Span;
use tenure_core::store::due::DueKind;
use tenure_core::store::port::Claimed;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::work;
use crate::run::{deadlines, loops};
use crate::targets::{acting, drift_acts, logins, scanning};

/// Longer than what is asked in one turn takes: a few calls, each bounded by the patience of its reach.
const LEASE: Span = Span::from_secs(90);
const BATCH: u16 = 32;
/// Loops that work logins off, besides the first one.
const MORE_LOGINS: usize = 2;
const KINDS: [DueKind; 4] = [DueKind::TargetScan, DueKind::Account, DueKind::Login, DueKind::Drift];

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
    if kind == DueKind::Login {
        return logins::work_logins(kernel, claimed).await;
    }
    let work = |claimed: Claimed| async move {
        match kind {
            DueKind::TargetScan => scanning::work_scan(kernel, &claimed).await,
            DueKind::Drift => drift_acts::work_drift(kernel, &claimed).await,
            _ => acting::work_account(kernel, &claimed).await,
        }
    };
    work::work_off(kernel, claimed, usize::from(BATCH), work).await
}

pub(crate) async fn run(kernel: Arc<Kernel>, stop: watch::Receiver<bool>) {
    // Whoever waits for a login doesn't wait for a target that hangs; and each is a task of its own, since what makes a
    // login, and what tries one, takes a processor's time.
    let mut tasks = JoinSet::new();
    for kind in KINDS.into_iter().chain([DueKind::Login; MORE_LOGINS]) {
        let (kernel, stop) = (Arc::clone(&kernel), stop.clone());
        tasks.spawn(async move { deadlines::run_kind(&kernel, kind, stop, |kind| work_kind(&kernel, kind)).await });
    }
    loops::all(tasks).await;
}
