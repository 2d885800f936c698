//! The entries in their order: places, times, the tree over them, and what is held against it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::line::{Content, Line, Summary};
use crate::checkpoint::Checkpoint;
use crate::fault::{Collector, FaultCode, MAX_FAULTS};
use crate::merkle::{Frontier, Hash, verify_consistency};

/// The most gaps in the numbering that are remembered, to tell moved entries from removed ones.
const MAX_GAPS: usize = 100;

/// The most with those that moved entries split: by then as many faults are listed as there can be.
pub(super) const MAX_SPLIT_GAPS: usize = MAX_GAPS + MAX_FAULTS;

/// A walk along the entries in order.
pub(super) struct Walk<'a> {
    kept: &'a BTreeMap<u64, Hash>,
    promises: &'a [(u64, Hash)],
    /// How far it has come.
    pub(super) stand: Stand,
}

/// How far a walk has come, and all that it knows of the entries behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stand {
    /// The tree over the leaves as they are.
    pub(super) actual: Frontier,
    /// The tree over the leaf hashes as claimed, from the first that differs.
    pub(super) claimed: Option<Frontier>,
    pub(super) expected: u64,
    pub(super) last_at: Option<i64>,
    /// Indices that were skipped and have not turned up since.
    pub(super) gaps: Vec<Range<u64>>,
    /// Order or number of entries is disturbed, so that no root says anything any more.
    pub(super) broken: bool,
    /// The entries between the last kept checkpoint that agrees and the first that does not.
    pub(super) disagreement: Option<Range<u64>>,
    pub(super) agreed: u64,
    pub(super) broken_promises: Vec<u64>,
    pub(super) personal_present: u64,
    pub(super) erased: u64,
}

/// What the entries have to lead to.
pub(super) struct Goal<'a> {
    /// The number of the entry behind the last one.
    pub(super) end: u64,
    /// The checkpoint that signs them, and perhaps others behind them.
    pub(super) signed: &'a Checkpoint,
    /// What proves the one from the other (RFC 9162 §2.1.4.1).
    pub(super) proof: &'a [Hash],
}

impl Goal<'_> {
    fn is_reached_by(&self, tree: &Frontier) -> bool {
        verify_consistency(self.end, &tree.root(), self.signed.size, &self.signed.root, self.proof)
    }
}

impl<'a> Walk<'a> {
    /// A walk that begins behind the entries of a tree.
    pub(super) fn new(before: Frontier, kept: &'a BTreeMap<u64, Hash>, promises: &'a [(u64, Hash)]) -> Self {
        let stand = Stand { expected: before.size(), actual: before, ..Stand::default() };
        let mut walk = Self { kept, promises, stand };
        walk.compare_kept();
        walk
    }

    pub(super) fn line(&mut self, line: &Line, faults: &mut Collector) {
        match line {
            Line::Entry(summary) => self.entry(summary, faults),
            Line::Malformed { count, detail } => (0..*count).for_each(|_| self.malformed(detail, faults)),
        }
    }

    fn malformed(&mut self, detail: &str, faults: &mut Collector) {
        let at = self.stand.expected;
        faults.add(FaultCode::EntryMalformed, Some(at..at.saturating_add(1)), detail);
        self.stand.broken = true;
        self.stand.expected = at.saturating_add(1);
    }

    /// The stream can't be read any further.
    pub(super) fn unreadable(&self, detail: &str, faults: &mut Collector) {
        let at = self.stand.expected;
        faults.add(FaultCode::Unreadable, Some(at..at.saturating_add(1)), detail);
    }

    fn entry(&mut self, entry: &Summary, faults: &mut Collector) {
        let in_place = self.place(entry.index, faults);
        let hash = entry.hash;
        let at = Some(entry.index..entry.index.saturating_add(1));
        let stand = &mut self.stand;
        if let Some(claimed) = entry.otherwise_claimed {
            faults.add(FaultCode::EntryChanged, at, "the leaf does not have the hash beside it");
            stand.claimed.get_or_insert_with(|| stand.actual.clone()).append(claimed);
        } else if let Some(tree) = &mut stand.claimed {
            tree.append(hash);
        }
        stand.actual.append(hash);
        self.compare_kept();
        if in_place {
            let first = self.promises.partition_point(|(index, _)| *index < entry.index);
            let here = self.promises.iter().skip(first).take_while(|(index, _)| *index == entry.index);
            self.stand.broken_promises.extend(here.filter(|(_, leaf)| *leaf != hash).map(|(index, _)| *index));
        }
        self.content(entry, in_place, faults);
    }

    /// Compares the entry's number with the one that is due; true if it is in its place.
    fn place(&mut self, index: u64, faults: &mut Collector) -> bool {
        if index == self.stand.expected {
            self.stand.expected = index.saturating_add(1);
            return true;
        }
        self.stand.broken = true;
        if index > self.stand.expected {
            if self.stand.gaps.len() < MAX_GAPS {
                self.stand.gaps.push(self.stand.expected..index);
            } else {
                faults.add(FaultCode::EntryRemoved, Some(self.stand.expected..index), "entries are missing here");
            }
            self.stand.expected = index.saturating_add(1);
            return false;
        }
        let place = Some(index..index + 1);
        if let Some(position) = self.stand.gaps.iter().position(|gap| gap.contains(&index)) {
            let gap = self.stand.gaps.swap_remove(position);
            let rest = [gap.start..index, index + 1..gap.end];
            for gap in rest.into_iter().filter(|gap| !gap.is_empty()) {
                if self.stand.gaps.len() < MAX_SPLIT_GAPS {
                    self.stand.gaps.push(gap);
                } else {
                    faults.add(FaultCode::EntryRemoved, Some(gap), "entries are missing here");
                }
            }
            faults.add(FaultCode::EntryReordered, place, "the entry comes after later ones");
        } else {
            faults.add(FaultCode::EntryInserted, place, "an entry with this number was there before");
        }
        false
    }

    fn content(&mut self, entry: &Summary, in_place: bool, faults: &mut Collector) {
        let at = Some(entry.index..entry.index.saturating_add(1));
        let stand = &mut self.stand;
        match &entry.content {
            Content::Malformed(detail) => faults.add(FaultCode::LeafMalformed, at, detail.as_str()),
            Content::Leaf { at: time, present, erased, personal } => {
                if in_place {
                    if stand.last_at.is_some_and(|last| *time < last) {
                        faults.add(FaultCode::TimeBackwards, at.clone(), "the entry is earlier than the one before");
                    }
                    stand.last_at = Some(*time);
                }
                for (code, detail) in personal {
                    faults.add(*code, at.clone(), detail.as_str());
                }
                stand.personal_present += present;
                stand.erased += erased;
            }
        }
    }

    fn compare_kept(&mut self) {
        let size = self.stand.actual.size();
        if let Some(root) = self.kept.get(&size)
            && self.stand.disagreement.is_none()
        {
            if self.stand.actual.root() == *root {
                self.stand.agreed = size;
            } else {
                self.stand.disagreement = Some(self.stand.agreed..size);
            }
        }
    }

    pub(super) fn end(&mut self, goal: &Goal<'_>, faults: &mut Collector) {
        for gap in std::mem::take(&mut self.stand.gaps) {
            faults.add(FaultCode::EntryRemoved, Some(gap), "entries are missing here");
        }
        if self.stand.expected < goal.end {
            let detail = format!("the export ends after {} of {} entries", self.stand.expected, goal.end);
            faults.add(FaultCode::EntriesTruncated, Some(self.stand.expected..goal.end), detail);
            self.stand.broken = true;
        }
        if self.stand.expected > goal.end {
            let detail = format!("the export is of the entries before {} only", goal.end);
            faults.add(FaultCode::EntryInserted, Some(goal.end..self.stand.expected), detail);
            self.stand.broken = true;
        }
        if self.stand.broken {
            return;
        }
        if goal.is_reached_by(&self.stand.actual) {
            if let Some(range) = self.stand.disagreement.take() {
                let detail = "the log signed this history and a kept checkpoint with another one";
                faults.add(FaultCode::Fork, Some(range), detail);
            }
            for index in std::mem::take(&mut self.stand.broken_promises) {
                faults.add(FaultCode::PromiseBroken, Some(index..index + 1), "another leaf was promised here");
            }
            return;
        }
        let located = self.stand.claimed.as_ref().is_some_and(|claimed| goal.is_reached_by(claimed));
        if !located {
            self.root_mismatch(goal.end, faults);
        }
    }

    fn root_mismatch(&mut self, end: u64, faults: &mut Collector) {
        let (range, detail) = match self.stand.disagreement.take() {
            Some(range) => (Some(range), "the first altered entry lies between two kept checkpoints"),
            None if self.stand.agreed > 0 => {
                (Some(self.stand.agreed..end), "the entries up to a kept checkpoint are sound, later ones are altered")
            }
            None => (None, "entries were altered together with their hashes; which ones cannot be told"),
        };
        faults.add(FaultCode::RootMismatch, range, format!("the entries do not give the signed root: {detail}"));
    }
}
