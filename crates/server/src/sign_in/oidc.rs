//! To a provider and back.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use tenure_core::base::problem::Reason;
use tenure_engine::kernel::error::OpError;
use tenure_engine::people::oidc::{self, BeginOidc, Returned};

use crate::app::App;
use crate::caller::cookie::Cookie;
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::query::{Path, Query};
use crate::contract::reply::id;
use crate::contract::source::Source;
use crate::limits::attempts::Attempt;
use crate::sign_in::browser::Browser;
use crate::sign_in::problem::sign_in_problem;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/sign-in/oidc/callback", get(callback)).page("/sign-in/oidc/{provider}", get(begin))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    return_to: Option<String>,
    #[serde(default)]
    fresh: bool,
    #[serde(default)]
    link: bool,
}

async fn begin(
    State(app): State<App>,
    Source(source): Source,
    Browser(caller): Browser,
    headers: HeaderMap,
    Path(provider): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    app.sign_ins.count(Attempt::Provider { source: &source })?;
    let ask = BeginOidc {
        return_to: asked.return_to,
        fresh: asked.fresh,
        invitation: Cookie::Invitation.read(&app, &headers),
        link: asked.link,
    };
    let provider = match id(&provider, "sign-in provider") {
        Ok(provider) => provider,
        Err(failure) => return Ok(sign_in_problem(failure)),
    };
    match oidc::begin_oidc(&app.kernel, caller.as_ref(), provider, ask).await {
        Ok(begun) => {
            let cookie = Cookie::Pending.set(&app, &begun.sealed);
            Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(&begun.location)).into_response())
        }
        Err(error) => Ok(sign_in_problem(error.into())),
    }
}

/// What a provider adds of its own (`session_state`, `scope`, …) is left alone (RFC 6749 §4.1.2).
async fn callback(
    State(app): State<App>,
    Source(source): Source,
    Browser(caller): Browser,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
) -> Result<Response, Failure> {
    let sealed = Cookie::Pending.read(&app, &headers);
    app.sign_ins.count(match &sealed {
        Some(sealed) if oidc::began_oidc(&app.kernel, sealed, &returned) => Attempt::Flow(sealed),
        _ => Attempt::NoFlow { source: &source },
    })?;
    let over =
        [(header::SET_COOKIE, Cookie::Pending.clear(&app)), (header::SET_COOKIE, Cookie::Invitation.clear(&app))];
    let Some(sealed) = sealed else {
        app.kernel.count_stranger(Reason::SignInFailed, &source);
        return Ok(sign_in_problem(OpError::Unauthenticated(Reason::SignInFailed).into()));
    };
    match oidc::finish_oidc(&app.kernel, caller.as_ref(), &sealed, returned, &source).await {
        Ok(signed_in) => {
            let session = [(header::SET_COOKIE, Cookie::Session.set(&app, &signed_in.secret))];
            let to = signed_in.return_to.unwrap_or_else(|| "/".into());
            Ok((AppendHeaders(over), AppendHeaders(session), Redirect::to(&to)).into_response())
        }
        Err(error) => Ok((AppendHeaders(over), sign_in_problem(error.into())).into_response()),
    }
}
