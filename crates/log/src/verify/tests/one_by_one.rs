//! What the verdict is held against: one line after the other, each entry by [`ExportReader`], each leaf by [`Leaf::parse`].

use std::collections::BTreeMap;
use std::io::BufRead;
use std::ops::Range;

use super::super::{
    Expectations, Verified, kept_checkpoints, signed_checkpoint, trusted_keys, unreadable, usable_promises,
};
use crate::checkpoint::Checkpoint;
use crate::export::{Entry, ExportReader};
use crate::fault::{Collector, FaultCode, Faults};
use crate::leaf::Leaf;
use crate::merkle::{Frontier, Hash, leaf_hash};

pub(super) fn verify_one_by_one<R: BufRead>(input: R, expected: &Expectations<'_>) -> Result<Verified, Faults> {
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
                faults.add(code, Some(at..at.saturating_add(1)), error.to_string());
                walk.broken = true;
                if code == FaultCode::Unreadable {
                    return Err(faults.finish());
                }
                walk.expected = at.saturating_add(1);
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
        first: 0,
        entries: walk.expected,
        personal_present: walk.personal_present,
        erased: walk.erased,
        key_pinned: !expected.keys.is_empty(),
        witnessed: signed.witnesses.into_iter().map(|witness| witness.name).collect(),
        from_kept: kept.last_key_value().map(|(size, _)| *size),
        kept_elsewhere: 0,
        promises_kept: promises.len() as u64,
        promises_pending: (expected.promises.len() - promises.len()) as u64,
    })
}

const MAX_GAPS: usize = 100;

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
            let detail = format!("the export is of the entries before {} only", signed.size);
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
