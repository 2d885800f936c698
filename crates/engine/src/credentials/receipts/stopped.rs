//! What the receipts of suspensions and narrowings ask besides those of revocations: whether what they prove still stands,
//! and what an account, or a credential that is left, may do no more (R103).

use tenure_core::base::id::ResourceId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::credential::receipt::{AccountOutcome, NarrowedAt, PointState, Receipt, ReceiptOf, Target};
use tenure_core::identity::grant::Grant;
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::people::person::Person;
use tenure_core::store::row::Stored;
use tenure_core::target::account::{Account, AccountState};

use crate::credentials::liveness;
use crate::credentials::receipts::check::{control, find_credential};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::{self, Query};

/// Whether a suspension, or a narrowing, was taken back: then there is nothing left to prove of it.
pub(super) async fn is_lifted(kernel: &Kernel, receipt: &Receipt) -> Result<bool, OpError> {
    let scope = match &receipt.target {
        Target::Scope(scope) => scope,
        Target::Credential(_) => return Ok(false),
        Target::Person(id) => {
            let person = kernel.one::<Person>(id).await?;
            let is_back = person.is_some_and(|person| person.is_active());
            return Ok(receipt.what == ReceiptOf::Suspension && is_back);
        }
    };
    match (receipt.what, scope) {
        (ReceiptOf::Revocation, _) => Ok(false),
        (ReceiptOf::Suspension, Scope::Identity(id)) => {
            let identity = kernel.one::<Identity>(id).await?;
            let works = identity.is_some_and(|identity| identity.state == IdentityState::Active);
            Ok(works && query::hold_on(kernel, scope).await?.is_none())
        }
        (ReceiptOf::Suspension, _) => Ok(query::hold_on(kernel, scope).await?.is_none()),
        (ReceiptOf::Narrowing, Scope::Identity(id)) => is_granted_again(kernel, receipt, *id).await,
        (ReceiptOf::Narrowing, _) => Ok(false),
    }
}

/// Whether something that was dropped was granted anew since.
async fn is_granted_again(
    kernel: &Kernel,
    receipt: &Receipt,
    identity: tenure_core::base::id::IdentityId,
) -> Result<bool, OpError> {
    let Some(position) = receipt.position else { return Ok(false) };
    let now = kernel.now();
    let mut grants = kernel.pages(Query::<Grant>::of([Grant::IDENTITY.of(identity)]));
    while let Some(found) = grants.next().await? {
        let again = |grant: &Stored<Grant>| {
            let dropped = grant.entitlement.resource.parse().map_or(&[][..], |resource| receipt.dropped_at(resource));
            grant.created.is_after(position)
                && grant.is_live(now)
                && grant.entitlement.actions.iter().any(|action| dropped.contains(action))
        };
        if found.whole()?.iter().any(again) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What became of an account that has to be stopped or ended; nothing of one that may stand: it got another secret
/// since.
pub(super) fn stopped_account(account: &Account, wanted: AccountState) -> Option<AccountOutcome> {
    if wanted == AccountState::Standing {
        return None;
    }
    let intent = account.intent.as_ref().filter(|intent| intent.to == wanted);
    Some(intent.map_or(AccountOutcome::Requested, |intent| intent.outcome.clone()))
}

/// What became of an account that was narrowed; nothing of another one. One that was ended since has no grants.
pub(super) fn narrowed_account(receipt: &Receipt, account: &Account) -> Option<AccountOutcome> {
    if !receipt.narrowed.iter().any(|narrowed| narrowed.at == NarrowedAt::Account(account.id)) {
        return None;
    }
    let ended = account.intent.as_ref().filter(|_| account.state == AccountState::Ended);
    let outcome =
        ended.map(|intent| &intent.outcome).or(account.narrowing.as_ref().map(|narrowing| &narrowing.outcome));
    Some(outcome.cloned().unwrap_or(AccountOutcome::Requested))
}

/// What the enforcement points of a resource answer to a credential that was issued before a narrowing, for what was
/// dropped; nothing if none that lives could do it. What the same credential may still do is the positive control.
pub(super) async fn narrowed(
    kernel: &Kernel,
    receipt: &Receipt,
    resource: ResourceId,
    identity: &Identity,
    now: Timestamp,
) -> Result<Option<PointState>, OpError> {
    let before = receipt.position.unwrap_or_default();
    let dropped = receipt.dropped_at(resource);
    let could = |credential: &Stored<Credential>| {
        credential.resource == resource
            && before.is_after(credential.created)
            && credential.revoked_at.is_none()
            && credential.actions.iter().any(|action| dropped.contains(action))
    };
    let Some(probe) = find_credential(kernel, identity, now, could).await? else {
        return Ok(None);
    };
    let Some(held) = liveness::held(kernel, probe.id, now).await? else {
        let why = format!("the credential {} could not be checked", probe.id);
        return Ok(Some(PointState::Unproven { at: now, why }));
    };
    let (reason, control) = match held.status {
        Ok(()) => match held.actions.iter().find(|action| dropped.contains(action)) {
            Some(action) => {
                let why = format!("the credential {} may still {action}", probe.id);
                return Ok(Some(PointState::Unproven { at: now, why }));
            }
            None => (Reason::NoLiveGrant, Some(probe.id)),
        },
        Err(reason) => (reason, control(kernel, resource, probe.id, now).await?),
    };
    Ok(Some(PointState::Refused { at: kernel.now(), probe: probe.id, reason: reason.code().to_owned(), control }))
}
