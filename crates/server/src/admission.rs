//! Requests under way: bounded in all and for each source, with places kept free for whoever is to be let in by their head alone.
//!
//! A connection is no bound on requests: one of HTTP/2 carries many at once, and one of a proxy carries everybody's. What the server works on
//! keeps its place. What waits for its client gives it up when another needs it, the oldest first: a body that doesn't come, an answer that
//! isn't read. So nobody is kept out by requests that are only held open, from however many addresses. The routes of the management API let
//! nobody wait who hasn't proven who they are, so the kept places are a stranger's for no longer than that takes.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::{Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tenure_api::problem::Problem;
use tenure_core::base::problem::Reason;

use crate::App;
use crate::error::Failure;
use crate::extract::Source;
use crate::serve::{Connection, UnderWay, holding, paced};
use crate::shares::{Full, Shares};

/// Requests under way at once.
const MAX_REQUESTS: usize = 2_048;
/// Further ones, which only the management API gets, and there whoever shows a credential: to revoke, and to find out what.
const KEPT: usize = 512;
/// Requests of one source under way at once, and of the further ones half as many.
const MAX_OF_A_SOURCE: usize = 512;
/// Routes of the management API that read a body before they know who asks.
const OPEN: &[&str] = &["/v1/setup", "/v1/enrol", "/v1/identities/{id}/complete-task"];

/// The places of the requests that are under way.
#[derive(Debug)]
pub(crate) struct Admission {
    open: Arc<Shares>,
    kept: Arc<Shares>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            open: Shares::new(MAX_REQUESTS, MAX_OF_A_SOURCE),
            kept: Shares::new(KEPT, MAX_OF_A_SOURCE / 2),
        }
    }
}

/// An answer that lives on its own share of something else, and is no request any more once it has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoundedElsewhere;

/// The layer: a request beyond a bound is answered at once, and nothing of it is read.
pub(crate) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(Source(source)) = Source::from_request_parts(&mut parts, &app).await;
    let connection = parts.extensions.get::<Connection>().cloned();
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let shows_a_credential = parts.headers.contains_key(header::AUTHORIZATION) || parts.headers.contains_key(header::COOKIE);
    let places = match route.starts_with("/v1/") && !OPEN.contains(&route) && shows_a_credential {
        true => &app.requests.kept,
        false => &app.requests.open,
    };
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
