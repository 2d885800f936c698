//! Requests: asked for, changed, taken back and voted on, by those who may and by those who may not.

use std::sync::Arc;

use tenure_api::policies::NewPolicySet;
use tenure_api::request::{Amendment, NewRequest, NewVote, RequestView};
use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::base::time::Span;
use tenure_core::identity::{CharterDraft, Coverage, Identity, IdentityState, RetirementCondition};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::{Asker, Matter, Place, Request, RequestState};
use tenure_core::store::row::RowKind;
use tenure_engine::Kernel;
use tenure_engine::identities::registration;
use tenure_engine::kernel::if_match::IfMatch;
use tenure_engine::matters::{policies as policy_sets, request, votes};

use crate::focus::Focus;
use crate::intent::{Fact, Intent, Subject};
use crate::model::{identity, record};
use crate::ops::{because, by, stands};
use crate::policies;
use crate::world::{Operation, World};

fn stands_at(view: RequestView) -> Fact {
    Fact::Request(view.request.id, view.request.state)
}

impl World {
    /// Something about a request.
    pub(crate) fn request(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let open = self.open_request();
        // Where requests are what it is about, what was voted on is edited more often.
        let voted = open.as_ref().is_some_and(|request| !request.votes.is_empty());
        let votes = if voted && self.focus == Some(Focus::Requests) { 30 } else { 52 };
        match (self.rng.below(100), open) {
            (roll, Some(request)) if roll < votes => self.vote(engine, &request),
            (0..63, Some(request)) => self.amend(engine, &request),
            (63..66, Some(request)) => self.withdraw(engine, &request),
            (66..68, _) => self.propose_policy(engine),
            _ => self.ask_for_more(engine),
        }
    }

    /// A request that waits for an answer; mostly one that somebody answered already, or a new one.
    fn open_request(&self) -> Option<Request> {
        let dump = self.dump();
        let keys = dump.rows.keys().filter(|key| key.kind == RowKind::Request);
        let mut open: Vec<Request> = keys
            .filter_map(|key| record::<Request>(&dump, key))
            .filter(|request| matches!(request.state, RequestState::Open | RequestState::Approved))
            .filter(|request| {
                // What is about an identity that has ended waits for its lapse; now and then somebody still answers.
                let row = request.matter.identity().and_then(|id| identity(&dump, id));
                let over = row.is_some_and(|row| {
                    matches!(row.state, IdentityState::Retiring | IdentityState::Retired | IdentityState::Closed)
                });
                !over || self.rng.per_mille(50)
            })
            .collect();
        open.sort_by_key(|request| (!request.votes.is_empty(), request.opened_at, request.id));
        let recent = open.get(open.len().saturating_sub(3)..)?;
        self.rng.pick(if self.rng.per_mille(800) { recent } else { &open }).cloned()
    }

    pub(crate) fn token_of(&self, id: PersonId) -> Option<String> {
        self.people.iter().find(|person| person.id == id).map(|person| person.token.clone())
    }

    fn anybody(&self) -> Option<String> {
        Some(self.rng.pick(&self.people)?.token.clone())
    }

    /// Mostly somebody who may fill an open step, sometimes anybody.
    pub(crate) fn voter(&self, request: &Request) -> Option<String> {
        if self.rng.per_mille(200) {
            return self.anybody();
        }
        let steps = request.open_steps();
        let place = self.rng.pick(self.rng.pick(&steps)?)?;
        let free = |id: &PersonId| !request.interested.contains(id);
        match place {
            Place::Owner | Place::Manager => {
                let first = if *place == Place::Owner { request.owner } else { request.manager };
                let person = first.filter(free).or(request.manager.filter(free)).or(request.owner);
                person.and_then(|person| self.token_of(person))
            }
            Place::Security => Some(self.rng.pick(self.people.get(1..3)?)?.token.clone()),
            Place::Administrator => Some(self.rng.pick(&[self.people.first()?, self.people.last()?])?.token.clone()),
        }
    }

    fn vote(&self, engine: Arc<Kernel>, request: &Request) -> Option<(Intent, Operation)> {
        let token = self.voter(request).or_else(|| self.anybody())?;
        let id = request.id;
        let approves = !self.rng.per_mille(60);
        let ask = NewVote { content_hash: request.content_hash.clone(), comment: String::new() };
        let vote = async move |engine: Arc<Kernel>, caller| {
            votes::vote(&engine, &caller, id, approves, ask).await.map(stands_at)
        };
        let what = if approves { "approve" } else { "deny" };
        Some((Intent::Request(what, Some(id)), by(engine, token, vote)))
    }

    /// Who asked, mostly.
    fn asker(&self, request: &Request) -> Option<String> {
        match request.requested_by {
            Asker::Person(person) if !self.rng.per_mille(150) => self.token_of(person),
            _ => self.anybody(),
        }
    }

    fn amend(&self, engine: Arc<Kernel>, request: &Request) -> Option<(Intent, Operation)> {
        let token = self.asker(request)?;
        let id = request.id;
        let mut matter = request.matter.clone();
        match &mut matter {
            Matter::Access { duration, .. } => *duration = self.duration(),
            Matter::Renewal { until, .. } => *until = until.plus(self.duration()),
            _ => {}
        }
        let ask = Amendment { matter: Some(matter), purpose: format!("{}, after step {}", because(), self.step) };
        let amend = async move |engine: Arc<Kernel>, caller| {
            request::amend_request(&engine, &caller, id, ask).await.map(stands_at)
        };
        Some((Intent::Request("amend", Some(id)), by(engine, token, amend)))
    }

    fn withdraw(&self, engine: Arc<Kernel>, request: &Request) -> Option<(Intent, Operation)> {
        let token = self.asker(request)?;
        let id = request.id;
        let withdraw = async move |engine: Arc<Kernel>, caller| {
            request::withdraw_request(&engine, &caller, id).await.map(stands_at)
        };
        Some((Intent::Request("withdraw", Some(id)), by(engine, token, withdraw)))
    }

    fn propose_policy(&self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let token = self.rng.pick(&[self.people.first()?, self.people.last()?])?.token.clone();
        let ask = NewPolicySet { text: policies::text(self.rng.per_mille(500)), purpose: because() };
        let propose = async move |engine: Arc<Kernel>, caller| {
            policy_sets::propose_policy(&engine, &caller, ask).await.map(stands_at)
        };
        Some((Intent::Request("propose a policy", None), by(engine, token, propose)))
    }

    fn duration(&self) -> Span {
        Span::from_secs(i64::try_from(30 + self.rng.below(3_000)).unwrap_or(60))
    }

    /// Access for a while, a wider charter, a later end; or a narrower charter, which nobody has to approve.
    fn ask_for_more(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let subject = self.subject()?.clone();
        let row = identity(&self.dump(), subject.id)
            .filter(|row| matches!(row.state, IdentityState::Active | IdentityState::Suspended))?;
        let owner = row.charter.owner?;
        let token = if self.rng.per_mille(600) { self.token_of(owner)? } else { self.anybody()? };
        match self.rng.below(12) {
            0..4 => self.access(engine, &subject, token),
            4..7 => {
                let charter = Box::new(self.wider(&subject, &row)?);
                Some(ask(engine, token, "ask for a wider charter", Matter::Charter { identity: row.id, charter }))
            }
            7 => {
                let until = row.charter.expires_at?.plus(self.duration()).plus(self.duration());
                Some(ask(engine, token, "ask for a renewal", Matter::Renewal { identity: row.id, until }))
            }
            _ => {
                let charter = self.narrower(&row)?;
                Some(narrow(engine, token, row.id, charter))
            }
        }
    }

    fn access(&self, engine: Arc<Kernel>, subject: &Subject, token: String) -> Option<(Intent, Operation)> {
        let place = self.places.get(subject.place)?;
        // Soon, or so late that only the calm after the storm sees its start.
        let later = Span::from_secs(
            i64::try_from(self.rng.below(if self.rng.per_mille(500) { 400 } else { 6_000 })).unwrap_or(1),
        );
        let starts_at = self.rng.per_mille(400).then(|| self.time.now().plus(later));
        let entitlement = Entitlement {
            actions: vec![(*self.rng.pick(&["read", "write"])?).to_owned()],
            resource: self.rng.pick(&place.resources)?.0.to_string(),
        };
        let matter =
            Matter::Access { identity: subject.id, entitlement, starts_at, duration: self.duration(), task: None };
        Some(ask(engine, token, "ask for access", matter))
    }

    fn wider(&self, subject: &Subject, row: &Identity) -> Option<CharterDraft> {
        let place = self.places.get(subject.place)?;
        let mut charter = row.charter.clone();
        charter.scope = place
            .resources
            .iter()
            .map(|(id, _)| Entitlement {
                actions: ["read", "write"].map(str::to_owned).to_vec(),
                resource: id.to_string(),
            })
            .collect();
        if self.rng.per_mille(300) {
            charter.expires_at = Some(charter.expires_at?.plus(self.duration()));
        }
        if self.rng.per_mille(300) {
            charter.coverage = Some(Coverage::RoleBased);
        }
        Some(charter)
    }

    fn narrower(&self, row: &Identity) -> Option<CharterDraft> {
        let mut charter = row.charter.clone();
        match self.rng.below(12) {
            0..5 => {
                let n = usize::try_from(self.rng.below(charter.scope.len() as u64)).ok()?;
                let entitlement = charter.scope.get_mut(n)?;
                let kept = *self.rng.pick(&["read", "write"])?;
                entitlement.actions.retain(|action| action == kept);
            }
            5..7 if charter.scope.len() > 1 => drop(charter.scope.pop()),
            7 => charter.coverage = Some(Coverage::JustInTime),
            8 => charter.retirement.push(RetirementCondition::Idle { after: Span::from_mins(30) }),
            9 => {
                let left = charter.expires_at?.since(self.time.now());
                charter.expires_at = Some(self.time.now().plus(Span::from_secs(left.as_secs() / 2)));
            }
            _ => charter.credential_ttl = Some(Span::from_secs(charter.credential_ttl?.as_secs().max(120) / 2)),
        }
        (!charter.scope.iter().any(|entitlement| entitlement.actions.is_empty())).then_some(charter)
    }
}

fn ask(engine: Arc<Kernel>, token: String, what: &'static str, matter: Matter) -> (Intent, Operation) {
    let ask = NewRequest { matter, purpose: because() };
    let open =
        async move |engine: Arc<Kernel>, caller| request::open_request(&engine, &caller, ask).await.map(stands_at);
    (Intent::Request(what, None), by(engine, token, open))
}

fn narrow(engine: Arc<Kernel>, token: String, id: IdentityId, charter: CharterDraft) -> (Intent, Operation) {
    let write = async move |engine: Arc<Kernel>, caller| {
        Box::pin(registration::write_charter(&engine, &caller, id, charter, IfMatch::Any)).await.map(stands)
    };
    (Intent::Change("narrow the charter of", id), by(engine, token, write))
}
