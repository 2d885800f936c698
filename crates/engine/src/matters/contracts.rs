//! What a vendor's contract allows, and that its identities keep to it (R12, R35).
//!
//! A later end or a data domain more is asked for, and another administrator approves it, as all of the inventory that
//! lets somebody do more. An earlier end or a data domain less is in force at once: a walk over the vendor's identities
//! narrows their charters, and suspends what can't be narrowed to it.

use tenure_api::ownership::{Edited, VendorEdit};
use tenure_api::views::Revised;
use tenure_core::base::id::VendorId;
use tenure_core::inventory::third_party::Vendor;
use tenure_core::policy::Action;
use tenure_core::request::InventoryChange;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::inventory::ownership::{self, nothing_to_change};
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::if_match::IfMatch;
use crate::kernel::operation::Asked;
use crate::matters::inventory_changes::{self, Made};
use crate::matters::inventory_matter;

/// Changes a vendor: who answers for it here, whom to reach there, and what its contract allows, less at once and more
/// by a request.
///
/// # Errors
/// It has ended, `if_match` is missing or doesn't hold, a field is wrong, the caller is no administrator, or its
/// contract is to allow more and no request can be opened about that.
pub async fn update_vendor(
    kernel: &Kernel,
    caller: &Caller,
    id: VendorId,
    if_match: IfMatch,
    ask: VendorEdit,
) -> Result<Edited<Revised<Vendor>>, OpError> {
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
                    problems.extend(inventory_matter::wrong_with_vendor(kernel, &stored, &vendor, now).await?);
                    let owner = match ask.owner {
                        Some(owner) => ownership::who_answers(kernel, owner, &mut problems).await?,
                        None => None,
                    };
                    if !problems.is_empty() {
                        return Err(OpError::Invalid(problems));
                    }
                    if inventory_matter::allows_more(&stored, &vendor) {
                        return inventory_changes::asked_for(
                            kernel,
                            caller,
                            stored.revision,
                            change_of(&vendor),
                            ask.purpose.as_deref(),
                            now,
                        )
                        .await;
                    }
                    let event =
                        inventory_matter::updated(kernel, EventKind::VendorUpdated, &*stored.value, &vendor, now)?
                            .subject(vendor.owner);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    inventory_matter::replace_vendor(kernel, &mut changeset, &stored, &vendor, owner.as_ref(), now)
                        .await?;
                    Ok((changeset, Made::Record(vendor, stored.revision + 1)))
                })
                .await?;
            inventory_changes::edited(kernel, made, &committed).await
        })
        .await
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
