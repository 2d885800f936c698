//! Cookies: the session of a browser, and what a sign-in needs on its way.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use tenure_api::problem::Problem;
use tenure_core::base::time::Span;
use tenure_core::people::sign_in::SESSION_LIFE;
use tenure_core::store::secret::Secret;
use tenure_engine::people::oidc::PENDING_LIFE;

use crate::app::App;
use crate::contract::error::Failure;

/// What a cookie of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// A browser's session.
    Session,
    /// A sign-in that is under way at a provider, sealed.
    Pending,
    /// An invitation that was entered, until a sign-in is bound with it.
    Invitation,
    /// A ceremony with a passkey that is under way.
    Passkey,
}

impl Cookie {
    /// The name. With TLS the prefix `__Host-` keeps neighbours under the same domain from setting it (RFC 6265bis
    /// §4.1.3.2).
    const fn name(self, tls: bool) -> &'static str {
        match (self, tls) {
            (Self::Session, true) => "__Host-tenure",
            (Self::Session, false) => "tenure-session",
            (Self::Pending, true) => "__Host-tenure-pending",
            (Self::Pending, false) => "tenure-pending",
            (Self::Invitation, true) => "__Host-tenure-invitation",
            (Self::Invitation, false) => "tenure-invitation",
            (Self::Passkey, true) => "__Host-tenure-passkey",
            (Self::Passkey, false) => "tenure-passkey",
        }
    }

    const fn life(self) -> Span {
        match self {
            Self::Session => SESSION_LIFE,
            Self::Pending | Self::Invitation | Self::Passkey => PENDING_LIFE,
        }
    }

    /// The header that sets it.
    pub(crate) fn set(self, app: &App, value: &Secret<String>) -> HeaderValue {
        self.header(app, value.expose(), self.life().as_secs())
    }

    /// The header that takes it away.
    pub(crate) fn clear(self, app: &App) -> HeaderValue {
        self.header(app, "", 0)
    }

    fn header(self, app: &App, value: &str, seconds: i64) -> HeaderValue {
        let tls = has_tls(app);
        let secure = if tls { "; Secure" } else { "" };
        let text = format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", self.name(tls));
        // Values are base64url and dots, so the text is always a header.
        let mut header = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }

    /// The value that a request brings. Of two with the same name none is taken: one of them is not ours.
    pub(crate) fn read(self, app: &App, headers: &HeaderMap) -> Option<String> {
        let name = self.name(has_tls(app));
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut found = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(given, value)| *given == name && !value.is_empty());
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value.to_owned()),
            _ => None,
        }
    }
}

fn has_tls(app: &App) -> bool {
    app.kernel.settings().public_url.starts_with("https://")
}

/// Demands that a request which a cookie speaks for was made by a page of this server, unless it only reads. A browser
/// says where a request comes from (Fetch Metadata, or `Origin` in older ones); one that says neither is refused.
pub(crate) fn must_be_same_origin(app: &App, method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let same = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(given)) => given == origin(&app.kernel.settings().public_url),
        (None, None) => false,
    };
    if same {
        return Ok(());
    }
    Err(Failure::of(
        Problem::new(403, "cross_site", "not from here")
            .detail("the request didn't come from a page of this server, and a cookie speaks for nothing else")
            .hint("use the pages under the server's public URL, or a bearer token"),
    ))
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(after..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| after + at);
    url.get(..end).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_ends_with_the_port() {
        assert_eq!(origin("https://tenure.example.com"), "https://tenure.example.com");
        assert_eq!(origin("http://127.0.0.1:8420/under/here"), "http://127.0.0.1:8420");
    }
}
