//! API keys on the wire.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{CredentialId, IdentityId};
use tenure_core::base::time::{Span, Timestamp};

use crate::views::Logged;

/// `POST /v1/identities/{id}/api-keys`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewApiKey {
    /// The resource's identifier; may be left out if only one is held.
    pub resource: Option<String>,
    /// What it may be used for; all that is held there if empty.
    pub actions: Vec<String>,
    /// How long it lives: at most the rotation cadence, and never longer than the exception.
    pub ttl: Option<Span>,
}

/// A new API key; its text is shown this once.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ApiKeyIssued {
    /// The credential's id in the inventory.
    pub id: CredentialId,
    /// Whose it is.
    pub identity: IdentityId,
    /// The key.
    pub api_key: String,
    /// The resource's identifier.
    pub resource: String,
    /// What it may be used for.
    pub scope: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Where its issuance stands in the log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<Logged>,
}
