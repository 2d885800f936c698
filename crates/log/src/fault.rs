//! What the verifier can find, under stable names.

use std::fmt;
use std::ops::Range;

/// The most faults that are listed; more are counted.
pub(crate) const MAX_FAULTS: usize = 100;

/// The stable name of what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultCode {
    /// The stream failed or a line is too long.
    Unreadable,
    /// The first line is not a header, or its key or checkpoint is malformed.
    HeaderMalformed,
    /// Header, checkpoint, key and expectation do not name the same log.
    WrongOrigin,
    /// The checkpoint is not signed by an expected key.
    UnknownKey,
    /// A signature of a known key is wrong.
    BadSignature,
    /// The header's size is not the one that is signed.
    SizeMismatch,
    /// A line is not an entry.
    EntryMalformed,
    /// The leaf's bytes don't have the leaf hash beside them.
    EntryChanged,
    /// Entries are missing in the middle.
    EntryRemoved,
    /// An entry is there that does not belong.
    EntryInserted,
    /// An entry is not in its place.
    EntryReordered,
    /// Entries are missing at the end.
    EntriesTruncated,
    /// The leaf's bytes are not a leaf, or not in canonical form.
    LeafMalformed,
    /// An entry is earlier than the one before.
    TimeBackwards,
    /// A personal value doesn't match the leaf's commitment.
    PersonalMismatch,
    /// A personal value has no commitment in the leaf, or is there twice.
    PersonalUnknown,
    /// The entries don't give the signed root.
    RootMismatch,
    /// The export is shorter than a kept checkpoint.
    Rollback,
    /// The log signed this history and a kept checkpoint that it does not continue.
    Fork,
    /// A kept checkpoint is not usable with these keys.
    KeptUnusable,
    /// A promise is not usable with these keys.
    PromiseUnusable,
    /// The log signed another leaf than it promised.
    PromiseBroken,
}

impl FaultCode {
    /// Every code, in the order in which they are described.
    pub const ALL: [Self; 22] = [
        Self::Unreadable,
        Self::HeaderMalformed,
        Self::WrongOrigin,
        Self::UnknownKey,
        Self::BadSignature,
        Self::SizeMismatch,
        Self::EntryMalformed,
        Self::EntryChanged,
        Self::EntryRemoved,
        Self::EntryInserted,
        Self::EntryReordered,
        Self::EntriesTruncated,
        Self::LeafMalformed,
        Self::TimeBackwards,
        Self::PersonalMismatch,
        Self::PersonalUnknown,
        Self::RootMismatch,
        Self::Rollback,
        Self::Fork,
        Self::KeptUnusable,
        Self::PromiseUnusable,
        Self::PromiseBroken,
    ];

    /// The code as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::HeaderMalformed => "header_malformed",
            Self::WrongOrigin => "wrong_origin",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::SizeMismatch => "size_mismatch",
            Self::EntryMalformed => "entry_malformed",
            Self::EntryChanged => "entry_changed",
            Self::EntryRemoved => "entry_removed",
            Self::EntryInserted => "entry_inserted",
            Self::EntryReordered => "entry_reordered",
            Self::EntriesTruncated => "entries_truncated",
            Self::LeafMalformed => "leaf_malformed",
            Self::TimeBackwards => "time_backwards",
            Self::PersonalMismatch => "personal_mismatch",
            Self::PersonalUnknown => "personal_unknown",
            Self::RootMismatch => "root_mismatch",
            Self::Rollback => "rollback",
            Self::Fork => "fork",
            Self::KeptUnusable => "kept_unusable",
            Self::PromiseUnusable => "promise_unusable",
            Self::PromiseBroken => "promise_broken",
        }
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its stable name.
    pub code: FaultCode,
    /// The entries concerned: one where it can be named, a range where it can only be bounded, none where it concerns
    /// the whole or cannot be located.
    pub entries: Option<Range<u64>>,
    /// What was found, for people.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entries {
            Some(at) if at.start.checked_add(1) == Some(at.end) => {
                write!(formatter, "{} at entry {}: {}", self.code, at.start, self.detail)
            }
            Some(at) => write!(formatter, "{} in entries {}..{}: {}", self.code, at.start, at.end, self.detail),
            None => write!(formatter, "{}: {}", self.code, self.detail),
        }
    }
}

/// All that is wrong with an export; never empty. Faults of the whole come first, then by entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The first faults, at most 100.
    pub list: Vec<Fault>,
    /// How many more there are.
    pub further: u64,
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.list.iter().enumerate() {
            write!(formatter, "{}{fault}", if position > 0 { "\n" } else { "" })?;
        }
        if self.further > 0 {
            write!(formatter, "\nand {} more", self.further)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Gathers faults while an export is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Collector {
    list: Vec<Fault>,
    further: u64,
}

impl Collector {
    pub(crate) fn add(&mut self, code: FaultCode, entries: Option<Range<u64>>, detail: impl Into<String>) {
        if self.list.len() < MAX_FAULTS {
            self.list.push(Fault { code, entries, detail: detail.into() });
        } else {
            self.further = self.further.saturating_add(1);
        }
    }

    /// What was gathered before; `None` if it isn't what can have been.
    pub(crate) fn restored(list: Vec<Fault>, further: u64) -> Option<Self> {
        (list.len() == MAX_FAULTS || (list.len() < MAX_FAULTS && further == 0)).then_some(Self { list, further })
    }

    pub(crate) fn list(&self) -> &[Fault] {
        &self.list
    }

    pub(crate) const fn further(&self) -> u64 {
        self.further
    }

    pub(crate) fn whole(&mut self, code: FaultCode, detail: impl Into<String>) {
        self.add(code, None, detail);
    }

    pub(crate) fn only(mut self, code: FaultCode, entries: Option<Range<u64>>, detail: &dyn fmt::Display) -> Faults {
        self.add(code, entries, detail.to_string());
        self.finish()
    }

    pub(crate) fn any(&self) -> bool {
        !self.list.is_empty()
    }

    pub(crate) fn finish(mut self) -> Faults {
        self.list.sort_by_key(|fault| fault.entries.as_ref().map(|at| at.start));
        Faults { list: self.list, further: self.further }
    }
}
