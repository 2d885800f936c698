//! Paths and queries, parsed strictly.

use axum::extract::FromRequestParts;
use axum::extract::rejection::PathRejection;
use axum::http::Uri;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tenure_api::problem::Problem;
use tenure_core::base::problem::FieldProblem;
use tenure_engine::kernel::error::OpError;

use crate::contract::api::{Operation, Takes};
use crate::contract::error::Failure;

/// What a path names; what can't be read names nothing.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Failure))]
pub(crate) struct Path<T>(pub T);

impl From<PathRejection> for Failure {
    fn from(_: PathRejection) -> Self {
        Self::of(Problem::new(404, "not_found", "not found").detail("the address can't be read"))
    }
}

/// A query, parsed strictly. Lists have one of their own ([`crate::contract::list::List`]).
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        read_query(&parts.uri).map(Self).map_err(|problems| OpError::Invalid(problems).into())
    }
}

impl<T: JsonSchema> Takes for Query<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.query::<T>();
    }
}

// The address says what it names.
impl<T> Takes for Path<T> {}

/// Where a list goes on that is narrowed by nothing but who asks.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    /// Only what follows the page that named this as its `next`.
    pub after: Option<String>,
    /// How many at most, 1 to 200; 50 if not given.
    pub limit: Option<u16>,
}

/// Nothing: what takes no parameters says so of those that it is given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

pub(crate) fn read_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Vec<FieldProblem>> {
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
pub(crate) const MAX_QUERY: usize = 8 * 1024;

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
    let is_name = (1..=32).contains(&name.len())
        && !name.starts_with("tnr_")
        && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_name { name } else { "query" }
}
