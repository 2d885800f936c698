//! The offline verifier: reads an export as a stream, in memory that grows with the logarithm of the log, and names
//! what is wrong with it.
//!
//! Only signed roots are trusted. The claimed leaf hashes in the export serve to *locate* a change: if they lead to the
//! signed root, the entry that does not match its own hash is proven to be the changed one. If they were altered along
//! with the entry, kept checkpoints still bound the range in which the first change lies.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::ops::Range;

use crate::checkpoint::{Checkpoint, CheckpointError, OpenedCheckpoint, shard_origin};
use crate::export::{Entry, ExportError, ExportReader, Header};
use crate::fault::{Collector, FaultCode, Faults};
use crate::leaf::Leaf;
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::note::{KeyAlgorithm, SignedNote, VerifierKey};
use crate::promise::SignedPromise;

/// The most gaps in the numbering that are remembered, to tell moved entries from removed ones.
const MAX_GAPS: usize = 100;

/// What a verifier knows from elsewhere. All of it is optional, and each adds a check.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expectations<'a> {
    /// The log's keys that the verifier trusts. If empty, the key in the header is taken on its word.
    pub keys: &'a [VerifierKey],
    /// Keys of witnesses whose cosignatures are looked for.
    pub witnesses: &'a [VerifierKey],
    /// The log's origin.
    pub origin: Option<&'a str>,
    /// Signed checkpoints that were kept earlier, in any order.
    pub kept: &'a [&'a str],
    /// Promises that the log gave.
    pub promises: &'a [SignedPromise],
}

/// What holds for an export without fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The log's origin.
    pub origin: String,
    /// The shard whose log it is.
    pub shard: u32,
    /// The size that the checkpoint signs.
    pub size: u64,
    /// The root that the checkpoint signs and the entries give.
    pub root: Hash,
    /// Entries read; equals `size`.
    pub entries: u64,
    /// Personal values that are present and match their commitments.
    pub personal_present: u64,
    /// Personal values that are committed to and no longer there.
    pub erased: u64,
    /// Whether the log's key was expected, instead of read from the export itself.
    pub key_pinned: bool,
    /// Names of the known witnesses that cosigned the checkpoint; empty means unwitnessed.
    pub witnessed: Vec<String>,
    /// The size of the largest kept checkpoint, which is proven to be a prefix of this log.
    pub from_kept: Option<u64>,
    /// Promises whose leaves are in their places.
    pub promises_kept: u64,
    /// Promises for entries beyond this export.
    pub promises_pending: u64,
}

/// Verifies an export against its signed checkpoint and against what is expected of it.
///
/// # Errors
/// All faults that were found, when there is any.
pub fn verify_export<R: BufRead>(input: R, expected: &Expectations<'_>) -> Result<Verified, Faults> {
    let mut faults = Collector::default();
    let mut reader = match ExportReader::new(input) {
        Ok(reader) => reader,
        Err(error) => {
            return Err(faults.only(unreadable(&error, FaultCode::HeaderMalformed), None, &error));
        }
    };
    let header = reader.header().clone();
    let keys = trusted_keys(&header, expected, &mut faults);
    let Some(signed) = signed_checkpoint(&header, expected, &keys, &mut faults) else {
        return Err(faults.finish());
    };
    let kept = kept_checkpoints(&signed.checkpoint, expected, &keys, &mut faults);
    let promises = usable_promises(&signed.checkpoint, expected, &keys, &mut faults);

    let mut walk = Walk::new(&kept, &promises);
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => walk.entry(&entry, &mut faults),
            Ok(None) => break,
            Err(error) => {
                let code = unreadable(&error, FaultCode::EntryMalformed);
                let at = walk.expected;
                faults.add(code, Some(at..at + 1), error.to_string());
                walk.broken = true;
                if code == FaultCode::Unreadable {
                    return Err(faults.finish());
                }
                walk.expected += 1;
            }
        }
    }
    walk.end(&signed.checkpoint, &mut faults);
    if faults.any() {
        return Err(faults.finish());
    }
    Ok(Verified {
        origin: signed.checkpoint.origin,
        shard: header.shard,
        size: signed.checkpoint.size,
        root: signed.checkpoint.root,
        entries: walk.expected,
        personal_present: walk.personal_present,
        erased: walk.erased,
        key_pinned: !expected.keys.is_empty(),
        witnessed: signed.witnesses.into_iter().map(|witness| witness.name).collect(),
        from_kept: kept.last_key_value().map(|(size, _)| *size),
        promises_kept: promises.len() as u64,
        promises_pending: (expected.promises.len() - promises.len()) as u64,
    })
}

fn unreadable(error: &ExportError, otherwise: FaultCode) -> FaultCode {
    match error {
        ExportError::Io(_) | ExportError::LineTooLong => FaultCode::Unreadable,
        _ => otherwise,
    }
}

fn trusted_keys(header: &Header, expected: &Expectations<'_>, faults: &mut Collector) -> Vec<VerifierKey> {
    let mut keys = expected.keys.to_vec();
    match VerifierKey::parse(&header.verifier_key) {
        Ok(key) if keys.is_empty() => keys.push(key),
        Ok(key) if keys.contains(&key) => {}
        Ok(_) => faults.whole(FaultCode::UnknownKey, "the header names a key that is not expected"),
        Err(error) => faults.whole(FaultCode::HeaderMalformed, error.to_string()),
    }
    // A witness's key must never count as the log's.
    let witnesses = expected.witnesses.iter().filter(|key| key.algorithm() == KeyAlgorithm::CosignatureV1);
    keys.extend(witnesses.cloned());
    keys
}

/// The header's checkpoint. When only its signature is wrong, the walk goes on with what it says, to find more.
fn signed_checkpoint(
    header: &Header,
    expected: &Expectations<'_>,
    keys: &[VerifierKey],
    faults: &mut Collector,
) -> Option<OpenedCheckpoint> {
    let opened = Checkpoint::open(&header.checkpoint, keys).or_else(|error| {
        let code = match error {
            CheckpointError::UnknownKey => FaultCode::UnknownKey,
            CheckpointError::BadSignature => FaultCode::BadSignature,
            CheckpointError::Note(_) | CheckpointError::Text => FaultCode::HeaderMalformed,
        };
        faults.whole(code, error.to_string());
        let text = SignedNote::parse(&header.checkpoint).map_err(CheckpointError::Note)?.text;
        Checkpoint::parse_text(&text).map(|checkpoint| OpenedCheckpoint { checkpoint, witnesses: Vec::new() })
    });
    let opened = opened.ok()?;
    let origin = &opened.checkpoint.origin;
    if *origin != header.origin || expected.origin.is_some_and(|expected| expected != origin) {
        faults.whole(FaultCode::WrongOrigin, format!("the checkpoint is of the log {origin}"));
    }
    let shard_named = origin.rsplit_once('/').is_some_and(|(log, _)| shard_origin(log, header.shard) == *origin);
    if !shard_named {
        faults.whole(FaultCode::WrongOrigin, format!("the log {origin} is not that of shard {}", header.shard));
    }
    if opened.checkpoint.size != header.size {
        let (signed, claimed) = (opened.checkpoint.size, header.size);
        faults.whole(FaultCode::SizeMismatch, format!("{signed} entries are signed, the header says {claimed}"));
    }
    Some(opened)
}

/// Kept checkpoints by size, without those that already convict the log.
fn kept_checkpoints(
    signed: &Checkpoint,
    expected: &Expectations<'_>,
    keys: &[VerifierKey],
    faults: &mut Collector,
) -> BTreeMap<u64, Hash> {
    let mut kept = BTreeMap::new();
    for note in expected.kept {
        let opened = match Checkpoint::open(note, keys) {
            Ok(opened) if opened.checkpoint.origin == signed.origin => opened.checkpoint,
            Ok(_) => {
                faults.whole(FaultCode::KeptUnusable, "the kept checkpoint is of another log");
                continue;
            }
            Err(error) => {
                faults.whole(FaultCode::KeptUnusable, error.to_string());
                continue;
            }
        };
        let (size, root) = (opened.size, opened.root);
        if size > signed.size {
            let detail = format!("{size} entries were signed before, now {}", signed.size);
            faults.add(FaultCode::Rollback, Some(signed.size..size), detail);
        } else if (size == signed.size && root != signed.root) || kept.get(&size).is_some_and(|other| *other != root) {
            faults.whole(FaultCode::Fork, format!("two roots are signed for {size} entries"));
        } else {
            kept.insert(size, root);
        }
    }
    kept
}

/// Promises by index that this checkpoint must have kept.
fn usable_promises(
    signed: &Checkpoint,
    expected: &Expectations<'_>,
    keys: &[VerifierKey],
    faults: &mut Collector,
) -> Vec<(u64, Hash)> {
    let mut due = Vec::new();
    for promise in expected.promises {
        match promise.verify(keys) {
            Ok(()) if promise.promise.origin != signed.origin => {
                faults.whole(FaultCode::PromiseUnusable, "the promise is of another log");
            }
            Ok(()) if promise.promise.index < signed.size => due.push((promise.promise.index, promise.promise.leaf)),
            Ok(()) => {}
            Err(error) => faults.whole(FaultCode::PromiseUnusable, error.to_string()),
        }
    }
    due.sort_unstable();
    due
}

/// The state of reading entries in order.
struct Walk<'a> {
    kept: &'a BTreeMap<u64, Hash>,
    promises: &'a [(u64, Hash)],
    /// The tree over the leaves as they are.
    actual: Frontier,
    /// The tree over the leaf hashes as claimed, from the first that differs.
    claimed: Option<Frontier>,
    expected: u64,
    last_at: Option<i64>,
    /// Indices that were skipped and have not turned up since.
    gaps: Vec<Range<u64>>,
    /// Order or number of entries is disturbed, so that no root says anything any more.
    broken: bool,
    /// The entries between the last kept checkpoint that agrees and the first that does not.
    disagreement: Option<Range<u64>>,
    agreed: u64,
    broken_promises: Vec<u64>,
    personal_present: u64,
    erased: u64,
}

impl<'a> Walk<'a> {
    fn new(kept: &'a BTreeMap<u64, Hash>, promises: &'a [(u64, Hash)]) -> Self {
        Self {
            kept,
            promises,
            actual: Frontier::new(),
            claimed: None,
            expected: 0,
            last_at: None,
            gaps: Vec::new(),
            broken: false,
            disagreement: None,
            agreed: 0,
            broken_promises: Vec::new(),
            personal_present: 0,
            erased: 0,
        }
    }

    fn entry(&mut self, entry: &Entry, faults: &mut Collector) {
        let in_place = self.place(entry.index, faults);
        let hash = leaf_hash(&entry.leaf);
        let at = Some(entry.index..entry.index.saturating_add(1));
        if let Some(claimed) = entry.claimed_hash.filter(|claimed| *claimed != hash) {
            faults.add(FaultCode::EntryChanged, at, "the leaf does not have the hash beside it");
            self.claimed.get_or_insert_with(|| self.actual.clone()).append(claimed);
        } else if let Some(tree) = &mut self.claimed {
            tree.append(hash);
        }
        self.actual.append(hash);
        self.compare_kept();
        if in_place {
            let first = self.promises.partition_point(|(index, _)| *index < entry.index);
            let here = self.promises.iter().skip(first).take_while(|(index, _)| *index == entry.index);
            self.broken_promises.extend(here.filter(|(_, leaf)| *leaf != hash).map(|(index, _)| *index));
        }
        self.content(entry, in_place, faults);
    }

    /// Compares the entry's number with the one that is due; true if it is in its place.
    fn place(&mut self, index: u64, faults: &mut Collector) -> bool {
        if index == self.expected {
            self.expected = index.saturating_add(1);
            return true;
        }
        self.broken = true;
        if index > self.expected {
            if self.gaps.len() < MAX_GAPS {
                self.gaps.push(self.expected..index);
            } else {
                faults.add(FaultCode::EntryRemoved, Some(self.expected..index), "entries are missing here");
            }
            self.expected = index.saturating_add(1);
            return false;
        }
        let place = Some(index..index + 1);
        if let Some(position) = self.gaps.iter().position(|gap| gap.contains(&index)) {
            let gap = self.gaps.swap_remove(position);
            let rest = [gap.start..index, index + 1..gap.end];
            self.gaps.extend(rest.into_iter().filter(|gap| !gap.is_empty()));
            faults.add(FaultCode::EntryReordered, place, "the entry comes after later ones");
        } else {
            faults.add(FaultCode::EntryInserted, place, "an entry with this number was there before");
        }
        false
    }

    fn content(&mut self, entry: &Entry, in_place: bool, faults: &mut Collector) {
        let at = Some(entry.index..entry.index.saturating_add(1));
        let leaf = match Leaf::parse(&entry.leaf) {
            Ok(leaf) => leaf,
            Err(error) => return faults.add(FaultCode::LeafMalformed, at, error.to_string()),
        };
        if in_place {
            if self.last_at.is_some_and(|last| leaf.at < last) {
                faults.add(FaultCode::TimeBackwards, at.clone(), "the entry is earlier than the one before");
            }
            self.last_at = Some(leaf.at);
        }
        let mut open = leaf.personal;
        for value in &entry.personal {
            match open.remove(&value.field) {
                Some(commitment) if value.opens(&commitment) => self.personal_present += 1,
                Some(_) => {
                    let detail = format!("the value of {:?} is not the one committed to", value.field);
                    faults.add(FaultCode::PersonalMismatch, at.clone(), detail);
                }
                None => {
                    let detail = format!("no commitment is left for {:?}", value.field);
                    faults.add(FaultCode::PersonalUnknown, at.clone(), detail);
                }
            }
        }
        self.erased += open.len() as u64;
    }

    fn compare_kept(&mut self) {
        let size = self.actual.size();
        if let Some(root) = self.kept.get(&size)
            && self.disagreement.is_none()
        {
            if self.actual.root() == *root {
                self.agreed = size;
            } else {
                self.disagreement = Some(self.agreed..size);
            }
        }
    }

    fn end(&mut self, signed: &Checkpoint, faults: &mut Collector) {
        for gap in std::mem::take(&mut self.gaps) {
            faults.add(FaultCode::EntryRemoved, Some(gap), "entries are missing here");
        }
        if self.expected < signed.size {
            let detail = format!("the export ends after {} of {} entries", self.expected, signed.size);
            faults.add(FaultCode::EntriesTruncated, Some(self.expected..signed.size), detail);
            self.broken = true;
        }
        if self.expected > signed.size {
            let detail = format!("the checkpoint covers {} entries only", signed.size);
            faults.add(FaultCode::EntryInserted, Some(signed.size..self.expected), detail);
            self.broken = true;
        }
        if self.broken {
            return;
        }
        if self.actual.root() == signed.root {
            if let Some(range) = self.disagreement.take() {
                let detail = "the log signed this history and a kept checkpoint with another one";
                faults.add(FaultCode::Fork, Some(range), detail);
            }
            for index in std::mem::take(&mut self.broken_promises) {
                faults.add(FaultCode::PromiseBroken, Some(index..index + 1), "another leaf was promised here");
            }
            return;
        }
        let located = self.claimed.as_ref().is_some_and(|claimed| claimed.root() == signed.root);
        if !located {
            self.root_mismatch(signed, faults);
        }
    }

    fn root_mismatch(&mut self, signed: &Checkpoint, faults: &mut Collector) {
        let (range, detail) = match self.disagreement.take() {
            Some(range) => (Some(range), "the first altered entry lies between two kept checkpoints"),
            None if self.agreed > 0 => (
                Some(self.agreed..signed.size),
                "the entries up to a kept checkpoint are sound, later ones are altered",
            ),
            None => (None, "entries were altered together with their hashes; which ones cannot be told"),
        };
        faults.add(FaultCode::RootMismatch, range, format!("the entries do not give the signed root: {detail}"));
    }
}
