//! What an agent says that it is for, and who acts for whom (R54, R57, S-14).

use serde::{Deserialize, Serialize};

use crate::id::{CredentialId, IdentityId, ResourceId};
use crate::identity::Entitlement;

/// How many times authority can be handed on (S-14).
pub const MAX_DEPTH: usize = 4;

/// A task that the charter declares: the only use of its entitlements that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Its name, by which a request declares it: 1 to 64 characters of a-z, 0-9, `_`, `.`, `-`.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// What it takes: inside the charter's scope.
    pub scope: Vec<Entitlement>,
}

impl Task {
    /// Whether the task takes this action on this resource.
    pub fn covers(&self, action: &str, resource: ResourceId) -> bool {
        self.scope.iter().any(|entitlement| entitlement.covers(action, resource))
    }
}

/// A delegation grant: another identity may act for this one, inside these bounds (S-14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegate {
    /// Who may act for it.
    pub actor: IdentityId,
    /// For what at most.
    pub scope: Vec<Entitlement>,
    /// How many times the actor's authority may be handed on further; 0: not at all.
    #[serde(default)]
    pub onward: u8,
}

/// For whom a credential was issued besides its holder, and what it derives from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Who acts for whom: the subject first, then each actor, the holder last. At most [`MAX_DEPTH`] actors.
    pub chain: Vec<IdentityId>,
    /// The credentials that it was derived from, the first link first: it dies with each of them.
    pub parents: Vec<CredentialId>,
}

impl Delegation {
    /// How often authority was handed on.
    pub fn depth(&self) -> usize {
        self.chain.len().saturating_sub(1)
    }
}

/// What a credential for Tenure itself lets its bearer's counterpart ask for: a token to act for its subject (RFC 8693, `may_act`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MayAct {
    /// Who may act.
    pub actor: IdentityId,
    /// On which resource.
    pub resource: ResourceId,
    /// With which actions at most.
    pub actions: Vec<String>,
    /// For which task.
    pub task: Option<String>,
}
