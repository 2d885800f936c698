//! Archived entries in PostgreSQL.

use std::collections::BTreeSet;

use tenure_core::store::port::{LogEntry, StoreError};

use super::session::Pool;
use crate::archive::{self, WIDTH, bundle_of, bundles};
use crate::row::{place, signed, unsigned};

const ARCHIVED: &str = "SELECT max(bundle) FROM archive";

const ENTRIES: &str = "SELECT a.bundle, a.bytes, t.bytes FROM archive a
    LEFT JOIN tile t ON t.shard = 0 AND t.level = 0 AND t.idx = a.bundle
    WHERE a.bundle BETWEEN $1 AND $2 ORDER BY a.bundle LIMIT $3";

const BUNDLES: &str =
    "SELECT a.bundle, a.bytes, t.bytes FROM UNNEST($1::bigint[]) AS k (bundle) JOIN archive a ON a.bundle = k.bundle
    LEFT JOIN tile t ON t.shard = 0 AND t.level = 0 AND t.idx = a.bundle ORDER BY a.bundle";

const LEAVES: &str = "SELECT leaf FROM entry WHERE place BETWEEN $1 AND $2 ORDER BY place";

/// One statement: of two replicas that archive the same, one finds nothing left to do.
const PUT: &str = "WITH put AS (INSERT INTO archive (bundle, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING)
    DELETE FROM entry WHERE place BETWEEN $3 AND $4";

/// How many bundles there are, which is the number of the next one.
pub(super) async fn archived(pool: &Pool) -> Result<u64, StoreError> {
    let found = pool.query(ARCHIVED, &[]).await?;
    Ok(found.first().and_then(|row| row.get::<_, Option<i64>>(0)).map_or(0, |newest| unsigned(newest) + 1))
}

/// The archived entries from `from` on that come before `until`, at most those of the bundles that `n` entries are in.
/// It is asked after the entries that aren't archived: what was archived between the two is found here.
pub(super) async fn entries(pool: &Pool, from: u64, until: u64, n: u16) -> Result<Vec<LogEntry>, StoreError> {
    let (first, last) = (signed(bundle_of(from)), signed(bundle_of(until.saturating_sub(1))));
    let found = pool.query(ENTRIES, &[&first, &last, &signed(bundles(from, n))]).await?;
    Ok(found.iter().flat_map(|row| opened(row, |index| (from..until).contains(&index))).collect())
}

/// Those of these entries that are archived.
pub(super) async fn entries_at(pool: &Pool, indexes: &BTreeSet<u64>) -> Result<Vec<LogEntry>, StoreError> {
    let bundles: BTreeSet<i64> = indexes.iter().map(|index| signed(bundle_of(*index))).collect();
    let bundles: Vec<i64> = bundles.into_iter().collect();
    let found = pool.query(BUNDLES, &[&bundles]).await?;
    Ok(found.iter().flat_map(|row| opened(row, |index| indexes.contains(&index))).collect())
}

/// The entries that are wanted of the columns `bundle, bytes, tile`.
fn opened(row: &tokio_postgres::Row, wanted: impl Fn(u64) -> bool) -> Vec<LogEntry> {
    let tile: Option<&[u8]> = row.get(2);
    archive::open(unsigned(row.get(0)), row.get(1), tile.unwrap_or_default(), wanted)
}

/// Archives a bundle, if it is sealed.
pub(super) async fn archive(pool: &Pool, bundle: u64, tile: Option<Vec<u8>>) -> Result<bool, StoreError> {
    let Some(tile) = tile else { return Ok(false) };
    let first = bundle.saturating_mul(WIDTH);
    let (from, to) = (place(first), place(first + WIDTH - 1));
    let found = pool.query(LEAVES, &[&from, &to]).await?;
    let leaves: Vec<Vec<u8>> = found.iter().map(|row| row.get(0)).collect();
    if leaves.is_empty() && bundle < archived(pool).await? {
        // Another replica was faster.
        return Ok(true);
    }
    let bytes = archive::pack(bundle, &leaves, &tile)?;
    pool.query(PUT, &[&signed(bundle), &bytes, &from, &to]).await?;
    Ok(true)
}
