//! Removal drills on the wire (R97).

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{CredentialId, IdentityId, PersonId, ReceiptId, ResourceId};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::ReceiptState;

use crate::views::Names;

/// `POST /v1/identities/{id}/drill`, and `GET` of the last one.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrillView {
    /// Which identity.
    pub identity: IdentityId,
    /// Who had it drilled.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// Whether each of what was revoked is proven to be refused.
    pub proven: bool,
    /// What was revoked, one for each resource.
    pub drilled: Vec<DrilledView>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// A credential that a drill revoked, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrilledView {
    /// Which.
    pub credential: CredentialId,
    /// For which resource it was good.
    pub resource: ResourceId,
    /// Its receipt.
    pub receipt: ReceiptId,
    /// Where that stands.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<ReceiptState>,
    /// Whether it proves that the credential is refused.
    pub proven: bool,
}
