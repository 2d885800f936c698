//! Prints how many signatures and checks one core does in a second: `cargo run --release -p tenure-credentials
//! --example rates`.

#![expect(clippy::disallowed_methods, reason = "a measurement: it goes by the machine's clock")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::id::{OperatorTokenId, SigningKeyId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::port::{Head, RowSealer};
use tenure_core::store::row::{Position, RowKey, RowKind};
use tenure_credentials::assertion::{ClientKey, verify_client_assertion};
use tenure_credentials::jose::Jwk;
use tenure_credentials::key::{VerifyingKey, generate_seed, public_of};
use tenure_credentials::opaque::{OpaqueKeys, Parsed};
use tenure_credentials::receipt::ReceiptSigner;
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_credentials::token::verify_access_token;

const NOW: i64 = 1_800_000_000;

fn rate<T>(what: &str, mut once: impl FnMut() -> T) {
    for _ in 0..100 {
        black_box(once());
    }
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < Duration::from_millis(700) {
        for _ in 0..50 {
            black_box(once());
        }
        count += 50;
    }
    let each = start.elapsed().as_secs_f64() / f64::from(count);
    println!("{what:<44} {:>8.2} us {:>10.0} /s", each * 1e6, 1.0 / each);
}

fn main() -> Result<(), Box<dyn Error>> {
    let now = Timestamp::from_secs(NOW);
    let entropy = SeededEntropy::new(1);
    let seed = generate_seed(&entropy);
    let public = public_of(&seed)?;
    let kid = SigningKeyId::from_u128(1);
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);

    let access = json!({
        "iss": "https://tenure.example/environments/prod", "exp": NOW + 600, "aud": "https://ledger.example/api",
        "sub": "idn_00000000000000000000000007", "client_id": "idn_00000000000000000000000007", "iat": NOW,
        "jti": "crd_00000000000000000000000008", "scope": "read write"
    });
    let payload: Map<String, Value> = access.as_object().cloned().unwrap_or_default();
    // The same code signs access tokens; those need the gate's permit, which an example can't have.
    let signer = ReceiptSigner::new(kid, &seed)?;
    rate("sign: claims to compact JWS (Ed25519)", || signer.sign(&payload));

    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose())?;
    let sign = |header: &Value, claims: &Value| {
        let input = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()));
        let signature = b64(pair.sign(input.as_bytes()).as_ref());
        format!("{input}.{signature}")
    };
    rate("  of which the Ed25519 signature", || pair.sign(&[7; 400]));
    let token = sign(&json!({"alg": "EdDSA", "kid": kid, "typ": "at+jwt"}), &access);
    let keys = [VerifyingKey::new(kid, &public)?];
    let read = || verify_access_token(&token, &keys, "https://tenure.example/environments/prod", now, Span::default());
    read()?;
    rate("verify_access_token (Ed25519)", read);

    let claims = json!({"iss": "c", "sub": "c", "aud": "https://t.example", "jti": "one", "exp": NOW + 60});
    let assertion = sign(&json!({"alg": "EdDSA"}), &claims);
    let jwk = Jwk::from_value(&json!({"kty": "OKP", "crv": "Ed25519", "x": b64(&public)}))?;
    let check = |token: &str, key: &Jwk| {
        verify_client_assertion(token, "c", &[ClientKey::strict(key)], "https://t.example", now)
    };
    check(&assertion, &jwk)?;
    rate("verify_client_assertion (Ed25519)", || check(&assertion, &jwk));

    let rng = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng)?;
    let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())?;
    let (x, y) = ec
        .public_key()
        .as_ref()
        .get(1..)
        .and_then(|point| point.split_at_checked(32))
        .ok_or("a point has two coordinates")?;
    let ec_value = json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)});
    let ec_jwk = Jwk::from_value(&ec_value)?;
    let input = format!("{}.{}", b64(br#"{"alg":"ES256"}"#), b64(claims.to_string().as_bytes()));
    let es256 = format!("{input}.{}", b64(ec.sign(&rng, input.as_bytes())?.as_ref()));
    check(&es256, &ec_jwk)?;
    rate("verify_client_assertion (ES256)", || check(&es256, &ec_jwk));
    rate("Jwk::from_value (P-256)", || Jwk::from_value(&ec_value));

    let root = RootKey::from_text(&"1".repeat(64))?;
    let mac = RowMac::new(&root);
    let key = RowKey::new(RowKind::Identity, "idn_00000000000000000000000007");
    rate("row digest and MAC (1 KiB)", || {
        let digest = mac.digest(&key, 3, &[7; 1024]);
        mac.mac(&digest, Position::at(1), Position::at(2))
    });
    let opaque = OpaqueKeys::new(&root);
    let minted =
        opaque.setup_token(OperatorTokenId::from_u128(1), Head::default(), &entropy).ok_or("a log is there")?;
    rate("opaque token: parse and match", || {
        Parsed::parse(minted.token.expose()).is_ok_and(|parsed| opaque.matches(&parsed, &minted.hash))
    });
    let sealed = root.seal("signing key", "key_1", seed.expose(), &entropy)?;
    rate("open a sealed seed", || root.open_seed("signing key", "key_1", &sealed));
    Ok(())
}
