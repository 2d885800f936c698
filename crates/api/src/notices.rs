//! What is known of notices that are still to be delivered.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::PersonId;
use tenure_core::base::time::Timestamp;

/// A channel on which notices go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChannelView {
    /// Its name: `mail` or `webhook`.
    pub channel: String,
    /// Whether the server that answers delivers on it; else it was configured once.
    pub configured: bool,
    /// Entries of the log that were not read for it yet. Some are always unread: reading that finds nothing is not
    /// written down.
    pub unread: u64,
    /// How many deliveries are still to be made.
    pub pending: usize,
    /// When the oldest of them happened.
    pub oldest: Option<Timestamp>,
    /// Rounds in a row in which the receiver took nothing.
    pub failures: u32,
    /// Until when nothing is tried, if the receiver was found down.
    pub resting_until: Option<Timestamp>,
    /// The first 100 of the pending deliveries, oldest first.
    pub deliveries: Vec<DeliveryView>,
}

/// A delivery that is still to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeliveryView {
    /// The event's number in the log.
    pub index: u64,
    /// The event's id.
    pub event: String,
    /// What happened.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// To whom, where the channel addresses people.
    pub person: Option<PersonId>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next.
    pub again_at: Timestamp,
    /// Why the last attempt failed.
    pub why: Option<String>,
}
