//! Access tokens and receipts, read by another implementation.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Map, Value, json};
use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::id::{CredentialId, EventId, IdentityId, ResourceId, SigningKeyId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::delegation::{Delegation, MayAct};
use tenure_core::store::secret::Secret;
use tenure_core::trust::confirmation::Confirmation;
use tenure_core::trust::signing_key::SigningAlgorithm;
use tenure_credentials::jose::JoseError;
use tenure_credentials::key::{VerifyingKey, public_of};
use tenure_credentials::receipt::{ReceiptSigner, verify_receipt};
use tenure_credentials::token::{
    AccessClaims, SignedToken, TokenSigner, actors, subject, task_details, verify_access_token,
};

use crate::support::{
    CLIENT, ISSUER, NOW, Workload, access_token, b64, commit, committed, kid, now, permit, permit_bound, release, seed,
    signer, with, workload,
};

fn ours() -> [VerifyingKey; 1] {
    [VerifyingKey::new(kid(), &public_of(&seed()).unwrap()).unwrap()]
}

fn check_at(token: &str, at: i64) -> Result<AccessClaims, JoseError> {
    verify_access_token(token, &ours(), ISSUER, Timestamp::from_secs(at), Span::from_secs(5))
}

#[test]
fn jsonwebtoken_verifies_our_access_tokens_by_our_key_set() {
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(
        VerifyingKey::from_record(kid(), SigningAlgorithm::EdDsa, &URL_SAFE_NO_PAD.encode(public_of(&seed()).unwrap()))
            .unwrap()
            .1,
    )
    .unwrap();
    let mut validation = Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&["https://ledger.example/api"]);
    validation.validate_exp = false;
    let read =
        jsonwebtoken::decode::<Value>(access_token(), &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap();
    assert_eq!(read.header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(read.header.kid.as_deref(), Some(kid().to_string().as_str()));
    assert_eq!(
        read.claims,
        json!({
            "iss": ISSUER, "aud": "https://ledger.example/api", "sub": CLIENT, "client_id": CLIENT, "iat": NOW, "exp": NOW + 600,
            "jti": CredentialId::from_u128(8), "scope": "read write"
        })
    );
}

/// RFC 9449 §6.1, RFC 9396 §9, RFC 8693 §4.4.
#[test]
fn a_bound_token_names_its_key_its_task_and_who_may_act() {
    let may_act = MayAct {
        actor: IdentityId::from_u128(9),
        resource: ResourceId::from_u128(4),
        actions: vec!["read".into()],
        task: None,
    };
    let bound = Confirmation::Jkt("thumbprint".into());
    let permit = permit_bound(&["read"], Some(&bound), Some("reconcile"), Some(&may_act));
    let signer = signer();
    let token = release(signer.sign(permit, ISSUER, commit()).unwrap()).expose().clone();
    let payload: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!(
        payload,
        json!({
            "iss": ISSUER, "aud": "https://ledger.example/api", "sub": CLIENT, "client_id": CLIENT, "iat": NOW, "exp": NOW + 600,
            "jti": CredentialId::from_u128(8), "scope": "read", "cnf": {"jkt": "thumbprint"}, "may_act": {"sub": may_act.actor},
            "authorization_details": [{"type": "tenure_task", "task": "reconcile"}],
        })
    );
    assert_eq!(check_at(&token, NOW).unwrap().confirmation, Some(bound));
    assert_eq!(task_details("reconcile"), payload["authorization_details"]);
}

/// RFC 8693 §4.1: the subject is whom it is about, the outermost actor is the holder.
#[test]
fn a_derived_token_is_its_holders_and_about_its_subject() {
    let chain = [1, 2, 7].map(IdentityId::from_u128).to_vec();
    let delegation = Delegation {
        chain: chain.clone(),
        parents: vec![CredentialId::from_u128(20), CredentialId::from_u128(21)],
        tasks: vec![None, None, None],
    };
    let act = actors(&delegation).unwrap().unwrap();
    assert_eq!(act, json!({"sub": chain[2], "act": {"sub": chain[1]}}));
    assert_eq!(subject(Some(&delegation), chain[2]), chain[0]);
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(seed().expose()).unwrap();
    let own = Workload { pair, jwk: workload(1).jwk };
    let claims = json!({
        "iss": ISSUER, "aud": "a", "sub": chain[0], "client_id": chain[2], "act": act, "iat": NOW, "exp": NOW + 600,
        "jti": CredentialId::from_u128(8), "scope": ""
    });
    let read = check_at(&own.sign(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid()}), &claims), NOW).unwrap();
    assert_eq!((read.subject, read.identity), (chain[0], chain[2]));
}

#[test]
fn introspection_reads_what_was_signed() {
    let claims = check_at(&access_token(), NOW + 10).unwrap();
    assert_eq!((claims.credential, claims.identity), (CredentialId::from_u128(8), IdentityId::from_u128(7)));
    assert_eq!((claims.subject, claims.confirmation), (claims.identity, None));
    assert_eq!(
        (claims.audience.as_str(), claims.scope),
        ("https://ledger.example/api", vec!["read".to_owned(), "write".to_owned()])
    );
    assert_eq!((claims.issued_at, claims.expires_at), (now(), Timestamp::from_secs(NOW + 600)));
}

#[test]
fn an_access_token_is_refused_out_of_its_time_place_and_kind() {
    let token = access_token();
    assert!(check_at(&token, NOW + 604).is_ok());
    assert_eq!(check_at(&token, NOW + 605), Err(JoseError::Expired));
    assert_eq!(check_at(&token, NOW - 6), Err(JoseError::NotYetValid));
    let read = SignedToken::read(&token, &ours(), ISSUER).unwrap();
    assert_eq!(read.key(), kid());
    assert_eq!(read.at(Timestamp::from_secs(NOW + 600), Span::default()), Err(JoseError::Expired));
    assert_eq!(read.at(Timestamp::from_secs(NOW - 1), Span::default()), Err(JoseError::NotYetValid));
    assert_eq!(read.at(now(), Span::default()), check_at(&token, NOW).as_ref().map_err(|error| *error));
    let elsewhere =
        verify_access_token(&token, &ours(), "https://tenure.example/environments/dev", now(), Span::default());
    assert_eq!(elsewhere, Err(JoseError::IssuerWrong));
    let other = [VerifyingKey::new(SigningKeyId::from_u128(13), &public_of(&seed()).unwrap()).unwrap()];
    assert_eq!(verify_access_token(&token, &other, ISSUER, now(), Span::default()), Err(JoseError::KeyUnknown));
    assert_eq!(verify_receipt(&token, &ours()), Err(JoseError::TypWrong));
    let forged = workload(1).sign(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid()}), &json!({"iss": ISSUER}));
    assert_eq!(check_at(&forged, NOW), Err(JoseError::SignatureInvalid));
    for (header, refusal) in [
        (json!({"alg": "EdDSA", "kid": kid()}), JoseError::TypWrong),
        (json!({"alg": "EdDSA", "kid": kid(), "typ": "JWT"}), JoseError::TypWrong),
        (json!({"alg": "EdDSA", "typ": "at+jwt"}), JoseError::KidMissing),
        (json!({"alg": "ES256", "typ": "at+jwt", "kid": kid()}), JoseError::AlgNotAllowed),
    ] {
        assert_eq!(check_at(&workload(1).sign(&header, &json!({})), NOW), Err(refusal));
    }
}

/// What AWS takes for an identity, nobody here does.
#[test]
fn a_token_that_vouches_elsewhere_is_an_id_token_in_form_and_no_access_token() {
    let until = Timestamp::from_secs(NOW + 300);
    let (token, record) = signer().vouch(permit(&["read"]), ISSUER, "sts.amazonaws.com", until).unwrap();
    assert_eq!(check_at(token.expose(), NOW), Err(JoseError::TypWrong));
    let claims = token.expose().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let credential = CredentialId::from_u128(8);
    let expected = json!({"iss": ISSUER, "sub": CLIENT, "aud": "sts.amazonaws.com", "iat": NOW, "exp": NOW + 300, "jti": credential});
    assert_eq!((claims, record.id), (expected, credential));
}

/// Even what our own key signed must be an access token in full.
#[test]
fn incomplete_claims_are_refused() {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(seed().expose()).unwrap();
    let own = Workload { pair, jwk: workload(1).jwk };
    let full = json!({
        "iss": ISSUER, "aud": "a", "sub": CLIENT, "client_id": CLIENT, "iat": NOW, "exp": NOW + 600, "jti": CredentialId::from_u128(8), "scope": ""
    });
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid()});
    assert_eq!(check_at(&own.sign(&header, &full), NOW).unwrap().scope, Vec::<String>::new());
    for (changes, refusal) in [
        (json!({"client_id": "idn_00000000000000000000000009"}), JoseError::SubjectWrong),
        (json!({"client_id": null}), JoseError::SubjectWrong),
        (json!({"act": {"sub": "idn_00000000000000000000000009"}}), JoseError::SubjectWrong),
        (json!({"act": {}}), JoseError::SubjectWrong),
        (json!({"cnf": {"jwk": {}}}), JoseError::Malformed),
        (json!({"jti": "crd_x"}), JoseError::JtiMissing),
        (json!({"iat": null}), JoseError::IatMissing),
        (json!({"aud": null}), JoseError::AudienceWrong),
        (json!({"exp": NOW + 7200}), JoseError::LifetimeTooLong),
    ] {
        assert_eq!(check_at(&own.sign(&header, &with(full.clone(), &changes)), NOW), Err(refusal), "{changes}");
    }
}

#[test]
fn a_token_leaves_only_with_the_proof_of_its_own_commit() {
    let signer = signer();
    assert!(
        signer.sign(permit(&["read"]), ISSUER, commit()).unwrap().release(&committed(EventId::from_u128(1))).is_none()
    );
    assert!(signer.sign(permit(&["read"]), ISSUER, commit()).unwrap().release(&committed(commit())).is_some());
    assert_eq!(format!("{:?}", signer.sign(permit(&["read"]), ISSUER, commit()).unwrap()), "[pending]");
}

#[test]
fn receipts_round_trip_and_pass_for_nothing_else() {
    let signer = ReceiptSigner::new(kid(), &seed()).unwrap();
    let receipt: Map<String, Value> =
        json!({"id": "rct_x", "points": [{"state": "refused"}, {"state": "requested"}]}).as_object().unwrap().clone();
    let signed = signer.sign(&receipt).unwrap();
    assert_eq!(verify_receipt(&signed, &ours()), Ok(receipt.clone()));
    assert_eq!(check_at(&signed, NOW), Err(JoseError::TypWrong));
    let long = Map::from_iter([("points".to_owned(), json!(vec!["x".repeat(100); 1000]))]);
    assert_eq!(verify_receipt(&signer.sign(&long).unwrap(), &ours()), Ok(long));
    let (input, signature) = signed.rsplit_once('.').unwrap();
    let (header, _) = input.split_once('.').unwrap();
    let altered = format!("{header}.{}.{signature}", b64(r#"{"id":"rct_y"}"#));
    assert_eq!(verify_receipt(&altered, &ours()), Err(JoseError::SignatureInvalid));
    let too_long = Map::from_iter([("x".to_owned(), json!("x".repeat(1024 * 1024)))]);
    assert_eq!(signer.sign(&too_long), Err(JoseError::TooLarge));
}

#[test]
fn debug_prints_no_secret() {
    let seed = seed();
    let secrets = [b64(seed.expose()), format!("{:?}", seed.expose())];
    let signer = TokenSigner::new(kid(), SigningAlgorithm::EdDsa, &Secret::new(seed.expose().to_vec())).unwrap();
    let receipts = ReceiptSigner::new(kid(), &seed).unwrap();
    for text in [format!("{signer:?}"), format!("{receipts:?}"), format!("{seed:?}")] {
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
        assert!(text.len() < 120, "{text}");
    }
}

#[test]
fn e04_tokens_of_each_algorithm_hold_by_another_implementation_and_by_no_other_key() {
    let entropy = SeededEntropy::new(4);
    for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
        let made = tenure_credentials::key::generate(algorithm, &entropy).unwrap();
        let signer = TokenSigner::new(kid(), algorithm, &made.private).unwrap();
        let token = release(signer.sign(permit(&["read"]), ISSUER, commit()).unwrap()).expose().clone();
        let (key, jwk) = VerifyingKey::from_record(kid(), algorithm, &made.public).unwrap();
        assert_eq!((&jwk["alg"], &jwk["use"], &jwk["kid"]), (&json!(algorithm), &json!("sig"), &json!(kid())));
        let decoding = jsonwebtoken::DecodingKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(algorithm.as_str().parse().unwrap());
        rules.validate_exp = false;
        rules.validate_aud = false;
        assert!(jsonwebtoken::decode::<serde_json::Value>(&token, &decoding, &rules).is_ok(), "{algorithm:?}");
        assert!(SignedToken::read(&token, std::slice::from_ref(&key), ISSUER).is_ok());
        // A key of ours is pinned to its algorithm, whatever a token says of itself.
        for other in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
            let theirs = tenure_credentials::key::generate(other, &entropy).unwrap();
            let (theirs, _) = VerifyingKey::from_record(kid(), other, &theirs.public).unwrap();
            assert!(SignedToken::read(&token, &[theirs], ISSUER).is_err(), "{algorithm:?} by {other:?}");
        }
    }
}
