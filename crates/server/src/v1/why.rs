//! Why something was refused, and who could touch what.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;
use tenure_api::why::{PastAccessReport, Refusals};
use tenure_core::base::time::Timestamp;
use tenure_engine::identities::why;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::query::{Path, Query};
use crate::contract::reply::{Reply, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/refusals", get(refusals))
        .route("/v1/resources/{id}/access", get(past_access))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    subject: String,
    before: Option<u64>,
    limit: Option<u16>,
}

async fn refusals(State(app): State<App>, Operator(caller): Operator, Query(about): Query<About>) -> Reply<Refusals> {
    ok(why::refusals(&app.kernel, &caller, &about.subject, about.before, about.limit.unwrap_or(20)).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moment {
    at: Option<Timestamp>,
}

async fn past_access(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(resource): Path<String>,
    Query(moment): Query<Moment>,
) -> Reply<PastAccessReport> {
    ok(why::past_access(&app.kernel, &caller, id(&resource, "resource")?, moment.at).await?)
}
