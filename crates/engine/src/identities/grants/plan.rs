//! The end of a grant.

use tenure_core::base::time::Timestamp;
use tenure_core::identity::grant::{Grant, GrantState};

use crate::identities::lifecycle::expiry::Plan;

/// Decides. A grant that was revoked meanwhile needs nothing.
pub fn plan(grant: &Grant, now: Timestamp) -> Plan {
    match grant.state {
        GrantState::Live if grant.ends_at <= now => Plan::Retire("expired"),
        GrantState::Live => Plan::Later(grant.ends_at),
        GrantState::Expired | GrantState::Revoked => Plan::Nothing,
    }
}
