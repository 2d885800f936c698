//! Why something was refused, and who could touch what.

use axum::extract::State;
use serde::Deserialize;
use tenure_api::why::{PastAccessReport, Refusals};
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::resource::Resource;
use tenure_engine::identities::why;

use crate::app::App;
use crate::caller::named::meant;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::query::{Path, Query};
use crate::contract::reply::{Reply, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/refusals", "Shows why somebody or something was refused lately.", refusals).get(
        "/v1/resources/{id}/access",
        "Shows who could touch a resource at a moment.",
        past_access,
    )
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct About {
    subject: String,
    before: Option<u64>,
    limit: Option<u16>,
}

async fn refusals(State(app): State<App>, Operator(caller): Operator, Query(about): Query<About>) -> Reply<Refusals> {
    ok(why::refusals(&app.kernel, &caller, &about.subject, about.before, about.limit.unwrap_or(20)).await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
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
    ok(why::past_access(&app.kernel, &caller, meant::<Resource>(&app, &caller, &resource).await?, moment.at).await?)
}
