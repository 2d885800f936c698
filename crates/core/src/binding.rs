//! Bindings: how a workload proves that it is an identity; and the join tokens that enrol one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{BindingId, IdentityId, IssuerId, JoinTokenId};
use crate::row::{Record, RowKind};
use crate::time::{Span, Timestamp};

/// How long a join token is good for (S-15).
pub const JOIN_TOKEN_LIFE: Span = Span::from_mins(10);

/// Whether a binding may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindingState {
    /// It may.
    Live,
    /// Not until it is released.
    Suspended,
    /// Never again.
    Removed,
}

/// What is checked of a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", deny_unknown_fields)]
pub enum BindingMatch {
    /// A signature by this key (RFC 7523).
    PublicKey {
        /// The public key as a JWK.
        jwk: serde_json::Value,
        /// Its thumbprint (RFC 7638, SHA-256, base64url): no other identity can have it (R75).
        thumbprint: String,
    },
    /// A token of this issuer whose claims have exactly these values.
    Oidc {
        /// The registered issuer.
        issuer: IssuerId,
        /// The claims.
        claims: BTreeMap<String, serde_json::Value>,
    },
}

/// A binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Its id.
    pub id: BindingId,
    /// Whose it is.
    pub identity: IdentityId,
    /// The workload that holds the proof.
    pub workload: String,
    /// What is checked.
    #[serde(rename = "match")]
    pub matches: BindingMatch,
    /// Whether it may be used.
    pub state: BindingState,
    /// The join token that enrolled it, if one did.
    pub enrolled_with: Option<JoinTokenId>,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Record for Binding {
    const KIND: RowKind = RowKind::Binding;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Vec<String> {
        vec![format!("identity={}", self.identity)]
    }
}

/// A one-time join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinToken {
    /// Its id, part of its text.
    pub id: JoinTokenId,
    /// For which identity.
    pub identity: IdentityId,
    /// Keyed hash of its secret part, base64url.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The binding that it enrolled, once it was used.
    pub enrolled: Option<BindingId>,
}

impl Record for JoinToken {
    const KIND: RowKind = RowKind::JoinToken;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Vec<String> {
        vec![format!("identity={}", self.identity)]
    }
}
