//! A workload's own key, and the proofs that it signs: client assertions (RFC 7523, `private_key_jwt`), and proofs for
//! enrolment and registration.
//!
//! Its private part is kept as PKCS#8 in PEM (RFC 5958, RFC 7468), which OpenSSL and stock clients read, or as a JWK
//! (RFC 7517), in a file that only the workload may read. What earlier releases wrote is read too: an Ed25519 seed (RFC
//! 8032 §5.1.5) as 43 characters of base64url.
//!
//! ```no_run
//! # async fn example(client: tenure_client::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use tenure_client::{TokenProof, TokenRequest, assertion::WorkloadKey};
//!
//! let key = WorkloadKey::from_text(&std::fs::read_to_string("billing-exporter.key")?)?;
//! let assertion = key.client_assertion("idn_01k9…", &client.issuer_of("prod"))?;
//! let token = client.token("prod", &TokenRequest::new(TokenProof::Assertion(assertion))).await?;
//! # drop(token);
//! # Ok(())
//! # }
//! ```

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_core::base::entropy::Entropy;
use tenure_core::base::id::{IdentityId, JoinTokenId};
use tenure_core::base::time::{Span, Timestamp};
use zeroize::Zeroizing;

/// How long a proof that [`sign`] makes is good for; the server takes ten minutes at most.
pub const LIFE: Span = Span::from_secs(60);
const JOIN_TOKEN_PREFIX: &str = "tnr_join_";
const ID_LEN: usize = 26;

/// Why no proof can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a private key in one of the forms that [`WorkloadKey::from_text`] reads.
    #[error(
        "not a private key: give an Ed25519 or P-256 key as PEM or as a JWK, as `tenure key generate` writes them; without a passphrase"
    )]
    NoKey,
    /// Not an identity's id.
    #[error("not an identity's id: one begins with idn_")]
    NoIdentity,
    /// Not a join token.
    #[error("not a join token: one begins with tnr_join_")]
    NoJoinToken,
}

/// The types of workloads' keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyType {
    /// Ed25519, which signs as `EdDSA` (RFC 8037).
    #[default]
    Ed25519,
    /// ECDSA on P-256, which signs as `ES256` (RFC 7518 §3.4).
    P256,
}

/// A workload's key.
pub struct WorkloadKey(Pair);

enum Pair {
    Ed25519 { seed: Zeroizing<[u8; 32]>, pair: Ed25519KeyPair },
    P256(EcdsaKeyPair),
}

impl WorkloadKey {
    /// A fresh Ed25519 key from the system's generator.
    pub fn generate() -> Self {
        Self::generate_of(KeyType::Ed25519)
    }

    /// A fresh key of this type from the system's generator.
    #[expect(clippy::panic, reason = "a workload that can't draw randomness must not go on with a predictable key")]
    pub fn generate_of(kind: KeyType) -> Self {
        let key = match kind {
            KeyType::Ed25519 => Self::draw(&SystemEntropy).ok(),
            KeyType::P256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok().map(|pair| Self(Pair::P256(pair)))
            }
        };
        match key {
            Some(key) => key,
            None => panic!("the library made no key"),
        }
    }

    /// A fresh Ed25519 key from this source.
    ///
    /// # Errors
    /// The library refused the seed; with 32 bytes it has no reason to.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, ProofError> {
        let mut seed = Zeroizing::new([0u8; 32]);
        entropy.fill(seed.as_mut());
        Self::from_seed(seed)
    }

    /// The key that a file holds: PEM, a private JWK, or the form of earlier releases.
    ///
    /// # Errors
    /// [`ProofError::NoKey`].
    pub fn from_text(text: &str) -> Result<Self, ProofError> {
        let text = text.trim();
        if text.starts_with('{') {
            return Self::from_jwk(text);
        }
        if text.starts_with("-----BEGIN ") {
            return Self::from_der(&read_pem(text).ok_or(ProofError::NoKey)?);
        }
        Self::from_seed(base64url_32(text)?)
    }

    fn from_der(der: &[u8]) -> Result<Self, ProofError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            let seed = pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(|_| ProofError::NoKey)?;
            let seed: [u8; 32] = seed.as_ref().try_into().map_err(|_| ProofError::NoKey)?;
            return Self::from_seed(Zeroizing::new(seed));
        }
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        pair.map(|pair| Self(Pair::P256(pair))).map_err(|_| ProofError::NoKey)
    }

    fn from_jwk(text: &str) -> Result<Self, ProofError> {
        let jwk: PrivateJwk = serde_json::from_str(text).map_err(|_| ProofError::NoKey)?;
        let private = base64url_32(&Zeroizing::new(jwk.d))?;
        let public = base64url_32(&jwk.x)?;
        match (jwk.kty.as_str(), jwk.crv.as_str(), &jwk.y) {
            ("OKP", "Ed25519", None) => {
                let key = Self::from_seed(private)?;
                // A public part of another key would go into the charter, and no proof would ever hold.
                let is_its =
                    matches!(&key.0, Pair::Ed25519 { pair, .. } if pair.public_key().as_ref() == public.as_slice());
                if is_its { Ok(key) } else { Err(ProofError::NoKey) }
            }
            ("EC", "P-256", Some(y)) => {
                let point = [&[4u8], public.as_slice(), base64url_32(y)?.as_slice()].concat();
                let pair = EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    private.as_ref(),
                    &point,
                );
                pair.map(|pair| Self(Pair::P256(pair))).map_err(|_| ProofError::NoKey)
            }
            _ => Err(ProofError::NoKey),
        }
    }

    fn from_seed(seed: Zeroizing<[u8; 32]>) -> Result<Self, ProofError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| ProofError::NoKey)?;
        Ok(Self(Pair::Ed25519 { seed, pair }))
    }

    /// The private part as PKCS#8 in PEM, for its file.
    ///
    /// # Errors
    /// The library can't write its own key, which has no reason to happen.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, ProofError> {
        let der = match &self.0 {
            Pair::Ed25519 { pair, .. } => pair.to_pkcs8v1(),
            Pair::P256(pair) => pair.to_pkcs8v1(),
        };
        Ok(write_pem(der.map_err(|_| ProofError::NoKey)?.as_ref()))
    }

    /// The private part as a JWK, for its file.
    ///
    /// # Errors
    /// The library can't write its own key, which has no reason to happen.
    pub fn to_private_jwk(&self) -> Result<Zeroizing<String>, ProofError> {
        let mut jwk = self.public_jwk();
        let d = match &self.0 {
            Pair::Ed25519 { seed, .. } => URL_SAFE_NO_PAD.encode(seed.as_ref()),
            Pair::P256(pair) => {
                let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| ProofError::NoKey)?;
                URL_SAFE_NO_PAD.encode(private.as_ref())
            }
        };
        if let Some(members) = jwk.as_object_mut() {
            members.insert("alg".into(), json!(self.algorithm()));
            members.insert("d".into(), Value::String(d));
        }
        Ok(Zeroizing::new(jwk.to_string()))
    }

    /// The public key as a JWK (RFC 8037, RFC 7518 §6.2), for the charter.
    pub fn public_jwk(&self) -> Value {
        match &self.0 {
            Pair::Ed25519 { pair, .. } => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key())})
            }
            Pair::P256(pair) => {
                let (x, y) = coordinates(pair);
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
        }
    }

    /// The public key's thumbprint (RFC 7638), by which proofs name it.
    pub fn thumbprint(&self) -> String {
        let canonical = match &self.0 {
            Pair::Ed25519 { pair, .. } => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
            Pair::P256(pair) => {
                let (x, y) = coordinates(pair);
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
        };
        URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
    }

    /// A client assertion of this moment, good for one use within [`LIFE`]. `audience` is the environment's issuer
    /// identifier.
    ///
    /// # Errors
    /// [`ProofError::NoIdentity`].
    pub fn client_assertion(&self, identity: &str, audience: &str) -> Result<String, ProofError> {
        let identity = identity.parse().map_err(|_| ProofError::NoIdentity)?;
        Ok(sign(self, identity, audience, wall_clock(), &SystemEntropy))
    }

    /// A proof of this moment that this key belongs to whoever presents the join token. `audience` comes with the
    /// token.
    ///
    /// # Errors
    /// [`ProofError::NoJoinToken`].
    pub fn enrolment_proof(&self, join_token: &str, audience: &str) -> Result<String, ProofError> {
        sign_enrolment(self, join_token, audience, wall_clock(), &SystemEntropy)
    }

    /// A proof of this moment that this key belongs to the identity that is being registered under this name, for the
    /// `token` of the same call. `audience` is the environment's issuer identifier.
    pub fn registration_proof(&self, name: &str, audience: &str) -> String {
        sign_registration(self, name, audience, wall_clock(), &SystemEntropy)
    }

    /// The name of its algorithm (RFC 7518, RFC 8037).
    const fn algorithm(&self) -> &'static str {
        match self.0 {
            Pair::Ed25519 { .. } => "EdDSA",
            Pair::P256(_) => "ES256",
        }
    }

    /// A signed JSON Web Token of this type (RFC 7519, RFC 8725 §3.11) over these claims, which names the key by its
    /// thumbprint.
    pub fn compact(&self, typ: &str, claims: &Value) -> String {
        self.signed(&json!({"alg": self.algorithm(), "kid": self.thumbprint(), "typ": typ}), claims)
    }

    /// A proof for somebody who doesn't know the key yet: it brings it.
    pub(crate) fn compact_with_key(&self, typ: &str, claims: &Value) -> String {
        self.signed(&json!({"alg": self.algorithm(), "jwk": self.public_jwk(), "typ": typ}), claims)
    }

    #[expect(clippy::disallowed_methods, reason = "a client at the edge: its keys and proofs are its own")]
    fn signed(&self, header: &Value, claims: &Value) -> String {
        let mut jws =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = match &self.0 {
            Pair::Ed25519 { pair, .. } => pair.sign(jws.as_bytes()).as_ref().to_vec(),
            // Were there no randomness, the empty signature would hold nowhere.
            Pair::P256(pair) => pair
                .sign(&SystemRandom::new(), jws.as_bytes())
                .map(|signature| signature.as_ref().to_vec())
                .unwrap_or_default(),
        };
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        jws
    }
}

/// The members of a private JWK that make the key; whatever else it says is its holder's matter.
#[derive(Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
    d: String,
}

/// The coordinates of a point on P-256, base64url.
fn coordinates(pair: &EcdsaKeyPair) -> (String, String) {
    // An uncompressed point: 4, x, y.
    let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
    let (x, y) = point.split_at(point.len() / 2);
    (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
}

fn base64url_32(text: &str) -> Result<Zeroizing<[u8; 32]>, ProofError> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| ProofError::NoKey)?);
    <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new).map_err(|_| ProofError::NoKey)
}

/// The bytes of the first block of PEM that is a private key; parameters of a curve may stand before it.
fn read_pem(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    ["PRIVATE KEY", "EC PRIVATE KEY"].iter().find_map(|label| {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
    })
}

fn write_pem(der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(String::with_capacity(body.len() + 128));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----");
    pem
}

impl fmt::Debug for WorkloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadKey").field("thumbprint", &self.thumbprint()).finish_non_exhaustive()
    }
}

/// Signs a client assertion, good for one use within [`LIFE`]. `audience` is the environment's issuer identifier.
pub fn sign(key: &WorkloadKey, identity: IdentityId, audience: &str, now: Timestamp, entropy: &dyn Entropy) -> String {
    let claims = json!({
        "iss": identity,
        "sub": identity,
        "aud": audience,
        "iat": now.as_secs(),
        "exp": now.plus(LIFE).as_secs(),
        "jti": fresh_id(entropy),
    });
    key.compact("client-authentication+jwt", &claims)
}

/// Signs the proof that a key belongs to whoever presents a join token. `audience` comes with the token.
///
/// # Errors
/// [`ProofError::NoJoinToken`].
pub fn sign_enrolment(
    key: &WorkloadKey,
    join_token: &str,
    audience: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<String, ProofError> {
    let claims = json!({
        "aud": audience,
        "iat": now.as_secs(),
        "exp": now.plus(LIFE).as_secs(),
        "jti": fresh_id(entropy),
        "join_token_id": join_token_id(join_token)?,
    });
    Ok(key.compact("tenure-enrol+jwt", &claims))
}

/// Signs the proof that a key belongs to the identity that is being registered under this name. `audience` is the
/// environment's issuer identifier.
pub fn sign_registration(
    key: &WorkloadKey,
    name: &str,
    audience: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> String {
    let claims = json!({
        "sub": name,
        "aud": audience,
        "iat": now.as_secs(),
        "exp": now.plus(LIFE).as_secs(),
        "jti": fresh_id(entropy),
    });
    key.compact("tenure-enrol+jwt", &claims)
}

/// The operating system's generator.
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::panic, reason = "a process that can't draw randomness must not go on with predictable keys")]
    #[expect(clippy::disallowed_methods, reason = "a client at the edge: its keys and proofs are its own")]
    fn fill(&self, buffer: &mut [u8]) {
        if aws_lc_rs::rand::fill(buffer).is_err() {
            panic!("the system's random generator failed");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a proof is dated where it is made, outside of the domain")]
pub(crate) fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn join_token_id(text: &str) -> Result<JoinTokenId, ProofError> {
    let id = text.strip_prefix(JOIN_TOKEN_PREFIX).and_then(|rest| rest.get(..ID_LEN)).ok_or(ProofError::NoJoinToken)?;
    format!("jnt_{id}").parse().map_err(|_| ProofError::NoJoinToken)
}

pub(crate) fn fresh_id(entropy: &dyn Entropy) -> String {
    let mut id = [0u8; 16];
    entropy.fill(&mut id);
    URL_SAFE_NO_PAD.encode(id)
}

#[cfg(test)]
mod tests {
    use tenure_core::base::entropy::SeededEntropy;

    use super::*;

    // RFC 8037, appendix A.
    const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    #[test]
    fn the_rfcs_key_reads_and_writes() {
        let key = WorkloadKey::from_text(&format!("{SEED}\n")).unwrap();
        assert_eq!(key.public_jwk(), json!({"kty": "OKP", "crv": "Ed25519", "x": PUBLIC}));
        assert_eq!(key.thumbprint(), THUMBPRINT);
        assert!(!format!("{key:?}").contains(SEED));
        for bad in [
            "",
            "nWGx",
            "not base64url!",
            "{}",
            "{",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            r#"{"kty":"OKP","crv":"Ed25519","x":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#,
        ] {
            assert_eq!(WorkloadKey::from_text(bad).err(), Some(ProofError::NoKey));
        }
    }

    #[test]
    fn e04_keys_read_and_write_as_pem_and_as_a_jwk() {
        for kind in [KeyType::Ed25519, KeyType::P256] {
            let key = WorkloadKey::generate_of(kind);
            let (pem, jwk) = (key.to_pem().unwrap(), key.to_private_jwk().unwrap());
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n") && pem.lines().all(|line| line.len() <= 64));
            for text in [&pem, &jwk] {
                let again = WorkloadKey::from_text(&format!("\n{}\n", text.as_str())).unwrap();
                assert_eq!((again.public_jwk(), again.thumbprint()), (key.public_jwk(), key.thumbprint()));
            }
            assert!(key.public_jwk().get("d").is_none());
        }
    }

    #[test]
    fn an_assertion_verifies_by_another_implementation() {
        let entropy = SeededEntropy::new(3);
        let key = WorkloadKey::draw(&entropy).unwrap();
        let identity = IdentityId::from_u128(9);
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let jwt = sign(&key, identity, "https://tenure.example/env/prod", now, &entropy);
        let decoding = jsonwebtoken::DecodingKey::from_ed_components(key.public_jwk()["x"].as_str().unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
        rules.set_audience(&["https://tenure.example/env/prod"]);
        rules.validate_exp = false;
        let token = jsonwebtoken::decode::<Value>(&jwt, &decoding, &rules).unwrap();
        assert_eq!(token.header.typ.as_deref(), Some("client-authentication+jwt"));
        assert_eq!(token.header.kid, Some(key.thumbprint()));
        assert_eq!(token.claims["iss"], token.claims["sub"]);
        assert_eq!(token.claims["sub"], identity.to_string());
        assert_eq!(token.claims["exp"], 1_700_000_060);
        assert_ne!(jwt, sign(&key, identity, "https://tenure.example/env/prod", now, &entropy));
    }

    #[test]
    fn an_enrolment_proof_names_its_join_token() {
        let entropy = SeededEntropy::new(4);
        let key = WorkloadKey::draw(&entropy).unwrap();
        let id = JoinTokenId::from_u128(77).to_string();
        let text = format!("tnr_join_{}restofit", id.strip_prefix("jnt_").unwrap());
        let jwt = sign_enrolment(&key, &text, "https://tenure.example/env/prod", Timestamp::from_micros(0), &entropy)
            .unwrap();
        let payload = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap()["join_token_id"], id);
        assert!(sign_enrolment(&key, "tnr_op_x", "a", Timestamp::from_micros(0), &entropy).is_err());
    }

    #[test]
    fn a_registration_proof_names_who_is_registered() {
        let entropy = SeededEntropy::new(5);
        let key = WorkloadKey::draw(&entropy).unwrap();
        let jwt =
            sign_registration(&key, "job-1", "https://tenure.example/env/prod", Timestamp::from_micros(0), &entropy);
        let part = |n: usize| {
            serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(n).unwrap()).unwrap()).unwrap()
        };
        assert_eq!((&part(0)["typ"], &part(1)["sub"]), (&json!("tenure-enrol+jwt"), &json!("job-1")));
        assert_eq!((&part(1)["aud"], &part(1)["exp"]), (&json!("https://tenure.example/env/prod"), &json!(60)));
    }
}
