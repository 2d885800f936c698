//! Passkeys, in the JSON forms of Web Authentication Level 3 (§5.1): what browsers make and take as they are.
//!
//! Members that browsers add beside those that count are let pass: the specification adds some with each level.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{PasskeyId, PersonId};
use tenure_core::base::time::Timestamp;

/// `POST /sign-in/passkey/register-start`.
#[derive(Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterStart {
    /// The invitation's secret; without one, the caller's own fresh session counts.
    #[serde(default)]
    pub invitation: Option<String>,
}

/// `POST /sign-in/passkey/register-finish`.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterFinish {
    /// The invitation's secret once more.
    #[serde(default)]
    pub invitation: Option<String>,
    /// What its person calls the passkey, 1 to 64 bytes; `passkey` if not given.
    #[serde(default)]
    pub name: Option<String>,
    /// What `navigator.credentials.create` gave (`RegistrationResponseJSON`).
    pub credential: RegistrationResponse,
}

/// `RegistrationResponseJSON`, as far as it counts. All texts are base64url.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RegistrationResponse {
    /// The credential's id.
    pub id: String,
    /// What the browser and the authenticator say.
    pub response: AttestationResponse,
}

/// `AuthenticatorAttestationResponseJSON`, as far as it counts.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttestationResponse {
    /// What the browser says.
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    /// What the authenticator says.
    #[serde(rename = "attestationObject")]
    pub attestation_object: String,
}

/// `POST /sign-in/passkey/finish`: `AuthenticationResponseJSON`, as far as it counts. All texts are base64url.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AuthenticationResponse {
    /// The credential's id.
    pub id: String,
    /// What the browser and the authenticator say.
    pub response: AssertionResponse,
}

/// `AuthenticatorAssertionResponseJSON`, as far as it counts.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AssertionResponse {
    /// What the browser says.
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    /// What the authenticator says.
    #[serde(rename = "authenticatorData")]
    pub authenticator_data: String,
    /// The signature over both.
    pub signature: String,
    /// Whom the authenticator takes its user for.
    #[serde(rename = "userHandle", default)]
    pub user_handle: Option<String>,
}

/// A passkey, for its person.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PasskeyView {
    /// Its id.
    pub id: PasskeyId,
    /// Whose it is.
    pub person: PersonId,
    /// What its person calls it.
    pub name: String,
    /// Whether its person's devices may share it (a synced passkey), rather than one device alone holding it.
    pub backup_eligible: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was taken away, if it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub removed_at: Option<Timestamp>,
}

/// The answer to a registration or a sign-in with a passkey. The session itself is in a cookie.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PasskeyUsed {
    /// Who signed in.
    pub person: PersonId,
    /// The passkey.
    pub passkey: PasskeyView,
    /// When the new session ends; none if the registration was made inside a session, which goes on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session_expires_at: Option<Timestamp>,
}
