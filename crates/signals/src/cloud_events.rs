//! CloudEvents 1.0 in structured mode, of Tenure's own types.
//!
//! Binary mode is refused: there the attributes are headers, which no signature of ours covers.

use serde_json::{Map, Value};
use tenure_core::base::json::{JsonError, read_object};
use tenure_core::signal::Word;

use crate::own::{self, fits, kind_of};
use crate::words::{AdapterError, Headers, instant, media_type};

pub(crate) fn read(headers: &Headers<'_>, body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    if media_type(headers) != Some("application/cloudevents+json") {
        return Err(AdapterError::Header {
            name: "content-type",
            expected: "application/cloudevents+json: one event, in structured mode",
        });
    }
    let event = read_object(body).map_err(|error| AdapterError::Body {
        expected: "a CloudEvent",
        why: match error {
            JsonError::DuplicateMember => "a member is given twice",
            JsonError::Malformed => "it is no JSON object, or nests more than 16 deep",
        }
        .to_owned(),
    })?;
    one(&event)
}

fn one(event: &Map<String, Value>) -> Result<Vec<Word>, AdapterError> {
    if text(event, "specversion", "1.0")? != "1.0" {
        return Err(member("specversion", "1.0"));
    }
    text(event, "id", "an id, unique for its source")?;
    text(event, "source", "a URI reference")?;
    let Some(kind) = kind_of(text(event, "type", "the event's type")?)? else {
        return Ok(Vec::new());
    };
    let is_json = |kind: &str| kind == "application/json" || kind.ends_with("+json");
    let encoding = event.get("datacontenttype");
    if event.contains_key("data_base64") || encoding.is_some_and(|e| !e.as_str().is_some_and(is_json)) {
        return Err(member("datacontenttype", "application/json: facts are given as an object in data"));
    }
    let subject = own::subject(text(event, "subject", "what it is about, such as application:payments")?)
        .filter(|subject| fits(kind, subject.kind))
        .ok_or(member(
            "subject",
            "a sort of thing to which this can happen, a colon and its name, such as application:payments",
        ))?;
    let time = match event.get("time") {
        None => None,
        Some(time) => Some(time.as_str().ok_or(member("time", "a time as RFC 3339 has it"))?),
    };
    let about = Word { kind, subject, occurred_at: instant("time", time)?, facts: Map::new() };
    Ok(vec![own::facts(event.get("data"))?.on(about)])
}

fn text<'a>(
    event: &'a Map<String, Value>,
    path: &'static str,
    expected: &'static str,
) -> Result<&'a str, AdapterError> {
    let given = event.get(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    given.ok_or(member(path, expected))
}

const fn member(path: &'static str, expected: &'static str) -> AdapterError {
    AdapterError::Member { path, expected }
}

#[cfg(test)]
#[path = "cloud_events_tests.rs"]
mod tests;
