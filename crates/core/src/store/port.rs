//! The port to the stores: SQLite, PostgreSQL and memory give the same answers through it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::base::id::EventId;
use crate::base::time::{Span, Timestamp};
use crate::store::changeset::Changeset;
use crate::store::due::DueKind;
use crate::store::log_index::LogIndexStore;
use crate::store::row::{BadRow, Position, Record, Row, RowKey, RowKind, Stored};
use crate::store::search::SearchStore;
use crate::store::use_note::{UseChange, UseKey, UseNote};

/// A boxed future: the port is used as `dyn Store`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a store can't answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The engine can't be reached or is overloaded; nothing was decided.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A row's MAC doesn't match: it was changed behind Tenure's back (S-2). Whatever rests on it is refused.
    #[error("the row {0} was altered outside Tenure")]
    Tampered(RowKey),
    /// A row can't be read.
    #[error(transparent)]
    BadRow(#[from] BadRow),
}

/// Proof that a changeset is durable. Only a store makes one; it names the commit, so that it opens no other's
/// [`crate::store::secret::Pending`].
#[derive(Debug, Clone)]
pub struct Committed {
    id: EventId,
    position: Position,
    at: Timestamp,
    leaf_hashes: Vec<[u8; 32]>,
    counts: Vec<u32>,
}

impl PartialEq for Committed {
    /// Whether it is the same commit: what its budgets counted is known only at its first writing.
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.position, self.at, &self.leaf_hashes) == (other.id, other.position, other.at, &other.leaf_hashes)
    }
}

impl Eq for Committed {}

impl Committed {
    /// A commit that is durable, as the store that wrote it says. Nobody else may: `clippy.toml` has a lint for it.
    pub const fn by_store(id: EventId, position: Position, at: Timestamp, leaf_hashes: Vec<[u8; 32]>) -> Self {
        Self { id, position, at, leaf_hashes, counts: Vec::new() }
    }
    /// The same with what the windows of its budgets count now.
    #[must_use]
    pub fn counting(mut self, counts: Vec<u32>) -> Self {
        self.counts = counts;
        self
    }
    /// The changeset's id.
    pub const fn id(&self) -> EventId {
        self.id
    }
    /// The position of its first event; the others follow it.
    pub const fn position(&self) -> Position {
        self.position
    }
    /// The time that its events carry: the decision's, or the last committed time if that was later (S-4).
    pub const fn at(&self) -> Timestamp {
        self.at
    }
    /// The leaf hashes of its events, in order.
    pub fn leaf_hashes(&self) -> &[[u8; 32]] {
        &self.leaf_hashes
    }
    /// What the window of each of its changeset's spends counts with it, in their order; none where it was written
    /// before.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }
}

/// What a precondition failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// A row is at another revision, present, or absent.
    Row(RowKey),
    /// A key was used before.
    Once {
        /// The namespace.
        space: &'static str,
        /// The key.
        key: String,
    },
    /// The lease was lost: somebody else works on it, or the deadline changed.
    Fence {
        /// The kind of work.
        kind: DueKind,
        /// On what.
        subject: String,
    },
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Durable.
    Committed(Committed),
    /// Nothing was written: decide again on fresh rows.
    Conflict(Conflict),
    /// Nothing was written: this budget is spent.
    Refused {
        /// Which budget.
        budget: String,
    },
    /// Nothing was written: the disk is full, and what is left is for what takes authority away (S-16).
    Full,
    /// Nothing was written: the store can't take it now.
    Unavailable(String),
    /// Nothing was written, and never will be: something of it can't be recorded, or not so that it could be read back.
    Unwritable(String),
    /// It may or may not have been written: write the same changeset again to learn which.
    Unknown,
}

/// Rows read together.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The rows, in the order of the keys asked for.
    pub rows: Vec<Option<Arc<Row>>>,
    /// The next free index of the log when the read began: whatever commits later is at or after it.
    pub head: u64,
}

impl Snapshot {
    /// The record at place `n` of the keys asked for.
    ///
    /// # Errors
    /// The row can't be read.
    pub fn get<T: Record>(&self, n: usize) -> Result<Option<Stored<T>>, StoreError> {
        match self.rows.get(n).and_then(Option::as_ref) {
            Some(row) => Ok(Some(row.decode()?)),
            None => Ok(None),
        }
    }
}

/// Which rows to list: those of a kind that have all terms, in the order of their ids.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// The kind.
    pub kind: RowKind,
    /// Terms that must all hold, as `name=value`.
    pub terms: Vec<String>,
    /// Terms of which none may hold.
    pub without: Vec<String>,
    /// Only rows with a greater id, or with a smaller one where the greatest come first.
    pub after: Option<String>,
    /// The greatest id first, which is what was made last.
    pub newest_first: bool,
    /// At most this many, 1 to 1000.
    pub limit: u16,
}

impl ListQuery {
    /// So many of every row of a kind, the smallest id first.
    pub const fn every(kind: RowKind, limit: u16) -> Self {
        Self { kind, terms: Vec::new(), without: Vec::new(), after: None, newest_first: false, limit }
    }
}

/// A page of rows.
#[derive(Debug, Clone)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Arc<Row>>,
    /// Where the next page starts, if there may be more.
    pub next: Option<String>,
    /// Rows of this page that are left out because their MAC doesn't match (S-2).
    pub altered: Vec<RowKey>,
}

impl Page {
    /// The page, where a row that is left out must not be taken for one that isn't there.
    ///
    /// # Errors
    /// A row of it was altered.
    pub fn whole(self) -> Result<Self, StoreError> {
        match self.altered.first() {
            Some(key) => Err(StoreError::Tampered(key.clone())),
            None => Ok(self),
        }
    }

    /// The page's records, and the rows that can't be read: such a row spoils itself and not its list.
    pub fn records<T: Record>(&self) -> (Vec<Stored<T>>, Vec<BadRow>) {
        let (mut records, mut unreadable) = (Vec::with_capacity(self.rows.len()), Vec::new());
        for row in &self.rows {
            match row.decode() {
                Ok(record) => records.push(record),
                Err(bad) => unreadable.push(bad),
            }
        }
        unreadable.extend(
            self.altered.iter().map(|key| BadRow { key: key.clone(), why: "it was altered outside Tenure".into() }),
        );
        (records, unreadable)
    }
}

/// A deadline as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// When it falls due.
    pub due_at: Timestamp,
    /// Its newest fencing token.
    pub fence: u64,
    /// Until when it is leased; `None` if it isn't.
    pub leased_until: Option<Timestamp>,
}

/// What a store keeps beside a row to find and to drop it: derived from the row, and under no MAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The revision of the row that it stands beside.
    pub revision: u64,
    /// The terms that a later write of the row removes from the index.
    pub terms: Vec<String>,
    /// Whether the index has every term that was asked about.
    pub indexed: bool,
    /// When the row is dropped without an event.
    pub droppable_after: Option<Timestamp>,
}

/// An entry of the index that lists go by, its columns as they stand in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct IndexEntry {
    /// The kind's number.
    pub kind: u8,
    /// The term.
    pub term: Vec<u8>,
    /// The row's id.
    pub id: Vec<u8>,
    /// Whether that row is there and bears the term.
    pub borne: bool,
}

/// A noted last use, as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// Of what.
    pub subject: Vec<u8>,
    /// Whether it was noted by a holder of the key.
    pub genuine: bool,
}

/// Work leased to one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The kind.
    pub kind: DueKind,
    /// On what.
    pub subject: String,
    /// When it fell due.
    pub due_at: Timestamp,
    /// The fencing token: greater than any before it for this deadline.
    pub fence: u64,
}

/// A field of an entry that was not erased.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryPersonal {
    /// Whose it is.
    pub subject: String,
    /// Which field.
    pub field: String,
    /// The commitment's salt.
    pub salt: [u8; 32],
    /// The value.
    pub value: String,
}

impl std::fmt::Debug for EntryPersonal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryPersonal")
            .field("subject", &self.subject)
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number.
    pub index: u64,
    /// Its exact leaf bytes: its hash is theirs (RFC 6962).
    pub leaf: Vec<u8>,
    /// Personal fields still present.
    pub personal: Vec<EntryPersonal>,
}

/// Where the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The number of entries.
    pub size: u64,
    /// The last entry's time.
    pub last_at: Timestamp,
}

/// Tiles and the checkpoint that a sealing step adds; written only if the log is sealed up to `from` and no further.
#[derive(Debug, Clone)]
pub struct Seal {
    /// The sealed size before.
    pub from: u64,
    /// The sealed size after.
    pub size: u64,
    /// The serialised frontier at `size`.
    pub frontier: Vec<u8>,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// Full tiles completed by this step: (level, index, bytes).
    pub tiles: Vec<(u8, u64, Vec<u8>)>,
    /// When it was sealed.
    pub at: Timestamp,
}

/// The newest sealed state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The sealed size.
    pub size: u64,
    /// The serialised frontier.
    pub frontier: Vec<u8>,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// When it was sealed.
    pub at: Timestamp,
}

/// Authenticates rows (S-2). The engine that keeps the rows doesn't hold the key.
pub trait RowSealer: Send + Sync {
    /// A keyed digest of a row's content; the log's leaves carry it.
    fn digest(&self, key: &RowKey, revision: u64, body: &[u8]) -> [u8; 32];
    /// The row's MAC, over its digest and its positions.
    fn mac(&self, digest: &[u8; 32], created: Position, position: Position) -> [u8; 32];
    /// The MAC of a last use.
    fn last_use(&self, subject: &str, at: Timestamp) -> [u8; 32];
    /// The MAC of a note of use.
    fn use_note(&self, key: UseKey, body: &[u8]) -> [u8; 32];
}

/// A store. Every method is one short transaction; none spans a network call to anything but the store.
pub trait Store: LogIndexStore {
    /// Reads rows by key, each with its MAC checked.
    fn load<'a>(&'a self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>>;
    /// Lists rows; those that were altered are left out and named.
    fn page<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>>;
    /// Lists rows for a decision: one that was altered fails it.
    fn list<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move { self.page(query).await?.whole() })
    }
    /// What stands beside each of these rows, and whether the index has these terms of theirs; as of one moment.
    fn beside<'a>(
        &'a self,
        rows: &'a [(RowKey, Vec<String>)],
    ) -> BoxFuture<'a, Result<Vec<Option<Beside>>, StoreError>>;
    /// Entries of the index behind another, in their order, at most `n`.
    fn index<'a>(&'a self, after: &'a IndexEntry, n: u16) -> BoxFuture<'a, Result<Vec<IndexEntry>, StoreError>>;
    /// The deadlines of these subjects.
    fn deadlines<'a>(&'a self, of: &'a [(DueKind, String)])
    -> BoxFuture<'a, Result<Vec<Option<Deadline>>, StoreError>>;
    /// Writes a changeset, or nothing.
    fn commit(&self, changeset: Changeset) -> BoxFuture<'_, Outcome>;
    /// Leases up to `n` deadlines of a kind that are due at `now` and not leased to another.
    fn claim(
        &self,
        kind: DueKind,
        now: Timestamp,
        lease: Span,
        n: u16,
    ) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>>;
    /// Entries from an index on, at most `n`.
    fn entries(&self, from: u64, n: u16) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>>;
    /// What it keeps of the index of records.
    fn search(&self) -> &dyn SearchStore;
    /// What it keeps of how identities are used.
    fn use_notes(&self) -> &dyn UseNoteStore;
    /// Leaf hashes from an index on, at most `n`.
    fn leaf_hashes(&self, from: u64, n: u32) -> BoxFuture<'_, Result<Vec<[u8; 32]>, StoreError>>;
    /// The log's size and last time.
    fn head(&self) -> BoxFuture<'_, Result<Head, StoreError>>;
    /// The newest sealed state, if any.
    fn sealed(&self) -> BoxFuture<'_, Result<Option<Sealed>, StoreError>>;
    /// Adds tiles and a checkpoint; false if somebody else sealed first.
    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// A full tile, if it is sealed.
    fn tile(&self, level: u8, index: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;
    /// How many bundles of 256 entries are archived: those from the log's first entry on.
    fn archived(&self) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Archives the bundle of this number: its entries are compressed, and are read as before. False if it isn't sealed
    /// yet.
    fn archive(&self, bundle: u64) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// Notes when subjects were last used; later times win. Write-behind: it may be lost in a crash.
    fn touch<'a>(&'a self, used: &'a [(String, Timestamp)]) -> BoxFuture<'a, Result<(), StoreError>>;
    /// When each of these subjects was last used. What nobody with the key has noted is no use.
    fn last_used_each<'a>(
        &'a self,
        subjects: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Timestamp>>, StoreError>>;
    /// When a subject was last used.
    fn last_used<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<Option<Timestamp>, StoreError>> {
        Box::pin(async move { Ok(self.last_used_each(&[subject.to_owned()]).await?.pop().flatten()) })
    }
    /// Last uses of subjects behind another, in the order of their bytes, at most `n`.
    fn last_uses<'a>(&'a self, after: &'a [u8], n: u16) -> BoxFuture<'a, Result<Vec<LastUse>, StoreError>>;
    /// Drops up to `n` rows, keys and counts of each sort whose time is over; returns how many went.
    fn purge(&self, now: Timestamp, n: u32) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Whether the disk is full, so that only what takes authority away is written (S-16). A store whose disk is
    /// somebody else's doesn't know.
    fn is_full(&self) -> bool {
        false
    }
    /// Returns when the log is longer than `seen`, or after a while: a hint, never the truth.
    fn grown(&self, seen: u64) -> BoxFuture<'_, ()>;
}

/// What a store keeps of notes of use. Every method is one short transaction, but for changes, each of which is one.
pub trait UseNoteStore: Send + Sync {
    /// What these notes say. What nobody with the key has written says nothing.
    fn read_notes<'a>(&'a self, keys: &'a [UseKey]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>>;
    /// Changes notes, each once; of each, whether it was changed. What wasn't was changed by somebody else meanwhile.
    fn change_notes<'a>(&'a self, changes: &'a [UseChange]) -> BoxFuture<'a, Result<Vec<bool>, StoreError>>;
    /// Notes behind another, or from the first one on, in the order of their keys, at most `n`.
    fn notes_behind(&self, after: Option<UseKey>, n: u16) -> BoxFuture<'_, Result<Vec<UseNote>, StoreError>>;
}
