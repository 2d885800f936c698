//! Reads, leases and derived state: one statement each.

use std::sync::Arc;

use tenure_core::port::{Claimed, DueKind, EntryPersonal, Head, ListQuery, LogEntry, Page, RowSealer, Seal, Sealed, Snapshot, StoreError};
use tenure_core::row::{Position, Row, RowKey};
use tenure_core::time::{Span, Timestamp};
use tokio_postgres::types::ToSql;

use super::Highest;
use super::session::{Address, Pool};
use crate::row::{hash, limit_of, page, signed, text, unsigned, verify};

pub(super) struct Reader {
    pool: Pool,
    sealer: Arc<dyn RowSealer>,
    highest: Arc<Highest>,
}

const HEAD: &str = "SELECT size, last_at FROM head WHERE shard = 0";

const LOAD: &str = "SELECT h.size, k.n, r.revision, r.created, r.position, r.mac, r.body
    FROM head h CROSS JOIN UNNEST($1::smallint[], $2::bytea[]) WITH ORDINALITY AS k (kind, id, n)
    LEFT JOIN LATERAL (SELECT revision, created, position, mac, body FROM record WHERE shard = 0 AND kind = k.kind AND id = k.id LIMIT 1) AS r
    ON true WHERE h.shard = 0";

/// The choice is materialised: as a subquery it would run again for each row of the join, and choose others each time.
const CLAIM: &str = "WITH ready AS MATERIALIZED (
      SELECT subject FROM due WHERE shard = 0 AND kind = $1 AND due_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
      ORDER BY due_at, subject LIMIT $4 FOR UPDATE SKIP LOCKED)
    UPDATE due SET fence = nextval('fence'), lease_until = $3 FROM ready
    WHERE due.shard = 0 AND due.kind = $1 AND due.subject = ready.subject RETURNING due.subject, due.due_at, due.fence";

const ENTRIES: &str = "SELECT idx, hash, leaf FROM entry WHERE shard = 0 AND idx >= $1 ORDER BY idx LIMIT $2";

const PERSONAL: &str = "SELECT idx, subject, field, salt, value FROM personal WHERE shard = 0 AND idx BETWEEN $1 AND $2 ORDER BY idx, field";

/// The second part sees no row of the first that lost: `won` is empty then, and so nothing is inserted.
const SEAL: &str = "WITH won AS (
      INSERT INTO sealed (shard, size, frontier, checkpoint, at)
      SELECT 0, $2::bigint, $3::bytea, $4::bytea, $5::bigint WHERE $1::bigint = 0 OR EXISTS (SELECT 1 FROM sealed WHERE shard = 0)
      ON CONFLICT (shard) DO UPDATE SET size = excluded.size, frontier = excluded.frontier, checkpoint = excluded.checkpoint, at = excluded.at
      WHERE sealed.size = $1::bigint RETURNING 1),
    tiles AS (
      INSERT INTO tile (shard, level, idx, bytes)
      SELECT 0, t.level, t.idx, t.bytes FROM UNNEST($6::smallint[], $7::bigint[], $8::bytea[]) AS t (level, idx, bytes)
      WHERE EXISTS (SELECT 1 FROM won)
      ON CONFLICT (shard, level, idx) DO UPDATE SET bytes = excluded.bytes)
    SELECT count(*) FROM won";

const TOUCH: &str = "INSERT INTO last_used (shard, subject, at)
    SELECT 0, t.subject, max(t.at) FROM UNNEST($1::bytea[], $2::bigint[]) AS t (subject, at) GROUP BY t.subject ORDER BY t.subject
    ON CONFLICT (shard, subject) DO UPDATE SET at = greatest(last_used.at, excluded.at)";

impl Reader {
    pub(super) fn new(address: Address, sealer: Arc<dyn RowSealer>, highest: Arc<Highest>) -> Self {
        Self {
            pool: Pool::new(address),
            sealer,
            highest,
        }
    }

    pub(super) async fn load(&self, keys: &[RowKey]) -> Result<Snapshot, StoreError> {
        if keys.is_empty() {
            return Ok(Snapshot {
                rows: Vec::new(),
                head: self.head().await?.size,
            });
        }
        let kinds: Vec<i16> = keys.iter().map(|key| i16::from(key.kind.code())).collect();
        let ids: Vec<&[u8]> = keys.iter().map(|key| key.id.as_bytes()).collect();
        let known = self.highest.known();
        let found = self.pool.query(LOAD, &[&kinds, &ids]).await?;
        let mut rows: Vec<Option<Arc<Row>>> = vec![None; keys.len()];
        let mut head = 0;
        for row in &found {
            head = unsigned(row.get(0));
            let place = usize::try_from(row.get::<_, i64>(1) - 1).unwrap_or(usize::MAX);
            if let (Some(slot), Some(key), Some(_)) = (rows.get_mut(place), keys.get(place), row.get::<_, Option<i64>>(2)) {
                *slot = Some(self.checked(key.clone(), row, 2)?);
            }
        }
        self.highest.check(known, head)?;
        Ok(Snapshot { rows, head })
    }

    pub(super) async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let limit = limit_of(query);
        let kind = i16::from(query.kind.code());
        let after = query.after.as_deref().unwrap_or_default().as_bytes();
        let bound = signed(limit as u64);
        let terms: Vec<&[u8]> = query.terms.iter().map(|term| term.as_bytes()).collect();
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&kind, &after, &bound];
        params.extend(terms.iter().map(|term| term as &(dyn ToSql + Sync)));
        let found = self.pool.query(&list_sql(terms.len(), query.after.is_some()), &params).await?;
        let rows = found
            .iter()
            .map(|row| {
                self.checked(
                    RowKey {
                        kind: query.kind,
                        id: text(row.get(5)),
                    },
                    row,
                    0,
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(page(rows, limit))
    }

    /// A row from the columns `revision, created, position, mac, body` that start at `first`.
    fn checked(&self, key: RowKey, found: &tokio_postgres::Row, first: usize) -> Result<Arc<Row>, StoreError> {
        let number = |n: usize| unsigned(found.get(first + n));
        let row = Row::new(key, number(0), Position::at(number(1)), Position::at(number(2)), found.get(first + 4));
        verify(&*self.sealer, &row, found.get(first + 3))?;
        Ok(Arc::new(row))
    }

    pub(super) async fn head(&self) -> Result<Head, StoreError> {
        let known = self.highest.known();
        let found = self.pool.query(HEAD, &[]).await?;
        let row = found.first().ok_or_else(|| StoreError::Unavailable("the log's head is missing".into()))?;
        let head = Head {
            size: unsigned(row.get(0)),
            last_at: Timestamp::from_micros(row.get(1)),
        };
        self.highest.check(known, head.size)?;
        Ok(head)
    }

    pub(super) async fn claim(&self, kind: DueKind, now: Timestamp, lease: Span, n: u16) -> Result<Vec<Claimed>, StoreError> {
        let found = self
            .pool
            .query(CLAIM, &[&i16::from(kind.code()), &now.as_micros(), &now.plus(lease).as_micros(), &i64::from(n)])
            .await?;
        let mut claimed: Vec<Claimed> = found
            .iter()
            .map(|row| Claimed {
                kind,
                subject: text(row.get(0)),
                due_at: Timestamp::from_micros(row.get(1)),
                fence: unsigned(row.get(2)),
            })
            .collect();
        claimed.sort_by(|a, b| (a.due_at, &a.subject).cmp(&(b.due_at, &b.subject)));
        Ok(claimed)
    }

    pub(super) async fn entries(&self, from: u64, n: u16) -> Result<Vec<LogEntry>, StoreError> {
        let found = self.pool.query(ENTRIES, &[&signed(from), &i64::from(n)]).await?;
        let mut entries = found
            .iter()
            .map(|row| {
                Ok(LogEntry {
                    index: unsigned(row.get(0)),
                    hash: hash(row.get(1))?,
                    leaf: row.get(2),
                    personal: Vec::new(),
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let (Some(first), Some(last)) = (entries.first().map(|entry| entry.index), entries.last().map(|entry| entry.index)) else {
            return Ok(entries);
        };
        for row in self.pool.query(PERSONAL, &[&signed(first), &signed(last)]).await? {
            let place = usize::try_from(unsigned(row.get(0)) - first).unwrap_or(usize::MAX);
            if let Some(entry) = entries.get_mut(place) {
                let (subject, field, value) = (text(row.get(1)), text(row.get(2)), text(row.get(4)));
                entry.personal.push(EntryPersonal {
                    subject,
                    field,
                    salt: hash(row.get(3))?,
                    value,
                });
            }
        }
        Ok(entries)
    }

    pub(super) async fn leaf_hashes(&self, from: u64, n: u32) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "SELECT hash FROM entry WHERE shard = 0 AND idx >= $1 ORDER BY idx LIMIT $2";
        self.pool
            .query(sql, &[&signed(from), &i64::from(n)])
            .await?
            .iter()
            .map(|row| hash(row.get(0)))
            .collect()
    }

    pub(super) async fn sealed(&self) -> Result<Option<Sealed>, StoreError> {
        let found = self
            .pool
            .query("SELECT size, frontier, checkpoint, at FROM sealed WHERE shard = 0", &[])
            .await?;
        Ok(found.first().map(|row| Sealed {
            size: unsigned(row.get(0)),
            frontier: row.get(1),
            checkpoint: text(row.get(2)),
            at: Timestamp::from_micros(row.get(3)),
        }))
    }

    pub(super) async fn seal(&self, seal: Seal) -> Result<bool, StoreError> {
        let levels: Vec<i16> = seal.tiles.iter().map(|(level, ..)| i16::from(*level)).collect();
        let indexes: Vec<i64> = seal.tiles.iter().map(|(_, index, _)| signed(*index)).collect();
        let bytes: Vec<&[u8]> = seal.tiles.iter().map(|(.., bytes)| bytes.as_slice()).collect();
        let (from, size, checkpoint) = (signed(seal.from), signed(seal.size), seal.checkpoint.as_bytes());
        let found = self
            .pool
            .query(
                SEAL,
                &[&from, &size, &seal.frontier, &checkpoint, &seal.at.as_micros(), &levels, &indexes, &bytes],
            )
            .await?;
        Ok(found.first().is_some_and(|row| row.get::<_, i64>(0) == 1))
    }

    pub(super) async fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT bytes FROM tile WHERE shard = 0 AND level = $1 AND idx = $2";
        let found = self.pool.query(sql, &[&i16::from(level), &signed(index)]).await?;
        Ok(found.first().map(|row| row.get(0)))
    }

    pub(super) async fn touch(&self, used: &[(String, Timestamp)]) -> Result<(), StoreError> {
        let subjects: Vec<&[u8]> = used.iter().map(|(subject, _)| subject.as_bytes()).collect();
        let times: Vec<i64> = used.iter().map(|(_, at)| at.as_micros()).collect();
        self.pool.query(TOUCH, &[&subjects, &times]).await.map(drop)
    }

    pub(super) async fn last_used(&self, subject: &str) -> Result<Option<Timestamp>, StoreError> {
        let found = self
            .pool
            .query("SELECT at FROM last_used WHERE shard = 0 AND subject = $1", &[&subject.as_bytes()])
            .await?;
        Ok(found.first().map(|row| Timestamp::from_micros(row.get(0))))
    }
}

fn list_sql(terms: usize, after: bool) -> String {
    let columns = "SELECT r.revision, r.created, r.position, r.mac, r.body, r.id FROM";
    let greater = if after { ">" } else { ">=" };
    if terms == 0 {
        return format!("{columns} record r WHERE r.shard = 0 AND r.kind = $1 AND r.id {greater} $2 ORDER BY r.id LIMIT $3");
    }
    let mut sql = format!("{columns} term t0");
    for n in 1..terms {
        sql.push_str(&format!(
            " JOIN term t{n} ON t{n}.shard = 0 AND t{n}.kind = $1 AND t{n}.term = ${} AND t{n}.id = t0.id",
            n + 4
        ));
    }
    sql.push_str(&format!(
        " JOIN record r ON r.shard = 0 AND r.kind = $1 AND r.id = t0.id
         WHERE t0.shard = 0 AND t0.kind = $1 AND t0.term = $4 AND t0.id {greater} $2 ORDER BY t0.id LIMIT $3"
    ));
    sql
}
