//! What an identity may do beside what it does: counted from the decisions about it, with the scope that would do
//! (R101).

use std::collections::HashMap;

use tenure_api::usage::{UnusedShare, UsageView};
use tenure_api::views::Names;
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::identity::grant::Grant;
use tenure_core::identity::right_size::{RightSize, UseFacts, UseWindow};
use tenure_core::store::row::Stored;

use crate::identities::contexts;
use crate::kernel::authority::{self, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::work::{self, use_stamp};
use crate::kernel::{Kernel, tallies};

/// What is granted to an identity beside what it used over a window.
///
/// # Errors
/// No such identity, or the caller may not read it.
pub async fn usage(kernel: &Kernel, caller: &Caller, id: IdentityId, window: UseWindow) -> Result<UsageView, OpError> {
    let stored = kernel.sought::<Identity>(caller, "identity", id).await?;
    authority::may_read(kernel, caller, "identity", &id.to_string(), owns_identity(caller, &stored)).await?;
    usage_view(kernel, &stored, window, kernel.now()).await
}

/// The same of an identity that the caller may read.
pub(crate) async fn usage_view(
    kernel: &Kernel,
    stored: &Stored<Identity>,
    window: UseWindow,
    now: Timestamp,
) -> Result<UsageView, OpError> {
    let right_size = right_size(kernel, stored, window, now).await?;
    Ok(UsageView {
        identity: stored.id,
        at: now,
        window,
        unused: UnusedShare {
            things: right_size.unused.len() + right_size.rare.len(),
            of: right_size.granted.len(),
            percent: right_size.unused_percent(),
        },
        right_size,
        contexts: contexts::contexts_view(kernel, stored.id).await?,
        names: Names::new(),
    })
}

/// What an identity's charter grants beside what of it was used over a window, and the scope that would do: replayed
/// against the decisions of the last 90 days.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn right_size(
    kernel: &Kernel,
    identity: &Stored<Identity>,
    window: UseWindow,
    now: Timestamp,
) -> Result<RightSize, OpError> {
    let known = kernel.know_rest(identity.clone()).await?;
    let grants: Vec<Grant> =
        known.grants.iter().flatten().filter(|grant| grant.is_live(now)).map(|grant| (*grant.value).clone()).collect();
    let ledger = tallies::ledger(kernel, identity.id, now).await?;
    let facts = UseFacts {
        scope: &identity.charter.scope,
        grants: &grants,
        active_since: identity.activation.as_ref().map(|activation| activation.at),
        ledger: &ledger,
        window,
        now,
    };
    let things = facts.things();
    let stamps: Vec<String> =
        things.iter().map(|(resource, action)| use_stamp(&identity.id, resource, action)).collect();
    let uses = work::last_used_each(kernel, &stamps).await?;
    let uses: HashMap<(&str, &str), Timestamp> = things
        .iter()
        .zip(uses)
        .filter_map(|((resource, action), at)| Some(((resource.as_str(), action.as_str()), at?)))
        .collect();
    Ok(facts.right_size(&|resource, action| uses.get(&(resource, action)).copied()))
}

#[cfg(test)]
mod tests;
