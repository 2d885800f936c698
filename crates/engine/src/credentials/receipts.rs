//! Receipts: after a revocation is in force, each enforcement is checked, and what it did is signed (R72, S-18).

mod check;
pub mod plan;
mod stopped;

use tenure_api::views::{Names, ReceiptView};
use tenure_core::base::id::{IdentityId, PersonId, ReceiptId};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::{Left, PersonPoints, Receipt, ReceiptState, Target};
use tenure_core::identity::scope::{Membership, Scope};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Actor;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::{BoxFuture, Claimed};
use tenure_core::store::row::{Record, Stored};

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, authority, keys};

/// What a person had when they were suspended or left, and what became of it: decided where people's access is.
pub(crate) type TheirPoints =
    for<'a> fn(&'a Kernel, PersonId, &'a Receipt, Timestamp) -> BoxFuture<'a, Result<PersonPoints, OpError>>;

/// Of a receipt that is about no person.
fn nobodys<'a>(
    _: &'a Kernel,
    _: PersonId,
    _: &'a Receipt,
    _: Timestamp,
) -> BoxFuture<'a, Result<PersonPoints, OpError>> {
    Box::pin(std::future::ready(Ok(PersonPoints::default())))
}

/// A receipt as it stands.
///
/// # Errors
/// No such receipt, or the caller may not read it.
pub async fn receipt(kernel: &Kernel, caller: &Caller, id: ReceiptId) -> Result<ReceiptView, OpError> {
    let stored = kernel.sought::<Receipt>(caller, "receipt", id).await?;
    let asked_by_caller = matches!(&stored.requested_by, Actor::Person { id, .. } if Some(*id) == caller.person_id());
    authority::may_read(kernel, caller, "receipt", &id.to_string(), asked_by_caller).await?;
    Ok(view(&stored))
}

/// The last receipts, the newest first.
///
/// # Errors
/// The caller may not read receipts.
pub async fn last_receipts(kernel: &Kernel, caller: &Caller, most: u16) -> Result<Vec<ReceiptView>, OpError> {
    authority::may_read(kernel, caller, "receipt", "", false).await?;
    let newest = Query::every().newest_first(true).limit(most);
    Ok(kernel.find(newest).await?.readable().iter().map(|stored| view(stored)).collect())
}

/// The public key with which receipts can be checked, as a JWK.
///
/// # Errors
/// Set-up has not been done.
pub async fn receipt_key(kernel: &Kernel) -> Result<serde_json::Value, OpError> {
    let keys = keys::deployment_keys(kernel).await?;
    Ok(tenure_credentials::token::public_jwk(keys.receipt.kid(), &keys.receipt_public))
}

/// A receipt, signed: what its record holds once every point has answered.
///
/// # Errors
/// Set-up has not been done, or the receipt can't be told as JSON.
pub async fn signed(kernel: &Kernel, receipt: &Receipt) -> Result<String, OpError> {
    check::signed(kernel, receipt).await
}

/// The receipt of a revocation that is in force: its first batch is checked at once, the others by a worker. What goes
/// wrong with the check is the worker's to repeat: the revocation itself stands, and its caller is told so.
pub(crate) async fn first_receipt(kernel: &Kernel, id: ReceiptId) -> Result<ReceiptView, OpError> {
    let checked = check_receipt(kernel, id).await;
    match checked {
        Ok(view) => return Ok(view),
        Err(error) => tracing::warn!(%error, receipt = %id, "the receipt is checked again by a worker"),
    }
    Ok(view(&*kernel.must::<Receipt>("receipt", id).await?))
}

async fn check_receipt(kernel: &Kernel, id: ReceiptId) -> Result<ReceiptView, OpError> {
    let (receipt, _) = kernel
        .decide(|| async {
            let now = kernel.now();
            let stored = kernel.must::<Receipt>("receipt", id).await?;
            let receipt = check::step(kernel, &stored, nobodys, now).await?;
            let mut changeset = receipt_changes(kernel, &stored, &receipt, now);
            changeset.due.push(match plan::next(&receipt, now) {
                // Who waits for this receipt still looks at it once more.
                plan::Next::Settled if waits_for(&receipt) => DueChange::Set(DueKind::Receipt, id.to_string(), now),
                plan::Next::Settled => DueChange::Clear(DueKind::Receipt, id.to_string()),
                plan::Next::At(at) => DueChange::Set(DueKind::Receipt, id.to_string(), at),
            });
            Ok((changeset, receipt))
        })
        .await?;
    Ok(view(&receipt))
}

fn waits_for(receipt: &Receipt) -> bool {
    matches!(receipt.target, Target::Scope(Scope::Identity(_)))
}

fn receipt_changes(kernel: &Kernel, stored: &Stored<Receipt>, receipt: &Receipt, now: Timestamp) -> Changeset {
    let event = kernel
        .event(now, EventKind::RevocationChecked)
        .subject(receipt.id)
        .fact("what", receipt.what)
        .fact("state", receipt.state())
        .fact("position", receipt.position)
        .fact("points", receipt.points.len())
        .fact("signed", receipt.signed.is_some());
    let event = match &receipt.progress {
        Some(progress) => event.fact("identities", progress.identities),
        None => event,
    };
    let mut changeset = Changeset::new(Actor::System { part: "receipts".into() }, now, event);
    changeset.replace(stored, receipt);
    changeset
}

/// Works off a claimed receipt: checks it, or its next batch, if it is open, and finishes the identity that waited for
/// it.
pub(crate) async fn work_receipt(
    kernel: &Kernel,
    claimed: &Claimed,
    theirs: TheirPoints,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<ReceiptId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Receipt>(id).await? else {
        return Ok(None);
    };
    let receipt = match stored.signed {
        Some(_) => (*stored.value).clone(),
        None => check::step(kernel, &stored, theirs, now).await?,
    };
    let mut changeset = receipt_changes(kernel, &stored, &receipt, now);
    let next = plan::next(&receipt, now);
    changeset.due.extend(next_look(kernel, claimed, next).await?);
    if next == plan::Next::Settled
        && let Target::Scope(Scope::Identity(identity)) = &receipt.target
        && let Some(read) = kernel.one::<Identity>(identity).await?
        && read.state == IdentityState::Retiring
        && is_last(kernel, &mut changeset, &receipt, now).await?
    {
        let finished = (*read.value).clone().finish_retiring(now)?;
        changeset.event(kernel.event(now, EventKind::IdentityRetired).subject(identity).fact("receipt", receipt.id));
        changeset.replace(&read, &finished);
    }
    Ok(Some(changeset))
}

/// What becomes of the deadline of a receipt that was looked at. Whoever had it look once more meanwhile took the lease
/// away: what was seen counts all the same, as the receipt's revision holds it, and the new deadline stands. Otherwise ends
/// that go on would keep it from ever being looked at.
async fn next_look(kernel: &Kernel, claimed: &Claimed, next: plan::Next) -> Result<Option<DueChange>, OpError> {
    let (kind, subject) = (claimed.kind, claimed.subject.clone());
    let known = kernel.store.deadlines(&[(kind, subject.clone())]).await?;
    Ok(match (known.first().copied().flatten(), next) {
        (Some(known), _) if known.fence != claimed.fence => None,
        (Some(_), plan::Next::At(at)) => Some(DueChange::Retry(kind, subject, claimed.fence, at)),
        (Some(_), plan::Next::Settled) => Some(DueChange::Ack(kind, subject, claimed.fence)),
        (None, plan::Next::At(at)) => Some(DueChange::Set(kind, subject, at)),
        (None, plan::Next::Settled) => None,
    })
}

/// An identity leaves a scope: receipts of that scope that aren't signed yet follow it, as what was issued to it before
/// their revocations is revoked.
pub(crate) async fn note_leaving(
    kernel: &Kernel,
    changeset: &mut Changeset,
    membership: &Membership,
    identity: IdentityId,
) -> Result<(), OpError> {
    let mut receipts = kernel.pages(Query::of([Receipt::TARGET.of(Target::Scope(membership.scope.clone()))]));
    while let Some(found) = receipts.next().await? {
        for stored in found.whole()? {
            if stored.signed.is_some() || !stored.created.is_after(membership.joined) {
                continue;
            }
            let mut receipt = (*stored.value).clone();
            let looked_at = receipt.progress.as_ref().is_some_and(|progress| identity.to_string() <= progress.after);
            receipt.left.retain(|left| left.identity != identity);
            receipt.left.push(Left { identity, seen_in: looked_at.then_some(receipt.attempts) });
            changeset.replace(&stored, &receipt);
        }
    }
    Ok(())
}

/// Whether no other receipt of the same target is open: `retired` waits for the last one, also of revocations before
/// the end. That the others are open is a precondition, so that of two that settle at once the later one finishes.
async fn is_last(
    kernel: &Kernel,
    changeset: &mut Changeset,
    receipt: &Receipt,
    now: Timestamp,
) -> Result<bool, OpError> {
    let mut last = true;
    let mut same = kernel.pages(Query::of(receipt.terms()).limit(500));
    while let Some(found) = same.next().await? {
        for other in found.whole()? {
            if other.id != receipt.id && plan::next(&other, now) != plan::Next::Settled {
                changeset.expect(&other);
                last = false;
            }
        }
    }
    Ok(last)
}

fn view(receipt: &Receipt) -> ReceiptView {
    let state: ReceiptState = receipt.state();
    ReceiptView { receipt: receipt.clone(), state, releasers: None, log: None, names: Names::new() }
}

#[cfg(test)]
mod tests;
