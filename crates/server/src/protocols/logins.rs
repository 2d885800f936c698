//! Logins just in time (R58): an identity asks for one as it asks for a token, and waits until it stands at its target.
//!
//! A login takes as long as its target does. Whoever asks waits for some seconds; then the answer is 202 with the login's
//! id, and they ask again by that. The secret is in one answer, and in no other.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenure_core::base::problem::Reason;
use tenure_engine::credentials::logins::{self, LoginAnswer, LoginAsk};
use tenure_engine::credentials::token::ask::{Grant, Presented, TokenAsk};
use tenure_engine::kernel::error::OpError;

use crate::app::App;
use crate::contract::api::Api;
use crate::contract::query::Path;
use crate::contract::reply::Raw;
use crate::contract::source::Source;
use crate::protocols::oauth::{Form, OAuthError, TokenReply, client_proof, oauth_error};

/// How long an asker waits at most for one answer.
const WAIT: Duration = Duration::from_secs(10);
/// How soon a login is looked for again, at first and at most, where another replica may have made it.
const PAUSE: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(200));

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.post("/env/{environment}/logins", "Asks for a login at a target, made just in time.", ask)
}

async fn ask(
    State(app): State<App>,
    Path(environment): Path<String>,
    Source(source): Source,
    request: Request,
) -> Result<Raw<TokenReply>, OAuthError> {
    let form = Form::read(request, &app).await?;
    let Some(proof) = client_proof(&form)? else {
        app.kernel.count_stranger(Reason::ProofMissing, &source);
        return Err(OAuthError::no_proof(&form));
    };
    let number = |name: &str| {
        let parsed = form.get(name).map(str::parse).transpose();
        parsed.map_err(|_| OAuthError::invalid_request(format!("{name} is a number of seconds")))
    };
    let login = form.get("login").map(str::parse).transpose();
    let ask = LoginAsk {
        ttl: number("ttl")?,
        request_id: form.get("request_id").map(str::to_owned),
        login: login.map_err(|_| OAuthError::invalid_request("login is the id of one that was asked for before"))?,
        token: TokenAsk {
            environment,
            client_id: form.get("client_id").map(str::to_owned),
            proof,
            resource: form.get("resource").map(str::to_owned),
            scope: form.get("scope").map(str::to_owned),
            authorization_details: form.get("authorization_details").map(str::to_owned),
            grant: Grant::Own,
            sender: Presented::default(),
            source,
        },
    };
    let failure = |error: OpError| oauth_error(error, "invalid_client");
    let (identity, id) = logins::ask_for_login(&app.kernel, ask).await.map_err(failure)?;
    let wait = logins::await_login(&app.kernel, id);
    let (mut waited, mut pause) = (Duration::ZERO, PAUSE.0);
    loop {
        match logins::fetch_login(&app.kernel, identity, id).await.map_err(failure)? {
            LoginAnswer::Issued(issued) => return Ok(unstored((StatusCode::OK, Json(issued)).into_response()).into()),
            LoginAnswer::Awaited if waited >= WAIT => {
                let awaited = logins::awaited(&app.kernel, id).await.map_err(failure)?;
                return Ok(unstored((StatusCode::ACCEPTED, Json(awaited)).into_response()).into());
            }
            LoginAnswer::Awaited => wait.for_at_most(pause).await,
        }
        waited += pause;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// What no cache on the way keeps.
fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
