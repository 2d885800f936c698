//! What somebody leaves behind: every identity of theirs gets a window in which another person takes it, or stops at its end (R91).

use tenure_core::changeset::{Changeset, DueChange};
use tenure_core::event::{ControlPoint, Event};
use tenure_core::id::{PersonId, TransferId};
use tenure_core::identity::{Identity, IdentityState, Releaser, RevocationTrigger, SuspensionCause, SuspensionKind};
use tenure_core::person::{Person, PersonState, Role};
use tenure_core::port::{Claimed, DueKind};
use tenure_core::row::{RowKind, Stored};
use tenure_core::scope::Scope;
use tenure_core::time::Timestamp;
use tenure_core::transfer::{Transfer, TransferState, TransferWindow};

use super::{is_away, needs_window, tell_offered};
use crate::Engine;
use crate::error::OpError;
use crate::notice::notify;
use crate::ops::requests::deadlines::acknowledge;
use crate::plan::transfer::{self, Plan};
use crate::run::deadlines::system;

/// Identities that one commit hands over.
pub(crate) const BATCH: usize = 50;
/// Commits in one turn of a worker: enough for thousands of identities, and few enough to be done before the lease ends.
const TURN: usize = 20;
/// Rows read at once.
const PAGE: u16 = 200;

impl Engine {
    /// What a departure or a suspension means for what the person answers for: the first windows open in the same commit, and a worker
    /// opens the others and looks again.
    pub(crate) async fn leave_behind(&self, changeset: &mut Changeset, person: &Person, now: Timestamp) -> Result<(), OpError> {
        self.open_windows(changeset, person, now).await?;
        changeset.due.push(DueChange::Set(DueKind::Leaver, person.id.to_string(), now));
        Ok(())
    }

    /// Works off what somebody left behind, or takes the windows back if they are there again.
    pub(crate) async fn work_leaver(&self, claimed: &Claimed, now: Timestamp) -> Result<Option<Changeset>, OpError> {
        let Ok(id) = claimed.subject.parse::<PersonId>() else {
            return match self.work_removal_group(claimed, now).await? {
                None => self.work_left_behind(claimed, now).await,
                worked => Ok(worked),
            };
        };
        for _ in 0..TURN {
            let Some(person) = self.one::<Person>(id).await? else { return Ok(None) };
            let event = self.event(now, "person.identities_sorted", ControlPoint::Transfer).subject(id);
            let mut changeset = Changeset::new(system(), now, event);
            let (identities, records) = match is_away(&person) {
                true => (
                    self.open_windows(&mut changeset, &person, now).await? + self.offers_to(&mut changeset, &person, now).await?,
                    self.note_left_behind(&mut changeset, &person, BATCH, now).await?,
                ),
                false => (
                    self.keep_all(&mut changeset, &person, now).await?,
                    self.note_return(&mut changeset, person.id, BATCH, now).await?,
                ),
            };
            let groups = self.note_removal_groups_of(&mut changeset, &person, now).await?;
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
            self.settle(changeset).await?;
        }
        let event = self
            .event(now, "deadline.postponed", ControlPoint::Administer)
            .subject(id)
            .fact("kind", DueKind::Leaver.as_str())
            .fact("until", now);
        let mut changeset = Changeset::new(system(), now, event);
        changeset
            .due
            .push(DueChange::Retry(DueKind::Leaver, claimed.subject.clone(), claimed.fence, now));
        Ok(Some(changeset))
    }

    /// Hands over the first identities of somebody who is away that were not yet; returns how many.
    async fn open_windows(&self, changeset: &mut Changeset, owner: &Person, now: Timestamp) -> Result<usize, OpError> {
        let mut handled = 0;
        for state in [IdentityState::Active, IdentityState::Suspended] {
            for stored in self.owned(owner.id, state, BATCH - handled, needs_window).await? {
                self.open_window(changeset, &stored, owner, now).await?;
                handled += 1;
            }
        }
        if owner.state == PersonState::Departed {
            for state in [IdentityState::Draft, IdentityState::Pending] {
                for stored in self.owned(owner.id, state, BATCH - handled, |_| true).await? {
                    self.close_unstarted(changeset, &stored, now).await?;
                    handled += 1;
                }
            }
        }
        Ok(handled)
    }

    /// The first identities of an owner in a state that are wanted.
    async fn owned(&self, owner: PersonId, state: IdentityState, most: usize, wanted: impl Fn(&Identity) -> bool) -> Result<Vec<Stored<Identity>>, OpError> {
        let mut found = Vec::new();
        let mut after = None;
        while found.len() < most {
            let terms = vec![format!("owner={owner}"), format!("state={}", state.as_str())];
            let (rows, next) = self.listed::<Identity>(RowKind::Identity, terms, after, PAGE).await?;
            found.extend(rows.into_iter().filter(|row| wanted(row)));
            after = next;
            if after.is_none() {
                break;
            }
        }
        found.truncate(most);
        Ok(found)
    }

    async fn open_window(&self, changeset: &mut Changeset, stored: &Stored<Identity>, owner: &Person, now: Timestamp) -> Result<(), OpError> {
        let because = if owner.state == PersonState::Departed {
            "owner_departed"
        } else {
            "owner_suspended"
        };
        let offer = self.open_transfer_of(stored.id).await?;
        let fresh = self.new_transfer(stored.id, owner.id, because, now);
        // An offer that the owner made before goes on as it is, with the deadline that it has from now.
        let mut next = match &offer {
            Some(offer) => Transfer {
                because: fresh.because,
                deadline: fresh.deadline,
                ..(*offer.value).clone()
            },
            None => fresh,
        };
        if next.offered_to.is_none() {
            next.offered_to = self.next_owner(stored, owner, &next.declined_by).await?;
        }
        next.state = if next.offered_to.is_some() {
            TransferState::Offered
        } else {
            TransferState::Open
        };
        let backup = match stored.charter.backup_owner {
            Some(backup) => self.one::<Person>(backup).await?.filter(|backup| backup.is_active()),
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
        let event = self
            .transfer_event("identity.transfer_opened", &next, now)
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
    async fn next_owner(&self, identity: &Identity, owner: &Person, declined: &[PersonId]) -> Result<Option<PersonId>, OpError> {
        for candidate in [identity.charter.backup_owner, owner.manager].into_iter().flatten() {
            if candidate == owner.id || declined.contains(&candidate) {
                continue;
            }
            if self.one::<Person>(candidate).await?.is_some_and(|person| person.holds(Role::Owner)) {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// A transfer that goes on from whoever was asked, with its event.
    pub(super) async fn passed_on(&self, transfer: &Transfer, identity: &Identity, kind: &'static str, now: Timestamp) -> Result<(Event, Transfer), OpError> {
        let mut next = transfer.clone();
        next.declined_by.extend(transfer.offered_to);
        next.offered_to = None;
        next.state = TransferState::Open;
        // Only where nobody answers for it is anybody asked without having been named.
        if let (Some(_), Some(owner)) = (&identity.transfer, self.one::<Person>(transfer.from).await?) {
            next.offered_to = self.next_owner(identity, &owner, &next.declined_by).await?;
        }
        if next.offered_to.is_some() {
            next.state = TransferState::Offered;
        }
        let event = self.transfer_event(kind, &next, now).fact("declined_by", transfer.offered_to);
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
    async fn offers_to(&self, changeset: &mut Changeset, person: &Person, now: Timestamp) -> Result<usize, OpError> {
        let terms = vec![format!("offered_to={}", person.id), format!("state={}", TransferState::Offered.as_str())];
        let (rows, _) = self.listed::<Transfer>(RowKind::Transfer, terms, None, PAGE).await?;
        let mut handled = 0;
        for stored in rows.iter().take(BATCH) {
            let Some(identity) = self.one::<Identity>(stored.identity).await? else {
                continue;
            };
            let (event, next) = self.passed_on(stored, &identity, "identity.transfer_passed_on", now).await?;
            changeset.event(event).replace(stored, &next);
            handled += 1;
        }
        Ok(handled)
    }

    /// Closes what was never active, with its open request: nobody is there who wants it.
    async fn close_unstarted(&self, changeset: &mut Changeset, stored: &Stored<Identity>, now: Timestamp) -> Result<(), OpError> {
        let mut identity = (*stored.value).clone().close()?;
        self.drop_activation(changeset, &mut identity, "the owner has left", now).await?;
        let event = self
            .event(now, "identity.closed", ControlPoint::Retire)
            .subject(identity.id)
            .fact("reason", "the owner has left");
        changeset.event(event).replace(stored, &identity);
        Ok(())
    }

    /// The owner is there again: what was not taken stays theirs. Returns how many identities that was.
    async fn keep_all(&self, changeset: &mut Changeset, owner: &Person, now: Timestamp) -> Result<usize, OpError> {
        let mut handled = 0;
        for state in [IdentityState::Active, IdentityState::Suspended] {
            for stored in self.owned(owner.id, state, BATCH - handled, |identity| identity.transfer.is_some()).await? {
                let identity = Identity {
                    transfer: None,
                    ..(*stored.value).clone()
                };
                if let Some(transfer) = self.open_transfer_of(stored.id).await? {
                    let closed = Transfer {
                        state: TransferState::Closed,
                        ..(*transfer.value).clone()
                    };
                    let event = self
                        .transfer_event("identity.transfer_closed", &closed, now)
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
    pub(crate) async fn work_transfer(&self, claimed: &Claimed, now: Timestamp) -> Result<Option<Changeset>, OpError> {
        let Ok(id) = claimed.subject.parse::<TransferId>() else { return Ok(None) };
        let Some(stored) = self.one::<Transfer>(id).await? else { return Ok(None) };
        let Some(identity) = self.one::<Identity>(stored.identity).await? else {
            return Ok(None);
        };
        let owner = self.one::<Person>(stored.from).await?;
        let owner_active = owner.as_ref().is_some_and(|owner| owner.is_active());
        let mut changeset = match transfer::plan(&stored, &identity, owner_active, self.settings.lapsed_grace, now) {
            Plan::Nothing => return Ok(None),
            Plan::Later(at) => {
                let event = self
                    .event(now, "deadline.postponed", ControlPoint::Administer)
                    .subject(id)
                    .fact("kind", DueKind::Transfer.as_str())
                    .fact("until", at);
                let mut changeset = Changeset::new(system(), now, event);
                changeset
                    .due
                    .push(DueChange::Retry(DueKind::Transfer, claimed.subject.clone(), claimed.fence, at));
                return Ok(Some(changeset));
            }
            Plan::Close => self.closed(&stored, &identity, now),
            Plan::Lapse { stops } => {
                let mut changeset = self.lapsed_transfer(&stored, &identity, stops, now).await?;
                if let Some(owner) = &owner {
                    changeset.expect(owner);
                }
                if stops {
                    let retires_at = stored.deadline.plus(self.settings.lapsed_grace);
                    changeset
                        .due
                        .push(DueChange::Retry(DueKind::Transfer, claimed.subject.clone(), claimed.fence, retires_at));
                    return Ok(Some(changeset));
                }
                changeset
            }
            Plan::Retire => self.retire_by_deadline(&identity, "owner_left_without_successor", now).await?,
        };
        acknowledge(&mut changeset, claimed);
        Ok(Some(changeset))
    }

    fn closed(&self, stored: &Stored<Transfer>, identity: &Stored<Identity>, now: Timestamp) -> Changeset {
        let closed = Transfer {
            state: TransferState::Closed,
            ..(*stored.value).clone()
        };
        let event = self
            .transfer_event("identity.transfer_closed", &closed, now)
            .fact("closed_because", identity.state);
        let mut changeset = Changeset::new(system(), now, event);
        changeset.expect(identity).replace(stored, &closed);
        changeset
    }

    /// Nobody took it: an identity without an owner stops; one whose owner is there stays theirs.
    async fn lapsed_transfer(&self, stored: &Stored<Transfer>, identity: &Stored<Identity>, stops: bool, now: Timestamp) -> Result<Changeset, OpError> {
        let lapsed = Transfer {
            state: TransferState::Lapsed,
            ..(*stored.value).clone()
        };
        let event = self.transfer_event("identity.transfer_lapsed", &lapsed, now);
        let mut people = vec![lapsed.from];
        people.extend(lapsed.offered_to);
        people.extend(identity.transfer.as_ref().and_then(|window| window.interim));
        let text = if stops {
            format!(
                "Nobody took {} in time: it is suspended, and retires at {}. tenure transfer start {} --to per_…",
                lapsed.identity,
                lapsed.deadline.plus(self.settings.lapsed_grace),
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
        let reason = "its owner left, and nobody took it in time";
        let mut next = (*identity.value).clone().suspend(SuspensionCause {
            kind: SuspensionKind::TransferLapsed,
            placed_by: None,
            releasable_by: Releaser::Security,
            reason: reason.into(),
            at: now,
        })?;
        next.transfer = None;
        let event = self
            .event(now, "identity.suspended", ControlPoint::Suspend)
            .subject(next.id)
            .fact("cause", SuspensionKind::TransferLapsed)
            .fact("reason", reason);
        changeset.event(event);
        if next.charter.auto_revocation.contains(&RevocationTrigger::Suspension) {
            self.cut_with_receipt(&mut changeset, Scope::Identity(next.id), reason, now).await?;
        }
        changeset.replace(identity, &next);
        Ok(changeset)
    }
}
