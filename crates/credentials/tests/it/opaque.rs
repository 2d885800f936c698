//! Tokens shown once.

use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::id::{JoinTokenId, OperatorTokenId};
use tenure_credentials::opaque::{OpaqueError, OpaqueKeys, OpaqueKind, Parsed};
use tenure_credentials::root::RootKey;

fn keys(digit: &str) -> OpaqueKeys {
    OpaqueKeys::new(&RootKey::from_text(&digit.repeat(64)).unwrap())
}

#[test]
fn a_token_is_read_back_and_matches_only_its_own_hash() {
    let entropy = SeededEntropy::new(5);
    let id = OperatorTokenId::from_u128(123);
    let minted = keys("1").mint(OpaqueKind::Operator, id, &entropy);
    let text = minted.token.expose();
    assert!(text.starts_with("tnr_op_0000000000000000000000003v"), "{text}");
    assert_eq!(text.len(), "tnr_op_".len() + 26 + 29 + 6);
    let parsed = Parsed::parse(text).unwrap();
    assert_eq!((parsed.kind(), parsed.id()), (OpaqueKind::Operator, Some(id)));
    assert!(keys("1").matches(&parsed, &minted.hash));
    assert!(!keys("2").matches(&parsed, &minted.hash));
    assert!(!keys("1").matches(&parsed, ""));
    assert!(!keys("1").matches(&parsed, &minted.hash[1..]));
    let again = keys("1").mint(OpaqueKind::Operator, id, &entropy);
    assert_ne!(again.token.expose(), text);
    assert!(!keys("1").matches(&parsed, &again.hash));
}

#[test]
fn a_hash_is_bound_to_its_kind_and_id() {
    let hash = |kind, id: u128| keys("1").mint(kind, JoinTokenId::from_u128(id), &SeededEntropy::new(5)).hash;
    assert_eq!(hash(OpaqueKind::Join, 1), hash(OpaqueKind::Join, 1));
    assert_ne!(hash(OpaqueKind::Join, 1), hash(OpaqueKind::Join, 2));
    assert_ne!(hash(OpaqueKind::Join, 1), hash(OpaqueKind::Setup, 1));
}

#[test]
fn typing_errors_are_found_without_any_key() {
    let minted = keys("1").mint(OpaqueKind::Join, JoinTokenId::from_u128(9), &SeededEntropy::new(6));
    let text = minted.token.expose();
    for place in "tnr_join_".len()..text.len() {
        let mut bent = text.clone().into_bytes();
        bent[place] = if bent[place] == b'x' { b'y' } else { b'x' };
        assert_eq!(Parsed::parse(std::str::from_utf8(&bent).unwrap()).err(), Some(OpaqueError::ChecksumWrong));
    }
    assert_eq!(Parsed::parse(&text.replace("_join_", "_setup_")).err(), Some(OpaqueError::ChecksumWrong));
    for bad in [
        "",
        "tnr_",
        "tnr_join",
        "tnr_join_",
        "tnr__x",
        &text[1..],
        &text[..text.len() - 1],
        &format!("{text}0"),
        &text.replace("_join_", "_nope_"),
    ] {
        assert_eq!(Parsed::parse(bad).err(), Some(OpaqueError::Malformed), "{bad}");
    }
    let accent = format!("{}é", &text[..text.len() - 2]);
    assert_eq!(Parsed::parse(&accent).err(), Some(OpaqueError::Malformed));
}

#[test]
fn nothing_prints_the_secret() {
    let minted = keys("1").mint(OpaqueKind::Setup, JoinTokenId::from_u128(9), &SeededEntropy::new(6));
    let secret = &minted.token.expose()["tnr_setup_".len() + 26..];
    let parsed = Parsed::parse(minted.token.expose()).unwrap();
    for text in [format!("{minted:?}"), format!("{parsed:?}"), format!("{:?}", keys("1"))] {
        assert!(!text.contains(&secret[..10]), "{text}");
    }
}
