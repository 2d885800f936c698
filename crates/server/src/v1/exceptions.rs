//! Exceptions: proposed, renewed, withdrawn, breached and restored. Their approval is their request's.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use tenure_api::exceptions::{BreachReport, ControlsRestored, ExceptionView, NewException, Renewal};
use tenure_api::requests::Because;
use tenure_api::views::Page;
use tenure_core::base::id::ExceptionId;
use tenure_core::request::exception::Exception;
use tenure_engine::matters::exceptions::{self, endings};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, created, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/exceptions", post(propose).get(list))
        .route("/v1/exceptions/{id}", get(one))
        .route("/v1/exceptions/{id}/renew", post(renew))
        .route("/v1/exceptions/{id}/withdraw", post(withdraw))
        .route("/v1/exceptions/{id}/report-breach", post(report_breach))
        .route("/v1/exceptions/{id}/restore-control", post(restore))
}

fn exception(text: &str) -> Result<ExceptionId, Failure> {
    id(text, "exception")
}

async fn propose(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewException>) -> Reply<ExceptionView> {
    created(exceptions::propose_exception(&app.kernel, &caller, ask).await?)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Exception>) -> Reply<Page<ExceptionView>> {
    ok(exceptions::exceptions(&app.kernel, &caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<ExceptionView> {
    ok(exceptions::exception(&app.kernel, &caller, exception(&which)?).await?)
}

async fn renew(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>, Body(ask): Body<Renewal>) -> Reply<ExceptionView> {
    created(exceptions::renew_exception(&app.kernel, &caller, exception(&which)?, ask).await?)
}

async fn withdraw(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>, Body(because): Body<Because>) -> Reply<ExceptionView> {
    ok(endings::withdraw_exception(&app.kernel, &caller, exception(&which)?, because.reason).await?)
}

async fn report_breach(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>, Body(ask): Body<BreachReport>) -> Reply<ExceptionView> {
    ok(endings::report_breach(&app.kernel, &caller, exception(&which)?, ask).await?)
}

async fn restore(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>, Body(ask): Body<ControlsRestored>) -> Reply<ExceptionView> {
    ok(endings::restore_controls(&app.kernel, &caller, exception(&which)?, ask).await?)
}
