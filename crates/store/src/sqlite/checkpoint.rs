//! Moves the WAL into the database in the background, so that no commit pays for it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::open;
use crate::error::OpenError;

const EVERY: Duration = Duration::from_millis(500);
/// How long readers are waited for when the WAL is emptied: commits wait meanwhile.
const MOMENT: Duration = Duration::from_millis(100);

/// The thread; it ends when this is dropped.
pub(super) struct Checkpointer {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// `erased` says that the WAL holds what was erased.
    pub(super) fn start(path: &Path, erased: Arc<AtomicBool>) -> Result<Self, OpenError> {
        let connection = open::writer(path)?;
        let (stop, stopped) = sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name("tenure-checkpoint".into())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                    let moved = if erased.load(Ordering::Relaxed) {
                        empty_wal(&connection).map(|empty| erased.store(!empty, Ordering::Relaxed))
                    } else {
                        checkpoint(&connection)
                    };
                    if let Err(error) = moved {
                        tracing::warn!(%error, "the WAL can't be moved into the database; trying again");
                    }
                }
                if let Err(error) = empty_wal(&connection) {
                    tracing::warn!(%error, "the WAL could not be emptied at the end");
                }
            })
            .map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Whether it ended well makes no difference now.
            let _ = thread.join();
        }
    }
}

/// Moves everything into the database and cuts the WAL to nothing; false if a reader is in the way for longer than a
/// moment.
pub(super) fn empty_wal(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(MOMENT)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(open::BUSY)?;
    Ok(busy? == 0)
}

/// Waits for nobody: what readers or the writer still need stays for the next round.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
