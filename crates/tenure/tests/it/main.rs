//! The product as its users meet it: the real binary, over HTTP and on the command line, on SQLite and on PostgreSQL.

#![expect(missing_docs, clippy::indexing_slicing, reason = "tests; a missing member of a JSON answer is a failed test")]

mod world;

mod attacks;
mod authzen;
mod cuts;
mod durability;
mod issuers;
mod lifecycle;
mod log;
mod oauth;
mod peers;
mod rows;
