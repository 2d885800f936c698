//! The store on PostgreSQL, for several replicas. Each process batches its waiting changesets; whoever locks the
//! log's head writes. There is no row cache: every decision reads the database, so replicas are exact.

mod archive;
mod compact;
mod log_index;
mod migrate;
mod reader;
mod search;
mod session;
mod use_notes;
mod view;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reader::Reader;
use session::Address;
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
use tokio::task::JoinHandle;
use tokio_postgres::AsyncMessage;
use writer::{Job, Writer};

use crate::batch::{self, Keeps};
use crate::error::OpenError;
use crate::row::behind;

/// How many jobs may wait before callers wait to queue.
const QUEUE: usize = 8_192;
/// How long `grown` relies on a notification.
const GROWN_WAIT: Duration = Duration::from_millis(200);
/// Between attempts to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// The channel of the hints that the log has grown.
pub(super) const CHANNEL: &str = "tenure_grown";

/// The highest position that this process knows to be acknowledged; a database behind it is refused (S-1).
#[derive(Debug, Default)]
struct Highest(AtomicU64);

impl Highest {
    fn known(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Judges a size that was read after `known` was.
    fn check(&self, known: u64, size: u64) -> Result<(), StoreError> {
        if size < known {
            return Err(behind(size, known));
        }
        self.0.fetch_max(size, Ordering::AcqRel);
        Ok(())
    }
}

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    sealer: Arc<dyn RowSealer>,
    reader: Reader,
    jobs: mpsc::Sender<Job>,
    size: watch::Receiver<u64>,
    listener: JoinHandle<()>,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date. To be called within a tokio runtime, which then runs the writer.
    ///
    /// With `sslmode=require` the server must show a certificate that the system's roots (or `SSL_CERT_FILE`) vouch
    /// for; without it the connection is plain.
    ///
    /// # Errors
    /// The database can't be reached, refuses, or was used by a newer version.
    pub async fn connect(url: &str, sealer: Arc<dyn RowSealer>) -> Result<Self, OpenError> {
        let address = Address::parse(url)?;
        migrate::migrate(&address, &*sealer).await?;
        let highest = Arc::new(Highest::default());
        let (grown, size) = watch::channel(0);
        let grown = Arc::new(grown);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(address.clone(), Arc::clone(&sealer), Arc::clone(&highest), Arc::clone(&grown), queue);
        tokio::spawn(writer.run());
        let listener = tokio::spawn(listen(address.clone(), grown));
        let reader = Reader::new(address, Arc::clone(&sealer), highest);
        Ok(Self { sealer, reader, jobs, size, listener })
    }

    async fn write(&self, changeset: Changeset) -> Outcome {
        let prepared = match batch::prepare(changeset, &*self.sealer, Keeps::Columns) {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome,
        };
        let (tell, told) = oneshot::channel();
        match self.jobs.send(Job::Commit(Box::new(prepared), tell)).await {
            Ok(()) => told.await.unwrap_or(Outcome::Unknown),
            Err(_) => Outcome::Unavailable("the writer has stopped".into()),
        }
    }

    async fn drop_old(&self, now: Timestamp, n: u32) -> Result<u64, StoreError> {
        let stopped = || StoreError::Unavailable("the writer has stopped".into());
        let (tell, told) = oneshot::channel();
        self.jobs.send(Job::Purge(now, n, tell)).await.map_err(|_| stopped())?;
        told.await.map_err(|_| stopped())?
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // The writer ends with its queue, after what it is at.
        self.listener.abort();
    }
}

/// Keeps listening for other replicas' commits: a hint only, so that a lost connection is no error.
async fn listen(address: Address, grown: Arc<watch::Sender<u64>>) {
    loop {
        let told = Arc::clone(&grown);
        let heard = move |message| {
            if let AsyncMessage::Notification(note) = message
                && let Ok(size) = note.payload().parse::<u64>()
            {
                told.send_if_modified(|known| std::mem::replace(known, size.max(*known)) < size);
            }
        };
        if let Ok(client) = address.connect(heard).await
            && client.batch_execute(&format!("LISTEN {CHANNEL}")).await.is_ok()
        {
            while !client.is_closed() {
                tokio::time::sleep(LISTEN_AGAIN).await;
            }
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

impl Store for PostgresStore {
    fn search(&self) -> &dyn SearchStore {
        self
    }

    fn use_notes(&self) -> &dyn UseNoteStore {
        self
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        Box::pin(self.reader.load(keys))
    }

    fn page<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(self.reader.page(query))
    }

    fn beside<'a>(
        &'a self,
        rows: &'a [(RowKey, Vec<String>)],
    ) -> BoxFuture<'a, Result<Vec<Option<Beside>>, StoreError>> {
        Box::pin(self.reader.beside(rows))
    }

    fn index<'a>(&'a self, after: &'a IndexEntry, n: u16) -> BoxFuture<'a, Result<Vec<IndexEntry>, StoreError>> {
        Box::pin(self.reader.index(after, n))
    }

    fn deadlines<'a>(
        &'a self,
        of: &'a [(DueKind, String)],
    ) -> BoxFuture<'a, Result<Vec<Option<Deadline>>, StoreError>> {
        Box::pin(self.reader.deadlines(of))
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
        Box::pin(self.reader.claim(kind, now, lease, n))
    }

    fn entries(&self, from: u64, n: u16) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        Box::pin(self.reader.entries(from, n))
    }

    fn leaf_hashes(&self, from: u64, n: u32) -> BoxFuture<'_, Result<Vec<[u8; 32]>, StoreError>> {
        Box::pin(self.reader.leaf_hashes(from, n))
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, StoreError>> {
        Box::pin(self.reader.head())
    }

    fn sealed(&self) -> BoxFuture<'_, Result<Option<Sealed>, StoreError>> {
        Box::pin(self.reader.sealed())
    }

    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.reader.seal(seal))
    }

    fn tile(&self, level: u8, index: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.reader.tile(level, index))
    }

    fn archived(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.reader.archived())
    }

    fn archive(&self, bundle: u64) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.reader.archive(bundle))
    }

    fn touch<'a>(&'a self, used: &'a [(String, Timestamp)]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.reader.touch(used))
    }

    fn last_used_each<'a>(
        &'a self,
        subjects: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Timestamp>>, StoreError>> {
        Box::pin(self.reader.last_used_each(subjects))
    }

    fn last_uses<'a>(&'a self, after: &'a [u8], n: u16) -> BoxFuture<'a, Result<Vec<LastUse>, StoreError>> {
        Box::pin(self.reader.last_uses(after, n))
    }

    fn purge(&self, now: Timestamp, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.drop_old(now, n))
    }

    fn grown(&self, seen: u64) -> BoxFuture<'_, ()> {
        let mut size = self.size.clone();
        Box::pin(async move {
            // A hint: whether growth, the time or the store's end ended the wait is all the same.
            let _ = tokio::time::timeout(GROWN_WAIT, size.wait_for(|size| *size > seen)).await;
        })
    }
}
