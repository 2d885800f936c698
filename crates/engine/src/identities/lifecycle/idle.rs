//! The end of an identity that is not used.

use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState, RetirementCondition};

use crate::identities::lifecycle::expiry::ExpiryPlan;

/// Decides, given when the identity was last used. An identity that was never used counts from its activation.
pub fn plan(identity: &Identity, last_used: Option<Timestamp>, now: Timestamp) -> ExpiryPlan {
    if !matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
        return ExpiryPlan::Nothing;
    }
    let limit = identity
        .charter
        .retirement
        .iter()
        .filter_map(|condition| match condition {
            RetirementCondition::Idle { after } => Some(*after),
            _ => None,
        })
        .min();
    let (Some(limit), Some(activation)) = (limit, &identity.activation) else {
        return ExpiryPlan::Nothing;
    };
    let end = last_used.unwrap_or(activation.at).max(activation.at).plus(limit);
    if end <= now { ExpiryPlan::Retire("idle") } else { ExpiryPlan::Later(end) }
}
