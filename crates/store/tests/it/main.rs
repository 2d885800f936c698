//! The tests of the stores: one suite over all three, and what is particular to each.

mod commits;
mod conformance;
mod deadlines;
mod log;
mod postgres;
mod rows;
mod sqlite;
mod support;
