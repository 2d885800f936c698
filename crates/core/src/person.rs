//! People and the operator tokens that stand for them until sign-in exists (S-7).

use serde::{Deserialize, Serialize};

use crate::id::{OperatorTokenId, PersonId};
use crate::row::{Record, RowKind};
use crate::time::Timestamp;

/// Where a person stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonState {
    /// Known, with a start in the future.
    Preboarding,
    /// At work.
    Active,
    /// Temporarily without authority.
    Suspended,
    /// Gone; terminal. A rehire is a new record.
    Departed,
}

impl PersonState {
    /// The state after going to `next`, if the table has that step.
    pub const fn step(self, next: Self) -> Option<Self> {
        use PersonState as S;
        match (self, next) {
            (S::Preboarding, S::Active) | (S::Active, S::Suspended) | (S::Suspended, S::Active) | (S::Preboarding | S::Active | S::Suspended, S::Departed) => {
                Some(next)
            }
            _ => None,
        }
    }
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preboarding => "preboarding",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Departed => "departed",
        }
    }
}

/// Roles that confer authority in Tenure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May propose identities.
    Requester,
    /// May hold identities as their accountable owner.
    Owner,
    /// May approve for those who report to them.
    Manager,
    /// May suspend, revoke and release anything.
    Security,
    /// Runs Tenure: people, applications, environments; never approves grants.
    Administrator,
    /// Reads everything; holds nothing else.
    Auditor,
}

impl Role {
    /// The name in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requester => "requester",
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::Security => "security",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
        }
    }
}

/// A person: class `human`, governed by the same policy through another workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The person's id.
    pub id: PersonId,
    /// The name; `None` once erased.
    pub name: Option<String>,
    /// The e-mail address; `None` if unknown or erased. Never identifies anyone (S-7).
    pub email: Option<String>,
    /// Where they stand.
    pub state: PersonState,
    /// Their roles.
    pub roles: Vec<Role>,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Record for Person {
    const KIND: RowKind = RowKind::Person;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Vec<String> {
        let mut terms = vec![format!("state={}", self.state.as_str())];
        terms.extend(self.roles.iter().map(|role| format!("role={}", role.as_str())));
        terms
    }
}

/// A bearer token that stands for a named person, is marked so in the record, and expires (S-7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorToken {
    /// The token's id, part of its text.
    pub id: OperatorTokenId,
    /// Whom it stands for.
    pub person: PersonId,
    /// Keyed hash of its secret part, base64url (S-5).
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl Record for OperatorToken {
    const KIND: RowKind = RowKind::OperatorToken;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Vec<String> {
        vec![format!("person={}", self.person)]
    }
}
