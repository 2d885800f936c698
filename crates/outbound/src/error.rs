//! Why a request didn't come to an answer.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::StatusCode;

/// Why a request has no answer that can be used; for operators, not for callers. It never holds the URL, in which
/// receivers have their secrets.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The destination is no URL.
    #[error("{0}")]
    Url(String),
    /// The destination's URL names a user or a password.
    #[error("a URL with a user or a password is not fetched")]
    UserInUrl,
    /// The destination's URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// The destination's URL has no port, and its scheme none that is known.
    #[error("the URL has no port")]
    NoPort,
    /// The destination's name can't be resolved.
    #[error("resolving {host}: {why}")]
    Unresolved {
        /// The name.
        host: String,
        /// What the resolver says.
        why: io::Error,
    },
    /// The destination's name has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// An address of the destination is neither public nor allowed by the operator (S-17).
    #[error("{host} leads to {address}, which may not be reached by {scheme}")]
    Forbidden {
        /// The name.
        host: String,
        /// The first address that may not be reached.
        address: IpAddr,
        /// The URL's scheme: `http` reaches only what the operator lists.
        scheme: String,
    },
    /// The certificate authorities that a server should be checked against can't be read.
    #[error("its certificate authorities can't be used: {0}")]
    Authorities(String),
    /// A header's value can't be sent.
    #[error("{0}")]
    Header(String),
    /// A form's fields can't be written.
    #[error("{0}")]
    Form(String),
    /// The connection failed, or what came over it is no HTTP.
    #[error("{0}")]
    Transport(String),
    /// The exchange took longer than its bound.
    #[error("it took longer than {} s", .0.as_secs_f32())]
    TooSlow(Duration),
    /// The answer's body is longer than the caller's limit in bytes.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// The answer's status is none that was asked for.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// The answer to a form is no JSON.
    #[error("it answered with status {} and no JSON: {why}", .status.as_u16())]
    FormNotJson {
        /// The answer's status.
        status: StatusCode,
        /// What the reader says.
        why: serde_json::Error,
    },
    /// The document is no JSON.
    #[error("it is not JSON: {0}")]
    NotJson(serde_json::Error),
}

/// What a failed connection says, with its causes and without the URL.
pub(crate) fn failed(error: reqwest::Error) -> OutboundError {
    use std::error::Error as _;

    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    OutboundError::Transport(text)
}
