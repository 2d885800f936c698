//! Access tokens: JWTs by RFC 9068, signed under a key of one environment; with Ed25519 unless a resource's verifiers
//! know only ES256 or RS256.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use tenure_core::base::id::{CredentialId, EventId, IdentityId, SigningKeyId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::Credential;
use tenure_core::credential::gate::Permit;
use tenure_core::identity::MAX_CREDENTIAL_TTL;
use tenure_core::identity::delegation::Delegation;
use tenure_core::store::secret::{Pending, Secret};
use tenure_core::trust::confirmation::Confirmation;
use tenure_core::trust::signing_key::SigningAlgorithm;

use crate::encoding::to_base64url;
use crate::jose::{
    Algorithm, JoseError, Jws, MAX_TOKEN_BYTES, Period, Rules, Types, sign_compact, signing_input_header,
};
use crate::key::{BadKey, SigningPair, VerifyingKey};

/// The `typ` of access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// The `typ` of a token that vouches for an identity elsewhere: it is none of ours to take.
const VOUCHING_TYPE: &str = "JWT";
/// The type of the detail that names a credential's task (RFC 9396 §2).
pub const TASK_DETAIL: &str = "tenure_task";

/// Signs access tokens with one key.
pub struct TokenSigner {
    kid: SigningKeyId,
    header: String,
    vouching: String,
    key: SigningPair,
}

impl TokenSigner {
    /// A signer with this key.
    ///
    /// # Errors
    /// The bytes are no private key of this algorithm, as [`crate::key::generate`] makes them.
    pub fn new(kid: SigningKeyId, algorithm: SigningAlgorithm, private: &Secret<Vec<u8>>) -> Result<Self, BadKey> {
        Ok(Self {
            kid,
            header: signing_input_header(algorithm.as_str(), &kid.to_string(), ACCESS_TOKEN_TYPE),
            vouching: signing_input_header(algorithm.as_str(), &kid.to_string(), VOUCHING_TYPE),
            key: SigningPair::open(algorithm, private.expose())?,
        })
    }

    /// The key's id.
    pub const fn kid(&self) -> SigningKeyId {
        self.kid
    }

    /// Signs what the permit allows, once. The token can be had only after `commit` is durable (invariant 2).
    ///
    /// # Errors
    /// The library gave no signature.
    pub fn sign(&self, permit: Permit, issuer: &str, commit: EventId) -> Result<Pending<String>, BadKey> {
        let claims = AccessTokenClaims {
            iss: issuer,
            exp: permit.expires_at().as_secs(),
            aud: permit.audience(),
            sub: subject(permit.delegation(), permit.identity()),
            client_id: permit.identity(),
            iat: permit.issued_at().as_secs(),
            jti: permit.credential(),
            scope: Scope(permit.actions()),
            cnf: permit.confirmation(),
            act: actors_of(permit.delegation()),
            may_act: permit.may_act().map(|may_act| Sub { sub: may_act.actor }),
            authorization_details: permit.task().map(|task| [TaskDetail { kind: TASK_DETAIL, task }]),
        };
        let mut payload = Vec::with_capacity(512);
        // Writing plain text and numbers into memory has no way to fail; were there one, nothing would be signed.
        serde_json::to_writer(&mut payload, &claims).map_err(|_| BadKey)?;
        Ok(Pending::new(Secret::new(sign_compact(&self.key, &self.header, &payload)?), commit))
    }
}

impl TokenSigner {
    /// Vouches for the permit's identity to whom the audience names, until then: what a target takes in the place of a
    /// secret. It uses the permit up (invariant 1), says nothing of what is permitted, and is no access token.
    ///
    /// # Errors
    /// The library gave no signature.
    pub fn vouch(
        &self,
        permit: Permit,
        issuer: &str,
        audience: &str,
        until: Timestamp,
    ) -> Result<(Secret<String>, Credential), BadKey> {
        let claims = VouchingClaims {
            iss: issuer,
            sub: permit.identity(),
            aud: audience,
            iat: permit.issued_at().as_secs(),
            exp: until.as_secs(),
            jti: permit.credential(),
        };
        let payload = serde_json::to_vec(&claims).map_err(|_| BadKey)?;
        let token = Secret::new(sign_compact(&self.key, &self.vouching, &payload)?);
        Ok((token, permit.record()))
    }
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSigner").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// What an access token of ours says, its signature and times checked. Whether it is still alive is the store's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// The credential's id: `jti`.
    pub credential: CredentialId,
    /// Who holds it: `client_id`.
    pub identity: IdentityId,
    /// Whom it is about: `sub`. Another than the holder only if authority was handed on.
    pub subject: IdentityId,
    /// The key that it is bound to: `cnf`.
    pub confirmation: Option<Confirmation>,
    /// The resource that it is for: `aud`.
    pub audience: String,
    /// The actions that it is for: `scope`.
    pub scope: Vec<String>,
    /// When it was issued, in whole seconds.
    pub issued_at: Timestamp,
    /// When it ends, in whole seconds.
    pub expires_at: Timestamp,
}

/// An access token whose signature holds, so that it need not be checked again. Its times have to be, at each use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedToken {
    key: SigningKeyId,
    claims: AccessClaims,
    period: Period,
}

impl SignedToken {
    /// Checks everything about a token of ours but its times; which resource it is for is left to the caller to
    /// compare.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn read(token: &str, keys: &[VerifyingKey], issuer: &str) -> Result<Self, JoseError> {
        let rules = Rules {
            algorithms: &[Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256],
            types: Types::OneOf(&[ACCESS_TOKEN_TYPE]),
            max_bytes: MAX_TOKEN_BYTES,
        };
        let (key, claims) = Jws::parse(token, &rules)?.verify_own(keys)?;
        claims.names_issuer(issuer)?;
        let period = claims.period()?;
        let issued_at = claims.time("iat")?.ok_or(JoseError::IatMissing)?;
        let subject = claims.text("sub")?.ok_or(JoseError::SubjectWrong)?;
        let holder = claims.text("client_id")?.ok_or(JoseError::SubjectWrong)?;
        // Who acts is told in `act`; where it is missing, the holder is the subject (RFC 8693 §4.1).
        let acting = claims.as_map().get("act").map(|act| act.get("sub").and_then(Value::as_str));
        if acting.unwrap_or(Some(subject)) != Some(holder) {
            return Err(JoseError::SubjectWrong);
        }
        let confirmation = claims.as_map().get("cnf").map(Confirmation::deserialize).transpose();
        let claims = AccessClaims {
            credential: claims.jti()?.parse().map_err(|_| JoseError::JtiMissing)?,
            identity: holder.parse().map_err(|_| JoseError::SubjectWrong)?,
            subject: subject.parse().map_err(|_| JoseError::SubjectWrong)?,
            confirmation: confirmation.map_err(|_| JoseError::Malformed)?,
            audience: claims.text("aud")?.ok_or(JoseError::AudienceWrong)?.to_owned(),
            scope: claims
                .text("scope")?
                .unwrap_or_default()
                .split(' ')
                .filter(|action| !action.is_empty())
                .map(str::to_owned)
                .collect(),
            issued_at,
            expires_at: period.expires_at,
        };
        Ok(Self { key, claims, period })
    }

    /// The key that signed it: once it is withdrawn, the signature counts for nothing.
    pub const fn key(&self) -> SigningKeyId {
        self.key
    }

    /// The claims, if the token is valid at `now`.
    ///
    /// # Errors
    /// It is over, not begun, or lives longer than any of ours.
    pub fn at(&self, now: Timestamp, leeway: Span) -> Result<&AccessClaims, JoseError> {
        self.period.holds(now, MAX_CREDENTIAL_TTL, leeway)?;
        Ok(&self.claims)
    }
}

/// Checks an access token of ours, its times too.
///
/// # Errors
/// Why it is refused.
pub fn verify_access_token(
    token: &str,
    keys: &[VerifyingKey],
    issuer: &str,
    now: Timestamp,
    leeway: Span,
) -> Result<AccessClaims, JoseError> {
    SignedToken::read(token, keys, issuer)?.at(now, leeway).cloned()
}

/// What a token is remembered by: SHA-256 over all of it, its signature too.
pub fn token_hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// Whom a credential is about: the first of the chain that its holder acts in, or the holder.
pub fn subject(delegation: Option<&Delegation>, holder: IdentityId) -> IdentityId {
    delegation.and_then(|delegation| delegation.chain.first()).copied().unwrap_or(holder)
}

/// Who acts for the subject, as the claim `act` says it: the outermost is the holder (RFC 8693 §4.1).
///
/// # Errors
/// They can't be written as JSON.
pub fn actors(delegation: &Delegation) -> Result<Option<Value>, serde_json::Error> {
    actors_of(Some(delegation)).map(serde_json::to_value).transpose()
}

/// The task that a credential is for, as its `authorization_details` say it (RFC 9396 §9).
pub fn task_details(task: &str) -> Value {
    json!([TaskDetail { kind: TASK_DETAIL, task }])
}

/// A public Ed25519 key as it stands in a key set.
pub fn public_jwk(kid: SigningKeyId, public: &[u8; 32]) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": to_base64url(public), "kid": kid, "alg": Algorithm::EdDsa.as_str(), "use": "sig"})
}

#[derive(Serialize)]
struct AccessTokenClaims<'a> {
    iss: &'a str,
    exp: i64,
    aud: &'a str,
    sub: IdentityId,
    client_id: IdentityId,
    iat: i64,
    jti: CredentialId,
    scope: Scope<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<&'a Confirmation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Actors<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_act: Option<Sub>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<[TaskDetail<'a>; 1]>,
}

/// What OpenID Connect Core 1.0 demands of an ID token (§2), and its id.
#[derive(Serialize)]
struct VouchingClaims<'a> {
    iss: &'a str,
    sub: IdentityId,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: CredentialId,
}

#[derive(Serialize)]
struct Sub {
    sub: IdentityId,
}

#[derive(Serialize)]
struct TaskDetail<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    task: &'a str,
}

/// Actors, the last of whom holds the credential.
struct Actors<'a>(&'a [IdentityId]);

fn actors_of(delegation: Option<&Delegation>) -> Option<Actors<'_>> {
    let (_, actors) = delegation?.chain.split_first()?;
    (!actors.is_empty()).then_some(Actors(actors))
}

impl Serialize for Actors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some((last, before)) = self.0.split_last() {
            map.serialize_entry("sub", last)?;
            if !before.is_empty() {
                map.serialize_entry("act", &Actors(before))?;
            }
        }
        map.end()
    }
}

/// Actions as one text with spaces between (RFC 6749 §3.3).
struct Scope<'a>(&'a [String]);

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, action) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(action)?;
        }
        Ok(())
    }
}

impl Serialize for Scope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
