//! Deprecations on the wire.

use serde::{Deserialize, Serialize};
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::deprecation::Deprecated;

/// `POST /v1/deprecations`: something goes on a day, or on another day than was said.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeprecation {
    /// What: an application, a vendor, a business need or an identity.
    pub of: Deprecated,
    /// From when on use is denied: its sunset.
    pub sunset: Timestamp,
    /// Why.
    pub reason: String,
    /// What to use instead, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}
