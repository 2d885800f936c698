//! Rows that open pages show as they change. However many pages look at however many rows, the store is asked once for
//! all of them, and only when its log has grown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tenure_core::store::row::RowKey;
use tenure_engine::Kernel;
use tenure_engine::log::reading;
use tokio::sync::watch;

/// How long changes are gathered before the store is asked for them.
const PACE: Duration = Duration::from_millis(250);

/// The rows that are looked at.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    /// At which revision each was last seen.
    seen: HashMap<RowKey, watch::Sender<Option<u64>>>,
    /// Whether somebody asks the store for them.
    is_asked_for: bool,
}

impl Watched {
    /// Looks at one more row until what this gives is dropped. It tells that the row may have changed; what it is now is
    /// read by whoever may read it.
    pub(crate) fn look_at(self: &Arc<Self>, kernel: &Arc<Kernel>, row: RowKey) -> watch::Receiver<Option<u64>> {
        let mut rows = self.0.lock();
        let changes = rows.seen.entry(row).or_insert_with(|| watch::Sender::new(None)).subscribe();
        if !std::mem::replace(&mut rows.is_asked_for, true) {
            tokio::spawn(ask(Arc::clone(self), Arc::clone(kernel)));
        }
        changes
    }

    /// The rows that are still looked at; none once nobody asks for them any more.
    fn rows(&self) -> Vec<RowKey> {
        let mut rows = self.0.lock();
        rows.seen.retain(|_, seen| seen.receiver_count() > 0);
        rows.is_asked_for = !rows.seen.is_empty();
        rows.seen.keys().cloned().collect()
    }

    fn tell(&self, row: &RowKey, revision: Option<u64>) {
        if let Some(seen) = self.0.lock().seen.get(row) {
            seen.send_if_modified(|seen| std::mem::replace(seen, revision) != revision || revision.is_none());
        }
    }
}

/// Asks the store for what is looked at, until nobody looks.
async fn ask(watched: Arc<Watched>, kernel: Arc<Kernel>) {
    let mut size = 0;
    loop {
        let rows = watched.rows();
        if rows.is_empty() {
            return;
        }
        match kernel.revisions(&rows).await {
            Ok((revisions, head)) => {
                size = head;
                rows.iter().zip(revisions).for_each(|(row, revision)| watched.tell(row, revision));
            }
            Err(error) => {
                // One of them can't be read, or none: each page finds out for itself.
                tracing::debug!(%error, "what pages look at can't be read");
                rows.iter().for_each(|row| watched.tell(row, None));
            }
        }
        tokio::time::sleep(PACE).await;
        reading::wait_for_events(&kernel, size).await;
    }
}
