//! An answer that holds something until its client has read it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, SizeHint};

/// The body, which holds something until its end has been handed over. Over HTTP/2 that alone says little: hyper takes
/// a whole piece over as soon as the client's window has room for one byte of it, and then asks for the next. With the
/// last byte of each piece apart, that is taken over only when there is room for all before it, and what a client
/// doesn't read stays held.
pub(crate) fn holding<T: Unpin + Send + 'static>(body: Body, held: T, last_apart: bool) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(Holding { body, last_apart, rest: None, _held: held })
}

struct Holding<T> {
    body: Body,
    last_apart: bool,
    /// The last byte of a piece whose others have been handed over.
    rest: Option<Bytes>,
    _held: T,
}

impl<T: Unpin> hyper::body::Body for Holding<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(mut data) if self.last_apart && data.len() > 1 => {
                    self.rest = Some(data.split_off(data.len() - 1));
                    Frame::data(data)
                }
                Ok(data) => Frame::data(data),
                Err(trailers) => trailers,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut size = self.body.size_hint();
        let rest = self.rest.as_ref().map_or(0, Bytes::len) as u64;
        size.set_lower(size.lower() + rest);
        if let Some(upper) = size.upper() {
            size.set_upper(upper + rest);
        }
        size
    }
}
