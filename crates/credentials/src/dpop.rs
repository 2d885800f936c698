//! DPoP proofs (RFC 9449): a signature over one request, by a key to which tokens are bound.

use aws_lc_rs::digest::{SHA256, digest};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::base::uri;

use crate::assertion::WORKLOAD_ALGORITHMS;
use crate::encoding::to_base64url;
use crate::jose::{Claims, JoseError, Jws, Rules, SKEW, Types};

/// The `typ` of proofs (RFC 9449 §4.2).
pub const DPOP_TYPE: &str = "dpop+jwt";
/// How old a proof may be. The nonce bounds it too; this is for a client that has one ahead of its time.
pub const MAX_AGE: Span = Span::from_mins(5);
/// The longest proof in bytes: room for a P-256 key and a long address.
const MAX_PROOF_BYTES: usize = 4 * 1024;

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// Its form, its key, its signature or its `jti`.
    #[error("the proof does not hold: {0}")]
    Jose(#[from] JoseError),
    /// `htm` is not the request's method.
    #[error("the proof is for another method")]
    MethodWrong,
    /// `htu` is not the request's address.
    #[error("the proof is for another address")]
    AddressWrong,
    /// `ath` is not the hash of the token that came along.
    #[error("the proof is for another token")]
    TokenWrong,
}

impl DpopError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Jose(error) => error.code(),
            Self::MethodWrong => "htm_wrong",
            Self::AddressWrong => "htu_wrong",
            Self::TokenWrong => "ath_wrong",
        }
    }
}

/// The request that a proof has to be for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its address; query and fragment don't count.
    pub url: &'a str,
    /// The access token that came along, if one did.
    pub token: Option<&'a str>,
}

/// A proof that holds. Whether its nonce is one of ours and its id unused is the caller's to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpopProof {
    /// The thumbprint of its key (RFC 7638), base64url: the `jkt` of what is bound to it.
    pub thumbprint: String,
    /// Its id.
    pub jti: String,
    /// The server's nonce that it repeats.
    pub nonce: Option<String>,
    /// Until when its id must be remembered.
    pub replay_until: Timestamp,
}

/// Checks a proof (RFC 9449 §4.3) but for its nonce and whether it was used before.
///
/// # Errors
/// Why it is refused.
pub fn verify_dpop_proof(proof: &str, expected: &Expected<'_>, now: Timestamp) -> Result<DpopProof, DpopError> {
    let rules =
        Rules { algorithms: WORKLOAD_ALGORITHMS, types: Types::OneOf(&[DPOP_TYPE]), max_bytes: MAX_PROOF_BYTES };
    let (jws, key) = Jws::parse_with_its_key(proof, &rules)?;
    let claims = jws.verify(&key)?;
    if claims.text("htm")? != Some(expected.method) {
        return Err(DpopError::MethodWrong);
    }
    let address = claims.text("htu")?.and_then(normal);
    if address.is_none() || address != normal(expected.url) {
        return Err(DpopError::AddressWrong);
    }
    let replay_until = made_lately(&claims, now)?;
    // A proof for a token is no proof for a request without one: what was made for the one must not do for the other.
    if claims.text("ath")?.map(str::to_owned) != expected.token.map(access_token_hash) {
        return Err(DpopError::TokenWrong);
    }
    Ok(DpopProof {
        thumbprint: key.thumbprint().to_owned(),
        jti: claims.jti()?.to_owned(),
        nonce: claims.text("nonce")?.map(str::to_owned),
        replay_until,
    })
}

/// What a proof says of the token that it goes with: `ath` (RFC 9449 §4.2).
pub fn access_token_hash(token: &str) -> String {
    to_base64url(digest(&SHA256, token.as_bytes()).as_ref())
}

fn made_lately(claims: &Claims, now: Timestamp) -> Result<Timestamp, JoseError> {
    let made = claims.time("iat")?.ok_or(JoseError::IatMissing)?;
    if made > now.plus(SKEW) {
        return Err(JoseError::NotYetValid);
    }
    if claims.time("nbf")?.is_some_and(|from| from > now.plus(SKEW)) {
        return Err(JoseError::NotYetValid);
    }
    let over = made.plus(MAX_AGE).plus(SKEW);
    let ends = claims.time("exp")?.map_or(over, |end| end.plus(SKEW).min(over));
    if now >= ends { Err(JoseError::Expired) } else { Ok(over) }
}

/// An address without query and fragment, in its normal form (RFC 9449 §4.3). `None`: not an address of a web server,
/// or one with a user's name in it.
fn normal(url: &str) -> Option<String> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    (is_web && !authority.is_empty() && !authority.contains('@')).then(|| uri::normal(url))
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn d19_equal_addresses_are_equal() {
        let plain = normal("https://server.example.com/token");
        assert_eq!(plain.as_deref(), Some("https://server.example.com/token"));
        for same in [
            "HTTPS://Server.Example.COM/token",
            "https://server.example.com:443/token",
            "https://server.example.com/token?a=b#c",
            "https://server.example.com/%74oken",
            "https://server.example.com/env/../token",
            "https://server.example.com/./token",
        ] {
            assert_eq!(normal(same), plain, "{same}");
        }
        for other in [
            "https://server.example.com/token/",
            "https://server.example.com/Token",
            "https://server.example.com/%2Ftoken",
            "https://server.example.com/token/..",
            "http://server.example.com/token",
            "https://server.example.com:8443/token",
            "https://server.example.com",
        ] {
            assert_ne!(normal(other), plain, "{other}");
        }
        for none in ["/token", "https://", "ftp://server.example.com/token", "https://a@server.example.com/token", ""] {
            assert_eq!(normal(none), None, "{none}");
        }
        assert_eq!(normal("http://h:80"), normal("http://h/"));
    }
}
