//! The few pages that the server renders: text is escaped as it is put in, and no page runs or loads anything but the
//! server's own files.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenure_api::problem::Problem;

use crate::contract::error::Failure;

/// The look of the pages, dark and light.
pub(crate) const STYLE: &str = include_str!("sign-in.css");

/// Markup in the making.
#[derive(Default)]
pub(crate) struct Html(String);

impl Html {
    /// Adds markup that is written here.
    pub(crate) fn raw(mut self, markup: &'static str) -> Self {
        self.0.push_str(markup);
        self
    }

    /// Adds somebody's text as what it looks like, good between tags and inside a quoted attribute.
    pub(crate) fn text(mut self, text: &str) -> Self {
        for character in tenure_core::base::text::lines(text).chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// Adds what was made before.
    pub(crate) fn part(mut self, part: Self) -> Self {
        self.0.push_str(&part.0);
        self
    }
}

/// A whole page. Its forms go to this server; `loopback_forms` lets one lead on to a port of the reader's own machine.
pub(crate) fn page(status: StatusCode, title: &'static str, body: Html, loopback_forms: bool) -> Response {
    let html = Html::default()
        .raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>")
        .raw(title)
        .raw(" · Tenure</title>\n<link rel=\"stylesheet\" href=\"/assets/sign-in.css\">\n<script src=\"/assets/sign-in.js\" defer></script>\n</head>\n<body>\n<main>\n<h1>")
        .raw(title)
        .raw("</h1>\n")
        .part(body)
        .raw("<p id=\"message\" role=\"alert\"></p>\n</main>\n</body>\n</html>\n");
    let policy = if loopback_forms {
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self' http://127.0.0.1:*; frame-ancestors 'none'; base-uri 'none'"
    } else {
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    };
    let mut response = (status, html.0).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    response
}

/// The page of what did not work; `after` is markup that stands at its end.
pub(crate) fn problem(failure: Failure, after: &'static str) -> Response {
    let Problem { status, code, detail, hint, .. } = *failure.0;
    let body = Html::default()
        .raw("<p class=\"problem\">")
        .text(&detail.unwrap_or_else(|| code.replace('_', " ")))
        .raw("</p>\n<p>")
        .text(&hint.unwrap_or_default())
        .raw("</p>\n<p><small>")
        .text(&code)
        .raw("</small></p>\n")
        .raw(after);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    page(status, "That did not work", body, false)
}

/// A text as a query's value.
pub(crate) fn encoded(text: &str) -> String {
    let pair = serde_urlencoded::to_string([("", text)]).unwrap_or_default();
    pair.strip_prefix('=').unwrap_or_default().to_owned()
}

/// A sign-in that did not work, as a page.
pub(crate) fn sign_in_problem(failure: Failure) -> Response {
    problem(failure, "<a class=\"choice\" href=\"/sign-in\">Back to the sign-in page</a>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let html = Html::default().raw("<p title=\"").text("\"><script>'&").raw("\">");
        assert_eq!(html.0, "<p title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\">");
    }
}
