//! What the votes on a request bind, and its hash (S-8).
//!
//! A vote quotes the hash of what was read, so it must come to the same whichever release computes it. Form 2 is
//! SHA-256 over canonical JSON (RFC 8785: members in the order of their names, no white space). A field that a later
//! release adds is left out of a record's JSON while nobody uses it (`skip_serializing_if`), and so changes nothing.
//! The first form is the JSON of the serialiser, in the order of its fields; requests that were made under it are
//! judged by it as long as they are open.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::kernel::digest::sha256;
use crate::kernel::error::OpError;
use crate::requests::facts::MatterFacts;

/// What stands before a hash of the second form.
const FORM_2: &str = "v2:";

/// What votes bind besides the matter, by name: the charter, the template or the policy concerned.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject(Map<String, Value>);

impl Subject {
    /// The subject with a further part.
    ///
    /// # Errors
    /// The part can't be JSON.
    pub(crate) fn with(mut self, name: &'static str, part: &impl Serialize) -> Result<Self, OpError> {
        self.0.insert(name.to_owned(), json(part)?);
        Ok(self)
    }

    /// All of it, as JSON.
    pub(crate) fn whole(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// The hash of what is asked for, of whom, and why.
///
/// # Errors
/// It can't be JSON.
pub(crate) fn content_hash(facts: &MatterFacts, purpose: &str) -> Result<String, OpError> {
    let mut bound = Map::from_iter([
        ("matter".to_owned(), json(&facts.matter)?),
        ("purpose".to_owned(), Value::from(purpose)),
        ("subject".to_owned(), facts.subject.whole()),
    ]);
    if let Some(start) = facts.starts_at {
        bound.insert("starts_at".to_owned(), json(&start)?);
    }
    let mut text = String::new();
    push(&mut text, &Value::Object(bound));
    Ok(format!("{FORM_2}{}", sha256(&text)))
}

/// Whether a request's hash is that of this content, in the form that the hash was made in.
///
/// # Errors
/// The content can't be JSON.
pub(crate) fn is_hash_of(hash: &str, facts: &MatterFacts, purpose: &str) -> Result<bool, OpError> {
    let ours = if hash.starts_with(FORM_2) { content_hash(facts, purpose)? } else { first_form(facts, purpose)? };
    Ok(ours == hash)
}

fn first_form(facts: &MatterFacts, purpose: &str) -> Result<String, OpError> {
    let bound = Map::from_iter([
        ("matter".to_owned(), json(&facts.matter)?),
        ("purpose".to_owned(), Value::from(purpose)),
        ("subject".to_owned(), facts.subject.whole()),
        ("starts_at".to_owned(), json(&facts.starts_at)?),
    ]);
    Ok(sha256(&Value::Object(bound).to_string()))
}

fn json(value: &impl Serialize) -> Result<Value, OpError> {
    serde_json::to_value(value)
        .map_err(|error| OpError::Internal(format!("what a request is about can't be told: {error}")))
}

/// Canonical JSON. Numbers are whole in everything that a request holds but the claims of a binding; those are written
/// as they are read.
fn push(text: &mut String, value: &Value) {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            text.push('{');
            for (n, (name, value)) in members.into_iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                push_string(text, name);
                text.push(':');
                push(text, value);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                push(text, item);
            }
            text.push(']');
        }
        Value::String(string) => push_string(text, string),
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
    }
}

/// A string with the escapes of RFC 8785 §3.2.2.2 and no others.
fn push_string(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            // Writing to a string can't fail.
            c if c < ' ' => drop(write!(text, "\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenure_core::base::id::IdentityId;
    use tenure_core::base::time::Timestamp;
    use tenure_core::identity::CharterDraft;
    use tenure_core::request::Matter;

    use super::*;

    fn charter() -> CharterDraft {
        CharterDraft {
            purpose: Some("Exports bills".into()),
            environment: Some("production".into()),
            expires_at: Some(Timestamp::from_secs(1_900_000_000)),
            ..CharterDraft::default()
        }
    }

    fn facts(subject: Subject) -> MatterFacts {
        MatterFacts::about(&Matter::Activation { identity: IdentityId::from_u128(7) }, subject)
    }

    /// Open requests hold such hashes.
    #[test]
    fn d14_the_hashes_of_both_forms_are_what_they_were() {
        let facts = facts(Subject::default().with("charter", &charter()).unwrap());
        let (first, second) = (first_form(&facts, "as agreed").unwrap(), content_hash(&facts, "as agreed").unwrap());
        assert_eq!(first, "sha256:c98b27f4eab399aac9d025378c87e2caf0d4a7c324a876a7476a5a4c82b597a2");
        assert_eq!(second, "v2:sha256:bd98752b59bdeb2340e3fc263c8d84832bc6400384073bd40c24d178a39556db");
        for hash in [&first, &second] {
            assert!(is_hash_of(hash, &facts, "as agreed").unwrap());
            assert!(!is_hash_of(hash, &facts, "as agreed otherwise").unwrap());
        }
    }

    /// A field that is new in any of these must leave its JSON as it is while nobody uses it: `#[serde(default,
    /// skip_serializing_if = …)]`.
    #[test]
    fn d14_a_field_that_nobody_uses_is_in_no_hash() {
        let id = |kind: &str| format!("{kind}_{}", "0".repeat(25) + "1");
        let entitlement = json!({"actions": ["read"], "resource": id("res")});
        let template = json!({
            "name": "t", "kind": "workload", "description": "d", "default_life": "1d", "max_life": "2d", "max_tier": "low",
        });
        let matters = [
            json!({"type": "activation", "identity": id("idn")}),
            json!({"type": "access", "identity": id("idn"), "entitlement": entitlement, "duration": "1h"}),
            json!({"type": "charter", "identity": id("idn"), "charter": {"scope": [entitlement]}}),
            json!({"type": "renewal", "identity": id("idn"), "until": "2027-01-01T00:00:00Z"}),
            json!({"type": "person_access", "person": id("per"), "entitlements": [entitlement], "duration": "1h"}),
            json!({"type": "exception", "exception": id("exc")}),
            json!({"type": "roles", "person": id("per"), "roles": ["security"]}),
            json!({"type": "policy", "policy": id("pol")}),
            json!({"type": "template", "template": template}),
        ];
        let mut text = String::new();
        for matter in matters {
            let read: Matter =
                serde_json::from_value(matter.clone()).unwrap_or_else(|error| panic!("{matter}: {error}"));
            push(&mut text, &json!(read));
        }
        assert_eq!(sha256(&text), "sha256:7614165670e3be0dbf10a38080485fb626fed70771579b5a8d157f63fd03866e", "{text}");
    }

    #[test]
    fn d14_the_canonical_form_is_that_of_rfc_8785() {
        let mut text = String::new();
        push(
            &mut text,
            &json!({"\u{20ac}": "Euro", "\r": "\u{f}\n\"\\/€", "1": [true, null, -7], "\u{1f600}": {}, "\u{fb33}": 1}),
        );
        // The order is that of UTF-16: the surrogates of U+1F600 come before U+FB33.
        assert_eq!(
            text,
            "{\"\\r\":\"\\u000f\\n\\\"\\\\/€\",\"1\":[true,null,-7],\"€\":\"Euro\",\"😀\":{},\"\u{fb33}\":1}"
        );
    }
}
