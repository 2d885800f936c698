//! Epochs (S-1): what an earlier state of the database vouches for ends when the database is put back to it.

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::store::row::{Position, Record, RowKey, RowKind, Stored};

/// An epoch of the deployment. Whatever was issued at or before the row's position is refused for ever, as by a cut of
/// everything; so is a proof that was made before its time. A deployment that was never put back has no such row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Its number; what went before the first one is 0. No number is used twice, as far as the places that keep
    /// checkpoints tell.
    pub number: u64,
    /// When it began.
    pub begun_at: Timestamp,
    /// The name and the verifier key of the log up to here; from here on it has others.
    pub before: PastLog,
    /// The contradiction that it ended, if one stood.
    pub ended: Option<Contradiction>,
}

/// The log under the name and the key that it had in an earlier epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PastLog {
    /// Its C2SP verifier key, for the checkpoints of that time.
    pub verifier_key: String,
    /// Its length when the epoch ended.
    pub entries: u64,
}

/// That somewhere outside a checkpoint is kept which the log doesn't continue, be it of a later epoch: it was rolled
/// back, or is another one's fork. While no epoch has ended it, nothing is issued and nothing that was issued is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contradiction {
    /// Where the checkpoint is kept.
    pub kept_at: String,
    /// The kept checkpoint: a signed note.
    pub kept: String,
    /// How many entries it covers.
    pub kept_entries: u64,
    /// The epoch whose log it is of.
    #[serde(default)]
    pub kept_epoch: u64,
    /// How many the log had when this was found.
    pub entries: u64,
    /// When it was found.
    pub found_at: Timestamp,
    /// The epoch that ended it.
    #[serde(default)]
    pub ended_by: Option<u64>,
}

impl Epoch {
    /// The key of its row.
    pub fn row_key() -> RowKey {
        RowKey::new(RowKind::Epoch, "this")
    }
}

impl Record for Epoch {
    const KIND: RowKind = RowKind::Epoch;
    fn row_id(&self) -> String {
        "this".into()
    }
}

impl Contradiction {
    /// The key of its row.
    pub fn row_key() -> RowKey {
        RowKey::new(RowKind::Contradiction, "this")
    }

    /// Whether no epoch has ended it.
    pub const fn stands(&self) -> bool {
        self.ended_by.is_none()
    }
}

impl Record for Contradiction {
    const KIND: RowKind = RowKind::Contradiction;
    fn row_id(&self) -> String {
        "this".into()
    }
}

/// What the gate knows of the database that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trust {
    /// Where and when the epoch began, if this isn't the first.
    pub begun: Option<(Position, Timestamp)>,
    /// Whether a checkpoint outside contradicts the log.
    pub contradicted: bool,
}

impl Trust {
    /// From the rows as read.
    pub fn of(epoch: Option<&Stored<Epoch>>, contradiction: Option<&Stored<Contradiction>>) -> Self {
        Self {
            begun: epoch.map(|epoch| (epoch.position, epoch.begun_at)),
            contradicted: contradiction.is_some_and(|found| found.stands()),
        }
    }

    /// Whether what was made at a position is of this epoch.
    pub fn covers(self, made: Position) -> bool {
        self.begun.is_none_or(|(begun, _)| made.is_after(begun))
    }

    /// Whether a proof made at a time, if it says so, is of this epoch: one of before may have been used in what was
    /// lost.
    pub fn covers_time(self, made: Option<Timestamp>) -> bool {
        self.begun.is_none_or(|(_, begun)| made.is_some_and(|made| made >= begun))
    }
}
