//! The end of a grant.

use tenure_core::base::time::Timestamp;
use tenure_core::identity::grant::{Grant, GrantState};

use crate::identities::lifecycle::expiry::ExpiryPlan;

/// Decides. A grant that was revoked meanwhile needs nothing.
pub fn plan(grant: &Grant, now: Timestamp) -> ExpiryPlan {
    match grant.state {
        GrantState::Live if grant.ends_at <= now => ExpiryPlan::Retire("expired"),
        GrantState::Live => ExpiryPlan::Later(grant.ends_at),
        GrantState::Expired | GrantState::Revoked => ExpiryPlan::Nothing,
    }
}
