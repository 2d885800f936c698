//! Signing in with a credential (WebAuthn §7.2).

use aws_lc_rs::digest::{SHA256, digest};

use super::auth_data::AuthData;
use super::cbor::Item;
use super::client_data;
use super::cose::CoseKey;
use super::error::WebauthnError;
use super::registration::Credential;
use super::relying_party::RelyingParty;

/// The longest authenticator data in bytes; extensions may follow its 37.
const MAX_AUTH_DATA: usize = 1024;
/// The longest signature in bytes: ECDSA over P-256 in DER has at most 72.
const MAX_SIGNATURE: usize = 128;

/// What the client answers to a request to sign in.
#[derive(Debug, Clone, Copy)]
pub struct Assertion<'a> {
    /// `response.clientDataJSON`.
    pub client_data: &'a [u8],
    /// `response.authenticatorData`.
    pub authenticator_data: &'a [u8],
    /// `response.signature`.
    pub signature: &'a [u8],
}

impl Assertion<'_> {
    /// The longest of its three parts, in bytes.
    pub const MAX_PART: usize = client_data::MAX_CLIENT_DATA;
}

/// The new counter, if a verified user of `credential` answered `challenge` (base64url) for this relying party.
///
/// # Errors
/// Why not. [`WebauthnError::UserNotPresent`] and what stands after it say that the signature holds.
pub fn verify_assertion(
    relying_party: &RelyingParty,
    challenge: &str,
    credential: &Credential,
    answer: &Assertion<'_>,
) -> Result<u32, WebauthnError> {
    client_data::check(answer.client_data, "webauthn.get", challenge, relying_party)?;
    if answer.authenticator_data.len() > MAX_AUTH_DATA || answer.signature.len() > MAX_SIGNATURE {
        return Err(WebauthnError::Malformed);
    }
    let data = AuthData::read(answer.authenticator_data).ok_or(WebauthnError::Malformed)?;
    // Only registrations bring a credential along (§6.1).
    if data.attested.is_some() {
        return Err(WebauthnError::Malformed);
    }
    data.is_for(relying_party)?;
    let key = Item::of(&credential.public_key).ok_or(WebauthnError::KeyUnsupported)?;
    let signed = [answer.authenticator_data, digest(&SHA256, answer.client_data).as_ref()].concat();
    CoseKey::from_item(&key)?.verify(&signed, answer.signature)?;
    data.by_verified_user()?;
    if data.backup_eligible() != credential.backup_eligible {
        return Err(WebauthnError::BackupFlagsWrong);
    }
    // An authenticator without counters always says 0; one that ever said more has to say more each time.
    if (data.counter != 0 || credential.counter != 0) && data.counter <= credential.counter {
        return Err(WebauthnError::CounterWentBack);
    }
    Ok(data.counter)
}
