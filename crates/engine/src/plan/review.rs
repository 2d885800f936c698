//! The deadline of an identity's review (R93).

use tenure_core::identity::{Identity, IdentityState};
use tenure_core::review::{Review, ReviewState};
use tenure_core::time::Timestamp;

/// What a review demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It is no longer open.
    Nothing,
    /// Nothing until then.
    Later(Timestamp),
    /// What it is about has ended.
    Close,
    /// Nobody answered: the default applies.
    Lapse,
}

/// Decides, given until when an exception lets the answer be late.
pub fn plan(review: &Review, identity: Option<&Identity>, may_be_late_until: Option<Timestamp>, now: Timestamp) -> Plan {
    let ended = |identity: &Identity| !matches!(identity.state, IdentityState::Active | IdentityState::Suspended);
    if review.state != ReviewState::Open {
        Plan::Nothing
    } else if identity.is_none_or(ended) {
        Plan::Close
    } else if review.due_at > now {
        Plan::Later(review.due_at)
    } else {
        match may_be_late_until.filter(|until| *until > now) {
            Some(until) => Plan::Later(until),
            None => Plan::Lapse,
        }
    }
}
