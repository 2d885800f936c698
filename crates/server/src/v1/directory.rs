//! Set-up, operator tokens, applications, environments, resources, issuers.

use axum::extract::State;
use tenure_api::issuers::{IssuerView, ReviewLoginAsk};
use tenure_api::ownership::{ApplicationEdit, EnvironmentEdit, ResourceEdit};
use tenure_api::requests::{
    IssuerToken, NewApplication, NewEnvironment, NewIssuer, NewOperatorToken, NewResource, Setup, SignWith,
};
use tenure_api::views::{IssuerTrial, OperatorTokenIssued, Page, Revised, SetupDone};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::Person;
use tenure_core::trust::issuer::Issuer;
use tenure_engine::credentials::issuer_trial;
use tenure_engine::inventory::{directory, ownership};
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::Listed;
use tenure_engine::matters::inventory_changes;
use tenure_engine::people::{operator_tokens, setup};
use tenure_engine::trust::{issuers, reviews};

use crate::app::App;
use crate::caller::named::{Addressed, get, meant};
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::{Body, OptionalBody};
use crate::contract::condition::Condition;
use crate::contract::error::Failure;
use crate::contract::list::{Filtered, List};
use crate::contract::query::Path;
use crate::contract::reply::{Edit, New, Reply, created, edited, id, ok};
use crate::contract::source::Source;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/setup", "Makes the first administrator.", set_up)
        .post("/v1/people/{id}/operator-tokens", "Hands out an operator token for a person.", create_operator_token)
        .post("/v1/operator-tokens/{id}/revoke", "Revokes an operator token.", revoke_operator_token)
        .post("/v1/applications", "Makes an application.", create_application)
        .get("/v1/applications", "Lists applications.", list::<Application>)
        .get("/v1/applications/{id}", "Shows an application.", one::<Application>)
        .patch("/v1/applications/{id}", "Changes an application.", update_application)
        .post("/v1/environments", "Makes an environment.", create_environment)
        .get("/v1/environments", "Lists environments.", list::<Environment>)
        .get("/v1/environments/{id}", "Shows an environment.", one::<Environment>)
        .patch("/v1/environments/{id}", "Changes an environment.", update_environment)
        .post("/v1/environments/{id}/rotate-key", "Rotates the signing key of an environment's issuer.", rotate_key)
        .post("/v1/resources", "Makes a resource.", create_resource)
        .get("/v1/resources", "Lists resources.", list::<Resource>)
        .get("/v1/resources/{id}", "Shows a resource.", one::<Resource>)
        .patch("/v1/resources/{id}", "Changes a resource.", update_resource)
        .post(
            "/v1/resources/{id}/sign-with",
            "Chooses the algorithm that tokens for a resource are signed with.",
            sign_with,
        )
        .post("/v1/issuers", "Makes an external issuer.", create_issuer)
        .get("/v1/issuers", "Lists external issuers.", list_issuers)
        .get("/v1/issuers/{id}", "Shows an external issuer.", show_issuer)
        .post("/v1/issuers/{id}/confirm", "Confirms an external issuer.", confirm_issuer)
        .post("/v1/issuers/{id}/remove", "Removes an external issuer.", remove_issuer)
        .post(
            "/v1/issuers/{id}/review-login",
            "Hands in the login by which an issuer's cluster is asked about tokens.",
            review_login,
        )
        .post("/v1/issuers/{id}/try", "Tries a token against an issuer and says what it would prove.", try_issuer)
}

async fn list<T: Listed + Filtered>(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<T>,
) -> Reply<Page<Revised<T>>> {
    ok(app.kernel.list::<T>(&caller, list.ask).await?)
}

async fn one<T: Addressed>(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(text): Path<String>,
) -> Reply<Revised<T>> {
    ok(get::<T>(&app, &caller, &text).await?)
}

async fn set_up(State(app): State<App>, Source(source): Source, Body(ask): Body<Setup>) -> New<SetupDone> {
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
) -> New<OperatorTokenIssued> {
    created(
        operator_tokens::create_operator_token(
            &app.kernel,
            &caller,
            meant::<Person>(&app, &caller, &person).await?,
            ask,
        )
        .await?,
    )
}

async fn revoke_operator_token(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(token): Path<String>,
) -> Reply<serde_json::Value> {
    operator_tokens::revoke_operator_token(&app.kernel, &caller, id(&token, "operator token")?).await?;
    ok(serde_json::json!({"id": token, "revoked": true}))
}

async fn update_application(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(application): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<ApplicationEdit>,
) -> Reply<Revised<Application>> {
    let id = meant::<Application>(&app, &caller, &application).await?;
    ok(ownership::update_application(&app.kernel, &caller, id, if_match, ask).await?)
}

async fn create_application(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewApplication>,
) -> New<Revised<Application>> {
    created(directory::create_application(&app.kernel, &caller, ask).await?)
}

async fn create_environment(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewEnvironment>,
) -> New<Revised<Environment>> {
    created(directory::create_environment(&app.kernel, &caller, ask).await?)
}

async fn rotate_key(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
) -> Reply<Revised<Environment>> {
    ok(directory::rotate_key(&app.kernel, &caller, &name).await?)
}

async fn create_resource(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewResource>,
) -> New<Revised<Resource>> {
    created(directory::create_resource(&app.kernel, &caller, ask).await?)
}

async fn update_environment(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<EnvironmentEdit>,
) -> Edit<Revised<Environment>> {
    edited(inventory_changes::update_environment(&app.kernel, &caller, &name, if_match, ask).await?)
}

async fn update_resource(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(resource): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<ResourceEdit>,
) -> Edit<Revised<Resource>> {
    edited(
        inventory_changes::update_resource(
            &app.kernel,
            &caller,
            meant::<Resource>(&app, &caller, &resource).await?,
            if_match,
            ask,
        )
        .await?,
    )
}

async fn sign_with(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(resource): Path<String>,
    Body(ask): Body<SignWith>,
) -> Reply<Revised<Resource>> {
    ok(directory::sign_with(&app.kernel, &caller, meant::<Resource>(&app, &caller, &resource).await?, &ask).await?)
}

async fn create_issuer(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewIssuer>,
) -> New<Revised<IssuerView>> {
    created(issuers::create_issuer(&app.kernel, &caller, ask).await?)
}

async fn list_issuers(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Issuer>,
) -> Reply<Page<Revised<IssuerView>>> {
    ok(issuers::list_issuers(&app.kernel, &caller, list.ask).await?)
}

async fn show_issuer(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(issuer): Path<String>,
) -> Reply<Revised<IssuerView>> {
    ok(issuers::shown(get::<Issuer>(&app, &caller, &issuer).await?))
}

async fn review_login(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(issuer): Path<String>,
    Body(ask): Body<ReviewLoginAsk>,
) -> Reply<Revised<IssuerView>> {
    let id = meant::<Issuer>(&app, &caller, &issuer).await?;
    ok(reviews::set_review_login(&app.kernel, &caller, id, ask).await?)
}

async fn confirm_issuer(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(issuer): Path<String>,
) -> Reply<Revised<IssuerView>> {
    ok(issuers::confirm_issuer(&app.kernel, &caller, meant::<Issuer>(&app, &caller, &issuer).await?).await?)
}

async fn try_issuer(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(issuer): Path<String>,
    Body(ask): Body<IssuerToken>,
) -> Reply<IssuerTrial> {
    ok(issuer_trial::try_issuer_token(&app.kernel, &caller, meant::<Issuer>(&app, &caller, &issuer).await?, &ask)
        .await?)
}

async fn remove_issuer(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(issuer): Path<String>,
) -> Reply<Revised<IssuerView>> {
    ok(issuers::remove_issuer(&app.kernel, &caller, meant::<Issuer>(&app, &caller, &issuer).await?).await?)
}
