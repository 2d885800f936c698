//! The newest checkpoint's way to places outside, which keep it as evidence against a rollback.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

use crate::Engine;
use crate::ops::epochs::Kept;
use crate::outbound::Push;

/// Checkpoints go outside at most this often: they are evidence against a rollback, not a feed.
const EVERY: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// How long an orderly stop waits for a place.
const AT_STOP: Duration = Duration::from_secs(5);

/// Hands over the newest checkpoint only: one that was overtaken while the place was away is never sent.
pub(super) async fn push_newest(engine: Arc<Engine>, place: Arc<dyn Push>, mut checkpoints: watch::Receiver<Option<String>>) {
    while checkpoints.changed().await.is_ok() {
        let mut retry = FIRST_RETRY;
        loop {
            let checkpoint = checkpoints.borrow_and_update().clone();
            let Some(checkpoint) = checkpoint else { break };
            match hand_over(&engine, &*place, &checkpoint).await {
                Ok(()) => break,
                Err(why) => {
                    tracing::warn!(place = place.target(), why, "a checkpoint could not be handed over");
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

impl Engine {
    /// Seals what the last commits left and hands it over, so that a backup of a stopped server proves what it holds.
    pub async fn hand_over_checkpoint(&self, places: &[Arc<dyn Push>]) {
        let sealed = async {
            self.seal_now().await.ok()?;
            self.checkpoint().await.ok()?
        };
        let Some(checkpoint) = sealed.await else { return };
        let pushes = places.iter().map(|place| async {
            match tokio::time::timeout(AT_STOP, hand_over(self, &**place, &checkpoint)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => tracing::warn!(place = place.target(), why, "the last checkpoint could not be handed over"),
                Err(_) => tracing::warn!(place = place.target(), "the last checkpoint could not be handed over in time"),
            }
        });
        join_all(pushes).await;
    }
}

/// Never over one that the log doesn't provably continue: that one is the evidence.
async fn hand_over(engine: &Engine, place: &dyn Push, checkpoint: &str) -> Result<(), String> {
    if let Some(kept) = engine.kept_at(place).await? {
        match engine.hold_against(&kept).await.map_err(|error| error.to_string())? {
            Kept::Continued => {}
            Kept::Ahead => return Ok(()),
            Kept::Contradicted => {
                let recorded = engine.contradicted_by(&place.target(), &kept).await;
                recorded.map_err(|error| error.to_string())?;
                return Err("the checkpoint there contradicts the log".to_owned());
            }
        }
    }
    place.push(checkpoint).await.map_err(|error| error.why)
}
