//! What people hold, the packages that it comes in, and reviews.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{ExceptionId, PersonGrantId, PersonId, RequestId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::people::person_grant::{PackageStep, PersonGrantState};

use crate::views::Names;

/// `PUT /v1/packages/{name}`: what people in a role need, granted together. It confers nothing by itself.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutPackage {
    /// What it is for.
    pub description: String,
    /// What it gives from its start.
    pub entitlements: Vec<Entitlement>,
    /// What it gives later (R118).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PackageStep>,
    /// For how long at most.
    pub max_duration: Span,
    /// For which need, of a package that is there already and is to give more: another administrator approves that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

/// One access that a person holds or will hold, with the three answers of R46.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PersonAccess {
    /// The grant.
    pub grant: PersonGrantId,
    /// What it gives.
    pub entitlement: Entitlement,
    /// The package that it came with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub package: Option<String>,
    /// The request that made it.
    pub request: RequestId,
    /// The exception that it rests on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exception: Option<ExceptionId>,
    /// Who approved it.
    pub approved_by: Vec<PersonId>,
    /// The policies that permitted it.
    pub policies: Vec<String>,
    /// The version of the policy set.
    pub policy_version: String,
    /// For which need, as it read at the approval.
    pub need: String,
    /// What ends it: its date and each event that removes it.
    pub ends: Vec<String>,
    /// From when.
    pub starts_at: Timestamp,
    /// Its last day at the latest.
    pub until: Timestamp,
    /// When it lapses unless its first review keeps it; absent if it needs none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub review_by: Option<Timestamp>,
    /// Where it stands.
    pub state: PersonGrantState,
    /// Whether it is in force now.
    pub live: bool,
}

/// `GET /v1/people/{id}/access`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PersonAccessReport {
    /// Whose.
    pub person: PersonId,
    /// Each access that has not ended.
    pub access: Vec<PersonAccess>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}
