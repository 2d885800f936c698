//! Another secret for an account that stands (R34).

use serde::{Deserialize, Serialize};

use crate::base::id::PersonId;
use crate::base::time::Timestamp;
use crate::credential::receipt::AccountOutcome;
use crate::store::row::Position;

/// That an account is given another secret, or was last. The new one is made and sealed before anything is done at the
/// target, and handed out once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Who asked for it.
    pub by: PersonId,
    /// When.
    pub asked_at: Timestamp,
    /// The log's length then: cuts before it do not concern the new secret.
    pub position: Position,
    /// The new secret, sealed by the root key: kept while it is the account's, so that it can be tried when another
    /// follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// The one before, if it was made here: sealed, until it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// When the target took the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Timestamp>,
    /// When it was handed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<Timestamp>,
    /// How often it was tried and not done.
    pub tries: u32,
    /// What stands in its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What trying the secret before came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<AccountOutcome>,
}

impl Rotation {
    /// Whether something is left to be done at the target.
    pub const fn is_open(&self) -> bool {
        self.rotated_at.is_none() || self.before.is_some()
    }
}
