//! The cadences of reviews are set once: by the set-up, or here, where a release that knew none did that.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::kernel::Kernel;
use crate::people::setup;
use crate::reviews::campaigns::cadence::schedule_cadences;

/// A store that can't be asked now is asked again.
const PAUSE: Duration = Duration::from_secs(60);

pub(crate) async fn run(engine: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    loop {
        let done = match setup::is_set_up(&engine).await {
            Ok(true) => schedule_cadences(&engine).await.map(|()| true),
            other => other,
        };
        match done {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the cadences of reviews can't be set now"),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
