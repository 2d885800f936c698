//! Fulfilment: what was approved comes about in the commit of its last vote, or at its start.

use tenure_core::base::id::PersonId;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::template::Template;
use tenure_core::identity::{CharterDraft, Identity};
use tenure_core::people::person::{Person, Role};
use tenure_core::request::{Matter, Request};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;

use crate::access::person_access;
use crate::identities::{charter, grants, lifecycle};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::matters::exceptions::matter;
use crate::matters::policies::proposal;
use crate::matters::{callbacks, inventory_matter};
use crate::requests::route;

/// Fulfils an approved request, or has it wait for its start.
pub(crate) async fn fulfil_or_wait(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &mut Request,
    now: Timestamp,
) -> Result<(), OpError> {
    if let Some(start) = request.starts_at.filter(|start| *start > now) {
        changeset.due.push(DueChange::Set(DueKind::Request, request.id.to_string(), start));
        return Ok(());
    }
    changeset.due.push(DueChange::Clear(DueKind::Request, request.id.to_string()));
    fulfil(kernel, changeset, request, now).await
}

/// What was approved comes about.
pub(crate) async fn fulfil(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &mut Request,
    now: Timestamp,
) -> Result<(), OpError> {
    // The kernel of S-9, once more where it counts.
    if !request.is_carried() {
        return Err(OpError::Internal(format!("{} would be fulfilled without its approvals", request.id)));
    }
    match request.matter.clone() {
        Matter::Activation { identity } => {
            let stored = kernel.must::<Identity>("identity", identity).await?;
            let identity = lifecycle::activated(kernel, changeset, (*stored.value).clone(), request, now).await?;
            changeset.replace(&stored, &identity);
        }
        Matter::Access { identity, entitlement, starts_at, duration, .. } => {
            let stored = kernel.must::<Identity>("identity", identity).await?;
            grants::granted(
                kernel,
                changeset,
                &stored,
                entitlement,
                starts_at.unwrap_or(now).max(now),
                duration,
                request,
                now,
            )?;
            callbacks::call_back(kernel, changeset, request, now).await?;
        }
        Matter::Charter { identity, charter } => {
            let stored = kernel.must::<Identity>("identity", identity).await?;
            charter::rechartered(kernel, changeset, &stored, *charter, Some(request), now).await?;
        }
        Matter::Renewal { identity, until } => {
            let stored = kernel.must::<Identity>("identity", identity).await?;
            let charter = CharterDraft { expires_at: Some(until), ..stored.charter.clone() };
            let event = kernel
                .event(now, EventKind::IdentityRenewed)
                .subject(identity)
                .fact("until", until)
                .fact("request", request.id)
                .fact("approved_by", request.approvers());
            changeset.event(event);
            charter::rechartered(kernel, changeset, &stored, charter, Some(request), now).await?;
        }
        Matter::PersonAccess { .. } => person_access::fulfil_person_access(kernel, changeset, request, now).await?,
        Matter::Exception { exception } => matter::fulfil_exception(kernel, changeset, request, exception, now).await?,
        Matter::Roles { person, roles } => fulfil_roles(kernel, changeset, request, person, roles, now).await?,
        Matter::Policy { policy } => proposal::fulfil_policy(kernel, changeset, request, policy, now).await?,
        Matter::Template { template } => fulfil_template(kernel, changeset, request, *template, now).await?,
        Matter::Inventory { change, .. } => {
            inventory_matter::fulfil_inventory(kernel, changeset, request, &change, now).await?
        }
    }
    route::close_fulfilled(kernel, changeset, request, now);
    Ok(())
}

/// What a request that ends without fulfilment leaves behind is taken back.
pub(crate) async fn undo_proposal(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &Request,
    now: Timestamp,
) -> Result<(), OpError> {
    match &request.matter {
        Matter::Activation { identity } => {
            if let Some(stored) =
                kernel.one::<Identity>(identity).await?.filter(|stored| stored.request == Some(request.id))
            {
                let identity = Identity { request: None, ..(*stored.value).clone() };
                changeset.replace(&stored, &identity);
            }
        }
        Matter::Exception { exception } => matter::drop_exception(kernel, changeset, *exception, now).await?,
        Matter::Policy { policy } => proposal::drop_policy(kernel, changeset, *policy, now).await?,
        Matter::Access { .. } => callbacks::call_back(kernel, changeset, request, now).await?,
        _ => {}
    }
    Ok(())
}

async fn fulfil_roles(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &Request,
    id: PersonId,
    mut roles: Vec<Role>,
    now: Timestamp,
) -> Result<(), OpError> {
    let stored = kernel.must::<Person>("person", id).await?;
    roles.sort_unstable();
    roles.dedup();
    let event = kernel
        .event(now, EventKind::PersonRolesChanged)
        .subject(id)
        .fact("from", &stored.roles)
        .fact("roles", &roles)
        .fact("request", request.id)
        .fact("approved_by", request.approvers())
        .fact("single_person", request.single_person);
    changeset.event(event);
    let person = Person { roles, ..(*stored.value).clone() };
    changeset.replace(&stored, &person);
    Ok(())
}

async fn fulfil_template(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &Request,
    template: Template,
    now: Timestamp,
) -> Result<(), OpError> {
    let stored = kernel.one::<Template>(&template.name).await?;
    let template = Template {
        version: stored.as_ref().map_or(1, |stored| stored.version.saturating_add(1)),
        changed_at: now,
        ..template
    };
    let event = kernel
        .event(now, EventKind::TemplateChanged)
        .subject(&template.name)
        .fact("template", &template)
        .fact("request", request.id)
        .fact("approved_by", request.approvers())
        .fact("single_person", request.single_person);
    changeset.event(event);
    match &stored {
        Some(stored) => changeset.replace(stored, &template),
        None => changeset.insert(&template),
    };
    Ok(())
}
