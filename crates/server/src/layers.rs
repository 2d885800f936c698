//! Layers: what every request passes through.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tenure_api::problem::Problem;
use tenure_core::base::problem::Reason;
use tenure_engine::credentials::token::sender;

use crate::app::App;
use crate::caller::keys::{DPOP, DPOP_NONCE};
use crate::contract::error::Failure;
use crate::contract::source::Source;
use crate::limits::admission::BoundedElsewhere;
use crate::serve::shares::Full;
use crate::serve::{Connection, UnderWay, holding, paced};

/// Routes of the management API that read a body before they know who asks.
const OPEN: &[&str] = &["/v1/setup", "/v1/enrol", "/v1/identities/{id}/complete-task"];

/// The layer: a request beyond a bound is answered at once, and nothing of it is read.
pub(crate) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(Source(source)) = Source::from_request_parts(&mut parts, &app).await;
    let connection = parts.extensions.get::<Connection>().cloned();
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let shows_a_credential = parts.headers.contains_key(header::AUTHORIZATION) || parts.headers.contains_key(header::COOKIE);
    let places = app.requests.places(route.starts_with("/v1/") && !OPEN.contains(&route) && shows_a_credential);
    let busy = connection.as_ref().map(|connection| Arc::new(connection.busy()));
    let share = match places.take(Some(&source), None) {
        Ok(share) => Arc::new(share),
        Err(full) => return refusal(full),
    };
    let version = parts.version;
    let request = UnderWay { share, busy: busy.clone() };
    let answer = next.run(Request::from_parts(parts, paced(body, request.clone()))).await;
    let is_bounded_elsewhere = answer.extensions().get::<BoundedElsewhere>().is_some();
    let own = connection.filter(|connection| !is_bounded_elsewhere && !connection.is_forwarded());
    let unread = own.map(|connection| {
        connection.tie(&request.share);
        request.waits(true);
        request
    });
    let last_apart = unread.is_some() && version == Version::HTTP_2;
    answer.map(|body| holding(body, (busy, unread), last_apart))
}

fn refusal(full: Full) -> Response {
    let problem = if full.of_key {
        Problem::refusal(429, Reason::BudgetSpent)
            .detail("as many requests from this address are being answered as one may have")
            .hint("send the next one when one of them is answered")
    } else {
        Problem::new(503, "unavailable", "unavailable for the moment").hint("try again in a second; nothing was changed")
    };
    Failure::of(problem).into_response()
}

/// Gives whoever uses DPoP the nonce for their next proof, with every reply (RFC 9449 §8.2).
pub(crate) async fn next_nonce(State(app): State<App>, request: Request, next: Next) -> Response {
    let asked = request.headers().contains_key(DPOP);
    let mut response = next.run(request).await;
    let challenged = || {
        let challenge = response.headers().get(header::WWW_AUTHENTICATE);
        challenge.is_some_and(|value| value.as_bytes().starts_with(b"DPoP"))
    };
    if asked || challenged() {
        let nonce = sender::dpop_nonce(&app.kernel);
        if let Ok(value) = HeaderValue::try_from(nonce) {
            response.headers_mut().insert(DPOP_NONCE, value);
        }
    }
    response
}
