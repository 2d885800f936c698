//! DPoP proofs: the examples of RFC 9449, and what is not one.

use aws_lc_rs::rand::SystemRandom;
use serde_json::{Value, json};
use tenure_core::base::time::Timestamp;
use tenure_credentials::assertion::{ClientKey, verify_client_assertion};
use tenure_credentials::certificate::{ClientCertificate, thumbprint};
use tenure_credentials::dpop::{DpopProof, Expected, access_token_hash, verify_dpop_proof};
use tenure_credentials::jose::JoseError;

use crate::support::{CLIENT, ISSUER, NOW, P256, assertion_claims, b64, now, p256, with, workload};

// RFC 9449, sections 4.1 and 5, 6.1, and 7.1.
const FOR_THE_TOKEN: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMi",
    "LCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj",
    "oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvw",
    "nQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
);
const WITH_THE_TOKEN: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMi",
    "LCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj",
    "oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaN",
    "TNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
);
const ACCESS_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

const URL: &str = "https://tenure.example/env/prod/token";

#[test]
fn the_rfcs_proofs_hold_for_their_requests_only() {
    let token_request = Expected { method: "POST", url: "https://server.example.com/token", token: None };
    let made = 1_562_262_616;
    let proof = verify_dpop_proof(FOR_THE_TOKEN, &token_request, Timestamp::from_secs(made)).unwrap();
    assert_eq!((proof.thumbprint.as_str(), proof.jti.as_str(), proof.nonce), (THUMBPRINT, "-BwC3ESc6acc2lTc", None));
    assert_eq!(access_token_hash(ACCESS_TOKEN), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    let use_of_it = Expected {
        method: "GET",
        url: "https://resource.example.org/protectedresource?page=2",
        token: Some(ACCESS_TOKEN),
    };
    let at =
        |secs| verify_dpop_proof(WITH_THE_TOKEN, &use_of_it, Timestamp::from_secs(secs)).map_err(|error| error.code());
    assert_eq!(at(made + 2).unwrap().thumbprint, THUMBPRINT);
    assert_eq!(at(made + 2 + 329).map(|proof| proof.jti), Ok("e1j3V_bKic8-LAEB".into()));
    assert_eq!(at(made + 2 + 330), Err("expired"));
    assert_eq!(at(made + 2 - 30).map(|proof| proof.replay_until), Ok(Timestamp::from_secs(made + 2 + 330)));
    assert_eq!(at(made + 2 - 31), Err("not_yet_valid"));
    let other = |expected: Expected<'_>| {
        verify_dpop_proof(WITH_THE_TOKEN, &expected, Timestamp::from_secs(made)).map_err(|error| error.code())
    };
    assert_eq!(other(Expected { method: "POST", ..use_of_it }), Err("htm_wrong"));
    assert_eq!(other(Expected { url: URL, ..use_of_it }), Err("htu_wrong"));
    assert_eq!(other(Expected { token: None, ..use_of_it }), Err("ath_wrong"));
    assert_eq!(other(Expected { token: Some("other"), ..use_of_it }), Err("ath_wrong"));
}

fn claims() -> Value {
    json!({"jti": "one", "htm": "POST", "htu": URL, "iat": NOW, "nonce": "n"})
}

fn check(proof: &str) -> Result<DpopProof, &'static str> {
    let expected = Expected { method: "POST", url: URL, token: None };
    verify_dpop_proof(proof, &expected, now()).map_err(|error| error.code())
}

fn sign_es256(key: &P256, header: &Value) -> String {
    let input = format!("{}.{}", b64(header.to_string()), b64(claims().to_string()));
    let signature = key.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", b64(signature))
}

#[test]
fn a_proof_brings_its_own_public_key_and_nothing_else() {
    let key = workload(1);
    let jwk = key.jwk.to_json();
    let good = json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": jwk});
    let proof = check(&key.sign(&good, &claims())).unwrap();
    assert_eq!((proof.thumbprint.as_str(), proof.nonce.as_deref()), (key.jwk.thumbprint(), Some("n")));
    for (changes, code) in [
        (json!({"jwk": null}), "key_unknown"),
        (
            json!({"jwk": with(jwk.clone(), &json!({"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}))}),
            "header_key_refused",
        ),
        (json!({"jwk": {"kty": "oct", "k": "c2VjcmV0"}}), "header_key_refused"),
        (json!({"jwk": workload(2).jwk.to_json()}), "signature_invalid"),
        (json!({"jwk": p256().jwk}), "alg_not_allowed"),
        (json!({"alg": "none"}), "alg_not_allowed"),
        (json!({"alg": "HS256"}), "alg_not_allowed"),
        (json!({"alg": "RS256"}), "alg_not_allowed"),
        (json!({"alg": "ES256"}), "alg_not_allowed"),
        (json!({"typ": "JWT"}), "typ_wrong"),
        (json!({"typ": null}), "typ_wrong"),
        (json!({"jku": "https://evil.example/keys"}), "header_key_refused"),
        (json!({"crit": ["x"]}), "crit_unknown"),
    ] {
        assert_eq!(check(&key.sign(&with(good.clone(), &changes), &claims())), Err(code), "{changes}");
    }
    let ec = p256();
    let proof = sign_es256(&ec, &json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": ec.jwk}));
    assert!(check(&proof).is_ok());
    assert_eq!(check(&format!("{proof}, {proof}")), Err("malformed"));
    assert_eq!(check(&"a".repeat(5_000)), Err("too_large"));
}

#[test]
fn a_proof_says_which_request_it_is_for_and_when() {
    let key = workload(1);
    let header = json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": key.jwk.to_json()});
    for (changes, code) in [
        (json!({"jti": null}), "jti_missing"),
        (json!({"jti": ""}), "jti_missing"),
        (json!({"htm": null}), "htm_wrong"),
        (json!({"htm": "post"}), "htm_wrong"),
        (json!({"htu": null}), "htu_wrong"),
        (json!({"htu": "/env/prod/token"}), "htu_wrong"),
        (json!({"htu": "https://tenure.example/env/dev/token"}), "htu_wrong"),
        (json!({"iat": null}), "iat_missing"),
        (json!({"iat": "now"}), "malformed"),
        (json!({"iat": NOW - 330}), "expired"),
        (json!({"iat": NOW + 31}), "not_yet_valid"),
        (json!({"exp": NOW - 30}), "expired"),
        (json!({"nbf": NOW + 31}), "not_yet_valid"),
        (json!({"ath": access_token_hash("x")}), "ath_wrong"),
        (json!({"nonce": 1}), "malformed"),
    ] {
        assert_eq!(check(&key.sign(&header, &with(claims(), &changes))), Err(code), "{changes}");
    }
}

/// The switch of one key says nothing for another of the same client.
#[test]
fn the_token_endpoint_is_an_audience_only_for_the_key_that_says_so() {
    let (old, new) = (workload(1), workload(2));
    let endpoint = format!("{ISSUER}/token");
    let keys = [ClientKey { key: &old.jwk, other_audience: Some(&endpoint) }, ClientKey::strict(&new.jwk)];
    let check = |key: &crate::support::Workload, audience: Value| {
        let token = key.sign(&json!({"alg": "EdDSA"}), &with(assertion_claims(), &json!({"aud": audience})));
        verify_client_assertion(&token, CLIENT, &keys, ISSUER, now())
            .map(|proof| proof.key_index)
            .map_err(|refused| refused.error)
    };
    assert_eq!(check(&old, json!(endpoint)), Ok(0));
    assert_eq!(check(&old, json!([endpoint])), Ok(0));
    assert_eq!(check(&old, json!(ISSUER)), Ok(0));
    assert_eq!(check(&new, json!(ISSUER)), Ok(1));
    for (key, audience) in [
        (&new, json!(endpoint)),
        (&old, json!([endpoint, ISSUER])),
        (&old, json!(format!("{endpoint}/"))),
        (&old, json!(format!("{endpoint}?a=b"))),
    ] {
        assert_eq!(check(key, audience.clone()), Err(JoseError::AudienceWrong), "{audience}");
    }
}

#[test]
fn a_charter_names_one_certificate_and_no_key() {
    // Made with `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=exporter`.
    let pem = include_str!("../vectors/client.pem");
    // `openssl x509 -outform DER | openssl dgst -sha256 -binary | basenc --base64url`, without padding.
    assert_eq!(ClientCertificate::of_pem(pem).unwrap().thumbprint, include_str!("../vectors/client.x5t").trim());
    assert_eq!(thumbprint(b"abc"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
    let code = |text: &str| ClientCertificate::of_pem(text).map_err(|error| error.code());
    assert_eq!(code(&format!("{pem}{pem}")), Err("certificate_not_one"));
    assert_eq!(code(""), Err("certificate_not_one"));
    assert_eq!(code("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Err("certificate_malformed"));
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(code(&format!("{pem}{key}")), Err("certificate_private"));
}
