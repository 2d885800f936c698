//! Tokens shown once.

use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::id::{EventId, InvitationId, JoinTokenId, OperatorTokenId, SessionId, SourceId};
use tenure_core::store::port::Head;
use tenure_credentials::opaque::{OpaqueError, OpaqueKeys, OpaqueKind, Parsed};
use tenure_credentials::root::RootKey;

use crate::support::{commit, committed, permit, release};

fn keys(digit: &str) -> OpaqueKeys {
    OpaqueKeys::new(&RootKey::from_text(&digit.repeat(64)).unwrap())
}

#[test]
fn a_token_is_read_back_and_matches_only_its_own_hash() {
    let entropy = SeededEntropy::new(5);
    let id = OperatorTokenId::from_u128(123);
    let minted = keys("1").operator_token(id, commit(), &entropy);
    let shown = release(minted.token);
    let text = shown.expose();
    assert!(text.starts_with("tnr_op_0000000000000000000000003v"), "{text}");
    assert_eq!(text.len(), "tnr_op_".len() + 26 + 29 + 6);
    let parsed = Parsed::parse(text).unwrap();
    assert_eq!((parsed.kind(), parsed.id()), (OpaqueKind::Operator, Some(id)));
    assert!(keys("1").matches(&parsed, &minted.hash));
    assert!(!keys("2").matches(&parsed, &minted.hash));
    assert!(!keys("1").matches(&parsed, ""));
    assert!(!keys("1").matches(&parsed, &minted.hash[1..]));
    let again = keys("1").operator_token(id, commit(), &entropy);
    assert_ne!(release(again.token).expose(), text);
    assert!(!keys("1").matches(&parsed, &again.hash));
}

#[test]
fn a_hash_is_bound_to_its_kind_and_id() {
    let entropy = || SeededEntropy::new(5);
    let join = |id| keys("1").join_token(JoinTokenId::from_u128(id), commit(), &entropy()).hash;
    let session = |id| keys("1").session(SessionId::from_u128(id), commit(), &entropy()).hash;
    assert_eq!(join(1), join(1));
    assert_ne!(join(1), join(2));
    assert_ne!(join(1), session(1));
}

#[test]
fn typing_errors_are_found_without_any_key() {
    let minted = keys("1").join_token(JoinTokenId::from_u128(9), commit(), &SeededEntropy::new(6));
    let shown = release(minted.token);
    let text = shown.expose();
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
    let minted = keys("1").join_token(JoinTokenId::from_u128(9), commit(), &SeededEntropy::new(6));
    let pending = format!("{minted:?}");
    let shown = release(minted.token);
    let secret = &shown.expose()["tnr_join_".len() + 26..];
    let parsed = Parsed::parse(shown.expose()).unwrap();
    for text in [pending, format!("{shown:?}"), format!("{parsed:?}"), format!("{:?}", keys("1"))] {
        assert!(!text.contains(&secret[..10]), "{text}");
    }
}

#[test]
fn a_secret_of_every_kind_leaves_only_with_the_proof_of_its_own_commit() {
    let (keys, entropy) = (keys("1"), SeededEntropy::new(7));
    let root = RootKey::from_text(&"1".repeat(64)).unwrap();
    let every = || {
        [
            ("op", keys.operator_token(OperatorTokenId::from_u128(1), commit(), &entropy).token),
            ("join", keys.join_token(JoinTokenId::from_u128(1), commit(), &entropy).token),
            ("ses", keys.session(SessionId::from_u128(1), commit(), &entropy).token),
            ("inv", keys.invitation(InvitationId::from_u128(1), commit(), &entropy).token),
            ("whk", keys.source_token(SourceId::from_u128(1), commit(), &entropy).token),
            ("whk", keys.signing_secret((&root, "l"), SourceId::from_u128(1), false, commit(), &entropy).unwrap().0),
            ("key", keys.api_key(permit(&["read"]), commit(), &entropy).0.token),
        ]
    };
    for (kind, pending) in every() {
        assert!(pending.release(&committed(EventId::from_u128(1))).is_none(), "{kind}");
    }
    for (kind, pending) in every() {
        assert!(release(pending).expose().starts_with(&format!("tnr_{kind}_")), "{kind}");
    }
    // The set-up's own is recorded by nothing: there is none once there is a log.
    let setup = |size| keys.setup_token(OperatorTokenId::from_u128(1), Head { size, ..Head::default() }, &entropy);
    assert!(setup(0).is_some() && setup(1).is_none());
}
