//! The HTTP client: resolve, check, connect, TLS, bounds.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Certificate, Client, Method, StatusCode, redirect};
use serde::de::IgnoredAny;

use crate::address::{Cidr, is_public};
use crate::answer::{Answer, body_of};
use crate::authorities::Authorities;
use crate::destination::{Destination, resolved};
use crate::error::{OutboundError, failed};
use crate::line::Line;

const CONNECT: Duration = Duration::from_secs(5);
/// From resolving the name to the body's last byte.
const TOTAL: Duration = Duration::from_secs(10);
/// Destinations whose client is kept; issuers and receivers are few.
const MAX_CLIENTS: usize = 64;
const USER_AGENT: &str = concat!("tenure/", env!("CARGO_PKG_VERSION"));

/// The client of everything that leaves over HTTP. Each exchange takes ten seconds at most, from resolving the name to
/// the body's last byte.
pub struct Outbound {
    allow: Vec<Cidr>,
    total: Duration,
    /// A client for each origin, bound to the addresses that were checked; another answer of the resolver makes another
    /// client.
    clients: Mutex<HashMap<String, Bound>>,
}

/// A client, with the addresses and the authorities that it is bound to.
type Bound = (Vec<SocketAddr>, Authorities, Client);

/// One request of a client that speaks an API over HTTP.
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// Whose certificate the server has to have.
    pub authorities: &'a Authorities,
    /// The headers, secrets among them.
    pub headers: HeaderMap,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// How long it may take, from resolving the name to the body's last byte.
    pub patience: Duration,
    /// How many bytes of the answer's body are read at most.
    pub limit: usize,
}

impl Outbound {
    /// A client that reaches public addresses, and those in `allow` although they are not.
    pub fn new(allow: Vec<Cidr>) -> Self {
        // A second installation fails and changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self { allow, total: TOTAL, clients: Mutex::default() }
    }

    /// The bytes of a JSON document, at most `limit`; nothing but status 200 is taken.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn document(&self, from: &Destination, limit: usize) -> Result<Vec<u8>, OutboundError> {
        self.in_time(async {
            let request = self
                .client(from, &Authorities::system())
                .await?
                .get(from.url().clone())
                .header(ACCEPT, "application/json");
            let response = request.send().await.map_err(failed)?;
            if response.status() != StatusCode::OK {
                return Err(OutboundError::Status(response.status()));
            }
            let body = body_of(response, limit).await?;
            match serde_json::from_slice::<IgnoredAny>(&body) {
                Ok(_) => Ok(body),
                Err(why) => Err(OutboundError::NotJson(why)),
            }
        })
        .await
    }

    /// The JSON that a form is answered with, at most `limit` bytes, whatever the status unless it redirects: an OAuth
    /// error is JSON with status
    /// 400. `basic` is the client's id and secret for HTTP basic authentication.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn post_form(
        &self,
        to: &Destination,
        basic: Option<(&str, &str)>,
        fields: &[(&str, &str)],
        limit: usize,
    ) -> Result<(StatusCode, Vec<u8>), OutboundError> {
        self.in_time(async {
            let mut request = self
                .client(to, &Authorities::system())
                .await?
                .post(to.url().clone())
                .header(ACCEPT, "application/json");
            if let Some((id, secret)) = basic {
                // Both are form-encoded before they are joined (RFC 6749 §2.3.1).
                request = request.basic_auth(form_encoded(id), Some(form_encoded(secret)));
            }
            let body = serde_urlencoded::to_string(fields).map_err(|error| OutboundError::Form(error.to_string()))?;
            let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
            let response = request.send().await.map_err(failed)?;
            let status = response.status();
            if status.is_redirection() {
                return Err(OutboundError::Status(status));
            }
            let body = body_of(response, limit).await?;
            match serde_json::from_slice::<IgnoredAny>(&body) {
                Ok(_) => Ok((status, body)),
                Err(why) => Err(OutboundError::FormNotJson { status, why }),
            }
        })
        .await
    }

    /// The answer to a body under these headers, whatever its status. `limit` says how many bytes of the answer's body
    /// are read at its status, if any.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn post(
        &self,
        to: &Destination,
        headers: HeaderMap,
        body: impl Into<Body>,
        limit: impl FnOnce(StatusCode) -> Option<usize>,
    ) -> Result<Answer, OutboundError> {
        self.in_time(async {
            let request =
                self.client(to, &Authorities::system()).await?.post(to.url().clone()).headers(headers).body(body);
            let response = request.send().await.map_err(failed)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = match limit(status) {
                Some(limit) => body_of(response, limit).await.ok(),
                None => None,
            };
            Ok(Answer { status, headers, body })
        })
        .await
    }

    /// The status that JSON under a bearer token is answered with; the answer's body is not read.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn post_json(&self, to: &Destination, bearer: &str, body: &str) -> Result<StatusCode, OutboundError> {
        let headers = json_under(bearer)?;
        self.post(to, headers, body.to_owned(), |_| None).await.map(|answer| answer.status)
    }

    /// The answer to JSON under a bearer token, whatever its status unless it redirects.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn ask(
        &self,
        to: &Destination,
        authorities: &Authorities,
        bearer: &str,
        body: &str,
        patience: Duration,
        limit: usize,
    ) -> Result<(StatusCode, Vec<u8>), OutboundError> {
        let headers = json_under(bearer)?;
        let body = Some(body.as_bytes().to_vec());
        let call = Call { method: Method::POST, authorities, headers, body, patience, limit };
        self.call(to, call).await.map(|answer| (answer.status, answer.body.unwrap_or_default()))
    }

    /// The whole answer to a request, whatever its status unless it redirects.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn call(&self, to: &Destination, call: Call<'_>) -> Result<Answer, OutboundError> {
        let Call { method, authorities, headers, body, patience, limit } = call;
        within(patience, async {
            let mut request = self.client(to, authorities).await?.request(method, to.url().clone()).headers(headers);
            if let Some(body) = body {
                request = request.body(body);
            }
            let response = request.timeout(patience).send().await.map_err(failed)?;
            let status = response.status();
            if status.is_redirection() {
                return Err(OutboundError::Status(status));
            }
            let headers = response.headers().clone();
            Ok(Answer { status, headers, body: Some(body_of(response, limit).await?) })
        })
        .await
    }

    /// A connection to a host, for a client that speaks another protocol than HTTP. Whoever won't encrypt it reaches
    /// only what the operator lists. It fails once `limit` bytes were read from it.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn dial(&self, host: &str, port: u16, encrypted: bool, limit: usize) -> Result<Line, OutboundError> {
        let mut failure = OutboundError::NoAddress(host.to_owned());
        for address in self.addresses(host, port, encrypted).await? {
            match tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(Line::new(stream, limit));
                }
                Ok(Err(why)) => failure = OutboundError::Transport(format!("connecting to {address}: {why}")),
                Err(_) => failure = OutboundError::TooSlow(CONNECT),
            }
        }
        Err(failure)
    }

    /// The addresses that a host has now, each of which may be reached: for a client that connects by itself.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn addresses(&self, host: &str, port: u16, encrypted: bool) -> Result<Vec<SocketAddr>, OutboundError> {
        self.checked(host, if encrypted { "TLS" } else { "plain TCP" }, encrypted, resolved(host, port).await?)
    }

    /// Whether the operator's rules keep a destination from being reached: its name leads to an address that is neither
    /// public nor allowed. Connects to nothing; a name that can't be resolved is not forbidden.
    pub async fn forbids(&self, to: &Destination) -> bool {
        match self.in_time(to.resolve()).await {
            Ok(addresses) => self.checked_for(to, addresses).is_err(),
            Err(_) => false,
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, OutboundError>>) -> Result<T, OutboundError> {
        within(self.total, work).await
    }

    /// A client that can connect to nothing but the addresses that the destination's host has now, each of which is
    /// allowed.
    async fn client(&self, to: &Destination, authorities: &Authorities) -> Result<Client, OutboundError> {
        let addresses = self.checked_for(to, to.resolve().await?)?;
        let origin = to.origin();
        if let Some((known, by, client)) = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(&origin)
            && *known == addresses
            && by == authorities
        {
            return Ok(client.clone());
        }
        let client = connect_to(addresses.clone(), to.url().scheme() == "https", authorities).map_err(failed)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(origin, (addresses, authorities.clone(), client.clone()));
        Ok(client)
    }

    /// The addresses of a destination's host, each of which is allowed.
    fn checked_for(&self, to: &Destination, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, OutboundError> {
        let url = to.url();
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            scheme @ ("https" | "http") => self.checked(host, scheme, scheme == "https", addresses),
            scheme => Err(OutboundError::Url(format!("{scheme} is not spoken"))),
        }
    }

    /// Addresses of a host, each of which is allowed.
    fn checked(
        &self,
        host: &str,
        scheme: &str,
        encrypted: bool,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, OutboundError> {
        let listed = |address: IpAddr| self.allow.iter().any(|block| block.contains(address));
        let may_reach = |address: IpAddr| listed(address) || (encrypted && is_public(address));
        // One bad address is enough: which of them a name leads to must not be the luck of the draw.
        match addresses.iter().find(|address| !may_reach(address.ip())) {
            None => Ok(addresses),
            Some(bad) => {
                Err(OutboundError::Forbidden { host: host.to_owned(), address: bad.ip(), scheme: scheme.to_owned() })
            }
        }
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("allow", &self.allow).finish_non_exhaustive()
    }
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, OutboundError>>,
) -> Result<T, OutboundError> {
    tokio::time::timeout(patience, work).await.unwrap_or(Err(OutboundError::TooSlow(patience)))
}

/// Resolves every name to the addresses that were checked.
struct Checked(Vec<SocketAddr>);

impl Resolve for Checked {
    fn resolve(&self, _name: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// A text as a form's value is written.
fn form_encoded(text: &str) -> String {
    let pair = serde_urlencoded::to_string([("", text)]).unwrap_or_default();
    pair.strip_prefix('=').unwrap_or_default().to_owned()
}

fn connect_to(addresses: Vec<SocketAddr>, tls: bool, authorities: &Authorities) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .dns_resolver(Arc::new(Checked(addresses)))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(1);
    // Without TLS there is no need for the system's certificates, which small containers lack.
    let builder = match (tls, authorities.named()) {
        (false, _) => builder.tls_certs_only([]),
        (true, None) => builder.https_only(true),
        (true, Some(named)) => {
            let certificates = named.iter().map(|certificate| Certificate::from_der(certificate));
            builder.https_only(true).tls_certs_only(certificates.collect::<Result<Vec<_>, _>>()?)
        }
    };
    builder.build()
}

/// The headers of JSON under a bearer token.
fn json_under(bearer: &str) -> Result<HeaderMap, OutboundError> {
    let mut token =
        HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|error| OutboundError::Header(error.to_string()))?;
    token.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, token);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}

#[cfg(test)]
mod tests;
