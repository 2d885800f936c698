//! Client assertions (`private_key_jwt`, RFC 7523 with RFC 7523bis' strict audience) and DPoP proofs (RFC 9449), signed
//! before they are measured.

use anyhow::{Context, Result};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// How long an assertion is good for: the time to sign a measurement's worth, and the measurement.
const LIFE_SECONDS: i64 = 540;

/// A workload's key.
pub struct Key(Ed25519KeyPair);

impl Key {
    /// A fresh one.
    pub fn generate() -> Result<Self> {
        Ed25519KeyPair::generate().map(Self).ok().context("could not make an Ed25519 key")
    }

    /// The one that this seed makes, in hexadecimal digits.
    pub fn from_seed(seed: &str) -> Result<Self> {
        let byte = |at: usize| seed.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..seed.len()).step_by(2).map(byte).collect();
        let pair = bytes.and_then(|bytes| Ed25519KeyPair::from_seed_unchecked(&bytes).ok());
        pair.map(Self).context("that is no seed of an Ed25519 key")
    }

    /// Its public part as a JWK (RFC 8037).
    pub fn jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(self.0.public_key()) })
    }

    /// A fresh assertion of `client` for the issuer `audience`, at `now` in seconds since the epoch.
    pub fn assertion(&self, client: &str, audience: &str, now: i64) -> Result<String> {
        let claims = json!({ "iss": client, "sub": client, "aud": audience, "jti": random()?, "iat": now, "exp": now + LIFE_SECONDS });
        Ok(self.sign(&json!({ "alg": "EdDSA", "typ": "client-authentication+jwt" }), &claims))
    }

    /// A fresh DPoP proof for one POST to `url`, with the server's nonce, at `now` in seconds since the epoch.
    pub fn proof(&self, url: &str, nonce: &str, now: i64) -> Result<String> {
        let claims = json!({ "jti": random()?, "htm": "POST", "htu": url, "iat": now, "nonce": nonce });
        Ok(self.sign(&json!({ "alg": "EdDSA", "typ": "dpop+jwt", "jwk": self.jwk() }), &claims))
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let mut jws = URL_SAFE_NO_PAD.encode(header.to_string());
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut jws);
        let signature = self.0.sign(jws.as_bytes());
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        jws
    }
}

fn random() -> Result<String> {
    let mut random = [0u8; 16];
    rand::fill(&mut random).ok().context("no random bytes")?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// The form of a client's request at the token endpoint (RFC 6749 §4.4.2, RFC 7523 §2.2), with the parameters of its
/// grant.
pub fn form(assertion: &str, parameters: &[(&str, &str)]) -> String {
    let mut form = format!(
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    );
    for (name, value) in parameters {
        form.push('&');
        form.push_str(name);
        form.push('=');
        form.push_str(&encode(value));
    }
    form
}

/// The application/x-www-form-urlencoded form of a value.
pub fn encode(value: &str) -> String {
    use std::fmt::Write;
    value.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    fn decode(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn an_assertion_verifies_and_says_what_the_server_checks() {
        let key = Key::generate().unwrap();
        let jws = key.assertion("idn_1", "http://127.0.0.1:1/env/bench", 1_000).unwrap();
        let (signed, signature) = jws.rsplit_once('.').unwrap();
        let public = URL_SAFE_NO_PAD.decode(key.jwk()["x"].as_str().unwrap()).unwrap();
        UnparsedPublicKey::new(&ED25519, public)
            .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        assert_eq!(decode(header), json!({ "alg": "EdDSA", "typ": "client-authentication+jwt" }));
        let claims = decode(claims);
        assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("idn_1"), Some("idn_1")));
        assert_eq!(claims["aud"], "http://127.0.0.1:1/env/bench");
        assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 600);
    }

    #[test]
    fn no_two_assertions_or_proofs_have_the_same_id() {
        let key = Key::generate().unwrap();
        let id = |jws: Result<String>| decode(jws.unwrap().split('.').nth(1).unwrap())["jti"].clone();
        assert_ne!(id(key.assertion("a", "b", 0)), id(key.assertion("a", "b", 0)));
        assert_ne!(id(key.proof("a", "b", 0)), id(key.proof("a", "b", 0)));
    }

    #[test]
    fn a_proof_is_for_one_request_and_brings_its_key_and_the_nonce() {
        let key = Key::generate().unwrap();
        let jws = key.proof("http://127.0.0.1:1/env/bench/token", "n-1", 1_000).unwrap();
        let (signed, signature) = jws.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let (header, claims) = (decode(header), decode(claims));
        assert_eq!(header, json!({ "alg": "EdDSA", "typ": "dpop+jwt", "jwk": key.jwk() }));
        let public = URL_SAFE_NO_PAD.decode(header["jwk"]["x"].as_str().unwrap()).unwrap();
        UnparsedPublicKey::new(&ED25519, public)
            .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
        let expected = json!({ "jti": claims["jti"], "htm": "POST", "htu": "http://127.0.0.1:1/env/bench/token", "iat": 1_000, "nonce": "n-1" });
        assert_eq!(claims, expected);
    }

    #[test]
    fn forms_are_encoded() {
        let form = form("a.b-c_d", &[("grant_type", "x:y"), ("resource", "https://bench.example/a b")]);
        assert!(
            form.ends_with("&client_assertion=a.b-c_d&grant_type=x%3Ay&resource=https%3A%2F%2Fbench.example%2Fa%20b"),
            "{form}"
        );
    }
}
