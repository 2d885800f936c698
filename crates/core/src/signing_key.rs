//! Signing keys at rest: sealed under the root key.

use serde::{Deserialize, Serialize};

use crate::id::SigningKeyId;
use crate::row::{Record, RowKind};
use crate::time::Timestamp;

/// What a key may sign. A key signs one sort of thing only (S-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "use", content = "environment")]
pub enum KeyUse {
    /// Access tokens of this environment.
    AccessToken(String),
    /// Receipts.
    Receipt,
    /// Checkpoints and inclusion promises of the log.
    Log,
}

/// A signing key: Ed25519, its private part sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Its id, the `kid`.
    pub id: SigningKeyId,
    /// What it may sign.
    pub key_use: KeyUse,
    /// The public key's 32 bytes, base64url.
    pub public: String,
    /// The seed, sealed under the root key and bound to this id, base64url.
    pub sealed: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Record for SigningKey {
    const KIND: RowKind = RowKind::SigningKey;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Vec<String> {
        vec![match &self.key_use {
            KeyUse::AccessToken(environment) => format!("use=access_token/{environment}"),
            KeyUse::Receipt => "use=receipt".into(),
            KeyUse::Log => "use=log".into(),
        }]
    }
}
