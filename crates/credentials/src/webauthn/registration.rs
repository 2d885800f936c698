//! Registering a credential (WebAuthn §7.1).

use aws_lc_rs::digest::{SHA256, digest};

use super::auth_data::AuthData;
use super::cbor::Item;
use super::client_data;
use super::cose::CoseKey;
use super::credential_id::MAX_CREDENTIAL_ID;
use super::error::WebauthnError;
use super::relying_party::RelyingParty;

/// The longest attestation object in bytes: one without certificates, with the longest credential id, stays far below.
const MAX_ATTESTATION: usize = 4 * 1024;

/// What the client answers to a request for a new credential.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// The credential's id, as the client names it.
    pub credential_id: &'a [u8],
    /// `response.clientDataJSON`.
    pub client_data: &'a [u8],
    /// `response.attestationObject`.
    pub attestation_object: &'a [u8],
}

impl Registration<'_> {
    /// The longest of its three parts, in bytes.
    pub const MAX_PART: usize =
        if client_data::MAX_CLIENT_DATA > MAX_ATTESTATION { client_data::MAX_CLIENT_DATA } else { MAX_ATTESTATION };
}

/// A credential, as much of it as checking its assertions needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: Vec<u8>,
    /// Its COSE key as it was sent.
    pub public_key: Vec<u8>,
    /// The signature counter last seen; 0 where the authenticator has none.
    pub counter: u32,
    /// Whether it may be copied to other devices of its user.
    pub backup_eligible: bool,
}

/// The new credential, if the answer is one to `challenge` (base64url) made for this relying party by a verified user.
///
/// # Errors
/// Why not. [`WebauthnError::UserNotPresent`] and what stands after it say that everything else holds.
pub fn verify_registration(
    relying_party: &RelyingParty,
    challenge: &str,
    answer: &Registration<'_>,
) -> Result<Credential, WebauthnError> {
    client_data::check(answer.client_data, "webauthn.create", challenge, relying_party)?;
    if answer.attestation_object.len() > MAX_ATTESTATION || answer.credential_id.len() > MAX_CREDENTIAL_ID {
        return Err(WebauthnError::Malformed);
    }
    let object = Item::of(answer.attestation_object).ok_or(WebauthnError::Malformed)?;
    let signed = object.bytes(&Item::Text("authData")).ok_or(WebauthnError::Malformed)?;
    let data = AuthData::read(signed).ok_or(WebauthnError::Malformed)?;
    data.is_for(relying_party)?;
    let attested = data.attested.as_ref().ok_or(WebauthnError::Malformed)?;
    if attested.credential_id != answer.credential_id {
        return Err(WebauthnError::Malformed);
    }
    let key = CoseKey::from_item(&attested.key)?;
    check_attestation(&object, &key, signed, answer.client_data)?;
    data.by_verified_user()?;
    Ok(Credential {
        id: attested.credential_id.to_vec(),
        public_key: attested.public_key.to_vec(),
        counter: data.counter,
        backup_eligible: data.backup_eligible(),
    })
}

/// We ask for no attestation. A client gives none then, or leaves the credential's own signature in place (§5.1.3),
/// which is checked and adds no trust; statements by makers of authenticators are refused rather than ignored.
fn check_attestation(object: &Item<'_>, key: &CoseKey, signed: &[u8], client_data: &[u8]) -> Result<(), WebauthnError> {
    let statement = object.get(&Item::Text("attStmt")).ok_or(WebauthnError::Malformed)?;
    let pairs = statement.pairs().ok_or(WebauthnError::Malformed)?;
    match object.get(&Item::Text("fmt")) {
        Some(Item::Text("none")) if pairs == 0 => Ok(()),
        Some(Item::Text("packed")) if pairs == 2 => {
            let signature = statement.bytes(&Item::Text("sig")).ok_or(WebauthnError::Malformed)?;
            if statement.int(&Item::Text("alg")) != Some(key.algorithm()) {
                return Err(WebauthnError::AttestationUnsupported);
            }
            key.verify(&[signed, digest(&SHA256, client_data).as_ref()].concat(), signature)
        }
        Some(Item::Text(_)) => Err(WebauthnError::AttestationUnsupported),
        _ => Err(WebauthnError::Malformed),
    }
}
