//! The end of an identity by date.

use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState, RetirementCondition};

/// What an identity's expiry demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It ends, for this reason.
    Retire(&'static str),
    /// It ends then.
    Later(Timestamp),
    /// It has no end to wait for any more.
    Nothing,
}

/// Decides; the earliest true condition wins.
pub fn plan(identity: &Identity, now: Timestamp) -> Plan {
    if !matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
        return Plan::Nothing;
    }
    let Some(expiry) = identity.charter.expires_at else {
        return Plan::Nothing;
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
        Some(date) if date <= now && date <= expiry => Plan::Retire("date"),
        _ if expiry <= now => Plan::Retire("expiry"),
        Some(date) => Plan::Later(date.min(expiry)),
        None => Plan::Later(expiry),
    }
}
