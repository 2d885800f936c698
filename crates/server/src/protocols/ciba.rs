//! OpenID CIBA Core 1.0 in shape: a client asks for more while it runs, and fetches the answer at the token endpoint
//! (R56).
//!
//! What differs: nobody logs in. Whom to ask is the charter's and policy's to say and no hint's; what is asked for
//! comes as `authorization_details` (RFC 9396), and `binding_message` is the purpose that the approvers read.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;
use tenure_core::base::problem::Reason;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::backchannel::{self, BackchannelAsk};

use crate::app::App;
use crate::contract::api::Api;
use crate::contract::query::Path;
use crate::contract::reply::Raw;
use crate::contract::source::Source;
use crate::protocols::oauth::{Form, OAuthError, TokenReply, client_proof, oauth_error};

/// The grant type under which the answer is fetched.
pub(super) const GRANT: &str = "urn:openid:params:grant-type:ciba";

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.post(
        "/env/{environment}/bc-authorize",
        "Asks people for more authority while running (OpenID CIBA).",
        authorize,
    )
}

async fn authorize(
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
    if form.get("request").is_some() {
        return Err(OAuthError::invalid_request("signed requests are not taken: send the parameters in the form"));
    }
    let requested_expiry = form.get("requested_expiry").map(str::parse).transpose();
    let requested_expiry =
        requested_expiry.map_err(|_| OAuthError::invalid_request("requested_expiry is a number of seconds"))?;
    let ask = BackchannelAsk {
        environment,
        client_id: form.get("client_id").map(str::to_owned),
        proof,
        authorization_details: form.must("authorization_details")?.to_owned(),
        binding_message: form.get("binding_message").unwrap_or_default().to_owned(),
        requested_expiry,
        client_notification_token: form.get("client_notification_token").map(str::to_owned),
        source,
    };
    let opened = backchannel::ask_for_more(&app.kernel, ask).await.map_err(failure)?;
    let answer = json!({
        "auth_req_id": opened.auth_req_id,
        "expires_in": opened.expires_in,
        "interval": opened.interval,
        "request": opened.request,
    });
    Ok(Json(answer).into_response().into())
}

/// How a refusal reads here (CIBA §13, RFC 9396 §5).
fn failure(error: OpError) -> OAuthError {
    let code = match &error {
        OpError::Invalid(fields) => fields.first().map(|field| match field.field.as_str() {
            "binding_message" => "invalid_binding_message",
            "requested_expiry" | "client_notification_token" => "invalid_request",
            _ => "invalid_authorization_details",
        }),
        OpError::Refused { reason, .. } => match reason {
            Reason::IntentMissing | Reason::OutsideIntent => Some("invalid_authorization_details"),
            Reason::NoRoute | Reason::NotAllowed => Some("access_denied"),
            _ => None,
        },
        _ => None,
    };
    let mut failure = oauth_error(error, "invalid_client");
    failure.error = code.unwrap_or(failure.error);
    if failure.error == "access_denied" {
        failure.status = StatusCode::FORBIDDEN;
    }
    failure
}
