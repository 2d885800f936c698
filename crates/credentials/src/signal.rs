//! What authenticates signals: HMACs over raw bodies, and security event tokens (RFC 8417, S-12).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tenure_core::base::entropy::Entropy;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::secret::Secret;
use zeroize::Zeroizing;

use crate::jose::{Algorithm, JoseError, JwkSet, Jws, Rules, SKEW, Types};

/// How far a signed timestamp may be from now, either way.
pub const TOLERANCE: Span = Span::from_mins(5);
/// How old a security event token may be: transmitters deliver again for hours when a recipient was away.
pub const MAX_SET_AGE: Span = Span::from_days(1);
/// The longest security event token, in bytes.
pub const MAX_SET_BYTES: usize = 64 * 1024;
/// Signatures in one header, as while a sender's key is changed.
const MAX_SIGNATURES: usize = 4;
/// What a signing token of the Standard Webhooks begins with.
const STANDARD_PREFIX: &str = "whsec_";

/// A fresh key in the form of the Standard Webhooks, as GitLab takes it: `whsec_` and 32 bytes in base64.
pub fn standard_secret(entropy: &dyn Entropy) -> Secret<String> {
    let mut key = Zeroizing::new([0u8; 32]);
    entropy.fill(key.as_mut());
    Secret::new(format!("{STANDARD_PREFIX}{}", STANDARD.encode(key.as_ref())))
}

/// Whether this is GitHub's `X-Hub-Signature-256` of the body: `sha256=` and an HMAC in hex.
pub fn is_github_signature(secret: &str, header: &str, body: &[u8]) -> bool {
    let given = header.strip_prefix("sha256=").and_then(from_hex);
    given.is_some_and(|given| is_mac(secret.as_bytes(), &[body], &given))
}

/// GitHub's `X-Hub-Signature-256` of a body.
pub fn github_signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", to_hex(mac(secret.as_bytes(), &[body]).as_ref()))
}

/// Whether this is our own `Tenure-Signature` of the body, made within [`TOLERANCE`] of now: `t=<unix
/// seconds>,v1=<hex>` over `<t>.<body>`.
pub fn is_timed_signature(secret: &str, header: &str, body: &[u8], now: Timestamp) -> bool {
    let Some((t, v1)) = header.split_once(',') else {
        return false;
    };
    let (Some(t), Some(given)) = (t.strip_prefix("t="), v1.strip_prefix("v1=").and_then(from_hex)) else {
        return false;
    };
    is_near(t, now) && is_mac(secret.as_bytes(), &[t.as_bytes(), b".", body], &given)
}

/// The `Tenure-Signature` of a body at a time.
pub fn timed_signature(secret: &str, body: &[u8], at: Timestamp) -> String {
    let t = at.as_secs().to_string();
    let tag = mac(secret.as_bytes(), &[t.as_bytes(), b".", body]);
    format!("t={t},v1={}", to_hex(tag.as_ref()))
}

/// The `webhook-signature` of a body by the Standard Webhooks; none if the secret is not of their form.
pub fn standard_signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
    let key = standard_key(secret)?;
    let tag = mac(&key, &standard_parts(id, timestamp, body));
    Some(format!("v1,{}", STANDARD.encode(tag.as_ref())))
}

/// Whether one of these signatures is the body's by the Standard Webhooks, made within [`TOLERANCE`] of now:
/// `v1,<base64>` over `<webhook-id>.<webhook-timestamp>.<body>`.
pub fn is_standard_signature(
    secret: &str,
    id: &str,
    timestamp: &str,
    header: &str,
    body: &[u8],
    now: Timestamp,
) -> bool {
    let Some(key) = secret.strip_prefix(STANDARD_PREFIX).and_then(|key| STANDARD.decode(key).ok()).map(Zeroizing::new)
    else {
        return false;
    };
    let signed: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let given = header.split(' ').take(MAX_SIGNATURES).filter_map(|one| one.strip_prefix("v1,"));
    // A point in the id would let the parts shift against each other.
    !id.contains('.')
        && is_near(timestamp, now)
        && given.filter_map(|one| STANDARD.decode(one).ok()).any(|given| is_mac(&key, &signed, &given))
}

fn standard_key(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let key = STANDARD.decode(secret.strip_prefix(STANDARD_PREFIX)?).ok()?;
    Some(Zeroizing::new(key))
}

const fn standard_parts<'a>(id: &'a str, timestamp: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body]
}

fn is_near(seconds: &str, now: Timestamp) -> bool {
    let digits = !seconds.is_empty() && seconds.len() <= 12 && seconds.bytes().all(|b| b.is_ascii_digit());
    digits
        && seconds
            .parse::<i64>()
            .is_ok_and(|seconds| (seconds - now.as_secs()).unsigned_abs() <= TOLERANCE.as_secs().unsigned_abs())
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Tag {
    let mut context = Context::with_key(&Key::new(HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

fn is_mac(key: &[u8], parts: &[&[u8]], given: &[u8]) -> bool {
    verify_slices_are_equal(mac(key, parts).as_ref(), given).is_ok()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of an HMAC-SHA-256 in hex.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    bytes.collect()
}

/// Why a security event token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// As any token.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// It has a `sub` or an `exp`: it could be taken for another sort of token (SSF 1.0).
    #[error("a security event token has neither sub nor exp")]
    LooksLikeAnother,
    /// It was issued too long ago.
    #[error("the token was issued more than a day ago")]
    TooOld,
    /// `events` is missing or says nothing.
    #[error("the token holds no event")]
    NoEvent,
    /// `sub_id` is missing (RFC 9493), and so is the `subject` of an event.
    #[error("the token has no sub_id, and not each event a subject")]
    NoSubject,
}

/// What a transmitter says.
#[derive(Debug, Clone, PartialEq)]
pub struct SecurityEvent {
    /// The token's id.
    pub jti: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Every claim.
    pub claims: Map<String, Value>,
}

/// Checks a security event token: its type, its issuer and its audience exactly, its age, and that it can't be taken
/// for another sort of token.
///
/// # Errors
/// Why it is refused; on [`JoseError::KeyUnknown`] the caller may fetch the key set once and try again.
pub fn verify_set(
    jwt: &str,
    keys: &JwkSet,
    algorithms: &[Algorithm],
    issuer: &str,
    audience: &str,
    now: Timestamp,
) -> Result<SecurityEvent, SetError> {
    let rules = Rules { algorithms, types: Types::OneOf(&["secevent+jwt"]), max_bytes: MAX_SET_BYTES };
    let jws = Jws::parse(jwt, &rules)?;
    let claims = keys.verify(&jws)?;
    claims.names_issuer(issuer)?;
    claims.is_only_for(audience)?;
    let named = |name: &str| claims.as_map().contains_key(name);
    if named("sub") || named("exp") {
        return Err(SetError::LooksLikeAnother);
    }
    let issued_at = claims.time("iat")?.ok_or(JoseError::IatMissing)?;
    if issued_at > now.plus(SKEW) {
        return Err(JoseError::NotYetValid.into());
    }
    if issued_at.plus(MAX_SET_AGE) < now {
        return Err(SetError::TooOld);
    }
    fn object(value: Option<&Value>) -> Option<&Map<String, Value>> {
        value.and_then(Value::as_object).filter(|object| !object.is_empty())
    }
    let events = object(claims.as_map().get("events")).ok_or(SetError::NoEvent)?;
    // Before SSF 1.0 the subject stood in the event, and for many transmitters it still does.
    let has_subject = match claims.as_map().get("sub_id") {
        None => events.values().all(|event| object(event.get("subject")).is_some()),
        subject => object(subject).is_some(),
    };
    if !has_subject {
        return Err(SetError::NoSubject);
    }
    Ok(SecurityEvent { jti: claims.jti()?.to_owned(), issued_at, claims: claims.into_map() })
}
