//! How far the database vouches for what it holds (S-1).

use std::sync::atomic::Ordering;

use tenure_core::store::epoch::{Contradiction, Epoch, Trust};
use tenure_core::store::row::Position;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;

/// How far the database is trusted now.
pub(crate) async fn trust(kernel: &Kernel) -> Result<Trust, OpError> {
    let snapshot = kernel.store.load(&[Epoch::row_key(), Contradiction::row_key()]).await?;
    let epoch = snapshot.get::<Epoch>(0)?;
    let trust = Trust::of(epoch.as_ref(), snapshot.get::<Contradiction>(1)?.as_ref());
    note_trust(kernel, trust, epoch.map_or(0, |epoch| epoch.number));
    Ok(trust)
}

pub(crate) fn note_trust(kernel: &Kernel, trust: Trust, epoch: u64) {
    kernel.contradicted.store(trust.contradicted, Ordering::Relaxed);
    // Another process began an epoch: its keys are others.
    if kernel.epoch.swap(epoch, Ordering::Relaxed) != epoch {
        kernel.keys.forget();
    }
}

/// Whether a checkpoint outside contradicts the log, as last read.
pub fn is_contradicted(kernel: &Kernel) -> bool {
    kernel.contradicted.load(Ordering::Relaxed)
}

/// The number of the epoch, as last read.
pub fn epoch_number(kernel: &Kernel) -> u64 {
    kernel.epoch.load(Ordering::Relaxed)
}

/// Whether what was made at this position is of this epoch.
pub(crate) async fn of_this_epoch(kernel: &Kernel, made: Position) -> Result<bool, OpError> {
    Ok(trust(kernel).await?.covers(made))
}
