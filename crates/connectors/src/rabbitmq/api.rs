//! Calls to a RabbitMQ's management API.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use tenure_core::base::time::Span;
use tenure_core::target::connector::{ConnectorError, Endpoint, Reach, TargetLogin, words};
use tenure_outbound::{Authorities, Call, Destination, Outbound};

use super::FORM;
use crate::place::{MAX_ANSWER, Place, basic, duration, unreached};

/// A server, spoken to as one user.
pub(super) struct Api<'a> {
    outbound: &'a Outbound,
    base: Destination,
    authorities: Authorities,
    patience: Duration,
    authorization: HeaderValue,
}

/// An answer of the server's own.
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    fn part(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn words(&self) -> String {
        words(&format!("{} {}: {}", self.status, self.part("error"), self.part("reason")))
    }

    /// Whether it is no such user, or another password.
    pub fn is_refusal(&self) -> bool {
        self.status == 401 && self.part("error") == "not_authorized" && self.part("reason") == "Login failed"
    }

    /// Whether the user was let in as far as the question who it is. The server spells this refusal in another way: it is
    /// of those that may not use the management API, to whom its brokers are open.
    pub fn is_known(&self) -> bool {
        self.status == 200 || (self.status == 401 && self.part("error") == "not_authorised")
    }

    pub fn found(self) -> Result<Option<Value>, ConnectorError> {
        match self.status {
            404 => Ok(None),
            200..=299 => Ok(Some(self.body)),
            _ => Err(ConnectorError::Rejected(self.words())),
        }
    }
}

impl<'a> Api<'a> {
    pub fn at(
        outbound: &'a Outbound,
        endpoint: &Endpoint,
        login: &TargetLogin,
        patience: Span,
    ) -> Result<Self, ConnectorError> {
        let place = Place::of(endpoint, &FORM)?;
        let scheme = if place.authorities.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}:{}/api", place.host_in_url(), place.port).parse().map_err(unreached)?;
        let authorities = place.authorities.unwrap_or_default();
        Ok(Self { outbound, base, authorities, patience: duration(patience), authorization: basic(login)? })
    }

    /// A server to which the connector has logged in.
    pub async fn open(outbound: &'a Outbound, reach: &Reach<'_>) -> Result<Self, ConnectorError> {
        let api = Self::at(outbound, reach.endpoint, reach.login, reach.patience)?;
        let answer = api.ask(Method::GET, &["whoami"], None).await?;
        if answer.status == 200 { Ok(api) } else { Err(ConnectorError::Unauthorized(answer.words())) }
    }

    pub async fn get(&self, path: &[&str]) -> Result<Option<Value>, ConnectorError> {
        self.ask(Method::GET, path, None).await?.found()
    }

    /// A list, which is there: what tells none tells nothing of what would stand in it.
    pub async fn list(&self, path: &[&str]) -> Result<Vec<Value>, ConnectorError> {
        match self.get(path).await? {
            Some(Value::Array(list)) => Ok(list),
            _ => Err(ConnectorError::Unreachable(format!("it told no list of {}", path.join("/")))),
        }
    }

    pub async fn put(&self, path: &[&str], body: Value) -> Result<(), ConnectorError> {
        match self.ask(Method::PUT, path, Some(body)).await?.found()? {
            Some(_) => Ok(()),
            None => Err(ConnectorError::Rejected("there is no such place".to_owned())),
        }
    }

    pub async fn delete(&self, path: &[&str]) -> Result<(), ConnectorError> {
        self.ask(Method::DELETE, path, None).await?.found().map(|_| ())
    }

    pub async fn ask(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<Answer, ConnectorError> {
        let to = self.base.below(path.iter().copied(), &[]).map_err(unreached)?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
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
        let strange =
            || ConnectorError::Unreachable(format!("it answered with status {status}, and not as RabbitMQ does"));
        let body = match bytes.as_slice() {
            b"" if matches!(status, 200..=299) => Value::Null,
            bytes => serde_json::from_slice(bytes).map_err(|_| strange())?,
        };
        let answer = Answer { status, body };
        match status {
            200..=299 => Ok(answer),
            _ if answer.part("error").is_empty() => Err(strange()),
            400..=499 => Ok(answer),
            _ => Err(ConnectorError::Unreachable(answer.words())),
        }
    }
}
