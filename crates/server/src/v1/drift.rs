//! Differences between what targets have and what was approved.

use axum::extract::State;
use tenure_api::drift::{DriftAccept, DriftFix, DriftIgnore};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::DriftId;
use tenure_core::target::drift::Drift;
use tenure_engine::targets::drift;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/drift", "Lists differences between what targets have and what was approved.", items)
        .get("/v1/drift/{id}", "Shows a difference at a target.", item)
        .post("/v1/drift/{id}/fix", "Has a difference taken away at its target.", fix)
        .post("/v1/drift/{id}/accept", "Asks that what an account gained at its target be approved.", accept)
        .post("/v1/drift/{id}/ignore", "Leaves a difference at a target alone until a day.", ignore)
}

async fn items(State(app): State<App>, Operator(caller): Operator, list: List<Drift>) -> Reply<Page<Revised<Drift>>> {
    ok(drift::items_of(&app.kernel, &caller, list.ask).await?)
}

async fn item(State(app): State<App>, Operator(caller): Operator, Path(id): Path<DriftId>) -> Reply<Revised<Drift>> {
    ok(drift::item(&app.kernel, &caller, id).await?)
}

async fn fix(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<DriftId>,
    Body(ask): Body<DriftFix>,
) -> Reply<Revised<Drift>> {
    ok(drift::fix(&app.kernel, &caller, id, ask).await?)
}

async fn accept(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<DriftId>,
    Body(ask): Body<DriftAccept>,
) -> Reply<Revised<Drift>> {
    ok(Box::pin(drift::accept(&app.kernel, &caller, id, ask)).await?)
}

async fn ignore(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<DriftId>,
    Body(ask): Body<DriftIgnore>,
) -> Reply<Revised<Drift>> {
    ok(drift::ignore(&app.kernel, &caller, id, ask).await?)
}
