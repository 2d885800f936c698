//! Files, connections and the schema.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use tenure_core::base::time::Timestamp;
use tenure_core::store::port::RowSealer;

use super::compact;
use crate::error::OpenError;
use crate::migrations::{self, MigrationError, pending};
use crate::row::text;
use crate::upgrade::{open_requests, request_terms};

/// Pages in the WAL at which the writer itself makes a checkpoint: only if the one in the background can't follow.
pub(super) const WAL_PAGES: u32 = 65_536;
const STATEMENTS: usize = 64;
/// The number in the file's header that is for whoever uses SQLite: here, whether something was erased since every page
/// was written.
const USER_VERSION: &str = "user_version";
const ERASED: i64 = 1;
const NOTHING_ERASED: i64 = 0;
/// Bytes up to which every page is written anew at a start: they are held in memory meanwhile, for a second.
const REWRITTEN: u64 = 128 << 20;
/// How long a connection waits for another one's lock.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Takes the lock that a store keeps for its life.
pub(super) fn lock(database: &Path) -> Result<File, OpenError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = private_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { lock: path }),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path, source }),
    }
}

/// Makes the database's file readable by its owner only; SQLite gives the files beside it the same mode.
pub(super) fn protect(database: &Path) -> Result<(), OpenError> {
    private_file(database).map(drop)
}

/// Makes a file that is readable by its owner only, and must not be there yet.
pub(super) fn new_private_file(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map(drop).map_err(|source| OpenError::File { path: path.to_owned(), source })
}

fn private_file(path: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::File { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path).map_err(failed)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path).map_err(failed)
}

pub(super) fn writer(path: &Path) -> Result<Connection, OpenError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    plain(&connection)?;
    // Erased values are overwritten, not only unlinked.
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA secure_delete = ON;
         PRAGMA wal_autocheckpoint = {WAL_PAGES}; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;"
    ))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Runs nothing that stands in the file itself: it has no triggers and no views, unless somebody else put them there.
fn plain(connection: &Connection) -> rusqlite::Result<()> {
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    ] {
        connection.set_db_config(setting, on)?;
    }
    Ok(())
}

pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    plain(&connection)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Notes in the file that unused parts of its pages may hold what is erased in the same transaction: SQLite overwrites
/// what it deletes, but not what a page held of a row that it moved to another one before.
pub(super) fn note_erasure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, USER_VERSION, ERASED)
}

/// Writes every page anew where something was erased since the last time, unless the file is so large that whoever
/// starts the server would wait; whether it did.
pub(super) fn rewrite_after_erasure(connection: &Connection, database: &Path) -> rusqlite::Result<bool> {
    let noted: i64 = connection.pragma_query_value(None, USER_VERSION, |row| row.get(0))?;
    if noted != ERASED {
        return Ok(false);
    }
    if std::fs::metadata(database).map_or(u64::MAX, |file| file.len()) > REWRITTEN {
        tracing::warn!(
            "something was erased, and unused parts of the database may keep copies: docs/operations/retention.md says what takes them out"
        );
        return Ok(false);
    }
    connection.execute_batch("VACUUM")?;
    connection.pragma_update(None, USER_VERSION, NOTHING_ERASED)?;
    Ok(true)
}

/// Brings the database into the form of this version. What takes long goes in steps: stopped in the middle, the next
/// start goes on.
pub(super) fn migrate(connection: &mut Connection, sealer: &dyn RowSealer) -> Result<(), OpenError> {
    let was_there = run_migrations(connection, sealer, ..=migrations::COMPACT)?;
    compact::move_rows(connection)?;
    run_migrations(connection, sealer, ..)?;
    if was_there {
        compare_schema(connection)?;
    }
    Ok(())
}

/// Runs those of the migrations in a range that are still to run; whether any had run before.
fn run_migrations(
    connection: &mut Connection,
    sealer: &dyn RowSealer,
    range: impl RangeBounds<u32>,
) -> Result<bool, OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLE_OF_MIGRATIONS)?;
    let ran = transaction
        .prepare("SELECT number, checksum FROM migration ORDER BY number")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(u32, Vec<u8>)>, _>>()?;
    for migration in pending(migrations::SQLITE, &ran)?.into_iter().filter(|step| range.contains(&step.number)) {
        transaction.execute_batch(migration.sql)?;
        if migration.number == migrations::LAST_USES {
            seal_last_uses(&transaction, sealer)?;
        }
        if migration.number == migrations::WAITING {
            name_voters(&transaction)?;
        }
        transaction.execute(
            "INSERT INTO migration (number, checksum) VALUES ($1, $2)",
            params![migration.number, migration.checksum()],
        )?;
    }
    transaction.commit()?;
    Ok(!ran.is_empty())
}

const TABLE_OF_MIGRATIONS: &str =
    "CREATE TABLE IF NOT EXISTS migration (number INTEGER NOT NULL PRIMARY KEY, checksum BLOB NOT NULL) STRICT";

/// What the schema says of a table: the table itself, its indexes and triggers, each by its kind, its name and its
/// text.
type OfTable = BTreeSet<(String, String, Option<String>)>;

/// A table of ours that somebody changed, be it by a trigger on it, could undo what is written to it. Tables beside
/// ours, such as those of a tool that copies the database, are none of its business.
fn compare_schema(connection: &Connection) -> Result<(), OpenError> {
    let made = Connection::open_in_memory()?;
    made.execute_batch(TABLE_OF_MIGRATIONS)?;
    for migration in migrations::SQLITE {
        made.execute_batch(migration.sql)?;
    }
    let (ours, mut found) = (schema(&made)?, schema(connection)?);
    for (table, expected) in ours {
        let found = found.remove(&table).unwrap_or_default();
        if let Some((kind, name, _)) = found.symmetric_difference(&expected).next() {
            return Err(MigrationError::Altered(format!("the {kind} {name} on the table {table}")).into());
        }
    }
    Ok(())
}

fn schema(connection: &Connection) -> rusqlite::Result<BTreeMap<String, OfTable>> {
    let mut tables = BTreeMap::<String, OfTable>::new();
    let mut read = connection.prepare("SELECT tbl_name, type, name, sql FROM sqlite_schema")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let object = (row.get(1)?, row.get(2)?, row.get(3)?);
        tables.entry(row.get(0)?).or_default().insert(object);
    }
    Ok(tables)
}

/// Takes over the last uses that an earlier version noted without a MAC.
fn seal_last_uses(transaction: &Transaction<'_>, sealer: &dyn RowSealer) -> rusqlite::Result<()> {
    let mut put =
        transaction.prepare("INSERT OR REPLACE INTO last_use (shard, subject, at, mac) VALUES (0, $1, $2, $3)")?;
    let mut noted = transaction.prepare("SELECT subject, at FROM last_used WHERE shard = 0")?;
    let mut noted = noted.query([])?;
    while let Some(found) = noted.next()? {
        let (subject, at): (Vec<u8>, i64) = (found.get(0)?, found.get(1)?);
        let mac = sealer.last_use(&text(subject.clone()), Timestamp::from_micros(at));
        put.execute(params![subject, at, mac])?;
    }
    Ok(())
}

/// Gives open requests of an earlier version the terms that they lack.
fn name_voters(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let (kind, open) = open_requests();
    let mut beside = transaction.prepare("UPDATE record SET terms = $1 WHERE shard = 0 AND kind = $2 AND id = $3")?;
    let mut index = transaction.prepare("INSERT OR IGNORE INTO term (shard, kind, term, id) VALUES (0, $1, $2, $3)")?;
    let found = transaction
        .prepare(
            "SELECT r.id, r.terms, r.body FROM term t JOIN record r ON r.shard = 0 AND r.kind = t.kind AND r.id = t.id
             WHERE t.shard = 0 AND t.kind = $1 AND t.term = $2",
        )?
        .query_map(params![kind, open], |found| {
            let id: Vec<u8> = found.get(0)?;
            let terms = request_terms(&id, found.get_ref(1)?.as_blob()?, found.get_ref(2)?.as_blob()?);
            Ok(terms.map(|(terms, lacked)| (id, terms, lacked)))
        })?
        .filter_map(Result::transpose)
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (id, terms, lacked) in found {
        beside.execute(params![terms, kind, id])?;
        for term in lacked {
            index.execute(params![kind, term, id])?;
        }
    }
    Ok(())
}
