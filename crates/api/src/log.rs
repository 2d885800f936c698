//! What the log's endpoints answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenure_core::base::time::Timestamp;
use tenure_core::store::row::Position;

use crate::views::Names;

/// That an entry is in the log (RFC 9162 §2.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct InclusionProof {
    /// The entry's number.
    pub index: u64,
    /// The size of the tree that it is proven to be in.
    pub size: u64,
    /// The entry's leaf hash, base64url.
    pub leaf_hash: String,
    /// The audit path from the leaf up, base64url.
    pub proof: Vec<String>,
    /// The signed checkpoint of that size, if it is the newest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<String>,
}

/// That a longer log begins with a shorter one (RFC 9162 §2.1.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConsistencyProof {
    /// The size of the shorter one.
    pub from: u64,
    /// The size of the longer one.
    pub to: u64,
    /// The proof, base64url.
    pub proof: Vec<String>,
    /// The signed checkpoint of the longer one, if it is the newest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<String>,
}

/// Which entries an export is of: those that every bound allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportRange {
    /// From this entry on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Only entries before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// From the first entry at or after this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only entries before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FeedActor {
    /// `person`, `identity`, `system` or `stranger`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id; empty for a stranger.
    pub id: String,
}

/// An event as the feed shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FeedEvent {
    /// Where it stands; give it as `after` to go on behind it.
    pub position: Position,
    /// Its id.
    pub id: String,
    /// What happened.
    pub kind: String,
    /// At which control point.
    pub control: String,
    /// When.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: FeedActor,
    /// Whom it concerns, most important first.
    pub subjects: Vec<String>,
    /// Public facts.
    pub data: Map<String, Value>,
}

/// `GET /v1/log/timeline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Timeline {
    /// What happened to the subject, or was done by it, the newest first.
    pub items: Vec<FeedEvent>,
    /// Give it as `before` to look further back; absent at the beginning.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<u64>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// Which index is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DerivedIndex {
    /// The log's: who could touch what, timelines, refusals.
    #[default]
    Log,
    /// That of records: lists by words, in an order, counted.
    Records,
}

/// What `POST /v1/log/reindex` is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reindexing {
    /// Which index; the log's if it isn't said.
    #[serde(default)]
    pub of: DerivedIndex,
}

/// `POST /v1/log/reindex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reindexed {
    /// Which index is made again.
    pub of: DerivedIndex,
    /// How many entries the log had then.
    pub entries: u64,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateFault {
    /// Its MAC doesn't fit its content, or its content isn't what the log says.
    Altered,
    /// The log says that it was written, and it isn't there.
    Missing,
    /// It is at an earlier revision than the log says.
    RolledBack,
    /// It is there, and no event wrote it.
    Unlogged,
    /// It is what the log says, and can't be read: whatever rests on it is refused.
    Unreadable,
    /// The index doesn't hold it under each of its terms: lists leave it out.
    Unindexed,
    /// The index holds it, or what isn't there, under a term that it doesn't bear.
    Misindexed,
    /// The time from which it is dropped is not its own.
    DropTimeAltered,
    /// A deadline that it has to have is missing: what it says would never happen.
    DeadlineMissing,
    /// A deadline of it is later than it allows, or is held by nobody who works.
    DeadlineLate,
}

/// A row that doesn't fit the log, or that what stands beside it doesn't fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FaultyRow {
    /// The kind of row; `log_entry` is an entry of the log, `log_index` a segment of its index, and `last_use` the time at which
    /// something was last used.
    pub kind: String,
    /// Its id, an entry's index, the entries that a segment covers (`0..1024`), or what was used.
    pub id: String,
    /// What is wrong.
    pub fault: StateFault,
}

/// How the state stands against the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StateReport {
    /// The first entry that was read; what went before it says a digest that the log names. 0: the whole log was read.
    #[serde(default)]
    pub from: u64,
    /// The entries against which the rows were held, from the log's first one on.
    pub entries: u64,
    /// Rows that were checked.
    pub rows: u64,
    /// Rows that don't fit.
    pub faults: Vec<FaultyRow>,
    /// Further ones that are not named.
    pub further: u64,
}
