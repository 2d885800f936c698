//! How people sign in: providers, invitations, sessions.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{IdentityId, InvitationId, PersonId, SessionId, SignInProviderId};
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Person;
use tenure_core::people::sign_in::Assurance;
use tenure_core::store::event::Via;
use tenure_core::trust::state::TrustState;

/// `POST /v1/sign-in-providers`.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSignInProvider {
    /// Its name on the sign-in page.
    pub name: String,
    /// The issuer identifier, exactly as its discovery document names it.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there; left out for a public client. It is sealed and never read back.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// Values of `acr` or `amr` that say that a sign-in can't be phished; none if this provider's are not to be taken
    /// as such.
    #[serde(default)]
    pub phishing_resistant: Vec<String>,
}

/// A provider that people sign in with; without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SignInProviderView {
    /// Its id.
    pub id: SignInProviderId,
    /// Its name on the sign-in page.
    pub name: String,
    /// The issuer identifier.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Whether a client secret is kept.
    pub confidential: bool,
    /// The redirect URI to register there.
    pub redirect_uri: String,
    /// Values of `acr` or `amr` that say that a sign-in can't be phished.
    pub phishing_resistant: Vec<String>,
    /// Where a browser is sent; fixed at registration.
    pub authorization_endpoint: String,
    /// Where codes are exchanged; fixed at registration.
    pub token_endpoint: String,
    /// The key set's URL; fixed at registration.
    pub jwks_uri: String,
    /// Where the registration stands.
    pub state: TrustState,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// Who confirmed it.
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, because there was no second administrator (S-10).
    pub single_person: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

/// `POST /v1/invitations`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// For whom.
    pub person: PersonId,
    /// Whether the sign-ins and sessions that they have end with its use: for what was lost.
    #[serde(default)]
    pub replaces: bool,
}

/// An invitation, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct InvitationView {
    /// Its id.
    pub id: InvitationId,
    /// For whom.
    pub person: PersonId,
    /// Whether it can be used as it stands.
    pub good: bool,
    /// Whether it ends the sign-ins that the person has.
    pub replaces: bool,
    /// Who made it.
    pub proposed_by: PersonId,
    /// The second administrator.
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, because there was no second administrator (S-10).
    pub single_person: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// A new invitation; its text is shown this once.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct InvitationMade {
    /// The record.
    #[serde(flatten)]
    pub record: InvitationView,
    /// The secret.
    pub invitation: String,
}

/// What `tenure recover` gives back.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Recovered {
    /// The administrator.
    pub person: Person,
    /// With it they bind a sign-in; what they had ends with its use.
    pub invitation: String,
    /// When the invitation ends.
    pub expires_at: Timestamp,
    /// Stands for them while nobody in the deployment signs in; none afterwards.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operator_token: Option<String>,
}

/// `GET /v1/me`: who calls.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Me {
    /// The person, if it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<Person>,
    /// The identity, if it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity: Option<IdentityId>,
    /// What the identity's access token is good for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub actions: Vec<String>,
    /// What shows that it is the person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub via: Option<Via>,
    /// What the sign-in was worth.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub assurance: Option<Assurance>,
    /// Whether it is good for approving and enabling now (S-7).
    pub fresh: bool,
}

/// A session, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub person: PersonId,
    /// What the sign-in was worth.
    pub assurance: Assurance,
    /// Whether it is a browser's or the command line's.
    pub browser: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was ended, if it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revoked_at: Option<Timestamp>,
    /// Whether it is the one that asked.
    pub current: bool,
}

/// `POST /sign-in/cli/token`.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CliExchange {
    /// The one-time code that the browser brought.
    pub code: String,
    /// The verifier behind the challenge that the sign-in began with (as RFC 7636, S256).
    pub verifier: String,
}

/// A session for the command line; its text is shown this once.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CliSession {
    /// The bearer token.
    pub session_token: String,
    /// The record.
    pub session: SessionView,
}
