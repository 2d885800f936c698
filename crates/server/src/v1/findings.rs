//! Findings, the rules behind them, and an identity's posture.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde::Deserialize;
use tenure_api::findings::{FindingSummary, FindingView, PostureView, Resolve, RuleList};
use tenure_api::views::Page;
use tenure_engine::ops::lists::ListAsk;

use crate::App;
use crate::extract::{Body, Operator, Path, Query, Reply, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/findings", get(list))
        .route("/v1/findings/summary", get(summary))
        .route("/v1/findings/{id}", get(one))
        .route("/v1/findings/{id}/resolve", post(resolve))
        .route("/v1/finding-rules", get(rules))
        .route("/v1/identities/{id}/posture", get(posture))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    after: Option<String>,
    limit: Option<u16>,
    state: Option<String>,
    severity: Option<String>,
    rule: Option<String>,
    subject: Option<String>,
}

async fn list(State(app): State<App>, Operator(caller): Operator, Query(listing): Query<Listing>) -> Reply<Page<FindingView>> {
    let ask = ListAsk::new(
        [
            ("subject", listing.subject),
            ("rule", listing.rule),
            ("state", listing.state),
            ("severity", listing.severity),
        ],
        listing.after,
        listing.limit,
    );
    ok(app.engine.findings(&caller, ask).await?)
}

async fn summary(State(app): State<App>, Operator(caller): Operator) -> Reply<FindingSummary> {
    ok(app.engine.finding_summary(&caller).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<FindingView> {
    ok(app.engine.finding(&caller, id(&which, "finding")?).await?)
}

async fn resolve(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>, Body(ask): Body<Resolve>) -> Reply<FindingView> {
    ok(app.engine.resolve_finding(&caller, id(&which, "finding")?, ask).await?)
}

async fn rules(State(app): State<App>, Operator(caller): Operator) -> Reply<RuleList> {
    ok(app.engine.finding_rules(&caller).await?)
}

async fn posture(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<PostureView> {
    ok(app.engine.posture(&caller, id(&which, "identity")?).await?)
}
