//! The census: how many identities there are of each state and kind, counted at most once a minute.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tenure_api::overview::Census;
use tenure_core::base::time::Span;
use tenure_core::identity::{Identity, IdentityState, Kind};
use tenure_core::people::person::{Person, PersonState};
use tenure_core::store::row::Record;
use tenure_core::store::term::Term;

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::query::ListAsk;
use crate::kernel::{Kernel, authority};

/// How old a census may be.
const FRESH: Span = Span::from_secs(60);

/// The last census of this process.
#[derive(Default)]
struct Last(Mutex<Option<Census>>);

/// How many identities there are; counted by the index of records, at most a minute ago.
///
/// # Errors
/// The caller may not read all identities, or the index is being made.
pub async fn census(kernel: &Kernel, caller: &Caller) -> Result<Census, OpError> {
    authority::may_read(kernel, caller, "identity", "", false).await?;
    let last = kernel.memory.of::<Last>();
    let now = kernel.now();
    let known = last.0.lock().clone();
    if let Some(census) = known.filter(|census| now.since(census.at) < FRESH) {
        return Ok(census);
    }
    let mut by_state = BTreeMap::new();
    for state in IdentityState::ALL {
        by_state.insert(state.as_str().to_owned(), count(kernel, vec![Identity::STATE.of(*state)]).await?);
    }
    let mut active_by_kind = BTreeMap::new();
    for kind in Kind::ALL {
        let filters = vec![Identity::STATE.of(IdentityState::Active), Identity::OF_KIND.of(*kind)];
        active_by_kind.insert(kind.as_str().to_owned(), count(kernel, filters).await?);
    }
    let people = count(kernel, vec![Person::STATE.of(PersonState::Active)]).await?;
    let census = Census { at: now, by_state, active_by_kind, people };
    *last.0.lock() = Some(census.clone());
    Ok(census)
}

/// How many records bear these terms.
async fn count<T: Record>(kernel: &Kernel, filters: Vec<Term<T>>) -> Result<u64, OpError> {
    let ask = ListAsk { filters, limit: Some(1), count: true, ..ListAsk::default() };
    let (_, end) = kernel.page(ask).await?;
    Ok(end.page::<()>(Vec::new()).count.unwrap_or_default())
}
