//! What a removal does: everything is cut and held at once; what nobody releases retires, in batches, each with its
//! receipt.
//!
//! Where the subject is a scope, one cut and one hold in one commit are enough, however many identities there are.

use tenure_core::base::id::{PersonId, RemovalId};
use tenure_core::base::state::InState;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::deferral::RemovalTrigger;
use tenure_core::identity::scope::{Hold, Scope};
use tenure_core::identity::{Identity, IdentityState, Releaser, RevocationTrigger, SuspensionCause, SuspensionKind};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::third_party::{CloudAccount, Need, Standing, Vendor};
use tenure_core::people::person::Role;
use tenure_core::signal::removal::{Because, Removal};
use tenure_core::signal::{SignalKind, SubjectKind};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::credentials::revocation;
use crate::endings::removals::blast::{self, Planned};
use crate::endings::removals::plan::{self, End, Ending, Step};
use crate::identities::deferral::{self, Fired};
use crate::identities::{charter, dormancy, lifecycle};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work::{self, acknowledge, system};

/// The workflow of machines that end.
pub(crate) const LEAVER: &str = "workload.leaver";
/// Identities that one commit looks at to cut and hold them, or to let them go.
const HELD_AT_ONCE: u16 = 100;
/// Identities that one commit looks at to retire them.
const RETIRED_AT_ONCE: u16 = 50;
/// Receipts that a removal names.
const RECEIPTS: usize = 100;

/// What a removal is begun with.
pub(crate) struct Raised<'a> {
    pub kind: SignalKind,
    pub ending: &'a Ending,
    pub because: Because,
    pub reason: &'a str,
    pub compromise: bool,
    pub planned: Planned,
}

/// A removal as it is planned: nothing is done yet. A scope of which one identity waits isn't held as one.
pub(crate) fn planned_removal(kernel: &Kernel, raised: Raised<'_>, now: Timestamp) -> Removal {
    Removal {
        id: RemovalId::generate(now, kernel.entropy.as_ref()),
        kind: raised.kind,
        subject: raised.ending.subject.clone(),
        scope: raised.ending.scope.clone().filter(|_| raised.planned.blast.deferred.is_empty()),
        environments: raised.ending.environments.clone(),
        because: raised.because,
        reason: raised.reason.to_owned(),
        compromise: raised.compromise,
        blast: raised.planned.blast,
        digest: raised.planned.digest,
        state: InState::default(),
        created_at: now,
        held_at: None,
        retire_at: None,
        confirmed_by: None,
        released: None,
        retired: 0,
        done_at: None,
        owner: raised.ending.owner,
        receipts: Vec::new(),
        cursor: None,
    }
}

/// Adds a removal that waits for a person of security, and has them told.
pub(crate) fn wait_for_confirmation(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &Removal,
    why: &str,
    now: Timestamp,
) {
    let text = format!(
        "{}: a signal says that something has ended that {} identities live by. {why}. Nothing is held yet.\nLook: tenure removal show {}\nThen: tenure removal confirm {} --digest …, or tenure removal release {}",
        removal.id, removal.blast.count, removal.id, removal.id, removal.id
    );
    let event = removal_event(kernel, EventKind::RemovalWaiting, removal, now)
        .fact("alert", true)
        .fact("digest", &removal.digest);
    changeset.event(notify(event, &[], &[Role::Security], "A removal waits for your confirmation", &text));
    changeset.insert(removal);
}

/// Cuts and holds what a removal concerns: as one where that is a scope, else the first hundred, and the others right
/// after. The caller writes the removal that is returned.
pub(crate) async fn hold_removal(
    kernel: &Kernel,
    changeset: &mut Changeset,
    mut removal: Removal,
    ending: &Ending,
    placed_by: Option<PersonId>,
    now: Timestamp,
) -> Result<Removal, OpError> {
    let for_good = plan::ends_for_good(removal.kind);
    match removal.scope.clone() {
        Some(scope) => {
            if for_good {
                let receipt =
                    revocation::cut_with_receipt(kernel, changeset, scope.clone(), &removal.reason, now).await?;
                removal.receipts.push(receipt);
            } else {
                revocation::held_with_receipt(kernel, changeset, scope.clone(), &removal.reason, now);
            }
            hold_scope(kernel, changeset, &removal, scope, placed_by, now).await?;
        }
        None => hold_batch(kernel, changeset, &mut removal, ending, placed_by, now).await?,
    }
    now_held(kernel, changeset, removal, now)
}

/// The removal as it holds from now on, its event, and its deadline.
pub(crate) fn now_held(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: Removal,
    now: Timestamp,
) -> Result<Removal, OpError> {
    let for_good = plan::ends_for_good(removal.kind);
    let removal = removal.hold(now, for_good.then(|| now.plus(kernel.settings.removal_hold)))?;
    let then = removal.retire_at.map_or_else(String::new, |at| {
        format!(" They retire at {at} unless somebody of security releases them: tenure removal release {}", removal.id)
    });
    let text = format!(
        "{}: something has ended that {} identities live by. They are held{}.{then}\nLook: tenure removal show {}",
        removal.id,
        removal.blast.count,
        match (for_good, removal.blast.deferred.len()) {
            (true, 0) => ", and all that they held is revoked".to_owned(),
            (true, n) => format!(", and all that they held is revoked; {n} of them wait for the end of an exception"),
            (false, _) => String::new(),
        },
        removal.id
    );
    let event = removal_event(kernel, EventKind::RemovalHeld, &removal, now)
        .fact("digest", &removal.digest)
        .fact("retire_at", removal.retire_at)
        .fact("receipts", &removal.receipts)
        .fact("deferred", removal.blast.deferred.len());
    changeset.event(notify(event, &removal.blast.owners, &[Role::Security], "Identities are held", &text));
    match (&removal.cursor, removal.retire_at) {
        (Some(_), _) => changeset.due.push(DueChange::Set(DueKind::Removal, removal.id.to_string(), now)),
        (None, Some(at)) => changeset.due.push(DueChange::Set(DueKind::Removal, removal.id.to_string(), at)),
        (None, None) => {}
    }
    Ok(removal)
}

/// An event of a removal.
pub(crate) fn removal_event(kernel: &Kernel, kind: EventKind, removal: &Removal, now: Timestamp) -> Event {
    let mut event = kernel.event(now, kind).subject(removal.id);
    if let Some(scope) = &removal.scope {
        event = event.subject(scope.subject());
    }
    event
        .fact("workflow", LEAVER)
        .fact("because", removal.because)
        .fact("ended", removal.kind)
        .fact("subject", &removal.subject)
        .fact("identities", removal.blast.count)
        .fact("reason", &removal.reason)
}

/// Holds a scope, unless somebody else does already: that hold is theirs to lift, and this removal's end is decided by
/// itself.
async fn hold_scope(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &Removal,
    scope: Scope,
    placed_by: Option<PersonId>,
    now: Timestamp,
) -> Result<(), OpError> {
    let read = kernel.one::<Hold>(&scope).await?;
    let hold = Hold {
        scope: scope.clone(),
        placed_by: placed_by.or(removal.owner),
        releasable_by: Releaser::Security,
        reason: format!("{}{}", removal.mark(), removal.reason),
        at: now,
        also: read.as_ref().map(|read| read.also.clone()).unwrap_or_default(),
    };
    match read {
        Some(read) if read.placed_by.is_some() && read.releasable_by == Releaser::Security => changeset.expect(&read),
        Some(read) => changeset.replace(&read, &hold),
        None => changeset.insert(&hold),
    };
    Ok(())
}

/// Holds the next identities of a removal whose subject is no scope.
async fn hold_batch(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &mut Removal,
    ending: &Ending,
    placed_by: Option<PersonId>,
    now: Timestamp,
) -> Result<(), OpError> {
    let found = blast::concerned_by(kernel, ending, removal.cursor.as_deref(), HELD_AT_ONCE).await?;
    let next = found.next();
    let rows = found.readable();
    let may_wait = plan::ends_for_good(removal.kind) && !removal.compromise;
    for stored in rows.iter() {
        if plan::can_be_held(stored.state) {
            if may_wait && put_off(kernel, changeset, stored, removal, now).await? {
                continue;
            }
            hold_one(kernel, changeset, stored, removal, placed_by, now).await?;
        } else if plan::has_not_ended(stored.state) {
            // One that becomes active meanwhile is held, too.
            changeset.expect(stored);
        }
    }
    removal.cursor = next;
    Ok(())
}

/// Has an identity's removal wait, if an exception says so that was approved before.
async fn put_off(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    removal: &Removal,
    now: Timestamp,
) -> Result<bool, OpError> {
    let id = removal.id.to_string();
    let fired = Fired { trigger: RemovalTrigger::Removal, of: &id, reason: &removal.reason };
    Ok(deferral::put_off(kernel, changeset, stored, fired, now).await?.is_some())
}

async fn hold_one(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    removal: &mut Removal,
    placed_by: Option<PersonId>,
    now: Timestamp,
) -> Result<(), OpError> {
    let cause = SuspensionCause {
        kind: SuspensionKind::Signalled,
        placed_by,
        releasable_by: Releaser::Security,
        reason: format!("{}{}", removal.mark(), removal.reason),
        at: now,
    };
    let event = kernel
        .event(now, EventKind::IdentitySuspended)
        .subject(stored.id)
        .subject(removal.id)
        .fact("workflow", LEAVER)
        .fact("cause", cause.kind)
        .fact("reason", &cause.reason)
        .fact("releasable_by", cause.releasable_by);
    changeset.event(event);
    if plan::ends_for_good(removal.kind) || stored.charter.auto_revocation.contains(&RevocationTrigger::Suspension) {
        let receipt =
            revocation::cut_with_receipt(kernel, changeset, Scope::Identity(stored.id), &removal.reason, now).await?;
        if removal.receipts.len() < RECEIPTS {
            removal.receipts.push(receipt);
        }
    } else {
        revocation::held_with_receipt(kernel, changeset, Scope::Identity(stored.id), &removal.reason, now);
    }
    let identity =
        if plan::is_full(stored) { (*stored.value).clone() } else { (*stored.value).clone().suspend(cause)? };
    changeset.replace(stored, &identity);
    Ok(())
}

/// Lets the next identities of a released removal go. What was cut stays cut; who can't come back stays suspended, and
/// security decides on each.
pub(crate) async fn lift_batch(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &mut Removal,
    ending: &Ending,
    now: Timestamp,
) -> Result<(), OpError> {
    let found = blast::concerned_by(kernel, ending, removal.cursor.as_deref(), HELD_AT_ONCE).await?;
    let next = found.next();
    let rows = found.readable();
    for stored in &rows {
        let Some(place) = plan::cause_of(removal, stored).filter(|_| stored.state == IdentityState::Suspended) else {
            if stored.deferred.iter().any(|deferred| deferred.is_of(removal.id)) {
                let mut identity = (*stored.value).clone();
                identity.deferred.retain(|deferred| !deferred.is_of(removal.id));
                changeset.replace(stored, &identity);
            }
            continue;
        };
        let mut identity = (*stored.value).clone().resume(place)?;
        if identity.state == IdentityState::Active
            && dormancy::may_return(kernel, &identity, Some(SuspensionKind::Signalled), now).await.is_err()
        {
            continue;
        }
        let event = kernel
            .event(now, EventKind::IdentityResumed)
            .subject(identity.id)
            .subject(removal.id)
            .fact("reason", removal.released.as_ref().map(|(_, why)| why.clone()))
            .fact("causes_left", identity.suspensions.len());
        changeset.event(event);
        dormancy::resumed(kernel, changeset, &mut identity, now).await?;
        changeset.replace(stored, &identity);
    }
    removal.cursor = next;
    Ok(())
}

/// Lifts the hold of a released removal, if it is this removal's.
pub(crate) async fn lift_hold(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &Removal,
    reason: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some(scope) = &removal.scope else { return Ok(()) };
    let Some(read) = kernel.one::<Hold>(scope).await? else {
        return Ok(());
    };
    let Some(placed_by) = read.placed_by.filter(|_| read.reason.starts_with(&removal.mark())) else {
        return Ok(());
    };
    let hold = (*read.value).clone().released(placed_by, reason, now);
    let event = kernel
        .event(now, EventKind::ScopeReleased)
        .subject(scope.subject())
        .subject(removal.id)
        .fact("scope", scope.kind())
        .fact("reason", reason)
        .fact("holds_left", hold.placers().count());
    changeset.event(event).replace(&read, &hold);
    Ok(())
}

/// Works off a removal.
pub(crate) async fn work_removal(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<RemovalId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Removal>(id).await? else {
        return Ok(None);
    };
    let step = plan::step(&stored, now);
    match step {
        Step::Nothing => return Ok(None),
        Step::Later(at) => return Ok(Some(work::postponed(kernel, claimed, at, now))),
        _ => {}
    }
    let Some(ending) = blast::ending(kernel, &stored.subject, &stored.environments).await? else {
        return Ok(None);
    };
    let mut removal = (*stored.value).clone();
    let control = if step == Step::LiftMore { ControlPoint::Resume } else { ControlPoint::Retire };
    let mut changeset =
        Changeset::new(system(), now, removal_event(kernel, EventKind::RemovalWorkedOn, &removal, now).at(control));
    let again = match step {
        Step::HoldMore => {
            let placed_by = removal.confirmed_by.or(match removal.because {
                Because::Person(person) => Some(person),
                Because::Signal(_) => None,
            });
            hold_batch(kernel, &mut changeset, &mut removal, &ending, placed_by, now).await?;
            if removal.cursor.is_some() { Some(now) } else { removal.retire_at }
        }
        Step::LiftMore => {
            lift_batch(kernel, &mut changeset, &mut removal, &ending, now).await?;
            removal.cursor.is_some().then_some(now)
        }
        Step::Retire => {
            begin_retiring(kernel, &mut changeset, &mut removal, &ending, now).await?;
            Some(now)
        }
        Step::RetireMore => {
            retire_batch(kernel, &mut changeset, &mut removal, &ending, now).await?;
            Some(now)
        }
        Step::Watch => match watched(kernel, &mut changeset, &mut removal, &ending, now).await? {
            Watched::Goes => Some(now),
            Watched::Waits(at) => return Ok(Some(work::postponed(kernel, claimed, at, now))),
            Watched::Done => {
                finish_removal(kernel, &mut changeset, &mut removal, now)?;
                None
            }
        },
        _ => {
            finish_removal(kernel, &mut changeset, &mut removal, now)?;
            None
        }
    };
    changeset.replace(&stored, &removal);
    match again {
        Some(at) => changeset.due.push(DueChange::Retry(DueKind::Removal, claimed.subject.clone(), claimed.fence, at)),
        None => acknowledge(&mut changeset, claimed),
    }
    Ok(Some(changeset))
}

/// The hold is over: what ended is closed, so that nothing begins there again, and the first identities retire.
async fn begin_retiring(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &mut Removal,
    ending: &Ending,
    now: Timestamp,
) -> Result<(), OpError> {
    *removal = removal.clone().retire()?;
    let text = format!(
        "{}: nobody released it in time. Its {} identities retire now, for ever.\nFollow: tenure removal show {}",
        removal.id, removal.blast.count, removal.id
    );
    let event = removal_event(kernel, EventKind::RemovalRetiring, removal, now);
    changeset.event(notify(event, &removal.blast.owners, &[Role::Security], "Identities retire", &text));
    if !ending.closed {
        close_subject(kernel, changeset, removal, ending, now).await?;
    }
    retire_batch(kernel, changeset, removal, ending, now).await
}

async fn close_subject(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &Removal,
    ending: &Ending,
    now: Timestamp,
) -> Result<(), OpError> {
    let closed = |kind: EventKind, subject: String| {
        kernel.event(now, kind).subject(subject).subject(removal.id).fact("reason", &removal.reason)
    };
    match &ending.scope {
        Some(Scope::Application(id)) => {
            let stored = kernel.must::<Application>("application", id).await?;
            let mut next = (*stored.value).clone();
            next.standing = Standing::Closed;
            changeset.event(closed(EventKind::ApplicationRetired, id.to_string())).replace(&stored, &next);
        }
        Some(Scope::Vendor(id)) => {
            let stored = kernel.must::<Vendor>("vendor", id).await?;
            let mut next = (*stored.value).clone();
            next.standing = Standing::Closed;
            changeset.event(closed(EventKind::VendorEnded, id.to_string())).replace(&stored, &next);
        }
        Some(Scope::CloudAccount(id)) => {
            let stored = kernel.must::<CloudAccount>("cloud account", id).await?;
            let mut next = (*stored.value).clone();
            next.standing = Standing::Closed;
            changeset.event(closed(EventKind::CloudAccountClosed, id.to_string())).replace(&stored, &next);
        }
        _ if ending.subject.kind == SubjectKind::Need => {
            let named = kernel.find(Query::of([Need::NAME.of(&ending.subject.id)])).await?;
            let Some(stored) = named.readable().into_iter().find(|need| need.name == ending.subject.id) else {
                return Ok(());
            };
            let mut next = (*stored.value).clone();
            next.standing = Standing::Closed;
            changeset.event(closed(EventKind::NeedClosed, next.id.to_string())).replace(&stored, &next);
            changeset.due.push(DueChange::Clear(DueKind::Need, next.id.to_string()));
        }
        _ => {}
    }
    Ok(())
}

async fn retire_batch(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &mut Removal,
    ending: &Ending,
    now: Timestamp,
) -> Result<(), OpError> {
    let found = blast::concerned_by(kernel, ending, removal.cursor.as_deref(), RETIRED_AT_ONCE).await?;
    let next = found.next();
    // What can't be read is not left behind: its removal isn't done, and the others stay held.
    let rows = found.whole()?;
    for stored in &rows {
        match plan::end_of(removal, ending, stored) {
            End::Spare => continue,
            End::Retire => {
                let reason = format!("{}{}", removal.mark(), removal.reason);
                lifecycle::retire_in(kernel, changeset, stored, "removal", &reason, now).await?;
            }
            End::Close => {
                let mut identity = (*stored.value).clone().close()?;
                charter::drop_activation(kernel, changeset, &mut identity, "what it was to live by has ended", now)
                    .await?;
                let event = kernel
                    .event(now, EventKind::IdentityClosed)
                    .subject(identity.id)
                    .subject(removal.id)
                    .fact("reason", &removal.reason);
                changeset.event(event).replace(stored, &identity);
            }
        }
        removal.retired = removal.retired.saturating_add(1);
    }
    removal.cursor = next;
    Ok(())
}

/// What the last look at a removal that retires comes to.
enum Watched {
    /// Identities whose exception is over went on.
    Goes,
    /// Nothing until then.
    Waits(Timestamp),
    /// All of them are retired.
    Done,
}

/// Looks at a removal all of whose identities have begun to retire, but for those that wait for the end of an exception.
async fn watched(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &mut Removal,
    ending: &Ending,
    now: Timestamp,
) -> Result<Watched, OpError> {
    let mut until: Option<Timestamp> = None;
    if !removal.blast.deferred.is_empty() {
        let (late, next) = deferred_of(kernel, removal, ending).await?;
        for stored in &late {
            let reason = format!("{}{}", removal.mark(), removal.reason);
            lifecycle::retire_in(kernel, changeset, stored, "removal", &reason, now).await?;
            removal.retired = removal.retired.saturating_add(1);
        }
        if !late.is_empty() {
            return Ok(Watched::Goes);
        }
        until = next;
    }
    let soon = plan::watched_again(removal, now);
    if still_retiring(kernel, ending).await? {
        return Ok(Watched::Waits(soon));
    }
    Ok(until.map_or(Watched::Done, |until| Watched::Waits(until.max(soon))))
}

/// Of the identities of a removal those whose exception is over and which didn't go on yet, as many as one commit takes;
/// and until when the others wait.
async fn deferred_of(
    kernel: &Kernel,
    removal: &Removal,
    ending: &Ending,
) -> Result<(Vec<Stored<Identity>>, Option<Timestamp>), OpError> {
    let (mut late, mut until, mut after) = (Vec::new(), None::<Timestamp>, None);
    loop {
        let found = blast::concerned_by(kernel, ending, after.as_deref(), HELD_AT_ONCE).await?;
        after = found.next();
        // What can't be read is not known to have gone on.
        for stored in found.whole()? {
            if plan::can_be_held(stored.state) && plan::waits(removal, &stored) {
                let next = stored.deferred_until();
                until = until.map_or(next, |until| next.map(|next| next.min(until)));
            } else if plan::end_of(removal, ending, &stored) == End::Retire && late.len() < usize::from(RETIRED_AT_ONCE)
            {
                late.push(stored);
            }
        }
        if after.is_none() {
            return Ok((late, until));
        }
    }
}

/// Whether an identity of the subject has not come to the end of its retirement: its last receipt is still open.
async fn still_retiring(kernel: &Kernel, ending: &Ending) -> Result<bool, OpError> {
    if let Some(id) = ending.identity {
        return Ok(kernel.one::<Identity>(id).await?.is_some_and(|identity| identity.state == IdentityState::Retiring));
    }
    let retiring = Query::of([Identity::STATE.of(IdentityState::Retiring)]).any(ending.terms.iter().cloned());
    let mut pages = kernel.pages(retiring.limit(HELD_AT_ONCE));
    while let Some(found) = pages.next().await? {
        // What can't be read is not known to have retired.
        if found.whole()?.iter().any(|row| ending.concerns(row)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn finish_removal(
    kernel: &Kernel,
    changeset: &mut Changeset,
    removal: &mut Removal,
    now: Timestamp,
) -> Result<(), OpError> {
    *removal = removal.clone().done(now)?;
    let text = format!(
        "{}: its {} identities are retired, each with its receipt.\nLook: tenure removal show {}",
        removal.id, removal.retired, removal.id
    );
    let event = removal_event(kernel, EventKind::RemovalDone, removal, now).fact("retired", removal.retired);
    changeset.event(notify(event, &removal.blast.owners, &[Role::Security], "A removal is done", &text));
    Ok(())
}
