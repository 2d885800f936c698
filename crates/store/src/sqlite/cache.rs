//! The exact row cache: what it holds is what the database holds at the cache's head.
//!
//! That can be promised because this process is the only writer. The writer applies a batch after its COMMIT and
//! before it tells the callers; a reader adds what it read only if its snapshot is of the very state that the cache
//! is in. So a cached row is never older than an acknowledged commit, and all rows that one lookup finds stood
//! together. Known absences are cached as well: most cuts and holds that a decision asks for aren't there.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use tenure_core::store::port::Head;
use tenure_core::store::row::{Row, RowKey, RowKind};

/// What one slot costs beside its row's body.
const SLOT_BYTES: usize = 320;

/// Whether rows of this kind are cached. Those that are read once or twice in their life aren't.
pub(super) const fn keeps(kind: RowKind) -> bool {
    !matches!(kind, RowKind::Idempotency | RowKind::Receipt | RowKind::StateDigest)
}

/// Whether a row of this kind is cached as soon as it is written. Most credentials are never asked about.
pub(super) const fn keeps_written(kind: RowKind) -> bool {
    keeps(kind) && !matches!(kind, RowKind::Credential)
}

/// The cache.
pub(super) struct Cache {
    state: RwLock<State>,
    capacity: usize,
}

/// Which state of the cache a lookup saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The log's head.
    pub(super) head: Head,
    /// One more with every change that the writer makes.
    epoch: u64,
}

struct State {
    slots: HashMap<RowKey, Slot>,
    /// The clock's round: the next to go is in front.
    round: VecDeque<RowKey>,
    bytes: usize,
    stamp: Stamp,
}

struct Slot {
    row: Option<Arc<Row>>,
    used: AtomicBool,
}

impl Cache {
    pub(super) fn new(head: Head, capacity: usize) -> Self {
        let stamp = Stamp { head, epoch: 0 };
        Self { state: RwLock::new(State { slots: HashMap::new(), round: VecDeque::new(), bytes: 0, stamp }), capacity }
    }

    /// The state that the cache is in.
    pub(super) fn stamp(&self) -> Stamp {
        self.state.read().stamp
    }

    /// What is known of each key (`None`: nothing; `Some(None)`: there is no such row), as of one state.
    pub(super) fn look(&self, keys: &[RowKey]) -> (Vec<Option<Option<Arc<Row>>>>, Stamp) {
        let state = self.state.read();
        (keys.iter().map(|key| state.get(key).cloned()).collect(), state.stamp)
    }

    /// The revision of a row, if it is known whether there is one.
    pub(super) fn revision(&self, key: &RowKey) -> Option<Option<u64>> {
        self.state.read().get(key).map(|row| row.as_ref().map(|row| row.revision))
    }

    /// Adds what a reader found in the state `stamp`; dropped if that state is over.
    pub(super) fn fill(&self, stamp: Stamp, found: impl IntoIterator<Item = (RowKey, Option<Arc<Row>>)>) {
        let mut state = self.state.write();
        if state.stamp != stamp {
            return;
        }
        for (key, row) in found {
            state.put(key, row);
        }
        state.shrink(self.capacity);
    }

    /// Applies what the writer made durable. What isn't kept is never built.
    pub(super) fn apply<'k, F: FnOnce() -> Option<Arc<Row>>>(
        &self,
        head: Head,
        changed: impl IntoIterator<Item = (&'k RowKey, F)>,
    ) {
        let mut state = self.state.write();
        for (key, row) in changed {
            if keeps_written(key.kind) || state.slots.contains_key(key) {
                state.put(key.clone(), row());
            }
        }
        state.shrink(self.capacity);
        state.stamp = Stamp { head, epoch: state.stamp.epoch + 1 };
    }

    /// Forgets everything: it isn't known what the database holds.
    pub(super) fn clear(&self, head: Head) {
        let mut state = self.state.write();
        let stamp = Stamp { head, epoch: state.stamp.epoch + 1 };
        *state = State { slots: HashMap::new(), round: VecDeque::new(), bytes: 0, stamp };
    }
}

impl State {
    fn get(&self, key: &RowKey) -> Option<&Option<Arc<Row>>> {
        let slot = self.slots.get(key)?;
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(&slot.row)
    }

    fn put(&mut self, key: RowKey, row: Option<Arc<Row>>) {
        self.bytes += cost(&key, row.as_ref());
        match self.slots.get_mut(&key) {
            Some(slot) => {
                self.bytes = self.bytes.saturating_sub(cost(&key, slot.row.as_ref()));
                slot.row = row;
            }
            None => {
                self.round.push_back(key.clone());
                self.slots.insert(key, Slot { row, used: AtomicBool::new(false) });
            }
        }
    }

    fn shrink(&mut self, capacity: usize) {
        while self.bytes > capacity {
            let Some(key) = self.round.pop_front() else { return };
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            if std::mem::take(slot.used.get_mut()) {
                self.round.push_back(key);
                continue;
            }
            self.bytes = self.bytes.saturating_sub(cost(&key, slot.row.as_ref()));
            self.slots.remove(&key);
        }
    }
}

/// A row is kept as bytes and decoded, so its body counts twice.
fn cost(key: &RowKey, row: Option<&Arc<Row>>) -> usize {
    SLOT_BYTES + 2 * key.id.len() + row.map_or(0, |row| 2 * row.body.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::store::row::Position;

    fn key(n: u64) -> RowKey {
        RowKey::new(RowKind::Identity, format!("idn_{n:04}"))
    }

    fn row(n: u64, revision: u64) -> Option<Arc<Row>> {
        Some(Arc::new(Row::new(key(n), revision, Position::at(n), Position::at(n), vec![b'x'; 100])))
    }

    #[test]
    fn a_slow_reader_adds_nothing_old() {
        let cache = Cache::new(Head::default(), 1 << 20);
        let (found, before) = cache.look(&[key(1)]);
        assert!(found[0].is_none());
        cache.apply(Head { size: 1, ..Head::default() }, [(&key(1), || row(1, 2))]);
        cache.fill(before, [(key(1), row(1, 1)), (key(2), None)]);
        assert_eq!(cache.revision(&key(1)), Some(Some(2)));
        assert_eq!(cache.revision(&key(2)), None);
        cache.fill(cache.stamp(), [(key(2), None)]);
        assert_eq!(cache.revision(&key(2)), Some(None));
    }

    #[test]
    fn a_credential_is_kept_once_it_was_asked_for_and_follows_its_writes() {
        let cache = Cache::new(Head::default(), 1 << 20);
        let key = RowKey::new(RowKind::Credential, "crd_1");
        let written = |revision| {
            Some(Arc::new(Row::new(key.clone(), revision, Position::at(0), Position::at(revision), b"x".to_vec())))
        };
        cache.apply(Head { size: 1, ..Head::default() }, [(&key, || written(1))]);
        assert_eq!(cache.revision(&key), None);
        cache.fill(cache.stamp(), [(key.clone(), written(1))]);
        cache.apply(Head { size: 2, ..Head::default() }, [(&key, || written(2))]);
        assert_eq!(cache.revision(&key), Some(Some(2)));
        cache.apply(Head { size: 2, ..Head::default() }, [(&key, || None)]);
        assert_eq!(cache.revision(&key), Some(None));
    }

    #[test]
    fn it_stays_within_its_bound_and_keeps_what_is_used() {
        let cache = Cache::new(Head::default(), 20 * cost(&key(1), row(1, 1).as_ref()));
        for n in 0..200 {
            cache.fill(cache.stamp(), [(key(n), row(n, 1))]);
            assert!(cache.revision(&key(0)).is_some(), "after {n}");
        }
        let state = cache.state.read();
        assert_eq!((state.slots.len(), state.round.len()), (20, 20));
        assert_eq!(state.bytes, state.slots.iter().map(|(key, slot)| cost(key, slot.row.as_ref())).sum::<usize>());
    }
}
