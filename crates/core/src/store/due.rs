//! Timed work: one queue for each kind of deadline.

use serde::{Deserialize, Serialize};

/// Kinds of timed work: one queue each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum DueKind {
    /// An identity's end by date.
    IdentityExpiry = 1,
    /// An identity's idleness.
    IdentityIdle = 2,
    /// A grant's start or end.
    Grant = 3,
    /// A retiring identity or a revocation whose receipt is open.
    Receipt = 4,
    /// A request: its reminders, its lapse, its start.
    Request = 5,
    /// A person's start or end.
    Person = 6,
    /// A person who left and whose identities need another owner.
    Leaver = 7,
    /// A transfer's deadline.
    Transfer = 8,
    /// An exception's end, or a breach's grace period.
    Exception = 9,
    /// A review's deadline.
    Review = 10,
    /// A person's grant: its start, its early review, its end.
    PersonGrant = 11,
    /// An identity that may have gone dormant.
    Dormancy = 12,
    /// An identity's automatic renewal.
    Renewal = 13,
    /// A business need that has ended and whose identities are worked off.
    Need = 14,
    /// Identities whose risk tier has to be derived again, a data domain or an environment having changed.
    Tier = 15,
    /// A signal that was received and has no effect yet.
    Signal = 16,
    /// A removal whose hold is over, or whose identities retire.
    Removal = 17,
    /// An answer that an identity is to be called back about.
    Callback = 18,
}

impl DueKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::IdentityExpiry,
        Self::IdentityIdle,
        Self::Grant,
        Self::Receipt,
        Self::Request,
        Self::Person,
        Self::Leaver,
        Self::Transfer,
        Self::Exception,
        Self::Review,
        Self::PersonGrant,
        Self::Dormancy,
        Self::Renewal,
        Self::Need,
        Self::Tier,
        Self::Signal,
        Self::Removal,
        Self::Callback,
    ];
    /// The number in a store.
    pub const fn code(self) -> u8 {
        self as u8
    }
    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentityExpiry => "identity_expiry",
            Self::IdentityIdle => "identity_idle",
            Self::Grant => "grant",
            Self::Receipt => "receipt",
            Self::Request => "request",
            Self::Person => "person",
            Self::Leaver => "leaver",
            Self::Transfer => "transfer",
            Self::Exception => "exception",
            Self::Review => "review",
            Self::PersonGrant => "person_grant",
            Self::Dormancy => "dormancy",
            Self::Renewal => "renewal",
            Self::Need => "need",
            Self::Tier => "tier",
            Self::Signal => "signal",
            Self::Removal => "removal",
            Self::Callback => "callback",
        }
    }
}
