//! A store that keeps what the engine commits: what a tale is made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::log_index::{LogIndexStore, SegmentChange, SegmentList};
use tenure_core::store::port::{
    Beside, BoxFuture, Claimed, Deadline, Head, IndexEntry, LastUse, ListQuery, LogEntry, Outcome, Page, Seal, Sealed,
    Snapshot, Store, StoreError, UseNoteStore,
};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_core::store::search::SearchStore;
use tenure_store::MemoryStore;

/// What a commit is of a tale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A step.
    Step,
    /// An issuance that could have happened again, or at another time.
    Issuance,
    /// No part of it: somebody got a new operator token.
    Beside,
}

/// A commit that the engine made.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// It.
    pub(crate) changeset: Changeset,
    /// The place of its first entry.
    pub(crate) index: u64,
    /// What it is of the tale.
    pub(crate) part: Part,
}

/// A store in memory that keeps every commit.
pub(crate) struct Recorder {
    pub(crate) memory: MemoryStore,
    commits: Mutex<Vec<Recorded>>,
    part: Mutex<Part>,
    /// When what falls due: as the commits say, so that nobody has to look through the store.
    due: Mutex<BTreeMap<(DueKind, String), Timestamp>>,
    /// Whether a review was written since somebody asked.
    reviewed: AtomicBool,
}

impl Recorder {
    pub(crate) fn new(memory: MemoryStore) -> Arc<Self> {
        let (commits, part, due) = (Mutex::default(), Mutex::new(Part::Step), Mutex::default());
        Arc::new(Self { memory, commits, part, due, reviewed: AtomicBool::new(false) })
    }

    /// What is committed from now on is this.
    pub(crate) fn is(&self, part: Part) -> Part {
        std::mem::replace(&mut *self.part.lock(), part)
    }

    /// Notes what a commit that is not recorded says of when something falls due.
    pub(crate) fn note(&self, changeset: &Changeset) {
        let mut due = self.due.lock();
        for change in &changeset.due {
            match change {
                DueChange::Set(kind, subject, at) | DueChange::Retry(kind, subject, _, at) => {
                    due.insert((*kind, subject.clone()), *at);
                }
                DueChange::Clear(kind, subject) | DueChange::Ack(kind, subject, _) => {
                    due.remove(&(*kind, subject.clone()));
                }
            }
        }
        if changeset.puts.iter().any(|put| put.key.kind == RowKind::Review) {
            self.reviewed.store(true, Ordering::Relaxed);
        }
    }

    /// When something falls due next.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let due = self.due.lock();
        due.iter().filter(|((kind, _), _)| *kind != DueKind::Callback).map(|(_, at)| *at).min()
    }

    /// Whether a review was written since this was asked last.
    pub(crate) fn was_reviewed(&self) -> bool {
        self.reviewed.swap(false, Ordering::Relaxed)
    }

    /// What was committed.
    pub(crate) fn commits(&self) -> Vec<Recorded> {
        self.commits.lock().clone()
    }
}

impl LogIndexStore for Recorder {
    fn segments<'a>(&'a self, known: &'a [u64]) -> BoxFuture<'a, Result<SegmentList, StoreError>> {
        self.memory.segments(known)
    }
    fn segment_pages<'a>(&'a self, pages: &'a [(u64, u32)]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        self.memory.segment_pages(pages)
    }
    fn stage_pages<'a>(
        &'a self,
        build: u64,
        first: u32,
        pages: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.memory.stage_pages(build, first, pages)
    }
    fn change_segments(&self, change: SegmentChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.change_segments(change)
    }
    fn drop_pages(&self, before: u64, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.memory.drop_pages(before, n)
    }
    fn entries_at<'a>(&'a self, indexes: &'a [u64]) -> BoxFuture<'a, Result<Vec<LogEntry>, StoreError>> {
        self.memory.entries_at(indexes)
    }
}

impl Store for Recorder {
    fn search(&self) -> &dyn SearchStore {
        self.memory.search()
    }
    fn use_notes(&self) -> &dyn UseNoteStore {
        self.memory.use_notes()
    }
    fn load<'a>(&'a self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        self.memory.load(keys)
    }
    fn page<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>> {
        self.memory.page(query)
    }
    fn beside<'a>(
        &'a self,
        rows: &'a [(RowKey, Vec<String>)],
    ) -> BoxFuture<'a, Result<Vec<Option<Beside>>, StoreError>> {
        self.memory.beside(rows)
    }
    fn index<'a>(&'a self, after: &'a IndexEntry, n: u16) -> BoxFuture<'a, Result<Vec<IndexEntry>, StoreError>> {
        self.memory.index(after, n)
    }
    fn deadlines<'a>(
        &'a self,
        of: &'a [(DueKind, String)],
    ) -> BoxFuture<'a, Result<Vec<Option<Deadline>>, StoreError>> {
        self.memory.deadlines(of)
    }
    fn commit(&self, changeset: Changeset) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let kept = changeset.clone();
            let outcome = self.memory.commit(changeset).await;
            if let Outcome::Committed(committed) = &outcome {
                let part = *self.part.lock();
                self.note(&kept);
                self.commits.lock().push(Recorded { changeset: kept, index: committed.position().index, part });
            }
            outcome
        })
    }
    fn claim(
        &self,
        kind: DueKind,
        now: Timestamp,
        lease: Span,
        n: u16,
    ) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        self.memory.claim(kind, now, lease, n)
    }
    fn entries(&self, from: u64, n: u16) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        self.memory.entries(from, n)
    }
    fn leaf_hashes(&self, from: u64, n: u32) -> BoxFuture<'_, Result<Vec<[u8; 32]>, StoreError>> {
        self.memory.leaf_hashes(from, n)
    }
    fn head(&self) -> BoxFuture<'_, Result<Head, StoreError>> {
        self.memory.head()
    }
    fn sealed(&self) -> BoxFuture<'_, Result<Option<Sealed>, StoreError>> {
        self.memory.sealed()
    }
    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.seal(seal)
    }
    fn tile(&self, level: u8, index: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.memory.tile(level, index)
    }
    fn touch<'a>(&'a self, used: &'a [(String, Timestamp)]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.memory.touch(used)
    }
    fn last_used_each<'a>(
        &'a self,
        subjects: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Timestamp>>, StoreError>> {
        self.memory.last_used_each(subjects)
    }
    fn last_uses<'a>(&'a self, after: &'a [u8], n: u16) -> BoxFuture<'a, Result<Vec<LastUse>, StoreError>> {
        self.memory.last_uses(after, n)
    }
    fn archived(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.memory.archived()
    }
    fn archive(&self, bundle: u64) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.archive(bundle)
    }
    fn purge(&self, now: Timestamp, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.memory.purge(now, n)
    }
    fn grown(&self, seen: u64) -> BoxFuture<'_, ()> {
        self.memory.grown(seen)
    }
}
