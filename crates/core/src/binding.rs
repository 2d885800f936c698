//! Bindings: how a workload proves that it is an identity; and the join tokens that enrol one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{BindingId, IdentityId, IssuerId, JoinTokenId, SignalId};
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
        /// To whom its assertions are addressed.
        #[serde(default, skip_serializing_if = "AssertionAudience::is_strict")]
        assertion_audience: AssertionAudience,
    },
    /// A TLS connection with this client certificate (RFC 8705 §2.2, `self_signed_tls_client_auth`).
    Certificate {
        /// SHA-256 over its DER, base64url: no other identity can have it (R75).
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

/// To whom a workload addresses its client assertions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionAudience {
    /// The issuer identifier and nothing else (rfc7523bis).
    #[default]
    Issuer,
    /// Also the token endpoint's URL, alone: for clients that know only RFC 7523 as it was.
    TokenEndpoint,
}

impl AssertionAudience {
    /// Whether it is what the standard demands today.
    pub const fn is_strict(&self) -> bool {
        matches!(self, Self::Issuer)
    }
}

/// Something about the workload changed: the next proof has to be newer, and is looked at anew (R86).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recheck {
    /// When it was heard of: proofs that were made before don't count.
    pub since: Timestamp,
    /// What was said.
    pub because: SignalId,
}

/// One holder of a binding's proof, told apart by the key that its credentials are bound to or else by where it calls from (R59).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// What tells it apart: `jkt:…`, `x5t:…` or `addr:…`.
    pub mark: String,
    /// Until when it counts as running: the end of what it was issued last, at least.
    pub until: Timestamp,
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
    /// That it has to be verified anew before anything is issued on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recheck: Option<Recheck>,
    /// Who presented it lately; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<Instance>,
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
