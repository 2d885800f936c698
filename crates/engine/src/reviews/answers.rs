//! Answers: kept, narrowed or revoked, by whom the review is addressed to, or who answers for them.

use std::sync::Arc;

use tenure_api::reviews::ReviewCompleted;
use tenure_api::views::Revised;
use tenure_core::base::id::{IdentityId, PersonGrantId, PersonId, ReviewId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;

use tenure_core::identity::right_size::Withheld;
use tenure_core::identity::{CharterDraft, Identity, IdentityState, narrows};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::people::person::{Person, Role};
use tenure_core::people::person_grant::PersonGrant;
use tenure_core::policy::{Action, Attributes, Value};
use tenure_core::request::review::{Answered, Review, ReviewAnswer, ReviewState, ReviewSubject};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::access::person_access::grant_deadlines;
use crate::identities::identity_facts::served_by;
use crate::identities::{charter, lifecycle};
use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::operation::Asked;
use crate::matters::right_size;
use crate::reviews::campaigns::tally;
use crate::reviews::facts;

/// Answers a review. To keep needs a fresh sign-in, since it enables; to narrow and to revoke take effect in the same
/// commit.
///
/// # Errors
/// It isn't open, its subject has ended, it is addressed to somebody else, the caller would keep what they gain by, or
/// what is to be left is not less.
pub async fn complete_review(
    kernel: &Kernel,
    caller: &Caller,
    id: ReviewId,
    ask: ReviewCompleted,
) -> Result<Revised<Review>, OpError> {
    let done = kernel
        .recorded(caller, Asked::new(ControlPoint::Review, "review.complete", id), async {
            let by = caller.must_be_person()?;
            check(&ask)?;
            let ((review, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Review>("review", id).await?;
                    must_be_open(&stored)?;
                    let answering = Answering { kernel, caller, stored: &stored, ask: &ask, by, now };
                    let (changeset, review) = match stored.subject {
                        ReviewSubject::Identity(identity) => answering.of_identity(identity).await?,
                        ReviewSubject::PersonGrant(grant) => answering.of_grant(grant).await?,
                    };
                    Ok((changeset, (review, stored.revision + 1)))
                })
                .await?;
            kernel.changed(review, revision, &committed).await
        })
        .await?;
    Ok(done)
}

fn check(ask: &ReviewCompleted) -> Result<(), OpError> {
    if ask.comment.len() > 1_000 {
        return Err(OpError::field("comment", "comment_too_long", "use at most 1000 bytes"));
    }
    if ask.scope.is_some() && ask.answer != ReviewAnswer::Narrow {
        return Err(OpError::field("scope", "scope_unfit", "only who narrows says what is left: answer `narrow`"));
    }
    Ok(())
}

pub(crate) fn must_be_open(review: &Review) -> Result<(), OpError> {
    match review.state.get() {
        ReviewState::Open => Ok(()),
        state => Err(OpError::because(Reason::IllegalTransition, format!("the review is {}", state.as_str()))),
    }
}

/// An answer that is being decided.
struct Answering<'a> {
    kernel: &'a Kernel,
    caller: &'a Caller,
    stored: &'a Stored<Review>,
    ask: &'a ReviewCompleted,
    by: PersonId,
    now: Timestamp,
}

impl Answering<'_> {
    fn answered(&self, dropped: Vec<Entitlement>) -> Result<Review, OpError> {
        let (answer, comment) = (self.ask.answer, self.ask.comment.clone());
        let answered = Answered { answer, by: self.by, at: self.now, comment, dropped };
        Ok((*self.stored.value).clone().answer(answered)?)
    }

    async fn of_identity(&self, id: IdentityId) -> Result<(Changeset, Review), OpError> {
        let Self { kernel, caller, stored, ask, now, .. } = *self;
        let identity = kernel.must::<Identity>("identity", id).await?;
        let May { event, owns: is_owners } = may_answer(kernel, caller, stored, Some(&identity), now).await?;
        if !matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
            return Err(OpError::because(
                Reason::IllegalTransition,
                format!("the identity is {}", identity.state.as_str()),
            ));
        }
        if !is_owners && stored.handed_over.last().is_some_and(|handed| handed.to == self.by) {
            let hint = "it was handed over to you: take the identity over first (`tenure transfer accept`), or decline";
            return Err(OpError::because(Reason::IllegalTransition, hint));
        }
        let event = event.subject(id);
        let (mut changeset, review) = match ask.answer {
            ReviewAnswer::Keep => {
                gains_nothing(kernel, self.by, &identity, now).await?;
                let review = self.answered(Vec::new())?;
                let mut changeset = Changeset::new(caller.author(), now, told(event, &review));
                freshness::freshness(kernel, caller, now).await?.expect(&mut changeset);
                changeset.replace(&identity, &Identity { reviewed_at: Some(now), ..(*identity.value).clone() });
                (changeset, review)
            }
            ReviewAnswer::Narrow => {
                gains_nothing(kernel, self.by, &identity, now).await?;
                kernel.allow(caller, Action::Revoke, inventory("identity", id, ""), owns(is_owners))?;
                let narrower = self.narrower(&identity).await?;
                let review = self.answered(dropped(&identity.charter.scope, &narrower.scope))?;
                let mut changeset = Changeset::new(caller.author(), now, told(event, &review));
                freshness::freshness(kernel, caller, now).await?.expect(&mut changeset);
                let reviewed = Identity { reviewed_at: Some(now), ..(*identity.value).clone() };
                let kept = Stored { value: Arc::new(reviewed), ..identity.clone() };
                charter::rechartered(kernel, &mut changeset, &kept, narrower, None, now).await?;
                (changeset, review)
            }
            ReviewAnswer::Revoke => {
                // Whoever answers must be one who may end it besides: its owner, or security.
                kernel.allow(caller, Action::Suspend, inventory("identity", id, ""), owns(is_owners))?;
                let review = self.answered(Vec::new())?;
                let mut changeset = Changeset::new(caller.author(), now, told(event, &review));
                let why = "a review found that it is not needed";
                lifecycle::retire_in(kernel, &mut changeset, &identity, "review", why, now).await?;
                (changeset, review)
            }
        };
        changeset.replace(stored, &review);
        changeset.due.push(DueChange::Clear(DueKind::Review, stored.id.to_string()));
        tally::answered(kernel, &mut changeset, stored, ask.answer).await?;
        Ok((changeset, review))
    }

    /// The charter that is left: with the scope that was asked for, or the one that the review proposes. Tasks keep to it.
    async fn narrower(&self, identity: &Stored<Identity>) -> Result<CharterDraft, OpError> {
        let scope = match &self.ask.scope {
            Some(scope) => scope.clone(),
            None => facts::proposal_of(self.kernel, identity, self.now).await?.map_err(|withheld| {
                let hint = withheld.map_or("nothing is left to take away", Withheld::hint);
                OpError::field("scope", "nothing_to_narrow", &format!("{hint}; else say yourself what is left"))
            })?,
        };
        let charter = right_size::narrowed(&identity.charter, &scope);
        if charter.scope == identity.charter.scope || !narrows(&identity.charter, &charter) {
            let hint = "name less than its charter allows now: what is wider takes a request";
            return Err(OpError::field("scope", "not_narrower", hint));
        }
        identity.complete_with(&charter).map_err(OpError::Invalid)?;
        Ok(charter)
    }

    async fn of_grant(&self, id: PersonGrantId) -> Result<(Changeset, Review), OpError> {
        let Self { kernel, caller, stored, ask, now, .. } = *self;
        let grant = kernel.must::<PersonGrant>("person grant", id).await?;
        let May { event, .. } = may_answer(kernel, caller, stored, None, now).await?;
        let event = event.subject(id).subject(grant.person);
        if grant.state.is_terminal() || stored.due_at <= now {
            return Err(OpError::because(Reason::IllegalTransition, "the access has ended already"));
        }
        let review = self.answered(Vec::new())?;
        let mut changeset = Changeset::new(caller.author(), now, told(event, &review));
        match ask.answer {
            ReviewAnswer::Keep => {
                // Beyond any policy: nobody keeps what they hold themselves.
                if caller.person_id() == Some(grant.person) {
                    return Err(OpError::refused(Reason::SelfApproval));
                }
                freshness::freshness(kernel, caller, now).await?.expect(&mut changeset);
                let kept = PersonGrant { reviewed: true, ..(*grant.value).clone() };
                changeset.replace(&grant, &kept).replace(stored, &review);
                changeset.due.push(DueChange::Set(DueKind::PersonGrant, id.to_string(), grant.ends_at));
            }
            ReviewAnswer::Narrow => {
                let hint = "what a person holds is kept or revoked: each grant is reviewed by itself";
                return Err(OpError::field("answer", "answer_unfit", hint));
            }
            ReviewAnswer::Revoke => {
                let why = "its review found that it is not needed";
                changeset.event(grant_deadlines::revoked_event(kernel, &grant, why, now));
                changeset.replace(stored, &review);
                grant_deadlines::take_back_grant(kernel, &mut changeset, &grant, Some(stored.id), now).await?;
            }
        }
        Ok((changeset, review))
    }
}

/// That the caller may answer.
pub(crate) struct May {
    /// The event that says so.
    pub event: Event,
    /// Whether they answer for the identity as its owner does: they own it, or answer in its owner's place.
    pub owns: bool,
}

/// That the caller may answer. Besides whom it is addressed to, that is who stands in for them, security, and, once two
/// thirds of its time are over, who manages them.
pub(crate) async fn may_answer(
    kernel: &Kernel,
    caller: &Caller,
    review: &Stored<Review>,
    identity: Option<&Identity>,
    now: Timestamp,
) -> Result<May, OpError> {
    let Caller::Person { person, .. } = caller else {
        return Err(OpError::because(Reason::NotAllowed, "only a person answers a review"));
    };
    let is_owner = identity.is_some_and(|identity| owns_identity(caller, identity));
    let mut instead_of = None;
    if let Some(reviewer) = review.reviewer.filter(|reviewer| *reviewer != person.id && !is_owner) {
        let reviewer = kernel.one::<Person>(reviewer).await?;
        let stands_in = |reviewer: &Person| reviewer.stand_in_at(now).is_some_and(|named| named.person == person.id);
        let manages = |reviewer: &Person| reviewer.manager == Some(person.id) && review.escalates_at() <= now;
        instead_of = reviewer.filter(|reviewer| stands_in(reviewer) || manages(reviewer)).map(|reviewer| reviewer.id);
    }
    let owner = identity.and_then(|identity| identity.charter.owner);
    let owns = is_owner || (instead_of.is_some() && instead_of == owner);
    let addressed = review.reviewer == Some(person.id) || instead_of.is_some() || person.holds(Role::Security);
    let context = Attributes::from([("owns", Value::Bool(owns)), ("addressed", Value::Bool(addressed))]);
    let answer = kernel.allow(caller, Action::Review, inventory("review", review.id, ""), context)?;
    let event = kernel
        .event(now, EventKind::ReviewAnswered)
        .subject(review.id)
        .fact("trigger", review.trigger)
        .fact("assurance", assurance_fact(caller))
        .fact("policies", answer.policies())
        .fact("policy_version", answer.version());
    let event = match instead_of {
        Some(reviewer) => event.fact("instead_of", reviewer),
        None => event,
    };
    Ok(May { event, owns })
}

/// Beyond any policy: who runs an identity, or gains by it, without answering for it says nothing about what it keeps
/// (S-8).
async fn gains_nothing(
    kernel: &Kernel,
    by: PersonId,
    identity: &Stored<Identity>,
    now: Timestamp,
) -> Result<(), OpError> {
    if identity.charter.owner == Some(by) {
        return Ok(());
    }
    let served = served_by(kernel, identity, &identity.charter, now).await?;
    if served.people.contains(&by) {
        return Err(OpError::refused(Reason::SelfApproval));
    }
    Ok(())
}

fn told(event: Event, review: &Review) -> Event {
    event.fact("answer", &review.answer)
}

/// What one scope names and another one doesn't.
fn dropped(before: &[Entitlement], after: &[Entitlement]) -> Vec<Entitlement> {
    let gone = |entitlement: &Entitlement| {
        let gone = entitlement.actions.iter().filter(|action| !charter::covers(after, action, &entitlement.resource));
        Entitlement { actions: gone.cloned().collect(), resource: entitlement.resource.clone() }
    };
    before.iter().map(gone).filter(|entitlement| !entitlement.actions.is_empty()).collect()
}
