//! Compact JWS (RFC 7515): parsed strictly under the caller's rules, verified by a key that pins its algorithm.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};
use tenure_core::base::id::SigningKeyId;
use tenure_core::base::json::read_object;

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::error::JoseError;
use super::jwk::{Jwk, MAX_KID};
use crate::encoding::{from_base64url, push_base64url, to_base64url};
use crate::key::{BadKey, SigningPair, VerifyingKey};

/// The longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The longest signature: RSA with 4096 bits.
const MAX_SIGNATURE_BYTES: usize = 512;
/// The longest `iss` or `sub` that is read before the signature is checked.
const MAX_UNVERIFIED: usize = 1024;

/// Which `typ` a token may have; compared without case and without `application/` (RFC 7515 §4.1.9).
#[derive(Debug, Clone, Copy)]
pub enum Types<'a> {
    /// Exactly one of these.
    OneOf(&'a [&'a str]),
    /// One of these, or none at all.
    OneOfOrAbsent(&'a [&'a str]),
}

/// What a caller accepts.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The algorithms.
    pub algorithms: &'a [Algorithm],
    /// The types.
    pub types: Types<'a>,
    /// The longest token, in bytes.
    pub max_bytes: usize,
}

/// A token whose header is acceptable and whose signature was not checked yet. Its claims can't be read.
#[derive(Debug)]
pub struct Jws<'a> {
    signing_input: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: Option<String>,
}

impl<'a> Jws<'a> {
    /// Parses a compact JWS under `rules`.
    ///
    /// # Errors
    /// Why it is refused before any key is looked at.
    pub fn parse(token: &'a str, rules: &Rules<'_>) -> Result<Self, JoseError> {
        let parts = Parts::split(token, rules.max_bytes)?;
        let header = parts.header()?;
        Self::acceptable(&parts, &header, rules, &["jwk", "jku", "x5u", "x5c"])
    }

    /// Parses a compact JWS whose header has to bring the public key that made it: what it proves is that somebody
    /// holds that key.
    ///
    /// # Errors
    /// Why it is refused before the signature is looked at.
    pub fn parse_with_its_key(token: &'a str, rules: &Rules<'_>) -> Result<(Self, Jwk), JoseError> {
        let parts = Parts::split(token, rules.max_bytes)?;
        let header = parts.header()?;
        let jws = Self::acceptable(&parts, &header, rules, &["jku", "x5u", "x5c"])?;
        let key = header.get("jwk").ok_or(JoseError::KeyUnknown)?;
        Ok((jws, Jwk::from_value(key).map_err(|_| JoseError::HeaderKeyRefused)?))
    }

    fn acceptable(
        parts: &Parts<'a>,
        header: &Map<String, Value>,
        rules: &Rules<'_>,
        other_keys: &[&str],
    ) -> Result<Self, JoseError> {
        let algorithm = member(header, "alg")?.ok_or(JoseError::Malformed)?;
        let algorithm = algorithm
            .parse::<Algorithm>()
            .ok()
            .filter(|a| rules.algorithms.contains(a))
            .ok_or(JoseError::AlgNotAllowed)?;
        let given = |names: &[&str]| names.iter().any(|name| header.contains_key(*name));
        if given(other_keys) {
            return Err(JoseError::HeaderKeyRefused);
        }
        if given(&["crit"]) {
            return Err(JoseError::CritUnknown);
        }
        if given(&["b64", "zip"]) {
            return Err(JoseError::HeaderOptionRefused);
        }
        check_type(member(header, "typ")?, rules.types)?;
        let kid = read_kid(header)?;
        let signature =
            from_base64url(parts.signature).filter(|s| s.len() <= MAX_SIGNATURE_BYTES).ok_or(JoseError::Malformed)?;
        Ok(Self { signing_input: parts.signing_input, payload: parts.payload, signature, algorithm, kid })
    }

    /// The algorithm that the header names.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
    /// The key that the header names.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// SHA-256 over what is signed, base64url: the same for every signature that could be made over it, so that a proof
    /// can't be used twice by bending its signature (ECDSA allows that).
    pub fn signed_hash(&self) -> String {
        to_base64url(digest(&SHA256, self.signing_input.as_bytes()).as_ref())
    }

    /// The claims, if `key` signed them.
    ///
    /// # Errors
    /// [`JoseError::AlgNotAllowed`] if the key is pinned to another algorithm, [`JoseError::SignatureInvalid`], or why
    /// the claims can't be read.
    pub fn verify(&self, key: &Jwk) -> Result<Claims, JoseError> {
        if key.algorithm() != self.algorithm {
            return Err(JoseError::AlgNotAllowed);
        }
        key.verify(self.signing_input.as_bytes(), &self.signature)?;
        self.claims()
    }

    /// The claims and the key, if that one of our own keys signed them that the header names.
    pub(crate) fn verify_own(&self, keys: &[VerifyingKey]) -> Result<(SigningKeyId, Claims), JoseError> {
        let kid = self.kid().ok_or(JoseError::KidMissing)?;
        let kid = kid.parse().map_err(|_| JoseError::KeyUnknown)?;
        let key = keys.iter().find(|key| key.id() == kid).ok_or(JoseError::KeyUnknown)?;
        if self.algorithm != key.algorithm() {
            return Err(JoseError::AlgNotAllowed);
        }
        key.prepared()
            .verify_sig(self.signing_input.as_bytes(), &self.signature)
            .map_err(|_| JoseError::SignatureInvalid)?;
        Ok((kid, self.claims()?))
    }

    fn claims(&self) -> Result<Claims, JoseError> {
        let payload = from_base64url(self.payload).ok_or(JoseError::Malformed)?;
        Ok(Claims::new(read_object(&payload)?))
    }
}

/// What a token says of itself before anything was checked: good for finding the keys to check it with, and for nothing
/// else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// The issuer that it claims.
    pub issuer: Option<String>,
    /// The subject that it claims.
    pub subject: Option<String>,
    /// The key that it claims.
    pub kid: Option<String>,
}

/// Reads what a token says of itself, without trust.
///
/// # Errors
/// It is too long or not well-formed.
pub fn read_unverified(token: &str) -> Result<Unverified, JoseError> {
    let parts = Parts::split(token, MAX_TOKEN_BYTES)?;
    let kid = read_kid(&parts.header()?)?;
    let claims = read_object(&from_base64url(parts.payload).ok_or(JoseError::Malformed)?)?;
    let bounded = |name| match member(&claims, name)? {
        Some(text) if text.len() > MAX_UNVERIFIED => Err(JoseError::Malformed),
        text => Ok(text.map(str::to_owned)),
    };
    Ok(Unverified { issuer: bounded("iss")?, subject: bounded("sub")?, kid })
}

/// The encoded protected header of what a key of ours signs.
pub(crate) fn signing_input_header(alg: &str, kid: &str, typ: &str) -> String {
    to_base64url(format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"{typ}"}}"#).as_bytes())
}

/// Signs a payload under an encoded header. The text is allocated once, so that no copy of it is left behind.
pub(crate) fn sign_compact(key: &SigningPair, header: &str, payload: &[u8]) -> Result<String, BadKey> {
    let mut signature = String::with_capacity(96);
    let mut token = String::with_capacity(header.len() + payload.len() * 4 / 3 + 352);
    token.push_str(header);
    token.push('.');
    push_base64url(payload, &mut token);
    key.sign(token.as_bytes(), &mut signature)?;
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signing_input: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str, max_bytes: usize) -> Result<Self, JoseError> {
        if token.len() > max_bytes {
            return Err(JoseError::TooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JoseError::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JoseError::Malformed)?;
        if payload.contains('.') {
            return Err(JoseError::Malformed);
        }
        Ok(Self { header, payload, signature, signing_input })
    }

    fn header(&self) -> Result<Map<String, Value>, JoseError> {
        Ok(read_object(&from_base64url(self.header).ok_or(JoseError::Malformed)?)?)
    }
}

fn read_kid(header: &Map<String, Value>) -> Result<Option<String>, JoseError> {
    match member(header, "kid")? {
        Some(kid) if kid.is_empty() || kid.len() > MAX_KID => Err(JoseError::Malformed),
        kid => Ok(kid.map(str::to_owned)),
    }
}

fn check_type(typ: Option<&str>, types: Types<'_>) -> Result<(), JoseError> {
    let (names, absent) = match types {
        Types::OneOf(names) => (names, false),
        Types::OneOfOrAbsent(names) => (names, true),
    };
    let good = typ.map_or(absent, |typ| {
        let short = match typ.split_at_checked("application/".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
            _ => typ,
        };
        names.iter().any(|name| name.eq_ignore_ascii_case(short))
    });
    if good { Ok(()) } else { Err(JoseError::TypWrong) }
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, JoseError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JoseError::Malformed),
    }
}
