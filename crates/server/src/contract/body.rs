//! Bodies of requests: JSON and forms, parsed strictly.

use std::error::Error;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tenure_api::problem::Problem;
use tenure_core::base::json::read_object;
use tenure_core::base::text;
use tenure_engine::kernel::error::OpError;

use crate::contract::api::{Operation, Takes};
use crate::contract::error::Failure;
use crate::serve::TooSlow;

/// A JSON body, parsed strictly, all of whose text reads as what it is.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (parsed, object) = Claimed::read(request, state).await?;
        match text::problems(&object) {
            none if none.is_empty() => Ok(Self(parsed)),
            problems => Err(OpError::Invalid(problems).into()),
        }
    }
}

/// A JSON body, parsed strictly, whose text is only compared: what an enforcement point says of a call is that call's,
/// whatever stands in it.
pub(crate) struct Claimed<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Claimed<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        Self::read(request, state).await.map(|(parsed, _)| Self(parsed))
    }
}

impl<T: DeserializeOwned> Claimed<T> {
    async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<(T, Map<String, Value>), Failure> {
        let is_json =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
                let essence = value.split(';').next().unwrap_or_default().trim();
                essence.eq_ignore_ascii_case("application/json")
            });
        if !is_json {
            return Err(Failure::of(Problem::new(415, "media_type_unsupported", "send application/json")));
        }
        let bytes = body(request, state).await?;
        // A parser may ignore a byte order mark (RFC 8259 §8.1).
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        let malformed = |why: String| {
            Failure::of(
                Problem::new(400, "body_malformed", "the body is not what this address takes")
                    .detail(why)
                    .hint("fix the named field; unknown fields are refused"),
            )
        };
        let parsed = serde_json::from_slice(bytes).map_err(|error| malformed(without_values(&error)))?;
        // Where a member comes twice, two readers may take different ones: the check here, and whoever reads the record
        // later.
        match read_object(bytes) {
            Ok(object) => Ok((parsed, object)),
            Err(error) => Err(malformed(error.to_string())),
        }
    }
}

impl<T: JsonSchema> Takes for Body<T> {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.schema::<T>();
        operation.body("application/json", &schema, true);
    }
}

impl<T: JsonSchema> Takes for OptionalBody<T> {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.schema::<T>();
        operation.body("application/json", &schema, false);
    }
}

/// What is wrong with a body, without what was sent: a secret in the wrong place must not come back in an error, which
/// ends up in logs.
pub(crate) fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // What was expected is ours, and stands last.
    let rest = || text.rfind(", expected ").and_then(|at| text.get(at..)).unwrap_or_default();
    if let Some((name, _)) = text.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        let is_name =
            name.len() <= 32 && !name.starts_with("tnr_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let name = if is_name { format!(" `{name}`") } else { String::new() };
        return format!("unknown field{name}{}", rest());
    }
    match ["unknown variant", "invalid type", "invalid value"].iter().find(|kind| text.starts_with(**kind)) {
        Some(kind) => format!("{kind}{}", rest()),
        None => text,
    }
}

/// A form, parsed strictly.
pub(crate) struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = body(request, state).await?;
        check_fields(&form::<Vec<(String, String)>>(&bytes)?)?;
        form(&bytes).map(Self)
    }
}

/// A form of a page, parsed strictly, whose text is still to be asked after: what is wrong with it is shown together with
/// all that was typed. Whoever takes it asks [`check_fields`] before anything is done with it.
pub(crate) struct Unchecked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Unchecked<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        form(&body(request, state).await?).map(Self)
    }
}

/// That the fields of a form read as what they are.
pub(crate) fn check_fields<N: AsRef<str>, V: AsRef<str>>(fields: &[(N, V)]) -> Result<(), Failure> {
    for (name, value) in fields {
        let (name, value) = (name.as_ref(), value.as_ref());
        if let Err(bad) = text::check_line(name).and(text::check_lines(value)) {
            return Err(OpError::field(&text::line(name), bad.code(), &bad.to_string()).into());
        }
    }
    Ok(())
}

fn form<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_urlencoded::from_bytes(bytes)
        .map_err(|_| Failure::of(Problem::new(400, "body_malformed", "the form is not what this address takes")))
}

/// A body's bytes, within the limit and the pace.
pub(crate) async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Failure> {
    body_within(request, state, "use at most 64 KiB").await
}

/// A body's bytes where another limit is set, which `limit` tells.
pub(crate) async fn body_within<S: Send + Sync>(request: Request, state: &S, limit: &str) -> Result<Bytes, Failure> {
    let rejection = match Bytes::from_request(request, state).await {
        Ok(bytes) => return Ok(bytes),
        Err(rejection) => rejection,
    };
    if let BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) = rejection {
        return Err(too_large(limit));
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(&rejection);
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            let problem = Problem::new(408, "body_too_slow", "the body came too slowly");
            return Err(Failure::of(
                problem.hint("send the body with its head: a pause is at most 5 s, and the whole takes at most 20 s"),
            ));
        }
        cause = error.source();
    }
    Err(Failure::malformed("the body ended before its end"))
}

/// A body beyond a limit, which `limit` tells.
pub(crate) fn too_large(limit: &str) -> Failure {
    Failure::of(Problem::new(413, "body_too_large", "the body is too large").hint(limit))
}

/// The request with its body read, and nothing of it looked at: who is refused before that is answered on a connection
/// that goes on, where what is unread would have it closed. That it could not be read is for later, when it is known
/// who asks.
pub(crate) async fn buffered<S: Send + Sync>(request: Request, state: &S) -> (Request, Result<(), Failure>) {
    let (parts, unread) = request.into_parts();
    let (bytes, whole) = match body(Request::from_parts(parts.clone(), unread), state).await {
        Ok(bytes) => (bytes, Ok(())),
        Err(failure) => (Bytes::new(), Err(failure)),
    };
    (Request::from_parts(parts, axum::body::Body::from(bytes)), whole)
}

/// An optional JSON body: an empty one is the default.
pub(crate) struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let empty = request.headers().get(header::CONTENT_LENGTH).is_none_or(|length| length == "0")
            && !request.headers().contains_key(header::TRANSFER_ENCODING);
        if empty {
            Ok(Self(T::default()))
        } else {
            Body::<T>::from_request(request, state).await.map(|Body(body)| Self(body))
        }
    }
}
