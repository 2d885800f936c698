//! The offline verifier: reads an export as a stream, in memory that grows with the logarithm of the log, and names
//! what is wrong with it. Lines are read on all processors ([`pass`]); the verdict is that of reading one after the other.
//!
//! Only signed roots are trusted. The claimed leaf hashes in the export serve to *locate* a change: if they lead to the
//! signed root, the entry that does not match its own hash is proven to be the changed one. If they were altered along
//! with the entry, kept checkpoints still bound the range in which the first change lies.

mod block;
mod bookmark;
mod lanes;
mod line;
mod pass;
mod walk;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

pub use bookmark::{Bookmark, BookmarkError, MAX_BOOKMARK_BYTES};
use bookmark::{Bound, Place};
use pass::Pass;
use walk::{Goal, Walk};

use crate::checkpoint::{Checkpoint, CheckpointError, OpenedCheckpoint, shard_origin};
use crate::export::{ExportError, Header, read_header};
use crate::fault::{Collector, FaultCode, Faults};
use crate::merkle::Hash;
use crate::note::{KeyAlgorithm, SignedNote, VerifierKey};
use crate::promise::SignedPromise;

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
    /// The number of the first entry; 0 unless the export is a segment.
    pub first: u64,
    /// Entries read; equals `size` unless the export is a segment.
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
    /// Kept checkpoints that end before this segment begins, or behind it: nothing is said about them.
    pub kept_elsewhere: u64,
    /// Promises whose leaves are in their places.
    pub promises_kept: u64,
    /// Promises for entries that aren't in this export.
    pub promises_pending: u64,
}

/// How far a verification has come.
pub struct Progress<'a> {
    /// The number of the first entry.
    pub first: u64,
    /// The number of the entry that is due next; 0 while bytes are hashed only, on the way to a bookmark.
    pub entries: u64,
    /// The number of the entry behind the last one, as the header says.
    pub size: u64,
    /// Bytes of the export that were gone through, its header's among them.
    pub bytes: u64,
    place: Option<Place<'a>>,
}

impl Progress<'_> {
    /// Where it is now, to go on from there another time. `None` on the way to another bookmark, and if the run makes none.
    #[must_use]
    pub fn bookmark(&self) -> Option<Bookmark> {
        self.place.map(Place::bookmark)
    }
}

/// How to go about a verification.
pub struct Run<'a> {
    /// How many threads read lines. The verdict is the same for any number.
    pub threads: usize,
    /// Where to go on.
    pub from: Option<Bookmark>,
    /// Whether [`Progress::bookmark`] is asked for; each byte is hashed for it.
    pub bookmarks: bool,
    /// Told how far it has come, some thousand times a second; stops the run by its answer.
    pub watch: &'a mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
}

/// Why there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// Whoever watched stopped it.
    #[error("the verification was stopped")]
    Stopped,
    /// The bookmark that was given is of no use here.
    #[error(transparent)]
    Bookmark(#[from] BookmarkError),
}

/// Verifies an export against its signed checkpoint and against what is expected of it, on all processors.
///
/// # Errors
/// All faults that were found, when there is any.
pub fn verify_export<R: BufRead>(input: R, expected: &Expectations<'_>) -> Result<Verified, Faults> {
    let mut watch = |_: &Progress<'_>| ControlFlow::Continue(());
    let run = Run { threads: processors(), from: None, bookmarks: false, watch: &mut watch };
    verify_export_with(input, expected, run)
        .unwrap_or_else(|unfinished| Err(Collector::default().only(FaultCode::Unreadable, None, &unfinished)))
}

/// As many threads as there are processors.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// [`verify_export`], as `run` says.
///
/// # Errors
/// [`Unfinished`] if there is no verdict; the verdict's own are all faults that were found, when there is any.
pub fn verify_export_with<R: BufRead>(
    mut input: R,
    expected: &Expectations<'_>,
    mut run: Run<'_>,
) -> Result<Result<Verified, Faults>, Unfinished> {
    let mut faults = Collector::default();
    let (header, line) = match read_header(&mut input) {
        Ok(read) => read,
        Err(error) => {
            return Ok(Err(faults.only(unreadable(&error, FaultCode::HeaderMalformed), None, &error)));
        }
    };
    let bound = Bound::new(expected, &line);
    if let Some(bookmark) = &run.from {
        bound.fits(bookmark)?;
    }
    let keys = trusted_keys(&header, expected, &mut faults);
    let Some(signed) = signed_checkpoint(&header, expected, &keys, &mut faults) else {
        return Ok(Err(faults.finish()));
    };
    let entries = header.first()..header.size;
    let mut kept = kept_checkpoints(&signed.checkpoint, expected, &keys, &mut faults);
    let all_kept = kept.len();
    // Of others the entries say nothing; the signed one itself was compared.
    kept.retain(|size, _| *size == signed.checkpoint.size || (entries.start..=entries.end).contains(size));
    let mut promises = usable_promises(&signed.checkpoint, expected, &keys, &mut faults);
    promises.retain(|(index, _)| entries.contains(index));

    let before = header.segment.as_ref().map(|segment| segment.before.clone()).unwrap_or_default();
    let mut pass = Pass::new(Walk::new(before, &kept, &promises), faults, header.size, bound, run.from.take());
    let readable = pass.entries(input, &mut run)?;
    let Pass { mut walk, mut faults, .. } = pass;
    if readable {
        let goal = Goal { end: header.size, signed: &signed.checkpoint, proof: header.proof() };
        walk.end(&goal, &mut faults);
    }
    if faults.any() {
        return Ok(Err(faults.finish()));
    }
    let stand = walk.stand;
    Ok(Ok(Verified {
        origin: signed.checkpoint.origin,
        shard: header.shard,
        size: signed.checkpoint.size,
        root: signed.checkpoint.root,
        first: entries.start,
        entries: stand.expected - entries.start,
        personal_present: stand.personal_present,
        erased: stand.erased,
        key_pinned: !expected.keys.is_empty(),
        witnessed: signed.witnesses.into_iter().map(|witness| witness.name).collect(),
        from_kept: kept.last_key_value().map(|(size, _)| *size),
        kept_elsewhere: (all_kept - kept.len()) as u64,
        promises_kept: promises.len() as u64,
        promises_pending: (expected.promises.len() - promises.len()) as u64,
    }))
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
    let (signed, claimed) = (opened.checkpoint.size, header.size);
    if header.segment.is_none() && signed != claimed || signed < claimed {
        faults.whole(FaultCode::SizeMismatch, format!("{signed} entries are signed, the header says {claimed}"));
    }
    if header.segment.is_some() && header.first() >= claimed {
        let detail = format!("there is no entry from {} to below {claimed}", header.first());
        faults.whole(FaultCode::HeaderMalformed, detail);
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

#[cfg(test)]
mod tests;
