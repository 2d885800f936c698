//! The keys that a request shows besides its credentials: the client certificate of its connection (RFC 8705), and a DPoP proof (RFC 9449).
//!
//! The certificate comes from the handshake that this process made, never from a header: whatever sits in front of the server can't
//! claim one.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_engine::credentials::token::{CERTIFICATE_WANTED, Dpop, Presented, Proof, sender};
use tenure_engine::kernel::error::OpError;

use crate::App;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// A connection to the listener that asks for client certificates.
#[derive(Debug, Clone)]
pub(crate) struct MutualTls {
    /// SHA-256 over the DER of the certificate, base64url, if the client has one.
    pub certificate: Option<Arc<str>>,
    /// When its handshake began. No handshake takes up an earlier one, so each proves the certificate's key anew.
    pub since: Instant,
}

/// How a credential is sent (RFC 6750 §2.1, RFC 9449 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    Dpop,
}

/// What a request shows.
#[derive(Debug)]
pub(crate) struct Keys {
    certificate: Option<String>,
    /// When the handshake began that proved the certificate's key.
    proven_at: Timestamp,
    proofs: Vec<Option<String>>,
    method: String,
    url: String,
}

impl Keys {
    pub(crate) fn of(app: &App, method: &Method, uri: &Uri, headers: &HeaderMap, extensions: &Extensions) -> Self {
        let mutual = extensions.get::<MutualTls>();
        let settings = app.engine.settings();
        let base = match (mutual, &settings.mtls_url) {
            (Some(_), Some(base)) => base,
            _ => &settings.public_url,
        };
        let proofs: Vec<_> = headers.get_all(DPOP).iter().map(|value| value.to_str().ok().map(str::to_owned)).collect();
        // Rather too old by a part of a millisecond than too new.
        let age = mutual.map_or(0, |mutual| {
            i64::try_from(mutual.since.elapsed().as_millis()).map_or(i64::MAX, |age| age.saturating_add(1))
        });
        Self {
            proven_at: app.engine.now().minus(Span::from_millis(age)),
            certificate: mutual.and_then(|mutual| mutual.certificate.as_deref()).map(str::to_owned),
            method: if proofs.is_empty() { String::new() } else { method.to_string() },
            url: if proofs.is_empty() { String::new() } else { format!("{base}{}", uri.path()) },
            proofs,
        }
    }

    pub(crate) fn of_request(app: &App, request: &Request) -> Self {
        Self::of(app, request.method(), request.uri(), request.headers(), request.extensions())
    }

    /// What the connection proves of its client, if it has a certificate.
    pub(crate) fn certificate(&self) -> Option<Proof> {
        self.certificate.as_ref().map(|thumbprint| Proof::Certificate {
            thumbprint: thumbprint.clone(),
            proven_at: self.proven_at,
        })
    }

    /// What a client shows that asks for a token.
    pub(crate) fn for_a_token(self) -> Result<Presented, OpError> {
        Ok(Presented {
            dpop: match self.proofs.as_slice() {
                [] => None,
                [Some(proof)] => Some(Dpop {
                    proof: proof.clone(),
                    method: self.method,
                    url: self.url,
                }),
                _ => return Err(OpError::because(Reason::DpopInvalid, "send one DPoP header, with one proof")),
            },
            certificate: self.certificate,
        })
    }

    /// What is shown with an access token. A proof counts only with the scheme that says so: a bound token shown as a bearer is refused,
    /// whatever else comes along.
    pub(crate) fn with_a_token(self, scheme: Scheme) -> Result<Presented, OpError> {
        match scheme {
            Scheme::Bearer => Ok(Presented {
                certificate: self.certificate,
                dpop: None,
            }),
            Scheme::Dpop if self.proofs.is_empty() => Err(OpError::because(Reason::DpopInvalid, "send the proof in a DPoP header")),
            Scheme::Dpop => self.for_a_token(),
        }
    }
}

impl FromRequestParts<App> for Keys {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        Ok(Self::of(app, &parts.method, &parts.uri, &parts.headers, &parts.extensions))
    }
}

/// What a client that was not let in may do about it (RFC 6750 §3, RFC 9449 §7.1, §9). Who showed no credential is told no error.
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

/// Gives whoever uses DPoP the nonce for their next proof, with every reply (RFC 9449 §8.2).
pub(crate) async fn next_nonce(State(app): State<App>, request: Request, next: Next) -> Response {
    let asked = request.headers().contains_key(DPOP);
    let mut response = next.run(request).await;
    let challenged = || {
        let challenge = response.headers().get(header::WWW_AUTHENTICATE);
        challenge.is_some_and(|value| value.as_bytes().starts_with(b"DPoP"))
    };
    if asked || challenged() {
        let nonce = sender::dpop_nonce(&app.engine);
        if let Ok(value) = HeaderValue::try_from(nonce) {
            response.headers_mut().insert(DPOP_NONCE, value);
        }
    }
    response
}
