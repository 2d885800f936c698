//! People who leave, are away and come back, and identities that go from one to another.

use std::sync::Arc;

use tenure_api::people::{NewDeparture, NewOffer, PersonChange};
use tenure_api::requests::ResumePerson;
use tenure_core::base::id::PersonId;
use tenure_core::identity::IdentityState;
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::people::person::{Person, PersonState};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_engine::Kernel;
use tenure_engine::access::{departures, transfers};
use tenure_engine::people::person;

use crate::intent::{Fact, Intent};
use crate::model::{identity, record};
use crate::ops::{because, by};
use crate::world::{Operation, World};

impl World {
    /// Something about people, or about a transfer.
    pub(crate) fn person(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let open = self.open_transfer();
        match (self.rng.below(100), open) {
            (0..45, Some(transfer)) => self.answer(engine, &transfer),
            (45..55, Some(transfer)) => self.pass_on(engine, &transfer),
            (55..59, _) => self.depart(engine),
            (59..74, _) => self.away(engine),
            (74..78, _) => self.move_person(engine),
            _ => self.hand_over(engine),
        }
    }

    fn open_transfer(&self) -> Option<Transfer> {
        let dump = self.dump();
        let keys = dump.rows.keys().filter(|key| key.kind == RowKind::Transfer);
        let open: Vec<Transfer> = keys
            .filter_map(|key| record::<Transfer>(&dump, key))
            .filter(|transfer| matches!(transfer.state.get(), TransferState::Open | TransferState::Offered))
            .collect();
        self.rng.pick(&open).cloned()
    }

    /// Mostly whoever was asked takes it.
    fn answer(&self, engine: Arc<Kernel>, transfer: &Transfer) -> Option<(Intent, Operation)> {
        let id = transfer.id;
        let asked = transfer.offered_to.filter(|_| !self.rng.per_mille(150)).and_then(|to| self.token_of(to));
        let token = match asked {
            Some(token) => token,
            None => self.rng.pick(&self.people)?.token.clone(),
        };
        if self.rng.per_mille(250) {
            let decline = async move |engine: Arc<Kernel>, caller| {
                transfers::decline_transfer(&engine, &caller, id).await.map(|_| Fact::Done(1))
            };
            return Some((Intent::Transfer("decline", id), by(engine, token, decline)));
        }
        let accept = async move |engine: Arc<Kernel>, caller| {
            transfers::accept_transfer(&engine, &caller, id).await.map(|_| Fact::Done(1))
        };
        Some((Intent::Transfer("accept", id), by(engine, token, accept)))
    }

    fn pass_on(&self, engine: Arc<Kernel>, transfer: &Transfer) -> Option<(Intent, Operation)> {
        let id = transfer.id;
        if self.rng.per_mille(300) {
            let token = self.token_of(transfer.from).or_else(|| self.operator())?;
            let withdraw = async move |engine: Arc<Kernel>, caller| {
                transfers::withdraw_transfer(&engine, &caller, id).await.map(|_| Fact::Done(1))
            };
            return Some((Intent::Transfer("withdraw", id), by(engine, token, withdraw)));
        }
        let (token, to) = (self.operator()?, self.somebody()?);
        let offer = async move |engine: Arc<Kernel>, caller| {
            transfers::offer_transfer(&engine, &caller, id, NewOffer { to }).await.map(|_| Fact::Done(1))
        };
        Some((Intent::Transfer("pass on", id), by(engine, token, offer)))
    }

    /// Somebody who may own something.
    fn somebody(&self) -> Option<PersonId> {
        Some(self.rng.pick(self.owners()?)?.id)
    }

    fn hand_over(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let id = self.subject()?.id;
        let row = identity(&self.dump(), id)
            .filter(|row| matches!(row.state, IdentityState::Active | IdentityState::Suspended))?;
        let token = match self.rng.per_mille(700) {
            true => self.token_of(row.charter.owner?)?,
            false => self.operator()?,
        };
        let to = self.somebody()?;
        let start = async move |engine: Arc<Kernel>, caller| {
            transfers::start_transfer(&engine, &caller, id, NewOffer { to }).await.map(|_| Fact::Done(1))
        };
        Some((Intent::Change("offer", id), by(engine, token, start)))
    }

    /// Administrators, security and the manager stay: somebody has to go on.
    fn who_may_leave(&self) -> Option<PersonId> {
        Some(self.rng.pick(self.people.get(4..7)?)?.id)
    }

    fn depart(&self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let (token, id) = (self.operator()?, self.who_may_leave()?);
        let depart = async move |engine: Arc<Kernel>, caller| {
            departures::depart_person(&engine, &caller, id, NewDeparture { reason: because(), dry_run: false })
                .await
                .map(|_| Fact::Done(1))
        };
        Some((Intent::Depart(id), by(engine, token, depart)))
    }

    fn away(&self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let token = self.operator()?;
        let dump = self.dump();
        let suspended = self.people.iter().map(|person| person.id).find(|id| {
            let person = record::<Person>(&dump, &RowKey::new(RowKind::Person, id));
            person.is_some_and(|person| person.state == PersonState::Suspended)
        });
        let Some(id) = suspended.filter(|_| self.rng.per_mille(800)) else {
            let id = self.who_may_leave()?;
            let suspend = async move |engine: Arc<Kernel>, caller| {
                departures::suspend_person(&engine, &caller, id, because()).await.map(|_| Fact::Done(1))
            };
            return Some((Intent::Other("suspend a person"), by(engine, token, suspend)));
        };
        let suspension =
            record::<Person>(&dump, &RowKey::new(RowKind::Person, id)).and_then(|person| person.suspension);
        let placers: Vec<PersonId> = suspension.iter().flat_map(|suspension| suspension.placers()).collect();
        let ask = ResumePerson { reason: because(), placed_by: self.rng.pick(&placers).copied() };
        let resume = async move |engine: Arc<Kernel>, caller| {
            departures::resume_person(&engine, &caller, id, ask).await.map(|_| Fact::Done(1))
        };
        Some((Intent::Other("resume a person"), by(engine, token, resume)))
    }

    /// Another manager: for what is asked from then on.
    fn move_person(&self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let token = self.people.first()?.token.clone();
        let id = self.who_may_leave()?;
        let manager = self.rng.pick(self.people.get(2..4)?)?.id;
        let ask = PersonChange { manager: Some(Some(manager)), ..PersonChange::default() };
        let change = async move |engine: Arc<Kernel>, caller| {
            person::change_person(&engine, &caller, id, ask).await.map(|_| Fact::Done(1))
        };
        Some((Intent::Other("move a person"), by(engine, token, change)))
    }
}
