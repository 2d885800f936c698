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
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = url.port_or_known_default().ok_or(OutboundError::NoPort)?;
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
