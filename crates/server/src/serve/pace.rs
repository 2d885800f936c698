//! The pace of a request's body: who sends none of what was announced holds a place for seconds, not for ever.

use std::time::Duration;

use axum::body::Body;
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a client may take for the first byte of a body, and between two pieces of it.
const PAUSE: Duration = Duration::from_secs(5);
/// How long for all of it.
const WHOLE: Duration = Duration::from_secs(20);

/// A body that came too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body came too slowly")]
pub(crate) struct TooSlow;

/// The body, which fails with [`TooSlow`] once it comes too slowly. Time runs from the first look at it.
pub(super) fn paced(body: Incoming) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    let pieces = stream::try_unfold((body, None), async |(mut body, until)| {
        let until = until.unwrap_or_else(|| Instant::now() + WHOLE);
        loop {
            let frame = match timeout_at(until, timeout(PAUSE, body.frame())).await {
                Ok(Ok(frame)) => frame.transpose()?,
                Err(_) | Ok(Err(_)) => return Err(axum::BoxError::from(TooSlow)),
            };
            match frame.map(hyper::body::Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) => return Ok(Some((data, (body, Some(until))))),
                // Trailers say nothing here.
                Some(Err(_)) => {}
            }
        }
    });
    Body::from_stream(pieces)
}
