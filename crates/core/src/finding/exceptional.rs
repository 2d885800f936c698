//! The log of exceptional access (R106): each use of what lets somebody in besides the ordinary way, in a list of its
//! own.
//!
//! A record is written by the commit of the event that it is about, which stands in the log like any other; the list
//! only keeps what is exceptional apart, so that whoever reads it doesn't have to look for it among a day's issuances.

use serde::{Deserialize, Serialize};

use crate::base::id::{EventId, ExceptionalAccessId, IdentityId};
use crate::base::time::Timestamp;
use crate::store::event::Actor;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// A join token was handed out.
    JoinTokenCreated,
    /// A key was enrolled with a join token.
    JoinTokenUsed,
    /// A join token was presented and refused: late, a second time, or without what it takes.
    JoinTokenRefused,
    /// An API key was handed out under an exception (R32).
    ApiKeyIssued,
    /// An operator token was made to stand for a person who can't sign in yet (S-7).
    OperatorTokenCreated,
    /// An administrator was given back with the root key (S-10).
    AdministratorRecovered,
    /// The database was put back and an epoch begun, with the root key (S-1).
    EpochBegun,
    /// A break-glass access of an identity began (R107).
    BreakGlassStarted,
}

impl Access {
    /// Every sort.
    pub const ALL: &[Self] = &[
        Self::JoinTokenCreated,
        Self::JoinTokenUsed,
        Self::JoinTokenRefused,
        Self::ApiKeyIssued,
        Self::OperatorTokenCreated,
        Self::AdministratorRecovered,
        Self::EpochBegun,
        Self::BreakGlassStarted,
    ];

    /// The name in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JoinTokenCreated => "join_token_created",
            Self::JoinTokenUsed => "join_token_used",
            Self::JoinTokenRefused => "join_token_refused",
            Self::ApiKeyIssued => "api_key_issued",
            Self::OperatorTokenCreated => "operator_token_created",
            Self::AdministratorRecovered => "administrator_recovered",
            Self::EpochBegun => "epoch_begun",
            Self::BreakGlassStarted => "break_glass_started",
        }
    }
}

/// One exceptional access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionalAccess {
    /// Its id; ids are in the order of time.
    pub id: ExceptionalAccessId,
    /// What was done.
    pub access: Access,
    /// By whom.
    pub actor: Actor,
    /// With what: the id of the join token, the API key, the operator token, the invitation.
    pub with: String,
    /// About which identity, if about one.
    pub identity: Option<IdentityId>,
    /// What allowed it: the approved request, the exception.
    pub allowed_by: Option<String>,
    /// Why it was refused, if it was: a stable code.
    pub refused: Option<String>,
    /// The event in the log that it is about.
    pub event: EventId,
    /// When.
    pub at: Timestamp,
}

words!(Access);

impl ExceptionalAccess {
    /// Listed by its sort of access.
    pub const ACCESS: Field<Self, Access> = Field::new("access");
    /// Listed by its credential that it was had with.
    pub const WITH: Field<Self> = Field::new("with");
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
}

impl Record for ExceptionalAccess {
    const KIND: RowKind = RowKind::ExceptionalAccess;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::ACCESS, self.access).with(Self::WITH, &self.with).each(Self::IDENTITY, self.identity)
    }
}
