//! Errors as responses: a problem body (RFC 9457) with a stable code. What is internal goes to the server's log only.

use std::any::Any;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenure_api::problem::Problem;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::Span;
use tenure_engine::kernel::error::OpError;

use crate::contract::{challenge, request_id};

/// A failed request.
#[derive(Debug)]
pub(crate) struct Failure(pub Box<Problem>);

impl From<OpError> for Failure {
    fn from(error: OpError) -> Self {
        Self::of(problem_of(error))
    }
}

impl Failure {
    pub(crate) fn of(problem: Problem) -> Self {
        Self(Box::new(problem))
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::of(Problem::new(400, "request_malformed", "the request can't be read").detail(detail))
    }
}

/// The problem that a caller sees.
pub(crate) fn problem_of(error: OpError) -> Problem {
    match error {
        OpError::Invalid(mut fields) => {
            let count = fields.len();
            fields.truncate(FieldProblem::MAX);
            let first = if count > fields.len() {
                format!(", the first {} are named", fields.len())
            } else {
                String::new()
            };
            Problem::new(422, "fields_invalid", "fields are missing or wrong")
                .detail(format!("{count} field(s) are missing or wrong{first}"))
                .fields(fields)
        }
        OpError::Refused {
            reason,
            detail,
            answer,
            retry_after,
        } => {
            let mut problem = Problem::refusal(status_of(reason), reason);
            problem.detail = detail;
            problem.retry_after = retry_after.map(whole_seconds);
            if let Some(answer) = answer {
                problem.policies = answer.policies().to_vec();
                problem.policy_version = Some(answer.version().to_owned());
            }
            problem
        }
        OpError::Unauthenticated(reason) => Problem::refusal(401, reason),
        OpError::NotFound(what) => Problem::new(404, "not_found", "not found").detail(format!("there is no such {what}")),
        OpError::Taken { what } => Problem::new(409, "taken", "already taken")
            .detail(format!("this {what} is taken, be it by something that has ended"))
            .hint(format!("choose another {what}: they are never reassigned")),
        OpError::Stale(Some(revision)) => Problem::new(412, "revision_changed", "somebody changed it meanwhile")
            .detail(format!("the record is at revision {revision} now"))
            .hint("read it again and repeat the change with the new ETag"),
        OpError::Stale(None) => Problem::new(412, "revision_changed", "there is no such record")
            .detail("If-Match is about a record that is there")
            .hint("leave If-Match out to make it"),
        OpError::Unconditional => Problem::new(428, "if_match_required", "say which revision the change is meant for")
            .hint("read the record and send its ETag, which is its `revision` in quotes, as If-Match; `*` is whatever it is now"),
        OpError::Repeated => {
            Problem::new(409, "request_repeated", "the same request is being carried out").hint("send it again in a second: it gets the answer of the first")
        }
        OpError::Setup(why) => {
            let hint = if why.contains("has not been done") {
                "open the server's address in a browser, or run `tenure setup`"
            } else {
                "sign in; who can't asks an administrator for an invitation (`tenure person invite`); where none is left, `tenure recover`"
            };
            Problem::new(409, "setup", "set-up").detail(why).hint(hint)
        }
        OpError::DiskFull => Problem::new(503, "disk_full", "the disk is full")
            .detail("only suspensions, revocations and retirements are written now")
            .hint("an operator has to make room; nothing was changed"),
        OpError::IndexBuilding { covered, size, retry_after } => {
            let mut problem = Problem::new(503, "index_building", "the log is being indexed")
                .detail(format!("{covered} of {size} entries are covered so far"))
                .hint("ask again in a few seconds: the log is read once, at some 100,000 entries a second");
            problem.retry_after = Some(whole_seconds(retry_after));
            problem
        }
        OpError::SearchBuilding { retry_after } => {
            let mut problem = Problem::new(503, "index_building", "the records are being indexed")
                .detail("more of them changed than are read for one question")
                .hint("ask again in a few seconds; by no or one filter, without `q`, `sort` and `count`, lists answer meanwhile");
            problem.retry_after = Some(whole_seconds(retry_after));
            problem
        }
        OpError::Unavailable(why) => {
            tracing::warn!(why, "a request was turned away");
            Problem::new(503, "unavailable", "unavailable for the moment").hint("try again in a second; nothing was changed")
        }
        OpError::Internal(why) => {
            tracing::error!(why, "a request failed");
            Problem::new(500, "internal", "something is wrong with the server").hint("an operator finds the cause in the server's log")
        }
    }
}

const fn status_of(reason: Reason) -> u16 {
    match reason {
        Reason::IllegalTransition
        | Reason::RequestChanged
        | Reason::PlanChanged
        | Reason::KeyAlreadyBound
        | Reason::IdentityNotActive
        | Reason::IdentitySuspended
        | Reason::RemovalTriggered
        | Reason::IdentityRetired => 409,
        Reason::TokenBound | Reason::DpopInvalid | Reason::DpopNonceNeeded => 401,
        Reason::ProofAudienceWrong
        | Reason::ProofNotNow
        | Reason::ProofTooLong
        | Reason::ProofClaimsWrong
        | Reason::CertificateEnded => 401,
        Reason::BudgetSpent | Reason::SignalsTooFast => 429,
        Reason::ClockUnreliable => 503,
        Reason::CharterIncomplete | Reason::NotWaivable | Reason::ClassMismatch | Reason::FeedTooShort => 422,
        _ => 403,
    }
}

/// The codes that answers of a status bear. Any reason may be why somebody was not let in.
pub(crate) fn codes_of(status: u16) -> Vec<&'static str> {
    let reasons =
        Reason::ALL.iter().filter(|reason| status_of(**reason) == status || status == 401).map(|reason| reason.code());
    let others = tenure_api::problem::OTHER_CODES.iter().filter(|other| other.status == status).map(|other| other.code);
    reasons.chain(others).collect()
}

/// A wait in whole seconds: what has room then has it, and nobody is told to wait for nothing.
pub(crate) fn whole_seconds(wait: Span) -> u64 {
    u64::try_from(wait.as_micros()).unwrap_or_default().div_ceil(1_000_000).max(1)
}

/// The headers that a status asks for whatever else the answer says: whether the connection goes on, and when to ask
/// again. Where nobody knows when there is room, what can't be done now is tried in a second, and what is more than one
/// may have at once in a minute.
pub(crate) fn status_headers(status: StatusCode, retry_after: Option<u64>, headers: &mut HeaderMap) {
    if status == StatusCode::REQUEST_TIMEOUT {
        // What is left of the body is not waited for (RFC 9110 §15.5.9).
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let retry_after = retry_after.or(match status {
        StatusCode::SERVICE_UNAVAILABLE => Some(1),
        StatusCode::TOO_MANY_REQUESTS => Some(60),
        _ => None,
    });
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let challenge = challenge::challenge(&self.0.code, self.0.detail.as_deref().unwrap_or_default());
        let retry_after = self.0.retry_after;
        let problem = Problem { request_id: request_id::current(), ..*self.0 };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        status_headers(status, retry_after, headers);
        response
    }
}

/// `GET /problems/{code}`: what a code means.
pub(crate) async fn page(axum::extract::Path(code): axum::extract::Path<String>) -> Result<String, Failure> {
    match tenure_api::problem::explain(&code) {
        Some(what) => Ok(format!("{code}\n\n{what}\n")),
        None => Err(Failure::of(Problem::new(404, "not_found", "not found").detail("there is no such code"))),
    }
}

pub(crate) async fn no_such_route() -> Failure {
    Failure::of(
        Problem::new(404, "route_unknown", "no such address").hint("the API is under /v1; see the documentation"),
    )
}

pub(crate) async fn method_not_allowed() -> Failure {
    Failure::of(Problem::new(405, "method_not_allowed", "the address doesn't take this method"))
}

pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Failure::of(Problem::new(500, "internal", "something is wrong with the server")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_turned_away_for_the_moment_says_when_to_come_again() {
        let told = |status, known: Option<u64>| {
            let mut headers = HeaderMap::new();
            status_headers(status, known, &mut headers);
            headers.get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(told(StatusCode::SERVICE_UNAVAILABLE, None), some("1"));
        assert_eq!(told(StatusCode::TOO_MANY_REQUESTS, None), some("60"));
        assert_eq!(told(StatusCode::TOO_MANY_REQUESTS, Some(7)), some("7"));
        assert_eq!(told(StatusCode::FORBIDDEN, None), None);
    }
}
