//! Policy sets: proposed, judged under the set in force and under themselves, and put in force by two persons (S-9).

use serde::{Deserialize, Serialize};

use crate::base::id::{PersonId, PolicySetId, RequestId};
use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKey, RowKind};
use crate::store::term::{Field, Terms, words};

/// Where a policy set stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicySetState {
    /// Waits for its request.
    Proposed,
    /// In force.
    InForce,
    /// Was in force; terminal.
    Replaced,
    /// Denied, withdrawn or lapsed; terminal.
    Dropped,
}

impl PolicySetState {
    /// The name in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::InForce => "in_force",
            Self::Replaced => "replaced",
            Self::Dropped => "dropped",
        }
    }
}

/// A policy set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySet {
    /// Its id.
    pub id: PolicySetId,
    /// The policies' text.
    pub text: String,
    /// The version: the hash that decisions cite.
    pub version: String,
    /// The version in force when it was proposed; it is judged and put in force against that one only.
    pub based_on: String,
    /// Who proposed it.
    pub author: PersonId,
    /// Why.
    pub purpose: String,
    /// The request about it.
    pub request: RequestId,
    /// Where it stands.
    pub state: PolicySetState,
    /// When it was proposed.
    pub created_at: Timestamp,
    /// When it came into force.
    pub in_force_at: Option<Timestamp>,
}

words!(PolicySetState);

impl PolicySet {
    /// Listed by `set`: what every set bears, and the row that says which one is in force doesn't.
    pub const SORT: Field<Self> = Field::new("sort");
    /// Listed by its state.
    pub const STATE: Field<Self, PolicySetState> = Field::new("state");
    /// Listed by its version.
    pub const VERSION: Field<Self> = Field::new("version");
    /// What every set is.
    pub const SET: &str = "set";
}

impl Record for PolicySet {
    const KIND: RowKind = RowKind::Policy;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::SORT, Self::SET).with(Self::STATE, self.state).with(Self::VERSION, &self.version)
    }
}

/// Which set is in force: one row, on which every enabling commit rests. There is none while the built-in set is in
/// force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InForce {
    /// The set.
    pub policy: PolicySetId,
    /// Its version.
    pub version: String,
}

impl InForce {
    /// The key of its only row.
    pub fn row_key() -> RowKey {
        RowKey::new(RowKind::Policy, "in-force")
    }
}

impl Record for InForce {
    const KIND: RowKind = RowKind::Policy;
    fn row_id(&self) -> String {
        "in-force".into()
    }
}
