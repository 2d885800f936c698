//! What is told of a deployment as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenure_core::base::id::TargetId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::ReceiptState;
use tenure_core::target::connector::TargetKind;

use crate::views::Names;

/// How many identities there are, and how many people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Census {
    /// When they were counted: at most a minute ago.
    pub at: Timestamp,
    /// Identities by their state.
    pub by_state: BTreeMap<String, u64>,
    /// Active identities by their kind.
    pub active_by_kind: BTreeMap<String, u64>,
    /// Active identities by their risk tier.
    pub active_by_tier: BTreeMap<String, u64>,
    /// Identities that nobody owns and that aren't at their end.
    pub unowned: u64,
    /// Active people.
    pub people: u64,
}

/// How long the last revocations took until what was revoked was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalTimes {
    /// When they were looked at: at most a minute ago.
    pub at: Timestamp,
    /// Only of receipts that were asked for since then.
    pub since: Timestamp,
    /// How many receipts that are.
    pub receipts: u32,
    /// Whether there are more of that time, which are older than these.
    pub more: bool,
    /// Of those that proved something, what they proved.
    pub by_proof: Vec<RefusalTime>,
    /// How many had nothing live to refuse.
    pub nothing_to_refuse: u32,
    /// How many have not proved anything yet.
    pub open: u32,
    /// How long it took at targets, of those with the most accounts first: a hundred of them at most, as receipts of
    /// revocations, suspensions and narrowings name them.
    pub by_target: Vec<TargetTime>,
    /// The names of the targets.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// How long what was stopped at a target took there, from the call until its own catalogue, or its refusal, said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetTime {
    /// The target.
    pub target: TargetId,
    /// Its name.
    pub name: String,
    /// What sort of system it is.
    pub kind: TargetKind,
    /// Accounts that were stopped, ended or narrowed there, and read back.
    pub count: u32,
    /// Of half of them at most this, in milliseconds; none of none.
    pub p50_ms: Option<u64>,
    /// Of nine in ten.
    pub p90_ms: Option<u64>,
    /// Of 99 in a hundred.
    pub p99_ms: Option<u64>,
    /// Accounts of which nothing is proven yet.
    pub open: u32,
    /// Accounts that go on there: the connector may not end them, or the target would not.
    pub cannot_revoke: u32,
    /// Accounts that ended by the word of two people that the target is gone.
    pub attested_gone: u32,
}

/// How long those took that proved the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalTime {
    /// What they proved: a refusal beside a live credential that was accepted, one without, or the time at which what was
    /// revoked ends by itself.
    pub proof: ReceiptState,
    /// How many they are.
    pub count: u32,
    /// From the call until the last point refused, or until it accepts no longer, in milliseconds: of half of them at most this.
    pub p50_ms: u64,
    /// Of nine in ten.
    pub p90_ms: u64,
    /// Of 99 in a hundred.
    pub p99_ms: u64,
    /// How many took how long.
    pub buckets: Vec<TimeBucket>,
}

/// How many took longer than the bucket before, and at most this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeBucket {
    /// The longest time of the bucket in milliseconds; none of the last one, which has no bound.
    pub up_to_ms: Option<u64>,
    /// How many.
    pub count: u32,
}
