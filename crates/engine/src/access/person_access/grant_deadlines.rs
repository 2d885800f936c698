//! A person's grant falls due: it begins, its early review opens, it lapses, it ends.

use tenure_core::base::id::{PersonGrantId, ReviewId};
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Person;
use tenure_core::people::person_grant::{PersonGrant, PersonGrantState};
use tenure_core::request::review::{Review, ReviewState, ReviewSubject, ReviewTrigger};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::access::person_access;
use crate::access::person_access::plan::{AccessPlan, plan, started};
use crate::identities::review_opening;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work::{self, acknowledge, system};

/// Works off what a person's grant demands.
pub(crate) async fn work_person_grant(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<PersonGrantId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<PersonGrant>(id).await? else {
        return Ok(None);
    };
    let person = kernel.one::<Person>(stored.person).await?;
    let state = person.as_ref().map(|person| person.state);
    let reviews = kernel.find(Query::of([Review::PERSON_GRANT.of(id)]).limit(1)).await?.readable();
    Ok(match (plan(&stored, state, !reviews.is_empty(), now), person) {
        (AccessPlan::Nothing, _) => None,
        (AccessPlan::Later(at), _) => Some(work::postponed(kernel, claimed, at, now)),
        (AccessPlan::Start, Some(person)) => Some(begun(kernel, claimed, &stored, &person, now)),
        (AccessPlan::Review, Some(person)) => Some(early_review(kernel, claimed, &stored, &person, now).await?),
        (AccessPlan::Start | AccessPlan::Review, None) => None,
        (AccessPlan::End { because, unreviewed }, _) => {
            let event = person_access::person_grant_event(kernel, &stored, EventKind::PersonGrantExpired, now)
                .fact("because", because);
            let text = format!("{}: {because}. Ask for it again if it is still needed.", stored.id);
            let mut changeset =
                Changeset::new(system(), now, notify(event, &[stored.person], &[], "Access of yours has ended", &text));
            let ended = PersonGrant { state: PersonGrantState::Expired, ..(*stored.value).clone() };
            changeset.replace(&stored, &ended);
            settle_reviews(kernel, &mut changeset, id, None, unreviewed, now).await?;
            acknowledge(&mut changeset, claimed);
            Some(changeset)
        }
    })
}

/// It begins, for a person who is at work when that happens.
fn begun(
    kernel: &Kernel,
    claimed: &Claimed,
    stored: &Stored<PersonGrant>,
    person: &Stored<Person>,
    now: Timestamp,
) -> Changeset {
    let grant = started(stored, now);
    let event = person_access::person_grant_event(kernel, &grant, EventKind::PersonGrantStarted, now)
        .fact("request", grant.request)
        .fact("starts_at", grant.starts_at)
        .fact("ends_at", grant.ends_at)
        .fact("review_by", grant.review_by);
    let mut changeset = Changeset::new(system(), now, event);
    let next = match plan(&grant, Some(person.state), false, now) {
        AccessPlan::Later(at) => at,
        _ => now,
    };
    changeset.expect(person).replace(stored, &grant);
    changeset.due.push(DueChange::Retry(DueKind::PersonGrant, claimed.subject.clone(), claimed.fence, next));
    changeset
}

/// The manager as recorded now is asked whether it is still needed (R116).
async fn early_review(
    kernel: &Kernel,
    claimed: &Claimed,
    stored: &Stored<PersonGrant>,
    person: &Person,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let reviewer = person_access::approving_manager(kernel, person).await?;
    let (review, event) = review_opening::review_of(
        kernel,
        ReviewSubject::PersonGrant(stored.id),
        ReviewTrigger::Early,
        reviewer,
        stored.review_by,
        now,
    );
    let event = event.subject(stored.person).fact("entitlement", &stored.entitlement);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.expect(stored).insert(&review);
    changeset.due.push(DueChange::Retry(
        DueKind::PersonGrant,
        claimed.subject.clone(),
        claimed.fence,
        stored.review_by,
    ));
    Ok(changeset)
}

/// That a grant was taken back, and why.
pub(crate) fn revoked_event(kernel: &Kernel, grant: &PersonGrant, because: &str, now: Timestamp) -> Event {
    person_access::person_grant_event(kernel, grant, EventKind::PersonGrantRevoked, now).fact("because", because)
}

/// Takes back a grant that has not ended, with its deadline and its open review, unless that is what was `answered`.
/// The caller writes the event.
pub(crate) async fn take_back_grant(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<PersonGrant>,
    answered: Option<ReviewId>,
    now: Timestamp,
) -> Result<PersonGrant, OpError> {
    let grant = PersonGrant { state: PersonGrantState::Revoked, ..(*stored.value).clone() };
    changeset.replace(stored, &grant);
    changeset.due.push(DueChange::Clear(DueKind::PersonGrant, grant.id.to_string()));
    settle_reviews(kernel, changeset, grant.id, answered, false, now).await?;
    Ok(grant)
}

/// The open review of a grant that ends goes with it.
async fn settle_reviews(
    kernel: &Kernel,
    changeset: &mut Changeset,
    grant: PersonGrantId,
    answered: Option<ReviewId>,
    lapses: bool,
    now: Timestamp,
) -> Result<(), OpError> {
    let open = Query::of([Review::PERSON_GRANT.of(grant), Review::STATE.of(ReviewState::Open)]);
    let open = kernel.find(open.limit(10)).await?.readable();
    for stored in open.into_iter().filter(|review| Some(review.id) != answered) {
        let review = (*stored.value).clone();
        let (review, kind) = if lapses {
            (review.lapse()?, EventKind::ReviewLapsed)
        } else {
            (review.close()?, EventKind::ReviewClosed)
        };
        let event = kernel.event(now, kind).subject(review.id).subject(grant);
        changeset.event(event).replace(&stored, &review);
    }
    Ok(())
}
