//! What the database holds, to the judge of a batch: asked set-wise and in one flight, behind the lock of the head.

use std::collections::{HashMap, HashSet};

use tenure_core::base::time::Timestamp;
use tenure_core::store::changeset::{DueChange, Expect};
use tenure_core::store::due::DueKind;
use tenure_core::store::port::{Head, RowSealer, StoreError};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_log::leaf_hash;
use tenure_log::packed::{pack_key, unpack_key};
use tokio_postgres::Error;

use super::session::{Session, describe, down, is_ended, part};
use crate::batch::{Original, Prepared, PreparedPut, Replaced, View};
use crate::row::{Found, commit_key, leaf_of_entry, once_key, opened, place, signed, terms_of, text, unsigned};

/// Begins for whoever takes authority away.
const LOCK_OR_ACT: &str = "BEGIN; SET LOCAL lock_timeout = '400ms'";

/// Why a batch was not begun.
pub(super) enum NotBegun {
    /// Somebody else holds the log's head.
    Locked,
    /// The server ended the session.
    Ended(String),
    /// Anything else.
    Store(StoreError),
}

impl From<&Error> for NotBegun {
    fn from(error: &Error) -> Self {
        match error.as_db_error().map(|said| said.code().code()) {
            Some("55P03") => Self::Locked,
            _ if is_ended(error) => Self::Ended(describe(error)),
            _ => Self::Store(down(error)),
        }
    }
}

impl From<StoreError> for NotBegun {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

const HEAD: &str = "SELECT size, last_at FROM head WHERE shard = 0 FOR UPDATE";

// Each key is looked up by itself: as a plain join, the planner may rather scan all that the constant shard selects.
const ORIGINALS: &str = "SELECT e.place, e.leaf FROM UNNEST($1::bigint[]) AS k (commit_key)
    CROSS JOIN LATERAL (SELECT place, leaf FROM entry WHERE commit_key = k.commit_key) AS e";

const HASHES: &str = "SELECT leaf FROM entry WHERE place >= $1 ORDER BY place LIMIT $2";

const REVISIONS: &str = "SELECT k.kind, k.id, r.revision FROM UNNEST($1::smallint[], $2::bytea[]) AS k (kind, id)
    CROSS JOIN LATERAL (SELECT revision FROM record WHERE shard = 0 AND kind = k.kind AND id = k.id LIMIT 1) AS r";

const REPLACED: &str = "SELECT k.kind, k.id, r.* FROM UNNEST($1::smallint[], $2::bytea[]) AS k (kind, id) CROSS JOIN LATERAL
    (SELECT revision, created, position, mac, body, terms FROM record WHERE shard = 0 AND kind = k.kind AND id = k.id LIMIT 1) AS r";

const ONCE: &str = "SELECT k.key, o.until FROM UNNEST($1::bytea[]) AS k (key)
    CROSS JOIN LATERAL (SELECT until FROM once WHERE shard = 0 AND key = k.key LIMIT 1) AS o";

const SPENT: &str = "SELECT k.budget, k.since, s.spent, s.until FROM UNNEST($1::bytea[], $2::bigint[]) AS k (budget, since)
    CROSS JOIN LATERAL (SELECT spent, until FROM spend WHERE shard = 0 AND budget = k.budget AND since = k.since LIMIT 1) AS s";

/// Leases are taken without the head's lock: these rows are locked, so that no token changes before the COMMIT.
const FENCES: &str = "SELECT k.kind, k.subject, d.fence FROM UNNEST($1::smallint[], $2::bytea[]) AS k (kind, subject)
    CROSS JOIN LATERAL (SELECT fence FROM due WHERE shard = 0 AND kind = k.kind AND subject = k.subject LIMIT 1 FOR UPDATE) AS d";

/// What has to be prepared before a transaction, so that all of it goes out in order.
pub(super) const STATEMENTS: &[&str] = &[HEAD, ORIGINALS, HASHES, REVISIONS, REPLACED, ONCE, SPENT, FENCES];

#[derive(Default)]
pub(super) struct PostgresView {
    originals: HashMap<String, Original>,
    revisions: HashMap<RowKey, u64>,
    replaced: HashMap<RowKey, Result<Replaced, StoreError>>,
    /// By the digest of a key.
    once: HashMap<Vec<u8>, Option<Timestamp>>,
    spent: HashMap<(String, Timestamp), (u32, Timestamp)>,
    fences: HashMap<(DueKind, String), u64>,
}

/// What a batch asks.
#[derive(Default)]
struct Wanted<'a> {
    commits: Vec<i64>,
    rows: (Vec<i16>, Vec<Vec<u8>>),
    replaced: (Vec<i16>, Vec<Vec<u8>>),
    once: Vec<Vec<u8>>,
    spends: (Vec<&'a [u8]>, Vec<i64>),
    due: (Vec<i16>, Vec<Vec<u8>>),
}

impl<'a> Wanted<'a> {
    fn of(batch: &'a [Prepared]) -> Self {
        let mut wanted = Self::default();
        let mut rows: HashSet<&RowKey> = HashSet::new();
        let mut replaced: HashSet<&RowKey> = HashSet::new();
        let mut spends = HashSet::new();
        for changeset in batch {
            wanted.commits.extend(changeset.events.first().map(|event| commit_key(event.id())));
            rows.extend(changeset.expects.iter().map(|(Expect::Revision(key, _) | Expect::Absent(key))| key));
            for PreparedPut { put, .. } in &changeset.puts {
                if put.replaces == 0 {
                    rows.insert(&put.key)
                } else {
                    replaced.insert(&put.key)
                };
            }
            for once in &changeset.once {
                wanted.once.push(once_key(once.space, &once.key));
            }
            spends.extend(changeset.spends.iter().map(|spend| (spend.budget.as_bytes(), spend.window.as_micros())));
            for change in &changeset.due {
                if let DueChange::Ack(kind, subject, _) | DueChange::Retry(kind, subject, ..) = change {
                    wanted.due.0.push(i16::from(kind.code()));
                    wanted.due.1.push(pack_key(subject));
                }
            }
        }
        wanted.rows = columns(rows);
        wanted.replaced = columns(replaced);
        wanted.spends = spends.into_iter().unzip();
        wanted
    }
}

fn columns<'a>(keys: impl IntoIterator<Item = &'a RowKey>) -> (Vec<i16>, Vec<Vec<u8>>) {
    keys.into_iter().map(|key| (i16::from(key.kind.code()), pack_key(&key.id))).unzip()
}

/// Begins a transaction, locks the head, and reads all that judging the batch takes.
///
/// The lock is a statement of its own: READ COMMITTED then shows each later statement what was committed before the
/// lock was given. Everything is sent at once.
///
/// Whoever takes authority away waits for the lock for less long than the others ([`LOCK_OR_ACT`]), and can act then.
pub(super) async fn begin(
    session: &Session,
    batch: &[Prepared],
    sealer: &dyn RowSealer,
) -> Result<(Head, PostgresView), NotBegun> {
    let w = Wanted::of(batch);
    let begin = if batch.iter().any(|prepared| prepared.essential) { LOCK_OR_ACT } else { "BEGIN" };
    let (begun, head, originals, rows, replaced, once, spends, fences) = tokio::join!(
        biased;
        session.client.batch_execute(begin),
        session.query(HEAD, &[]),
        part(session, true, ORIGINALS, [&w.commits]),
        part(session, !w.rows.0.is_empty(), REVISIONS, [&w.rows.0, &w.rows.1]),
        part(session, !w.replaced.0.is_empty(), REPLACED, [&w.replaced.0, &w.replaced.1]),
        part(session, !w.once.is_empty(), ONCE, [&w.once]),
        part(session, !w.spends.0.is_empty(), SPENT, [&w.spends.0, &w.spends.1]),
        part(session, !w.due.0.is_empty(), FENCES, [&w.due.0, &w.due.1]),
    );
    let failed = |error: Error| NotBegun::from(&error);
    begun.map_err(failed)?;
    let head = match head.map_err(failed)?.first() {
        Some(row) => Head { size: unsigned(row.get(0)), last_at: Timestamp::from_micros(row.get(1)) },
        None => return Err(StoreError::Unavailable("the log's head is missing".into()).into()),
    };
    let mut view = PostgresView::default();
    for row in originals.map_err(failed)? {
        let (index, leaf) = (unsigned(row.get(0)), leaf_of_entry(row.get(1))?);
        let leaf_hashes = original_hashes(session, batch, &leaf.id, index).await?;
        view.originals.insert(leaf.id, Original { index, at: Timestamp::from_micros(leaf.at), leaf_hashes });
    }
    for row in rows.map_err(failed)? {
        view.revisions.extend(key(&row).map(|key| (key, unsigned(row.get(2)))));
    }
    for row in replaced.map_err(failed)? {
        view.replaced.extend(key(&row).map(|key| (key.clone(), checked(&key, &row, sealer))));
    }
    view.once = once
        .map_err(failed)?
        .iter()
        .map(|row| (row.get(0), row.get::<_, Option<i64>>(1).map(Timestamp::from_micros)))
        .collect();
    view.spent = spends
        .map_err(failed)?
        .iter()
        .map(|row| {
            let count = u32::try_from(row.get::<_, i64>(2)).unwrap_or(u32::MAX);
            ((text(row.get(0)), Timestamp::from_micros(row.get(1))), (count, Timestamp::from_micros(row.get(3))))
        })
        .collect();
    for row in fences.map_err(failed)? {
        let code: i16 = row.get(0);
        let kind = DueKind::ALL.iter().find(|kind| i16::from(kind.code()) == code);
        view.fences.extend(kind.map(|kind| ((*kind, unpack_key(row.get(1))), unsigned(row.get(2)))));
    }
    Ok((head, view))
}

/// The hashes of a commit that is asked for again.
async fn original_hashes(
    session: &Session,
    batch: &[Prepared],
    id: &str,
    index: u64,
) -> Result<Vec<[u8; 32]>, StoreError> {
    let events = batch
        .iter()
        .find(|changeset| changeset.events.first().is_some_and(|event| event.id() == id))
        .map_or(0, |changeset| changeset.events.len());
    let found = session.query(HASHES, &[&place(index), &signed(events as u64)]).await.map_err(|error| down(&error))?;
    Ok(found.iter().map(|row| leaf_hash(row.get(0))).collect())
}

/// The key in the columns `kind, id`.
fn key(row: &tokio_postgres::Row) -> Option<RowKey> {
    let kind = u8::try_from(row.get::<_, i16>(0)).ok().and_then(RowKind::from_code)?;
    Some(RowKey { kind, id: unpack_key(row.get(1)) })
}

fn checked(key: &RowKey, found: &tokio_postgres::Row, sealer: &dyn RowSealer) -> Result<Replaced, StoreError> {
    let number = |n: usize| unsigned(found.get(n));
    let columns =
        Found { revision: number(2), created: number(3), position: number(4), mac: found.get(5), body: found.get(6) };
    let row = opened(sealer, key.clone(), &columns)?;
    Ok(Replaced { revision: row.revision, created: row.created, terms: terms_of(key, found.get(7))? })
}

impl View for PostgresView {
    fn original(&mut self, id: &str, _events: usize) -> Result<Option<Original>, StoreError> {
        Ok(self.originals.get(id).cloned())
    }

    fn revision(&mut self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        Ok(self.revisions.get(key).copied())
    }

    fn replaced(&mut self, key: &RowKey) -> Result<Option<Replaced>, StoreError> {
        self.replaced.get(key).cloned().transpose()
    }

    fn once(&mut self, space: &str, key: &str) -> Result<Option<Option<Timestamp>>, StoreError> {
        Ok(self.once.get(&once_key(space, key)).copied())
    }

    fn spent(&mut self, budget: &str, window: Timestamp) -> Result<Option<(u32, Timestamp)>, StoreError> {
        Ok(self.spent.get(&(budget.to_owned(), window)).copied())
    }

    fn fence(&mut self, kind: DueKind, subject: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.fences.get(&(kind, subject.to_owned())).copied())
    }
}
