//! Replies and their statuses.

use axum::Json;
use axum::http::header;
use tenure_api::ownership::Edited;
use tenure_api::views::Resource as View;
use tenure_engine::kernel::error::OpError;

use crate::contract::condition;
use crate::contract::error::Failure;

/// A record as it was read, with its revision.
pub(crate) type Read<T> = Result<([(header::HeaderName, String); 1], Json<View<T>>), Failure>;

pub(crate) fn read<T>(view: View<T>) -> Read<T> {
    Ok((condition::etag(view.revision), Json(view)))
}

/// A reply with a body and its status.
pub(crate) type Reply<T> = Result<(axum::http::StatusCode, Json<T>), Failure>;

pub(crate) fn created<T>(body: T) -> Reply<T> {
    Ok((axum::http::StatusCode::CREATED, Json(body)))
}

pub(crate) fn ok<T>(body: T) -> Reply<T> {
    Ok((axum::http::StatusCode::OK, Json(body)))
}

/// A record that was changed, or the request that was opened about its change.
pub(crate) fn edited<T>(edited: Edited<T>) -> Reply<Edited<T>> {
    match edited {
        Edited::Changed(_) => ok(edited),
        Edited::Asked(_) => created(edited),
    }
}

/// An id in a path; a malformed one names nothing.
pub(crate) fn id<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, Failure> {
    text.parse().map_err(|_| OpError::NotFound(what).into())
}
