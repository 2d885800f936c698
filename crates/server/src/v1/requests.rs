//! Requests and their votes; the policy set in force and its change.

use std::time::Duration;

use axum::extract::State;
use serde::Serialize;
use tenure_api::policies::{NewPolicySet, PolicyInForceView};
use tenure_api::request::{Amendment, NewNote, NewRequest, NewVote, RequestView};
use tenure_api::views::{Page, Revised};
use tenure_core::policy::set::PolicySet;
use tenure_core::request::Request;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::{notes, policies, request, votes};
use tenure_policy::{PolicyReview, Solver};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::{Paging, Path, Query};
use crate::contract::reply::{New, Reply, created, id, ok};

/// How long the solver may work on one request, well inside a request's own bound.
const SOLVER_LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/requests", "Opens a request.", open)
        .get("/v1/requests", "Lists requests.", list)
        .get("/v1/waiting", "Lists open requests that wait for the caller's vote, the oldest first.", waiting)
        .get("/v1/requests/{id}", "Shows a request.", one)
        .put("/v1/requests/{id}", "Amends an open request; votes on what it was before lapse.", amend)
        .post("/v1/requests/{id}/approve", "Approves a request.", approve)
        .post("/v1/requests/{id}/deny", "Denies a request.", deny)
        .post("/v1/requests/{id}/notes", "Asks back about an open request, or answers what was asked back.", note)
        .post("/v1/requests/{id}/withdraw", "Withdraws a request.", withdraw)
        .get("/v1/policy", "Shows the policy set in force.", policy)
        .post("/v1/policies", "Proposes a policy set; another administrator puts it in force.", propose)
        .get("/v1/policies", "Lists policy sets.", policies)
        .get("/v1/policies/{id}", "Shows what a proposed policy set would change.", reviewed)
}

async fn open(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewRequest>) -> New<RequestView> {
    created(request::open_request(&app.kernel, &caller, ask).await?)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Request>) -> Reply<Page<RequestView>> {
    ok(request::requests(&app.kernel, &caller, list.ask).await?)
}

async fn waiting(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(Paging { after, limit }): Query<Paging>,
) -> Reply<Page<RequestView>> {
    ok(request::waiting_votes(&app.kernel, &caller, after, limit).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(request): Path<String>) -> Reply<RequestView> {
    ok(request::request(&app.kernel, &caller, id(&request, "request")?).await?)
}

async fn amend(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(request): Path<String>,
    Body(ask): Body<Amendment>,
) -> Reply<RequestView> {
    ok(request::amend_request(&app.kernel, &caller, id(&request, "request")?, ask).await?)
}

async fn approve(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(request): Path<String>,
    Body(ask): Body<NewVote>,
) -> Reply<RequestView> {
    ok(votes::vote(&app.kernel, &caller, id(&request, "request")?, true, ask).await?)
}

async fn deny(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(request): Path<String>,
    Body(ask): Body<NewVote>,
) -> Reply<RequestView> {
    ok(votes::vote(&app.kernel, &caller, id(&request, "request")?, false, ask).await?)
}

async fn note(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(request): Path<String>,
    Body(ask): Body<NewNote>,
) -> Reply<RequestView> {
    ok(notes::write_note(&app.kernel, &caller, id(&request, "request")?, ask).await?)
}

async fn withdraw(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(request): Path<String>,
) -> Reply<RequestView> {
    ok(request::withdraw_request(&app.kernel, &caller, id(&request, "request")?).await?)
}

async fn policy(State(app): State<App>, Operator(caller): Operator) -> Reply<PolicyInForceView> {
    ok(policies::policy_in_force(&app.kernel, &caller).await?)
}

async fn policies(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<PolicySet>,
) -> Reply<Page<Revised<PolicySet>>> {
    ok(policies::policy_sets(&app.kernel, &caller, list.ask).await?)
}

/// A policy set with its review: what differs from the set that it is based on, which recent decisions would change,
/// and what the solver proves.
#[derive(Serialize, schemars::JsonSchema)]
struct Reviewed {
    #[serde(flatten)]
    set: Revised<PolicySet>,
    review: PolicyReview,
}

impl tenure_api::revised::HasRevision for Reviewed {}

async fn reviewed(State(app): State<App>, Operator(caller): Operator, Path(set): Path<String>) -> Reply<Reviewed> {
    let ask = policies::policy_to_review(&app.kernel, &caller, id(&set, "policy set")?).await?;
    let solver = app.kernel.settings().solver.as_ref().map(|path| Solver { limit: SOLVER_LIMIT, ..Solver::at(path) });
    let review = tenure_policy::review(&ask.in_force, &ask.set.record.text, &ask.recent, solver.as_ref())
        .await
        .map_err(|error| OpError::Internal(error.to_string()))?;
    ok(Reviewed { set: ask.set, review })
}

async fn propose(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewPolicySet>,
) -> New<RequestView> {
    created(policies::propose_policy(&app.kernel, &caller, ask).await?)
}
