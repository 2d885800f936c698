//! Counts of the whole deployment, kept young enough that no page waits for them: each process counts for its own pages.

use std::sync::Arc;
use std::time::Duration;

use tenure_api::overview::{Census, RefusalTimes};
use tokio::sync::watch;

use crate::credentials::refusal_times;
use crate::identities::census;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::memory::Minute;

/// How often they are counted: what is told is at most a minute old, and counting takes a while.
const EVERY: Duration = Duration::from_secs(40);
/// When it is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Counts again and again until `stop` turns true, and at once where somebody found nothing at hand.
pub(crate) async fn run(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    let census = kernel.memory.of::<Minute<Census>>();
    let times = kernel.memory.of::<Minute<RefusalTimes>>();
    loop {
        let counted = [
            census.renew(kernel.now(), async |now| census::counted(&kernel, now).await).await,
            times.renew(kernel.now(), async |now| refusal_times::looked_at(&kernel, now).await).await,
        ];
        let mut pause = EVERY;
        for error in counted.into_iter().filter_map(Result::err) {
            pause = AGAIN;
            if !matches!(error, OpError::SearchBuilding { .. }) {
                tracing::warn!(%error, "the census is taken again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = census.missed() => {}
            () = times.missed() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
