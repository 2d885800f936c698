//! One life cycle for whatever is trusted to speak for others: proposed by one administrator, confirmed by another,
//! removed by any (S-12, S-13). Where there never was a second administrator, proposing is confirming, and the record
//! says so (S-10).

use tenure_api::views::Revised;
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::Reason;
use tenure_core::base::state::BadStep;
use tenure_core::base::time::Timestamp;
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Record;
use tenure_core::trust::state::TrustState;

use crate::kernel::Kernel;
use crate::kernel::administrators;
use crate::kernel::authority::{self, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, Freshness, assurance_fact};
use crate::kernel::operation::{Asked, check_reason};

/// The names of what happens to a sort of registration.
pub(crate) struct Names {
    /// In messages.
    pub what: &'static str,
    /// In policies.
    pub kind: &'static str,
    /// The operation of confirming, for refusals.
    pub confirm: &'static str,
    /// The operation of removing, for refusals.
    pub remove: &'static str,
    /// The event of a confirmation.
    pub activated: EventKind,
    /// The event of a removal.
    pub removed: EventKind,
}

/// A registration with this life cycle.
pub(crate) trait Trusted: Record + Clone {
    const NAMES: Names;
    fn state(&self) -> TrustState;
    fn proposed_by(&self) -> PersonId;
    /// The record once this person has confirmed it.
    fn confirmed(self, by: PersonId) -> Result<Self, BadStep>;
    /// The record once it is removed, without its secrets.
    fn removed(self) -> Result<Self, BadStep>;
}

/// What a proposal comes to.
pub(crate) struct Proposing {
    /// Whether there never was a second administrator: then proposing is confirming.
    pub alone: bool,
    fresh: Option<Freshness>,
}

/// What proposing something comes to now. Alone, it takes a fresh sign-in, as confirming does.
pub(crate) async fn proposing(kernel: &Kernel, caller: &Caller, now: Timestamp) -> Result<Proposing, OpError> {
    let alone = administrators::is_alone(kernel).await?;
    let fresh = if alone { Some(freshness::freshness(kernel, caller, now).await?) } else { None };
    Ok(Proposing { alone, fresh })
}

/// The changeset of a proposal.
pub(crate) fn proposal<T: Trusted>(
    kernel: &Kernel,
    caller: &Caller,
    now: Timestamp,
    proposing: Proposing,
    record: &T,
    proposed: Event,
) -> Changeset {
    let mut changeset = Changeset::new(caller.author(), now, proposed);
    if let Some(fresh) = proposing.fresh {
        fresh.expect(&mut changeset);
        let activated = kernel
            .event(now, T::NAMES.activated)
            .subject(record.row_id())
            .fact("single_person", true)
            .fact("assurance", assurance_fact(caller));
        changeset.event(activated);
    }
    changeset.insert(record);
    changeset
}

/// Confirms what somebody else proposed.
pub(crate) async fn confirm_trusted<T: Trusted>(
    kernel: &Kernel,
    caller: &Caller,
    id: &str,
) -> Result<Revised<T>, OpError> {
    let Names { what, kind, confirm, activated, .. } = T::NAMES;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, confirm, id), async {
            let ((record, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<T>(what, id).await?;
                    let confirmed_by = authority::second_person(kernel, caller, kind, id, stored.proposed_by())?;
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    if stored.state() != TrustState::Proposed {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            format!("only a proposed {what} can be confirmed"),
                        ));
                    }
                    let record = (*stored.value).clone().confirmed(confirmed_by)?;
                    let event = kernel
                        .event(now, activated)
                        .subject(id)
                        .subject(stored.proposed_by())
                        .fact("single_person", false)
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &record);
                    Ok((changeset, (record, stored.revision + 1)))
                })
                .await?;
            kernel.changed(record, revision, &committed).await
        })
        .await
}

/// Ends the trust in something, for ever. One administrator is enough to take trust away, or one person of security.
pub(crate) async fn remove_trusted<T: Trusted>(
    kernel: &Kernel,
    caller: &Caller,
    id: &str,
    reason: Option<&str>,
) -> Result<Revised<T>, OpError> {
    let Names { what, kind, remove, removed, .. } = T::NAMES;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, remove, id), async {
            kernel.allow_taking_back(caller, Action::Trust, &inventory(kind, id, ""))?;
            reason.map_or(Ok(()), check_reason)?;
            let ((record, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<T>(what, id).await?;
                    if stored.state() == TrustState::Removed {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            format!("the {what} was removed before"),
                        ));
                    }
                    let from = stored.state().as_str();
                    let record = (*stored.value).clone().removed()?;
                    let mut event = kernel.event(now, removed).subject(id).fact("from", from);
                    if let Some(reason) = reason {
                        event = event.fact("reason", reason);
                    }
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.replace(&stored, &record);
                    Ok((changeset, (record, stored.revision + 1)))
                })
                .await?;
            kernel.changed(record, revision, &committed).await
        })
        .await
}
