//! Keys of workloads and of the platform that vouches for pipelines: each from the seed, so that whoever knows the seed
//! can prove to be any of them.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tenure_core::base::time::Timestamp;
use tenure_core::store::port::BoxFuture;
use tenure_engine::kernel::outbound::{Answered, Fetch, FetchError, Form};

use crate::error::SeedError;

/// The issuer that vouches for pipelines.
pub(crate) const ISSUER: &str = "https://ci.harbour.example";
/// The audience that its tokens name.
pub(crate) const AUDIENCE: &str = "tenure";
const JWKS: &str = "https://ci.harbour.example/keys";
const KID: &str = "ci-1";

/// Base64url without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn seed_of(seed: u64, what: &str) -> [u8; 32] {
    Sha256::digest(format!("tenure seed {seed} {what}").as_bytes()).into()
}

/// The Ed25519 seed of the key that the identity of this number is bound to.
pub fn workload_seed(seed: u64, number: u32) -> [u8; 32] {
    seed_of(seed, &format!("workload {number}"))
}

/// Somebody's key.
#[derive(Debug)]
pub struct Holder(Ed25519KeyPair);

impl Holder {
    /// The key of a seed.
    ///
    /// # Errors
    /// It is none.
    pub fn new(seed: &[u8; 32]) -> Result<Self, SeedError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| SeedError::Other("no Ed25519 seed".into()))
    }

    /// The platform's.
    pub(crate) fn platform(seed: u64) -> Result<Self, SeedError> {
        Self::new(&seed_of(seed, "platform"))
    }

    /// The `x` of its JWK.
    pub(crate) fn x(&self) -> String {
        base64url(self.0.public_key().as_ref())
    }

    /// Its public part as a JWK.
    pub fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": self.x()})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let (header, claims) = (header.to_string(), claims.to_string());
        let input = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        format!("{input}.{}", base64url(self.0.sign(input.as_bytes()).as_ref()))
    }

    /// A client assertion (RFC 7523) of a workload, made at a time.
    pub fn assertion(&self, client: &str, audience: &str, jti: &str, at: Timestamp) -> String {
        let iat = at.as_secs();
        let claims = json!({"iss": client, "sub": client, "aud": audience, "jti": jti, "iat": iat, "exp": iat + 300});
        self.sign(&json!({"alg": "EdDSA", "typ": "client-authentication+jwt"}), &claims)
    }

    /// A proof that enrols this key with a join token (S-15).
    pub(crate) fn enrolment(&self, join_token: &str, audience: &str, at: Timestamp) -> String {
        let iat = at.as_secs();
        let claims =
            json!({"aud": audience, "jti": "enrolment", "iat": iat, "exp": iat + 300, "join_token_id": join_token});
        self.sign(&json!({"alg": "EdDSA", "typ": tenure_credentials::assertion::ENROLMENT_TYPE}), &claims)
    }

    /// A token in which the platform vouches for a pipeline.
    pub(crate) fn vouch(&self, subject: &str, repository: &str, jti: &str, at: Timestamp) -> String {
        let iat = at.as_secs();
        let claims = json!({"iss": ISSUER, "sub": subject, "repository": repository, "aud": AUDIENCE, "jti": jti, "iat": iat, "exp": iat + 600});
        self.sign(&json!({"alg": "EdDSA", "typ": "JWT", "kid": KID}), &claims)
    }
}

/// The thumbprint (RFC 7638) of an Ed25519 key.
pub(crate) fn thumbprint(x: &str) -> String {
    base64url(&Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes()))
}

/// The platform's documents, as an outbound request would find them.
pub(crate) struct Platform(Value);

impl Platform {
    pub(crate) fn new(seed: u64) -> Result<Self, SeedError> {
        let x = Holder::platform(seed)?.x();
        Ok(Self(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": KID, "alg": "EdDSA"}]})))
    }
}

impl Fetch for Platform {
    fn get<'a>(&'a self, url: &'a str, _limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        let found = match url.strip_prefix(ISSUER) {
            Some("/.well-known/openid-configuration") => {
                Ok(json!({"issuer": ISSUER, "jwks_uri": JWKS}).to_string().into_bytes())
            }
            Some("/keys") => Ok(self.0.to_string().into_bytes()),
            _ => Err(FetchError { url: url.to_owned(), why: "nobody there".into() }),
        };
        Box::pin(std::future::ready(found))
    }
    fn post_form<'a>(&'a self, form: Form<'a>, limit: usize) -> BoxFuture<'a, Result<Answered, FetchError>> {
        Box::pin(async move { self.get(form.url, limit).await.map(|body| Answered { status: 200, body }) })
    }
    fn post_json<'a>(
        &'a self,
        url: &'a str,
        _bearer: &'a str,
        _body: &'a str,
    ) -> BoxFuture<'a, Result<u16, FetchError>> {
        Box::pin(async move { self.get(url, 0).await.map(|_| 204) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_the_engines() {
        let holder = Holder::new(&workload_seed(1, 2)).unwrap();
        let key = tenure_credentials::assertion::parse_workload_key(&holder.jwk()).unwrap();
        assert_eq!(key.thumbprint(), thumbprint(&holder.x()));
    }
}
