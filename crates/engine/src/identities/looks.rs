//! Looks that are asked for: identities whose answer may have changed by something that isn't theirs are looked at anew,
//! so many in one commit.

use tenure_core::base::id::IdentityId;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::term::Term;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::work::system;

/// Identities of one commit.
const BATCH: usize = 250;

/// Has these identities looked at as soon as a worker comes to it; `because` says in the log what may have changed.
pub(crate) async fn look_at(kernel: &Kernel, ids: &[IdentityId], because: &str) -> Result<(), OpError> {
    for batch in ids.chunks(BATCH) {
        let set = kernel.decide(|| async {
            let now = kernel.now();
            let event =
                kernel.event(now, EventKind::PostureLooksSet).fact("because", because).fact("identities", batch.len());
            let mut changeset = Changeset::new(system(), now, event);
            let due = batch.iter().map(|id| DueChange::Set(DueKind::Dormancy, id.to_string(), now));
            changeset.due.extend(due);
            Ok((changeset, ()))
        });
        set.await?;
    }
    Ok(())
}

/// As [`look_at`], of every identity with a term that works or is suspended.
pub(crate) async fn look_at_all(kernel: &Kernel, term: Term<Identity>, because: &str) -> Result<(), OpError> {
    let states = [IdentityState::Active, IdentityState::Suspended].map(|state| Identity::STATE.of(state));
    let mut pages = kernel.pages(Query::of([term]).any(states));
    while let Some(found) = pages.next().await? {
        let ids: Vec<IdentityId> = found.readable().iter().map(|identity| identity.id).collect();
        look_at(kernel, &ids, because).await?;
    }
    Ok(())
}
