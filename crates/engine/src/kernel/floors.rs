//! The store as the engine sees it: rows of authority are read and written together with their floors (S-2).

use std::sync::Arc;

use tenure_core::base::time::{Clock, Span, Timestamp};
use tenure_core::store::changeset::{Changeset, Put};
use tenure_core::store::due::DueKind;
use tenure_core::store::floor::Floor;
use tenure_core::store::log_index::{LogIndexStore, SegmentChange, SegmentList};
use tenure_core::store::port::{
    Beside, BoxFuture, Claimed, Deadline, Head, IndexEntry, LastUse, ListQuery, LogEntry, Outcome, Page, Seal, Sealed,
    Snapshot, Store, StoreError, UseNoteStore,
};
use tenure_core::store::row::{Record, RowKey};
use tenure_core::store::search::SearchStore;

/// A store whose rows of authority can't be put back one by one.
pub(crate) struct Floored {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Floored {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    async fn load_with_floors(&self, keys: &[RowKey]) -> Result<Snapshot, StoreError> {
        let guarded: Vec<usize> = (0..keys.len())
            .filter(|n| keys.get(*n).is_some_and(|key| Floor::guards(key.kind) && !key.id.is_empty()))
            .collect();
        if guarded.is_empty() {
            return self.store.load(keys).await;
        }
        let floors = guarded.iter().filter_map(|n| keys.get(*n)).map(Floor::key_of);
        let all: Vec<RowKey> = keys.iter().cloned().chain(floors).collect();
        let mut snapshot = self.store.load(&all).await?;
        let now = self.clock.now();
        for (place, n) in guarded.into_iter().enumerate() {
            let Some(floor) = snapshot.get::<Floor>(keys.len() + place)? else {
                continue;
            };
            let row = snapshot.rows.get(n).and_then(Option::as_ref);
            if let Some(key) = keys.get(n)
                && !floor.holds(row.map(|row| row.revision), now)
            {
                return Err(StoreError::Tampered(key.clone()));
            }
        }
        snapshot.rows.truncate(keys.len());
        Ok(snapshot)
    }

    /// A changeset with the floors of the rows that it writes.
    async fn with_floors(&self, mut changeset: Changeset, floors: &[Floor]) -> Result<Changeset, StoreError> {
        let keys: Vec<RowKey> = floors.iter().map(Record::key).collect();
        let known = self.store.load(&keys).await?;
        for (n, floor) in floors.iter().enumerate() {
            match known.get::<Floor>(n)? {
                Some(stored) => changeset.replace(&stored, floor),
                None => changeset.insert(floor),
            };
        }
        Ok(changeset)
    }
}

/// The floors of the rows that a changeset writes.
fn floors_of(changeset: &Changeset) -> Vec<Floor> {
    let rises = |put: &&Put| Floor::guards(put.key.kind) && (put.replaces > 0 || Floor::guards_absence(&put.key));
    let floor =
        |put: &Put| Floor { of: put.key.to_string(), revision: put.replaces + 1, droppable_after: put.droppable_after };
    changeset.puts.iter().filter(rises).map(floor).collect()
}

impl LogIndexStore for Floored {
    fn segments<'a>(&'a self, known: &'a [u64]) -> BoxFuture<'a, Result<SegmentList, StoreError>> {
        self.store.segments(known)
    }

    fn segment_pages<'a>(&'a self, pages: &'a [(u64, u32)]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        self.store.segment_pages(pages)
    }

    fn stage_pages<'a>(
        &'a self,
        build: u64,
        first: u32,
        pages: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.stage_pages(build, first, pages)
    }

    fn change_segments(&self, change: SegmentChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store.change_segments(change)
    }

    fn drop_pages(&self, before: u64, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.store.drop_pages(before, n)
    }

    fn entries_at<'a>(&'a self, indexes: &'a [u64]) -> BoxFuture<'a, Result<Vec<LogEntry>, StoreError>> {
        self.store.entries_at(indexes)
    }
}

impl Store for Floored {
    fn search(&self) -> &dyn SearchStore {
        self.store.search()
    }

    fn use_notes(&self) -> &dyn UseNoteStore {
        self.store.use_notes()
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        Box::pin(self.load_with_floors(keys))
    }

    fn page<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>> {
        self.store.page(query)
    }

    fn beside<'a>(
        &'a self,
        rows: &'a [(RowKey, Vec<String>)],
    ) -> BoxFuture<'a, Result<Vec<Option<Beside>>, StoreError>> {
        self.store.beside(rows)
    }

    fn index<'a>(&'a self, after: &'a IndexEntry, n: u16) -> BoxFuture<'a, Result<Vec<IndexEntry>, StoreError>> {
        self.store.index(after, n)
    }

    fn deadlines<'a>(
        &'a self,
        of: &'a [(DueKind, String)],
    ) -> BoxFuture<'a, Result<Vec<Option<Deadline>>, StoreError>> {
        self.store.deadlines(of)
    }

    fn commit(&self, changeset: Changeset) -> BoxFuture<'_, Outcome> {
        let floors = floors_of(&changeset);
        if floors.is_empty() {
            return self.store.commit(changeset);
        }
        Box::pin(async move {
            match self.with_floors(changeset.clone(), &floors).await {
                Ok(changeset) => self.store.commit(changeset).await,
                // Whoever altered a floor doesn't keep anybody from taking authority away.
                Err(StoreError::Tampered(_)) if changeset.is_essential() => self.store.commit(changeset).await,
                Err(error) => Outcome::Unavailable(error.to_string()),
            }
        })
    }

    fn claim(
        &self,
        kind: DueKind,
        now: Timestamp,
        lease: Span,
        n: u16,
    ) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        self.store.claim(kind, now, lease, n)
    }

    fn entries(&self, from: u64, n: u16) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        self.store.entries(from, n)
    }

    fn leaf_hashes(&self, from: u64, n: u32) -> BoxFuture<'_, Result<Vec<[u8; 32]>, StoreError>> {
        self.store.leaf_hashes(from, n)
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, StoreError>> {
        self.store.head()
    }

    fn sealed(&self) -> BoxFuture<'_, Result<Option<Sealed>, StoreError>> {
        self.store.sealed()
    }

    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store.seal(seal)
    }

    fn tile(&self, level: u8, index: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.store.tile(level, index)
    }

    fn archived(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.store.archived()
    }

    fn archive(&self, bundle: u64) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store.archive(bundle)
    }

    fn touch<'a>(&'a self, used: &'a [(String, Timestamp)]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.touch(used)
    }

    fn last_used_each<'a>(
        &'a self,
        subjects: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Timestamp>>, StoreError>> {
        self.store.last_used_each(subjects)
    }

    fn last_uses<'a>(&'a self, after: &'a [u8], n: u16) -> BoxFuture<'a, Result<Vec<LastUse>, StoreError>> {
        self.store.last_uses(after, n)
    }

    fn purge(&self, now: Timestamp, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.store.purge(now, n)
    }

    fn is_full(&self) -> bool {
        self.store.is_full()
    }

    fn grown(&self, seen: u64) -> BoxFuture<'_, ()> {
        self.store.grown(seen)
    }
}
