//! The index of the log: which entries concern whom, so that a question about one subject reads those and not the log.
//!
//! It is derived from the log and from nothing else, and can be thrown away at any time. A segment covers a stretch of
//! entries and maps [terms] to the entries that bear them; short ones are made of the newest entries and merged into
//! longer ones (`log/indexing.rs`), so that a log of n entries has about log n of them. An answer is exact whatever is
//! covered: entries that no segment covers are read. Nothing that a segment says is believed without its MACs, and it
//! counts only in the log that it was made of. See `docs/adr/0024-log-index.md`.
//!
//! [terms]: terms

pub(crate) mod page;
pub(crate) mod search;
pub(crate) mod terms;
pub(crate) mod view;

use tenure_core::base::time::Timestamp;

/// The number of a build of a segment, of this or another index: later ones have greater numbers, to the second.
pub(crate) fn build_at(at: Timestamp, random: u32) -> u64 {
    (u64::try_from(at.as_secs()).unwrap_or_default() << 30) | u64::from(random >> 2)
}
