//! x
#![expect(missing_docs, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, unused_macros, clippy::allow_attributes, reason = "x")]
#[path = "it/world.rs"]
mod world;
#[path = "it/cli.rs"]
mod cli;
