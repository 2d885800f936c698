//! Requests on their way: sent, answered, read.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use tenure_api::ownership::Edited;

use crate::error::{self, ClientError};

/// The server sends a comment every 15 seconds into a quiet stream.
const SILENCE: Duration = Duration::from_secs(45);

pub(crate) async fn send(request: RequestBuilder) -> Result<Response, ClientError> {
    let response = request.send().await.map_err(|error| ClientError::transport(&error))?;
    if response.status().is_success() { Ok(response) } else { Err(error::refused(response).await) }
}

/// A change that is meant for one revision of the record, if there is a record.
pub(crate) fn at_revision(request: RequestBuilder, revision: Option<u64>) -> RequestBuilder {
    match revision {
        Some(revision) => request.header(header::IF_MATCH, format!("\"{revision}\"")),
        None => request,
    }
}

pub(crate) async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ClientError> {
    body(send(request).await?).await
}

/// A reply that is the changed record, or the request that was opened about it.
pub(crate) async fn edited<T: DeserializeOwned>(request: RequestBuilder) -> Result<Edited<T>, ClientError> {
    let response = send(request).await?;
    Ok(if response.status() == StatusCode::CREATED {
        Edited::Asked(Box::new(body(response).await?))
    } else {
        Edited::Changed(body(response).await?)
    })
}

pub(crate) async fn body<T: DeserializeOwned>(response: Response) -> Result<T, ClientError> {
    let body = response.bytes().await.map_err(|error| ClientError::transport(&error))?;
    serde_json::from_slice(&body)
        .map_err(|error| ClientError::Unexpected(format!("the reply is not what this version knows: {error}")))
}

pub(crate) async fn text(request: RequestBuilder) -> Result<String, ClientError> {
    send(request).await?.text().await.map_err(|error| ClientError::transport(&error))
}

/// The next bytes of a stream, as long as it is not silent for too long.
pub(crate) async fn chunk(response: &mut Response) -> Result<Option<impl AsRef<[u8]> + use<>>, ClientError> {
    match tokio::time::timeout(SILENCE, response.chunk()).await {
        Ok(chunk) => chunk.map_err(|error| ClientError::transport(&error)),
        Err(_) => Err(ClientError::Transport(format!("nothing came for {} seconds", SILENCE.as_secs()))),
    }
}

/// Sends a request whose reply is a stream: the time until it begins is bounded, and each of its pauses.
pub(crate) async fn open(request: RequestBuilder) -> Result<Response, ClientError> {
    match tokio::time::timeout(SILENCE, send(request)).await {
        Ok(response) => response,
        Err(_) => Err(ClientError::Transport(format!("no reply within {} seconds", SILENCE.as_secs()))),
    }
}

/// Whether a URL's host is this machine.
pub(crate) fn is_local(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A part of a path: whatever could leave its place in it is escaped.
pub(crate) fn segment(text: impl ToString) -> String {
    let mut escaped = String::new();
    for byte in text.to_string().bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_segment_stays_one() {
        assert_eq!(segment("../people?x#y"), "%2E%2E%2Fpeople%3Fx%23y");
        assert_eq!(segment("idn_01k9"), "idn_01k9");
    }
}
