//! How people sign in: the pages, the way to a provider and back, and the command line's part of it.

pub(crate) mod browser;
mod cli;
pub(crate) mod html;
mod oidc;
mod passkey;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tenure_core::store::event::Via;
use tenure_core::store::secret::Secret;
use tenure_engine::kernel::caller::Caller;
use tenure_engine::people::oidc::is_local_path;
use tenure_engine::people::{sign_in, sign_in_providers};

use self::html::{Html, page};
use crate::app::App;
use crate::caller::cookie::{Cookie, must_be_same_origin};
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Form;
use crate::contract::error::Failure;
use crate::contract::query::Query;
use crate::contract::source::Source;
use crate::limits::attempts::Attempt;
use crate::sign_in::browser::{Browser, name};
use crate::sign_in::html::{encoded, sign_in_problem};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    let api = api
        .page("/sign-in", get(sign_in))
        .page("/sign-in/done", get(done))
        .page("/sign-in/invitation", post(invitation))
        .page("/sign-out", post(sign_out))
        .page("/assets/sign-in.css", get(style));
    [oidc::routes, cli::routes, passkey::routes].into_iter().fold(api, |api, routes| routes(api))
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
    let invited = Cookie::Invitation.read(&app, &headers).is_some();
    let return_to = asked.return_to.filter(|path| is_local_path(path)).unwrap_or_else(|| "/sign-in/done".into());
    let providers = sign_in_providers::offered_providers(&app.kernel).await?;
    let mut body = Html::default();
    if invited {
        body = body.raw("<p>You are invited. What you choose here is how you sign in from now on.</p>\n");
    }
    if let Some(name) = caller.as_ref().and_then(name) {
        body = body.raw("<p>You are signed in as ").text(&name).raw(".</p>\n");
    }
    body = body
        .raw("<button type=\"button\" id=\"passkey-sign-in\" data-return-to=\"")
        .text(&return_to)
        .raw("\" hidden>Sign in with a passkey</button>\n");
    if invited || caller.is_some() {
        body = body
            .raw("<button type=\"button\" id=\"passkey-register\" data-return-to=\"")
            .text(&return_to)
            .raw("\" hidden>Make a passkey</button>\n");
    }
    for (id, name) in &providers {
        body = body
            .raw("<a class=\"choice\" href=\"/sign-in/oidc/")
            .text(&id.to_string())
            .raw("?return_to=")
            .text(&encoded(&return_to))
            .raw(if asked.fresh { "&amp;fresh=true" } else { "" })
            .raw(if asked.link { "&amp;link=true" } else { "" })
            .raw("\">Sign in with ")
            .text(name)
            .raw("</a>\n");
    }
    body = body.raw(
        "<h2>Invited?</h2>\n<form method=\"post\" action=\"/sign-in/invitation\">\n<label for=\"invitation\">Invitation</label>\n\
         <input id=\"invitation\" name=\"invitation\" type=\"password\" autocomplete=\"off\" required>\n\
         <button type=\"submit\">Use it</button>\n</form>\n",
    );
    Ok(page(StatusCode::OK, "Sign in", body, false))
}

async fn done(State(app): State<App>, Browser(caller): Browser) -> Response {
    let Some(caller) = caller else {
        return Redirect::to("/sign-in").into_response();
    };
    let me = sign_in::me(&app.kernel, &caller);
    let mut body = Html::default()
        .raw("<p>You are signed in as ")
        .text(&name(&caller).unwrap_or_else(|| "somebody whose name was erased".to_owned()))
        .raw(".</p>\n");
    body = body.raw(if me.fresh {
        "<p>For the next minutes you can approve and enable.</p>\n"
    } else {
        "<p>To approve or to enable, sign in anew with a passkey.</p>\n"
    });
    body = body.raw(
        "<a class=\"choice\" href=\"/sign-in?fresh=true\">Sign in anew</a>\n<a class=\"choice\" href=\"/sign-in?link=true\">Add a way to sign in</a>\n\
         <form method=\"post\" action=\"/sign-out\"><button type=\"submit\">Sign out</button></form>\n",
    );
    page(StatusCode::OK, "Signed in", body, false)
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
async fn sign_out(State(app): State<App>, headers: HeaderMap, Operator(caller): Operator) -> Result<Response, Failure> {
    if let Caller::Person { via: Via::Session(session), .. } = &caller {
        sign_in::revoke_session(&app.kernel, &caller, *session).await?;
    }
    if headers.contains_key(header::AUTHORIZATION) {
        return Ok(axum::Json(serde_json::json!({"signed_out": true})).into_response());
    }
    let cookie = Cookie::Session.clear(&app);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/sign-in")).into_response())
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], html::STYLE).into_response()
}
