//! Public keys as COSE keys (RFC 9052 §7, RFC 9053 §7), each pinned to one algorithm.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use serde_json::json;

use super::cbor::Item;
use super::error::WebauthnError;
use crate::encoding::to_base64url;
use crate::jose::Jwk;

/// ES256: ECDSA over P-256 with SHA-256.
pub(super) const ES256: i64 = -7;
/// EdDSA: Ed25519 here.
pub(super) const EDDSA: i64 = -8;

const KTY: Item<'static> = Item::Int(1);
const ALG: Item<'static> = Item::Int(3);
const CRV: Item<'static> = Item::Int(-1);
const X: Item<'static> = Item::Int(-2);
const Y: Item<'static> = Item::Int(-3);

/// A credential's public key, prepared.
pub(super) enum CoseKey {
    /// Signatures are in ASN.1 DER (WebAuthn §6.5.5), unlike those of JOSE.
    Es256(ParsedPublicKey),
    /// As in JOSE, with the same checks of the point.
    EdDsa(Box<Jwk>),
}

impl CoseKey {
    /// The key that a CBOR map is; parameters beyond those that the key type needs are refused (WebAuthn §6.5.1.1).
    pub(super) fn from_item(map: &Item<'_>) -> Result<Self, WebauthnError> {
        let unsupported = WebauthnError::KeyUnsupported;
        let bytes_of_32 = |key| map.bytes(key).filter(|bytes| bytes.len() == 32).ok_or(unsupported);
        let numbers = (map.int(&KTY), map.int(&ALG), map.int(&CRV), map.pairs());
        match numbers {
            (Some(2), Some(ES256), Some(1), Some(5)) => {
                let point = [&[4u8], bytes_of_32(&X)?, bytes_of_32(&Y)?].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).map(Self::Es256).map_err(|_| unsupported)
            }
            (Some(1), Some(EDDSA), Some(6), Some(4)) => {
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": to_base64url(bytes_of_32(&X)?)});
                Jwk::from_value(&jwk).map(|key| Self::EdDsa(Box::new(key))).map_err(|_| unsupported)
            }
            _ => Err(unsupported),
        }
    }

    /// The algorithm's COSE number.
    pub(super) const fn algorithm(&self) -> i64 {
        match self {
            Self::Es256(_) => ES256,
            Self::EdDsa(_) => EDDSA,
        }
    }

    /// Whether the key's holder signed these bytes.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), WebauthnError> {
        match self {
            Self::Es256(key) => key.verify_sig(message, signature).map_err(|_| WebauthnError::SignatureInvalid),
            Self::EdDsa(key) => key.verify(message, signature).map_err(|_| WebauthnError::SignatureInvalid),
        }
    }
}
