//! What is known about an identity when something is asked for it (S-8, R40).

use tenure_core::base::id::{IdentityId, PersonId, ResourceId, TeamId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::gate;
use tenure_core::identity::{CharterDraft, Identity};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::entitlement::{Entitlement, WILDCARD};
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::Person;
use tenure_core::people::team::Team;
use tenure_core::request::Matter;

use crate::inventory::references::References;
use crate::inventory::templates;
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, exceptional};
use crate::requests::content::Subject;
use crate::requests::eligible;
use crate::requests::facts::{AskContext, MatterFacts, Served, Touches};

/// What is known about an identity and a charter for it, be it its own.
pub(crate) async fn facts_of_identity(
    kernel: &Kernel,
    matter: &Matter,
    identity: &Identity,
    charter: &CharterDraft,
    references: &References,
    now: Timestamp,
) -> Result<MatterFacts, OpError> {
    let subject =
        Subject::default().with("name", &identity.name)?.with("kind", &identity.kind)?.with("charter", charter)?;
    let mut facts = MatterFacts::about(matter, subject);
    let by_rule = references.tier(identity.kind, charter);
    Box::pin(templates::within_template(kernel, identity, charter, by_rule, now)).await?;
    let tier = identity.judged_tier(by_rule);
    facts.owner = identity.charter.owner.or(charter.owner);
    facts.manager = references.owner_manager;
    facts.tier = Some(tier);
    facts.tier_because = references.tier_because(identity.kind, charter);
    if tier > by_rule {
        facts.tier_because.push("it had that tier before, and nobody sheds approvers by leaving it first");
    }
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
pub(crate) async fn served_by(
    kernel: &Kernel,
    identity: &Identity,
    charter: &CharterDraft,
    now: Timestamp,
) -> Result<Served, OpError> {
    let mut served = Served { people: Vec::new(), teams: Vec::new() };
    let runs_or_gains = |party: &str| charter.parties.as_ref().is_some_and(|parties| parties.named().contains(&party));
    for party in identity.serves(charter, now) {
        let as_id = party.to_ascii_lowercase();
        if let Ok(person) = as_id.parse::<PersonId>() {
            served.people.push(person);
        } else if let Ok(other) = as_id.parse::<IdentityId>() {
            let owner = kernel.one::<Identity>(other).await?.and_then(|other| other.charter.owner);
            // What its own owner gets by a delegate of theirs, they have.
            served.people.extend(owner.filter(|owner| runs_or_gains(&party) || charter.owner != Some(*owner)));
        } else {
            served.teams.extend(eligible::teams_of_party(kernel, &party).await?);
        }
    }
    Ok(served)
}

/// What a charter, or a part of its scope, touches.
pub(crate) async fn touches_of(
    kernel: &Kernel,
    charter: &CharterDraft,
    scope: &[Entitlement],
    facts: &MatterFacts,
) -> Result<Touches, OpError> {
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
        let Some(resource) = kernel.one::<Resource>(id).await? else {
            continue;
        };
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
