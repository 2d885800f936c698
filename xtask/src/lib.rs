//! Development tasks of Tenure, run as `cargo xtask <task>`, and what the bench shares with them.

#![expect(
    clippy::disallowed_methods,
    reason = "a tool for developers: it measures, waits and looks where it was started"
)]

pub mod bench;
pub mod check;
pub mod deps;
pub mod fuzz;
pub mod layers;
pub mod long;
mod metadata;
pub mod pages;
pub mod peers;
pub mod postgres;
pub mod process;
pub mod release;
pub mod rooms;
pub mod suite;
pub mod targets;
pub mod upgrade;
pub mod workspace;
