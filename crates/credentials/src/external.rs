//! Tokens of external issuers, taken as proofs (RFC 7523 §3, S-13).

use serde_json::{Map, Value};
use tenure_core::base::time::{Span, Timestamp};

use crate::jose::{Algorithm, Claims, JoseError, JwkSet, Jws, MAX_TOKEN_BYTES, Rules, SKEW, Types};

/// How far ahead an external token's `exp` may be.
pub const MAX_EXTERNAL_LIFE: Span = Span::from_days(1);
/// An explicit type says what a token is for (RFC 8725 §3.11): only those that say "a proof" or nothing are taken, so
/// that an access token, a logout token or a security event of the same issuer is none.
const PROOF_TYPES: &[&str] = &["JWT", "JOSE", "authorization-grant+jwt"];
const MAX_SUBJECT: usize = 1024;

/// What an external issuer vouches for.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalClaims {
    /// The subject.
    pub subject: String,
    /// The token's id, if it has one.
    pub jti: Option<String>,
    /// When it was issued, if it says so.
    pub issued_at: Option<Timestamp>,
    /// Its end as it says.
    pub expires_at: Timestamp,
    /// Until when its use must be remembered: its end and the tolerated clock skew.
    pub replay_until: Timestamp,
    /// Every claim, for [`tenure_core::trust::claim`].
    pub claims: Map<String, Value>,
    /// SHA-256 over what is signed, base64url: names the token where it must not be used twice, whether it has a `jti`
    /// or not.
    pub token_hash: String,
}

/// A token that an external issuer signed. Whom it is for, and when, was not checked yet.
#[derive(Debug, Clone)]
pub struct SignedExternal {
    claims: Claims,
    token_hash: String,
}

impl SignedExternal {
    /// Reads a token of an external issuer: signed by the key that its `kid` names, `iss` exactly.
    ///
    /// # Errors
    /// Why it is refused; on [`JoseError::KeyUnknown`] the caller may fetch the key set once and try again.
    pub fn read(jwt: &str, keys: &JwkSet, algorithms: &[Algorithm], issuer: &str) -> Result<Self, JoseError> {
        let rules = Rules { algorithms, types: Types::OneOfOrAbsent(PROOF_TYPES), max_bytes: MAX_TOKEN_BYTES };
        let jws = Jws::parse(jwt, &rules)?;
        let claims = keys.verify(&jws)?;
        claims.names_issuer(issuer)?;
        Ok(Self { claims, token_hash: jws.signed_hash() })
    }

    /// What the issuer says.
    pub fn claims(&self) -> &Map<String, Value> {
        self.claims.as_map()
    }

    /// What it vouches for: `aud` exactly and alone, a day at most.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn holds(self, audience: &str, now: Timestamp) -> Result<ExternalClaims, JoseError> {
        let Self { claims, token_hash } = self;
        claims.is_only_for(audience)?;
        let expires_at = claims.valid_at(now, MAX_EXTERNAL_LIFE, SKEW)?;
        let issued_at = claims.time("iat")?;
        if issued_at.is_some_and(|issued_at| issued_at >= expires_at) {
            return Err(JoseError::Malformed);
        }
        let subject = claims
            .text("sub")?
            .filter(|sub| !sub.is_empty() && sub.len() <= MAX_SUBJECT)
            .ok_or(JoseError::SubjectWrong)?
            .to_owned();
        let jti = match claims.as_map().get("jti") {
            None => None,
            Some(_) => Some(claims.jti()?.to_owned()),
        };
        let replay_until = expires_at.plus(SKEW);
        Ok(ExternalClaims { subject, jti, issued_at, expires_at, replay_until, claims: claims.into_map(), token_hash })
    }
}
