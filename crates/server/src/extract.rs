//! What handlers take from a request.

use std::error::Error;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Uri, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tenure_api::ownership::Edited;
use tenure_api::problem::Problem;
use tenure_api::views::Resource as View;
use tenure_core::base::json::read_object;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::text;
use tenure_credentials::opaque::PREFIX;
use tenure_engine::credentials::identity_caller;
use tenure_engine::kernel::caller::{self, Caller};
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::if_match::IfMatch;

use crate::App;
use crate::error::Failure;
use crate::keys::{Keys, Scheme};
use crate::serve::{Connection, RequestSource, TooSlow};
use crate::sign_in::{Cookie, must_be_same_origin};

/// Where a request comes from, as budgets and records count it.
pub(crate) struct Source(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Source {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let source = parts.extensions.get::<RequestSource>();
        Ok(Self(source.map_or_else(|| "unknown".to_owned(), |RequestSource(source)| source.clone())))
    }
}

/// Whoever sent a request has proven who they are: their connection isn't a stranger's any more.
pub(crate) fn proven(extensions: &Extensions) {
    if let Some(connection) = extensions.get::<Connection>() {
        connection.prove();
    }
}

/// Who calls the management API: a person, by the cookie of their browser, the session of their command line or an operator token; or an
/// identity, by its access token for Tenure itself.
pub(crate) struct Operator(pub Caller);

impl FromRequestParts<App> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Ok(Source(source)) = Source::from_request_parts(parts, app).await;
        let authenticated = match (authorization(&parts.headers)?, Cookie::Session.read(app, &parts.headers)) {
            (Some((Scheme::Bearer, token)), _) if token.starts_with(PREFIX) => caller::authenticate_person(&app.engine, &token).await,
            (Some((scheme, token)), _) => {
                let Ok(keys) = Keys::from_request_parts(parts, app).await;
                let changes = !parts.method.is_safe();
                identity_caller::authenticate_identity(&app.engine, &token, &keys.with_a_token(scheme)?, changes).await
            }
            (None, Some(cookie)) => {
                must_be_same_origin(app, &parts.method, &parts.headers)?;
                caller::authenticate_browser(&app.engine, &cookie).await
            }
            (None, None) => {
                app.engine.count_stranger(Reason::ProofMissing, &source);
                return Err(Failure::of(
                    Problem::refusal(401, Reason::ProofMissing).hint("sign in (`tenure login`), or send a token: Authorization: Bearer tnr_…"),
                ));
            }
        };
        if authenticated.is_ok() {
            proven(&parts.extensions);
        }
        authenticated.map(Self).map_err(|error| {
            if let OpError::Unauthenticated(reason) = &error {
                app.engine.count_stranger(*reason, &source);
            }
            error.into()
        })
    }
}

/// The credential of a request with how it was sent, if it has one. Two are as bad as a malformed one; one in a scheme that isn't taken here is
/// no proof, and the answer says which schemes are (RFC 9110 §11.6.1).
pub(crate) fn authorization(headers: &HeaderMap) -> Result<Option<(Scheme, String)>, Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key(header::AUTHORIZATION) {
            true => Err(Failure::malformed("there is more than one Authorization header")),
            false => Ok(None),
        };
    };
    let text = value.to_str().map_err(|_| Failure::malformed("the Authorization header is not text"))?;
    let (scheme, token) = text
        .split_once(' ')
        .ok_or_else(|| Failure::malformed("the Authorization header has no token"))?;
    let scheme = match scheme {
        bearer if bearer.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        dpop if dpop.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => {
            let hint = "use Authorization: Bearer, or DPoP for a token that is bound to a key";
            return Err(Failure::of(Problem::refusal(401, Reason::ProofMissing).hint(hint)));
        }
    };
    match token.trim() {
        "" => Err(Failure::malformed("the Authorization header has no token")),
        token => Ok(Some((scheme, token.to_owned()))),
    }
}

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

/// A JSON body, parsed strictly, whose text is only compared: what an enforcement point says of a call is that call's, whatever stands in it.
pub(crate) struct Claimed<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Claimed<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        Self::read(request, state).await.map(|(parsed, _)| Self(parsed))
    }
}

impl<T: DeserializeOwned> Claimed<T> {
    async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<(T, Map<String, Value>), Failure> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
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
        // Where a member comes twice, two readers may take different ones: the check here, and whoever reads the record later.
        match read_object(bytes) {
            Ok(object) => Ok((parsed, object)),
            Err(error) => Err(malformed(error.to_string())),
        }
    }
}

/// What is wrong with a body, without what was sent: a secret in the wrong place must not come back in an error, which ends up in logs.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // What was expected is ours, and stands last.
    let rest = || text.rfind(", expected ").and_then(|at| text.get(at..)).unwrap_or_default();
    if let Some((name, _)) = text.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        let is_name = name.len() <= 32 && !name.starts_with("tnr_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let name = if is_name { format!(" `{name}`") } else { String::new() };
        return format!("unknown field{name}{}", rest());
    }
    match ["unknown variant", "invalid type", "invalid value"]
        .iter()
        .find(|kind| text.starts_with(**kind))
    {
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
        let malformed = || Failure::of(Problem::new(400, "body_malformed", "the form is not what this address takes"));
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes).map_err(|_| malformed())?;
        for (name, value) in &pairs {
            if let Err(bad) = text::check_line(name).and(text::check_lines(value)) {
                return Err(OpError::field(&text::line(name), bad.code(), &bad.to_string()).into());
            }
        }
        serde_urlencoded::from_bytes(&bytes).map(Self).map_err(|_| malformed())
    }
}

/// What a path names; what can't be read names nothing.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Failure))]
pub(crate) struct Path<T>(pub T);

impl From<PathRejection> for Failure {
    fn from(_: PathRejection) -> Self {
        Self::of(Problem::new(404, "not_found", "not found").detail("the address can't be read"))
    }
}

/// A query, parsed strictly. Lists have one of their own ([`crate::listing::List`]).
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        read_query(&parts.uri).map(Self).map_err(|problems| OpError::Invalid(problems).into())
    }
}

/// Nothing: what takes no parameters says so of those that it is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

fn read_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Vec<FieldProblem>> {
    parameters(uri.query().unwrap_or_default())?;
    let error = match axum::extract::Query::<T>::try_from_uri(uri) {
        Ok(axum::extract::Query(read)) => return Ok(read),
        Err(rejection) => rejection.body_text(),
    };
    // What is wrong, behind a heading and, of a value, its parameter.
    let error = error.split_once(": ").map_or(error.as_str(), |(_, error)| error);
    let quoted = |kind: &str| error.split_once(kind).and_then(|(_, rest)| rest.split('`').next());
    let expected = || error.rsplit_once(", expected ").map(|(_, expected)| expected);
    let problem = if let Some(unknown) = quoted("unknown field `") {
        let taken = expected().unwrap_or("no parameters");
        FieldProblem::new(parameter(unknown), "parameter_unknown", format!("this address takes {taken}"))
    } else if let Some(missing) = quoted("missing field `") {
        FieldProblem::new(missing, "parameter_missing", "this address needs it")
    } else if let Some(repeated) = quoted("duplicate field `") {
        FieldProblem::new(parameter(repeated), "parameter_repeated", "give it once")
    } else {
        let (name, why) = error.split_once(": ").unwrap_or(("query", error));
        // Not all errors leave out what was given; what was expected is ours.
        let expected = why.strip_prefix("expected ").or_else(expected).unwrap_or("a value of another form");
        FieldProblem::new(parameter(name), "value_unknown", format!("it takes {expected}"))
    };
    Err(vec![problem])
}

/// The longest query in bytes.
const MAX_QUERY: usize = 8 * 1024;

/// The parameters of a query, in their order.
pub(crate) fn parameters(query: &str) -> Result<Vec<(String, String)>, Vec<FieldProblem>> {
    let problem = |hint: &str| vec![FieldProblem::new("query", "query_malformed", hint)];
    if query.len() > MAX_QUERY {
        return Err(problem("a query has at most 8 KiB"));
    }
    serde_urlencoded::from_str(query).map_err(|_| problem("write it as name=value, with & between them"))
}

/// A parameter's name as an answer may say it: a secret in the wrong place must not come back.
pub(crate) fn parameter(name: &str) -> &str {
    let is_name = (1..=32).contains(&name.len()) && !name.starts_with("tnr_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_name { name } else { "query" }
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

/// The request with its body read, and nothing of it looked at: who is refused before that is answered on a connection that goes on, where
/// what is unread would have it closed. That it could not be read is for later, when it is known who asks.
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
        let empty =
            request.headers().get(header::CONTENT_LENGTH).is_none_or(|length| length == "0") && !request.headers().contains_key(header::TRANSFER_ENCODING);
        if empty {
            Ok(Self(T::default()))
        } else {
            Body::<T>::from_request(request, state).await.map(|Body(body)| Self(body))
        }
    }
}

/// The entity tags that one condition names at most.
const MAX_TAGS: usize = 64;

/// Which revision of the record a change is meant for (RFC 9110 §13.1.1).
pub(crate) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Failure> {
    let mut lines = headers.get_all(header::IF_MATCH).iter().peekable();
    if lines.peek().is_none() {
        return Ok(IfMatch::Missing);
    }
    let mut revisions = Vec::new();
    let mut tags = 0;
    for (n, line) in lines.enumerate() {
        let text = line.to_str().map(str::trim).unwrap_or_default();
        if text == "*" && n == 0 && headers.get_all(header::IF_MATCH).iter().count() == 1 {
            return Ok(IfMatch::Any);
        }
        for tag in entity_tags(text).filter(|found| tags + found.len() <= MAX_TAGS).ok_or_else(no_condition)? {
            tags += 1;
            revisions.extend(tag);
        }
    }
    if tags == 0 { Err(no_condition()) } else { Ok(IfMatch::Revisions(revisions)) }
}

fn no_condition() -> Failure {
    Failure::malformed("If-Match takes the ETag as this server gave it, e.g. \"3\", a list of up to 64, or * for whatever it is now")
}

/// The entity tags of a list, each as the revision that it names; one that is weak, or was never one of ours, names none. `None` if it is no such list.
fn entity_tags(list: &str) -> Option<Vec<Option<u64>>> {
    let mut tags = Vec::new();
    let mut rest = list;
    loop {
        // Empty elements are passed over (§5.6.1.2).
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let (weak, tag) = match rest.strip_prefix("W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let (opaque, after) = tag.strip_prefix('"')?.split_once('"')?;
        if opaque.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return None;
        }
        let is_ours = !weak && opaque.bytes().all(|b| b.is_ascii_digit()) && !opaque.starts_with('0');
        tags.push(opaque.parse().ok().filter(|_| is_ours));
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}

/// A revision as the `ETag` that a change sends back as `If-Match`.
pub(crate) fn etag(revision: u64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{revision}\""))]
}

/// A record as it was read, with its revision.
pub(crate) type Read<T> = Result<([(header::HeaderName, String); 1], Json<View<T>>), Failure>;

pub(crate) fn read<T>(view: View<T>) -> Read<T> {
    Ok((etag(view.revision), Json(view)))
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn e04_a_condition_is_a_list_of_tags_or_a_star() {
        let read = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::IF_MATCH, HeaderValue::from_static(line));
            }
            if_match(&headers)
        };
        assert_eq!(read(&[]).unwrap(), IfMatch::Missing);
        assert_eq!(read(&[" * "]).unwrap(), IfMatch::Any);
        for (lines, revisions) in [
            (&["\"3\""][..], vec![3]),
            (&["\"3\", \"7\""], vec![3, 7]),
            (&["\"3\",, \"7\" ,", "\"9\""], vec![3, 7, 9]),
            // Weak ones, and such as are nobody's, match nothing.
            (&["W/\"3\""], vec![]),
            (&["W/\"3\", \"4\""], vec![4]),
            (&["\"x\""], vec![]),
            (&["\"a,b\", \"5\""], vec![5]),
            (&["\"03\", \"+3\", \"\", \"99999999999999999999\""], vec![]),
        ] {
            assert_eq!(read(lines).unwrap(), IfMatch::Revisions(revisions), "{lines:?}");
        }
        for bad in [
            &["3"][..],
            &[""],
            &[","],
            &["\"3"],
            &["\"3\" \"4\""],
            &["\"3\"x"],
            &["w/\"3\""],
            &["*, \"3\""],
            &["*", "\"3\""],
            &["*", "*"],
            &["\"a b\""],
        ] {
            assert_eq!(read(bad).unwrap_err().0.status, 400, "{bad:?}");
        }
        let mut many = HeaderMap::new();
        many.insert(header::IF_MATCH, HeaderValue::try_from("\"1\",".repeat(MAX_TAGS + 1)).unwrap());
        assert_eq!(if_match(&many).unwrap_err().0.status, 400);
    }
}
