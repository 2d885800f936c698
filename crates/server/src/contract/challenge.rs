//! Challenges: what a client that was not let in may do about it (RFC 6750, RFC 9449).

use axum::http::HeaderValue;
use tenure_engine::credentials::token::CERTIFICATE_WANTED;

/// What a client that was not let in may do about it (RFC 6750 §3, RFC 9449 §7.1, §9). Who showed no credential is told
/// no error.
pub(crate) fn challenge(code: &str, why: &str) -> HeaderValue {
    HeaderValue::from_static(match code {
        // No DPoP proof stands in for the certificate (RFC 8705 §3).
        "token_bound" if why.starts_with(CERTIFICATE_WANTED) => {
            r#"Bearer error="invalid_token", error_description="the token is bound to a TLS client certificate: show it over a connection with that one""#
        }
        "token_bound" => r#"DPoP error="invalid_token", algs="EdDSA ES256""#,
        "dpop_invalid" => r#"DPoP error="invalid_dpop_proof", algs="EdDSA ES256""#,
        "dpop_nonce_needed" => r#"DPoP error="use_dpop_nonce", algs="EdDSA ES256""#,
        "proof_missing" => r#"Bearer realm="tenure""#,
        _ => r#"Bearer error="invalid_token""#,
    })
}
