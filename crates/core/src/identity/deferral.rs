//! Removals that wait: a long-lived account on which others depend is removed at the end of its exception, not at once
//! (R109).

use serde::{Deserialize, Serialize};

use crate::base::id::{ExceptionId, RemovalId};
use crate::base::time::Timestamp;

/// Removals of one identity that wait at a time; what is one more is not put off.
pub const MAX_DEFERRED: usize = 8;

/// What would have removed an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RemovalTrigger {
    /// Something that it lives by has ended: a removal.
    Removal,
    /// Its need, its vendor's contract or its cloud account has ended.
    ServiceEnded,
    /// It, or what it belongs to, is past its sunset.
    Sunset,
    /// It was not used for as long as its charter allows.
    Idle,
    /// Its owner left, and nobody took it.
    OwnerLeft,
}

impl RemovalTrigger {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Removal => "removal",
            Self::ServiceEnded => "service_ended",
            Self::Sunset => "sunset",
            Self::Idle => "idle",
            Self::OwnerLeft => "owner_left",
        }
    }
}

/// A removal of an identity that waits for the end of an exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeferredRemoval {
    /// The exception, which was approved before.
    pub exception: ExceptionId,
    /// What fired.
    pub trigger: RemovalTrigger,
    /// Of what: the id of the removal, of what ended, of the transfer, or its own.
    pub of: String,
    /// Why, in words.
    pub reason: String,
    /// When it fired.
    pub at: Timestamp,
    /// When it goes on at the latest.
    pub until: Timestamp,
}

impl DeferredRemoval {
    /// Whether it is what this removal put off.
    pub fn is_of(&self, removal: RemovalId) -> bool {
        self.trigger == RemovalTrigger::Removal && self.of == removal.to_string()
    }
}
