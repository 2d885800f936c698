//! Vendors, cloud accounts, data domains and naming standards on the wire.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{PersonId, ReceiptId};
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::third_party::{Sensitivity, Vendor};

use crate::views::Revised;

/// `POST /v1/vendors`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVendor {
    /// The name, unique for ever.
    pub name: String,
    /// Whom to reach there.
    pub contact: String,
    /// The person who answers for it here.
    pub owner: PersonId,
    /// The registered data domains that its contract allows (R35).
    pub data_domains: Vec<String>,
    /// When the contract ends; no identity of the vendor outlives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}

/// The reply to `POST /v1/vendors/{id}/end`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VendorEnded {
    /// The vendor.
    #[serde(flatten)]
    pub vendor: Revised<Vendor>,
    /// The receipt of the cut of everything that its identities held; the first of theirs where one of them waits for the
    /// end of an exception, and none if there is no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptId>,
}

/// `POST /v1/cloud-accounts`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCloudAccount {
    /// The provider, e.g. `aws`.
    pub provider: String,
    /// Its id there; with the provider unique for ever.
    pub account: String,
    /// The person who answers for it.
    pub owner: PersonId,
    /// The environment that it belongs to.
    pub environment: String,
}

/// `POST /v1/data-domains`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDataDomain {
    /// The name, unique.
    pub name: String,
    /// How sensitive its data is.
    pub sensitivity: Sensitivity,
}

/// `PUT /v1/data-domains/{name}`: higher at once, lower by a request; the tiers of the identities concerned are derived
/// again (R119).
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// How sensitive its data is.
    pub sensitivity: Sensitivity,
    /// For which need; has to be said of what takes a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

/// `PUT /v1/naming-standards/{kind}` (R30).
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNamingStandard {
    /// A regular expression that the whole name must match.
    pub pattern: String,
    /// A name that does.
    pub example: String,
}
