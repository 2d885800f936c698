//! Security event tokens (RFC 8417): CAEP and RISC 1.0, the WISE profile, SCIM events (RFC 9967), and Tenure's own.
//!
//! Transmitters of such events tell mostly of people's sessions and accounts, which are none of a machine's lifecycle.
//! What ends here for a person is said with one exception by Tenure's own `employment.ended`: an account that is
//! deleted for good by a source that was registered to speak of people. One that is disabled may come back, and a
//! person's record here may not.

use std::str::FromStr;

use serde_json::{Map, Value};
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::signal::{SignalKind, SignalSubject, SubjectKind, Word};

use crate::own::{self, fits, kind_of};
use crate::words::{AdapterError, Facts, word};

/// The most events of one token; they are facets of one occurrence (RFC 8417 §2).
const MAX_EVENTS: usize = 8;
/// Above this a number of seconds would lie in the year 5138: drafts of CAEP counted milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// What an event of others means here.
#[derive(Clone, Copy)]
enum Meaning {
    /// Stopped, and may go on.
    Stopped,
    /// Over.
    Ended,
}

pub(crate) fn read(claims: &Map<String, Value>) -> Result<Vec<Word>, AdapterError> {
    let events = claims.get("events").and_then(Value::as_object).filter(|events| !events.is_empty());
    let events = events.ok_or(member("events", "an object with the events by their identifiers"))?;
    if events.len() > MAX_EVENTS {
        return Err(member("events", "at most 8 events"));
    }
    let mut words = Vec::new();
    for (event, payload) in events {
        let payload = payload.as_object().ok_or(member("events", "an object for each event"))?;
        words.extend(one(claims, event, payload)?);
    }
    Ok(words)
}

fn one(claims: &Map<String, Value>, event: &str, payload: &Map<String, Value>) -> Result<Option<Word>, AdapterError> {
    let at = occurred(claims, payload)?;
    if let Some(kind) = kind_of(event)? {
        let subject = subject(claims, payload)?.filter(|subject| fits(kind, subject.kind)).ok_or(member(
            "sub_id",
            "a sort of thing to which this can happen, in the format opaque, such as application:payments",
        ))?;
        let about = word(kind, subject.kind, subject.id, at);
        return Ok(Some(own::facts(payload.get("facts"))?.on(about)));
    }
    let Some(meaning) = meaning(event, payload)? else {
        return Ok(None);
    };
    let Some(subject) = subject(claims, payload)? else {
        return Ok(None);
    };
    let kind = match (meaning, subject.kind) {
        (Meaning::Stopped, SubjectKind::Workload | SubjectKind::Identity) => SignalKind::WorkloadDisabled,
        (Meaning::Ended, SubjectKind::Workload | SubjectKind::Identity) => SignalKind::WorkloadRemoved,
        (Meaning::Ended, SubjectKind::Person) => SignalKind::EmploymentEnded,
        _ => return Ok(None),
    };
    let reason = payload.get("reason").and_then(Value::as_str);
    let facts = Facts::default().text("event", Some(event)).text("reason", reason);
    Ok(Some(facts.on(word(kind, subject.kind, subject.id, at))))
}

fn meaning(event: &str, payload: &Map<String, Value>) -> Result<Option<Meaning>, AdapterError> {
    if let Some(name) = event.strip_prefix("urn:ietf:params:scim:event:prov:") {
        return Ok(match name {
            "deactivate" => Some(Meaning::Stopped),
            "delete" => Some(Meaning::Ended),
            _ => None,
        });
    }
    let known =
        event.strip_prefix("https://schemas.openid.net/secevent/").and_then(|rest| rest.split_once("/event-type/"));
    Ok(match known {
        Some(("caep", "session-revoked") | ("risc", "account-disabled") | ("wise", "workload-disabled")) => {
            Some(Meaning::Stopped)
        }
        Some(("caep", "credential-change")) => {
            let change = payload.get("change_type").and_then(Value::as_str);
            let change =
                change.ok_or(member("events.credential-change.change_type", "create, revoke, update or delete"))?;
            (change == "revoke").then_some(Meaning::Stopped)
        }
        // A compromise ends more than a stop would: what was issued is cut, and does not come back with a release.
        Some(("risc", "account-purged") | ("wise", "workload-purged" | "workload-compromised")) => Some(Meaning::Ended),
        _ => None,
    })
}

/// When it happened, as the event or the token says; else when the token was made.
fn occurred(claims: &Map<String, Value>, payload: &Map<String, Value>) -> Result<Option<Timestamp>, AdapterError> {
    let given = claims.get("toe").or_else(|| payload.get("event_timestamp")).or_else(|| claims.get("iat"));
    let Some(given) = given else { return Ok(None) };
    // A NumericDate may have a fraction (RFC 7519 §2); whole seconds order well enough.
    let number = given.to_string();
    let whole = number.split('.').next().and_then(|whole| whole.parse::<i64>().ok()).filter(|_| given.is_number());
    match whole {
        Some(seconds) if (0..MILLISECONDS_FROM).contains(&seconds) => Ok(Some(Timestamp::from_secs(seconds))),
        Some(millis) if millis >= MILLISECONDS_FROM => Ok(Some(Timestamp::from_micros(millis.saturating_mul(1_000)))),
        _ => Err(member("toe", "the time of the event in seconds since 1970, as toe, event_timestamp or iat")),
    }
}

/// The subject as we name it. Nothing, if it is known by its format to be of no concern.
fn subject(claims: &Map<String, Value>, payload: &Map<String, Value>) -> Result<Option<SignalSubject>, AdapterError> {
    let wrong = member(
        "sub_id",
        "a subject of RFC 9493: opaque with an identity's id or a text such as workload:prod/deployment/a, iss_sub with an identity's id, \
         uri with a SPIFFE or WIMSE id, or scim with an externalId",
    );
    // CAEP and RISC put it into the event before SSF 1.0.
    let given =
        claims.get("sub_id").or_else(|| payload.get("subject")).and_then(Value::as_object).ok_or(wrong.clone())?;
    let told = match given.get("format").and_then(Value::as_str) {
        // The parts of a complex subject are of one occurrence; the workload is what we know, the user whom.
        Some("complex") => ["workload", "user"]
            .iter()
            .find_map(|part| given.get(*part).and_then(Value::as_object))
            .map_or(Told::Foreign, simple),
        Some("aliases") => {
            let aliases = given.get("identifiers").and_then(Value::as_array).ok_or(wrong.clone())?;
            let mut told = aliases.iter().filter_map(Value::as_object).map(simple);
            told.find(|told| matches!(told, Told::Subject(_))).unwrap_or(Told::Foreign)
        }
        _ => simple(given),
    };
    match told {
        Told::Subject(subject) => Ok(Some(subject)),
        Told::Foreign => Ok(None),
        Told::Nothing => Err(wrong),
    }
}

/// What a subject identifier tells.
enum Told {
    Subject(SignalSubject),
    /// People and sessions, by names that no identity has.
    Foreign,
    Nothing,
}

fn simple(given: &Map<String, Value>) -> Told {
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    let subject = match text("format") {
        Some("opaque") => text("id").and_then(|id| identity(id).or_else(|| own::subject(id))),
        Some("iss_sub") => match text("sub").map(identity) {
            Some(None) => return Told::Foreign,
            found => found.flatten(),
        },
        Some("uri") => text("uri")
            .filter(|uri| uri.starts_with("spiffe://") || uri.starts_with("wimse://"))
            .map(|uri| SignalSubject { kind: SubjectKind::Workload, id: uri.to_owned() }),
        Some("scim") => return scim(text("uri"), text("externalId")),
        Some("email" | "phone_number" | "account" | "did" | "jwt_id" | "saml_assertion_id" | "ip-addresses") => {
            return Told::Foreign;
        }
        _ => None,
    };
    subject.map_or(Told::Nothing, Told::Subject)
}

/// A resource of a SCIM service (RFC 9967 §2.1): one of our identities by its id there or by the id that it has here,
/// or a person by the external id as a feed of people has it, `hr/4711`.
fn scim(uri: Option<&str>, external: Option<&str>) -> Told {
    let Some(uri) = uri else { return Told::Nothing };
    let resource = uri.rsplit('/').next().and_then(identity);
    if let Some(subject) = external.and_then(identity).or(resource) {
        return Told::Subject(subject);
    }
    if !uri.contains("/Users/") {
        return external.and_then(own::subject).map_or(Told::Nothing, Told::Subject);
    }
    external.and_then(|key| own::subject(&format!("person:{key}"))).map_or(Told::Foreign, Told::Subject)
}

fn identity(id: &str) -> Option<SignalSubject> {
    IdentityId::from_str(id).ok().map(|id| SignalSubject { kind: SubjectKind::Identity, id: id.to_string() })
}

const fn member(path: &'static str, expected: &'static str) -> AdapterError {
    AdapterError::Member { path, expected }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
