//! The digest of the state: what the log said of every row as of one of its entries, from which a verification goes on
//! (`docs/adr/0020-state-digests.md`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tenure_core::store::changeset::{Changeset, Expect};
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::ListQuery;
use tenure_core::store::row::{RowKey, RowKind, Stored};
use tenure_core::store::state_digest::{DigestChunk, Said, Slot, StateDigest};
use tenure_log::{Frontier, Hash, RowDigest, leaf_hash};

use crate::kernel::error::OpError;
use crate::kernel::keys::base64url;
use crate::kernel::{Kernel, epoch};
use crate::state::said::SaidRow;
use crate::state::verify::{LoggedState, Replay, note};

/// By how many entries the log has to grow before it is worth another digest.
const GROWN: u64 = 100;
/// Rows of a chunk: some 25 KiB.
const ROWS: usize = 250;
/// Chunks of a commit: some 1 MiB.
const CHUNKS: usize = 40;
/// Chunks read at once.
const PAGE: u16 = 40;
/// How often a digest is read again that another replica writes meanwhile.
const ATTEMPTS: u32 = 4;

/// The log as the newest digest says it, if that is whole. Whatever is wrong with a digest is found by reading the log
/// without it.
pub(crate) async fn digested(kernel: &Kernel) -> Result<Option<Replay>, OpError> {
    for _ in 0..ATTEMPTS {
        let Some(newest) = newest_digest(kernel).await? else {
            return Ok(None);
        };
        if let Some(replay) = read_digest(kernel, &newest).await? {
            return Ok(Some(replay));
        }
        // The one after the next is written over its chunks.
        if newest_digest(kernel).await?.is_some_and(|now| now.revision == newest.revision) {
            break;
        }
    }
    Ok(None)
}

/// As the database has it, not a cache.
async fn newest_digest(kernel: &Kernel) -> Result<Option<Stored<StateDigest>>, OpError> {
    let page = kernel.store.page(&of_digests(StateDigest::BEFORE.to_owned(), 1)).await?;
    let newest = page.rows.first().filter(|row| row.key == StateDigest::row_key());
    Ok(newest.and_then(|row| row.decode().ok()))
}

/// `None`: its chunks are not the ones that it was made with.
async fn read_digest(kernel: &Kernel, digest: &StateDigest) -> Result<Option<Replay>, OpError> {
    let edge = URL_SAFE_NO_PAD.decode(&digest.frontier).ok();
    let Some(frontier) = edge.and_then(|edge| Frontier::from_bytes(&edge)).filter(|edge| edge.size() == digest.entries)
    else {
        return Ok(None);
    };
    let mut replay = Replay { frontier, ..Replay::new(kernel) };
    let mut tree = Frontier::new();
    let (mut next, mut after) = (0, digest.slot.prefix());
    while next < digest.chunks {
        let page = kernel.store.page(&of_digests(after, PAGE)).await?;
        let Some(last) = page.rows.last() else { return Ok(None) };
        after = last.key.id.clone();
        for row in page.rows.iter().take(usize::try_from(digest.chunks - next).unwrap_or(usize::MAX)) {
            if row.key != DigestChunk::row_key(digest.slot, next) {
                return Ok(None);
            }
            let Ok(chunk) = row.decode::<DigestChunk>() else {
                return Ok(None);
            };
            for said in &chunk.rows {
                tree.append(hash_of(said));
                let (kind, id, revision, digest) = said;
                let Some(digest) = decoded(digest) else { return Ok(None) };
                let (kind, id, revision) = (kind.clone(), id.clone(), *revision);
                note(&mut replay.said, &RowDigest { kind, id, revision, digest })?;
            }
            next += 1;
        }
    }
    Ok((base64url(&tree.root()) == digest.root).then_some(replay))
}

/// Writes the digest that a verification without a fault came to, if the log has grown enough since the newest one. Who
/// is overtaken by another replica leaves it to that one.
///
/// # Errors
/// The store can't be read or written.
pub(crate) async fn write_digest(kernel: &Kernel, logged: LoggedState) -> Result<(), OpError> {
    let newest = newest_digest(kernel).await?;
    let entries = logged.frontier.size();
    let since = newest.as_ref().map_or(0, |newest| newest.entries);
    if entries < since.saturating_add(GROWN) || epoch::is_contradicted(kernel) {
        return Ok(());
    }
    let slot = newest.as_ref().map_or(Slot::Even, |newest| newest.slot.other());
    let (mut tree, mut number, mut written) = (Frontier::new(), 0, Vec::new());
    let mut from = 0;
    while from < logged.rows.end() {
        let (batch, next) = logged.rows.batch(from, ROWS * CHUNKS)?;
        from = next;
        let is_last = from >= logged.rows.end();
        let mut chunks = Vec::with_capacity(CHUNKS);
        for rows in batch.chunks(ROWS) {
            let rows: Vec<Said> = rows.iter().map(said).collect();
            rows.iter().for_each(|said| tree.append(hash_of(said)));
            chunks.push(DigestChunk { slot, number, rows });
            number += 1;
        }
        let now = kernel.now();
        let kind = if is_last { EventKind::StateDigested } else { EventKind::StateDigestBegun };
        let event = kernel.event(now, kind).subject("log").fact("entries", entries).fact("rows", tree.size());
        let event = if is_last { event.fact("root", base64url(&tree.root())) } else { event };
        let mut changeset = Changeset::new(Actor::System { part: "verification".into() }, now, event);
        put_chunks(kernel, &mut changeset, &chunks).await?;
        if is_last {
            // Whoever else wrote a chunk in between makes another digest of it.
            changeset.expects.append(&mut written);
            let digest = StateDigest {
                entries,
                frontier: base64url(&logged.frontier.to_bytes()),
                slot,
                chunks: number,
                rows: tree.size(),
                root: base64url(&tree.root()),
            };
            match &newest {
                Some(newest) => changeset.replace(newest, &digest),
                None => changeset.insert(&digest),
            };
        } else {
            written.extend(changeset.puts.iter().map(|put| Expect::Revision(put.key.clone(), put.replaces + 1)));
            match &newest {
                Some(newest) => changeset.expect(newest),
                None => changeset.expect_absent(StateDigest::row_key()),
            };
        }
        if kernel.settle(changeset).await?.is_none() {
            tracing::debug!("another replica wrote a digest of the state meanwhile");
            return Ok(());
        }
    }
    Ok(())
}

async fn put_chunks(kernel: &Kernel, changeset: &mut Changeset, chunks: &[DigestChunk]) -> Result<(), OpError> {
    let keys: Vec<RowKey> = chunks.iter().map(|chunk| DigestChunk::row_key(chunk.slot, chunk.number)).collect();
    let known = kernel.store.load(&keys).await?;
    for (n, chunk) in chunks.iter().enumerate() {
        match known.get::<DigestChunk>(n)? {
            Some(stored) => changeset.replace(&stored, chunk),
            None => changeset.insert(chunk),
        };
    }
    Ok(())
}

/// The rows as they stand, in the order of their ids: the digest and its chunks are two records of one kind.
fn of_digests(after: String, limit: u16) -> ListQuery {
    ListQuery { after: Some(after), ..ListQuery::every(RowKind::StateDigest, limit) }
}

fn said(row: &SaidRow) -> Said {
    (row.key.kind.as_str().to_owned(), row.key.id.clone(), row.revision, base64url(&row.digest))
}

/// What of a digest stands for a row in its tree. Kinds and ids hold no line break, and digests are of one length.
fn hash_of((kind, id, revision, digest): &Said) -> Hash {
    leaf_hash(format!("{kind}\n{id}\n{revision}\n{digest}").as_bytes())
}

fn decoded(digest: &str) -> Option<Hash> {
    URL_SAFE_NO_PAD.decode(digest).ok()?.try_into().ok()
}
