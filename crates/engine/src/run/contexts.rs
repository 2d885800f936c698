//! Contexts in which identities were met are looked at every other second, by each process those that it met.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::identities::contexts;
use crate::kernel::Kernel;

const EVERY: Duration = Duration::from_secs(2);

pub(crate) async fn run(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(error) = contexts::look_at_contexts(&kernel).await {
            tracing::warn!(%error, "in which contexts identities were met can't be looked at now");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => {}
        }
    }
}
