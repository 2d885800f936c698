//! Public keys as JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2), each pinned to one algorithm.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};
use serde_json::{Map, Value, json};
use tenure_core::base::json::read_object;

use super::algorithm::Algorithm;
use super::error::JoseError;
use crate::encoding::{from_base64url, to_base64url};

/// The longest `kid`.
pub(super) const MAX_KID: usize = 256;
/// The longest JWK as text; an RSA key with a certificate chain fits.
const MAX_JWK_BYTES: usize = 16 * 1024;
/// The most members; whatever isn't known is passed over (RFC 7517 §4), but not without end.
const MAX_MEMBERS: usize = 32;
/// RSA moduli, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why a JWK is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JwkError {
    /// Not a JSON object, or a member is missing, of the wrong type or the wrong length.
    #[error("not a well-formed public JWK")]
    Malformed,
    /// The private part was given: the key must be considered lost and made anew.
    #[error("the private part of the key was given; make a new key and send only its public part")]
    PrivateKeyGiven,
    /// Another `kty` or `crv`.
    #[error("unsupported key type; use OKP Ed25519 or EC P-256")]
    UnsupportedKey,
    /// `alg` is not one that this key can be used with.
    #[error("the key's alg is not supported or does not fit its type")]
    UnsupportedAlgorithm,
    /// `use` or `key_ops` says that it is not for signatures.
    #[error("the key is not meant for signatures")]
    NotForSignatures,
    /// Not on the curve, of small order, or of a size that is too small or too large.
    #[error("the key is not a strong public key of its type")]
    Weak,
}

impl JwkError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "jwk_malformed",
            Self::PrivateKeyGiven => "jwk_private",
            Self::UnsupportedKey => "jwk_key_unsupported",
            Self::UnsupportedAlgorithm => "jwk_alg_unsupported",
            Self::NotForSignatures => "jwk_not_for_signatures",
            Self::Weak => "jwk_weak",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Ed25519 { x: String },
    Ec { curve: &'static str, x: String, y: String },
    Rsa { n: String, e: String },
}

impl Public {
    /// The required members in the order of their names: the thumbprint's input (RFC 7638 §3.2).
    fn canonical(&self) -> String {
        match self {
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Self::Ec { curve, x, y } => format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        }
    }
}

/// A public key that verifies signatures of exactly one algorithm, prepared so that verifying is cheap.
#[derive(Clone)]
pub struct Jwk {
    public: Public,
    algorithm: Algorithm,
    kid: Option<String>,
    thumbprint: String,
    key: ParsedPublicKey,
}

impl Jwk {
    /// Reads a JWK from text; a member given twice is refused.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn from_json(text: &str) -> Result<Self, JwkError> {
        if text.len() > MAX_JWK_BYTES {
            return Err(JwkError::Malformed);
        }
        Self::from_members(&read_object(text.as_bytes()).map_err(|_| JwkError::Malformed)?)
    }

    /// Reads a JWK from a value that was read before.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn from_value(value: &Value) -> Result<Self, JwkError> {
        Self::from_members(value.as_object().ok_or(JwkError::Malformed)?)
    }

    /// The algorithm that its signatures have.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
    /// Its `kid`, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
    /// Its thumbprint: SHA-256, base64url (RFC 7638).
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The public key with its algorithm and `kid`, without whatever else the given JWK had.
    pub fn to_json(&self) -> Value {
        let mut value = match &self.public {
            Public::Ed25519 { x } => json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
            Public::Ec { curve, x, y } => json!({"kty": "EC", "crv": curve, "x": x, "y": y}),
            Public::Rsa { n, e } => json!({"kty": "RSA", "n": n, "e": e}),
        };
        if let Some(members) = value.as_object_mut() {
            members.insert("alg".into(), self.algorithm.as_str().into());
            members.insert("use".into(), "sig".into());
            if let Some(kid) = &self.kid {
                members.insert("kid".into(), kid.as_str().into());
            }
        }
        value
    }

    /// The key that checks, without what is said of it.
    pub(crate) fn into_prepared(self) -> ParsedPublicKey {
        self.key
    }

    /// Whether `signature` over `message` is this key's, by its own algorithm.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        self.key.verify_sig(message, signature).map_err(|_| JoseError::SignatureInvalid)
    }

    fn from_members(members: &Map<String, Value>) -> Result<Self, JwkError> {
        if members.len() > MAX_MEMBERS {
            return Err(JwkError::Malformed);
        }
        if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
            return Err(JwkError::PrivateKeyGiven);
        }
        for_signatures(members)?;
        let kid = text(members, "kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > MAX_KID) {
            return Err(JwkError::Malformed);
        }
        let (public, own) = read_public(members)?;
        let algorithm = match (text(members, "alg")?.map(str::parse::<Algorithm>), own) {
            (None, own) => own,
            (Some(Ok(Algorithm::Ps256)), Algorithm::Rs256) => Algorithm::Ps256,
            (Some(Ok(named)), own) if named == own => own,
            _ => return Err(JwkError::UnsupportedAlgorithm),
        };
        let key = prepare(&public, algorithm)?;
        let thumbprint = to_base64url(digest(&SHA256, public.canonical().as_bytes()).as_ref());
        Ok(Self { public, algorithm, kid, thumbprint, key })
    }
}

impl PartialEq for Jwk {
    /// The same public key under the same algorithm and `kid`.
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public && self.algorithm == other.algorithm && self.kid == other.kid
    }
}
impl Eq for Jwk {}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

fn for_signatures(members: &Map<String, Value>) -> Result<(), JwkError> {
    if text(members, "use")?.is_some_and(|usage| usage != "sig") {
        return Err(JwkError::NotForSignatures);
    }
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(JwkError::NotForSignatures),
        Some(_) => Err(JwkError::Malformed),
    }
}

/// The key's numbers and the algorithm that it has unless it names another.
fn read_public(members: &Map<String, Value>) -> Result<(Public, Algorithm), JwkError> {
    let required = |name| text(members, name)?.ok_or(JwkError::Malformed);
    match required("kty")? {
        "OKP" => match required("crv")? {
            "Ed25519" => Ok((Public::Ed25519 { x: required("x")?.to_owned() }, Algorithm::EdDsa)),
            _ => Err(JwkError::UnsupportedKey),
        },
        "EC" => {
            let (curve, algorithm) = match required("crv")? {
                "P-256" => ("P-256", Algorithm::Es256),
                "P-384" => ("P-384", Algorithm::Es384),
                _ => return Err(JwkError::UnsupportedKey),
            };
            Ok((Public::Ec { curve, x: required("x")?.to_owned(), y: required("y")?.to_owned() }, algorithm))
        }
        "RSA" => Ok((Public::Rsa { n: required("n")?.to_owned(), e: required("e")?.to_owned() }, Algorithm::Rs256)),
        _ => Err(JwkError::UnsupportedKey),
    }
}

fn prepare(public: &Public, algorithm: Algorithm) -> Result<ParsedPublicKey, JwkError> {
    match public {
        Public::Ed25519 { x } => {
            let point: [u8; 32] = bytes(x)?.try_into().map_err(|_| JwkError::Malformed)?;
            if small_order(&point) {
                return Err(JwkError::Weak);
            }
            ParsedPublicKey::new(&ED25519, point).map_err(|_| JwkError::Weak)
        }
        Public::Ec { curve, x, y } => {
            let (length, verification): (usize, &'static dyn VerificationAlgorithm) =
                if *curve == "P-256" { (32, &ECDSA_P256_SHA256_FIXED) } else { (48, &ECDSA_P384_SHA384_FIXED) };
            let (x, y) = (bytes(x)?, bytes(y)?);
            if x.len() != length || y.len() != length {
                return Err(JwkError::Malformed);
            }
            let point = [&[4u8], x.as_slice(), y.as_slice()].concat();
            ParsedPublicKey::new(verification, point).map_err(|_| JwkError::Weak)
        }
        Public::Rsa { n, e } => {
            let (n, e) = (bytes(n)?, bytes(e)?);
            let Some(first) = n.first().filter(|first| **first != 0) else {
                return Err(JwkError::Malformed);
            };
            let bits = n.len() * 8 - first.leading_zeros() as usize;
            let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
            let exponent = e.len() <= 4 && e.first().is_some_and(|first| *first != 0) && odd(&e) && e != [1];
            if !RSA_BITS.contains(&bits) || !odd(&n) || !exponent {
                return Err(JwkError::Weak);
            }
            let parameters =
                if algorithm == Algorithm::Ps256 { &RSA_PSS_2048_8192_SHA256 } else { &RSA_PKCS1_2048_8192_SHA256 };
            PublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| JwkError::Weak)
        }
    }
}

/// Whether an Ed25519 point has a small order: for such a "key" anybody can make signatures that hold.
fn small_order(point: &[u8; 32]) -> bool {
    /// y of the points whose order divides 8, little-endian, with the encodings that exceed the field's prime.
    const Y: [[u8; 32]; 7] = [
        [0; 32],
        with_ends(1, 0, 0),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        with_ends(0xec, 0xff, 0x7f),
        with_ends(0xed, 0xff, 0x7f),
        with_ends(0xee, 0xff, 0x7f),
    ];
    let mut y = *point;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    Y.contains(&y)
}

const fn with_ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut number = [middle; 32];
    let [low, .., high] = &mut number;
    *low = first;
    *high = last;
    number
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, JwkError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwkError::Malformed),
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, JwkError> {
    from_base64url(text).ok_or(JwkError::Malformed)
}
