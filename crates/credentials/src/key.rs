//! Ed25519 seeds and their public keys.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use tenure_core::entropy::Entropy;
use tenure_core::id::SigningKeyId;
use tenure_core::secret::Secret;

/// A fresh Ed25519 seed (RFC 8032 §5.1.5).
pub fn generate_seed(entropy: &dyn Entropy) -> Secret<[u8; 32]> {
    let mut seed = zeroize::Zeroizing::new([0u8; 32]);
    entropy.fill(seed.as_mut());
    Secret::new(*seed)
}

/// The public key of a seed.
///
/// # Errors
/// The library refused the seed; with 32 bytes it has no reason to.
pub fn public_of(seed: &Secret<[u8; 32]>) -> Result<[u8; 32], BadKey> {
    key_pair(seed)?.public_key().as_ref().try_into().map_err(|_| BadKey)
}

/// Bytes that are no usable key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable Ed25519 key")]
pub struct BadKey;

/// A public signing key of ours under its id, prepared so that checking is cheap.
#[derive(Clone)]
pub struct VerifyingKey {
    id: SigningKeyId,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// The key with this id and these 32 bytes.
    ///
    /// # Errors
    /// The bytes are no Ed25519 public key.
    pub fn new(id: SigningKeyId, public: &[u8; 32]) -> Result<Self, BadKey> {
        Ok(Self {
            id,
            key: ParsedPublicKey::new(&ED25519, public).map_err(|_| BadKey)?,
        })
    }

    /// Its id, the `kid`.
    pub const fn id(&self) -> SigningKeyId {
        self.id
    }

    pub(crate) const fn prepared(&self) -> &ParsedPublicKey {
        &self.key
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

pub(crate) fn key_pair(seed: &Secret<[u8; 32]>) -> Result<Ed25519KeyPair, BadKey> {
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| BadKey)
}
