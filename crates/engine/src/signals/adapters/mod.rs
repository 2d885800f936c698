//! What platforms say of the world, translated into [`Word`]s (S-12). Pure: bytes in, words out.
//!
//! Three rules hold for every adapter. What a word is made of has to be there and well-formed, or the delivery is refused; the rest of a payload
//! may be anything, so that a platform's next release breaks nothing. A fact bears the name of a claim only if it is true of the whole subject:
//! a run's branch is no fact about its repository, and would contradict bindings that were never concerned. And what arrives outside the
//! signed bytes (GitHub's event header) is believed only as far as the signed bytes bear it out.

mod cloud_events;
mod github;
mod gitlab;
mod kubernetes;
mod own;
mod set;

use serde_json::{Map, Value};
use tenure_core::signal::{Format, MAX_SUBJECT, SignalKind, SignalSubject, SubjectKind, Word};
use tenure_core::text;
use tenure_core::time::Timestamp;

pub use self::own::{cloud_event_type, set_event_type};

/// The most words of one delivery, and of one commit: a batch of Kubernetes, which is the doing of many, is taken in parts of so many, since
/// nobody may keep the others from being heard by doing much at once.
pub const MAX_WORDS: usize = 400;
/// The most facts of one word.
pub const MAX_FACTS: usize = 32;
/// The longest text of one fact in bytes; a longer one is left out.
const MAX_FACT: usize = 512;

/// A delivery's headers, by lower-case name.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(pub &'a [(&'a str, &'a str)]);

impl<'a> Headers<'a> {
    /// The header's value, if it was sent exactly once.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let mut found = self.0.iter().filter(|(n, _)| *n == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

/// Why a delivery can't be read. Each says what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// The body is no JSON of the format.
    #[error("the body can't be read as {expected}: {why}")]
    Body {
        /// What it should be.
        expected: &'static str,
        /// What the reader says, without any of the body's values.
        why: String,
    },
    /// A header is missing, given twice or of no use.
    #[error("header {name}: expected {expected}")]
    Header {
        /// Its lower-case name.
        name: &'static str,
        /// What to send.
        expected: &'static str,
    },
    /// A member of the payload is missing or malformed.
    #[error("{path}: expected {expected}")]
    Member {
        /// Where, with dots, e.g. `changes.repository.name.from`.
        path: &'static str,
        /// What is expected there.
        expected: &'static str,
    },
    /// The event's type and its content don't agree.
    #[error("the payload is not of event {event}: {why}; deliver it as it was sent")]
    Disagrees {
        /// What the delivery says it is.
        event: &'static str,
        /// Why it can't be.
        why: &'static str,
    },
    /// The subject's name is longer than [`MAX_SUBJECT`] bytes.
    #[error("the subject's name is longer than {MAX_SUBJECT} bytes; nothing in Tenure can bear such a name")]
    TooLong,
    /// The delivery says more than [`MAX_WORDS`] things.
    #[error("the delivery holds more than {MAX_WORDS} events of interest; send smaller batches")]
    TooMany,
}

impl AdapterError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Body { .. } => "body_unreadable",
            Self::Header { .. } => "header_unusable",
            Self::Member { .. } => "member_unusable",
            Self::Disagrees { .. } => "event_disagrees",
            Self::TooLong => "subject_too_long",
            Self::TooMany => "too_many_events",
        }
    }
}

/// Reads an authenticated delivery. An event of no interest is no word.
///
/// # Errors
/// [`AdapterError`] if the delivery isn't of the format or what it says can't be told; SETs are read by [`read_set`] once they are verified.
pub fn read(format: Format, headers: &Headers<'_>, body: &[u8]) -> Result<Vec<Word>, AdapterError> {
    let words = match format {
        Format::Github => github::read(headers, body)?,
        Format::Gitlab => gitlab::read(body)?,
        Format::Kubernetes => return well_formed(kubernetes::read(body)?),
        Format::CloudEvents => cloud_events::read(headers, body)?,
        Format::Set => {
            return Err(AdapterError::Body {
                expected: "claims",
                why: "a security event token is read after its signature".to_owned(),
            });
        }
    };
    bounded(words)
}

/// Reads the claims of a verified security event token. An event of no interest is no word.
///
/// # Errors
/// [`AdapterError`] if an event that Tenure knows is malformed or about nothing that can be told.
pub fn read_set(claims: &Map<String, Value>) -> Result<Vec<Word>, AdapterError> {
    bounded(set::read(claims)?)
}

fn bounded(words: Vec<Word>) -> Result<Vec<Word>, AdapterError> {
    if words.len() > MAX_WORDS {
        return Err(AdapterError::TooMany);
    }
    well_formed(words)
}

fn well_formed(mut words: Vec<Word>) -> Result<Vec<Word>, AdapterError> {
    if words.iter().any(|word| word.subject.id.is_empty() || word.subject.id.len() > MAX_SUBJECT) {
        return Err(AdapterError::TooLong);
    }
    if words.iter().any(|word| text::check_line(&word.subject.id).is_err()) {
        return Err(AdapterError::Member {
            path: "subject",
            expected: "a name in one line, without control or hidden characters",
        });
    }
    // What a platform tells beside it is told on as what it is: a word isn't refused for the name of a branch.
    for value in words.iter_mut().flat_map(|word| word.facts.values_mut()) {
        if let Value::String(told) = value
            && text::check_line(told).is_err()
        {
            *told = told.chars().map(|c| if text::is_unseen(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
        }
    }
    Ok(words)
}

/// A word without facts.
fn word(kind: SignalKind, about: SubjectKind, id: String, occurred_at: Option<Timestamp>) -> Word {
    Word {
        kind,
        subject: SignalSubject { kind: about, id },
        occurred_at,
        facts: Map::new(),
    }
}

/// The body as JSON of one shape. Members that the shape has are refused when given twice; others are skipped.
fn body_of<'de, T: serde::Deserialize<'de>>(expected: &'static str, body: &'de [u8]) -> Result<T, AdapterError> {
    serde_json::from_slice(body).map_err(|e| unreadable(expected, &e))
}

fn unreadable(expected: &'static str, error: &serde_json::Error) -> AdapterError {
    // The reader quotes values that it didn't expect; the part before them says enough.
    let said = error.to_string();
    let why = said.split('"').next().unwrap_or_default().trim_end();
    let at = format!("line {}, column {}", error.line(), error.column());
    AdapterError::Body {
        expected,
        why: if said.contains('"') { format!("{why} … at {at}") } else { said },
    }
}

/// The body's type without its parameters.
fn media_type<'a>(headers: &Headers<'a>) -> Option<&'a str> {
    headers.get("content-type").and_then(|value| value.split(';').next()).map(str::trim)
}

/// An instant as RFC 3339 has it, if there is one.
fn instant(path: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, AdapterError> {
    let wrong = AdapterError::Member {
        path,
        expected: "a time as RFC 3339 has it",
    };
    text.map(|text| text.parse().map_err(|_| wrong)).transpose()
}

/// Facts as an adapter collects them: only what is known, plain, short, and at most [`MAX_FACTS`].
#[derive(Debug, Clone, Default)]
struct Facts(Map<String, Value>);

impl Facts {
    /// A text, if there is one.
    fn text(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value.filter(|v| !v.is_empty() && v.len() <= MAX_FACT)
            && self.0.len() < MAX_FACTS
        {
            self.0.insert(name.to_owned(), Value::from(value));
        }
        self
    }

    /// A number as text, as the tokens of CI systems carry ids.
    fn id(self, name: &str, value: Option<u64>) -> Self {
        self.text(name, value.map(|v| v.to_string()).as_deref())
    }

    /// The word with these facts.
    fn on(self, mut word: Word) -> Word {
        word.facts = self.0;
        word
    }
}

#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod tests;
pub mod words;
