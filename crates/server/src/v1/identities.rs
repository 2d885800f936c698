//! Identities: register, steps of their life, grants, credentials, enrolment.

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header;
use schemars::JsonSchema;
use serde::Deserialize;
use tenure_api::api_keys::{ApiKeyIssued, NewApiKey};
use tenure_api::problem::Problem;
use tenure_api::request::NewVote;
use tenure_api::requests::{Because, ConsumerEnd, Enrol, NewIdentity, NewSuspension, Resume, TaskCompleted};
use tenure_api::templates::Registered;
use tenure_api::usage::{NewRightSize, RightSizeView, UsageView};
use tenure_api::views::{AccessReport, CredentialView, IdentityView, JoinTokenIssued, Page, Revised};
use tenure_core::credential::Credential;
use tenure_core::identity::binding::Binding;
use tenure_core::identity::grant::Grant;
use tenure_core::identity::right_size::UseWindow;
use tenure_core::identity::{CharterDraft, Identity};
use tenure_engine::credentials::token::prove;
use tenure_engine::credentials::{api_keys, liveness};
use tenure_engine::identities::{consumer_end, contexts, enrolment, grants, lifecycle, registration, usage};
use tenure_engine::kernel::caller::Caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::{first_token, right_size, votes};

use crate::app::App;
use crate::caller::named::{meant, names_in};
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::{Body, OptionalBody};
use crate::contract::condition::Condition;
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::query::{Path, Query};
use crate::contract::reply::{New, Reply, Tried, created, id, ok, tried};
use crate::contract::source::Source;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/identities", "Registers an identity.", register)
        .get("/v1/identities", "Lists identities.", list)
        .get("/v1/identities/{id}", "Shows an identity.", one)
        .put("/v1/identities/{id}/charter", "Writes an identity's charter.", write_charter)
        .post("/v1/identities/{id}/submit", "Asks for the activation of an identity.", submit)
        .post("/v1/identities/{id}/activate", "Votes for the activation of an identity.", activate)
        .post("/v1/identities/{id}/suspend", "Suspends an identity.", suspend)
        .post("/v1/identities/{id}/resume", "Resumes an identity.", resume)
        .post(
            "/v1/identities/{id}/end-consumer",
            "Ends one consumer of a shared identity; the others go on.",
            end_consumer,
        )
        .post("/v1/identities/{id}/retire", "Retires an identity.", retire)
        .post("/v1/identities/{id}/close", "Closes an identity.", close)
        .post(
            "/v1/identities/{id}/complete-task",
            "Reports that an identity's task is complete: it retires.",
            complete_task,
        )
        .get("/v1/identities/{id}/access", "Shows what an identity may do, and why.", access)
        .get("/v1/identities/{id}/usage", "Shows what is granted to an identity beside what it used.", usage)
        .post(
            "/v1/identities/{id}/right-size",
            "Asks that an identity's charter be narrowed to what was used.",
            right_size,
        )
        .post(
            "/v1/identities/{id}/forget-contexts",
            "Has the contexts that an identity is known in forgotten, and learnt anew.",
            forget_contexts,
        )
        .get("/v1/identities/{id}/credentials", "Lists an identity's live credentials.", credentials)
        .post(
            "/v1/identities/{id}/join-tokens",
            "Hands out a join token, with which a device or workload enrols its key.",
            create_join_token,
        )
        .post("/v1/identities/{id}/api-keys", "Hands out an API key under an exception.", create_api_key)
        .post("/v1/grants/{id}/revoke", "Revokes a grant.", revoke_grant)
        .get("/v1/credentials/{id}", "Shows a credential.", credential)
        .post("/v1/enrol", "Enrols a key with a join token.", enrol)
}

async fn register(
    State(app): State<App>,
    Operator(caller): Operator,
    Source(source): Source,
    Body(ask): Body<NewIdentity>,
) -> New<Registered> {
    created(first_token::register_with_token(&app.kernel, &caller, ask, source).await?)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Identity>) -> Reply<Page<IdentityView>> {
    ok(registration::identities(&app.kernel, &caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>) -> Reply<IdentityView> {
    ok(registration::identity(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?).await?)
}

async fn write_charter(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Condition(if_match): Condition,
    Body(charter): Body<CharterDraft>,
) -> Reply<IdentityView> {
    ok(Box::pin(registration::write_charter(
        &app.kernel,
        &caller,
        meant::<Identity>(&app, &caller, &who).await?,
        charter,
        if_match,
    ))
    .await?)
}

async fn submit(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>) -> Reply<IdentityView> {
    ok(lifecycle::submit(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?).await?)
}

async fn activate(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Body(vote): Body<NewVote>,
) -> Reply<IdentityView> {
    ok(votes::activate(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?, vote).await?)
}

async fn suspend(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Body(ask): Body<NewSuspension>,
) -> Reply<IdentityView> {
    ok(match ask.dry_run {
        true => {
            lifecycle::suspension_planned(
                &app.kernel,
                &caller,
                meant::<Identity>(&app, &caller, &who).await?,
                ask.reason,
            )
            .await?
        }
        false => {
            lifecycle::suspend(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?, ask.reason).await?
        }
    })
}

async fn resume(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Body(resume): Body<Resume>,
) -> Reply<IdentityView> {
    ok(lifecycle::resume(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?, resume).await?)
}

async fn end_consumer(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Body(ask): Body<ConsumerEnd>,
) -> Reply<IdentityView> {
    let identity = meant::<Identity>(&app, &caller, &who).await?;
    ok(Box::pin(consumer_end::end_consumer(&app.kernel, &caller, identity, ask)).await?)
}

async fn retire(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Body(because): Body<Because>,
) -> Reply<IdentityView> {
    ok(lifecycle::retire(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?, because.reason).await?)
}

async fn close(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Body(because): Body<Because>,
) -> Reply<IdentityView> {
    ok(lifecycle::close(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?, because.reason).await?)
}

/// Reported by a person, or by the identity itself with a client assertion of its own. An access token does not do:
/// whoever receives one could end its sender.
async fn complete_task(
    State(app): State<App>,
    Source(source): Source,
    Path(who): Path<String>,
    request: Request,
) -> Reply<IdentityView> {
    let (mut parts, body) = request.into_parts();
    let mut asker = parts.clone();
    let operator = match parts.headers.contains_key(header::AUTHORIZATION) {
        true => Some(Operator::from_request_parts(&mut parts, &app).await?.0),
        false => None,
    };
    let OptionalBody(report) =
        OptionalBody::<TaskCompleted>::from_request(Request::from_parts(parts, body), &app).await?;
    let who = match &operator {
        Some(caller) => meant::<Identity>(&app, caller, &who).await?,
        None => id(&who, "identity")?,
    };
    let caller = match (operator, &report.client_assertion) {
        (Some(caller), None) => caller,
        (None, Some(assertion)) => {
            let environment = registration::environment_of(&app.kernel, who).await?;
            let identity = prove::authenticate_assertion(
                &app.kernel,
                &environment,
                Some(&who.to_string()),
                assertion,
                "complete_task",
                &source,
            )
            .await?;
            Caller::Identity { identity, actions: vec!["complete".to_owned()] }
        }
        // A browser's cookie, or nobody.
        (None, None) => Operator::from_request_parts(&mut asker, &app).await?.0,
        (Some(_), Some(_)) => {
            return Err(Failure::malformed("send an operator token or a client_assertion, not both"));
        }
    };
    ok(lifecycle::complete_task(&app.kernel, &caller, who, report).await?)
}

async fn revoke_grant(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(grant): Path<String>,
    Body(because): Body<Because>,
) -> Reply<Revised<Grant>> {
    ok(grants::revoke_grant(&app.kernel, &caller, id(&grant, "grant")?, because.reason).await?)
}

async fn access(State(app): State<App>, Operator(caller): Operator, Path(who): Path<String>) -> Reply<AccessReport> {
    ok(grants::access(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?).await?)
}

/// Over which time use is looked at.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UsageQuery {
    /// 7d, 30d or 90d; 30d if not given.
    #[serde(default)]
    window: UseWindow,
}

async fn usage(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Query(UsageQuery { window }): Query<UsageQuery>,
) -> Reply<UsageView> {
    let id = meant::<Identity>(&app, &caller, &who).await?;
    let mut view = usage::usage(&app.kernel, &caller, id, window).await?;
    view.names = names_in(&app, &caller, &view).await?;
    ok(view)
}

async fn right_size(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Body(ask): Body<NewRightSize>,
) -> Tried<RightSizeView> {
    let id = meant::<Identity>(&app, &caller, &who).await?;
    let dry_run = ask.dry_run;
    let mut view = right_size::open_right_size(&app.kernel, &caller, id, ask).await?;
    view.usage.names = names_in(&app, &caller, &view.usage).await?;
    tried(dry_run, view)
}

async fn forget_contexts(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    Body(ask): Body<Because>,
) -> Reply<UsageView> {
    let id = meant::<Identity>(&app, &caller, &who).await?;
    contexts::forget_contexts(&app.kernel, &caller, id, ask).await?;
    let mut view = usage::usage(&app.kernel, &caller, id, UseWindow::default()).await?;
    view.names = names_in(&app, &caller, &view).await?;
    ok(view)
}

async fn credentials(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    list: List<Credential>,
) -> Reply<Page<CredentialView>> {
    ok(liveness::credentials_of(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?, list.ask).await?)
}

async fn credential(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(credential): Path<String>,
) -> Reply<CredentialView> {
    ok(liveness::credential(&app.kernel, &caller, id(&credential, "credential")?).await?)
}

async fn create_join_token(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
) -> New<JoinTokenIssued> {
    created(enrolment::create_join_token(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?).await?)
}

async fn create_api_key(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(who): Path<String>,
    OptionalBody(ask): OptionalBody<NewApiKey>,
) -> New<ApiKeyIssued> {
    created(api_keys::create_api_key(&app.kernel, &caller, meant::<Identity>(&app, &caller, &who).await?, ask).await?)
}

async fn enrol(State(app): State<App>, Source(source): Source, Body(ask): Body<Enrol>) -> New<Revised<Binding>> {
    created(enrolment::enrol(&app.kernel, ask, &source).await.map_err(|error| match error {
        // Who holds no token learns nothing about what it would have been for.
        OpError::Unauthenticated(reason) => Failure::of(Problem::refusal(401, reason)),
        other => other.into(),
    })?)
}
