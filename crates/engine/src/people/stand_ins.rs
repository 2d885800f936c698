//! Out of office: somebody names who votes in their place while they are away (S-8).

use tenure_api::people::NewStandIn;
use tenure_api::views::Revised;
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::{Person, PersonState, Role, StandIn};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::kernel::query::Query;
use crate::people::person::person_step;

/// Names who votes in the caller's place while they are away; whoever was named before stands in no more.
///
/// # Errors
/// It is about somebody else, the stand-in or the time is wrong, or the sign-in isn't fresh.
pub async fn name_stand_in(
    kernel: &Kernel,
    caller: &Caller,
    id: PersonId,
    ask: NewStandIn,
) -> Result<Revised<Person>, OpError> {
    let asked = Asked::new(ControlPoint::Change, "person.name_stand_in", id);
    is_oneself(caller, id)?;
    person_step(kernel, caller, asked, id, |stored, now| {
        let ask = &ask;
        async move {
            let fresh = freshness::freshness(kernel, caller, now).await?;
            let from = ask.from.unwrap_or(now);
            let stand_in = kernel.one::<Person>(ask.person).await?;
            let named = StandIn { person: ask.person, from, until: ask.until, named_at: now };
            let others = who_named(kernel, ask.person, now).await?.iter().filter(|other| other.id != id).count();
            let problems = problems(id, &named, stand_in.as_deref(), others, now);
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            let event = kernel
                .event(now, EventKind::PersonStandInNamed)
                .subject(id)
                .subject(named.person)
                .fact("stand_in", named.person)
                .fact("from", named.from)
                .fact("until", named.until)
                .fact("assurance", assurance_fact(caller));
            let text = format!(
                "{id} is away from {} until {} and has named you: what waits for them by name waits for you, too, where you may vote on it.\n\
                 Look: tenure request waiting",
                named.from, named.until
            );
            let event = notify(event, &[named.person], &[], "You stand in for somebody", &text);
            let mut changeset = Changeset::new(caller.author(), now, event);
            fresh.expect(&mut changeset);
            if let Some(stand_in) = &stand_in {
                changeset.expect(stand_in);
            }
            let person = Person { stand_in: Some(named), ..(*stored.value).clone() };
            changeset.replace(&stored, &person);
            Ok((changeset, person))
        }
    })
    .await
}

/// Ends it before its time: votes that the stand-in cast and that are still to count, count no more.
///
/// # Errors
/// It is about somebody else, or nobody stands in.
pub async fn end_stand_in(kernel: &Kernel, caller: &Caller, id: PersonId) -> Result<Revised<Person>, OpError> {
    let asked = Asked::new(ControlPoint::Change, "person.end_stand_in", id);
    is_oneself(caller, id)?;
    person_step(kernel, caller, asked, id, |stored, now| async move {
        let Some(named) = stored.stand_in else {
            return Err(OpError::because(Reason::IllegalTransition, "you have named nobody to stand in for you"));
        };
        let event = kernel.event(now, EventKind::PersonStandInEnded).subject(id).subject(named.person);
        let event = event.fact("until", named.until);
        let text = format!("{id} is back: you stand in for them no more.");
        let event = notify(event, &[named.person], &[], "You stand in for nobody there any more", &text);
        let mut changeset = Changeset::new(caller.author(), now, event);
        let person = Person { stand_in: None, ..(*stored.value).clone() };
        changeset.replace(&stored, &person);
        Ok((changeset, person))
    })
    .await
}

/// Nobody is sent away by somebody else, whatever a policy says: a vote would be taken from them, or be given. Of others
/// nothing is said, not even whether they are there.
fn is_oneself(caller: &Caller, id: PersonId) -> Result<(), OpError> {
    match caller.person_id() == Some(id) {
        true => Ok(()),
        false => Err(OpError::NotFound("stand-in of yours: everybody names their own")),
    }
}

/// Who has named somebody as their stand-in, for now or for a time to come.
pub(crate) async fn who_named(
    kernel: &Kernel,
    stand_in: PersonId,
    now: Timestamp,
) -> Result<Vec<Stored<Person>>, OpError> {
    let mut all = kernel.pages(Query::of([Person::STAND_IN.of(stand_in)])).readable().await?;
    all.retain(|person| person.stand_in.is_some_and(|named| now < named.until));
    Ok(all)
}

fn problems(
    id: PersonId,
    named: &StandIn,
    stand_in: Option<&Person>,
    others: usize,
    now: Timestamp,
) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let mut wrong = |field: &str, code: &str, hint: &str| problems.push(FieldProblem::new(field, code, hint));
    match stand_in {
        _ if named.person == id => wrong("person", "stand_in_oneself", "name somebody else"),
        Some(person) if person.state != PersonState::Active => {
            wrong("person", "person_unknown", "name an active person of this deployment");
        }
        None => wrong("person", "person_unknown", "name an active person of this deployment"),
        Some(person) if ![Role::Owner, Role::Manager].iter().any(|role| person.holds(*role)) => wrong(
            "person",
            "stand_in_without_role",
            "name somebody with the role owner or manager, whichever you vote as: a stand-in does nothing that they couldn't do",
        ),
        Some(person)
            if person.stand_in.is_some_and(|theirs| theirs.from < named.until && named.from < theirs.until) =>
        {
            wrong(
                "person",
                "stand_in_away",
                "they are away then themselves, and nobody stands in for a stand-in: name somebody else",
            )
        }
        Some(_) if others >= StandIn::MOST => {
            wrong("person", "stand_in_taken", "they stand in for as many others as anybody can: name somebody else");
        }
        Some(_) => {}
    }
    if named.from < now || named.from > now.plus(StandIn::AHEAD) {
        wrong("from", "from_out_of_range", "name a time to come, within a year");
    }
    if named.until <= named.from || named.until > named.from.plus(StandIn::LONGEST) {
        wrong("until", "until_out_of_range", "name a later time than the beginning, at most 90 days after it");
    }
    problems
}
