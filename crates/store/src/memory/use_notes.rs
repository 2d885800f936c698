//! Notes of use in memory.

use std::ops::Bound;

use tenure_core::store::port::{BoxFuture, StoreError, UseNoteStore};
use tenure_core::store::use_note::{UseChange, UseKey, UseNote};

use super::MemoryStore;

impl UseNoteStore for MemoryStore {
    fn read_notes<'a>(&'a self, keys: &'a [UseKey]) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(async move {
            let state = self.state.lock();
            Ok(keys.iter().map(|key| state.use_notes.get(key).cloned()).collect())
        })
    }

    fn change_notes<'a>(&'a self, changes: &'a [UseChange]) -> BoxFuture<'a, Result<Vec<bool>, StoreError>> {
        Box::pin(async move {
            let mut state = self.state.lock();
            let change = |change: &UseChange| {
                let stands = state.use_notes.get(&change.key) == change.before.as_ref();
                match (&change.after, stands) {
                    (Some(body), true) => drop(state.use_notes.insert(change.key, body.clone())),
                    (None, true) => drop(state.use_notes.remove(&change.key)),
                    (_, false) => {}
                }
                stands
            };
            Ok(changes.iter().map(change).collect())
        })
    }

    fn notes_behind(&self, after: Option<UseKey>, n: u16) -> BoxFuture<'_, Result<Vec<UseNote>, StoreError>> {
        Box::pin(async move {
            let state = self.state.lock();
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let behind = state.use_notes.range((from, Bound::Unbounded));
            let note = |(key, body): (&UseKey, &Vec<u8>)| UseNote { key: *key, body: Some(body.clone()) };
            Ok(behind.take(usize::from(n)).map(note).collect())
        })
    }
}
