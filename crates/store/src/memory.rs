//! The store in memory: for the simulation, and the oracle of the conformance tests.
//!
//! Every future is ready when it is first polled, and nothing is read but the arguments.

mod log_index;
mod search;
mod use_notes;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{
    Beside, BoxFuture, Claimed, Deadline, Head, IndexEntry, LastUse, ListQuery, LogEntry, Outcome, Page, RowSealer,
    Seal, Sealed, Snapshot, Store, StoreError, UseNoteStore,
};
use tenure_core::store::row::{Row, RowKey};
use tenure_core::store::search::{SearchStore, moved_by_use};
use tenure_core::store::use_note::UseKey;
use tenure_log::leaf_hash;

use self::log_index::KeptIndex;
use self::search::KeptSearch;
use crate::batch::{self, Keeps, Original, Replaced, View, Writes};
use crate::row::{Listed, kept_mac, leaf_of_entry, limit_of, verify};

/// A store that lives as long as its process.
pub struct MemoryStore {
    state: Mutex<State>,
    sealer: Arc<dyn RowSealer>,
}

/// Everything in a [`MemoryStore`], for checks of invariants. Rows and entries are shared, not copied.
#[derive(Debug, Clone, Default)]
pub struct Dump {
    /// The log's size and last time.
    pub head: Head,
    /// Every row.
    pub rows: BTreeMap<RowKey, Arc<Row>>,
    /// Every entry of the log, in order.
    pub entries: Vec<Arc<LogEntry>>,
    /// Every deadline.
    pub due: BTreeMap<(DueKind, String), Deadline>,
    /// Keys used, by namespace and key, and until when they are remembered.
    pub once: BTreeMap<(String, String), Option<Timestamp>>,
    /// Counts of budgets by window, and until when they are kept.
    pub spends: BTreeMap<(String, Timestamp), (u32, Timestamp)>,
}

struct Held {
    row: Arc<Row>,
    mac: [u8; 32],
    terms: Vec<String>,
    drop_after: Option<Timestamp>,
}

#[derive(Default)]
struct State {
    head: Head,
    rows: BTreeMap<RowKey, Held>,
    entries: Vec<Arc<LogEntry>>,
    by_commit: BTreeMap<String, u64>,
    due: BTreeMap<(DueKind, String), Deadline>,
    fences: u64,
    once: BTreeMap<(String, String), Option<Timestamp>>,
    spends: BTreeMap<(String, Timestamp), (u32, Timestamp)>,
    sealed: Option<Sealed>,
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
    archived: u64,
    used: BTreeMap<String, Timestamp>,
    log_index: KeptIndex,
    search: KeptSearch,
    use_notes: BTreeMap<UseKey, Vec<u8>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(sealer: Arc<dyn RowSealer>) -> Self {
        Self { state: Mutex::new(State::default()), sealer }
    }

    /// Everything that it holds.
    pub fn dump(&self) -> Dump {
        let state = self.state.lock();
        Dump {
            head: state.head,
            rows: state.rows.iter().map(|(key, held)| (key.clone(), Arc::clone(&held.row))).collect(),
            entries: state.entries.clone(),
            due: state.due.clone(),
            once: state.once.clone(),
            spends: state.spends.clone(),
        }
    }

    /// Commits several changesets as one batch, as the other engines do under load.
    pub fn commit_all(&self, changesets: Vec<Changeset>) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(changesets.len());
        let mut prepared = Vec::with_capacity(changesets.len());
        for changeset in changesets {
            match batch::prepare(changeset, &*self.sealer, Keeps::Rows) {
                Ok(ready) => {
                    prepared.push(ready);
                    outcomes.push(None);
                }
                Err(outcome) => outcomes.push(Some(outcome)),
            }
        }
        let mut state = self.state.lock();
        let head = state.head;
        let judged = match batch::judge(&prepared, head, &mut *state, &*self.sealer) {
            Ok((judged, writes)) => {
                state.apply(writes);
                judged
            }
            Err(error) => vec![Outcome::Unavailable(error.to_string()); prepared.len()],
        };
        let mut judged = judged.into_iter();
        outcomes.into_iter().filter_map(|known| known.or_else(|| judged.next())).collect()
    }

    fn snapshot(&self, keys: &[RowKey]) -> Result<Snapshot, StoreError> {
        let state = self.state.lock();
        let rows = keys
            .iter()
            .map(|key| state.rows.get(key).map(|held| self.checked(held)).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Snapshot { rows, head: state.head.size })
    }

    fn page_of(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let limit = limit_of(query);
        let state = self.state.lock();
        let of_kind = |id: &str| RowKey { kind: query.kind, id: id.to_owned() };
        let listed: Box<dyn Iterator<Item = (&RowKey, &Held)>> = match (&query.after, query.newest_first) {
            (after, false) => Box::new(state.rows.range(of_kind(after.as_deref().unwrap_or_default())..)),
            (Some(after), true) => Box::new(state.rows.range(..of_kind(after)).rev()),
            (None, true) => Box::new(state.rows.iter().rev().skip_while(|(key, _)| key.kind != query.kind)),
        };
        let rows = listed
            .take_while(|(key, _)| key.kind == query.kind)
            .filter(|(key, _)| query.after.as_ref().is_none_or(|after| key.id != *after))
            .filter(|(_, held)| query.terms.iter().all(|term| held.terms.contains(term)))
            .filter(|(_, held)| !query.without.iter().any(|term| held.terms.contains(term)))
            .take(limit)
            .map(|(key, held)| Listed { id: key.id.clone(), bears: true, row: self.checked(held) })
            .collect();
        crate::row::page(rows, limit)
    }

    fn checked(&self, held: &Held) -> Result<Arc<Row>, StoreError> {
        verify(&*self.sealer, &held.row, kept_mac(&held.mac))?;
        Ok(Arc::clone(&held.row))
    }
}

impl State {
    fn apply(&mut self, writes: Writes<'_>) {
        for subject in &writes.erase {
            for entry in &mut self.entries {
                if entry.personal.iter().any(|personal| personal.subject == *subject) {
                    Arc::make_mut(entry).personal.retain(|personal| personal.subject != *subject);
                }
            }
        }
        for entry in writes.entries {
            if entry.begins {
                self.by_commit.insert(entry.id.to_owned(), entry.index);
            }
            let personal = entry.personal.into_iter().cloned().collect();
            self.entries.push(Arc::new(LogEntry { index: entry.index, leaf: entry.leaf.into_owned(), personal }));
        }
        for new in writes.rows {
            let row = Row::new(new.put.key.clone(), new.revision, new.created, new.position, new.put.body.clone());
            let held = Held {
                row: Arc::new(row),
                mac: new.mac,
                terms: new.put.terms.clone(),
                drop_after: new.put.droppable_after,
            };
            self.search.note(&new.put.key, new.revision);
            self.rows.insert(new.put.key.clone(), held);
        }
        for ((space, key), until) in writes.once {
            self.once.insert((space.to_owned(), key.to_owned()), until);
        }
        for ((budget, window), spent) in writes.spends {
            self.spends.insert((budget.to_owned(), window), spent);
        }
        // In the order of their keys, so that the same run gives the same tokens.
        let due: BTreeMap<_, _> = writes.due.into_iter().collect();
        for ((kind, subject), at) in due {
            let key = (kind, subject.to_owned());
            match at {
                Some(due_at) => {
                    self.fences += 1;
                    self.due.insert(key, Deadline { due_at, fence: self.fences, leased_until: None });
                }
                None => {
                    self.due.remove(&key);
                }
            }
        }
        self.head = writes.head;
    }

    fn claim(&mut self, kind: DueKind, now: Timestamp, lease: Span, n: usize) -> Vec<Claimed> {
        let mut ready: Vec<_> = self
            .due
            .iter_mut()
            .filter(|((of, _), due)| {
                *of == kind && due.due_at <= now && due.leased_until.is_none_or(|until| until <= now)
            })
            .collect();
        ready.sort_by(|(a_key, a), (b_key, b)| (a.due_at, &a_key.1).cmp(&(b.due_at, &b_key.1)));
        let mut claimed = Vec::new();
        for ((_, subject), due) in ready.into_iter().take(n) {
            self.fences += 1;
            due.fence = self.fences;
            due.leased_until = Some(now.plus(lease));
            claimed.push(Claimed { kind, subject: subject.clone(), due_at: due.due_at, fence: due.fence });
        }
        claimed
    }

    fn seal(&mut self, seal: Seal) -> bool {
        if self.sealed.as_ref().map_or(0, |sealed| sealed.size) != seal.from {
            return false;
        }
        for (level, index, bytes) in seal.tiles {
            self.tiles.insert((level, index), bytes);
        }
        self.sealed =
            Some(Sealed { size: seal.size, frontier: seal.frontier, checkpoint: seal.checkpoint, at: seal.at });
        true
    }

    fn purge(&mut self, now: Timestamp, n: usize) -> u64 {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .filter_map(|(key, held)| Some((held.drop_after.filter(|after| *after < now)?, key.clone())))
            .collect();
        rows.sort();
        let mut once: Vec<_> = self
            .once
            .iter()
            .filter_map(|(key, until)| Some((until.filter(|until| *until < now)?, key.clone())))
            .collect();
        once.sort();
        let mut spends: Vec<_> = self
            .spends
            .iter()
            .filter(|(_, (_, until))| *until < now)
            .map(|(key, (_, until))| (*until, key.clone()))
            .collect();
        spends.sort();
        let mut gone = 0;
        for (_, key) in rows.into_iter().take(n) {
            gone += u64::from(self.rows.remove(&key).is_some());
        }
        for (_, key) in once.into_iter().take(n) {
            gone += u64::from(self.once.remove(&key).is_some());
        }
        for (_, key) in spends.into_iter().take(n) {
            gone += u64::from(self.spends.remove(&key).is_some());
        }
        gone
    }

    fn range(&self, from: u64, n: usize) -> impl Iterator<Item = &Arc<LogEntry>> {
        self.entries.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)).take(n)
    }
}

impl View for State {
    fn original(&mut self, id: &str, events: usize) -> Result<Option<Original>, StoreError> {
        let Some(index) = self.by_commit.get(id).copied() else {
            return Ok(None);
        };
        let first = self.range(index, 1).next().map(|entry| entry.leaf.clone()).unwrap_or_default();
        let leaf_hashes = self.range(index, events).map(|entry| leaf_hash(&entry.leaf)).collect();
        Ok(Some(Original { index, at: Timestamp::from_micros(leaf_of_entry(&first)?.at), leaf_hashes }))
    }

    fn revision(&mut self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        Ok(self.rows.get(key).map(|held| held.row.revision))
    }

    fn replaced(&mut self, key: &RowKey) -> Result<Option<Replaced>, StoreError> {
        Ok(self.rows.get(key).map(|held| Replaced {
            revision: held.row.revision,
            created: held.row.created,
            terms: held.terms.clone(),
        }))
    }

    fn once(&mut self, space: &str, key: &str) -> Result<Option<Option<Timestamp>>, StoreError> {
        Ok(self.once.get(&(space.to_owned(), key.to_owned())).copied())
    }

    fn spent(&mut self, budget: &str, window: Timestamp) -> Result<Option<(u32, Timestamp)>, StoreError> {
        Ok(self.spends.get(&(budget.to_owned(), window)).copied())
    }

    fn fence(&mut self, kind: DueKind, subject: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.due.get(&(kind, subject.to_owned())).map(|due| due.fence))
    }
}

impl Store for MemoryStore {
    fn search(&self) -> &dyn SearchStore {
        self
    }

    fn use_notes(&self) -> &dyn UseNoteStore {
        self
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        Box::pin(async move { self.snapshot(keys) })
    }

    fn page<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move { self.page_of(query) })
    }

    fn beside<'a>(
        &'a self,
        rows: &'a [(RowKey, Vec<String>)],
    ) -> BoxFuture<'a, Result<Vec<Option<Beside>>, StoreError>> {
        Box::pin(async move {
            let state = self.state.lock();
            let beside = |(key, terms): &(RowKey, Vec<String>)| {
                state.rows.get(key).map(|held| Beside {
                    revision: held.row.revision,
                    terms: held.terms.clone(),
                    indexed: terms.iter().all(|term| held.terms.contains(term)),
                    droppable_after: held.drop_after,
                })
            };
            Ok(rows.iter().map(beside).collect())
        })
    }

    /// Rows are found by their own terms here: nothing else can be in the index.
    fn index<'a>(&'a self, _after: &'a IndexEntry, _n: u16) -> BoxFuture<'a, Result<Vec<IndexEntry>, StoreError>> {
        Box::pin(async move { Ok(Vec::new()) })
    }

    fn deadlines<'a>(
        &'a self,
        of: &'a [(DueKind, String)],
    ) -> BoxFuture<'a, Result<Vec<Option<Deadline>>, StoreError>> {
        Box::pin(async move {
            let state = self.state.lock();
            Ok(of.iter().map(|of| state.due.get(of).copied()).collect())
        })
    }

    fn commit(&self, changeset: Changeset) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.commit_all(vec![changeset]).pop().unwrap_or(Outcome::Unknown) })
    }

    fn claim(
        &self,
        kind: DueKind,
        now: Timestamp,
        lease: Span,
        n: u16,
    ) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().claim(kind, now, lease, usize::from(n))) })
    }

    fn entries(&self, from: u64, n: u16) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        Box::pin(async move {
            Ok(self.state.lock().range(from, usize::from(n)).map(|entry| LogEntry::clone(entry)).collect())
        })
    }

    fn leaf_hashes(&self, from: u64, n: u32) -> BoxFuture<'_, Result<Vec<[u8; 32]>, StoreError>> {
        Box::pin(
            async move { Ok(self.state.lock().range(from, n as usize).map(|entry| leaf_hash(&entry.leaf)).collect()) },
        )
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().head) })
    }

    fn sealed(&self) -> BoxFuture<'_, Result<Option<Sealed>, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().sealed.clone()) })
    }

    fn seal(&self, seal: Seal) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().seal(seal)) })
    }

    fn tile(&self, level: u8, index: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().tiles.get(&(level, index)).cloned()) })
    }

    fn archived(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().archived) })
    }

    /// Memory has nothing to save: it only notes how far the archive goes.
    fn archive(&self, bundle: u64) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut state = self.state.lock();
            let sealed = state.tiles.contains_key(&(0, bundle));
            if sealed {
                state.archived = state.archived.max(bundle + 1);
            }
            Ok(sealed)
        })
    }

    fn touch<'a>(&'a self, used: &'a [(String, Timestamp)]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let state = &mut *self.state.lock();
            for (subject, at) in used {
                let known = state.used.get(subject).copied();
                if known.is_none_or(|known| known < *at) {
                    let moved = moved_by_use(subject, known, *at);
                    if let Some((key, held)) = moved.and_then(|key| state.rows.get_key_value(&key)) {
                        state.search.note(key, held.row.revision);
                    }
                    state.used.insert(subject.clone(), *at);
                }
            }
            Ok(())
        })
    }

    fn last_used_each<'a>(
        &'a self,
        subjects: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Timestamp>>, StoreError>> {
        Box::pin(async move {
            let state = self.state.lock();
            Ok(subjects.iter().map(|subject| state.used.get(subject).copied()).collect())
        })
    }

    fn last_uses<'a>(&'a self, after: &'a [u8], n: u16) -> BoxFuture<'a, Result<Vec<LastUse>, StoreError>> {
        Box::pin(async move {
            let state = self.state.lock();
            let behind = state.used.keys().filter(|subject| subject.as_bytes() > after);
            let stamp = |subject: &String| LastUse { subject: subject.as_bytes().to_vec(), genuine: true };
            Ok(behind.take(usize::from(n)).map(stamp).collect())
        })
    }

    fn purge(&self, now: Timestamp, n: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().purge(now, n as usize)) })
    }

    /// Returns at once: nobody else can write while the caller waits.
    fn grown(&self, _seen: u64) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
