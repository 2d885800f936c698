//! OpenID AuthZEN Authorization API 1.0: the evaluation endpoint.

use axum::extract::{FromRequest as _, Request, State};
use serde_json::{Value, json};
use tenure_api::problem::Problem;
use tenure_api::requests::Evaluation;
use tenure_api::views::Decision;
use tenure_core::base::problem::Reason;
use tenure_engine::access::evaluation;
use tenure_engine::credentials::introspection;
use tenure_engine::kernel::error::OpError;

use crate::app::App;
use crate::caller::keys::Keys;
use crate::caller::operator::authorization;
use crate::contract::api::Api;
use crate::contract::body::{Claimed, buffered};
use crate::contract::error::Failure;
use crate::contract::reply::{Reply, ok};
use crate::contract::source::{Source, proven};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post(
        "/access/v1/evaluation",
        "Decides whether a subject may do an action on a resource (AuthZEN Authorization API 1.0).",
        evaluate,
    )
    .get(
        "/.well-known/authzen-configuration",
        "Gives the metadata of the decision point (AuthZEN §9).",
        configuration,
    )
}

/// Answers an enforcement point. Who asks is settled before anything is read of what they ask.
async fn evaluate(State(app): State<App>, Source(source): Source, keys: Keys, request: Request) -> Reply<Decision> {
    let (request, whole) = buffered(request, &app).await;
    let Some((scheme, token)) = authorization(request.headers())? else {
        app.kernel.count_stranger(Reason::ProofMissing, &source);
        return Err(Failure::of(
            Problem::refusal(401, Reason::ProofMissing).hint("send the enforcement point's own access token as Bearer"),
        ));
    };
    let shown = keys.with_a_token(scheme)?;
    let enforcer = introspection::authenticate_enforcer(&app.kernel, &token, &shown).await.map_err(|error| {
        if let OpError::Unauthenticated(reason) = &error {
            app.kernel.count_stranger(*reason, &source);
        }
        Failure::from(error)
    })?;
    whole?;
    proven(request.extensions());
    let Claimed(ask) = Claimed::<Evaluation>::from_request(request, &app).await?;
    ok(evaluation::evaluate(&app.kernel, &enforcer, &ask).await?)
}

async fn configuration(State(app): State<App>) -> Reply<Value> {
    let base = &app.kernel.settings().public_url;
    ok(json!({"policy_decision_point": base, "access_evaluation_endpoint": format!("{base}/access/v1/evaluation")}))
}
