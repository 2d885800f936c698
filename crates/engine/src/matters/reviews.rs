//! Reviews: opened by events (R93), answered by whom they are addressed to, and not to be sat out.

pub mod plan;

use tenure_api::person_access::ReviewCompleted;
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::{IdentityId, PersonGrantId, PersonId, ReviewId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState, Releaser, SuspensionCause, SuspensionKind};
use tenure_core::people::person::Role;
use tenure_core::people::person_grant::PersonGrant;
use tenure_core::policy::{Action, Attributes, Value};
use tenure_core::request::exception::{Exception, ExceptionSubject, ExceptionType};
use tenure_core::request::review::{Answered, Review, ReviewAnswer, ReviewState, ReviewSubject};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::access::person_access::grant_deadlines;
use crate::identities::lifecycle;
use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::kernel::query::{ListAsk, Listed};
use crate::kernel::work::{self, acknowledge, system};
use crate::matters::reviews::plan::{ReviewPlan, plan};

impl Listed for Review {
    const NAME: &'static str = "review";
}

/// A page of reviews. Who may not read all of them sees those that are addressed to them.
///
/// # Errors
/// The caller may read none.
pub async fn reviews(
    kernel: &Kernel,
    caller: &Caller,
    mut ask: ListAsk<Review>,
) -> Result<Page<Revised<Review>>, OpError> {
    if authority::can_read(kernel, caller, "review", "", false).is_err() {
        authority::may_read(kernel, caller, "review", "", true).await?;
        let mine = kernel.only_person(caller, "review.list").await?;
        ask = ask.only(Review::REVIEWER.of(mine));
    }
    let (rows, end) = kernel.page(ask).await?;
    let items = rows.into_iter().map(|row| Revised {
        record: (*row.value).clone(),
        revision: row.revision,
        hold: None,
        log: None,
        names: Names::new(),
    });
    Ok(end.page(items.collect()))
}

/// One review.
///
/// # Errors
/// No such review, or the caller may not read it.
pub async fn review(kernel: &Kernel, caller: &Caller, id: ReviewId) -> Result<Revised<Review>, OpError> {
    let stored = kernel.sought::<Review>(caller, "review", id).await?;
    let mine = caller.person_id().is_some() && stored.reviewer == caller.person_id();
    authority::may_read(kernel, caller, "review", &id.to_string(), mine).await?;
    Ok(Revised {
        record: (*stored.value).clone(),
        revision: stored.revision,
        hold: None,
        log: None,
        names: Names::new(),
    })
}

/// Answers a review. To keep needs a fresh sign-in, since it enables; to revoke takes effect in the same commit.
///
/// # Errors
/// It isn't open, its subject has ended, it is addressed to somebody else, or the caller would keep their own access.
pub async fn complete_review(
    kernel: &Kernel,
    caller: &Caller,
    id: ReviewId,
    ask: ReviewCompleted,
) -> Result<Revised<Review>, OpError> {
    let done = kernel
        .recorded(caller, Asked::new(ControlPoint::Review, "review.complete", id), async {
            let by = caller.must_be_person()?;
            if ask.comment.len() > 1_000 {
                return Err(OpError::field("comment", "comment_too_long", "use at most 1000 bytes"));
            }
            let ((review, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Review>("review", id).await?;
                    if stored.state != ReviewState::Open {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            format!("the review is {}", stored.state.as_str()),
                        ));
                    }
                    let review = (*stored.value).clone().answer(Answered {
                        answer: ask.answer,
                        by,
                        at: now,
                        comment: ask.comment.clone(),
                    })?;
                    let changeset = match stored.subject {
                        ReviewSubject::Identity(identity) => {
                            answered_identity(kernel, caller, &stored, &review, identity, now).await?
                        }
                        ReviewSubject::PersonGrant(grant) => {
                            answered_grant(kernel, caller, &stored, &review, grant, now).await?
                        }
                    };
                    Ok((changeset, (review, stored.revision + 1)))
                })
                .await?;
            kernel.changed(review, revision, &committed).await
        })
        .await?;
    Ok(done)
}

async fn answered_identity(
    kernel: &Kernel,
    caller: &Caller,
    stored: &Stored<Review>,
    review: &Review,
    id: IdentityId,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let identity = kernel.must::<Identity>("identity", id).await?;
    let event = may_answer_review(kernel, caller, stored, owns_identity(caller, &identity), now)?.subject(id);
    if !matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("the identity is {}", identity.state.as_str()),
        ));
    }
    let mut changeset = Changeset::new(caller.author(), now, answered(event, review));
    if keeps(review) {
        freshness::freshness(kernel, caller, now).await?.expect(&mut changeset);
        changeset.expect(&identity);
    } else {
        // Whoever answers must be one who may end it besides: its owner, or security.
        kernel.allow(caller, Action::Suspend, inventory("identity", id, ""), owns(owns_identity(caller, &identity)))?;
        lifecycle::retire_in(kernel, &mut changeset, &identity, "review", "a review found that it is not needed", now)
            .await?;
    }
    changeset.replace(stored, review);
    changeset.due.push(DueChange::Clear(DueKind::Review, stored.id.to_string()));
    Ok(changeset)
}

async fn answered_grant(
    kernel: &Kernel,
    caller: &Caller,
    stored: &Stored<Review>,
    review: &Review,
    id: PersonGrantId,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let grant = kernel.must::<PersonGrant>("person grant", id).await?;
    let event = may_answer_review(kernel, caller, stored, false, now)?.subject(id).subject(grant.person);
    if grant.state.is_terminal() || stored.due_at <= now {
        return Err(OpError::because(Reason::IllegalTransition, "the access has ended already"));
    }
    let mut changeset = Changeset::new(caller.author(), now, answered(event, review));
    if keeps(review) {
        // Beyond any policy: nobody keeps what they hold themselves.
        if caller.person_id() == Some(grant.person) {
            return Err(OpError::refused(Reason::SelfApproval));
        }
        freshness::freshness(kernel, caller, now).await?.expect(&mut changeset);
        let kept = PersonGrant { reviewed: true, ..(*grant.value).clone() };
        changeset.replace(&grant, &kept).replace(stored, review);
        changeset.due.push(DueChange::Set(DueKind::PersonGrant, id.to_string(), grant.ends_at));
    } else {
        changeset.event(grant_deadlines::revoked_event(kernel, &grant, "its review found that it is not needed", now));
        changeset.replace(stored, review);
        grant_deadlines::take_back_grant(kernel, &mut changeset, &grant, Some(stored.id), now).await?;
    }
    Ok(changeset)
}

/// That the caller may answer, and the event that says so.
fn may_answer_review(
    kernel: &Kernel,
    caller: &Caller,
    review: &Review,
    owns: bool,
    now: Timestamp,
) -> Result<Event, OpError> {
    let Caller::Person { person, .. } = caller else {
        return Err(OpError::because(Reason::NotAllowed, "only a person answers a review"));
    };
    let addressed = review.reviewer == Some(person.id) || person.holds(Role::Security);
    let context = Attributes::from([("owns", Value::Bool(owns)), ("addressed", Value::Bool(addressed))]);
    let answer = kernel.allow(caller, Action::Review, inventory("review", review.id, ""), context)?;
    Ok(kernel
        .event(now, EventKind::ReviewAnswered)
        .subject(review.id)
        .fact("trigger", review.trigger)
        .fact("assurance", assurance_fact(caller))
        .fact("policies", answer.policies())
        .fact("policy_version", answer.version()))
}

/// Works off the deadline of an identity's review: who sits it out doesn't keep the identity. A person's grant lapses
/// by its own.
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
    let mut review = (*stored.value).clone();
    let kind = match plan(&stored, identity.as_ref().map(|identity| identity.state), late, now) {
        ReviewPlan::Nothing => return Ok(None),
        ReviewPlan::Later(at) => return Ok(Some(work::postponed(kernel, claimed, at, now))),
        ReviewPlan::Close => {
            review = review.close()?;
            EventKind::ReviewClosed
        }
        ReviewPlan::Lapse => {
            review = review.lapse()?;
            EventKind::ReviewLapsed
        }
    };
    let state = review.state.get();
    let mut event = kernel.event(now, kind).subject(id).fact("trigger", stored.trigger);
    if let Some(identity) = &identity {
        event = event.subject(identity.id);
    }
    if let (ReviewState::Lapsed, Some(identity)) = (state, &identity) {
        let to: Vec<PersonId> = identity.charter.owner.into_iter().collect();
        let text = format!("{}: nobody answered {id} in time. Whoever owns it may resume it.", identity.id);
        event = notify(event, &to, &[Role::Security], "An identity is suspended for an overdue review", &text);
    }
    let mut changeset = Changeset::new(system(), now, event);
    changeset.replace(&stored, &review);
    if let (ReviewState::Lapsed, Some(identity)) = (state, identity) {
        let cause = SuspensionCause {
            kind: SuspensionKind::ReviewOverdue,
            placed_by: None,
            releasable_by: Releaser::Owner,
            reason: format!("{id} was not answered in time"),
            at: now,
        };
        lifecycle::suspend_in(kernel, &mut changeset, &identity, cause, now).await?;
    }
    acknowledge(&mut changeset, claimed);
    Ok(Some(changeset))
}

/// Until when an exception in force lets this identity's review be late.
async fn may_be_late_until(kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<Option<Timestamp>, OpError> {
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

fn keeps(review: &Review) -> bool {
    review.answer.as_ref().is_some_and(|answered| answered.answer == ReviewAnswer::Keep)
}

fn answered(event: Event, review: &Review) -> Event {
    event.fact("answer", &review.answer)
}
