//! Sender constraint: the key that a credential is bound to, so that it is worth nothing to whoever steals it (RFC 9449, RFC 8705).

use tenure_core::changeset::Once;
use tenure_core::credential::Confirmation;
use tenure_core::time::Timestamp;

use crate::Engine;
use crate::error::OpError;

/// The keys that a client showed with a request.
#[derive(Debug, Clone, Default)]
pub struct Presented {
    /// SHA-256 over the DER of the TLS client certificate, base64url, if the connection has one.
    pub certificate: Option<String>,
}

/// What a credential is to be bound to.
pub(crate) struct Sender {
    pub confirmation: Option<Confirmation>,
    /// Proof ids that are used up.
    pub once: Option<Once>,
}

impl Engine {
    /// Checks the keys that a client showed.
    pub(crate) fn sender(&self, presented: &Presented, _now: Timestamp) -> Result<Sender, OpError> {
        Ok(Sender {
            confirmation: presented.certificate.clone().map(Confirmation::Certificate),
            once: None,
        })
    }
}
