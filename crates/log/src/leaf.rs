//! Leaf bytes: the exact form of one event in the log, in two versions that are both read and verified for ever.
//!
//! A leaf of version 2, which is what is written, is the byte 2 and one array in the [packed](crate::packed) form of
//! JSON, about a third of the bytes of version 1:
//!
//! ```text
//! [edition, at, control, kind, id, actor.type, actor.id, [subject…], [[row.kind, row.id, row.revision, h'digest']…],
//!  {name: fact…}, {field: h'commitment'…}]
//! ```
//!
//! `edition` is that of the list of words; the names of facts and fields rise by their bytes; digests and commitments
//! are 32 plain bytes.
//!
//! A leaf of version 1 is one JSON object in UTF-8, without white space, with the keys of every object sorted by their bytes, the
//! fewest possible escapes, and no floating-point numbers:
//!
//! ```json
//! {"actor":{"id":"per_1","type":"person"},"at":1700000000000000,"control":"issue","data":{},"id":"evt_1","kind":"credential.issued","personal":{},"rows":[["identity","idn_1",3,"<32 bytes>"]],"subjects":["idn_1"],"v":1}
//! ```
//!
//! In each version there is exactly one encoding of a [`Leaf`], and [`Leaf::parse`] accepts nothing else. The bytes are
//! what is hashed and stored; they are never rebuilt from parts. A new shape is a new version beside these.

pub(crate) mod scan;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::encoding::{Text32, push_hash, push_signed, push_string, push_unsigned};
use crate::merkle::Hash;
use crate::packed::{PackedError, Reader, Words, Writer};

/// The longest leaf in bytes: what an entry bundle's 16-bit length can say (C2SP tlog-tiles).
pub const MAX_LEAF_BYTES: usize = 65_535;

/// The version that this crate writes, and the newest that it reads.
pub const LEAF_VERSION: u64 = 2;

/// The version that is JSON.
const JSON: u64 = 1;

/// The first byte of a leaf of version 2.
const PACKED: u8 = 2;

/// How deep objects and arrays in `data` may nest, `data` itself being 1.
pub const MAX_DATA_DEPTH: usize = 32;

/// The longest kind, id, control, type or personal field name in bytes.
const MAX_NAME_BYTES: usize = 256;

/// One event: who did what to whom, when, under which control point, and which state rows it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Who caused the event.
    pub actor: Actor,
    /// Commit time in microseconds since 1970-01-01T00:00:00Z; it never decreases along a log.
    pub at: i64,
    /// The control point that allowed or refused it, such as `issue`.
    pub control: String,
    /// Public facts of the event. Integers only; no personal data, no secrets.
    pub data: Map<String, Value>,
    /// The event's id, such as `evt_…`.
    pub id: String,
    /// What happened, such as `credential.issued`.
    pub kind: String,
    /// Commitments to personal values by field name, see [`crate::commit`].
    pub personal: BTreeMap<String, Hash>,
    /// The state rows that this event wrote, in the order of writing.
    pub rows: Vec<RowDigest>,
    /// Ids of what the event is about.
    pub subjects: Vec<String>,
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The actor's id; empty for a caller who is not known.
    pub id: String,
    /// `type` in the leaf: `person`, `identity`, `system`, `stranger`, …
    #[serde(rename = "type")]
    pub kind: String,
}

/// What an event left in one state row, so that the state can be checked against the log (S-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDigest {
    /// The kind of row, such as `identity`.
    pub kind: String,
    /// The row's id.
    pub id: String,
    /// The revision that the row got by this event.
    pub revision: u64,
    /// Keyed digest of the row's content at that revision.
    pub digest: [u8; 32],
}

/// Why bytes are not a leaf, or a leaf has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// The encoded leaf is longer than [`MAX_LEAF_BYTES`].
    #[error("leaf of {bytes} bytes exceeds {MAX_LEAF_BYTES}")]
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Not JSON of the leaf's shape: a field is unknown, missing, duplicate or of another type.
    #[error("leaf is malformed")]
    Malformed(#[source] serde_json::Error),
    /// The leaf says a version above [`LEAF_VERSION`].
    #[error("leaf version {0} is not known")]
    Version(u64),
    /// The leaf is of an edition of the words that this crate doesn't know.
    #[error("edition {0} of the words is not known")]
    Edition(u64),
    /// Not the packed form of a leaf.
    #[error("leaf is malformed")]
    Unpacked(#[from] PackedError),
    /// Well-formed, but not the one encoding of its content.
    #[error("leaf bytes are not canonical")]
    NotCanonical,
    /// A number in `data` is not an integer of 64 bits.
    #[error("leaf data holds a number that is not an integer")]
    NotAnInteger,
    /// `data` nests deeper than [`MAX_DATA_DEPTH`].
    #[error("leaf data nests deeper than {MAX_DATA_DEPTH}")]
    TooDeep,
    /// A name is empty, too long, or holds a control character.
    #[error("leaf field {0} is empty, too long or holds control characters")]
    BadName(&'static str),
}

impl Leaf {
    /// The one encoding of this leaf in the newest version.
    ///
    /// # Errors
    /// When the content has no valid encoding: too large, too deep, a float in `data`, or an unusable name. What this
    /// returns, [`Leaf::parse`] accepts.
    pub fn encode(&self) -> Result<Vec<u8>, LeafError> {
        self.encode_packed(Words::edition())
    }

    fn encode_packed(&self, edition: u64) -> Result<Vec<u8>, LeafError> {
        let known = Words::known_to(edition).ok_or(LeafError::Edition(edition))?;
        self.check_names()?;
        let mut out = Vec::with_capacity(512);
        out.push(PACKED);
        let mut writer = Writer::new(out, known);
        writer.array(11);
        writer.unsigned(edition);
        writer.signed(self.at);
        for text in [&self.control, &self.kind, &self.id, &self.actor.kind, &self.actor.id] {
            writer.text(text);
        }
        writer.array(self.subjects.len());
        self.subjects.iter().for_each(|subject| writer.text(subject));
        writer.array(self.rows.len());
        for row in &self.rows {
            writer.array(4);
            writer.text(&row.kind);
            writer.text(&row.id);
            writer.unsigned(row.revision);
            writer.bytes(&row.digest);
        }
        pack_object(&mut writer, &self.data, 1)?;
        writer.map(self.personal.len());
        for (field, commitment) in &self.personal {
            writer.key(field);
            writer.bytes(commitment);
        }
        let out = writer.finish();
        if out.len() > MAX_LEAF_BYTES {
            return Err(LeafError::TooLarge { bytes: out.len() });
        }
        Ok(out)
    }

    /// The one encoding of this leaf in version 1, as releases up to 0.3 wrote it.
    ///
    /// # Errors
    /// As [`Leaf::encode`].
    pub fn encode_json(&self) -> Result<Vec<u8>, LeafError> {
        self.check_names()?;
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"{\"actor\":{\"id\":");
        push_string(&mut out, &self.actor.id);
        out.extend_from_slice(b",\"type\":");
        push_string(&mut out, &self.actor.kind);
        out.extend_from_slice(b"},\"at\":");
        push_signed(&mut out, self.at);
        out.extend_from_slice(b",\"control\":");
        push_string(&mut out, &self.control);
        out.extend_from_slice(b",\"data\":");
        push_object(&mut out, &self.data, 1)?;
        out.extend_from_slice(b",\"id\":");
        push_string(&mut out, &self.id);
        out.extend_from_slice(b",\"kind\":");
        push_string(&mut out, &self.kind);
        out.extend_from_slice(b",\"personal\":{");
        push_separated(&mut out, self.personal.iter(), |out, (field, commitment)| {
            push_string(out, field);
            out.push(b':');
            push_hash(out, commitment);
            Ok(())
        })?;
        out.extend_from_slice(b"},\"rows\":[");
        push_separated(&mut out, self.rows.iter(), |out, row| {
            out.push(b'[');
            push_string(out, &row.kind);
            out.push(b',');
            push_string(out, &row.id);
            out.push(b',');
            push_unsigned(out, row.revision);
            out.push(b',');
            push_hash(out, &row.digest);
            out.push(b']');
            Ok(())
        })?;
        out.extend_from_slice(b"],\"subjects\":[");
        push_separated(&mut out, self.subjects.iter(), |out, subject| {
            push_string(out, subject);
            Ok(())
        })?;
        out.extend_from_slice(b"],\"v\":1}");
        if out.len() > MAX_LEAF_BYTES {
            return Err(LeafError::TooLarge { bytes: out.len() });
        }
        Ok(out)
    }

    /// Reads leaf bytes and refuses all that [`Leaf::encode`] and [`Leaf::encode_json`] would not have written.
    ///
    /// # Errors
    /// See [`LeafError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        let leaf = Self::read(bytes)?;
        // Longer heads, texts that have a shorter form, names out of their order: writing it again finds them all.
        if let Some((&PACKED, item)) = bytes.split_first() {
            let edition = edition(&mut Reader::new(item, 0))?;
            if leaf.encode_packed(edition)? != bytes {
                return Err(LeafError::NotCanonical);
            }
        }
        Ok(leaf)
    }

    /// The same of bytes whose hash vouches for them, as those of one's own log: whether they are the one form is not asked.
    ///
    /// # Errors
    /// See [`LeafError`].
    pub fn read(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(LeafError::TooLarge { bytes: bytes.len() });
        }
        match bytes.split_first() {
            Some((&PACKED, item)) => Self::read_packed(item),
            // Text begins with none of these: they are left for versions to come.
            Some((&version @ 3..=31, _)) if !version.is_ascii_whitespace() => {
                Err(LeafError::Version(u64::from(version)))
            }
            _ => Self::parse_json(bytes),
        }
    }

    fn read_packed(item: &[u8]) -> Result<Self, LeafError> {
        let mut reader = Reader::new(item, 0);
        let edition = edition(&mut reader)?;
        reader.know(Words::known_to(edition).ok_or(LeafError::Edition(edition))?);
        let at = reader.signed()?;
        let (control, kind, id) = (reader.text()?, reader.text()?, reader.text()?);
        let (actor_kind, actor_id) = (reader.text()?, reader.text()?);
        let subjects = (0..reader.array()?).map(|_| reader.text()).collect::<Result<_, _>>()?;
        let rows = (0..reader.array()?).map(|_| row(&mut reader)).collect::<Result<_, _>>()?;
        let facts = reader.map()?;
        let data = reader.members(facts, 0)?;
        let mut personal = BTreeMap::new();
        for _ in 0..reader.map()? {
            personal.insert(reader.key()?, hash(&mut reader)?);
        }
        reader.end()?;
        let actor = Actor { id: actor_id, kind: actor_kind };
        Ok(Self { actor, at, control, data, id, kind, personal, rows, subjects })
    }

    fn parse_json(bytes: &[u8]) -> Result<Self, LeafError> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| other_version(bytes, error))?;
        if wire.v != JSON {
            return Err(LeafError::Version(wire.v));
        }
        let leaf = Self {
            actor: wire.actor,
            at: wire.at,
            control: wire.control,
            data: wire.data,
            id: wire.id,
            kind: wire.kind,
            personal: wire.personal.into_iter().map(|(field, commitment)| (field, commitment.0)).collect(),
            rows: wire
                .rows
                .into_iter()
                .map(|(kind, id, revision, digest)| RowDigest { kind, id, revision, digest: digest.0 })
                .collect(),
            subjects: wire.subjects,
        };
        // Re-encoding finds what a tolerant JSON reader lets pass: white space, key order, needless escapes and
        // duplicate keys inside `data` and `personal`.
        if leaf.encode_json()? == bytes { Ok(leaf) } else { Err(LeafError::NotCanonical) }
    }

    /// Whether leaf bytes may hold a fact of this name, found without reading them: what says no holds none. Text of
    /// somebody's can only make it say yes.
    #[must_use]
    pub fn may_have_fact(bytes: &[u8], name: &str) -> bool {
        let mut member = Vec::new();
        if bytes.first() == Some(&PACKED) {
            // Whatever edition it is of: a word that it didn't know yet stands there as text.
            let Some(known) = bytes.get(2).and_then(|edition| Words::known_to(u64::from(*edition))) else {
                return true;
            };
            let mut writer = Writer::new(member, known);
            writer.key(name);
            member = writer.finish();
        } else {
            push_string(&mut member, name);
            member.push(b':');
        }
        bytes.windows(member.len()).any(|window| window == member)
    }

    fn check_names(&self) -> Result<(), LeafError> {
        check_name("kind", &self.kind)?;
        check_name("id", &self.id)?;
        check_name("control", &self.control)?;
        check_name("actor.type", &self.actor.kind)?;
        if !self.actor.id.is_empty() {
            check_name("actor.id", &self.actor.id)?;
        }
        for field in self.personal.keys() {
            check_name("personal", field)?;
        }
        for row in &self.rows {
            check_name("rows.kind", &row.kind)?;
            check_name("rows.id", &row.id)?;
        }
        self.subjects.iter().try_for_each(|subject| check_name("subjects", subject))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    actor: Actor,
    at: i64,
    control: String,
    data: Map<String, Value>,
    id: String,
    kind: String,
    personal: BTreeMap<String, Text32>,
    rows: Vec<(String, String, u64, Text32)>,
    subjects: Vec<String>,
    v: u64,
}

/// A later version fails by its shape before its number is looked at; name the version then, which says more.
fn other_version(bytes: &[u8], error: serde_json::Error) -> LeafError {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    match serde_json::from_slice::<Version>(bytes) {
        Ok(Version { v }) if v != JSON => LeafError::Version(v),
        _ => LeafError::Malformed(error),
    }
}

/// How many words the writer of a packed leaf knew, with which it begins.
fn edition(reader: &mut Reader<'_>) -> Result<u64, LeafError> {
    if reader.array()? != 11 {
        return Err(PackedError::Form.into());
    }
    Ok(reader.unsigned()?)
}

fn row(reader: &mut Reader<'_>) -> Result<RowDigest, LeafError> {
    if reader.array()? != 4 {
        return Err(PackedError::Form.into());
    }
    Ok(RowDigest { kind: reader.text()?, id: reader.text()?, revision: reader.unsigned()?, digest: hash(reader)? })
}

fn hash(reader: &mut Reader<'_>) -> Result<Hash, LeafError> {
    Ok(reader.bytes()?.try_into().map_err(|_| PackedError::Form)?)
}

/// The members of an object by rising names.
fn by_name(object: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = object.iter().collect();
    // Another crate in the build may have turned on serde_json's `preserve_order`; the bytes must not depend on it.
    if !object.keys().is_sorted() {
        members.sort_unstable_by_key(|(key, _)| *key);
    }
    members
}

fn pack_object(writer: &mut Writer, object: &Map<String, Value>, depth: usize) -> Result<(), LeafError> {
    if depth > MAX_DATA_DEPTH {
        return Err(LeafError::TooDeep);
    }
    writer.map(object.len());
    for (name, value) in by_name(object) {
        writer.key(name);
        pack_value(writer, value, depth)?;
    }
    Ok(())
}

fn pack_value(writer: &mut Writer, value: &Value, depth: usize) -> Result<(), LeafError> {
    match value {
        Value::Null => writer.null(),
        Value::Bool(value) => writer.boolean(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(integer), _) => writer.unsigned(integer),
            (None, Some(integer)) => writer.signed(integer),
            (None, None) => return Err(LeafError::NotAnInteger),
        },
        Value::String(text) => writer.text(text),
        Value::Array(items) => {
            if depth >= MAX_DATA_DEPTH {
                return Err(LeafError::TooDeep);
            }
            writer.array(items.len());
            for item in items {
                pack_value(writer, item, depth + 1)?;
            }
        }
        Value::Object(members) => pack_object(writer, members, depth + 1)?,
    }
    Ok(())
}

fn check_name(field: &'static str, name: &str) -> Result<(), LeafError> {
    let controls = if name.is_ascii() {
        name.bytes().any(|byte| byte.is_ascii_control())
    } else {
        name.chars().any(char::is_control)
    };
    if name.is_empty() || name.len() > MAX_NAME_BYTES || controls {
        return Err(LeafError::BadName(field));
    }
    Ok(())
}

fn push_separated<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T) -> Result<(), LeafError>,
) -> Result<(), LeafError> {
    for (position, item) in items.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        push(out, item)?;
    }
    Ok(())
}

fn push_object(out: &mut Vec<u8>, object: &Map<String, Value>, depth: usize) -> Result<(), LeafError> {
    if depth > MAX_DATA_DEPTH {
        return Err(LeafError::TooDeep);
    }
    let push_member = |out: &mut Vec<u8>, (key, value): (&String, &Value)| {
        push_string(out, key);
        out.push(b':');
        push_value(out, value, depth)
    };
    out.push(b'{');
    push_separated(out, by_name(object).into_iter(), push_member)?;
    out.push(b'}');
    Ok(())
}

fn push_value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), LeafError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => push_signed(out, integer),
            (None, Some(integer)) => push_unsigned(out, integer),
            (None, None) => return Err(LeafError::NotAnInteger),
        },
        Value::String(text) => push_string(out, text),
        Value::Array(items) => {
            if depth >= MAX_DATA_DEPTH {
                return Err(LeafError::TooDeep);
            }
            out.push(b'[');
            push_separated(out, items.iter(), |out, item| push_value(out, item, depth + 1))?;
            out.push(b']');
        }
        Value::Object(members) => push_object(out, members, depth + 1)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Leaf {
        let Value::Object(data) = json!({"b": [1, -2, true, null], "a": "é\"\\\n\u{1}/"}) else { panic!("object") };
        Leaf {
            actor: Actor { id: "per_1".into(), kind: "person".into() },
            at: 1_700_000_000_000_000,
            control: "issue".into(),
            data,
            id: "evt_1".into(),
            kind: "credential.issued".into(),
            personal: [("email".to_owned(), [1; 32])].into(),
            rows: vec![RowDigest { kind: "identity".into(), id: "idn_1".into(), revision: 3, digest: [2; 32] }],
            subjects: vec!["idn_1".into()],
        }
    }

    #[test]
    fn the_bytes_of_version_1_are_fixed() {
        let expected = concat!(
            r#"{"actor":{"id":"per_1","type":"person"},"at":1700000000000000,"control":"issue","#,
            r#""data":{"a":"é\"\\\n\u0001/","b":[1,-2,true,null]},"id":"evt_1","kind":"credential.issued","#,
            r#""personal":{"email":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"},"#,
            r#""rows":[["identity","idn_1",3,"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"]],"#,
            r#""subjects":["idn_1"],"v":1}"#
        );
        let bytes = sample().encode_json().unwrap();
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
        assert_eq!(Leaf::parse(&bytes).unwrap(), sample());
    }

    #[test]
    fn empty_collections_keep_their_place() {
        let leaf = Leaf {
            data: Map::new(),
            personal: BTreeMap::new(),
            rows: Vec::new(),
            subjects: Vec::new(),
            actor: Actor { id: String::new(), kind: "stranger".into() },
            ..sample()
        };
        let text = String::from_utf8(leaf.encode_json().unwrap()).unwrap();
        assert!(text.contains(r#""data":{},"#) && text.contains(r#""personal":{},"rows":[],"subjects":[],"v":1}"#));
        assert_eq!(Leaf::parse(text.as_bytes()).unwrap(), leaf);
    }

    #[test]
    fn every_other_writing_of_the_same_content_is_refused() {
        let text = String::from_utf8(sample().encode_json().unwrap()).unwrap();
        let refuse = |from: &str, to: &str| {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            Leaf::parse(changed.as_bytes()).unwrap_err()
        };
        assert!(matches!(refuse(",\"at\"", ", \"at\""), LeafError::NotCanonical));
        assert!(matches!(refuse("\"v\":1}", "\"v\":1}\n"), LeafError::NotCanonical));
        assert!(matches!(refuse("\"a\":", "\"a\":1,\"a\":"), LeafError::NotCanonical));
        assert!(matches!(refuse("é", "\\u00e9"), LeafError::NotCanonical));
        assert!(matches!(refuse("\"b\":[1", "\"b\":[1.0"), LeafError::NotAnInteger));
        assert!(matches!(refuse("\"b\":[1", "\"b\":[1e400"), LeafError::Malformed(_)));
        assert!(matches!(refuse("\"b\":[1", "\"b\":[18446744073709551616"), LeafError::NotAnInteger));
        assert!(matches!(refuse("\"v\":1", "\"v\":2"), LeafError::Version(2)));
        assert!(matches!(refuse("\"v\":1", "\"new\":0,\"v\":2"), LeafError::Version(2)));
        assert!(matches!(refuse("\"v\":1", "\"new\":0,\"v\":1"), LeafError::Malformed(_)));
        assert!(matches!(refuse("\"v\":1", "\"v\":1,\"v\":1"), LeafError::Malformed(_)));
        assert!(matches!(refuse(",\"subjects\":[\"idn_1\"]", ""), LeafError::Malformed(_)));
        assert!(matches!(refuse("AQE\"", "AQF\""), LeafError::Malformed(_)), "stray bits in base64");
    }

    #[test]
    fn size_depth_floats_and_names_are_bounded_before_writing() {
        let with =
            |value: Value| Leaf { data: [("k".to_owned(), value)].into_iter().collect(), ..sample() }.encode_json();
        assert!(matches!(with(json!("x".repeat(70_000))), Err(LeafError::TooLarge { .. })));
        assert!(matches!(with(json!(0.5)), Err(LeafError::NotAnInteger)));
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(with(nested(MAX_DATA_DEPTH - 1)).is_ok());
        assert!(matches!(with(nested(MAX_DATA_DEPTH)), Err(LeafError::TooDeep)));
        assert!(with(json!([u64::MAX, i64::MIN])).is_ok());
        assert!(matches!(Leaf { kind: String::new(), ..sample() }.encode_json(), Err(LeafError::BadName("kind"))));
        assert!(matches!(Leaf { id: "a\nb".into(), ..sample() }.encode_json(), Err(LeafError::BadName("id"))));
    }

    #[test]
    fn the_bytes_of_version_2_are_fixed() {
        let leaf = Leaf {
            id: "evt_01m8mnyg3nexf8xegmds0r8kgt".into(),
            actor: Actor { id: "idn_01m8mnyg32fst92vnkrhbvc0jr".into(), kind: "identity".into() },
            subjects: vec!["idn_01m8mnyg32fst92vnkrhbvc0jr".into(), "production".into()],
            ..sample()
        };
        let bytes = leaf.encode().unwrap();
        assert_eq!(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            concat!(
                "028b01",                                     // version, eleven parts, edition
                "1b00060a24181e4000",                         // at
                "f839f83b",                                   // control, kind
                "52000901a2295f4075775e8eba146e41844e1a",     // id
                "f82152000001a2295f40627e74916eb3c457b60258", // actor
                "82e1f844",                                   // subjects: the actor once more
                "8184f8216569646e5f31035820",                 // a row
                "0202020202020202020202020202020202020202020202020202020202020202",
                "a2616167c3a9225c0a012f6162840121f5f6", // facts
                "a118a958200101010101010101010101010101010101010101010101010101010101010101"
            )
        );
        assert_eq!(Leaf::parse(&bytes).unwrap(), leaf);
        assert!(bytes.len() * 2 < leaf.encode_json().unwrap().len());
    }

    #[test]
    fn every_other_packing_of_the_same_content_is_refused() {
        let leaf = sample();
        let bytes = leaf.encode().unwrap();
        assert_eq!(Leaf::parse(&bytes).unwrap(), leaf);
        for at in 0..bytes.len() {
            for flip in [1, 0x20, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                // Another content, or none; never the same content once more.
                assert!(Leaf::parse(&changed).map_or(true, |other| other != leaf), "byte {at}");
            }
            assert!(Leaf::parse(&bytes[..at]).is_err());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(Leaf::parse(&longer), Err(LeafError::Unpacked(PackedError::Length))));
        let next = Words::edition() + 1;
        let newer = [&[PACKED, 0x8b, u8::try_from(next).unwrap()][..], &[0; 16]].concat();
        assert!(matches!(Leaf::parse(&newer), Err(LeafError::Edition(edition)) if edition == next));
        assert!(matches!(Leaf::parse(&[3, 1, 2]), Err(LeafError::Version(3))));
        // A head of more bytes than it takes.
        let long_head = [&[PACKED, 0x98, 11][..], &bytes[2..]].concat();
        assert!(matches!(Leaf::parse(&long_head), Err(LeafError::NotCanonical)));
    }

    #[test]
    fn a_fact_that_may_be_there_is_never_passed_over() {
        for name in ["a", "b", "notify", "identity"] {
            let Value::Object(data) = json!({name: 1}) else { panic!("object") };
            let leaf = Leaf { data, ..sample() };
            for bytes in [leaf.encode().unwrap(), leaf.encode_json().unwrap()] {
                assert!(Leaf::may_have_fact(&bytes, name), "{name}");
            }
        }
        for bytes in [sample().encode().unwrap(), sample().encode_json().unwrap()] {
            assert!(!Leaf::may_have_fact(&bytes, "notify"));
        }
    }
}
