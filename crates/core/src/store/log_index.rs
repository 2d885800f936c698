//! The index of the log as stores keep it: segments of pages, derived from the log and replaceable at any time.
//!
//! To a store a segment is bytes: a header, and pages that were staged under the number of its build. It counts from the
//! moment at which the list of segments names it. That list has a version, and is changed only by whoever saw the
//! newest one: so of two replicas that merge the same segments one wins, and what the other staged is dropped later.

use crate::store::port::{BoxFuture, LogEntry, StoreError};

/// A segment that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The number of its build, under which its pages stand. Later builds have greater numbers, to the second.
    pub build: u64,
    /// The first entry that it covers.
    pub from: u64,
    /// The entry behind the last one that it covers.
    pub to: u64,
    /// What it says of itself and of its pages, under a MAC; `None` to whoever knows it already.
    pub header: Option<Vec<u8>>,
}

/// The segments that count, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SegmentList {
    /// Changes with every change of the list.
    pub version: u64,
    /// The segments, in the order of their first entries, longer ones first.
    pub segments: Vec<Segment>,
}

/// A change of the list of segments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SegmentChange {
    /// The list's version that it was decided on.
    pub version: u64,
    /// A segment that counts from now on, its pages being staged.
    pub add: Option<Segment>,
    /// The builds of those that count no more.
    pub remove: Vec<u64>,
}

/// What a store keeps of the log's index. Every method is one short transaction.
pub trait LogIndexStore: Send + Sync {
    /// The segments that count, without the headers of the builds that are known.
    fn segments<'a>(&'a self, known: &'a [u64]) -> BoxFuture<'a, Result<SegmentList, StoreError>>;
    /// Pages by build and number, those that aren't there being `None`; one round trip.
    fn segment_pages<'a>(&'a self, pages: &'a [(u64, u32)]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>>;
    /// Puts pages down under a build, from a number on. They count for nothing until a segment names the build.
    fn stage_pages<'a>(&'a self, build: u64, first: u32, pages: &'a [Vec<u8>])
    -> BoxFuture<'a, Result<(), StoreError>>;
    /// Changes the list of segments; false if it is at another version by now, and nothing was changed.
    fn change_segments(&self, change: SegmentChange) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// Drops up to `n` pages of builds that count for nothing and have smaller numbers than `before`; returns how many.
    fn drop_pages(&self, before: u64, n: u32) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// The entries with these numbers that are there, in the order of the numbers, without personal values.
    fn entries_at<'a>(&'a self, indexes: &'a [u64]) -> BoxFuture<'a, Result<Vec<LogEntry>, StoreError>>;
}
