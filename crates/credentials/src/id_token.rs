//! ID tokens of the providers that people sign in with (OpenID Connect Core 1.0, section 3.1.3.7).

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use serde_json::Value;
use tenure_core::base::time::{Span, Timestamp};

use crate::encoding::to_base64url;
use crate::jose::{Algorithm, Claims, JoseError, JwkSet, Jws, MAX_TOKEN_BYTES, Rules, SKEW, Types};

/// How far ahead an ID token's `exp` may be.
const MAX_LIFE: Span = Span::from_days(1);
/// How old an ID token may be when it comes straight from the token endpoint.
const MAX_AGE: Span = Span::from_mins(10);
/// The longest subject (section 2).
const MAX_SUBJECT: usize = 255;
/// Methods that are looked at.
const MAX_AMR: usize = 32;

/// What an ID token has to say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The provider's issuer identifier.
    pub issuer: &'a str,
    /// Our client id there.
    pub client_id: &'a str,
    /// The nonce that the sign-in began with.
    pub nonce: &'a str,
    /// The access token that came beside it, for `at_hash`.
    pub access_token: Option<&'a str>,
    /// If the person was to prove themselves anew: since when.
    pub proved_since: Option<Timestamp>,
}

/// What a provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdToken {
    /// The subject: with the issuer it names a person, and nothing else in the token does.
    pub subject: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When the person last proved themselves there, if it says so.
    pub auth_time: Option<Timestamp>,
    /// The authentication context class (`acr`) and methods (`amr`) that it claims.
    pub claimed_methods: Vec<String>,
}

/// Why an ID token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// As any token.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// Not the nonce that this sign-in began with.
    #[error("the nonce is another sign-in's")]
    NonceWrong,
    /// `azp` names another client.
    #[error("the token was made for another client")]
    PartyWrong,
    /// `at_hash` is not the access token's.
    #[error("the token belongs to another access token")]
    AccessTokenWrong,
    /// The person was to prove themselves anew, and the token doesn't say that they did.
    #[error("the token doesn't say that the person has just proved themselves")]
    NotProvedAnew,
}

/// Checks an ID token: signed by the provider, for us alone, of this very sign-in.
///
/// # Errors
/// Why it is refused; on [`JoseError::KeyUnknown`] the caller may fetch the key set once and try again.
pub fn verify_id_token(
    jwt: &str,
    keys: &JwkSet,
    algorithms: &[Algorithm],
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<IdToken, IdTokenError> {
    let rules = Rules { algorithms, types: Types::OneOfOrAbsent(&["JWT"]), max_bytes: MAX_TOKEN_BYTES };
    let jws = Jws::parse(jwt, &rules)?;
    let claims = keys.verify(&jws)?;
    claims.names_issuer(expected.issuer)?;
    claims.is_only_for(expected.client_id)?;
    if claims.text("azp")?.is_some_and(|party| party != expected.client_id) {
        return Err(IdTokenError::PartyWrong);
    }
    if claims.text("nonce")? != Some(expected.nonce) {
        return Err(IdTokenError::NonceWrong);
    }
    claims.valid_at(now, MAX_LIFE, SKEW)?;
    let issued_at = claims.time("iat")?.ok_or(JoseError::IatMissing)?;
    if issued_at.plus(MAX_AGE) < now {
        return Err(JoseError::Expired.into());
    }
    check_access_token(&claims, jws.algorithm(), expected.access_token)?;
    let auth_time = claims.time("auth_time")?;
    if let Some(since) = expected.proved_since
        && auth_time.is_none_or(|at| at.plus(SKEW) < since)
    {
        return Err(IdTokenError::NotProvedAnew);
    }
    let subject = claims
        .text("sub")?
        .filter(|sub| !sub.is_empty() && sub.len() <= MAX_SUBJECT)
        .ok_or(JoseError::SubjectWrong)?
        .to_owned();
    Ok(IdToken { subject, issued_at, auth_time, claimed_methods: methods(&claims)? })
}

/// `at_hash`: the left half of the access token's hash under the signature's hash function (section 3.1.3.6).
fn check_access_token(claims: &Claims, algorithm: Algorithm, access_token: Option<&str>) -> Result<(), IdTokenError> {
    let Some(given) = claims.text("at_hash")? else {
        return Ok(());
    };
    let function = match algorithm {
        Algorithm::Es256 | Algorithm::Rs256 | Algorithm::Ps256 => &SHA256,
        Algorithm::Es384 => &SHA384,
        Algorithm::EdDsa => &SHA512,
    };
    let token = access_token.ok_or(IdTokenError::AccessTokenWrong)?;
    let hash = digest::digest(function, token.as_bytes());
    let half = hash.as_ref().get(..function.output_len() / 2).unwrap_or_default();
    if to_base64url(half) == given { Ok(()) } else { Err(IdTokenError::AccessTokenWrong) }
}

fn methods(claims: &Claims) -> Result<Vec<String>, JoseError> {
    let mut methods: Vec<String> = claims.text("acr")?.map(str::to_owned).into_iter().collect();
    match claims.as_map().get("amr") {
        None => {}
        Some(Value::Array(given)) if given.len() <= MAX_AMR => {
            for method in given {
                methods.push(method.as_str().ok_or(JoseError::Malformed)?.to_owned());
            }
        }
        Some(_) => return Err(JoseError::Malformed),
    }
    Ok(methods)
}

/// SHA-256 of a text, base64url: subjects and PKCE verifiers (RFC 7636 §4.2, S256) are compared by it.
pub fn sha256_text(text: &str) -> String {
    to_base64url(digest::digest(&SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    struct Provider(Ed25519KeyPair);

    impl Provider {
        fn keys(&self) -> JwkSet {
            let jwk =
                json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": to_base64url(self.0.public_key().as_ref())});
            JwkSet::from_json(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap()
        }

        /// What is said of a token with these members beside or instead of those of a good one.
        fn says(&self, members: Value, proved_since: Option<Timestamp>) -> Result<IdToken, IdTokenError> {
            let mut claims = json!({"iss": "https://p", "sub": "s", "aud": "c", "nonce": "n", "iat": NOW.as_secs(), "exp": NOW.as_secs() + 60});
            claims.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            let encode = |value: &Value| to_base64url(value.to_string().as_bytes());
            let input = format!("{}.{}", encode(&json!({"alg": "EdDSA", "kid": "k"})), encode(&claims));
            let token = format!("{input}.{}", to_base64url(self.0.sign(input.as_bytes()).as_ref()));
            let expected =
                Expected { issuer: "https://p", client_id: "c", nonce: "n", access_token: Some("token"), proved_since };
            verify_id_token(&token, &self.keys(), &[Algorithm::EdDsa], &expected, NOW)
        }
    }

    #[test]
    fn an_access_token_is_held_against_its_half_hash() {
        let provider = Provider(Ed25519KeyPair::generate().unwrap());
        let hash = digest::digest(&SHA512, b"token");
        let half = |at: usize| json!({"at_hash": to_base64url(&hash.as_ref()[..at])});
        assert_eq!(provider.says(half(32), None).unwrap().subject, "s");
        for wrong in [half(16), half(64), json!({"at_hash": ""})] {
            assert_eq!(provider.says(wrong, None), Err(IdTokenError::AccessTokenWrong));
        }
    }

    #[test]
    fn a_proof_anew_has_to_be_said_and_to_be_new() {
        let provider = Provider(Ed25519KeyPair::generate().unwrap());
        let at = |secs: i64| json!({"auth_time": NOW.as_secs() + secs});
        assert!(provider.says(json!({}), None).is_ok());
        assert!(provider.says(at(-3600), None).is_ok());
        assert!(provider.says(at(-10), Some(NOW)).is_ok());
        for old in [json!({}), at(-3600)] {
            assert_eq!(provider.says(old, Some(NOW)), Err(IdTokenError::NotProvedAnew));
        }
    }

    #[test]
    fn methods_are_texts() {
        let provider = Provider(Ed25519KeyPair::generate().unwrap());
        let said = provider.says(json!({"acr": "phr", "amr": ["hwk", "pin"]}), None).unwrap();
        assert_eq!(said.claimed_methods, ["phr", "hwk", "pin"]);
        for wrong in [json!({"amr": "hwk"}), json!({"amr": [1]}), json!({"acr": 1})] {
            assert_eq!(provider.says(wrong, None), Err(IdTokenError::Jose(JoseError::Malformed)));
        }
    }
}
