//! Requests: opened on the lightest route that policy permits, voted on, fulfilled in the commit of the last vote.

use std::sync::Arc;

use tenure_api::request::{Amendment, NewRequest, RequestView};
use tenure_api::views::Page;
use tenure_core::changeset::{Changeset, DueChange};
use tenure_core::event::ControlPoint;
use tenure_core::id::RequestId;
use tenure_core::policy::{Action, Answer, Entity, PolicyEngine, Question};
use tenure_core::port::{Committed, DueKind};
use tenure_core::problem::Reason;
use tenure_core::request::{Asker, Matter, Outcome, Place, Request, RequestState, Route};
use tenure_core::row::Stored;
use tenure_core::time::{Span, Timestamp};

use crate::Kernel;
use crate::kernel::authority::{self, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::kernel::query::ListAsk;
use crate::matters::facts::{self, Facts};
use crate::matters::{brief, fulfilment};
use crate::requests::content::content_hash;
use crate::requests::eligible::{self, Approvers};
use crate::requests::vote::{self, distinct};

/// The fact of an event whose notice asks for an answer: each who is told gets a link of their own when it is delivered.
pub(crate) const ANSWER: &str = "answer";
pub(crate) const MAX_PURPOSE: usize = 1_000;
const NO_ROUTE_FOR_INVENTORY: &str = "the policy set in force permits no route for a change of the inventory that lets somebody do more: propose one that permits \
                                      route_administrator for the matter inventory, as the default set's two-administrators does";

/// Asks for something. It is fulfilled at once where a named rule approves it, and otherwise waits for its approvers.
///
/// # Errors
/// What is asked for is wrong or over a ceiling, no route is permitted, or the caller may not ask.
pub async fn open_request(kernel: &Kernel, caller: &Caller, ask: NewRequest) -> Result<RequestView, OpError> {
    let subject = ask.matter.identity().map(|id| id.to_string()).unwrap_or_default();
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "request.open", subject), async {
            if matches!(ask.matter, Matter::Exception { .. } | Matter::Policy { .. }) {
                // One proposal, one request: a second one could be denied or approved in the first one's place.
                return Err(OpError::field(
                    "matter",
                    "matter_proposed_elsewhere",
                    "propose it, and its request opens with it: POST /v1/exceptions, POST /v1/policies",
                ));
            }
            let ((request, revision), committed) = kernel
                .decide(|| async {
                    let (changeset, request) = opening(kernel, caller, &ask.matter, &ask.purpose, kernel.now()).await?;
                    Ok((changeset, (request, 1)))
                })
                .await?;
            kernel.poke.notify_one();
            request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

/// The request about a matter, as its changeset opens it: with its approvers told, or fulfilled where nobody's vote is needed or there is nobody else.
pub(crate) async fn opening(kernel: &Kernel, caller: &Caller, matter: &Matter, purpose: &str, now: Timestamp) -> Result<(Changeset, Request), OpError> {
    check_purpose(purpose)?;
    let facts = facts::facts(kernel, asker(caller), matter, now).await?;
    may_ask(kernel, caller, &facts)?;
    let mut request = draft_request(kernel, caller, &facts, purpose, now).await?;
    let mut changeset = Changeset::new(caller.actor(), now, opened_event(kernel, &request, &facts, now));
    changeset.expects.extend(facts.expects);
    carry_on(kernel, caller, &mut changeset, &mut request, now).await?;
    changeset.insert(&request);
    Ok((changeset, request))
}

/// That the caller may ask for this at all.
pub(crate) fn may_ask(kernel: &Kernel, caller: &Caller, facts: &Facts) -> Result<Answer, OpError> {
    let mut context = facts.context.clone();
    context.owns = facts.owns(asker(caller));
    let resource = inventory("request", "", &facts.environment);
    kernel.allow_under(&*judging_set(kernel, facts), caller, Action::Request, resource, context.attributes())
}

/// The set that judges a request: the one in force, but for the way back to the built-in one, which no set bars (S-9).
pub(crate) fn judging_set(kernel: &Kernel, facts: &Facts) -> Arc<dyn PolicyEngine> {
    facts.judge.clone().unwrap_or_else(|| kernel.policy.engine())
}

/// The request as it stands before its first vote: on the lightest permitted route.
pub(crate) async fn draft_request(kernel: &Kernel, caller: &Caller, facts: &Facts, purpose: &str, now: Timestamp) -> Result<Request, OpError> {
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
        owner: facts.owner,
        manager: facts.manager,
        tier: facts.tier,
        route,
        policies: answer.policies,
        policy_version: answer.version,
        votes: Vec::new(),
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

/// The lightest route that policy permits and whose places somebody can fill: a forbid on one, or a place that nobody may fill, pushes to a
/// heavier one, and none is a refusal (S-8, S-9).
pub(crate) async fn choose_route(kernel: &Kernel, principal: Entity, facts: &Facts) -> Result<(Route, Answer), OpError> {
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
        if answer.errored {
            return Err(OpError::by_policy(Reason::PolicyError, answer));
        }
        if !answer.allowed {
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
    let mut refused = OpError::by_policy(Reason::NoRoute, common_denial(&denials));
    if let (OpError::Refused { detail, .. }, Matter::Inventory { .. }) = (&mut refused, &facts.matter) {
        // A set that was written before there was this matter says nothing about it.
        *detail = Some(NO_ROUTE_FOR_INVENTORY.to_owned());
        return Err(refused);
    }
    if let (OpError::Refused { detail, .. }, Some(longest)) = (&mut refused, longest_with_a_route(kernel, &principal, facts, &approvers)) {
        *detail = Some(over_bound(facts, longest));
    }
    Err(refused)
}

/// The longest duration, in whole minutes, for which policy would permit a route that can be filled, where only the wanted one is too
/// long. Policies bound durations from above: what is permitted for a while is permitted for less.
fn longest_with_a_route(kernel: &Kernel, principal: &Entity, facts: &Facts, approvers: &Approvers) -> Option<Span> {
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
            tenure_core::gate::check(&answer).is_ok() && approvers.can_fill(*route)
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

pub(crate) fn opened_event(kernel: &Kernel, request: &Request, facts: &Facts, now: Timestamp) -> tenure_core::event::Event {
    let mut event = kernel.event(now, "request.opened", ControlPoint::Request).subject(request.id);
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

/// What follows from a fresh request in the same commit: it is fulfilled if no vote is wanted, else its approvers are told and its
/// deadlines begin.
pub(crate) async fn carry_on(kernel: &Kernel, caller: &Caller, changeset: &mut Changeset, request: &mut Request, now: Timestamp) -> Result<(), OpError> {
    if request.route == Route::Auto {
        approve_by_rule(kernel, changeset, request, now);
        return fulfilment::fulfil_or_wait(kernel, changeset, request, now).await;
    }
    if request.single_person {
        // There is nobody else yet who could vote (S-10); the record says so.
        return vote::vote_alone(kernel, caller, changeset, request, now).await;
    }
    wait_for_votes(kernel, changeset, request, now);
    Ok(())
}

/// A named rule approves it (R47).
pub(crate) fn approve_by_rule(kernel: &Kernel, changeset: &mut Changeset, request: &mut Request, now: Timestamp) {
    let event = kernel
        .event(now, "request.approved", ControlPoint::Approve)
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
pub(crate) fn wait_for_votes(kernel: &Kernel, changeset: &mut Changeset, request: &Request, now: Timestamp) {
    tell_approvers(changeset, request, "A request waits for your answer");
    changeset.due.push(DueChange::Set(
        DueKind::Request,
        request.id.to_string(),
        now.plus(kernel.settings.request_remind_after).min(request.lapses_at),
    ));
}

/// Has those who may fill its open steps told, through the changeset's last event.
pub(crate) fn tell_approvers(changeset: &mut Changeset, request: &Request, title: &str) {
    let (people, roles) = approvers(request);
    if let Some(event) = changeset.events.last_mut() {
        // In one line: what somebody wrote must not look like what we say, such as where to answer.
        let purpose = request.purpose.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = format!(
            "{} ({})\nPurpose: {}\nIt lapses at {}.\nAnswer: tenure request show {}",
            request.id,
            request.workflow(),
            purpose,
            request.lapses_at,
            request.id
        );
        let answer = serde_json::json!({"request": request.id, "content_hash": request.content_hash, "until": request.lapses_at});
        *event = notify(event.clone().fact(ANSWER, answer), &people, &roles, title, &text);
    }
}

/// Takes a request back.
///
/// # Errors
/// It isn't open, or the caller didn't ask for it.
pub async fn withdraw_request(kernel: &Kernel, caller: &Caller, id: RequestId) -> Result<RequestView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "request.withdraw", id), async {
            let ((request, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Request>("request", id).await?;
                    if stored.requested_by != asker(caller) {
                        return Err(OpError::because(Reason::NotAllowed, "a request is withdrawn by who asked"));
                    }
                    let mut changeset = Changeset::new(caller.actor(), now, kernel.event(now, "request.withdrawn", ControlPoint::Request).subject(id));
                    let request = ended(kernel, &mut changeset, &stored, RequestState::Withdrawn, "withdrawn", now).await?;
                    Ok((changeset, (request, stored.revision + 1)))
                })
                .await?;
            request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

/// Changes an open request: what was voted on is no longer what is asked for, so votes are void (S-8).
///
/// # Errors
/// It isn't open, the caller didn't ask for it, or what is asked for now is wrong.
pub async fn amend_request(kernel: &Kernel, caller: &Caller, id: RequestId, ask: Amendment) -> Result<RequestView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Change, "request.amend", id), async {
            check_purpose(&ask.purpose)?;
            let ((request, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Request>("request", id).await?;
                    if stored.requested_by != asker(caller) {
                        return Err(OpError::because(Reason::NotAllowed, "a request is changed by who asked"));
                    }
                    if stored.state != RequestState::Open {
                        return Err(not_open(stored.state));
                    }
                    let matter = ask.matter.as_ref().unwrap_or(&stored.matter);
                    if matter.as_str() != stored.matter.as_str() || matter.identity() != stored.matter.identity() || matter.person() != stored.matter.person() {
                        return Err(OpError::field(
                            "matter",
                            "matter_changed",
                            "keep what it is about; for something else open another request",
                        ));
                    }
                    let mut facts = facts::facts(kernel, stored.requested_by, matter, now).await?;
                    facts.keep_out(&stored);
                    may_ask(kernel, caller, &facts)?;
                    let fresh = draft_request(kernel, caller, &facts, &ask.purpose, now).await?;
                    let mut request = Request {
                        id: stored.id,
                        opened_at: stored.opened_at,
                        lapses_at: stored.lapses_at,
                        reminders: stored.reminders,
                        ..fresh
                    };
                    let event = kernel
                        .event(now, "request.amended", ControlPoint::Change)
                        .subject(id)
                        .fact("matter", &request.matter)
                        .fact("purpose", &request.purpose)
                        .fact("route", request.route)
                        .fact("votes_voided", stored.votes.len())
                        .fact("content_hash", &request.content_hash);
                    let mut changeset = Changeset::new(caller.actor(), now, event);
                    changeset.expects.extend(facts.expects);
                    carry_on(kernel, caller, &mut changeset, &mut request, now).await?;
                    changeset.replace(&stored, &request);
                    Ok((changeset, (request, stored.revision + 1)))
                })
                .await?;
            request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

/// One request.
///
/// # Errors
/// No such request, or the caller may not read it.
pub async fn request(kernel: &Kernel, caller: &Caller, id: RequestId) -> Result<RequestView, OpError> {
    let stored = kernel.must::<Request>("request", id).await?;
    authority::may_read(kernel, caller, "request", &id.to_string(), concerns(&stored, caller)).await?;
    let mut view = request_view(kernel, (*stored.value).clone(), stored.revision, None).await?;
    if caller.person_id().is_some() {
        view.brief = Some(brief::brief(kernel, &stored).await?);
    }
    Ok(view)
}

/// A page of requests. Who may not read all of them sees their own.
///
/// # Errors
/// The caller may read none.
pub async fn requests(kernel: &Kernel, caller: &Caller, mut ask: ListAsk) -> Result<Page<RequestView>, OpError> {
    if authority::can_read(kernel, caller, "request", "", false).is_err() {
        authority::may_read(kernel, caller, "request", "", true).await?;
        ask.filters.retain(|(name, _)| *name != "requester");
        let mine = match asker(caller) {
            Asker::Person(id) => id.to_string(),
            Asker::Identity(id) => id.to_string(),
        };
        ask.filters.insert(0, ("requester", mine));
    }
    let (rows, end) = kernel.page::<Request>(ask).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(request_view(kernel, (*row.value).clone(), row.revision, None).await?);
    }
    Ok(end.page(items))
}

pub(crate) async fn request_view(kernel: &Kernel, request: Request, revision: u64, committed: Option<&Committed>) -> Result<RequestView, OpError> {
    let (approvers, roles) = approvers(&request);
    Ok(RequestView {
        workflow: request.workflow(),
        waits_for: request.open_steps().into_iter().map(<[Place]>::to_vec).collect(),
        approvers: if request.state == RequestState::Open { approvers } else { Vec::new() },
        approver_roles: if request.state == RequestState::Open { roles } else { Vec::new() },
        request,
        brief: None,
        revision,
        log: match committed {
            Some(committed) => Some(kernel.logged(committed).await?),
            None => None,
        },
    })
}

/// Ends a request by another way than its fulfilment, with what that means for what it was about.
pub(crate) async fn ended(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Request>,
    state: RequestState,
    because: &str,
    now: Timestamp,
) -> Result<Request, OpError> {
    let request = (*stored.value).clone().end(state, Some(because.to_owned()), now).map_err(not_open)?;
    fulfilment::undo_proposal(kernel, changeset, &request, now).await?;
    changeset.replace(stored, &request);
    changeset.due.push(DueChange::Clear(DueKind::Request, request.id.to_string()));
    Ok(request)
}

/// What stood in the way on every route: the policies that each denial names. Those that only rule out single routes don't explain a
/// refusal.
fn common_denial(denials: &[Answer]) -> Answer {
    let everywhere = |policy: &&String| denials.iter().all(|denial| denial.policies.contains(policy));
    let first = denials.first();
    Answer {
        allowed: false,
        errored: false,
        version: first.map(|first| first.version.clone()).unwrap_or_default(),
        policies: first.into_iter().flat_map(|first| &first.policies).filter(everywhere).cloned().collect(),
    }
}

/// Which field is beyond the bound of every route, and what it is.
fn over_bound(facts: &Facts, longest: Span) -> String {
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
fn approvers(request: &Request) -> (Vec<tenure_core::id::PersonId>, Vec<tenure_core::person::Role>) {
    use tenure_core::person::Role;
    let (mut people, mut roles) = (Vec::new(), Vec::new());
    for place in request.open_steps().into_iter().flatten() {
        match place {
            Place::Owner => people.extend(request.owner),
            Place::Manager => people.extend(request.manager),
            Place::Security => roles.push(Role::Security),
            Place::Administrator => roles.push(Role::Administrator),
        }
    }
    people.retain(|person| !request.interested.contains(person));
    (vote::distinct(people), roles)
}

pub(crate) fn asker(caller: &Caller) -> Asker {
    match caller {
        Caller::Person { person, .. } => Asker::Person(person.id),
        Caller::Identity { identity, .. } => Asker::Identity(identity.id),
    }
}

fn principal(caller: &Caller) -> Entity {
    match caller {
        Caller::Person { person, .. } => authority::person(person),
        Caller::Identity { identity, .. } => authority::identity(identity),
    }
}

/// Whether the caller asked for it, answers for what it is about, or may fill one of its places.
pub(crate) fn concerns(request: &Request, caller: &Caller) -> bool {
    let person = caller.person_id();
    request.requested_by == asker(caller) || (person.is_some() && [request.owner, request.manager, request.matter.person()].contains(&person))
}

pub(crate) fn not_open(state: RequestState) -> OpError {
    OpError::because(Reason::IllegalTransition, format!("the request is {}", state.as_str()))
}

fn check_purpose(purpose: &str) -> Result<(), OpError> {
    if purpose.trim().is_empty() || purpose.len() > MAX_PURPOSE {
        return Err(OpError::field("purpose", "purpose_missing", "say for which need, in at most 1000 bytes"));
    }
    Ok(())
}
