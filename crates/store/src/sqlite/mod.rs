//! The embedded store: one SQLite file in WAL mode with `synchronous=FULL`, one writer thread that commits many
//! waiting changesets with one fsync, readers beside it, and an exact row [cache](cache::Cache).

mod archive;
mod backup;
mod cache;
mod checkpoint;
mod compact;
mod log_index;
mod open;
mod reader;
mod reserve;
mod search;
mod use_notes;
mod view;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use cache::Cache;
use checkpoint::Checkpointer;
use reader::Readers;
use reserve::Reserve;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{
    Beside, BoxFuture, Claimed, Deadline, Head, IndexEntry, LastUse, ListQuery, LogEntry, Outcome, Page, RowSealer,
    Seal, Sealed, Snapshot, Store, StoreError, UseNoteStore,
};
use tenure_core::store::row::RowKey;
use tenure_core::store::search::SearchStore;
use tokio::sync::{mpsc, oneshot, watch};
use writer::{Job, Task, Writer};

use crate::batch::{self, Keeps};
use crate::error::OpenError;

pub use self::backup::{back_up, head_of, put_back};

/// How many jobs may wait for the writer before callers wait to queue.
const QUEUE: usize = 8_192;
/// The bound of the row cache in bytes.
const CACHE_BYTES: usize = 64 << 20;
/// How long `grown` waits.
const GROWN_WAIT: Duration = Duration::from_secs(1);

/// A store in one SQLite file. Only one process may have the file open; dropping the store gives it free.
pub struct SqliteStore {
    sealer: Arc<dyn RowSealer>,
    cache: Arc<Cache>,
    readers: Readers,
    size: watch::Receiver<u64>,
    full: Arc<AtomicBool>,
    // Taken in `drop`, in this order.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    checkpointer: Option<Checkpointer>,
    _lock: File,
}

impl SqliteStore {
    /// Opens or makes the database, with mode 0600, and brings its schema up to date.
    ///
    /// # Errors
    /// Another server has it open (S-1: two writers would each believe in their own head), it was used by a newer
    /// version, or the file can't be used.
    pub fn open(path: impl AsRef<Path>, sealer: Arc<dyn RowSealer>) -> Result<Self, OpenError> {
        let path: PathBuf = path.as_ref().to_owned();
        let lock = open::lock(&path)?;
        open::protect(&path)?;
        let connection = open::writer(&path)
            .and_then(|mut connection| open::migrate(&mut connection, &*sealer).map(|()| connection));
        let connection = match connection {
            // On a full disk not even the index of the WAL can be made without the space that is reserved (S-16).
            Err(OpenError::Sqlite(_)) => {
                reserve::give_up_before_open(&path);
                let mut connection = open::writer(&path)?;
                open::migrate(&mut connection, &*sealer)?;
                connection
            }
            opened => opened?,
        };
        // No reason for not starting: it stands in the file that it is still to be done.
        match open::rewrite_after_erasure(&connection, &path) {
            Ok(true) => tracing::info!("every page was written anew, since something was erased"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the pages can't be written anew after an erasure; tried again at the next start")
            }
        }
        let head = reader::head(&connection)?;
        let cache = Arc::new(Cache::new(head, CACHE_BYTES));
        let (grown, size) = watch::channel(head.size);
        let (jobs, queue) = mpsc::channel(QUEUE);
        // A crash may have left there what was erased.
        let erased = Arc::new(AtomicBool::new(!checkpoint::empty_wal(&connection).unwrap_or(false)));
        let checkpointer = Checkpointer::start(&path, Arc::clone(&erased))?;
        let full = Arc::new(AtomicBool::new(false));
        let of_writer = (Arc::clone(&sealer), Arc::clone(&cache), path.clone(), Arc::clone(&full));
        let writer = std::thread::Builder::new()
            .name("tenure-writer".into())
            .spawn(move || {
                let (sealer, cache, path, full) = of_writer;
                let reserve = Reserve::of(&path, full);
                Writer::new(connection, sealer, cache, grown, reserve, erased).run(queue);
            })
            .map_err(|source| OpenError::File { path: path.clone(), source })?;
        let readers = Readers::new(path);
        Ok(Self {
            sealer,
            cache,
            readers,
            size,
            full,
            jobs: Some(jobs),
            writer: Some(writer),
            checkpointer: Some(checkpointer),
            _lock: lock,
        })
    }

    async fn queue(&self, job: Job) -> Result<(), StoreError> {
        match &self.jobs {
            Some(jobs) => jobs.send(job).await.map_err(|_| writer_gone()),
            None => Err(writer_gone()),
        }
    }

    /// Runs a task of its own transaction on the writer.
    async fn on_writer<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let task: Task = Box::new(move |writer| {
            // The caller may have gone: then nobody wants to know.
            let _ = tell.send(task(writer));
        });
        self.queue(Job::Task(task)).await?;
        told.await.map_err(|_| writer_gone())?
    }

    async fn write(&self, changeset: Changeset) -> Outcome {
        let prepared = match batch::prepare(changeset, &*self.sealer, Keeps::Columns) {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let (tell, told) = oneshot::channel();
        match self.queue(Job::Commit(prepared, tell)).await {
            Ok(()) => told.await.unwrap_or(Outcome::Unknown),
            Err(error) => Outcome::Unavailable(error.to_string()),
        }
    }
}

fn writer_gone() -> StoreError {
    StoreError::Unavailable("the writer has stopped".into())
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked was reported by the panic hook; there is nothing more to wait for.
            let _ = writer.join();
        }
        // The last connection that is closed leaves a database that is whole without its WAL, and only one that may
        // write can.
        self.readers.close();
        self.checkpointer = None;
        reserve::take_at_close(self.readers.path());
    }
}

impl Store for SqliteStore {
    fn search(&self) -> &dyn SearchStore {
        self
    }

    fn use_notes(&self) -> &dyn UseNoteStore {
        self
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        Box::pin(async move { reader::load(&self.readers, &self.cache, &*self.sealer, keys) })
    }

    fn page<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| reader::page_of(connection, &*self.sealer, query)) })
    }

    fn beside<'a>(
        &'a self,
        rows: &'a [(RowKey, Vec<String>)],
    ) -> BoxFuture<'a, Result<Vec<Option<Beside>>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| reader::beside(connection, rows)) })
    }

    fn index<'a>(&'a self, after: &'a IndexEntry, n: u16) -> BoxFuture<'a, Result<Vec<IndexEntry>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(reader::index(connection, after, n)?)) })
    }

    fn deadlines<'a>(
        &'a self,
        of: &'a [(DueKind, String)],
    ) -> BoxFuture<'a, Result<Vec<Option<Deadline>>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(reader::deadlines(connection, of)?)) })
    }

    fn commit(&self, changeset: Changeset) -> BoxFuture<'_, Outcome> {
        Box::pin(self.write(changeset))
    }

    fn claim(
        &self,
        kind: DueKind,
        now: Timestamp,
        lease: Span,
        n: u16,
    ) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(async move {
            // Most polls find nothing: they cost no commit.
            if !self.readers.with(|connection| Ok(reader::anything_due(connection, kind, now)?))? {
                return Ok(Vec::new());
            }
            self.on_writer(move |writer| writer.claim(kind, now, lease, n)).await
        })
    }

    fn entries(&self, from: u64, n: u16) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(reader::entries(connection, from, n)?)) })
    }

    fn leaf_hashes(&self, from: u64, n: u32) -> BoxFuture<'_, Result<Vec<[u8; 32]>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(reader::leaf_hashes(connection, from, n)?)) })
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, StoreError>> {
        Box::pin(async move { Ok(self.cache.stamp().head) })
    }

    fn sealed(&self) -> BoxFuture<'_, Result<Option<Sealed>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(reader::sealed(connection)?)) })
    }

    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.on_writer(move |writer| writer.seal(&seal)))
    }

    fn tile(&self, level: u8, index: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(reader::tile(connection, level, index)?)) })
    }

    fn archived(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(archive::archived(connection)?)) })
    }

    fn archive(&self, bundle: u64) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let Some(bytes) = self.readers.with(|connection| archive::packed(connection, bundle))? else {
                return Ok(false);
            };
            self.on_writer(move |writer| writer.archive(bundle, &bytes)).await?;
            Ok(true)
        })
    }

    fn touch<'a>(&'a self, used: &'a [(String, Timestamp)]) -> BoxFuture<'a, Result<(), StoreError>> {
        let used = used.to_vec();
        Box::pin(self.on_writer(move |writer| writer.touch(&used)))
    }

    fn last_used_each<'a>(
        &'a self,
        subjects: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Timestamp>>, StoreError>> {
        Box::pin(async move {
            self.readers.with(|connection| {
                let each = subjects.iter().map(|subject| Ok(reader::last_used(connection, &*self.sealer, subject)?));
                each.collect()
            })
        })
    }

    fn last_uses<'a>(&'a self, after: &'a [u8], n: u16) -> BoxFuture<'a, Result<Vec<LastUse>, StoreError>> {
        Box::pin(
            async move { self.readers.with(|connection| Ok(reader::last_uses(connection, &*self.sealer, after, n)?)) },
        )
    }

    fn purge(&self, now: Timestamp, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.on_writer(move |writer| writer.purge(now, n)))
    }

    fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn grown(&self, seen: u64) -> BoxFuture<'_, ()> {
        let mut size = self.size.clone();
        Box::pin(async move {
            // A hint: the wait's end by time, by growth or by the store's end are all the same.
            let _ = tokio::time::timeout(GROWN_WAIT, size.wait_for(|size| *size > seen)).await;
        })
    }
}
