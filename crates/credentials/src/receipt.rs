//! Signed receipts: compact JWS with their own type and their own key (S-3), so that nothing else we sign can pass for
//! one.

use std::fmt;

use serde_json::{Map, Value};
use tenure_core::base::id::SigningKeyId;
use tenure_core::store::secret::Secret;

use crate::jose::{Algorithm, JoseError, Jws, Rules, Types, sign_compact, signing_input_header};
use crate::key::{BadKey, SigningPair, VerifyingKey, key_pair};

/// The `typ` of receipts.
pub const RECEIPT_TYPE: &str = "tenure-receipt+jwt";
/// The longest signed receipt: it names every enforcement point concerned.
pub const MAX_RECEIPT_BYTES: usize = 1024 * 1024;

/// Signs receipts.
pub struct ReceiptSigner {
    kid: SigningKeyId,
    header: String,
    key: SigningPair,
}

impl ReceiptSigner {
    /// A signer with this key.
    ///
    /// # Errors
    /// The library refused the seed; with 32 bytes it has no reason to.
    pub fn new(kid: SigningKeyId, seed: &Secret<[u8; 32]>) -> Result<Self, BadKey> {
        Ok(Self {
            kid,
            header: signing_input_header(Algorithm::EdDsa.as_str(), &kid.to_string(), RECEIPT_TYPE),
            key: SigningPair::Ed25519(key_pair(seed)?),
        })
    }

    /// The key's id.
    pub const fn kid(&self) -> SigningKeyId {
        self.kid
    }

    /// The receipt, signed.
    ///
    /// # Errors
    /// [`JoseError::TooLarge`] if no verifier would take it.
    pub fn sign(&self, receipt: &Map<String, Value>) -> Result<String, JoseError> {
        let payload = serde_json::to_vec(receipt).map_err(|_| JoseError::Malformed)?;
        let signed = sign_compact(&self.key, &self.header, &payload).map_err(|_| JoseError::Malformed)?;
        if signed.len() > MAX_RECEIPT_BYTES { Err(JoseError::TooLarge) } else { Ok(signed) }
    }
}

impl fmt::Debug for ReceiptSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiptSigner").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The receipt that was signed.
///
/// # Errors
/// Why the signature or the form is refused.
pub fn verify_receipt(signed: &str, keys: &[VerifyingKey]) -> Result<Map<String, Value>, JoseError> {
    let rules =
        Rules { algorithms: &[Algorithm::EdDsa], types: Types::OneOf(&[RECEIPT_TYPE]), max_bytes: MAX_RECEIPT_BYTES };
    let (_, claims) = Jws::parse(signed, &rules)?.verify_own(keys)?;
    Ok(claims.into_map())
}
