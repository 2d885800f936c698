//! Where sources deliver: webhooks by their platforms' own rules, and security event tokens by push (RFC 8935).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tenure_api::problem::Problem;
use tenure_core::base::problem::Reason;
use tenure_credentials::jose::JoseError;
use tenure_credentials::signal::SetError;
use tenure_engine::kernel::error::OpError;
use tenure_engine::signals::reception::{self, Delivery, NotTaken};

use crate::app::App;
use crate::contract::api::Api;
use crate::contract::body::body_within;
use crate::contract::error::{Failure, problem_of};
use crate::contract::query::Path;
use crate::contract::reply::{Media, Raw};
use crate::contract::source::Source;

/// The largest delivery in bytes.
const MAX_DELIVERY: usize = 1024 * 1024;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post_within(
        "/signals/{source}",
        "Takes a delivery of signals from a source, as the platform makes it.",
        MAX_DELIVERY,
        deliver,
    )
}

/// What became of a delivery.
struct Taken;

impl Media for Taken {
    const STATUS: StatusCode = StatusCode::ACCEPTED;
    const TYPE: Option<&'static str> = Some("application/json");
}

async fn deliver(
    State(app): State<App>,
    Path(source): Path<String>,
    Source(from): Source,
    request: Request,
) -> Result<Raw<Taken>, Failure> {
    let headers = request.headers().clone();
    let body = body_within(request, &app, "send at most 1 MiB in one delivery").await?;
    let plain: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())).collect();
    let delivery = Delivery { source: &source, headers: &plain, body: &body, from: &from };
    let taken = reception::take_delivery(&app.kernel, delivery).await;
    // Which rules a reply follows depends on what was sent, not on which source there is.
    if is_set(&headers) {
        return match taken {
            Ok(_) => Ok(StatusCode::ACCEPTED.into_response().into()),
            Err(failure) => set_failure(failure).map(Raw::from),
        };
    }
    match taken {
        Ok(taken) => Ok((StatusCode::ACCEPTED, Json(taken)).into_response().into()),
        Err(NotTaken::Token(_)) => Err(OpError::Unauthenticated(Reason::SignalNotAuthentic).into()),
        // Its sender is a platform and can mend nothing: what it sent can't be read.
        Err(NotTaken::Refused(error @ OpError::Invalid(_))) => {
            Err(Failure::of(Problem { status: 400, ..problem_of(error) }))
        }
        Err(NotTaken::Refused(error)) => Err(error.into()),
    }
}

fn is_set(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/secevent+jwt")
}

/// A failure as RFC 8935, section 2.3, has it; what is not the token's fault stays what it is.
fn set_failure(failure: NotTaken) -> Result<Response, Failure> {
    let (err, description) = match failure {
        NotTaken::Token(error) => (set_error(error), error.to_string()),
        NotTaken::Refused(OpError::Unauthenticated(reason)) => ("authentication_failed", reason.hint().to_owned()),
        NotTaken::Refused(OpError::Refused { reason: reason @ Reason::SignalOutsideSource, detail, .. }) => {
            ("access_denied", detail.unwrap_or_else(|| reason.hint().to_owned()))
        }
        NotTaken::Refused(OpError::Invalid(fields)) => {
            let hints: Vec<String> = fields.into_iter().map(|field| field.hint).collect();
            ("invalid_request", hints.join("; "))
        }
        NotTaken::Refused(other) => return Err(other.into()),
    };
    Ok((StatusCode::BAD_REQUEST, Json(json!({"err": err, "description": description}))).into_response())
}

/// The error codes of RFC 8935, section 2.4.
const fn set_error(error: SetError) -> &'static str {
    match error {
        SetError::Jose(JoseError::IssuerWrong) => "invalid_issuer",
        SetError::Jose(JoseError::AudienceWrong) => "invalid_audience",
        SetError::Jose(
            JoseError::KeyUnknown | JoseError::KidMissing | JoseError::AlgNotAllowed | JoseError::HeaderKeyRefused,
        ) => "invalid_key",
        SetError::Jose(JoseError::SignatureInvalid) => "authentication_failed",
        _ => "invalid_request",
    }
}
