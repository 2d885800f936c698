//! Proofs that a workload makes with its own key: client assertions (RFC 7523 as revised by rfc7523bis) and enrolment
//! proofs (S-15).

use serde_json::Value;
use tenure_core::base::id::JoinTokenId;
use tenure_core::base::time::{Span, Timestamp};

use crate::jose::{Algorithm, Claims, JoseError, Jwk, JwkError, Jws, MAX_TOKEN_BYTES, Rules, SKEW, Types};

/// The algorithms of workloads' keys. RSA is left out: it is slow to check, and no workload needs it.
pub const WORKLOAD_ALGORITHMS: &[Algorithm] = &[Algorithm::EdDsa, Algorithm::Es256];
/// How far ahead a proof's `exp` may be.
pub const MAX_PROOF_LIFE: Span = Span::from_mins(10);
/// The `typ` of an enrolment proof.
pub const ENROLMENT_TYPE: &str = "tenure-enrol+jwt";
const ASSERTION_TYPES: &[&str] = &["client-authentication+jwt", "JWT"];

/// Reads a JWK that a workload registers: of an algorithm that proofs may have.
///
/// # Errors
/// Why it is not accepted.
pub fn parse_workload_key(value: &Value) -> Result<Jwk, JwkError> {
    let key = Jwk::from_value(value)?;
    if WORKLOAD_ALGORITHMS.contains(&key.algorithm()) { Ok(key) } else { Err(JwkError::UnsupportedKey) }
}

/// A client assertion that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAssertion {
    /// Its id, to be consumed in the commit of what it is used for.
    pub jti: String,
    /// When it says it was made, if it does.
    pub issued_at: Option<Timestamp>,
    /// Its end as it says.
    pub expires_at: Timestamp,
    /// Until when its id must be remembered: its end and the tolerated clock skew.
    pub replay_until: Timestamp,
    /// Which of the given keys signed it.
    pub key_index: usize,
}

/// A key of a client, and what it may write in `aud` in place of the issuer identifier, if it may.
#[derive(Debug, Clone, Copy)]
pub struct ClientKey<'a> {
    /// The key.
    pub key: &'a Jwk,
    /// The token endpoint's URL, for a client that knows only RFC 7523 as it was.
    pub other_audience: Option<&'a str>,
}

impl<'a> ClientKey<'a> {
    /// A key whose assertions are addressed to the issuer identifier alone.
    pub const fn strict(key: &'a Jwk) -> Self {
        Self { key, other_audience: None }
    }
}

/// Why a proof is refused, and to whom that may be told: only whoever holds the key is told more than that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// Why.
    pub error: JoseError,
    /// Whether the signature holds by one of the keys.
    pub is_signed: bool,
}

impl Refused {
    const fn unsigned(error: JoseError) -> Self {
        Self { error, is_signed: false }
    }
    const fn signed(error: JoseError) -> Self {
        Self { error, is_signed: true }
    }
}

/// Checks a client assertion: `iss` = `sub` = the client, `aud` the issuer identifier and nothing else, ten minutes at
/// most.
///
/// # Errors
/// Why it is refused.
pub fn verify_client_assertion(
    jwt: &str,
    client_id: &str,
    keys: &[ClientKey<'_>],
    issuer: &str,
    now: Timestamp,
) -> Result<ClientAssertion, Refused> {
    let jws = Jws::parse(jwt, &rules(Types::OneOfOrAbsent(ASSERTION_TYPES))).map_err(Refused::unsigned)?;
    let every: Vec<&Jwk> = keys.iter().map(|client| client.key).collect();
    let (key_index, claims) = verify_with_one_of(&jws, &every)?;
    client_assertion(client_id, keys, issuer, now, key_index, &claims).map_err(Refused::signed)
}

fn client_assertion(
    client_id: &str,
    keys: &[ClientKey<'_>],
    issuer: &str,
    now: Timestamp,
    key_index: usize,
    claims: &Claims,
) -> Result<ClientAssertion, JoseError> {
    claims.names_issuer(client_id)?;
    if claims.text("sub")? != Some(client_id) {
        return Err(JoseError::SubjectWrong);
    }
    let other = keys.get(key_index).and_then(|client| client.other_audience);
    claims.is_only_for(issuer).or_else(|refusal| other.map_or(Err(refusal), |other| claims.is_only_for(other)))?;
    let expires_at = claims.valid_at(now, MAX_PROOF_LIFE, SKEW)?;
    Ok(ClientAssertion {
        jti: claims.jti()?.to_owned(),
        issued_at: claims.time("iat")?,
        expires_at,
        replay_until: expires_at.plus(SKEW),
        key_index,
    })
}

/// An enrolment proof that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentProof {
    /// Its id, to be consumed in the commit of the enrolment.
    pub jti: String,
    /// When it says it was made.
    pub issued_at: Timestamp,
    /// Its end as it says.
    pub expires_at: Timestamp,
    /// Until when its id must be remembered: its end and the tolerated clock skew.
    pub replay_until: Timestamp,
}

/// Checks that whoever presents a join token holds the key that it enrols: signed by that key, for this join token,
/// addressed to us.
///
/// # Errors
/// Why it is refused.
pub fn verify_enrolment_proof(
    jwt: &str,
    key: &Jwk,
    issuer: &str,
    join_token: JoinTokenId,
    now: Timestamp,
) -> Result<EnrolmentProof, JoseError> {
    let jws = Jws::parse(jwt, &rules(Types::OneOf(&[ENROLMENT_TYPE])))?;
    let claims = jws.verify(key)?;
    claims.is_only_for(issuer)?;
    let expires_at = claims.valid_at(now, MAX_PROOF_LIFE, SKEW)?;
    let issued_at = claims.time("iat")?.ok_or(JoseError::IatMissing)?;
    if claims.text("join_token_id")? != Some(join_token.to_string().as_str()) {
        return Err(JoseError::JoinTokenWrong);
    }
    Ok(EnrolmentProof { jti: claims.jti()?.to_owned(), issued_at, expires_at, replay_until: expires_at.plus(SKEW) })
}

/// A proof that comes with a registration (R61).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstProof {
    /// Its id, to be consumed in the commit of the issuance.
    pub jti: String,
    /// Until when its id must be remembered: its end and the tolerated clock skew.
    pub replay_until: Timestamp,
    /// Which of the given keys signed it.
    pub key_index: usize,
}

/// Checks that whoever registers an identity holds its key: signed by that key, `sub` the identity's name (it has no id
/// yet, and names are never used again), `aud` the issuer identifier and nothing else.
///
/// # Errors
/// Why it is refused.
pub fn verify_first_proof(
    jwt: &str,
    keys: &[&Jwk],
    issuer: &str,
    name: &str,
    now: Timestamp,
) -> Result<FirstProof, Refused> {
    let jws = Jws::parse(jwt, &rules(Types::OneOf(&[ENROLMENT_TYPE]))).map_err(Refused::unsigned)?;
    let (key_index, claims) = verify_with_one_of(&jws, keys)?;
    first_proof(issuer, name, now, key_index, &claims).map_err(Refused::signed)
}

fn first_proof(
    issuer: &str,
    name: &str,
    now: Timestamp,
    key_index: usize,
    claims: &Claims,
) -> Result<FirstProof, JoseError> {
    claims.is_only_for(issuer)?;
    if claims.text("sub")? != Some(name) {
        return Err(JoseError::SubjectWrong);
    }
    let expires_at = claims.valid_at(now, MAX_PROOF_LIFE, SKEW)?;
    claims.time("iat")?.ok_or(JoseError::IatMissing)?;
    Ok(FirstProof { jti: claims.jti()?.to_owned(), replay_until: expires_at.plus(SKEW), key_index })
}

const fn rules(types: Types<'_>) -> Rules<'_> {
    Rules { algorithms: WORKLOAD_ALGORITHMS, types, max_bytes: MAX_TOKEN_BYTES }
}

/// Tries the keys that the header's `kid` names, by `kid` or thumbprint; all of its algorithm if it names none of them.
fn verify_with_one_of(jws: &Jws<'_>, keys: &[&Jwk]) -> Result<(usize, Claims), Refused> {
    let named = |key: &Jwk| jws.kid().is_some_and(|kid| key.kid() == Some(kid) || key.thumbprint() == kid);
    let by_name = keys.iter().any(|key| named(key));
    let mut refusal = if keys.is_empty() { JoseError::KeyUnknown } else { JoseError::AlgNotAllowed };
    for (index, key) in keys.iter().enumerate().filter(|(_, key)| !by_name || named(key)) {
        match jws.verify(key) {
            Ok(claims) => return Ok((index, claims)),
            Err(JoseError::AlgNotAllowed) => {}
            Err(JoseError::SignatureInvalid) => refusal = JoseError::SignatureInvalid,
            Err(signed_but_bad) => return Err(Refused::signed(signed_but_bad)),
        }
    }
    Err(Refused::unsigned(refusal))
}
