//! Identities: register, steps of their life, grants, credentials, enrolment.

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::{HeaderMap, header};
use axum::routing::{get, post, put};
use tenure_api::api_keys::{ApiKeyIssued, NewApiKey};
use tenure_api::problem::Problem;
use tenure_api::request::NewVote;
use tenure_api::requests::{Because, Enrol, NewIdentity, NewSuspension, Resume, TaskCompleted};
use tenure_api::templates::Registered;
use tenure_api::views::{AccessReport, CredentialView, IdentityView, JoinTokenIssued, Page, Resource as View};
use tenure_core::base::id::IdentityId;
use tenure_core::credential::Credential;
use tenure_core::identity::binding::Binding;
use tenure_core::identity::grant::Grant;
use tenure_core::identity::{CharterDraft, Identity};
use tenure_engine::credentials::token::prove;
use tenure_engine::credentials::{api_keys, liveness};
use tenure_engine::identities::{enrolment, grants, lifecycle, registration};
use tenure_engine::kernel::caller::Caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::{first_token, votes};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::{Body, OptionalBody};
use crate::contract::condition::{etag, if_match};
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{Reply, created, id, ok};
use crate::contract::source::Source;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/identities", post(register).get(list))
        .route("/v1/identities/{id}", get(one))
        .route("/v1/identities/{id}/charter", put(write_charter))
        .route("/v1/identities/{id}/submit", post(submit))
        .route("/v1/identities/{id}/activate", post(activate))
        .route("/v1/identities/{id}/suspend", post(suspend))
        .route("/v1/identities/{id}/resume", post(resume))
        .route("/v1/identities/{id}/retire", post(retire))
        .route("/v1/identities/{id}/close", post(close))
        .route("/v1/identities/{id}/complete-task", post(complete_task))
        .route("/v1/identities/{id}/access", get(access))
        .route("/v1/identities/{id}/credentials", get(credentials))
        .route("/v1/identities/{id}/join-tokens", post(create_join_token))
        .route("/v1/identities/{id}/api-keys", post(create_api_key))
        .route("/v1/grants/{id}/revoke", post(revoke_grant))
        .route("/v1/credentials/{id}", get(credential))
        .route("/v1/enrol", post(enrol))
}

fn identity(text: &str) -> Result<IdentityId, Failure> {
    id(text, "identity")
}

async fn register(State(app): State<App>, Operator(caller): Operator, Source(source): Source, Body(ask): Body<NewIdentity>) -> Reply<Registered> {
    created(first_token::register_with_token(&app.kernel, &caller, ask, source).await?)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Identity>) -> Reply<Page<IdentityView>> {
    ok(registration::identities(&app.kernel, &caller, list.ask).await?)
}

async fn one(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
) -> Result<([(header::HeaderName, String); 1], axum::Json<IdentityView>), Failure> {
    let view = registration::identity(&app.kernel, &caller, identity(&who)?).await?;
    Ok((etag(view.revision), axum::Json(view)))
}

async fn write_charter(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    headers: HeaderMap,
    Body(charter): Body<CharterDraft>,
) -> Reply<IdentityView> {
    ok(Box::pin(registration::write_charter(&app.kernel, &caller, identity(&who)?, charter, if_match(&headers)?)).await?)
}

async fn submit(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>, headers: HeaderMap) -> Reply<IdentityView> {
    ok(lifecycle::submit(&app.kernel, &caller, identity(&who)?, if_match(&headers)?).await?)
}

async fn activate(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    headers: HeaderMap,
    Body(vote): Body<NewVote>,
) -> Reply<IdentityView> {
    ok(votes::activate(&app.kernel, &caller, identity(&who)?, if_match(&headers)?, vote).await?)
}

async fn suspend(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>, Body(ask): Body<NewSuspension>) -> Reply<IdentityView> {
    ok(match ask.dry_run {
        true => lifecycle::suspension_planned(&app.kernel, &caller, identity(&who)?, ask.reason).await?,
        false => lifecycle::suspend(&app.kernel, &caller, identity(&who)?, ask.reason).await?,
    })
}

async fn resume(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>, Body(resume): Body<Resume>) -> Reply<IdentityView> {
    ok(lifecycle::resume(&app.kernel, &caller, identity(&who)?, resume).await?)
}

async fn retire(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>, Body(because): Body<Because>) -> Reply<IdentityView> {
    ok(lifecycle::retire(&app.kernel, &caller, identity(&who)?, because.reason).await?)
}

async fn close(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>, Body(because): Body<Because>) -> Reply<IdentityView> {
    ok(lifecycle::close(&app.kernel, &caller, identity(&who)?, because.reason).await?)
}

/// Reported by a person, or by the identity itself with a client assertion of its own. An access token does not do: whoever
/// receives one could end its sender.
async fn complete_task(State(app): State<App>, Source(source): Source, Path(who): Path<String>, request: Request) -> Reply<IdentityView> {
    let (mut parts, body) = request.into_parts();
    let mut asker = parts.clone();
    let operator = match parts.headers.contains_key(header::AUTHORIZATION) {
        true => Some(Operator::from_request_parts(&mut parts, &app).await?.0),
        false => None,
    };
    let OptionalBody(report) = OptionalBody::<TaskCompleted>::from_request(Request::from_parts(parts, body), &app).await?;
    let who = identity(&who)?;
    let caller = match (operator, &report.client_assertion) {
        (Some(caller), None) => caller,
        (None, Some(assertion)) => {
            let environment = registration::environment_of(&app.kernel, who).await?;
            let identity = prove::authenticate_assertion(&app.kernel, &environment, Some(&who.to_string()), assertion, "complete_task", &source).await?;
            Caller::Identity {
                identity,
                actions: vec!["complete".to_owned()],
            }
        }
        // A browser's cookie, or nobody.
        (None, None) => Operator::from_request_parts(&mut asker, &app).await?.0,
        (Some(_), Some(_)) => return Err(Failure::malformed("send an operator token or a client_assertion, not both")),
    };
    ok(lifecycle::complete_task(&app.kernel, &caller, who, report).await?)
}

async fn revoke_grant(State(app): State<App>, Operator(caller): Operator, Path(grant): Path<String>, Body(because): Body<Because>) -> Reply<View<Grant>> {
    ok(grants::revoke_grant(&app.kernel, &caller, id(&grant, "grant")?, because.reason).await?)
}

async fn access(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>) -> Reply<AccessReport> {
    ok(grants::access(&app.kernel, &caller, identity(&who)?).await?)
}

async fn credentials(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>, list: List<Credential>) -> Reply<Page<CredentialView>> {
    ok(liveness::credentials_of(&app.kernel, &caller, identity(&who)?, list.ask).await?)
}

async fn credential(State(app): State<App>, Operator(caller): Operator, Path(credential): Path<String>) -> Reply<CredentialView> {
    ok(liveness::credential(&app.kernel, &caller, id(&credential, "credential")?).await?)
}

async fn create_join_token(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>) -> Reply<JoinTokenIssued> {
    created(enrolment::create_join_token(&app.kernel, &caller, identity(&who)?).await?)
}

async fn create_api_key(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    OptionalBody(ask): OptionalBody<NewApiKey>,
) -> Reply<ApiKeyIssued> {
    created(api_keys::create_api_key(&app.kernel, &caller, identity(&who)?, ask).await?)
}

async fn enrol(State(app): State<App>, Source(source): Source, Body(ask): Body<Enrol>) -> Reply<View<Binding>> {
    created(enrolment::enrol(&app.kernel, ask, &source).await.map_err(|error| match error {
        // Who holds no token learns nothing about what it would have been for.
        OpError::Unauthenticated(reason) => Failure::of(Problem::refusal(401, reason)),
        other => other.into(),
    })?)
}
