//! Changes of records that identities rest on. What is left out stays as it is.

use serde::{Deserialize, Serialize};
use tenure_core::id::{PersonId, TeamId};
use tenure_core::resource::{Verification, WhenUnreachable};

/// `PATCH /v1/applications/{id}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApplicationEdit {
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
    /// The team that answers for the removal of its identities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal_group: Option<TeamId>,
}

/// `PATCH /v1/vendors/{id}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VendorEdit {
    /// Who answers for it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
    /// Whom to reach there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
}

/// `PATCH /v1/cloud-accounts/{id}`, `/v1/needs/{id}`, `/v1/sources/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerEdit {
    /// Who answers for it.
    pub owner: PersonId,
}

/// `PATCH /v1/resources/{id}`: narrower only.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceEdit {
    /// The actions that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
    /// The data domains that it holds, those that it held among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_domains: Option<Vec<String>>,
    /// How credentials are checked there: `online` instead of `offline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What happens there when Tenure can't be reached: `deny` instead of `accept`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_unreachable: Option<WhenUnreachable>,
}

impl ResourceEdit {
    /// Whether it changes nothing.
    pub const fn is_empty(&self) -> bool {
        self.actions.is_none() && self.data_domains.is_none() && self.verification.is_none() && self.when_unreachable.is_none()
    }
}
