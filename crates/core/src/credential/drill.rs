//! Removal drills (R97): the way by which an identity is removed, rehearsed on credentials of minutes that it has now. Each
//! is revoked as at a removal and proven by its receipt; the workload gets another one by itself.

use serde::{Deserialize, Serialize};

use crate::base::id::{CredentialId, IdentityId, PersonId, ReceiptId, ResourceId};
use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKind};

/// Credentials that one drill revokes, at most: one for each resource.
pub const MAX_DRILLED: usize = 8;

/// A credential that a drill revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drilled {
    /// Which.
    pub credential: CredentialId,
    /// For which resource it was good.
    pub resource: ResourceId,
    /// What proves that it is refused.
    pub receipt: ReceiptId,
}

/// The last drill of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Which identity.
    pub identity: IdentityId,
    /// Who had it drilled.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// What was revoked, one for each resource; at most 8.
    pub drilled: Vec<Drilled>,
}

impl Record for Drill {
    const KIND: RowKind = RowKind::Drill;
    fn row_id(&self) -> String {
        self.identity.to_string()
    }
}
