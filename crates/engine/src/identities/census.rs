//! The census: how many identities there are of each state, kind and tier, counted at most once a minute.

use std::collections::BTreeMap;

use tenure_api::overview::Census;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState, Kind, RiskTier};
use tenure_core::people::person::{Person, PersonState};
use tenure_core::store::row::Record;
use tenure_core::store::term::Term;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::memory::Minute;
use crate::kernel::search::ask::AGAIN_AFTER;
use crate::kernel::{Kernel, authority};

/// How many identities there are; counted by the index of records, at most a minute ago.
///
/// # Errors
/// The caller may not read all identities, or the index is being made.
pub async fn census(kernel: &Kernel, caller: &Caller) -> Result<Census, OpError> {
    authority::may_read(kernel, caller, "identity", "", false).await?;
    kernel.memory.of::<Minute<Census>>().at_most_old(kernel.now(), async |now| counted(kernel, now).await).await
}

/// The same for whoever doesn't wait: nothing while they are being counted.
///
/// # Errors
/// The caller may not read all identities.
pub async fn census_at_hand(kernel: &Kernel, caller: &Caller) -> Result<Option<Census>, OpError> {
    authority::may_read(kernel, caller, "identity", "", false).await?;
    Ok(kernel.memory.of::<Minute<Census>>().at_hand(kernel.now()))
}

/// Counts them.
pub(crate) async fn counted(kernel: &Kernel, now: Timestamp) -> Result<Census, OpError> {
    let mut by_state = BTreeMap::new();
    for state in IdentityState::ALL {
        by_state.insert(state.as_str().to_owned(), count(kernel, [Identity::STATE.of(*state)]).await?);
    }
    let active = || Identity::STATE.of(IdentityState::Active);
    let mut active_by_kind = BTreeMap::new();
    for kind in Kind::ALL {
        let count = count(kernel, [active(), Identity::OF_KIND.of(*kind)]).await?;
        active_by_kind.insert(kind.as_str().to_owned(), count);
    }
    let mut active_by_tier = BTreeMap::new();
    for tier in RiskTier::ALL {
        active_by_tier.insert(tier.as_str().to_owned(), count(kernel, [active(), Identity::TIER.of(*tier)]).await?);
    }
    let unowned = count(kernel, [Identity::UNOWNED.of("true")]).await?;
    let people = count(kernel, [Person::STATE.of(PersonState::Active)]).await?;
    Ok(Census { at: now, by_state, active_by_kind, active_by_tier, unowned, people })
}

/// How many records bear these terms.
async fn count<T: Record>(kernel: &Kernel, terms: impl IntoIterator<Item = Term<T>>) -> Result<u64, OpError> {
    kernel.count(terms).await?.ok_or(OpError::SearchBuilding { retry_after: AGAIN_AFTER })
}
