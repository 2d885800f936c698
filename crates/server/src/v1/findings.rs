//! Findings, the rules behind them, and an identity's posture.

use axum::extract::State;
use tenure_api::findings::{DebtView, FindingSummary, FindingView, PostureView, Resolve, RuleList, RuleStanding};
use tenure_api::views::Page;
use tenure_core::finding::Finding;
use tenure_core::identity::Identity;
use tenure_engine::identities::{debt, findings};

use crate::app::App;
use crate::caller::named::meant;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/findings", "Lists findings.", list)
        .get("/v1/findings/summary", "Counts the open findings by severity and rule.", summary)
        .get("/v1/debt", "Counts what is allowed for a while, and tells its trend.", owed)
        .get("/v1/findings/{id}", "Shows a finding.", one)
        .post("/v1/findings/{id}/resolve", "Resolves a finding.", resolve)
        .get("/v1/finding-rules", "Lists the rules that findings are about.", rules)
        .get("/v1/finding-rules/{id}", "Shows a rule, and how it stands here.", rule)
        .get("/v1/identities/{id}/posture", "Shows what is wrong with an identity now.", posture)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Finding>) -> Reply<Page<FindingView>> {
    ok(findings::findings(&app.kernel, &caller, list.ask).await?)
}

async fn summary(State(app): State<App>, Operator(caller): Operator) -> Reply<FindingSummary> {
    ok(findings::finding_summary(&app.kernel, &caller).await?)
}

async fn owed(State(app): State<App>, Operator(caller): Operator) -> Reply<DebtView> {
    ok(debt::debt(&app.kernel, &caller).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<FindingView> {
    ok(findings::finding(&app.kernel, &caller, id(&which, "finding")?).await?)
}

async fn resolve(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(which): Path<String>,
    Body(ask): Body<Resolve>,
) -> Reply<FindingView> {
    ok(findings::resolve_finding(&app.kernel, &caller, id(&which, "finding")?, ask).await?)
}

async fn rules(State(app): State<App>, Operator(caller): Operator) -> Reply<RuleList> {
    ok(findings::finding_rules(&app.kernel, &caller).await?)
}

async fn rule(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<RuleStanding> {
    ok(findings::finding_rule(&app.kernel, &caller, &which).await?)
}

async fn posture(State(app): State<App>, Operator(caller): Operator, Path(which): Path<String>) -> Reply<PostureView> {
    ok(findings::posture(&app.kernel, &caller, meant::<Identity>(&app, &caller, &which).await?).await?)
}
