//! Confirmation: the key that a credential is bound to (RFC 7800).

use serde::{Deserialize, Serialize};

/// The key that a credential is bound to: without it, the credential is worth nothing (RFC 7800, `cnf`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Confirmation {
    /// The thumbprint of a DPoP key (RFC 9449).
    #[serde(rename = "jkt")]
    Jkt(String),
    /// The SHA-256 thumbprint of a client certificate (RFC 8705).
    #[serde(rename = "x5t#S256")]
    Certificate(String),
}

impl Confirmation {
    /// The thumbprint, base64url.
    pub fn thumbprint(&self) -> &str {
        match self {
            Self::Jkt(text) | Self::Certificate(text) => text,
        }
    }
}
