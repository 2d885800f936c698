//! Requests under way: bounded in all and for each source, with places kept free for whoever is to be let in by their head alone.
//!
//! A connection is no bound on requests: one of HTTP/2 carries many at once, and one of a proxy carries everybody's. A stranger's request can
//! be held open by a body that doesn't come; the routes of the management API let nobody wait who hasn't proven who they are, so the kept places
//! are never a stranger's for longer than that takes.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tenure_api::problem::Problem;
use tenure_core::problem::Reason;

use crate::App;
use crate::error::Failure;
use crate::extract::Source;
use crate::shares::{Full, Share, Shares};

/// Requests under way at once.
const MAX_REQUESTS: usize = 4_096;
/// Of these, places that only the management API gets, and there whoever shows a credential: to revoke, and to find out what.
const KEPT: usize = 1_024;
/// Requests of one source under way at once.
const MAX_OF_A_SOURCE: usize = 512;
/// Routes of the management API that read a body before they know who asks.
const OPEN: &[&str] = &["/v1/setup", "/v1/enrol", "/v1/identities/{id}/complete-task"];

/// Counts one more request of a source.
fn take(requests: &Arc<Shares>, source: String, kept: bool) -> Result<Share, Full> {
    let bound = if kept { MAX_REQUESTS } else { MAX_REQUESTS - KEPT };
    requests.take(source, bound, MAX_OF_A_SOURCE)
}

/// The layer: a request beyond a bound is answered at once, and nothing of it is read.
pub(crate) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(Source(source)) = Source::from_request_parts(&mut parts, &app).await;
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let shows_a_credential = parts.headers.contains_key(header::AUTHORIZATION) || parts.headers.contains_key(header::COOKIE);
    let kept = route.starts_with("/v1/") && !OPEN.contains(&route) && shows_a_credential;
    match take(&app.requests, source, kept) {
        Ok(_admitted) => next.run(Request::from_parts(parts, body)).await,
        Err(Full { all: true, .. }) => {
            Failure::of(Problem::new(503, "unavailable", "unavailable for the moment").hint("try again in a second; nothing was changed")).into_response()
        }
        Err(_) => Failure::of(
            Problem::refusal(429, Reason::BudgetSpent)
                .detail(format!("{MAX_OF_A_SOURCE} requests from this address are under way"))
                .hint("send the next one when one of them is answered"),
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a06_places_are_kept_for_those_who_are_let_in_by_their_head() {
        let requests = Arc::new(Shares::default());
        let one: Vec<_> = (0..MAX_OF_A_SOURCE).map(|_| take(&requests, "192.0.2.1".into(), false).unwrap()).collect();
        let full = |all, of_key| Full { all, of_key };
        assert_eq!(take(&requests, "192.0.2.1".into(), false).unwrap_err(), full(false, true));
        let others: Vec<_> = (MAX_OF_A_SOURCE..MAX_REQUESTS - KEPT)
            .map(|n| take(&requests, format!("source {}", n / 100), false).unwrap())
            .collect();
        assert_eq!(take(&requests, "192.0.2.2".into(), false).unwrap_err(), full(true, false));
        let revoker = take(&requests, "192.0.2.2".into(), true).unwrap();
        drop((one, others, revoker));
        assert_eq!(requests.count(), (0, 0));
    }
}
