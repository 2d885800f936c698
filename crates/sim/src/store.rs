//! The store as a node sees it: late, unreachable, uncertain; and, where a defect is planted, wrong.
//!
//! Nothing here is in the memory store itself. A call may be pending before it takes effect and after it did; an
//! operation that is dropped there has crashed before its effect, or its reply was lost after it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::log_index::{LogIndexStore, SegmentChange, SegmentList};
use tenure_core::store::port::{
    Beside, BoxFuture, Claimed, Committed, Conflict, Deadline, Head, IndexEntry, LastUse, ListQuery, LogEntry, Outcome,
    Page, Seal, Sealed, Snapshot, Store, StoreError, UseNoteStore,
};
use tenure_core::store::row::{Row, RowKey, RowKind};
use tenure_core::store::search::{SearchChange, SearchState, SearchStore};
use tenure_core::store::use_note::{UseChange, UseKey, UseNote};
use tenure_store::{Dump, MemoryStore};

use crate::defects::tampered;
use crate::exec::{Yield, finish};
use crate::rng::Rng;

/// A defect that the simulation has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The store doesn't check what a decision rests on.
    IgnoresExpects,
    /// The store acknowledges issuances that it loses.
    LosesIssuances,
    /// The store acknowledges other commits that it loses.
    LosesCommits,
    /// The store forgets keys that may be used once.
    ForgetsOnce,
    /// The store takes acknowledgements of leases that were lost.
    IgnoresFences,
    /// One node reads rows as they were when it first read them.
    StaleReads,
    /// Digests of rows don't cover their content.
    WeakDigests,
    /// Who asks may approve.
    SamePerson,
    /// Votes on what a request was count for what it is edited to.
    VotesOutliveEdits,
    /// Accepting a transfer doesn't fold the cut of the former owner's scope.
    TransfersForgetCuts,
    /// A narrower charter gains an action.
    NarrowingWidens,
    /// A derived credential forgets what it derives from.
    SkipsParents,
    /// What a signal drafts is active.
    SignalsActivate,
    /// A delivery that comes twice has an effect twice.
    ForgetsDeliveries,
}

/// A commit as it went through the store.
pub struct Observed {
    /// What was to be written, as the engine sent it, or as it would with the planted defect.
    pub changeset: Changeset,
    /// Everything as it was before.
    pub before: Arc<Dump>,
    /// What the engine was told.
    pub told: Outcome,
    /// Whether it was written by this call.
    pub written: bool,
}

/// What the nodes' stores share.
pub struct Shared {
    inner: Arc<MemoryStore>,
    dice: Mutex<Rng>,
    faults: AtomicBool,
    observed: Mutex<Vec<Observed>>,
    planted: Option<Planted>,
    stale: Mutex<BTreeMap<RowKey, Arc<Row>>>,
    /// What the store holds, until somebody writes.
    dumped: Mutex<Option<Arc<Dump>>>,
}

impl Shared {
    /// Over this store; without faults until they are switched on.
    pub fn new(inner: Arc<MemoryStore>, seed: u64, planted: Option<Planted>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            dice: Mutex::new(Rng::new(seed, 2)),
            faults: AtomicBool::new(false),
            observed: Mutex::default(),
            planted,
            stale: Mutex::default(),
            dumped: Mutex::default(),
        })
    }

    /// Switches faults on or off.
    pub fn set_faults(&self, on: bool) {
        self.faults.store(on, Ordering::Relaxed);
    }

    /// The commits since the last call.
    pub fn take_observed(&self) -> Vec<Observed> {
        std::mem::take(&mut *self.observed.lock())
    }

    /// Everything that the store holds.
    pub fn dump(&self) -> Arc<Dump> {
        Arc::clone(self.dumped.lock().get_or_insert_with(|| Arc::new(self.inner.dump())))
    }

    /// Whatever changes the store goes through here.
    fn changed<T>(&self, by: T) -> T {
        *self.dumped.lock() = None;
        by
    }

    fn faulty(&self) -> bool {
        self.faults.load(Ordering::Relaxed)
    }

    fn roll(&self) -> u64 {
        if self.faulty() { self.dice.lock().below(1_000) } else { 999 }
    }
}

/// A node's way to the store.
pub struct FaultyStore {
    shared: Arc<Shared>,
    node: usize,
}

impl FaultyStore {
    /// The store for this node.
    pub const fn new(shared: Arc<Shared>, node: usize) -> Self {
        Self { shared, node }
    }

    async fn pause(&self) {
        while self.shared.roll() < 120 {
            Yield::default().await;
        }
    }

    async fn read<T: Send>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        self.pause().await;
        if self.shared.roll() < 6 {
            return Err(StoreError::Unavailable("the simulation cut the connection".into()));
        }
        let answer = call.await;
        self.pause().await;
        answer
    }

    fn write(&self, changeset: &Changeset) -> Outcome {
        let outcome = finish(self.shared.inner.commit(spoiled(changeset.clone(), self.shared.planted)), 1);
        self.shared.changed(outcome.unwrap_or(Outcome::Unknown))
    }

    fn commit_now(&self, changeset: Changeset) -> Outcome {
        let before = self.shared.dump();
        let changeset = tampered(changeset, &before, self.shared.planted);
        if let Some(outcome) = self.lost(&changeset, &before) {
            self.shared.observed.lock().push(Observed { changeset, before, told: outcome.clone(), written: false });
            return outcome;
        }
        let row = changeset.puts.first().map(|put| put.key.clone());
        let told = match (self.shared.roll(), row) {
            (0..20, _) => Outcome::Unavailable("the simulation refused the write".into()),
            (20..45, Some(row)) => Outcome::Conflict(Conflict::Row(row)),
            (45..65, _) => Outcome::Unknown,
            (65..100, _) => {
                self.write(&changeset);
                Outcome::Unknown
            }
            (100..125, _) => {
                self.write(&changeset);
                self.write(&changeset)
            }
            _ => self.write(&changeset),
        };
        let written = self.shared.dump().head.size > before.head.size;
        self.shared.observed.lock().push(Observed { changeset, before, told: told.clone(), written });
        told
    }

    /// A commit that is acknowledged and lost, where that is planted.
    fn lost(&self, changeset: &Changeset, before: &Dump) -> Option<Outcome> {
        let issuance = changeset.events.iter().any(|event| event.kind() == EventKind::CredentialIssued);
        let loses = match self.shared.planted {
            Some(Planted::LosesIssuances) => issuance,
            Some(Planted::LosesCommits) => !issuance,
            _ => false,
        };
        (loses && self.shared.roll() < 100).then(|| {
            let position = tenure_core::store::row::Position::at(before.head.size);
            let hashes = vec![[0; 32]; changeset.events.len()];
            #[expect(clippy::disallowed_methods, reason = "a store that lies is what is planted")]
            Outcome::Committed(Committed::by_store(changeset.id, position, changeset.at, hashes))
        })
    }

    /// The rows as this node sees them.
    fn seen(&self, mut snapshot: Snapshot) -> Snapshot {
        if self.shared.planted == Some(Planted::StaleReads) && self.node > 0 && self.shared.faulty() {
            let mut stale = self.shared.stale.lock();
            for row in snapshot.rows.iter_mut().flatten().filter(|row| row.key.kind == RowKind::Identity) {
                *row = Arc::clone(stale.entry(row.key.clone()).or_insert_with(|| Arc::clone(row)));
            }
        }
        snapshot
    }
}

/// The changeset as a defective store takes it.
fn spoiled(mut changeset: Changeset, planted: Option<Planted>) -> Changeset {
    match planted {
        Some(Planted::IgnoresExpects) => changeset.expects.clear(),
        Some(Planted::ForgetsOnce) => changeset.once.clear(),
        Some(Planted::IgnoresFences) => {
            for change in &mut changeset.due {
                match change {
                    DueChange::Ack(kind, subject, _) => *change = DueChange::Clear(*kind, std::mem::take(subject)),
                    DueChange::Retry(kind, subject, _, at) => {
                        *change = DueChange::Set(*kind, std::mem::take(subject), *at)
                    }
                    DueChange::Set(..) | DueChange::Clear(..) => {}
                }
            }
        }
        _ => {}
    }
    changeset
}

impl LogIndexStore for FaultyStore {
    fn segments<'a>(&'a self, known: &'a [u64]) -> BoxFuture<'a, Result<SegmentList, StoreError>> {
        Box::pin(self.read(self.shared.inner.segments(known)))
    }

    fn segment_pages<'a>(&'a self, pages: &'a [(u64, u32)]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(self.read(self.shared.inner.segment_pages(pages)))
    }

    fn stage_pages<'a>(
        &'a self,
        build: u64,
        first: u32,
        pages: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.read(self.shared.inner.stage_pages(build, first, pages)))
    }

    fn change_segments(&self, change: SegmentChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.read(self.shared.inner.change_segments(change)))
    }

    fn drop_pages(&self, before: u64, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.read(self.shared.inner.drop_pages(before, n)))
    }

    fn entries_at<'a>(&'a self, indexes: &'a [u64]) -> BoxFuture<'a, Result<Vec<LogEntry>, StoreError>> {
        Box::pin(self.read(self.shared.inner.entries_at(indexes)))
    }
}

impl SearchStore for FaultyStore {
    fn search_state<'a>(
        &'a self,
        kind: RowKind,
        known: &'a [(u64, u32)],
        n: u16,
    ) -> BoxFuture<'a, Result<SearchState, StoreError>> {
        Box::pin(self.read(self.shared.inner.search().search_state(kind, known, n)))
    }

    fn change_search(&self, change: SearchChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.read(self.shared.inner.search().change_search(change)))
    }

    fn fold_again<'a>(
        &'a self,
        kind: RowKind,
        places: Range<u64>,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(self.read(self.shared.inner.search().fold_again(kind, places, after, n)))
    }

    fn fold_anew<'a>(
        &'a self,
        kind: RowKind,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(self.read(self.shared.inner.search().fold_anew(kind, after, n)))
    }
}

impl UseNoteStore for FaultyStore {
    fn read_notes<'a>(&'a self, keys: &'a [UseKey]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(self.read(self.shared.inner.use_notes().read_notes(keys)))
    }

    fn change_notes<'a>(&'a self, changes: &'a [UseChange]) -> BoxFuture<'a, Result<Vec<bool>, StoreError>> {
        Box::pin(self.read(self.shared.inner.use_notes().change_notes(changes)))
    }

    fn notes_behind(&self, after: Option<UseKey>, n: u16) -> BoxFuture<'_, Result<Vec<UseNote>, StoreError>> {
        Box::pin(self.read(self.shared.inner.use_notes().notes_behind(after, n)))
    }
}

impl Store for FaultyStore {
    fn search(&self) -> &dyn SearchStore {
        self
    }

    fn use_notes(&self) -> &dyn UseNoteStore {
        self
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        Box::pin(async move { self.read(self.shared.inner.load(keys)).await.map(|snapshot| self.seen(snapshot)) })
    }

    fn page<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(self.read(self.shared.inner.page(query)))
    }

    fn beside<'a>(
        &'a self,
        rows: &'a [(RowKey, Vec<String>)],
    ) -> BoxFuture<'a, Result<Vec<Option<Beside>>, StoreError>> {
        Box::pin(self.read(self.shared.inner.beside(rows)))
    }

    fn index<'a>(&'a self, after: &'a IndexEntry, n: u16) -> BoxFuture<'a, Result<Vec<IndexEntry>, StoreError>> {
        Box::pin(self.read(self.shared.inner.index(after, n)))
    }

    fn deadlines<'a>(
        &'a self,
        of: &'a [(DueKind, String)],
    ) -> BoxFuture<'a, Result<Vec<Option<Deadline>>, StoreError>> {
        Box::pin(self.read(self.shared.inner.deadlines(of)))
    }

    fn commit(&self, changeset: Changeset) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            self.pause().await;
            let outcome = self.commit_now(changeset);
            self.pause().await;
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
        Box::pin(self.read(async move { self.shared.changed(self.shared.inner.claim(kind, now, lease, n).await) }))
    }

    fn entries(&self, from: u64, n: u16) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        Box::pin(self.read(self.shared.inner.entries(from, n)))
    }

    fn leaf_hashes(&self, from: u64, n: u32) -> BoxFuture<'_, Result<Vec<[u8; 32]>, StoreError>> {
        Box::pin(self.read(self.shared.inner.leaf_hashes(from, n)))
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, StoreError>> {
        Box::pin(self.read(self.shared.inner.head()))
    }

    fn sealed(&self) -> BoxFuture<'_, Result<Option<Sealed>, StoreError>> {
        Box::pin(self.read(self.shared.inner.sealed()))
    }

    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.read(self.shared.inner.seal(seal)))
    }

    fn tile(&self, level: u8, index: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.read(self.shared.inner.tile(level, index)))
    }

    fn archived(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.read(self.shared.inner.archived()))
    }

    fn archive(&self, bundle: u64) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.read(self.shared.inner.archive(bundle)))
    }

    fn touch<'a>(&'a self, used: &'a [(String, Timestamp)]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.read(self.shared.inner.touch(used)))
    }

    fn last_used_each<'a>(
        &'a self,
        subjects: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Timestamp>>, StoreError>> {
        Box::pin(self.read(self.shared.inner.last_used_each(subjects)))
    }

    fn last_uses<'a>(&'a self, after: &'a [u8], n: u16) -> BoxFuture<'a, Result<Vec<LastUse>, StoreError>> {
        Box::pin(self.read(self.shared.inner.last_uses(after, n)))
    }

    fn purge(&self, now: Timestamp, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.read(async move { self.shared.changed(self.shared.inner.purge(now, n).await) }))
    }

    fn grown(&self, seen: u64) -> BoxFuture<'_, ()> {
        self.shared.inner.grown(seen)
    }
}
