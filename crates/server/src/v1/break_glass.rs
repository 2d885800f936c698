//! Break-glass of machines (R107), and drills of their removal (R97).

use axum::extract::State;
use tenure_api::break_glass::{AfterReviewed, NewBreakGlass};
use tenure_api::drills::DrillView;
use tenure_api::views::{Page, Revised};
use tenure_core::identity::Identity;
use tenure_core::request::break_glass::BreakGlass;
use tenure_engine::endings::drills;
use tenure_engine::matters::break_glass;

use crate::app::App;
use crate::caller::named::meant;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, created, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/identities/{id}/drill", "Rehearses the removal of an identity on credentials of its.", drill)
        .get("/v1/identities/{id}/drill", "Shows the last removal drill of an identity.", last_drill)
        .post("/v1/identities/{id}/break-glass", "Lets an identity do more for an hour at most, at once.", start)
        .get("/v1/break-glass", "Lists break-glass accesses of identities.", list)
        .get("/v1/break-glass/{id}", "Shows a break-glass access.", one)
        .post("/v1/break-glass/{id}/review", "Says what was found when somebody looked at it afterwards.", review)
}

async fn drill(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<DrillView> {
    let identity = meant::<Identity>(&app, &caller, &which).await?;
    ok(Box::pin(drills::drill(&app.kernel, &caller, identity)).await?)
}

async fn last_drill(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<DrillView> {
    ok(drills::last_drill(&app.kernel, &caller, meant::<Identity>(&app, &caller, &which).await?).await?)
}

async fn start(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Body(ask): Body<NewBreakGlass>,
) -> New<Revised<BreakGlass>> {
    let identity = meant::<Identity>(&app, &caller, &which).await?;
    created(Box::pin(break_glass::start(&app.kernel, &caller, identity, ask)).await?)
}

async fn list(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<BreakGlass>,
) -> Reply<Page<Revised<BreakGlass>>> {
    ok(app.kernel.list::<BreakGlass>(&caller, list.ask).await?)
}

async fn one(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
) -> Reply<Revised<BreakGlass>> {
    ok(app.kernel.get::<BreakGlass>(&caller, &which).await?)
}

async fn review(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Body(ask): Body<AfterReviewed>,
) -> Reply<Revised<BreakGlass>> {
    ok(Box::pin(break_glass::review(&app.kernel, &caller, id(&which, "break_glass")?, ask)).await?)
}
