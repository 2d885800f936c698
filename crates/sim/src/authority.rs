//! What a commit has to show for authority that it gives or moves: approvals by persons who don't ask, grants that rest
//! on them, owners who took what they answer for (S-8, S-11, invariants 5, 7 and 9). Read from the records themselves;
//! nothing here asks the engine.

use tenure_core::base::id::PersonId;
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::identity::scope::{Hold, Scope};
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::identity::{Identity, IdentityState, SuspensionKind};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::policy::set::{InForce, PolicySet};
use tenure_core::request::exception::{Exception, ExceptionState};
use tenure_core::request::{Asker, Class, Matter, Place, Request, RequestState};
use tenure_core::store::changeset::{Changeset, DueChange, Put};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Actor;
use tenure_core::store::row::{Record, RowKey, RowKind};
use tenure_store::Dump;

use crate::model::{Broken, record};

/// A commit against what was there before.
///
/// # Errors
/// The rule that it breaks.
pub fn check(changeset: &Changeset, before: &Dump) -> Result<(), Broken> {
    let commit = Commit { changeset, before };
    for put in &changeset.puts {
        match put.key.kind {
            RowKind::Request => commit.request(put)?,
            RowKind::Grant => commit.grant(put)?,
            RowKind::Identity => commit.identity(put)?,
            RowKind::Person => commit.person(put)?,
            RowKind::Transfer => commit.stays(put, |transfer: &Transfer| {
                matches!(transfer.state.get(), TransferState::Accepted | TransferState::Lapsed | TransferState::Closed)
            })?,
            RowKind::Exception => commit.stays(put, |exception: &Exception| {
                matches!(exception.state.get(), ExceptionState::Expired | ExceptionState::Withdrawn)
            })?,
            _ => {}
        }
    }
    Ok(())
}

/// That every live grant was derived from a fulfilled request, and every active identity has somebody who answers for
/// it.
///
/// # Errors
/// The rule that doesn't hold.
pub fn at_rest(dump: &Dump) -> Result<(), Broken> {
    for key in dump.rows.keys() {
        if key.kind == RowKind::Grant
            && let Some(grant) = record::<Grant>(dump, key).filter(|grant| grant.state == GrantState::Live)
        {
            let request = record::<Request>(dump, &RowKey::new(RowKind::Request, grant.request));
            if !request.is_some_and(|request| {
                request.state == RequestState::Fulfilled && request.outcome.grants.contains(&grant.id)
            }) {
                return Err(("s8", format!("{key} is live and rests on no fulfilled request")));
            }
        }
        if key.kind == RowKind::Identity
            && let Some(identity) =
                record::<Identity>(dump, key).filter(|identity| identity.state == IdentityState::Active)
        {
            let owner =
                identity.charter.owner.and_then(|owner| record::<Person>(dump, &RowKey::new(RowKind::Person, owner)));
            if !owner.is_some_and(|owner| owner.is_active()) && identity.transfer.is_none() {
                return Err(("inv7", format!("{key} is active, has no active owner and is in no transfer")));
            }
        }
    }
    Ok(())
}

struct Commit<'a> {
    changeset: &'a Changeset,
    before: &'a Dump,
}

impl Commit<'_> {
    /// A record as this commit writes it, if it does.
    fn written<T: Record + Clone>(&self, key: &RowKey) -> Option<T> {
        let put = self.changeset.puts.iter().find(|put| put.key == *key)?;
        serde_json::from_slice(&put.body).ok()
    }

    fn was<T: Record + Clone>(&self, key: &RowKey) -> Option<T> {
        record(self.before, key)
    }

    /// Both sides of a write.
    fn sides<T: Record + Clone>(&self, put: &Put) -> Result<(Option<T>, T), Broken> {
        match serde_json::from_slice(&put.body) {
            Ok(new) => Ok((self.was(&put.key), new)),
            Err(error) => Err(("inv3", format!("{} can't be read: {error}", put.key))),
        }
    }

    /// The request that this commit fulfils and to which the matter applies.
    fn fulfils(&self, wanted: impl Fn(&Request) -> bool) -> Option<Request> {
        let requests = self.changeset.puts.iter().filter(|put| put.key.kind == RowKind::Request);
        requests
            .filter_map(|put| serde_json::from_slice::<Request>(&put.body).ok())
            .find(|request| request.state == RequestState::Fulfilled && wanted(request))
    }

    fn stays<T: Record + Clone + PartialEq>(&self, put: &Put, is_terminal: impl Fn(&T) -> bool) -> Result<(), Broken> {
        match self.sides::<T>(put)? {
            (Some(old), new) if is_terminal(&old) && old != new => {
                Err(("inv5", format!("{} changed after its end", put.key)))
            }
            _ => Ok(()),
        }
    }

    fn request(&self, put: &Put) -> Result<(), Broken> {
        let (old, new) = self.sides::<Request>(put)?;
        let broken = |what: &str| Err(("s8", format!("{}: {what}", put.key)));
        if let Some(old) = &old {
            let over = !matches!(old.state, RequestState::Open | RequestState::Approved);
            if (over && *old != new) || (old.state == RequestState::Approved && new.state == RequestState::Open) {
                return Err(("inv5", format!("{} was {} and is {}", put.key, old.state.as_str(), new.state.as_str())));
            }
            let edited = old.matter != new.matter || old.purpose != new.purpose;
            if edited && (old.content_hash == new.content_hash || old.state != RequestState::Open) {
                return broken("it was edited, and votes on what it was count for it");
            }
            let kept = |vote: &tenure_core::request::Vote| {
                old.votes.iter().any(|earlier| (earlier.by, earlier.at) == (vote.by, vote.at))
            };
            if old.content_hash != new.content_hash && new.votes.iter().any(kept) {
                return broken("a vote outlived an edit");
            }
        }
        for (n, vote) in new.votes.iter().enumerate() {
            if vote.content_hash != new.content_hash {
                return broken("a vote binds something else than what the request says");
            }
            if new.votes.iter().skip(n + 1).any(|other| other.by == vote.by) {
                return broken("somebody voted twice");
            }
        }
        match new.state {
            RequestState::Approved | RequestState::Fulfilled => self.approved(&new),
            _ => Ok(()),
        }
    }

    /// What was approved was approved by the persons that its route wants, none of whom asked for it.
    fn approved(&self, request: &Request) -> Result<(), Broken> {
        let broken = |what: String| Err(("s8", format!("{} ({}) {what}", request.id, request.workflow())));
        if self
            .was::<Request>(&request.key())
            .is_some_and(|was| was.votes == request.votes && was.state == request.state)
        {
            return Ok(());
        }
        let in_force = self.was::<InForce>(&InForce::row_key());
        if in_force.is_some_and(|set| set.version != request.policy_version) {
            return broken("was approved under a policy set that is not in force".into());
        }
        let persons = self.before.rows.keys().filter(|key| key.kind == RowKind::Person);
        let administrators = persons
            .filter_map(|key| self.was::<Person>(key))
            .filter(|person| person.holds(Role::Administrator))
            .count();
        if request.class == Class::Administration && request.single_person && administrators < 2 {
            return Ok(());
        }
        let concerned = self.concerned(request);
        let mut open: Vec<&[Place]> = request.route.steps().to_vec();
        for vote in &request.votes {
            if !vote.approves {
                return broken("was approved although somebody said no".into());
            }
            if concerned.contains(&vote.by) {
                return broken(format!("was approved by {}, who asks for it or gains by it", vote.by));
            }
            if !self.holds_place(vote.by, vote.place, request) {
                return broken(format!("was approved by {}, who is not its {}", vote.by, vote.place.as_str()));
            }
            match open.iter().position(|step| step.contains(&vote.place)) {
                Some(n) => open.remove(n),
                None => return broken(format!("has a vote of {} that its route doesn't want", vote.by)),
            };
        }
        if open.is_empty() { Ok(()) } else { broken("was approved without a vote that its route wants".into()) }
    }

    /// Whoever asks for it, registered what it is about, or gains by it.
    fn concerned(&self, request: &Request) -> Vec<PersonId> {
        let mut people = request.interested.clone();
        let of = |id: &dyn std::fmt::Display| self.was::<Identity>(&RowKey::new(RowKind::Identity, id));
        match request.requested_by {
            Asker::Person(person) => people.push(person),
            Asker::Identity(id) => people.extend(of(&id).and_then(|identity| identity.charter.owner)),
        }
        if let Some(identity) = request.matter.identity().and_then(|id| of(&id)) {
            // Who asked for the identity did not ask for what it gets later, but for what it is.
            let asked_for_it = matches!(request.matter, Matter::Activation { .. } | Matter::Charter { .. });
            people.extend(asked_for_it.then_some(identity.registered_by));
            if let Some(parties) = identity.charter.parties {
                people.extend(asked_for_it.then_some(parties.requester));
                people.extend(
                    [parties.operator, parties.beneficiary].iter().filter_map(|party| party.parse::<PersonId>().ok()),
                );
            }
        }
        match &request.matter {
            Matter::Roles { person, .. } => people.push(*person),
            Matter::Policy { policy } => {
                people.extend(self.was::<PolicySet>(&RowKey::new(RowKind::Policy, policy)).map(|set| set.author))
            }
            _ => {}
        }
        people
    }

    /// Whether somebody may fill a place at this very moment.
    fn holds_place(&self, by: PersonId, place: Place, request: &Request) -> bool {
        let Some(person) = self.was::<Person>(&RowKey::new(RowKind::Person, by)) else {
            return false;
        };
        let identity =
            request.matter.identity().and_then(|id| self.was::<Identity>(&RowKey::new(RowKind::Identity, id)));
        person.is_active()
            && match place {
                Place::Owner => identity.is_some_and(|identity| identity.charter.owner == Some(by)),
                Place::Manager => request.manager == Some(by) && person.holds(Role::Manager),
                Place::Security => person.holds(Role::Security),
                Place::Administrator => person.holds(Role::Administrator),
            }
    }

    fn grant(&self, put: &Put) -> Result<(), Broken> {
        let (old, new) = self.sides::<Grant>(put)?;
        let broken = |what: &str| Err(("s8", format!("{}: {what}", put.key)));
        let about = |request: &Request| request.matter.identity() == Some(new.identity);
        match &old {
            None => {
                let source = self.fulfils(|request| request.id == new.request && about(request));
                if !source.is_some_and(|request| request.outcome.grants.contains(&new.id)) {
                    return broken("it was opened without an approved request");
                }
            }
            Some(old) => {
                let (was, is) = (&old.entitlement, &new.entitlement);
                if was.resource != is.resource || is.actions.iter().any(|action| !was.actions.contains(action)) {
                    return broken("it gained an action");
                }
                let widens =
                    |request: &Request| matches!(request.matter, Matter::Charter { .. } | Matter::Renewal { .. });
                if new.ends_at > old.ends_at && self.fulfils(|request| about(request) && widens(request)).is_none() {
                    return broken("it was prolonged without an approved request");
                }
            }
        }
        if new.just_in_time && new.state == GrantState::Live {
            let key = RowKey::new(RowKind::Request, new.request);
            let request = self.written::<Request>(&key).or_else(|| self.was(&key));
            if let Some(Matter::Access { duration, .. }) = request.map(|request| request.matter)
                && new.ends_at > new.starts_at.plus(duration)
            {
                return broken("it lasts longer than was approved");
            }
        }
        Ok(())
    }

    fn identity(&self, put: &Put) -> Result<(), Broken> {
        let (old, new) = self.sides::<Identity>(put)?;
        let about = |request: &Request| request.matter.identity() == Some(new.id);
        if new.state == IdentityState::Active
            && old.as_ref().is_none_or(|old| matches!(old.state, IdentityState::Draft | IdentityState::Pending))
        {
            if self.fulfils(|request| about(request) && matches!(request.matter, Matter::Activation { .. })).is_none() {
                return Err(("s8", format!("{} is active without an approved request", put.key)));
            }
            let owner = new.charter.owner.and_then(|owner| self.was::<Person>(&RowKey::new(RowKind::Person, owner)));
            if !owner.is_some_and(|owner| owner.is_active()) {
                return Err(("inv7", format!("{} became active without an active owner", put.key)));
            }
        }
        match old {
            Some(old) if matches!(old.state, IdentityState::Active | IdentityState::Suspended) => {
                self.widened(&old, &new)?;
                self.transferred(&old, &new)
            }
            _ => Ok(()),
        }
    }

    /// Nobody gains an action, or time, by anything but an approved request.
    fn widened(&self, old: &Identity, new: &Identity) -> Result<(), Broken> {
        let covered = |action: &String, resource: &String| {
            let mut scope = old.charter.scope.iter();
            scope.any(|entitlement: &Entitlement| {
                entitlement.resource == *resource && entitlement.actions.contains(action)
            })
        };
        let mut scope = new.charter.scope.iter();
        let gains =
            scope.any(|entitlement| entitlement.actions.iter().any(|action| !covered(action, &entitlement.resource)));
        let approved = |request: &Request| match &request.matter {
            Matter::Charter { identity, charter } => *identity == new.id && **charter == new.charter,
            Matter::Renewal { identity, until } => {
                *identity == new.id && !gains && new.charter.expires_at == Some(*until)
            }
            _ => false,
        };
        if (gains || new.charter.expires_at > old.charter.expires_at) && self.fulfils(approved).is_none() {
            return Err(("s8", format!("{} gained an action or time without an approved request", new.id)));
        }
        Ok(())
    }

    /// An owner changes only by accepting, and what was dead or held stays so.
    fn transferred(&self, old: &Identity, new: &Identity) -> Result<(), Broken> {
        let later = old.transfer.as_ref().zip(new.transfer.as_ref());
        if later.is_some_and(|(old, new)| new.deadline > old.deadline) {
            return Err(("inv7", format!("the transfer window of {} was prolonged", new.id)));
        }
        if old.charter.owner == new.charter.owner {
            return Ok(());
        }
        let mut transfers = self.changeset.puts.iter().filter(|put| put.key.kind == RowKind::Transfer);
        let accepted = transfers.any(|put| {
            serde_json::from_slice::<Transfer>(&put.body).is_ok_and(|transfer| {
                let by = match self.changeset.actor {
                    Actor::Person { id, .. } => Some(id),
                    _ => None,
                };
                transfer.state == TransferState::Accepted
                    && transfer.identity == new.id
                    && Some(transfer.from) == old.charter.owner
                    && transfer.offered_to == new.charter.owner
                    && by == new.charter.owner
            })
        });
        if !accepted {
            return Err(("inv7", format!("{} has another owner, who did not accept it", new.id)));
        }
        let left = old.memberships.iter().find(|membership| matches!(membership.scope, Scope::Owner(_)));
        let Some(left) = left else { return Ok(()) };
        let cut = self.before.rows.get(&left.scope.cut_key()).map(|row| row.position);
        let folded = |cut: tenure_core::store::row::Position| {
            !cut.is_after(left.joined) || new.valid_after.is_some_and(|after| !cut.is_after(after))
        };
        if cut.is_some_and(|cut| !folded(cut)) {
            return Err(("inv4", format!("{} left {}, and what a cut of it killed comes alive", new.id, left.scope)));
        }
        let held = self.was::<Hold>(&left.scope.hold_key()).is_some_and(|hold| hold.placed_by.is_some());
        if held && new.state == IdentityState::Active {
            return Err(("inv4", format!("{} left {} and its hold with it", new.id, left.scope)));
        }
        Ok(())
    }

    /// Who has left never comes back, and leaves nothing active without a window or somebody who sees to it.
    fn person(&self, put: &Put) -> Result<(), Broken> {
        let (old, new) = self.sides::<Person>(put)?;
        let was = old.map(|old| old.state);
        if was == Some(PersonState::Departed) && new.state != PersonState::Departed {
            return Err(("inv5", format!("{} came back", put.key)));
        }
        if new.state != PersonState::Departed || was == Some(PersonState::Departed) {
            return Ok(());
        }
        // One that became active while the departure was decided is found by the leaver's worker; until then the gate
        // refuses it, and at rest nothing is without an owner or a window.
        let sorted_out =
            |due: &DueChange| matches!(due, DueChange::Set(DueKind::Leaver, who, _) if *who == new.id.to_string());
        if self.changeset.due.iter().any(sorted_out) {
            return Ok(());
        }
        for key in self.before.rows.keys().filter(|key| key.kind == RowKind::Identity) {
            let Some(identity) = self.written::<Identity>(key).or_else(|| self.was(key)) else {
                continue;
            };
            let lapsed = identity.suspensions.iter().any(|cause| cause.kind == SuspensionKind::TransferLapsed);
            let lives = matches!(identity.state, IdentityState::Active | IdentityState::Suspended);
            if identity.charter.owner == Some(new.id) && lives && !lapsed && identity.transfer.is_none() {
                return Err(("inv7", format!("{} left {key} behind without a transfer window", new.id)));
            }
        }
        Ok(())
    }
}
