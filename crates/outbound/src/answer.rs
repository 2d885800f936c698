//! Answers, as far as they are read.

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use crate::error::{OutboundError, failed};

/// An answer over HTTP. It may carry tokens, so it has no `Debug`.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body: none if it wasn't read, or is longer than the caller's limit.
    pub body: Option<Vec<u8>>,
}

/// The body of a response, at most `limit` bytes long.
pub(crate) async fn body_of(mut response: Response, limit: usize) -> Result<Vec<u8>, OutboundError> {
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(OutboundError::TooLong(limit));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > limit {
            return Err(OutboundError::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
