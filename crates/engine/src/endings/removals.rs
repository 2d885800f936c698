//! Removals: something that identities live by has ended, and they end with it (R83–R87, S-12).
//!
//! One playbook, whatever ended and whoever says so: everything is cut and held in the commit that hears of it; for a
//! time somebody of security can let it go; then it retires, with receipts. A source that would hold more than it may
//! waits for a person.

pub mod plan;

pub mod blast;
pub mod steps;
#[cfg(test)]
mod tests;

use tenure_api::removals::{ConfirmRemoval, NewRemoval};
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::{IdentityId, PersonId, RemovalId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::inventory::third_party::Need;
use tenure_core::people::person::Role;
use tenure_core::policy::Action;
use tenure_core::signal::removal::{Because, Removal, RemovalState};
use tenure_core::signal::{Effect, MAX_SUBJECT, SignalKind, SignalSubject, SubjectKind};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Record, Stored};

use crate::endings::removals::plan::{Ending, ends_for_good};
use crate::kernel::Kernel;
use crate::kernel::authority::{self, administration, enabling, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::{ListAsk, Listed, Query};

pub(crate) use steps::{LEAVER, Raised};

impl Listed for Removal {
    const NAME: &'static str = "removal";
    fn accountable(&self) -> Option<PersonId> {
        self.owner
    }
}

/// Says by hand that something has ended, or only what that would do. A removal that waits for it becomes this one.
///
/// # Errors
/// There is no such thing, it has ended already, the effect isn't the one that was looked at, or the caller is neither
/// its owner nor of security nor an administrator.
pub async fn raise_removal(kernel: &Kernel, caller: &Caller, ask: NewRemoval) -> Result<Revised<Removal>, OpError> {
    check_reason(&ask.reason)?;
    let kind = kind_of(&ask)?;
    let raised = kernel
        .recorded(caller, Asked::new(ControlPoint::Suspend, "removal.raise", &ask.subject), async {
            let by = caller.must_be_person()?;
            if ask.dry_run {
                let now = kernel.now();
                let (removal, ..) = to_raise(kernel, caller, &ask, kind, by, now).await?;
                return Ok(Revised { record: removal, revision: 0, hold: None, log: None, names: Names::new() });
            }
            let ((removal, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let (removal, ending, waited) = to_raise(kernel, caller, &ask, kind, by, now).await?;
                    let event = steps::removal_event(kernel, EventKind::RemovalRaised, &removal, now)
                        .fact("waited_because", waited.as_ref().map(|waited| waited.because))
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    let removal = steps::hold_removal(kernel, &mut changeset, removal, &ending, Some(by), now).await?;
                    match &waited {
                        Some(waited) => changeset.replace(waited, &removal),
                        None => changeset.insert(&removal),
                    };
                    Ok((changeset, (removal, waited.map_or(1, |waited| waited.revision + 1))))
                })
                .await?;
            kernel.changed(removal, revision, &committed).await
        })
        .await?;
    Ok(raised)
}

/// What somebody would raise, if they may, and the removal that waits for a confirmation meanwhile: its place is taken,
/// so that what nobody may confirm stands in nobody's way.
async fn to_raise(
    kernel: &Kernel,
    caller: &Caller,
    ask: &NewRemoval,
    kind: SignalKind,
    by: PersonId,
    now: Timestamp,
) -> Result<(Removal, Ending, Option<Stored<Removal>>), OpError> {
    let ending = blast::ending(kernel, &ask.subject, &[])
        .await?
        .ok_or(OpError::NotFound("subject of a removal: name it as it is registered"))?;
    let own = ending.owner == Some(by);
    let about = || inventory(ask.subject.kind.as_str(), &ask.subject.id, "");
    kernel.allow(caller, Action::Suspend, about(), owns(own)).or_else(|refused| {
        kernel.allow(caller, Action::Administer, about(), administration(false, false)).map_err(|_| refused)
    })?;
    if ending.closed {
        return Err(OpError::because(Reason::IllegalTransition, "it has ended already"));
    }
    let open = open_removal(kernel, &ending.subject, &[], kind).await?;
    if let Some(open) = open.as_ref().filter(|open| open.state != RemovalState::Waiting) {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("{} is under way for it: tenure removal show {}", open.id, open.id),
        ));
    }
    let planned = blast::plan_removal(kernel, kind, &ending, ask.compromise, now).await?;
    if planned.blast.count == 0 && ending.scope.is_none() && ask.subject.kind != SubjectKind::Need {
        return Err(OpError::NotFound("subject here: nothing lives by it"));
    }
    same_plan(ask.expect.as_deref(), &planned.digest)?;
    let because = Because::Person(by);
    let compromise = ask.compromise;
    let raised = Raised { kind, ending: &ending, because, reason: &ask.reason, compromise, planned };
    let mut removal = steps::planned_removal(kernel, raised, now);
    if let Some(waiting) = &open {
        (removal.id, removal.created_at) = (waiting.id, waiting.created_at);
    }
    Ok((removal, ending, open))
}

/// The removal of a subject that holds, retires or waits, if one does. One that only holds doesn't stand in the way of
/// one for good.
pub(crate) async fn open_removal(
    kernel: &Kernel,
    subject: &SignalSubject,
    environments: &[String],
    kind: SignalKind,
) -> Result<Option<Stored<Removal>>, OpError> {
    for state in [RemovalState::Held, RemovalState::Retiring, RemovalState::Waiting] {
        let mut pages = kernel.pages(Query::of([Removal::SUBJECT.of(subject), Removal::STATE.of(state)]));
        while let Some(found) = pages.next().await? {
            let found = found.readable().into_iter().find(|row| {
                row.subject == *subject
                    && row.environments == environments
                    && (ends_for_good(row.kind) || !ends_for_good(kind))
            });
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

/// One removal. What waits shows what confirming it would do now.
///
/// # Errors
/// No such removal, or the caller may not read it.
pub async fn removal(kernel: &Kernel, caller: &Caller, id: RemovalId) -> Result<Revised<Removal>, OpError> {
    let mut view = kernel.get::<Removal>(caller, &id.to_string()).await?;
    if view.record.state == RemovalState::Waiting
        && let Some(ending) = blast::ending(kernel, &view.record.subject, &view.record.environments).await?
    {
        let planned =
            blast::plan_removal(kernel, view.record.kind, &ending, view.record.compromise, kernel.now()).await?;
        view.record.blast = planned.blast;
        view.record.digest = planned.digest;
    }
    Ok(view)
}

/// A page of removals. Of those that concern more identities than they are listed by, the filter by identity looks at
/// each.
///
/// # Errors
/// The caller may not read them.
pub async fn removals(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<Removal>,
) -> Result<Page<Revised<Removal>>, OpError> {
    let Some(wanted) = ask.value_of(Removal::IDENTITY.field()).map(str::to_owned) else {
        return kernel.list(caller, ask).await;
    };
    authority::may_read(kernel, caller, Removal::NAME, "", false).await?;
    let identity = kernel.one::<Identity>(&wanted).await?;
    let (rows, end) = kernel.page(ask).await?;
    let mut items = Vec::new();
    for row in rows {
        if concerns(kernel, &row, wanted.parse().ok(), identity.as_deref()).await? {
            items.push(Revised {
                record: (*row.value).clone(),
                revision: row.revision,
                hold: None,
                log: None,
                names: Names::new(),
            });
        }
    }
    Ok(end.page(items))
}

/// Whether a removal concerns an identity: one that it names, or, where it concerns more than it names, one that lives
/// by what ended.
pub(crate) async fn concerns(
    kernel: &Kernel,
    removal: &Removal,
    id: Option<IdentityId>,
    identity: Option<&Identity>,
) -> Result<bool, OpError> {
    if id.is_some_and(|id| removal.blast.identities.contains(&id)) {
        return Ok(true);
    }
    if usize::try_from(removal.blast.count).is_ok_and(|count| count <= removal.blast.identities.len()) {
        return Ok(false);
    }
    let Some(identity) = identity else { return Ok(false) };
    let ending = blast::ending(kernel, &removal.subject, &removal.environments).await?;
    Ok(ending.is_some_and(|ending| {
        ending.concerns(identity) && identity.terms().iter().any(|term| ending.terms.contains(term))
    }))
}

/// A person of security has looked at what a source wants ended, and lets it happen. From then on it is their doing: no
/// policy is asked what the source may (S-9).
///
/// # Errors
/// It doesn't wait, it would do another thing than what was looked at, or the caller isn't of security or not freshly
/// signed in.
pub async fn confirm_removal(
    kernel: &Kernel,
    caller: &Caller,
    id: RemovalId,
    ask: ConfirmRemoval,
) -> Result<Revised<Removal>, OpError> {
    let confirmed = kernel
        .recorded(caller, Asked::new(ControlPoint::Suspend, "removal.confirm", id), async {
            let by = security(caller)?;
            let ((removal, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let answer = kernel.allow(caller, Action::Suspend, inventory("removal", id, ""), owns(false))?;
                    let stored = kernel.must::<Removal>("removal", id).await?;
                    must_become(&stored, RemovalState::Held)?;
                    if stored.state != RemovalState::Waiting {
                        return Err(illegal(&stored, RemovalState::Held));
                    }
                    let ending = blast::ending(kernel, &stored.subject, &stored.environments)
                        .await?
                        .ok_or(OpError::NotFound("subject of the removal"))?;
                    let planned = blast::plan_removal(kernel, stored.kind, &ending, stored.compromise, now).await?;
                    same_plan(Some(&ask.digest), &planned.digest)?;
                    let removal = Removal {
                        scope: ending.scope.clone().filter(|_| planned.blast.deferred.is_empty()),
                        blast: planned.blast,
                        digest: planned.digest,
                        confirmed_by: Some(by),
                        ..(*stored.value).clone()
                    };
                    let event = steps::removal_event(kernel, EventKind::RemovalConfirmed, &removal, now)
                        .fact("digest", &removal.digest)
                        .fact("policies", answer.policies())
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    let removal = steps::hold_removal(kernel, &mut changeset, removal, &ending, Some(by), now).await?;
                    changeset.replace(&stored, &removal);
                    Ok((changeset, (removal, stored.revision + 1)))
                })
                .await?;
            kernel.changed(removal, revision, &committed).await
        })
        .await?;
    Ok(confirmed)
}

/// Lets a removal go, or refuses to confirm it. Holds and suspensions of its own are lifted; what was cut stays cut.
///
/// # Errors
/// It retires already or is over; the caller isn't of security, not freshly signed in, or had it held.
pub async fn release_removal(
    kernel: &Kernel,
    caller: &Caller,
    id: RemovalId,
    reason: String,
) -> Result<Revised<Removal>, OpError> {
    check_reason(&reason)?;
    let released = kernel
        .recorded(caller, Asked::new(ControlPoint::Resume, "removal.release", id), async {
            let by = security(caller)?;
            let ((removal, revision), committed) = kernel.decide(|| releasing(kernel, caller, id, by, &reason)).await?;
            kernel.changed(removal, revision, &committed).await
        })
        .await?;
    Ok(released)
}

async fn releasing(
    kernel: &Kernel,
    caller: &Caller,
    id: RemovalId,
    by: PersonId,
    reason: &str,
) -> Result<(Changeset, (Removal, u64)), OpError> {
    let now = kernel.now();
    let fresh = freshness::freshness(kernel, caller, now).await?;
    let stored = kernel.must::<Removal>("removal", id).await?;
    let placed_by = stored.confirmed_by.or(match stored.because {
        Because::Person(person) => Some(person),
        Because::Signal(_) => None,
    });
    // The kernel of S-11: no policy can let somebody release what they had held.
    if placed_by == Some(by) {
        return Err(OpError::refused(Reason::SamePerson));
    }
    let answer = kernel.allow(
        caller,
        Action::Enable,
        inventory("removal", id, ""),
        enabling(false, placed_by == Some(by), fresh),
    )?;
    must_become(&stored, RemovalState::Released)?;
    let ending = blast::ending(kernel, &stored.subject, &stored.environments)
        .await?
        .ok_or(OpError::NotFound("subject of the removal"))?;
    let held = stored.state == RemovalState::Held;
    let for_ever = ending.closed && (ending.scope.is_some() || stored.subject.kind == SubjectKind::Need);
    if held && for_ever {
        return Err(OpError::because(
            Reason::IllegalTransition,
            "what it is about has ended for ever: its identities stay held, and are retired",
        ));
    }
    let mut removal = (*stored.value).clone().release(by, reason)?;
    removal.cursor = None;
    let text = format!(
        "{}: released. What was revoked stays revoked: workloads get credentials anew.\nLook: tenure removal show {id}",
        removal.id
    );
    let event = steps::removal_event(kernel, EventKind::RemovalReleased, &removal, now)
        .fact("released_because", reason)
        .fact("policies", answer.policies())
        .fact("assurance", assurance_fact(caller));
    let event = notify(event, &removal.blast.owners, &[Role::Security], "A removal was released", &text);
    let mut changeset = Changeset::new(caller.author(), now, event);
    fresh.expect(&mut changeset);
    if held && removal.scope.is_some() {
        steps::lift_hold(kernel, &mut changeset, &removal, reason, now).await?;
    } else if held {
        steps::lift_batch(kernel, &mut changeset, &mut removal, &ending, now).await?;
    }
    changeset.due.push(match &removal.cursor {
        Some(_) => DueChange::Set(DueKind::Removal, id.to_string(), now),
        None => DueChange::Clear(DueKind::Removal, id.to_string()),
    });
    changeset.replace(&stored, &removal);
    Ok((changeset, (removal, stored.revision + 1)))
}

/// Begins the removal that goes with an end which somebody has decided for ever, in the commit that records that.
pub(crate) async fn removal_by_hand(
    kernel: &Kernel,
    changeset: &mut Changeset,
    kind: SignalKind,
    subject: SignalSubject,
    by: PersonId,
    reason: &str,
    now: Timestamp,
) -> Result<Removal, OpError> {
    let (removal, ending) = planned_by_hand(kernel, kind, subject, by, reason, now).await?;
    let removal = steps::hold_removal(kernel, changeset, removal, &ending, Some(by), now).await?;
    changeset.insert(&removal);
    Ok(removal)
}

/// The same where the identities are held by the end itself: what is left is that they retire.
pub(crate) async fn removal_of_closed_need(
    kernel: &Kernel,
    changeset: &mut Changeset,
    need: &Need,
    by: PersonId,
    reason: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let subject = SignalSubject { kind: SubjectKind::Need, id: need.name.clone() };
    let (removal, _) = planned_by_hand(kernel, SignalKind::IntegrationRemoved, subject, by, reason, now).await?;
    let removal = steps::now_held(kernel, changeset, removal, now)?;
    changeset.insert(&removal);
    Ok(())
}

async fn planned_by_hand(
    kernel: &Kernel,
    kind: SignalKind,
    subject: SignalSubject,
    by: PersonId,
    reason: &str,
    now: Timestamp,
) -> Result<(Removal, Ending), OpError> {
    let ending = blast::ending(kernel, &subject, &[]).await?.ok_or(OpError::NotFound("subject of a removal"))?;
    let planned = blast::plan_removal(kernel, kind, &ending, false, now).await?;
    let raised = Raised { kind, ending: &ending, because: Because::Person(by), reason, compromise: false, planned };
    Ok((steps::planned_removal(kernel, raised, now), ending))
}

/// What happened to the subject, as asked or as is usual for its sort.
fn kind_of(ask: &NewRemoval) -> Result<SignalKind, OpError> {
    if ask.subject.id.is_empty() || ask.subject.id.len() > MAX_SUBJECT {
        return Err(OpError::field("subject.id", "subject_malformed", "give its name or its id, in 1 to 150 bytes"));
    }
    let usual = match ask.subject.kind {
        SubjectKind::Application => SignalKind::ApplicationRetired,
        SubjectKind::Vendor => SignalKind::VendorTerminated,
        SubjectKind::CloudAccount => SignalKind::CloudAccountDeleted,
        SubjectKind::Need => SignalKind::IntegrationRemoved,
        SubjectKind::Repository => SignalKind::RepositoryArchived,
        SubjectKind::Workload | SubjectKind::Identity => SignalKind::WorkloadRemoved,
        SubjectKind::Person => {
            return Err(OpError::field(
                "subject.type",
                "subject_is_a_person",
                "a person leaves by `tenure person depart`: what they answer for goes to others",
            ));
        }
    };
    let kind = ask.kind.unwrap_or(usual);
    if kind.effect() == Effect::Leaver {
        Ok(kind)
    } else {
        Err(OpError::field("kind", "kind_ends_nothing", "name a kind that ends something, or leave it out"))
    }
}

fn same_plan(expected: Option<&str>, digest: &str) -> Result<(), OpError> {
    if expected.is_some_and(|expected| expected != digest) {
        Err(OpError::refused(Reason::PlanChanged))
    } else {
        Ok(())
    }
}

/// The person, where only somebody of security may do it: the kernel of S-12, whatever the policy says.
fn security(caller: &Caller) -> Result<PersonId, OpError> {
    match caller {
        Caller::Person { person, .. } if person.holds(Role::Security) => Ok(person.id),
        _ => Err(OpError::because(Reason::NotAllowed, "only a person of security may do this")),
    }
}

fn must_become(removal: &Removal, next: RemovalState) -> Result<(), OpError> {
    if removal.state.may_become(next) { Ok(()) } else { Err(illegal(removal, next)) }
}

fn illegal(removal: &Removal, next: RemovalState) -> OpError {
    OpError::because(
        Reason::IllegalTransition,
        format!("a removal that is {} can't become {}", removal.state.as_str(), next.as_str()),
    )
}
