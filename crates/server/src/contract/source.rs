//! Where a request comes from.

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::request::Parts;

use crate::contract::api::{Operation, Takes};
use crate::serve::{Connection, RequestSource};

/// Where a request comes from, as budgets and records count it.
pub(crate) struct Source(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Source {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let source = parts.extensions.get::<RequestSource>();
        Ok(Self(source.map_or_else(|| "unknown".to_owned(), |RequestSource(source)| source.clone())))
    }
}

// Whoever is counted as a stranger can be turned away as one.
impl Takes for Source {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(401);
    }
}

/// Whoever sent a request has proven who they are: their connection isn't a stranger's any more.
pub(crate) fn proven(extensions: &Extensions) {
    if let Some(connection) = extensions.get::<Connection>() {
        connection.prove();
    }
}
