use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ID: &str = "idn_01m8mnyed1f2aa72h9ssdx8vaw";
const DIGEST: &str = "sha256:70ca8dcdf078b8677c91ce9f4c1634d6aed95d7e6707faaa98178b3c83da7dbf";

fn there_and_back(value: &Value, about: &str) -> usize {
    let json = serde_json::to_vec(value).unwrap();
    let packed = pack(&json, about);
    assert_eq!(packed.first(), Some(&PACKED), "{value} doesn't come back");
    assert_eq!(unpack(&packed, about).unwrap(), json);
    packed.len()
}

#[test]
fn a_record_takes_a_third_of_its_json() {
    let record = json!({
        "id": ID, "identity": "idn_01m8mnyg32fst92vnkrhbvc0jr", "type": "access_token", "environment": "staging",
        "actions": ["read"], "expires_at": "2026-11-29T22:23:58.005146Z", "revoked_at": null,
        "policy_version": DIGEST, "again": DIGEST, "floor": format!("person/{ID}"),
    });
    assert!(there_and_back(&record, ID) * 3 < record.to_string().len());
    // What it is kept under is one byte.
    assert!(there_and_back(&record, ID) + 17 <= there_and_back(&record, "other"));
}

#[test]
fn texts_that_look_like_a_form_come_back_as_they_were() {
    let near = [
        "idn_81m8mnyed1f2aa72h9ssdx8vaw",
        "idn_01m8mnyed1f2aa72h9ssdx8vau",
        "IDN_01m8mnyed1f2aa72h9ssdx8vaw",
        "xxx_01m8mnyed1f2aa72h9ssdx8vaw",
        "sha256:70CA8dcdf078b8677c91ce9f4c1634d6aed95d7e6707faaa98178b3c83da7dbf",
        "v2:sha256:70ca8dcdf078b8677c91ce9f4c1634d6aed95d7e6707faaa98178b3c83da7dbf",
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQF",
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
        "2026-02-30T00:00:00Z",
        "2026-02-28T24:00:00Z",
        "2026-02-28T23:59:60Z",
        "2026-02-28T23:59:59.100Z",
        "2026-02-28T23:59:59.1Z",
        "2026-02-28T23:59:59.123456789Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:59.999999Z",
        "2026-11-29t22:23:58Z",
        "owner=idn_01m8mnyed1f2aa72h9ssdx8vaw",
        "xidn_01m8mnyed1f2aa72h9ssdx8vaw",
        "é/idn_01m8mnyed1f2aa72h9ssdx8vaw",
        "",
        "a",
        "\u{0}\"\\\n",
    ];
    for text in near {
        there_and_back(&json!({"text": [text, text], text: text}), text);
        assert_eq!(unpack_key(&pack_key(text)), text);
    }
    assert_eq!(pack_key(ID).len(), 17);
}

#[test]
fn more_long_texts_than_are_remembered_come_back() {
    let ids: Vec<String> = (0..600_u32).map(|n| format!("per_01m8mnyed1f2aa72h9ssdx{:04}", n % 400)).collect();
    there_and_back(&json!(ids), ID);
    let wide: serde_json::Map<String, Value> = (0..300).map(|n| (format!("k{n}"), json!([ID, n]))).collect();
    there_and_back(&Value::Object(wide), "x");
}

#[test]
fn what_would_not_come_back_stays_as_it_is() {
    for json in
        [&b"{ }"[..], b"{\"a\":1.0e3}", b"{\"a\":\"\\u0041\"}", b"{\"a\":1} ", b"", b"{\"a\":18446744073709551616}"]
    {
        assert_eq!((pack(json, ID).as_slice(), unpack(json, ID).unwrap().as_slice()), (json, json));
    }
    // Nor is anything taken for what it isn't.
    for bytes in [&[PACKED][..], &[PLAIN], &[PACKED, 0xa0], &[PLAIN, PACKED]] {
        assert_eq!(unpack(&pack(bytes, ID), ID).unwrap(), bytes);
    }
}

#[test]
fn keys_sort_as_their_texts_do_and_no_text_is_taken_for_an_id() {
    let mut ids: Vec<String> = (0..50_u64).map(|n| format!("idn_{:026}", n * n * 7_919)).collect();
    ids.sort();
    assert!(ids.iter().map(|id| pack_key(id)).is_sorted());
    assert_eq!(pack_key("production"), b"production");
    assert_eq!((pack_key(ID).len(), pack_key(&format!("person/{ID}")).len()), (17, 7 + 17));
    assert_eq!(unpack_key(&[0x80; 16]), String::from_utf8_lossy(&[0x80; 16]));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        "[a-z_]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!(ID)),
        Just(json!(DIGEST)),
        any::<i32>().prop_map(|seconds| json!(format!("owner={ID}{seconds}"))),
        "(idn|per|evt)_[0-7][0-9a-hjkmnp-tv-z]{25}".prop_map(Value::from),
        "20[0-9]{2}-0[1-9]-[0-2][1-9]T[0-2][0-3]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?Z".prop_map(Value::from),
        Just(json!("identity")),
        Just(json!("access_token")),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,9}|identity|[^\\x00]{1,4}", inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_comes_back(value in any_value(), about in "[a-z_/]{0,9}|idn_01m8mnyed1f2aa72h9ssdx8vaw") {
        there_and_back(&value, &about);
    }

    #[test]
    fn bytes_of_somebody_else_are_refused_or_read_and_never_grow_without_bound(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        bytes.insert(0, PACKED);
        if let Ok(json) = unpack(&bytes, ID) {
            prop_assert!(json.len() <= bytes.len() * 600);
        }
    }
}
