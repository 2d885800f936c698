//! What nobody who is there answers for is looked for without anybody asking: at the start, and once a day. Whoever
//! leaves is followed at once; this finds those who had left before a release knew to ask, and what a race let through.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::inventory::{ownership, removal_groups};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;

const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Before set-up there is nobody to look for, and a store that can't be asked now is asked again.
const PAUSE: Duration = Duration::from_secs(60);

/// Opens what findings are missing about records whose owners are away and about removal groups that nobody is left of;
/// returns how many commits it took.
///
/// # Errors
/// The store can't be read or written.
pub async fn sweep_ownership(kernel: &Kernel) -> Result<usize, OpError> {
    Ok(ownership::sweep_left_behind(kernel).await? + removal_groups::sweep_removal_groups(kernel).await?)
}

pub(crate) async fn run(engine: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = match sweep_ownership(&engine).await {
            Ok(_) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "what nobody answers for can't be looked for now");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
