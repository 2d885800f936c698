//! Archived entries in SQLite.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction, params};
use tenure_core::store::port::{LogEntry, StoreError};

use super::reader::{self, Down};
use crate::archive::{self, WIDTH, bundle_of, bundles};
use crate::row::{place, signed, unsigned};

/// How many bundles there are, which is the number of the next one.
pub(super) fn archived(connection: &Connection) -> Result<u64, Down> {
    let newest = connection
        .prepare_cached("SELECT max(bundle) FROM archive")?
        .query_row([], |row| row.get::<_, Option<i64>>(0))?;
    Ok(newest.map_or(0, |newest| unsigned(newest) + 1))
}

/// The archived entries from `from` on that come before `until`, at most those of the bundles that `n` entries are in.
pub(super) fn entries(connection: &Connection, from: u64, until: u64, n: u16) -> Result<Vec<LogEntry>, Down> {
    let mut statement = connection.prepare_cached(
        "SELECT a.bundle, a.bytes, t.bytes FROM archive a LEFT JOIN tile t ON t.shard = 0 AND t.level = 0 AND t.idx = a.bundle
         WHERE a.bundle BETWEEN $1 AND $2 ORDER BY a.bundle LIMIT $3",
    )?;
    let mut rows = statement.query(params![
        signed(bundle_of(from)),
        signed(bundle_of(until.saturating_sub(1))),
        signed(bundles(from, n))
    ])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let (bytes, tile): (Vec<u8>, Option<Vec<u8>>) = (row.get(1)?, row.get(2)?);
        let wanted = |index| (from..until).contains(&index);
        entries.extend(archive::open(unsigned(row.get(0)?), &bytes, &tile.unwrap_or_default(), wanted));
    }
    Ok(entries)
}

/// Those of these entries that are archived; each bundle is opened once.
pub(super) fn entries_at(connection: &Connection, indexes: &BTreeSet<u64>) -> Result<Vec<LogEntry>, Down> {
    let mut statement = connection.prepare_cached(
        "SELECT a.bytes, t.bytes FROM archive a LEFT JOIN tile t ON t.shard = 0 AND t.level = 0 AND t.idx = a.bundle WHERE a.bundle = $1",
    )?;
    let bundles: BTreeSet<u64> = indexes.iter().map(|index| bundle_of(*index)).collect();
    let mut entries = Vec::with_capacity(indexes.len());
    for bundle in bundles {
        let mut rows = statement.query([signed(bundle)])?;
        if let Some(row) = rows.next()? {
            let (bytes, tile): (Vec<u8>, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?);
            let wanted = |index| indexes.contains(&index);
            entries.extend(archive::open(bundle, &bytes, &tile.unwrap_or_default(), wanted));
        }
    }
    Ok(entries)
}

/// A bundle as it will be archived, if it is sealed.
pub(super) fn packed(connection: &Connection, bundle: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let tile = reader::tile(connection, 0, bundle)?;
    let Some(tile) = tile else { return Ok(None) };
    let first = bundle.saturating_mul(WIDTH);
    let leaves: Vec<Vec<u8>> = connection
        .prepare_cached("SELECT leaf FROM entry WHERE place BETWEEN $1 AND $2 ORDER BY place")
        .and_then(|mut statement| {
            statement.query_map(params![place(first), place(first + WIDTH - 1)], |row| row.get(0))?.collect()
        })
        .map_err(Down)?;
    archive::pack(bundle, &leaves, &tile).map(Some)
}

/// Puts a bundle in the place of its entries.
pub(super) fn put(transaction: &Transaction<'_>, bundle: u64, bytes: &[u8]) -> Result<(), Down> {
    transaction
        .prepare_cached("INSERT OR IGNORE INTO archive (bundle, bytes) VALUES ($1, $2)")?
        .execute(params![signed(bundle), bytes])?;
    let first = bundle.saturating_mul(WIDTH);
    transaction
        .prepare_cached("DELETE FROM entry WHERE place BETWEEN $1 AND $2")?
        .execute(params![place(first), place(first + WIDTH - 1)])?;
    Ok(())
}
