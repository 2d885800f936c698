//! The command line's sign-in: the browser agrees, and hands a code to a port of its own machine (RFC 8252 §7.3).

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use tenure_api::sign_in::{CliExchange, CliSession};
use tenure_console::address::encoded;
use tenure_console::door::CommandLine;
use tenure_engine::people::cli_sign_in;

use crate::app::App;
use crate::contract::api::Api;
use crate::contract::body::{Body, Form};
use crate::contract::error::Failure;
use crate::contract::page::loopback_page;
use crate::contract::query::Query;
use crate::contract::reply::{New, created};
use crate::contract::source::Source;
use crate::limits::attempts::Attempt;
use crate::sign_in::browser::{Browser, name};
use crate::sign_in::problem::sign_in_problem;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/sign-in/cli", get(ask).post(agree)).post(
        "/sign-in/cli/token",
        "Redeems the code of a command line's sign-in.",
        redeem,
    )
}

/// What the command line asks for.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Where it listens on the loopback address.
    port: std::num::NonZeroU16,
    /// SHA-256 of its verifier, base64url.
    challenge: String,
    /// Whether the person has to have signed in just now.
    #[serde(default)]
    fresh: bool,
}

async fn ask(State(app): State<App>, Browser(caller): Browser, Query(asked): Query<Asked>) -> Response {
    let Some(caller) = caller.filter(|caller| !asked.fresh || cli_sign_in::is_recent(&app.kernel, caller)) else {
        let fresh = if asked.fresh { "&fresh=true" } else { "" };
        let back = format!("/sign-in/cli?port={}&challenge={}{fresh}", asked.port, encoded(&asked.challenge));
        return Redirect::to(&format!("/sign-in?return_to={}{fresh}", encoded(&back))).into_response();
    };
    let name = name(&caller).unwrap_or_default();
    loopback_page(&CommandLine { name, port: asked.port.get(), challenge: asked.challenge })
}

async fn agree(State(app): State<App>, Browser(caller): Browser, Form(asked): Form<Asked>) -> Response {
    let Some(caller) = caller else {
        return Redirect::to("/sign-in").into_response();
    };
    match cli_sign_in::cli_code(&app.kernel, &caller, &asked.challenge) {
        Ok(code) => Redirect::to(&format!("http://127.0.0.1:{}/?code={}", asked.port, code.expose())).into_response(),
        Err(error) => sign_in_problem(error.into()),
    }
}

async fn redeem(State(app): State<App>, Source(source): Source, Body(ask): Body<CliExchange>) -> New<CliSession> {
    app.sign_ins.count(Attempt::CommandLine { source: &source })?;
    created(cli_sign_in::redeem_cli_code(&app.kernel, &ask, &source).await.map_err(Failure::from)?)
}
