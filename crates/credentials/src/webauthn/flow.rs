//! A ceremony between its two requests.
//!
//! The challenge goes out twice: to the authenticator, and under a MAC in the client's cookie. The second request
//! brings both back, so that beginning costs no memory, any replica can finish, and an answer made in another browser's
//! flow fits nothing. That a challenge is good for one use is for the commit to say, which uses its text up until the
//! flow is over.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use serde::{Deserialize, Serialize};
use tenure_core::base::entropy::Entropy;
use tenure_core::base::id::PersonId;
use tenure_core::base::time::{Span, Timestamp};

use super::error::WebauthnError;
use crate::encoding::{from_base64url, to_base64url};
use crate::root::RootKey;

/// How long a ceremony may take.
const LIFE: Span = Span::from_mins(5);
/// The longest text of a flow.
const MAX_TEXT: usize = 1024;

/// What a ceremony is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Purpose {
    /// Somebody signs in; who, their passkey will say.
    SignIn,
    /// A person registers a passkey.
    Register {
        /// The person; what entitles them is shown again at the end.
        person: PersonId,
    },
}

/// A ceremony that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// What for.
    pub purpose: Purpose,
    /// 32 random bytes, base64url.
    pub challenge: String,
    /// When it is over.
    pub ends_at: Timestamp,
}

/// Begins ceremonies and recognises them again, under a key that derives from the root key.
pub struct Flows(Key);

impl Flows {
    /// The flows of a deployment.
    pub fn new(root: &RootKey) -> Self {
        Self(Key::new(HMAC_SHA256, root.subkey("webauthn flow").expose()))
    }

    /// A fresh flow and the text that the client has to bring back.
    ///
    /// # Errors
    /// The flow can't be written.
    pub fn begin(
        &self,
        purpose: Purpose,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<(Flow, String), serde_json::Error> {
        let mut challenge = [0u8; 32];
        entropy.fill(&mut challenge);
        let flow = Flow { purpose, challenge: to_base64url(&challenge), ends_at: now.plus(LIFE) };
        let body = serde_json::to_vec(&flow)?;
        let text = format!("{}.{}", to_base64url(&body), to_base64url(hmac::sign(&self.0, &body).as_ref()));
        Ok((flow, text))
    }

    /// The flow that a text is, if it is ours and not over.
    ///
    /// # Errors
    /// [`WebauthnError::FlowOver`] in every other case.
    pub fn resume(&self, text: &str, now: Timestamp) -> Result<Flow, WebauthnError> {
        let read = || -> Option<Flow> {
            let (body, mac) = text.split_once('.').filter(|_| text.len() <= MAX_TEXT)?;
            let (body, mac) = (from_base64url(body)?, from_base64url(mac)?);
            hmac::verify(&self.0, &body, &mac).ok()?;
            serde_json::from_slice::<Flow>(&body).ok().filter(|flow| now < flow.ends_at)
        };
        read().ok_or(WebauthnError::FlowOver)
    }
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flows([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::base::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn a_flow_is_recognised_until_it_is_over_and_no_bit_of_it_can_change() {
        let flows = Flows::new(&RootKey::from_text(&"11".repeat(32)).unwrap());
        let now = Timestamp::from_secs(1_000);
        let (flow, text) = flows.begin(Purpose::SignIn, now, &SeededEntropy::new(1)).unwrap();
        assert_eq!(flows.resume(&text, now.plus(Span::from_secs(299))), Ok(flow));
        assert_eq!(flows.resume(&text, now.plus(LIFE)), Err(WebauthnError::FlowOver));
        for at in 0..text.len() {
            let mut bent = text.clone().into_bytes();
            bent[at] ^= 1;
            if let Ok(bent) = String::from_utf8(bent) {
                assert_eq!(flows.resume(&bent, now), Err(WebauthnError::FlowOver), "{at}");
            }
        }
        let others = Flows::new(&RootKey::from_text(&"22".repeat(32)).unwrap());
        assert_eq!(others.resume(&text, now), Err(WebauthnError::FlowOver));
    }
}
