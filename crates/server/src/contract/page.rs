//! Pages: how HTML is answered. No page runs or loads anything but the server's own files, stands in anybody's frame,
//! or is kept by a browser.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenure_api::problem::Problem;
use tenure_console::Template;
use tenure_console::problem::{ProblemPage, Way};
use tenure_engine::kernel::error::OpError;

use crate::contract::error::Failure;
use crate::contract::request_id;

/// What a page may run, load and send: the server's own, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// The same, where a form leads on to a port of the reader's own machine.
const LOOPBACK_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self' http://127.0.0.1:*; frame-ancestors 'none'; base-uri 'none'";

/// A page.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    answered(status, template, POLICY)
}

/// A page with a form that leads on to a port of the reader's own machine.
pub(crate) fn loopback_page(template: &impl Template) -> Response {
    answered(StatusCode::OK, template, LOOPBACK_POLICY)
}

/// The page of what did not work, with ways on.
pub(crate) fn problem_page(failure: Failure, ways: Vec<Way>) -> Response {
    let status = status_of(&failure);
    // The problem's own answer, for what its headers say of it.
    let (parts, _) = Failure(failure.0.clone()).into_response().into_parts();
    let problem = Problem { request_id: request_id::current(), ..*failure.0 };
    let mut response = page(status, &ProblemPage::new(problem, ways));
    for name in [header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// The status of a problem.
pub(crate) fn status_of(failure: &Failure) -> StatusCode {
    StatusCode::from_u16(failure.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn answered(status: StatusCode, template: &impl Template, policy: &'static str) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            return Failure::from(OpError::Internal(format!("a page can't be written: {error}"))).into_response();
        }
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Older browsers read this in place of `frame-ancestors`.
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    (status, headers, html).into_response()
}
