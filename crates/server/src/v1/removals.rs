//! Removals: something that identities live by has ended.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde::Deserialize;
use tenure_api::removals::{ConfirmRemoval, NewRemoval};
use tenure_api::requests::Because;
use tenure_api::views::{Page, Resource as View};
use tenure_core::removal::Removal;
use tenure_engine::ops::lists::ListAsk;

use crate::App;
use crate::extract::{Body, Operator, Path, Query, Reply, created, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/removals", post(raise).get(list))
        .route("/v1/removals/{id}", get(one))
        .route("/v1/removals/{id}/confirm", post(confirm))
        .route("/v1/removals/{id}/release", post(release))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    after: Option<String>,
    limit: Option<u16>,
    state: Option<String>,
    subject: Option<String>,
    kind: Option<String>,
    identity: Option<String>,
}

async fn raise(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewRemoval>) -> Reply<View<Removal>> {
    let nothing_made = ask.dry_run;
    let removal = app.engine.raise_removal(&caller, ask).await?;
    if nothing_made { ok(removal) } else { created(removal) }
}

async fn list(State(app): State<App>, Operator(caller): Operator, Query(ask): Query<Listing>) -> Reply<Page<View<Removal>>> {
    let filters = [("state", ask.state), ("subject", ask.subject), ("kind", ask.kind), ("identity", ask.identity)];
    ok(app.engine.removals(&caller, ListAsk::new(filters, ask.after, ask.limit)).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(removal): Path<String>) -> Reply<View<Removal>> {
    ok(app.engine.removal(&caller, id(&removal, "removal")?).await?)
}

async fn confirm(State(app): State<App>, Operator(caller): Operator, Path(removal): Path<String>, Body(ask): Body<ConfirmRemoval>) -> Reply<View<Removal>> {
    ok(app.engine.confirm_removal(&caller, id(&removal, "removal")?, ask).await?)
}

async fn release(State(app): State<App>, Operator(caller): Operator, Path(removal): Path<String>, Body(because): Body<Because>) -> Reply<View<Removal>> {
    ok(app.engine.release_removal(&caller, id(&removal, "removal")?, because.reason).await?)
}
