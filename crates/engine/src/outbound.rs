//! The port to the outside. The edge resolves once, checks the address, connects to it, follows no redirect,
//! and bounds size and time (S-17).

use tenure_core::port::BoxFuture;

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
    /// The body of a JSON document at an https URL (or http where the operator allowed its address), at most `limit` bytes.
    fn get<'a>(&'a self, url: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>>;
}

/// Carries checkpoints to places outside, so that a rollback is noticed by others.
pub trait Push: Send + Sync {
    /// Where it goes, for messages.
    fn target(&self) -> String;
    /// Hands over a signed checkpoint; the same one may come twice.
    fn push<'a>(&'a self, checkpoint: &'a str) -> BoxFuture<'a, Result<(), FetchError>>;
}
