//! Packages: what people in a role need, as an administrator wrote it down. A package confers nothing; a request for it
//! may (R116, R118).

use tenure_api::ownership::Edited;
use tenure_api::person_access::PutPackage;
use tenure_api::views::Revised;
use tenure_core::inventory::environment::parse_name;
use tenure_core::people::person_grant::Package;
use tenure_core::policy::Action;
use tenure_core::request::InventoryChange;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;

use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::if_match::IfMatch;
use crate::kernel::operation::Asked;
use crate::kernel::query::Listed;
use crate::matters::inventory_changes::{self, Made};
use crate::matters::inventory_matter;

impl Listed for Package {
    const NAME: &'static str = "package";
}

/// Writes a package, new or changed: one that is there gives less at once, and more by a request (S-8). Requests that
/// are open about it have to be read again.
///
/// # Errors
/// The fields are wrong, it is there and `if_match` is missing or doesn't hold, the caller is no administrator, or it
/// is to give more and no request can be opened about that.
pub async fn put_package(
    kernel: &Kernel,
    caller: &Caller,
    name: &str,
    if_match: IfMatch,
    ask: PutPackage,
) -> Result<Edited<Revised<Package>>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "package.put", name), async {
            kernel.allow(caller, Action::Administer, inventory("package", name, ""), administration(false, false))?;
            // A name that is none names nothing: it is not looked up.
            parse_name("name", name).map_err(|problem| OpError::Invalid(vec![problem]))?;
            let (made, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.one::<Package>(name).await?;
                    if_match.demand(stored.as_ref().map(|stored| stored.revision))?;
                    let package = Package {
                        name: name.to_owned(),
                        description: ask.description.clone(),
                        entitlements: ask.entitlements.clone(),
                        steps: ask.steps.clone(),
                        max_duration: ask.max_duration,
                        created_at: stored.as_ref().map_or(now, |stored| stored.created_at),
                    };
                    inventory_matter::good_package(kernel, &package).await?;
                    if let Some(stored) = &stored
                        && package.is_wider_than(stored)
                    {
                        return inventory_changes::asked_for(
                            kernel,
                            caller,
                            stored.revision,
                            change_of(&package),
                            ask.purpose.as_deref(),
                            now,
                        )
                        .await;
                    }
                    let mut changeset =
                        Changeset::new(caller.author(), now, inventory_matter::written(kernel, &package, now));
                    match &stored {
                        Some(stored) => changeset.replace(stored, &package),
                        None => changeset.insert(&package),
                    };
                    Ok((changeset, Made::Record(package, stored.map_or(1, |stored| stored.revision + 1))))
                })
                .await?;
            inventory_changes::edited(kernel, made, &committed).await
        })
        .await
}

fn change_of(package: &Package) -> InventoryChange {
    InventoryChange::Package {
        name: package.name.clone(),
        description: package.description.clone(),
        entitlements: package.entitlements.clone(),
        steps: package.steps.clone(),
        max_duration: package.max_duration,
    }
}
