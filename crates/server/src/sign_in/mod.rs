//! How people sign in: the pages, the way to a provider and back, and the command line's part of it.

pub(crate) mod browser;
mod cli;
mod oidc;
mod passkey;
mod problem;
mod set_up;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tenure_console::address::Address;
use tenure_console::door::{Provider, SignIn, SignedIn};
use tenure_console::text;
use tenure_core::store::event::Via;
use tenure_core::store::secret::Secret;
use tenure_engine::kernel::caller::Caller;
use tenure_engine::people::oidc::is_local_path;
use tenure_engine::people::{sign_in, sign_in_providers};

use crate::app::App;
use crate::caller::cookie::{Cookie, must_be_same_origin};
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Form;
use crate::contract::error::Failure;
use crate::contract::page::page;
use crate::contract::query::Query;
use crate::contract::source::Source;
use crate::limits::attempts::Attempt;
use crate::sign_in::browser::{Browser, name};
use crate::sign_in::problem::sign_in_problem;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    let api = api
        .page("/sign-in", get(sign_in))
        .page("/sign-in/done", get(done))
        .page("/sign-in/invitation", post(invitation))
        .page("/sign-out", post(sign_out));
    [set_up::routes, oidc::routes, cli::routes, passkey::routes].into_iter().fold(api, |api, routes| routes(api))
}

/// What the sign-in page is asked for.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    return_to: Option<String>,
    #[serde(default)]
    fresh: bool,
    #[serde(default)]
    link: bool,
}

async fn sign_in(
    State(app): State<App>,
    Browser(caller): Browser,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let return_to = asked.return_to.filter(|path| is_local_path(path)).unwrap_or_else(|| "/".into());
    let begins = |provider: &dyn std::fmt::Display| {
        let mut to = Address::new("/sign-in/oidc").below(&provider.to_string()).with("return_to", &*return_to);
        for (name, _) in [("fresh", asked.fresh), ("link", asked.link)].into_iter().filter(|(_, is)| *is) {
            to = to.with(name, "true");
        }
        to.to_string()
    };
    let providers = sign_in_providers::offered_providers(&app.kernel).await?;
    let providers = providers.into_iter().map(|(id, name)| Provider { to: begins(&id), name }).collect();
    let signed_in_as = caller.as_ref().and_then(name);
    let invited = Cookie::Invitation.read(&app, &headers).is_some();
    Ok(page(StatusCode::OK, &SignIn { invited, signed_in_as, fresh: asked.fresh, return_to, providers }))
}

async fn done(State(app): State<App>, Browser(caller): Browser) -> Response {
    let Some(caller) = caller else {
        return Redirect::to("/sign-in").into_response();
    };
    let fresh = sign_in::me(&app.kernel, &caller).fresh;
    page(StatusCode::OK, &SignedIn { name: name(&caller).unwrap_or_else(|| text::ERASED.to_owned()), fresh })
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Invited {
    invitation: String,
}

/// Keeps an invitation for the sign-in that follows. A page of another site must not plant one here: with it, this
/// browser's sign-in would be bound to somebody else.
async fn invitation(
    State(app): State<App>,
    Source(source): Source,
    method: Method,
    headers: HeaderMap,
    Form(invited): Form<Invited>,
) -> Result<Response, Failure> {
    must_be_same_origin(&app, &method, &headers)?;
    app.sign_ins.count(Attempt::Invitation { source: &source })?;
    let secret = Secret::new(invited.invitation.trim().to_owned());
    if let Err(error) = sign_in::check_invitation(&app.kernel, secret.expose(), &source).await {
        return Ok(sign_in_problem(Failure::from(error)));
    }
    let cookie = Cookie::Invitation.set(&app, &secret);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/sign-in")).into_response())
}

/// Ends the session that asks, be it a browser's or the command line's.
async fn sign_out(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Result<Operator, Failure>,
) -> Result<Response, Failure> {
    let Operator(caller) = match caller {
        Ok(caller) => caller,
        // A browser whose session has ended is signed out already.
        Err(failure) if failure.0.status == 401 && !headers.contains_key(header::AUTHORIZATION) => {
            return Ok(signed_out(&app));
        }
        Err(failure) => return Err(failure),
    };
    if let Caller::Person { via: Via::Session(session), .. } = &caller {
        sign_in::revoke_session(&app.kernel, &caller, *session).await?;
    }
    if headers.contains_key(header::AUTHORIZATION) {
        return Ok(axum::Json(serde_json::json!({"signed_out": true})).into_response());
    }
    Ok(signed_out(&app))
}

fn signed_out(app: &App) -> Response {
    let cookie = Cookie::Session.clear(app);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/sign-in")).into_response()
}
