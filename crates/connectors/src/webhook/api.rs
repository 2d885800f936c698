//! What an endpoint is asked, signed as Standard Webhooks has it, and what its answers have to be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenure_core::base::time::{Clock, Timestamp};
use tenure_core::target::connector::{
    AccountSort, ConnectorError, MAX_ACCOUNT_NAME, MAX_FOUND, MAX_TARGET_GRANTS, Reach, SeenAccount, words,
};
use tenure_outbound::{Authorities, Call, Destination, Outbound, WebhookKey};

use super::FORM;
use crate::place::{Place, duration, unreached};

/// The longest answer that is read, in bytes: a page of accounts.
const MAX_ANSWER: usize = 4 << 20;
/// The longest grant, place in a list or name of a mark in bytes.
const MAX_TEXT: usize = 512;
const MAX_MARKS: usize = 32;
/// Blind spots that an endpoint tells.
const MAX_UNSEEN: usize = 16;
/// Messages that were sent: no two of them have one id.
static SENT: AtomicU64 = AtomicU64::new(0);

/// An endpoint, asked with one secret.
pub(super) struct Api<'a> {
    outbound: &'a Outbound,
    clock: &'a dyn Clock,
    to: Destination,
    authorities: Authorities,
    key: WebhookKey,
    patience: Duration,
}

/// What an endpoint answers. The id is that of the message: an answer to another one is none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<T> {
    id: String,
    data: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    id: String,
    error: Why,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    code: String,
    words: String,
}

/// A page of accounts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    accounts: Vec<Told>,
    pub next: Option<String>,
    #[serde(default)]
    pub unseen: Vec<String>,
    /// What it may be asked for with this secret.
    pub can: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    account: Option<Told>,
}

/// What came of an act.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Done {
    pub words: String,
    #[serde(default)]
    pub sessions_ended: u32,
    #[serde(default)]
    pub sessions_left: Option<u32>,
}

/// An account as an endpoint tells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    key: String,
    name: String,
    enabled: bool,
    #[serde(default)]
    ends_at: Option<Timestamp>,
    #[serde(default)]
    made_at: Option<Timestamp>,
    #[serde(default)]
    last_used_at: Option<Timestamp>,
    #[serde(default)]
    sessions: Option<u32>,
    #[serde(default)]
    built_in: bool,
    #[serde(default)]
    privileged: bool,
    #[serde(default)]
    grants: Vec<String>,
    #[serde(default)]
    marks: BTreeMap<String, String>,
}

fn is_text(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control)
}

impl Told {
    fn seen(self) -> Result<SeenAccount, ConnectorError> {
        let fits = is_text(&self.key, MAX_ACCOUNT_NAME)
            && is_text(&self.name, MAX_ACCOUNT_NAME)
            && self.grants.iter().all(|grant| is_text(grant, MAX_TEXT))
            && self.marks.len() <= MAX_MARKS
            && self.marks.keys().all(|name| is_text(name, MAX_TEXT));
        if !fits {
            return Err(strange("an account with a text that is empty, too long or no line"));
        }
        let mut grants = self.grants;
        grants.sort_unstable();
        grants.dedup();
        let more_grants = u32::try_from(grants.len().saturating_sub(MAX_TARGET_GRANTS)).unwrap_or(u32::MAX);
        grants.truncate(MAX_TARGET_GRANTS);
        Ok(SeenAccount {
            key: self.key,
            name: self.name,
            sort: AccountSort::Login,
            enabled: self.enabled,
            ends_at: self.ends_at,
            made_at: self.made_at,
            last_used_at: self.last_used_at,
            sessions: self.sessions,
            built_in: self.built_in,
            privileged: self.privileged,
            grants,
            more_grants,
            marks: self.marks.into_iter().map(|(name, text)| (name, words(&text))).collect(),
        })
    }
}

impl One {
    pub fn seen(self) -> Result<Option<SeenAccount>, ConnectorError> {
        self.account.map(Told::seen).transpose()
    }
}

impl Listed {
    pub fn seen(self) -> Result<Vec<SeenAccount>, ConnectorError> {
        let accounts: Vec<SeenAccount> = self.accounts.into_iter().map(Told::seen).collect::<Result<_, _>>()?;
        let keys: BTreeSet<&String> = accounts.iter().map(|account| &account.key).collect();
        if accounts.len() > MAX_FOUND || keys.len() < accounts.len() {
            return Err(strange("a page with too many accounts, or one of them twice"));
        }
        Ok(accounts)
    }
}

fn strange(what: &str) -> ConnectorError {
    ConnectorError::Unreachable(format!("its endpoint answered, and not as agreed: {}", words(what)))
}

impl<'a> Api<'a> {
    pub fn open(outbound: &'a Outbound, clock: &'a dyn Clock, reach: &Reach<'_>) -> Result<Self, ConnectorError> {
        let place = Place::of(reach.endpoint, &FORM)?;
        let key = WebhookKey::new(&reach.login.secret);
        let key = key.map_err(|error| ConnectorError::Misconfigured(error.to_string()))?;
        let scheme = if place.authorities.is_some() { "https" } else { "http" };
        let to = format!("{scheme}://{}:{}/{}", place.host_in_url(), place.port, place.path);
        let to = to.parse().map_err(unreached)?;
        let authorities = place.authorities.unwrap_or_default();
        Ok(Self { outbound, clock, to, authorities, key, patience: duration(reach.patience) })
    }

    /// An id that no other message has, so that whoever saw this one takes it for a replay.
    fn id(&self, body: &str) -> String {
        let (number, now) = (SENT.fetch_add(1, Ordering::Relaxed), self.clock.now());
        let text = format!("{}\0{number}\0{}\0{body}", now.as_micros(), std::process::id());
        format!("msg_{}", URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes())))
    }

    /// Asks for something; what isn't the agreed answer to this very message is none.
    pub async fn ask<T: DeserializeOwned>(&self, what: &str, data: Value) -> Result<T, ConnectorError> {
        let body = json!({ "type": what, "data": data }).to_string();
        let id = self.id(&body);
        let mut headers = self.key.headers(&id, self.clock.now(), &body).map_err(unreached)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let call = Call {
            method: Method::POST,
            authorities: &self.authorities,
            headers,
            body: Some(body.into_bytes()),
            patience: self.patience,
            limit: MAX_ANSWER,
        };
        let answer = self.outbound.call(&self.to, call).await.map_err(unreached)?;
        read(answer.status.as_u16(), &answer.body.unwrap_or_default(), &id)
    }
}

fn read<T: DeserializeOwned>(status: u16, body: &[u8], id: &str) -> Result<T, ConnectorError> {
    if status == 200 {
        let answer: Answer<T> = serde_json::from_slice(body).map_err(|error| strange(&error.to_string()))?;
        return if answer.id == id { Ok(answer.data) } else { Err(strange("the id of another message")) };
    }
    let refusal: Refusal =
        serde_json::from_slice(body).map_err(|_| strange(&format!("status {status} without an error")))?;
    if refusal.id != id {
        return Err(strange("the id of another message"));
    }
    let said = words(&format!("{}: {}", refusal.error.code, refusal.error.words));
    Err(match (status, refusal.error.code.as_str()) {
        (401, "unauthorized") => ConnectorError::Unauthorized(said),
        (403, "unable") => ConnectorError::Unable(said),
        (409, "taken") => ConnectorError::Taken,
        (422, "rejected") => ConnectorError::Rejected(said),
        _ => ConnectorError::Unreachable(said),
    })
}

/// What an endpoint says that it can't see.
pub(super) fn unseen(told: &[String]) -> Vec<String> {
    let mut unseen: Vec<String> = told.iter().take(MAX_UNSEEN).map(|what| words(what)).collect();
    if told.len() > MAX_UNSEEN {
        unseen.push("more that its endpoint says it can't see".to_owned());
    }
    unseen
}

/// Where a list goes on: never where it was.
pub(super) fn next(told: Option<String>, after: Option<&str>) -> Result<Option<String>, ConnectorError> {
    match told {
        Some(next) if !is_text(&next, MAX_TEXT) || Some(next.as_str()) == after => {
            Err(strange("a list that goes on nowhere"))
        }
        next => Ok(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &Value) -> Result<Done, ConnectorError> {
        read(status, body.to_string().as_bytes(), "msg_1")
    }

    #[test]
    fn an_answer_is_to_this_message_and_as_agreed_or_none() {
        let done = answered(200, &json!({ "id": "msg_1", "data": { "words": "done", "sessions_left": 0 } })).unwrap();
        assert_eq!((done.words.as_str(), done.sessions_ended, done.sessions_left), ("done", 0, Some(0)));
        for (status, body) in [
            (200, json!({ "id": "msg_2", "data": { "words": "done" } })),
            (200, json!({ "id": "msg_1", "data": { "words": "done", "more": 1 } })),
            (200, json!({ "id": "msg_1", "data": {} })),
            (200, json!({ "data": { "words": "done" } })),
            (200, json!({ "id": "msg_1", "error": { "code": "taken", "words": "" } })),
            (201, json!({ "id": "msg_1", "data": { "words": "done" } })),
            (401, json!({ "error": { "code": "unauthorized", "words": "" } })),
            (401, json!({ "id": "msg_2", "error": { "code": "unauthorized", "words": "" } })),
            (500, json!({ "id": "msg_1", "error": { "code": "rejected", "words": "" } })),
            (409, json!({ "id": "msg_1", "error": { "code": "replayed", "words": "" } })),
            (404, json!("no")),
        ] {
            assert!(matches!(answered(status, &body), Err(ConnectorError::Unreachable(_))), "{status} {body}");
        }
        let error = |code: &str| json!({ "id": "msg_1", "error": { "code": code, "words": "why" } });
        assert!(matches!(answered(401, &error("unauthorized")), Err(ConnectorError::Unauthorized(_))));
        assert!(matches!(answered(403, &error("unable")), Err(ConnectorError::Unable(_))));
        assert!(matches!(answered(422, &error("rejected")), Err(ConnectorError::Rejected(_))));
        assert!(matches!(answered(409, &error("taken")), Err(ConnectorError::Taken)));
    }

    #[test]
    fn a_page_is_bounded_and_goes_on_somewhere() {
        let page = |accounts: Value| -> Result<Vec<SeenAccount>, ConnectorError> {
            serde_json::from_value::<Listed>(json!({ "accounts": accounts, "next": null, "can": [] })).unwrap().seen()
        };
        let account = |key: &str, name: &str| json!({ "key": key, "name": name, "enabled": true });
        assert_eq!(page(json!([account("1", "a"), account("2", "a")])).unwrap().len(), 2);
        let long = "x".repeat(MAX_ACCOUNT_NAME + 1);
        for bad in [account("", "a"), account("1", ""), account("1", "a\nb"), account(&long, "a")] {
            assert!(page(json!([bad])).is_err(), "{bad}");
        }
        assert!(page(json!([account("1", "a"), account("1", "b")])).is_err());
        assert!(next(Some("7".to_owned()), Some("7")).is_err() && next(Some(String::new()), None).is_err());
        assert_eq!(next(Some("8".to_owned()), Some("7")).unwrap().as_deref(), Some("8"));
        assert_eq!(unseen(&vec!["x".to_owned(); 99]).len(), MAX_UNSEEN + 1);
    }
}
