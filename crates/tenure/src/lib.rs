//! The product as a library: command line, configuration, and the wiring of a server.
//!
//! The binary (`main.rs`) wires [`server::SystemClock`] and nothing else. The clock is a parameter of [`server::start`]
//! so that the tests of this crate can serve inside their own process with a clock that they move; that clock stands in
//! `tests/it/world/clock.rs` and is part of no binary that is built from here.

mod channels;
mod cli;
pub mod config;
mod demo;
#[cfg(feature = "otlp")]
mod otlp;
mod restore;
pub mod server;
pub mod telemetry;

pub use cli::main;
