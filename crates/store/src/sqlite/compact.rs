//! Moves what earlier versions kept into the tables of migration 5.

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use crate::error::OpenError;
use crate::row::{once_key, place, term_key, text, unsigned};
use crate::upgrade::{BATCH, Progress, moved_commit, moved_key, moved_mac, moved_record};

/// Moves a batch of one table; how many rows it had.
type Step = fn(&Transaction<'_>) -> rusqlite::Result<usize>;

const TABLES: [(&str, Step); 6] = [
    ("old_entry", entries),
    ("old_record", records),
    ("old_term", terms),
    ("old_once", once),
    ("old_due", due),
    ("old_last_use", last_uses),
];

/// Moves what is still to be moved.
pub(super) fn move_rows(connection: &mut Connection) -> Result<(), OpenError> {
    let mut waiting = Vec::new();
    let mut of = 0_u64;
    for (table, step) in TABLES {
        let there =
            connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1")?.exists([table])?;
        if there {
            of += connection.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).map(unsigned)?;
            waiting.push(step);
        }
    }
    let mut progress = Progress::new(of);
    for step in waiting {
        loop {
            match batch(connection, step) {
                Ok(0) => break,
                Ok(moved) => progress.moved(moved),
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                    let (moved, of) = progress.counts();
                    return Err(OpenError::FullWhileUpgrading { moved, of });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    progress.end();
    Ok(())
}

fn batch(connection: &mut Connection, step: Step) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let moved = step(&transaction)?;
    transaction.commit()?;
    Ok(moved)
}

fn entries(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let size = transaction
        .prepare_cached("SELECT size FROM head WHERE shard = 0")?
        .query_row([], |row| row.get(0))
        .map(unsigned)?;
    let mut put = transaction.prepare_cached("INSERT INTO entry (place, commit_key, leaf) VALUES ($1, $2, $3)")?;
    let mut read =
        transaction.prepare_cached("SELECT idx, id, leaf FROM old_entry WHERE shard = 0 ORDER BY idx LIMIT $1")?;
    let mut rows = read.query([BATCH])?;
    let (mut moved, mut last) = (0, 0_i64);
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let index = unsigned(last);
        put.execute(params![place(index), moved_commit(index, size, row.get(1)?), row.get::<_, Value>(2)?])?;
        moved += 1;
    }
    transaction.prepare_cached("DELETE FROM old_entry WHERE shard = 0 AND idx <= $1")?.execute([last])?;
    Ok(moved)
}

fn records(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let mut put = transaction.prepare_cached(
        "INSERT OR REPLACE INTO record (shard, kind, id, revision, created, position, mac, drop_after, terms, body)
         VALUES (0, $1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )?;
    let mut read = transaction.prepare_cached(
        "SELECT rowid, kind, id, revision, created, position, mac, drop_after, terms, body FROM old_record ORDER BY rowid LIMIT $1",
    )?;
    let mut rows = read.query([BATCH])?;
    let (mut moved, mut last) = (0, 0_i64);
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let kind: u8 = row.get(1)?;
        let (id, mac, terms, body) = moved_record(
            row.get(2)?,
            row.get_ref(6)?.as_blob()?,
            row.get_ref(8)?.as_blob()?,
            row.get_ref(9)?.as_blob()?,
        );
        put.execute(params![
            kind,
            id,
            row.get::<_, Value>(3)?,
            row.get::<_, Value>(4)?,
            row.get::<_, Value>(5)?,
            mac,
            row.get::<_, Value>(7)?,
            terms,
            body
        ])?;
        moved += 1;
    }
    transaction.prepare_cached("DELETE FROM old_record WHERE rowid <= $1")?.execute([last])?;
    Ok(moved)
}

fn terms(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let mut put =
        transaction.prepare_cached("INSERT OR IGNORE INTO term (shard, kind, term, id) VALUES (0, $1, $2, $3)")?;
    let mut read = transaction
        .prepare_cached("SELECT kind, term, id FROM old_term WHERE shard = 0 ORDER BY kind, term, id LIMIT $1")?;
    let mut rows = read.query([BATCH])?;
    let mut moved = 0;
    let mut last: (u8, Vec<u8>, Vec<u8>) = Default::default();
    while let Some(row) = rows.next()? {
        last = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (kind, term, id) = last.clone();
        put.execute(params![kind, term_key(kind, &text(term)), moved_key(id)])?;
        moved += 1;
    }
    let (kind, term, id) = last;
    transaction
        .prepare_cached("DELETE FROM old_term WHERE shard = 0 AND (kind, term, id) <= ($1, $2, $3)")?
        .execute(params![kind, term, id])?;
    Ok(moved)
}

fn once(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO once (shard, key, until) VALUES (0, $1, $2)")?;
    let mut read = transaction
        .prepare_cached("SELECT space, key, until FROM old_once WHERE shard = 0 ORDER BY space, key LIMIT $1")?;
    let mut rows = read.query([BATCH])?;
    let mut moved = 0;
    let mut last: (Vec<u8>, Vec<u8>) = Default::default();
    while let Some(row) = rows.next()? {
        last = (row.get(0)?, row.get(1)?);
        let (space, key) = last.clone();
        put.execute(params![once_key(&text(space), &text(key)), row.get::<_, Value>(2)?])?;
        moved += 1;
    }
    transaction
        .prepare_cached("DELETE FROM old_once WHERE shard = 0 AND (space, key) <= ($1, $2)")?
        .execute(params![last.0, last.1])?;
    Ok(moved)
}

fn due(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let mut put = transaction.prepare_cached(
        "INSERT OR REPLACE INTO due (shard, kind, subject, due_at, fence, lease_until) VALUES (0, $1, $2, $3, $4, $5)",
    )?;
    let mut read = transaction.prepare_cached(
        "SELECT kind, subject, due_at, fence, lease_until FROM old_due WHERE shard = 0 ORDER BY kind, subject LIMIT $1",
    )?;
    let mut rows = read.query([BATCH])?;
    let mut moved = 0;
    let mut last: (u8, Vec<u8>) = Default::default();
    while let Some(row) = rows.next()? {
        last = (row.get(0)?, row.get(1)?);
        put.execute(params![
            last.0,
            moved_key(last.1.clone()),
            row.get::<_, Value>(2)?,
            row.get::<_, Value>(3)?,
            row.get::<_, Value>(4)?
        ])?;
        moved += 1;
    }
    transaction
        .prepare_cached("DELETE FROM old_due WHERE shard = 0 AND (kind, subject) <= ($1, $2)")?
        .execute(params![last.0, last.1])?;
    Ok(moved)
}

fn last_uses(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let mut put = transaction
        .prepare_cached("INSERT OR REPLACE INTO last_use (shard, subject, at, mac) VALUES (0, $1, $2, $3)")?;
    let mut read = transaction
        .prepare_cached("SELECT subject, at, mac FROM old_last_use WHERE shard = 0 ORDER BY subject LIMIT $1")?;
    let mut rows = read.query([BATCH])?;
    let mut moved = 0;
    let mut last: Vec<u8> = Vec::new();
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        put.execute(params![moved_key(last.clone()), row.get::<_, Value>(1)?, moved_mac(row.get_ref(2)?.as_blob()?)])?;
        moved += 1;
    }
    transaction.prepare_cached("DELETE FROM old_last_use WHERE shard = 0 AND subject <= $1")?.execute([last])?;
    Ok(moved)
}
