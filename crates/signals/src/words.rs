//! What the adapters have in common: the words that they translate into, and how they refuse.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tenure_core::base::text::{check_line, is_unseen};
use tenure_core::base::time::Timestamp;
use tenure_core::signal::{MAX_SUBJECT, SignalKind, SignalSubject, SubjectKind, Word};

/// The most words of one delivery, and of one commit: a batch of Kubernetes, which is the doing of many, is taken in
/// parts of so many, since nobody may keep the others from being heard by doing much at once.
pub const MAX_WORDS: usize = 400;

/// The most facts of one word.
pub const MAX_FACTS: usize = 32;

/// The longest text of one fact in bytes; a longer one is left out.
pub const MAX_FACT: usize = 512;

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

/// A word without facts.
pub(crate) fn word(kind: SignalKind, about: SubjectKind, id: String, occurred_at: Option<Timestamp>) -> Word {
    Word { kind, subject: SignalSubject { kind: about, id }, occurred_at, facts: Map::new() }
}

/// The body as JSON of one shape. Members that the shape has are refused when given twice; others are skipped.
pub(crate) fn body_of<'de, T: serde::Deserialize<'de>>(
    expected: &'static str,
    body: &'de [u8],
) -> Result<T, AdapterError> {
    serde_json::from_slice(body).map_err(|e| unreadable(expected, &e))
}

pub(crate) fn unreadable(expected: &'static str, error: &serde_json::Error) -> AdapterError {
    // The reader quotes values that it didn't expect; the part before them says enough.
    let said = error.to_string();
    let why = said.split('"').next().unwrap_or_default().trim_end();
    let at = format!("line {}, column {}", error.line(), error.column());
    AdapterError::Body { expected, why: if said.contains('"') { format!("{why} … at {at}") } else { said } }
}

/// The body's type without its parameters.
pub(crate) fn media_type<'a>(headers: &Headers<'a>) -> Option<&'a str> {
    headers.get("content-type").and_then(|value| value.split(';').next()).map(str::trim)
}

/// An instant as RFC 3339 has it, if there is one.
pub(crate) fn instant(path: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, AdapterError> {
    let wrong = AdapterError::Member { path, expected: "a time as RFC 3339 has it" };
    text.map(|text| text.parse().map_err(|_| wrong)).transpose()
}

/// A fact's text as it is told on: what can't be seen stands as U+FFFD, since a word isn't refused for the name of a
/// branch.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    match check_line(text) {
        Ok(()) => Cow::Borrowed(text),
        Err(_) => text.chars().map(|c| if is_unseen(c) { char::REPLACEMENT_CHARACTER } else { c }).collect(),
    }
}

/// Facts as an adapter collects them: only what is known, plain, short, and at most [`MAX_FACTS`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts(pub(crate) Map<String, Value>);

impl Facts {
    /// A text, if there is one.
    pub(crate) fn text(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value.map(shown).filter(|v| !v.is_empty() && v.len() <= MAX_FACT)
            && self.0.len() < MAX_FACTS
        {
            self.0.insert(name.to_owned(), Value::from(value));
        }
        self
    }

    /// A number as text, as the tokens of CI systems carry ids.
    pub(crate) fn id(self, name: &str, value: Option<u64>) -> Self {
        self.text(name, value.map(|v| v.to_string()).as_deref())
    }

    /// The word with these facts.
    pub(crate) fn on(self, mut word: Word) -> Word {
        word.facts = self.0;
        word
    }
}
