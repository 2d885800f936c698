//! The keys that a request shows besides its credentials: the client certificate of its connection (RFC 8705), and a
//! DPoP proof (RFC 9449).
//!
//! The certificate comes from the handshake that this process made, never from a header: whatever sits in front of the
//! server can't claim one.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, Method, Uri};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_engine::credentials::token::{Dpop, Presented, Proof};
use tenure_engine::kernel::error::OpError;

use crate::app::App;
use crate::contract::api::Takes;
use crate::serve::client_certificates::MutualTls;

pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

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
        let settings = app.kernel.settings();
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
            proven_at: app.kernel.now().minus(Span::from_millis(age)),
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
        self.certificate
            .as_ref()
            .map(|thumbprint| Proof::Certificate { thumbprint: thumbprint.clone(), proven_at: self.proven_at })
    }

    /// What a client shows that asks for a token.
    pub(crate) fn for_a_token(self) -> Result<Presented, OpError> {
        Ok(Presented {
            dpop: match self.proofs.as_slice() {
                [] => None,
                [Some(proof)] => Some(Dpop { proof: proof.clone(), method: self.method, url: self.url }),
                _ => {
                    return Err(OpError::because(Reason::DpopInvalid, "send one DPoP header, with one proof"));
                }
            },
            certificate: self.certificate,
        })
    }

    /// What is shown with an access token. A proof counts only with the scheme that says so: a bound token shown as a
    /// bearer is refused, whatever else comes along.
    pub(crate) fn with_a_token(self, scheme: Scheme) -> Result<Presented, OpError> {
        match scheme {
            Scheme::Bearer => Ok(Presented { certificate: self.certificate, dpop: None }),
            Scheme::Dpop if self.proofs.is_empty() => {
                Err(OpError::because(Reason::DpopInvalid, "send the proof in a DPoP header"))
            }
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

impl Takes for Keys {}
