//! Notices to a receiver over HTTP: CloudEvents 1.0 in structured JSON, signed as Standard Webhooks says, under the rules for
//! everything outbound (S-17).

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tenure_core::base::time::{Clock, Timestamp};
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_engine::kernel::notice::{Notice, Notify, Undelivered};

use crate::outbound::Outbound;

const PREFIX: &str = "whsec_";
/// The length of the key in bytes (Standard Webhooks).
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a webhook can't be called with these settings.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It is no URL.
    #[error("`webhook.url` is no URL: {0}")]
    Url(String),
    /// The secret has another form.
    #[error("the webhook's secret has to be whsec_ and 24 to 64 random bytes in base64; `openssl rand -base64 32` makes some")]
    Secret,
}

/// Posts notices to a receiver.
pub struct WebhookNotify {
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
    url: Url,
    key: hmac::Key,
    source: String,
}

impl WebhookNotify {
    /// Posts to `url`, signed with `secret`, as coming from the deployment at `public_url`.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub fn new(outbound: Arc<Outbound>, clock: Arc<dyn Clock>, url: &str, secret: &Secret<String>, public_url: &str) -> Result<Self, WebhookError> {
        let url = Url::parse(url).map_err(|error| WebhookError::Url(error.to_string()))?;
        let key = secret.expose().trim().strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        let key = key.filter(|key| KEY_BYTES.contains(&key.len())).ok_or(WebhookError::Secret)?;
        Ok(Self {
            outbound,
            clock,
            url,
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            source: public_url.to_owned(),
        })
    }

    async fn post(&self, notice: &Notice) -> Result<(), Undelivered> {
        let body = event(notice, &self.source).to_string();
        let headers = self.headers(&notice.id, self.clock.now(), &body)?;
        let status = self
            .outbound
            .post_as(&self.url, headers, body)
            .await
            // Without the URL, in which receivers have their secrets.
            .map_err(|why| Undelivered::Later(format!("{}: {why}", self.url.origin().ascii_serialization())))?;
        verdict(status)
    }

    fn headers(&self, id: &str, now: Timestamp, body: &str) -> Result<HeaderMap, Undelivered> {
        let signed = hmac::sign(&self.key, format!("{id}.{}.{body}", now.as_secs()).as_bytes());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json; charset=utf-8"));
        for (name, value) in [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", now.as_secs().to_string()),
            ("webhook-signature", format!("v1,{}", STANDARD.encode(signed.as_ref()))),
        ] {
            let value = HeaderValue::try_from(value).map_err(|_| Undelivered::Refused("its id can't be a header".into()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }
}

impl Notify for WebhookNotify {
    fn channel(&self) -> &'static str {
        "webhook"
    }

    fn addresses_people(&self) -> bool {
        false
    }

    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(self.post(notice))
    }
}

/// People are named by id alone: name and address stay here.
fn event(notice: &Notice, source: &str) -> Value {
    let to: Vec<_> = notice.to.iter().map(|recipient| recipient.person).collect();
    let mut event = json!({
        "specversion": "1.0",
        "id": notice.id,
        "source": source,
        "type": format!("tenure.{}", notice.kind),
        "time": notice.at,
        "datacontenttype": "application/json",
        "data": {
            "title": notice.title,
            "text": notice.text,
            "link": notice.link,
            "to": to,
            "roles": notice.roles,
            "subjects": notice.subjects,
            "facts": notice.data,
        },
    });
    if let (Some(event), Some(subject)) = (event.as_object_mut(), notice.subjects.first()) {
        event.insert("subject".into(), json!(subject));
    }
    event
}

fn verdict(status: StatusCode) -> Result<(), Undelivered> {
    let why = format!("the receiver answered with status {status}");
    match status {
        status if status.is_success() => Ok(()),
        // What says that this body will never be taken; everything else may be the receiver's state or its settings.
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => Err(Undelivered::Refused(why)),
        _ => Err(Undelivered::Later(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::base::time::Span;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(1_614_265_330)
        }
        fn monotonic(&self) -> Span {
            Span::from_secs(0)
        }
    }

    fn webhook(secret: &str) -> Result<WebhookNotify, WebhookError> {
        let outbound = Arc::new(Outbound::new(Vec::new()));
        WebhookNotify::new(
            outbound,
            Arc::new(Still),
            "https://hooks.example/in",
            &Secret::new(secret.to_owned()),
            "https://t.example",
        )
    }

    /// The example of the Standard Webhooks libraries' own tests.
    #[test]
    fn the_known_signature_comes_out() {
        let webhook = webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let headers = webhook.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", Still.now(), r#"{"test": 2432232314}"#).unwrap();
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_short_or_of_another_form_is_refused_and_not_shown() {
        for bad in ["", "secret", "whsec_c2hvcnQ=", "whsec_!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let Err(error) = webhook(bad) else { panic!("{bad} was taken") };
            assert!(matches!(error, WebhookError::Secret) && !error.to_string().contains("c2hvcnQ"));
        }
    }

    #[test]
    fn only_what_will_never_be_taken_counts_as_refused() {
        assert!(verdict(StatusCode::NO_CONTENT).is_ok());
        for (status, refused) in [(302, false), (401, false), (404, false), (422, true), (400, true), (429, false), (503, false)] {
            let error = verdict(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(matches!(error, Undelivered::Refused(_)), refused, "{status}");
        }
    }
}
