//! Replies: a body with its status, and the entity tag of the record that it is.

use std::marker::PhantomData;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tenure_api::ownership::Edited;
use tenure_api::revised::HasRevision;
use tenure_engine::kernel::error::OpError;

use crate::contract::api::{Gives, Operation};
use crate::contract::error::Failure;

/// A reply with a body, 200.
pub(crate) type Reply<T> = Result<Done<T>, Failure>;

/// A reply with the record that was made, 201.
pub(crate) type New<T> = Result<Created<T>, Failure>;

/// A body that was read, or what came of a change.
pub(crate) struct Done<T>(pub T);

/// A record that was made.
pub(crate) struct Created<T>(pub T);

/// A reply to a change that somebody else may have to approve: 200 with the record, or 201 with the request about it.
pub(crate) type Edit<T> = Result<Changed<T>, Failure>;

/// A record that was changed, or the request that was opened about its change.
pub(crate) struct Changed<T>(Edited<T>);

pub(crate) fn ok<T>(body: T) -> Reply<T> {
    Ok(Done(body))
}

pub(crate) fn created<T>(body: T) -> New<T> {
    Ok(Created(body))
}

pub(crate) fn edited<T>(edited: Edited<T>) -> Edit<T> {
    Ok(Changed(edited))
}

/// A reply to a change that can be tried first: 200 with what it would do, or 201 with what it did.
pub(crate) type Tried<T> = Result<Trial<T>, Failure>;

/// What a change would do, or did.
pub(crate) enum Trial<T> {
    Planned(T),
    Made(T),
}

pub(crate) fn tried<T>(nothing_made: bool, body: T) -> Tried<T> {
    Ok(if nothing_made { Trial::Planned(body) } else { Trial::Made(body) })
}

impl<T: Serialize + HasRevision> IntoResponse for Trial<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Planned(body) => answer(StatusCode::OK, body),
            Self::Made(body) => answer(StatusCode::CREATED, body),
        }
    }
}

impl<T: JsonSchema + HasRevision> Gives for Trial<T> {
    fn describe(operation: &mut Operation<'_>) {
        says::<T>(operation, StatusCode::OK);
        says::<T>(operation, StatusCode::CREATED);
    }
}

/// An id in a path; a malformed one names nothing.
pub(crate) fn id<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, Failure> {
    text.parse().map_err(|_| OpError::NotFound(what).into())
}

/// An answer with a secret in it, which nothing may keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GivenOnce;

fn answer<T: Serialize + HasRevision>(status: StatusCode, body: T) -> Response {
    // What was only tried is no record yet.
    let revision = body.revision().filter(|revision| *revision > 0);
    let tag = revision.and_then(|revision| HeaderValue::try_from(format!("\"{revision}\"")).ok());
    let mut response = (status, Json(body)).into_response();
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    if T::HOLDS_A_SECRET {
        response.extensions_mut().insert(GivenOnce);
    }
    response
}

impl<T: Serialize + HasRevision> IntoResponse for Done<T> {
    fn into_response(self) -> Response {
        answer(StatusCode::OK, self.0)
    }
}

impl<T: Serialize + HasRevision> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        answer(StatusCode::CREATED, self.0)
    }
}

impl<T: Serialize + HasRevision> IntoResponse for Changed<T> {
    fn into_response(self) -> Response {
        match self.0 {
            Edited::Changed(record) => answer(StatusCode::OK, record),
            Edited::Asked(request) => answer(StatusCode::CREATED, *request),
        }
    }
}

impl<T: JsonSchema + HasRevision> Gives for Done<T> {
    fn describe(operation: &mut Operation<'_>) {
        says::<T>(operation, StatusCode::OK);
    }
}

impl<T: JsonSchema + HasRevision> Gives for Created<T> {
    fn describe(operation: &mut Operation<'_>) {
        says::<T>(operation, StatusCode::CREATED);
    }
}

impl<T: JsonSchema + HasRevision> Gives for Changed<T> {
    fn describe(operation: &mut Operation<'_>) {
        says::<T>(operation, StatusCode::OK);
        says::<tenure_api::request::RequestView>(operation, StatusCode::CREATED);
    }
}

fn says<T: JsonSchema + HasRevision>(operation: &mut Operation<'_>, status: StatusCode) {
    let schema = operation.schema::<T>();
    operation.answer(status, "application/json", &schema);
    if T::IS_REVISED {
        operation.tagged(status);
    }
}

/// A reply whose body is no JSON of ours: its sort says what it is.
pub(crate) struct Raw<M> {
    response: Response,
    sort: PhantomData<M>,
}

/// A sort of body.
pub(crate) trait Media {
    /// The status that it comes with.
    const STATUS: StatusCode = StatusCode::OK;
    /// Its media type; none if there is no body.
    const TYPE: Option<&'static str>;
    /// Whether it counts against a budget of its caller's.
    const IS_COUNTED: bool = false;
}

impl<M> From<Response> for Raw<M> {
    fn from(response: Response) -> Self {
        Self { response, sort: PhantomData }
    }
}

impl<M> IntoResponse for Raw<M> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<M: Media> Gives for Raw<M> {
    fn describe(operation: &mut Operation<'_>) {
        match M::TYPE {
            Some(media_type) if media_type.ends_with("json") && !media_type.ends_with("ndjson") => {
                operation.answer(M::STATUS, media_type, &json!({"type": "object"}));
            }
            Some(media_type) => operation.answer(M::STATUS, media_type, &json!({"type": "string"})),
            None => operation.silent(M::STATUS),
        }
        if M::IS_COUNTED {
            operation.counted(M::STATUS.as_u16());
        }
    }
}
