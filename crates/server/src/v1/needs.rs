//! Business needs: what identities serve, and whose end suspends them.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde::Deserialize;
use tenure_api::exceptions::NewNeed;
use tenure_api::requests::Because;
use tenure_api::views::{Page, Resource as View};
use tenure_core::third_party::Need;
use tenure_engine::ops::lists::ListAsk;

use crate::App;
use crate::extract::{Body, Operator, Path, Query, Reply, created, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/needs", post(create).get(list))
        .route("/v1/needs/{id}", get(one))
        .route("/v1/needs/{id}/close", post(close))
}

async fn create(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewNeed>) -> Reply<View<Need>> {
    created(app.engine.create_need(&caller, ask).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    after: Option<String>,
    limit: Option<u16>,
    name: Option<String>,
    owner: Option<String>,
    standing: Option<String>,
}

async fn list(State(app): State<App>, Operator(caller): Operator, Query(listing): Query<Listing>) -> Reply<Page<View<Need>>> {
    let ask = ListAsk::new(
        [("name", listing.name), ("owner", listing.owner), ("standing", listing.standing)],
        listing.after,
        listing.limit,
    );
    ok(app.engine.list::<Need>(&caller, ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<View<Need>> {
    ok(app.engine.get::<Need>(&caller, &which).await?)
}

async fn close(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>, Body(because): Body<Because>) -> Reply<View<Need>> {
    ok(app.engine.close_need(&caller, id(&which, "need")?, because.reason).await?)
}
