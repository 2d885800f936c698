//! What is known about what is asked: read anew when it is asked, at each vote and at its fulfilment.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenure_core::application::Application;
use tenure_core::changeset::Expect;
use tenure_core::gate;
use tenure_core::id::{IdentityId, PersonId, ResourceId, TeamId};
use tenure_core::identity::{BadTransition, CharterDraft, Entitlement, Identity, IdentityState, RiskTier, Step, WILDCARD};
use tenure_core::person::{Person, Role};
use tenure_core::policy::{Attributes, Entity, PolicyEngine, Value};
use tenure_core::problem::Reason;
use tenure_core::request::{Asker, Class, Clipped, Matter, Request};
use tenure_core::resource::Resource;
use tenure_core::row::Record;
use tenure_core::team::Team;
use tenure_core::template::Template;
use tenure_core::time::{Span, Timestamp};

use crate::Kernel;
use crate::access::person_access;
use crate::identities::renewals;
use crate::inventory::references;
use crate::inventory::references::References;
use crate::inventory::removal_groups;
use crate::inventory::templates;
use crate::kernel::authority;
use crate::kernel::error::OpError;
use crate::kernel::exceptional;
use crate::kernel::load;
use crate::matters::exceptions;
use crate::matters::inventory_changes;
use crate::matters::policies;
use crate::requests::content::Subject;
use crate::requests::eligible;
use crate::requests::vote::{class_of, distinct};

/// What is known about what is asked.
#[derive(Clone)]
pub(crate) struct Facts {
    /// What is asked for, cut down to ceilings where a template says so.
    pub matter: Matter,
    pub class: Class,
    pub owner: Option<PersonId>,
    pub manager: Option<PersonId>,
    /// Persons who may not approve it (S-8).
    pub interested: Vec<PersonId>,
    /// Teams none of whose members may.
    pub interested_teams: Vec<TeamId>,
    pub tier: Option<RiskTier>,
    pub environment: String,
    pub context: AskContext,
    /// What votes bind besides the matter: the charter, the template or the policy concerned.
    pub subject: Subject,
    pub clipped: Vec<Clipped>,
    pub starts_at: Option<Timestamp>,
    /// What must still be so at the commit.
    pub expects: Vec<Expect>,
    /// Whom the request concerns, for its events.
    pub subjects: Vec<String>,
    /// The policy set that is proposed, if one is.
    pub proposed_policy: Option<Arc<dyn PolicyEngine>>,
    /// The set that judges the request, if it isn't the one in force.
    pub judge: Option<Arc<dyn PolicyEngine>>,
}

/// The context of `request` and of the routes, as the schema's `Ask`.
#[derive(Debug, Clone)]
pub(crate) struct AskContext {
    pub owns: bool,
    pub matter: &'static str,
    pub class: Class,
    pub kind: &'static str,
    pub tier: Option<RiskTier>,
    pub production: bool,
    pub templated: bool,
    pub duration: Span,
    pub charter_complete: bool,
    pub owner_active: bool,
    pub in_transfer: bool,
    pub wildcard_scope: bool,
    pub weaker_credential: bool,
    pub shared: bool,
    pub vendor: bool,
    pub within_bounds: bool,
    pub need_verified: bool,
    pub waived: Vec<String>,
    pub compensated: bool,
    pub contractor: bool,
    pub fast_onboarding: bool,
    pub single_person: bool,
    pub touches: Touches,
}

/// What is asked for touches, by the names that policies have for it. An everything among it is the wildcard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touches {
    pub actions: BTreeSet<String>,
    pub resources: BTreeSet<String>,
    pub applications: BTreeSet<String>,
    pub data_domains: BTreeSet<String>,
    pub teams: BTreeSet<String>,
}

impl Touches {
    fn add(&mut self, more: Self) {
        self.actions.extend(more.actions);
        self.resources.extend(more.resources);
        self.applications.extend(more.applications);
        self.data_domains.extend(more.data_domains);
        self.teams.extend(more.teams);
    }
}

impl AskContext {
    /// A context in which nothing is so that would enable.
    pub(crate) fn of(matter: &Matter) -> Self {
        Self {
            owns: false,
            matter: matter.as_str(),
            class: class_of(matter),
            kind: "",
            tier: None,
            production: false,
            templated: false,
            duration: Span::default(),
            charter_complete: true,
            owner_active: true,
            in_transfer: false,
            wildcard_scope: false,
            weaker_credential: false,
            shared: false,
            vendor: false,
            within_bounds: true,
            need_verified: true,
            waived: Vec::new(),
            compensated: true,
            contractor: false,
            fast_onboarding: false,
            single_person: false,
            touches: Touches::default(),
        }
    }

    pub(crate) fn attributes(&self) -> Attributes {
        let set = |names: &BTreeSet<String>| Value::Set(names.iter().cloned().collect());
        Attributes::from([
            ("actions", set(&self.touches.actions)),
            ("resources", set(&self.touches.resources)),
            ("applications", set(&self.touches.applications)),
            ("data_domains", set(&self.touches.data_domains)),
            ("teams", set(&self.touches.teams)),
            ("owns", Value::Bool(self.owns)),
            ("matter", Value::Text(self.matter.to_owned())),
            ("class", Value::Text(self.class.as_str().to_owned())),
            ("kind", Value::Text(self.kind.to_owned())),
            ("tier", Value::Text(self.tier.map_or("", RiskTier::as_str).to_owned())),
            ("production", Value::Bool(self.production)),
            ("templated", Value::Bool(self.templated)),
            ("duration_secs", Value::Long(self.duration.as_secs())),
            ("charter_complete", Value::Bool(self.charter_complete)),
            ("owner_active", Value::Bool(self.owner_active)),
            ("in_transfer", Value::Bool(self.in_transfer)),
            ("wildcard_scope", Value::Bool(self.wildcard_scope)),
            ("weaker_credential", Value::Bool(self.weaker_credential)),
            ("shared", Value::Bool(self.shared)),
            ("vendor", Value::Bool(self.vendor)),
            ("within_bounds", Value::Bool(self.within_bounds)),
            ("need_verified", Value::Bool(self.need_verified)),
            ("waived", Value::Set(self.waived.clone())),
            ("compensated", Value::Bool(self.compensated)),
            ("contractor", Value::Bool(self.contractor)),
            ("fast_onboarding", Value::Bool(self.fast_onboarding)),
            ("single_person", Value::Bool(self.single_person)),
        ])
    }
}

/// Whom something serves: nobody of them approves it.
struct Served {
    people: Vec<PersonId>,
    teams: Vec<TeamId>,
}

impl Facts {
    /// Facts about a matter of which nothing is known yet.
    pub(crate) fn about(matter: &Matter, subject: Subject) -> Self {
        Self {
            matter: matter.clone(),
            class: class_of(matter),
            owner: None,
            manager: None,
            interested: Vec::new(),
            interested_teams: Vec::new(),
            tier: None,
            environment: String::new(),
            context: AskContext::of(matter),
            subject,
            clipped: Vec::new(),
            starts_at: None,
            expects: Vec::new(),
            subjects: Vec::new(),
            proposed_policy: None,
            judge: None,
        }
    }

    /// Whether somebody may not approve it: who asks or gains, be it as a member of a team. The team is judged by the person's own record, so
    /// that a list which lacks somebody lets nobody in.
    pub(crate) fn keeps_out(&self, person: &Person) -> bool {
        self.interested.contains(&person.id) || self.interested_teams.iter().any(|team| person.is_or_was_in(*team))
    }

    /// Keeps out whoever was interested when it was asked, too: nobody becomes an approver by leaving the team that gains from it, whoever
    /// reports that, or by handing on the identity that asked for them (S-8).
    pub(crate) fn keep_out(&mut self, request: &Request) {
        self.interested.extend_from_slice(&request.interested);
        self.interested = distinct(std::mem::take(&mut self.interested));
        self.interested_teams.extend_from_slice(&request.interested_teams);
        self.interested_teams.sort_unstable();
        self.interested_teams.dedup();
    }

    fn serves(&mut self, served: Served) {
        self.interested.extend(served.people);
        self.interested_teams.extend(served.teams);
    }

    /// Whether who asks is the accountable owner of the identity concerned, the identity, or the person concerned or their manager.
    pub(crate) fn owns(&self, asker: Asker) -> bool {
        match asker {
            Asker::Person(id) => match self.class {
                Class::Human => self.matter.person() == Some(id) || self.manager == Some(id),
                Class::NonHuman => self.owner == Some(id),
                Class::Administration => false,
            },
            Asker::Identity(id) => self.matter.identity() == Some(id),
        }
    }
}

/// What is known about what is asked.
///
/// # Errors
/// It names what isn't there, or can't be asked for as things stand.
pub(crate) async fn facts(kernel: &Kernel, asker: Asker, matter: &Matter, now: Timestamp) -> Result<Facts, OpError> {
    let mut facts = match matter {
        Matter::Activation { identity } => facts_of_activation(kernel, matter, *identity, now).await?,
        Matter::Access {
            identity,
            entitlement,
            starts_at,
            duration,
            ..
        } => facts_of_access(kernel, matter, *identity, entitlement, *starts_at, *duration, now).await?,
        Matter::Charter { identity, charter } => facts_of_charter(kernel, matter, *identity, charter, now).await?,
        Matter::Renewal { identity, until } => facts_of_renewal(kernel, matter, *identity, *until, now).await?,
        Matter::PersonAccess { .. } => person_access::facts_of_person_access(kernel, matter, now).await?,
        Matter::Exception { exception } => exceptions::facts_of_exception(kernel, matter, *exception, now).await?,
        Matter::Roles { person, roles } => facts_of_roles(kernel, matter, *person, roles).await?,
        Matter::Policy { policy } => policies::facts_of_policy(kernel, matter, *policy).await?,
        Matter::Template { template } => facts_of_template(kernel, matter, template).await?,
        Matter::Inventory { revision, change } => inventory_changes::facts_of_inventory(kernel, matter, *revision, change).await?,
    };
    facts.interested.extend(accountable(kernel, asker).await?);
    facts.interested = distinct(facts.interested);
    facts.interested_teams.sort_unstable();
    facts.interested_teams.dedup();
    if facts.class == Class::Administration {
        facts.context.single_person = authority::has_one_administrator(kernel).await?;
    }
    Ok(facts)
}

/// The person behind who asks: an identity's requests are its owner's (S-8).
async fn accountable(kernel: &Kernel, asker: Asker) -> Result<Option<PersonId>, OpError> {
    Ok(match asker {
        Asker::Person(id) => Some(id),
        Asker::Identity(id) => kernel.one::<Identity>(id).await?.and_then(|identity| identity.charter.owner),
    })
}

pub(crate) async fn asker_entity(kernel: &Kernel, asker: Asker) -> Result<Entity, OpError> {
    Ok(match asker {
        Asker::Person(id) => authority::person(&*kernel.must::<Person>("person", id).await?),
        Asker::Identity(id) => authority::identity(&*kernel.must::<Identity>("identity", id).await?),
    })
}

/// What is known about an identity and a charter for it, be it its own.
pub(crate) async fn facts_of_identity(
    kernel: &Kernel,
    matter: &Matter,
    identity: &Identity,
    charter: &CharterDraft,
    references: &References,
    now: Timestamp,
) -> Result<Facts, OpError> {
    let subject = Subject::default()
        .with("name", &identity.name)?
        .with("kind", &identity.kind)?
        .with("charter", charter)?;
    let mut facts = Facts::about(matter, subject);
    let by_rule = references.tier(identity.kind, charter);
    Box::pin(templates::within_template(kernel, identity, charter, by_rule, now)).await?;
    let tier = identity.judged_tier(by_rule);
    facts.owner = identity.charter.owner.or(charter.owner);
    facts.manager = references.owner_manager;
    facts.tier = Some(tier);
    facts.environment = charter.environment.clone().unwrap_or_default();
    facts.subjects = vec![identity.id.to_string()];
    facts.interested = vec![identity.registered_by];
    // Whoever is named is kept out of striking the name, too.
    let before = (!std::ptr::eq(charter, &raw const identity.charter)).then_some(&identity.charter);
    for charter in std::iter::once(charter).chain(before) {
        facts.interested.extend(charter.parties.as_ref().map(|parties| parties.requester));
        facts.serves(Box::pin(served_by(kernel, identity, charter, now)).await?);
    }
    // Nothing begins to work, or gets more, whose owner leaves meanwhile.
    facts.expects.extend(references.owner.clone());
    facts.context = AskContext {
        kind: identity.kind.as_str(),
        tier: Some(tier),
        production: references.production,
        templated: identity.template.is_some(),
        duration: charter.expires_at.map_or(Span::default(), |end| end.since(now)),
        charter_complete: charter.complete(identity.kind, identity.created_at).is_ok(),
        owner_active: references.owner_active,
        in_transfer: gate::in_transfer(identity, now),
        wildcard_scope: charter.has_wildcard(),
        weaker_credential: charter.has_weaker_credential(),
        shared: charter.shared.is_some(),
        vendor: charter.vendor.is_some(),
        within_bounds: references.within_bounds,
        waived: exceptional::waived(kernel, identity, now).await?,
        touches: Box::pin(touches_of(kernel, charter, &charter.scope, &facts)).await?,
        ..AskContext::of(matter)
    };
    Ok(facts)
}

/// Whom an identity serves under a charter, and whom it served until lately (S-8, R40).
async fn served_by(kernel: &Kernel, identity: &Identity, charter: &CharterDraft, now: Timestamp) -> Result<Served, OpError> {
    let mut served = Served {
        people: Vec::new(),
        teams: Vec::new(),
    };
    let runs_or_gains = |party: &str| charter.parties.as_ref().is_some_and(|parties| parties.named().contains(&party));
    for party in identity.serves(charter, now) {
        let as_id = party.to_ascii_lowercase();
        if let Ok(person) = as_id.parse::<PersonId>() {
            served.people.push(person);
        } else if let Ok(other) = as_id.parse::<IdentityId>() {
            let owner = kernel.one::<Identity>(other).await?.and_then(|other| other.charter.owner);
            // What its own owner gets by a delegate of theirs, they have.
            served
                .people
                .extend(owner.filter(|owner| runs_or_gains(&party) || charter.owner != Some(*owner)));
        } else {
            served.teams.extend(eligible::teams_of_party(kernel, &party).await?);
        }
    }
    Ok(served)
}

/// What a charter, or a part of its scope, touches.
async fn touches_of(kernel: &Kernel, charter: &CharterDraft, scope: &[Entitlement], facts: &Facts) -> Result<Touches, OpError> {
    let mut touches = Touches::default();
    add_touched(kernel, &mut touches, scope).await?;
    touches.data_domains.extend(charter.data_domains.iter().cloned());
    if let Some(application) = charter.application {
        touches
            .applications
            .extend(kernel.one::<Application>(application).await?.map(|application| application.name.clone()));
    }
    if let Some(owner) = facts.owner {
        let teams = kernel.one::<Person>(owner).await?.map(|owner| owner.teams.clone()).unwrap_or_default();
        add_teams(kernel, &mut touches, &teams).await?;
    }
    add_teams(kernel, &mut touches, &facts.interested_teams).await?;
    Ok(touches)
}

/// Adds what entitlements are on, and the data that it holds.
pub(crate) async fn add_touched(kernel: &Kernel, touches: &mut Touches, scope: &[Entitlement]) -> Result<(), OpError> {
    for entitlement in scope {
        touches.actions.extend(entitlement.actions.iter().cloned());
        let Ok(id) = entitlement.resource.parse::<ResourceId>() else {
            for names in [&mut touches.resources, &mut touches.applications, &mut touches.data_domains] {
                names.insert(WILDCARD.to_owned());
            }
            continue;
        };
        let Some(resource) = kernel.one::<Resource>(id).await? else { continue };
        touches.resources.insert(resource.uri.clone());
        touches.data_domains.extend(resource.data_domains.iter().cloned());
        let application = kernel.one::<Application>(resource.application).await?;
        touches.applications.extend(application.map(|application| application.name.clone()));
    }
    Ok(())
}

pub(crate) async fn add_teams(kernel: &Kernel, touches: &mut Touches, teams: &[TeamId]) -> Result<(), OpError> {
    for team in teams {
        touches.teams.extend(kernel.one::<Team>(team).await?.map(|team| team.name.clone()));
    }
    Ok(())
}

async fn facts_of_activation(kernel: &Kernel, matter: &Matter, id: IdentityId, now: Timestamp) -> Result<Facts, OpError> {
    let stored = kernel.must::<Identity>("identity", id).await?;
    if stored.state != IdentityState::Pending {
        return Err(BadTransition {
            from: stored.state,
            step: Step::Activate,
        }
        .into());
    }
    let mut problems = stored.complete_charter().err().unwrap_or_default();
    let references = references::check_references(kernel, stored.kind, &stored.charter, &mut problems).await?;
    Box::pin(removal_groups::needs_removal_group(kernel, &stored.charter, &mut problems)).await?;
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    let mut facts = facts_of_identity(kernel, matter, &stored, &stored.charter, &references, now).await?;
    facts.expects.push(load::expect(&stored));
    Ok(facts)
}

async fn facts_of_access(
    kernel: &Kernel,
    matter: &Matter,
    id: IdentityId,
    entitlement: &Entitlement,
    starts_at: Option<Timestamp>,
    duration: Span,
    now: Timestamp,
) -> Result<Facts, OpError> {
    let known = kernel.know(id).await?.ok_or(OpError::NotFound("identity"))?;
    let standing = gate::standing(known.facts(now))?;
    if duration < Span::from_secs(10) {
        return Err(OpError::field("matter.duration", "duration_too_short", "use at least 10s"));
    }
    if entitlement.actions.is_empty() || entitlement.actions.len() > 32 || entitlement.is_wildcard() {
        return Err(OpError::field(
            "matter.entitlement",
            "actions_missing",
            "list 1 to 32 actions by name, on one resource",
        ));
    }
    let resource = kernel.must::<Resource>("resource", &entitlement.resource).await?;
    if let Some(action) = entitlement
        .actions
        .iter()
        .find(|action| !standing.charter().covers(action, resource.id) || !resource.actions.contains(action))
    {
        return Err(OpError::because(
            Reason::OutsideScope,
            format!("the charter doesn't contain {action} on {}", resource.id),
        ));
    }
    check_task(matter, &known.identity.charter, entitlement, resource.id)?;
    if known.identity.grants.len() >= crate::identities::grants::MAX_GRANTS {
        return Err(OpError::because(Reason::BudgetSpent, "the identity holds 64 grants already"));
    }
    let start = starts_at.unwrap_or(now);
    if start >= standing.charter().end() {
        return Err(OpError::field("matter.starts_at", "start_after_end", "start before the identity's own end"));
    }
    let mut problems = Vec::new();
    let charter = &known.identity.charter;
    let references = references::check_references(kernel, known.identity.kind, charter, &mut problems).await?;
    let mut facts = facts_of_identity(kernel, matter, &known.identity, charter, &references, now).await?;
    // Who asked for the identity did not ask for this.
    facts.interested.clear();
    facts.serves(Box::pin(served_by(kernel, &known.identity, charter, now)).await?);
    facts.subject = Subject::default().with("charter", charter)?;
    facts.context.duration = duration;
    facts.context.touches = Box::pin(touches_of(kernel, charter, std::slice::from_ref(entitlement), &facts)).await?;
    facts.context.touches.data_domains = resource.data_domains.iter().cloned().collect();
    facts.starts_at = starts_at;
    facts.expects.push(load::expect(&known.identity));
    facts.subjects.push(resource.id.to_string());
    Ok(facts)
}

async fn facts_of_charter(kernel: &Kernel, matter: &Matter, id: IdentityId, charter: &CharterDraft, now: Timestamp) -> Result<Facts, OpError> {
    let stored = kernel.must::<Identity>("identity", id).await?;
    if !matches!(stored.state, IdentityState::Active | IdentityState::Suspended) {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("an identity that is {} has no charter to widen", stored.state.as_str()),
        ));
    }
    let mut problems = stored.complete_with(charter).err().unwrap_or_default();
    let references = references::check_references(kernel, stored.kind, charter, &mut problems).await?;
    problems.extend(crate::matters::fulfilment::unchangeable(&stored.charter, charter));
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    let mut facts = facts_of_identity(kernel, matter, &stored, charter, &references, now).await?;
    if let Some(until) = charter.expires_at.filter(|until| stored.charter.expires_at.is_none_or(|end| *until > end)) {
        // A later end by another name is held to what a renewal is.
        let tier = stored.judged_tier(references.tier(stored.kind, charter));
        may_end_later(kernel, &mut facts, &stored, tier, until, now).await?;
    }
    let from = Box::pin(touches_of(kernel, &stored.charter, &stored.charter.scope, &facts)).await?;
    facts.context.touches.add(from);
    // What the votes are about is the way from the one charter to the other.
    facts.subject = Subject::default().with("from", &stored.charter)?.with("to", charter)?;
    facts.expects.push(load::expect(&stored));
    Ok(facts)
}

async fn facts_of_renewal(kernel: &Kernel, matter: &Matter, id: IdentityId, until: Timestamp, now: Timestamp) -> Result<Facts, OpError> {
    let stored = kernel.must::<Identity>("identity", id).await?;
    let end = stored.complete_charter().map_err(OpError::Invalid)?.expires_at;
    if until <= end {
        return Err(OpError::field("matter.until", "until_not_later", "name a later end than the identity has"));
    }
    let mut problems = Vec::new();
    let references = references::check_references(kernel, stored.kind, &stored.charter, &mut problems).await?;
    let mut facts = facts_of_identity(kernel, matter, &stored, &stored.charter, &references, now).await?;
    facts.interested.clear();
    facts.serves(Box::pin(served_by(kernel, &stored, &stored.charter, now)).await?);
    may_end_later(kernel, &mut facts, &stored, stored.tier, until, now).await?;
    // The charter is what it was when it was asked; the rest of the row may change with use.
    facts.subject = Subject::default().with("charter", &stored.charter)?;
    facts.expects.push(load::expect(&stored));
    Ok(facts)
}

/// What a later end of an identity takes, be it asked for as a renewal or along with a wider charter: that it is active, no more than
/// its ceiling, and a need that is verified.
async fn may_end_later(kernel: &Kernel, facts: &mut Facts, stored: &Identity, tier: RiskTier, until: Timestamp, now: Timestamp) -> Result<(), OpError> {
    if stored.state != IdentityState::Active {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("an identity that is {} is not renewed", stored.state.as_str()),
        ));
    }
    let ceiling = Identity { tier, ..stored.clone() }.ceilings().max_duration;
    facts.context.duration = until.since(now);
    if facts.context.duration > ceiling {
        return Err(OpError::because(
            Reason::OverCeiling,
            format!("an identity of tier {} is renewed for at most {ceiling}", tier.as_str()),
        ));
    }
    let problems = references::end_problems(kernel, stored, until, now).await?;
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    facts.context.need_verified = renewals::renewal_problems(kernel, stored, crate::identities::renewals::USED_WITHIN, now)
        .await?
        .is_empty();
    Ok(())
}

async fn facts_of_roles(kernel: &Kernel, matter: &Matter, person: PersonId, roles: &[Role]) -> Result<Facts, OpError> {
    let stored = kernel.must::<Person>("person", person).await?;
    if roles.len() > 8 {
        return Err(OpError::field("matter.roles", "too_many", "name each role once"));
    }
    let mut facts = Facts::about(matter, Subject::default().with("from", &stored.roles)?);
    facts.interested = vec![person];
    facts.expects = vec![load::expect(&stored)];
    facts.subjects = vec![person.to_string()];
    Ok(facts)
}

async fn facts_of_template(kernel: &Kernel, matter: &Matter, template: &Template) -> Result<Facts, OpError> {
    let problems = crate::inventory::templates::check(template);
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    let stored = kernel.one::<Template>(&template.name).await?;
    let replaced = stored.as_ref().map(|stored| stored.version);
    let mut facts = Facts::about(matter, Subject::default().with("replaces", &replaced)?);
    facts.context.kind = template.kind.as_str();
    facts.expects = vec![match &stored {
        Some(stored) => load::expect(stored),
        None => Expect::Absent(template.key()),
    }];
    facts.subjects = vec![template.name.clone()];
    Ok(facts)
}

/// That the task which access is asked for is one of the charter's, and takes it (R54).
fn check_task(matter: &Matter, charter: &CharterDraft, entitlement: &Entitlement, resource: ResourceId) -> Result<(), OpError> {
    let Matter::Access { task: Some(name), .. } = matter else { return Ok(()) };
    let task = charter.tasks.iter().find(|task| task.name == *name);
    let task = task.ok_or_else(|| OpError::because(Reason::OutsideIntent, "the charter declares no task of this name"))?;
    match entitlement.actions.iter().find(|action| !task.covers(action, resource)) {
        Some(action) => Err(OpError::because(
            Reason::OutsideIntent,
            format!("the task {name} doesn't take {action} on {resource}"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::changeset::Changeset;
    use tenure_core::delegation::Delegate;
    use tenure_core::event::ControlPoint;
    use tenure_core::identity::Struck;
    use tenure_core::person::Role;

    use super::*;
    use crate::kernel::work::system;
    use crate::log::seal::tests::world;
    use crate::matters::exceptions::tests::active;

    #[tokio::test]
    async fn s8_nobody_approves_that_authority_is_handed_to_what_they_answer_for() {
        let world = world().await;
        let (engine, now) = (&world.engine, world.engine.now());
        let own = world.admin.person_id().unwrap();
        let other = world.person(Role::Security).await.person_id().unwrap();
        let mut changeset = Changeset::new(system(), now, engine.event(now, "test.made", ControlPoint::Change));
        changeset.insert(&active(1, CharterDraft::default(), own, now));
        changeset.insert(&active(2, CharterDraft::default(), other, now));
        engine.settle(changeset).await.unwrap().unwrap();
        let delegate = |actor| Delegate {
            actor: IdentityId::from_u128(actor),
            scope: Vec::new(),
            onward: 0,
        };
        let charter = CharterDraft {
            owner: Some(own),
            delegates: vec![delegate(1), delegate(2), delegate(3)],
            ..CharterDraft::default()
        };
        let mut identity = active(4, charter.clone(), own, now);
        let served = async |identity: &Identity, at| served_by(engine, identity, &identity.charter, at).await.unwrap().people;
        assert_eq!(served(&identity, now).await, [other]);
        // Also for a while after they were struck, however often, and until they are named again.
        let without = CharterDraft {
            delegates: vec![delegate(1)],
            ..charter.clone()
        };
        identity.recharter(without.clone(), now);
        let later = now.plus(Span::from_days(89));
        identity.recharter(without, later);
        assert_eq!(served(&identity, later).await, [other]);
        assert_eq!(served(&identity, now.plus(Struck::COUNTS)).await, []);
        identity.recharter(charter, later);
        assert_eq!(identity.struck, []);
    }
}
