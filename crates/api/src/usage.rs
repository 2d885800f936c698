//! What an identity may do beside what it does, on the wire (R101).

use serde::{Deserialize, Serialize};
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::right_size::{RightSize, UseWindow};

use crate::request::RequestView;
use crate::views::Names;

/// What an identity's charter grants beside what of it was used.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UsageView {
    /// Whose.
    pub identity: IdentityId,
    /// When it was computed.
    pub at: Timestamp,
    /// Over which time use was looked at.
    pub window: UseWindow,
    /// How much of what is granted wasn't used in the window.
    pub unused: UnusedShare,
    /// Each thing that is granted, and the scope that would do.
    pub right_size: RightSize,
    /// The contexts that it is known in, once it was used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contexts: Option<ContextsView>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// The contexts that an identity is known in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ContextsView {
    /// Since when they are learnt.
    pub learnt_since: Timestamp,
    /// Until when whatever it is used in is learnt; later it is new.
    pub learns_until: Timestamp,
    /// Networks that it calls from.
    pub networks: Vec<String>,
    /// Keys that its credentials are bound to.
    pub clients: Vec<String>,
    /// Workloads that it proves itself as.
    pub workloads: Vec<String>,
    /// What it does for each of its tasks.
    pub tasks: Vec<String>,
    /// Which of it comes directly after which.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub orders: Vec<String>,
    /// Hours of the day.
    pub hours: Vec<String>,
    /// How much it is used within some seconds.
    pub rate: String,
}

/// A share of what is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UnusedShare {
    /// Things that weren't used.
    pub things: usize,
    /// Of so many.
    pub of: usize,
    /// In per cent.
    pub percent: u8,
}

/// `POST /v1/identities/{id}/right-size`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRightSize {
    /// Over which time use is looked at: 7d, 30d or 90d.
    #[serde(default)]
    pub window: UseWindow,
    /// Whether what was used within 13 months, but not within the window, goes too. Read what the replay says of it.
    #[serde(default)]
    pub drop_rare: bool,
    /// For which need; if not given, what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Only say what would be asked for.
    #[serde(default)]
    pub dry_run: bool,
}

/// A right-size that was asked for.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RightSizeView {
    /// What it rests on.
    pub usage: UsageView,
    /// The request for the narrower charter; none of a dry run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<RequestView>,
}
