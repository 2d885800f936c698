//! The deadline of a review that is by itself: who sits it out doesn't keep the identity. Those of a campaign end with it.

use tenure_core::base::id::{PersonId, ReviewId};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, Releaser, SuspensionCause, SuspensionKind};
use tenure_core::people::person::Role;
use tenure_core::request::exception::{Exception, ExceptionSubject, ExceptionType};
use tenure_core::request::review::{Review, ReviewState, ReviewSubject};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::identities::lifecycle;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::work::{self, acknowledge, system};
use crate::reviews::campaigns::tally;
use crate::reviews::plan::{ReviewPlan, plan};

/// Works off the deadline of an identity's review. A person's grant lapses by its own.
pub(crate) async fn work_review(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<ReviewId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Review>(id).await? else {
        return Ok(None);
    };
    let ReviewSubject::Identity(identity) = stored.subject else {
        return Ok(None);
    };
    let identity = kernel.one::<Identity>(identity).await?;
    let late = match &identity {
        Some(identity) => may_be_late_until(kernel, identity, now).await?,
        None => None,
    };
    let next = match plan(&stored, identity.as_ref().map(|identity| identity.state), late, now) {
        ReviewPlan::Nothing => return Ok(None),
        ReviewPlan::Later(at) => return Ok(Some(work::postponed(kernel, claimed, at, now))),
        ReviewPlan::Close => ReviewState::Closed,
        ReviewPlan::Lapse => ReviewState::Lapsed,
    };
    let kind = if next == ReviewState::Lapsed { EventKind::ReviewLapsed } else { EventKind::ReviewClosed };
    let mut event = kernel.event(now, kind).subject(id).fact("trigger", stored.trigger);
    if let Some(identity) = &identity {
        event = event.subject(identity.id);
    }
    if let (ReviewState::Lapsed, Some(identity)) = (next, &identity) {
        let to: Vec<PersonId> = identity.charter.owner.into_iter().collect();
        let text = format!("{}: nobody answered {id} in time. Whoever owns it may resume it.", identity.id);
        event = notify(event, &to, &[Role::Security], "An identity is suspended for an overdue review", &text);
    }
    let mut changeset = Changeset::new(system(), now, event);
    let review = (*stored.value).clone();
    let review = if next == ReviewState::Lapsed { review.lapse()? } else { review.close()? };
    changeset.replace(&stored, &review);
    tally::count(kernel, &mut changeset, &stored, |tally| {
        tally.late = tally.late.saturating_sub(1);
        let count = if next == ReviewState::Lapsed { &mut tally.lapsed } else { &mut tally.closed };
        *count = count.saturating_add(1);
    })
    .await?;
    if let (ReviewState::Lapsed, Some(identity)) = (next, identity) {
        lifecycle::suspend_in(kernel, &mut changeset, &identity, overdue(id, now), now).await?;
    }
    acknowledge(&mut changeset, claimed);
    Ok(Some(changeset))
}

/// That nobody answered a review in time.
pub(crate) fn overdue(id: ReviewId, now: Timestamp) -> SuspensionCause {
    SuspensionCause {
        kind: SuspensionKind::ReviewOverdue,
        placed_by: None,
        releasable_by: Releaser::Owner,
        reason: format!("{id} was not answered in time"),
        at: now,
    }
}

/// Until when an exception in force lets this identity's review be late.
pub(crate) async fn may_be_late_until(
    kernel: &Kernel,
    identity: &Stored<Identity>,
    now: Timestamp,
) -> Result<Option<Timestamp>, OpError> {
    let mut until = None;
    for id in &identity.exceptions {
        let exception = kernel.one::<Exception>(id).await?;
        let waives = |exception: &Exception| {
            exception.kind == ExceptionType::LateReview
                && exception.subject == ExceptionSubject::Identity(identity.id)
                && exception.is_in_force(now)
        };
        until = until.max(exception.filter(|exception| waives(exception)).and_then(|exception| exception.ends_at));
    }
    Ok(until)
}
