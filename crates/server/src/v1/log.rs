//! The log: checkpoints, tiles and proofs for everyone; the export and the event feed for those who may audit.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tenure_api::log::{ConsistencyProof, InclusionProof, StateReport};
use tenure_api::views::{Page, Resource as View};
use tenure_core::finding::exceptional::ExceptionalAccess;
use tenure_core::store::row::Position;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::{authority, caller, exceptional};
use tenure_engine::log::reading;
use tenure_engine::state::verify::{self, Extent};

use crate::App;
use crate::admission::BoundedElsewhere;
use crate::error::Failure;
use crate::extract::{Operator, Path, Query, Reply, ok};
use crate::listing::List;

/// How long a feed says nothing, give or take a step: its reader sees that it is alive, and the server that its reader is.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/log/checkpoint", get(checkpoint))
        .route("/v1/log/key", get(key))
        .route("/v1/log/tile/{*path}", get(tile))
        .route("/v1/log/inclusion", get(inclusion))
        .route("/v1/log/consistency", get(consistency))
        .route("/v1/log/exceptional", get(exceptional))
}

pub(crate) fn streams() -> Router<App> {
    Router::new()
        .route("/v1/log/export", get(export))
        .route("/v1/log/verify-state", post(verify_state))
        .route("/v1/events", get(events))
}

async fn checkpoint(State(app): State<App>) -> Result<String, Failure> {
    Ok(reading::checkpoint(&app.engine).await?.ok_or(OpError::NotFound("checkpoint yet"))?)
}

async fn key(State(app): State<App>) -> Result<String, Failure> {
    Ok(reading::verifier_key(&app.engine).await?)
}

/// Hash tiles are for everyone; bundles of entries say what happened, and are for those who may audit.
async fn tile(State(app): State<App>, Path(path): Path<String>, request: Request) -> Result<Response, Failure> {
    if path.starts_with("entries/") {
        let Operator(caller) = Operator::from_request_parts(&mut request.into_parts().0, &app).await?;
        authority::may_audit(&app.engine, &caller).await?;
    }
    let tile = reading::tile(&app.engine, &format!("tile/{path}")).await?.ok_or(OpError::NotFound("tile"))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], tile).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inclusion {
    index: u64,
    size: u64,
}

async fn inclusion(State(app): State<App>, Query(ask): Query<Inclusion>) -> Reply<InclusionProof> {
    ok(reading::inclusion(&app.engine, ask.index, ask.size).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyState {
    #[serde(default)]
    full: bool,
}

async fn verify_state(State(app): State<App>, Operator(caller): Operator, Query(ask): Query<VerifyState>) -> Reply<StateReport> {
    let extent = if ask.full { Extent::Full } else { Extent::SinceDigest };
    ok(verify::verify_state(&app.engine, &caller, extent).await?)
}

async fn exceptional(State(app): State<App>, Operator(caller): Operator, list: List<ExceptionalAccess>) -> Reply<Page<View<ExceptionalAccess>>> {
    ok(exceptional::exceptional_accesses(&app.engine, &caller, list.ask).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consistency {
    from: u64,
    to: u64,
}

async fn consistency(State(app): State<App>, Query(ask): Query<Consistency>) -> Reply<ConsistencyProof> {
    ok(reading::consistency(&app.engine, ask.from, ask.to).await?)
}

async fn export(State(app): State<App>, Operator(caller): Operator) -> Result<Response, Failure> {
    let export = reading::export(&app.engine, &caller).await?;
    let open = app.streams.open(&caller)?;
    let chunks = stream::try_unfold((export, app, caller, open), async |(mut export, app, caller, open)| {
        // A token that is revoked ends the export that it began.
        caller::still(&app.engine, &caller)
            .await
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        let chunk = export.next_chunk().await.map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok::<_, std::io::Error>(chunk.map(|chunk| (chunk, (export, app, caller, open))))
    });
    Ok((
        Extension(BoundedElsewhere),
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(chunks),
    )
        .into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feed {
    after: Option<u64>,
}

/// Every event from a position on, as it happens; `Last-Event-ID` resumes after an interruption.
#[expect(clippy::disallowed_methods, reason = "how long something takes is measured at the edge")]
async fn events(State(app): State<App>, Operator(caller): Operator, Query(feed): Query<Feed>, headers: HeaderMap) -> Result<Response, Failure> {
    let resumed = match headers.get("last-event-id") {
        None => None,
        Some(value) => Some(
            value
                .to_str()
                .ok()
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| Failure::malformed("Last-Event-ID takes an id that this feed gave"))?,
        ),
    };
    // One more than the last number there is comes after every event.
    let from = resumed.or(feed.after).map_or(0, |after| after.saturating_add(1));
    // A caller who may not read the feed is refused here, before the stream begins.
    reading::events_after(&app.engine, &caller, resumed.or(feed.after).map(Position::at), 1).await?;
    let open = app.streams.open(&caller)?;
    let steps = stream::unfold((app, caller, from, open), async |(app, caller, from, open)| {
        let since = Instant::now();
        loop {
            // The caller's authority is checked again at each step, before the reading for what it allows and after it, so that
            // nothing that happens after the revocation of a token reaches its feed.
            let caller_now = caller::still(&app.engine, &caller).await.ok()?;
            let events = match app.streams.events_from(&app, &caller_now, from).await {
                Ok(events) => events,
                Err(error) => {
                    tracing::debug!(%error, "a feed ended");
                    return None;
                }
            };
            caller::still(&app.engine, &caller).await.ok()?;
            if let Some((last, _)) = events.last() {
                let next = last.saturating_add(1);
                let lines: Vec<_> = events.into_iter().map(|(_, lines)| Ok::<_, Infallible>(lines)).collect();
                return Some((stream::iter(lines), (app, caller, next, open)));
            }
            reading::wait_for_events(&app.engine, from).await;
            if since.elapsed() >= KEEP_ALIVE {
                let comment = vec![Ok(Bytes::from_static(b":\n\n"))];
                return Some((stream::iter(comment), (app, caller, from, open)));
            }
        }
    });
    Ok((
        Extension(BoundedElsewhere),
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(steps.flatten()),
    )
        .into_response())
}
