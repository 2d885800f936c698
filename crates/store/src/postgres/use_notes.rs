//! Notes of use in PostgreSQL.

use std::collections::HashMap;

use tenure_core::store::port::{BoxFuture, StoreError, UseNoteStore};
use tenure_core::store::use_note::{UseChange, UseKey, UseNote};

use super::PostgresStore;
use crate::row::{is_genuine_note, kept_mac, use_column, use_key};

const NOTES: &str =
    "SELECT u.part, u.identity, u.body, u.mac FROM UNNEST($1::integer[], $2::bytea[]) AS k (part, identity)
    JOIN use_note u ON u.shard = 0 AND u.part = k.part AND u.identity = k.identity";

/// A note's MAC stands for what it says: who waited for another's change finds another one, and changes nothing.
const CHANGE: &str = "WITH change AS MATERIALIZED (
      SELECT * FROM UNNEST($1::integer[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[]) AS c (part, identity, was, body, mac)
      ORDER BY part, identity),
    put AS (
      UPDATE use_note u SET body = c.body, mac = c.mac FROM change c
      WHERE u.shard = 0 AND u.part = c.part AND u.identity = c.identity AND u.mac = c.was AND c.body IS NOT NULL
      RETURNING u.part, u.identity),
    made AS (
      INSERT INTO use_note (shard, part, identity, body, mac)
      SELECT 0, c.part, c.identity, c.body, c.mac FROM change c WHERE c.was IS NULL AND c.body IS NOT NULL
      ON CONFLICT DO NOTHING RETURNING part, identity),
    gone AS (
      DELETE FROM use_note u USING change c
      WHERE u.shard = 0 AND u.part = c.part AND u.identity = c.identity AND u.mac = c.was AND c.body IS NULL
      RETURNING u.part, u.identity)
    SELECT part, identity FROM put UNION ALL SELECT part, identity FROM made UNION ALL SELECT part, identity FROM gone";

const BEHIND: &str = "SELECT part, identity, body, mac FROM use_note WHERE shard = 0 AND (part, identity) > ($1, $2)
    ORDER BY part, identity LIMIT $3";

/// A note as it stands: what it says if a holder of the key wrote it, and its MAC.
type Standing = (Option<Vec<u8>>, Vec<u8>);

impl PostgresStore {
    async fn standing(&self, keys: impl Iterator<Item = UseKey>) -> Result<HashMap<UseKey, Standing>, StoreError> {
        let (parts, identities): (Vec<i32>, Vec<Vec<u8>>) = keys.map(|key| (key.part.code(), use_column(key))).unzip();
        let found = self.reader.pool.query(NOTES, &[&parts, &identities]).await?;
        Ok(found.iter().filter_map(|row| self.note_of(row)).collect())
    }

    fn note_of(&self, row: &tokio_postgres::Row) -> Option<(UseKey, Standing)> {
        let key = use_key(row.get(0), row.get(1))?;
        let (body, mac): (Vec<u8>, Vec<u8>) = (row.get(2), row.get(3));
        let genuine = is_genuine_note(&*self.reader.sealer, key, &body, &mac);
        Some((key, (genuine.then_some(body), mac)))
    }

    async fn change_standing(&self, changes: &[UseChange]) -> Result<Vec<bool>, StoreError> {
        let standing = self.standing(changes.iter().map(|change| change.key)).await?;
        let (mut parts, mut identities, mut before) = (Vec::new(), Vec::new(), Vec::new());
        let (mut bodies, mut macs) = (Vec::new(), Vec::new());
        let mut settled: HashMap<UseKey, bool> = HashMap::new();
        for UseChange { key, before: was, after } in changes {
            let (body, mac) = standing.get(key).map_or((None, None), |(body, mac)| (body.as_ref(), Some(mac.clone())));
            if body != was.as_ref() || (mac.is_none() && after.is_none()) {
                settled.insert(*key, body == was.as_ref());
                continue;
            }
            parts.push(key.part.code());
            identities.push(use_column(*key));
            before.push(mac);
            bodies.push(after.clone());
            macs.push(after.as_ref().map(|body| kept_mac(&self.reader.sealer.use_note(*key, body)).to_vec()));
        }
        let changed = self.reader.pool.query(CHANGE, &[&parts, &identities, &before, &bodies, &macs]).await?;
        settled.extend(changed.iter().filter_map(|row| Some((use_key(row.get(0), row.get(1))?, true))));
        Ok(changes.iter().map(|change| settled.get(&change.key).copied().unwrap_or_default()).collect())
    }
}

impl UseNoteStore for PostgresStore {
    fn read_notes<'a>(&'a self, keys: &'a [UseKey]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(async move {
            let mut standing = self.standing(keys.iter().copied()).await?;
            Ok(keys.iter().map(|key| standing.remove(key).and_then(|(body, _)| body)).collect())
        })
    }

    fn change_notes<'a>(&'a self, changes: &'a [UseChange]) -> BoxFuture<'a, Result<Vec<bool>, StoreError>> {
        Box::pin(self.change_standing(changes))
    }

    fn notes_behind(&self, after: Option<UseKey>, n: u16) -> BoxFuture<'_, Result<Vec<UseNote>, StoreError>> {
        Box::pin(async move {
            let (part, identity) = after.map_or((-1, Vec::new()), |key| (key.part.code(), use_column(key)));
            let found = self.reader.pool.query(BEHIND, &[&part, &identity, &i64::from(n)]).await?;
            let notes = found.iter().filter_map(|row| self.note_of(row));
            Ok(notes.map(|(key, (body, _))| UseNote { key, body }).collect())
        })
    }
}
