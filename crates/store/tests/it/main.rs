//! The tests of the stores: one suite over all three, and what is particular to each.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod commits;
mod conformance;
mod deadlines;
mod full;
mod log;
mod postgres;
mod rows;
mod sqlite;
mod support;
