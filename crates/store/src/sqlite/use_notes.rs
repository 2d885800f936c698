//! Notes of use in SQLite.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tenure_core::store::port::{BoxFuture, RowSealer, StoreError, UseNoteStore};
use tenure_core::store::use_note::{UseChange, UseKey, UseNote};

use super::SqliteStore;
use super::reader::Down;
use super::writer::Writer;
use crate::row::{is_genuine_note, kept_mac, use_column, use_key};

fn note(connection: &Connection, sealer: &dyn RowSealer, key: UseKey) -> Result<Option<Vec<u8>>, Down> {
    let found = connection
        .prepare_cached("SELECT body, mac FROM use_note WHERE shard = 0 AND part = $1 AND identity = $2")?
        .query_row(params![key.part.code(), use_column(key)], |found| Ok((found.get(0)?, found.get::<_, Vec<u8>>(1)?)))
        .optional()?;
    Ok(found.filter(|(body, mac): &(Vec<u8>, _)| is_genuine_note(sealer, key, body, mac)).map(|(body, _)| body))
}

fn behind(
    connection: &Connection,
    sealer: &dyn RowSealer,
    after: Option<UseKey>,
    n: u16,
) -> Result<Vec<UseNote>, Down> {
    let (part, identity) = after.map_or((-1, Vec::new()), |key| (key.part.code(), use_column(key)));
    let found = connection
        .prepare_cached(
            "SELECT part, identity, body, mac FROM use_note WHERE shard = 0 AND (part, identity) > ($1, $2)
             ORDER BY part, identity LIMIT $3",
        )?
        .query_map(params![part, identity, n], |found| {
            let key = use_key(found.get(0)?, found.get_ref(1)?.as_blob()?);
            let (body, mac): (Vec<u8>, Vec<u8>) = (found.get(2)?, found.get(3)?);
            Ok(key.map(|key| {
                let genuine = is_genuine_note(sealer, key, &body, &mac);
                UseNote { key, body: genuine.then_some(body) }
            }))
        })?
        .filter_map(Result::transpose)
        .collect::<Result<_, _>>()?;
    Ok(found)
}

impl Writer {
    fn change_use_notes(&mut self, changes: &[UseChange]) -> Result<Vec<bool>, StoreError> {
        if self.reserve.is_given_up() {
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        let sealer = Arc::clone(&self.sealer);
        self.task(false, move |transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO use_note (shard, part, identity, body, mac) VALUES (0, $1, $2, $3, $4)",
            )?;
            let mut remove =
                transaction.prepare_cached("DELETE FROM use_note WHERE shard = 0 AND part = $1 AND identity = $2")?;
            let mut changed = Vec::with_capacity(changes.len());
            for UseChange { key, before, after } in changes {
                let stands = note(transaction, &*sealer, *key)? == *before;
                let (part, identity) = (key.part.code(), use_column(*key));
                match after {
                    Some(body) if stands => {
                        put.execute(params![part, identity, body, kept_mac(&sealer.use_note(*key, body))])?;
                    }
                    None if stands => {
                        remove.execute(params![part, identity])?;
                    }
                    _ => {}
                }
                changed.push(stands);
            }
            Ok(changed)
        })
    }
}

impl UseNoteStore for SqliteStore {
    fn read_notes<'a>(&'a self, keys: &'a [UseKey]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(async move {
            self.readers.with(|connection| keys.iter().map(|key| Ok(note(connection, &*self.sealer, *key)?)).collect())
        })
    }

    fn change_notes<'a>(&'a self, changes: &'a [UseChange]) -> BoxFuture<'a, Result<Vec<bool>, StoreError>> {
        let changes = changes.to_vec();
        Box::pin(self.on_writer(move |writer| writer.change_use_notes(&changes)))
    }

    fn notes_behind(&self, after: Option<UseKey>, n: u16) -> BoxFuture<'_, Result<Vec<UseNote>, StoreError>> {
        Box::pin(async move { self.readers.with(|connection| Ok(behind(connection, &*self.sealer, after, n)?)) })
    }
}
