//! What entitlements name: resources that are there, with the actions that they know.

use tenure_core::base::problem::FieldProblem;
use tenure_core::base::time::Span;
use tenure_core::inventory::entitlement::{ENFORCE, Entitlement};
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;

/// Entitlements that one request or package can give.
pub(crate) const MAX_PARTS: usize = 32;

/// The shortest time for which a person can hold something.
pub(crate) const SHORTEST: Span = Span::from_mins(1);

/// Checks what a person is to hold: actions by name, on registered resources that know them. Returns those resources.
pub(crate) async fn check_entitlements(
    kernel: &Kernel,
    field: &str,
    entitlements: &[Entitlement],
    problems: &mut Vec<FieldProblem>,
) -> Result<Vec<Stored<Resource>>, OpError> {
    let mut resources = Vec::with_capacity(entitlements.len());
    for (n, entitlement) in entitlements.iter().enumerate() {
        let mut wrong = |code: &str, hint: &str| problems.push(FieldProblem::new(format!("{field}[{n}]"), code, hint));
        if entitlement.is_wildcard() {
            wrong("wildcard", "name the resource and each action: people hold nothing by a wildcard");
            continue;
        }
        if entitlement.actions.is_empty() || entitlement.actions.len() > MAX_PARTS {
            wrong("actions_missing", "list 1 to 32 actions by name");
            continue;
        }
        if entitlement.actions.iter().any(|action| action == ENFORCE) {
            wrong("cross_class", "enforcing is for a chartered enforcement point, not for a person");
            continue;
        }
        let Some(resource) = kernel.one::<Resource>(&entitlement.resource).await? else {
            wrong("resource_unknown", "name a registered resource by its id");
            continue;
        };
        match entitlement.actions.iter().find(|action| !resource.actions.contains(action)) {
            Some(action) => wrong("action_unknown", &format!("the resource doesn't know the action {action}")),
            None => resources.push(resource),
        }
    }
    Ok(resources)
}

/// Whether one of these resources is in an environment that counts as production.
pub(crate) async fn any_in_production(kernel: &Kernel, resources: &[Stored<Resource>]) -> Result<bool, OpError> {
    let mut names: Vec<&str> = resources.iter().map(|resource| resource.environment.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        // What can't be found counts as production.
        if kernel.one::<Environment>(name).await?.is_none_or(|environment| environment.production) {
            return Ok(true);
        }
    }
    Ok(false)
}
