//! Reads, leases and derived state: one statement each.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{
    Beside, Claimed, Deadline, EntryPersonal, Head, IndexEntry, LastUse, ListQuery, LogEntry, Page, RowSealer, Seal,
    Sealed, Snapshot, StoreError,
};
use tenure_core::store::row::{Row, RowKey};
use tenure_core::store::search::moved_by_use;
use tenure_log::leaf_hash;
use tenure_log::packed::{pack_key, unpack_key};
use tokio_postgres::types::ToSql;

use super::session::{Address, Pool};
use super::{Highest, archive};
use crate::archive::joined;
use crate::row::{
    Found, Listed, add_personal, bears, bears_all, hash, is_genuine, kept_mac, limit_of, list_sql, opened, page, place,
    signed, term_key, terms_beside, text, unsigned,
};

/// Entries that are read at once for their hashes, where they are archived.
const ARCHIVED_PAGE: u16 = 1_024;

pub(super) struct Reader {
    pub(super) pool: Pool,
    pub(super) sealer: Arc<dyn RowSealer>,
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

const ENTRIES: &str = "SELECT place, leaf FROM entry WHERE place >= $1 ORDER BY place LIMIT $2";

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

/// The subjects whose stamp somebody else wrote get the new one, however late the old one is.
const TOUCH: &str = "INSERT INTO last_use (shard, subject, at, mac)
    SELECT 0, u.subject, u.at, u.mac FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[]) AS u (subject, at, mac) ORDER BY u.subject
    ON CONFLICT (shard, subject) DO UPDATE SET at = excluded.at, mac = excluded.mac
    WHERE last_use.at < excluded.at OR last_use.subject = ANY($4::bytea[])";

/// Records that go elsewhere in the order of last uses.
const MOVED: &str = "INSERT INTO search_changed (kind, id, revision)
    SELECT r.kind, r.id, r.revision FROM UNNEST($1::smallint[], $2::bytea[]) AS k (kind, id)
    JOIN record r ON r.shard = 0 AND r.kind = k.kind AND r.id = k.id ON CONFLICT DO NOTHING";

/// One statement, so that no commit comes between a row and its index.
const BESIDE: &str = "WITH asked AS MATERIALIZED (
      SELECT a.n, bool_and(EXISTS (SELECT 1 FROM term t WHERE t.shard = 0 AND t.kind = a.kind AND t.term = a.term AND t.id = a.id)) AS indexed
      FROM UNNEST($3::bigint[], $4::smallint[], $5::bytea[], $6::bytea[]) AS a (n, kind, id, term) GROUP BY a.n)
    SELECT k.n, r.revision, r.terms, r.drop_after, coalesce(asked.indexed, true)
    FROM UNNEST($1::smallint[], $2::bytea[]) WITH ORDINALITY AS k (kind, id, n)
    JOIN record r ON r.shard = 0 AND r.kind = k.kind AND r.id = k.id LEFT JOIN asked ON asked.n = k.n";

const INDEX: &str = "SELECT t.kind, t.term, t.id, r.terms FROM term t LEFT JOIN record r ON r.shard = 0 AND r.kind = t.kind AND r.id = t.id
    WHERE t.shard = 0 AND (t.kind, t.term, t.id) > ($1::smallint, $2::bytea, $3::bytea) ORDER BY t.kind, t.term, t.id LIMIT $4";

const DEADLINES: &str = "SELECT k.n, d.due_at, d.fence, d.lease_until FROM UNNEST($1::smallint[], $2::bytea[]) WITH ORDINALITY AS k (kind, subject, n)
    JOIN due d ON d.shard = 0 AND d.kind = k.kind AND d.subject = k.subject";

impl Reader {
    pub(super) fn new(address: Address, sealer: Arc<dyn RowSealer>, highest: Arc<Highest>) -> Self {
        Self { pool: Pool::new(address), sealer, highest }
    }

    pub(super) async fn load(&self, keys: &[RowKey]) -> Result<Snapshot, StoreError> {
        if keys.is_empty() {
            return Ok(Snapshot { rows: Vec::new(), head: self.head().await?.size });
        }
        let kinds: Vec<i16> = keys.iter().map(|key| i16::from(key.kind.code())).collect();
        let ids: Vec<Vec<u8>> = keys.iter().map(|key| pack_key(&key.id)).collect();
        let known = self.highest.known();
        let found = self.pool.query(LOAD, &[&kinds, &ids]).await?;
        let mut rows: Vec<Option<Arc<Row>>> = vec![None; keys.len()];
        let mut head = 0;
        for row in &found {
            head = unsigned(row.get(0));
            let place = usize::try_from(row.get::<_, i64>(1) - 1).unwrap_or(usize::MAX);
            if let (Some(slot), Some(key), Some(_)) =
                (rows.get_mut(place), keys.get(place), row.get::<_, Option<i64>>(2))
            {
                *slot = Some(self.checked(key.clone(), row, 2)?);
            }
        }
        self.highest.check(known, head)?;
        Ok(Snapshot { rows, head })
    }

    pub(super) async fn page(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let limit = limit_of(query);
        let kind = i16::from(query.kind.code());
        let after = pack_key(query.after.as_deref().unwrap_or_default());
        let bound = signed(limit as u64);
        let key = |term: &String| term_key(query.kind.code(), term);
        let terms: Vec<Vec<u8>> = query.terms.iter().chain(&query.without).map(key).collect();
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&kind, &after, &bound];
        params.extend(terms.iter().map(|term| term as &(dyn ToSql + Sync)));
        let found = self.pool.query(&list_sql(query, "JOIN", '$'), &params).await?;
        let listed = |row: &tokio_postgres::Row| {
            let id = unpack_key(row.get(5));
            let key = RowKey { kind: query.kind, id: id.clone() };
            Listed { id, bears: bears_all(row.get(6), &query.terms), row: self.checked(key, row, 0) }
        };
        page(found.iter().map(listed).collect(), limit)
    }

    /// A row from the columns `revision, created, position, mac, body` that start at `first`.
    fn checked(&self, key: RowKey, found: &tokio_postgres::Row, first: usize) -> Result<Arc<Row>, StoreError> {
        let number = |n: usize| unsigned(found.get(first + n));
        let columns = Found {
            revision: number(0),
            created: number(1),
            position: number(2),
            mac: found.get(first + 3),
            body: found.get(first + 4),
        };
        Ok(Arc::new(opened(&*self.sealer, key, &columns)?))
    }

    pub(super) async fn head(&self) -> Result<Head, StoreError> {
        let known = self.highest.known();
        let found = self.pool.query(HEAD, &[]).await?;
        let row = found.first().ok_or_else(|| StoreError::Unavailable("the log's head is missing".into()))?;
        let head = Head { size: unsigned(row.get(0)), last_at: Timestamp::from_micros(row.get(1)) };
        self.highest.check(known, head.size)?;
        Ok(head)
    }

    pub(super) async fn claim(
        &self,
        kind: DueKind,
        now: Timestamp,
        lease: Span,
        n: u16,
    ) -> Result<Vec<Claimed>, StoreError> {
        let found = self
            .pool
            .query(CLAIM, &[&i16::from(kind.code()), &now.as_micros(), &now.plus(lease).as_micros(), &i64::from(n)])
            .await?;
        let mut claimed: Vec<Claimed> = found
            .iter()
            .map(|row| Claimed {
                kind,
                subject: unpack_key(row.get(0)),
                due_at: Timestamp::from_micros(row.get(1)),
                fence: unsigned(row.get(2)),
            })
            .collect();
        claimed.sort_by(|a, b| (a.due_at, &a.subject).cmp(&(b.due_at, &b.subject)));
        Ok(claimed)
    }

    pub(super) async fn entries(&self, from: u64, n: u16) -> Result<Vec<LogEntry>, StoreError> {
        let found = self.pool.query(ENTRIES, &[&place(from), &i64::from(n)]).await?;
        let entry = |row: &tokio_postgres::Row| LogEntry {
            index: unsigned(row.get(0)),
            leaf: row.get(1),
            personal: Vec::new(),
        };
        let mut entries: Vec<LogEntry> = found.iter().map(entry).collect();
        let until = entries.first().map_or(u64::MAX, |first| first.index);
        // Whoever waits for what comes next asks for nothing that is archived.
        if until > from && from < self.highest.known() {
            let archived = archive::entries(&self.pool, from, until, n).await?;
            entries = joined(from, usize::from(n), archived, entries);
        }
        let (Some(first), Some(last)) =
            (entries.first().map(|entry| entry.index), entries.last().map(|entry| entry.index))
        else {
            return Ok(entries);
        };
        for row in self.pool.query(PERSONAL, &[&signed(first), &signed(last)]).await? {
            let (subject, field, value) = (text(row.get(1)), text(row.get(2)), text(row.get(4)));
            let personal = EntryPersonal { subject, field, salt: hash(row.get(3))?, value };
            add_personal(&mut entries, unsigned(row.get(0)), personal);
        }
        Ok(entries)
    }

    pub(super) async fn archived(&self) -> Result<u64, StoreError> {
        archive::archived(&self.pool).await
    }

    pub(super) async fn archive(&self, bundle: u64) -> Result<bool, StoreError> {
        archive::archive(&self.pool, bundle, self.tile(0, bundle).await?).await
    }

    pub(super) async fn leaf_hashes(&self, from: u64, n: u32) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "SELECT place, leaf FROM entry WHERE place >= $1 ORDER BY place LIMIT $2";
        let found = self.pool.query(sql, &[&place(from), &i64::from(n)]).await?;
        if found.first().is_some_and(|row| unsigned(row.get(0)) == from) {
            return Ok(found.iter().map(|row| leaf_hash(row.get(1))).collect());
        }
        // From the archive, then.
        let mut hashes = Vec::new();
        while let Some(left) = n.checked_sub(u32::try_from(hashes.len()).unwrap_or(u32::MAX)).filter(|left| *left > 0) {
            let next = from.saturating_add(hashes.len() as u64);
            let page = u16::try_from(left).unwrap_or(ARCHIVED_PAGE).min(ARCHIVED_PAGE);
            let entries = self.entries(next, page).await?;
            if entries.first().is_none_or(|first| first.index != next) {
                break;
            }
            hashes.extend(entries.iter().map(|entry| leaf_hash(&entry.leaf)));
        }
        Ok(hashes)
    }

    pub(super) async fn sealed(&self) -> Result<Option<Sealed>, StoreError> {
        let found = self.pool.query("SELECT size, frontier, checkpoint, at FROM sealed WHERE shard = 0", &[]).await?;
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
            .query(SEAL, &[&from, &size, &seal.frontier, &checkpoint, &seal.at.as_micros(), &levels, &indexes, &bytes])
            .await?;
        Ok(found.first().is_some_and(|row| row.get::<_, i64>(0) == 1))
    }

    pub(super) async fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT bytes FROM tile WHERE shard = 0 AND level = $1 AND idx = $2";
        let found = self.pool.query(sql, &[&i16::from(level), &signed(index)]).await?;
        Ok(found.first().map(|row| row.get(0)))
    }

    pub(super) async fn beside(&self, rows: &[(RowKey, Vec<String>)]) -> Result<Vec<Option<Beside>>, StoreError> {
        let kinds: Vec<i16> = rows.iter().map(|(key, _)| i16::from(key.kind.code())).collect();
        let ids: Vec<Vec<u8>> = rows.iter().map(|(key, _)| pack_key(&key.id)).collect();
        let asked = || (1_i64..).zip(rows).flat_map(|(n, (key, terms))| terms.iter().map(move |term| (n, key, term)));
        let places: Vec<i64> = asked().map(|(n, ..)| n).collect();
        let term_kinds: Vec<i16> = asked().map(|(_, key, _)| i16::from(key.kind.code())).collect();
        let term_ids: Vec<Vec<u8>> = asked().map(|(_, key, _)| pack_key(&key.id)).collect();
        let terms: Vec<Vec<u8>> = asked().map(|(_, key, term)| term_key(key.kind.code(), term)).collect();
        let found = self.pool.query(BESIDE, &[&kinds, &ids, &places, &term_kinds, &term_ids, &terms]).await?;
        let mut beside = vec![None; rows.len()];
        for row in &found {
            if let Some(slot) = beside.get_mut(place_of(row)) {
                *slot = Some(Beside {
                    revision: unsigned(row.get(1)),
                    terms: terms_beside(row.get(2)),
                    indexed: row.get(4),
                    droppable_after: row.get::<_, Option<i64>>(3).map(Timestamp::from_micros),
                });
            }
        }
        Ok(beside)
    }

    pub(super) async fn index(&self, after: &IndexEntry, n: u16) -> Result<Vec<IndexEntry>, StoreError> {
        let found = self.pool.query(INDEX, &[&i16::from(after.kind), &after.term, &after.id, &i64::from(n)]).await?;
        let entry = |row: &tokio_postgres::Row| {
            let kind = u8::try_from(row.get::<_, i16>(0)).unwrap_or(u8::MAX);
            let borne = bears(kind, row.get(3), row.get(1));
            IndexEntry { kind, term: row.get(1), id: row.get(2), borne }
        };
        Ok(found.iter().map(entry).collect())
    }

    pub(super) async fn deadlines(&self, of: &[(DueKind, String)]) -> Result<Vec<Option<Deadline>>, StoreError> {
        let kinds: Vec<i16> = of.iter().map(|(kind, _)| i16::from(kind.code())).collect();
        let subjects: Vec<Vec<u8>> = of.iter().map(|(_, subject)| pack_key(subject)).collect();
        let found = self.pool.query(DEADLINES, &[&kinds, &subjects]).await?;
        let mut deadlines = vec![None; of.len()];
        for row in &found {
            if let Some(slot) = deadlines.get_mut(place_of(row)) {
                *slot = Some(Deadline {
                    due_at: Timestamp::from_micros(row.get(1)),
                    fence: unsigned(row.get(2)),
                    leased_until: row.get::<_, Option<i64>>(3).map(Timestamp::from_micros),
                });
            }
        }
        Ok(deadlines)
    }

    pub(super) async fn touch(&self, used: &[(String, Timestamp)]) -> Result<(), StoreError> {
        let mut latest: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for (subject, at) in used {
            latest.entry(subject).and_modify(|known| *known = (*known).max(*at)).or_insert(*at);
        }
        let subjects: Vec<Vec<u8>> = latest.keys().map(|subject| pack_key(subject)).collect();
        let times: Vec<i64> = latest.values().map(|at| at.as_micros()).collect();
        let macs: Vec<Vec<u8>> =
            latest.iter().map(|(subject, at)| kept_mac(&self.sealer.last_use(subject, *at)).to_vec()).collect();
        let noted = self
            .pool
            .query("SELECT subject, at, mac FROM last_use WHERE shard = 0 AND subject = ANY($1::bytea[])", &[&subjects])
            .await?;
        let forged: Vec<&[u8]> = noted
            .iter()
            .filter(|row| !is_genuine(&*self.sealer, &unpack_key(row.get(0)), row.get(1), row.get(2)))
            .map(|row| row.get(0))
            .collect();
        self.pool.query(TOUCH, &[&subjects, &times, &macs, &forged]).await?;
        let known: BTreeMap<String, Timestamp> = noted
            .iter()
            .filter(|row| !forged.contains(&row.get::<_, &[u8]>(0)))
            .map(|row| (unpack_key(row.get(0)), Timestamp::from_micros(row.get(1))))
            .collect();
        let moved = |(subject, at): (&&str, &Timestamp)| moved_by_use(subject, known.get(*subject).copied(), *at);
        let moved: Vec<RowKey> = latest.iter().filter_map(moved).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let kinds: Vec<i16> = moved.iter().map(|key| i16::from(key.kind.code())).collect();
        let ids: Vec<Vec<u8>> = moved.iter().map(|key| pack_key(&key.id)).collect();
        self.pool.query(MOVED, &[&kinds, &ids]).await.map(drop)
    }

    pub(super) async fn last_used_each(&self, subjects: &[String]) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let keys: Vec<Vec<u8>> = subjects.iter().map(|subject| pack_key(subject)).collect();
        let sql = "SELECT k.n, u.at, u.mac FROM UNNEST($1::bytea[]) WITH ORDINALITY AS k (subject, n)
            JOIN last_use u ON u.shard = 0 AND u.subject = k.subject";
        let mut uses = vec![None; subjects.len()];
        for row in self.pool.query(sql, &[&keys]).await? {
            let place = place_of(&row);
            if let (Some(slot), Some(subject)) = (uses.get_mut(place), subjects.get(place))
                && is_genuine(&*self.sealer, subject, row.get(1), row.get(2))
            {
                *slot = Some(Timestamp::from_micros(row.get(1)));
            }
        }
        Ok(uses)
    }

    pub(super) async fn last_uses(&self, after: &[u8], n: u16) -> Result<Vec<LastUse>, StoreError> {
        let sql = "SELECT subject, at, mac FROM last_use WHERE shard = 0 AND subject > $1 ORDER BY subject LIMIT $2";
        let found = self.pool.query(sql, &[&after, &i64::from(n)]).await?;
        let stamp = |row: &tokio_postgres::Row| LastUse {
            subject: row.get(0),
            genuine: is_genuine(&*self.sealer, &unpack_key(row.get(0)), row.get(1), row.get(2)),
        };
        Ok(found.iter().map(stamp).collect())
    }
}

/// The place from 0 on that the first column numbers from 1 on.
fn place_of(row: &tokio_postgres::Row) -> usize {
    usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX)
}
