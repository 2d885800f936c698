//! The tests of the stores: one suite over all three, and what is particular to each.

#![expect(clippy::disallowed_methods, reason = "tests are at the edge: they measure, wait and make keys of their own")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod archive;
mod commits;
mod compact;
mod conformance;
mod deadlines;
mod full;
mod log;
mod log_index;
mod postgres;
mod rows;
mod search;
mod sqlite;
mod support;
mod use_notes;
