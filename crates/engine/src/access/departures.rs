//! People who are suspended, come back, or leave.

use tenure_api::people::{Departure, LeftBehind, NewDeparture};
use tenure_api::requests::ResumePerson;
use tenure_api::views::{Names, Revised};
use tenure_core::base::id::PersonId;
use tenure_core::base::placed::Placed;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::ReceiptOf;
use tenure_core::identity::Identity;
use tenure_core::identity::transfer::Transfer;
use tenure_core::people::person::{Person, PersonState, PersonSuspension, Role};
use tenure_core::people::person_grant::PersonGrant;
use tenure_core::policy::{Action, Answer, Attributes, Value};
use tenure_core::store::changeset::{Changeset, DueChange, Put};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::{RowKind, Stored};

use crate::access::{leavers, person_access};
use crate::credentials::revocation;
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory, owns, whose};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::work::{self, acknowledge, system};
use crate::people::dates::{self, DatesPlan};
use crate::people::person::{self, JOINER, LEAVER};
use crate::people::teams::{look_at_groups, moved_between};
use crate::people::views;

pub(crate) const SUSPENSION: &str = "human.suspension";

/// What a departure's commit holds, for whoever asked for it.
pub(crate) fn departure_of(changeset: &Changeset, person: Person, revision: u64) -> Result<Departure, OpError> {
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
        more: left_behind.len() >= crate::kernel::work::BATCH,
        left_behind,
        ended_grants: ended.iter().map(|grant| grant.id).collect(),
        dry_run: false,
        person: Revised { record: person, revision, hold: None, log: None, names: Names::new() },
        names: Names::new(),
    })
}

/// Takes a person's authority away for a while: their sessions and tokens are good for nothing, and what they answer
/// for needs somebody else if it lasts.
///
/// # Errors
/// They are neither active nor suspended by others, or the caller may not.
pub async fn suspend_person(
    kernel: &Kernel,
    caller: &Caller,
    id: PersonId,
    reason: String,
) -> Result<Revised<Person>, OpError> {
    check_reason(&reason)?;
    let changed = person::person_step(
        kernel,
        caller,
        Asked::new(ControlPoint::Suspend, "person.suspend", id),
        id,
        |stored, now| {
            let reason = &reason;
            async move {
                may_disable_person(kernel, caller, id, caller.person_id() == Some(id))?;
                let by = caller.must_be_person()?;
                let person = match &stored.suspension {
                    Some(suspension)
                        if stored.state == PersonState::Suspended
                            && !suspension.placers().any(|placer| placer == by) =>
                    {
                        let mut suspension = suspension.clone();
                        suspension.also.push(Placed { by, reason: reason.clone(), at: now });
                        Person { suspension: Some(suspension), ..(*stored.value).clone() }
                    }
                    _ => Person {
                        suspension: Some(PersonSuspension {
                            placed_by: Some(by),
                            reason: reason.clone(),
                            at: now,
                            also: Vec::new(),
                        }),
                        ..person::stepped(&stored, PersonState::Suspended)?
                    },
                };
                let event = kernel
                    .event(now, EventKind::PersonSuspended)
                    .subject(id)
                    .fact("workflow", SUSPENSION)
                    .fact("reason", reason);
                let mut changeset = Changeset::new(caller.author(), now, event);
                changeset.replace(&stored, &person);
                revocation::person_with_receipt(kernel, &mut changeset, ReceiptOf::Suspension, id, reason, now);
                leavers::leave_behind(kernel, &mut changeset, &person, now).await?;
                Ok((changeset, person))
            }
        },
    )
    .await?;
    Ok(changed)
}

/// Gives a suspended person their authority back. Who took it away may not (S-11). Where several did, what the others
/// said stays.
///
/// # Errors
/// They are not suspended, several people suspend them and none is named, or the caller may not or needs a fresh
/// sign-in.
pub async fn resume_person(
    kernel: &Kernel,
    caller: &Caller,
    id: PersonId,
    ask: ResumePerson,
) -> Result<Revised<Person>, OpError> {
    let ResumePerson { reason, placed_by: named } = ask;
    check_reason(&reason)?;
    let changed = person::person_step(
        kernel,
        caller,
        Asked::new(ControlPoint::Resume, "person.resume", id),
        id,
        |stored, now| {
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
                    ..if back { person::stepped(&stored, PersonState::Active)? } else { (*stored.value).clone() }
                };
                let event = kernel
                    .event(now, EventKind::PersonResumed)
                    .subject(id)
                    .fact("workflow", SUSPENSION)
                    .fact("reason", reason)
                    .fact("placed_by", placed_by)
                    .fact("suspensions_left", person.suspension.as_ref().map_or(0, |left| left.placers().count()))
                    .fact("policies", answer.policies())
                    .fact("assurance", assurance_fact(caller));
                let mut changeset = Changeset::new(caller.author(), now, event);
                fresh.expect(&mut changeset);
                changeset.replace(&stored, &person);
                if back {
                    person_access::wake_person_grants(kernel, &mut changeset, id, now).await?;
                    changeset.due.push(DueChange::Set(DueKind::Leaver, id.to_string(), now));
                }
                Ok((changeset, person))
            }
        },
    )
    .await?;
    Ok(changed)
}

/// A person leaves, for ever: what they hold ends, and what they answer for goes to others.
///
/// # Errors
/// They have left already, or the caller may not.
///
/// A dry run decides the very same commit, says what is in it, and writes nothing.
pub async fn depart_person(
    kernel: &Kernel,
    caller: &Caller,
    id: PersonId,
    ask: NewDeparture,
) -> Result<Departure, OpError> {
    check_reason(&ask.reason)?;
    let reason = &ask.reason;
    let decision = || async {
        may_disable_person(kernel, caller, id, false)?;
        let now = kernel.now();
        let stored = kernel.must::<Person>("person", id).await?;
        let event = departed_event(kernel, id, "by_hand", now).fact("reason", reason);
        let mut changeset = Changeset::new(caller.author(), now, event);
        let person = depart(kernel, &mut changeset, &stored, (*stored.value).clone(), reason, now).await?;
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
            Ok(departure)
        })
        .await
}

/// That the caller may take a person's authority away: security, an administrator, or the person themselves where that
/// is `own`.
pub(crate) fn may_disable_person(kernel: &Kernel, caller: &Caller, id: PersonId, own: bool) -> Result<Answer, OpError> {
    kernel.allow(caller, Action::Suspend, inventory("person", id, ""), owns(own)).or_else(|refused| {
        kernel
            .allow(caller, Action::Administer, inventory("person", id, ""), administration(false, false))
            .map_err(|_| refused)
    })
}

/// The event of somebody who leaves.
pub(crate) fn departed_event(kernel: &Kernel, person: PersonId, because: &str, now: Timestamp) -> Event {
    let event =
        kernel.event(now, EventKind::PersonDeparted).subject(person).fact("workflow", LEAVER).fact("because", because);
    let text =
        format!("{person} has left. What they answered for is in transfer: tenure transfer list --from {person}");
    notify(event, &[], &[Role::Security], "Somebody has left", &text)
}

/// What a departure means, in its own commit: the record as it is to be otherwise is given, and why they leave, for the
/// receipt.
pub(crate) async fn depart(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Person>,
    next: Person,
    reason: &str,
    now: Timestamp,
) -> Result<Person, OpError> {
    let state = person::stepped(stored, PersonState::Departed)?.state;
    let person = Person { state, suspension: None, departed_at: Some(now), ..next };
    changeset.replace(stored, &person);
    look_at_groups(changeset, moved_between(stored, &person), now);
    changeset.due.push(DueChange::Clear(DueKind::Person, person.id.to_string()));
    person_access::end_person_grants(kernel, changeset, person.id, "the person has left", now).await?;
    revocation::person_with_receipt(kernel, changeset, ReceiptOf::Revocation, person.id, reason, now);
    leavers::leave_behind(kernel, changeset, &person, now).await?;
    Ok(person)
}

/// Works off a person's dates.
pub(crate) async fn work_person(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<PersonId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Person>(id).await? else {
        return Ok(None);
    };
    let mut changeset = match dates::plan(&stored, now) {
        DatesPlan::Nothing => return Ok(None),
        DatesPlan::Later(at) => return Ok(Some(work::postponed(kernel, claimed, at, now))),
        DatesPlan::Start => {
            let person = person::stepped(&stored, PersonState::Active)?;
            let event = kernel.event(now, EventKind::PersonStarted).subject(id).fact("workflow", JOINER);
            let mut changeset = Changeset::new(system(), now, event.fact("starts_at", person.starts_at));
            changeset.replace(&stored, &person);
            look_at_groups(&mut changeset, person.teams.iter().copied(), now);
            person_access::wake_person_grants(kernel, &mut changeset, id, now).await?;
            if let Some(at) = dates::next(&person) {
                changeset.due.push(DueChange::Retry(DueKind::Person, claimed.subject.clone(), claimed.fence, at));
                return Ok(Some(changeset));
            }
            changeset
        }
        DatesPlan::Depart => {
            let mut changeset = Changeset::new(
                system(),
                now,
                departed_event(kernel, id, "end_reached", now).fact("ends_at", stored.ends_at),
            );
            depart(kernel, &mut changeset, &stored, (*stored.value).clone(), "their time here is over", now).await?;
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
pub async fn erase_person(kernel: &Kernel, caller: &Caller, id: PersonId) -> Result<Revised<Person>, OpError> {
    person::person_step(
        kernel,
        caller,
        Asked::new(ControlPoint::Administer, "person.erase", id),
        id,
        |stored, now| async move {
            kernel.allow(caller, Action::Erase, inventory("person", id, ""), administration(false, false))?;
            let event = kernel.event(now, EventKind::PersonErased).subject(id);
            let mut changeset = Changeset::new(caller.author(), now, event);
            let person = erase(kernel, &mut changeset, &stored).await?;
            Ok((changeset, person))
        },
    )
    .await
}

/// Takes what says who they are out of their record and out of what stands beside the log, and the views that they kept.
pub(crate) async fn erase(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Person>,
) -> Result<Person, OpError> {
    let person = Person { name: None, email: None, ..(*stored.value).clone() };
    changeset.replace(stored, &person);
    changeset.erase.push(person.id.to_string());
    views::erased(kernel, changeset, person.id).await?;
    Ok(person)
}
