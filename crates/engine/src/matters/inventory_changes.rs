//! Changes of the records that authority rests on: how sensitive data counts as, what a resource knows and how it
//! checks, what counts as production (R98, R119, S-8). Contracts of vendors and packages have rooms of their own
//! ([`super::contracts`], [`super::packages`]).
//!
//! What takes something away, or raises what approvals ask, happens at once. What lets somebody do more, or do it more
//! lightly, is asked for, and another administrator approves exactly that change of exactly that revision
//! ([`Matter::Inventory`]).

use tenure_api::ownership::{Edited, EnvironmentEdit, ResourceEdit};
use tenure_api::third_party::Classification;
use tenure_api::views::Revised;
use tenure_core::base::id::ResourceId;
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::{Resource, Verification, WhenUnreachable};
use tenure_core::inventory::third_party::DataDomain;
use tenure_core::policy::Action;
use tenure_core::request::{InventoryChange, Matter, Request};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Committed;

use crate::inventory::ownership::nothing_to_change;
use crate::kernel::Kernel;
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::if_match::IfMatch;
use crate::kernel::operation::Asked;
use crate::matters::tiers::Cause;
use crate::matters::{inventory_matter, request};
use crate::requests::route;

/// What a change came to, before it is committed.
pub(crate) enum Made<T> {
    Record(T, u64),
    Request(Box<Request>),
}

/// Says how sensitive a data domain is: more at once, less by a request. The tiers of the identities that touch it are
/// derived again (R119).
///
/// # Errors
/// No such data domain, `if_match` is missing or doesn't hold, the caller is no administrator, or it is to count as
/// less sensitive and no request can be opened about that.
pub async fn classify(
    kernel: &Kernel,
    caller: &Caller,
    name: &str,
    if_match: IfMatch,
    ask: Classification,
) -> Result<Edited<Revised<DataDomain>>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "data_domain.classify", name), async {
            kernel.allow_changing(caller, &inventory("data_domain", name, ""))?;
            let (made, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<DataDomain>("data domain", name).await?;
                    if_match.demand(Some(stored.revision))?;
                    if ask.sensitivity < stored.sensitivity {
                        let change =
                            InventoryChange::DataDomain { name: name.to_owned(), sensitivity: ask.sensitivity };
                        return asked_for(kernel, caller, stored.revision, change, ask.purpose.as_deref(), now).await;
                    }
                    let domain = DataDomain { sensitivity: ask.sensitivity, ..(*stored.value).clone() };
                    let mut changeset = Changeset::new(
                        caller.author(),
                        now,
                        inventory_matter::classified(kernel, &stored, &domain, now),
                    );
                    changeset.replace(&stored, &domain);
                    Cause::DataDomain(name).follow(&mut changeset, now);
                    Ok((changeset, Made::Record(domain, stored.revision + 1)))
                })
                .await?;
            edited(kernel, made, &committed).await
        })
        .await
}

/// Changes what may be done at a resource: narrower at once, also for the credentials that are out, wider by a request.
/// With other data domains come other tiers of those that reach it (R119).
///
/// # Errors
/// No such resource, `if_match` is missing or doesn't hold, a field is wrong, the caller is no administrator, or it is
/// to become wider and no request can be opened about that.
pub async fn update_resource(
    kernel: &Kernel,
    caller: &Caller,
    id: ResourceId,
    if_match: IfMatch,
    ask: ResourceEdit,
) -> Result<Edited<Revised<Resource>>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "resource.update", id), async {
            let environment =
                kernel.one::<Resource>(id).await?.map(|resource| resource.environment.clone()).unwrap_or_default();
            kernel.allow_changing(caller, &inventory("resource", id, &environment))?;
            let (made, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Resource>("resource", id).await?;
                    if_match.demand(Some(stored.revision))?;
                    let resource = Resource {
                        actions: ask.actions.clone().unwrap_or_else(|| stored.actions.clone()),
                        data_domains: ask.data_domains.clone().unwrap_or_else(|| stored.data_domains.clone()),
                        verification: ask.verification.unwrap_or(stored.verification),
                        when_unreachable: ask.when_unreachable.unwrap_or(stored.when_unreachable),
                        logins: ask.logins.clone().or_else(|| stored.logins.clone()),
                        ..(*stored.value).clone()
                    };
                    let mut problems = nothing_to_change("actions", ask.is_empty());
                    problems.extend(inventory_matter::wrong_with(kernel, &resource).await?);
                    if !problems.is_empty() {
                        return Err(OpError::Invalid(problems));
                    }
                    if is_wider(&stored, &resource) {
                        return asked_for(
                            kernel,
                            caller,
                            stored.revision,
                            change_of(&resource),
                            ask.purpose.as_deref(),
                            now,
                        )
                        .await;
                    }
                    let event =
                        inventory_matter::updated(kernel, EventKind::ResourceUpdated, &*stored.value, &resource, now)?;
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    inventory_matter::replace_resource(&mut changeset, &stored, &resource, now);
                    Ok((changeset, Made::Record(resource, stored.revision + 1)))
                })
                .await?;
            edited(kernel, made, &committed).await
        })
        .await
}

/// Changes an environment: it counts as production at once, and as something else by a request; the tiers of its
/// identities are derived again (R119). Tokens are signed with another algorithm once verifiers had time to fetch its
/// key.
///
/// # Errors
/// No such environment, `if_match` is missing or doesn't hold, nothing is to change, the caller is no administrator, or
/// it is no longer to count as production and no request can be opened about that.
pub async fn update_environment(
    kernel: &Kernel,
    caller: &Caller,
    name: &str,
    if_match: IfMatch,
    ask: EnvironmentEdit,
) -> Result<Edited<Revised<Environment>>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "environment.update", name), async {
            let what = inventory("environment", name, name);
            match ask.signing_algorithm {
                // It takes nothing away.
                Some(_) => kernel.allow(caller, Action::Administer, what, administration(false, false))?,
                None => kernel.allow_changing(caller, &what)?,
            };
            let (made, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Environment>("environment", name).await?;
                    if_match.demand(Some(stored.revision))?;
                    let problems =
                        nothing_to_change("production", ask.production.is_none() && ask.signing_algorithm.is_none());
                    if !problems.is_empty() {
                        return Err(OpError::Invalid(problems));
                    }
                    let production = ask.production.unwrap_or(stored.production);
                    let signing_algorithm = ask.signing_algorithm.unwrap_or(stored.signing_algorithm);
                    if stored.production && !production {
                        let change =
                            InventoryChange::Environment { name: name.to_owned(), production, signing_algorithm };
                        return asked_for(kernel, caller, stored.revision, change, ask.purpose.as_deref(), now).await;
                    }
                    let (environment, key) =
                        inventory_matter::environment_as(kernel, &stored, production, signing_algorithm, now)?;
                    let event =
                        inventory_matter::environment_updated(kernel, &stored, &environment, key.as_ref(), now)?;
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    inventory_matter::replace_environment(&mut changeset, &stored, &environment, key.as_ref(), now);
                    Ok((changeset, Made::Record(environment, stored.revision + 1)))
                })
                .await?;
            edited(kernel, made, &committed).await
        })
        .await
}

pub(crate) async fn edited<T>(
    kernel: &Kernel,
    made: Made<T>,
    committed: &Committed,
) -> Result<Edited<Revised<T>>, OpError> {
    Ok(match made {
        Made::Record(record, revision) => Edited::Changed(kernel.changed(record, revision, committed).await?),
        Made::Request(request) => {
            Edited::Asked(Box::new(route::request_view(kernel, *request, 1, Some(committed)).await?))
        }
    })
}

/// Opens the request about a change.
pub(crate) async fn asked_for<T>(
    kernel: &Kernel,
    caller: &Caller,
    revision: u64,
    change: InventoryChange,
    purpose: Option<&str>,
    now: Timestamp,
) -> Result<(Changeset, Made<T>), OpError> {
    let matter = Matter::Inventory { revision, change };
    let (changeset, request) =
        Box::pin(request::opening(kernel, caller, &matter, purpose.unwrap_or_default(), now)).await?;
    Ok((changeset, Made::Request(Box::new(request))))
}

fn change_of(resource: &Resource) -> InventoryChange {
    InventoryChange::Resource {
        id: resource.id,
        actions: resource.actions.clone(),
        data_domains: resource.data_domains.clone(),
        verification: resource.verification,
        when_unreachable: resource.when_unreachable,
        logins: resource.logins.clone(),
    }
}

/// Whether somebody may do more there than before, or do it more lightly.
fn is_wider(stored: &Resource, resource: &Resource) -> bool {
    resource.actions.iter().any(|action| !stored.actions.contains(action))
        || stored.data_domains.iter().any(|domain| !resource.data_domains.contains(domain))
        || (stored.verification == Verification::Online && resource.verification == Verification::Offline)
        || (stored.when_unreachable == WhenUnreachable::Deny && resource.when_unreachable == WhenUnreachable::Accept)
        || resource.logins.as_ref().is_some_and(|logins| logins.is_wider_than(stored.logins.as_ref()))
}
