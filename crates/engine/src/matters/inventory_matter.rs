//! A change of the inventory as what is asked for: its facts, and its fulfilment.

use crate::identities::identity_facts;
use crate::inventory::entitlements;
use crate::inventory::ownership;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::load::expect;
use crate::matters::contracts;
use crate::matters::inventory_changes;
use crate::matters::packages;
use crate::matters::tiers::Cause;
use crate::requests::content::Subject;
use crate::requests::facts::Facts;
use tenure_core::changeset::Changeset;
use tenure_core::environment::Environment;
use tenure_core::event::Event;
use tenure_core::id::VendorId;
use tenure_core::identity::Entitlement;
use tenure_core::person::Person;
use tenure_core::person_grant::Package;
use tenure_core::problem::Reason;
use tenure_core::request::InventoryChange;
use tenure_core::request::Matter;
use tenure_core::request::Request;
use tenure_core::resource::Resource;
use tenure_core::row::Record;
use tenure_core::row::Stored;
use tenure_core::third_party::DataDomain;
use tenure_core::third_party::Vendor;
use tenure_core::time::Timestamp;

/// What is known about a change that is asked for.
pub(crate) async fn facts_of_inventory(kernel: &Kernel, matter: &Matter, revision: u64, change: &InventoryChange) -> Result<Facts, OpError> {
    let mut facts = Facts::about(matter, Subject::default());
    facts.subjects = vec![change.id()];
    match change {
        InventoryChange::DataDomain { name, .. } => {
            let stored = kernel.must::<DataDomain>("data domain", name).await?;
            rests_on(&mut facts, &stored, revision)?;
            facts.subject = Subject::default().with("from", &*stored.value)?;
            facts.context.touches.data_domains.insert(name.clone());
        }
        InventoryChange::Resource { id, actions, data_domains, .. } => {
            let stored = kernel.must::<Resource>("resource", id).await?;
            rests_on(&mut facts, &stored, revision)?;
            let problems = inventory_changes::wrong_with(kernel, &inventory_changes::resource_as(&stored, change)).await?;
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            facts.subject = Subject::default().with("from", &*stored.value)?;
            facts.environment = stored.environment.clone();
            let environment = kernel.one::<Environment>(&stored.environment).await?;
            facts.context.production = environment.is_none_or(|environment| environment.production);
            let whole = Entitlement {
                actions: actions.clone(),
                resource: id.to_string(),
            };
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
            let domain = DataDomain {
                sensitivity: *sensitivity,
                ..(*stored.value).clone()
            };
            changeset.event(approved(inventory_changes::classified(kernel, &stored, &domain, now)));
            changeset.replace(&stored, &domain);
            Cause::DataDomain(name).follow(changeset, now);
        }
        InventoryChange::Resource { id, .. } => {
            let stored = kernel.must::<Resource>("resource", id).await?;
            let resource = inventory_changes::resource_as(&stored, change);
            changeset.event(approved(inventory_changes::updated(
                kernel,
                "resource.updated",
                &*stored.value,
                &resource,
                now,
            )?));
            inventory_changes::replace_resource(changeset, &stored, &resource, now);
        }
        InventoryChange::Environment {
            name,
            production,
            signing_algorithm,
        } => {
            let stored = kernel.must::<Environment>("environment", name).await?;
            let (environment, key) = inventory_changes::environment_as(kernel, &stored, *production, *signing_algorithm, now)?;
            changeset.event(approved(inventory_changes::environment_updated(
                kernel,
                &stored,
                &environment,
                key.as_ref(),
                now,
            )?));
            inventory_changes::replace_environment(changeset, &stored, &environment, key.as_ref(), now);
        }
        InventoryChange::Vendor { id, .. } => fulfil_contract(kernel, changeset, *id, change, approved, now).await?,
        InventoryChange::Package { name, .. } => fulfil_package(kernel, changeset, name, change, approved, now).await?,
    }
    Ok(())
}

/// That the record still is what was read, now and at the commit.
pub(crate) fn rests_on<T: Record>(facts: &mut Facts, stored: &Stored<T>, revision: u64) -> Result<(), OpError> {
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
pub(crate) async fn facts_of_contract(kernel: &Kernel, facts: &mut Facts, id: VendorId, revision: u64, change: &InventoryChange) -> Result<(), OpError> {
    let stored = kernel.must::<Vendor>("vendor", id).await?;
    rests_on(facts, &stored, revision)?;
    let vendor = contracts::vendor_as(&stored, change);
    let mut problems = contracts::wrong_with_vendor(kernel, &stored, &vendor, kernel.now()).await?;
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
    let vendor = contracts::vendor_as(&stored, change);
    let event = inventory_changes::updated(kernel, "vendor.updated", &*stored.value, &vendor, now)?.subject(vendor.owner);
    changeset.event(approved(event));
    let owner = match vendor.owner == stored.owner {
        true => None,
        false => Some(kernel.must::<Person>("person", vendor.owner).await?),
    };
    contracts::replace_vendor(kernel, changeset, &stored, &vendor, owner.as_ref(), now).await
}

/// What is known about a package that is to give more.
pub(crate) async fn facts_of_package(kernel: &Kernel, facts: &mut Facts, name: &str, revision: u64, change: &InventoryChange) -> Result<(), OpError> {
    let stored = kernel.must::<Package>("package", name).await?;
    rests_on(facts, &stored, revision)?;
    let package = packages::package_as(&stored, change);
    let resources = packages::good_package(kernel, &package).await?;
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
    let package = packages::package_as(&stored, change);
    changeset.event(approved(packages::written(kernel, &package, now)));
    changeset.replace(&stored, &package);
    Ok(())
}
