//! Workloads that act for each other: a chain of three, by token exchange.

use std::sync::Arc;

use serde_json::json;
use tenure_api::requests::{NewIdentity, NewResource, Stage};
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Span;
use tenure_core::identity::delegation::{DELEGATE, Delegate};
use tenure_core::identity::{CharterDraft, Coverage, Kind, RetirementCondition};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::resource::{Verification, WhenUnreachable};
use tenure_engine::Kernel;
use tenure_engine::credentials::token::ask::{Grant, TokenAsk};
use tenure_engine::credentials::token::{Presented, Proof};
use tenure_engine::identities::registration;
use tenure_engine::inventory::directory;
use tenure_engine::kernel::caller;

use crate::furnish::{activate, done};
use crate::intent::{Bound, Derived, Hidden, Intent, Subject};
use crate::model::Broken;
use crate::ops::token;
use crate::world::{Operation, PUBLIC_URL, World};

/// Whoever hands on, and whoever takes it up last.
const LINKS: usize = 3;

impl World {
    /// Tenure itself as a resource of the first place, and three workloads there, each of which may act for the one
    /// before it.
    pub(crate) fn chain(&mut self) -> Result<(), Broken> {
        let missing = || ("setup", "something is missing".to_owned());
        let engine = Arc::clone(&self.nodes.first().ok_or_else(missing)?.engine);
        let sign_in = |place: usize| {
            let token = self.people.get(place).map(|person| person.token.clone()).ok_or_else(missing)?;
            done("sign in", caller::authenticate_person(&engine, &token))
        };
        let (admin, manager, owner) = (sign_in(0)?, sign_in(3)?, sign_in(4)?);
        let owner_id = self.people.get(4).ok_or_else(missing)?.id;
        let place = self.places.first().ok_or_else(missing)?.clone();
        let ask = NewResource {
            uri: format!("{PUBLIC_URL}/env/{}", place.environment),
            kind: "tenure".into(),
            actions: vec![DELEGATE.into()],
            application: place.application,
            environment: place.environment,
            data_domains: Vec::new(),
            verification: Verification::Online,
            when_unreachable: WhenUnreachable::Deny,
            signing_algorithm: None,
        };
        let tenure = done("create Tenure's own resource", directory::create_resource(&engine, &admin, ask))?.record.id;
        let mut actor: Option<IdentityId> = None;
        for n in (0..LINKS).rev() {
            let mut subject = Subject {
                id: IdentityId::from_u128(0),
                name: format!("link-{n}"),
                seed: self.rng.bytes(),
                place: 0,
                bound: Bound::Key,
                join_tokens: Vec::new(),
                proofs: Vec::new(),
            };
            let base = self.charter(&subject, owner_id, owner_id, true).ok_or_else(missing)?;
            let work: Vec<Entitlement> = place
                .resources
                .iter()
                .map(|(id, _)| Entitlement { actions: vec!["read".into()], resource: id.to_string() })
                .collect();
            let hands_on = Entitlement { actions: vec![DELEGATE.into()], resource: tenure.to_string() };
            let charter = CharterDraft {
                coverage: Some(Coverage::RoleBased),
                expires_at: Some(self.time.now().plus(Span::from_days(2))),
                retirement: vec![RetirementCondition::TaskCompleted],
                delegates: actor
                    .iter()
                    .map(|actor| Delegate { actor: *actor, scope: work.clone(), onward: 1 })
                    .collect(),
                scope: work.into_iter().chain([hands_on]).collect(),
                ..base
            };
            let ask = NewIdentity {
                kind: Kind::Workload,
                name: subject.name.clone(),
                template: None,
                charter,
                stage: Stage::Pending,
                token: None,
            };
            subject.id = done("register a link", registration::register(&engine, &owner, ask))?.record.id;
            done("activate a link", activate(&engine, &manager, subject.id))?;
            actor = Some(subject.id);
            self.links.insert(0, subject.id);
            self.subjects.push(subject);
        }
        Ok(())
    }

    /// Somebody of the chain hands on what it has, or takes up what was handed to it.
    pub(crate) fn delegate(&mut self, engine: Arc<Kernel>) -> Option<(Intent, Operation)> {
        let now = self.time.now();
        // What was handed on and may still be good, or was good a moment ago.
        let recent = |n: &usize| {
            self.model
                .issued
                .get(*n)
                .is_some_and(|issued| issued.to.is_some() && now < issued.expires_at.plus(Span::from_mins(1)))
        };
        let handed: Vec<usize> = (0..self.model.issued.len()).rev().filter(recent).take(4).collect();
        let taken = self.rng.pick(&handed).copied().filter(|_| self.rng.per_mille(750));
        let (holder, grant, parents) = match taken {
            Some(n) => {
                let issued = self.model.issued.get(n)?;
                let parents = issued.parents.iter().copied().chain([n]).collect();
                (issued.to?, Grant::Exchange(issued.token.clone()), parents)
            }
            None => (usize::try_from(self.rng.below(2)).ok()?, Grant::Own, Vec::new()),
        };
        // The last one has nobody to hand it to, and who begins has to.
        let on = taken.is_none() || (holder + 1 < LINKS && self.rng.per_mille(350));
        let id = *self.links.get(holder)?;
        let subject = self.subjects.iter().find(|subject| subject.id == id)?.clone();
        let place = self.places.get(subject.place)?.clone();
        let work = place.resources.first()?.1.clone();
        let (kind, proof) = self.proof(&subject, &place.environment)?;
        let to = if on { Some(holder + 1) } else { None };
        let actor = to.and_then(|to| self.links.get(to));
        let details = actor.map(|actor| {
            json!([{"type": "tenure_delegation", "actor": actor, "locations": [work], "actions": ["read"]}]).to_string()
        });
        let ask = TokenAsk {
            environment: place.environment.clone(),
            client_id: Some(id.to_string()),
            proof: Proof::ClientAssertion(proof.clone()),
            resource: Some(if on { format!("{PUBLIC_URL}/env/{}", place.environment) } else { work }),
            scope: Some(if on { DELEGATE } else { "read" }.to_owned()),
            authorization_details: details,
            grant,
            sender: Presented::default(),
            source: "sim".into(),
        };
        let derived = Derived { id, kind, proof: Hidden(proof), place: subject.place, parents, to };
        Some((Intent::Derive(Box::new(derived)), token(engine, ask)))
    }
}
