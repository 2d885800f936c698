//! Deprecations.

use axum::extract::State;
use tenure_api::deprecations::NewDeprecation;
use tenure_api::requests::Because;
use tenure_api::views::{Page, Revised};
use tenure_core::inventory::deprecation::{Deprecated, Deprecation};
use tenure_engine::endings::deprecations;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, created, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/deprecations", "Says that something goes on a day.", declare)
        .get("/v1/deprecations", "Lists deprecations.", list)
        .get("/v1/deprecations/{id}", "Shows a deprecation, and who still uses what is deprecated.", one)
        .post("/v1/deprecations/{id}/withdraw", "Takes a deprecation back.", withdraw)
}

async fn declare(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewDeprecation>,
) -> New<Revised<Deprecation>> {
    created(deprecations::deprecate(&app.kernel, &caller, ask).await?)
}

async fn list(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Deprecation>,
) -> Reply<Page<Revised<Deprecation>>> {
    ok(app.kernel.list::<Deprecation>(&caller, list.ask).await?)
}

async fn one(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
) -> Reply<Revised<Deprecation>> {
    ok(app.kernel.get::<Deprecation>(&caller, &id::<Deprecated>(&which, "deprecation")?.to_string()).await?)
}

async fn withdraw(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Body(because): Body<Because>,
) -> Reply<Revised<Deprecation>> {
    ok(deprecations::withdraw(&app.kernel, &caller, id::<Deprecated>(&which, "deprecation")?, because.reason).await?)
}
