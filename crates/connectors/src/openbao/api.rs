//! Calls to an OpenBao's API, and what its answers mean.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tenure_core::target::connector::{ConnectorError, Endpoint, Reach, TargetLogin, words};
use tenure_outbound::{Authorities, Call, Destination, Outbound};

use super::FORM;
use crate::place::{MAX_ANSWER, Place, duration, unreached};

/// A server, spoken to with one token.
pub(super) struct Api<'a> {
    outbound: &'a Outbound,
    base: Destination,
    authorities: Authorities,
    namespace: Option<&'a str>,
    patience: Duration,
    token: Option<HeaderValue>,
    /// The path of the AppRole method that the connector works with, e.g. `approle`.
    pub mount: &'a str,
    /// Whether the token was made for these calls and goes with them.
    ours: bool,
}

/// An answer that the server gave itself.
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The server's own words.
    pub fn words(&self) -> String {
        let errors = self.body.get("errors").and_then(Value::as_array).into_iter().flatten();
        let said: Vec<_> = errors.filter_map(Value::as_str).collect();
        words(&format!("{} {}", self.status, said.join("; ")))
    }

    /// What it gave, none if there is nothing of that name.
    pub fn found(self) -> Result<Option<Value>, ConnectorError> {
        match self.status {
            404 => Ok(None),
            200..=299 => Ok(Some(self.body)),
            _ => Err(ConnectorError::Rejected(self.words())),
        }
    }

    /// That it was done.
    pub fn done(self) -> Result<Value, ConnectorError> {
        match self.status {
            200..=299 => Ok(self.body),
            _ => Err(ConnectorError::Rejected(self.words())),
        }
    }
}

impl<'a> Api<'a> {
    /// A server without a token yet.
    pub fn at(
        outbound: &'a Outbound,
        endpoint: &'a Endpoint,
        patience: tenure_core::base::time::Span,
    ) -> Result<Self, ConnectorError> {
        let place = Place::of(endpoint, &FORM)?;
        let scheme = if place.authorities.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}:{}/v1", place.host_in_url(), place.port);
        let mount = place.option("mount").unwrap_or("approle").trim_matches('/');
        let namespace = place.option("namespace");
        if mount.is_empty() || mount.split('/').any(|part| matches!(part, "" | "." | ".." | "*" | "+")) {
            return Err(ConnectorError::Misconfigured("the option mount is the path of an AppRole method".to_owned()));
        }
        if namespace.is_some_and(|name| HeaderValue::from_str(name).is_err()) {
            return Err(ConnectorError::Misconfigured("the option namespace can't be sent".to_owned()));
        }
        Ok(Self {
            outbound,
            base: base.parse().map_err(unreached)?,
            authorities: place.authorities.unwrap_or_default(),
            namespace,
            patience: duration(patience),
            token: None,
            mount,
            ours: false,
        })
    }

    /// A server to which the connector has logged in: with its token, or as its AppRole, whose token lives as long as
    /// these calls.
    pub async fn open(outbound: &'a Outbound, reach: &Reach<'a>) -> Result<Self, ConnectorError> {
        let mut api = Self::at(outbound, reach.endpoint, reach.patience)?;
        let refused = |answer: &Answer| ConnectorError::Unauthorized(answer.words());
        if reach.login.name.is_empty() {
            api.token = Some(token(reach.login.secret.expose())?);
            let answer = api.ask("GET", &["auth", "token", "lookup-self"], None).await?;
            if answer.status != 200 {
                return Err(refused(&answer));
            }
        } else {
            let answer = api.log_in(reach.login).await?;
            if answer.status != 200 {
                return Err(refused(&answer));
            }
            api.adopt(&answer)?;
        }
        Ok(api)
    }

    /// Logs in as an AppRole.
    pub async fn log_in(&self, login: &TargetLogin) -> Result<Answer, ConnectorError> {
        let mut path = vec!["auth"];
        path.extend(self.mount.split('/'));
        path.push("login");
        let body = json!({ "role_id": login.name, "secret_id": login.secret.expose() });
        self.ask("POST", &path, Some(body)).await
    }

    /// Goes on with the token that a login gave.
    pub fn adopt(&mut self, answer: &Answer) -> Result<(), ConnectorError> {
        let given = answer.body.pointer("/auth/client_token").and_then(Value::as_str).unwrap_or_default();
        self.token = Some(token(given)?);
        self.ours = true;
        Ok(())
    }

    /// Goes on with a token.
    pub fn with_token(mut self, given: &str) -> Result<Self, ConnectorError> {
        self.token = Some(token(given)?);
        Ok(self)
    }

    /// Ends the token that was made for these calls.
    pub async fn close(&self) {
        if self.ours {
            // It ends by itself, too.
            let _ = self.ask("POST", &["auth", "token", "revoke-self"], Some(json!({}))).await;
        }
    }

    /// Asks; what isn't the server's own JSON is no answer.
    pub async fn ask(&self, method: &str, path: &[&str], body: Option<Value>) -> Result<Answer, ConnectorError> {
        self.ask_with(method, path, &[], body).await
    }

    /// The keys below a path.
    pub async fn list(&self, path: &[&str]) -> Result<Vec<String>, ConnectorError> {
        let Some(body) = self.ask_with("GET", path, &[("list", "true")], None).await?.found()? else {
            return Ok(Vec::new());
        };
        let strange = || ConnectorError::Unreachable("it answered with no list of keys".to_owned());
        let keys = body.pointer("/data/keys").and_then(Value::as_array).ok_or_else(strange)?;
        keys.iter().map(|key| key.as_str().map(str::to_owned).ok_or_else(strange)).collect()
    }

    pub async fn ask_with(
        &self,
        method: &str,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, ConnectorError> {
        let to = self.base.below(path.iter().copied(), query).map_err(unreached)?;
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| ConnectorError::Misconfigured("no such method".to_owned()))?;
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-vault-request"), HeaderValue::from_static("true"));
        if let Some(token) = &self.token {
            headers.insert(HeaderName::from_static("x-vault-token"), token.clone());
        }
        if let Some(namespace) = self.namespace.and_then(|name| HeaderValue::from_str(name).ok()) {
            headers.insert(HeaderName::from_static("x-vault-namespace"), namespace);
        }
        let call = Call {
            method,
            authorities: &self.authorities,
            headers,
            body: body.map(|body| body.to_string().into_bytes()),
            patience: self.patience,
            limit: MAX_ANSWER,
        };
        let answer = self.outbound.call(&to, call).await.map_err(unreached)?;
        let status = answer.status.as_u16();
        let bytes = answer.body.unwrap_or_default();
        let body = if status == 204 && bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes) };
        let strange =
            || ConnectorError::Unreachable(format!("it answered with status {status}, and not as OpenBao does"));
        let body: Value = body.map_err(|_| strange())?;
        let answer = Answer { status, body };
        match status {
            // It is sealed, a standby, or has too much to do.
            408 | 412 | 429 | 472 | 473 | 502..=504 => Err(ConnectorError::Unreachable(answer.words())),
            200..=299 => Ok(answer),
            _ if answer.body.get("errors").is_some() => Ok(answer),
            _ => Err(strange()),
        }
    }
}

fn token(text: &str) -> Result<HeaderValue, ConnectorError> {
    let mut token = HeaderValue::from_str(text)
        .ok()
        .filter(|_| !text.is_empty())
        .ok_or_else(|| ConnectorError::Misconfigured("the token is none that can be sent".to_owned()))?;
    token.set_sensitive(true);
    Ok(token)
}

/// A text of an answer.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Texts of an answer.
pub(super) fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let texts = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}
