//! The same deed for several identities: rehearsed first, and then done one by one, each with an outcome of its own.

use tenure_api::people::NewOffer;
use tenure_api::requests::Resume;
use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::row::{RowKey, RowKind};

use crate::access::transfers;
use crate::identities::{lifecycle, registration};
use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::digest::sha256;
use crate::kernel::error::OpError;
use crate::kernel::if_match::{IfMatch, Precondition, under};
use crate::kernel::operation::Asked;
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

/// What the deed would come to for one of them.
#[derive(Debug)]
pub struct Rehearsed {
    /// Which.
    pub identity: IdentityId,
    /// Its revision when that was looked at; none if the caller may not read it.
    revision: Option<u64>,
    /// What it would come to.
    pub outcome: Outcome,
}

/// What the deed would come to for each, and the hash of that: what is done is what was shown.
#[derive(Debug)]
pub struct Rehearsal {
    /// For each, in the order in which they were named.
    pub each: Vec<Rehearsed>,
    /// The hash of the deed, and of each with its revision and what it comes to.
    pub digest: String,
}

/// What was done, and what is left of it.
#[derive(Debug)]
pub struct Carried {
    /// What became of the first of them.
    pub outcomes: Vec<Outcome>,
    /// The digest of the rest, as it was shown, if there is any.
    pub rest: Option<String>,
}

/// What the deed would come to for each: it is decided as the deed itself is, and nothing is written.
///
/// # Errors
/// They are too many, or the caller is no person.
pub async fn several_rehearsed(
    kernel: &Kernel,
    caller: &Caller,
    deed: Deed,
    identities: &[IdentityId],
    reason: &str,
) -> Result<Rehearsal, OpError> {
    kernel.only_person(caller, "identity.bulk").await?;
    at_most(identities)?;
    let mut each = Vec::with_capacity(identities.len());
    for id in identities {
        each.push(Box::pin(one_rehearsed(kernel, caller, deed, *id, reason)).await);
    }
    Ok(Rehearsal { digest: digest(deed, &each), each })
}

/// Does it to the first `most` of them, one after the other, as it was shown: each as it was when it was rehearsed. One
/// that fails stops none of the others, and what was done before is found done: the same again does nothing more.
///
/// # Errors
/// They are too many, the caller is no person, or it would come to something else by now.
pub async fn several(
    kernel: &Kernel,
    caller: &Caller,
    deed: Deed,
    identities: &[IdentityId],
    reason: &str,
    shown: &str,
    most: usize,
) -> Result<Carried, OpError> {
    let rehearsal = Box::pin(several_rehearsed(kernel, caller, deed, identities, reason)).await?;
    if rehearsal.digest != shown {
        return Err(OpError::refused(Reason::PlanChanged));
    }
    let mut each = rehearsal.each;
    let rest = each.split_off(most.min(each.len()));
    let mut outcomes = Vec::with_capacity(each.len());
    for Rehearsed { identity, revision, outcome } in each {
        outcomes.push(match (outcome, revision) {
            (Outcome::Done, Some(revision)) => {
                let key = RowKey::new(RowKind::Identity, identity);
                let as_shown = Precondition::on(key, IfMatch::Revisions(vec![revision]));
                let does = under(as_shown, done(kernel, caller, deed, identity, reason));
                Box::pin(does).await.map_or_else(Outcome::Refused, |()| Outcome::Done)
            }
            // It isn't tried, lest it be done though it was shown as refused; that it was asked for is in the log.
            (Outcome::Refused(error), _) => {
                let asked = Asked::new(ControlPoint::Change, "identity.bulk", identity);
                let refused = kernel.recorded(caller, asked, async { Err::<(), _>(error) }).await;
                refused.map_or_else(Outcome::Refused, |()| Outcome::StandsSo)
            }
            (outcome, _) => outcome,
        });
    }
    Ok(Carried { outcomes, rest: (!rest.is_empty()).then(|| digest(deed, &rest)) })
}

fn at_most(identities: &[IdentityId]) -> Result<(), OpError> {
    if identities.len() <= MOST {
        return Ok(());
    }
    Err(OpError::field("identities", "too_many", &format!("choose at most {MOST} at once")))
}

fn digest(deed: Deed, each: &[Rehearsed]) -> String {
    let each: Vec<_> =
        each.iter().map(|one| serde_json::json!([one.identity, one.revision, word_of(&one.outcome)])).collect();
    let (word, to) = match deed {
        Deed::Suspend => ("suspend", None),
        Deed::Resume => ("resume", None),
        Deed::Retire => ("retire", None),
        Deed::Close => ("close", None),
        Deed::Transfer(to) => ("transfer", Some(to)),
    };
    let bound = serde_json::json!({"deed": word, "to": to, "each": each});
    sha256(&bound.to_string())
}

/// An outcome as its digest has it.
const fn word_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::StandsSo => "stands_so",
        Outcome::Refused(OpError::Refused { reason, .. }) => reason.code(),
        Outcome::Refused(OpError::NotFound(_)) => "not_found",
        Outcome::Refused(OpError::Invalid(_)) => "invalid",
        Outcome::Refused(_) => "failed",
    }
}

async fn one_rehearsed(kernel: &Kernel, caller: &Caller, deed: Deed, id: IdentityId, reason: &str) -> Rehearsed {
    let refused = |revision, error| Rehearsed { identity: id, revision, outcome: Outcome::Refused(error) };
    // Whoever may not read it learns nothing of where it stands.
    let mut found = None;
    let read = async {
        found = Some(registration::identity(kernel, caller, id).await?);
        Ok(())
    };
    let (view, revision) = match (Box::pin(rehearsed(read)).await, found) {
        (Ok(_), Some(view)) => (view.record, Some(view.revision)),
        (Ok(_), None) => return refused(None, OpError::NotFound("identity")),
        (Err(error), _) => return refused(None, error),
    };
    match stands_so(kernel, caller, deed, &view, reason).await {
        Ok(true) => return Rehearsed { identity: id, revision, outcome: Outcome::StandsSo },
        Ok(false) => {}
        Err(error) => return refused(revision, error),
    }
    match Box::pin(rehearsed(done(kernel, caller, deed, id, reason))).await {
        Ok(_) => Rehearsed { identity: id, revision, outcome: Outcome::Done },
        Err(error) => refused(revision, error),
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
