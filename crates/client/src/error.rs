//! What can go wrong with a request.

use reqwest::{Response, header};
use serde::Deserialize;
use tenure_api::problem::Problem;

/// Why a request gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused it, with a problem body (RFC 9457).
    #[error("{}", summary(.0))]
    Problem(Box<Problem>),
    /// An OAuth endpoint refused it (RFC 6749 §5.2).
    #[error("{}: {}", .0.error, .0.description)]
    OAuth(Box<OAuthFailure>),
    /// The server was not reached, or the connection broke; whether anything was done is not known.
    #[error("{0}")]
    Transport(String),
    /// The server answered with something that this client doesn't understand.
    #[error("{0}")]
    Unexpected(String),
    /// The client can't be made as it was asked to be; nothing was sent.
    #[error("{0}")]
    Configuration(String),
}

/// What an OAuth endpoint says when it refuses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OAuthFailure {
    /// The HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// The registered error code, e.g. `invalid_client`.
    pub error: String,
    /// What happened, for people.
    #[serde(rename = "error_description", default)]
    pub description: String,
    /// Tenure's own reason, e.g. `identity_suspended`.
    #[serde(default)]
    pub reason_code: Option<String>,
    /// The policies that determined the answer.
    #[serde(default)]
    pub policies: Vec<String>,
}

impl ClientError {
    /// The HTTP status, where the server gave one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::OAuth(failure) => Some(failure.status),
            Self::Transport(_) | Self::Unexpected(_) | Self::Configuration(_) => None,
        }
    }

    /// Tenure's stable code of why it was refused, where the server gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            Self::OAuth(failure) => failure.reason_code.as_deref(),
            Self::Transport(_) | Self::Unexpected(_) | Self::Configuration(_) => None,
        }
    }

    /// Says each cause once; the library's own text repeats none of them.
    pub(crate) fn transport(error: &reqwest::Error) -> Self {
        let url = error.url().map(|url| format!("{}://{}", url.scheme(), url.authority())).unwrap_or_default();
        let mut text = match error {
            error if error.is_timeout() => format!("{url} took too long to answer"),
            error if error.is_connect() => format!("can't reach {url}"),
            error if error.is_builder() => "the connection can't be prepared".to_owned(),
            _ => format!("the connection to {url} broke"),
        };
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            let next = inner.source();
            // The innermost cause is the one that says something.
            if next.is_none() {
                text.push_str(&format!(": {inner}"));
            }
            cause = next;
        }
        Self::Transport(text)
    }
}

fn summary(problem: &Problem) -> String {
    match &problem.detail {
        Some(detail) => format!("{}: {detail}", problem.title),
        None => problem.title.clone(),
    }
}

/// Reads a refusal.
pub(crate) async fn refused(response: Response) -> ClientError {
    let status = response.status().as_u16();
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/problem+json"));
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return ClientError::transport(&error),
    };
    if is_problem && let Ok(problem) = serde_json::from_slice::<Problem>(&body) {
        return ClientError::Problem(Box::new(problem));
    }
    match serde_json::from_slice::<OAuthFailure>(&body) {
        Ok(failure) => ClientError::OAuth(Box::new(OAuthFailure { status, ..failure })),
        Err(_) => {
            ClientError::Unexpected(format!("the server answered {status} without saying why; is it a Tenure server?"))
        }
    }
}
