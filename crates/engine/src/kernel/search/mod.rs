//! The index of records: by words, by any combination of terms, in any order, with honest counts.
//!
//! A [document] is what a record is looked for by. Documents of a kind stand in [segments](segment), at places that are
//! never given twice; a record that is written again gets a new document, and its old one is dead. Segments are made of
//! records that changed, and of several short ones, behind the commits ([`fold`]). An [answer](ask) is what a reading of
//! all records would have given: those that changed since they were folded are read themselves.
//!
//! It is derived from the records and from nothing else. Nothing that a segment says is believed without its MACs; and
//! what is found is read, and held against what was asked, before it is shown. See `docs/adr/0025-search.md`.

pub(crate) mod ask;
mod bits;
pub(crate) mod check;
pub(crate) mod document;
pub(crate) mod fold;
mod segment;
mod view;

pub(crate) use view::readable;

#[cfg(test)]
mod tests;
