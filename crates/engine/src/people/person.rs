//! People: they join, move, are suspended and leave. Another workflow than that of non-human identities, with the same
//! control points (R1, R43), and no step of it touches what an identity may do (R3, R94).

use tenure_api::people::{NewTeam, PersonChange};
use tenure_api::views::Revised;
use tenure_core::base::id::{PersonId, TeamId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::text;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::{Person, PersonClass, PersonState};
use tenure_core::people::team::Team;
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::kernel::query::Listed;
use crate::people::feed::is_plain;
use crate::people::reconcile::differing;
use crate::people::setup::personal;
use crate::people::teams;

/// The workflow of people who begin (R43, R77).
pub(crate) const JOINER: &str = "human.joiner";
/// The workflow of people who change.
pub(crate) const MOVER: &str = "human.mover";
/// The workflow of people who leave.
pub(crate) const LEAVER: &str = "human.leaver";

const MAX_TEXT: usize = 200;
const MAX_TEAMS: usize = 16;
/// How far up a chain of managers is followed.
const MAX_CHAIN: usize = 64;

impl Listed for Team {
    const NAME: &'static str = "team";
}

pub(crate) fn check_person(name: &str, email: Option<&str>) -> Result<(), OpError> {
    let problems = name_problems(name, email);
    if problems.is_empty() { Ok(()) } else { Err(OpError::Invalid(problems)) }
}

fn name_problems(name: &str, email: Option<&str>) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if !is_plain(name, MAX_TEXT) {
        problems.push(FieldProblem::new(
            "name",
            "name_malformed",
            "give a name of 1 to 200 bytes, in one line and without hidden characters",
        ));
    }
    if email.is_some_and(|email| !text::is_email(email) || email.len() > MAX_TEXT) {
        problems.push(FieldProblem::new(
            "email",
            "email_malformed",
            "give an address such as ada@example.com, or leave it out",
        ));
    }
    problems
}

/// The event of somebody who joins.
pub(crate) fn joined_event(kernel: &Kernel, person: &Person, now: Timestamp) -> Event {
    let event = kernel.event(now, EventKind::PersonCreated).subject(person.id);
    let event = event.fact("workflow", JOINER).fact("roles", &person.roles).fact("state", person.state);
    with_attributes(kernel, event, person, &["name", "email", "class", "starts_at", "ends_at", "manager", "teams"])
}

/// An event with the attributes of a person that are named; the source is always.
fn with_attributes(kernel: &Kernel, mut event: Event, person: &Person, fields: &[&str]) -> Event {
    for field in fields {
        event = match *field {
            "name" => with_personal(kernel, event, person.id, "name", person.name.as_deref()),
            "email" => with_personal(kernel, event, person.id, "email", person.email.as_deref()),
            "class" => event.fact("class", person.class),
            "starts_at" => event.fact("starts_at", person.starts_at),
            "ends_at" => event.fact("ends_at", person.ends_at),
            "manager" => event.fact("manager", person.manager),
            _ => event.fact("teams", &person.teams),
        };
    }
    match &person.source {
        Some(source) => {
            with_personal(kernel, event.fact("source", &source.source), person.id, "source_key", Some(&source.key))
        }
        None => event,
    }
}

fn with_personal(kernel: &Kernel, event: Event, person: PersonId, field: &'static str, value: Option<&str>) -> Event {
    match value {
        Some(value) => event.personal(personal(kernel, person, field, value)),
        None => event,
    }
}

/// Changes a person who is kept by hand; what a source keeps is changed there.
///
/// # Errors
/// No such person, the fields are wrong, they have left, a source keeps the record, or the caller is no administrator.
pub async fn change_person(
    kernel: &Kernel,
    caller: &Caller,
    id: PersonId,
    ask: PersonChange,
) -> Result<Revised<Person>, OpError> {
    person_step(kernel, caller, Asked::new(ControlPoint::Change, "person.change", id), id, |stored, now| {
        let ask = &ask;
        async move {
            kernel.allow(caller, Action::Administer, inventory("person", id, ""), administration(false, false))?;
            if let Some(source) = &stored.source {
                return Err(OpError::because(
                    Reason::NotAllowed,
                    format!("the record follows the source {}: change it there", source.source),
                ));
            }
            let mut person = (*stored.value).clone();
            if person.state == PersonState::Departed {
                return Err(OpError::because(Reason::IllegalTransition, "they have left: a rehire is a new record"));
            }
            apply(&mut person, ask);
            let mut changeset = Changeset::new(caller.author(), now, moved_event(kernel, &stored, &person, now));
            check_record(kernel, &mut changeset, Some(&stored), &person, now).await?;
            teams::move_to(&mut changeset, &stored, &person);
            Ok((changeset, person))
        }
    })
    .await
}

/// The event of somebody who moves.
pub(crate) fn moved_event(kernel: &Kernel, from: &Person, to: &Person, now: Timestamp) -> Event {
    let fields = differing(from, to);
    let event =
        kernel.event(now, EventKind::PersonChanged).subject(to.id).fact("workflow", MOVER).fact("fields", &fields);
    let event = with_attributes(kernel, event, to, &fields);
    if fields.contains(&"manager") || fields.contains(&"teams") {
        let text = "Your manager or your teams have changed. Hand over the identities that are no longer yours to answer for:\n\
                        tenure identity list --owner, then tenure transfer start";
        return notify(event, &[to.id], &[], "You have moved", text);
    }
    event
}

/// Everything that is wrong with a record that a person keeps by hand.
pub(crate) async fn check_record(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: Option<&Person>,
    person: &Person,
    now: Timestamp,
) -> Result<(), OpError> {
    let mut problems = name_problems(person.name.as_deref().unwrap_or_default(), person.email.as_deref());
    if stored.is_some_and(|stored| stored.name.is_none() && person.name.is_none()) {
        problems.retain(|problem| problem.field != "name");
    }
    let mut wrong = |field: &str, code: &str, hint: &str| problems.push(FieldProblem::new(field, code, hint));
    if person.class == PersonClass::Contractor && person.ends_at.is_none() {
        wrong("ends_at", "end_missing", "a contract has an end: name it");
    }
    let is_new = |end: Timestamp| stored.is_none_or(|stored| stored.ends_at != Some(end));
    if person.ends_at.is_some_and(|end| end <= now && is_new(end)) {
        wrong("ends_at", "end_past", "name a time to come; who leaves now departs");
    }
    if person.ends_at.zip(person.starts_at).is_some_and(|(end, start)| end <= start) {
        wrong("ends_at", "end_before_start", "the end comes after the start");
    }
    if person.teams.len() > MAX_TEAMS {
        wrong("teams", "teams_too_many", "name at most 16 teams");
    }
    for team in person.teams.iter().take(MAX_TEAMS) {
        if kernel.one::<Team>(team).await?.is_none() {
            wrong("teams", "team_unknown", "name teams by their ids: tenure team list");
            break;
        }
    }
    if let Some(manager) = person.manager.filter(|manager| stored.is_none_or(|stored| stored.manager != Some(*manager)))
        && let Some((code, hint)) = manager_problem(kernel, changeset, person.id, manager).await?
    {
        wrong("manager", code, hint);
    }
    if problems.is_empty() { Ok(()) } else { Err(OpError::Invalid(problems)) }
}

/// Why somebody can't manage this person. The chain above them is expected to stand as it was read.
async fn manager_problem(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: PersonId,
    manager: PersonId,
) -> Result<Option<(&'static str, &'static str)>, OpError> {
    let mut at = manager;
    for step in 0..MAX_CHAIN {
        if at == person {
            return Ok(Some(("manager_circular", "nobody manages themselves, be it through others")));
        }
        let stored = kernel.one::<Person>(at).await?;
        let Some(stored) = stored.filter(|stored| step > 0 || stored.state != PersonState::Departed) else {
            let unknown = ("manager_unknown", "name somebody of this deployment who has not left");
            return Ok((step == 0).then_some(unknown));
        };
        changeset.expect(&stored);
        match stored.manager {
            Some(above) => at = above,
            None => return Ok(None),
        }
    }
    Ok(Some(("manager_too_deep", "a chain of managers has at most 64 links")))
}

/// One step of one person: read, decide, commit, with its refusal recorded. The decision writes the record itself.
pub(crate) async fn person_step<Fut: Future<Output = Result<(Changeset, Person), OpError>>>(
    kernel: &Kernel,
    caller: &Caller,
    asked: Asked,
    id: PersonId,
    decide: impl Fn(Stored<Person>, Timestamp) -> Fut,
) -> Result<Revised<Person>, OpError> {
    kernel
        .recorded(caller, asked, async {
            let ((person, revision), committed) = kernel
                .decide(|| async {
                    let stored = kernel.must::<Person>("person", id).await?;
                    let (changeset, person) = decide(stored.clone(), kernel.now()).await?;
                    Ok((changeset, (person, stored.revision + 1)))
                })
                .await?;
            kernel.changed(person, revision, &committed).await
        })
        .await
}

/// Makes a team.
///
/// # Errors
/// The name is wrong or taken, or the caller is no administrator.
pub async fn create_team(kernel: &Kernel, caller: &Caller, ask: NewTeam) -> Result<Revised<Team>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "team.create", ""), async {
            kernel.allow(caller, Action::Administer, inventory("team", "", ""), administration(false, false))?;
            if !is_plain(&ask.name, 100) {
                return Err(OpError::field(
                    "name",
                    "name_malformed",
                    "give a name of 1 to 100 bytes without control characters",
                ));
            }
            let (team, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let team = Team {
                        id: TeamId::generate(now, kernel.entropy.as_ref()),
                        name: ask.name.trim().to_owned(),
                        source: None,
                        created_at: now,
                    };
                    let mut changeset = Changeset::new(caller.author(), now, team_event(kernel, &team, now));
                    make_team(&mut changeset, &team);
                    Ok((changeset, team))
                })
                .await?;
            kernel.changed(team, 1, &committed).await
        })
        .await
}

pub(crate) fn team_event(kernel: &Kernel, team: &Team, now: Timestamp) -> Event {
    kernel
        .event(now, EventKind::TeamCreated)
        .subject(team.id)
        .fact("name", &team.name)
        .fact("source", team.source.as_ref().map(|source| &source.source))
}

/// Writes a team under a name that no other has or had.
pub(crate) fn make_team(changeset: &mut Changeset, team: &Team) {
    changeset.insert(team);
    changeset.once.push(Once { space: "team_name", key: team.name.clone(), until: None });
}

/// The record in its next state.
pub(crate) fn stepped(stored: &Stored<Person>, next: PersonState) -> Result<Person, OpError> {
    let state = stored.state.step(next).ok_or_else(|| {
        let text = format!("a person who is {} can't become {}", stored.state.as_str(), next.as_str());
        OpError::because(Reason::IllegalTransition, text)
    })?;
    Ok(Person { state, ..(*stored.value).clone() })
}

pub(crate) fn sorted(mut teams: Vec<TeamId>) -> Vec<TeamId> {
    teams.sort_unstable();
    teams.dedup();
    teams
}

fn apply(person: &mut Person, ask: &PersonChange) {
    if let Some(name) = &ask.name {
        person.name = Some(name.clone());
    }
    if let Some(email) = &ask.email {
        person.email.clone_from(email);
    }
    person.class = ask.class.unwrap_or(person.class);
    person.starts_at = ask.starts_at.unwrap_or(person.starts_at);
    person.ends_at = ask.ends_at.unwrap_or(person.ends_at);
    person.manager = ask.manager.unwrap_or(person.manager);
    if let Some(teams) = &ask.teams {
        person.teams = sorted(teams.clone());
    }
}
