//! An identity that nobody uses (R76).

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::{Identity, IdentityState};

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DormancyPlan {
    /// Nothing: it doesn't work anyway.
    Nothing,
    /// Another look then.
    Later(Timestamp),
    /// It has not been used since then, for as long as is allowed.
    Dormant(Timestamp),
}

/// Decides, given when the identity was last used and for how long it may not be. Its activation and its resumption
/// count as a start.
pub fn plan(identity: &Identity, last_used: Option<Timestamp>, limit: Span, now: Timestamp) -> DormancyPlan {
    let (IdentityState::Active, Some(activation)) = (identity.state, &identity.activation) else {
        return DormancyPlan::Nothing;
    };
    let since = [last_used, identity.resumed_at].into_iter().flatten().fold(activation.at, Timestamp::max);
    let end = since.plus(limit);
    if end <= now { DormancyPlan::Dormant(since) } else { DormancyPlan::Later(end) }
}
