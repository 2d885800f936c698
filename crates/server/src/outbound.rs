//! Requests to the outside (S-17): resolve once, check every address, connect to those and no others, follow nothing, bound
//! size and time. What names an address is often somebody else's text, so the server must not become their way into its network.

mod address;
mod mail;
mod push;
mod webhook;

use std::collections::HashMap;
use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, StatusCode, Url, header, redirect};
use serde::de::IgnoredAny;
use tenure_core::store::port::BoxFuture;
use tenure_engine::kernel::outbound::{Answered, Fetch, FetchError, Form};

pub use address::{Cidr, CidrError};
pub use mail::{MailError, MailNotify, MailSettings, MailTls};
pub use push::{FilePush, WebhookPush};
pub use webhook::{WebhookError, WebhookNotify};

const CONNECT: Duration = Duration::from_secs(5);
/// From resolving the name to the body's last byte.
const TOTAL: Duration = Duration::from_secs(10);
/// Destinations whose client is kept; issuers and receivers are few.
const MAX_CLIENTS: usize = 64;
const USER_AGENT: &str = concat!("tenure/", env!("CARGO_PKG_VERSION"));

/// The one way out of the server.
pub struct Outbound {
    allow: Vec<Cidr>,
    total: Duration,
    /// A client for each origin, bound to the addresses that were checked; another answer of the resolver makes another client.
    clients: Mutex<HashMap<String, (Vec<SocketAddr>, Client)>>,
}

impl Outbound {
    /// Reaches public addresses, and those in `allow` although they are not.
    pub fn new(allow: Vec<Cidr>) -> Self {
        // A second installation fails and changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            allow,
            total: TOTAL,
            clients: Mutex::default(),
        }
    }

    async fn document(&self, url: &str, limit: usize) -> Result<Vec<u8>, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        self.in_time(async {
            let request = self.client(&url).await?.get(url).header(header::ACCEPT, "application/json");
            let response = request.send().await.map_err(said)?;
            if response.status() != StatusCode::OK {
                return Err(format!("it answered with status {}", response.status()));
            }
            let body = body_of(response, limit).await?;
            match serde_json::from_slice::<IgnoredAny>(&body) {
                Ok(_) => Ok(body),
                Err(error) => Err(format!("it is not JSON: {error}")),
            }
        })
        .await
    }

    /// Posts a form and gives the JSON that answers it.
    async fn answer(&self, form: Form<'_>, limit: usize) -> Result<Answered, String> {
        let url = Url::parse(form.url).map_err(|error| error.to_string())?;
        self.in_time(async {
            let mut request = self.client(&url).await?.post(url).header(header::ACCEPT, "application/json");
            if let Some((id, secret)) = form.basic {
                // Both are form-encoded before they are joined (RFC 6749 §2.3.1).
                request = request.basic_auth(form_encoded(id), Some(form_encoded(secret)));
            }
            let body = serde_urlencoded::to_string(form.fields).map_err(|error| error.to_string())?;
            let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
            let response = request.send().await.map_err(said)?;
            let status = response.status().as_u16();
            if response.status().is_redirection() {
                return Err(format!("it answered with status {status}"));
            }
            let body = body_of(response, limit).await?;
            match serde_json::from_slice::<IgnoredAny>(&body) {
                Ok(_) => Ok(Answered { status, body }),
                Err(error) => Err(format!("it answered with status {status} and no JSON: {error}")),
            }
        })
        .await
    }

    /// Posts a text; gives the status of the answer, and the text of a conflict's if it is at most `limit` bytes long.
    async fn post(&self, url: &Url, text: &str, limit: usize) -> Result<(StatusCode, Option<String>), String> {
        self.in_time(async {
            let request = self
                .client(url)
                .await?
                .post(url.clone())
                .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
            let response = request.body(text.to_owned()).send().await.map_err(said)?;
            let status = response.status();
            if status != StatusCode::CONFLICT {
                return Ok((status, None));
            }
            let body = body_of(response, limit).await.ok();
            Ok((status, body.and_then(|body| String::from_utf8(body).ok())))
        })
        .await
    }

    /// Posts a body under these headers; gives the status of the answer.
    async fn post_as(&self, url: &Url, headers: header::HeaderMap, body: String) -> Result<StatusCode, String> {
        self.in_time(async {
            let request = self.client(url).await?.post(url.clone()).headers(headers).body(body);
            Ok(request.send().await.map_err(said)?.status())
        })
        .await
    }

    /// Posts JSON with a bearer token; gives the status of the answer.
    async fn call(&self, url: &str, bearer: &str, body: &str) -> Result<u16, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        let mut token = header::HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|error| error.to_string())?;
        token.set_sensitive(true);
        let mut headers = header::HeaderMap::new();
        headers.insert(header::AUTHORIZATION, token);
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        self.post_as(&url, headers, body.to_owned()).await.map(|status| status.as_u16())
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        tokio::time::timeout(self.total, work)
            .await
            .unwrap_or_else(|_| Err(format!("it took longer than {} s", self.total.as_secs_f32())))
    }

    /// A client that can connect to nothing but the addresses that the URL's host has now, each of which is allowed.
    async fn client(&self, url: &Url) -> Result<Client, String> {
        let addresses = self.addresses(url).await?;
        let origin = url.origin().ascii_serialization();
        if let Some((known, client)) = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(&origin)
            && *known == addresses
        {
            return Ok(client.clone());
        }
        let client = connect_to(addresses.clone(), url.scheme() == "https").map_err(said)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(origin, (addresses, client.clone()));
        Ok(client)
    }

    /// The addresses of a URL's host, each of which is allowed.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, String> {
        let addresses = resolved(url).await?;
        // One bad address is enough: which of them a name leads to must not be the luck of the draw.
        match addresses.iter().find(|address| !self.may_reach(url, address)) {
            None => Ok(addresses),
            Some(bad) => Err(format!(
                "{} leads to {}, which may not be reached by {}",
                url.host_str().unwrap_or_default(),
                bad.ip(),
                url.scheme()
            )),
        }
    }

    fn may_reach(&self, url: &Url, address: &SocketAddr) -> bool {
        let listed = || self.allow.iter().any(|block| block.contains(address.ip()));
        match url.scheme() {
            "https" => address::is_public(address.ip()) || listed(),
            "http" => listed(),
            _ => false,
        }
    }
}

/// The addresses that a URL's host has now.
async fn resolved(url: &Url) -> Result<Vec<SocketAddr>, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user or a password is not fetched".into());
    }
    let host = url.host_str().ok_or("the URL has no host")?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let mut addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| format!("resolving {host}: {error}"))?
            .collect(),
    };
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(format!("{host} has no address"));
    }
    Ok(addresses)
}

impl Fetch for Outbound {
    fn get<'a>(&'a self, url: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move { self.document(url, limit).await.map_err(|why| FetchError { url: url.to_owned(), why }) })
    }

    fn post_form<'a>(&'a self, form: Form<'a>, limit: usize) -> BoxFuture<'a, Result<Answered, FetchError>> {
        let url = form.url;
        Box::pin(async move { self.answer(form, limit).await.map_err(|why| FetchError { url: url.to_owned(), why }) })
    }

    fn is_forbidden<'a>(&'a self, url: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let Ok(url) = Url::parse(url) else { return false };
            match self.in_time(resolved(&url)).await {
                Ok(addresses) => addresses.iter().any(|address| !self.may_reach(&url, address)),
                Err(_) => false,
            }
        })
    }

    fn post_json<'a>(&'a self, url: &'a str, bearer: &'a str, body: &'a str) -> BoxFuture<'a, Result<u16, FetchError>> {
        Box::pin(async move { self.call(url, bearer, body).await.map_err(|why| FetchError { url: url.to_owned(), why }) })
    }
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

fn connect_to(addresses: Vec<SocketAddr>, tls: bool) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .dns_resolver(Arc::new(Checked(addresses)))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(1);
    // Without TLS there is no need for the system's certificates, which small containers lack.
    let builder = if tls { builder.https_only(true) } else { builder.tls_certs_only([]) };
    builder.build()
}

async fn body_of(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let too_long = || format!("it is longer than {limit} bytes");
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(said)? {
        if body.len() + chunk.len() > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error and what caused it, without the URL, which the caller adds.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
