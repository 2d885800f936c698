//! Identities as their readers see them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tenure_api::views::{CertificateState, CertificateView, IdentityView, Names, RemovalGroup, Sunset};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::scope::{Hold, Scope};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::store::port::Committed;
use tenure_core::store::row::Stored;
use tenure_credentials::certificate::ClientCertificate;

use crate::credentials::deprecated_use;
use crate::credentials::holds::{self, scopes_of};
use crate::credentials::token::prove;
use crate::identities::{consumers, removability, silence};
use crate::inventory::removal_groups;
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, work};

/// An identity with what is computed about it.
pub(crate) async fn identity_view(
    kernel: &Kernel,
    record: Identity,
    revision: u64,
    committed: Option<&Committed>,
) -> Result<IdentityView, OpError> {
    let holds = Box::pin(holds::holds_of(kernel, std::iter::once(&record))).await?;
    let removal_group = Box::pin(removal_groups::removal_group_view(kernel, &record.charter)).await?;
    let last_used = work::last_used(kernel, &record.id.to_string()).await?;
    let silent = Box::pin(silence::silent_for(kernel, &record)).await?;
    let deprecations = deprecated_use::of_identity(kernel, &record).await?.into_iter().map(|deprecation| Sunset {
        of: deprecation.of.to_string(),
        deprecated_since: deprecation.deprecated_since,
        sunset: deprecation.sunset,
    });
    let deprecations = deprecations.collect();
    let drill = removability::last_drill(kernel, record.id).await?;
    let consumers = Box::pin(consumers::consumers_of(kernel, &record)).await?;
    let mut view = shown(record, revision, &holds, removal_group, last_used, kernel.now());
    view.silent = silent;
    view.drill = drill;
    view.deprecations = deprecations;
    view.consumers = consumers;
    if let Some(committed) = committed {
        view.log = Some(kernel.logged(committed).await?);
    }
    Ok(view)
}

/// A page of identities with what is computed about them; what many share is read once.
pub(crate) async fn identity_views(kernel: &Kernel, rows: Vec<Stored<Identity>>) -> Result<Vec<IdentityView>, OpError> {
    let holds = holds::holds_of(kernel, rows.iter().map(|row| &*row.value)).await?;
    let mut groups = BTreeMap::new();
    let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
    let uses = work::last_used_each(kernel, &ids).await?;
    let (now, mut views) = (kernel.now(), Vec::with_capacity(rows.len()));
    for (row, last_used) in rows.into_iter().zip(uses) {
        let place = (row.charter.removal_group, row.charter.application);
        if let Entry::Vacant(unknown) = groups.entry(place) {
            unknown.insert(removal_groups::removal_group_view(kernel, &row.charter).await?);
        }
        let group = groups.get(&place).cloned().flatten();
        views.push(shown((*row.value).clone(), row.revision, &holds, group, last_used, now));
    }
    Ok(views)
}

/// The certificate that an identity is registered with, and whether it proves anything now (R7).
fn certificate(record: &Identity, now: Timestamp) -> Option<CertificateView> {
    let known = record.charter.workload_binding.as_ref().and_then(prove::certificate_of)?;
    let state = if matches!(record.state, IdentityState::Retiring | IdentityState::Retired | IdentityState::Closed) {
        CertificateState::Revoked
    } else if known.has_ended(now) {
        CertificateState::Ended
    } else if now < known.not_before {
        CertificateState::NotYet
    } else {
        CertificateState::Good
    };
    let ClientCertificate { thumbprint, serial, not_before, not_after } = known;
    Some(CertificateView { thumbprint, serial, not_before, not_after, state })
}

fn shown(
    record: Identity,
    revision: u64,
    holds: &BTreeMap<Scope, Hold>,
    removal_group: Option<RemovalGroup>,
    last_used: Option<Timestamp>,
    now: Timestamp,
) -> IdentityView {
    IdentityView {
        removal_group,
        holds: scopes_of(&record).iter().filter_map(|scope| holds.get(scope).cloned()).collect(),
        certificate: certificate(&record, now),
        drill: None,
        silent: Vec::new(),
        deprecations: Vec::new(),
        consumers: Vec::new(),
        releasers: None,
        ceilings: record.ceilings(),
        record,
        revision,
        last_used,
        log: None,
        names: Names::new(),
    }
}
