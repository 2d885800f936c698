//! Checkpoints to a receiver over HTTP.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tenure_core::store::port::BoxFuture;
use tenure_engine::kernel::outbound::{FetchError, Push};
use tenure_log::note::MAX_NOTE_BYTES;
use tenure_outbound::{Answer, Destination, Outbound, OutboundError};

use super::{epoch_of, parse};

/// Posts checkpoints as `text/plain` to a receiver, under the rules for everything outbound (S-17).
///
/// A receiver gives nothing back, unless it compares for itself: then it answers a checkpoint that doesn't continue
/// what it keeps with 409 (Conflict) and the signed checkpoint that it keeps.
pub struct WebhookPush {
    outbound: Arc<Outbound>,
    url: Destination,
    /// What it answered with 409, and the origin of that.
    objection: Mutex<Option<(String, String)>>,
}

impl WebhookPush {
    /// Posts to this URL.
    ///
    /// # Errors
    /// It is no URL.
    pub fn new(outbound: Arc<Outbound>, url: &str) -> Result<Self, FetchError> {
        let url = url.parse().map_err(|error: OutboundError| FetchError {
            url: "the URL for checkpoints".into(),
            why: error.to_string(),
        })?;
        Ok(Self { outbound, url, objection: Mutex::default() })
    }

    fn object(&self, objection: Option<(String, String)>) {
        *self.objection.lock().unwrap_or_else(PoisonError::into_inner) = objection;
    }

    /// What it keeps, as far as it objected.
    fn kept(&self) -> Option<(String, String)> {
        self.objection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Push for WebhookPush {
    /// Without path and query, in which receivers have their secrets.
    fn target(&self) -> String {
        self.url.origin()
    }

    fn newest<'a>(&'a self, origin: &'a str) -> BoxFuture<'a, Result<Option<String>, FetchError>> {
        let kept = self.kept().filter(|(kept, _)| kept == origin).map(|(_, note)| note);
        Box::pin(std::future::ready(Ok(kept)))
    }

    fn epochs_after(&self, epoch: u64) -> BoxFuture<'_, Result<Vec<u64>, FetchError>> {
        let kept = self.kept().and_then(|(origin, _)| epoch_of(&origin)).filter(|kept| *kept > epoch);
        Box::pin(std::future::ready(Ok(kept.into_iter().collect())))
    }

    fn push<'a>(&'a self, checkpoint: &'a str) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move {
            let failed = |why: String| FetchError { url: self.target(), why };
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))]);
            let limit = |status| (status == StatusCode::CONFLICT).then_some(MAX_NOTE_BYTES);
            let answer = self.outbound.post(&self.url, headers, checkpoint.to_owned(), limit).await;
            let Answer { status, body, .. } = answer.map_err(|why| failed(why.to_string()))?;
            if status.is_success() {
                self.object(None);
                return Ok(());
            }
            if let Some(note) = body.and_then(|body| String::from_utf8(body).ok())
                && let Ok(kept) = parse(&note)
            {
                self.object(Some((kept.origin, note)));
                return Err(failed("it keeps another checkpoint".to_owned()));
            }
            Err(failed(format!("it answered with status {status}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::Request;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    /// A receiver on loopback that answers each request with this; what comes is shown.
    async fn receiver(status: u16, body: &str) -> (String, UnboundedReceiver<String>) {
        let (seen, requests) = unbounded_channel();
        let answer = (StatusCode::from_u16(status).unwrap(), body.to_owned());
        let router = Router::new().fallback(move |request: Request| {
            let _ = seen.send(format!("{} {} {:?}", request.method(), request.uri(), request.headers()));
            std::future::ready(answer.clone())
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?secret=word", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, requests)
    }

    fn push_to(url: &str, allow: &[&str]) -> Result<WebhookPush, FetchError> {
        let allow = allow.iter().map(|block| block.parse().unwrap()).collect();
        WebhookPush::new(Arc::new(Outbound::new(allow)), url)
    }

    const LOCAL: &[&str] = &["127.0.0.0/8"];

    #[tokio::test]
    async fn a_checkpoint_is_posted_as_text_under_the_rules_for_everything_outbound() {
        let (url, mut requests) = receiver(204, "").await;
        push_to(&url, LOCAL).unwrap().push("log/0\n3\nroot\n").await.unwrap();
        let request = requests.recv().await.unwrap();
        assert!(request.starts_with("POST /hook?secret=word ") && request.contains("text/plain"), "{request}");

        let error = push_to(&url, &[]).unwrap().push("text").await.unwrap_err().to_string();
        assert!(error.contains("may not be reached") && !error.contains("word"), "{error}");
        assert!(push_to("no url", LOCAL).is_err());
    }

    #[tokio::test]
    async fn a04_a_receiver_may_object_with_the_checkpoint_that_it_keeps() {
        let note = |epoch: &str| {
            let signer = tenure_log::LogSigner::from_seed(&format!("log{epoch}"), 0, &[7; 32]).unwrap();
            signer.checkpoint(9, [1; 32]).to_string()
        };
        for (epoch, later) in [("", vec![]), ("/epoch-3", vec![3])] {
            let kept = note(epoch);
            let (url, _requests) = receiver(409, &kept).await;
            let push = push_to(&url, LOCAL).unwrap();
            assert_eq!(push.newest("log/0").await.unwrap(), None);
            let error = push.push(&note("")).await.unwrap_err();
            assert_eq!(error.why, "it keeps another checkpoint");
            assert_eq!(push.newest(&format!("log{epoch}/0")).await.unwrap(), Some(kept));
            assert_eq!((push.epochs_after(0).await.unwrap(), push.newest("other/0").await.unwrap()), (later, None));
            assert!(push.epochs_after(3).await.unwrap().is_empty());
        }
        // Whatever else it says is no checkpoint.
        for (status, body) in [(409, "no"), (409, &"x".repeat(70_000)), (500, &note(""))] {
            let (url, _requests) = receiver(status, body).await;
            let push = push_to(&url, LOCAL).unwrap();
            assert!(push.push(&note("")).await.unwrap_err().why.contains("status"));
            assert_eq!(push.newest("log/0").await.unwrap(), None);
        }
    }
}
