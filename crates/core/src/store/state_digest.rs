//! Digests of the state (S-2): what the log said of every row as of one of its entries, so that a verification reads
//! the log from there on.

use serde::{Deserialize, Serialize};

use crate::store::row::{Record, RowKey, RowKind};

/// What the log said of one row: its kind, its id, its last revision, and the keyed digest of that revision in
/// base64url.
pub type Said = (String, String, u64, String);

/// The newest digest. Its row is written last, in a commit that demands that its chunks are still the ones that it was
/// made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateDigest {
    /// The entries that it covers: all before this one.
    pub entries: u64,
    /// The right edge of the log's tree over them, in base64url: what it takes to go on hashing without them.
    pub frontier: String,
    /// Where its chunks stand.
    pub slot: Slot,
    /// How many there are.
    pub chunks: u32,
    /// The rows in them.
    pub rows: u64,
    /// The root of the tree over these rows, in their order, in base64url.
    pub root: String,
}

/// A part of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DigestChunk {
    /// Where it stands.
    pub slot: Slot,
    /// Its number there, from 0.
    pub number: u32,
    /// What it says of rows.
    pub rows: Vec<Said>,
}

/// The two places where chunks stand: a digest is written beside the one before it, which counts until the new one is
/// whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// The one.
    Even,
    /// The other.
    Odd,
}

impl Slot {
    /// The place of the next digest.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Odd => "odd",
        }
    }

    /// What the ids of its chunks begin with; they are in the order of their numbers.
    pub fn prefix(self) -> String {
        format!("chunk/{}/", self.as_str())
    }
}

impl StateDigest {
    /// An id right before its row's, behind those of all chunks.
    pub const BEFORE: &str = "newes";

    /// The key of its row.
    pub fn row_key() -> RowKey {
        RowKey::new(RowKind::StateDigest, "newest")
    }
}

impl DigestChunk {
    /// The key of a chunk's row.
    pub fn row_key(slot: Slot, number: u32) -> RowKey {
        RowKey::new(RowKind::StateDigest, format_args!("{}{number:010}", slot.prefix()))
    }
}

impl Record for StateDigest {
    const KIND: RowKind = RowKind::StateDigest;
    fn row_id(&self) -> String {
        Self::row_key().id
    }
}

impl Record for DigestChunk {
    const KIND: RowKind = RowKind::StateDigest;
    fn row_id(&self) -> String {
        Self::row_key(self.slot, self.number).id
    }
}
