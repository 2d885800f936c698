//! Calls to GitHub's REST API, by an app's installation in the organisation or by a personal access token.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tenure_core::base::time::{Clock, Span};
use tenure_core::target::connector::{ConnectorError, Endpoint, Reach, TargetLogin, words};
use tenure_outbound::{Authorities, Call, Destination, Outbound, OutboundError};

use super::FORM;
use crate::list::{Listed, Page, Reading, Room, fits};
use crate::place::{Place, duration, unreached};

/// The longest answer that is read, in bytes: a page of a hundred repositories.
const MAX_ANSWER: usize = 4 << 20;
/// The revision of the API that is spoken.
const VERSION: &str = "2022-11-28";
/// Things that one page of a list has at most.
const PAGE: usize = 100;
/// Pages of a list that are read.
const PAGES: usize = 50;

/// An organisation at GitHub, spoken to under one authorization.
pub(super) struct Api<'a> {
    outbound: &'a Outbound,
    base: Destination,
    authorities: Authorities,
    patience: Duration,
    authorization: HeaderValue,
    room: Room,
    pub org: &'a str,
    /// The installation of the connector's own app, and what it may do; none of a personal access token.
    pub own: Option<Own>,
}

/// The installation that the connector is.
pub(super) struct Own {
    pub installation: u64,
    pub permissions: Value,
    /// Whether every repository is shown to it.
    pub is_everywhere: bool,
}

/// An answer of GitHub's own.
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
    /// How many bytes it came in.
    bytes: usize,
    headers: HeaderMap,
}

impl Answer {
    fn message(&self) -> &str {
        self.body.get("message").and_then(Value::as_str).unwrap_or_default()
    }

    pub fn words(&self) -> String {
        words(&format!("{} {}", self.status, self.message()))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether it was too much for the time being; that says nothing of what was asked.
    fn is_too_much(&self) -> bool {
        let is_spent = self.header("x-ratelimit-remaining") == Some("0") || self.header("retry-after").is_some();
        self.status == 429 || (self.status == 403 && (is_spent || self.message().contains("rate limit")))
    }

    fn too_much(&self) -> ConnectorError {
        let until = match (self.header("retry-after"), self.header("x-ratelimit-reset")) {
            (Some(seconds), _) => format!("for {seconds} s"),
            (None, Some(at)) => format!("until {at} (Unix time)"),
            (None, None) => "for a while".to_owned(),
        };
        ConnectorError::Unreachable(words(&format!("its rate limit is spent {until}: {}", self.message())))
    }

    /// What was asked for; none where it isn't there.
    pub fn found(self) -> Result<Option<Value>, ConnectorError> {
        match self.status {
            404 => Ok(None),
            200..=299 => Ok(Some(self.body)),
            401 => Err(ConnectorError::Unauthorized(self.words())),
            _ => Err(ConnectorError::Rejected(self.words())),
        }
    }
}

fn bearer(secret: &str) -> Result<HeaderValue, ConnectorError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {secret}"))
        .map_err(|_| ConnectorError::Misconfigured("the login's secret can't be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// An app's own token of minutes, signed by its key (RS256).
#[expect(clippy::disallowed_methods, reason = "the library wants a source of randomness, and RS256 uses none")]
fn app_token(app: &str, pem: &str, clock: &dyn Clock) -> Result<String, ConnectorError> {
    let bad =
        || ConnectorError::Misconfigured("the secret is no RSA private key in PEM, as GitHub makes them".to_owned());
    if app.is_empty() || !app.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.') {
        return Err(ConnectorError::Misconfigured(
            "the login's name is the id of the app, or its client id".to_owned(),
        ));
    }
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| bad())? {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err(bad()),
    };
    let key = key.map_err(|_| bad())?;
    let now = clock.now().as_secs();
    // A minute back, for clocks that are behind; ten minutes are what GitHub takes.
    let claims = json!({"iat": now - 60, "exp": now + 480, "iss": app});
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encoded(&json!({"alg": "RS256", "typ": "JWT"})), encoded(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).map_err(|_| bad())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Whether a login is an app's: its secret is a key, and no token.
fn is_app(login: &TargetLogin) -> bool {
    login.secret.expose().trim_start().starts_with("-----BEGIN")
}

impl<'a> Api<'a> {
    /// GitHub, by what the login itself is: an app or a token.
    pub fn at(
        outbound: &'a Outbound,
        clock: &dyn Clock,
        endpoint: &'a Endpoint,
        login: &TargetLogin,
        patience: Span,
    ) -> Result<Self, ConnectorError> {
        let (place, org) = understood(endpoint)?;
        let secret = login.secret.expose().trim();
        let authorization =
            if is_app(login) { bearer(&app_token(&login.name, secret, clock)?)? } else { bearer(secret)? };
        let scheme = if place.authorities.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}:{}/{}", place.host_in_url(), place.port, place.path);
        let base = base.parse().map_err(unreached)?;
        let authorities = place.authorities.unwrap_or_default();
        let (patience, room) = (duration(patience), Room::new());
        Ok(Self { outbound, base, authorities, patience, authorization, room, org, own: None })
    }

    /// The same, where an app has become its installation in the organisation.
    pub async fn open(outbound: &'a Outbound, clock: &dyn Clock, reach: &'a Reach<'a>) -> Result<Self, ConnectorError> {
        let api = Self::at(outbound, clock, reach.endpoint, reach.login, reach.patience)?;
        if !is_app(reach.login) {
            let answer = api.ask(Method::GET, &["rate_limit"], &[], None).await?;
            return if answer.status == 200 { Ok(api) } else { Err(ConnectorError::Unauthorized(answer.words())) };
        }
        let answer = api.ask(Method::GET, &["orgs", api.org, "installation"], &[], None).await?;
        let id = answer.body.get("id").and_then(Value::as_u64);
        let Some(installation) = id.filter(|_| answer.status == 200) else {
            let why = format!("the app isn't installed in the organisation, or its key isn't its: {}", answer.words());
            return Err(ConnectorError::Unauthorized(why));
        };
        let path = ["app", "installations", &installation.to_string(), "access_tokens"];
        let answer = api.ask(Method::POST, &path, &[], None).await?;
        let token = answer.body.get("token").and_then(Value::as_str).filter(|_| answer.status == 201);
        let Some(token) = token else { return Err(ConnectorError::Unauthorized(answer.words())) };
        let permissions = answer.body.get("permissions").cloned().unwrap_or_default();
        let is_everywhere = answer.body.get("repository_selection").is_some_and(|selection| selection == "all");
        Ok(Self { authorization: bearer(token)?, own: Some(Own { installation, permissions, is_everywhere }), ..api })
    }

    /// The answer to a question, as far as it is GitHub's own.
    pub async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, ConnectorError> {
        let to = self.base.below(path.iter().copied(), query).map_err(unreached)?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("tenure"));
        headers.insert(HeaderName::from_static("x-github-api-version"), HeaderValue::from_static(VERSION));
        let call = Call {
            method,
            authorities: &self.authorities,
            headers,
            body: body.map(|body| body.to_string().into_bytes()),
            patience: self.patience,
            limit: MAX_ANSWER,
        };
        let answer = match self.outbound.call(&to, call).await {
            Ok(answer) => answer,
            Err(OutboundError::Status(status)) if status.is_redirection() => {
                return Err(ConnectorError::Rejected("it is somewhere else now".to_owned()));
            }
            Err(error) => return Err(unreached(error)),
        };
        let (status, bytes) = (answer.status.as_u16(), answer.body.unwrap_or_default());
        let strange =
            || ConnectorError::Unreachable(format!("it answered with status {status}, and not as GitHub does"));
        let body = match bytes.as_slice() {
            b"" if matches!(status, 200..=299) => Value::Null,
            bytes => serde_json::from_slice(bytes).map_err(|_| strange())?,
        };
        let answer = Answer { status, body, bytes: bytes.len(), headers: answer.headers };
        match status {
            200..=299 => Ok(answer),
            _ if answer.message().is_empty() => Err(strange()),
            _ if answer.is_too_much() => Err(answer.too_much()),
            400..=499 => Ok(answer),
            _ => Err(ConnectorError::Unreachable(answer.words())),
        }
    }

    /// What is at a path; none where nothing is.
    pub async fn get(&self, path: &[&str]) -> Result<Option<Value>, ConnectorError> {
        self.ask(Method::GET, path, &[], None).await?.found()
    }

    /// A page of a list; `of` is the member that it stands in, if it isn't the answer itself. None where there is no list.
    pub async fn page(
        &self,
        path: &[&str],
        of: Option<&str>,
        (number, size): (usize, usize),
        order: &[(&str, &str)],
    ) -> Result<Option<Page>, ConnectorError> {
        let (asked, number) = (size.to_string(), number.to_string());
        let query = [&[("per_page", asked.as_str()), ("page", &number)], order].concat();
        let answer = self.ask(Method::GET, path, &query, None).await?;
        let bytes = answer.bytes;
        let Some(mut body) = answer.found()? else { return Ok(None) };
        let list = match of {
            Some(of) => body.get_mut(of).map(Value::take).unwrap_or_default(),
            None => body,
        };
        let Value::Array(items) = list else {
            return Err(ConnectorError::Unreachable("it answered with no list".to_owned()));
        };
        fits(items.len(), size)?;
        Ok(Some(Page { items, bytes }))
    }

    /// A list to its end, as far as there is room; none where there is none.
    pub async fn every(&self, path: &[&str], of: Option<&str>) -> Result<Option<Listed>, ConnectorError> {
        let mut reading = Reading::of(&self.room, (PAGES, PAGE));
        while let Some(number) = reading.next() {
            reading.add(self.page(path, of, (number, PAGE), &[]).await?)?;
        }
        Ok(reading.listed())
    }
}

/// An endpoint as this kind understands it, and its organisation.
pub(super) fn understood(endpoint: &Endpoint) -> Result<(Place<'_>, &str), ConnectorError> {
    let place = Place::of(endpoint, &FORM)?;
    let org = place.option("org").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if org.is_empty() || org.len() > 100 || !org.bytes().all(plain) {
        return Err(ConnectorError::Misconfigured(
            "the option org is the organisation's name, as in its URL".to_owned(),
        ));
    }
    Ok((place, org))
}
