//! Break-glass of machines on the wire (R107).

use serde::{Deserialize, Serialize};
use tenure_core::base::time::Span;
use tenure_core::inventory::entitlement::Entitlement;

/// `POST /v1/identities/{id}/break-glass`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBreakGlass {
    /// What it may do meanwhile, within its charter.
    pub entitlement: Entitlement,
    /// For how long: an hour at most.
    pub duration: Span,
    /// Why now.
    pub reason: String,
}

/// `POST /v1/break-glass/{id}/review`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterReviewed {
    /// Whether it was needed; if not, its exception allows no other.
    pub justified: bool,
    /// What was found.
    pub note: String,
}
