//! The index of records that people look for by words, in any order, as stores keep it.
//!
//! Each record of a [searched kind](crate::store::row::RowKind::is_searched) has at most one document in the index, at
//! a place that no other document of the kind ever had. Documents stand in segments, which are pages like those of the
//! [log's index](crate::store::log_index). Whatever commits a record notes that it changed: until somebody folds it
//! into a segment, whoever asks reads the record itself. So what is found is always what stands in the records.

use std::ops::Range;

use crate::base::id::IdentityId;
use crate::base::time::{Span, Timestamp};
use crate::store::port::{BoxFuture, StoreError};
use crate::store::row::{RowKey, RowKind};

/// A segment of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchSegment {
    /// The number of its build, under which its pages stand.
    pub build: u64,
    /// Its documents' places begin here.
    pub from: u64,
    /// They end before this.
    pub to: u64,
    /// What it says of itself and of its pages, under a MAC; `None` to whoever knows it already.
    pub header: Option<Vec<u8>>,
    /// How many of its documents are another's by now: it never shrinks while the segment stands.
    pub dead: u32,
    /// Which ones, a bit for each place; `None` to whoever knows as many already.
    pub dead_bits: Option<Vec<u8>>,
}

/// A record whose document, if it has one, is not of its newest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRecord {
    /// The record's id.
    pub id: String,
    /// Its revision, or an earlier one.
    pub revision: u64,
    /// Where its document stands, if it has one.
    pub place: Option<u64>,
}

/// The index of a kind, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchState {
    /// Changes with every change of the segments.
    pub version: u64,
    /// The next place that a document may have.
    pub next: u64,
    /// The segments in the order of their places.
    pub segments: Vec<SearchSegment>,
    /// Records that changed, in the order of their ids: all of them, or one more than was asked for at most.
    pub changed: Vec<ChangedRecord>,
}

/// A record's new place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRecord {
    /// The record's id.
    pub id: String,
    /// The revision that its document is of.
    pub revision: u64,
    /// Where it stands.
    pub place: u64,
}

/// A change of the segments of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchChange {
    /// The kind.
    pub kind: RowKind,
    /// The version that it was decided on.
    pub version: u64,
    /// The next place from now on.
    pub next: u64,
    /// Segments that are new, with their header, and segments whose dead documents are more, without it.
    pub put: Vec<SearchSegment>,
    /// The builds of those that count no more.
    pub remove: Vec<u64>,
    /// Records whose documents stand in a new segment. What they changed since is noted still.
    pub placed: Vec<PlacedRecord>,
}

/// The record whose order by last use a use changes: by the day, so that what is always in use isn't folded again for
/// each. Each subject's days begin at a moment of their own.
pub fn moved_by_use(subject: &str, before: Option<Timestamp>, at: Timestamp) -> Option<RowKey> {
    let id: IdentityId = subject.parse().ok()?;
    let day = Span::from_days(1).as_micros();
    let spread = subject.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(6_364_136_223_846_793_005) ^ u64::from(byte));
    let begins = i64::try_from(spread % day.unsigned_abs()).unwrap_or_default();
    let day_of = |at: Timestamp| at.as_micros().saturating_add(begins).div_euclid(day);
    before.is_none_or(|before| day_of(before) < day_of(at)).then(|| RowKey::new(RowKind::Identity, id))
}

/// What a store keeps of the index. Every method is one short transaction.
pub trait SearchStore: Send + Sync {
    /// The index of a kind, with at most `n` records that changed and one more. Of segments that are known, by build
    /// and number of dead documents, only what is new.
    fn search_state<'a>(
        &'a self,
        kind: RowKind,
        known: &'a [(u64, u32)],
        n: u16,
    ) -> BoxFuture<'a, Result<SearchState, StoreError>>;
    /// Changes the segments of a kind, whose pages were staged before; false if they are at another version by now, and
    /// nothing was changed.
    fn change_search(&self, change: SearchChange) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// Notes records as changed whose documents stand at these places: looks at the next `n` records behind an id, and
    /// returns the last one that it looked at, if there may be more.
    fn fold_again<'a>(
        &'a self,
        kind: RowKind,
        places: Range<u64>,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>>;
    /// Notes the next `n` records behind an id as changed, wherever their documents stand, and returns the last one, if
    /// there may be more.
    fn fold_anew<'a>(
        &'a self,
        kind: RowKind,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>>;
}
