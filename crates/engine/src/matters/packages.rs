//! Packages: what people in a role need, as an administrator wrote it down. A package confers nothing; a request for it may (R116, R118).

use tenure_api::ownership::Edited;
use tenure_api::person_access::PutPackage;
use tenure_api::views::Resource as View;
use tenure_core::changeset::Changeset;
use tenure_core::environment::parse_name;
use tenure_core::event::{ControlPoint, Event};
use tenure_core::person_grant::{Package, PackageStep};
use tenure_core::policy::Action;
use tenure_core::problem::FieldProblem;
use tenure_core::request::InventoryChange;
use tenure_core::resource::Resource;
use tenure_core::row::Stored;
use tenure_core::time::{Span, Timestamp};

use crate::inventory::entitlements;
use crate::inventory::entitlements::MAX_PARTS;
use crate::inventory::entitlements::SHORTEST;
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::if_match::IfMatch;
use crate::kernel::operation::Asked;
use crate::kernel::query::Listed;
use crate::matters::inventory_changes;
use crate::matters::inventory_changes::Made;

const MAX_STEPS: usize = 8;

const LONGEST: Span = Span::from_days(366);

impl Listed for Package {
    const NAME: &'static str = "package";
}

/// Writes a package, new or changed: one that is there gives less at once, and more by a request (S-8). Requests that are open about it have to be read
/// again.
///
/// # Errors
/// The fields are wrong, it is there and `if_match` is missing or doesn't hold, the caller is no administrator, or it is to give more and no request can
/// be opened about that.
pub async fn put_package(kernel: &Kernel, caller: &Caller, name: &str, if_match: IfMatch, ask: PutPackage) -> Result<Edited<View<Package>>, OpError> {
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
                    good_package(kernel, &package).await?;
                    if let Some(stored) = &stored
                        && package.is_wider_than(stored)
                    {
                        return inventory_changes::asked_for(kernel, caller, stored.revision, change_of(&package), ask.purpose.as_deref(), now).await;
                    }
                    let mut changeset = Changeset::new(caller.actor(), now, written(kernel, &package, now));
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

pub(crate) fn written(kernel: &Kernel, package: &Package, now: Timestamp) -> Event {
    kernel
        .event(now, "package.written", ControlPoint::Administer)
        .subject(&package.name)
        .fact("package", package)
}

/// The resources of a package all of which is good.
pub(crate) async fn good_package(kernel: &Kernel, package: &Package) -> Result<Vec<Stored<Resource>>, OpError> {
    let mut problems = check_package(package);
    let mut resources = entitlements::check_entitlements(kernel, "entitlements", &package.entitlements, &mut problems).await?;
    for (n, step) in package.steps.iter().enumerate() {
        let field = format!("steps[{n}].entitlements");
        resources.extend(entitlements::check_entitlements(kernel, &field, &step.entitlements, &mut problems).await?);
    }
    if problems.is_empty() {
        Ok(resources)
    } else {
        Err(OpError::Invalid(problems))
    }
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

/// The package as a change of it says.
pub(crate) fn package_as(stored: &Package, change: &InventoryChange) -> Package {
    let mut package = stored.clone();
    if let InventoryChange::Package {
        description,
        entitlements,
        steps,
        max_duration,
        ..
    } = change
    {
        package.description.clone_from(description);
        package.entitlements.clone_from(entitlements);
        package.steps.clone_from(steps);
        package.max_duration = *max_duration;
    }
    package
}

fn check_package(ask: &Package) -> Vec<FieldProblem> {
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
    let inside = |step: &PackageStep| step.after > Span::default() && step.after < ask.max_duration && !step.entitlements.is_empty();
    if ask.steps.len() > MAX_STEPS || !ascending || !ask.steps.iter().all(inside) {
        wrong(
            "steps",
            "steps_malformed",
            "give at most 8 steps, each later than the one before and inside max_duration, each with entitlements",
        );
    }
    problems
}
