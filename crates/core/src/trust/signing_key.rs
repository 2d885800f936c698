//! Signing keys at rest: sealed under the root key.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::base::id::SigningKeyId;
use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, TermValue, Terms};

/// What a key may sign. A key signs one sort of thing only (S-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "use", content = "environment")]
pub enum KeyUse {
    /// Access tokens of this environment, and what vouches for its identities elsewhere: tokens of the same issuer, told
    /// apart by their `typ`.
    AccessToken(String),
    /// Receipts.
    Receipt,
    /// Checkpoints and inclusion promises of the log.
    Log,
}

/// What access tokens are signed with. Receipts and the log are signed with Ed25519.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037).
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 and 2048 bits (RFC 7518 §3.3).
    #[serde(rename = "RS256")]
    Rs256,
}

impl SigningAlgorithm {
    /// The name in headers and key sets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// Whether it is what is used where nobody says anything.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A signing key, its private part sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Its id, the `kid`.
    pub id: SigningKeyId,
    /// What it may sign.
    pub key_use: KeyUse,
    /// What it signs with.
    #[serde(default, skip_serializing_if = "SigningAlgorithm::is_default")]
    pub algorithm: SigningAlgorithm,
    /// The public key: of Ed25519 its 32 bytes, base64url; of another its JWK as text.
    pub public: String,
    /// The seed of Ed25519, or another key's PKCS#8, sealed under the root key and bound to this id, base64url.
    pub sealed: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl TermValue for KeyUse {
    type Of = Self;
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::AccessToken(environment) => Cow::Owned(format!("access_token/{environment}")),
            Self::Receipt => Cow::Borrowed("receipt"),
            Self::Log => Cow::Borrowed("log"),
        }
    }
}

impl SigningKey {
    /// Listed by its use.
    pub const USE: Field<Self, KeyUse> = Field::new("use");
}

impl Record for SigningKey {
    const KIND: RowKind = RowKind::SigningKey;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::USE, &self.key_use)
    }
}
