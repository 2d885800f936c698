//! Automatic renewal: when it is decided, and up to when an end moves (R50, R51).

use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState};

/// When the window opens in which an identity's renewal is decided, if it renews by itself.
pub fn opens(identity: &Identity) -> Option<Timestamp> {
    let renewal = identity.charter.renewal.as_ref()?;
    let end = identity.charter.expires_at?;
    (identity.state == IdentityState::Active).then(|| end.minus(renewal.window))
}

/// The end that a renewal gives: later by what the charter says, and never further away than what its tier and its kind
/// allow.
pub fn next_end(identity: &Identity, now: Timestamp) -> Option<Timestamp> {
    let renewal = identity.charter.renewal.as_ref()?;
    let end = identity.charter.expires_at?;
    let ceiling = now.plus(identity.ceilings().max_duration);
    Some(end.plus(renewal.extend_by).min(ceiling)).filter(|next| *next > end)
}
