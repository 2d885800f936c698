//! Signatures of webhooks, as Standard Webhooks says.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tenure_core::base::time::Timestamp;
use tenure_core::store::secret::Secret;

use crate::error::OutboundError;

const PREFIX: &str = "whsec_";
/// The length of the key in bytes (Standard Webhooks).
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret of a webhook has another form.
#[derive(Debug, thiserror::Error)]
#[error(
    "the webhook's secret has to be whsec_ and 24 to 64 random bytes in base64; `openssl rand -base64 32` makes some"
)]
pub struct WebhookKeyError;

/// The key that a webhook's receiver knows the sender by.
pub struct WebhookKey(hmac::Key);

impl WebhookKey {
    /// The key of a secret such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`; what surrounds it in white space is passed
    /// over.
    ///
    /// # Errors
    /// The secret has another form.
    pub fn new(secret: &Secret<String>) -> Result<Self, WebhookKeyError> {
        let key = secret.expose().trim().strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        let key = key.filter(|key| KEY_BYTES.contains(&key.len())).ok_or(WebhookKeyError)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The headers of a body: the message's id, the time at which it is sent, and the signature over both and the body.
    ///
    /// # Errors
    /// The id can't be a header.
    pub fn headers(&self, id: &str, now: Timestamp, body: &str) -> Result<HeaderMap, OutboundError> {
        let signed = hmac::sign(&self.0, format!("{id}.{}.{body}", now.as_secs()).as_bytes());
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", now.as_secs().to_string()),
            ("webhook-signature", format!("v1,{}", STANDARD.encode(signed.as_ref()))),
        ] {
            let value = HeaderValue::try_from(value)
                .map_err(|_| OutboundError::Header("its id can't be a header".to_owned()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Result<WebhookKey, WebhookKeyError> {
        WebhookKey::new(&Secret::new(secret.to_owned()))
    }

    /// The example of the Standard Webhooks libraries' own tests.
    #[test]
    fn the_known_signature_comes_out() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let now = Timestamp::from_secs(1_614_265_330);
        let headers = key.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", now, r#"{"test": 2432232314}"#).unwrap();
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_short_or_of_another_form_is_refused_and_not_shown() {
        for bad in ["", "secret", "whsec_c2hvcnQ=", "whsec_!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let Err(error) = key(bad) else { panic!("{bad} was taken") };
            assert!(!error.to_string().contains("c2hvcnQ"));
        }
    }
}
