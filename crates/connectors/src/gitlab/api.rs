//! Calls to GitLab's REST API, by an access token.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tenure_core::base::time::Span;
use tenure_core::target::connector::{ConnectorError, Endpoint, Reach, TargetLogin, words};
use tenure_outbound::{Authorities, Call, Destination, Outbound};

use super::FORM;
use crate::list::{Listed, Page, Reading, Room, fits};
use crate::place::{Place, duration, unreached};

/// The longest answer that is read, in bytes: a page of a hundred projects.
const MAX_ANSWER: usize = 8 << 20;
/// Things that one page of a list has at most.
const PAGE: usize = 100;
/// Pages of a list that are read.
const PAGES: usize = 50;
/// What GitLab says of a group or a project that isn't there or isn't shown; nothing is known then of what is in it.
const NO_PLACE: [&str; 2] = ["404 Group Not Found", "404 Project Not Found"];

/// A GitLab, spoken to by one token.
pub(super) struct Api<'a> {
    outbound: &'a Outbound,
    base: Destination,
    authorities: Authorities,
    patience: Duration,
    token: HeaderValue,
    room: Room,
    pub group: &'a str,
}

/// An answer of GitLab's own.
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
    /// How many bytes it came in.
    bytes: usize,
}

impl Answer {
    fn said(&self) -> &str {
        let part = |name: &str| self.body.get(name).and_then(Value::as_str);
        part("message").or_else(|| part("error_description")).or_else(|| part("error")).unwrap_or_default()
    }

    pub fn words(&self) -> String {
        words(&format!("{} {}", self.status, self.said()))
    }

    /// What was asked for; none where it isn't there.
    pub fn found(self) -> Result<Option<Value>, ConnectorError> {
        match self.status {
            404 if NO_PLACE.contains(&self.said()) => Err(ConnectorError::Rejected(self.words())),
            404 => Ok(None),
            200..=299 => Ok(Some(self.body)),
            401 => Err(ConnectorError::Unauthorized(self.words())),
            _ => Err(ConnectorError::Rejected(self.words())),
        }
    }
}

impl<'a> Api<'a> {
    pub fn at(
        outbound: &'a Outbound,
        endpoint: &'a Endpoint,
        login: &TargetLogin,
        patience: Span,
    ) -> Result<Self, ConnectorError> {
        let (place, group) = understood(endpoint)?;
        let mut token = HeaderValue::from_str(login.secret.expose().trim())
            .map_err(|_| ConnectorError::Misconfigured("the login's secret can't be sent".to_owned()))?;
        token.set_sensitive(true);
        let scheme = if place.authorities.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}:{}/{}", place.host_in_url(), place.port, place.path);
        let base = base.parse().map_err(unreached)?;
        let authorities = place.authorities.unwrap_or_default();
        Ok(Self { outbound, base, authorities, patience: duration(patience), token, room: Room::new(), group })
    }

    /// The same, and what GitLab says of the token itself.
    pub async fn open(outbound: &'a Outbound, reach: &'a Reach<'a>) -> Result<(Self, Value), ConnectorError> {
        let api = Self::at(outbound, reach.endpoint, reach.login, reach.patience)?;
        let answer = api.ask(Method::GET, &["personal_access_tokens", "self"], &[]).await?;
        match answer.status {
            200 => Ok((api, answer.body)),
            _ => Err(ConnectorError::Unauthorized(answer.words())),
        }
    }

    pub async fn ask(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, ConnectorError> {
        let to = self.base.below(path.iter().copied(), query).map_err(unreached)?;
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("private-token"), self.token.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (authorities, patience) = (&self.authorities, self.patience);
        let call = Call { method, authorities, headers, body: None, patience, limit: MAX_ANSWER };
        let answer = self.outbound.call(&to, call).await.map_err(unreached)?;
        let (status, bytes) = (answer.status.as_u16(), answer.body.unwrap_or_default());
        if status == 429 {
            let after = answer.headers.get("retry-after").and_then(|after| after.to_str().ok()).unwrap_or("some");
            return Err(ConnectorError::Unreachable(words(&format!("its rate limit is spent for {after} s"))));
        }
        let strange =
            || ConnectorError::Unreachable(format!("it answered with status {status}, and not as GitLab does"));
        let body = match bytes.as_slice() {
            b"" if matches!(status, 200..=299) => Value::Null,
            bytes => serde_json::from_slice(bytes).map_err(|_| strange())?,
        };
        let answer = Answer { status, body, bytes: bytes.len() };
        match status {
            200..=299 => Ok(answer),
            _ if answer.said().is_empty() => Err(strange()),
            400..=499 => Ok(answer),
            _ => Err(ConnectorError::Unreachable(answer.words())),
        }
    }

    /// A page of a list; none where there is no list.
    pub async fn page(
        &self,
        path: &[&str],
        (number, size): (usize, usize),
        more: &[(&str, &str)],
    ) -> Result<Option<Page>, ConnectorError> {
        let (asked, number) = (size.to_string(), number.to_string());
        let query = [&[("per_page", asked.as_str()), ("page", &number)], more].concat();
        let answer = self.ask(Method::GET, path, &query).await?;
        let bytes = answer.bytes;
        match answer.found()? {
            None => Ok(None),
            Some(Value::Array(items)) => {
                fits(items.len(), size)?;
                Ok(Some(Page { items, bytes }))
            }
            Some(_) => Err(ConnectorError::Unreachable("it answered with no list".to_owned())),
        }
    }

    /// A list to its end, as far as there is room; none where it isn't told: then nothing is known of what would stand in
    /// it.
    pub async fn every(&self, path: &[&str]) -> Result<Option<Listed>, ConnectorError> {
        let mut reading = Reading::of(&self.room, (PAGES, PAGE));
        while let Some(number) = reading.next() {
            reading.add(self.page(path, (number, PAGE), &[]).await?)?;
        }
        Ok(reading.listed())
    }

    /// A list to its end, which is there.
    ///
    /// # Errors
    /// It can't be read, or isn't told.
    pub async fn known(&self, path: &[&str]) -> Result<Listed, ConnectorError> {
        let untold = || ConnectorError::Rejected("the list of what it stands in isn't told".to_owned());
        self.every(path).await?.ok_or_else(untold)
    }
}

/// An endpoint as this kind understands it, and its group.
pub(super) fn understood(endpoint: &Endpoint) -> Result<(Place<'_>, &str), ConnectorError> {
    let place = Place::of(endpoint, &FORM)?;
    let bad = |why: &str| Err(ConnectorError::Misconfigured(why.to_owned()));
    if !place.path.trim_end_matches('/').ends_with("api/v4") {
        return bad("the URL ends with /api/v4");
    }
    let group = place.option("group").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    if group.is_empty() || group.len() > 255 || !group.bytes().all(plain) || group.split('/').any(|part| part == "..") {
        return bad("the option group is the group's path, as in its URL");
    }
    Ok((place, group))
}
