//! A change of the inventory as what is asked for: its facts, and its fulfilment.

use tenure_core::base::id::VendorId;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::environment::{Environment, EnvironmentKey};
use tenure_core::inventory::resource::{MAX_LOGIN_ACTIONS, MAX_LOGIN_GRANT, MAX_LOGIN_GRANTS, Resource, TargetGrants};
use tenure_core::inventory::third_party::{DataDomain, Standing, Vendor};
use tenure_core::people::person::{Person, Role};
use tenure_core::people::person_grant::{Package, PackageStep};
use tenure_core::request::{InventoryChange, Matter, Request};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Record, Stored};
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::signing_key::{SigningAlgorithm, SigningKey};
use tenure_core::trust::state::TrustState;

use crate::identities::identity_facts;
use crate::inventory::directory::{self, resource_problems};
use crate::inventory::entitlements::{self, MAX_PARTS, SHORTEST};
use crate::inventory::ownership::{self, differences};
use crate::inventory::third_party::{self, contact_problem};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::keys::with_key;
use crate::kernel::load::expect;
use crate::kernel::notice::notify;
use crate::matters::tiers::Cause;
use crate::requests::content::Subject;
use crate::requests::facts::MatterFacts;

pub(crate) const MAX_STEPS: usize = 8;
pub(crate) const LONGEST: Span = Span::from_days(366);

/// What is known about a change that is asked for.
pub(crate) async fn facts_of_inventory(
    kernel: &Kernel,
    matter: &Matter,
    revision: u64,
    change: &InventoryChange,
) -> Result<MatterFacts, OpError> {
    let mut facts = MatterFacts::about(matter, Subject::default());
    facts.subjects = vec![change.id()];
    match change {
        InventoryChange::DataDomain { name, .. } => {
            let stored = kernel.must::<DataDomain>("data domain", name).await?;
            rests_on(&mut facts, &stored, revision)?;
            facts.subject = Subject::default().with("from", &*stored.value)?;
            // It is of no environment.
            facts.context.production = false;
            facts.context.touches.data_domains.insert(name.clone());
        }
        InventoryChange::Resource { id, actions, data_domains, .. } => {
            let stored = kernel.must::<Resource>("resource", id).await?;
            rests_on(&mut facts, &stored, revision)?;
            let problems = wrong_with(kernel, &resource_as(&stored, change)).await?;
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            facts.subject = Subject::default().with("from", &*stored.value)?;
            facts.environment = stored.environment.clone();
            let environment = kernel.one::<Environment>(&stored.environment).await?;
            facts.context.production = environment.is_none_or(|environment| environment.production);
            let whole = Entitlement { actions: actions.clone(), resource: id.to_string() };
            identity_facts::add_touched(kernel, &mut facts.context.touches, &[whole]).await?;
            facts.context.touches.data_domains.extend(data_domains.iter().cloned());
        }
        InventoryChange::Environment { name, .. } => {
            let stored = kernel.must::<Environment>("environment", name).await?;
            rests_on(&mut facts, &stored, revision)?;
            facts.subject = Subject::default().with("from", &*stored.value)?;
            facts.environment = name.clone();
            facts.context.production = stored.production;
        }
        InventoryChange::Vendor { id, .. } => facts_of_contract(kernel, &mut facts, *id, revision, change).await?,
        InventoryChange::Package { name, .. } => facts_of_package(kernel, &mut facts, name, revision, change).await?,
    }
    Ok(facts)
}

/// The change that was approved is made.
pub(crate) async fn fulfil_inventory(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &Request,
    change: &InventoryChange,
    now: Timestamp,
) -> Result<(), OpError> {
    let approved = |event: Event| {
        event
            .fact("request", request.id)
            .fact("approved_by", request.approvers())
            .fact("single_person", request.single_person)
    };
    match change {
        InventoryChange::DataDomain { name, sensitivity } => {
            let stored = kernel.must::<DataDomain>("data domain", name).await?;
            let domain = DataDomain { sensitivity: *sensitivity, ..(*stored.value).clone() };
            changeset.event(approved(classified(kernel, &stored, &domain, now)));
            changeset.replace(&stored, &domain);
            Cause::DataDomain(name).follow(changeset, now);
        }
        InventoryChange::Resource { id, .. } => {
            let stored = kernel.must::<Resource>("resource", id).await?;
            let resource = resource_as(&stored, change);
            changeset.event(approved(updated(kernel, EventKind::ResourceUpdated, &*stored.value, &resource, now)?));
            replace_resource(changeset, &stored, &resource, now);
        }
        InventoryChange::Environment { name, production, signing_algorithm } => {
            let stored = kernel.must::<Environment>("environment", name).await?;
            let (environment, key) = environment_as(kernel, &stored, *production, *signing_algorithm, now)?;
            changeset.event(approved(environment_updated(kernel, &stored, &environment, key.as_ref(), now)?));
            replace_environment(changeset, &stored, &environment, key.as_ref(), now);
        }
        InventoryChange::Vendor { id, .. } => fulfil_contract(kernel, changeset, *id, change, approved, now).await?,
        InventoryChange::Package { name, .. } => fulfil_package(kernel, changeset, name, change, approved, now).await?,
    }
    Ok(())
}

/// That the record still is what was read, now and at the commit.
pub(crate) fn rests_on<T: Record>(facts: &mut MatterFacts, stored: &Stored<T>, revision: u64) -> Result<(), OpError> {
    if stored.revision != revision {
        let detail = format!(
            "it was asked of revision {revision}, and the record is at {} now: read it, and ask again",
            stored.revision
        );
        return Err(OpError::because(Reason::RequestChanged, detail));
    }
    facts.expects.push(expect(stored));
    Ok(())
}

/// What is known about a contract that is to allow more.
pub(crate) async fn facts_of_contract(
    kernel: &Kernel,
    facts: &mut MatterFacts,
    id: VendorId,
    revision: u64,
    change: &InventoryChange,
) -> Result<(), OpError> {
    let stored = kernel.must::<Vendor>("vendor", id).await?;
    rests_on(facts, &stored, revision)?;
    let vendor = vendor_as(&stored, change);
    let mut problems = wrong_with_vendor(kernel, &stored, &vendor, kernel.now()).await?;
    let owner = match vendor.owner == stored.owner {
        true => None,
        false => ownership::who_answers(kernel, vendor.owner, &mut problems).await?,
    };
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    facts.expects.extend(owner.as_ref().map(expect));
    facts.subject = Subject::default().with("from", &*stored.value)?;
    facts.context.vendor = true;
    // It is of no environment.
    facts.context.production = false;
    facts.context.touches.data_domains.extend(vendor.data_domains);
    Ok(())
}

/// The contract that was approved is in force.
pub(crate) async fn fulfil_contract(
    kernel: &Kernel,
    changeset: &mut Changeset,
    id: VendorId,
    change: &InventoryChange,
    approved: impl Fn(Event) -> Event,
    now: Timestamp,
) -> Result<(), OpError> {
    let stored = kernel.must::<Vendor>("vendor", id).await?;
    let vendor = vendor_as(&stored, change);
    let event = updated(kernel, EventKind::VendorUpdated, &*stored.value, &vendor, now)?.subject(vendor.owner);
    changeset.event(approved(event));
    let owner = match vendor.owner == stored.owner {
        true => None,
        false => Some(kernel.must::<Person>("person", vendor.owner).await?),
    };
    replace_vendor(kernel, changeset, &stored, &vendor, owner.as_ref(), now).await
}

/// What is known about a package that is to give more.
pub(crate) async fn facts_of_package(
    kernel: &Kernel,
    facts: &mut MatterFacts,
    name: &str,
    revision: u64,
    change: &InventoryChange,
) -> Result<(), OpError> {
    let stored = kernel.must::<Package>("package", name).await?;
    rests_on(facts, &stored, revision)?;
    let package = package_as(&stored, change);
    let resources = good_package(kernel, &package).await?;
    facts.subject = Subject::default().with("from", &*stored.value)?;
    facts.context.production = entitlements::any_in_production(kernel, &resources).await?;
    let parts: Vec<Entitlement> = package.parts().map(|(_, part)| part.clone()).collect();
    identity_facts::add_touched(kernel, &mut facts.context.touches, &parts).await
}

/// The package that was approved is there.
pub(crate) async fn fulfil_package(
    kernel: &Kernel,
    changeset: &mut Changeset,
    name: &str,
    change: &InventoryChange,
    approved: impl Fn(Event) -> Event,
    now: Timestamp,
) -> Result<(), OpError> {
    let stored = kernel.must::<Package>("package", name).await?;
    let package = package_as(&stored, change);
    changeset.event(approved(written(kernel, &package, now)));
    changeset.replace(&stored, &package);
    Ok(())
}

/// What is wrong with what a resource is to be.
pub(crate) async fn wrong_with(kernel: &Kernel, resource: &Resource) -> Result<Vec<FieldProblem>, OpError> {
    let mut problems = resource_problems(&resource.actions, &resource.data_domains);
    if problems.is_empty() {
        problems = third_party::unknown_domains(kernel, "data_domains", &resource.data_domains).await?;
    }
    if let Some(logins) = &resource.logins {
        problems.extend(wrong_with_logins(kernel, resource, logins).await?);
    }
    Ok(problems)
}

/// What is wrong with what logins for a resource are to be at its target. Whether the grants are good is the target's to
/// say, when the first one is made.
async fn wrong_with_logins(
    kernel: &Kernel,
    resource: &Resource,
    logins: &TargetGrants,
) -> Result<Vec<FieldProblem>, OpError> {
    let mut problems = Vec::new();
    let mut wrong = |field: &str, code: &str, hint: &str| problems.push(FieldProblem::new(field, code, hint));
    let target = kernel.one::<TargetSystem>(logins.target).await?;
    match target.filter(|target| target.state != TrustState::Removed) {
        None => wrong("logins.target", "target_unknown", "name a registered target: tenure target list"),
        Some(target) if target.environment != resource.environment => {
            wrong("logins.target", "wrong_environment", "name a target in the environment of the resource")
        }
        Some(_) => {}
    }
    if logins.actions.len() > MAX_LOGIN_ACTIONS
        || !logins.actions.keys().all(|action| resource.actions.contains(action))
    {
        wrong("logins.actions", "action_unknown", "name actions that the resource knows: 64 at most");
    }
    let is_good = |grant: &String| (1..=MAX_LOGIN_GRANT).contains(&grant.len()) && !grant.chars().any(char::is_control);
    if !logins
        .actions
        .values()
        .all(|grants| (1..=MAX_LOGIN_GRANTS).contains(&grants.len()) && grants.iter().all(is_good))
    {
        let hint = "give each action 1 to 64 grants in the target's words, of 500 bytes at most";
        wrong("logins.actions", "target_grant_malformed", hint);
    }
    Ok(problems)
}

pub(crate) fn classified(kernel: &Kernel, stored: &DataDomain, domain: &DataDomain, now: Timestamp) -> Event {
    let event = kernel
        .event(now, EventKind::DataDomainClassified)
        .subject(&domain.name)
        .fact("from", stored.sensitivity)
        .fact("sensitivity", domain.sensitivity);
    if domain.sensitivity >= stored.sensitivity {
        return event;
    }
    // It lightens approvals: others have to hear of it.
    let text = format!(
        "The data domain {} counts as less sensitive from now on: approvals of what touches it may become lighter.",
        domain.name
    );
    notify(event, &[], &[Role::Security, Role::Administrator], "A data domain was classified lower", &text)
}

pub(crate) fn updated<T: Record>(
    kernel: &Kernel,
    kind: EventKind,
    stored: &T,
    record: &T,
    now: Timestamp,
) -> Result<Event, OpError> {
    let (before, after) = differences(stored, record)?;
    Ok(kernel.event(now, kind).subject(record.row_id()).fact("before", before).fact("after", after))
}

pub(crate) fn environment_updated(
    kernel: &Kernel,
    stored: &Environment,
    environment: &Environment,
    key: Option<&SigningKey>,
    now: Timestamp,
) -> Result<Event, OpError> {
    Ok(with_key(updated(kernel, EventKind::EnvironmentUpdated, stored, environment, now)?, key))
}

/// The environment as it is to be, and the first key of an algorithm that it has none of: published at once, to sign
/// after the overlap.
pub(crate) fn environment_as(
    kernel: &Kernel,
    stored: &Environment,
    production: bool,
    signing_algorithm: SigningAlgorithm,
    now: Timestamp,
) -> Result<(Environment, Option<SigningKey>), OpError> {
    let key = directory::missing_key(kernel, stored, Some(signing_algorithm), now)?;
    let mut environment = Environment { production, signing_algorithm, ..stored.clone() };
    let signs_from = now.plus(kernel.settings.key_overlap);
    environment.keys.extend(key.as_ref().map(|key| EnvironmentKey::new(key, signs_from)));
    Ok((environment, key))
}

/// The resource as a change of it says.
pub(crate) fn resource_as(stored: &Resource, change: &InventoryChange) -> Resource {
    let mut resource = stored.clone();
    if let InventoryChange::Resource { actions, data_domains, verification, when_unreachable, logins, .. } = change {
        resource.actions.clone_from(actions);
        resource.data_domains.clone_from(data_domains);
        resource.verification = *verification;
        resource.when_unreachable = *when_unreachable;
        resource.logins.clone_from(logins);
    }
    resource
}

pub(crate) fn replace_resource(
    changeset: &mut Changeset,
    stored: &Stored<Resource>,
    resource: &Resource,
    now: Timestamp,
) {
    changeset.replace(stored, resource);
    if stored.logins.is_some() && resource.logins != stored.logins {
        // The logins that rest on it are looked at, each at its target.
        changeset.due.push(DueChange::Set(DueKind::Enforcement, format!("resource/{}", resource.id), now));
    }
    if resource.data_domains != stored.data_domains {
        Cause::Resource(&resource.row_id()).follow(changeset, now);
    }
}

pub(crate) fn replace_environment(
    changeset: &mut Changeset,
    stored: &Stored<Environment>,
    environment: &Environment,
    key: Option<&SigningKey>,
    now: Timestamp,
) {
    changeset.replace(stored, environment);
    if let Some(key) = key {
        changeset.insert(key);
    }
    if environment.production != stored.production {
        Cause::Environment(&environment.name).follow(changeset, now);
    }
}

pub(crate) async fn wrong_with_vendor(
    kernel: &Kernel,
    stored: &Vendor,
    vendor: &Vendor,
    now: Timestamp,
) -> Result<Vec<FieldProblem>, OpError> {
    if stored.standing == Standing::Closed {
        return Err(OpError::because(
            Reason::IllegalTransition,
            "it is over for ever: nothing of it is changed any more",
        ));
    }
    let mut problems: Vec<FieldProblem> = contact_problem(&vendor.contact).into_iter().collect();
    let (domains, end) = (vendor.data_domains != stored.data_domains, vendor.ends_at != stored.ends_at);
    let of_contract = third_party::contract_problems(kernel, &vendor.data_domains, vendor.ends_at, now).await?;
    // What stands already is no mistake of whoever changes something else.
    problems.extend(
        of_contract
            .into_iter()
            .filter(|problem| (domains && problem.field == "data_domains") || (end && problem.field == "ends_at")),
    );
    Ok(problems)
}

pub(crate) async fn replace_vendor(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Vendor>,
    vendor: &Vendor,
    owner: Option<&Stored<Person>>,
    now: Timestamp,
) -> Result<(), OpError> {
    if let Some(owner) = owner {
        ownership::has_an_owner(kernel, changeset, &vendor.row_id(), owner, now).await?;
    }
    changeset.replace(stored, vendor);
    if allows_more(vendor, stored) {
        Cause::Vendor(&vendor.row_id()).follow(changeset, now);
    }
    Ok(())
}

/// The vendor as a change of it says.
pub(crate) fn vendor_as(stored: &Vendor, change: &InventoryChange) -> Vendor {
    let mut vendor = stored.clone();
    if let InventoryChange::Vendor { owner, contact, data_domains, ends_at, .. } = change {
        vendor.owner = *owner;
        vendor.contact.clone_from(contact);
        vendor.data_domains.clone_from(data_domains);
        vendor.ends_at = *ends_at;
    }
    vendor
}

pub(crate) fn written(kernel: &Kernel, package: &Package, now: Timestamp) -> Event {
    kernel.event(now, EventKind::PackageWritten).subject(&package.name).fact("package", package)
}

/// The resources of a package all of which is good.
pub(crate) async fn good_package(kernel: &Kernel, package: &Package) -> Result<Vec<Stored<Resource>>, OpError> {
    let mut problems = check_package(package);
    let mut resources =
        entitlements::check_entitlements(kernel, "entitlements", &package.entitlements, &mut problems).await?;
    for (n, step) in package.steps.iter().enumerate() {
        let field = format!("steps[{n}].entitlements");
        resources.extend(entitlements::check_entitlements(kernel, &field, &step.entitlements, &mut problems).await?);
    }
    if problems.is_empty() { Ok(resources) } else { Err(OpError::Invalid(problems)) }
}

/// The package as a change of it says.
pub(crate) fn package_as(stored: &Package, change: &InventoryChange) -> Package {
    let mut package = stored.clone();
    if let InventoryChange::Package { description, entitlements, steps, max_duration, .. } = change {
        package.description.clone_from(description);
        package.entitlements.clone_from(entitlements);
        package.steps.clone_from(steps);
        package.max_duration = *max_duration;
    }
    package
}

/// Whether a contract allows something that another one doesn't.
pub(crate) fn allows_more(than: &Vendor, contract: &Vendor) -> bool {
    let later = match (than.ends_at, contract.ends_at) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(than), Some(end)) => end > than,
    };
    later || contract.data_domains.iter().any(|domain| !than.data_domains.contains(domain))
}

pub(crate) fn check_package(ask: &Package) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let mut wrong = |field: &str, code: &str, hint: &str| problems.push(FieldProblem::new(field, code, hint));
    if ask.description.trim().is_empty() || ask.description.len() > 500 {
        wrong("description", "description_missing", "say what it is for, in at most 500 bytes");
    }
    let parts = ask.parts().count();
    if parts == 0 || parts > MAX_PARTS {
        wrong("entitlements", "entitlements_missing", "give 1 to 32 entitlements, those of the steps included");
    }
    if ask.max_duration < SHORTEST || ask.max_duration > LONGEST {
        wrong("max_duration", "duration_out_of_range", "use 1m to 366d");
    }
    let ascending = ask.steps.windows(2).all(|pair| matches!(pair, [first, second] if first.after < second.after));
    let inside = |step: &PackageStep| {
        step.after > Span::default() && step.after < ask.max_duration && !step.entitlements.is_empty()
    };
    if ask.steps.len() > MAX_STEPS || !ascending || !ask.steps.iter().all(inside) {
        wrong(
            "steps",
            "steps_malformed",
            "give at most 8 steps, each later than the one before and inside max_duration, each with entitlements",
        );
    }
    problems
}
