//! Exceptions: proposed, renewed, withdrawn, breached and restored. Their approval is their request's.

use axum::extract::State;
use tenure_api::exceptions::{BreachReport, ControlsRestored, ExceptionView, NewException, Renewal};
use tenure_api::requests::Because;
use tenure_api::views::Page;
use tenure_core::base::id::ExceptionId;
use tenure_core::request::exception::Exception;
use tenure_engine::matters::exceptions::{self, endings};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, created, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/exceptions", "Proposes an exception.", propose)
        .get("/v1/exceptions", "Lists exceptions.", list)
        .get("/v1/exceptions/{id}", "Shows an exception.", one)
        .post("/v1/exceptions/{id}/renew", "Renews an exception.", renew)
        .post("/v1/exceptions/{id}/withdraw", "Withdraws an exception.", withdraw)
        .post("/v1/exceptions/{id}/report-breach", "Reports that an exception was breached.", report_breach)
        .post(
            "/v1/exceptions/{id}/restore-control",
            "Says that the controls which an exception waived are back.",
            restore,
        )
}

fn exception(text: &str) -> Result<ExceptionId, Failure> {
    id(text, "exception")
}

async fn propose(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewException>,
) -> New<ExceptionView> {
    created(exceptions::propose_exception(&app.kernel, &caller, ask).await?)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Exception>) -> Reply<Page<ExceptionView>> {
    ok(exceptions::exceptions(&app.kernel, &caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<ExceptionView> {
    ok(exceptions::exception(&app.kernel, &caller, exception(&which)?).await?)
}

async fn renew(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Body(ask): Body<Renewal>,
) -> New<ExceptionView> {
    created(exceptions::renew_exception(&app.kernel, &caller, exception(&which)?, ask).await?)
}

async fn withdraw(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Body(because): Body<Because>,
) -> Reply<ExceptionView> {
    ok(endings::withdraw_exception(&app.kernel, &caller, exception(&which)?, because.reason).await?)
}

async fn report_breach(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Body(ask): Body<BreachReport>,
) -> Reply<ExceptionView> {
    ok(endings::report_breach(&app.kernel, &caller, exception(&which)?, ask).await?)
}

async fn restore(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Body(ask): Body<ControlsRestored>,
) -> Reply<ExceptionView> {
    ok(endings::restore_controls(&app.kernel, &caller, exception(&which)?, ask).await?)
}
