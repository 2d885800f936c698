//! Changes of records that identities rest on. What is left out stays as it is.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{PersonId, TeamId};
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::resource::{TargetGrants, Verification, WhenUnreachable};
use tenure_core::trust::signing_key::SigningAlgorithm;

use crate::given;
use crate::request::RequestView;

/// The reply to a change: of what only takes something away, or raises what approvals ask, the record (200); of what
/// lets somebody do more, or do it more lightly, the request that another administrator has to approve (201).
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Edited<T> {
    /// The record as it is now.
    Changed(T),
    /// The request that was opened about it.
    Asked(Box<RequestView>),
}

/// `PATCH /v1/applications/{id}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApplicationEdit {
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
    /// The team that answers for the removal of its identities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal_group: Option<TeamId>,
}

/// `PATCH /v1/vendors/{id}`: narrower at once, wider by a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VendorEdit {
    /// Who answers for it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
    /// Whom to reach there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The data domains that its contract allows: fewer at once, another one by a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_domains: Option<Vec<String>>,
    /// When the contract ends; `null` is never. Earlier at once, later by a request.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Option<Timestamp>>,
    /// For which need; has to be said of what takes a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

impl VendorEdit {
    /// Whether it changes nothing.
    pub const fn is_empty(&self) -> bool {
        self.owner.is_none() && self.contact.is_none() && self.data_domains.is_none() && self.ends_at.is_none()
    }
}

/// `PATCH /v1/cloud-accounts/{id}`, `/v1/needs/{id}`, `/v1/sources/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerEdit {
    /// Who answers for it.
    pub owner: PersonId,
}

/// `PATCH /v1/resources/{id}`: narrower at once, wider by a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceEdit {
    /// The actions that it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
    /// The data domains that it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_domains: Option<Vec<String>>,
    /// How credentials are checked there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What happens there when Tenure can't be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_unreachable: Option<WhenUnreachable>,
    /// The target at which logins are made for it just in time, and what its actions come to there (R58); with no action
    /// named, none is made any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logins: Option<TargetGrants>,
    /// For which need; has to be said of what takes a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

/// `PATCH /v1/environments/{name}`: towards production at once, away from it by a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentEdit {
    /// Whether it counts as production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<bool>,
    /// What tokens are signed with for resources that don't say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_algorithm: Option<SigningAlgorithm>,
    /// For which need; has to be said of what takes a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

impl ResourceEdit {
    /// Whether it changes nothing.
    pub const fn is_empty(&self) -> bool {
        self.actions.is_none()
            && self.data_domains.is_none()
            && self.verification.is_none()
            && self.when_unreachable.is_none()
            && self.logins.is_none()
    }
}
