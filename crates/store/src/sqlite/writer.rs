//! The one writer: it takes what waits, writes it in one transaction with one fsync, and tells everybody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{Claimed, Head, Outcome, RowSealer, Seal, StoreError};
use tenure_core::store::row::{Row, RowKey, RowKind};
use tenure_core::store::search::moved_by_use;
use tenure_log::packed::{pack_key, unpack_key};
use tokio::sync::{mpsc, oneshot, watch};

use super::cache::{self, Cache};
use super::reader::{self, Down};
use super::reserve::Reserve;
use super::view::SqliteView;
use super::{archive, checkpoint, open};
use crate::batch::{self, NewRow, Prepared, Writes};
use crate::pace::Pace;
use crate::row::{behind, commit_key, kept_mac, once_key, place, signed, term_key, term_keys_of, unsigned};

/// The most changesets in one transaction: a bound on how long a caller waits for others.
const BATCH: usize = 1_024;

/// Pages in the WAL at which the writer makes a checkpoint while space is short: 1 MiB.
const SHORT_WAL_PAGES: u32 = 256;

/// Between two looks for company.
const NAP: Duration = Duration::from_micros(20);

/// Work in a transaction of its own.
pub(super) type Task = Box<dyn FnOnce(&mut Writer) + Send>;

/// What the writer is asked.
pub(super) enum Job {
    Commit(Prepared, oneshot::Sender<Outcome>),
    Task(Task),
}

/// The writer's end of the database.
pub(super) struct Writer {
    connection: Connection,
    pub(super) sealer: Arc<dyn RowSealer>,
    cache: Arc<Cache>,
    grown: watch::Sender<u64>,
    pub(super) reserve: Reserve,
    /// Whether the WAL holds what was erased.
    erased: Arc<AtomicBool>,
}

/// Why a batch was not written.
enum Failed {
    /// It was not, for certain.
    Before(StoreError),
    /// It was not: SQLite failed before the COMMIT.
    Sqlite(rusqlite::Error),
    /// The COMMIT failed: the file may or may not hold it.
    During(rusqlite::Error),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Before(error)
    }
}

impl From<Down> for Failed {
    fn from(Down(error): Down) -> Self {
        Self::Sqlite(error)
    }
}

impl Writer {
    pub(super) const fn new(
        connection: Connection,
        sealer: Arc<dyn RowSealer>,
        cache: Arc<Cache>,
        grown: watch::Sender<u64>,
        reserve: Reserve,
        erased: Arc<AtomicBool>,
    ) -> Self {
        Self { connection, sealer, cache, grown, reserve, erased }
    }

    /// Works until the queue is closed and empty.
    #[expect(
        clippy::disallowed_methods,
        reason = "the store paces its batches by the machine's clock, and decides nothing by it"
    )]
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        self.pace_checkpoints();
        let mut changesets = Vec::new();
        let mut callers = Vec::new();
        let mut pace = Pace::new();
        while let Some(first) = queue.blocking_recv() {
            let begun = Instant::now();
            let mut next = Some(first);
            let mut task = None;
            while task.is_none() && changesets.len() < BATCH {
                match next.take().or_else(|| queue.try_recv().ok()) {
                    Some(Job::Commit(changeset, caller)) => {
                        changesets.push(changeset);
                        callers.push(caller);
                    }
                    Some(Job::Task(work)) => task = Some(work),
                    None if pace.waits(changesets.len(), begun) => std::thread::sleep(NAP),
                    None => break,
                }
            }
            let (size, begun) = (changesets.len(), Instant::now());
            if !changesets.is_empty() {
                let outcomes = self.commit(std::mem::take(&mut changesets));
                for (caller, outcome) in callers.drain(..).zip(outcomes) {
                    // A caller that went away learns the outcome by writing the same id again.
                    let _ = caller.send(outcome);
                }
                pace.note(size, begun.elapsed());
            }
            if let Some(task) = task {
                task(&mut self);
            }
            if self.reserve.tend() {
                self.pace_checkpoints();
            }
        }
    }

    /// Writes the batch; where there is no room for it, what takes authority away and nothing else (S-16).
    fn commit(&mut self, changesets: Vec<Prepared>) -> Vec<Outcome> {
        if !self.reserve.is_given_up() {
            let outcomes = self.outcomes(&changesets);
            if !outcomes.contains(&Outcome::Full) {
                return outcomes;
            }
        }
        let essential: Vec<bool> = changesets.iter().map(|changeset| changeset.essential).collect();
        let kept: Vec<Prepared> = changesets.into_iter().filter(|changeset| changeset.essential).collect();
        if !kept.is_empty() {
            self.give_up_reserve();
        }
        let mut written = if kept.is_empty() { Vec::new() } else { self.outcomes(&kept) }.into_iter();
        let one = |essential| if essential { written.next() } else { None };
        essential.into_iter().map(one).map(|outcome| outcome.unwrap_or(Outcome::Full)).collect()
    }

    fn give_up_reserve(&mut self) {
        if !self.reserve.is_given_up() {
            self.reserve.give_up();
            self.pace_checkpoints();
        }
    }

    /// While the reserve is in use, the WAL must not eat it up between two checkpoints: it is emptied often and used
    /// again.
    fn pace_checkpoints(&self) {
        let pages = if self.reserve.is_given_up() { SHORT_WAL_PAGES } else { open::WAL_PAGES };
        if let Err(error) = self.connection.execute_batch(&format!("PRAGMA wal_autocheckpoint = {pages}")) {
            tracing::warn!(%error, "the pace of checkpoints can't be set");
        }
    }

    fn outcomes(&mut self, changesets: &[Prepared]) -> Vec<Outcome> {
        let outcome = match self.write(changesets) {
            Ok(outcomes) => {
                self.reserve.note(false);
                return outcomes;
            }
            Err(Failed::Before(error)) => {
                tracing::warn!(%error, changesets = changesets.len(), "a batch was not written");
                Outcome::Unavailable(error.to_string())
            }
            Err(Failed::Sqlite(error)) if self.reserve.is_full(&error) => {
                self.reserve.note(true);
                Outcome::Full
            }
            Err(Failed::Sqlite(error)) => {
                tracing::warn!(%error, changesets = changesets.len(), "a batch was not written");
                Outcome::Unavailable(error.to_string())
            }
            Err(Failed::During(error)) => {
                let known = self.cache.stamp().head;
                self.forget();
                // SQLite writes the frame that makes a transaction count last: where there was no room, it is not
                // there.
                let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
                if full && reader::head(&self.connection).is_ok_and(|head| head == known) {
                    self.reserve.note(true);
                    Outcome::Full
                } else {
                    tracing::error!(%error, changesets = changesets.len(), "the outcome of a batch is not known");
                    Outcome::Unknown
                }
            }
        };
        vec![outcome; changesets.len()]
    }

    fn write(&mut self, changesets: &[Prepared]) -> Result<Vec<Outcome>, Failed> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Down)?;
        let (head, fences) = counters(&transaction)?;
        let known = self.cache.stamp().head;
        if head.size < known.size {
            return Err(behind(head.size, known.size).into());
        }
        if head != known {
            self.cache.clear(head);
        }
        let mut view = SqliteView::new(&transaction, &self.cache, &*self.sealer).map_err(Down)?;
        let (outcomes, writes) = batch::judge(changesets, head, &mut view, &*self.sealer)?;
        drop(view);
        if writes.entries.is_empty() {
            return Ok(outcomes);
        }
        put(&transaction, &writes, fences).map_err(Down)?;
        transaction.commit().map_err(Failed::During)?;
        let cached = writes
            .rows
            .iter()
            .filter(|row| cache::keeps(row.put.key.kind))
            .map(|new| (&new.put.key, || Some(Arc::new(row_of(new)))));
        self.cache.apply(writes.head, cached);
        self.grown.send_replace(writes.head.size);
        let erased = !writes.erase.is_empty();
        drop(writes);
        if erased {
            self.empty_wal();
        }
        Ok(outcomes)
    }

    /// What was erased stands in the WAL until that is emptied. Where a reader is in the way, the checkpoint in the
    /// background does it.
    fn empty_wal(&self) {
        if !checkpoint::empty_wal(&self.connection).unwrap_or(false) {
            self.erased.store(true, Ordering::Relaxed);
        }
    }

    /// After a COMMIT that failed: nothing that was remembered can be relied on.
    fn forget(&mut self) {
        let known = self.cache.stamp().head;
        let head = reader::head(&self.connection).ok().filter(|head| head.size >= known.size).unwrap_or(known);
        self.cache.clear(head);
        self.grown.send_replace(head.size);
    }

    pub(super) fn claim(
        &mut self,
        kind: DueKind,
        now: Timestamp,
        lease: Span,
        n: u16,
    ) -> Result<Vec<Claimed>, StoreError> {
        // What deadlines take away waits behind this.
        self.task(true, |transaction| {
            let (_, mut fence) = counters(transaction)?;
            let due = transaction
                .prepare_cached(
                    "SELECT subject, due_at FROM due WHERE shard = 0 AND kind = $1 AND due_at <= $2
                     AND (lease_until IS NULL OR lease_until <= $2) ORDER BY due_at, subject LIMIT $3",
                )?
                .query_map(params![kind.code(), now.as_micros(), n], |found| {
                    Ok((unpack_key(found.get_ref(0)?.as_blob()?), Timestamp::from_micros(found.get(1)?)))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            let mut update = transaction.prepare_cached(
                "UPDATE due SET fence = $1, lease_until = $2 WHERE shard = 0 AND kind = $3 AND subject = $4",
            )?;
            let mut claimed = Vec::with_capacity(due.len());
            for (subject, due_at) in due {
                fence += 1;
                update.execute(params![fence, now.plus(lease).as_micros(), kind.code(), pack_key(&subject)])?;
                claimed.push(Claimed { kind, subject, due_at, fence: unsigned(fence) });
            }
            transaction.prepare_cached("UPDATE head SET fences = $1 WHERE shard = 0")?.execute([fence])?;
            Ok(claimed)
        })
    }

    pub(super) fn seal(&mut self, seal: &Seal) -> Result<bool, StoreError> {
        self.task(false, |transaction| {
            if reader::sealed(transaction)?.map_or(0, |sealed| sealed.size) != seal.from {
                return Ok(false);
            }
            let mut insert = transaction
                .prepare_cached("INSERT OR REPLACE INTO tile (shard, level, idx, bytes) VALUES (0, $1, $2, $3)")?;
            for (level, index, bytes) in &seal.tiles {
                insert.execute(params![level, signed(*index), bytes])?;
            }
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO sealed (shard, size, frontier, checkpoint, at) VALUES (0, $1, $2, $3, $4)",
                )?
                .execute(params![signed(seal.size), seal.frontier, seal.checkpoint.as_bytes(), seal.at.as_micros()])?;
            Ok(true)
        })
    }

    pub(super) fn archive(&mut self, bundle: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.task(false, |transaction| archive::put(transaction, bundle, bytes))
    }

    pub(super) fn touch(&mut self, used: &[(String, Timestamp)]) -> Result<(), StoreError> {
        if self.reserve.is_given_up() {
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        let sealer = Arc::clone(&self.sealer);
        self.task(false, move |transaction| {
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO last_use (shard, subject, at, mac) VALUES (0, $1, $2, $3)")?;
            let mut moved = transaction.prepare_cached(
                "INSERT OR IGNORE INTO search_changed (kind, id, revision)
                 SELECT kind, id, revision FROM record WHERE shard = 0 AND kind = $1 AND id = $2",
            )?;
            for (subject, at) in used {
                // What somebody else wrote there counts for nothing, however late it is.
                let known = reader::last_used(transaction, &*sealer, subject)?;
                if known.is_none_or(|known| known < *at) {
                    if let Some(key) = moved_by_use(subject, known, *at) {
                        moved.execute(params![key.kind.code(), pack_key(&key.id)])?;
                    }
                    put.execute(params![pack_key(subject), at.as_micros(), kept_mac(&sealer.last_use(subject, *at))])?;
                }
            }
            Ok(())
        })
    }

    pub(super) fn purge(&mut self, now: Timestamp, n: u32) -> Result<u64, StoreError> {
        let (gone, keys) = self.task(false, |transaction| {
            let mut gone = 0;
            let mut keys = Vec::new();
            let rows = transaction
                .prepare_cached("SELECT kind, id, terms FROM record WHERE drop_after < $1 ORDER BY drop_after, kind, id LIMIT $2")?
                .query_map(params![now.as_micros(), n], |found| Ok((found.get(0)?, found.get(1)?, found.get(2)?)))?
                .collect::<Result<Vec<(u8, Vec<u8>, Vec<u8>)>, _>>()?;
            for (kind, id, terms) in rows {
                match term_keys_of(kind, &terms) {
                    Some(terms) => drop_terms(transaction, kind, &id, terms)?,
                    // Altered: what it bore is looked for, so that nothing of it is left in the index.
                    None => {
                        transaction.execute("DELETE FROM term WHERE shard = 0 AND kind = $1 AND id = $2", params![kind, id])?;
                    }
                }
                gone += transaction
                    .prepare_cached("DELETE FROM record WHERE shard = 0 AND kind = $1 AND id = $2")?
                    .execute(params![kind, id])?;
                keys.extend(RowKind::from_code(kind).map(|kind| RowKey { kind, id: unpack_key(&id) }));
            }
            gone += transaction
                .prepare_cached(
                    "DELETE FROM once WHERE (shard, key) IN
                     (SELECT shard, key FROM once WHERE until < $1 ORDER BY until, shard, key LIMIT $2)",
                )?
                .execute(params![now.as_micros(), n])?;
            gone += transaction
                .prepare_cached(
                    "DELETE FROM spend WHERE (shard, budget, since) IN
                     (SELECT shard, budget, since FROM spend WHERE shard = 0 AND until < $1 ORDER BY until, budget, since LIMIT $2)",
                )?
                .execute(params![now.as_micros(), n])?;
            Ok((gone, keys))
        })?;
        let dropped = keys.iter().filter(|key| cache::keeps(key.kind)).map(|key| (key, || None));
        self.cache.apply(self.cache.stamp().head, dropped);
        Ok(gone as u64)
    }

    /// Works in a transaction of its own: where there is no room for what is vital, in the space that is reserved.
    pub(super) fn task<T>(
        &mut self,
        vital: bool,
        work: impl Fn(&Transaction<'_>) -> Result<T, Down>,
    ) -> Result<T, StoreError> {
        match in_transaction(&mut self.connection, &work) {
            Err(Down(error)) if self.reserve.is_full(&error) => {
                self.reserve.note(true);
                if !vital || self.reserve.is_given_up() {
                    return Err(Down(error).into());
                }
                self.give_up_reserve();
                Ok(in_transaction(&mut self.connection, &work)?)
            }
            done => Ok(done?),
        }
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: impl Fn(&Transaction<'_>) -> Result<T, Down>,
) -> Result<T, Down> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

fn counters(connection: &Connection) -> Result<(Head, i64), Down> {
    let fences =
        connection.prepare_cached("SELECT fences FROM head WHERE shard = 0")?.query_row([], |found| found.get(0))?;
    Ok((reader::head(connection)?, fences))
}

fn row_of(new: &NewRow<'_>) -> Row {
    Row::new(new.put.key.clone(), new.revision, new.created, new.position, new.put.body.clone())
}

fn put(transaction: &Transaction<'_>, writes: &Writes<'_>, fences: i64) -> rusqlite::Result<()> {
    put_log(transaction, writes)?;
    put_rows(transaction, writes)?;
    let mut once = transaction.prepare_cached("INSERT OR REPLACE INTO once (shard, key, until) VALUES (0, $1, $2)")?;
    for ((space, key), until) in &writes.once {
        once.execute(params![once_key(space, key), until.map(Timestamp::as_micros)])?;
    }
    // Most spends are one more in a window whose end stands: that leaves the index of ends alone.
    let mut spend_more = transaction
        .prepare_cached("UPDATE spend SET spent = $1 WHERE shard = 0 AND budget = $2 AND since = $3 AND until = $4")?;
    let mut spend = transaction.prepare_cached(
        "INSERT INTO spend (shard, budget, since, spent, until) VALUES (0, $1, $2, $3, $4)
         ON CONFLICT (shard, budget, since) DO UPDATE SET spent = excluded.spent, until = excluded.until",
    )?;
    for ((budget, window), (spent, until)) in &writes.spends {
        if spend_more.execute(params![spent, budget.as_bytes(), window.as_micros(), until.as_micros()])? == 0 {
            spend.execute(params![budget.as_bytes(), window.as_micros(), spent, until.as_micros()])?;
        }
    }
    let fences = put_due(transaction, writes, fences)?;
    transaction
        .prepare_cached("UPDATE head SET size = $1, last_at = $2, fences = $3 WHERE shard = 0")?
        .execute(params![signed(writes.head.size), writes.head.last_at.as_micros(), fences])?;
    Ok(())
}

fn put_log(transaction: &Transaction<'_>, writes: &Writes<'_>) -> rusqlite::Result<()> {
    if !writes.erase.is_empty() {
        open::note_erasure(transaction)?;
    }
    for subject in &writes.erase {
        transaction
            .prepare_cached("DELETE FROM personal WHERE shard = 0 AND subject = $1")?
            .execute([subject.as_bytes()])?;
    }
    let mut insert = transaction.prepare_cached("INSERT INTO entry (place, commit_key, leaf) VALUES ($1, $2, $3)")?;
    for entry in &writes.entries {
        let commit_key = entry.begins.then(|| commit_key(entry.id));
        insert.execute(params![place(entry.index), commit_key, entry.leaf.as_ref()])?;
        for personal in &entry.personal {
            transaction
                .prepare_cached(
                    "INSERT INTO personal (shard, idx, field, subject, salt, value) VALUES (0, $1, $2, $3, $4, $5)",
                )?
                .execute(params![
                    signed(entry.index),
                    personal.field.as_bytes(),
                    personal.subject.as_bytes(),
                    personal.salt,
                    personal.value.as_bytes()
                ])?;
        }
    }
    Ok(())
}

fn put_rows(transaction: &Transaction<'_>, writes: &Writes<'_>) -> rusqlite::Result<()> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO record (shard, kind, id, revision, created, position, mac, drop_after, terms, body)
         VALUES (0, $1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (shard, kind, id) DO UPDATE SET revision = excluded.revision, position = excluded.position, mac = excluded.mac,
         drop_after = excluded.drop_after, terms = excluded.terms, body = excluded.body",
    )?;
    let mut add =
        transaction.prepare_cached("INSERT OR IGNORE INTO term (shard, kind, term, id) VALUES (0, $1, $2, $3)")?;
    let mut changed =
        transaction.prepare_cached("INSERT OR IGNORE INTO search_changed (kind, id, revision) VALUES ($1, $2, $3)")?;
    for row in &writes.rows {
        let put = row.put;
        let (kind, id) = (put.key.kind.code(), row.kept.id.as_slice());
        if put.key.kind.is_searched() {
            changed.execute(params![kind, id, signed(row.revision)])?;
        }
        upsert.execute(params![
            kind,
            id,
            signed(row.revision),
            signed(row.created.index),
            signed(row.position.index),
            kept_mac(&row.mac),
            put.droppable_after.map(Timestamp::as_micros),
            row.kept.terms,
            row.kept.body
        ])?;
        let held = row.held_terms.as_deref().unwrap_or_default();
        let gone = held.iter().filter(|term| !put.terms.contains(term));
        drop_terms(transaction, kind, id, gone.map(|term| term_key(kind, term)))?;
        for term in put.terms.iter().filter(|term| !held.contains(term)) {
            add.execute(params![kind, term_key(kind, term), id])?;
        }
    }
    Ok(())
}

fn drop_terms(
    transaction: &Transaction<'_>,
    kind: u8,
    id: &[u8],
    terms: impl IntoIterator<Item = Vec<u8>>,
) -> rusqlite::Result<()> {
    for term in terms {
        transaction
            .prepare_cached("DELETE FROM term WHERE shard = 0 AND kind = $1 AND term = $2 AND id = $3")?
            .execute(params![kind, term, id])?;
    }
    Ok(())
}

fn put_due(transaction: &Transaction<'_>, writes: &Writes<'_>, mut fences: i64) -> rusqlite::Result<i64> {
    // In the order of their keys, so that the same batch gives the same tokens.
    let due: BTreeMap<_, _> = writes.due.iter().collect();
    for ((kind, subject), at) in due {
        match at {
            Some(at) => {
                fences += 1;
                transaction
                    .prepare_cached(
                        "INSERT INTO due (shard, kind, subject, due_at, fence, lease_until) VALUES (0, $1, $2, $3, $4, NULL)
                         ON CONFLICT (shard, kind, subject) DO UPDATE SET due_at = excluded.due_at, fence = excluded.fence, lease_until = NULL",
                    )?
                    .execute(params![kind.code(), pack_key(subject), at.as_micros(), fences])?;
            }
            None => {
                transaction
                    .prepare_cached("DELETE FROM due WHERE shard = 0 AND kind = $1 AND subject = $2")?
                    .execute(params![kind.code(), pack_key(subject)])?;
            }
        }
    }
    Ok(fences)
}
