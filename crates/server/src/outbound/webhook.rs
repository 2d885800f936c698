//! Notices to a receiver over HTTP: CloudEvents 1.0 in structured JSON, signed as Standard Webhooks says.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use tenure_core::base::time::Clock;
use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_engine::kernel::notice::{Notice, Notify, Undelivered};
use tenure_outbound::{Destination, Outbound, OutboundError, WebhookKey, WebhookKeyError};

/// Why a webhook can't be called with these settings.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It is no URL.
    #[error("`webhook.url` is no URL: {0}")]
    Url(OutboundError),
    /// The secret has another form.
    #[error(transparent)]
    Secret(#[from] WebhookKeyError),
}

/// The channel that posts notices to a receiver.
pub struct WebhookNotify {
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
    url: Destination,
    key: WebhookKey,
    source: String,
}

impl WebhookNotify {
    /// Posts to `url`, signed with `secret`, as coming from the deployment at `public_url`.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub fn new(
        outbound: Arc<Outbound>,
        clock: Arc<dyn Clock>,
        url: &str,
        secret: &Secret<String>,
        public_url: &str,
    ) -> Result<Self, WebhookError> {
        let url = url.parse().map_err(WebhookError::Url)?;
        Ok(Self { outbound, clock, url, key: WebhookKey::new(secret)?, source: public_url.to_owned() })
    }

    async fn post(&self, notice: &Notice) -> Result<(), Undelivered> {
        let body = event(notice, &self.source).to_string();
        let headers = self.key.headers(&notice.id, self.clock.now(), &body);
        let mut headers = headers.map_err(|why| Undelivered::Refused(why.to_string()))?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json; charset=utf-8"));
        // Without the URL, in which receivers have their secrets.
        let later = |why: OutboundError| Undelivered::Later(format!("{}: {why}", self.url.origin()));
        let answer = self.outbound.post(&self.url, headers, body, |_| None).await.map_err(later)?;
        verdict(answer.status)
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
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Err(Undelivered::Refused(why))
        }
        _ => Err(Undelivered::Later(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_will_never_be_taken_counts_as_refused() {
        assert!(verdict(StatusCode::NO_CONTENT).is_ok());
        for (status, refused) in
            [(302, false), (401, false), (404, false), (422, true), (400, true), (429, false), (503, false)]
        {
            let error = verdict(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(matches!(error, Undelivered::Refused(_)), refused, "{status}");
        }
    }
}
