//! A workload's own key, and the proofs that it signs: client assertions (RFC 7523, `private_key_jwt`), and proofs for enrolment and registration.
//!
//! The private part is an Ed25519 seed (RFC 8032 §5.1.5). As text it is 43 characters of base64url, for a file that only the workload
//! may read.
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
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tenure_core::entropy::Entropy;
use tenure_core::id::{IdentityId, JoinTokenId};
use tenure_core::time::{Span, Timestamp};
use zeroize::Zeroizing;

/// How long a proof that [`sign`] makes is good for; the server takes ten minutes at most.
pub const LIFE: Span = Span::from_secs(60);
const JOIN_TOKEN_PREFIX: &str = "tnr_join_";
const ID_LEN: usize = 26;

/// Why no proof can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a private key as [`WorkloadKey::to_text`] writes it.
    #[error("not a private key: it has to be 43 characters of base64url, as `tenure key generate` writes it")]
    NoKey,
    /// Not an identity's id.
    #[error("not an identity's id: one begins with idn_")]
    NoIdentity,
    /// Not a join token.
    #[error("not a join token: one begins with tnr_join_")]
    NoJoinToken,
}

/// A workload's key.
pub struct WorkloadKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl WorkloadKey {
    /// A fresh key from the system's generator.
    #[expect(clippy::panic, reason = "a workload that can't draw randomness must not go on with a predictable key")]
    pub fn generate() -> Self {
        match Self::draw(&SystemEntropy) {
            Ok(key) => key,
            Err(_) => panic!("the library refused 32 random bytes as a seed"),
        }
    }

    /// A fresh key from this source.
    ///
    /// # Errors
    /// The library refused the seed; with 32 bytes it has no reason to.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, ProofError> {
        let mut seed = Zeroizing::new([0u8; 32]);
        entropy.fill(seed.as_mut());
        Self::from_seed(seed)
    }

    /// The key that a file holds.
    ///
    /// # Errors
    /// [`ProofError::NoKey`].
    pub fn from_text(text: &str) -> Result<Self, ProofError> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| ProofError::NoKey)?);
        let seed = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| ProofError::NoKey)?;
        Self::from_seed(Zeroizing::new(seed))
    }

    fn from_seed(seed: Zeroizing<[u8; 32]>) -> Result<Self, ProofError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| ProofError::NoKey)?;
        Ok(Self { seed, pair })
    }

    /// The private part, for its file.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.seed.as_ref()))
    }

    /// The public key as a JWK (RFC 8037), for the charter.
    pub fn public_jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": self.x()})
    }

    /// The public key's thumbprint (RFC 7638), by which proofs name it.
    pub fn thumbprint(&self) -> String {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x());
        URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
    }

    /// A client assertion of this moment, good for one use within [`LIFE`]. `audience` is the environment's issuer identifier.
    ///
    /// # Errors
    /// [`ProofError::NoIdentity`].
    pub fn client_assertion(&self, identity: &str, audience: &str) -> Result<String, ProofError> {
        let identity = identity.parse().map_err(|_| ProofError::NoIdentity)?;
        Ok(sign(self, identity, audience, wall_clock(), &SystemEntropy))
    }

    /// A proof of this moment that this key belongs to whoever presents the join token. `audience` comes with the token.
    ///
    /// # Errors
    /// [`ProofError::NoJoinToken`].
    pub fn enrolment_proof(&self, join_token: &str, audience: &str) -> Result<String, ProofError> {
        sign_enrolment(self, join_token, audience, wall_clock(), &SystemEntropy)
    }

    /// A proof of this moment that this key belongs to the identity that is being registered under this name, for the `token` of the same
    /// call. `audience` is the environment's issuer identifier.
    pub fn registration_proof(&self, name: &str, audience: &str) -> String {
        sign_registration(self, name, audience, wall_clock(), &SystemEntropy)
    }

    fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key())
    }

    fn compact(&self, typ: &str, claims: &Value) -> String {
        self.signed(&json!({"alg": "EdDSA", "kid": self.thumbprint(), "typ": typ}), claims)
    }

    /// A proof for somebody who doesn't know the key yet: it brings it.
    pub(crate) fn compact_with_key(&self, typ: &str, claims: &Value) -> String {
        self.signed(&json!({"alg": "EdDSA", "jwk": self.public_jwk(), "typ": typ}), claims)
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let mut jws = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.pair.sign(jws.as_bytes());
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        jws
    }
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
pub fn sign_enrolment(key: &WorkloadKey, join_token: &str, audience: &str, now: Timestamp, entropy: &dyn Entropy) -> Result<String, ProofError> {
    let claims = json!({
        "aud": audience,
        "iat": now.as_secs(),
        "exp": now.plus(LIFE).as_secs(),
        "jti": fresh_id(entropy),
        "join_token_id": join_token_id(join_token)?,
    });
    Ok(key.compact("tenure-enrol+jwt", &claims))
}

/// Signs the proof that a key belongs to the identity that is being registered under this name. `audience` is the environment's issuer
/// identifier.
pub fn sign_registration(key: &WorkloadKey, name: &str, audience: &str, now: Timestamp, entropy: &dyn Entropy) -> String {
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
    let id = text
        .strip_prefix(JOIN_TOKEN_PREFIX)
        .and_then(|rest| rest.get(..ID_LEN))
        .ok_or(ProofError::NoJoinToken)?;
    format!("jnt_{id}").parse().map_err(|_| ProofError::NoJoinToken)
}

pub(crate) fn fresh_id(entropy: &dyn Entropy) -> String {
    let mut id = [0u8; 16];
    entropy.fill(&mut id);
    URL_SAFE_NO_PAD.encode(id)
}

#[cfg(test)]
mod tests {
    use tenure_core::entropy::SeededEntropy;

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
        assert_eq!(key.to_text().as_str(), SEED);
        assert!(!format!("{key:?}").contains(SEED));
        for bad in ["", "nWGx", "not base64url!"] {
            assert_eq!(WorkloadKey::from_text(bad).err(), Some(ProofError::NoKey));
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
        let jwt = sign_enrolment(&key, &text, "https://tenure.example/env/prod", Timestamp::from_micros(0), &entropy).unwrap();
        let payload = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap()["join_token_id"], id);
        assert!(sign_enrolment(&key, "tnr_op_x", "a", Timestamp::from_micros(0), &entropy).is_err());
    }

    #[test]
    fn a_registration_proof_names_who_is_registered() {
        let entropy = SeededEntropy::new(5);
        let key = WorkloadKey::draw(&entropy).unwrap();
        let jwt = sign_registration(&key, "job-1", "https://tenure.example/env/prod", Timestamp::from_micros(0), &entropy);
        let part = |n: usize| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(n).unwrap()).unwrap()).unwrap();
        assert_eq!((&part(0)["typ"], &part(1)["sub"]), (&json!("tenure-enrol+jwt"), &json!("job-1")));
        assert_eq!((&part(1)["aud"], &part(1)["exp"]), (&json!("https://tenure.example/env/prod"), &json!(60)));
    }
}
