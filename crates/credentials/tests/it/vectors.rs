//! Published vectors.

use serde_json::json;
use tenure_credentials::jose::{Algorithm, JoseError, Jwk, JwkError, Jws, Rules, Types};

const ANY: Rules<'_> = Rules { algorithms: Algorithm::ALL, types: Types::OneOfOrAbsent(&[]), max_bytes: 16 * 1024 };

#[test]
fn rfc8037_a4_ed25519_signature() {
    let key =
        Jwk::from_json(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#).unwrap();
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    // The vector's payload is no JSON object: that is found only after the signature held.
    assert_eq!(Jws::parse(token, &ANY).unwrap().verify(&key), Err(JoseError::Malformed));
    let other = token.replace(".hgyY", ".hgyZ");
    assert_eq!(Jws::parse(&other, &ANY).unwrap().verify(&key), Err(JoseError::SignatureInvalid));
}

#[test]
fn rfc7515_a3_es256_signature() {
    let key = Jwk::from_value(&json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    }))
    .unwrap();
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let claims = Jws::parse(token, &ANY).unwrap().verify(&key).unwrap();
    assert_eq!(claims.text("iss"), Ok(Some("joe")));
}

const RFC7638_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

#[test]
fn rfc7638_thumbprint() {
    let key = Jwk::from_value(&json!({"kty": "RSA", "n": RFC7638_N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}))
        .unwrap();
    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(Jwk::from_value(&key.to_json()).unwrap(), key);
}

#[test]
fn keys_that_are_refused() {
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let ec = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let rsa = json!({"kty": "RSA", "n": RFC7638_N, "e": "AQAB"});
    let cases = [
        (&ed, json!({"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}), JwkError::PrivateKeyGiven),
        (&rsa, json!({"p": "AQAB"}), JwkError::PrivateKeyGiven),
        (&ed, json!({"kty": "oct", "k": "AQAB"}), JwkError::PrivateKeyGiven),
        (&ed, json!({"kty": "oct"}), JwkError::UnsupportedKey),
        (&ed, json!({"crv": "Ed448"}), JwkError::UnsupportedKey),
        (&ed, json!({"crv": "X25519"}), JwkError::UnsupportedKey),
        (&ec, json!({"crv": "secp256k1"}), JwkError::UnsupportedKey),
        (&ec, json!({"crv": "P-384"}), JwkError::Malformed),
        (&ed, json!({"use": "enc"}), JwkError::NotForSignatures),
        (&ed, json!({"key_ops": ["sign"]}), JwkError::NotForSignatures),
        (&ed, json!({"key_ops": "verify"}), JwkError::Malformed),
        (&ed, json!({"alg": "ES256"}), JwkError::UnsupportedAlgorithm),
        (&ed, json!({"alg": "none"}), JwkError::UnsupportedAlgorithm),
        (&rsa, json!({"alg": "HS256"}), JwkError::UnsupportedAlgorithm),
        (&rsa, json!({"alg": "RS512"}), JwkError::UnsupportedAlgorithm),
        (&ed, json!({"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo="}), JwkError::Malformed),
        (&ed, json!({"x": "AQAB"}), JwkError::Malformed),
        (&ed, json!({"kid": ""}), JwkError::Malformed),
        (&ed, json!({"kid": 7}), JwkError::Malformed),
        (&ec, json!({"y": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}), JwkError::Weak),
        (&rsa, json!({"n": "AQAB"}), JwkError::Weak),
        (&rsa, json!({"e": "AQ"}), JwkError::Weak),
        (&rsa, json!({"e": "Ag"}), JwkError::Weak),
        (&rsa, json!({"n": format!("AA{RFC7638_N}")}), JwkError::Malformed),
        (&ed, json!({"x": "A".repeat(43)}), JwkError::Weak),
    ];
    for (base, change, refusal) in cases {
        let given = crate::support::with(base.clone(), &change);
        assert_eq!(Jwk::from_value(&given).err(), Some(refusal), "{given}");
    }
    assert_eq!(
        Jwk::from_json(
            r#"{"kty":"OKP","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
        )
        .err(),
        Some(JwkError::Malformed)
    );
    let verifying =
        crate::support::with(ed, &json!({"key_ops": ["verify"], "use": "sig", "alg": "Ed25519", "x5t": "ignored"}));
    assert_eq!(Jwk::from_value(&verifying).unwrap().algorithm(), Algorithm::EdDsa);
}

/// Each listed point is one for which a signature made without any private key holds: R = the neutral element, S = 0.
#[test]
fn points_of_small_order_are_refused_because_they_let_anybody_sign() {
    use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
    let mut forged = [0u8; 64];
    forged[0] = 1;
    let orders_eight = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    for hex in orders_eight {
        let point: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()).collect();
        let key = ParsedPublicKey::new(&ED25519, &point).unwrap();
        assert!((0..200u32).any(|n| key.verify_sig(&n.to_be_bytes(), &forged).is_ok()), "{hex}");
        assert_eq!(
            Jwk::from_value(&json!({"kty": "OKP", "crv": "Ed25519", "x": crate::support::b64(&point)})),
            Err(JwkError::Weak)
        );
    }
}
