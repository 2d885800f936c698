//! Where a verification was left off, to go on from there later.
//!
//! What went before is not verified again, so a [`Bookmark`] is taken on its word, like the keys and checkpoints that a
//! verifier kept: whoever may write it decides about the verdict. Nobody else does. The export's bytes up to the bookmark
//! are read and hashed again and have to be those that were verified; the keys, checkpoints and promises that the export is
//! held against have to be the same ones, and so has the release, since another one may check other things. A digest over
//! the bookmark itself finds what was cut or damaged. It holds nothing that could be forged *into* a sound verdict without
//! all of that: the tree over the entries before it still has to lead to the signed root.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Expectations;
use super::walk::{MAX_SPLIT_GAPS, Stand};
use crate::encoding::{Text32, TextBytes, sha256, url64};
use crate::fault::{Collector, Fault, FaultCode};
use crate::merkle::{Frontier, Hash};
use crate::promise::SignedPromise;

const FORMAT: &str = "tenure-log-bookmark/v1";

/// Separates these hashes from every other use of SHA-256 in Tenure.
const DOMAIN: &[u8] = b"tenure-log-bookmark/v1\0";

/// The longest text form in bytes that is read: a hundred faults and their details are far below it.
pub const MAX_BOOKMARK_BYTES: usize = 1 << 20;

/// Where a verification was left off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    /// What the export is held against.
    pub(super) expected: Hash,
    /// Digest of the header's line.
    pub(super) header: Hash,
    /// How many bytes of the export behind its header were verified.
    pub(super) bytes: u64,
    /// Digest of these bytes, see [`chained`].
    pub(super) seen: Hash,
    pub(super) stand: Stand,
    pub(super) faults: Collector,
}

/// Why a bookmark is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookmarkError {
    /// The text is no bookmark, or not all of it, or not as it was written.
    #[error("the bookmark is cut, damaged, or none at all")]
    Malformed,
    /// It was written by another release, which may check other things.
    #[error("the bookmark was written by another release")]
    OtherRelease,
    /// Other keys, witnesses, kept checkpoints or promises are given now, or in another order.
    #[error("the bookmark was made with other keys, witnesses, kept checkpoints or promises, or in another order")]
    OtherExpectations,
    /// The export isn't the one that was verified up to here, byte by byte.
    #[error("the bookmark is of another export, or the export was changed since")]
    OtherExport,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: String,
    release: String,
    expected: Text32,
    header: Text32,
    bytes: u64,
    seen: Text32,
    actual: TextBytes,
    claimed: Option<TextBytes>,
    entries: u64,
    last_at: Option<i64>,
    gaps: Vec<Range<u64>>,
    broken: bool,
    disagreement: Option<Range<u64>>,
    agreed: u64,
    broken_promises: Vec<u64>,
    personal_present: u64,
    erased: u64,
    faults: Vec<(String, Option<Range<u64>>, String)>,
    further: u64,
}

impl Bookmark {
    /// A line of JSON, and a line with its digest.
    #[must_use]
    pub fn to_text(&self) -> String {
        let stand = &self.stand;
        let wire = Wire {
            format: FORMAT.to_owned(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
            expected: Text32(self.expected),
            header: Text32(self.header),
            bytes: self.bytes,
            seen: Text32(self.seen),
            actual: TextBytes(stand.actual.to_bytes()),
            claimed: stand.claimed.as_ref().map(|tree| TextBytes(tree.to_bytes())),
            entries: stand.expected,
            last_at: stand.last_at,
            gaps: stand.gaps.clone(),
            broken: stand.broken,
            disagreement: stand.disagreement.clone(),
            agreed: stand.agreed,
            broken_promises: stand.broken_promises.clone(),
            personal_present: stand.personal_present,
            erased: stand.erased,
            faults: self
                .faults
                .list()
                .iter()
                .map(|fault| (fault.code.as_str().to_owned(), fault.entries.clone(), fault.detail.clone()))
                .collect(),
            further: self.faults.further(),
        };
        let body = serde_json::to_string(&wire).unwrap_or_default();
        format!("{body}\n{}\n", digest_of(&body))
    }

    /// Reads [`Bookmark::to_text`] and nothing else.
    ///
    /// # Errors
    /// [`BookmarkError::Malformed`] or [`BookmarkError::OtherRelease`].
    pub fn parse(text: &str) -> Result<Self, BookmarkError> {
        if text.len() > MAX_BOOKMARK_BYTES {
            return Err(BookmarkError::Malformed);
        }
        let (body, digest) = text.split_once('\n').ok_or(BookmarkError::Malformed)?;
        if digest.strip_suffix('\n') != Some(digest_of(body).as_str()) {
            return Err(BookmarkError::Malformed);
        }
        // Another release may have another form; it says so itself.
        #[derive(Deserialize)]
        struct Written {
            release: String,
        }
        match serde_json::from_str::<Written>(body) {
            Ok(written) if written.release == env!("CARGO_PKG_VERSION") => {}
            Ok(_) => return Err(BookmarkError::OtherRelease),
            Err(_) => return Err(BookmarkError::Malformed),
        }
        let wire: Wire = serde_json::from_str(body).map_err(|_| BookmarkError::Malformed)?;
        let bookmark = Self::from_wire(wire).ok_or(BookmarkError::Malformed)?;
        if bookmark.to_text() == text { Ok(bookmark) } else { Err(BookmarkError::Malformed) }
    }

    fn from_wire(wire: Wire) -> Option<Self> {
        if wire.format != FORMAT || wire.gaps.len() > MAX_SPLIT_GAPS {
            return None;
        }
        let faults = wire.faults.into_iter().map(|(code, entries, detail)| {
            Some(Fault { code: FaultCode::ALL.into_iter().find(|known| known.as_str() == code)?, entries, detail })
        });
        let claimed = match wire.claimed {
            Some(bytes) => Some(Frontier::from_bytes(&bytes.0)?),
            None => None,
        };
        Some(Self {
            expected: wire.expected.0,
            header: wire.header.0,
            bytes: wire.bytes,
            seen: wire.seen.0,
            stand: Stand {
                actual: Frontier::from_bytes(&wire.actual.0)?,
                claimed,
                expected: wire.entries,
                last_at: wire.last_at,
                gaps: wire.gaps,
                broken: wire.broken,
                disagreement: wire.disagreement,
                agreed: wire.agreed,
                broken_promises: wire.broken_promises,
                personal_present: wire.personal_present,
                erased: wire.erased,
            },
            faults: Collector::restored(faults.collect::<Option<_>>()?, wire.further)?,
        })
    }

    /// How many entries were verified.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.stand.expected
    }
}

/// What a bookmark is bound to from an export's first line on.
pub(super) struct Bound {
    expected: Hash,
    /// Digest of the header's line, which what is seen of the export begins with.
    pub(super) header: Hash,
    pub(super) header_bytes: u64,
}

impl Bound {
    pub(super) fn new(expected: &Expectations<'_>, header: &[u8]) -> Self {
        Self {
            expected: expected_digest(expected),
            header: sha256(&[DOMAIN, b"header\0", header]),
            header_bytes: header.len() as u64,
        }
    }

    pub(super) fn fits(&self, bookmark: &Bookmark) -> Result<(), BookmarkError> {
        if bookmark.header != self.header {
            return Err(BookmarkError::OtherExport);
        }
        if bookmark.expected == self.expected { Ok(()) } else { Err(BookmarkError::OtherExpectations) }
    }
}

/// What a bookmark is made of.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) stand: &'a Stand,
    pub(super) faults: &'a Collector,
    pub(super) bound: &'a Bound,
    pub(super) bytes: u64,
    pub(super) seen: &'a Hash,
}

impl Place<'_> {
    pub(super) fn bookmark(self) -> Bookmark {
        Bookmark {
            expected: self.bound.expected,
            header: self.bound.header,
            bytes: self.bytes,
            seen: *self.seen,
            stand: self.stand.clone(),
            faults: self.faults.clone(),
        }
    }
}

pub(super) fn digest_of(body: &str) -> String {
    url64(&sha256(&[DOMAIN, b"text\0", body.as_bytes()]))
}

/// The digest of what was seen before and of one more block, of which `digest` and length are known.
pub(super) fn chained(seen: &Hash, bytes: u64, digest: &Hash) -> Hash {
    sha256(&[DOMAIN, b"seen\0", seen, &bytes.to_be_bytes(), digest])
}

/// The digest of what an export is held against.
fn expected_digest(expected: &Expectations<'_>) -> Hash {
    let lists: [Vec<String>; 5] = [
        expected.keys.iter().map(ToString::to_string).collect(),
        expected.witnesses.iter().map(ToString::to_string).collect(),
        expected.origin.iter().map(ToString::to_string).collect(),
        expected.kept.iter().map(ToString::to_string).collect(),
        expected.promises.iter().map(SignedPromise::to_text).collect(),
    ];
    // Each with its length, so that no list can be taken for another one.
    let mut bytes = Vec::new();
    for list in lists {
        bytes.extend_from_slice(&(list.len() as u64).to_be_bytes());
        for text in list {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    sha256(&[DOMAIN, b"expected\0", &bytes])
}
