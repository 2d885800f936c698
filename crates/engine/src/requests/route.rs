//! The lightest route that policy permits, and the request that takes it.

use std::sync::Arc;

use tenure_api::request::RequestView;
use tenure_api::views::Names;
use tenure_core::base::id::{PersonId, RequestId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::Identity;
use tenure_core::people::person::{Person, Role};
use tenure_core::policy::{Action, Answer, Entity, PolicyEngine, Question};
use tenure_core::request::{Asker, Matter, Outcome, Place, Request, RequestState, Route, Voter};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Committed;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::notice::{ANSWER, notify};
use crate::requests::content::content_hash;
use crate::requests::eligible::{self, Approvers};
use crate::requests::facts::{MatterFacts, distinct};
use crate::requests::stand_in;

pub(crate) const MAX_PURPOSE: usize = 1_000;

pub(crate) const NO_ROUTE_FOR_INVENTORY: &str = "the policy set in force permits no route for a change of the inventory that lets somebody do more: propose one that permits \
                                      route_administrator for the matter inventory, as the default set's two-administrators does";

/// That the caller may ask for this at all.
pub(crate) fn may_ask(kernel: &Kernel, caller: &Caller, facts: &MatterFacts) -> Result<Answer, OpError> {
    let mut context = facts.context.clone();
    context.owns = facts.owns(asker(caller));
    let resource = inventory("request", "", &facts.environment);
    kernel.allow_under(&*judging_set(kernel, facts), caller, Action::Request, resource, context.attributes())
}

/// The set that judges a request: the one in force, but for the way back to the built-in one, which no set bars (S-9).
pub(crate) fn judging_set(kernel: &Kernel, facts: &MatterFacts) -> Arc<dyn PolicyEngine> {
    facts.judge.clone().unwrap_or_else(|| kernel.policy.engine())
}

/// The request as it stands before its first vote: on the lightest permitted route.
pub(crate) async fn draft_request(
    kernel: &Kernel,
    caller: &Caller,
    facts: &MatterFacts,
    purpose: &str,
    now: Timestamp,
) -> Result<Request, OpError> {
    let mut facts = facts.clone();
    facts.context.owns = facts.owns(asker(caller));
    let (route, answer) = Box::pin(choose_route(kernel, principal(caller), &facts)).await?;
    let mut interested = facts.interested.clone();
    interested.extend(Box::pin(eligible::members_of(kernel, &facts.interested_teams)).await?);
    Ok(Request {
        id: RequestId::generate(now, kernel.entropy.as_ref()),
        class: facts.class,
        content_hash: content_hash(&facts, purpose)?,
        matter: facts.matter,
        purpose: purpose.to_owned(),
        clipped: facts.clipped,
        requested_by: asker(caller),
        interested: distinct(interested),
        interested_teams: facts.interested_teams,
        vendor: facts.context.vendor,
        owner: facts.owner,
        manager: facts.manager,
        tier: facts.tier,
        route,
        policies: answer.policies().to_vec(),
        policy_version: answer.version().to_owned(),
        votes: Vec::new(),
        before: None,
        notes: Vec::new(),
        state: RequestState::Open,
        opened_at: now,
        lapses_at: now.plus(kernel.settings.request_open_for),
        starts_at: facts.starts_at.filter(|start| *start > now),
        reminders: 0,
        decided_at: None,
        ended_because: None,
        single_person: facts.context.single_person,
        outcome: Outcome::default(),
    })
}

/// The lightest route that policy permits and whose places somebody can fill: a forbid on one, or a place that nobody
/// may fill, pushes to a heavier one, and none is a refusal (S-8, S-9).
pub(crate) async fn choose_route(
    kernel: &Kernel,
    principal: Entity,
    facts: &MatterFacts,
) -> Result<(Route, Answer), OpError> {
    let mut denials = Vec::new();
    let mut unfilled = Vec::new();
    // Looked for once somebody is wanted: what a rule approves waits for nobody.
    let mut approvers = None;
    let judge = judging_set(kernel, facts);
    for route in facts.class.routes() {
        let answer = judge.decide(&Question {
            principal: principal.clone(),
            action: route.action(),
            resource: inventory("request", "", &facts.environment),
            context: facts.context.attributes(),
        });
        // A route that can't be judged is none, and must not open a way around what it was meant to stop.
        if answer.errored() {
            return Err(OpError::by_policy(Reason::PolicyError, answer));
        }
        if !answer.allowed() {
            denials.push(answer);
            continue;
        }
        if approvers.is_none() && *route != Route::Auto {
            approvers = Some(Box::pin(eligible::approvers_of(kernel, facts)).await?);
        }
        match &approvers {
            Some(approvers) if !approvers.can_fill(*route) => unfilled.push(*route),
            _ => return Ok((*route, answer)),
        }
    }
    if let (Some(approvers), false) = (approvers, unfilled.is_empty()) {
        return Err(OpError::because(Reason::NoRoute, approvers.lacking(&unfilled)));
    }
    let approvers = Box::pin(eligible::approvers_of(kernel, facts)).await?;
    let mut refused = OpError::by_policy(Reason::NoRoute, Answer::common_denial(&denials));
    if let (OpError::Refused { detail, .. }, Matter::Inventory { .. }) = (&mut refused, &facts.matter) {
        // A set that was written before there was this matter says nothing about it.
        *detail = Some(NO_ROUTE_FOR_INVENTORY.to_owned());
        return Err(refused);
    }
    if let (OpError::Refused { detail, .. }, Some(longest)) =
        (&mut refused, longest_with_a_route(kernel, &principal, facts, &approvers))
    {
        *detail = Some(over_bound(facts, longest));
    }
    Err(refused)
}

/// The longest duration, in whole minutes, for which policy would permit a route that can be filled, where only the
/// wanted one is too long. Policies bound durations from above: what is permitted for a while is permitted for less.
pub(crate) fn longest_with_a_route(
    kernel: &Kernel,
    principal: &Entity,
    facts: &MatterFacts,
    approvers: &Approvers,
) -> Option<Span> {
    let judge = judging_set(kernel, facts);
    let has_route = |minutes: i64| {
        let mut context = facts.context.clone();
        context.duration = Span::from_mins(minutes);
        facts.class.routes().iter().any(|route| {
            let answer = judge.decide(&Question {
                principal: principal.clone(),
                action: route.action(),
                resource: inventory("request", "", &facts.environment),
                context: context.attributes(),
            });
            tenure_core::credential::gate::check(&answer).is_ok() && approvers.can_fill(*route)
        })
    };
    let (mut good, mut bad) = (1, facts.context.duration.as_secs() / 60 + 1);
    if bad <= 1 || !has_route(good) {
        return None;
    }
    while good + 1 < bad {
        let middle = good + (bad - good) / 2;
        if has_route(middle) { good = middle } else { bad = middle }
    }
    Some(Span::from_mins(good))
}

pub(crate) fn opened_event(
    kernel: &Kernel,
    request: &Request,
    facts: &MatterFacts,
    now: Timestamp,
) -> tenure_core::store::event::Event {
    let mut event = kernel.event(now, EventKind::RequestOpened).subject(request.id);
    for subject in &facts.subjects {
        event = event.subject(subject);
    }
    event
        .fact("workflow", request.workflow())
        .fact("matter", &request.matter)
        .fact("purpose", &request.purpose)
        .fact("clipped", &request.clipped)
        .fact("route", request.route)
        .fact("tier", request.tier)
        .fact("policies", &request.policies)
        .fact("policy_version", &request.policy_version)
        .fact("content_hash", &request.content_hash)
}

/// A named rule approves it (R47).
pub(crate) fn approve_by_rule(kernel: &Kernel, changeset: &mut Changeset, request: &mut Request, now: Timestamp) {
    let event = kernel
        .event(now, EventKind::RequestApproved)
        .subject(request.id)
        .fact("workflow", request.workflow())
        .fact("purpose", &request.purpose)
        .fact("approved_by", request.approvers())
        .fact("policies", &request.policies)
        .fact("policy_version", &request.policy_version);
    changeset.event(event);
    request.state = RequestState::Approved;
    request.decided_at = Some(now);
}

/// Its approvers are told, and its deadlines begin.
pub(crate) async fn wait_for_votes(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &Request,
    now: Timestamp,
) -> Result<(), OpError> {
    tell_approvers(kernel, changeset, request, "A request waits for your answer", now).await?;
    changeset.due.push(DueChange::Set(
        DueKind::Request,
        request.id.to_string(),
        now.plus(kernel.settings.request_remind_after).min(request.lapses_at),
    ));
    Ok(())
}

/// What somebody wrote, so that it doesn't look like what we say, such as where to answer.
pub(crate) fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Has those who may fill its open steps told, and who stands in for them, through the changeset's last event.
pub(crate) async fn tell_approvers(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &Request,
    title: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let (mut people, roles) = approvers(request);
    people.extend(stand_in::standing_in(kernel, request, now).await?.iter().map(|stands_in| stands_in.person));
    if let Some(event) = changeset.events.last_mut() {
        let text = format!(
            "{} ({})\nPurpose: {}\nIt lapses at {}.\nAnswer: tenure request show {}",
            request.id,
            request.workflow(),
            in_one_line(&request.purpose),
            request.lapses_at,
            request.id
        );
        let answer = serde_json::json!({"request": request.id, "content_hash": request.content_hash, "until": request.lapses_at});
        *event = notify(event.clone().fact(ANSWER, answer), &people, &roles, title, &text);
    }
    Ok(())
}

pub(crate) async fn request_view(
    kernel: &Kernel,
    request: Request,
    revision: u64,
    committed: Option<&Committed>,
) -> Result<RequestView, OpError> {
    let (approvers, roles) = approvers(&request);
    Ok(RequestView {
        workflow: request.workflow(),
        waits_for: request.open_steps().into_iter().map(<[Place]>::to_vec).collect(),
        approvers,
        approver_roles: roles,
        request,
        stand_ins: Vec::new(),
        brief: None,
        revision,
        log: match committed {
            Some(committed) => Some(kernel.logged(committed).await?),
            None => None,
        },
        names: Names::new(),
    })
}

/// Which field is beyond the bound of every route, and what it is.
pub(crate) fn over_bound(facts: &MatterFacts, longest: Span) -> String {
    let field = match facts.matter {
        Matter::Activation { .. } => "charter.expires_at",
        Matter::Charter { .. } => "matter.charter.expires_at",
        Matter::Renewal { .. } => "matter.until",
        Matter::Exception { .. } => "duration",
        _ => "matter.duration",
    };
    format!(
        "{field}: it is {} away or long, and no route takes more than {longest} here: ask for less",
        facts.context.duration
    )
}

/// Who may fill the steps that are open: persons by name, and roles.
pub(crate) fn approvers(request: &Request) -> (Vec<PersonId>, Vec<Role>) {
    let (mut people, mut roles) = (Vec::new(), Vec::new());
    for voter in request.waits_for() {
        match voter {
            Voter::Person(person) => people.push(person),
            Voter::Role(role) => roles.push(role),
        }
    }
    (people, roles)
}

/// Whether a step is open that somebody fills as they are now, by themselves or for one of those who are away and have
/// named them, and nothing keeps them out of it. Whether policy lets them vote is asked when they do.
pub(crate) fn may_fill(request: &Request, person: &Person, absent: &[Stored<Person>]) -> bool {
    let fills_for = |place: Place, absent: &Person| {
        place.stand_in_holds().is_some_and(|role| person.holds(role))
            && stand_in::is_fit(place, request.vendor, person)
            && has_place(request, absent, place)
            && !request.keeps_out(absent.id)
            && !request.interested.contains(&absent.id)
    };
    let fills =
        |place: &Place| has_place(request, person, *place) || absent.iter().any(|absent| fills_for(*place, absent));
    request.state == RequestState::Open
        && !request.keeps_out(person.id)
        && request.open_steps().into_iter().flatten().any(fills)
}

fn has_place(request: &Request, person: &Person, place: Place) -> bool {
    match place {
        Place::Owner => request.owner == Some(person.id),
        Place::Manager => request.manager == Some(person.id) && person.holds(Role::Manager),
        Place::Security => person.holds(Role::Security),
        Place::Administrator => person.holds(Role::Administrator),
    }
}

pub(crate) fn asker(caller: &Caller) -> Asker {
    match caller {
        Caller::Person { person, .. } => Asker::Person(person.id),
        Caller::Identity { identity, .. } => Asker::Identity(identity.id),
    }
}

pub(crate) fn principal(caller: &Caller) -> Entity {
    match caller {
        Caller::Person { person, .. } => authority::person(person),
        Caller::Identity { identity, .. } => authority::identity(identity),
    }
}

/// Whether the caller asked for it, answers for what it is about, or may fill one of its places.
pub(crate) fn concerns(request: &Request, caller: &Caller) -> bool {
    let person = caller.person_id();
    request.requested_by == asker(caller)
        || (person.is_some() && [request.owner, request.manager, request.matter.person()].contains(&person))
}

/// The same, also for the stand-in of somebody whom it waits for, and for who voted on it.
pub(crate) async fn concerns_now(kernel: &Kernel, caller: &Caller, request: &Request) -> Result<bool, OpError> {
    let has_voted = |person: PersonId| request.votes.iter().any(|vote| vote.by == person);
    if concerns(request, caller) || caller.person_id().is_some_and(has_voted) {
        return Ok(true);
    }
    if request.state != RequestState::Open {
        return Ok(false);
    }
    Ok(!stand_in::absent(kernel, caller, request, kernel.now()).await?.is_empty())
}

pub(crate) fn not_open(state: RequestState) -> OpError {
    OpError::because(Reason::IllegalTransition, format!("the request is {}", state.as_str()))
}

pub(crate) fn check_purpose(purpose: &str) -> Result<(), OpError> {
    if purpose.trim().is_empty() || purpose.len() > MAX_PURPOSE {
        return Err(OpError::field("purpose", "purpose_missing", "say for which need, in at most 1000 bytes"));
    }
    Ok(())
}

/// What was asked for is there.
pub(crate) fn close_fulfilled(kernel: &Kernel, changeset: &mut Changeset, request: &mut Request, now: Timestamp) {
    request.state = RequestState::Fulfilled;
    let mut event = kernel
        .event(now, EventKind::RequestFulfilled)
        .subject(request.id)
        .fact("workflow", request.workflow())
        .fact("outcome", &request.outcome)
        .fact("approved_by", request.approvers())
        .fact("purpose", &request.purpose)
        .fact("policies", &request.policies)
        .fact("policy_version", &request.policy_version);
    event.subjects.extend(request.matter.identity().map(|id| id.to_string()));
    event.subjects.extend(request.matter.person().map(|id| id.to_string()));
    changeset.event(event);
}

pub(crate) async fn asker_entity(kernel: &Kernel, asker: Asker) -> Result<Entity, OpError> {
    Ok(match asker {
        Asker::Person(id) => authority::person(&*kernel.must::<Person>("person", id).await?),
        Asker::Identity(id) => authority::identity(&*kernel.must::<Identity>("identity", id).await?),
    })
}
