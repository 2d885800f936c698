//! Proofs of workloads that hold, made by another implementation where it can.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tenure_core::base::id::JoinTokenId;
use tenure_core::base::time::Timestamp;
use tenure_credentials::assertion::{
    ClientKey, ENROLMENT_TYPE, Refused, parse_workload_key, verify_client_assertion, verify_enrolment_proof,
};
use tenure_credentials::jose::{JoseError, Jwk, JwkError, read_unverified};

use crate::support::{CLIENT, ISSUER, NOW, assertion_claims, now, p256, with, workload};

fn unsigned(error: JoseError) -> Refused {
    Refused { error, is_signed: false }
}

#[test]
fn the_key_that_signed_is_found_among_several() {
    let (a, b, c) = (workload(1), workload(2), p256());
    let c = parse_workload_key(&c.jwk).unwrap();
    let keys = [&c, &a.jwk, &b.jwk].map(ClientKey::strict);
    for header in [
        json!({"alg": "EdDSA"}),
        json!({"alg": "EdDSA", "kid": b.jwk.thumbprint()}),
        json!({"alg": "EdDSA", "kid": "unknown"}),
    ] {
        let proof =
            verify_client_assertion(&b.sign(&header, &assertion_claims()), CLIENT, &keys, ISSUER, now()).unwrap();
        assert_eq!((proof.key_index, proof.jti.as_str()), (2, "one"));
        assert_eq!(proof.expires_at, Timestamp::from_secs(NOW + 60));
        assert_eq!(proof.replay_until, Timestamp::from_secs(NOW + 90));
    }
    let header = json!({"alg": "EdDSA", "kid": a.jwk.thumbprint()});
    let refused = verify_client_assertion(&b.sign(&header, &assertion_claims()), CLIENT, &keys, ISSUER, now());
    assert_eq!(refused, Err(unsigned(JoseError::SignatureInvalid)));
    let none =
        verify_client_assertion(&b.sign(&json!({"alg": "EdDSA"}), &assertion_claims()), CLIENT, &[], ISSUER, now());
    assert_eq!(none, Err(unsigned(JoseError::KeyUnknown)));
    // Only by a bound key is it known who asks.
    let late = with(assertion_claims(), &json!({"exp": NOW - 31}));
    let refused = verify_client_assertion(&b.sign(&json!({"alg": "EdDSA"}), &late), CLIENT, &keys, ISSUER, now());
    assert_eq!(refused.map_err(|refused| (refused.error, refused.is_signed)), Err((JoseError::Expired, true)));
}

#[test]
fn jsonwebtoken_makes_es256_assertions() {
    let key = p256();
    let jwk = parse_workload_key(&key.jwk).unwrap();
    let token = jsonwebtoken::encode(
        &Header::new(Algorithm::ES256),
        &assertion_claims(),
        &EncodingKey::from_ec_der(&key.pkcs8),
    )
    .unwrap();
    assert!(verify_client_assertion(&token, CLIENT, &[ClientKey::strict(&jwk)], ISSUER, now()).is_ok());
    assert_eq!(
        verify_client_assertion(&token, CLIENT, &[ClientKey::strict(&workload(1).jwk)], ISSUER, now()),
        Err(unsigned(JoseError::AlgNotAllowed))
    );
}

#[test]
fn rsa_keys_are_not_for_workloads() {
    let jwk = json!({"kty": "RSA", "n": crate::external::rsa_modulus(), "e": "AQAB"});
    assert!(Jwk::from_value(&jwk).is_ok());
    assert_eq!(parse_workload_key(&jwk), Err(JwkError::UnsupportedKey));
}

#[test]
fn an_enrolment_proof_is_for_one_join_token() {
    let key = workload(3);
    let join = JoinTokenId::from_u128(77);
    let claims = json!({"aud": ISSUER, "jti": "p", "iat": NOW, "exp": NOW + 60, "join_token_id": join});
    let header = json!({"alg": "EdDSA", "typ": ENROLMENT_TYPE});
    let check = |token: &str| verify_enrolment_proof(token, &key.jwk, ISSUER, join, now()).map(|p| p.jti);
    assert_eq!(check(&key.sign(&header, &claims)), Ok("p".into()));
    for (changes, refusal) in [
        (json!({"join_token_id": JoinTokenId::from_u128(78)}), JoseError::JoinTokenWrong),
        (json!({"join_token_id": null}), JoseError::JoinTokenWrong),
        (json!({"iat": null}), JoseError::IatMissing),
        (json!({"exp": null}), JoseError::ExpMissing),
        (json!({"jti": null}), JoseError::JtiMissing),
        (json!({"aud": "https://other.example"}), JoseError::AudienceWrong),
    ] {
        assert_eq!(check(&key.sign(&header, &with(claims.clone(), &changes))), Err(refusal));
    }
    assert_eq!(check(&key.sign(&json!({"alg": "EdDSA"}), &claims)), Err(JoseError::TypWrong));
    assert_eq!(
        check(&key.sign(&with(header.clone(), &json!({"jwk": key.jwk.to_json()})), &claims)),
        Err(JoseError::HeaderKeyRefused)
    );
    assert_eq!(check(&workload(4).sign(&header, &claims)), Err(JoseError::SignatureInvalid));
}

#[test]
fn what_a_token_says_of_itself_is_read_without_trust() {
    let token = workload(1).sign(&json!({"alg": "EdDSA", "kid": "k"}), &assertion_claims());
    let said = read_unverified(&token).unwrap();
    assert_eq!(
        (said.issuer.as_deref(), said.subject.as_deref(), said.kid.as_deref()),
        (Some(CLIENT), Some(CLIENT), Some("k"))
    );
    assert_eq!(read_unverified("a.b"), Err(JoseError::Malformed));
    assert_eq!(read_unverified(&"a".repeat(20_000)), Err(JoseError::TooLarge));
}
