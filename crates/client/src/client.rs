//! The client: where the server is, how it is spoken to, and the ways of a request.

use std::time::Duration;

use reqwest::{Certificate, Method, RequestBuilder, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_api::ownership::Edited;
use zeroize::Zeroizing;

use crate::error::ClientError;
use crate::transport::{at_revision, edited, is_local, json, segment};

const CONNECT: Duration = Duration::from_secs(10);
const REQUEST: Duration = Duration::from_secs(35);

/// Filters and paging of a list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    pairs: Vec<(&'static str, String)>,
}

impl ListQuery {
    /// Everything, from the start.
    pub const fn new() -> Self {
        Self { pairs: Vec::new() }
    }

    /// Only what has this value in this field.
    #[must_use]
    pub fn filter(mut self, name: &'static str, value: impl ToString) -> Self {
        self.pairs.retain(|(known, _)| *known != name);
        self.pairs.push((name, value.to_string()));
        self
    }

    /// Only what follows the page that named this as its `next`.
    #[must_use]
    pub fn after(self, next: impl ToString) -> Self {
        self.filter("after", next)
    }

    /// At most this many; the server gives 50 if it is left out, and never more than 200.
    #[must_use]
    pub fn limit(self, limit: u16) -> Self {
        self.filter("limit", limit)
    }
}

/// How a client is made.
#[derive(Clone)]
pub struct Builder {
    url: String,
    token: Option<Zeroizing<String>>,
    authorities: Option<Vec<u8>>,
    plain_http: bool,
    timeout: Duration,
}

impl Builder {
    /// The operator token, or an enforcement point's access token, that is sent as bearer.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Zeroizing::new(token.into()));
        self
    }

    /// Certificates in PEM to trust instead of the system's.
    #[must_use]
    pub fn authorities(mut self, pem: Vec<u8>) -> Self {
        self.authorities = Some(pem);
        self
    }

    /// Allows `http` to other machines than this one: tokens cross the network in the clear.
    #[must_use]
    pub const fn plain_http(mut self, allowed: bool) -> Self {
        self.plain_http = allowed;
        self
    }

    /// How long a request may take; 35 seconds if not given. Streams are bounded by their silence instead.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// The URL or a certificate is malformed, or the URL would send secrets in the clear.
    pub fn build(self) -> Result<Client, ClientError> {
        let base = self.url.trim_end_matches('/').to_owned();
        let url =
            Url::parse(&base).map_err(|error| ClientError::Configuration(format!("{base:?} is no URL: {error}")))?;
        let Some(host) = url.host_str() else {
            return Err(ClientError::Configuration(format!("{base:?} names no host")));
        };
        let is_local = is_local(host);
        let is_plain = match url.scheme() {
            "https" => false,
            "http" if is_local || self.plain_http => true,
            "http" => {
                return Err(ClientError::Configuration(format!(
                    "{base} would carry tokens in the clear to another machine: use https"
                )));
            }
            other => {
                return Err(ClientError::Configuration(format!("the scheme {other} is not known: use https")));
            }
        };
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails only if another thread was quicker; then there is one.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tenure-client/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT);
        if is_local {
            builder = builder.no_proxy();
        }
        if let Some(pem) = &self.authorities {
            let certificates = Certificate::from_pem_bundle(pem)
                .map_err(|error| ClientError::Configuration(format!("the certificates can't be read: {error}")))?;
            if certificates.is_empty() {
                return Err(ClientError::Configuration("the file of certificates holds none".into()));
            }
            builder = builder.tls_certs_only(certificates);
        } else if is_plain {
            // A machine without any certificates can still speak to itself.
            builder = builder.tls_certs_only([]);
        }
        let mut authorization = None;
        if let Some(token) = &self.token {
            let text = Zeroizing::new(format!("Bearer {}", token.as_str()));
            let mut value = header::HeaderValue::from_str(&text)
                .map_err(|_| ClientError::Configuration("the token has characters that no token has".into()))?;
            value.set_sensitive(true);
            authorization = Some(value);
        }
        let http = builder.build().map_err(|error| ClientError::transport(&error))?;
        Ok(Client { http, base, authorization, timeout: self.timeout })
    }
}

/// A client of one server. Cloning it is cheap and shares its connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    authorization: Option<header::HeaderValue>,
    timeout: Duration,
}

impl Client {
    /// A client of the server at this base URL, e.g. `https://tenure.example.com`.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder { url: url.into(), token: None, authorities: None, plain_http: false, timeout: REQUEST }
    }

    /// The server's base URL, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The issuer identifier of an environment, as this client knows the server.
    pub fn issuer_of(&self, environment: &str) -> String {
        format!("{}/env/{environment}", self.base)
    }

    pub(crate) fn stream_request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.authorization {
            Some(value) => request.header(header::AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    /// A request without the client's own token: it proves itself another way.
    pub(crate) fn unauthorized(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).timeout(self.timeout)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.stream_request(method, path).timeout(self.timeout)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        json(self.request(Method::GET, path)).await
    }

    /// The id of a record, by any name that its address takes: `GET /v1/{list}/{name}`.
    ///
    /// # Errors
    /// There is none by that name, several have it, or the caller may not read it.
    pub async fn id_of(&self, list: &str, name: &str) -> Result<String, ClientError> {
        #[derive(serde::Deserialize)]
        struct Known {
            id: String,
        }
        let known: Known = self.get(&format!("/v1/{list}/{}", segment(name))).await?;
        Ok(known.id)
    }

    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str, query: &ListQuery) -> Result<T, ClientError> {
        json(self.request(Method::GET, path).query(&query.pairs)).await
    }

    pub(crate) async fn post<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        json(self.request(Method::POST, path).json(body)).await
    }

    /// A change of the record as it was read at this revision.
    pub(crate) async fn patch<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        revision: u64,
        body: &B,
    ) -> Result<T, ClientError> {
        json(at_revision(self.request(Method::PATCH, path), Some(revision)).json(body)).await
    }

    pub(crate) async fn patch_or_ask<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        revision: u64,
        body: &B,
    ) -> Result<Edited<T>, ClientError> {
        edited(at_revision(self.request(Method::PATCH, path), Some(revision)).json(body)).await
    }

    pub(crate) async fn step<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        json(self.request(Method::POST, path)).await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_never_cross_the_network_in_the_clear() {
        for url in ["http://tenure.example.com", "http://10.0.0.1:8420", "ftp://127.0.0.1", "nonsense"] {
            assert!(matches!(Client::builder(url).build(), Err(ClientError::Configuration(_))), "{url}");
        }
        for url in ["http://127.0.0.1:8420/", "http://[::1]:8420", "http://localhost:8420"] {
            let client = Client::builder(url).build().unwrap();
            assert!(!client.base().ends_with('/'));
        }
        assert!(Client::builder("http://tenure:8420").plain_http(true).build().is_ok());
    }

    #[test]
    fn debug_shows_no_token() {
        let client = Client::builder("http://127.0.0.1:1").token("tnr_op_secret").build().unwrap();
        assert!(!format!("{client:?}").contains("secret"));
    }
}
