//! What is known about what is asked: read anew when it is asked, at each vote and at its fulfilment.

use tenure_core::base::id::{IdentityId, PersonId, ResourceId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::gate;
use tenure_core::identity::template::Template;
use tenure_core::identity::{BadTransition, CharterDraft, Identity, IdentityState, RiskTier, Step};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::{Person, Role};
use tenure_core::request::{Asker, Class, Matter};
use tenure_core::store::changeset::Expect;
use tenure_core::store::row::Record;

use crate::access::person_access;
use crate::identities::{identity_facts, renewals};
use crate::inventory::{references, removal_groups};
use crate::kernel::administrators;
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, load};
use crate::matters::exceptions::matter;
use crate::matters::inventory_matter;
use crate::matters::policies::proposal;
use crate::requests::content::Subject;
use crate::requests::facts::{MatterFacts, distinct};

/// What is known about what is asked.
///
/// # Errors
/// It names what isn't there, or can't be asked for as things stand.
pub(crate) async fn facts(
    kernel: &Kernel,
    asker: Asker,
    matter: &Matter,
    now: Timestamp,
) -> Result<MatterFacts, OpError> {
    let mut facts = match matter {
        Matter::Activation { identity } => facts_of_activation(kernel, matter, *identity, now).await?,
        Matter::Access { identity, entitlement, starts_at, duration, .. } => {
            facts_of_access(kernel, matter, *identity, entitlement, *starts_at, *duration, now).await?
        }
        Matter::Charter { identity, charter } => facts_of_charter(kernel, matter, *identity, charter, now).await?,
        Matter::Renewal { identity, until } => facts_of_renewal(kernel, matter, *identity, *until, now).await?,
        Matter::PersonAccess { .. } => person_access::facts_of_person_access(kernel, matter, now).await?,
        Matter::Exception { exception } => matter::facts_of_exception(kernel, matter, *exception, now).await?,
        Matter::Roles { person, roles } => facts_of_roles(kernel, matter, *person, roles).await?,
        Matter::Policy { policy } => proposal::facts_of_policy(kernel, matter, *policy).await?,
        Matter::Template { template } => facts_of_template(kernel, matter, template).await?,
        Matter::Inventory { revision, change } => {
            inventory_matter::facts_of_inventory(kernel, matter, *revision, change).await?
        }
    };
    facts.interested.extend(accountable(kernel, asker).await?);
    facts.interested = distinct(facts.interested);
    facts.interested_teams.sort_unstable();
    facts.interested_teams.dedup();
    if facts.class == Class::Administration {
        facts.context.single_person = administrators::is_alone(kernel).await?;
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

async fn facts_of_activation(
    kernel: &Kernel,
    matter: &Matter,
    id: IdentityId,
    now: Timestamp,
) -> Result<MatterFacts, OpError> {
    let stored = kernel.must::<Identity>("identity", id).await?;
    if stored.state != IdentityState::Pending {
        return Err(BadTransition { from: stored.state, step: Step::Activate }.into());
    }
    let mut problems = stored.complete_charter().err().unwrap_or_default();
    let references = references::check_references(kernel, stored.kind, &stored.charter, &mut problems).await?;
    Box::pin(removal_groups::needs_removal_group(kernel, &stored.charter, &mut problems)).await?;
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    let mut facts =
        identity_facts::facts_of_identity(kernel, matter, &stored, &stored.charter, &references, now).await?;
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
) -> Result<MatterFacts, OpError> {
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
    // Whoever asks may not know the resource: whether there is one is said of no other than the charter names.
    let resource = kernel.one::<Resource>(&entitlement.resource).await?;
    let holds = |action: &&String| {
        let resource = resource.as_ref().filter(|resource| standing.charter().covers(action, resource.id));
        resource.is_some_and(|resource| resource.actions.contains(*action))
    };
    let outside = entitlement.actions.iter().find(|action| !holds(action));
    let (None, Some(resource)) = (outside, &resource) else {
        let action = outside.map_or("this", String::as_str);
        return Err(OpError::because(
            Reason::OutsideScope,
            format!("the charter doesn't contain {action} on that resource"),
        ));
    };
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
    let mut facts =
        identity_facts::facts_of_identity(kernel, matter, &known.identity, charter, &references, now).await?;
    // Who asked for the identity did not ask for this.
    facts.interested.clear();
    facts.serves(Box::pin(identity_facts::served_by(kernel, &known.identity, charter, now)).await?);
    facts.subject = Subject::default().with("charter", charter)?;
    facts.context.duration = duration;
    facts.context.touches =
        Box::pin(identity_facts::touches_of(kernel, charter, std::slice::from_ref(entitlement), &facts)).await?;
    facts.context.touches.data_domains = resource.data_domains.iter().cloned().collect();
    facts.starts_at = starts_at;
    facts.expects.push(load::expect(&known.identity));
    facts.subjects.push(resource.id.to_string());
    Ok(facts)
}

async fn facts_of_charter(
    kernel: &Kernel,
    matter: &Matter,
    id: IdentityId,
    charter: &CharterDraft,
    now: Timestamp,
) -> Result<MatterFacts, OpError> {
    let stored = kernel.must::<Identity>("identity", id).await?;
    if !matches!(stored.state, IdentityState::Active | IdentityState::Suspended) {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("an identity that is {} has no charter to widen", stored.state.as_str()),
        ));
    }
    let mut problems = stored.complete_with(charter).err().unwrap_or_default();
    let references = references::check_references(kernel, stored.kind, charter, &mut problems).await?;
    problems.extend(crate::identities::charter::unchangeable(&stored.charter, charter));
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    let mut facts = identity_facts::facts_of_identity(kernel, matter, &stored, charter, &references, now).await?;
    if let Some(until) = charter.expires_at.filter(|until| stored.charter.expires_at.is_none_or(|end| *until > end)) {
        // A later end by another name is held to what a renewal is.
        let tier = stored.judged_tier(references.tier(stored.kind, charter));
        may_end_later(kernel, &mut facts, &stored, tier, until, now).await?;
    }
    let from = Box::pin(identity_facts::touches_of(kernel, &stored.charter, &stored.charter.scope, &facts)).await?;
    facts.context.touches.add(from);
    // What the votes are about is the way from the one charter to the other.
    facts.subject = Subject::default().with("from", &stored.charter)?.with("to", charter)?;
    facts.expects.push(load::expect(&stored));
    Ok(facts)
}

async fn facts_of_renewal(
    kernel: &Kernel,
    matter: &Matter,
    id: IdentityId,
    until: Timestamp,
    now: Timestamp,
) -> Result<MatterFacts, OpError> {
    let stored = kernel.must::<Identity>("identity", id).await?;
    let end = stored.complete_charter().map_err(OpError::Invalid)?.expires_at;
    if until <= end {
        return Err(OpError::field("matter.until", "until_not_later", "name a later end than the identity has"));
    }
    let mut problems = Vec::new();
    let references = references::check_references(kernel, stored.kind, &stored.charter, &mut problems).await?;
    let mut facts =
        identity_facts::facts_of_identity(kernel, matter, &stored, &stored.charter, &references, now).await?;
    facts.interested.clear();
    facts.serves(Box::pin(identity_facts::served_by(kernel, &stored, &stored.charter, now)).await?);
    may_end_later(kernel, &mut facts, &stored, stored.tier, until, now).await?;
    // The charter is what it was when it was asked; the rest of the row may change with use.
    facts.subject = Subject::default().with("charter", &stored.charter)?;
    facts.expects.push(load::expect(&stored));
    Ok(facts)
}

/// What a later end of an identity takes, be it asked for as a renewal or along with a wider charter: that it is
/// active, no more than its ceiling, and a need that is verified.
async fn may_end_later(
    kernel: &Kernel,
    facts: &mut MatterFacts,
    stored: &Identity,
    tier: RiskTier,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), OpError> {
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
    facts.context.need_verified =
        renewals::renewal_problems(kernel, stored, crate::identities::renewals::USED_WITHIN, now).await?.is_empty();
    Ok(())
}

async fn facts_of_roles(
    kernel: &Kernel,
    matter: &Matter,
    person: PersonId,
    roles: &[Role],
) -> Result<MatterFacts, OpError> {
    let stored = kernel.must::<Person>("person", person).await?;
    if roles.len() > 8 {
        return Err(OpError::field("matter.roles", "too_many", "name each role once"));
    }
    let mut facts = MatterFacts::about(matter, Subject::default().with("from", &stored.roles)?);
    facts.interested = vec![person];
    facts.expects = vec![load::expect(&stored)];
    facts.subjects = vec![person.to_string()];
    Ok(facts)
}

async fn facts_of_template(kernel: &Kernel, matter: &Matter, template: &Template) -> Result<MatterFacts, OpError> {
    let problems = crate::inventory::templates::check(template);
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    let stored = kernel.one::<Template>(&template.name).await?;
    let replaced = stored.as_ref().map(|stored| stored.version);
    let mut facts = MatterFacts::about(matter, Subject::default().with("replaces", &replaced)?);
    facts.context.kind = template.kind.as_str();
    facts.expects = vec![match &stored {
        Some(stored) => load::expect(stored),
        None => Expect::Absent(template.key()),
    }];
    facts.subjects = vec![template.name.clone()];
    Ok(facts)
}

/// That the task which access is asked for is one of the charter's, and takes it (R54).
fn check_task(
    matter: &Matter,
    charter: &CharterDraft,
    entitlement: &Entitlement,
    resource: ResourceId,
) -> Result<(), OpError> {
    let Matter::Access { task: Some(name), .. } = matter else {
        return Ok(());
    };
    let task = charter.tasks.iter().find(|task| task.name == *name);
    let task =
        task.ok_or_else(|| OpError::because(Reason::OutsideIntent, "the charter declares no task of this name"))?;
    match entitlement.actions.iter().find(|action| !task.covers(action, resource)) {
        Some(action) => {
            Err(OpError::because(Reason::OutsideIntent, format!("the task {name} doesn't take {action} on {resource}")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::identity::Struck;
    use tenure_core::identity::delegation::Delegate;
    use tenure_core::people::person::Role;
    use tenure_core::store::changeset::Changeset;
    use tenure_core::store::event_kind::EventKind;

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
        let mut changeset = Changeset::new(system(), now, engine.event(now, EventKind::PersonChanged));
        changeset.insert(&active(1, CharterDraft::default(), own, now));
        changeset.insert(&active(2, CharterDraft::default(), other, now));
        engine.settle(changeset).await.unwrap().unwrap();
        let delegate = |actor| Delegate { actor: IdentityId::from_u128(actor), scope: Vec::new(), onward: 0 };
        let charter = CharterDraft {
            owner: Some(own),
            delegates: vec![delegate(1), delegate(2), delegate(3)],
            ..CharterDraft::default()
        };
        let mut identity = active(4, charter.clone(), own, now);
        let served = async |identity: &Identity, at| {
            identity_facts::served_by(engine, identity, &identity.charter, at).await.unwrap().people
        };
        assert_eq!(served(&identity, now).await, [other]);
        // Also for a while after they were struck, however often, and until they are named again.
        let without = CharterDraft { delegates: vec![delegate(1)], ..charter.clone() };
        identity.recharter(without.clone(), now);
        let later = now.plus(Span::from_days(89));
        identity.recharter(without, later);
        assert_eq!(served(&identity, later).await, [other]);
        assert_eq!(served(&identity, now.plus(Struck::COUNTS)).await, []);
        identity.recharter(charter, later);
        assert_eq!(identity.struck, []);
    }
}
