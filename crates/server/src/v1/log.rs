//! The log: checkpoints, tiles and proofs for everyone; the export and the event feed for those who may audit.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tenure_api::log::{ConsistencyProof, ExportRange, InclusionProof, Reindexed, Reindexing, StateReport, Timeline};
use tenure_api::views::{Page, Revised};
use tenure_core::finding::exceptional::ExceptionalAccess;
use tenure_core::store::row::Position;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::{authority, caller, exceptional};
use tenure_engine::log::{indexing, reading, timeline};
use tenure_engine::state::verify::{self, Extent};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::query::{Path, Query};
use crate::contract::reply::{Media, Raw, Reply, ok};
use crate::limits::admission::BoundedElsewhere;

/// How long a feed says nothing, give or take a step: its reader sees that it is alive, and the server that its reader
/// is.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/log/checkpoint", "Gives the newest signed checkpoint of the log.", checkpoint)
        .get("/v1/log/key", "Gives the key that checkpoints are verified with.", key)
        .get("/v1/log/tile/{*path}", "Gives a tile of the log (C2SP tlog-tiles), or a bundle of entries.", tile)
        .get("/v1/log/inclusion", "Proves that an entry is in the log.", inclusion)
        .get("/v1/log/consistency", "Proves that the log only grew between two sizes.", consistency)
        .get("/v1/log/exceptional", "Lists uses of exceptional access.", exceptional)
        .get("/v1/log/timeline", "Tells what happened to somebody or something, the newest first.", timeline)
        .post("/v1/log/reindex", "Throws the index of the log, or that of records, away, to be made again.", reindex)
}

pub(crate) fn streams(api: Api<App>) -> Api<App> {
    api.get("/v1/log/export", "Exports the log or a range of it, a line for each entry.", export)
        .post("/v1/log/verify-state", "Verifies the rows of the state against the log.", verify_state)
        .get("/v1/events", "Tells every event from a position on, as it happens.", events)
}

/// A tile.
struct Tile;

impl Media for Tile {
    const TYPE: Option<&'static str> = Some("application/octet-stream");
}

/// The log, a line for each entry.
struct Export;

impl Media for Export {
    const TYPE: Option<&'static str> = Some("application/x-ndjson");
}

/// Server-sent events.
struct EventStream;

impl Media for EventStream {
    const TYPE: Option<&'static str> = Some("text/event-stream");
}

async fn checkpoint(State(app): State<App>) -> Result<String, Failure> {
    Ok(reading::checkpoint(&app.kernel).await?.ok_or(OpError::NotFound("checkpoint yet"))?)
}

async fn key(State(app): State<App>) -> Result<String, Failure> {
    Ok(reading::verifier_key(&app.kernel).await?)
}

/// Hash tiles are for everyone; bundles of entries say what happened, and are for those who may audit.
async fn tile(State(app): State<App>, Path(path): Path<String>, request: Request) -> Result<Raw<Tile>, Failure> {
    if path.starts_with("entries/") {
        let Operator(caller) = Operator::from_request_parts(&mut request.into_parts().0, &app).await?;
        authority::may_audit(&app.kernel, &caller).await?;
    }
    let tile = reading::tile(&app.kernel, &format!("tile/{path}")).await?.ok_or(OpError::NotFound("tile"))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], tile).into_response().into())
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inclusion {
    index: u64,
    size: u64,
}

async fn inclusion(State(app): State<App>, Query(ask): Query<Inclusion>) -> Reply<InclusionProof> {
    ok(reading::inclusion(&app.kernel, ask.index, ask.size).await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct VerifyState {
    #[serde(default)]
    full: bool,
}

async fn verify_state(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(ask): Query<VerifyState>,
) -> Reply<StateReport> {
    let extent = if ask.full { Extent::Full } else { Extent::SinceDigest };
    ok(verify::verify_state(&app.kernel, &caller, extent).await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct About {
    subject: String,
    before: Option<u64>,
    limit: Option<u16>,
}

async fn timeline(State(app): State<App>, Operator(caller): Operator, Query(about): Query<About>) -> Reply<Timeline> {
    ok(timeline::timeline(&app.kernel, &caller, &about.subject, about.before, about.limit.unwrap_or(20)).await?)
}

async fn reindex(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(Reindexing { of }): Query<Reindexing>,
) -> Reply<Reindexed> {
    ok(indexing::reindex(&app.kernel, &caller, of).await?)
}

async fn exceptional(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<ExceptionalAccess>,
) -> Reply<Page<Revised<ExceptionalAccess>>> {
    ok(exceptional::exceptional_accesses(&app.kernel, &caller, list.ask).await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Consistency {
    from: u64,
    to: u64,
}

async fn consistency(State(app): State<App>, Query(ask): Query<Consistency>) -> Reply<ConsistencyProof> {
    ok(reading::consistency(&app.kernel, ask.from, ask.to).await?)
}

async fn export(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(range): Query<ExportRange>,
) -> Result<Raw<Export>, Failure> {
    let export = reading::export(&app.kernel, &caller, range).await?;
    let open = app.streams.open(&caller)?;
    let chunks = stream::try_unfold((export, app, caller, open), async |(mut export, app, caller, open)| {
        // A token that is revoked ends the export that it began.
        caller::still(&app.kernel, &caller).await.map_err(|error| std::io::Error::other(error.to_string()))?;
        let chunk = export.next_chunk().await.map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok::<_, std::io::Error>(chunk.map(|chunk| (chunk, (export, app, caller, open))))
    });
    Ok((Extension(BoundedElsewhere), [(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(chunks))
        .into_response()
        .into())
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Feed {
    after: Option<u64>,
}

/// Every event from a position on, as it happens; `Last-Event-ID` resumes after an interruption.
#[expect(clippy::disallowed_methods, reason = "how long something takes is measured at the edge")]
async fn events(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(feed): Query<Feed>,
    headers: HeaderMap,
) -> Result<Raw<EventStream>, Failure> {
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
    reading::events_after(&app.kernel, &caller, resumed.or(feed.after).map(Position::at), 1).await?;
    let open = app.streams.open(&caller)?;
    let steps = stream::unfold((app, caller, from, open), async |(app, caller, from, open)| {
        let since = Instant::now();
        loop {
            // The caller's authority is checked again at each step, before the reading for what it allows and after it,
            // so that nothing that happens after the revocation of a token reaches its feed.
            let caller_now = caller::still(&app.kernel, &caller).await.ok()?;
            let events = match app.streams.events_from(&app.kernel, &caller_now, from).await {
                Ok(events) => events,
                Err(error) => {
                    tracing::debug!(%error, "a feed ended");
                    return None;
                }
            };
            caller::still(&app.kernel, &caller).await.ok()?;
            if let Some((last, _)) = events.last() {
                let next = last.saturating_add(1);
                let lines: Vec<_> = events.into_iter().map(|(_, lines)| Ok::<_, Infallible>(lines)).collect();
                return Some((stream::iter(lines), (app, caller, next, open)));
            }
            reading::wait_for_events(&app.kernel, from).await;
            if since.elapsed() >= KEEP_ALIVE {
                let comment = vec![Ok(Bytes::from_static(b":\n\n"))];
                return Some((stream::iter(comment), (app, caller, from, open)));
            }
        }
    });
    Ok((Extension(BoundedElsewhere), [(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(steps.flatten()))
        .into_response()
        .into())
}
