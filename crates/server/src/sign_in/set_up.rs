//! The set-up of a new server in a browser: the token that the server left for whoever runs it, and then a passkey.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use tenure_api::requests::Setup;
use tenure_console::door::SetUp;
use tenure_core::store::secret::Secret;
use tenure_engine::kernel::error::OpError;
use tenure_engine::people::setup;

use crate::app::App;
use crate::caller::cookie::{Cookie, must_be_same_origin};
use crate::contract::api::Api;
use crate::contract::body::{Unchecked, check_fields};
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::source::Source;
use crate::limits::attempts::Attempt;
use crate::sign_in::problem::sign_in_problem;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/set-up", get(ask).post(set_up))
}

async fn ask(State(app): State<App>) -> Result<Response, Failure> {
    if setup::is_set_up(&app.kernel).await? {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    Ok(page(StatusCode::OK, &SetUp { wrong: None, name: String::new(), email: String::new() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    setup_token: String,
    name: String,
    #[serde(default)]
    email: String,
}

/// Makes the first administrator, and keeps the invitation in this browser for the passkey that follows.
async fn set_up(
    State(app): State<App>,
    Source(source): Source,
    method: Method,
    headers: HeaderMap,
    Unchecked(asked): Unchecked<Asked>,
) -> Result<Response, Failure> {
    must_be_same_origin(&app, &method, &headers)?;
    app.sign_ins.count(Attempt::Invitation { source: &source })?;
    let (name, email) = (asked.name.trim().to_owned(), asked.email.trim().to_owned());
    let ask = Setup {
        setup_token: asked.setup_token.trim().to_owned(),
        name: name.clone(),
        email: Some(email.clone()).filter(|email| !email.is_empty()),
    };
    if let Err(failure) = check_fields(&[("name", &name), ("email", &email)]) {
        let status = status_of(&failure);
        return Ok(page(status, &SetUp { wrong: Some((*failure.0).into()), name, email }));
    }
    let invitation = match setup::set_up_in_a_browser(&app.kernel, ask).await {
        Ok(invitation) => invitation,
        Err(error @ OpError::Setup(_)) => return Ok(sign_in_problem(error.into())),
        Err(error) => {
            if let OpError::Unauthenticated(reason) = &error {
                app.kernel.count_stranger(*reason, &source);
            }
            let failure = Failure::from(error);
            let status = status_of(&failure);
            return Ok(page(status, &SetUp { wrong: Some((*failure.0).into()), name, email }));
        }
    };
    let cookie = Cookie::Invitation.set(&app, &Secret::new(invitation));
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/sign-in")).into_response())
}
