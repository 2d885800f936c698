//! Calls to a SCIM 2.0 service provider (RFC 7644), and what its answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tenure_core::base::time::Span;
use tenure_core::target::connector::{ConnectorError, Endpoint, Reach, words};
use tenure_outbound::{Authorities, Call, Destination, Outbound};

use super::{FORM, USER_TYPE};
use crate::list::{Room, fits, no_room};
use crate::place::{Place, duration, unreached};

const MEDIA: HeaderValue = HeaderValue::from_static("application/scim+json");
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 8 << 20;
/// Resources that are asked for at once; a provider may give fewer.
const PAGE: usize = 500;
/// Pages of a list that are read.
const PAGES: usize = 400;
/// Why a list has another number of resources than the provider says.
const MEANWHILE: &str = "what came or went while the provider was asked, or what it counts and doesn't tell";
/// How often a list is read that changes meanwhile.
const READINGS: usize = 3;
/// How often a resource is put that changes meanwhile.
const PUTS: usize = 3;

/// A service provider, spoken to with one credential.
pub(super) struct Api<'a> {
    outbound: &'a Outbound,
    base: Destination,
    authorities: Authorities,
    patience: Duration,
    authorization: Option<HeaderValue>,
    /// What the accounts' `userType` is; any, if the endpoint names none.
    pub user_type: Option<&'a str>,
}

/// An answer of the provider's own.
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
    /// How many bytes it came in.
    bytes: usize,
}

impl Answer {
    pub fn words(&self) -> String {
        let part = |name: &str| self.body.get(name).and_then(Value::as_str).unwrap_or_default();
        words(&format!("{} {} {}", self.status, part("scimType"), part("detail")))
    }

    pub const fn is_done(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Whether the provider doesn't have this operation at all.
    pub const fn is_unsupported(&self) -> bool {
        matches!(self.status, 405 | 501)
    }

    /// What it gave; none if there is nothing of that name.
    pub fn found(self) -> Result<Option<Value>, ConnectorError> {
        match self.status {
            404 => Ok(None),
            200..=299 => Ok(Some(self.body)),
            _ => Err(ConnectorError::Rejected(self.words())),
        }
    }
}

/// What a provider says that it can do (RFC 7643 section 5).
#[derive(Debug, Clone, Copy)]
pub(super) struct Config {
    pub patch: bool,
    pub filter: bool,
    pub change_password: bool,
    pub etag: bool,
    /// Whether users log in there with their password (RFC 7617).
    pub basic: bool,
}

impl Config {
    fn of(told: &Value) -> Self {
        let supported = |name: &str| told.pointer(&format!("/{name}/supported")).and_then(Value::as_bool) == Some(true);
        let schemes = told.get("authenticationSchemes").and_then(Value::as_array).into_iter().flatten();
        let is_basic = |scheme: &Value| scheme.get("type").and_then(Value::as_str) == Some("httpbasic");
        Self {
            patch: supported("patch"),
            filter: supported("filter"),
            change_password: supported("changePassword"),
            etag: supported("etag"),
            basic: schemes.into_iter().any(is_basic),
        }
    }
}

/// Resources of a list by their ids.
#[derive(Default)]
pub(super) struct Listed {
    pub resources: BTreeMap<String, Value>,
    /// Why these aren't all, if they aren't.
    pub lacks: Option<String>,
    /// Whether it is longer than there is room for: read once more, it is so again.
    is_cut: bool,
}

impl Listed {
    /// The resources, where nothing was cut off.
    ///
    /// # Errors
    /// Something was: what isn't among them may be there all the same.
    pub fn uncut(self) -> Result<BTreeMap<String, Value>, ConnectorError> {
        match self.lacks.filter(|_| self.is_cut) {
            None => Ok(self.resources),
            Some(why) => Err(ConnectorError::Rejected(format!("a list wasn't read to its end: {why}"))),
        }
    }
}

/// A change of a resource in every form that providers are known to take: the next one is tried where the one before
/// was answered and changed nothing.
pub(super) struct Change<'a> {
    /// The operations of each PATCH.
    pub patches: Vec<Value>,
    /// The same in the whole resource, for providers without PATCH.
    pub edit: &'a (dyn Fn(&mut Value) + Sync),
    /// Whether the resource shows it.
    pub is_done: &'a (dyn Fn(&Value) -> bool + Sync),
}

impl<'a> Api<'a> {
    pub fn at(
        outbound: &'a Outbound,
        endpoint: &'a Endpoint,
        authorization: Option<HeaderValue>,
        patience: Span,
    ) -> Result<Self, ConnectorError> {
        let place = Place::of(endpoint, &FORM)?;
        let scheme = if place.authorities.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}:{}/{}", place.host_in_url(), place.port, place.path);
        let user_type = place.option(USER_TYPE);
        if user_type.is_some_and(|name| name.is_empty() || name.len() > 200 || name.chars().any(char::is_control)) {
            return Err(ConnectorError::Misconfigured(format!("the option {USER_TYPE} is a word of 1 to 200 bytes")));
        }
        let (base, authorities) = (base.parse().map_err(unreached)?, place.authorities.unwrap_or_default());
        Ok(Self { outbound, base, authorities, patience: duration(patience), authorization, user_type })
    }

    /// A provider, spoken to with the connector's own token.
    pub fn own(outbound: &'a Outbound, reach: &Reach<'a>) -> Result<Self, ConnectorError> {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", reach.login.secret.expose()));
        let mut bearer = bearer
            .map_err(|_| ConnectorError::Misconfigured("the login's secret is no token that can be sent".to_owned()))?;
        bearer.set_sensitive(true);
        Self::at(outbound, reach.endpoint, Some(bearer), reach.patience)
    }

    /// What the provider can do; nobody has to log in for that.
    pub async fn config(&self) -> Result<Config, ConnectorError> {
        let told = self.ask(Method::GET, &["ServiceProviderConfig"], &[], None).await?.found()?;
        let none = || ConnectorError::Rejected("it has no ServiceProviderConfig".to_owned());
        Ok(Config::of(&told.ok_or_else(none)?))
    }

    pub async fn get(&self, path: &[&str]) -> Result<Option<Value>, ConnectorError> {
        self.ask(Method::GET, path, &[], None).await?.found()
    }

    /// Asks with the connector's login; a refusal of that is no answer to anything else.
    pub async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, ConnectorError> {
        let answer = self.send(method, path, query, body, None).await?;
        if answer.status == 401 { Err(ConnectorError::Unauthorized(answer.words())) } else { Ok(answer) }
    }

    /// Sends a request; what isn't the provider's own is no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Answer, ConnectorError> {
        let to = self.base.below(path.iter().copied(), query).map_err(unreached)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, MEDIA);
        headers.insert(CONTENT_TYPE, MEDIA);
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(version) = if_match.and_then(|version| HeaderValue::from_str(version).ok()) {
            headers.insert(HeaderName::from_static("if-match"), version);
        }
        let body = body.map(|body| body.to_string().into_bytes());
        let (authorities, patience) = (&self.authorities, self.patience);
        let call = Call { method, authorities, headers, body, patience, limit: MAX_ANSWER };
        let answer = self.outbound.call(&to, call).await.map_err(unreached)?;
        let status = answer.status.as_u16();
        let bytes = answer.body.unwrap_or_default();
        let told = if bytes.is_empty() { None } else { serde_json::from_slice::<Value>(&bytes).ok() };
        read(status, bytes.len(), told)
    }

    /// A whole list. The order of a provider's pages is its own, and shifts by whatever comes and goes meanwhile: one that
    /// has another number of resources than it says is read again.
    pub async fn list(
        &self,
        what: &str,
        attributes: &str,
        filter: Option<&str>,
    ) -> Result<Option<Listed>, ConnectorError> {
        let mut listed = Listed::default();
        for _ in 0..READINGS {
            let Some(read) = self.read_list(what, attributes, filter).await? else { return Ok(None) };
            listed = read;
            if listed.lacks.is_none() || listed.is_cut {
                break;
            }
        }
        Ok(Some(listed))
    }

    async fn read_list(
        &self,
        what: &str,
        attributes: &str,
        filter: Option<&str>,
    ) -> Result<Option<Listed>, ConnectorError> {
        let (mut resources, mut start, mut totals) = (BTreeMap::new(), 1, Vec::new());
        let (room, count) = (Room::new(), PAGE.to_string());
        let mut nameless = false;
        let cut = |resources, why| Ok(Some(Listed { resources, lacks: Some(why), is_cut: true }));
        for _ in 0..PAGES {
            let at = start.to_string();
            let mut query = vec![("startIndex", at.as_str()), ("count", &count), ("attributes", attributes)];
            query.extend(filter.map(|filter| ("filter", filter)));
            let answer = self.ask(Method::GET, &[what], &query, None).await?;
            let has_room = room.takes(answer.bytes);
            let Some(mut told) = answer.found()? else { return Ok(None) };
            let total = told.get("totalResults").and_then(Value::as_u64);
            let total = total.and_then(|total| usize::try_from(total).ok()).ok_or_else(|| strange(200))?;
            totals.push(total);
            let page = match told.get_mut("Resources").map(Value::take) {
                Some(Value::Array(page)) => page,
                _ => Vec::new(),
            };
            fits(page.len(), PAGE)?;
            if !has_room {
                return cut(resources, no_room());
            }
            start += page.len();
            let is_over = page.is_empty() || start > total;
            for resource in page {
                match resource.get("id").and_then(Value::as_str).map(str::to_owned) {
                    Some(id) => drop(resources.insert(id, resource)),
                    None => nameless = true,
                }
            }
            if is_over {
                let whole = !nameless && totals.iter().all(|total| *total == resources.len());
                let lacks = (!whole).then(|| MEANWHILE.to_owned());
                return Ok(Some(Listed { resources, lacks, is_cut: false }));
            }
        }
        cut(resources, format!("it has more than {PAGES} pages"))
    }

    /// Changes a resource, and reads it back: that it was answered shows nothing. None where it is gone.
    pub async fn change(
        &self,
        config: &Config,
        path: &[&str],
        change: Change<'_>,
    ) -> Result<Option<Value>, ConnectorError> {
        let mut said = "it answered, and changed nothing".to_owned();
        let mut patches = config.patch;
        for operations in change.patches {
            if !patches {
                break;
            }
            let body = json!({ "schemas": [PATCH], "Operations": operations });
            let answer = self.ask(Method::PATCH, path, &[], Some(&body)).await?;
            patches = !answer.is_unsupported();
            if !answer.is_done() {
                said = answer.words();
            }
            let Some(resource) = self.get(path).await? else { return Ok(None) };
            if (change.is_done)(&resource) {
                return Ok(Some(resource));
            }
        }
        if !patches {
            match self.put(config, path, change.edit).await? {
                Some(answer) if answer.is_done() => {}
                Some(answer) => said = answer.words(),
                None => return Ok(None),
            }
            let Some(resource) = self.get(path).await? else { return Ok(None) };
            if (change.is_done)(&resource) {
                return Ok(Some(resource));
            }
        }
        Err(ConnectorError::Rejected(said))
    }

    /// Puts the whole resource. Tags of SCIM are weak, and to a server that compares them as HTTP has it no weak one is
    /// ever the same (RFC 9110 section 13.1.1): so one that refuses the tag of the very version that it has gets none.
    async fn put(
        &self,
        config: &Config,
        path: &[&str],
        edit: &(dyn Fn(&mut Value) + Sync),
    ) -> Result<Option<Answer>, ConnectorError> {
        let mut refused: Option<String> = None;
        for _ in 0..PUTS {
            let Some(mut resource) = self.get(path).await? else { return Ok(None) };
            let version = resource.pointer("/meta/version").and_then(Value::as_str).map(str::to_owned);
            let version = version.filter(|version| config.etag && refused.as_ref() != Some(version));
            edit(&mut resource);
            if let Some(resource) = resource.as_object_mut() {
                // The provider's own to say.
                resource.remove("meta");
                resource.remove("groups");
            }
            let answer = self.send(Method::PUT, path, &[], Some(&resource), version.as_deref()).await?;
            match answer.status {
                401 => return Err(ConnectorError::Unauthorized(answer.words())),
                412 if version.is_some() => refused = version,
                _ => return Ok(Some(answer)),
            }
        }
        Err(ConnectorError::Rejected("it changes faster than it can be put".to_owned()))
    }
}

fn strange(status: u16) -> ConnectorError {
    ConnectorError::Unreachable(format!("it answered with status {status}, and not as SCIM has it"))
}

/// What an answer is. That an operation isn't there may be said by whatever stands before the provider; that a resource
/// isn't there, or that a login is none, is the provider's own to say.
fn read(status: u16, bytes: usize, told: Option<Value>) -> Result<Answer, ConnectorError> {
    let is_error = |told: &Value| {
        let schemas = told.get("schemas").and_then(Value::as_array).into_iter().flatten();
        schemas.into_iter().any(|schema| schema.as_str() == Some(ERROR))
    };
    match (status, told) {
        (200..=299, Some(body)) if body.is_object() => Ok(Answer { status, body, bytes }),
        (200..=299, None) if bytes == 0 => Ok(Answer { status, body: Value::Null, bytes }),
        (405 | 501, body) => Ok(Answer { status, body: body.unwrap_or(Value::Null), bytes }),
        (400..=499, Some(body)) if is_error(&body) && status != 429 => Ok(Answer { status, body, bytes }),
        (429 | 500..=599, Some(body)) if is_error(&body) => {
            Err(ConnectorError::Unreachable(Answer { status, body, bytes }.words()))
        }
        _ => Err(strange(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_as_the_providers_own_says_it() {
        let error = json!({ "schemas": [ERROR], "status": "404", "detail": "not there" });
        assert!(read(404, 9, Some(error.clone())).unwrap().found().unwrap().is_none());
        assert!(read(204, 0, None).unwrap().is_done());
        assert!(read(405, 9, None).unwrap().is_unsupported());
        for (status, told) in [
            (404, None),
            (404, Some(json!({ "error": "no route" }))),
            (401, Some(json!({}))),
            (200, None),
            (200, Some(json!([]))),
            (503, Some(error.clone())),
            (429, Some(error.clone())),
            (302, Some(error)),
        ] {
            assert!(matches!(read(status, 9, told), Err(ConnectorError::Unreachable(_))), "{status}");
        }
    }

    #[test]
    fn a_provider_can_what_it_says_and_no_more() {
        let told = json!({ "patch": { "supported": true }, "filter": { "supported": false },
            "authenticationSchemes": [{ "type": "oauthbearertoken" }, { "type": "httpbasic" }] });
        let config = Config::of(&told);
        assert!(config.patch && config.basic && !config.filter && !config.etag && !config.change_password);
    }
}
