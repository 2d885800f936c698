//! What is told of a deployment as a whole, each counted at most once a minute.

use axum::extract::State;
use tenure_api::overview::{Census, RefusalTimes};
use tenure_engine::credentials::refusal_times;
use tenure_engine::identities::census;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::reply::{Reply, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/census", "Counts identities by state, kind and tier.", counted).get(
        "/v1/refusal-times",
        "Shows how long the last revocations took until what was revoked was refused.",
        times,
    )
}

async fn counted(State(app): State<App>, Operator(caller): Operator) -> Reply<Census> {
    ok(census::census(&app.kernel, &caller).await?)
}

async fn times(State(app): State<App>, Operator(caller): Operator) -> Reply<RefusalTimes> {
    ok(refusal_times::refusal_times(&app.kernel, &caller).await?)
}
