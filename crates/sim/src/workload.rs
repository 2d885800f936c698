//! Workloads and their platform's issuer: keys from the seed, and the proofs that they sign.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tenure_core::base::time::Timestamp;
use tenure_core::store::port::BoxFuture;
use tenure_engine::kernel::outbound::{Answered, Fetch, FetchError, Form};

/// The issuer that the simulated platform runs.
pub const ISSUER: &str = "https://platform.sim";
/// The audience that its tokens name.
pub const AUDIENCE: &str = "tenure-sim";
const JWKS: &str = "https://platform.sim/keys";
const KID: &str = "platform-1";

/// Base64url without padding.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that somebody holds.
#[derive(Debug)]
pub struct Holder(Ed25519KeyPair);

impl Holder {
    /// The key of a seed.
    pub fn new(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// Its public part.
    pub fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(self.0.public_key().as_ref())})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let input =
            format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
        let signature = self.0.sign(input.as_bytes());
        format!("{input}.{}", base64url(signature.as_ref()))
    }

    /// A client assertion (RFC 7523) made at a time.
    pub fn assertion(&self, client: &str, audience: &str, jti: u64, at: Timestamp) -> String {
        let iat = at.as_secs();
        let claims = json!({"iss": client, "sub": client, "aud": audience, "jti": format!("a{jti}"), "iat": iat, "exp": iat + 300});
        self.sign(&json!({"alg": "EdDSA", "typ": "client-authentication+jwt"}), &claims)
    }

    /// A proof that enrols this key with a join token (S-15).
    pub fn enrolment(&self, join_token: &str, audience: &str, jti: u64, at: Timestamp) -> String {
        let iat = at.as_secs();
        let claims = json!({"aud": audience, "jti": format!("e{jti}"), "iat": iat, "exp": iat + 300, "join_token_id": join_token});
        self.sign(&json!({"alg": "EdDSA", "typ": tenure_credentials::assertion::ENROLMENT_TYPE}), &claims)
    }

    /// A token in which this issuer's key vouches for a subject.
    pub fn vouch(&self, subject: &str, audience: &str, jti: u64, at: Timestamp) -> String {
        let iat = at.as_secs();
        let claims = json!({"iss": ISSUER, "sub": subject, "aud": audience, "jti": format!("o{jti}"), "iat": iat, "exp": iat + 600});
        self.sign(&json!({"alg": "EdDSA", "typ": "JWT", "kid": KID}), &claims)
    }
}

/// The platform's documents, as an outbound request would find them.
#[derive(Debug)]
pub struct Platform(Value);

impl Platform {
    /// The platform whose issuer has this key.
    pub fn new(key: &Holder) -> Self {
        let mut jwk = key.jwk();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".into(), KID.into());
            members.insert("alg".into(), "EdDSA".into());
        }
        Self(json!({"keys": [jwk]}))
    }
}

impl Fetch for Platform {
    fn get<'a>(&'a self, url: &'a str, _limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            crate::exec::Yield::default().await;
            match url.strip_prefix(ISSUER) {
                Some("/.well-known/openid-configuration") => {
                    Ok(json!({"issuer": ISSUER, "jwks_uri": JWKS}).to_string().into_bytes())
                }
                Some("/keys") => Ok(self.0.to_string().into_bytes()),
                _ => Err(FetchError { url: url.to_owned(), why: "nobody there".into() }),
            }
        })
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
