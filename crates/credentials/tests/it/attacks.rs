//! Hostile client assertions: each is refused, and says why by its code.

use serde_json::{Value, json};
use tenure_credentials::assertion::{ClientKey, ENROLMENT_TYPE, verify_client_assertion};

use crate::support::{CLIENT, ISSUER, NOW, assertion_claims, b64, now, with, workload};

fn code_of(token: &str) -> &'static str {
    verify_client_assertion(token, CLIENT, &[ClientKey::strict(&workload(1).jwk)], ISSUER, now())
        .map_or_else(|refused| refused.error.code(), |_| "accepted")
}

#[test]
fn headers() {
    let key = workload(1);
    let jwk = key.jwk.to_json();
    let cases: Vec<(Value, &str)> = vec![
        (json!({"alg": "EdDSA"}), "accepted"),
        (json!({"alg": "Ed25519", "typ": "jwt"}), "accepted"),
        (
            json!({"alg": "EdDSA", "typ": "application/client-authentication+jwt", "kid": "anything", "cty": "x", "x5t": "y"}),
            "accepted",
        ),
        (json!({"alg": "none"}), "alg_not_allowed"),
        (json!({"alg": "None"}), "alg_not_allowed"),
        (json!({"alg": "eddsa"}), "alg_not_allowed"),
        (json!({"alg": "HS256"}), "alg_not_allowed"),
        (json!({"alg": "RS256"}), "alg_not_allowed"),
        (json!({"alg": "ES256"}), "alg_not_allowed"),
        (json!({"alg": ["EdDSA"]}), "malformed"),
        (json!({}), "malformed"),
        (json!({"alg": "EdDSA", "jwk": jwk}), "header_key_refused"),
        (json!({"alg": "EdDSA", "jku": "https://evil.example/keys"}), "header_key_refused"),
        (json!({"alg": "EdDSA", "x5u": "https://evil.example/chain"}), "header_key_refused"),
        (json!({"alg": "EdDSA", "x5c": []}), "header_key_refused"),
        (json!({"alg": "EdDSA", "crit": ["exp"], "exp": 1}), "crit_unknown"),
        (json!({"alg": "EdDSA", "crit": []}), "crit_unknown"),
        (json!({"alg": "EdDSA", "crit": ["b64"], "b64": false}), "crit_unknown"),
        (json!({"alg": "EdDSA", "b64": true}), "header_option_refused"),
        (json!({"alg": "EdDSA", "zip": "DEF"}), "header_option_refused"),
        (json!({"alg": "EdDSA", "typ": "at+jwt"}), "typ_wrong"),
        (json!({"alg": "EdDSA", "typ": "dpop+jwt"}), "typ_wrong"),
        (json!({"alg": "EdDSA", "typ": ENROLMENT_TYPE}), "typ_wrong"),
        (json!({"alg": "EdDSA", "typ": ""}), "typ_wrong"),
        (json!({"alg": "EdDSA", "typ": 1}), "malformed"),
        (json!({"alg": "EdDSA", "kid": "k".repeat(257)}), "malformed"),
        (json!({"alg": "EdDSA", "kid": {}}), "malformed"),
    ];
    for (header, code) in cases {
        assert_eq!(code_of(&key.sign(&header, &assertion_claims())), code, "{header}");
    }
}

#[test]
fn claims() {
    let key = workload(1);
    let cases = [
        (json!({}), "accepted"),
        (json!({"aud": [ISSUER]}), "accepted"),
        (json!({"iat": null}), "accepted"),
        (json!({"exp": NOW - 29}), "accepted"),
        (json!({"exp": NOW + 600}), "accepted"),
        (json!({"exp": 1_800_000_059.75, "nbf": NOW + 30}), "accepted"),
        (json!({"iss": "somebody"}), "issuer_wrong"),
        (json!({"iss": null}), "issuer_wrong"),
        (json!({"sub": "somebody"}), "subject_wrong"),
        (json!({"sub": null}), "subject_wrong"),
        (json!({"aud": [ISSUER, "https://other.example"]}), "audience_wrong"),
        (json!({"aud": [ISSUER, ISSUER]}), "audience_wrong"),
        (json!({"aud": []}), "audience_wrong"),
        (json!({"aud": format!("{ISSUER}/token")}), "audience_wrong"),
        (json!({"aud": format!("{ISSUER}/")}), "audience_wrong"),
        (json!({"aud": {"0": ISSUER}}), "audience_wrong"),
        (json!({"aud": null}), "audience_wrong"),
        (json!({"exp": null}), "exp_missing"),
        (json!({"exp": NOW - 30}), "expired"),
        (json!({"exp": 0}), "expired"),
        (json!({"exp": NOW + 3600}), "lifetime_too_long"),
        (json!({"exp": NOW + 631}), "lifetime_too_long"),
        (json!({"exp": "1800000060"}), "malformed"),
        (json!({"exp": -1}), "malformed"),
        (json!({"exp": 1e300}), "malformed"),
        (json!({"exp": u64::MAX}), "malformed"),
        (json!({"iat": NOW + 31}), "not_yet_valid"),
        (json!({"nbf": NOW + 31}), "not_yet_valid"),
        (json!({"nbf": "soon"}), "malformed"),
        (json!({"jti": null}), "jti_missing"),
        (json!({"jti": ""}), "jti_missing"),
        (json!({"jti": "j".repeat(257)}), "jti_missing"),
        (json!({"jti": 7}), "malformed"),
        (json!({"iss": [CLIENT]}), "malformed"),
    ];
    for (changes, code) in cases {
        let claims = with(assertion_claims(), &changes);
        assert_eq!(code_of(&key.sign(&json!({"alg": "EdDSA"}), &claims)), code, "{claims}");
    }
}

#[test]
fn forms() {
    let key = workload(1);
    let good = key.sign(&json!({"alg": "EdDSA"}), &assertion_claims());
    assert_eq!(code_of(&good), "accepted");
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let claims = assertion_claims().to_string();
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let cases = [
        (String::new(), "malformed"),
        ("..".into(), "malformed"),
        (input.to_owned(), "malformed"),
        (format!("{good}."), "malformed"),
        (format!("{good}.AAAA.AAAA"), "malformed"),
        (format!("{good} "), "malformed"),
        (format!("{good}\n"), "malformed"),
        (format!(" {good}"), "malformed"),
        (format!("{good}="), "malformed"),
        (format!("{good}AAAA"), "signature_invalid"),
        (format!("{header}=.{payload}.{signature}"), "malformed"),
        (format!("{header}.{payload}."), "signature_invalid"),
        (format!("{}.{payload}.", b64(r#"{"alg":"none"}"#)), "alg_not_allowed"),
        (format!("{header}.{}.{signature}", b64(claims.replace("one", "two"))), "signature_invalid"),
        (key.sign_raw(r#"{"alg":"EdDSA","alg":"EdDSA"}"#, &claims), "duplicate_member"),
        (key.sign_raw(r#"{"alg":"none","alg":"EdDSA"}"#, &claims), "duplicate_member"),
        (key.sign_raw(r#"{"alg":"EdDSA"}"#, &twice(&claims, r#""aud":"x""#)), "duplicate_member"),
        (key.sign_raw(r#"{"alg":"EdDSA"}"#, &twice(&claims, r#""\u0061ud":"x""#)), "duplicate_member"),
        (key.sign_raw(r#"{"alg":"EdDSA"}x"#, &claims), "malformed"),
        (key.sign_raw(r#"["alg"]"#, &claims), "malformed"),
        (key.sign_raw(r#"{"alg":"EdDSA"}"#, &format!("{claims}{claims}")), "malformed"),
        (key.sign_raw(r#"{"alg":"EdDSA"}"#, "[]"), "malformed"),
        (
            key.sign_raw(
                r#"{"alg":"EdDSA"}"#,
                &twice(&claims, &format!(r#""x":{}1{}"#, "[".repeat(20), "]".repeat(20))),
            ),
            "malformed",
        ),
        (workload(2).sign(&json!({"alg": "EdDSA"}), &assertion_claims()), "signature_invalid"),
        ("a".repeat(16 * 1024 + 1), "too_large"),
        (key.sign_raw(r#"{"alg":"EdDSA"}"#, &twice(&claims, &format!(r#""x":"{}""#, "x".repeat(13_000)))), "too_large"),
    ];
    for (token, code) in cases {
        assert_eq!(code_of(&token), code, "{}", token.get(..200).unwrap_or(&token));
    }
    let fits = format!("{}.{}", "a".repeat(8 * 1024), "a".repeat(8 * 1024 - 1));
    assert_eq!((fits.len(), code_of(&fits)), (16 * 1024, "malformed"));
}

/// The classic confusion: the public key's bytes as an HMAC secret. No algorithm here has a secret that a verifier
/// knows.
#[test]
fn a_mac_under_the_public_key_is_no_signature() {
    let key = workload(1);
    let jwk = key.jwk.to_json().to_string();
    for secret in [jwk.as_bytes(), aws_lc_rs::signature::KeyPair::public_key(&key.pair).as_ref()] {
        let token = jsonwebtoken::encode(
            &jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256),
            &assertion_claims(),
            &jsonwebtoken::EncodingKey::from_secret(secret),
        )
        .unwrap();
        assert_eq!(code_of(&token), "alg_not_allowed");
    }
}
