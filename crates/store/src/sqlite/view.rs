//! What the database holds, to the judge of a batch: the writer asks inside its transaction, so nobody can come
//! between.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use tenure_core::base::time::Timestamp;
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{RowSealer, StoreError};
use tenure_core::store::row::RowKey;
use tenure_log::packed::pack_key;

use super::cache::{self, Cache};
use super::reader::{self, Down};
use crate::batch::{Original, Replaced, View};
use crate::row::{commit_key, leaf_of_entry, once_key, terms_of, unsigned};

pub(super) struct SqliteView<'c> {
    connection: &'c Connection,
    cache: &'c Cache,
    sealer: &'c dyn RowSealer,
    original: CachedStatement<'c>,
    revision: CachedStatement<'c>,
    once: CachedStatement<'c>,
    spent: CachedStatement<'c>,
}

impl<'c> SqliteView<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        cache: &'c Cache,
        sealer: &'c dyn RowSealer,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            cache,
            sealer,
            original: connection.prepare_cached("SELECT place, leaf FROM entry WHERE commit_key = $1")?,
            revision: connection
                .prepare_cached("SELECT revision FROM record WHERE shard = 0 AND kind = $1 AND id = $2")?,
            once: connection.prepare_cached("SELECT until FROM once WHERE shard = 0 AND key = $1")?,
            spent: connection
                .prepare_cached("SELECT spent, until FROM spend WHERE shard = 0 AND budget = $1 AND since = $2")?,
        })
    }
}

impl View for SqliteView<'_> {
    fn original(&mut self, id: &str, events: usize) -> Result<Option<Original>, StoreError> {
        let same = self
            .original
            .query_map([commit_key(id)], |found| Ok((unsigned(found.get(0)?), found.get::<_, Vec<u8>>(1)?)))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(Down)?;
        for (index, leaf) in same {
            let leaf = leaf_of_entry(&leaf)?;
            if leaf.id == id {
                let events = u32::try_from(events).unwrap_or(u32::MAX);
                let leaf_hashes = reader::leaf_hashes(self.connection, index, events)?;
                return Ok(Some(Original { index, at: Timestamp::from_micros(leaf.at), leaf_hashes }));
            }
        }
        Ok(None)
    }

    fn revision(&mut self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        if !cache::keeps_written(key.kind) {
            let revision = self
                .revision
                .query_row(params![key.kind.code(), pack_key(&key.id)], |found| found.get(0))
                .optional()
                .map_err(Down)?;
            return Ok(revision.map(unsigned));
        }
        if let Some(known) = self.cache.revision(key) {
            return Ok(known);
        }
        let row = reader::row(self.connection, self.sealer, key)?.map(|(row, _)| row);
        let revision = row.as_ref().map(|row| row.revision);
        // Nothing of the batch is written yet, and only this thread changes the cache's state.
        self.cache.fill(self.cache.stamp(), [(key.clone(), row.as_ref().map(Arc::clone))]);
        Ok(revision)
    }

    fn replaced(&mut self, key: &RowKey) -> Result<Option<Replaced>, StoreError> {
        match reader::row(self.connection, self.sealer, key)? {
            Some((row, terms)) => {
                Ok(Some(Replaced { revision: row.revision, created: row.created, terms: terms_of(key, &terms)? }))
            }
            None => Ok(None),
        }
    }

    fn once(&mut self, space: &str, key: &str) -> Result<Option<Option<Timestamp>>, StoreError> {
        let until = self
            .once
            .query_row([once_key(space, key)], |found| found.get::<_, Option<i64>>(0))
            .optional()
            .map_err(Down)?;
        Ok(until.map(|until| until.map(Timestamp::from_micros)))
    }

    fn spent(&mut self, budget: &str, window: Timestamp) -> Result<Option<(u32, Timestamp)>, StoreError> {
        let spent = self
            .spent
            .query_row(params![budget.as_bytes(), window.as_micros()], |found| {
                Ok((found.get(0)?, Timestamp::from_micros(found.get(1)?)))
            })
            .optional()
            .map_err(Down)?;
        Ok(spent)
    }

    fn fence(&mut self, kind: DueKind, subject: &str) -> Result<Option<u64>, StoreError> {
        let fence = self
            .connection
            .prepare_cached("SELECT fence FROM due WHERE shard = 0 AND kind = $1 AND subject = $2")
            .and_then(|mut statement| {
                statement.query_row(params![kind.code(), pack_key(subject)], |found| found.get(0)).optional()
            })
            .map_err(Down)?;
        Ok(fence.map(unsigned))
    }
}
