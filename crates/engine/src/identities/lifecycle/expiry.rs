//! The end of an identity by date.

use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState, RetirementCondition};

/// What an identity's expiry demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryPlan {
    /// It ends, for this reason.
    Retire(&'static str),
    /// It ends then.
    Later(Timestamp),
    /// It has no end to wait for any more.
    Nothing,
}

/// Decides; the earliest true condition wins.
pub fn plan(identity: &Identity, now: Timestamp) -> ExpiryPlan {
    if !matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
        return ExpiryPlan::Nothing;
    }
    let Some(expiry) = identity.charter.expires_at else {
        return ExpiryPlan::Nothing;
    };
    let date = identity
        .charter
        .retirement
        .iter()
        .filter_map(|condition| match condition {
            RetirementCondition::Date { at } => Some(*at),
            _ => None,
        })
        .min();
    match date {
        Some(date) if date <= now && date <= expiry => ExpiryPlan::Retire("date"),
        _ if expiry <= now => ExpiryPlan::Retire("expiry"),
        Some(date) => ExpiryPlan::Later(date.min(expiry)),
        None => ExpiryPlan::Later(expiry),
    }
}
