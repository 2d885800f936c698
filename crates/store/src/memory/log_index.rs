//! The log's index in memory.

use std::collections::BTreeMap;

use tenure_core::store::log_index::{LogIndexStore, Segment, SegmentChange, SegmentList};
use tenure_core::store::port::{BoxFuture, LogEntry, StoreError};

use super::MemoryStore;

/// Segments and pages, whether they count or not.
#[derive(Debug, Default)]
pub(super) struct KeptIndex {
    version: u64,
    /// The segments that count, by build.
    live: BTreeMap<u64, Segment>,
    pages: BTreeMap<(u64, u32), Vec<u8>>,
}

impl KeptIndex {
    fn change(&mut self, change: SegmentChange) -> bool {
        if self.version != change.version {
            return false;
        }
        self.version += 1;
        for build in change.remove {
            self.live.remove(&build);
        }
        if let Some(segment) = change.add {
            self.live.insert(segment.build, segment);
        }
        true
    }

    /// Drops pages of builds that count for nothing: neither here nor, as is said, elsewhere.
    fn drop_pages(&mut self, before: u64, n: usize, counts: impl Fn(u64) -> bool) -> u64 {
        let idle = |(build, _): &&(u64, u32)| *build < before && !self.live.contains_key(build) && !counts(*build);
        let idle: Vec<(u64, u32)> = self.pages.keys().filter(idle).take(n).copied().collect();
        idle.iter().map(|key| u64::from(self.pages.remove(key).is_some())).sum()
    }
}

impl MemoryStore {
    /// Changes the pages of the log's index by build and number, as somebody does who has the database and not the key.
    pub fn alter_index_pages(&self, change: impl FnOnce(&mut BTreeMap<(u64, u32), Vec<u8>>)) {
        change(&mut self.state.lock().log_index.pages);
    }
}

impl LogIndexStore for MemoryStore {
    fn segments<'a>(&'a self, known: &'a [u64]) -> BoxFuture<'a, Result<SegmentList, StoreError>> {
        Box::pin(async move {
            let state = self.state.lock();
            let mut segments: Vec<Segment> = state.log_index.live.values().cloned().collect();
            segments.sort_by_key(|segment| (segment.from, u64::MAX - segment.to));
            for segment in &mut segments {
                segment.header = segment.header.take().filter(|_| !known.contains(&segment.build));
            }
            Ok(SegmentList { version: state.log_index.version, segments })
        })
    }

    fn segment_pages<'a>(&'a self, pages: &'a [(u64, u32)]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(async move {
            let state = self.state.lock();
            Ok(pages.iter().map(|page| state.log_index.pages.get(page).cloned()).collect())
        })
    }

    fn stage_pages<'a>(
        &'a self,
        build: u64,
        first: u32,
        pages: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let kept = &mut self.state.lock().log_index.pages;
            kept.extend((first..).zip(pages).map(|(number, page)| ((build, number), page.clone())));
            Ok(())
        })
    }

    fn change_segments(&self, change: SegmentChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().log_index.change(change)) })
    }

    fn drop_pages(&self, before: u64, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let state = &mut *self.state.lock();
            Ok(state.log_index.drop_pages(before, n as usize, |build| state.search.has(build)))
        })
    }

    fn entries_at<'a>(&'a self, indexes: &'a [u64]) -> BoxFuture<'a, Result<Vec<LogEntry>, StoreError>> {
        Box::pin(async move {
            let mut asked = indexes.to_vec();
            asked.sort_unstable();
            asked.dedup();
            let state = self.state.lock();
            let entry = |index: u64| state.range(index, 1).next().map(|entry| LogEntry::clone(entry));
            let found = asked.into_iter().filter_map(entry);
            Ok(found.map(|entry| LogEntry { personal: Vec::new(), ..entry }).collect())
        })
    }
}
