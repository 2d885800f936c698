//! Why a store can't be opened.

use std::path::PathBuf;

use crate::migrations::MigrationError;

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server has this database open. Two writers would break the order of the log.
    #[error("another server uses this database: {} is locked", lock.display())]
    InUse {
        /// The lock file.
        lock: PathBuf,
    },
    /// A file can't be made, read or protected.
    #[error("can't use the file {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The database's address can't be used.
    #[error("the database's address can't be used: {0}")]
    Address(String),
    /// The schema is edited or too new.
    #[error("the database's schema can't be used")]
    Schema(#[from] MigrationError),
    /// The disk filled while the database was brought into the form of this version.
    #[error(
        "the disk is full: {moved} of {of} rows are upgraded, and nothing is lost. Make room and start this version again"
    )]
    FullWhileUpgrading {
        /// Rows in the new form.
        moved: u64,
        /// All that are to be moved.
        of: u64,
    },
    /// SQLite refused.
    #[error("SQLite can't open the database")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL refused or can't be reached.
    #[error("PostgreSQL can't open the database")]
    Postgres(#[from] tokio_postgres::Error),
}
