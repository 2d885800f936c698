//! Tokens, keys and certificates.

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tenure_core::base::id::SigningKeyId;
use tenure_core::base::time::Timestamp;
use tenure_credentials::assertion::{ClientKey, verify_client_assertion};
use tenure_credentials::certificate::ClientCertificate;
use tenure_credentials::dpop::{self, verify_dpop_proof};
use tenure_credentials::external::SignedExternal;
use tenure_credentials::id_token::{self, verify_id_token};
use tenure_credentials::jose::{Algorithm, Jwk, JwkSet, MAX_KEYS, read_unverified};
use tenure_credentials::key::VerifyingKey;
use tenure_credentials::opaque::Parsed;
use tenure_credentials::receipt::verify_receipt;
use tenure_credentials::signal::verify_set;

use crate::edit::edited;

const ISSUER: &str = "https://issuer.example";
const US: &str = "https://tenure.example";
const CLIENT: &str = "idn_00000000000000000000000001";
const SECONDS: i64 = 1_800_000_000;
const NOW: Timestamp = Timestamp::from_secs(SECONDS);
const ALGORITHMS: &[Algorithm] = &[Algorithm::EdDsa];

pub(crate) static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap());

pub(crate) fn public() -> [u8; 32] {
    PAIR.public_key().as_ref().try_into().unwrap()
}

fn own_jwk() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(public()), "kid": "k1"})
}

fn signed(header: &Value, claims: &Value) -> String {
    let input = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(PAIR.sign(input.as_bytes()));
    format!("{input}.{signature}")
}

/// A sort of token: one that holds, and whether another does.
struct Sort {
    right: String,
    holds: fn(&str) -> bool,
}

static KEYS: LazyLock<JwkSet> =
    LazyLock::new(|| JwkSet::from_json(json!({"keys": [own_jwk()]}).to_string().as_bytes()).unwrap());
static OWN: LazyLock<VerifyingKey> =
    LazyLock::new(|| VerifyingKey::new(SigningKeyId::from_u128(1), &public()).unwrap());

static SORTS: LazyLock<[Sort; 6]> = LazyLock::new(|| {
    let typed = |typ: &str| json!({"alg": "EdDSA", "typ": typ, "kid": "k1"});
    let set = json!({"iss": ISSUER, "aud": US, "iat": SECONDS, "jti": "j", "events": {"urn:x": {"a": 1}}, "sub_id": {"format": "opaque", "id": "x"}});
    let claims =
        json!({"iss": ISSUER, "sub": "s", "aud": US, "exp": SECONDS + 300, "iat": SECONDS, "jti": "j", "nonce": "n"});
    let assertion = json!({"iss": CLIENT, "sub": CLIENT, "aud": US, "exp": SECONDS + 300, "iat": SECONDS, "jti": "j"});
    let proof = json!({"htm": "POST", "htu": "https://tenure.example/oauth/token", "iat": SECONDS, "jti": "j"});
    let own = json!({"alg": "EdDSA", "typ": "tenure-receipt+jwt", "kid": SigningKeyId::from_u128(1)});
    let sort = |right, holds| Sort { right, holds };
    [
        sort(signed(&typed("JWT"), &claims), |token| {
            SignedExternal::read(token, &KEYS, ALGORITHMS, ISSUER).is_ok_and(|read| read.holds(US, NOW).is_ok())
        }),
        sort(signed(&typed("JWT"), &claims), |token| {
            let expected = id_token::Expected {
                issuer: ISSUER,
                client_id: US,
                nonce: "n",
                access_token: None,
                proved_since: None,
            };
            verify_id_token(token, &KEYS, ALGORITHMS, &expected, NOW).is_ok()
        }),
        sort(signed(&typed("secevent+jwt"), &set), |token| {
            verify_set(token, &KEYS, ALGORITHMS, ISSUER, US, NOW).is_ok()
        }),
        sort(signed(&json!({"alg": "EdDSA"}), &assertion), |token| {
            verify_client_assertion(token, CLIENT, &[ClientKey::strict(&KEYS.keys()[0])], US, NOW).is_ok()
        }),
        sort(signed(&json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": own_jwk()}), &proof), |token| {
            let expected = dpop::Expected { method: "POST", url: "https://tenure.example/oauth/token", token: None };
            verify_dpop_proof(token, &expected, NOW).is_ok()
        }),
        sort(signed(&own, &json!({"decision": "permit"})), |token| {
            verify_receipt(token, std::slice::from_ref(&*OWN)).is_ok()
        }),
    ]
});

/// Tokens as they come: none holds that wasn't signed, whatever it is taken for.
pub(crate) fn tokens(bytes: &[u8]) {
    let Ok(token) = std::str::from_utf8(bytes) else { return };
    if let Ok(unverified) = read_unverified(token) {
        assert!(
            unverified.issuer.is_none_or(|issuer| issuer.len() <= 1024)
                && unverified.subject.is_none_or(|subject| subject.len() <= 1024)
        );
    }
    for sort in &*SORTS {
        assert!(!(sort.holds)(token) || token == sort.right, "holds, and was never signed: {token}");
    }
}

/// Tokens that were signed, edited: one text for each, and none for another sort of token.
pub(crate) fn edited_tokens(script: &[u8]) {
    for sort in &*SORTS {
        let given = edited(sort.right.as_bytes(), script);
        let Ok(given) = std::str::from_utf8(&given) else {
            continue;
        };
        for other in &*SORTS {
            assert_eq!((other.holds)(given), given == other.right, "{given}");
        }
    }
}

/// Keys and sets of keys: what is kept of a key is the same key.
pub(crate) fn jwk(bytes: &[u8]) {
    if let Ok(key) = std::str::from_utf8(bytes).map_err(drop).and_then(|text| Jwk::from_json(text).map_err(drop)) {
        let again = Jwk::from_value(&key.to_json()).unwrap();
        assert_eq!(
            (again.thumbprint(), again.algorithm(), again.kid()),
            (key.thumbprint(), key.algorithm(), key.kid())
        );
        assert_eq!(again, key);
    }
    if let Ok(keys) = JwkSet::from_json(bytes) {
        assert!((1..=MAX_KEYS).contains(&keys.keys().len()) && keys.keys().len() + keys.skipped() <= MAX_KEYS);
    }
}

/// One-time tokens: what is read has its own kind and no secret in its print.
pub(crate) fn opaque(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(parsed) = Parsed::parse(text) {
        assert!(text.is_ascii() && text.contains(parsed.kind().as_str()));
        assert!(!format!("{parsed:?}").contains(&text[text.len() - 20..]));
        // A checksum that is off by one letter is noticed.
        let last = if text.ends_with('0') { '1' } else { '0' };
        assert!(Parsed::parse(&format!("{}{last}", &text[..text.len() - 1])).is_err());
    }
}

/// Certificates in PEM: never with a key beside them.
pub(crate) fn certificate(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(ClientCertificate { thumbprint, .. }) = ClientCertificate::of_pem(text) {
        assert_eq!(thumbprint.len(), 43);
        assert_eq!(text.matches("-----BEGIN CERTIFICATE-----").count(), 1);
        assert!(!text.contains("PRIVATE KEY"));
    }
}
