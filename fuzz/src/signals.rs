//! What platforms send.

use serde_json::Value;
use tenure_core::base::json::read_object;
use tenure_core::base::text;
use tenure_core::base::time::Timestamp;
use tenure_core::signal::{Format, MAX_SUBJECT, Word};
use tenure_credentials::signal::{
    github_signature, is_github_signature, is_standard_signature, is_timed_signature, standard_signature,
    timed_signature,
};
use tenure_signals::{AdapterError, Headers, MAX_FACT, MAX_FACTS, MAX_WORDS, read, read_set};

use crate::edit::edited;

/// What holds of the words of any delivery.
fn check(format: Format, said: &Result<Vec<Word>, AdapterError>) {
    let Ok(words) = said else { return };
    // A batch of Kubernetes is the doing of many, and is taken in parts.
    assert!(words.len() <= MAX_WORDS || format == Format::Kubernetes);
    for word in words {
        let id = &word.subject.id;
        assert!((1..=MAX_SUBJECT).contains(&id.len()) && text::check_line(id).is_ok(), "the subject is {id:?}");
        assert!(word.facts.len() <= MAX_FACTS);
        for (name, fact) in &word.facts {
            assert_eq!(text::check_line(name), Ok(()), "a fact's name is {name:?}");
            match fact {
                Value::String(told) => {
                    assert!(told.len() <= MAX_FACT && text::check_line(told).is_ok(), "{name} is {told:?}")
                }
                Value::Bool(_) => {}
                Value::Number(number) => assert!(!number.is_f64(), "{name} is {number}"),
                _ => panic!("{name} is {fact}"),
            }
        }
    }
}

fn deliver(format: Format, headers: &[(&str, &str)], body: &[u8]) {
    let said = read(format, &Headers(headers), body);
    check(format, &said);
    assert_eq!(read(format, &Headers(headers), body), said, "the same delivery says another thing");
}

/// GitHub: the first line is the event, the rest is the body.
pub(crate) fn github(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (event, body) = bytes.split_at(end);
    let Ok(event) = std::str::from_utf8(event) else { return };
    deliver(Format::Github, &[("x-github-event", event), ("content-type", "application/json")], body);
}

/// GitLab.
pub(crate) fn gitlab(bytes: &[u8]) {
    deliver(Format::Gitlab, &[], bytes);
}

/// Kubernetes: batches of audit events, and watch events.
pub(crate) fn kubernetes(bytes: &[u8]) {
    deliver(Format::Kubernetes, &[], bytes);
}

/// CloudEvents.
pub(crate) fn cloud_events(bytes: &[u8]) {
    deliver(Format::CloudEvents, &[("content-type", "application/cloudevents+json")], bytes);
}

/// Claims of security event tokens.
pub(crate) fn set(bytes: &[u8]) {
    let Ok(claims) = read_object(bytes) else { return };
    check(Format::Set, &read_set(&claims));
}

const GITHUB: &str = "a secret";
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &[u8] = b"{\"action\":\"archived\"}";
const AT: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Signatures of deliveries: the given header, and the right one edited; none but the right one holds.
pub(crate) fn signature(bytes: &[u8]) {
    let standard = standard_signature(STANDARD, "msg_1", "1800000000", BODY).unwrap();
    let (github, timed) = (github_signature(GITHUB, BODY), timed_signature(GITHUB, BODY, AT));
    for (right, holds) in [
        (&github, (|header| is_github_signature(GITHUB, header, BODY)) as fn(&str) -> bool),
        (&timed, |header| is_timed_signature(GITHUB, header, BODY, AT)),
        // Several may stand side by side, while keys are changed.
        (&standard, |header| is_standard_signature(STANDARD, "msg_1", "1800000000", header, BODY, AT)),
    ] {
        assert!(holds(right));
        for given in [bytes.to_vec(), edited(right.as_bytes(), bytes)] {
            let Ok(given) = std::str::from_utf8(&given) else {
                continue;
            };
            assert!(
                !holds(given) || given.to_ascii_lowercase().contains(&right.to_ascii_lowercase()),
                "{given:?} holds"
            );
        }
        assert!(
            !edited(BODY, bytes).as_slice().ne(BODY) || !is_github_signature(GITHUB, &github, &edited(BODY, bytes))
        );
    }
}
