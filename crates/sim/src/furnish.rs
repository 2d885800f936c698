//! What is there before the first step, and what has to work after the last.

use std::sync::Arc;

use tenure_api::people::{NewPerson, NewTeam, PersonChange};
use tenure_api::request::NewVote;
use tenure_api::requests::{
    NewApplication, NewEnvironment, NewIdentity, NewIssuer, NewOperatorToken, NewResource, RevocationTarget, Setup,
    Stage,
};
use tenure_api::templates::TemplateChange;
use tenure_api::views::IdentityView;
use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::scope::Hold;
use tenure_core::identity::template::{Template, WhenOver};
use tenure_core::identity::{CharterDraft, Coverage, Identity, IdentityState, Kind, RetirementCondition, RiskTier};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::resource::{Verification, WhenUnreachable};
use tenure_core::people::person::{Person, Role};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_core::trust::signing_key::SigningAlgorithm;
use tenure_engine::Kernel;
use tenure_engine::credentials::introspection;
use tenure_engine::credentials::token::ask::{Grant, TokenAsk};
use tenure_engine::credentials::token::{Presented, Proof};
use tenure_engine::identities::registration;
use tenure_engine::inventory::directory;
use tenure_engine::kernel::caller::{self, Caller};
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::{policies, request, roles, votes};
use tenure_engine::people::{operator_tokens, person, setup};
use tenure_engine::trust::issuers;

use crate::exec::finish;
use crate::intent::{Bound, Fact, Place, Subject};
use crate::model::{Broken, record};
use crate::ops::{TEMPLATE, revocation, token};
use crate::workload::{AUDIENCE, Holder, ISSUER};
use crate::world::{Operator, PUBLIC_URL, World};

pub(crate) fn done<T>(what: &'static str, future: impl Future<Output = Result<T, OpError>>) -> Result<T, Broken> {
    match finish(future, 10_000) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(("setup", format!("{what}: {error}"))),
        None => Err(("setup", format!("{what}: doesn't end"))),
    }
}

/// A vote for the activation of an identity, as it is asked for now.
pub(crate) async fn activate(engine: &Kernel, caller: &Caller, id: IdentityId) -> Result<IdentityView, OpError> {
    let view = registration::identity(engine, caller, id).await?;
    let request = view.record.request.ok_or(OpError::NotFound("request"))?;
    let content_hash = request::request(engine, caller, request).await?.request.content_hash;
    votes::activate(engine, caller, id, NewVote { content_hash, comment: String::new() }).await
}

/// What a rule approves without anybody's vote: short, of low risk, outside production.
fn template() -> TemplateChange {
    TemplateChange {
        template: Template {
            name: TEMPLATE.into(),
            kind: Kind::Workload,
            description: "short work on the seed".into(),
            defaults: CharterDraft::default(),
            default_life: Span::from_mins(40),
            max_life: Span::from_mins(600),
            max_credential_ttl: None,
            max_scope: Vec::new(),
            environments: Vec::new(),
            repositories: Vec::new(),
            max_tier: RiskTier::Medium,
            when_over: WhenOver::Clip,
            version: 0,
            changed_at: Timestamp::default(),
        },
        purpose: "work that nobody has to wait for".into(),
    }
}

impl World {
    /// People, environments, applications, resources, an issuer, and an enforcement point for each environment.
    pub(crate) fn furnish(&mut self) -> Result<(), Broken> {
        let engine = self.nodes.first().map(|node| Arc::clone(&node.engine)).ok_or(("setup", "no node".to_owned()))?;
        let setup_token = done("offer set-up", setup::offer_setup(&engine))?
            .ok_or(("setup", "set-up was done".to_owned()))?
            .expose()
            .clone();
        self.model.secrets.push(setup_token.clone());
        let made = done(
            "set up",
            setup::set_up(
                &engine,
                Setup { setup_token, name: "Ada Admin".into(), email: Some("ada@sim.example".into()) },
            ),
        )?;
        self.model.secrets.push(made.operator_token.clone());
        let admin = done("sign in", caller::authenticate_person(&engine, &made.operator_token))?;
        let mut people = vec![made.person.id];
        // The manager is made last of those whom she doesn't manage; until the second administrator comes, roles need
        // nobody else.
        let mut manager = None;
        for (name, roles) in [
            ("Sam Secure", vec![Role::Security, Role::Owner]),
            ("Sue Secure", vec![Role::Security, Role::Owner]),
            ("Mia Manager", vec![Role::Manager, Role::Owner]),
            ("Olga Owner", vec![Role::Owner]),
            ("Otto Owner", vec![Role::Owner]),
            ("Oona Owner", vec![Role::Owner]),
        ] {
            let manages = roles.contains(&Role::Manager);
            let ask = NewPerson { name: name.into(), roles, manager, ..NewPerson::default() };
            let made = done("create a person", roles::create_person(&engine, &admin, ask))?.record.id;
            manager = if manages { Some(made) } else { manager };
            people.push(made);
        }
        done("make a template", policies::change_template(&engine, &admin, TEMPLATE, template()))?;
        let ask = NewPerson { name: "Abe Admin".into(), roles: vec![Role::Administrator], ..NewPerson::default() };
        let second = done("create a person", roles::create_person(&engine, &admin, ask))?.record.id;
        people.push(second);
        for id in people {
            let made = done(
                "create a token",
                operator_tokens::create_operator_token(
                    &engine,
                    &admin,
                    id,
                    NewOperatorToken { ttl: Some(Span::from_days(30)) },
                ),
            )?;
            self.model.secrets.push(made.operator_token.clone());
            self.people.push(Operator { id, token: made.operator_token });
        }
        let [_, security, _, owner, ..] = self.people.as_slice() else {
            return Err(("setup", "people are missing".into()));
        };
        let (security, owner) = (security.id, owner.id);
        let team = NewTeam { name: "removers".into() };
        let removers = done("create a team", person::create_team(&engine, &admin, team))?.record.id;
        for person in [second, made.person.id] {
            let teams = PersonChange { teams: Some(vec![removers]), ..PersonChange::default() };
            done("join a team", person::change_person(&engine, &admin, person, teams))?;
        }
        let admin = done("sign in again", caller::still(&engine, &admin))?;
        for (environment, production) in [("prod", true), ("dev", false)] {
            done(
                "create an environment",
                directory::create_environment(
                    &engine,
                    &admin,
                    NewEnvironment { name: environment.into(), production, signing_algorithm: SigningAlgorithm::EdDsa },
                ),
            )?;
            let application = done(
                "create an application",
                directory::create_application(
                    &engine,
                    &admin,
                    NewApplication { name: format!("orders-{environment}"), owner, removal_group: Some(removers) },
                ),
            )?
            .record
            .id;
            let mut resources = Vec::new();
            for (name, verification) in [("api", Verification::Online), ("stream", Verification::Offline)] {
                let ask = NewResource {
                    uri: format!("https://{name}.{environment}.sim"),
                    kind: "service".into(),
                    actions: ["read", "write", "enforce"].map(str::to_owned).to_vec(),
                    application,
                    environment: environment.into(),
                    data_domains: Vec::new(),
                    verification,
                    when_unreachable: WhenUnreachable::Deny,
                    signing_algorithm: None,
                };
                let made = done("create a resource", directory::create_resource(&engine, &admin, ask))?.record;
                resources.push((made.id, made.uri));
            }
            self.places.push(Place { environment: environment.into(), application, resources });
        }
        let issuer = NewIssuer {
            preset: tenure_core::trust::issuer::Preset::Oidc,
            fixed_claims: std::collections::BTreeMap::new(),
            url: ISSUER.into(),
            audience: AUDIENCE.into(),
            environments: vec!["dev".into(), "prod".into()],
            algorithms: Vec::new(),
            required_claims: Vec::new(),
            token_review: None,
        };
        let issuer = done("create an issuer", issuers::create_issuer(&engine, &admin, issuer))?.record.id;
        let second = self.people.last().map(|person| person.token.clone()).unwrap_or_default();
        let second = done("sign in", caller::authenticate_person(&engine, &second))?;
        done("confirm an issuer", issuers::confirm_issuer(&engine, &second, issuer))?;
        for place in 0..self.places.len() {
            self.enforcement_point(place, security)?;
        }
        // Three workloads to begin with, asked for by their owners; the last has yet to enrol a key.
        for (place, owner, bound) in [(0, 4, Bound::Key), (1, 5, Bound::Key), (1, 6, Bound::Join)] {
            self.workload(place, owner, bound)?;
        }
        self.source()?;
        self.chain()
    }

    fn workload(&mut self, place: usize, owner: usize, bound: Bound) -> Result<(), Broken> {
        let missing = || ("setup", "something is missing".to_owned());
        let mut subject = Subject {
            id: IdentityId::from_u128(0),
            name: format!("first-{}", self.subjects.len()),
            seed: self.rng.bytes(),
            place,
            bound,
            join_tokens: Vec::new(),
            proofs: Vec::new(),
        };
        let (Some(node), Some(owner), Some(manager)) = (self.nodes.first(), self.people.get(owner), self.people.get(3))
        else {
            return Err(missing());
        };
        let engine = Arc::clone(&node.engine);
        let caller = done("sign in", caller::authenticate_person(&engine, &owner.token))?;
        let manager = done("sign in", caller::authenticate_person(&engine, &manager.token))?;
        // The first one takes two: in production, and under closer review.
        let privileged = self.subjects.is_empty() && place == 0;
        let charter = CharterDraft {
            coverage: Some(if privileged { Coverage::Privileged } else { Coverage::RoleBased }),
            ..self.charter(&subject, owner.id, owner.id, true).ok_or_else(missing)?
        };
        let backup = charter.backup_owner;
        let ask = NewIdentity {
            kind: Kind::Workload,
            name: subject.name.clone(),
            template: None,
            charter,
            stage: Stage::Pending,
            token: None,
        };
        subject.id = done("register a workload", registration::register(&engine, &caller, ask))?.record.id;
        done("activate a workload", activate(&engine, &manager, subject.id))?;
        if privileged {
            let free = self.people.iter().skip(1).find(|person| Some(person.id) != backup).ok_or_else(missing)?;
            let security = done("sign in", caller::authenticate_person(&engine, &free.token))?;
            done("activate a workload", activate(&engine, &security, subject.id))?;
        }
        self.subjects.push(subject);
        Ok(())
    }

    fn enforcement_point(&mut self, place: usize, owner: PersonId) -> Result<(), Broken> {
        let missing = || ("setup", "something is missing".to_owned());
        let mut subject = Subject {
            id: IdentityId::from_u128(0),
            name: format!("gateway-{place}"),
            seed: self.rng.bytes(),
            place,
            bound: Bound::Key,
            join_tokens: Vec::new(),
            proofs: Vec::new(),
        };
        let resources = self.places.get(place).map(|place| place.resources.clone()).unwrap_or_default();
        let requester = self.people.first().ok_or_else(missing)?.id;
        let base = self.charter(&subject, requester, owner, true).ok_or_else(missing)?;
        let charter = CharterDraft {
            scope: resources
                .iter()
                .map(|(id, _)| Entitlement { actions: vec!["enforce".into()], resource: id.to_string() })
                .collect(),
            expires_at: Some(self.time.now().plus(Span::from_days(60))),
            retirement: vec![RetirementCondition::TaskCompleted],
            coverage: Some(Coverage::RoleBased),
            auto_revocation: Vec::new(),
            backup_owner: None,
            ..base
        };
        let (Some(node), Some(admin), Some(security)) = (self.nodes.first(), self.people.first(), self.people.get(1))
        else {
            return Err(missing());
        };
        let engine = Arc::clone(&node.engine);
        let admin = done("sign in", caller::authenticate_person(&engine, &admin.token))?;
        let security = done("sign in", caller::authenticate_person(&engine, &security.token))?;
        let ask = NewIdentity {
            kind: Kind::Workload,
            name: subject.name.clone(),
            template: None,
            charter,
            stage: Stage::Pending,
            token: None,
        };
        subject.id = done("register a gateway", registration::register(&engine, &admin, ask))?.record.id;
        done("activate a gateway", activate(&engine, &security, subject.id))?;
        self.enforcers.push(subject);
        Ok(())
    }

    /// Whoever is in good standing gets a token on one node, which the other accepts, until it is revoked.
    pub(crate) fn still_serves(&mut self) -> Result<(), Broken> {
        let workloads: Vec<Subject> = self
            .subjects
            .iter()
            .chain(&self.enforcers)
            .filter(|subject| subject.bound != Bound::Join)
            .cloned()
            .collect();
        for subject in workloads {
            let Some(place) = self.places.get(subject.place).cloned() else {
                continue;
            };
            let (true, Some((resource, uri))) = (self.in_good_standing(&subject), place.resources.first()) else {
                continue;
            };
            let enforced = self.enforcers.get(subject.place).is_some_and(|enforcer| self.in_good_standing(enforcer));
            let number = self.next_number();
            let audience = format!("{PUBLIC_URL}/env/{}", place.environment);
            let holder = Holder::new(&subject.seed).ok_or(("setup", "no key".to_owned()))?;
            let proof = match subject.bound {
                Bound::Oidc => {
                    Proof::ExternalToken(self.platform.vouch(&subject.name, AUDIENCE, number, self.time.now()))
                }
                _ => Proof::ClientAssertion(holder.assertion(
                    &subject.id.to_string(),
                    &audience,
                    number,
                    self.time.now(),
                )),
            };
            let ask = TokenAsk {
                environment: place.environment.clone(),
                client_id: Some(subject.id.to_string()),
                proof,
                resource: Some(uri.clone()),
                scope: None,
                authorization_details: None,
                grant: Grant::Own,
                sender: Presented::default(),
                source: "sim".into(),
            };
            let [one, other] = self.nodes.as_slice() else { continue };
            let (one, other) = (Arc::clone(&one.engine), Arc::clone(&other.engine));
            let refused = |what: String| ("serves", format!("{} on {resource}: {what}", subject.name));
            let issued = match finish(token(Arc::clone(&one), ask), 10_000) {
                Some(Ok(Fact::Token(issued))) => issued,
                Some(Err(error)) => return Err(refused(error.to_string())),
                _ => return Err(refused("no answer".into())),
            };
            for expected in [true, false] {
                if !enforced {
                    break;
                }
                for engine in [&one, &other] {
                    let enforcement = self
                        .enforcement(&place.environment, uri)
                        .ok_or(("setup", "no enforcement point".to_owned()))?;
                    let look = async {
                        let enforcer = enforcement.present(engine, &place.environment).await?;
                        introspection::introspect(engine, &place.environment, &enforcer, &issued.access_token).await
                    };
                    match finish(look, 10_000) {
                        Some(Ok(answer)) if answer.active == expected => {}
                        Some(Ok(_)) if !expected => {
                            return Err(("inv4", format!("{} is accepted after its revocation", issued.credential)));
                        }
                        Some(Ok(answer)) => return Err(refused(format!("active is {}", answer.active))),
                        Some(Err(error)) => return Err(refused(error.to_string())),
                        None => return Err(refused("no answer".into())),
                    }
                }
                let security = self.people.get(1).map(|person| person.token.clone()).unwrap_or_default();
                if expected
                    && !matches!(
                        finish(
                            revocation(Arc::clone(&other), security, RevocationTarget::Credential(issued.credential)),
                            10_000
                        ),
                        Some(Ok(_))
                    )
                {
                    return Err(refused("it can't be revoked".into()));
                }
            }
            self.say(&format!("{} is served", subject.name));
        }
        Ok(())
    }

    fn in_good_standing(&self, subject: &Subject) -> bool {
        let dump = self.dump();
        let Some(identity) = record::<Identity>(&dump, &RowKey::new(RowKind::Identity, subject.id)) else {
            return false;
        };
        let Ok(charter) = identity.complete_charter() else {
            return false;
        };
        let held = identity
            .memberships
            .iter()
            .filter_map(|membership| record::<Hold>(&dump, &membership.scope.hold_key()))
            .any(|hold| hold.placed_by.is_some());
        let granted = identity.grants.iter().filter_map(|id| crate::model::grant(&dump, *id)).any(|grant| {
            let first = self.places.get(subject.place).and_then(|place| place.resources.first());
            grant.is_live(self.time.now()) && first.is_some_and(|(id, _)| grant.entitlement.resource == id.to_string())
        });
        let owner = record::<Person>(&dump, &RowKey::new(RowKind::Person, charter.owner));
        let away = !owner.is_some_and(|owner| owner.is_active());
        identity.state == IdentityState::Active
            && !held
            && granted
            && (!away
                || identity
                    .transfer
                    .as_ref()
                    .is_some_and(|window| self.time.now().plus(Span::from_mins(2)) < window.deadline))
            && self.time.now().plus(Span::from_mins(2)) < charter.end()
    }
}
