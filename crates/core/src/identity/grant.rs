//! Grants: entitlements held for a bounded time.

use serde::{Deserialize, Serialize};

use crate::base::id::{GrantId, IdentityId, PersonId, RequestId};
use crate::base::time::Timestamp;
use crate::inventory::entitlement::Entitlement;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};

/// Where a grant stands. Whether its time has come or is over is read from its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// In force between its times.
    Live,
    /// Its time is over; terminal.
    Expired,
    /// Taken back; terminal.
    Revoked,
}

/// A grant, linked to the approval that made it (R46).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Whose it is.
    pub identity: IdentityId,
    /// What is granted.
    pub entitlement: Entitlement,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Where it stands.
    pub state: GrantState,
    /// The request that it was derived from (R45).
    pub request: RequestId,
    /// Who approved it; nobody, if a named rule did (R47).
    pub approved_by: Vec<PersonId>,
    /// The policies that permitted it.
    pub policies: Vec<String>,
    /// The purpose as it read at the approval (R44).
    pub purpose: String,
    /// Whether it was opened just in time rather than with the activation.
    pub just_in_time: bool,
}

impl Grant {
    /// Whether it is in force at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state == GrantState::Live && self.starts_at <= now && now < self.ends_at
    }
}

impl Grant {
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
}

impl Record for Grant {
    const KIND: RowKind = RowKind::Grant;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::IDENTITY, self.identity)
    }
}
