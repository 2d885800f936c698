//! What the votes on a request bind, and its hash (S-8).
//!
//! A vote quotes the hash of what was read, so it must come to the same whichever release computes it. Form 2 is SHA-256 over canonical
//! JSON (RFC 8785: members in the order of their names, no white space) in which each field that says what its absence says is left out:
//! a field that a later release adds changes nothing until somebody uses it. The first form is the JSON of the serialiser, in the order of
//! its fields; requests that were made under it are judged by it as long as they are open.

use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::facts::Facts;
use crate::error::OpError;

/// What stands before a hash of the second form.
const FORM_2: &str = "v2:";

/// What votes bind besides the matter, by name: the charter, the template or the policy concerned.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject(Vec<Part>);

#[derive(Debug, Clone)]
struct Part {
    name: &'static str,
    whole: Value,
    brief: fn(Value) -> Value,
}

impl Subject {
    /// The subject with a further part.
    ///
    /// # Errors
    /// The part can't be JSON.
    pub(crate) fn with<T: Serialize + DeserializeOwned + PartialEq>(mut self, name: &'static str, part: &T) -> Result<Self, OpError> {
        self.0.push(Part {
            name,
            whole: json(part)?,
            brief: brief::<T>,
        });
        Ok(self)
    }

    /// All of it, as JSON.
    pub(crate) fn whole(&self) -> Value {
        self.told(|part| part.whole.clone())
    }

    fn told(&self, tell: impl Fn(&Part) -> Value) -> Value {
        self.0.iter().map(|part| (part.name.to_owned(), tell(part))).collect::<Map<_, _>>().into()
    }
}

/// The hash of what is asked for, of whom, and why.
///
/// # Errors
/// It can't be JSON.
pub(crate) fn content_hash(facts: &Facts, purpose: &str) -> Result<String, OpError> {
    let mut bound = Map::from_iter([
        ("matter".to_owned(), brief::<tenure_core::request::Matter>(json(&facts.matter)?)),
        ("purpose".to_owned(), Value::from(purpose)),
        ("subject".to_owned(), facts.subject.told(|part| (part.brief)(part.whole.clone()))),
    ]);
    if let Some(start) = facts.starts_at {
        bound.insert("starts_at".to_owned(), json(&start)?);
    }
    let mut text = String::new();
    push(&mut text, &Value::Object(bound));
    Ok(format!("{FORM_2}{}", digest(&text)))
}

/// Whether a request's hash is that of this content, in the form that the hash was made in.
///
/// # Errors
/// The content can't be JSON.
pub(crate) fn is_hash_of(hash: &str, facts: &Facts, purpose: &str) -> Result<bool, OpError> {
    let ours = if hash.starts_with(FORM_2) {
        content_hash(facts, purpose)?
    } else {
        first_form(facts, purpose)?
    };
    Ok(ours == hash)
}

fn first_form(facts: &Facts, purpose: &str) -> Result<String, OpError> {
    let bound = Map::from_iter([
        ("matter".to_owned(), json(&facts.matter)?),
        ("purpose".to_owned(), Value::from(purpose)),
        ("subject".to_owned(), facts.subject.whole()),
        ("starts_at".to_owned(), json(&facts.starts_at)?),
    ]);
    Ok(digest(&Value::Object(bound).to_string()))
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn json(value: &impl Serialize) -> Result<Value, OpError> {
    serde_json::to_value(value).map_err(|error| OpError::Internal(format!("what a request is about can't be told: {error}")))
}

/// A record's JSON without each member whose absence reads the same.
fn brief<T: DeserializeOwned + PartialEq>(whole: Value) -> Value {
    let read = |value: &Value| T::deserialize(value).ok();
    let Some(meant) = read(&whole) else { return whole };
    let mut brief = whole;
    let mut places = Vec::new();
    members(&brief, &mut String::new(), &mut places);
    for (parent, name) in places {
        // It may have gone along with what it stood in.
        let Some(Value::Object(object)) = brief.pointer_mut(&parent) else { continue };
        let Some(member) = object.remove(&name) else { continue };
        if read(&brief).as_ref() != Some(&meant)
            && let Some(Value::Object(object)) = brief.pointer_mut(&parent)
        {
            object.insert(name, member);
        }
    }
    brief
}

/// Every member of every object, the outer ones first: the object's place as a JSON pointer (RFC 6901), and the member's name.
fn members(value: &Value, at: &mut String, places: &mut Vec<(String, String)>) {
    let length = at.len();
    let mut down = |name: &str, value: &Value| {
        at.push('/');
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        members(value, at, places);
        at.truncate(length);
    };
    match value {
        Value::Object(object) => {
            let mut names: Vec<_> = object.iter().collect();
            names.sort_unstable_by_key(|(name, _)| name.as_str());
            for (name, value) in &names {
                down(name, value);
            }
            places.extend(names.into_iter().map(|(name, _)| (at.clone(), name.clone())));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| down(&n.to_string(), item)),
        _ => {}
    }
}

/// Canonical JSON. Numbers are whole in everything that a request holds but the claims of a binding; those are written as they are read.
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
    use serde::Deserialize;
    use serde_json::json;
    use tenure_core::id::IdentityId;
    use tenure_core::identity::CharterDraft;
    use tenure_core::request::Matter;
    use tenure_core::time::Timestamp;

    use super::*;

    fn charter() -> CharterDraft {
        CharterDraft {
            purpose: Some("Exports bills".into()),
            environment: Some("production".into()),
            expires_at: Some(Timestamp::from_secs(1_900_000_000)),
            ..CharterDraft::default()
        }
    }

    fn facts(subject: Subject) -> Facts {
        Facts::about(
            &Matter::Activation {
                identity: IdentityId::from_u128(7),
            },
            subject,
        )
    }

    /// Open requests hold such hashes. A field that is new in a charter, a matter, a template or a package must leave both as they are:
    /// `#[serde(default, skip_serializing_if = …)]`.
    #[test]
    fn d14_the_hashes_of_both_forms_are_what_they_were() {
        let facts = facts(Subject::default().with("charter", &charter()).unwrap());
        let (first, second) = (first_form(&facts, "as agreed").unwrap(), content_hash(&facts, "as agreed").unwrap());
        assert_eq!(first, "sha256:c98b27f4eab399aac9d025378c87e2caf0d4a7c324a876a7476a5a4c82b597a2");
        assert_eq!(second, "v2:sha256:8859dec0c7778c77cc973780b76d63e64409adb8f9ec305e51aeed616a9f5d7f");
        for hash in [&first, &second] {
            assert!(is_hash_of(hash, &facts, "as agreed").unwrap());
            assert!(!is_hash_of(hash, &facts, "as agreed otherwise").unwrap());
        }
    }

    #[test]
    fn d14_a_field_that_nobody_uses_changes_nothing_and_any_other_does() {
        #[derive(Serialize, Deserialize, PartialEq)]
        struct Before {
            names: Vec<String>,
            count: Option<u32>,
        }
        #[derive(Serialize, Deserialize, PartialEq)]
        struct After {
            count: Option<u32>,
            #[serde(default)]
            added: bool,
            #[serde(default)]
            names: Vec<String>,
            #[serde(default)]
            nested: std::collections::BTreeMap<String, Value>,
        }
        let hash = |subject: Subject| content_hash(&facts(subject), "p").unwrap();
        let before = |count| {
            hash(
                Subject::default()
                    .with(
                        "x",
                        &Before {
                            names: vec!["a".into()],
                            count,
                        },
                    )
                    .unwrap(),
            )
        };
        let after = |count, added, nested: &[(&str, Value)]| {
            let nested = nested.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let names = vec!["a".to_owned()];
            hash(Subject::default().with("x", &After { count, added, names, nested }).unwrap())
        };
        assert_eq!(before(None), after(None, false, &[]), "another order, and fields that are new");
        assert_ne!(before(None), after(None, true, &[]));
        assert_ne!(after(None, false, &[]), after(Some(0), false, &[]), "nothing is no zero");
        assert_ne!(
            after(None, false, &[]),
            after(None, false, &[("a", Value::Null)]),
            "a name in a map counts, whatever it holds"
        );
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
