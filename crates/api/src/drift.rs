//! Differences between what targets have and what was approved.

use serde::{Deserialize, Serialize};
use tenure_core::base::time::Timestamp;

/// `POST /v1/drift/{id}/fix`: it is taken away at the target.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftFix {
    /// Why.
    pub reason: String,
}

/// `POST /v1/drift/{id}/accept`: it is asked for as a wider charter, which others approve.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftAccept {
    /// What it is needed for: the purpose of the request.
    pub reason: String,
}

/// `POST /v1/drift/{id}/ignore`: it is left alone until a day.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftIgnore {
    /// Why it may stay.
    pub reason: String,
    /// Until when, 90 days at most.
    pub until: Timestamp,
}
