//! The index of records in PostgreSQL: one statement each.

use std::ops::Range;

use tenure_core::store::port::{BoxFuture, StoreError};
use tenure_core::store::row::RowKind;
use tenure_core::store::search::{ChangedRecord, SearchChange, SearchSegment, SearchState, SearchStore};
use tenure_log::packed::{pack_key, unpack_key};
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::log_index::column;
use crate::row::{build_column, build_of, signed, unsigned};

/// The segments and the records that changed, as of one moment.
const STATE: &str = "WITH changed AS (
      SELECT c.id, max(c.revision) AS revision FROM search_changed c WHERE c.kind = $1 GROUP BY c.id ORDER BY c.id LIMIT $4)
    SELECT s.version, s.next, g.build, g.start, g.stop, g.dead,
      CASE WHEN k.build IS NULL THEN g.header END, CASE WHEN k.dead IS DISTINCT FROM g.dead THEN g.dead_bits END, NULL::bytea, NULL::bigint, NULL::bigint
    FROM search s LEFT JOIN search_segment g ON g.kind = s.kind
    LEFT JOIN UNNEST($2::bigint[], $3::integer[]) AS k (build, dead) ON k.build = g.build WHERE s.kind = $1
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, c.id, c.revision, p.place
    FROM changed c LEFT JOIN search_place p ON p.kind = $1 AND p.id = c.id";

/// Who waits for another's change sees the version that it left, and changes nothing: `won` is empty then.
const CHANGE: &str = "WITH won AS (
      UPDATE search SET version = version + 1, next = $3 WHERE kind = $1 AND version = $2 RETURNING 1),
    removed AS (
      DELETE FROM search_segment WHERE build = ANY($4::bigint[]) AND EXISTS (SELECT 1 FROM won)),
    put AS (
      INSERT INTO search_segment (build, kind, start, stop, dead, dead_bits, header)
      SELECT p.build, $1, p.start, p.stop, p.dead, p.dead_bits, p.header
      FROM UNNEST($5::bigint[], $6::bigint[], $7::bigint[], $8::integer[], $9::bytea[], $10::bytea[]) AS p (build, start, stop, dead, dead_bits, header)
      WHERE EXISTS (SELECT 1 FROM won)
      ON CONFLICT (build) DO UPDATE SET dead = excluded.dead, dead_bits = excluded.dead_bits),
    placed AS (
      INSERT INTO search_place (kind, id, place)
      SELECT $1, p.id, p.place FROM UNNEST($11::bytea[], $12::bigint[]) AS p (id, place) WHERE EXISTS (SELECT 1 FROM won)
      ON CONFLICT (kind, id) DO UPDATE SET place = excluded.place),
    folded AS (
      DELETE FROM search_changed c USING UNNEST($11::bytea[], $13::bigint[]) AS p (id, revision)
      WHERE c.kind = $1 AND c.id = p.id AND c.revision <= p.revision AND EXISTS (SELECT 1 FROM won))
    SELECT count(*) FROM won";

const FOLD_AGAIN: &str = "WITH looked AS MATERIALIZED (
      SELECT id, place FROM search_place WHERE kind = $1 AND id > $2 ORDER BY id LIMIT $3),
    noted AS (
      INSERT INTO search_changed (kind, id, revision)
      SELECT $1, l.id, r.revision FROM looked l JOIN record r ON r.shard = 0 AND r.kind = $1 AND r.id = l.id
      WHERE l.place >= $4 AND l.place < $5 ON CONFLICT DO NOTHING)
    SELECT id FROM looked ORDER BY id DESC LIMIT 1";

const FOLD_ANEW: &str = "WITH looked AS MATERIALIZED (
      SELECT id, revision FROM record WHERE shard = 0 AND kind = $1 AND id > $2 ORDER BY id LIMIT $3),
    noted AS (
      INSERT INTO search_changed (kind, id, revision) SELECT $1, id, revision FROM looked ON CONFLICT DO NOTHING)
    SELECT id FROM looked ORDER BY id DESC LIMIT 1";

impl PostgresStore {
    async fn state_of_search(&self, kind: RowKind, known: &[(u64, u32)], n: u16) -> Result<SearchState, StoreError> {
        let builds: Vec<i64> = known.iter().map(|(build, _)| build_column(*build)).collect();
        let dead: Vec<i32> = known.iter().map(|(_, dead)| column(*dead)).collect();
        let (code, most) = (i16::from(kind.code()), i64::from(n) + 1);
        let mut state = SearchState::default();
        for row in self.reader.pool.query(STATE, &[&code, &builds, &dead, &most]).await? {
            if let Some(id) = row.get::<_, Option<&[u8]>>(8) {
                let (revision, place) = (unsigned(row.get(9)), row.get::<_, Option<i64>>(10).map(unsigned));
                state.changed.push(ChangedRecord { id: unpack_key(id), revision, place });
                continue;
            }
            (state.version, state.next) = (unsigned(row.get(0)), unsigned(row.get(1)));
            if let Some(build) = row.get::<_, Option<i64>>(2) {
                state.segments.push(SearchSegment {
                    build: build_of(build),
                    from: unsigned(row.get(3)),
                    to: unsigned(row.get(4)),
                    header: row.get(6),
                    dead: u32::try_from(row.get::<_, i32>(5)).unwrap_or(u32::MAX),
                    dead_bits: row.get(7),
                });
            }
        }
        state.segments.sort_unstable_by_key(|segment| segment.from);
        state.changed.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(state)
    }

    async fn change_of_search(&self, change: SearchChange) -> Result<bool, StoreError> {
        let kind = i16::from(change.kind.code());
        let (version, next) = (signed(change.version), signed(change.next));
        let remove: Vec<i64> = change.remove.iter().map(|build| build_column(*build)).collect();
        let builds: Vec<i64> = change.put.iter().map(|segment| build_column(segment.build)).collect();
        let starts: Vec<i64> = change.put.iter().map(|segment| signed(segment.from)).collect();
        let stops: Vec<i64> = change.put.iter().map(|segment| signed(segment.to)).collect();
        let dead: Vec<i32> = change.put.iter().map(|segment| column(segment.dead)).collect();
        let bits: Vec<&[u8]> = change.put.iter().map(|s| s.dead_bits.as_deref().unwrap_or_default()).collect();
        let headers: Vec<&[u8]> = change.put.iter().map(|s| s.header.as_deref().unwrap_or_default()).collect();
        let ids: Vec<Vec<u8>> = change.placed.iter().map(|placed| pack_key(&placed.id)).collect();
        let places: Vec<i64> = change.placed.iter().map(|placed| signed(placed.place)).collect();
        let revisions: Vec<i64> = change.placed.iter().map(|placed| signed(placed.revision)).collect();
        let params: [&(dyn ToSql + Sync); 13] = [
            &kind, &version, &next, &remove, &builds, &starts, &stops, &dead, &bits, &headers, &ids, &places,
            &revisions,
        ];
        let found = self.reader.pool.query(CHANGE, &params).await?;
        Ok(found.first().is_some_and(|row| row.get::<_, i64>(0) == 1))
    }

    async fn note_again(
        &self,
        kind: RowKind,
        places: Range<u64>,
        after: &[u8],
        n: u32,
    ) -> Result<Option<String>, StoreError> {
        let (kind, from, to) = (i16::from(kind.code()), signed(places.start), signed(places.end));
        let found = self.reader.pool.query(FOLD_AGAIN, &[&kind, &after, &i64::from(n), &from, &to]).await?;
        Ok(found.first().map(|row| unpack_key(row.get(0))))
    }
}

impl SearchStore for PostgresStore {
    fn search_state<'a>(
        &'a self,
        kind: RowKind,
        known: &'a [(u64, u32)],
        n: u16,
    ) -> BoxFuture<'a, Result<SearchState, StoreError>> {
        Box::pin(self.state_of_search(kind, known, n))
    }

    fn change_search(&self, change: SearchChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.change_of_search(change))
    }

    fn fold_again<'a>(
        &'a self,
        kind: RowKind,
        places: Range<u64>,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        let after = after.map(pack_key).unwrap_or_default();
        Box::pin(async move { self.note_again(kind, places, &after, n).await })
    }

    fn fold_anew<'a>(
        &'a self,
        kind: RowKind,
        after: Option<&'a str>,
        n: u32,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        let after = after.map(pack_key).unwrap_or_default();
        Box::pin(async move {
            let code = i16::from(kind.code());
            let found = self.reader.pool.query(FOLD_ANEW, &[&code, &after, &i64::from(n)]).await?;
            Ok(found.first().map(|row| unpack_key(row.get(0))))
        })
    }
}
