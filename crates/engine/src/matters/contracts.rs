//! What a vendor's contract allows, and that its identities keep to it (R12, R35).
//!
//! A later end or a data domain more is asked for, and another administrator approves it, as all of the inventory that lets somebody do more. An earlier end
//! or a data domain less is in force at once: a walk over the vendor's identities narrows their charters, and suspends what can't be narrowed to it.

use tenure_api::ownership::{Edited, VendorEdit};
use tenure_api::views::Resource as View;
use tenure_core::changeset::Changeset;
use tenure_core::event::ControlPoint;
use tenure_core::id::{IdentityId, VendorId};
use tenure_core::identity::{CharterDraft, Identity, IdentityState};
use tenure_core::person::Person;
use tenure_core::policy::Action;
use tenure_core::problem::{FieldProblem, Reason};
use tenure_core::request::InventoryChange;
use tenure_core::row::{Record, Stored};
use tenure_core::third_party::{Standing, Vendor};
use tenure_core::time::Timestamp;

use crate::identities::charter;
use crate::identities::dormancy;
use crate::identities::dormancy::Ended;
use crate::inventory::ownership;
use crate::inventory::ownership::nothing_to_change;
use crate::inventory::third_party;
use crate::inventory::third_party::contact_problem;
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::if_match::IfMatch;
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::kernel::work::system;
use crate::matters::inventory_changes;
use crate::matters::inventory_changes::Made;
use crate::matters::tiers::{ATTEMPTS, Cause};

/// Changes a vendor: who answers for it here, whom to reach there, and what its contract allows, less at once and more by a request.
///
/// # Errors
/// It has ended, `if_match` is missing or doesn't hold, a field is wrong, the caller is no administrator, or its contract is to allow more and no request
/// can be opened about that.
pub async fn update_vendor(kernel: &Kernel, caller: &Caller, id: VendorId, if_match: IfMatch, ask: VendorEdit) -> Result<Edited<View<Vendor>>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "vendor.update", id), async {
            kernel.allow(caller, Action::Administer, inventory("vendor", id, ""), administration(false, false))?;
            let (made, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Vendor>("vendor", id).await?;
                    if_match.demand(Some(stored.revision))?;
                    let vendor = Vendor {
                        owner: ask.owner.unwrap_or(stored.owner),
                        contact: ask.contact.clone().unwrap_or_else(|| stored.contact.clone()),
                        data_domains: ask.data_domains.clone().unwrap_or_else(|| stored.data_domains.clone()),
                        ends_at: ask.ends_at.unwrap_or(stored.ends_at),
                        ..(*stored.value).clone()
                    };
                    let mut problems = nothing_to_change("owner", ask.is_empty());
                    problems.extend(wrong_with_vendor(kernel, &stored, &vendor, now).await?);
                    let owner = match ask.owner {
                        Some(owner) => ownership::who_answers(kernel, owner, &mut problems).await?,
                        None => None,
                    };
                    if !problems.is_empty() {
                        return Err(OpError::Invalid(problems));
                    }
                    if allows_more(&stored, &vendor) {
                        return inventory_changes::asked_for(kernel, caller, stored.revision, change_of(&vendor), ask.purpose.as_deref(), now).await;
                    }
                    let event = inventory_changes::updated(kernel, "vendor.updated", &*stored.value, &vendor, now)?.subject(vendor.owner);
                    let mut changeset = Changeset::new(caller.actor(), now, event);
                    replace_vendor(kernel, &mut changeset, &stored, &vendor, owner.as_ref(), now).await?;
                    Ok((changeset, Made::Record(vendor, stored.revision + 1)))
                })
                .await?;
            inventory_changes::edited(kernel, made, &committed).await
        })
        .await
}

pub(crate) async fn wrong_with_vendor(kernel: &Kernel, stored: &Vendor, vendor: &Vendor, now: Timestamp) -> Result<Vec<FieldProblem>, OpError> {
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

/// Has an identity keep to its vendor's contract as it is now; true if it didn't.
pub(crate) async fn keep_to_contract(kernel: &Kernel, id: IdentityId) -> Result<bool, OpError> {
    for _ in 0..ATTEMPTS {
        let now = kernel.now();
        // What isn't active yet is held against the contract when it is to be.
        let works = |identity: &Stored<Identity>| matches!(identity.state, IdentityState::Active | IdentityState::Suspended);
        let Some(stored) = kernel.one::<Identity>(id).await?.filter(works) else {
            return Ok(false);
        };
        let Some(vendor) = stored.charter.vendor else { return Ok(false) };
        let vendor = kernel.must::<Vendor>("vendor", vendor).await?;
        let charter = third_party::within_contract(&stored.charter, &vendor);
        if charter == stored.charter {
            return Ok(false);
        }
        let changeset = match narrowed_to(kernel, &stored, charter, &vendor, now).await {
            Err(OpError::Invalid(_)) => match suspended_outside(kernel, &stored, &vendor, now).await? {
                Some(changeset) => changeset,
                None => return Ok(false),
            },
            narrowed => narrowed?,
        };
        if kernel.settle(changeset).await?.is_some() {
            return Ok(true);
        }
    }
    Err(OpError::Unavailable(format!("{id} changes too fast for its vendor's contract to be applied")))
}

async fn narrowed_to(kernel: &Kernel, stored: &Stored<Identity>, charter: CharterDraft, vendor: &Stored<Vendor>, now: Timestamp) -> Result<Changeset, OpError> {
    let event = kernel
        .event(now, "identity.narrowed", ControlPoint::Change)
        .subject(stored.id)
        .fact("workflow", "non_human.charter")
        .fact("vendor", vendor.id)
        .fact("ends_at", charter.expires_at)
        .fact("data_domains", &charter.data_domains);
    let owner: Vec<_> = stored.charter.owner.into_iter().collect();
    let text = format!(
        "The contract with the vendor {} allows less than the charter of {} did: the charter was narrowed to it.\nLook: tenure identity show {}",
        vendor.name, stored.id, stored.id
    );
    let mut changeset = Changeset::new(
        system(),
        now,
        notify(event, &owner, &[], "A charter was narrowed to a vendor's contract", &text),
    );
    changeset.expect(vendor);
    charter::rechartered(kernel, &mut changeset, stored, charter, None, now).await?;
    Ok(changeset)
}

/// What can't be within the contract, such as an identity none of whose data domains is left, stops.
async fn suspended_outside(kernel: &Kernel, stored: &Stored<Identity>, vendor: &Stored<Vendor>, now: Timestamp) -> Result<Option<Changeset>, OpError> {
    let event = kernel
        .event(now, "identity.outside_contract", ControlPoint::Suspend)
        .subject(stored.id)
        .fact("vendor", vendor.id);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.expect(vendor);
    let ended = Ended::contract(vendor.id);
    let by = dormancy::need_ended(kernel, stored, &ended, &[]).await?;
    dormancy::suspend_by_rule(kernel, &mut changeset, stored, by, now).await?;
    Ok((!changeset.puts.is_empty()).then_some(changeset))
}

fn change_of(vendor: &Vendor) -> InventoryChange {
    InventoryChange::Vendor {
        id: vendor.id,
        owner: vendor.owner,
        contact: vendor.contact.clone(),
        data_domains: vendor.data_domains.clone(),
        ends_at: vendor.ends_at,
    }
}

/// The vendor as a change of it says.
pub(crate) fn vendor_as(stored: &Vendor, change: &InventoryChange) -> Vendor {
    let mut vendor = stored.clone();
    if let InventoryChange::Vendor {
        owner,
        contact,
        data_domains,
        ends_at,
        ..
    } = change
    {
        vendor.owner = *owner;
        vendor.contact.clone_from(contact);
        vendor.data_domains.clone_from(data_domains);
        vendor.ends_at = *ends_at;
    }
    vendor
}

/// Whether a contract allows something that another one doesn't.
fn allows_more(than: &Vendor, contract: &Vendor) -> bool {
    let later = match (than.ends_at, contract.ends_at) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(than), Some(end)) => end > than,
    };
    later || contract.data_domains.iter().any(|domain| !than.data_domains.contains(domain))
}
