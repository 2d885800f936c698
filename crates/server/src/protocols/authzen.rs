//! OpenID AuthZEN Authorization API 1.0: the evaluation endpoint.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tenure_api::problem::Problem;
use tenure_api::requests::Evaluation;
use tenure_api::views::Decision;
use tenure_core::problem::Reason;
use tenure_engine::error::OpError;

use crate::App;
use crate::error::Failure;
use crate::extract::{Claimed, Reply, Source, authorization, ok};
use crate::keys::Keys;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/access/v1/evaluation", post(evaluate))
        .route("/.well-known/authzen-configuration", get(configuration))
}

async fn evaluate(State(app): State<App>, Source(source): Source, keys: Keys, headers: HeaderMap, Claimed(ask): Claimed<Evaluation>) -> Reply<Decision> {
    let Some((scheme, token)) = authorization(&headers)? else {
        return Err(Failure::of(
            Problem::refusal(401, Reason::ProofMissing).hint("send the enforcement point's own access token as Bearer"),
        ));
    };
    let shown = keys.with_a_token(scheme)?;
    let enforcer = app.engine.authenticate_enforcer(&token, &shown).await.map_err(|error| {
        if let OpError::Unauthenticated(reason) = &error {
            app.engine.count_stranger(*reason, &source);
        }
        Failure::from(error)
    })?;
    ok(app.engine.evaluate(&enforcer, &ask).await?)
}

async fn configuration(State(app): State<App>) -> Reply<Value> {
    let base = &app.engine.settings().public_url;
    ok(json!({"policy_decision_point": base, "access_evaluation_endpoint": format!("{base}/access/v1/evaluation")}))
}
