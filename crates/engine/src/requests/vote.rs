//! Votes: judged by policy for the place that the voter fills, and by the kernel for everything that no policy can change (S-8, S-9).

use tenure_api::request::{NewVote, RequestView};
use tenure_core::changeset::{Changeset, DueChange};
use tenure_core::event::ControlPoint;
use tenure_core::id::{PersonId, RequestId};
use tenure_core::identity::RiskTier;
use tenure_core::person::{Person, Role};
use tenure_core::policy::{Action, Answer, Attributes, Question, Value};
use tenure_core::policy_set::PolicySet;
use tenure_core::port::DueKind;
use tenure_core::problem::Reason;
use tenure_core::request::{BadVote, Class, Matter, Place, Request, RequestState, Vote};
use tenure_core::time::Timestamp;

use crate::Kernel;
use crate::kernel::authority::{self, inventory};
use crate::kernel::caller;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness;
use crate::kernel::freshness::assurance_fact;
use crate::kernel::load::expect;
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::matters::facts;
use crate::matters::facts::Facts;
use crate::matters::fulfilment;
use crate::matters::policies;
use crate::matters::request;
use crate::matters::request::not_open;
use crate::requests::content::is_hash_of;

impl From<BadVote> for OpError {
    fn from(bad: BadVote) -> Self {
        let reason = match bad {
            BadVote::NotOpen(state) => return not_open(state),
            BadVote::ContentChanged => Reason::RequestChanged,
            BadVote::SamePerson | BadVote::VotedAlready => Reason::SelfApproval,
            BadVote::PlaceTaken => Reason::NotEligible,
        };
        Self::because(reason, bad.to_string())
    }
}

/// Votes on a request. The last vote that it needs fulfils it in the same commit.
///
/// # Errors
/// It isn't open or is not what the voter read; the voter fills no open place, asked for it, or needs a fresh sign-in.
pub async fn vote(kernel: &Kernel, caller: &Caller, id: RequestId, approves: bool, ask: NewVote) -> Result<RequestView, OpError> {
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
                    let mut facts = facts::facts(kernel, stored.requested_by, &stored.matter, now).await?;
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
                    let (place, answer) = place_of(kernel, caller, &request, &facts)?;
                    request = request.vote(Vote {
                        by,
                        approves,
                        place,
                        at: now,
                        content_hash: ask.content_hash.clone(),
                        purpose: stored.purpose.clone(),
                        policy_version: request::judging_set(kernel, &facts).version(),
                        assurance: assurance(caller),
                        comment: ask.comment.clone(),
                    })?;
                    let mut changeset = Changeset::new(caller.actor(), now, vote_event(kernel, caller, &request, place, approves, &answer, now));
                    fresh.expect(&mut changeset);
                    if let Caller::Person { person, .. } = caller {
                        changeset.expect(person);
                    }
                    changeset.expects.extend(facts.expects);
                    match request.state {
                        RequestState::Approved => fulfilment::fulfil_or_wait(kernel, &mut changeset, &mut request, now).await?,
                        RequestState::Denied => {
                            fulfilment::undo_proposal(kernel, &mut changeset, &request, now).await?;
                            changeset.due.push(DueChange::Clear(DueKind::Request, id.to_string()));
                        }
                        _ => request::tell_approvers(&mut changeset, &request, "A request waits for your answer"),
                    }
                    changeset.replace(&stored, &request);
                    Ok((changeset, (request, stored.revision + 1)))
                })
                .await?;
            kernel.poke.notify_one();
            request::request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

fn vote_event(kernel: &Kernel, caller: &Caller, request: &Request, place: Place, approves: bool, answer: &Answer, now: Timestamp) -> tenure_core::event::Event {
    let kind = match (approves, request.state) {
        (false, _) => "request.denied",
        (true, RequestState::Open) => "request.voted",
        (true, _) => "request.approved",
    };
    let mut event = kernel.event(now, kind, ControlPoint::Approve).subject(request.id);
    if let Some(identity) = request.matter.identity() {
        event = event.subject(identity);
    }
    if let Some(person) = request.matter.person() {
        event = event.subject(person);
    }
    event = event
        .fact("workflow", request.workflow())
        .fact("place", place)
        .fact("purpose", &request.purpose)
        .fact("content_hash", &request.content_hash)
        .fact("approved_by", request.approvers())
        .fact("single_person", request.single_person)
        .fact("assurance", assurance_fact(caller))
        .fact("policies", &answer.policies)
        .fact("policy_version", &answer.version);
    match request.requested_by {
        tenure_core::request::Asker::Person(asker) if request.state != RequestState::Open => {
            let text = format!("{} ({}) is {}.", request.id, request.workflow(), request.state.as_str());
            notify(event, &[asker], &[], "Your request was answered", &text)
        }
        _ => event,
    }
}

/// The request with only those votes that still count: of persons who would be let vote so today, under the policy set in force
/// (S-8). Another policy set may mean another route, and so may the facts: an exception that has ended, another risk tier.
pub(crate) async fn as_it_stands(kernel: &Kernel, stored: &Request, facts: &mut Facts) -> Result<Request, OpError> {
    let mut request = stored.clone();
    let mut judged = facts.clone();
    judged.context.owns = facts.owns(stored.requested_by);
    let asker = facts::asker_entity(kernel, stored.requested_by).await?;
    let judge = request::judging_set(kernel, facts);
    let answer = judge.decide(&Question {
        principal: asker.clone(),
        action: stored.route.action(),
        resource: inventory("request", "", &facts.environment),
        context: judged.context.attributes(),
    });
    let of_class = request.class.routes().contains(&request.route);
    if !of_class || judge.version() != request.policy_version || tenure_core::gate::check(&answer).is_err() {
        let (route, answer) = Box::pin(request::choose_route(kernel, asker, &judged)).await?;
        request.route = route;
        request.policies = answer.policies;
        request.policy_version = answer.version;
        request.votes.clear();
    }
    request.single_person = facts.context.single_person;
    let votes = std::mem::take(&mut request.votes);
    for vote in votes {
        let Some(person) = kernel.one::<Person>(vote.by).await? else { continue };
        let same_person = facts.keeps_out(&person) && !request.single_person;
        let still = fills(&person, vote.place, &request, facts) && !same_person && may_still_vote(kernel, &person, vote.place, &request, facts);
        if still {
            facts.expects.push(expect(&person));
            request.votes.push(vote);
        }
    }
    Ok(request)
}

/// Whether policy would let somebody vote so today, were their sign-in fresh.
fn may_still_vote(kernel: &Kernel, person: &Person, place: Place, request: &Request, facts: &Facts) -> bool {
    let answer = request::judging_set(kernel, facts).decide(&Question {
        principal: authority::person(person),
        action: Action::Approve,
        resource: inventory("request", request.id, &facts.environment),
        context: context_of(place, false, request, facts),
    });
    tenure_core::gate::check(&answer).is_ok()
}

/// The place among the open steps that the caller fills, and the policy's answer.
fn place_of(kernel: &Kernel, caller: &Caller, request: &Request, facts: &Facts) -> Result<(Place, Answer), OpError> {
    let Caller::Person { person, .. } = caller else {
        return Err(OpError::because(Reason::NotAllowed, "only a person votes"));
    };
    let same_person = facts.keeps_out(person) && !request.single_person;
    let mut denied = None;
    for place in request.open_steps().into_iter().flatten().copied() {
        if !fills(person, place, request, facts) {
            continue;
        }
        let context = context_of(place, same_person, request, facts);
        let resource = inventory("request", request.id, &facts.environment);
        match kernel.allow_under(&*request::judging_set(kernel, facts), caller, Action::Approve, resource, context.clone()) {
            Ok(answer) => {
                if same_person {
                    // The kernel of S-9: no policy can let somebody approve what they asked for.
                    return Err(BadVote::SamePerson.into());
                }
                allowed_by_proposed(person, request, facts, context)?;
                return Ok((place, answer));
            }
            Err(error) => denied = Some(error),
        }
    }
    Err(match denied {
        Some(_) if same_person => BadVote::SamePerson.into(),
        Some(denied) => denied,
        None => OpError::because(
            Reason::NotEligible,
            format!(
                "the request waits for {}",
                request
                    .open_steps()
                    .iter()
                    .map(|step| step.iter().map(|place| place.as_str()).collect::<Vec<_>>().join(" or "))
                    .collect::<Vec<_>>()
                    .join(", and for ")
            ),
        ),
    })
}

/// A policy change is judged under the proposed set too (S-9).
fn allowed_by_proposed(person: &Person, request: &Request, facts: &Facts, context: Attributes) -> Result<(), OpError> {
    let Some(proposed) = &facts.proposed_policy else { return Ok(()) };
    let answer = proposed.decide(&Question {
        principal: authority::person(person),
        action: Action::Approve,
        resource: inventory("request", request.id, &facts.environment),
        context,
    });
    tenure_core::gate::check(&answer).map_err(|reason| OpError::by_policy(reason, answer))
}

/// The vote of the only administrator there is, on their own request (S-10), which fulfils it.
pub(crate) async fn vote_alone(kernel: &Kernel, caller: &Caller, changeset: &mut Changeset, request: &mut Request, now: Timestamp) -> Result<(), OpError> {
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
    facts: &Facts,
    now: Timestamp,
) -> Result<(), OpError> {
    let Caller::Person { person, .. } = caller else {
        return Err(OpError::because(Reason::NotAllowed, "only a person votes"));
    };
    allowed_by_proposed(person, request, facts, context_of(Place::Administrator, false, request, facts))?;
    approve_alone(kernel, caller, changeset, request, now).await?;
    policies::put_in_force(kernel, changeset, set, request, now).await?;
    fulfilment::close_fulfilled(kernel, changeset, request, now);
    Ok(())
}

async fn approve_alone(kernel: &Kernel, caller: &Caller, changeset: &mut Changeset, request: &mut Request, now: Timestamp) -> Result<(), OpError> {
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
        assurance: assurance(caller),
        comment: "there is no second administrator".into(),
    })?;
    let event = kernel
        .event(now, "request.approved", ControlPoint::Approve)
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

/// Whether a person fills a place today.
pub(crate) fn fills(person: &Person, place: Place, request: &Request, facts: &Facts) -> bool {
    person.is_active()
        && match place {
            Place::Owner => facts.owner == Some(person.id),
            // The manager as recorded when it was asked, who must hold the role: no feed confers it (S-8).
            Place::Manager => request.manager == Some(person.id) && person.holds(Role::Manager),
            Place::Security => person.holds(Role::Security),
            Place::Administrator => person.holds(Role::Administrator),
        }
}

fn context_of(place: Place, same_person: bool, request: &Request, facts: &Facts) -> Attributes {
    vote_context(place, same_person, &request.matter, request.class, facts.tier, request.single_person)
}

/// The context of `approve`, as the schema has it.
pub(crate) fn vote_context(place: Place, same_person: bool, matter: &Matter, class: Class, tier: Option<RiskTier>, single_person: bool) -> Attributes {
    Attributes::from([
        ("place", Value::Text(place.as_str().to_owned())),
        ("fills", Value::Bool(true)),
        ("same_person", Value::Bool(same_person)),
        // Whoever is not fresh does not come as far as the policy.
        ("fresh", Value::Bool(true)),
        ("matter", Value::Text(matter.as_str().to_owned())),
        ("class", Value::Text(class.as_str().to_owned())),
        ("tier", Value::Text(tier.map_or("", |tier| tier.as_str()).to_owned())),
        ("single_person", Value::Bool(single_person)),
    ])
}

fn assurance(caller: &Caller) -> Option<tenure_core::sign_in::Assurance> {
    match caller {
        Caller::Person { assurance, .. } => *assurance,
        Caller::Identity { .. } => None,
    }
}

/// The class of a matter.
pub(crate) fn class_of(matter: &Matter) -> Class {
    match matter {
        Matter::PersonAccess { .. } => Class::Human,
        Matter::Roles { .. } | Matter::Policy { .. } | Matter::Template { .. } | Matter::Inventory { .. } => Class::Administration,
        _ => Class::NonHuman,
    }
}

/// The persons of a list without repetition.
pub(crate) fn distinct(mut people: Vec<PersonId>) -> Vec<PersonId> {
    people.sort_unstable();
    people.dedup();
    people
}
