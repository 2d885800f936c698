//! Votes: judged by policy for the place that the voter fills, and by the kernel for everything that no policy can
//! change (S-8, S-9).

use tenure_api::request::{NewVote, RequestView};
use tenure_api::views::IdentityView;
use tenure_core::base::id::{IdentityId, RequestId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{BadTransition, Identity, IdentityState};
use tenure_core::people::person::{Person, Role};
use tenure_core::policy::Question;
use tenure_core::policy::set::PolicySet;
use tenure_core::request::{BadVote, Place, Request, RequestState, Vote};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::identities::view;
use crate::kernel::Kernel;
use crate::kernel::authority::inventory;
use crate::kernel::caller::{self, Caller};
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::load::expect;
use crate::kernel::operation::Asked;
use crate::matters::policies::proposal;
use crate::matters::{fulfilment, matter_facts};
use crate::requests::content::is_hash_of;
use crate::requests::facts::MatterFacts;
use crate::requests::route::{self, not_open};
use crate::requests::stand_in;
use crate::requests::vote::{self, Voter};

/// Votes on a request. The last vote that it needs fulfils it in the same commit.
///
/// # Errors
/// It isn't open or is not what the voter read; the voter fills no open place, asked for it, or needs a fresh sign-in.
pub async fn vote(
    kernel: &Kernel,
    caller: &Caller,
    id: RequestId,
    approves: bool,
    ask: NewVote,
) -> Result<RequestView, OpError> {
    let operation = if approves { "request.approve" } else { "request.deny" };
    kernel
        .recorded(caller, Asked::new(ControlPoint::Approve, operation, id), async {
            let by = caller.must_be_person()?;
            if ask.comment.len() > 1_000 {
                return Err(OpError::field("comment", "comment_too_long", "use at most 1000 bytes"));
            }
            let ((request, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    // The voter as they are now, not as they were when they were let in: their teams and roles decide.
                    let caller = &caller::still(kernel, caller).await?;
                    let stored = kernel.must::<Request>("request", id).await?;
                    if stored.state != RequestState::Open {
                        return Err(not_open(stored.state));
                    }
                    if ask.content_hash != stored.content_hash {
                        return Err(BadVote::ContentChanged.into());
                    }
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let mut facts = matter_facts::facts(kernel, stored.requested_by, &stored.matter, now).await?;
                    facts.keep_out(&stored);
                    if !is_hash_of(&stored.content_hash, &facts, &stored.purpose)? {
                        return Err(OpError::because(
                            Reason::RequestChanged,
                            "what the request is about was changed since it was asked: amend it, and read it again",
                        ));
                    }
                    let mut request = match as_it_stands(kernel, &stored, &mut facts).await {
                        // What no route leads to any more can still be denied.
                        Err(OpError::Refused { .. }) if !approves => (*stored.value).clone(),
                        stands => stands?,
                    };
                    let absent = stand_in::absent(kernel, caller, &request, now).await?;
                    let filled = vote::place_of(kernel, caller, fresh, &request, &facts, &absent, now)?;
                    let place = filled.place;
                    request = request.vote(Vote {
                        by,
                        approves,
                        place,
                        at: now,
                        content_hash: ask.content_hash.clone(),
                        purpose: stored.purpose.clone(),
                        policy_version: route::judging_set(kernel, &facts).version(),
                        assurance: vote::assurance(caller),
                        comment: ask.comment.clone(),
                        instead_of: filled.absent.map(|absent| absent.id),
                    })?;
                    let mut changeset = Changeset::new(
                        caller.author(),
                        now,
                        vote::vote_event(kernel, caller, &request, place, approves, &filled.answer, now),
                    );
                    fresh.expect(&mut changeset);
                    if let Some(absent) = filled.absent {
                        changeset.expect(absent);
                    }
                    if let Caller::Person { person, .. } = caller {
                        changeset.expect(person);
                    }
                    changeset.expects.extend(facts.expects);
                    match request.state {
                        RequestState::Approved => {
                            fulfilment::fulfil_or_wait(kernel, &mut changeset, &mut request, now).await?
                        }
                        RequestState::Denied => {
                            fulfilment::undo_proposal(kernel, &mut changeset, &request, now).await?;
                            changeset.due.push(DueChange::Clear(DueKind::Request, id.to_string()));
                        }
                        _ => {
                            let title = "A request waits for your answer";
                            route::tell_approvers(kernel, &mut changeset, &request, title, now).await?;
                        }
                    }
                    changeset.replace(&stored, &request);
                    Ok((changeset, (request, stored.revision + 1)))
                })
                .await?;
            route::request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

/// The request with only those votes that still count: of persons who would be let vote so today, under the policy set
/// in force (S-8). Another policy set may mean another route, and so may the facts: an exception that has ended,
/// another risk tier.
pub(crate) async fn as_it_stands(
    kernel: &Kernel,
    stored: &Request,
    facts: &mut MatterFacts,
) -> Result<Request, OpError> {
    let mut request = stored.clone();
    let mut judged = facts.clone();
    judged.context.owns = facts.owns(stored.requested_by);
    let asker = route::asker_entity(kernel, stored.requested_by).await?;
    let judge = route::judging_set(kernel, facts);
    let answer = judge.decide(&Question {
        principal: asker.clone(),
        action: stored.route.action(),
        resource: inventory("request", "", &facts.environment),
        context: judged.context.attributes(),
    });
    let of_class = request.class.routes().contains(&request.route);
    if !of_class || judge.version() != request.policy_version || tenure_core::credential::gate::check(&answer).is_err()
    {
        let (route, answer) = Box::pin(route::choose_route(kernel, asker, &judged)).await?;
        request.route = route;
        request.policies = answer.policies().to_vec();
        request.policy_version = answer.version().to_owned();
        request.votes.clear();
    }
    request.single_person = facts.context.single_person;
    let votes = std::mem::take(&mut request.votes);
    for vote in votes {
        let Some(person) = kernel.one::<Person>(vote.by).await? else {
            continue;
        };
        let absent = match vote.instead_of {
            Some(absent) => kernel.one::<Person>(absent).await?,
            None => None,
        };
        // A stand-in's vote is good as long as they are the one who was named, also when the other is back in time.
        let fills = match (vote.instead_of, &absent) {
            (None, _) => vote::fills(&person, vote.place, &request, facts),
            (Some(_), Some(absent)) => {
                vote::fills_for(&person, absent, vote.place, &request, facts, vote.at)
                    && vote::may_still_vote(kernel, absent, vote.place, &request, facts)
            }
            (Some(_), None) => false,
        };
        let still = fills
            && !vote::is_kept_out(&person, &request, facts)
            && vote::may_still_vote(kernel, &person, vote.place, &request, facts);
        if still {
            facts.expects.push(expect(&person));
            facts.expects.extend(absent.as_ref().map(expect));
            request.votes.push(vote);
        }
    }
    Ok(request)
}

/// Whether who asks decides it, too: the only administrator there is, and nobody else in their place (S-10).
pub(crate) fn decides_alone(caller: &Caller, request: &Request) -> bool {
    request.single_person && matches!(caller, Caller::Person { person, .. } if person.holds(Role::Administrator))
}

/// The vote of the only administrator there is, on their own request (S-10), which fulfils it.
pub(crate) async fn vote_alone(
    kernel: &Kernel,
    caller: &Caller,
    changeset: &mut Changeset,
    request: &mut Request,
    now: Timestamp,
) -> Result<(), OpError> {
    approve_alone(kernel, caller, changeset, request, now).await?;
    fulfilment::fulfil_or_wait(kernel, changeset, request, now).await
}

/// The same for a policy set that the same commit proposes.
pub(crate) async fn vote_alone_on_policy(
    kernel: &Kernel,
    caller: &Caller,
    changeset: &mut Changeset,
    request: &mut Request,
    set: &mut PolicySet,
    facts: &MatterFacts,
    now: Timestamp,
) -> Result<(), OpError> {
    let Caller::Person { person, .. } = caller else {
        return Err(OpError::because(Reason::NotAllowed, "only a person votes"));
    };
    let voter = Voter {
        place: Place::Administrator,
        fills: vote::fills(person, Place::Administrator, request, facts),
        same_person: false,
        fresh: freshness::freshness(kernel, caller, now).await?,
    };
    vote::allowed_by_proposed(person, request, facts, vote::context_of(voter, request, facts))?;
    approve_alone(kernel, caller, changeset, request, now).await?;
    proposal::put_in_force(kernel, changeset, set, request, now).await?;
    route::close_fulfilled(kernel, changeset, request, now);
    Ok(())
}

pub(crate) async fn approve_alone(
    kernel: &Kernel,
    caller: &Caller,
    changeset: &mut Changeset,
    request: &mut Request,
    now: Timestamp,
) -> Result<(), OpError> {
    let by = caller.must_be_person()?;
    let fresh = freshness::freshness(kernel, caller, now).await?;
    fresh.expect(changeset);
    *request = request.clone().vote(Vote {
        by,
        approves: true,
        place: Place::Administrator,
        at: now,
        content_hash: request.content_hash.clone(),
        purpose: request.purpose.clone(),
        policy_version: request.policy_version.clone(),
        assurance: vote::assurance(caller),
        comment: "there is no second administrator".into(),
        instead_of: None,
    })?;
    let event = kernel
        .event(now, EventKind::RequestApproved)
        .subject(request.id)
        .fact("workflow", request.workflow())
        .fact("purpose", &request.purpose)
        .fact("approved_by", request.approvers())
        .fact("single_person", true)
        .fact("assurance", assurance_fact(caller))
        .fact("policy_version", &request.policy_version);
    changeset.event(event);
    Ok(())
}

/// A vote for the activation of a pending identity.
///
/// # Errors
/// It is not pending; a fact is missing; or the caller fills no place of its route.
pub async fn activate(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    vote: NewVote,
) -> Result<IdentityView, OpError> {
    let request = kernel
        .recorded(caller, Asked::new(ControlPoint::Approve, "identity.activate", id), async {
            let stored = kernel.must::<Identity>("identity", id).await?;
            match (stored.state, stored.request) {
                (IdentityState::Pending, Some(request)) => kernel.must::<Request>("request", request).await,
                (IdentityState::Pending, None) => Err(OpError::because(
                    Reason::IllegalTransition,
                    "its request has ended: hand it in again with `submit`",
                )),
                (from, _) => Err(BadTransition { from, step: tenure_core::identity::Step::Activate }.into()),
            }
        })
        .await?;
    let voted = self::vote(kernel, caller, request.id, true, vote).await?;
    let stored = kernel.must::<Identity>("identity", id).await?;
    let mut view = view::identity_view(kernel, (*stored.value).clone(), stored.revision, None).await?;
    view.log = voted.log;
    Ok(view)
}
