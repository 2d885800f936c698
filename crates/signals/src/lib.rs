//! What platforms say of the world, translated into [`Word`]s (S-12). Pure: bytes in, words out.
//!
//! Three rules hold for every adapter. What a word is made of has to be there and well-formed, or the delivery is
//! refused; the rest of a payload may be anything, so that a platform's next release breaks nothing. A fact bears the
//! name of a claim only if it is true of the whole subject: a run's branch is no fact about its repository, and would
//! contradict bindings that were never concerned. And what arrives outside the signed bytes (GitHub's event header) is
//! believed only as far as the signed bytes bear it out.

mod cloud_events;
mod github;
mod gitlab;
mod kubernetes;
mod own;
mod set;
mod words;

use serde_json::{Map, Value};
use tenure_core::base::text;
use tenure_core::signal::{Format, MAX_SUBJECT, Word};

pub use crate::own::{cloud_event_type, set_event_type};
pub use crate::words::{AdapterError, Headers, MAX_FACT, MAX_FACTS, MAX_WORDS};

/// Reads an authenticated delivery. An event of no interest is no word.
///
/// # Errors
/// [`AdapterError`] if the delivery isn't of the format or what it says can't be told; SETs are read by [`read_set`]
/// once they are verified.
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

fn well_formed(words: Vec<Word>) -> Result<Vec<Word>, AdapterError> {
    if words.iter().any(|word| word.subject.id.is_empty() || word.subject.id.len() > MAX_SUBJECT) {
        return Err(AdapterError::TooLong);
    }
    if words.iter().any(|word| text::check_line(&word.subject.id).is_err()) {
        return Err(AdapterError::Member {
            path: "subject",
            expected: "a name in one line, without control or hidden characters",
        });
    }
    Ok(words)
}

#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod tests;
