//! The inventory's record of an issued credential. The secret itself is never in it.

pub mod drill;
pub mod gate;
pub mod liveness;
pub mod receipt;

use serde::{Deserialize, Serialize};

use crate::base::id::{BindingId, CredentialId, GrantId, IdentityId, ResourceId};
use crate::base::time::{Span, Timestamp};
use crate::identity::CredentialType;
use crate::identity::delegation::{Delegation, MayAct};
use crate::store::due::DueKind;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};
use crate::trust::confirmation::Confirmation;

/// How long a credential's record outlives it: the clocks of verifiers may differ by this much.
pub const CLOCK_SKEW: Span = Span::from_secs(60);

/// An issued credential. Its row's `created` position is the position at which it was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Its id, the token's `jti`.
    pub id: CredentialId,
    /// Whose it is.
    pub identity: IdentityId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: CredentialType,
    /// The environment whose issuer issued it.
    pub environment: String,
    /// The resource that it is for: its audience.
    pub resource: ResourceId,
    /// What it may be used for there.
    pub actions: Vec<String>,
    /// The grants that it rests on: it dies with them.
    pub grants: Vec<GrantId>,
    /// The binding whose proof it was issued on; none for a key that a person took out.
    pub binding: Option<BindingId>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends (R67).
    pub expires_at: Timestamp,
    /// What ends it before that (R67).
    pub revoked_by: Vec<String>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Keyed hash of an API key's secret part, base64url (S-5).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash: Option<String>,
    /// The key that it is bound to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirmation: Option<Confirmation>,
    /// The task that it was issued for, of those that the charter declares (R54).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<String>,
    /// For whom its holder acts with it, and what it derives from (S-14).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delegation: Option<Delegation>,
    /// Who may ask for a token to act for its subject, of a credential for Tenure itself (S-14).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub may_act: Option<MayAct>,
}

impl Credential {
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
}

impl Record for Credential {
    const KIND: RowKind = RowKind::Credential;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::IDENTITY, self.identity)
    }
    fn droppable_after(&self) -> Option<Timestamp> {
        Some(self.expires_at.plus(CLOCK_SKEW))
    }
    /// What becomes of a login is done to it at its target.
    fn follows(&self) -> Option<(DueKind, String)> {
        (self.kind == CredentialType::Login).then(|| (DueKind::Login, self.id.to_string()))
    }
}
