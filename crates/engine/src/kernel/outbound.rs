//! The port to the outside. The edge resolves once, checks the address, connects to it, follows no redirect,
//! and bounds size and time (S-17).

use std::time::Duration;

use tenure_core::store::port::BoxFuture;

/// Why something could not be fetched; for operators, not for callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fetching {url}: {why}")]
pub struct FetchError {
    /// What was fetched.
    pub url: String,
    /// What happened.
    pub why: String,
}

/// Fetches documents from issuers.
pub trait Fetch: Send + Sync {
    /// The body of a JSON document at an https URL (or http where the operator allowed its address), at most `limit`
    /// bytes.
    fn get<'a>(&'a self, url: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>>;
    /// The JSON that a form is answered with, under the same rules, whatever the status: an OAuth error is JSON with
    /// status 400.
    fn post_form<'a>(&'a self, form: Form<'a>, limit: usize) -> BoxFuture<'a, Result<Answered, FetchError>>;
    /// Whether the operator's rules keep the server from asking there: the name leads to an address that is neither
    /// public nor listed. Connects to nothing.
    fn is_forbidden<'a>(&'a self, url: &'a str) -> BoxFuture<'a, bool> {
        let _ = url;
        Box::pin(std::future::ready(false))
    }
    /// The answer to JSON that is posted with a bearer token, under the same rules, whatever the status.
    fn ask<'a>(&'a self, asking: Asking<'a>, limit: usize) -> BoxFuture<'a, Result<Answered, FetchError>> {
        let _ = limit;
        let failed = FetchError { url: asking.url.to_owned(), why: "there is no way out".to_owned() };
        Box::pin(std::future::ready(Err(failed)))
    }
    /// Posts JSON with a bearer token, under the same rules; gives the status of the answer, whose body is not read.
    fn post_json<'a>(&'a self, url: &'a str, bearer: &'a str, body: &'a str) -> BoxFuture<'a, Result<u16, FetchError>>;
}

/// A form to post. It carries secrets, so it has no `Debug`.
pub struct Form<'a> {
    /// Where to.
    pub url: &'a str,
    /// The client's id and secret for HTTP basic authentication, if that is how it authenticates.
    pub basic: Option<(&'a str, &'a str)>,
    /// The fields.
    pub fields: &'a [(&'a str, &'a str)],
}

/// JSON to post. It carries secrets, so it has no `Debug`.
pub struct Asking<'a> {
    /// Where to.
    pub url: &'a str,
    /// The certificate authorities that its certificate is checked against, in PEM; those of the system if there are
    /// none.
    pub ca: Option<&'a str>,
    /// The bearer token.
    pub bearer: &'a str,
    /// The JSON.
    pub body: &'a str,
    /// How long it may take.
    pub patience: Duration,
}

/// What was answered. It may carry tokens, so it has no `Debug`.
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The JSON.
    pub body: Vec<u8>,
}

/// Carries checkpoints to places outside, so that a rollback is noticed by others.
pub trait Push: Send + Sync {
    /// Where it goes, for messages.
    fn target(&self) -> String;
    /// The newest checkpoint of the log with this origin that is kept there: none if there is none, or the place gives
    /// nothing back.
    fn newest<'a>(&'a self, _origin: &'a str) -> BoxFuture<'a, Result<Option<String>, FetchError>> {
        Box::pin(async { Ok(None) })
    }
    /// The epochs after this one of which something is kept there, in their order.
    fn epochs_after(&self, _epoch: u64) -> BoxFuture<'_, Result<Vec<u64>, FetchError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    /// How long after a checkpoint the next one goes there, unless it shows that more happened than issuance and use.
    fn pace(&self) -> Duration {
        Duration::from_secs(5)
    }
    /// Hands over a signed checkpoint; the same one may come twice.
    fn push<'a>(&'a self, checkpoint: &'a str) -> BoxFuture<'a, Result<(), FetchError>>;
}
