//! Removal drills (R97): that an identity can be removed is answered by the last time when that was tried.
//!
//! A drill takes nothing but credentials of minutes: the newest token or login of the identity that is alive, for each
//! resource. It is revoked by the same step as at a removal, checked at the same points and targets, and its receipt says
//! what came of that. Static keys and accounts that people made are left alone.

use std::collections::BTreeMap;

use tenure_api::drills::{DrillView, DrilledView};
use tenure_api::requests::{Revocation, RevocationTarget};
use tenure_core::base::id::{IdentityId, ResourceId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::credential::drill::{Drill, Drilled, MAX_DRILLED};
use tenure_core::identity::{CredentialType, Identity};
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::credentials::{liveness, revocation};
use crate::identities::removability;
use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::Query;

const REASON: &str = "removal drill";

/// Drills the removal of an identity.
///
/// # Errors
/// No such identity, the caller is neither its owner nor of security, or it has no token or login that is alive.
pub async fn drill(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<DrillView, OpError> {
    let (by, alive) = kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "identity.drill", id), async {
            let by = caller.must_be_person()?;
            let identity = kernel.must::<Identity>("identity", id).await?;
            let environment = identity.charter.environment.clone().unwrap_or_default();
            let own = owns(owns_identity(caller, &identity));
            kernel.allow(caller, Action::Revoke, inventory("identity", id, &environment), own)?;
            let alive = alive(kernel, id, kernel.now()).await?;
            if alive.is_empty() {
                let detail = "no token or login of its is alive: have its workload get one, and drill again";
                return Err(OpError::because(Reason::IllegalTransition, detail));
            }
            Ok((by, alive))
        })
        .await?;
    let mut drilled = Vec::with_capacity(alive.len());
    for (resource, credential) in alive {
        let target = RevocationTarget::Credential(credential.id);
        let ask = Revocation { target, reason: REASON.to_owned(), suspend: false };
        let receipt = Box::pin(revocation::revoke(kernel, caller, ask)).await?;
        drilled.push(Drilled { credential: credential.id, resource, receipt: receipt.receipt.id });
    }
    let (drill, _) = kernel
        .decide(|| async {
            let now = kernel.now();
            let drill = Drill { identity: id, by, at: now, drilled: drilled.clone() };
            let event = kernel.event(now, EventKind::IdentityDrilled).subject(id).fact("drilled", &drilled);
            let mut changeset = Changeset::new(caller.author(), now, event);
            match kernel.one::<Drill>(id).await? {
                Some(before) => changeset.replace(&before, &drill),
                None => changeset.insert(&drill),
            };
            Ok((changeset, drill))
        })
        .await?;
    view(kernel, &drill).await
}

/// The last drill of an identity, and what came of it.
///
/// # Errors
/// No such identity, it was never drilled, or the caller may not read it.
pub async fn last_drill(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<DrillView, OpError> {
    let identity = kernel.sought::<Identity>(caller, "identity", id).await?;
    authority::may_read(kernel, caller, "identity", &id.to_string(), owns_identity(caller, &identity)).await?;
    let drill = kernel.one::<Drill>(id).await?.ok_or(OpError::NotFound("drill"))?;
    view(kernel, &drill).await
}

/// The newest credential of minutes that is alive, for each resource.
async fn alive(
    kernel: &Kernel,
    id: IdentityId,
    now: Timestamp,
) -> Result<BTreeMap<ResourceId, Stored<Credential>>, OpError> {
    let mut newest: BTreeMap<ResourceId, Stored<Credential>> = BTreeMap::new();
    let mut pages = kernel.pages(Query::of([Credential::IDENTITY.of(id)]).newest_first(true));
    while let Some(found) = pages.next().await? {
        for credential in found.readable() {
            let is_short = matches!(credential.kind, CredentialType::AccessToken | CredentialType::Login);
            if !is_short || newest.contains_key(&credential.resource) {
                continue;
            }
            if liveness::held(kernel, credential.id, now).await?.is_some_and(|held| held.status.is_ok()) {
                newest.insert(credential.resource, credential);
            }
            if newest.len() >= MAX_DRILLED {
                return Ok(newest);
            }
        }
    }
    Ok(newest)
}

async fn view(kernel: &Kernel, drill: &Drill) -> Result<DrillView, OpError> {
    let mut drilled = Vec::with_capacity(drill.drilled.len());
    for part in &drill.drilled {
        let state = removability::state_of(kernel, part.receipt).await?;
        drilled.push(DrilledView {
            credential: part.credential,
            resource: part.resource,
            receipt: part.receipt,
            proven: state.is_some_and(removability::is_proven),
            state,
        });
    }
    Ok(DrillView {
        identity: drill.identity,
        by: drill.by,
        at: drill.at,
        proven: drilled.iter().all(|part| part.proven),
        drilled,
        names: tenure_api::views::Names::new(),
    })
}
