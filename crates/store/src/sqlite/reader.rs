//! Reads: inline on the caller's thread, as they take microseconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use tenure_core::base::time::Timestamp;
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{
    Beside, Deadline, EntryPersonal, Head, IndexEntry, LastUse, ListQuery, LogEntry, Page, RowSealer, Sealed, Snapshot,
    StoreError,
};
use tenure_core::store::row::{Row, RowKey};
use tenure_log::leaf_hash;
use tenure_log::packed::{pack_key, unpack_key};

use super::archive;
use super::cache::{self, Cache};
use super::open;
use crate::archive::joined;
use crate::row::{
    Found, Listed, add_personal, bears, bears_all, behind, is_genuine, limit_of, list_sql, opened, page, place, signed,
    term_key, terms_beside, text, unsigned,
};

/// Entries that are read at once for their hashes, where they are archived.
const ARCHIVED_PAGE: u16 = 1_024;
/// Records that are counted to tell which of several terms the fewest bear.
const COUNTED: i64 = 100;
/// Idle reader connections that are kept.
const IDLE: usize = 8;

/// Connections for reading: as many as threads read at once.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn close(&self) {
        self.idle.lock().clear();
    }

    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let waiting = self.idle.lock().pop();
        let connection = match waiting {
            Some(connection) => connection,
            None => open::reader(&self.path).map_err(Down)?,
        };
        let found = read(&connection);
        // A read that failed halfway may have left a transaction open: its connection is not used again.
        if connection.is_autocommit() {
            let mut idle = self.idle.lock();
            if idle.len() < IDLE {
                idle.push(connection);
            }
        }
        found
    }
}

/// An error of the engine: nothing was decided.
pub(super) struct Down(pub(super) rusqlite::Error);

impl From<Down> for StoreError {
    fn from(Down(error): Down) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<rusqlite::Error> for Down {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

/// Loads from the cache, and what it doesn't know from the database, all as of one moment.
pub(super) fn load(
    readers: &Readers,
    cache: &Cache,
    sealer: &dyn RowSealer,
    keys: &[RowKey],
) -> Result<Snapshot, StoreError> {
    let (found, stamp) = cache.look(keys);
    if found.iter().all(Option::is_some) {
        return Ok(Snapshot { rows: found.into_iter().map(Option::flatten).collect(), head: stamp.head.size });
    }
    readers.with(|connection| {
        let transaction = connection.unchecked_transaction().map_err(Down)?;
        let head = head(&transaction).map_err(Down)?;
        if head.size < stamp.head.size {
            return Err(behind(head.size, stamp.head.size));
        }
        // If a commit came between, the cached rows are of an older moment than the database's: read all.
        let together = head == stamp.head;
        let mut rows = Vec::with_capacity(keys.len());
        let mut fresh = Vec::new();
        for (key, known) in keys.iter().zip(found) {
            match known {
                Some(row) if together => rows.push(row),
                _ => {
                    let row = row(&transaction, sealer, key)?.map(|(row, _)| row);
                    if together && cache::keeps(key.kind) {
                        fresh.push((key.clone(), row.clone()));
                    }
                    rows.push(row);
                }
            }
        }
        transaction.commit().map_err(Down)?;
        if !fresh.is_empty() {
            cache.fill(stamp, fresh);
        }
        Ok(Snapshot { rows, head: head.size })
    })
}

/// A row and the column of its terms.
type RowAndTerms = (Arc<Row>, Vec<u8>);

/// A row with its terms, its MAC checked.
pub(super) fn row(
    connection: &Connection,
    sealer: &dyn RowSealer,
    key: &RowKey,
) -> Result<Option<RowAndTerms>, StoreError> {
    let found = connection
        .prepare_cached("SELECT revision, created, position, mac, body, terms FROM record WHERE shard = 0 AND kind = $1 AND id = $2")
        .and_then(|mut statement| {
            statement
                .query_row(params![key.kind.code(), pack_key(&key.id)], |found| {
                    Ok((of_columns(sealer, key.clone(), found)?, found.get(5)?))
                })
                .optional()
        })
        .map_err(Down)?;
    match found {
        Some((row, terms)) => Ok(Some((Arc::new(row?), terms))),
        None => Ok(None),
    }
}

/// A row from the columns `revision, created, position, mac, body`, its MAC checked.
fn of_columns(
    sealer: &dyn RowSealer,
    key: RowKey,
    found: &rusqlite::Row<'_>,
) -> rusqlite::Result<Result<Row, StoreError>> {
    let columns = Found {
        revision: unsigned(found.get(0)?),
        created: unsigned(found.get(1)?),
        position: unsigned(found.get(2)?),
        mac: found.get_ref(3)?.as_blob()?,
        body: found.get_ref(4)?.as_blob()?,
    };
    Ok(opened(sealer, key, &columns))
}

pub(super) fn page_of(connection: &Connection, sealer: &dyn RowSealer, query: &ListQuery) -> Result<Page, StoreError> {
    let limit = limit_of(query);
    let after = pack_key(query.after.as_deref().unwrap_or_default());
    let kind = query.kind.code();
    let mut terms: Vec<Vec<u8>> = query.terms.iter().map(|term| term_key(kind, term)).collect();
    lead_by_rarest(connection, kind, &mut terms).map_err(Down)?;
    terms.extend(query.without.iter().map(|term| term_key(kind, term)));
    let bound = signed(limit as u64);
    let mut params: Vec<&dyn ToSql> = vec![&kind, &after, &bound];
    params.extend(terms.iter().map(|term| term as &dyn ToSql));
    let found = connection
        .prepare_cached(&list_sql(query, "CROSS JOIN", '?'))
        .and_then(|mut statement| {
            statement
                .query_map(params.as_slice(), |found| {
                    let id = unpack_key(found.get_ref(5)?.as_blob()?);
                    let bears = bears_all(found.get_ref(6)?.as_blob()?, &query.terms);
                    let row = of_columns(sealer, RowKey { kind: query.kind, id: id.clone() }, found)?;
                    Ok(Listed { id, bears, row: row.map(Arc::new) })
                })?
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(Down)?;
    page(found, limit)
}

/// Puts the term first that the fewest records bear: it leads, and the others are looked up for each of its rows. Whoever
/// asks needn't know which one that is.
fn lead_by_rarest(connection: &Connection, kind: u8, terms: &mut [Vec<u8>]) -> rusqlite::Result<()> {
    if terms.len() < 2 {
        return Ok(());
    }
    let mut borne = connection.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM term WHERE shard = 0 AND kind = ?1 AND term = ?2 LIMIT ?3)",
    )?;
    let mut rarest = (0, i64::MAX);
    for (n, term) in terms.iter().enumerate() {
        let count: i64 = borne.query_row(params![kind, term, COUNTED], |found| found.get(0))?;
        if count < rarest.1 {
            rarest = (n, count);
        }
    }
    terms.swap(0, rarest.0);
    Ok(())
}

pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    connection.prepare_cached("SELECT size, last_at FROM head WHERE shard = 0")?.query_row([], |found| {
        Ok(Head { size: unsigned(found.get(0)?), last_at: Timestamp::from_micros(found.get(1)?) })
    })
}

pub(super) fn entries(connection: &Connection, from: u64, n: u16) -> Result<Vec<LogEntry>, Down> {
    // One transaction, so that neither an erasure nor the archive comes between the reads.
    let transaction = connection.unchecked_transaction()?;
    let hot = transaction
        .prepare_cached("SELECT place, leaf FROM entry WHERE place >= $1 ORDER BY place LIMIT $2")?
        .query_map(params![place(from), n], |found| {
            Ok(LogEntry { index: unsigned(found.get(0)?), leaf: found.get(1)?, personal: Vec::new() })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let until = hot.first().map_or(u64::MAX, |first| first.index);
    let mut entries = hot;
    if until > from {
        let archived = archive::entries(&transaction, from, until, n)?;
        entries = joined(from, usize::from(n), archived, entries);
    }
    if let (Some(first), Some(last)) =
        (entries.first().map(|entry| entry.index), entries.last().map(|entry| entry.index))
    {
        let mut statement = transaction
            .prepare_cached("SELECT idx, subject, field, salt, value FROM personal WHERE shard = 0 AND idx BETWEEN $1 AND $2 ORDER BY idx, field")?;
        let mut found = statement.query(params![signed(first), signed(last)])?;
        while let Some(row) = found.next()? {
            let personal = EntryPersonal {
                subject: text(row.get(1)?),
                field: text(row.get(2)?),
                salt: row.get(3)?,
                value: text(row.get(4)?),
            };
            add_personal(&mut entries, unsigned(row.get(0)?), personal);
        }
    }
    transaction.commit()?;
    Ok(entries)
}

pub(super) fn leaf_hashes(connection: &Connection, from: u64, n: u32) -> Result<Vec<[u8; 32]>, Down> {
    let mut statement =
        connection.prepare_cached("SELECT place, leaf FROM entry WHERE place >= $1 ORDER BY place LIMIT $2")?;
    let hashes: Vec<(u64, [u8; 32])> = statement
        .query_map(params![place(from), n], |found| {
            Ok((unsigned(found.get(0)?), leaf_hash(found.get_ref(1)?.as_blob()?)))
        })?
        .collect::<Result<_, _>>()?;
    if hashes.first().is_some_and(|(first, _)| *first == from) {
        return Ok(hashes.into_iter().map(|(_, hash)| hash).collect());
    }
    // From the archive, then.
    let mut hashes = Vec::new();
    while let Some(left) = n.checked_sub(u32::try_from(hashes.len()).unwrap_or(u32::MAX)).filter(|left| *left > 0) {
        let next = from.saturating_add(hashes.len() as u64);
        let entries = entries(connection, next, u16::try_from(left).unwrap_or(ARCHIVED_PAGE).min(ARCHIVED_PAGE))?;
        if entries.first().is_none_or(|first| first.index != next) {
            break;
        }
        hashes.extend(entries.iter().map(|entry| leaf_hash(&entry.leaf)));
    }
    Ok(hashes)
}

pub(super) fn sealed(connection: &Connection) -> Result<Option<Sealed>, Down> {
    let sealed = connection
        .prepare_cached("SELECT size, frontier, checkpoint, at FROM sealed WHERE shard = 0")?
        .query_row([], |found| {
            Ok(Sealed {
                size: unsigned(found.get(0)?),
                frontier: found.get(1)?,
                checkpoint: text(found.get(2)?),
                at: Timestamp::from_micros(found.get(3)?),
            })
        })
        .optional()?;
    Ok(sealed)
}

pub(super) fn tile(connection: &Connection, level: u8, index: u64) -> Result<Option<Vec<u8>>, Down> {
    let tile = connection
        .prepare_cached("SELECT bytes FROM tile WHERE shard = 0 AND level = $1 AND idx = $2")?
        .query_row(params![level, signed(index)], |found| found.get(0))
        .optional()?;
    Ok(tile)
}

/// As of one moment, so that no commit comes between a row and its index.
pub(super) fn beside(
    connection: &Connection,
    rows: &[(RowKey, Vec<String>)],
) -> Result<Vec<Option<Beside>>, StoreError> {
    let transaction = connection.unchecked_transaction().map_err(Down)?;
    let found =
        rows.iter().map(|(key, terms)| beside_one(&transaction, key, terms)).collect::<Result<_, _>>().map_err(Down)?;
    transaction.commit().map_err(Down)?;
    Ok(found)
}

fn beside_one(connection: &Connection, key: &RowKey, terms: &[String]) -> rusqlite::Result<Option<Beside>> {
    let mut statement = connection
        .prepare_cached("SELECT revision, terms, drop_after FROM record WHERE shard = 0 AND kind = $1 AND id = $2")?;
    let id = pack_key(&key.id);
    let found = statement
        .query_row(params![key.kind.code(), id], |found| {
            Ok(Beside {
                revision: unsigned(found.get(0)?),
                terms: terms_beside(found.get_ref(1)?.as_blob()?),
                indexed: true,
                droppable_after: found.get::<_, Option<i64>>(2)?.map(Timestamp::from_micros),
            })
        })
        .optional()?;
    let Some(mut beside) = found else { return Ok(None) };
    let mut indexed =
        connection.prepare_cached("SELECT 1 FROM term WHERE shard = 0 AND kind = $1 AND term = $2 AND id = $3")?;
    for term in terms {
        beside.indexed &= indexed.exists(params![key.kind.code(), term_key(key.kind.code(), term), id])?;
    }
    Ok(Some(beside))
}

pub(super) fn index(connection: &Connection, after: &IndexEntry, n: u16) -> Result<Vec<IndexEntry>, Down> {
    let entries = connection
        .prepare_cached(
            "SELECT t.kind, t.term, t.id, r.terms FROM term t LEFT JOIN record r ON r.shard = 0 AND r.kind = t.kind AND r.id = t.id
             WHERE t.shard = 0 AND (t.kind, t.term, t.id) > ($1, $2, $3) ORDER BY t.kind, t.term, t.id LIMIT $4",
        )?
        .query_map(params![after.kind, after.term, after.id, n], |found| {
            let (kind, term): (u8, Vec<u8>) = (found.get(0)?, found.get(1)?);
            let column = found.get_ref(3)?.as_blob_or_null()?;
            let borne = bears(kind, column, &term);
            Ok(IndexEntry { kind, term, id: found.get(2)?, borne })
        })?
        .collect::<Result<_, _>>()?;
    Ok(entries)
}

pub(super) fn deadlines(connection: &Connection, of: &[(DueKind, String)]) -> Result<Vec<Option<Deadline>>, Down> {
    let mut statement = connection
        .prepare_cached("SELECT due_at, fence, lease_until FROM due WHERE shard = 0 AND kind = $1 AND subject = $2")?;
    let mut found = Vec::with_capacity(of.len());
    for (kind, subject) in of {
        let deadline = statement.query_row(params![kind.code(), pack_key(subject)], |found| {
            Ok(Deadline {
                due_at: Timestamp::from_micros(found.get(0)?),
                fence: unsigned(found.get(1)?),
                leased_until: found.get::<_, Option<i64>>(2)?.map(Timestamp::from_micros),
            })
        });
        found.push(deadline.optional()?);
    }
    Ok(found)
}

pub(super) fn last_used(
    connection: &Connection,
    sealer: &dyn RowSealer,
    subject: &str,
) -> Result<Option<Timestamp>, Down> {
    let found = connection
        .prepare_cached("SELECT at, mac FROM last_use WHERE shard = 0 AND subject = $1")?
        .query_row(params![pack_key(subject)], |found| Ok((found.get(0)?, found.get::<_, Vec<u8>>(1)?)))
        .optional()?;
    Ok(found.filter(|(at, mac)| is_genuine(sealer, subject, *at, mac)).map(|(at, _)| Timestamp::from_micros(at)))
}

pub(super) fn last_uses(
    connection: &Connection,
    sealer: &dyn RowSealer,
    after: &[u8],
    n: u16,
) -> Result<Vec<LastUse>, Down> {
    let found = connection
        .prepare_cached(
            "SELECT subject, at, mac FROM last_use WHERE shard = 0 AND subject > $1 ORDER BY subject LIMIT $2",
        )?
        .query_map(params![after, n], |found| {
            let subject: Vec<u8> = found.get(0)?;
            let genuine = is_genuine(sealer, &unpack_key(&subject), found.get(1)?, found.get_ref(2)?.as_blob()?);
            Ok(LastUse { subject, genuine })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(super) fn anything_due(connection: &Connection, kind: DueKind, now: Timestamp) -> Result<bool, Down> {
    let due = connection
        .prepare_cached("SELECT 1 FROM due WHERE shard = 0 AND kind = $1 AND due_at <= $2 AND (lease_until IS NULL OR lease_until <= $2) LIMIT 1")?
        .exists(params![kind.code(), now.as_micros()])?;
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarest_term_leads_wherever_it_stands() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute("CREATE TABLE term (shard INTEGER, kind INTEGER, term BLOB, id BLOB)", []).unwrap();
        let (common, rare, none) = (b"common".to_vec(), b"rare".to_vec(), b"none".to_vec());
        for n in 0..200_u32 {
            let term = if n == 0 { &rare } else { &common };
            connection.execute("INSERT INTO term VALUES (0, 7, ?1, ?2)", params![term, n.to_be_bytes()]).unwrap();
        }
        for terms in [vec![&common, &rare], vec![&rare, &common], vec![&common, &common, &rare]] {
            let mut terms: Vec<Vec<u8>> = terms.into_iter().cloned().collect();
            lead_by_rarest(&connection, 7, &mut terms).unwrap();
            assert_eq!(terms.first(), Some(&rare));
        }
        let mut terms = vec![common, rare, none.clone()];
        lead_by_rarest(&connection, 7, &mut terms).unwrap();
        assert_eq!(terms.first(), Some(&none));
    }
}
