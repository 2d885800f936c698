//! Set-up, operator tokens, applications, environments, resources, issuers.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use tenure_api::ownership::{ApplicationEdit, Edited, EnvironmentEdit, ResourceEdit};
use tenure_api::requests::{IssuerToken, NewApplication, NewEnvironment, NewIssuer, NewOperatorToken, NewResource, Setup, SignWith};
use tenure_api::views::{IssuerTrial, OperatorTokenIssued, Page, Resource as View, SetupDone};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::trust::issuer::Issuer;
use tenure_engine::credentials::issuer_trial;
use tenure_engine::inventory::{directory, ownership};
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::Listed;
use tenure_engine::matters::inventory_changes;
use tenure_engine::people::{operator_tokens, setup};
use tenure_engine::trust::issuers;

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::{Body, OptionalBody};
use crate::contract::condition::if_match;
use crate::contract::error::Failure;
use crate::contract::list::{Filtered, List};
use crate::contract::query::Path;
use crate::contract::reply::{Read, Reply, created, edited, id, ok, read};
use crate::contract::source::Source;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/setup", post(set_up))
        .route("/v1/people/{id}/operator-tokens", post(create_operator_token))
        .route("/v1/operator-tokens/{id}/revoke", post(revoke_operator_token))
        .route("/v1/applications", post(create_application).get(list::<Application>))
        .route("/v1/applications/{id}", get(one::<Application>).patch(update_application))
        .route("/v1/environments", post(create_environment).get(list::<Environment>))
        .route("/v1/environments/{id}", get(one::<Environment>).patch(update_environment))
        .route("/v1/environments/{id}/rotate-key", post(rotate_key))
        .route("/v1/resources", post(create_resource).get(list::<Resource>))
        .route("/v1/resources/{id}", get(one::<Resource>).patch(update_resource))
        .route("/v1/resources/{id}/sign-with", post(sign_with))
        .route("/v1/issuers", post(create_issuer).get(list::<Issuer>))
        .route("/v1/issuers/{id}", get(one::<Issuer>))
        .route("/v1/issuers/{id}/confirm", post(confirm_issuer))
        .route("/v1/issuers/{id}/remove", post(remove_issuer))
        .route("/v1/issuers/{id}/try", post(try_issuer))
}

async fn list<T: Listed + Filtered>(State(app): State<App>, Operator(caller): Operator, list: List<T>) -> Reply<Page<View<T>>> {
    ok(app.kernel.list::<T>(&caller, list.ask).await?)
}

async fn one<T: Listed>(State(app): State<App>, Operator(caller): Operator, Path(id): Path<String>) -> Read<T> {
    read(app.kernel.get::<T>(&caller, &id).await?)
}

async fn set_up(State(app): State<App>, Source(source): Source, Body(ask): Body<Setup>) -> Reply<SetupDone> {
    created(setup::set_up(&app.kernel, ask).await.map_err(|error| {
        if let OpError::Unauthenticated(reason) = &error {
            app.kernel.count_stranger(*reason, &source);
        }
        Failure::from(error)
    })?)
}

async fn create_operator_token(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
    OptionalBody(ask): OptionalBody<NewOperatorToken>,
) -> Reply<OperatorTokenIssued> {
    created(operator_tokens::create_operator_token(&app.kernel, &caller, id(&person, "person")?, ask).await?)
}

async fn revoke_operator_token(State(app): State<App>, Operator(caller): Operator, Path(token): Path<String>) -> Reply<serde_json::Value> {
    operator_tokens::revoke_operator_token(&app.kernel, &caller, id(&token, "operator token")?).await?;
    ok(serde_json::json!({"id": token, "revoked": true}))
}

async fn update_application(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(application): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<ApplicationEdit>,
) -> Reply<View<Application>> {
    let id = id(&application, "application")?;
    ok(ownership::update_application(&app.kernel, &caller, id, if_match(&headers)?, ask).await?)
}

async fn create_application(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewApplication>) -> Reply<View<Application>> {
    created(directory::create_application(&app.kernel, &caller, ask).await?)
}

async fn create_environment(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewEnvironment>) -> Reply<View<Environment>> {
    created(directory::create_environment(&app.kernel, &caller, ask).await?)
}

async fn rotate_key(State(app): State<App>, Operator(caller): Operator, Path(name): Path<String>) -> Reply<View<Environment>> {
    ok(directory::rotate_key(&app.kernel, &caller, &name).await?)
}

async fn create_resource(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewResource>) -> Reply<View<Resource>> {
    created(directory::create_resource(&app.kernel, &caller, ask).await?)
}

async fn update_environment(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<EnvironmentEdit>,
) -> Reply<Edited<View<Environment>>> {
    edited(inventory_changes::update_environment(&app.kernel, &caller, &name, if_match(&headers)?, ask).await?)
}

async fn update_resource(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(resource): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<ResourceEdit>,
) -> Reply<Edited<View<Resource>>> {
    edited(inventory_changes::update_resource(&app.kernel, &caller, id(&resource, "resource")?, if_match(&headers)?, ask).await?)
}

async fn sign_with(State(app): State<App>, Operator(caller): Operator, Path(resource): Path<String>, Body(ask): Body<SignWith>) -> Reply<View<Resource>> {
    ok(directory::sign_with(&app.kernel, &caller, id(&resource, "resource")?, &ask).await?)
}

async fn create_issuer(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewIssuer>) -> Reply<View<Issuer>> {
    created(issuers::create_issuer(&app.kernel, &caller, ask).await?)
}

async fn confirm_issuer(State(app): State<App>, Operator(caller): Operator, Path(issuer): Path<String>) -> Reply<View<Issuer>> {
    ok(issuers::confirm_issuer(&app.kernel, &caller, id(&issuer, "issuer")?).await?)
}

async fn try_issuer(State(app): State<App>, Operator(caller): Operator, Path(issuer): Path<String>, Body(ask): Body<IssuerToken>) -> Reply<IssuerTrial> {
    ok(issuer_trial::try_issuer_token(&app.kernel, &caller, id(&issuer, "issuer")?, &ask).await?)
}

async fn remove_issuer(State(app): State<App>, Operator(caller): Operator, Path(issuer): Path<String>) -> Reply<View<Issuer>> {
    ok(issuers::remove_issuer(&app.kernel, &caller, id(&issuer, "issuer")?).await?)
}
