//! What somebody leaves behind: every identity of theirs gets a window in which another person takes it, or stops at
//! its end (R91).

use tenure_core::base::id::{PersonId, TransferId};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::deferral::RemovalTrigger;
use tenure_core::identity::transfer::{Transfer, TransferState, TransferWindow};
use tenure_core::identity::{Identity, IdentityState, Releaser, SuspensionCause, SuspensionKind};
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::access::transfers::plan::{self, TransferPlan};
use crate::access::transfers::{self, needs_window, tell_offered};
use crate::credentials::revocation;
use crate::identities::deferral::{self, Fired};
use crate::identities::{charter, lifecycle};
use crate::inventory::{ownership, removal_groups};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::load::is_away;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work::{self, BATCH, acknowledge, system};

/// Commits in one turn of a worker: enough for thousands of identities, and few enough to be done before the lease
/// ends.
const TURN: usize = 20;
const ABANDONED: &str = "its owner left, and nobody took it in time";
/// Rows read at once.
const PAGE: u16 = 200;

/// What a departure or a suspension means for what the person answers for: the first windows open in the same commit,
/// and a worker opens the others and looks again.
pub(crate) async fn leave_behind(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: &Person,
    now: Timestamp,
) -> Result<(), OpError> {
    open_windows(kernel, changeset, person, now).await?;
    changeset.due.push(DueChange::Set(DueKind::Leaver, person.id.to_string(), now));
    Ok(())
}

/// Works off what somebody left behind, or takes the windows back if they are there again.
pub(crate) async fn work_leaver(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<PersonId>() else {
        return match removal_groups::work_removal_group(kernel, claimed, now).await? {
            None => ownership::work_left_behind(kernel, claimed, now).await,
            worked => Ok(worked),
        };
    };
    for _ in 0..TURN {
        let Some(person) = kernel.one::<Person>(id).await? else {
            return Ok(None);
        };
        let event = kernel.event(now, EventKind::PersonIdentitiesSorted).subject(id);
        let mut changeset = Changeset::new(system(), now, event);
        let (identities, records) = match is_away(&person) {
            true => (
                open_windows(kernel, &mut changeset, &person, now).await?
                    + offers_to(kernel, &mut changeset, &person, now).await?,
                ownership::note_left_behind(kernel, &mut changeset, &person, BATCH, now).await?,
            ),
            false => (
                keep_all(kernel, &mut changeset, &person, now).await?,
                ownership::note_return(kernel, &mut changeset, person.id, BATCH, now).await?,
            ),
        };
        let groups = removal_groups::note_removal_groups_of(kernel, &mut changeset, &person, now).await?;
        changeset.expect(&person);
        let event = changeset.events.first_mut().map(|event| {
            event
                .clone()
                .fact("identities", identities)
                .fact("records", records)
                .fact("removal_groups", groups)
                .fact("state", person.state)
        });
        if let (Some(event), Some(first)) = (event, changeset.events.first_mut()) {
            *first = event;
        }
        if identities == 0 && records == 0 && groups == 0 {
            return Ok(None);
        }
        if identities < BATCH && records < BATCH {
            acknowledge(&mut changeset, claimed);
            return Ok(Some(changeset));
        }
        // A conflict is seen by the next look.
        kernel.settle(changeset).await?;
    }
    Ok(Some(work::postponed(kernel, claimed, now, now)))
}

/// Hands over the first identities of somebody who is away that were not yet; returns how many.
async fn open_windows(
    kernel: &Kernel,
    changeset: &mut Changeset,
    owner: &Person,
    now: Timestamp,
) -> Result<usize, OpError> {
    let mut handled = 0;
    for state in [IdentityState::Active, IdentityState::Suspended] {
        for stored in owned(kernel, owner.id, state, BATCH - handled, needs_window).await? {
            open_window(kernel, changeset, &stored, owner, now).await?;
            handled += 1;
        }
    }
    if owner.state == PersonState::Departed {
        for state in [IdentityState::Draft, IdentityState::Pending] {
            for stored in owned(kernel, owner.id, state, BATCH - handled, |_| true).await? {
                close_unstarted(kernel, changeset, &stored, now).await?;
                handled += 1;
            }
        }
    }
    Ok(handled)
}

/// The first identities of an owner in a state that are wanted.
async fn owned(
    kernel: &Kernel,
    owner: PersonId,
    state: IdentityState,
    most: usize,
    wanted: impl Fn(&Identity) -> bool,
) -> Result<Vec<Stored<Identity>>, OpError> {
    let mut found = Vec::new();
    let mut theirs = kernel.pages(Query::of([Identity::OWNER.of(owner), Identity::STATE.of(state)]).limit(PAGE));
    while found.len() < most {
        let Some(page) = theirs.next().await? else { break };
        found.extend(page.readable().into_iter().filter(|row| wanted(row)));
    }
    found.truncate(most);
    Ok(found)
}

async fn open_window(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    owner: &Person,
    now: Timestamp,
) -> Result<(), OpError> {
    let because = if owner.state == PersonState::Departed { "owner_departed" } else { "owner_suspended" };
    let offer = transfers::open_transfer_of(kernel, stored.id).await?;
    let fresh = transfers::new_transfer(kernel, stored.id, owner.id, because, now);
    // An offer that the owner made before goes on as it is, with the deadline that it has from now.
    let next = match &offer {
        Some(offer) => Transfer { because: fresh.because, deadline: fresh.deadline, ..(*offer.value).clone() },
        None => fresh,
    };
    let to = match next.offered_to {
        Some(to) => Some(to),
        None => next_owner(kernel, stored, owner, &next.declined_by).await?,
    };
    let next = next.offer(to)?;
    let backup = match stored.charter.backup_owner {
        Some(backup) => kernel.one::<Person>(backup).await?.filter(|backup| backup.is_active()),
        None => None,
    };
    let identity = Identity {
        transfer: Some(TransferWindow {
            transfer: next.id,
            deadline: next.deadline,
            interim: backup.map(|backup| backup.id),
        }),
        ..(*stored.value).clone()
    };
    let event = transfers::transfer_event(kernel, EventKind::IdentityTransferOpened, &next, now)
        .fact("interim", identity.transfer.as_ref().and_then(|window| window.interim));
    changeset.event(tell_offered(event, &next)).replace(stored, &identity);
    match &offer {
        Some(offer) => changeset.replace(offer, &next),
        None => changeset.insert(&next),
    };
    changeset.due.push(DueChange::Set(DueKind::Transfer, next.id.to_string(), next.deadline));
    Ok(())
}

/// Who is asked next: the backup owner, else the manager of who is away, if they may own and have not declined.
async fn next_owner(
    kernel: &Kernel,
    identity: &Identity,
    owner: &Person,
    declined: &[PersonId],
) -> Result<Option<PersonId>, OpError> {
    for candidate in [identity.charter.backup_owner, owner.manager].into_iter().flatten() {
        if candidate == owner.id || declined.contains(&candidate) {
            continue;
        }
        if kernel.one::<Person>(candidate).await?.is_some_and(|person| person.holds(Role::Owner)) {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// A transfer that goes on from whoever was asked, with its event.
pub(crate) async fn passed_on(
    kernel: &Kernel,
    transfer: &Transfer,
    identity: &Identity,
    kind: EventKind,
    now: Timestamp,
) -> Result<(Event, Transfer), OpError> {
    let mut next = transfer.clone();
    next.declined_by.extend(transfer.offered_to);
    // Only where nobody answers for it is anybody asked without having been named.
    let to = match (&identity.transfer, kernel.one::<Person>(transfer.from).await?) {
        (Some(_), Some(owner)) => next_owner(kernel, identity, &owner, &next.declined_by).await?,
        _ => None,
    };
    let next = next.offer(to)?;
    let event = transfers::transfer_event(kernel, kind, &next, now).fact("declined_by", transfer.offered_to);
    Ok((
        match identity.transfer {
            Some(_) => tell_offered(event, &next),
            None => notify(
                event,
                &[next.from],
                &[],
                "Your offer was declined",
                &format!("{} is still yours.", next.identity),
            ),
        },
        next,
    ))
}

/// What was offered to somebody who is away goes on to others; returns how much.
async fn offers_to(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: &Person,
    now: Timestamp,
) -> Result<usize, OpError> {
    let offered = [Transfer::OFFERED_TO.of(person.id), Transfer::STATE.of(TransferState::Offered)];
    let rows = kernel.find(Query::of(offered).limit(PAGE)).await?.readable();
    let mut handled = 0;
    for stored in rows.iter().take(BATCH) {
        let Some(identity) = kernel.one::<Identity>(stored.identity).await? else {
            continue;
        };
        let (event, next) = passed_on(kernel, stored, &identity, EventKind::IdentityTransferPassedOn, now).await?;
        changeset.event(event).replace(stored, &next);
        handled += 1;
    }
    Ok(handled)
}

/// Closes what was never active, with its open request: nobody is there who wants it.
async fn close_unstarted(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    now: Timestamp,
) -> Result<(), OpError> {
    let mut identity = (*stored.value).clone().close()?;
    charter::drop_activation(kernel, changeset, &mut identity, "the owner has left", now).await?;
    let event = kernel.event(now, EventKind::IdentityClosed).subject(identity.id).fact("reason", "the owner has left");
    changeset.event(event).replace(stored, &identity);
    Ok(())
}

/// The owner is there again: what was not taken stays theirs. Returns how many identities that was.
async fn keep_all(
    kernel: &Kernel,
    changeset: &mut Changeset,
    owner: &Person,
    now: Timestamp,
) -> Result<usize, OpError> {
    let mut handled = 0;
    for state in [IdentityState::Active, IdentityState::Suspended] {
        for stored in owned(kernel, owner.id, state, BATCH - handled, |identity| identity.transfer.is_some()).await? {
            let identity = Identity { transfer: None, ..(*stored.value).clone() };
            if let Some(transfer) = transfers::open_transfer_of(kernel, stored.id).await? {
                let closed = (*transfer.value).clone().close()?;
                let event = transfers::transfer_event(kernel, EventKind::IdentityTransferClosed, &closed, now)
                    .fact("closed_because", "owner_returned");
                changeset.event(event).replace(&transfer, &closed);
                changeset.due.push(DueChange::Clear(DueKind::Transfer, closed.id.to_string()));
            }
            changeset.replace(&stored, &identity);
            handled += 1;
        }
    }
    Ok(handled)
}

/// Works off a transfer's deadline, and the grace period after it.
pub(crate) async fn work_transfer(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<TransferId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Transfer>(id).await? else {
        return Ok(None);
    };
    let Some(identity) = kernel.one::<Identity>(stored.identity).await? else {
        return Ok(None);
    };
    let owner = kernel.one::<Person>(stored.from).await?;
    let owner_active = owner.as_ref().is_some_and(|owner| owner.is_active());
    let mut changeset = match plan::plan(&stored, &identity, owner_active, kernel.settings.lapsed_grace, now) {
        TransferPlan::Nothing => return Ok(None),
        TransferPlan::Later(at) => return Ok(Some(work::postponed(kernel, claimed, at, now))),
        TransferPlan::Close => closed(kernel, &stored, &identity, now)?,
        TransferPlan::Lapse { stops } => {
            let mut changeset = lapsed_transfer(kernel, &stored, &identity, stops, now).await?;
            if let Some(owner) = &owner {
                changeset.expect(owner);
            }
            if stops {
                let retires_at = stored.deadline.plus(kernel.settings.lapsed_grace);
                changeset.due.push(DueChange::Retry(
                    DueKind::Transfer,
                    claimed.subject.clone(),
                    claimed.fence,
                    retires_at,
                ));
                return Ok(Some(changeset));
            }
            changeset
        }
        TransferPlan::Retire => {
            let fired = Fired { trigger: RemovalTrigger::OwnerLeft, of: &claimed.subject, reason: ABANDONED };
            if let Some(postponed) = deferral::postponed(kernel, claimed, &identity, fired, now).await? {
                return Ok(Some(postponed));
            }
            lifecycle::retire_by_deadline(kernel, &identity, "owner_left_without_successor", now).await?
        }
    };
    acknowledge(&mut changeset, claimed);
    Ok(Some(changeset))
}

fn closed(
    kernel: &Kernel,
    stored: &Stored<Transfer>,
    identity: &Stored<Identity>,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let closed = (*stored.value).clone().close()?;
    let event = transfers::transfer_event(kernel, EventKind::IdentityTransferClosed, &closed, now)
        .fact("closed_because", identity.state);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.expect(identity).replace(stored, &closed);
    Ok(changeset)
}

/// Nobody took it: an identity without an owner stops; one whose owner is there stays theirs.
async fn lapsed_transfer(
    kernel: &Kernel,
    stored: &Stored<Transfer>,
    identity: &Stored<Identity>,
    stops: bool,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let lapsed = (*stored.value).clone().lapse()?;
    let event = transfers::transfer_event(kernel, EventKind::IdentityTransferLapsed, &lapsed, now);
    let mut people = vec![lapsed.from];
    people.extend(lapsed.offered_to);
    people.extend(identity.transfer.as_ref().and_then(|window| window.interim));
    let text = if stops {
        format!(
            "Nobody took {} in time: it is suspended, and retires at {}. tenure transfer start {} --to per_…",
            lapsed.identity,
            lapsed.deadline.plus(kernel.settings.lapsed_grace),
            lapsed.identity
        )
    } else {
        format!("Nobody took {} in time: it stays as it is.", lapsed.identity)
    };
    let roles: &[Role] = if stops { &[Role::Security] } else { &[] };
    let mut changeset = Changeset::new(system(), now, notify(event, &people, roles, "Nobody took an identity", &text));
    changeset.replace(stored, &lapsed);
    if !stops {
        changeset.expect(identity);
        return Ok(changeset);
    }
    let reason = ABANDONED;
    let mut next = (*identity.value).clone().suspend(SuspensionCause {
        kind: SuspensionKind::TransferLapsed,
        placed_by: None,
        releasable_by: Releaser::Security,
        reason: reason.into(),
        at: now,
    })?;
    next.transfer = None;
    let event = kernel
        .event(now, EventKind::IdentitySuspended)
        .subject(next.id)
        .fact("cause", SuspensionKind::TransferLapsed)
        .fact("reason", reason);
    changeset.event(event);
    revocation::suspended_with_receipt(kernel, &mut changeset, &next, reason, now).await?;
    changeset.replace(identity, &next);
    Ok(changeset)
}
