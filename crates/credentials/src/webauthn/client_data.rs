//! What the browser says that it signed for (WebAuthn §5.8.1): the part of a ceremony that a phishing site can't forge.

use serde_json::Value;
use tenure_core::base::json::read_object;

use super::error::WebauthnError;
use super::relying_party::RelyingParty;

/// The longest client data in bytes: its members are short, and more may be added in the future.
pub(super) const MAX_CLIENT_DATA: usize = 8 * 1024;

/// Checks the client data of a ceremony of this type against our challenge (base64url) and origin.
pub(super) fn check(
    bytes: &[u8],
    ceremony: &str,
    challenge: &str,
    relying_party: &RelyingParty,
) -> Result<(), WebauthnError> {
    if bytes.len() > MAX_CLIENT_DATA {
        return Err(WebauthnError::Malformed);
    }
    let data = read_object(bytes).map_err(|_| WebauthnError::Malformed)?;
    let text = |name: &str| data.get(name).and_then(Value::as_str).ok_or(WebauthnError::Malformed);
    if text("type")? != ceremony {
        return Err(WebauthnError::TypeWrong);
    }
    if text("challenge")? != challenge {
        return Err(WebauthnError::ChallengeWrong);
    }
    if text("origin")? != relying_party.origin() {
        return Err(WebauthnError::OriginWrong);
    }
    match data.get("crossOrigin") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => return Err(WebauthnError::Embedded),
        Some(_) => return Err(WebauthnError::Malformed),
    }
    if data.contains_key("topOrigin") {
        return Err(WebauthnError::Embedded);
    }
    Ok(())
}
