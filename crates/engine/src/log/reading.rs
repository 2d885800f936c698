//! Reading the log: checkpoints, tiles, proofs, the export for auditors, and the feed of events.
//!
//! Checkpoints, tiles and proofs are public: leaves hold no personal value and no secret. The export, which holds
//! personal values that are not erased, and the feed are for those whom the policy lets audit.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use tenure_api::log::{ConsistencyProof, ExportRange, FeedActor, FeedEvent, InclusionProof};
use tenure_core::base::time::Timestamp;
use tenure_core::policy::Action;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::port::{EntryPersonal, LogEntry, Store};
use tenure_core::store::row::Position;
use tenure_log::export::{Header, Segment};
use tenure_log::tile::{TILE_WIDTH, encode_bundle, parse_entries_path};
use tenure_log::{ExportWriter, Frontier, Hash, Leaf, Node, PersonalValue, SignedNote, Tile, merkle};

use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::keys::{self, base64url};
use crate::kernel::operation::Asked;
use crate::log::seal::{self, SealedLog};

/// Entries read at once for an export: with the largest leaves 16 MiB.
const EXPORT_PAGE: u16 = 256;
/// An export is handed out in pieces of about so many bytes, a line more at most.
const EXPORT_CHUNK_BYTES: usize = 256 << 10;
/// Events handed out at once.
const FEED_PAGE: u16 = 500;

/// The newest signed checkpoint, if anything is sealed yet.
///
/// # Errors
/// The store can't be read.
pub async fn checkpoint(kernel: &Kernel) -> Result<Option<String>, OpError> {
    Ok(kernel.store.sealed().await?.map(|sealed| sealed.checkpoint))
}

/// The log's public key as a C2SP verifier key, for verifiers to pin.
///
/// # Errors
/// Set-up has not been done, or the store can't be read.
pub async fn verifier_key(kernel: &Kernel) -> Result<String, OpError> {
    Ok(keys::deployment_keys(kernel).await?.log.verifier_key().to_string())
}

/// The bytes at a path of C2SP tlog-tiles (`tile/{L}/{N}`, `tile/entries/{N}`, each with or without `.p/{W}`), if the
/// newest checkpoint covers it.
///
/// # Errors
/// The store can't be read, or what it holds is damaged.
pub async fn tile(kernel: &Kernel, path: &str) -> Result<Option<Vec<u8>>, OpError> {
    let Some(log) = SealedLog::newest(kernel).await? else {
        return Ok(None);
    };
    if let Some((index, width)) = parse_entries_path(path) {
        return bundle(kernel, &log, index, width).await;
    }
    match Tile::parse(path) {
        Some(tile) => log.tile(tile).await,
        None => Ok(None),
    }
}

async fn bundle(kernel: &Kernel, log: &SealedLog<'_>, index: u64, width: u16) -> Result<Option<Vec<u8>>, OpError> {
    let Some(from) = index.checked_mul(u64::from(TILE_WIDTH)) else {
        return Ok(None);
    };
    if from.checked_add(u64::from(width)).is_none_or(|end| end > log.size) {
        return Ok(None);
    }
    let leaves: Vec<Vec<u8>> = kernel.store.entries(from, width).await?.into_iter().map(|entry| entry.leaf).collect();
    if leaves.len() != usize::from(width) {
        return Err(OpError::Internal(format!("entries from {from} on are missing from the log")));
    }
    encode_bundle(&leaves)
        .map(Some)
        .ok_or_else(|| OpError::Internal(format!("a leaf from {from} on is too long for a bundle")))
}

/// Proves that entry `index` is among the first `size`.
///
/// # Errors
/// The index is outside of the size, or the size isn't sealed yet.
pub async fn inclusion(kernel: &Kernel, index: u64, size: u64) -> Result<InclusionProof, OpError> {
    if index >= size {
        return Err(OpError::field(
            "index",
            "index_out_of_range",
            "ask for an index below the size; entries are numbered from 0",
        ));
    }
    let log = sealed_up_to(kernel, "size", size).await?;
    let leaf = Node { level: 0, index };
    let mut nodes = merkle::inclusion_nodes(index, size);
    nodes.push(leaf);
    let mut hashes = log.hashes(&nodes).await?;
    let leaf_hash = hashes.get(&leaf).map(|hash| base64url(hash)).unwrap_or_default();
    let proof =
        merkle::prove_inclusion(&mut hashes, index, size).map_err(|error| OpError::Internal(error.to_string()))?;
    Ok(InclusionProof {
        index,
        size,
        leaf_hash,
        proof: texts(&proof),
        checkpoint: (size == log.size).then_some(log.checkpoint),
    })
}

/// Proves that the first `to` entries begin with the first `from`.
///
/// # Errors
/// The sizes are in the wrong order, or the longer one isn't sealed yet.
pub async fn consistency(kernel: &Kernel, from: u64, to: u64) -> Result<ConsistencyProof, OpError> {
    if from > to {
        return Err(OpError::field("from", "from_above_to", "ask from the smaller size to the larger one"));
    }
    let log = sealed_up_to(kernel, "to", to).await?;
    let proof = log.consistency(from, to).await?;
    Ok(ConsistencyProof { from, to, proof: texts(&proof), checkpoint: (to == log.size).then_some(log.checkpoint) })
}

async fn sealed_up_to<'a>(kernel: &'a Kernel, field: &str, size: u64) -> Result<SealedLog<'a>, OpError> {
    let log = SealedLog::newest(kernel).await?;
    let sealed = log.as_ref().map_or(0, |log| log.size);
    log.filter(|_| size <= sealed).ok_or_else(|| {
        OpError::field(
            field,
            "size_not_sealed",
            &format!("the newest checkpoint covers {sealed} entries: ask for at most that, or a little later"),
        )
    })
}

/// Starts an export of what is committed by now, for an auditor to keep and verify offline: all of it, or a segment, which
/// is verified alone as well.
///
/// # Errors
/// The caller may not audit, no entry is in the range, or the log can't be sealed.
pub async fn export(kernel: &Kernel, caller: &Caller, range: ExportRange) -> Result<Export, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Use, "log.export", ""), async {
            kernel.allow(caller, Action::Audit, inventory("log", "export", ""), owns(false))?;
            seal::seal_now(kernel).await?;
            let log = SealedLog::newest(kernel).await?.ok_or(OpError::Setup("set-up has not been done"))?;
            let keys = keys::deployment_keys(kernel).await?;
            let failed = |error: &dyn std::error::Error| OpError::Internal(error.to_string());
            let note = SignedNote::parse(&log.checkpoint).map_err(|error| failed(&error))?;
            let mut header =
                Header::new(keys.log.verifier_key(), keys.log.shard(), &note).map_err(|error| failed(&error))?;
            let entries = entries_in(kernel, &range, log.size).await?;
            if entries != (0..log.size) {
                let mut peaks = log.hashes(&merkle::root_nodes(entries.start)).await?;
                let before = Frontier::load(&mut peaks, entries.start).map_err(|error| failed(&error))?;
                let proof = log.consistency(entries.end, log.size).await?;
                header = header.cut(entries.end, Segment { before, proof });
            }
            Export::new(Arc::clone(&kernel.store), &header)
        })
        .await
}

/// The entries in a range of a log of this size.
async fn entries_in(kernel: &Kernel, range: &ExportRange, size: u64) -> Result<Range<u64>, OpError> {
    if range.before.is_some_and(|before| before > size) {
        let hint = format!("the newest checkpoint covers {size} entries: ask for at most that, or a little later");
        return Err(OpError::field("before", "size_not_sealed", &hint));
    }
    let mut start = range.from.unwrap_or(0);
    let mut end = range.before.unwrap_or(size);
    if let Some(since) = range.since {
        start = start.max(first_at(kernel, since, size).await?);
    }
    if let Some(until) = range.until {
        end = end.min(first_at(kernel, until, size).await?);
    }
    if start < end || (start, end, size) == (0, 0, 0) {
        return Ok(start..end);
    }
    let field = if range.from.is_some() { "from" } else { "since" };
    let hint = format!("the log has {size} entries, and none from {start} to before {end}: ask for a wider range");
    Err(OpError::field(field, "range_empty", &hint))
}

/// The first entry at or after a time; their times never decrease.
async fn first_at(kernel: &Kernel, time: Timestamp, size: u64) -> Result<u64, OpError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = kernel.store.entries(middle, 1).await?.into_iter().find(|entry| entry.index == middle);
        let entry = entry.ok_or_else(|| missing(middle))?;
        if feed_event(&entry)?.at < time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn missing(index: u64) -> OpError {
    OpError::Internal(format!("the entry {index} is missing from the log"))
}

/// Events behind `after`, or from the first on, in order: at most `limit`, and never more than 500.
///
/// # Errors
/// The caller may not audit, the log has no entry `after` yet, or the store can't be read.
pub async fn events_after(
    kernel: &Kernel,
    caller: &Caller,
    after: Option<Position>,
    limit: u16,
) -> Result<Vec<FeedEvent>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Use, "log.events", ""), async {
            allows_feed(kernel, caller)?;
            let from = match after {
                None => 0,
                Some(position) if position.shard == 0 => position.index.saturating_add(1),
                Some(_) => {
                    return Err(OpError::field(
                        "after",
                        "position_unknown",
                        "there is no such shard: give the position of an event of this feed",
                    ));
                }
            };
            let entries = kernel.store.entries(from, limit.clamp(1, FEED_PAGE)).await?;
            if entries.is_empty() && from > 0 {
                let size = kernel.store.head().await?.size;
                if from > size {
                    let hint = format!("the log has {size} entries: give the id of an event that this feed gave, as `after` or as Last-Event-ID");
                    return Err(OpError::field("after", "position_unknown", &hint));
                }
            }
            entries.iter().map(feed_event).collect()
        })
        .await
}

/// Whether the caller may read the feed, for events that are at hand; a refusal is recorded as that of
/// [`Kernel::events_after`].
///
/// # Errors
/// They may not.
pub async fn may_follow(kernel: &Kernel, caller: &Caller) -> Result<(), OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Use, "log.events", ""), async { allows_feed(kernel, caller) })
        .await
}

fn allows_feed(kernel: &Kernel, caller: &Caller) -> Result<(), OpError> {
    kernel.allow(caller, Action::Audit, inventory("log", "events", ""), owns(false)).map(|_| ())
}

/// Returns when the log has more than `seen` entries, or after a while; look again either way.
pub async fn wait_for_events(kernel: &Kernel, seen: u64) {
    kernel.store.grown(seen).await;
}

fn texts(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| base64url(hash)).collect()
}

fn feed_event(entry: &LogEntry) -> Result<FeedEvent, OpError> {
    let leaf =
        Leaf::read(&entry.leaf).map_err(|error| OpError::Internal(format!("the entry {}: {error}", entry.index)))?;
    Ok(told(entry.index, leaf))
}

/// The entry with this number as it is shown.
pub(crate) fn told(index: u64, leaf: Leaf) -> FeedEvent {
    FeedEvent {
        position: Position::at(index),
        id: leaf.id,
        kind: leaf.kind,
        control: leaf.control,
        at: Timestamp::from_micros(leaf.at),
        actor: FeedActor { kind: leaf.actor.kind, id: leaf.actor.id },
        subjects: leaf.subjects,
        data: leaf.data,
    }
}

/// An export under way. It holds one page of entries in memory, and a piece of the file.
pub struct Export {
    store: Arc<dyn Store>,
    /// What was read and not written yet.
    unwritten: std::vec::IntoIter<LogEntry>,
    page: Page,
    /// `None` once everything is written.
    writer: Option<ExportWriter<Page>>,
    next: u64,
    end: u64,
}

impl Export {
    fn new(store: Arc<dyn Store>, header: &Header) -> Result<Self, OpError> {
        let page = Page::default();
        let writer = ExportWriter::new(page.clone(), header).map_err(|error| OpError::Internal(error.to_string()))?;
        let (next, end) = (header.first(), header.size);
        Ok(Self { store, unwritten: Vec::new().into_iter(), page, writer: Some(writer), next, end })
    }

    /// The file's next bytes; `None` at its end. After an error the export is worthless: it lacks entries.
    ///
    /// # Errors
    /// The store can't be read, or lacks entries.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, OpError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(None);
        };
        let failed = |error: tenure_log::ExportError| OpError::Internal(error.to_string());
        while self.next < self.end && self.page.len() < EXPORT_CHUNK_BYTES {
            if self.unwritten.as_slice().is_empty() {
                let n = u16::try_from(self.end - self.next).unwrap_or(u16::MAX).min(EXPORT_PAGE);
                self.unwritten = self.store.entries(self.next, n).await?.into_iter();
            }
            let entry = self.unwritten.next().filter(|entry| entry.index == self.next);
            let entry = entry.ok_or_else(|| missing(self.next))?;
            let personal: Vec<PersonalValue> = entry.personal.into_iter().map(opened).collect();
            writer.entry(&entry.leaf, &personal).map_err(failed)?;
            self.next += 1;
        }
        if self.next == self.end {
            writer.finish().map_err(failed)?;
        } else {
            self.writer = Some(writer);
        }
        Ok(Some(self.page.take()))
    }
}

fn opened(personal: EntryPersonal) -> PersonalValue {
    PersonalValue { field: personal.field, salt: personal.salt, value: personal.value }
}

/// What was written and not handed out yet.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn len(&self) -> usize {
        self.0.lock().len()
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
