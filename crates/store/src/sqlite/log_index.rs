//! The log's index in SQLite.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tenure_core::store::log_index::{LogIndexStore, Segment, SegmentChange, SegmentList};
use tenure_core::store::port::{BoxFuture, LogEntry, StoreError};

use super::reader::Down;
use super::{SqliteStore, archive};
use crate::row::{build_column, build_of, place, signed, unsigned};

fn version(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT version FROM log_index WHERE shard = 0")?
        .query_row([], |found| Ok(unsigned(found.get(0)?)))
}

fn segments(connection: &Connection, known: &[u64]) -> Result<SegmentList, Down> {
    // One transaction, so that the version is the list's.
    let transaction = connection.unchecked_transaction()?;
    let version = version(&transaction)?;
    let mut segments = transaction
        .prepare_cached(
            "SELECT build, start, stop FROM log_index_segment WHERE shard = 0 AND live = 1 ORDER BY start, stop DESC",
        )?
        .query_map([], |found| {
            let (build, from, to) = (build_of(found.get(0)?), unsigned(found.get(1)?), unsigned(found.get(2)?));
            Ok(Segment { build, from, to, header: None })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let mut header =
        transaction.prepare_cached("SELECT header FROM log_index_segment WHERE shard = 0 AND build = $1")?;
    for segment in segments.iter_mut().filter(|segment| !known.contains(&segment.build)) {
        segment.header = Some(header.query_row([build_column(segment.build)], |found| found.get(0))?);
    }
    drop(header);
    transaction.commit()?;
    Ok(SegmentList { version, segments })
}

fn pages(connection: &Connection, pages: &[(u64, u32)]) -> Result<Vec<Option<Vec<u8>>>, Down> {
    let mut statement =
        connection.prepare_cached("SELECT bytes FROM log_index_page WHERE shard = 0 AND build = $1 AND page = $2")?;
    let mut found = Vec::with_capacity(pages.len());
    for (build, page) in pages {
        found.push(statement.query_row(params![build_column(*build), page], |row| row.get(0)).optional()?);
    }
    Ok(found)
}

fn stage(transaction: &Transaction<'_>, build: u64, first: u32, pages: &[Vec<u8>]) -> Result<(), Down> {
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO log_index_segment (shard, build, live, start, stop, header) VALUES (0, $1, 0, 0, 0, x'')",
        )?
        .execute([build_column(build)])?;
    let mut put = transaction
        .prepare_cached("INSERT OR REPLACE INTO log_index_page (shard, build, page, bytes) VALUES (0, $1, $2, $3)")?;
    for (number, page) in (first..).zip(pages) {
        put.execute(params![build_column(build), number, page])?;
    }
    Ok(())
}

fn change(transaction: &Transaction<'_>, change: &SegmentChange) -> Result<bool, Down> {
    if version(transaction)? != change.version {
        return Ok(false);
    }
    transaction.prepare_cached("UPDATE log_index SET version = version + 1 WHERE shard = 0")?.execute([])?;
    let mut remove = transaction
        .prepare_cached("UPDATE log_index_segment SET live = 0, header = x'' WHERE shard = 0 AND build = $1")?;
    for build in &change.remove {
        remove.execute([build_column(*build)])?;
    }
    if let Some(segment) = &change.add {
        transaction
            .prepare_cached(
                "INSERT INTO log_index_segment (shard, build, live, start, stop, header) VALUES (0, $1, 1, $2, $3, $4)
                 ON CONFLICT (shard, build) DO UPDATE SET live = 1, start = excluded.start, stop = excluded.stop, header = excluded.header",
            )?
            .execute(params![
                build_column(segment.build),
                signed(segment.from),
                signed(segment.to),
                segment.header.as_deref().unwrap_or_default()
            ])?;
    }
    Ok(true)
}

fn drop_pages(transaction: &Transaction<'_>, before: u64, n: u32) -> Result<u64, Down> {
    let idle = transaction
        .prepare_cached(
            "SELECT build FROM log_index_segment s WHERE shard = 0 AND live = 0 AND build < $1
             AND NOT EXISTS (SELECT 1 FROM search_segment g WHERE g.build = s.build) ORDER BY build LIMIT 1",
        )?
        .query_row([signed(before)], |found| found.get::<_, i64>(0))
        .optional()?;
    let Some(build) = idle else { return Ok(0) };
    let gone = transaction
        .prepare_cached(
            "DELETE FROM log_index_page WHERE rowid IN
             (SELECT rowid FROM log_index_page WHERE shard = 0 AND build = $1 ORDER BY page LIMIT $2)",
        )?
        .execute(params![build, n])?;
    if gone < n as usize {
        transaction.prepare_cached("DELETE FROM log_index_segment WHERE shard = 0 AND build = $1")?.execute([build])?;
    }
    // The last one of a build counts, so that whoever asks for more until nothing went goes on with the next.
    Ok(gone.max(1) as u64)
}

fn entries_at(connection: &Connection, indexes: &[u64]) -> Result<Vec<LogEntry>, Down> {
    let mut asked = indexes.to_vec();
    asked.sort_unstable();
    asked.dedup();
    // One moment, so that nothing is archived between two of them.
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare_cached("SELECT leaf FROM entry WHERE place = $1")?;
    let mut entries = Vec::with_capacity(asked.len());
    let mut lacking = BTreeSet::new();
    for index in asked {
        let entry = statement
            .query_row([place(index)], |found| Ok(LogEntry { index, leaf: found.get(0)?, personal: Vec::new() }))
            .optional()?;
        match entry {
            Some(entry) => entries.push(entry),
            None => drop(lacking.insert(index)),
        }
    }
    drop(statement);
    if !lacking.is_empty() {
        entries.extend(archive::entries_at(&transaction, &lacking)?);
        entries.sort_unstable_by_key(|entry| entry.index);
    }
    transaction.commit()?;
    Ok(entries)
}

impl LogIndexStore for SqliteStore {
    fn segments<'a>(&'a self, known: &'a [u64]) -> BoxFuture<'a, Result<SegmentList, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(segments(connection, known)?)) })
    }

    fn segment_pages<'a>(&'a self, asked: &'a [(u64, u32)]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(pages(connection, asked)?)) })
    }

    fn stage_pages<'a>(
        &'a self,
        build: u64,
        first: u32,
        pages: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let pages = pages.to_vec();
        Box::pin(
            self.on_writer(move |writer| writer.task(false, |transaction| stage(transaction, build, first, &pages))),
        )
    }

    fn change_segments(&self, asked: SegmentChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.on_writer(move |writer| writer.task(false, |transaction| change(transaction, &asked))))
    }

    fn drop_pages(&self, before: u64, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.on_writer(move |writer| writer.task(false, |transaction| drop_pages(transaction, before, n))))
    }

    fn entries_at<'a>(&'a self, indexes: &'a [u64]) -> BoxFuture<'a, Result<Vec<LogEntry>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(entries_at(connection, indexes)?)) })
    }
}
