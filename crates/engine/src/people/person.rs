//! People: they join, move, are suspended and leave. Another workflow than that of non-human identities, with the same control points
//! (R1, R43), and no step of it touches what an identity may do (R3, R94).

use tenure_api::people::{ClassName, Departure, LeftBehind, NewDeparture, NewPerson, NewRoles, NewTeam, PersonChange, PersonMade};
use tenure_api::request::{NewRequest, RequestView};
use tenure_api::requests::ResumePerson;
use tenure_api::views::Resource as Changed;
use tenure_core::changeset::{Changeset, DueChange, Once, Put};
use tenure_core::event::{ControlPoint, Event};
use tenure_core::id::{PersonId, TeamId};
use tenure_core::identity::Identity;
use tenure_core::person::{Person, PersonClass, PersonState, PersonSuspension, Role};
use tenure_core::person_grant::PersonGrant;
use tenure_core::placed::Placed;
use tenure_core::policy::{Action, Answer, Attributes, Value};
use tenure_core::port::{Claimed, DueKind};
use tenure_core::problem::{FieldProblem, Reason};
use tenure_core::request::Matter;
use tenure_core::row::{RowKind, Stored};
use tenure_core::team::Team;
use tenure_core::text;
use tenure_core::time::Timestamp;
use tenure_core::transfer::Transfer;

use crate::Kernel;
use crate::access::leavers;
use crate::access::person_access;
use crate::credentials::holds::whose;
use crate::inventory::removal_groups::{look_at_groups, moved_between};
use crate::kernel::authority;
use crate::kernel::authority::{administration, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness;
use crate::kernel::freshness::assurance_fact;
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::kernel::operation::check_reason;
use crate::kernel::query::Listed;
use crate::kernel::work::acknowledge;
use crate::kernel::work::system;
use crate::matters::request;
use crate::people::dates::{self as dates, Plan};
use crate::people::feed::is_plain;
use crate::people::reconcile::differing;
use crate::people::setup::personal;

/// The workflow of people who begin (R43, R77).
pub(crate) const JOINER: &str = "human.joiner";
/// The workflow of people who change.
pub(crate) const MOVER: &str = "human.mover";
/// The workflow of people who leave.
pub(crate) const LEAVER: &str = "human.leaver";
const SUSPENSION: &str = "human.suspension";

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

/// What a departure's commit holds, for whoever asked for it.
fn departure_of(changeset: &Changeset, person: Person, revision: u64) -> Result<Departure, OpError> {
    fn read<T: serde::de::DeserializeOwned>(put: &Put) -> Result<T, OpError> {
        serde_json::from_slice(&put.body).map_err(|error| OpError::Internal(format!("{}: {error}", put.key)))
    }
    let of_kind = |kind: RowKind| changeset.puts.iter().filter(move |put| put.key.kind == kind);
    let transfers: Vec<Transfer> = of_kind(RowKind::Transfer).map(read).collect::<Result<_, _>>()?;
    let mut left_behind = Vec::new();
    for put in of_kind(RowKind::Identity) {
        let identity: Identity = read(put)?;
        let transfer = transfers.iter().find(|transfer| transfer.identity == identity.id);
        left_behind.push(LeftBehind {
            identity: identity.id,
            name: identity.name,
            state: identity.state,
            offered_to: transfer.and_then(|transfer| transfer.offered_to),
            until: identity.transfer.map(|window| window.deadline),
        });
    }
    let ended: Vec<PersonGrant> = of_kind(RowKind::PersonGrant).map(read).collect::<Result<_, _>>()?;
    Ok(Departure {
        more: left_behind.len() >= crate::access::leavers::BATCH,
        left_behind,
        ended_grants: ended.iter().map(|grant| grant.id).collect(),
        dry_run: false,
        person: Changed {
            record: person,
            revision,
            hold: None,
            log: None,
        },
    })
}

/// Registers a person. Roles come by a request; while there is one administrator it is fulfilled at once (S-10).
///
/// # Errors
/// The fields are wrong or a non-human's, or the caller is no administrator.
pub async fn create_person(kernel: &Kernel, caller: &Caller, ask: NewPerson) -> Result<PersonMade, OpError> {
    let (person, log) = kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "person.create", ""), async {
            kernel.allow(caller, Action::Administer, inventory("person", "", ""), administration(false, false))?;
            let class = match (ask.class, &ask.kind) {
                (ClassName::Employee, None) => PersonClass::Employee,
                (ClassName::Contractor, None) => PersonClass::Contractor,
                _ => return Err(OpError::refused(Reason::ClassMismatch)),
            };
            if !ask.roles.is_empty() && authority::has_one_administrator(kernel).await? {
                // They approve their own request in a moment: better no person than one without the roles.
                let _ = freshness::freshness(kernel, caller, kernel.now()).await?;
            }
            let (person, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let mut person = Person {
                        class,
                        starts_at: ask.starts_at,
                        ends_at: ask.ends_at,
                        manager: ask.manager,
                        teams: sorted(ask.teams.clone()),
                        ..Person::new(
                            PersonId::generate(now, kernel.entropy.as_ref()),
                            ask.name.clone(),
                            ask.email.clone(),
                            Vec::new(),
                            now,
                        )
                    };
                    if person.starts_at.is_some_and(|start| start > now) {
                        person.state = PersonState::Preboarding;
                    }
                    let mut changeset = Changeset::new(caller.actor(), now, joined_event(kernel, &person, now));
                    check_record(kernel, &mut changeset, None, &person, now).await?;
                    join(&mut changeset, &person);
                    Ok((changeset, person))
                })
                .await?;
            Ok((person, kernel.logged(&committed).await?))
        })
        .await?;
    if ask.roles.is_empty() {
        return Ok(PersonMade {
            record: person,
            revision: 1,
            request: None,
            log: Some(log),
        });
    }
    let roles = NewRoles {
        roles: ask.roles,
        purpose: ask.purpose.unwrap_or_else(|| "roles given when the person was registered".into()),
    };
    let request = ask_for_roles(kernel, caller, person.id, roles).await?;
    let stored = kernel.must::<Person>("person", person.id).await?;
    Ok(PersonMade {
        record: (*stored.value).clone(),
        revision: stored.revision,
        request: Some(request.request.id),
        log: Some(log),
    })
}

/// Asks for other roles of a person: another administrator approves.
///
/// # Errors
/// No such person, or the caller may not ask.
pub async fn ask_for_roles(kernel: &Kernel, caller: &Caller, person: PersonId, ask: NewRoles) -> Result<RequestView, OpError> {
    let mut roles: Vec<Role> = ask.roles;
    roles.sort_unstable();
    roles.dedup();
    let ask = NewRequest {
        matter: Matter::Roles { person, roles },
        purpose: ask.purpose,
    };
    request::open_request(kernel, caller, ask).await
}

/// The event of somebody who joins.
pub(crate) fn joined_event(kernel: &Kernel, person: &Person, now: Timestamp) -> Event {
    let event = kernel.event(now, "person.created", ControlPoint::Request).subject(person.id);
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
        Some(source) => with_personal(kernel, event.fact("source", &source.source), person.id, "source_key", Some(&source.key)),
        None => event,
    }
}

fn with_personal(kernel: &Kernel, event: Event, person: PersonId, field: &'static str, value: Option<&str>) -> Event {
    match value {
        Some(value) => event.personal(personal(kernel, person, field, value)),
        None => event,
    }
}

/// Writes somebody who joins, with their dates.
pub(crate) fn join(changeset: &mut Changeset, person: &Person) {
    changeset.insert(person);
    let now = changeset.at;
    look_at_groups(changeset, person.teams.iter().copied(), now);
    if let Some(at) = dates::next(person) {
        changeset.due.push(DueChange::Set(DueKind::Person, person.id.to_string(), at));
    }
}

/// Changes a person who is kept by hand; what a source keeps is changed there.
///
/// # Errors
/// No such person, the fields are wrong, they have left, a source keeps the record, or the caller is no administrator.
pub async fn change_person(kernel: &Kernel, caller: &Caller, id: PersonId, ask: PersonChange) -> Result<Changed<Person>, OpError> {
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
            let mut changeset = Changeset::new(caller.actor(), now, moved_event(kernel, &stored, &person, now));
            check_record(kernel, &mut changeset, Some(&stored), &person, now).await?;
            move_to(&mut changeset, &stored, &person);
            Ok((changeset, person))
        }
    })
    .await
}

/// The event of somebody who moves.
pub(crate) fn moved_event(kernel: &Kernel, from: &Person, to: &Person, now: Timestamp) -> Event {
    let fields = differing(from, to);
    let event = kernel
        .event(now, "person.changed", ControlPoint::Change)
        .subject(to.id)
        .fact("workflow", MOVER)
        .fact("fields", &fields);
    let event = with_attributes(kernel, event, to, &fields);
    if fields.contains(&"manager") || fields.contains(&"teams") {
        let text = "Your manager or your teams have changed. Hand over the identities that are no longer yours to answer for:\n\
                        tenure identity list --owner, then tenure transfer start";
        return notify(event, &[to.id], &[], "You have moved", text);
    }
    event
}

/// Writes somebody who moves, with their dates. Their roles, and what they answer for, stay as they are.
pub(crate) fn move_to(changeset: &mut Changeset, stored: &Stored<Person>, person: &Person) {
    changeset.replace(stored, person);
    let now = changeset.at;
    look_at_groups(changeset, moved_between(stored, person), now);
    let subject = person.id.to_string();
    changeset.due.push(match dates::next(person) {
        Some(at) => DueChange::Set(DueKind::Person, subject, at),
        None => DueChange::Clear(DueKind::Person, subject),
    });
}

/// Everything that is wrong with a record that a person keeps by hand.
async fn check_record(kernel: &Kernel, changeset: &mut Changeset, stored: Option<&Person>, person: &Person, now: Timestamp) -> Result<(), OpError> {
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

/// Takes a person's authority away for a while: their sessions and tokens are good for nothing, and what they answer for needs
/// somebody else if it lasts.
///
/// # Errors
/// They are neither active nor suspended by others, or the caller may not.
pub async fn suspend_person(kernel: &Kernel, caller: &Caller, id: PersonId, reason: String) -> Result<Changed<Person>, OpError> {
    check_reason(&reason)?;
    let changed = person_step(kernel, caller, Asked::new(ControlPoint::Suspend, "person.suspend", id), id, |stored, now| {
        let reason = &reason;
        async move {
            may_disable_person(kernel, caller, id, caller.person_id() == Some(id))?;
            let by = caller.must_be_person()?;
            let person = match &stored.suspension {
                Some(suspension) if stored.state == PersonState::Suspended && !suspension.placers().any(|placer| placer == by) => {
                    let mut suspension = suspension.clone();
                    suspension.also.push(Placed {
                        by,
                        reason: reason.clone(),
                        at: now,
                    });
                    Person {
                        suspension: Some(suspension),
                        ..(*stored.value).clone()
                    }
                }
                _ => Person {
                    suspension: Some(PersonSuspension {
                        placed_by: Some(by),
                        reason: reason.clone(),
                        at: now,
                        also: Vec::new(),
                    }),
                    ..stepped(&stored, PersonState::Suspended)?
                },
            };
            let event = kernel
                .event(now, "person.suspended", ControlPoint::Suspend)
                .subject(id)
                .fact("workflow", SUSPENSION)
                .fact("reason", reason);
            let mut changeset = Changeset::new(caller.actor(), now, event);
            changeset.replace(&stored, &person);
            leavers::leave_behind(kernel, &mut changeset, &person, now).await?;
            Ok((changeset, person))
        }
    })
    .await?;
    kernel.poke.notify_one();
    Ok(changed)
}

/// Gives a suspended person their authority back. Who took it away may not (S-11). Where several did, what the others said stays.
///
/// # Errors
/// They are not suspended, several people suspend them and none is named, or the caller may not or needs a fresh sign-in.
pub async fn resume_person(kernel: &Kernel, caller: &Caller, id: PersonId, ask: ResumePerson) -> Result<Changed<Person>, OpError> {
    let ResumePerson { reason, placed_by: named } = ask;
    check_reason(&reason)?;
    let changed = person_step(kernel, caller, Asked::new(ControlPoint::Resume, "person.resume", id), id, |stored, now| {
        let reason = &reason;
        async move {
            let by = caller.must_be_person()?;
            let fresh = freshness::freshness(kernel, caller, now).await?;
            let suspension = stored.suspension.as_ref();
            let whose = match suspension {
                Some(suspension) => whose(suspension.placed_by, &suspension.also, named),
                None => Ok(None),
            };
            let placed_by = whose.as_ref().ok().copied().flatten();
            let context = Attributes::from([
                ("owns", Value::Bool(false)),
                ("placed_by_self", Value::Bool(placed_by == Some(by))),
                ("fresh", Value::Bool(true)),
            ]);
            let answer = kernel.allow(caller, Action::Enable, inventory("person", id, ""), context)?;
            // The kernel of S-9: no policy can let somebody lift their own hold, or one that lies on them.
            if placed_by == Some(by) || by == id {
                return Err(OpError::refused(Reason::SamePerson));
            }
            let placed_by = whose?;
            let left = suspension.cloned().and_then(|suspension| suspension.lifted(placed_by));
            let back = left.is_none();
            let person = Person {
                suspension: left,
                ..if back {
                    stepped(&stored, PersonState::Active)?
                } else {
                    (*stored.value).clone()
                }
            };
            let event = kernel
                .event(now, "person.resumed", ControlPoint::Resume)
                .subject(id)
                .fact("workflow", SUSPENSION)
                .fact("reason", reason)
                .fact("placed_by", placed_by)
                .fact("suspensions_left", person.suspension.as_ref().map_or(0, |left| left.placers().count()))
                .fact("policies", &answer.policies)
                .fact("assurance", assurance_fact(caller));
            let mut changeset = Changeset::new(caller.actor(), now, event);
            fresh.expect(&mut changeset);
            changeset.replace(&stored, &person);
            if back {
                person_access::wake_person_grants(kernel, &mut changeset, id, now).await?;
                changeset.due.push(DueChange::Set(DueKind::Leaver, id.to_string(), now));
            }
            Ok((changeset, person))
        }
    })
    .await?;
    kernel.poke.notify_one();
    Ok(changed)
}

/// A person leaves, for ever: what they hold ends, and what they answer for goes to others.
///
/// # Errors
/// They have left already, or the caller may not.
///
/// A dry run decides the very same commit, says what is in it, and writes nothing.
pub async fn depart_person(kernel: &Kernel, caller: &Caller, id: PersonId, ask: NewDeparture) -> Result<Departure, OpError> {
    check_reason(&ask.reason)?;
    let reason = &ask.reason;
    let decision = || async {
        may_disable_person(kernel, caller, id, false)?;
        let now = kernel.now();
        let stored = kernel.must::<Person>("person", id).await?;
        let event = departed_event(kernel, id, "by_hand", now).fact("reason", reason);
        let mut changeset = Changeset::new(caller.actor(), now, event);
        let person = depart(kernel, &mut changeset, &stored, (*stored.value).clone(), now).await?;
        let departure = departure_of(&changeset, person, stored.revision + 1)?;
        Ok((changeset, departure))
    };
    kernel
        .recorded(caller, Asked::new(ControlPoint::Retire, "person.depart", id), async {
            if ask.dry_run {
                let (_, mut departure) = decision().await?;
                departure.dry_run = true;
                departure.person.revision -= 1;
                return Ok(departure);
            }
            let (mut departure, committed) = kernel.decide(decision).await?;
            departure.person.log = Some(kernel.logged(&committed).await?);
            kernel.poke.notify_one();
            Ok(departure)
        })
        .await
}

/// That the caller may take a person's authority away: security, an administrator, or the person themselves where that is `own`.
fn may_disable_person(kernel: &Kernel, caller: &Caller, id: PersonId, own: bool) -> Result<Answer, OpError> {
    kernel
        .allow(caller, Action::Suspend, inventory("person", id, ""), owns(own))
        .or_else(|refused| {
            kernel
                .allow(caller, Action::Administer, inventory("person", id, ""), administration(false, false))
                .map_err(|_| refused)
        })
}

/// The event of somebody who leaves.
pub(crate) fn departed_event(kernel: &Kernel, person: PersonId, because: &str, now: Timestamp) -> Event {
    let event = kernel
        .event(now, "person.departed", ControlPoint::Retire)
        .subject(person)
        .fact("workflow", LEAVER)
        .fact("because", because);
    let text = format!("{person} has left. What they answered for is in transfer: tenure transfer list --from {person}");
    notify(event, &[], &[Role::Security], "Somebody has left", &text)
}

/// What a departure means, in its own commit: the record as it is to be otherwise is given.
pub(crate) async fn depart(kernel: &Kernel, changeset: &mut Changeset, stored: &Stored<Person>, next: Person, now: Timestamp) -> Result<Person, OpError> {
    let state = stepped(stored, PersonState::Departed)?.state;
    let person = Person {
        state,
        suspension: None,
        ..next
    };
    changeset.replace(stored, &person);
    look_at_groups(changeset, moved_between(stored, &person), now);
    changeset.due.push(DueChange::Clear(DueKind::Person, person.id.to_string()));
    person_access::end_person_grants(kernel, changeset, person.id, "the person has left", now).await?;
    leavers::leave_behind(kernel, changeset, &person, now).await?;
    Ok(person)
}

/// Works off a person's dates.
pub(crate) async fn work_person(kernel: &Kernel, claimed: &Claimed, now: Timestamp) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<PersonId>() else { return Ok(None) };
    let Some(stored) = kernel.one::<Person>(id).await? else { return Ok(None) };
    let mut changeset = match dates::plan(&stored, now) {
        Plan::Nothing => return Ok(None),
        Plan::Later(at) => {
            let event = kernel
                .event(now, "deadline.postponed", ControlPoint::Administer)
                .subject(id)
                .fact("kind", DueKind::Person.as_str())
                .fact("until", at);
            let mut changeset = Changeset::new(system(), now, event);
            changeset
                .due
                .push(DueChange::Retry(DueKind::Person, claimed.subject.clone(), claimed.fence, at));
            return Ok(Some(changeset));
        }
        Plan::Start => {
            let person = stepped(&stored, PersonState::Active)?;
            let event = kernel.event(now, "person.started", ControlPoint::Approve).subject(id).fact("workflow", JOINER);
            let mut changeset = Changeset::new(system(), now, event.fact("starts_at", person.starts_at));
            changeset.replace(&stored, &person);
            look_at_groups(&mut changeset, person.teams.iter().copied(), now);
            person_access::wake_person_grants(kernel, &mut changeset, id, now).await?;
            if let Some(at) = dates::next(&person) {
                changeset
                    .due
                    .push(DueChange::Retry(DueKind::Person, claimed.subject.clone(), claimed.fence, at));
                return Ok(Some(changeset));
            }
            changeset
        }
        Plan::Depart => {
            let mut changeset = Changeset::new(system(), now, departed_event(kernel, id, "end_reached", now).fact("ends_at", stored.ends_at));
            depart(kernel, &mut changeset, &stored, (*stored.value).clone(), now).await?;
            changeset
        }
    };
    acknowledge(&mut changeset, claimed);
    Ok(Some(changeset))
}

/// Erases a person's name and address; every proof about them stays (R113).
///
/// # Errors
/// No such person, or the caller may not.
pub async fn erase_person(kernel: &Kernel, caller: &Caller, id: PersonId) -> Result<Changed<Person>, OpError> {
    person_step(
        kernel,
        caller,
        Asked::new(ControlPoint::Administer, "person.erase", id),
        id,
        |stored, now| async move {
            kernel.allow(caller, Action::Erase, inventory("person", id, ""), administration(false, false))?;
            let person = Person {
                name: None,
                email: None,
                ..(*stored.value).clone()
            };
            let event = kernel.event(now, "person.erased", ControlPoint::Administer).subject(id);
            let mut changeset = Changeset::new(caller.actor(), now, event);
            changeset.replace(&stored, &person);
            changeset.erase.push(id.to_string());
            Ok((changeset, person))
        },
    )
    .await
}

/// One step of one person: read, decide, commit, with its refusal recorded. The decision writes the record itself.
async fn person_step<Fut: Future<Output = Result<(Changeset, Person), OpError>>>(
    kernel: &Kernel,
    caller: &Caller,
    asked: Asked,
    id: PersonId,
    decide: impl Fn(Stored<Person>, Timestamp) -> Fut,
) -> Result<Changed<Person>, OpError> {
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
pub async fn create_team(kernel: &Kernel, caller: &Caller, ask: NewTeam) -> Result<Changed<Team>, OpError> {
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
                    let mut changeset = Changeset::new(caller.actor(), now, team_event(kernel, &team, now));
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
        .event(now, "team.created", ControlPoint::Administer)
        .subject(team.id)
        .fact("name", &team.name)
        .fact("source", team.source.as_ref().map(|source| &source.source))
}

/// Writes a team under a name that no other has or had.
pub(crate) fn make_team(changeset: &mut Changeset, team: &Team) {
    changeset.insert(team);
    changeset.once.push(Once {
        space: "team_name",
        key: team.name.clone(),
        until: None,
    });
}

/// The record in its next state.
fn stepped(stored: &Stored<Person>, next: PersonState) -> Result<Person, OpError> {
    let state = stored.state.step(next).ok_or_else(|| {
        let text = format!("a person who is {} can't become {}", stored.state.as_str(), next.as_str());
        OpError::because(Reason::IllegalTransition, text)
    })?;
    Ok(Person {
        state,
        ..(*stored.value).clone()
    })
}

fn sorted(mut teams: Vec<TeamId>) -> Vec<TeamId> {
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
