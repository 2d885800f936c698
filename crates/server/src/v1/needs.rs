//! Business needs: what identities serve, and whose end suspends them.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use tenure_api::exceptions::NewNeed;
use tenure_api::ownership::OwnerEdit;
use tenure_api::requests::Because;
use tenure_api::views::{Page, Resource as View};
use tenure_core::inventory::third_party::Need;
use tenure_engine::endings::need_end;
use tenure_engine::inventory::{needs, ownership};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::condition::if_match;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Read, Reply, created, id, ok, read};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/needs", post(create).get(list))
        .route("/v1/needs/{id}", get(one).patch(update))
        .route("/v1/needs/{id}/close", post(close))
}

async fn create(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewNeed>) -> Reply<View<Need>> {
    created(needs::create_need(&app.kernel, &caller, ask).await?)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Need>) -> Reply<Page<View<Need>>> {
    ok(app.kernel.list::<Need>(&caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Read<Need> {
    read(app.kernel.get::<Need>(&caller, &which).await?)
}

async fn update(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<OwnerEdit>,
) -> Reply<View<Need>> {
    ok(ownership::update_need(&app.kernel, &caller, id(&which, "need")?, if_match(&headers)?, ask).await?)
}

async fn close(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>, Body(because): Body<Because>) -> Reply<View<Need>> {
    ok(need_end::close_need(&app.kernel, &caller, id(&which, "need")?, because.reason).await?)
}
