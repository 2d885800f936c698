//! Tokens of external issuers.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tenure_credentials::external::{ExternalClaims, SignedExternal};
use tenure_credentials::jose::{Algorithm, JoseError, JwkSet, JwkSetError};

use crate::support::{NOW, b64, now, p256, with, workload};

const EXTERNAL: &str = "https://ci.example";
const AUDIENCE: &str = "https://tenure.example";
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// The modulus out of the PKCS#1 structure: SEQUENCE { INTEGER n (257 bytes with its leading zero), INTEGER e }.
pub fn rsa_modulus() -> String {
    let der = RSA.public_key().as_ref();
    assert_eq!(der[..9], [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00]);
    b64(&der[9..265])
}

fn rsa_token(alg: &str, padding: &'static dyn RsaEncoding, claims: &Value) -> String {
    let input =
        format!("{}.{}", b64(json!({"alg": alg, "kid": "r", "typ": "JWT"}).to_string()), b64(claims.to_string()));
    let mut signature = vec![0; RSA.public_modulus_len()];
    RSA.sign(padding, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", b64(signature))
}

fn claims() -> Value {
    json!({"iss": EXTERNAL, "sub": "repo:a/b", "aud": AUDIENCE, "iat": NOW - 5, "nbf": NOW - 5, "exp": NOW + 300, "project_id": "7", "run": 12})
}

fn set(keys: &[Value]) -> JwkSet {
    JwkSet::from_json(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn check(token: &str, keys: &JwkSet) -> Result<ExternalClaims, JoseError> {
    SignedExternal::read(token, keys, Algorithm::ALL, EXTERNAL)?.holds(AUDIENCE, now())
}

#[test]
fn rs256_and_ps256_each_under_their_own_key_only() {
    let key = |alg: Option<&str>| {
        with(json!({"kty": "RSA", "n": rsa_modulus(), "e": "AQAB", "kid": "r"}), &json!({"alg": alg}))
    };
    let (rs, ps) = (rsa_token("RS256", &RSA_PKCS1_SHA256, &claims()), rsa_token("PS256", &RSA_PSS_SHA256, &claims()));
    for (alg, accepted, refused) in [(None, &rs, &ps), (Some("RS256"), &rs, &ps), (Some("PS256"), &ps, &rs)] {
        let keys = set(&[key(alg)]);
        assert!(check(accepted, &keys).is_ok());
        assert_eq!(check(refused, &keys), Err(JoseError::AlgNotAllowed));
    }
    let only_es = SignedExternal::read(&rs, &set(&[key(None)]), &[Algorithm::Es256], EXTERNAL).map(drop);
    assert_eq!(only_es, Err(JoseError::AlgNotAllowed));
}

#[test]
fn jsonwebtoken_issues_what_we_accept() {
    let ec = p256();
    let key = with(ec.jwk.clone(), &json!({"kid": "e"}));
    let header = Header { kid: Some("e".into()), ..Header::new(jsonwebtoken::Algorithm::ES256) };
    let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_ec_der(&ec.pkcs8)).unwrap();
    let got = check(&token, &set(&[key])).unwrap();
    assert_eq!((got.subject.as_str(), got.jti, got.claims["run"].as_i64()), ("repo:a/b", None, Some(12)));

    let ed = workload(5);
    let pkcs8: Pkcs8V1Der<'static> = ed.pair.as_der().unwrap();
    let token = jsonwebtoken::encode(
        &Header::new(jsonwebtoken::Algorithm::EdDSA),
        &claims(),
        &EncodingKey::from_ed_der(pkcs8.as_ref()),
    )
    .unwrap();
    assert!(check(&token, &set(&[ed.jwk.to_json()])).is_ok());
}

#[test]
fn the_kid_chooses_and_an_unknown_one_is_told_apart() {
    let (a, b) = (workload(1), workload(2));
    let named = |w: &crate::support::Workload, kid: &str| with(w.jwk.to_json(), &json!({"kid": kid}));
    let two = set(&[named(&a, "a"), named(&b, "b")]);
    let sign = |kid: Value| a.sign(&with(json!({"alg": "EdDSA"}), &json!({"kid": kid})), &claims());
    assert!(check(&sign(json!("a")), &two).is_ok());
    assert_eq!(check(&sign(json!("b")), &two), Err(JoseError::SignatureInvalid));
    assert_eq!(check(&sign(json!("c")), &two), Err(JoseError::KeyUnknown));
    assert_eq!(check(&sign(Value::Null), &two), Err(JoseError::KidMissing));
    assert!(check(&sign(Value::Null), &set(&[named(&a, "a")])).is_ok());
    assert_eq!(check(&sign(json!("c")), &set(&[named(&a, "a")])), Err(JoseError::KeyUnknown));
    assert!(check(&sign(json!("c")), &set(&[a.jwk.to_json()])).is_ok());
}

#[test]
fn d16_of_several_keys_under_one_kid_each_that_fits_is_tried() {
    let (a, b, c) = (workload(1), workload(2), workload(3));
    let named = |w: &crate::support::Workload| with(w.jwk.to_json(), &json!({"kid": "same"}));
    let two = set(&[named(&a), named(&b)]);
    let sign = |w: &crate::support::Workload| w.sign(&json!({"alg": "EdDSA", "kid": "same"}), &claims());
    assert!(check(&sign(&a), &two).is_ok() && check(&sign(&b), &two).is_ok());
    assert_eq!(check(&sign(&c), &two), Err(JoseError::SignatureInvalid));
    // What the right key signed is judged by what it says.
    let late = b.sign(&json!({"alg": "EdDSA", "kid": "same"}), &with(claims(), &json!({"exp": NOW - 31})));
    assert_eq!(check(&late, &two), Err(JoseError::Expired));
}

#[test]
fn claims_that_are_refused() {
    let key = workload(1);
    let keys = set(&[key.jwk.to_json()]);
    for (changes, code) in [
        (json!({"iss": "https://ci.example/"}), "issuer_wrong"),
        (json!({"aud": [AUDIENCE, "x"]}), "audience_wrong"),
        (json!({"aud": "x"}), "audience_wrong"),
        (json!({"sub": null}), "subject_wrong"),
        (json!({"sub": ""}), "subject_wrong"),
        (json!({"exp": null}), "exp_missing"),
        (json!({"exp": NOW - 31}), "expired"),
        (json!({"exp": NOW + 86_400 + 31}), "lifetime_too_long"),
        (json!({"iat": NOW + 60}), "not_yet_valid"),
        (json!({"iat": NOW, "exp": NOW}), "malformed"),
        (json!({"jti": ""}), "jti_missing"),
    ] {
        let refused = check(&key.sign(&json!({"alg": "EdDSA"}), &with(claims(), &changes)), &keys);
        assert_eq!(refused.map_err(JoseError::code).err(), Some(code), "{changes}");
    }
    for typ in ["at+jwt", "application/at+jwt", "logout+jwt", "secevent+jwt", "client-authentication+jwt"] {
        assert_eq!(
            check(&key.sign(&json!({"alg": "EdDSA", "typ": typ}), &claims()), &keys),
            Err(JoseError::TypWrong),
            "{typ}"
        );
    }
}

/// ECDSA lets anybody turn (r, s) into (r, n - s): the replay key must not change with it.
#[test]
fn a_bent_signature_is_the_same_proof() {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let key = p256();
    let keys = set(std::slice::from_ref(&key.jwk));
    let input = format!("{}.{}", b64(r#"{"alg":"ES256"}"#), b64(claims().to_string()));
    let mut signature = key.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap().as_ref().to_vec();
    let token = format!("{input}.{}", b64(&signature));
    let mut borrow = 0i16;
    for place in (0..32).rev() {
        let difference = i16::from(N[place]) - i16::from(signature[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + place] = difference.rem_euclid(256) as u8;
    }
    let bent = format!("{input}.{}", b64(&signature));
    assert_ne!(token, bent);
    assert_eq!(check(&token, &keys).unwrap().token_hash, check(&bent, &keys).unwrap().token_hash);
}

#[test]
fn sets_skip_what_they_can_not_use() {
    let good = workload(1).jwk.to_json();
    let keys = set(&[
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "future"}),
        json!(7),
        with(good.clone(), &json!({"use": "enc"})),
        good.clone(),
    ]);
    assert_eq!((keys.keys().len(), keys.skipped()), (1, 4));
    for (text, refusal) in [
        (json!({"keys": vec![good.clone(); 65]}).to_string(), JwkSetError::TooManyKeys),
        (json!({"keys": []}).to_string(), JwkSetError::NoUsableKey),
        (json!({"keys": {}}).to_string(), JwkSetError::Malformed),
        ("[]".into(), JwkSetError::Malformed),
        (format!(r#"{{"keys":[],"keys":[{good}]}}"#), JwkSetError::Malformed),
        (" ".repeat(256 * 1024 + 1), JwkSetError::TooLarge),
    ] {
        assert_eq!(JwkSet::from_json(text.as_bytes()), Err(refusal));
    }
}
