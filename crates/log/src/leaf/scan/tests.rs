//! The scanner against [`Leaf::parse`], which says what a leaf is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::leaf::{Actor, RowDigest};

/// Both say the same of these bytes.
fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let followed = match bytes.first() {
        Some(&PACKED) => scan_packed(bytes),
        _ => scan_json(bytes),
    };
    let parsed = Leaf::parse(bytes);
    let text = String::from_utf8_lossy(bytes);
    // Later versions aren't the scanner's to follow.
    if !matches!(bytes.first(), Some(&(b'{' | PACKED))) {
        prop_assert!(followed.is_none(), "{}", text);
        return Ok(());
    }
    prop_assert_eq!(followed.is_some(), parsed.is_ok(), "{}: {:?}", text, parsed);
    if let (Some(followed), Ok(leaf)) = (followed, parsed) {
        prop_assert_eq!(followed.at, leaf.at);
        let personal: Vec<_> = followed.personal.into_iter().map(|(field, hash)| (field.into_owned(), hash)).collect();
        prop_assert_eq!(personal, leaf.personal.into_iter().collect::<Vec<_>>());
    }
    Ok(())
}

/// Texts that a packed leaf writes in a form of their own, or nearly.
fn long() -> impl Strategy<Value = String> {
    let id = "[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}";
    prop_oneof![
        "(idn|per|crd|evt)_[0-8][0-9a-hjkmnp-tv-z]{25}",
        id,
        "(owner=|use |x[-:]|é|\u{80}|)(idn|per)_0[0-9a-hjkmnp-tv-z]{25}",
        "(v2:)?sha256:[0-9a-f]{64}",
        "[A-Za-z0-9_-]{43}",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?Z",
        prop::sample::select(vec!["identity", "state", "active", "issuance", "credential.issued", "at", "kind"])
            .prop_map(str::to_owned),
    ]
}

fn packed_name_text() -> impl Strategy<Value = String> {
    prop_oneof![3 => long(), 1 => name()]
}

/// A leaf of texts that are packed, some of them more than once.
fn packed_leaf() -> impl Strategy<Value = Leaf> {
    let texts = prop::collection::vec(packed_name_text(), 1..20);
    (texts, any_leaf(), any::<u64>()).prop_map(|(texts, mut leaf, mut choice)| {
        let mut text = || {
            choice = choice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            texts[(choice >> 33) as usize % texts.len()].clone()
        };
        (leaf.id, leaf.kind, leaf.actor.id) = (text(), text(), text());
        leaf.rows.iter_mut().for_each(|row| (row.kind, row.id) = (text(), text()));
        leaf.subjects = (0..40).map(|_| text()).take(leaf.subjects.len() * 13).collect();
        for _ in 0..4 {
            leaf.data.insert(text(), Value::from(vec![text(), text()]));
            leaf.personal.insert(text(), [1; 32]);
        }
        leaf
    })
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_\\.]{1,12}|[a-c\"\\\\é]{1,6}|[^\\p{C}]{1,20}|[ -~\u{7f}\u{80}\u{9f}\u{a0}\n]{0,20}|[a-z]{250,260}"
}

fn key() -> impl Strategy<Value = String> {
    "[a-c\"\\\\\n\u{1}é]{0,3}|\\PC{0,4}"
}

fn value() -> impl Strategy<Value = Value> {
    let simple = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        key().prop_map(Value::from),
    ];
    simple.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_leaf() -> impl Strategy<Value = Leaf> {
    let row = (name(), name(), any::<u64>(), any::<[u8; 32]>()).prop_map(|(kind, id, revision, digest)| RowDigest {
        kind,
        id,
        revision,
        digest,
    });
    let plain = prop_oneof![4 => Just(Value::from("plain")), 1 => value()];
    (
        ("[a-z\"é]{0,9}", name(), any::<i64>(), name(), name(), name()),
        prop::collection::btree_map(key(), plain, 0..5),
        prop::collection::btree_map(name(), any::<[u8; 32]>(), 0..3),
        prop::collection::vec(row, 0..3),
        prop::collection::vec(name(), 0..3),
    )
        .prop_map(|((actor, actor_kind, at, control, id, kind), data, personal, rows, subjects)| Leaf {
            actor: Actor { id: actor, kind: actor_kind },
            at,
            control,
            data: data.into_iter().collect::<Map<_, _>>(),
            id,
            kind,
            personal: personal.into_iter().collect::<BTreeMap<_, _>>(),
            rows,
            subjects,
        })
}

/// The bytes that [`Leaf::encode`] would write if it checked no names: what only `check_name` refuses.
fn unchecked(leaf: &Leaf) -> Vec<u8> {
    let personal: BTreeMap<_, _> =
        leaf.personal.iter().map(|(field, hash)| (field, crate::encoding::url64(hash))).collect();
    let rows: Vec<_> =
        leaf.rows.iter().map(|row| (&row.kind, &row.id, row.revision, crate::encoding::url64(&row.digest))).collect();
    serde_json::to_vec(&serde_json::json!({
        "actor": {"id": leaf.actor.id, "type": leaf.actor.kind}, "at": leaf.at, "control": leaf.control,
        "data": leaf.data, "id": leaf.id, "kind": leaf.kind, "personal": personal, "rows": rows,
        "subjects": leaf.subjects, "v": 1,
    }))
    .unwrap()
}

#[derive(Debug, Clone)]
enum Edit {
    Byte(u8),
    Bit(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
    Cut,
}

fn edit() -> impl Strategy<Value = Edit> {
    let telling = prop::sample::select(br#"{}[]",:\0123456789-+eEu nbft.$AQE"#.to_vec());
    let piece = prop::sample::select(vec![
        "\\u0041",
        "\\u001F",
        "\\u001f",
        "\\u000a",
        "\\/",
        "-0",
        "00",
        "1.0",
        "1e3",
        "18446744073709551616",
        " ",
        "\n",
        "\"v\":1",
        ",\"a\":1",
        "null",
        "[[[[",
        "]]]]",
        "\u{7f}",
        "\u{80}",
        "\\\"",
        "\\\\",
        "9223372036854775808",
        ",",
    ]);
    prop_oneof![
        any::<u8>().prop_map(Edit::Byte),
        telling.prop_map(Edit::Byte),
        (0..8_u8).prop_map(Edit::Bit),
        piece.prop_map(|text| Edit::Insert(text.as_bytes().to_vec())),
        (1..9_usize).prop_map(Edit::Remove),
        (1..20_usize).prop_map(Edit::Repeat),
        Just(Edit::Cut),
    ]
}

fn edited(bytes: &mut Vec<u8>, at: prop::sample::Index, edit: Edit) {
    if bytes.is_empty() {
        return;
    }
    let at = at.index(bytes.len());
    match edit {
        Edit::Byte(byte) => bytes[at] = byte,
        Edit::Bit(bit) => bytes[at] ^= 1 << bit,
        Edit::Insert(piece) => drop(bytes.splice(at..at, piece)),
        Edit::Remove(count) => drop(bytes.drain(at..(at + count).min(bytes.len()))),
        Edit::Repeat(count) => {
            let piece = bytes[at..(at + count).min(bytes.len())].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        Edit::Cut => bytes.truncate(at),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_followed(leaf in any_leaf()) {
        agree(&unchecked(&leaf))?;
        if let Ok(bytes) = leaf.encode_json() {
            prop_assert!(scan_json(&bytes).is_some());
            agree(&bytes)?;
        }
    }

    #[test]
    fn what_is_packed_is_followed_and_what_is_edited_judged_as_the_parser_does(
        leaf in packed_leaf(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), edit()), 1..4),
        swap in (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..20_usize),
    ) {
        let Ok(bytes) = leaf.encode() else { return Ok(()) };
        prop_assert!(scan_packed(&bytes).is_some(), "{:?}", leaf);
        agree(&bytes)?;
        let mut changed = bytes.clone();
        for (at, edit) in edits {
            edited(&mut changed, at, edit);
            agree(&changed)?;
        }
        // A part of it in another place.
        let (from, to, length) = swap;
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let mut moved = bytes.clone();
        moved.splice(to..to, bytes[from..(from + length).min(bytes.len())].to_vec());
        agree(&moved)?;
    }

    #[test]
    fn what_is_edited_is_judged_as_the_parser_does(
        leaf in any_leaf(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), edit()), 1..4),
    ) {
        let mut bytes = unchecked(&leaf);
        for (at, edit) in edits {
            edited(&mut bytes, at, edit);
            agree(&bytes)?;
        }
    }

    #[test]
    fn eight_bytes_at_once_are_as_one_by_one(bytes in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(b"\"\\\x1f\x20\x21\x23\x5b\x5d\x7e\x7f\x80\xff\x00".to_vec())],
        0..40,
    )) {
        let one_by_one = |name: bool| bytes.iter().take_while(|byte| if name { !is_special::<true>(**byte) } else { !is_special::<false>(**byte) }).count();
        prop_assert_eq!(plain_bytes::<false>(&bytes), one_by_one(false));
        prop_assert_eq!(plain_bytes::<true>(&bytes), one_by_one(true));
    }
}

fn with_data(data: &str) -> Vec<u8> {
    format!(
        r#"{{"actor":{{"id":"","type":"t"}},"at":-5,"control":"c","data":{data},"id":"i","kind":"k","personal":{{}},"rows":[],"subjects":[],"v":1}}"#
    )
    .into_bytes()
}

#[test]
fn borders_of_the_form_are_those_of_the_parser() {
    let nested = |levels: usize| format!("{{\"k\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels: usize| format!("{}1{}", "{\"k\":".repeat(levels), "}".repeat(levels));
    let cases = [
        ("{}".to_owned(), true),
        (nested(MAX_DATA_DEPTH - 1), true),
        (nested(MAX_DATA_DEPTH), false),
        (objects(MAX_DATA_DEPTH), true),
        (objects(MAX_DATA_DEPTH + 1), false),
        (nested(20_000), false),
        (r#"{"k":18446744073709551615}"#.to_owned(), true),
        (r#"{"k":18446744073709551616}"#.to_owned(), false),
        (r#"{"k":-9223372036854775808}"#.to_owned(), true),
        (r#"{"k":-9223372036854775809}"#.to_owned(), false),
        (r#"{"k":-0}"#.to_owned(), false),
        (r#"{"a":1,"a":1}"#.to_owned(), false),
        (r#"{"b":1,"a":1}"#.to_owned(), false),
        // The order is that of the keys, not of how they are written: \n comes before a quote, and that before a.
        (r#"{"\n":1,"\"":1,"a":1}"#.to_owned(), true),
        (r#"{"\"":1,"\n":1,"a":1}"#.to_owned(), false),
        (r#"{"!":1,"\"":1,"\\":1,"]":1}"#.to_owned(), true),
        (r#"{"k":"\u001f\u0000\u000b"}"#.to_owned(), true),
        (r#"{"k":"\u001F"}"#.to_owned(), false),
        (r#"{"k":"\u0009"}"#.to_owned(), false),
        (r#"{"k":"\/"}"#.to_owned(), false),
        ("{\"k\":\"\u{7f}\u{80}\"}".to_owned(), true),
        ("{\"k\":\"\t\"}".to_owned(), false),
    ];
    for (data, accepted) in cases {
        let bytes = with_data(&data);
        assert_eq!(Leaf::parse(&bytes).is_ok(), accepted, "{data:.80}");
        assert_eq!(scan_json(&bytes).is_some(), accepted, "{data:.80}");
    }
    assert!(scan_json(&with_data(&format!(r#"{{"k":"{}"}}"#, "x".repeat(MAX_LEAF_BYTES)))).is_none());
}

#[test]
fn what_is_not_followed_is_named_by_the_parser() {
    assert!(matches!(scan(b"{}"), Err(LeafError::Malformed(_))));
    assert!(matches!(scan(b""), Err(LeafError::Malformed(_))));
    assert!(matches!(scan(&with_data(r#"{"k":1.5}"#)), Err(LeafError::NotAnInteger)));
    // Keys that serde_json may give a meaning are left to it.
    let private = with_data(r#"{"k":{"$serde_json::private::Number":"1"}}"#);
    assert!(scan_json(&private).is_none());
    assert_eq!(scan(&private).is_ok(), Leaf::parse(&private).is_ok());
}
