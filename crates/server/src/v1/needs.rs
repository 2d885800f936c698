//! Business needs: what identities serve, and whose end suspends them.

use axum::extract::State;
use tenure_api::exceptions::NewNeed;
use tenure_api::ownership::OwnerEdit;
use tenure_api::requests::Because;
use tenure_api::views::{Page, Revised};
use tenure_core::inventory::third_party::Need;
use tenure_engine::endings::need_end;
use tenure_engine::inventory::{needs, ownership};

use crate::app::App;
use crate::caller::named::{get, meant};
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::condition::Condition;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, created, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/needs", "Makes a business need.", create)
        .get("/v1/needs", "Lists business needs.", list)
        .get("/v1/needs/{id}", "Shows a business need.", one)
        .patch("/v1/needs/{id}", "Changes a business need.", update)
        .post("/v1/needs/{id}/close", "Closes a business need.", close)
}

async fn create(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewNeed>) -> New<Revised<Need>> {
    created(needs::create_need(&app.kernel, &caller, ask).await?)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Need>) -> Reply<Page<Revised<Need>>> {
    ok(app.kernel.list::<Need>(&caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<Revised<Need>> {
    ok(get::<Need>(&app, &caller, &which).await?)
}

async fn update(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<OwnerEdit>,
) -> Reply<Revised<Need>> {
    ok(ownership::update_need(&app.kernel, &caller, meant::<Need>(&app, &caller, &which).await?, if_match, ask).await?)
}

async fn close(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Body(because): Body<Because>,
) -> Reply<Revised<Need>> {
    ok(need_end::close_need(&app.kernel, &caller, meant::<Need>(&app, &caller, &which).await?, because.reason).await?)
}
