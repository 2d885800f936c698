//! What every connector has in common: where its target is, what it may do there, how long it waits.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use reqwest::Url;
use reqwest::header::HeaderValue;
use rustls::pki_types::ServerName;
use tenure_core::base::time::Span;
use tenure_core::store::port::BoxFuture;
use tenure_core::target::connector::{ConnectorError, Endpoint, Mode, NewAccount, Reach, TargetLogin, words};
use tenure_outbound::{Authorities, Outbound, OutboundError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

/// The longest URL of an endpoint in bytes.
const MAX_URL: usize = 1024;
/// What one connection reads at most, in bytes.
pub(crate) const MAX_ANSWER: usize = 64 << 20;

/// The endpoints that a kind understands.
pub(crate) struct Form {
    /// The schemes of its URLs, and whether each says that it is encrypted; where a scheme doesn't say, the endpoint
    /// does.
    pub schemes: &'static [(&'static str, Option<bool>)],
    /// The port with and without encryption, where the URL has none.
    pub ports: (u16, u16),
    /// Whether its URLs have a path.
    pub path: bool,
    /// The names of its options.
    pub options: &'static [&'static str],
}

/// An endpoint, understood.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    /// The host as the URL has it: IPv6 in brackets.
    host: String,
    /// The port.
    pub port: u16,
    /// The path without its first slash, not decoded.
    pub path: String,
    /// Whose certificate the target has to have; none without encryption.
    pub authorities: Option<Authorities>,
    options: &'a BTreeMap<String, String>,
}

impl<'a> Place<'a> {
    /// Reads an endpoint strictly.
    pub fn of(endpoint: &'a Endpoint, form: &Form) -> Result<Self, ConnectorError> {
        let bad = |why: &str| Err(ConnectorError::Misconfigured(why.to_owned()));
        if endpoint.url.len() > MAX_URL || endpoint.url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return bad("the URL is too long, or has blanks in it");
        }
        let Ok(url) = Url::parse(&endpoint.url) else { return bad("the URL is none") };
        let Some((_, says)) = form.schemes.iter().find(|(scheme, _)| *scheme == url.scheme()) else {
            let schemes: Vec<_> = form.schemes.iter().map(|(scheme, _)| *scheme).collect();
            return bad(&format!("the URL has to begin with {}://", schemes.join(":// or ")));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return bad("the URL names a user: the connector's login is handed in by itself");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return bad("the URL has a query or a fragment");
        }
        if says.is_some_and(|encrypted| encrypted == endpoint.plaintext) {
            return bad("the URL's scheme and what the endpoint says of encryption don't agree");
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.is_empty() || !bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_')) {
            return bad("the URL has no host, or one that isn't written in ASCII");
        }
        let loopback = bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if endpoint.plaintext && !loopback {
            return bad("only a target on this machine may be reached without encryption");
        }
        let path = url.path().strip_prefix('/').unwrap_or_default().to_owned();
        if !form.path && !path.is_empty() {
            return bad("the URL has a path");
        }
        if let Some(unknown) = endpoint.options.keys().find(|name| !form.options.contains(&name.as_str())) {
            return bad(&format!("there is no option {}", words(unknown)));
        }
        let (tls, plain) = form.ports;
        let port = url.port().unwrap_or(if endpoint.plaintext { plain } else { tls });
        let authorities = match (&endpoint.ca, endpoint.plaintext) {
            (Some(_), true) => return bad("there are certificate authorities, but no encryption"),
            (None, true) => None,
            (None, false) => Some(Authorities::system()),
            (Some(pem), false) => Some(Authorities::from_pem(pem).map_err(unreached)?),
        };
        Ok(Self { host, port, path, authorities, options: &endpoint.options })
    }

    /// The host as names are: IPv6 without brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The host as URLs have it.
    pub fn host_in_url(&self) -> &str {
        &self.host
    }

    /// What the endpoint says of an option.
    pub fn option(&self, name: &str) -> Option<&'a str> {
        self.options.get(name).map(String::as_str)
    }
}

/// A connection over which bytes go, encrypted or not.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection to a place, encrypted from its first byte unless the place is one without encryption; the certificate is
/// checked against the host's name.
pub(crate) async fn secured(
    outbound: &Outbound,
    place: &Place<'_>,
    limit: usize,
) -> Result<Box<dyn Wire>, ConnectorError> {
    let line = outbound.dial(place.host(), place.port, place.authorities.is_some(), limit).await.map_err(unreached)?;
    let Some(authorities) = &place.authorities else { return Ok(Box::new(line)) };
    let name = ServerName::try_from(place.host().to_owned())
        .map_err(|_| ConnectorError::Misconfigured("the host is no name that a certificate has".to_owned()))?;
    let tls = TlsConnector::from(Arc::new(authorities.client_config().map_err(unreached)?));
    let stream = tls.connect(name, line).await;
    Ok(Box::new(stream.map_err(|error| ConnectorError::Unreachable(words(&format!("TLS: {error}"))))?))
}

/// Patience as timers count it.
pub(crate) fn duration(patience: Span) -> Duration {
    Duration::from_micros(patience.as_micros().unsigned_abs())
}

/// A login as HTTP's basic authentication has it.
pub(crate) fn basic(login: &TargetLogin) -> Result<HeaderValue, ConnectorError> {
    let encoded = STANDARD.encode(format!("{}:{}", login.name, login.secret.expose()));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))
        .map_err(|_| ConnectorError::Misconfigured("the login can't be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Ends what takes longer than somebody waits; and what a client's library makes of bytes that it didn't expect, a panic
/// among it, is no answer either.
pub(crate) async fn in_time<T>(
    patience: Span,
    work: impl Future<Output = Result<T, ConnectorError>>,
) -> Result<T, ConnectorError> {
    let patience = duration(patience);
    match tokio::time::timeout(patience, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(ConnectorError::Unreachable("its answer is none that can be read".to_owned())),
        Err(_) => Err(ConnectorError::Unreachable(format!("it did not answer within {} s", patience.as_secs_f32()))),
    }
}

/// What is asked of a target, in no longer than whoever asks waits.
pub(crate) fn asked<'a, T: 'a>(
    reach: &Reach<'_>,
    work: impl Future<Output = Result<T, ConnectorError>> + Send + 'a,
) -> BoxFuture<'a, Result<T, ConnectorError>> {
    Box::pin(in_time(reach.patience, work))
}

/// Why the way out led to no answer.
pub(crate) fn unreached(error: OutboundError) -> ConnectorError {
    let said = words(&error.to_string());
    match error {
        OutboundError::Url(_)
        | OutboundError::UserInUrl
        | OutboundError::NoHost
        | OutboundError::NoPort
        | OutboundError::Authorities(_) => ConnectorError::Misconfigured(said),
        _ => ConnectorError::Unreachable(said),
    }
}

/// Whether accounts may be stopped and ended.
pub(crate) fn may_end(reach: &Reach<'_>) -> Result<(), ConnectorError> {
    allowed(reach.mode >= Mode::End, reach.mode)
}

/// Whether accounts may have other secrets.
pub(crate) fn may_issue(reach: &Reach<'_>) -> Result<(), ConnectorError> {
    allowed(reach.mode >= Mode::Issue, reach.mode)
}

/// Whether this account may be made: one that may do nothing serves as a canary where accounts are ended.
pub(crate) fn may_provision(reach: &Reach<'_>, account: &NewAccount<'_>) -> Result<(), ConnectorError> {
    allowed(reach.mode >= Mode::Issue || (reach.mode >= Mode::End && account.grants.is_empty()), reach.mode)
}

fn allowed(may: bool, mode: Mode) -> Result<(), ConnectorError> {
    if may { Ok(()) } else { Err(ConnectorError::Unable(format!("the connector's mode is {}", mode.as_str()))) }
}

/// What is said of an account that isn't there.
pub(crate) const GONE: &str = "there is no such account";

/// The same, to whoever wants it changed.
pub(crate) fn gone() -> ConnectorError {
    ConnectorError::Rejected(GONE.to_owned())
}

/// Nobody's connector stops itself.
pub(crate) fn not_ourselves(ourselves: bool) -> Result<(), ConnectorError> {
    if ourselves { Err(ConnectorError::Unable("it is the connector's own login".to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form {
        schemes: &[("redis", Some(false)), ("rediss", Some(true)), ("postgres", None)],
        ports: (6380, 6379),
        path: false,
        options: &["heir"],
    };

    fn endpoint(url: &str, plaintext: bool) -> Endpoint {
        Endpoint { url: url.to_owned(), ca: None, plaintext, options: BTreeMap::new() }
    }

    fn refused(endpoint: &Endpoint) -> bool {
        matches!(Place::of(endpoint, &FORM), Err(ConnectorError::Misconfigured(_)))
    }

    #[tokio::test]
    async fn what_hangs_and_what_panics_is_no_answer() {
        let hanging = in_time(Span::from_millis(10), std::future::pending::<Result<(), _>>()).await;
        let panicking = in_time::<()>(Span::from_secs(10), async { panic!("a library did not expect this") }).await;
        for said in [hanging, panicking] {
            assert!(matches!(said, Err(ConnectorError::Unreachable(_))), "{said:?}");
        }
    }

    #[test]
    fn endpoints_are_read_strictly() {
        let good = endpoint("rediss://cache.acme.example", false);
        let place = Place::of(&good, &FORM).unwrap();
        assert_eq!((place.host(), place.port, place.path.as_str()), ("cache.acme.example", 6380, ""));
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let local = endpoint(&format!("redis://{host}"), true);
            assert_eq!(Place::of(&local, &FORM).unwrap().port, 6379);
        }
        for (url, plaintext) in [
            ("rediss://user@cache.acme.example", false),
            ("rediss://:word@cache.acme.example", false),
            ("rediss://cache.acme.example?db=1", false),
            ("rediss://cache.acme.example#x", false),
            ("rediss://cache.acme.example/1", false),
            ("rediss://", false),
            ("rediss://cache acme", false),
            ("rediss://caché.example", false),
            ("redis://cache.acme.example", false),
            ("rediss://localhost", true),
            ("redis://cache.acme.example", true),
            ("postgres://10.0.0.1", true),
            ("postgres://localhost.acme.example", true),
            ("https://cache.acme.example", false),
            ("cache.acme.example:6379", false),
            ("", false),
        ] {
            assert!(refused(&endpoint(url, plaintext)), "{url}");
        }
        let option = [("host".to_owned(), "elsewhere".to_owned())].into();
        assert!(refused(&Endpoint { options: option, ..endpoint("rediss://a.example", false) }));
        assert!(refused(&Endpoint { ca: Some("-".to_owned()), ..endpoint("rediss://a.example", false) }));
        assert!(refused(&Endpoint { ca: Some(String::new()), ..endpoint("redis://localhost", true) }));
    }
}
