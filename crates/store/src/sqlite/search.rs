//! The index of records in SQLite.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tenure_core::store::port::{BoxFuture, StoreError};
use tenure_core::store::row::RowKind;
use tenure_core::store::search::{ChangedRecord, SearchChange, SearchSegment, SearchState, SearchStore};
use tenure_log::packed::{pack_key, unpack_key};

use super::SqliteStore;
use super::reader::Down;
use crate::row::{build_column, build_of, signed, unsigned};

fn version(connection: &Connection, kind: RowKind) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached("SELECT version, next FROM search WHERE kind = $1")?
        .query_row([kind.code()], |found| Ok((unsigned(found.get(0)?), unsigned(found.get(1)?))))
}

fn state(connection: &Connection, kind: RowKind, known: &[(u64, u32)], n: u16) -> Result<SearchState, Down> {
    // One transaction, so that no document is in a segment and not in its place.
    let transaction = connection.unchecked_transaction()?;
    let (version, next) = version(&transaction, kind)?;
    let mut segments = transaction
        .prepare_cached("SELECT build, start, stop, dead FROM search_segment WHERE kind = $1 ORDER BY start")?
        .query_map([kind.code()], |found| {
            let (build, from, to) = (build_of(found.get(0)?), unsigned(found.get(1)?), unsigned(found.get(2)?));
            let dead = u32::try_from(found.get::<_, i64>(3)?).unwrap_or(u32::MAX);
            Ok(SearchSegment { build, from, to, header: None, dead, dead_bits: None })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let mut header = transaction.prepare_cached("SELECT header FROM search_segment WHERE build = $1")?;
    let mut dead_bits = transaction.prepare_cached("SELECT dead_bits FROM search_segment WHERE build = $1")?;
    for segment in &mut segments {
        let known = known.iter().find(|(build, _)| *build == segment.build);
        if known.is_none() {
            segment.header = Some(header.query_row([build_column(segment.build)], |found| found.get(0))?);
        }
        if known.is_none_or(|(_, dead)| *dead != segment.dead) {
            segment.dead_bits = Some(dead_bits.query_row([build_column(segment.build)], |found| found.get(0))?);
        }
    }
    let changed = transaction
        .prepare_cached(
            "SELECT c.id, max(c.revision), p.place FROM search_changed c LEFT JOIN search_place p ON p.kind = c.kind AND p.id = c.id
             WHERE c.kind = $1 GROUP BY c.id ORDER BY c.id LIMIT $2",
        )?
        .query_map(params![kind.code(), u32::from(n) + 1], |found| {
            let place = found.get::<_, Option<i64>>(2)?.map(unsigned);
            Ok(ChangedRecord { id: unpack_key(found.get_ref(0)?.as_blob()?), revision: unsigned(found.get(1)?), place })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    drop((header, dead_bits));
    transaction.commit()?;
    Ok(SearchState { version, next, segments, changed })
}

fn change(transaction: &Transaction<'_>, change: &SearchChange) -> Result<bool, Down> {
    let kind = change.kind;
    if version(transaction, kind)?.0 != change.version {
        return Ok(false);
    }
    transaction
        .prepare_cached("UPDATE search SET version = version + 1, next = $1 WHERE kind = $2")?
        .execute(params![signed(change.next), kind.code()])?;
    let mut remove = transaction.prepare_cached("DELETE FROM search_segment WHERE build = $1")?;
    for build in &change.remove {
        remove.execute([build_column(*build)])?;
    }
    let mut put = transaction.prepare_cached(
        "INSERT INTO search_segment (build, kind, start, stop, dead, dead_bits, header) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (build) DO UPDATE SET dead = excluded.dead, dead_bits = excluded.dead_bits",
    )?;
    for segment in &change.put {
        put.execute(params![
            build_column(segment.build),
            kind.code(),
            signed(segment.from),
            signed(segment.to),
            segment.dead,
            segment.dead_bits.as_deref().unwrap_or_default(),
            segment.header.as_deref().unwrap_or_default()
        ])?;
    }
    let mut place =
        transaction.prepare_cached("INSERT OR REPLACE INTO search_place (kind, id, place) VALUES ($1, $2, $3)")?;
    let mut folded =
        transaction.prepare_cached("DELETE FROM search_changed WHERE kind = $1 AND id = $2 AND revision <= $3")?;
    for placed in &change.placed {
        let id = pack_key(&placed.id);
        place.execute(params![kind.code(), id, signed(placed.place)])?;
        folded.execute(params![kind.code(), id, signed(placed.revision)])?;
    }
    Ok(true)
}

fn fold_again(
    transaction: &Transaction<'_>,
    kind: RowKind,
    places: &Range<u64>,
    after: &[u8],
    n: u32,
) -> Result<Option<String>, Down> {
    let last: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT id FROM search_place WHERE kind = $1 AND id > $2 ORDER BY id LIMIT 1 OFFSET $3")?
        .query_row(params![kind.code(), after, n.saturating_sub(1)], |found| found.get(0))
        .optional()?;
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO search_changed (kind, id, revision)
             SELECT p.kind, p.id, r.revision FROM search_place p JOIN record r ON r.shard = 0 AND r.kind = p.kind AND r.id = p.id
             WHERE p.kind = $1 AND p.id > $2 AND ($3 IS NULL OR p.id <= $3) AND p.place >= $4 AND p.place < $5",
        )?
        .execute(params![kind.code(), after, last, signed(places.start), signed(places.end)])?;
    Ok(last.map(|id| unpack_key(&id)))
}

fn fold_anew(transaction: &Transaction<'_>, kind: RowKind, after: &[u8], n: u32) -> Result<Option<String>, Down> {
    let last: Option<Vec<u8>> = transaction
        .prepare_cached(
            "SELECT id FROM record WHERE shard = 0 AND kind = $1 AND id > $2 ORDER BY id LIMIT 1 OFFSET $3",
        )?
        .query_row(params![kind.code(), after, n.saturating_sub(1)], |found| found.get(0))
        .optional()?;
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO search_changed (kind, id, revision)
             SELECT kind, id, revision FROM record
             WHERE shard = 0 AND kind = $1 AND id > $2 AND ($3 IS NULL OR id <= $3)",
        )?
        .execute(params![kind.code(), after, last])?;
    Ok(last.map(|id| unpack_key(&id)))
}

impl SearchStore for SqliteStore {
    fn search_state<'a>(
        &'a self,
        kind: RowKind,
        known: &'a [(u64, u32)],
        n: u16,
    ) -> BoxFuture<'a, Result<SearchState, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(state(connection, kind, known, n)?)) })
    }

    fn change_search(&self, asked: SearchChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.on_writer(move |writer| writer.task(false, |transaction| change(transaction, &asked))))
    }

    fn fold_again<'a>(
        &'a self,
        kind: RowKind,
        places: Range<u64>,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        let after = after.map(pack_key).unwrap_or_default();
        Box::pin(self.on_writer(move |writer| {
            writer.task(false, |transaction| fold_again(transaction, kind, &places, &after, n))
        }))
    }

    fn fold_anew<'a>(
        &'a self,
        kind: RowKind,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        let after = after.map(pack_key).unwrap_or_default();
        Box::pin(
            self.on_writer(move |writer| writer.task(false, |transaction| fold_anew(transaction, kind, &after, n))),
        )
    }
}
