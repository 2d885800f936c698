//! Passkeys: the two ceremonies of Web Authentication, the script that runs them in a browser, and one's own passkeys.
//!
//! A ceremony's start goes into a cookie, and its end has to bring it back from a page of this server: an answer that
//! somebody else's browser made opens nothing here.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::post;
use tenure_api::passkeys::{AuthenticationResponse, PasskeyUsed, PasskeyView, RegisterFinish, RegisterStart};
use tenure_api::views::Page;
use tenure_core::base::problem::Reason;
use tenure_core::store::secret::Secret;
use tenure_engine::kernel::error::OpError;
use tenure_engine::people::passkeys::{self, Begun, assertion};

use crate::app::App;
use crate::caller::cookie::{Cookie, must_be_same_origin};
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::{Body, OptionalBody};
use crate::contract::error::Failure;
use crate::contract::query::{NoParameters, Path, Query};
use crate::contract::reply::{Reply, id, ok};
use crate::contract::source::Source;
use crate::limits::attempts::Attempt;
use crate::sign_in::browser::Browser;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/sign-in/passkey/start", post(start))
        .page("/sign-in/passkey/finish", post(finish))
        .page("/sign-in/passkey/register-start", post(register_start))
        .page("/sign-in/passkey/register-finish", post(register_finish))
        .get("/v1/passkeys", "Lists one's own passkeys.", list)
        .post("/v1/passkeys/{id}/remove", "Removes a passkey.", remove)
}

async fn start(
    State(app): State<App>,
    Source(source): Source,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    must_be_same_origin(&app, &method, &headers)?;
    app.sign_ins.count(Attempt::Passkey { source: &source })?;
    Ok(begun(&app, assertion::begin_passkey_sign_in(&app.kernel)?))
}

async fn finish(
    State(app): State<App>,
    Source(source): Source,
    method: Method,
    headers: HeaderMap,
    Body(answer): Body<AuthenticationResponse>,
) -> Result<Response, Failure> {
    must_be_same_origin(&app, &method, &headers)?;
    let flow = flow(&app, &headers, &source)?;
    let signed_in = assertion::finish_passkey_sign_in(&app.kernel, &flow, &answer, &source).await?;
    let used = PasskeyUsed {
        person: signed_in.session.person,
        passkey: signed_in.passkey,
        session_expires_at: Some(signed_in.session.expires_at),
    };
    Ok(over(&app, StatusCode::OK, Some(&signed_in.secret), used))
}

async fn register_start(
    State(app): State<App>,
    Source(source): Source,
    Browser(caller): Browser,
    method: Method,
    headers: HeaderMap,
    OptionalBody(ask): OptionalBody<RegisterStart>,
) -> Result<Response, Failure> {
    must_be_same_origin(&app, &method, &headers)?;
    app.sign_ins.count(Attempt::Passkey { source: &source })?;
    let invitation = ask.invitation.or_else(|| Cookie::Invitation.read(&app, &headers));
    let result = passkeys::begin_passkey(&app.kernel, caller.as_ref(), invitation.as_deref()).await;
    Ok(begun(&app, counted(&app, &source, result)?))
}

async fn register_finish(
    State(app): State<App>,
    Source(source): Source,
    Browser(caller): Browser,
    method: Method,
    headers: HeaderMap,
    Body(mut ask): Body<RegisterFinish>,
) -> Result<Response, Failure> {
    must_be_same_origin(&app, &method, &headers)?;
    let flow = flow(&app, &headers, &source)?;
    ask.invitation = ask.invitation.or_else(|| Cookie::Invitation.read(&app, &headers));
    let result = passkeys::finish_passkey(&app.kernel, caller.as_ref(), &flow, &ask).await;
    let registered = counted(&app, &source, result)?;
    let session = registered.session.as_ref();
    let used = PasskeyUsed {
        person: registered.passkey.person,
        session_expires_at: session.map(|(_, session)| session.expires_at),
        passkey: registered.passkey,
    };
    Ok(over(&app, StatusCode::CREATED, session.map(|(secret, _)| secret), used))
}

async fn list(State(app): State<App>, Operator(caller): Operator, _: Query<NoParameters>) -> Reply<Page<PasskeyView>> {
    ok(passkeys::passkeys(&app.kernel, &caller).await?)
}

async fn remove(State(app): State<App>, Operator(caller): Operator, Path(passkey): Path<String>) -> Reply<PasskeyView> {
    ok(passkeys::remove_passkey(&app.kernel, &caller, id(&passkey, "passkey")?).await?)
}

/// The options for the browser's authenticator, and the cookie that has to come back with the answer.
fn begun(app: &App, begun: Begun) -> Response {
    let cookie = Cookie::Passkey.set(app, &begun.flow);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Json(begun.options)).into_response()
}

/// The end of a ceremony, with the session that it began.
fn over(app: &App, status: StatusCode, session: Option<&Secret<String>>, used: PasskeyUsed) -> Response {
    let mut response = (status, Json(used)).into_response();
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, Cookie::Passkey.clear(app));
    headers.append(header::SET_COOKIE, Cookie::Invitation.clear(app));
    if let Some(secret) = session {
        headers.append(header::SET_COOKIE, Cookie::Session.set(app, secret));
    }
    response
}

/// The ceremony that this browser began.
fn flow(app: &App, headers: &HeaderMap, source: &str) -> Result<String, Failure> {
    let flow = Cookie::Passkey.read(app, headers);
    app.sign_ins.count(match &flow {
        Some(flow) if passkeys::began_passkey_flow(&app.kernel, flow) => Attempt::Flow(flow),
        _ => Attempt::NoFlow { source },
    })?;
    flow.ok_or_else(|| {
        app.kernel.count_stranger(Reason::ProofMissing, source);
        OpError::Unauthenticated(Reason::ProofMissing).into()
    })
}

/// Counts the refusal of somebody who isn't known yet.
fn counted<T>(app: &App, source: &str, result: Result<T, OpError>) -> Result<T, Failure> {
    result.map_err(|error| {
        if let OpError::Unauthenticated(reason) | OpError::Refused { reason, .. } = &error {
            app.kernel.count_stranger(*reason, source);
        }
        error.into()
    })
}
