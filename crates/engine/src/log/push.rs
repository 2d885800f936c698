//! The newest checkpoint's way to places outside, which keep it as evidence against a rollback, and the look at what
//! they keep.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::log::places::{self, Place};
use crate::log::{reading, seal};

/// What takes authority away goes outside at once, though a place gets no more than one checkpoint in this time if it
/// has a pace at all.
const AT_LEAST: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// How long an orderly stop waits for a place.
const AT_STOP: Duration = Duration::from_secs(5);
/// How often each place is looked at: a copy that runs beside this one, or ran after it, shows there without anybody
/// writing here.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A sealed size, and the checkpoint over it.
pub(crate) type Newest = Option<(u64, String)>;

/// Hands over the newest checkpoint only: one that was overtaken while the place was away is never sent.
pub(crate) async fn push_newest(engine: Arc<Kernel>, place: Arc<Place>, mut checkpoints: watch::Receiver<Newest>) {
    let mut urgent = engine.urgent.subscribe();
    let pace = place.push.pace();
    while checkpoints.changed().await.is_ok() {
        let mut retry = FIRST_RETRY;
        let mut covered = 0;
        loop {
            let newest = checkpoints.borrow_and_update().clone();
            let Some((size, checkpoint)) = newest else { break };
            match places::keep_at(&engine, &place, &checkpoint).await {
                Ok(()) => {
                    covered = size;
                    break;
                }
                Err(why) => {
                    tracing::warn!(place = place.push.target(), why, "a checkpoint could not be handed over");
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
        tokio::time::sleep(pace.min(AT_LEAST)).await;
        tokio::select! {
            () = tokio::time::sleep(pace.saturating_sub(AT_LEAST)) => {}
            _ = urgent.wait_for(|urgent| *urgent > covered) => {}
        }
    }
}

/// Looks at a place again and again.
pub(crate) async fn watch_place(engine: Arc<Kernel>, place: Arc<Place>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let looked = async {
            places::look_at(&engine, &place).await?;
            places::tell_of(&engine, &place).await
        };
        match looked.await {
            Ok(()) | Err(OpError::Setup(_)) => {}
            Err(error) => {
                tracing::warn!(place = place.push.target(), %error, "what is kept there can't be held against the log now")
            }
        }
    }
}

/// Seals what the last commits left and hands it over, so that a backup of a stopped server proves what it holds.
pub async fn hand_over_checkpoint(kernel: &Kernel) {
    let sealed = async {
        seal::seal_now(kernel).await.ok()?;
        reading::checkpoint(kernel).await.ok()?
    };
    let Some(checkpoint) = sealed.await else { return };
    let (places, checkpoint) = (places::places(kernel), &checkpoint);
    let pushes = places.iter().map(|place| async move {
        match tokio::time::timeout(AT_STOP, places::keep_at(kernel, place, checkpoint)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => {
                tracing::warn!(place = place.push.target(), why, "the newest checkpoint could not be handed over")
            }
            Err(_) => {
                tracing::warn!(place = place.push.target(), "the newest checkpoint could not be handed over in time")
            }
        }
    });
    join_all(pushes).await;
}
