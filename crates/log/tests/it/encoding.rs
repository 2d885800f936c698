//! Encodings: what is written is read back, everything else is refused without a panic.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value};
use tenure_log::checkpoint::Checkpoint;
use tenure_log::export::ExportReader;
use tenure_log::tile::{encode_bundle, parse_bundle, parse_entries_path};
use tenure_log::{
    Actor, Expectations, Frontier, Leaf, LeafError, RowDigest, SignedNote, SignedPromise, Tile, VerifierKey,
    verify_export,
};

use crate::support::{checkpoint, export, leaf, leaves, signer};

fn name() -> impl Strategy<Value = String> {
    "[a-z_\\.]{1,12}|[^\\p{C}]{1,20}"
}

fn json_value() -> impl Strategy<Value = Value> {
    let simple = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    simple.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
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
    (
        (name(), name(), any::<i64>(), name(), name(), name()),
        prop::collection::btree_map(any::<String>(), json_value(), 0..5),
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_leaf_survives_its_bytes_which_are_sorted_json(leaf in any_leaf()) {
        let bytes = leaf.encode_json().unwrap();
        prop_assert_eq!(&Leaf::parse(&bytes).unwrap(), &leaf);
        // serde_json sorts keys and escapes minimally by itself: an encoder that is not ours agrees.
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(serde_json::to_vec(&value).unwrap(), bytes);
    }

    #[test]
    fn a_leaf_survives_its_packing(leaf in any_leaf()) {
        let bytes = leaf.encode().unwrap();
        prop_assert_eq!(&Leaf::parse(&bytes).unwrap(), &leaf);
    }

    #[test]
    fn a_changed_bit_makes_another_leaf_or_none(bit in any::<prop::sample::Index>(), packed in any::<bool>()) {
        let encode = |leaf: &Leaf| if packed { leaf.encode().unwrap() } else { leaf.encode_json().unwrap() };
        let mut changed = encode(&leaf(1));
        let at = bit.index(changed.len() * 8);
        changed[at / 8] ^= 1 << (at % 8);
        if let Ok(other) = Leaf::parse(&changed) {
            prop_assert_ne!(&other, &leaf(1));
            prop_assert_eq!(encode(&other), changed);
        }
    }

    #[test]
    fn bundles_survive(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10)) {
        let bundle = encode_bundle(&entries).unwrap();
        let read = parse_bundle(&bundle, entries.len() as u16).unwrap();
        prop_assert_eq!(read, entries);
    }

    #[test]
    fn tile_names_survive(level in 0u8..8, index in 0u64..1 << 56, width in 1u16..=256) {
        let tile = Tile { level, index, width };
        prop_assert_eq!(Tile::parse(&tile.path()), Some(tile));
    }

    #[test]
    fn no_parser_panics_on_noise(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        feed(&bytes);
    }

    #[test]
    fn no_parser_panics_on_near_misses(which in 0usize..7, at in any::<prop::sample::Index>(), byte in any::<u8>(),
        cut in any::<prop::sample::Index>(), truncate in any::<bool>()) {
        let entries = leaves(3);
        let mut sample = [
            leaf(1).encode().unwrap(),
            leaf(1).encode_json().unwrap(),
            checkpoint(&entries).to_string().into_bytes(),
            signer().verifier_key().to_string().into_bytes(),
            signer().promise(1, [1; 32], 2).to_text().into_bytes(),
            export(&entries),
            Tile { level: 1, index: 123_456, width: 7 }.path().into_bytes(),
        ][which].clone();
        let place = at.index(sample.len());
        sample[place] = byte;
        if truncate {
            sample.truncate(cut.index(sample.len()));
        }
        feed(&sample);
    }
}

fn feed(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Leaf::parse(bytes);
    let _ = Frontier::from_bytes(bytes);
    for width in [0, 1, 3, 256, u16::MAX] {
        let _ = parse_bundle(bytes, width);
    }
    let _ = Tile::parse(&text);
    let _ = parse_entries_path(&text);
    let _ = VerifierKey::parse(&text);
    let _ = Checkpoint::parse_text(&text);
    let keys = [signer().verifier_key().clone()];
    let _ = Checkpoint::open(&text, &keys);
    if let Ok(note) = SignedNote::parse(&text) {
        assert_eq!(note.to_string(), text);
    }
    if let Ok(promise) = SignedPromise::parse(&text) {
        let _ = promise.verify(&keys);
    }
    let _ = verify_export(bytes, &Expectations::default());
    if let Ok(mut reader) = ExportReader::new(bytes) {
        while !matches!(reader.next_entry(), Ok(None)) {}
    }
}

#[test]
fn an_oversized_leaf_is_refused_before_it_is_parsed() {
    assert!(matches!(Leaf::parse(&vec![b'['; 70_000]), Err(LeafError::TooLarge { bytes: 70_000 })));
    assert!(matches!(Leaf::parse(&vec![b'['; 60_000]), Err(LeafError::Malformed(_))));
}

#[test]
fn an_endless_line_is_refused_without_being_held() {
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let faults = verify_export(endless, &Expectations::default()).unwrap_err();
    assert_eq!(faults.list[0].code.as_str(), "unreadable");
}
