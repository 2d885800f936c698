//! What is asked of the nodes, by weighted choice.

use std::future::Future;
use std::sync::Arc;

use serde_json::json;
use tenure_api::people::NewPerson;
use tenure_api::request::NewVote;
use tenure_api::requests::{
    Enrol, Evaluation, EvaluationAction, EvaluationEntity, HoldRelease, NewHold, NewIdentity, Resume, Revocation,
    RevocationTarget, Stage, TaskCompleted,
};
use tenure_api::views::IdentityView;
use tenure_core::base::id::{GrantId, IdentityId, JoinTokenKind, PersonId};
use tenure_core::base::time::Span;
use tenure_core::identity::grant::GrantState;
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{
    CharterDraft, Coverage, IdentityState, Kind, Parties, RetirementCondition, RevocationTrigger, TrustBoundary,
    WorkloadBinding,
};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::people::person::Role;
use tenure_core::request::Request;
use tenure_core::store::row::{RowKey, RowKind};
use tenure_credentials::opaque::Parsed;
use tenure_engine::Kernel;
use tenure_engine::access::{departures, evaluation};
use tenure_engine::credentials::token::ask::{Grant, TokenAsk};
use tenure_engine::credentials::token::{self, Presented, Proof, prove};
use tenure_engine::credentials::{holds, introspection, revocation};
use tenure_engine::identities::{enrolment, grants, lifecycle, registration};
use tenure_engine::inventory::directory;
use tenure_engine::kernel::caller::{self, Caller};
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::if_match::IfMatch;
use tenure_engine::log::{reading, seal};
use tenure_engine::matters::{roles, votes};
use tenure_engine::run::{deadlines, purging, upkeep};

use crate::focus::Focus;
use crate::intent::{Bound, Fact, Hidden, Intent, Subject};
use crate::model::{Issued, identity, record};
use crate::workload::{AUDIENCE, Holder, ISSUER};
use crate::world::{Operation, Operator, PUBLIC_URL, World};

/// Identities of a run: few, so that what happens meets.
const MAX_SUBJECTS: usize = 12;
/// The template of what a rule approves.
pub const TEMPLATE: &str = "ephemeral";

pub(crate) fn stands(view: IdentityView) -> Fact {
    Fact::Identity(view.record.id, view.record.state)
}

pub(crate) fn by<F, Fut>(engine: Arc<Kernel>, token: String, operation: F) -> Operation
where
    F: FnOnce(Arc<Kernel>, Caller) -> Fut + 'static,
    Fut: Future<Output = Result<Fact, OpError>> + 'static,
{
    Box::pin(async move {
        let caller = caller::authenticate_person(&engine, &token).await?;
        Box::pin(operation(engine, caller)).await
    })
}

/// Releases the first cause of an identity's suspension.
fn resume(engine: Arc<Kernel>, token: String, id: IdentityId) -> Operation {
    let ask = Resume { cause: 0, revision: None, reason: because() };
    by(engine, token, async move |engine, caller| lifecycle::resume(&engine, &caller, id, ask).await.map(stands))
}

pub(crate) fn because() -> String {
    "as the seed wants".into()
}

impl World {
    /// A charter that somebody asks for; `complete` or with one fact missing.
    pub(crate) fn charter(
        &self,
        subject: &Subject,
        requester: PersonId,
        owner: PersonId,
        complete: bool,
    ) -> Option<CharterDraft> {
        let place = self.places.get(subject.place)?;
        let now = self.time.now();
        let span = |from: u64, to: u64| Span::from_secs(i64::try_from(from + self.rng.below(to - from)).unwrap_or(60));
        let mut retirement = vec![match self.rng.below(4) {
            0 => RetirementCondition::Idle { after: span(600, 20_000) },
            1 => RetirementCondition::Date { at: now.plus(span(900, 90_000)) },
            _ => RetirementCondition::TaskCompleted,
        }];
        if self.rng.per_mille(200) {
            retirement.push(RetirementCondition::TaskCompleted);
        }
        let actions = ["read", "write"].map(str::to_owned);
        let scope = place.resources.iter().take(1 + usize::try_from(self.rng.below(2)).ok()?);
        let mut charter = CharterDraft {
            owner: Some(owner),
            purpose: Some("moves the seed forward".into()),
            scope: scope.map(|(id, _)| Entitlement { actions: actions.to_vec(), resource: id.to_string() }).collect(),
            trust_boundary: Some(TrustBoundary::Organisation("sim".into())),
            environment: Some(place.environment.clone()),
            application: Some(place.application),
            workload_binding: Some(binding(subject)?),
            expires_at: Some(now.plus(span(1_200, 150_000))),
            retirement,
            rotation_cadence: Some(Span::from_days(30)),
            credential_ttl: Some(span(60, 900)),
            backup_owner: self
                .owners()?
                .iter()
                .map(|person| person.id)
                .find(|id| *id != owner)
                .filter(|_| self.rng.per_mille(400)),
            coverage: Some(match self.rng.below(20) {
                0..5 => Coverage::JustInTime,
                5..11 => Coverage::Privileged,
                _ => Coverage::RoleBased,
            }),
            parties: Some(Parties { requester, operator: "sim".into(), beneficiary: "sim".into() }),
            ..CharterDraft::default()
        };
        if self.rng.per_mille(100) {
            charter.auto_revocation.push(RevocationTrigger::Suspension);
        }
        if !complete {
            match self.rng.below(6) {
                0 => charter.owner = None,
                1 => charter.purpose = None,
                2 => charter.expires_at = None,
                3 => charter.scope.clear(),
                4 => charter.retirement.clear(),
                _ => charter.workload_binding = None,
            }
        }
        Some(charter)
    }

    /// Something to ask of a node.
    pub fn choose(&mut self, node: usize) -> Option<(Intent, Operation)> {
        let engine = Arc::clone(&self.nodes.get(node)?.engine);
        if self.subjects.len() < 2 {
            return self.register(engine);
        }
        let roll = match &self.focus {
            Some(focus) if self.rng.per_mille(500) => focus.roll(&self.rng),
            _ => self.rng.below(1_000),
        };
        match roll {
            0..70 if self.subjects.len() < MAX_SUBJECTS => self.register(engine),
            0..110 => self.enable(engine),
            110..180 => self.disable(engine),
            180..335 => self.issue(node, engine),
            335..370 => self.delegate(engine),
            370..490 => self.introspect(engine),
            490..570 => self.evaluate(engine),
            570..640 => self.revoke(engine),
            640..690 => self.bootstrap(engine),
            690..700 => self.directory(engine),
            700..775 => self.person(engine),
            775..850 => self.request(engine),
            850..890 => self.signal(node, engine),
            890..915 => self.removal(engine),
            _ => Some(self.upkeep(engine)),
        }
    }

    /// Whoever may own an identity.
    pub(crate) fn owners(&self) -> Option<&[Operator]> {
        self.people.get(1..7)
    }

    pub(crate) fn subject(&self) -> Option<&Subject> {
        // Mostly one that is alive: of the others there are soon many.
        let dump = self.dump();
        let alive = |subject: &&Subject| {
            let row = identity(&dump, subject.id);
            row.is_some_and(|row| {
                matches!(row.state, IdentityState::Active | IdentityState::Suspended | IdentityState::Pending)
            })
        };
        let alive: Vec<&Subject> = self.subjects.iter().filter(alive).collect();
        match self.rng.pick(&alive) {
            Some(subject) if self.rng.per_mille(850) => Some(subject),
            _ => self.rng.pick(&self.subjects),
        }
    }

    /// An operator: mostly one of security, sometimes anyone.
    pub(crate) fn operator(&self) -> Option<String> {
        let place =
            if self.rng.per_mille(700) { 1 + self.rng.below(2) } else { self.rng.below(self.people.len() as u64) };
        Some(self.people.get(usize::try_from(place).ok()?)?.token.clone())
    }

    fn register(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let bound = *self.rng.pick(&[Bound::Key, Bound::Key, Bound::Oidc, Bound::Join])?;
        let name = format!("workload-{}", self.next_number());
        let place = usize::try_from(self.rng.below(self.places.len() as u64)).ok()?;
        let subject = Subject {
            id: IdentityId::from_u128(0),
            name,
            seed: self.rng.bytes(),
            place,
            bound,
            join_tokens: Vec::new(),
            proofs: Vec::new(),
        };
        let owner = self.rng.pick(self.owners()?)?.id;
        let complete = !self.rng.per_mille(200);
        // Mostly owners ask for what is to be theirs, so that others have to approve it.
        let requester = match self.rng.per_mille(600) {
            true => owner,
            false => self.rng.pick(&[self.people.first()?, self.people.get(3)?, self.people.get(5)?])?.id,
        };
        let mut charter = self.charter(&subject, requester, owner, complete)?;
        // A template completes what is missing.
        let by_template = complete && self.rng.per_mille(250);
        if by_template && charter.expires_at.is_some() {
            charter.expires_at = Some(self.time.now().plus(Span::from_mins(40)));
        }
        let stage = match self.rng.below(10) {
            0 => Stage::Draft,
            1 => Stage::Active,
            _ if by_template => Stage::Active,
            _ => Stage::Pending,
        };
        let ask = NewIdentity {
            kind: Kind::Workload,
            name: subject.name.clone(),
            template: by_template.then(|| TEMPLATE.to_owned()),
            charter,
            stage,
            token: None,
        };
        let token = self.token_of(requester)?;
        let intent = Intent::Register(Box::new(subject), !complete && stage != Stage::Draft);
        Some((
            intent,
            by(engine, token, async move |engine, caller| {
                Box::pin(registration::register(&engine, &caller, ask)).await.map(stands)
            }),
        ))
    }

    fn enable(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let dump = self.dump();
        let waits = |subject: &&Subject| {
            identity(&dump, subject.id)
                .is_some_and(|row| matches!(row.state, IdentityState::Draft | IdentityState::Pending))
        };
        let waiting: Vec<&Subject> = self.subjects.iter().filter(waits).collect();
        let subject = match self.rng.pick(&waiting) {
            Some(subject) if self.rng.per_mille(500) => (*subject).clone(),
            _ => self.subject()?.clone(),
        };
        let id = subject.id;
        let row = identity(&dump, id)?;
        let token = self.operator()?;
        Some(match row.state {
            IdentityState::Draft if self.rng.per_mille(500) => {
                let owner = row.charter.owner.unwrap_or(row.registered_by);
                let charter = self.charter(&subject, row.registered_by, owner, true)?;
                let admin = self.token_of(row.registered_by)?;
                let write = async move |engine: Arc<Kernel>, caller| {
                    Box::pin(registration::write_charter(&engine, &caller, id, charter, IfMatch::Any)).await.map(stands)
                };
                (Intent::Change("write the charter of", id), by(engine, admin, write))
            }
            IdentityState::Draft => {
                let admin = self.token_of(row.registered_by)?;
                (
                    Intent::Change("submit", id),
                    by(engine, admin, async move |engine, caller| {
                        lifecycle::submit(&engine, &caller, id).await.map(stands)
                    }),
                )
            }
            IdentityState::Pending => {
                let request = row
                    .request
                    .and_then(|request| record::<Request>(&self.dump(), &RowKey::new(RowKind::Request, request)));
                let Some(request) = request else {
                    // Its request has ended: it is handed in again.
                    let again = async move |engine: Arc<Kernel>, caller| {
                        lifecycle::submit(&engine, &caller, id).await.map(stands)
                    };
                    return Some((Intent::Change("submit", id), by(engine, self.token_of(row.registered_by)?, again)));
                };
                let token = self.voter(&request).unwrap_or(token);
                let activate = async move |engine: Arc<Kernel>, caller| {
                    let vote = NewVote { content_hash: request.content_hash, comment: String::new() };
                    votes::activate(&engine, &caller, id, vote).await.map(stands)
                };
                (Intent::Change("activate", id), by(engine, token, activate))
            }
            IdentityState::Active => return self.request(engine),
            _ => (Intent::Resume(id), resume(engine, token, id)),
        })
    }

    fn disable(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let id = self.subject()?.id;
        let token = self.operator()?;
        Some(match self.rng.below(10) {
            0..4 => (
                Intent::Suspend(id),
                by(engine, token, async move |engine, caller| {
                    lifecycle::suspend(&engine, &caller, id, because()).await.map(stands)
                }),
            ),
            4..7 => (Intent::Resume(id), resume(engine, token, id)),
            7 => (
                Intent::End("retire", id),
                by(engine, token, async move |engine, caller| {
                    lifecycle::retire(&engine, &caller, id, because()).await.map(stands)
                }),
            ),
            8 => {
                let complete = async move |engine: Arc<Kernel>, caller| {
                    lifecycle::complete_task(&engine, &caller, id, TaskCompleted::default()).await.map(stands)
                };
                (Intent::End("complete the task of", id), by(engine, token, complete))
            }
            _ => (
                Intent::End("close", id),
                by(engine, token, async move |engine, caller| {
                    lifecycle::close(&engine, &caller, id, because()).await.map(stands)
                }),
            ),
        })
    }

    fn issue(&mut self, node: usize, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let enforcer = self.rng.per_mille(120);
        let subject = if enforcer { self.rng.pick(&self.enforcers)?.clone() } else { self.subject()?.clone() };
        let place = self.places.get(subject.place)?.clone();
        let (kind, proof) = self.proof(&subject, &place.environment)?;
        let which = usize::try_from(self.rng.below(place.resources.len() as u64)).ok()?;
        let ask = TokenAsk {
            environment: place.environment.clone(),
            client_id: Some(subject.id.to_string()),
            proof: if subject.bound == Bound::Oidc {
                Proof::ExternalToken(proof.clone())
            } else {
                Proof::ClientAssertion(proof.clone())
            },
            resource: Some(place.resources.get(which)?.1.clone()),
            scope: if enforcer { Some("enforce".into()) } else { None },
            authorization_details: None,
            grant: Grant::Own,
            sender: Presented::default(),
            source: "sim".into(),
        };
        let intent = Intent::Issue(subject.id, kind, Hidden(proof), subject.place, which);
        if self.rng.per_mille(100)
            && let Some(other) = self.nodes.get(1 - node.min(1)).map(|node| Arc::clone(&node.engine))
        {
            // The network delivers it twice.
            self.begin(1 - node.min(1), intent.clone(), token(other, ask.clone()));
        }
        Some((intent, token(engine, ask)))
    }

    /// A proof, and whether it is good, old or bad.
    pub(crate) fn proof(&mut self, subject: &Subject, environment: &str) -> Option<(&'static str, String)> {
        let roll = self.rng.below(100);
        if roll >= 85
            && let Some(proof) = self.rng.pick(&subject.proofs)
        {
            return Some(("with a proof that was used", proof.clone()));
        }
        let number = self.next_number();
        let stranger = Holder::new(&[7; 32])?;
        let own = Holder::new(&subject.seed)?;
        let issuer = format!("{PUBLIC_URL}/env/{environment}");
        let now = self.time.now();
        let (kind, at) = match roll {
            0..4 => ("with another's key", now),
            4..8 => ("to another audience", now),
            8..11 => ("with an old proof", now.minus(Span::from_days(3))),
            _ => ("well", now),
        };
        let audience = if roll / 4 == 1 {
            "https://elsewhere.sim"
        } else if subject.bound == Bound::Oidc {
            AUDIENCE
        } else {
            &issuer
        };
        let proof = match subject.bound {
            Bound::Oidc if roll < 4 => stranger.vouch(&subject.name, audience, number, at),
            Bound::Oidc => self.platform.vouch(&subject.name, audience, number, at),
            _ => if roll < 4 { stranger } else { own }.assertion(&subject.id.to_string(), audience, number, at),
        };
        if kind == "well"
            && let Some(kept) = self.subjects.iter_mut().chain(&mut self.enforcers).find(|kept| kept.id == subject.id)
        {
            kept.proofs.push(proof.clone());
        }
        Some((kind, proof))
    }

    /// What was issued: mostly of late; where chains are what it is about, often the newest one that derives, or what
    /// it derives from.
    fn credential(&self) -> Option<usize> {
        if self.focus == Some(Focus::Delegation)
            && self.rng.per_mille(600)
            && let Some(derived) = self.model.issued.iter().rposition(|issued| !issued.parents.is_empty())
        {
            let parents = &self.model.issued.get(derived)?.parents;
            return Some(self.rng.pick(parents).copied().filter(|_| self.rng.per_mille(400)).unwrap_or(derived));
        }
        let n = self.model.issued.len() as u64;
        let back = self.rng.below(n.min(if self.rng.per_mille(700) { 6 } else { n }));
        usize::try_from(n.checked_sub(back + 1)?).ok()
    }

    fn introspect(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let n = self.credential()?;
        let credential = self.model.issued.get(n)?.clone();
        let proof = self.enforcement(&credential.environment, &credential.resource)?;
        let operation = async move {
            let enforcer = proof.present(&engine, &credential.environment).await?;
            let answer =
                introspection::introspect(&engine, &credential.environment, &enforcer, &credential.token).await?;
            let actions = answer.token.map(|token| token.scope.split(' ').map(str::to_owned).collect());
            Ok(Fact::Verdict(answer.active, actions.unwrap_or_default()))
        };
        Some((Intent::Introspect(n), Box::pin(operation)))
    }

    /// How the environment's enforcement point proves itself: by its own token, if it has one for the resource, or an
    /// assertion.
    pub(crate) fn enforcement(&mut self, environment: &str, resource: &str) -> Option<Enforcement> {
        let place = self.places.iter().position(|place| place.environment == environment)?;
        let enforcer = self.enforcers.get(place)?.clone();
        let own = self.model.issued.iter().rev().find(|issued| {
            issued.identity == enforcer.id && issued.resource == resource && issued.expires_at > self.time.now()
        });
        if let (true, Some(own)) = (self.rng.per_mille(400), own) {
            return Some(Enforcement::Token(own.token.clone()));
        }
        let issuer = format!("{PUBLIC_URL}/env/{environment}");
        let number = self.next_number();
        Some(Enforcement::Assertion(Holder::new(&enforcer.seed)?.assertion(
            &enforcer.id.to_string(),
            &issuer,
            number,
            self.time.now(),
        )))
    }

    fn evaluate(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let with = if self.rng.per_mille(600) { self.credential() } else { None };
        let credential = with.and_then(|n| self.model.issued.get(n).cloned());
        let (id, environment, resource) = match &credential {
            Some(Issued { identity, environment, resource, .. }) => (*identity, environment.clone(), resource.clone()),
            None => {
                let subject = self.subject()?;
                let place = self.places.get(subject.place)?;
                (subject.id, place.environment.clone(), place.resources.first()?.1.clone())
            }
        };
        let proof = self.enforcement(&environment, &resource)?;
        let action = (*self.rng.pick(&["read", "write"])?).to_owned();
        let properties =
            credential.map(|credential| ("access_token".to_owned(), json!(credential.token))).into_iter().collect();
        let ask = Evaluation {
            subject: EvaluationEntity { kind: "identity".into(), id: id.to_string(), properties },
            resource: EvaluationEntity { kind: "service".into(), id: resource, properties: serde_json::Map::new() },
            action: EvaluationAction { name: action.clone(), properties: serde_json::Map::new() },
            context: serde_json::Map::new(),
        };
        let operation = async move {
            let enforcer = proof.present(&engine, &environment).await?;
            Ok(Fact::Verdict(evaluation::evaluate(&engine, &enforcer, &ask).await?.decision, Vec::new()))
        };
        Some((Intent::Evaluate(id, with, action), Box::pin(operation)))
    }

    fn revoke(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let token = self.operator()?;
        let scope = self.scope()?;
        Some(match self.rng.below(12) {
            0..3 => {
                let id = self.model.issued.get(self.credential()?)?.id;
                (Intent::Revoke(id), revocation(engine, token, RevocationTarget::Credential(id)))
            }
            3..5 => {
                let credential = self.model.issued.get(self.credential()?)?.clone();
                let client = identity(&self.dump(), credential.identity)?;
                let own = async move {
                    introspection::revoke_token(&engine, &credential.environment, &client, &credential.token).await?;
                    Ok(Fact::Done(1))
                };
                (Intent::Revoke(credential.id), Box::pin(own))
            }
            5..8 => (Intent::Cut(scope.clone()), revocation(engine, token, target(scope))),
            8 => {
                let dump = self.dump();
                let grants = dump.rows.keys().filter(|key| key.kind == RowKind::Grant).collect::<Vec<_>>();
                let id: GrantId = self.rng.pick(&grants)?.id.parse().ok()?;
                crate::model::grant(&dump, id).filter(|grant| grant.state == GrantState::Live)?;
                let revoke = async move |engine: Arc<Kernel>, caller| {
                    grants::revoke_grant(&engine, &caller, id, because()).await.map(|_| Fact::Done(1))
                };
                (Intent::RevokeGrant(id), by(engine, token, revoke))
            }
            9..11 => {
                // Whoever waits for a release should not wait for long, else nothing happens any more.
                let held = self.dump().rows.keys().filter(|key| key.kind == RowKind::Hold).cloned().collect::<Vec<_>>();
                let hold = record::<tenure_core::identity::scope::Hold>(&self.dump(), self.rng.pick(&held)?)?;
                let placers: Vec<PersonId> = hold.placers().collect();
                let scope = hold.scope;
                let ask = HoldRelease {
                    scope: scope.clone(),
                    reason: because(),
                    placed_by: self.rng.pick(&placers).copied(),
                };
                let release = async move |engine: Arc<Kernel>, caller| {
                    holds::release(&engine, &caller, ask).await.map(|_| Fact::Done(1))
                };
                (Intent::Release(scope), by(engine, token, release))
            }
            _ => {
                let hold = {
                    let scope = scope.clone();
                    async move |engine: Arc<Kernel>, caller| {
                        holds::hold(&engine, &caller, NewHold { scope, reason: because(), dry_run: false })
                            .await
                            .map(|_| Fact::Done(1))
                    }
                };
                (Intent::Hold(scope), by(engine, token, hold))
            }
        })
    }

    fn scope(&self) -> Option<Scope> {
        let subject = self.subject()?;
        let place = self.places.get(subject.place)?;
        Some(match self.rng.below(6) {
            0..2 => Scope::Identity(subject.id),
            2..4 => Scope::Owner(identity(&self.dump(), subject.id)?.charter.owner?),
            4 => Scope::Application(place.application),
            _ => Scope::Environment(place.environment.clone()),
        })
    }

    fn bootstrap(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let dump = self.dump();
        let joins = |subject: &&Subject| {
            let active = identity(&dump, subject.id).is_some_and(|row| row.state == IdentityState::Active);
            subject.bound == Bound::Join && (active || !subject.join_tokens.is_empty())
        };
        let subject = self.subjects.iter().rev().find(joins)?.clone();
        let id = subject.id;
        let Some(join_token) = self.rng.pick(&subject.join_tokens).cloned() else {
            let token = self.people.get(1)?.token.clone();
            let create = async move |engine: Arc<Kernel>, caller| {
                enrolment::create_join_token(&engine, &caller, id).await.map(|made| Fact::JoinToken(made.join_token))
            };
            return Some((Intent::JoinToken(id), by(engine, token, create)));
        };
        if self.rng.per_mille(300)
            && let Some(kept) = self.subjects.iter_mut().find(|kept| kept.id == id)
        {
            kept.join_tokens.clear();
        }
        let seed = self.rng.bytes();
        let holder = Holder::new(&seed)?;
        let audience = format!("{PUBLIC_URL}/env/{}", self.places.get(subject.place)?.environment);
        let token_id = Parsed::parse(&join_token).ok()?.id::<JoinTokenKind>()?.to_string();
        let number = self.next_number();
        let ask = Enrol {
            join_token,
            jwk: holder.jwk(),
            proof: holder.enrolment(&token_id, &audience, number, self.time.now()),
        };
        Some((
            Intent::Enrol(id, Hidden(seed)),
            Box::pin(async move { Box::pin(enrolment::enrol(&engine, ask, "sim")).await.map(|_| Fact::Done(1)) }),
        ))
    }

    fn directory(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let token = self.people.first()?.token.clone();
        Some(match self.rng.below(3) {
            0 => {
                let name = self.rng.pick(&self.places)?.environment.clone();
                (
                    Intent::Other("rotate a key"),
                    by(engine, token, async move |engine, caller| {
                        directory::rotate_key(&engine, &caller, &name).await.map(|_| Fact::Done(1))
                    }),
                )
            }
            1 => {
                let id = self.rng.pick(&self.people)?.id;
                (
                    Intent::Other("erase a person"),
                    by(engine, token, async move |engine, caller| {
                        departures::erase_person(&engine, &caller, id).await.map(|_| Fact::Done(1))
                    }),
                )
            }
            _ => {
                let ask = NewPerson {
                    name: "Somebody New".into(),
                    email: Some("new@sim.example".into()),
                    roles: vec![Role::Requester, Role::Owner],
                    ..NewPerson::default()
                };
                (
                    Intent::Other("create a person"),
                    by(engine, token, async move |engine, caller| {
                        roles::create_person(&engine, &caller, ask).await.map(|_| Fact::Done(1))
                    }),
                )
            }
        })
    }

    fn upkeep(&self, engine: Arc<Kernel>) -> (Intent, Operation) {
        match self.rng.below(10) {
            0..5 => (
                Intent::Other("work off what is due"),
                Box::pin(async move { deadlines::work_due(&engine).await.map(|n| Fact::Done(n as u64)) }),
            ),
            5 => (
                Intent::Other("flush stamps"),
                Box::pin(async move { upkeep::flush_used(&engine).await.map(|()| Fact::Done(1)) }),
            ),
            6 => (
                Intent::Other("flush refusals"),
                Box::pin(async move { engine.flush_refusals(false).await.map(|()| Fact::Done(1)) }),
            ),
            7 => (Intent::Other("purge"), Box::pin(async move { purging::purge(&engine).await.map(Fact::Done) })),
            _ => {
                let seal = async move {
                    seal::seal_now(&engine).await?;
                    Ok(Fact::Checkpoint(reading::checkpoint(&engine).await?))
                };
                (Intent::Other("seal"), Box::pin(seal))
            }
        }
    }
}

/// How an enforcement point proves itself.
pub(crate) enum Enforcement {
    Assertion(String),
    Token(String),
}

impl Enforcement {
    pub(crate) async fn present(
        &self,
        engine: &Kernel,
        environment: &str,
    ) -> Result<tenure_engine::credentials::enforcer::Enforcer, OpError> {
        match self {
            Self::Token(token) => introspection::authenticate_enforcer(engine, token, &Presented::default()).await,
            Self::Assertion(assertion) => {
                let identity =
                    Box::pin(prove::authenticate_assertion(engine, environment, None, assertion, "enforce", "sim"))
                        .await?;
                introspection::enforcer_of(engine, &identity).await
            }
        }
    }
}

fn binding(subject: &Subject) -> Option<WorkloadBinding> {
    let workload = subject.name.clone();
    Some(match subject.bound {
        Bound::Key => WorkloadBinding::PublicKey {
            workload,
            jwk: Holder::new(&subject.seed)?.jwk(),
            assertion_audience: tenure_core::identity::binding::AssertionAudience::Issuer,
        },
        Bound::Oidc => WorkloadBinding::Oidc {
            workload,
            issuer: ISSUER.into(),
            claims: [("sub".to_owned(), json!(subject.name))].into(),
        },
        Bound::Join => WorkloadBinding::JoinToken { workload },
    })
}

pub(crate) fn token(engine: Arc<Kernel>, ask: TokenAsk) -> Operation {
    Box::pin(async move { Box::pin(token::issue_token(&engine, ask)).await.map(|token| Fact::Token(Box::new(token))) })
}

pub(crate) fn revocation(engine: Arc<Kernel>, token: String, target: RevocationTarget) -> Operation {
    by(engine, token, async move |engine: Arc<Kernel>, caller| {
        let view =
            revocation::revoke(&engine, &caller, Revocation { target, reason: because(), suspend: false }).await?;
        Ok(Fact::Revoked(view.log.map_or(0, |log| log.position.index)))
    })
}

fn target(scope: Scope) -> RevocationTarget {
    match scope {
        Scope::Identity(id) => RevocationTarget::Identity(id),
        Scope::Owner(id) => RevocationTarget::Owner(id),
        Scope::Application(id) => RevocationTarget::Application(id),
        Scope::Environment(name) => RevocationTarget::Environment(name),
        Scope::Vendor(id) => RevocationTarget::Vendor(id),
        Scope::CloudAccount(id) => RevocationTarget::CloudAccount(id),
    }
}
