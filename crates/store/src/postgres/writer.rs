//! The writer of one process: it takes what waits and writes it in one transaction with two flights of statements.
//!
//! A connection that is lost before the second flight has written nothing; one that is lost after it may have, and
//! then the outcome is unknown until the same changeset is written again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tenure_core::base::time::Timestamp;
use tenure_core::store::port::{Head, Outcome, RowSealer, StoreError};
use tenure_log::packed::pack_key;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_postgres::Error;

use super::session::{Address, PATIENCE, Session, describe, down, is_ended, part};
use super::view::{self, NotBegun};
use super::{CHANNEL, Highest};
use crate::batch::{self, Prepared, Writes};
use crate::pace::Pace;
use crate::row::{commit_key, kept_mac, once_key, place, signed, term_key, term_keys_of};

/// The most changesets in one transaction.
const BATCH: usize = 512;

/// How often a batch is written again that others are in the way of.
const ATTEMPTS: u32 = 8;

/// Ends sessions of this deployment that sleep in a transaction.
const SLEEPERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name = 'tenure' AND pid <> pg_backend_pid()
    AND state LIKE 'idle in transaction%' AND state_change < now() - interval '300 milliseconds'";

/// What a writer is asked.
pub(super) enum Job {
    Commit(Box<Prepared>, oneshot::Sender<Outcome>),
    Purge(Timestamp, u32, oneshot::Sender<Result<u64, StoreError>>),
}

/// The writer's end of the database.
pub(super) struct Writer {
    address: Address,
    session: Option<Session>,
    sealer: Arc<dyn RowSealer>,
    highest: Arc<Highest>,
    grown: Arc<watch::Sender<u64>>,
    queue: mpsc::Receiver<Job>,
    /// What was taken from the queue while a batch was hindered.
    waiting: VecDeque<Job>,
}

/// Why a batch was not written.
enum Failed {
    /// It was not, for certain.
    Unavailable(String),
    /// It was not, for certain: the log's head is locked, or the session was ended.
    Hindered(String),
    /// It was not, for certain, and it may be the fault of one changeset in it.
    Rejected(String),
    /// It may have been.
    Unknown(String),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Writer {
    pub(super) const fn new(
        address: Address,
        sealer: Arc<dyn RowSealer>,
        highest: Arc<Highest>,
        grown: Arc<watch::Sender<u64>>,
        queue: mpsc::Receiver<Job>,
    ) -> Self {
        Self { address, session: None, sealer, highest, grown, queue, waiting: VecDeque::new() }
    }

    /// Works until the queue is closed and empty.
    #[expect(
        clippy::disallowed_methods,
        reason = "the store paces its batches by the machine's clock, and decides nothing by it"
    )]
    pub(super) async fn run(mut self) {
        let mut pace = Pace::new();
        loop {
            let mut changesets = Vec::new();
            let mut callers = Vec::new();
            let mut purge = None;
            let mut next = match self.waiting.pop_front() {
                Some(job) => Some(job),
                None => self.queue.recv().await,
            };
            if next.is_none() {
                return;
            }
            let begun = Instant::now();
            while purge.is_none() && changesets.len() < BATCH {
                match next.take().or_else(|| self.waiting.pop_front()).or_else(|| self.queue.try_recv().ok()) {
                    Some(Job::Commit(changeset, caller)) => {
                        changesets.push(*changeset);
                        callers.push(caller);
                    }
                    Some(Job::Purge(now, n, caller)) => purge = Some((now, n, caller)),
                    None if pace.waits(changesets.len(), begun) => tokio::task::yield_now().await,
                    None => break,
                }
            }
            let begun = Instant::now();
            if !changesets.is_empty() {
                let outcomes = Box::pin(self.commit(&changesets)).await;
                pace.note(changesets.len(), begun.elapsed());
                for (caller, outcome) in callers.into_iter().zip(outcomes) {
                    // A caller that went away learns the outcome by writing the same id again.
                    let _ = caller.send(outcome);
                }
            }
            if let Some((now, n, caller)) = purge {
                let gone = self.purge(now, n).await;
                let _ = caller.send(gone);
            }
        }
    }

    /// Commits a batch; one that the server rejects is halved until the changeset that it rejects stands alone.
    async fn commit(&mut self, batch: &[Prepared]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let failed = match Box::pin(self.write_patiently(part)).await {
                Ok(mut written) => {
                    outcomes.append(&mut written);
                    continue;
                }
                Err(failed) => failed,
            };
            let outcome = match failed {
                Failed::Rejected(why) if part.len() > 1 => {
                    tracing::warn!(why, changesets = part.len(), "PostgreSQL rejected a batch; halving it");
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second);
                    parts.push(first);
                    continue;
                }
                Failed::Rejected(why) | Failed::Unavailable(why) | Failed::Hindered(why) => {
                    tracing::warn!(why, changesets = part.len(), "a batch was not written");
                    Outcome::Unavailable(why)
                }
                Failed::Unknown(why) => {
                    tracing::error!(why, changesets = part.len(), "the outcome of a batch is not known");
                    Outcome::Unknown
                }
            };
            outcomes.resize(outcomes.len() + part.len(), outcome);
        }
        outcomes
    }

    /// Writes a batch; again where another session was in the way. Whoever takes authority away ends those that sleep
    /// on the log's head, and waits for no other batch that is hindered: that one is given up.
    async fn write_patiently(&mut self, batch: &[Prepared]) -> Result<Vec<Outcome>, Failed> {
        let essential = batch.iter().any(|prepared| prepared.essential);
        let mut attempt = 1;
        loop {
            match Box::pin(self.write(batch)).await {
                Err(Failed::Hindered(why)) if attempt < ATTEMPTS => {
                    tracing::warn!(why, changesets = batch.len(), "a batch was hindered; writing it again");
                    attempt += 1;
                    if essential {
                        self.end_sleepers().await;
                    } else if self.an_essential_one_waits() {
                        return Err(Failed::Unavailable(
                            "somebody else holds the log's head, and a revocation waits for it".into(),
                        ));
                    }
                }
                written => return written,
            }
        }
    }

    fn an_essential_one_waits(&mut self) -> bool {
        self.waiting.extend(std::iter::from_fn(|| self.queue.try_recv().ok()));
        self.waiting.iter().any(|job| matches!(job, Job::Commit(prepared, _) if prepared.essential))
    }

    /// Ends the sessions of this deployment that do nothing in an open transaction: a process that was stopped, or cut
    /// off, holds the lock for nobody.
    async fn end_sleepers(&mut self) {
        let Ok(session) = self.session().await else { return };
        match timeout(PATIENCE, session.client.query(SLEEPERS, &[])).await {
            Ok(Ok(ended)) => {
                if !ended.is_empty() {
                    tracing::warn!(
                        sessions = ended.len(),
                        "sessions that slept on the log's head were ended for a revocation"
                    );
                }
                self.session = Some(session);
            }
            Ok(Err(error)) => {
                tracing::warn!(error = describe(&error), "sessions that sleep on the log's head can't be ended")
            }
            Err(_) => tracing::warn!("PostgreSQL doesn't answer"),
        }
    }

    async fn session(&mut self) -> Result<Session, StoreError> {
        match self.session.take().filter(|session| !session.client.is_closed()) {
            Some(session) => Ok(session),
            None => {
                let statements = [view::STATEMENTS, STATEMENTS].concat();
                let opened = timeout(PATIENCE, Session::open(&self.address, &statements)).await;
                opened
                    .map_err(|_| StoreError::Unavailable("PostgreSQL doesn't answer".into()))?
                    .map_err(|error| down(&error))
            }
        }
    }

    /// The session is kept only if its transaction is over: otherwise closing it rolls back.
    async fn write(&mut self, batch: &[Prepared]) -> Result<Vec<Outcome>, Failed> {
        let session = self.session().await?;
        let known = self.highest.known();
        let begun = timeout(PATIENCE, view::begin(&session, batch, &*self.sealer)).await;
        let (head, mut view) = match begun.map_err(|_| Failed::Unavailable("PostgreSQL doesn't answer".into()))? {
            Ok(begun) => begun,
            Err(NotBegun::Locked) => {
                self.keep_rolled_back(session).await;
                return Err(Failed::Hindered("somebody else holds the log's head".into()));
            }
            Err(NotBegun::Ended(why)) => return Err(Failed::Hindered(why)),
            Err(NotBegun::Store(error)) => return Err(error.into()),
        };
        self.highest.check(known, head.size)?;
        let (outcomes, writes) = batch::judge(batch, head, &mut view, &*self.sealer)?;
        if writes.entries.is_empty() {
            self.keep_rolled_back(session).await;
            return Ok(outcomes);
        }
        let written = timeout(PATIENCE, Box::pin(put(&session, &writes))).await;
        written.map_err(|_| Failed::Unknown("PostgreSQL doesn't answer".into()))??;
        self.session = Some(session);
        self.acknowledge(writes.head);
        Ok(outcomes)
    }

    /// Keeps the session if its transaction can be ended in time.
    async fn keep_rolled_back(&mut self, session: Session) {
        if matches!(timeout(PATIENCE, session.client.batch_execute("ROLLBACK")).await, Ok(Ok(()))) {
            self.session = Some(session);
        }
    }

    fn acknowledge(&self, head: Head) {
        // It only ever raises what is known.
        if self.highest.check(0, head.size).is_ok() {
            self.grown.send_if_modified(|known| std::mem::replace(known, head.size.max(*known)) < head.size);
        }
    }

    async fn purge(&mut self, now: Timestamp, n: u32) -> Result<u64, StoreError> {
        let mut session = self.session().await?;
        let gone = timeout(PATIENCE, purge(&mut session, now, n)).await;
        let gone = gone
            .map_err(|_| StoreError::Unavailable("PostgreSQL doesn't answer".into()))?
            .map_err(|error| down(&error))?;
        self.session = Some(session);
        Ok(gone)
    }
}

const ERASE: &str = "DELETE FROM personal WHERE shard = 0 AND subject = ANY($1::bytea[])";

const ENTRIES: &str = "INSERT INTO entry (place, commit_key, leaf)
    SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::bytea[])";

const PERSONAL: &str = "INSERT INTO personal (shard, idx, field, subject, salt, value)
    SELECT 0, * FROM UNNEST($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])";

const RECORDS: &str = "INSERT INTO record (shard, kind, id, revision, created, position, mac, drop_after, terms, body)
    SELECT 0, * FROM UNNEST($1::smallint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[], $8::bytea[], $9::bytea[])
    ON CONFLICT (shard, kind, id) DO UPDATE SET revision = excluded.revision, position = excluded.position, mac = excluded.mac,
    drop_after = excluded.drop_after, terms = excluded.terms, body = excluded.body";

const DROP_TERMS: &str =
    "DELETE FROM term t USING UNNEST($1::smallint[], $2::bytea[], $3::bytea[]) AS k (kind, term, id)
    WHERE t.shard = 0 AND t.kind = k.kind AND t.term = k.term AND t.id = k.id";

const DROP_ALL_TERMS: &str = "DELETE FROM term WHERE shard = 0 AND kind = $1 AND id = $2";

const TERMS: &str =
    "INSERT INTO term (shard, kind, term, id) SELECT 0, * FROM UNNEST($1::smallint[], $2::bytea[], $3::bytea[])
    ON CONFLICT DO NOTHING";

const CHANGED: &str =
    "INSERT INTO search_changed (kind, id, revision) SELECT * FROM UNNEST($1::smallint[], $2::bytea[], $3::bigint[])
    ON CONFLICT DO NOTHING";

const ONCE: &str = "INSERT INTO once (shard, key, until) SELECT 0, * FROM UNNEST($1::bytea[], $2::bigint[])
    ON CONFLICT (shard, key) DO UPDATE SET until = excluded.until";

const SPENDS: &str = "INSERT INTO spend (shard, budget, since, spent, until) SELECT 0, * FROM UNNEST($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
    ON CONFLICT (shard, budget, since) DO UPDATE SET spent = excluded.spent, until = excluded.until";

const SET_DUE: &str = "INSERT INTO due (shard, kind, subject, due_at, fence, lease_until)
    SELECT 0, k.kind, k.subject, k.due_at, nextval('fence'), NULL FROM UNNEST($1::smallint[], $2::bytea[], $3::bigint[]) AS k (kind, subject, due_at)
    ON CONFLICT (shard, kind, subject) DO UPDATE SET due_at = excluded.due_at, fence = excluded.fence, lease_until = NULL";

const CLEAR_DUE: &str = "DELETE FROM due d USING UNNEST($1::smallint[], $2::bytea[]) AS k (kind, subject)
    WHERE d.shard = 0 AND d.kind = k.kind AND d.subject = k.subject";

const HEAD: &str = "UPDATE head SET size = $1, last_at = $2 WHERE shard = 0";

const NOTIFY: &str = "SELECT pg_notify($1, $2)";

const STATEMENTS: &[&str] =
    &[ERASE, ENTRIES, PERSONAL, RECORDS, DROP_TERMS, TERMS, CHANGED, ONCE, SPENDS, SET_DUE, CLEAR_DUE, HEAD, NOTIFY];

/// Sends every write and the COMMIT at once.
async fn put(session: &Session, writes: &Writes<'_>) -> Result<(), Failed> {
    let log = Log::of(writes);
    let rows = Rows::of(writes);
    let (keys, untils): (Vec<Vec<u8>>, Vec<Option<i64>>) =
        writes.once.iter().map(|((space, key), until)| (once_key(space, key), until.map(Timestamp::as_micros))).unzip();
    let budgets: Vec<&[u8]> = writes.spends.keys().map(|(budget, _)| budget.as_bytes()).collect();
    let windows: Vec<i64> = writes.spends.keys().map(|(_, window)| window.as_micros()).collect();
    let (spent, kept): (Vec<i64>, Vec<i64>) =
        writes.spends.values().map(|(spent, until)| (i64::from(*spent), until.as_micros())).unzip();
    // In one order, so that no two transactions wait for each other's deadlines.
    let due: BTreeMap<_, _> = writes.due.iter().collect();
    let (set_kinds, set_subjects, set_at) =
        unzip3(due.iter().filter_map(|((kind, subject), at)| {
            Some((i16::from(kind.code()), pack_key(subject), (**at)?.as_micros()))
        }));
    let (clear_kinds, clear_subjects): (Vec<i16>, Vec<Vec<u8>>) = due
        .iter()
        .filter(|(_, at)| at.is_none())
        .map(|((kind, subject), _)| (i16::from(kind.code()), pack_key(subject)))
        .unzip();
    let erase: Vec<&[u8]> = writes.erase.iter().map(|subject| subject.as_bytes()).collect();
    let (size, last_at) = (signed(writes.head.size), writes.head.last_at.as_micros());

    let hint = writes.head.size.to_string();

    let (a, b, c, d, e, f, g, h, i, j, k, l, m, committed) = tokio::join!(
        biased;
        part(session, !erase.is_empty(), ERASE, [&erase]),
        part(session, true, ENTRIES, [&log.places, &log.commit_keys, &log.leaves]),
        part(session, !log.fields.is_empty(), PERSONAL, [&log.owners, &log.fields, &log.subjects, &log.salts, &log.values]),
        part(session, !rows.ids.is_empty(), RECORDS, [
            &rows.kinds, &rows.ids, &rows.revisions, &rows.created, &rows.positions, &rows.macs, &rows.drop_after, &rows.term_columns, &rows.bodies,
        ]),
        part(session, !rows.dropped.0.is_empty(), DROP_TERMS, [&rows.dropped.0, &rows.dropped.1, &rows.dropped.2]),
        part(session, !rows.added.0.is_empty(), TERMS, [&rows.added.0, &rows.added.1, &rows.added.2]),
        part(session, !rows.changed.0.is_empty(), CHANGED, [&rows.changed.0, &rows.changed.1, &rows.changed.2]),
        part(session, !keys.is_empty(), ONCE, [&keys, &untils]),
        part(session, !budgets.is_empty(), SPENDS, [&budgets, &windows, &spent, &kept]),
        part(session, !set_at.is_empty(), SET_DUE, [&set_kinds, &set_subjects, &set_at]),
        part(session, !clear_kinds.is_empty(), CLEAR_DUE, [&clear_kinds, &clear_subjects]),
        part(session, true, HEAD, [&size, &last_at]),
        part(session, true, NOTIFY, [&CHANNEL, &hint]),
        session.client.batch_execute("COMMIT"),
    );
    for written in [a, b, c, d, e, f, g, h, i, j, k, l, m] {
        written.map_err(|error| refused(&error))?;
    }
    // Every write succeeded, so it was a COMMIT; whether it took effect before it failed can't be told.
    committed.map_err(|error| Failed::Unknown(describe(&error)))
}

/// A write that the server refused made the COMMIT after it a ROLLBACK; anything else leaves the outcome open.
fn refused(error: &Error) -> Failed {
    match error.as_db_error() {
        // Data exceptions, constraints and limits may come from one changeset; the rest concerns the server.
        Some(said) if ["22", "23", "54"].iter().any(|class| said.code().code().starts_with(class)) => {
            Failed::Rejected(describe(error))
        }
        Some(_) if is_ended(error) => Failed::Hindered(describe(error)),
        Some(_) => Failed::Unavailable(describe(error)),
        None => Failed::Unknown(describe(error)),
    }
}

fn unzip3<A, B, C>(items: impl Iterator<Item = (A, B, C)>) -> (Vec<A>, Vec<B>, Vec<C>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for (a, b, c) in items {
        columns.0.push(a);
        columns.1.push(b);
        columns.2.push(c);
    }
    columns
}

/// The columns of the entries and of the values beside them.
#[derive(Default)]
struct Log<'a> {
    places: Vec<i64>,
    commit_keys: Vec<Option<i64>>,
    leaves: Vec<&'a [u8]>,
    owners: Vec<i64>,
    fields: Vec<&'a [u8]>,
    subjects: Vec<&'a [u8]>,
    salts: Vec<&'a [u8]>,
    values: Vec<&'a [u8]>,
}

impl<'a> Log<'a> {
    fn of(writes: &'a Writes<'_>) -> Self {
        let mut log = Self::default();
        for entry in &writes.entries {
            log.places.push(place(entry.index));
            log.commit_keys.push(entry.begins.then(|| commit_key(entry.id)));
            log.leaves.push(&entry.leaf);
            for personal in &entry.personal {
                log.owners.push(signed(entry.index));
                log.fields.push(personal.field.as_bytes());
                log.subjects.push(personal.subject.as_bytes());
                log.salts.push(&personal.salt);
                log.values.push(personal.value.as_bytes());
            }
        }
        log
    }
}

/// The columns of terms: kind, term, id.
type Terms<'a> = (Vec<i16>, Vec<Vec<u8>>, Vec<&'a [u8]>);

/// The columns of the rows and of their terms.
#[derive(Default)]
struct Rows<'a> {
    kinds: Vec<i16>,
    ids: Vec<&'a [u8]>,
    revisions: Vec<i64>,
    created: Vec<i64>,
    positions: Vec<i64>,
    macs: Vec<&'a [u8]>,
    drop_after: Vec<Option<i64>>,
    term_columns: Vec<&'a [u8]>,
    bodies: Vec<&'a [u8]>,
    dropped: Terms<'a>,
    added: Terms<'a>,
    /// Of searched kinds: kind, id, revision.
    changed: (Vec<i16>, Vec<&'a [u8]>, Vec<i64>),
}

impl<'a> Rows<'a> {
    fn of(writes: &'a Writes<'_>) -> Self {
        let mut rows = Self::default();
        for row in &writes.rows {
            let put = row.put;
            let (kind, id) = (i16::from(put.key.kind.code()), row.kept.id.as_slice());
            if put.key.kind.is_searched() {
                rows.changed.0.push(kind);
                rows.changed.1.push(id);
                rows.changed.2.push(signed(row.revision));
            }
            rows.kinds.push(kind);
            rows.ids.push(id);
            rows.revisions.push(signed(row.revision));
            rows.created.push(signed(row.created.index));
            rows.positions.push(signed(row.position.index));
            rows.macs.push(kept_mac(&row.mac));
            rows.drop_after.push(put.droppable_after.map(Timestamp::as_micros));
            rows.term_columns.push(&row.kept.terms);
            rows.bodies.push(&row.kept.body);
            let held = row.held_terms.as_deref().unwrap_or_default();
            let mut add = |columns: fn(&mut Self) -> &mut Terms<'a>, term: &str| {
                let columns = columns(&mut rows);
                columns.0.push(kind);
                columns.1.push(term_key(put.key.kind.code(), term));
                columns.2.push(id);
            };
            for term in held.iter().filter(|term| !put.terms.contains(term)) {
                add(|rows| &mut rows.dropped, term);
            }
            for term in put.terms.iter().filter(|term| !held.contains(term)) {
                add(|rows| &mut rows.added, term);
            }
        }
        rows
    }
}

const OLD_ROWS: &str =
    "SELECT kind, id, terms FROM record WHERE drop_after < $1 ORDER BY drop_after, kind, id LIMIT $2";

const DROP_ROWS: &str = "DELETE FROM record r USING UNNEST($1::smallint[], $2::bytea[]) AS k (kind, id)
    WHERE r.shard = 0 AND r.kind = k.kind AND r.id = k.id";

const DROP_ONCE: &str = "DELETE FROM once WHERE (shard, key) IN
    (SELECT shard, key FROM once WHERE until < $1 ORDER BY until, shard, key LIMIT $2)";

const DROP_SPENDS: &str = "DELETE FROM spend WHERE (shard, budget, since) IN
    (SELECT shard, budget, since FROM spend WHERE shard = 0 AND until < $1 ORDER BY until, budget, since LIMIT $2)";

/// Drops what is over. It locks the head, so that no commit rests on what goes.
async fn purge(session: &mut Session, now: Timestamp, n: u32) -> Result<u64, Error> {
    let transaction = session.client.transaction().await?;
    transaction.query("SELECT 1 FROM head WHERE shard = 0 FOR UPDATE", &[]).await?;
    let (now, n) = (now.as_micros(), i64::from(n));
    let old = transaction.query(OLD_ROWS, &[&now, &n]).await?;
    let kinds: Vec<i16> = old.iter().map(|row| row.get(0)).collect();
    let ids: Vec<&[u8]> = old.iter().map(|row| row.get(1)).collect();
    let mut terms: (Vec<i16>, Vec<Vec<u8>>, Vec<&[u8]>) = (Vec::new(), Vec::new(), Vec::new());
    for row in &old {
        let kind = u8::try_from(row.get::<_, i16>(0)).unwrap_or(u8::MAX);
        let Some(borne) = term_keys_of(kind, row.get(2)) else {
            // Altered: what it bore is looked for, so that nothing of it is left in the index.
            transaction.execute(DROP_ALL_TERMS, &[&row.get::<_, i16>(0), &row.get::<_, &[u8]>(1)]).await?;
            continue;
        };
        for term in borne {
            terms.0.push(row.get(0));
            terms.1.push(term);
            terms.2.push(row.get(1));
        }
    }
    transaction.execute(DROP_TERMS, &[&terms.0, &terms.1, &terms.2]).await?;
    let mut gone = transaction.execute(DROP_ROWS, &[&kinds, &ids]).await?;
    gone += transaction.execute(DROP_ONCE, &[&now, &n]).await?;
    gone += transaction.execute(DROP_SPENDS, &[&now, &n]).await?;
    transaction.commit().await?;
    Ok(gone)
}
