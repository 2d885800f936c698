//! Votes: judged by policy for the place that the voter fills, and by the kernel for everything that no policy can
//! change (S-8, S-9).

use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::RiskTier;
use tenure_core::people::person::{Person, Role};
use tenure_core::policy::{Action, Answer, Attributes, Question, Value};
use tenure_core::request::{BadVote, Class, Matter, Place, Request, RequestState};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{Freshness, assurance_fact};
use crate::kernel::notice::notify;
use crate::requests::facts::MatterFacts;
use crate::requests::route::{self, not_open};
use crate::requests::stand_in::is_fit;

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

pub(crate) fn vote_event(
    kernel: &Kernel,
    caller: &Caller,
    request: &Request,
    place: Place,
    approves: bool,
    answer: &Answer,
    now: Timestamp,
) -> tenure_core::store::event::Event {
    let kind = match (approves, request.state) {
        (false, _) => EventKind::RequestDenied,
        (true, RequestState::Open) => EventKind::RequestVoted,
        (true, _) => EventKind::RequestApproved,
    };
    let mut event = kernel.event(now, kind).subject(request.id);
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
        .fact("policies", answer.policies())
        .fact("policy_version", answer.version());
    if let Some(absent) = request.votes.last().and_then(|vote| vote.instead_of) {
        event = event.subject(absent).fact("instead_of", absent);
    }
    match request.requested_by {
        tenure_core::request::Asker::Person(asker) if request.state != RequestState::Open => {
            let text = format!("{} ({}) is {}.", request.id, request.workflow(), request.state.as_str());
            notify(event, &[asker], &[], "Your request was answered", &text)
        }
        _ => event,
    }
}

/// Whether policy would let somebody vote so today, did they fill the place and were their sign-in fresh.
pub(crate) fn may_still_vote(
    kernel: &Kernel,
    person: &Person,
    place: Place,
    request: &Request,
    facts: &MatterFacts,
) -> bool {
    let voter = Voter { place, fills: true, same_person: false, fresh: Freshness::supposed() };
    let answer = route::judging_set(kernel, facts).decide(&Question {
        principal: authority::person(person),
        action: Action::Approve,
        resource: inventory("request", request.id, &facts.environment),
        context: context_of(voter, request, facts),
    });
    tenure_core::credential::gate::check(&answer).is_ok()
}

/// Whether somebody may not approve it, being who asks or gains.
pub(crate) fn is_kept_out(person: &Person, request: &Request, facts: &MatterFacts) -> bool {
    facts.keeps_out(person) && !request.single_person
}

/// How somebody fills a place: by themselves, or for one of those who are away.
#[derive(Clone, Copy)]
enum Filling<'a> {
    Oneself,
    For(&'a Stored<Person>),
}

/// The open places that somebody may fill, by themselves before for others.
fn fillings<'a>(
    kernel: &Kernel,
    person: &Person,
    request: &Request,
    facts: &MatterFacts,
    absent: &'a [Stored<Person>],
    now: Timestamp,
) -> Vec<(Place, Filling<'a>)> {
    let places = request.open_steps().into_iter().flatten().copied();
    let filled = places.filter_map(|place| {
        if fills(person, place, request, facts) {
            return Some((place, Filling::Oneself));
        }
        // The one who is away could vote themselves, by the policy, too.
        let stands_in = |absent: &&Stored<Person>| {
            fills_for(person, absent, place, request, facts, now)
                && may_still_vote(kernel, absent, place, request, facts)
        };
        Some((place, Filling::For(absent.iter().find(stands_in)?)))
    });
    filled.collect()
}

/// Whether the caller could vote on it, were their sign-in fresh.
pub(crate) fn could_vote(
    kernel: &Kernel,
    caller: &Caller,
    request: &Request,
    facts: &MatterFacts,
    absent: &[Stored<Person>],
    now: Timestamp,
) -> bool {
    let Caller::Person { person, .. } = caller else { return false };
    !is_kept_out(person, request, facts)
        && fillings(kernel, person, request, facts, absent, now)
            .iter()
            .any(|(place, _)| may_still_vote(kernel, person, *place, request, facts))
}

/// The place that a voter fills, and the policy's answer.
pub(crate) struct Filled<'a> {
    pub place: Place,
    /// Who is away, if it is theirs.
    pub absent: Option<&'a Stored<Person>>,
    pub answer: Answer,
}

/// The place among the open steps that the caller fills, be it for one of those who are away, and the policy's answer.
pub(crate) fn place_of<'a>(
    kernel: &Kernel,
    caller: &Caller,
    fresh: Freshness,
    request: &Request,
    facts: &MatterFacts,
    absent: &'a [Stored<Person>],
    now: Timestamp,
) -> Result<Filled<'a>, OpError> {
    let Caller::Person { person, .. } = caller else {
        return Err(OpError::because(Reason::NotAllowed, "only a person votes"));
    };
    let same_person = is_kept_out(person, request, facts);
    let mut denied = None;
    for (place, filling) in fillings(kernel, person, request, facts, absent, now) {
        let voter = Voter { place, fills: true, same_person, fresh };
        let context = context_of(voter, request, facts);
        let resource = inventory("request", request.id, &facts.environment);
        match kernel.allow_under(
            &*route::judging_set(kernel, facts),
            caller,
            Action::Approve,
            resource,
            context.clone(),
        ) {
            Ok(answer) => {
                if same_person {
                    // The kernel of S-9: no policy can let somebody approve what they asked for.
                    return Err(BadVote::SamePerson.into());
                }
                allowed_by_proposed(person, request, facts, context)?;
                let absent = match filling {
                    Filling::Oneself => None,
                    Filling::For(absent) => Some(absent),
                };
                return Ok(Filled { place, absent, answer });
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
pub(crate) fn allowed_by_proposed(
    person: &Person,
    request: &Request,
    facts: &MatterFacts,
    context: Attributes,
) -> Result<(), OpError> {
    let Some(proposed) = &facts.proposed_policy else {
        return Ok(());
    };
    let answer = proposed.decide(&Question {
        principal: authority::person(person),
        action: Action::Approve,
        resource: inventory("request", request.id, &facts.environment),
        context,
    });
    tenure_core::credential::gate::check(&answer).map_err(|reason| OpError::by_policy(reason, answer))
}

/// Whether a person fills a place today.
pub(crate) fn fills(person: &Person, place: Place, request: &Request, facts: &MatterFacts) -> bool {
    person.is_active()
        && match place {
            Place::Owner => facts.owner == Some(person.id),
            // The manager as recorded when it was asked, who must hold the role: no feed confers it (S-8).
            Place::Manager => request.manager == Some(person.id) && person.holds(Role::Manager),
            Place::Security => person.holds(Role::Security),
            Place::Administrator => person.holds(Role::Administrator),
        }
}

/// Whether somebody may fill a place for one who was away at a time, as they both are today.
pub(crate) fn fills_for(
    stand_in: &Person,
    absent: &Person,
    place: Place,
    request: &Request,
    facts: &MatterFacts,
    at: Timestamp,
) -> bool {
    absent.id != stand_in.id
        && absent.stand_in_at(at).is_some_and(|named| named.person == stand_in.id)
        && place.stand_in_holds().is_some_and(|role| stand_in.holds(role))
        && is_fit(place, facts.context.vendor, stand_in)
        && fills(absent, place, request, facts)
        && !facts.keeps_out(absent)
}

/// Who votes, as far as it is proven.
#[derive(Clone, Copy)]
pub(crate) struct Voter {
    /// In which place of the route.
    pub place: Place,
    /// Whether they fill it.
    pub fills: bool,
    /// Whether they asked for it, or gain by it.
    pub same_person: bool,
    /// That they have just signed in.
    pub fresh: Freshness,
}

pub(crate) fn context_of(voter: Voter, request: &Request, facts: &MatterFacts) -> Attributes {
    vote_context(voter, &request.matter, request.class, facts.tier, request.single_person)
}

/// The context of `approve`, as the schema has it.
pub(crate) fn vote_context(
    voter: Voter,
    matter: &Matter,
    class: Class,
    tier: Option<RiskTier>,
    single_person: bool,
) -> Attributes {
    Attributes::from([
        ("place", Value::Text(voter.place.as_str().to_owned())),
        ("fills", Value::Bool(voter.fills)),
        ("same_person", Value::Bool(voter.same_person)),
        ("fresh", voter.fresh.fact()),
        ("matter", Value::Text(matter.as_str().to_owned())),
        ("class", Value::Text(class.as_str().to_owned())),
        ("tier", Value::Text(tier.map_or("", |tier| tier.as_str()).to_owned())),
        ("single_person", Value::Bool(single_person)),
    ])
}

pub(crate) fn assurance(caller: &Caller) -> Option<tenure_core::people::sign_in::Assurance> {
    match caller {
        Caller::Person { assurance, .. } => *assurance,
        Caller::Identity { .. } => None,
    }
}
