//! The review of an identity, opened by an event (R93).

use tenure_core::base::id::{PersonId, ReviewId};
use tenure_core::base::state::InState;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::people::person::Role;
use tenure_core::request::review::{Review, ReviewState, ReviewSubject, ReviewTrigger};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;

/// Opens a review in the commit of the event that asks for it. Without a reviewer it is addressed to security.
pub(crate) fn open_review(
    kernel: &Kernel,
    changeset: &mut Changeset,
    subject: ReviewSubject,
    trigger: ReviewTrigger,
    reviewer: Option<PersonId>,
    now: Timestamp,
) -> Review {
    let (review, event) = review_of(kernel, subject, trigger, reviewer, now.plus(kernel.settings.review_within), now);
    changeset.event(event).insert(&review);
    changeset.due.push(DueChange::Set(DueKind::Review, review.id.to_string(), review.due_at));
    review
}

/// A review and the event that opens it. Whose deadline is its subject's own gets none besides it.
pub(crate) fn review_of(
    kernel: &Kernel,
    subject: ReviewSubject,
    trigger: ReviewTrigger,
    reviewer: Option<PersonId>,
    due_at: Timestamp,
    now: Timestamp,
) -> (Review, Event) {
    let review = Review {
        id: ReviewId::generate(now, kernel.entropy.as_ref()),
        subject,
        trigger,
        reviewer,
        opened_at: now,
        due_at,
        state: InState::default(),
        privileges: Vec::new(),
        answer: None,
        light: false,
        campaign: None,
        tier: None,
        handed_over: Vec::new(),
    };
    let (about, otherwise) = match subject {
        ReviewSubject::Identity(id) => (id.to_string(), "it is suspended"),
        ReviewSubject::PersonGrant(id) => (id.to_string(), "the access lapses"),
    };
    let event = kernel
        .event(now, EventKind::ReviewOpened)
        .subject(review.id)
        .subject(&about)
        .fact("trigger", trigger)
        .fact("reviewer", reviewer)
        .fact("due_at", due_at);
    let text = format!(
        "{}: is {about} still needed as it is? ({})\nWithout an answer by {due_at} {otherwise}.\nAnswer: tenure review complete {} --answer keep|revoke",
        review.id,
        trigger.as_str(),
        review.id
    );
    let to: Vec<PersonId> = reviewer.into_iter().collect();
    let roles: &[Role] = if to.is_empty() { &[Role::Security] } else { &[] };
    (review, notify(event, &to, roles, "A review waits for your answer", &text))
}

/// Opens a review of an identity whose key was replaced (R93). One that is open already covers what came since.
pub(crate) async fn review_rotation(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &Identity,
    now: Timestamp,
) -> Result<(), OpError> {
    let trigger = ReviewTrigger::Rotation;
    let open =
        Query::of([Review::IDENTITY.of(identity.id), Review::STATE.of(ReviewState::Open), Review::TRIGGER.of(trigger)]);
    if kernel.find(open.limit(1)).await?.readable().is_empty() {
        let light = kernel.settings.rotation_review.is_light(identity.tier);
        let due_at = now.plus(kernel.settings.review_within);
        let subject = ReviewSubject::Identity(identity.id);
        let (review, event) = review_of(kernel, subject, trigger, reviewer_of(identity), due_at, now);
        let review = Review { light, ..review };
        changeset.event(event.fact("light", light)).insert(&review);
        changeset.due.push(DueChange::Set(DueKind::Review, review.id.to_string(), review.due_at));
    }
    Ok(())
}

/// Who is asked about an identity: its owner, or the backup while its owner has left.
pub(crate) fn reviewer_of(identity: &Identity) -> Option<PersonId> {
    match &identity.transfer {
        Some(window) => window.interim,
        None => identity.charter.owner,
    }
}
