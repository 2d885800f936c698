//! The stores of Tenure: SQLite, PostgreSQL and memory, with one behaviour behind [`tenure_core::store::port::Store`].
//!
//! An engine only finds and keeps rows. What a commit may do is judged by one piece of code (`batch`), and what the
//! log records is made by one piece of code (`leaf`), so that the engines can't drift apart.

mod archive;
mod batch;
mod error;
mod leaf;
mod memory;
mod migrations;
mod pace;
mod postgres;
mod row;
mod sqlite;
mod upgrade;

pub use error::OpenError;
pub use leaf::OPERATOR_TOKEN;
pub use memory::{Dump, MemoryStore};
pub use migrations::MigrationError;
pub use postgres::PostgresStore;
pub use sqlite::{SqliteStore, back_up, head_of, put_back};

#[cfg(feature = "testing")]
pub mod testing;
