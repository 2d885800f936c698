//! Removal drills on the wire (R97).

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{CredentialId, IdentityId, PersonId, ReceiptId, ResourceId, TargetId};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::drill::CanaryResult;
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
    /// Whether each of what was revoked, and each canary, is proven to be refused: beside something that was accepted.
    pub proven: bool,
    /// What was revoked, one for each resource.
    pub drilled: Vec<DrilledView>,
    /// The canaries, one for each target of the identity.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub canaries: Vec<DrillCanaryView>,
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

/// A canary at a target: an account of minutes that may do nothing, and what became of it, each with its time.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrillCanaryView {
    /// At which target.
    pub target: TargetId,
    /// The login that it is; none if none can be made there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub login: Option<CredentialId>,
    /// When it stood there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub made_at: Option<Timestamp>,
    /// When the target took it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accepted_at: Option<Timestamp>,
    /// When its end was begun.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<Timestamp>,
    /// When the target refused it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refused_at: Option<Timestamp>,
    /// When the target took another one in the same window.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub control_at: Option<Timestamp>,
    /// What it shows.
    pub result: CanaryResult,
    /// Why it proves nothing, if it is over and doesn't.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}
