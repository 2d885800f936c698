//! The pace of a request's body: who sends none of what was announced holds a place for seconds, not for ever, and not
//! while others need it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame};
use tokio::time::{Instant, timeout, timeout_at};

use crate::serve::places::Busy;
use crate::serve::shares::{Share, Turn};

/// The turn of what waits for its client.
const WAITS: Turn = 0;
/// How long a client may take for the first byte of a body, and between two pieces of it.
const PAUSE: Duration = Duration::from_secs(5);
/// How long for all of it.
const WHOLE: Duration = Duration::from_secs(20);

/// A body that came too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body came too slowly")]
pub(crate) struct TooSlow;

/// A request that its client keeps waiting now and then: its share, and its part in keeping its connection's place.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    pub(crate) share: Arc<Share>,
    pub(crate) busy: Option<Arc<Busy>>,
}

impl UnderWay {
    /// Whether it waits for its client: then it makes room for others.
    pub(crate) fn waits(&self, waits: bool) {
        self.share.turn(waits.then_some(WAITS));
        self.busy.iter().for_each(|busy| busy.waits(waits));
    }
}

/// The body, which fails with [`TooSlow`] once it comes too slowly. Time runs from the first look at it. Until it is
/// there, its request waits for its client, and gives its share up when another needs it.
#[expect(clippy::disallowed_methods, reason = "how long something takes is measured at the edge")]
pub(crate) fn paced(body: Body, request: UnderWay) -> Body {
    if body.is_end_stream() {
        return body;
    }
    request.waits(true);
    let given_up = Box::pin(request.share.given_up());
    let pieces =
        stream::try_unfold((body, request, given_up, None), async |(mut body, request, mut given_up, until)| {
            let until = until.unwrap_or_else(|| Instant::now() + WHOLE);
            loop {
                let frame = tokio::select! {
                    biased;
                    frame = timeout_at(until, timeout(PAUSE, body.frame())) => frame,
                    () = &mut given_up => return Err(axum::BoxError::from(TooSlow)),
                };
                let frame = match frame {
                    Ok(Ok(frame)) => frame.transpose()?,
                    Err(_) | Ok(Err(_)) => return Err(axum::BoxError::from(TooSlow)),
                };
                match frame.map(Frame::into_data) {
                    None => {
                        request.waits(false);
                        return Ok(None);
                    }
                    Some(Ok(data)) => return Ok(Some((data, (body, request, given_up, Some(until))))),
                    // Trailers say nothing here.
                    Some(Err(_)) => {}
                }
            }
        });
    Body::from_stream(pieces)
}
