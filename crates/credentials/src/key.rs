//! Signing keys of ours: Ed25519 seeds, and for the access tokens of resources that ask for it P-256 and RSA.

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};
use tenure_core::base::entropy::Entropy;
use tenure_core::base::id::SigningKeyId;
use tenure_core::store::secret::Secret;
use tenure_core::trust::signing_key::SigningAlgorithm;

use crate::encoding::{push_base64url, to_base64url};
use crate::jose::{Algorithm, Jwk};

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

/// Bytes that are no usable key, or a key that can't sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable signing key")]
pub struct BadKey;

/// A fresh key: its private part as [`SigningPair::open`] takes it, and its public one as records keep it.
pub struct NewKey {
    /// The seed of Ed25519, or else PKCS#8.
    pub private: Secret<Vec<u8>>,
    /// The 32 bytes of Ed25519 as base64url, or else a JWK as text.
    pub public: String,
}

/// Makes a key. RSA's primes come from the library's own generator, which takes no other.
///
/// # Errors
/// The library made none.
pub fn generate(algorithm: SigningAlgorithm, entropy: &dyn Entropy) -> Result<NewKey, BadKey> {
    match algorithm {
        SigningAlgorithm::EdDsa => {
            let seed = generate_seed(entropy);
            Ok(NewKey { public: to_base64url(&public_of(&seed)?), private: Secret::new(seed.expose().to_vec()) })
        }
        SigningAlgorithm::Es256 => {
            let scalar = generate_seed(entropy);
            let key = agreement::PrivateKey::from_private_key(&ECDH_P256, scalar.expose()).map_err(|_| BadKey)?;
            let point = key.compute_public_key().map_err(|_| BadKey)?;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                scalar.expose(),
                point.as_ref(),
            );
            let document = pair.map_err(|_| BadKey)?.to_pkcs8v1().map_err(|_| BadKey)?;
            let (x, y) = point.as_ref().get(1..).and_then(|point| point.split_at_checked(32)).ok_or(BadKey)?;
            Ok(NewKey {
                private: Secret::new(document.as_ref().to_vec()),
                public: json!({"kty": "EC", "crv": "P-256", "x": to_base64url(x), "y": to_base64url(y)}).to_string(),
            })
        }
        SigningAlgorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| BadKey)?;
            let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| BadKey)?;
            let (n, e) = rsa_numbers(pair.public_key().as_ref()).ok_or(BadKey)?;
            Ok(NewKey {
                private: Secret::new(document.as_ref().to_vec()),
                public: json!({"kty": "RSA", "n": to_base64url(n), "e": to_base64url(e)}).to_string(),
            })
        }
    }
}

/// The modulus and the exponent of an `RSAPublicKey` (RFC 8017 A.1.1), without leading zeros.
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
        let (length, rest) = der.strip_prefix(&[tag])?.split_first()?;
        let (length, rest) = match length {
            0..0x80 => (usize::from(*length), rest),
            _ => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                let length = bytes
                    .iter()
                    .try_fold(0usize, |length, byte| length.checked_mul(256)?.checked_add(usize::from(*byte)))?;
                (length, rest)
            }
        };
        rest.split_at_checked(length)
    }
    fn number(bytes: &[u8]) -> &[u8] {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes.get(zeros..).unwrap_or_default()
    }
    let (sequence, _) = element(der, 0x30)?;
    let (n, rest) = element(sequence, 0x02)?;
    let (e, _) = element(rest, 0x02)?;
    Some((number(n), number(e)))
}

/// A private key that signs access tokens.
pub(crate) enum SigningPair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningPair {
    /// Opens what [`generate`] made.
    pub(crate) fn open(algorithm: SigningAlgorithm, private: &[u8]) -> Result<Self, BadKey> {
        match algorithm {
            SigningAlgorithm::EdDsa => Ed25519KeyPair::from_seed_unchecked(private).map(Self::Ed25519),
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).map(Self::P256)
            }
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(private).map(Self::Rsa),
        }
        .map_err(|_| BadKey)
    }

    /// Writes the signature over `message` as base64url.
    #[expect(
        clippy::disallowed_methods,
        reason = "the library wants a source for ECDSA, whose signatures differ each time, and for nothing that is kept"
    )]
    pub(crate) fn sign(&self, message: &[u8], into: &mut String) -> Result<(), BadKey> {
        match self {
            Self::Ed25519(pair) => push_base64url(pair.sign(message).as_ref(), into),
            Self::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| BadKey)?;
                push_base64url(signature.as_ref(), into);
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(|_| BadKey)?;
                push_base64url(&signature, into);
            }
        }
        Ok(())
    }
}

/// A public signing key of ours under its id, prepared so that checking is cheap.
#[derive(Clone)]
pub struct VerifyingKey {
    id: SigningKeyId,
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// The key with this id and these 32 bytes.
    ///
    /// # Errors
    /// The bytes are no Ed25519 public key.
    pub fn new(id: SigningKeyId, public: &[u8; 32]) -> Result<Self, BadKey> {
        Ok(Self { id, algorithm: Algorithm::EdDsa, key: ParsedPublicKey::new(&ED25519, public).map_err(|_| BadKey)? })
    }

    /// The key with this id as its record keeps it, and as it stands in the key set.
    ///
    /// # Errors
    /// The text is no public key of this algorithm.
    pub fn from_record(id: SigningKeyId, algorithm: SigningAlgorithm, public: &str) -> Result<(Self, Value), BadKey> {
        let ed25519 = json!({"kty": "OKP", "crv": "Ed25519", "x": public});
        let jwk = match algorithm {
            SigningAlgorithm::EdDsa => Jwk::from_value(&ed25519),
            SigningAlgorithm::Es256 | SigningAlgorithm::Rs256 => Jwk::from_json(public),
        };
        let jwk = jwk.ok().filter(|jwk| jwk.algorithm().as_str() == algorithm.as_str()).ok_or(BadKey)?;
        let mut published = jwk.to_json();
        if let Some(members) = published.as_object_mut() {
            members.insert("kid".into(), json!(id));
        }
        let key = Self { id, algorithm: jwk.algorithm(), key: jwk.into_prepared() };
        Ok((key, published))
    }

    /// What its signatures are made with.
    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
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
