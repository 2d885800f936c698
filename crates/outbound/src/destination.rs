//! Destinations of requests, and the addresses that their names have.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use reqwest::Url;

use crate::error::OutboundError;

/// The URL of a request. It shows its origin alone: receivers have secrets in path and query.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination(Url);

impl Destination {
    /// The URL's origin, e.g. `https://hooks.example`.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The place of these segments below this one, each written as one segment whatever is in it, with these fields as
    /// its query.
    ///
    /// # Errors
    /// Nothing can be below it, or a segment would lead up.
    pub fn below<'s>(
        &self,
        segments: impl IntoIterator<Item = &'s str>,
        query: &[(&str, &str)],
    ) -> Result<Self, OutboundError> {
        let mut url = self.0.clone();
        let refused = || OutboundError::Url("nothing can be below this URL".to_owned());
        {
            let mut path = url.path_segments_mut().map_err(|()| refused())?;
            path.pop_if_empty();
            for segment in segments {
                // These two are what a path is shortened by, however they are written.
                if matches!(segment, "." | "..") {
                    return Err(refused());
                }
                path.push(segment);
            }
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(Self(url))
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.0
    }

    /// The addresses that the host has now, sorted, each once, at least one.
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>, OutboundError> {
        let url = &self.0;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::UserInUrl);
        }
        let host = url.host_str().ok_or(OutboundError::NoHost)?;
        let port = url.port_or_known_default().ok_or(OutboundError::NoPort)?;
        resolved(host, port).await
    }
}

/// The addresses that a host has now, sorted, each once, at least one.
pub(crate) async fn resolved(host: &str, port: u16) -> Result<Vec<SocketAddr>, OutboundError> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((host, port))
            .await
            .map_err(|why| OutboundError::Unresolved { host: host.to_owned(), why })?
            .collect(),
    };
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(OutboundError::NoAddress(host.to_owned()));
    }
    Ok(addresses)
}

impl FromStr for Destination {
    type Err = OutboundError;

    fn from_str(text: &str) -> Result<Self, OutboundError> {
        Url::parse(text).map(Self).map_err(|error| OutboundError::Url(error.to_string()))
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Destination").field(&self.origin()).finish()
    }
}
