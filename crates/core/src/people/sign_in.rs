//! How people sign in: providers, passkeys, invitations and sessions (S-7, S-10).
//!
//! A person is bound to the (issuer, subject) of a provider or to a passkey, never to an e-mail address.

use serde::{Deserialize, Serialize};

use crate::base::id::{InvitationId, PasskeyId, PersonId, SessionId, SignInProviderId};
use crate::base::state::{BadStep, InState};
use crate::base::time::{Span, Timestamp};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};
use crate::trust::state::{TrustState, confirmable};

/// How old a sign-in may be that approves, enables, or changes policy (S-7).
pub const FRESH: Span = Span::from_mins(5);
/// How long a session lasts.
pub const SESSION_LIFE: Span = Span::from_mins(8 * 60);
/// How long an invitation may be used.
pub const INVITATION_LIFE: Span = Span::from_mins(24 * 60);

/// How a person signed in, and what that is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assurance {
    /// How.
    pub method: SignInMethod,
    /// When they last proved themselves, not when a session was refreshed.
    pub at: Timestamp,
    /// Whether it can't be phished: a passkey, or a provider that says so of this sign-in and is trusted to.
    pub phishing_resistant: bool,
}

impl Assurance {
    /// Whether it is good for what needs a fresh, phishing-resistant sign-in (S-7).
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.phishing_resistant && now.since(self.at) <= FRESH
    }
}

/// How a person signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignInMethod {
    /// OpenID Connect.
    Oidc,
    /// A passkey (WebAuthn).
    Passkey,
}

/// A session. Its secret is stored as a keyed hash (S-5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Its id, part of its text.
    pub id: SessionId,
    /// Whose it is.
    pub person: PersonId,
    /// Keyed hash of its secret part, base64url.
    pub hash: String,
    /// What the sign-in was worth.
    pub assurance: Assurance,
    /// Whether it is a browser's (a cookie, bound to same-origin requests) or the command line's (a bearer).
    pub browser: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was ended, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl Session {
    /// Listed by its person.
    pub const PERSON: Field<Self, PersonId> = Field::new("person");
}

impl Record for Session {
    const KIND: RowKind = RowKind::Session;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::PERSON, self.person)
    }
    fn droppable_after(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// A provider that people sign in with (OpenID Connect Core 1.0, code flow with PKCE).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInProvider {
    /// Its id.
    pub id: SignInProviderId,
    /// Its name on the sign-in page.
    pub name: String,
    /// The issuer identifier: compared exactly.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there, sealed by the root key; none for a public client.
    pub client_secret: Option<String>,
    /// Whether it takes the secret in the form only, rather than by HTTP basic authentication.
    pub secret_in_form: bool,
    /// Values of `acr` or `amr` that say that a sign-in can't be phished; empty if this provider's are never taken as
    /// such.
    pub phishing_resistant: Vec<String>,
    /// Those of them that it can be asked for as `acr`, as discovery said.
    pub acr_values: Vec<String>,
    /// Where a browser is sent, as discovery gave it when the provider was registered; it stays fixed (S-13).
    pub authorization_endpoint: String,
    /// Where codes are exchanged; fixed likewise.
    pub token_endpoint: String,
    /// The key set's URL; fixed likewise.
    pub jwks_uri: String,
    /// Signature algorithms accepted of its ID tokens.
    pub algorithms: Vec<String>,
    /// Whether it names itself in its authorization responses (RFC 9207): then it must.
    pub names_itself: bool,
    /// Where the registration stands.
    pub state: InState<TrustState>,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// Who confirmed it.
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, because there was no second administrator (S-10).
    pub single_person: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

confirmable!(SignInProvider);

impl SignInProvider {
    /// Trusted no more, and without its secret.
    ///
    /// # Errors
    /// It was removed before.
    pub fn remove(self) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(TrustState::Removed)?, client_secret: None, ..self })
    }

    /// Listed by its issuer.
    pub const ISSUER: Field<Self> = Field::new("issuer");
}

impl Record for SignInProvider {
    const KIND: RowKind = RowKind::SignInProvider;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::ISSUER, &self.issuer)
    }
}

/// A subject of a provider that is a person. Never reassigned (S-13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInBinding {
    /// The provider.
    pub provider: SignInProviderId,
    /// The subject there.
    pub subject: String,
    /// SHA-256 of the subject, base64url: a subject is too long for a row's id.
    pub subject_hash: String,
    /// The person.
    pub person: PersonId,
    /// When it was bound.
    pub created_at: Timestamp,
    /// When it was taken away, if it was.
    pub removed_at: Option<Timestamp>,
}

impl SignInBinding {
    /// The longest subject (OpenID Connect Core 1.0, section 2).
    pub const MAX_SUBJECT: usize = 255;

    /// The id of the binding of a subject, by the subject's hash.
    pub fn id_of(provider: SignInProviderId, subject_hash: &str) -> String {
        format!("{provider}/{subject_hash}")
    }
}

impl SignInBinding {
    /// Listed by its person.
    pub const PERSON: Field<Self, PersonId> = Field::new("person");
}

impl Record for SignInBinding {
    const KIND: RowKind = RowKind::SignInBinding;
    fn row_id(&self) -> String {
        Self::id_of(self.provider, &self.subject_hash)
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::PERSON, self.person)
    }
}

/// A passkey (WebAuthn Level 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Passkey {
    /// Its id here.
    pub id: PasskeyId,
    /// Whose it is.
    pub person: PersonId,
    /// The credential's id at the authenticator, base64url.
    pub credential: String,
    /// SHA-256 of that id, base64url: an id may be longer than what can be looked up by.
    pub credential_hash: String,
    /// Its public key as a COSE key (RFC 9052), base64url.
    pub public_key: String,
    /// The signature counter last seen; 0 where the authenticator has none.
    pub counter: u32,
    /// Whether its person's devices may share it; it never changes.
    pub backup_eligible: bool,
    /// What its person calls it.
    pub name: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was taken away, if it was.
    pub removed_at: Option<Timestamp>,
}

impl Passkey {
    /// Listed by its person.
    pub const PERSON: Field<Self, PersonId> = Field::new("person");
    /// Listed by its hash of the id that the authenticator gave it.
    pub const CREDENTIAL: Field<Self> = Field::new("credential");
}

impl Record for Passkey {
    const KIND: RowKind = RowKind::Passkey;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::PERSON, self.person).with(Self::CREDENTIAL, &self.credential_hash)
    }
}

/// A one-time invitation: with it a person binds their first sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// Its id, part of its text.
    pub id: InvitationId,
    /// For whom.
    pub person: PersonId,
    /// Keyed hash of its secret part, base64url.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who made it.
    pub proposed_by: PersonId,
    /// The second administrator, without whom it is good for nothing; none if there is no second (S-10).
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, because there was no second administrator (S-10).
    pub single_person: bool,
    /// Whether the sign-ins that the person has end with its use: what was lost must not open anything any more.
    pub replaces: bool,
    /// When it was used or taken back.
    pub used_at: Option<Timestamp>,
}

impl Invitation {
    /// Whether it may be used: confirmed by a second administrator or made by the only one, not used, not over.
    pub fn is_good(&self, now: Timestamp) -> bool {
        (self.single_person || self.confirmed_by.is_some()) && self.used_at.is_none() && now < self.expires_at
    }
}

impl Invitation {
    /// Listed by its person.
    pub const PERSON: Field<Self, PersonId> = Field::new("person");
}

impl Record for Invitation {
    const KIND: RowKind = RowKind::Invitation;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::PERSON, self.person)
    }
    fn droppable_after(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}
