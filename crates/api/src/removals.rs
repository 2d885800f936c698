//! Removals on the wire: what ended, whom it takes with it, and what people say about it.

use serde::{Deserialize, Serialize};
use tenure_core::signal::{SignalKind, SignalSubject};

/// `POST /v1/removals`: something that identities live by has ended.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRemoval {
    /// What ended, by its name or its id here; repositories and workloads by the names that charters have for them.
    pub subject: SignalSubject,
    /// What happened to it; what is usual for its sort if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SignalKind>,
    /// Why.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// Whether what ended is in other hands, leaked or breached: then no removal waits for the end of an exception
    /// (R109).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compromise: bool,
    /// Only says what would be done: nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
    /// The digest of the dry run that was looked at: refused if the effect would be another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

/// `POST /v1/removals/{id}/confirm`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRemoval {
    /// The digest of what was looked at: refused if it is another by now.
    pub digest: String,
}
