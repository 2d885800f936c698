//! Findings, the rules behind them, and an identity's posture.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use tenure_api::findings::{FindingSummary, FindingView, PostureView, Resolve, RuleList};
use tenure_api::views::Page;
use tenure_core::finding::Finding;
use tenure_engine::identities::findings;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/findings", get(list))
        .route("/v1/findings/summary", get(summary))
        .route("/v1/findings/{id}", get(one))
        .route("/v1/findings/{id}/resolve", post(resolve))
        .route("/v1/finding-rules", get(rules))
        .route("/v1/identities/{id}/posture", get(posture))
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Finding>) -> Reply<Page<FindingView>> {
    ok(findings::findings(&app.kernel, &caller, list.ask).await?)
}

async fn summary(State(app): State<App>, Operator(caller): Operator) -> Reply<FindingSummary> {
    ok(findings::finding_summary(&app.kernel, &caller).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<FindingView> {
    ok(findings::finding(&app.kernel, &caller, id(&which, "finding")?).await?)
}

async fn resolve(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>, Body(ask): Body<Resolve>) -> Reply<FindingView> {
    ok(findings::resolve_finding(&app.kernel, &caller, id(&which, "finding")?, ask).await?)
}

async fn rules(State(app): State<App>, Operator(caller): Operator) -> Reply<RuleList> {
    ok(findings::finding_rules(&app.kernel, &caller).await?)
}

async fn posture(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<PostureView> {
    ok(findings::posture(&app.kernel, &caller, id(&which, "identity")?).await?)
}
