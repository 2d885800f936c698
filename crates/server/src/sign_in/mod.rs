//! How people sign in: the pages, the way to a provider and back, and the command line's part of it.

mod cli;
mod cookie;
pub(crate) mod html;
mod limit;
mod oidc;
mod passkey;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tenure_core::store::event::Via;
use tenure_core::store::secret::Secret;
use tenure_engine::kernel::caller::{self, Caller};
use tenure_engine::people::oidc::is_local_path;
use tenure_engine::people::{sign_in, sign_in_providers};

use self::html::{Html, page};
use crate::App;
use crate::error::Failure;
use crate::extract::{Form, Operator, Query, Source, proven};

pub(crate) use self::cookie::{Cookie, must_be_same_origin};
pub(crate) use self::limit::{Attempt, Attempts};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/sign-in", get(sign_in))
        .route("/sign-in/done", get(done))
        .route("/sign-in/invitation", post(invitation))
        .route("/sign-out", post(sign_out))
        .route("/assets/sign-in.css", get(style))
        .merge(oidc::routes())
        .merge(cli::routes())
        .merge(passkey::routes())
}

/// The person whose browser asks, if one has signed in.
pub(crate) struct Browser(pub Option<Caller>);

impl FromRequestParts<App> for Browser {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Some(cookie) = Cookie::Session.read(app, &parts.headers) else {
            return Ok(Self(None));
        };
        must_be_same_origin(app, &parts.method, &parts.headers)?;
        match caller::authenticate_browser(&app.engine, &cookie).await {
            Ok(caller) => {
                proven(&parts.extensions);
                Ok(Self(Some(caller)))
            }
            Err(tenure_engine::kernel::error::OpError::Unauthenticated(_)) => Ok(Self(None)),
            Err(other) => Err(other.into()),
        }
    }
}

/// What the sign-in page is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    return_to: Option<String>,
    #[serde(default)]
    fresh: bool,
    #[serde(default)]
    link: bool,
}

async fn sign_in(State(app): State<App>, Browser(caller): Browser, headers: HeaderMap, Query(asked): Query<Asked>) -> Result<Response, Failure> {
    let invited = Cookie::Invitation.read(&app, &headers).is_some();
    let return_to = asked.return_to.filter(|path| is_local_path(path)).unwrap_or_else(|| "/sign-in/done".into());
    let providers = sign_in_providers::offered_providers(&app.engine).await?;
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
    let me = sign_in::me(&app.engine, &caller);
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invited {
    invitation: String,
}

/// Keeps an invitation for the sign-in that follows. A page of another site must not plant one here: with it, this browser's sign-in would be
/// bound to somebody else.
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
    if let Err(error) = sign_in::check_invitation(&app.engine, secret.expose(), &source).await {
        return Ok(problem(Failure::from(error)));
    }
    let cookie = Cookie::Invitation.set(&app, &secret);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/sign-in")).into_response())
}

/// Ends the session that asks, be it a browser's or the command line's.
async fn sign_out(State(app): State<App>, headers: HeaderMap, Operator(caller): Operator) -> Result<Response, Failure> {
    if let Caller::Person {
        via: Via::Session(session), ..
    } = &caller
    {
        sign_in::revoke_session(&app.engine, &caller, *session).await?;
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

/// A sign-in that did not work, as a page.
fn problem(failure: Failure) -> Response {
    html::problem(failure, "<a class=\"choice\" href=\"/sign-in\">Back to the sign-in page</a>\n")
}

fn name(caller: &Caller) -> Option<String> {
    match caller {
        Caller::Person { person, .. } => person.name.clone(),
        Caller::Identity { .. } => None,
    }
}

/// A text as a query's value.
pub(crate) fn encoded(text: &str) -> String {
    let pair = serde_urlencoded::to_string([("", text)]).unwrap_or_default();
    pair.strip_prefix('=').unwrap_or_default().to_owned()
}
