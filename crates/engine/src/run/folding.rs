//! How often identities were used is kept by the day for a while, then by the month, then not at all (`use_daily_for`,
//! `use_monthly_for`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::kernel::{Kernel, tallies};

const EVERY: Duration = Duration::from_secs(6 * 60 * 60);
/// A store that can't be asked now is asked again.
const PAUSE: Duration = Duration::from_secs(60);

pub(crate) async fn run(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = match tallies::fold_tallies(&kernel).await {
            Ok(_) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "older counts of use are folded later");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
