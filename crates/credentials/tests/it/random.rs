//! Random bytes never panic, and no bit of a token can change.

use proptest::prelude::*;
use serde_json::json;
use tenure_core::base::time::Span;
use tenure_credentials::assertion::{ClientKey, verify_client_assertion};
use tenure_credentials::jose::{Jwk, JwkSet, read_unverified};
use tenure_credentials::key::{VerifyingKey, public_of};
use tenure_credentials::opaque::Parsed;
use tenure_credentials::root::RootKey;
use tenure_credentials::token::verify_access_token;

use crate::support::{CLIENT, ISSUER, access_token, assertion_claims, b64, kid, now, seed, workload};

/// Every single bit, not a sample of them.
#[test]
fn any_bit_flip_is_refused() {
    let keys = [VerifyingKey::new(kid(), &public_of(&seed()).unwrap()).unwrap()];
    let access = access_token();
    let client = workload(1);
    let assertion = client.sign(&json!({"alg": "EdDSA", "typ": "JWT"}), &assertion_claims());
    for (token, is_access) in [(access, true), (assertion, false)] {
        let accepted = |token: &str| {
            if is_access {
                verify_access_token(token, &keys, ISSUER, now(), Span::default()).is_ok()
            } else {
                verify_client_assertion(token, CLIENT, &[ClientKey::strict(&client.jwk)], ISSUER, now()).is_ok()
            }
        };
        assert!(accepted(&token));
        for bit in 0..token.len() * 8 {
            let mut bytes = token.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(bent) = std::str::from_utf8(&bytes) {
                assert!(!accepted(bent), "bit {bit}");
            }
        }
    }
}

fn everything(text: &str) {
    let _ = verify_client_assertion(text, CLIENT, &[ClientKey::strict(&workload(1).jwk)], ISSUER, now());
    let _ = read_unverified(text);
    let _ = Jwk::from_json(text);
    let _ = JwkSet::from_json(text.as_bytes());
    let _ = Parsed::parse(text);
    let _ = RootKey::from_text(text);
    let _ = RootKey::from_text(&"0".repeat(64)).map(|key| key.open("a", "b", text).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_text_never_panics(text in ".{0,300}") {
        everything(&text);
    }

    #[test]
    fn random_parts_never_panic(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        everything(&format!("{}.{}.{}", b64(header), b64(payload), b64(signature)));
    }

    #[test]
    fn signed_nonsense_is_refused(payload in "[\\[\\]{}\",:a-z0-9 ]{0,200}") {
        let key = workload(1);
        let token = key.sign_raw(r#"{"alg":"EdDSA"}"#, &payload);
        prop_assert!(verify_client_assertion(&token, CLIENT, &[ClientKey::strict(&key.jwk)], ISSUER, now()).is_err());
    }

    #[test]
    fn random_tails_are_no_tokens(kind in "op|join|setup", tail in "[0-9A-Za-z]{61}") {
        let text = format!("tnr_{kind}_{tail}");
        prop_assert!(Parsed::parse(&text).is_err());
    }

    #[test]
    fn random_keys_never_panic(kty in "OKP|EC|RSA", crv in "Ed25519|P-256|P-384", x in any::<Vec<u8>>(), y in any::<[u8; 32]>()) {
        let _ = Jwk::from_value(&json!({"kty": kty, "crv": crv, "x": b64(&x), "y": b64(y), "n": b64(&x), "e": "AQAB"}));
        let _ = Jwk::from_value(&json!({"kty": kty, "crv": crv, "x": b64(y), "y": b64(y), "n": b64(&x), "e": b64(&x)}));
    }
}
