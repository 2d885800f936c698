//! What suspends an identity, as its cause and its event.

use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState, SuspensionCause, SuspensionKind};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::credentials::holds::releaser;
use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;

pub(crate) fn suspended_event(kernel: &Kernel, id: IdentityId, cause: &SuspensionCause, now: Timestamp) -> Event {
    kernel
        .event(now, EventKind::IdentitySuspended)
        .subject(id)
        .fact("cause", cause.kind)
        .fact("reason", &cause.reason)
        .fact("releasable_by", cause.releasable_by)
}

/// What is suspended by hand, nobody who did it releases: of the owner's own suspensions security is left, of the
/// identity's own the owner, too.
pub(crate) fn cause_by_hand(caller: &Caller, reason: &str, now: Timestamp) -> SuspensionCause {
    SuspensionCause {
        kind: SuspensionKind::ByHand,
        placed_by: caller.person_id(),
        releasable_by: releaser(caller),
        reason: reason.to_owned(),
        at: now,
    }
}

/// Suspends an identity that is cut in the same commit, if it can still work; what it holds is cut anyway.
pub(crate) fn suspend_with_cut(
    kernel: &Kernel,
    caller: &Caller,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    reason: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let can_work = matches!(stored.state, IdentityState::Active | IdentityState::Suspended);
    if !can_work {
        changeset.expect(stored);
        return Ok(());
    }
    let cause = cause_by_hand(caller, reason, now);
    changeset.event(suspended_event(kernel, stored.id, &cause, now));
    let identity = (*stored.value).clone().suspend(cause)?;
    changeset.replace(stored, &identity);
    Ok(())
}
