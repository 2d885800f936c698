//! Policy sets on the wire.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::PolicySetId;

/// `POST /v1/policies`: proposes a set.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicySet {
    /// The policies in Cedar, over Tenure's schema.
    pub text: String,
    /// Why.
    pub purpose: String,
}

/// `GET /v1/policy`: the set in force.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PolicyInForceView {
    /// Its record; none while it is the built-in set.
    pub policy: Option<PolicySetId>,
    /// The version that decisions cite.
    pub version: String,
    /// The policies.
    pub text: String,
}
