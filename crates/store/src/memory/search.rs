//! The index of records in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tenure_core::store::port::{BoxFuture, StoreError};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_core::store::search::{ChangedRecord, SearchChange, SearchSegment, SearchState, SearchStore};

use super::MemoryStore;

/// What the records of all kinds stand in.
#[derive(Debug, Default)]
pub(super) struct KeptSearch {
    /// Version and next place of each kind.
    kinds: BTreeMap<RowKind, (u64, u64)>,
    /// The segments, by build.
    segments: BTreeMap<u64, (RowKind, SearchSegment)>,
    places: BTreeMap<RowKey, u64>,
    changed: BTreeMap<RowKey, BTreeSet<u64>>,
}

impl KeptSearch {
    /// Notes that a record changed.
    pub(super) fn note(&mut self, key: &RowKey, revision: u64) {
        if key.kind.is_searched() {
            self.changed.entry(key.clone()).or_default().insert(revision);
        }
    }

    /// Whether these pages are a segment's.
    pub(super) fn has(&self, build: u64) -> bool {
        self.segments.contains_key(&build)
    }

    fn state(&self, kind: RowKind, known: &[(u64, u32)], n: u16) -> SearchState {
        let (version, next) = self.kinds.get(&kind).copied().unwrap_or_default();
        let mut segments: Vec<SearchSegment> =
            self.segments.values().filter(|(of, _)| *of == kind).map(|(_, segment)| segment.clone()).collect();
        segments.sort_unstable_by_key(|segment| segment.from);
        for segment in &mut segments {
            let known = known.iter().find(|(build, _)| *build == segment.build);
            segment.header = segment.header.take().filter(|_| known.is_none());
            segment.dead_bits = segment.dead_bits.take().filter(|_| known.is_none_or(|known| known.1 != segment.dead));
        }
        let changed = self.changed.iter().filter(|(key, _)| key.kind == kind).take(usize::from(n) + 1);
        let changed = changed.map(|(key, revisions)| ChangedRecord {
            id: key.id.clone(),
            revision: revisions.last().copied().unwrap_or_default(),
            place: self.places.get(key).copied(),
        });
        SearchState { version, next, segments, changed: changed.collect() }
    }

    fn change(&mut self, change: SearchChange) -> bool {
        let (version, next) = self.kinds.entry(change.kind).or_default();
        if *version != change.version {
            return false;
        }
        (*version, *next) = (*version + 1, change.next);
        for build in change.remove {
            self.segments.remove(&build);
        }
        for mut segment in change.put {
            if let Some((_, known)) = self.segments.remove(&segment.build) {
                segment.header = known.header;
            }
            self.segments.insert(segment.build, (change.kind, segment));
        }
        for placed in change.placed {
            let key = RowKey { kind: change.kind, id: placed.id };
            if let Some(revisions) = self.changed.get_mut(&key) {
                revisions.retain(|revision| *revision > placed.revision);
                if revisions.is_empty() {
                    self.changed.remove(&key);
                }
            }
            self.places.insert(key, placed.place);
        }
        true
    }
}

impl MemoryStore {
    /// Notes a record as changed, as somebody does who has the database and not the key.
    pub fn note_changed(&self, key: &RowKey, revision: u64) {
        self.state.lock().search.note(key, revision);
    }
}

impl SearchStore for MemoryStore {
    fn search_state<'a>(
        &'a self,
        kind: RowKind,
        known: &'a [(u64, u32)],
        n: u16,
    ) -> BoxFuture<'a, Result<SearchState, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().search.state(kind, known, n)) })
    }

    fn change_search(&self, change: SearchChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().search.change(change)) })
    }

    fn fold_again<'a>(
        &'a self,
        kind: RowKind,
        places: Range<u64>,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move {
            let state = &mut *self.state.lock();
            let behind = |key: &RowKey| key.kind == kind && after.is_none_or(|after| *key.id > *after);
            let looked: Vec<(RowKey, u64)> = state
                .search
                .places
                .iter()
                .filter(|(key, _)| behind(key))
                .take(n as usize)
                .map(|(key, place)| (key.clone(), *place))
                .collect();
            for (key, _) in looked.iter().filter(|(_, place)| places.contains(place)) {
                if let Some(held) = state.rows.get(key) {
                    let revision = held.row.revision;
                    state.search.note(key, revision);
                }
            }
            Ok(looked.last().filter(|_| looked.len() == n as usize).map(|(key, _)| key.id.clone()))
        })
    }

    fn fold_anew<'a>(
        &'a self,
        kind: RowKind,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move {
            let state = &mut *self.state.lock();
            let behind = |key: &RowKey| key.kind == kind && after.is_none_or(|after| *key.id > *after);
            let looked: Vec<(RowKey, u64)> = state
                .rows
                .iter()
                .filter(|(key, _)| behind(key))
                .take(n as usize)
                .map(|(key, held)| (key.clone(), held.row.revision))
                .collect();
            looked.iter().for_each(|(key, revision)| state.search.note(key, *revision));
            Ok(looked.last().filter(|_| looked.len() == n as usize).map(|(key, _)| key.id.clone()))
        })
    }
}
