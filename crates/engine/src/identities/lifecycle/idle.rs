//! The end of an identity that is not used.

use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState, RetirementCondition};

use crate::identities::lifecycle::expiry::Plan;

/// Decides, given when the identity was last used. An identity that was never used counts from its activation.
pub fn plan(identity: &Identity, last_used: Option<Timestamp>, now: Timestamp) -> Plan {
    if !matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
        return Plan::Nothing;
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
        return Plan::Nothing;
    };
    let end = last_used.unwrap_or(activation.at).max(activation.at).plus(limit);
    if end <= now { Plan::Retire("idle") } else { Plan::Later(end) }
}
