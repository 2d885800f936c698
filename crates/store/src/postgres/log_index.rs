//! The log's index in PostgreSQL: one statement each.

use std::collections::BTreeSet;

use tenure_core::store::log_index::{LogIndexStore, Segment, SegmentChange, SegmentList};
use tenure_core::store::port::{BoxFuture, LogEntry, StoreError};

use super::{PostgresStore, archive};
use crate::row::{build_column, build_of, place, signed, unsigned};

const SEGMENTS: &str = "SELECT i.version, s.build, s.start, s.stop, CASE WHEN s.build = ANY($1::bigint[]) THEN NULL ELSE s.header END
    FROM log_index i LEFT JOIN log_index_segment s ON s.shard = i.shard AND s.live WHERE i.shard = 0 ORDER BY s.start, s.stop DESC";

const PAGES: &str = "SELECT k.n, p.bytes FROM UNNEST($1::bigint[], $2::integer[]) WITH ORDINALITY AS k (build, page, n)
    JOIN log_index_page p ON p.shard = 0 AND p.build = k.build AND p.page = k.page";

const STAGE: &str = "WITH build AS (
      INSERT INTO log_index_segment (shard, build, live, start, stop, header) VALUES (0, $1, false, 0, 0, ''::bytea)
      ON CONFLICT (shard, build) DO NOTHING)
    INSERT INTO log_index_page (shard, build, page, bytes)
    SELECT 0, $1, $2::integer + p.n::integer - 1, p.bytes FROM UNNEST($3::bytea[]) WITH ORDINALITY AS p (bytes, n)
    ON CONFLICT (shard, build, page) DO UPDATE SET bytes = excluded.bytes";

/// Who waits for another's change sees the version that it left, and changes nothing: `won` is empty then.
const CHANGE: &str = "WITH won AS (
      UPDATE log_index SET version = version + 1 WHERE shard = 0 AND version = $1 RETURNING 1),
    removed AS (
      UPDATE log_index_segment SET live = false, header = ''::bytea
      WHERE shard = 0 AND build = ANY($2::bigint[]) AND EXISTS (SELECT 1 FROM won)),
    added AS (
      INSERT INTO log_index_segment (shard, build, live, start, stop, header)
      SELECT 0, a.build, true, a.start, a.stop, a.header
      FROM UNNEST($3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[]) AS a (build, start, stop, header) WHERE EXISTS (SELECT 1 FROM won)
      ON CONFLICT (shard, build) DO UPDATE SET live = true, start = excluded.start, stop = excluded.stop, header = excluded.header)
    SELECT count(*) FROM won";

/// A build whose pages are all gone goes with the call after; it counts as one, so that whoever asks until nothing went
/// comes to the next.
const DROP: &str = "WITH idle AS MATERIALIZED (
      SELECT build FROM log_index_segment s WHERE shard = 0 AND NOT live AND build < $1
      AND NOT EXISTS (SELECT 1 FROM search_segment g WHERE g.build = s.build) ORDER BY build LIMIT 1 FOR UPDATE SKIP LOCKED),
    chosen AS MATERIALIZED (
      SELECT p.build, p.page FROM idle JOIN log_index_page p ON p.shard = 0 AND p.build = idle.build ORDER BY p.page LIMIT $2),
    pages AS (
      DELETE FROM log_index_page p USING chosen WHERE p.shard = 0 AND p.build = chosen.build AND p.page = chosen.page),
    gone AS (
      DELETE FROM log_index_segment s USING idle WHERE s.shard = 0 AND s.build = idle.build AND NOT s.live AND NOT EXISTS (SELECT 1 FROM chosen))
    SELECT greatest((SELECT count(*) FROM chosen), (SELECT count(*) FROM idle))";

const ENTRIES_AT: &str = "SELECT e.place, e.leaf FROM UNNEST($1::bigint[]) AS k (place)
    CROSS JOIN LATERAL (SELECT place, leaf FROM entry WHERE place = k.place LIMIT 1) AS e ORDER BY e.place";

impl PostgresStore {
    async fn segment_list(&self, known: &[u64]) -> Result<SegmentList, StoreError> {
        let known: Vec<i64> = known.iter().map(|build| build_column(*build)).collect();
        let found = self.reader.pool.query(SEGMENTS, &[&known]).await?;
        let mut list = SegmentList::default();
        for row in &found {
            list.version = unsigned(row.get(0));
            if let Some(build) = row.get::<_, Option<i64>>(1) {
                let (from, to) = (unsigned(row.get(2)), unsigned(row.get(3)));
                list.segments.push(Segment { build: build_of(build), from, to, header: row.get(4) });
            }
        }
        Ok(list)
    }

    async fn pages_of_segments(&self, pages: &[(u64, u32)]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let builds: Vec<i64> = pages.iter().map(|(build, _)| build_column(*build)).collect();
        let numbers: Vec<i32> = pages.iter().map(|(_, page)| column(*page)).collect();
        let mut found: Vec<Option<Vec<u8>>> = vec![None; pages.len()];
        for row in self.reader.pool.query(PAGES, &[&builds, &numbers]).await? {
            let place = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
            if let Some(slot) = found.get_mut(place) {
                *slot = Some(row.get(1));
            }
        }
        Ok(found)
    }

    async fn stage(&self, build: u64, first: u32, pages: &[Vec<u8>]) -> Result<(), StoreError> {
        self.reader.pool.query(STAGE, &[&build_column(build), &column(first), &pages]).await.map(drop)
    }

    async fn change(&self, change: SegmentChange) -> Result<bool, StoreError> {
        let remove: Vec<i64> = change.remove.iter().map(|build| build_column(*build)).collect();
        let add = change.add.as_slice();
        let builds: Vec<i64> = add.iter().map(|segment| build_column(segment.build)).collect();
        let starts: Vec<i64> = add.iter().map(|segment| signed(segment.from)).collect();
        let stops: Vec<i64> = add.iter().map(|segment| signed(segment.to)).collect();
        let headers: Vec<&[u8]> = add.iter().map(|segment| segment.header.as_deref().unwrap_or_default()).collect();
        let version = signed(change.version);
        let found = self.reader.pool.query(CHANGE, &[&version, &remove, &builds, &starts, &stops, &headers]).await?;
        Ok(found.first().is_some_and(|row| row.get::<_, i64>(0) == 1))
    }

    async fn drop_idle_pages(&self, before: u64, n: u32) -> Result<u64, StoreError> {
        let found = self.reader.pool.query(DROP, &[&signed(before), &i64::from(n)]).await?;
        Ok(found.first().map_or(0, |row| unsigned(row.get(0))))
    }

    async fn single_entries(&self, indexes: &[u64]) -> Result<Vec<LogEntry>, StoreError> {
        let mut asked: Vec<i64> = indexes.iter().map(|index| place(*index)).collect();
        asked.sort_unstable();
        asked.dedup();
        let found = self.reader.pool.query(ENTRIES_AT, &[&asked]).await?;
        let entry = |row: &tokio_postgres::Row| {
            let (index, personal) = (unsigned(row.get(0)), Vec::new());
            LogEntry { index, leaf: row.get(1), personal }
        };
        let mut entries: Vec<LogEntry> = found.iter().map(entry).collect();
        let lacking: BTreeSet<u64> = asked
            .iter()
            .map(|place| unsigned(*place))
            .filter(|index| entries.binary_search_by_key(index, |entry| entry.index).is_err())
            .collect();
        if !lacking.is_empty() {
            let archived = archive::entries_at(&self.reader.pool, &lacking).await?;
            entries.extend(archived);
            entries.sort_unstable_by_key(|entry| entry.index);
        }
        Ok(entries)
    }
}

/// The number of a page, or a count, as the engine's signed column.
pub(super) fn column(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl LogIndexStore for PostgresStore {
    fn segments<'a>(&'a self, known: &'a [u64]) -> BoxFuture<'a, Result<SegmentList, StoreError>> {
        Box::pin(self.segment_list(known))
    }

    fn segment_pages<'a>(&'a self, pages: &'a [(u64, u32)]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(self.pages_of_segments(pages))
    }

    fn stage_pages<'a>(
        &'a self,
        build: u64,
        first: u32,
        pages: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.stage(build, first, pages))
    }

    fn change_segments(&self, change: SegmentChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.change(change))
    }

    fn drop_pages(&self, before: u64, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.drop_idle_pages(before, n))
    }

    fn entries_at<'a>(&'a self, indexes: &'a [u64]) -> BoxFuture<'a, Result<Vec<LogEntry>, StoreError>> {
        Box::pin(self.single_entries(indexes))
    }
}
