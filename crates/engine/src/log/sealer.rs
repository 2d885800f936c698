//! The loop of the sealer, with the checkpoints' way to each place.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::watch;

use crate::kernel::error::OpError;
use crate::kernel::{Kernel, epoch};
use crate::log::places;
use crate::log::push::{self, Newest, push_newest, watch_place};
use crate::log::seal::{EVERY, PAUSE, Sealer};

/// Seals whatever is committed, about every 200 ms while the log grows, carries the newest checkpoint to the places
/// that keep it, and looks at what they keep, until `stop` is true or its sender is gone.
pub async fn run_sealer(engine: Arc<Kernel>, stop: watch::Receiver<bool>) {
    let (newest, checkpoints) = watch::channel(None);
    let places = places::places(&engine);
    let pushes = places.iter().map(|place| push_newest(Arc::clone(&engine), Arc::clone(place), checkpoints.clone()));
    let looks = places.iter().map(|place| watch_place(Arc::clone(&engine), Arc::clone(place)));
    let mut stop = stop;
    tokio::select! {
        () = async { tokio::join!(seal_all(&engine, &newest), join_all(pushes), join_all(looks)); } => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    push::hand_over_checkpoint(&engine).await;
}

pub(crate) async fn seal_all(engine: &Kernel, newest: &watch::Sender<Newest>) {
    let mut sealer = Sealer::default();
    loop {
        // Another process may have begun an epoch, or found that the log is contradicted.
        if let Err(error) = epoch::trust(engine).await {
            tracing::warn!(%error, "whether the log is contradicted can't be read now");
        }
        match sealer.seal(engine).await {
            Ok(size) => {
                newest.send_if_modified(|current| {
                    let changed = *current != sealer.newest;
                    if changed {
                        current.clone_from(&sealer.newest);
                    }
                    changed
                });
                engine.store.grown(size).await;
                tokio::time::sleep(EVERY).await;
            }
            // Before set-up there are neither entries nor keys.
            Err(OpError::Setup(_)) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                tracing::error!(%error, "the log could not be sealed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
