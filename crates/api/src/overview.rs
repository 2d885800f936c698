//! What the first page of the console tells of a deployment as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenure_core::base::time::Timestamp;

use crate::request::RequestView;

/// How many identities there are, and how many people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// When they were counted: at most a minute ago.
    pub at: Timestamp,
    /// Identities by their state.
    pub by_state: BTreeMap<String, u64>,
    /// Active identities by their kind.
    pub active_by_kind: BTreeMap<String, u64>,
    /// Active people.
    pub people: u64,
}

/// Requests that wait for somebody's vote.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WaitingVotes {
    /// The requests, the oldest first.
    pub items: Vec<RequestView>,
    /// Whether there are more, or open requests that were not looked at.
    pub more: bool,
}
