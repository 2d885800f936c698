//! Key sets of external issuers (RFC 7517 §5).

use serde_json::Value;
use tenure_core::base::json::read_object;

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::error::JoseError;
use super::jwk::Jwk;
use super::jws::Jws;

/// The most keys of a set.
pub const MAX_KEYS: usize = 64;
/// The longest set, in bytes.
pub const MAX_SET_BYTES: usize = 256 * 1024;

/// Why a key set is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JwkSetError {
    /// Longer than [`MAX_SET_BYTES`].
    #[error("the key set is longer than 256 KiB")]
    TooLarge,
    /// More than [`MAX_KEYS`].
    #[error("the key set has more than 64 keys")]
    TooManyKeys,
    /// Not a JSON object with an array `keys`.
    #[error("not a well-formed key set")]
    Malformed,
    /// Not one of its keys can be used here.
    #[error("the key set has no usable signature key")]
    NoUsableKey,
}

/// The usable keys of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    skipped: usize,
}

impl JwkSet {
    /// Reads a set. Keys of other types or uses, and keys that are broken, weak or private, are skipped as RFC 7517 §5
    /// advises: they are not trusted, and the others still are.
    ///
    /// # Errors
    /// Why the set as a whole is not accepted.
    pub fn from_json(bytes: &[u8]) -> Result<Self, JwkSetError> {
        if bytes.len() > MAX_SET_BYTES {
            return Err(JwkSetError::TooLarge);
        }
        let members = read_object(bytes).map_err(|_| JwkSetError::Malformed)?;
        let given = members.get("keys").and_then(Value::as_array).ok_or(JwkSetError::Malformed)?;
        if given.len() > MAX_KEYS {
            return Err(JwkSetError::TooManyKeys);
        }
        let keys: Vec<Jwk> = given.iter().filter_map(|value| Jwk::from_value(value).ok()).collect();
        if keys.is_empty() {
            return Err(JwkSetError::NoUsableKey);
        }
        Ok(Self { skipped: given.len() - keys.len(), keys })
    }

    /// The usable keys.
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }
    /// How many keys were skipped.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// The claims of a token that a key of the set signed. Several keys of one type may have one `kid` (RFC 7517 §4.5):
    /// each that fits is tried.
    ///
    /// # Errors
    /// As [`JwkSet::select`], or as [`Jws::verify`] by the last key that was tried.
    pub(crate) fn verify(&self, jws: &Jws<'_>) -> Result<Claims, JoseError> {
        let mut verified = Err(JoseError::KeyUnknown);
        for key in self.select(jws.kid(), jws.algorithm())? {
            verified = jws.verify(key);
            if verified != Err(JoseError::SignatureInvalid) {
                break;
            }
        }
        verified
    }

    /// The keys for a header's `kid` and algorithm, at least one.
    ///
    /// # Errors
    /// [`JoseError::KeyUnknown`] if no key has the `kid`; [`JoseError::KidMissing`] if there is none and several keys
    /// would do; [`JoseError::AlgNotAllowed`] if the keys are pinned to other algorithms.
    fn select(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<&Jwk>, JoseError> {
        let named: Vec<&Jwk> = match (kid, self.keys.as_slice()) {
            (None, keys) => keys.iter().collect(),
            (Some(_), [only]) if only.kid().is_none() => vec![only],
            (Some(kid), keys) => keys.iter().filter(|key| key.kid() == Some(kid)).collect(),
        };
        if named.is_empty() {
            return Err(JoseError::KeyUnknown);
        }
        let fitting: Vec<&Jwk> = named.into_iter().filter(|key| key.algorithm() == algorithm).collect();
        match fitting.len() {
            0 => Err(JoseError::AlgNotAllowed),
            2.. if kid.is_none() => Err(JoseError::KidMissing),
            _ => Ok(fitting),
        }
    }
}
