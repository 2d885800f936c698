//! The same deed for several identities: rehearsed first, and then done one by one, each with an outcome of its own.

use tenure_api::people::NewOffer;
use tenure_api::requests::Resume;
use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::identity::{Identity, IdentityState};

use crate::access::transfers;
use crate::identities::{lifecycle, registration};
use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::rehearsal::rehearsed;

/// Identities at once: as many as are done well within the time of a request.
pub const MOST: usize = 500;

/// What is done to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It is suspended.
    Suspend,
    /// Its only suspension is released.
    Resume,
    /// It is retired, for good.
    Retire,
    /// A draft, or what waits for its approval, is given up.
    Close,
    /// It is offered to this person.
    Transfer(PersonId),
}

/// What became of one of them, or would.
#[derive(Debug)]
pub enum Outcome {
    /// It was done, or would be.
    Done,
    /// It stands so already.
    StandsSo,
    /// It wasn't done, or wouldn't be.
    Refused(OpError),
}

/// What the deed would come to for each: it is decided as the deed itself is, and nothing is written.
///
/// # Errors
/// They are too many.
pub async fn several_rehearsed(
    kernel: &Kernel,
    caller: &Caller,
    deed: Deed,
    identities: &[IdentityId],
    reason: &str,
) -> Result<Vec<Outcome>, OpError> {
    at_most(identities)?;
    let mut outcomes = Vec::with_capacity(identities.len());
    for id in identities {
        outcomes.push(Box::pin(one(kernel, caller, deed, *id, reason, true)).await);
    }
    Ok(outcomes)
}

/// Does it to each, one after the other. One that fails stops none of the others, and what was done before is found done:
/// the same again does nothing more.
///
/// # Errors
/// They are too many.
pub async fn several(
    kernel: &Kernel,
    caller: &Caller,
    deed: Deed,
    identities: &[IdentityId],
    reason: &str,
) -> Result<Vec<Outcome>, OpError> {
    at_most(identities)?;
    let mut outcomes = Vec::with_capacity(identities.len());
    for id in identities {
        outcomes.push(Box::pin(one(kernel, caller, deed, *id, reason, false)).await);
    }
    Ok(outcomes)
}

fn at_most(identities: &[IdentityId]) -> Result<(), OpError> {
    if identities.len() <= MOST {
        return Ok(());
    }
    Err(OpError::field("identities", "too_many", &format!("choose at most {MOST} at once")))
}

async fn one(
    kernel: &Kernel,
    caller: &Caller,
    deed: Deed,
    id: IdentityId,
    reason: &str,
    is_rehearsal: bool,
) -> Outcome {
    // Whoever may not read it learns nothing of where it stands.
    let mut found = None;
    let read = async {
        found = Some(registration::identity(kernel, caller, id).await?.record);
        Ok(())
    };
    let read = match is_rehearsal {
        true => Box::pin(rehearsed(read)).await.map(|_| ()),
        false => read.await,
    };
    let identity = match (read, found) {
        (Ok(()), Some(identity)) => identity,
        (Ok(()), None) => return Outcome::Refused(OpError::NotFound("identity")),
        (Err(error), _) => return Outcome::Refused(error),
    };
    match stands_so(kernel, caller, deed, &identity, reason).await {
        Ok(true) => return Outcome::StandsSo,
        Ok(false) => {}
        Err(error) => return Outcome::Refused(error),
    }
    let does = done(kernel, caller, deed, id, reason);
    let result = match is_rehearsal {
        true => Box::pin(rehearsed(does)).await.map(|_| ()),
        false => does.await,
    };
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Refused(error),
    }
}

/// Whether the deed was done already: by this caller for this reason, where another one would come on top.
async fn stands_so(
    kernel: &Kernel,
    caller: &Caller,
    deed: Deed,
    identity: &Identity,
    reason: &str,
) -> Result<bool, OpError> {
    Ok(match deed {
        Deed::Suspend => {
            let is_theirs = |by: Option<PersonId>| by.is_some() && by == caller.person_id();
            identity.suspensions.iter().any(|cause| is_theirs(cause.placed_by) && cause.reason == reason)
        }
        Deed::Resume => identity.state == IdentityState::Active,
        Deed::Retire => matches!(identity.state, IdentityState::Retiring | IdentityState::Retired),
        Deed::Close => identity.state == IdentityState::Closed,
        Deed::Transfer(to) => {
            let offered = Query::of([
                Transfer::IDENTITY.of(identity.id),
                Transfer::STATE.of(TransferState::Offered),
                Transfer::OFFERED_TO.of(to),
            ]);
            identity.charter.owner == Some(to) || kernel.first::<Transfer>(offered).await?.is_some()
        }
    })
}

async fn done(kernel: &Kernel, caller: &Caller, deed: Deed, id: IdentityId, reason: &str) -> Result<(), OpError> {
    let reason = reason.to_owned();
    match deed {
        Deed::Suspend => drop(lifecycle::suspend(kernel, caller, id, reason).await?),
        // Of several causes each is read before it is released: that is refused here.
        Deed::Resume => {
            lifecycle::resume(kernel, caller, id, Resume { cause: 0, revision: None, reason }).await?;
        }
        Deed::Retire => drop(lifecycle::retire(kernel, caller, id, reason).await?),
        Deed::Close => drop(lifecycle::close(kernel, caller, id, reason).await?),
        Deed::Transfer(to) => drop(transfers::start_transfer(kernel, caller, id, NewOffer { to }).await?),
    }
    Ok(())
}
