//! Words of the domain that come as text.

use serde_json::Value;
use tenure_core::base::id::{BindingId, IdentityId, PersonId};
use tenure_core::base::json::{JsonError, read_object};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::base::{text, uri};
use tenure_core::identity::CharterDraft;
use tenure_core::inventory::environment::parse_name;

/// The nesting that [`read_object`] lets through.
const MAX_DEPTH: usize = 16;

/// Ids: one text for each.
pub(crate) fn id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<IdentityId>() {
        assert_eq!(id.to_string(), text);
        assert!(
            text.parse::<PersonId>().is_err() && text.parse::<BindingId>().is_err(),
            "an id of one kind is one of another"
        );
    }
    if parse_name("name", text).is_ok() {
        assert!(text.len() <= 63 && text.is_ascii() && text::check_line(text).is_ok(), "{text:?} is no name");
    }
}

/// Times and spans: what is read is written as a text that reads as the same.
pub(crate) fn time(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(at) = text.parse::<Timestamp>() {
        assert!((Timestamp::MIN..=Timestamp::MAX).contains(&at));
        assert_eq!(at.to_string().parse(), Ok(at), "{text:?}");
    }
    if let Ok(span) = text.parse::<Span>() {
        assert!(span <= Span::from_days(36_500));
        assert_eq!(span.to_string().parse(), Ok(span), "{text:?}");
    }
}

/// Lines: what is shown of a text passes for what is taken, and stays as it is.
pub(crate) fn text(bytes: &[u8]) {
    let Ok(given) = std::str::from_utf8(bytes) else { return };
    let line = text::line(given);
    assert_eq!(text::check_line(&line), Ok(()), "{given:?} is shown as {line:?}");
    let lines = text::lines(given);
    assert_eq!(text::check_lines(&lines), Ok(()), "{given:?} is shown as {lines:?}");
    assert!(!lines.contains('\r'));
    assert!(text::check_line(given).is_err() || line == given, "a good line is shown as another");
    if text::is_email(given) {
        assert_eq!(given.matches('@').count(), 1);
        assert_eq!(text::check_line(given), Ok(()));
    }
}

/// Addresses: the normal form is its own, and hardly longer.
pub(crate) fn uri(bytes: &[u8]) {
    let Ok(given) = std::str::from_utf8(bytes) else { return };
    let normal = uri::normal(given);
    assert!(normal.len() <= given.len() + 1, "{given:?} grows to {normal:?}");
    assert_eq!(uri::normal(&normal), normal, "of {given:?}");
    assert!(uri::is_same(given, &normal));
}

/// JSON objects: nothing twice, no deeper than the bound, and otherwise what any other reader sees.
pub(crate) fn json(bytes: &[u8]) {
    match read_object(bytes) {
        Ok(object) => {
            let value = Value::Object(object);
            assert!(depth(&value) <= MAX_DEPTH);
            assert_eq!(serde_json::from_slice::<Value>(bytes).unwrap(), value);
            let again = read_object(value.to_string().as_bytes()).map(Value::Object);
            assert!(
                again.as_ref() == Ok(&value) || again.is_ok() && has_fraction(&value),
                "{value} is read as {again:?}"
            );
        }
        Err(JsonError::DuplicateMember) => {}
        Err(JsonError::Malformed) => {
            let other = serde_json::from_slice::<Value>(bytes);
            assert!(
                other.is_err() || other.is_ok_and(|value| !value.is_object() || depth(&value) > MAX_DEPTH),
                "refused without a reason"
            );
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether there is a number that isn't whole in it: what is read of one may be the neighbour of the nearest
/// (serde_json without `float_roundtrip`), which no record holds.
fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        _ => false,
    }
}

/// Charters as they are handed in: what is read is kept, and read again as the same.
pub(crate) fn charter(bytes: &[u8]) {
    let Ok(draft) = serde_json::from_slice::<CharterDraft>(bytes) else {
        return;
    };
    let kept = serde_json::to_vec(&draft).unwrap();
    assert_eq!(serde_json::from_slice::<CharterDraft>(&kept).unwrap(), draft);
}
