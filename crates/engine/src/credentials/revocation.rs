//! Revoking: a credential, or everything that was issued in a scope until now, with one record (invariant 4).

use tenure_api::requests::Revocation;
use tenure_api::views::ReceiptView;
use tenure_core::base::id::{CredentialId, IdentityId, PersonId, ReceiptId};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::credential::receipt::{Narrowed, Receipt, ReceiptOf, Target};
use tenure_core::identity::scope::{Cut, Scope};
use tenure_core::identity::{Identity, RevocationTrigger};
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, Author, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Position, Stored};

use crate::credentials::holds::{self, releaser};
use crate::credentials::{receipts, suspension};
use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::{Asked, check_reason};

/// Revokes, and proves it: in force at introspection and decisions before this returns; the receipt follows.
///
/// # Errors
/// There is no such target, or the caller may not.
pub async fn revoke(kernel: &Kernel, caller: &Caller, ask: Revocation) -> Result<ReceiptView, OpError> {
    check_reason(&ask.reason)?;
    let target = Target::from(ask.target);
    let subject = match &target {
        Target::Credential(id) => id.to_string(),
        Target::Scope(scope) => scope.subject(),
        Target::Person(id) => id.to_string(),
    };
    if ask.suspend && matches!(target, Target::Credential(_)) {
        let hint = "a credential is revoked for good; to stop its identity as well, cut the identity with suspend";
        return Err(OpError::field("suspend", "suspend_without_scope", hint));
    }
    let (receipt, log) = kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "revoke", subject), async {
            let (receipt, committed) = match &target {
                Target::Credential(id) => revoke_credential(kernel, caller, *id, &ask.reason).await?,
                Target::Scope(scope) => cut(kernel, caller, scope, &ask.reason, ask.suspend).await?,
                Target::Person(_) => return Err(OpError::NotFound("sort of thing that is cut")),
            };
            Ok((receipt, kernel.logged(&committed).await?))
        })
        .await?;
    let mut view = receipts::first_receipt(kernel, receipt).await?;
    view.log = Some(log);
    if let (true, Target::Scope(scope)) = (ask.suspend, &target) {
        view.releasers = Some(holds::releasers(kernel, scope, caller.person_id(), releaser(caller)).await?);
    }
    Ok(view)
}

async fn revoke_credential(
    kernel: &Kernel,
    caller: &Caller,
    id: CredentialId,
    reason: &str,
) -> Result<(ReceiptId, tenure_core::store::port::Committed), OpError> {
    kernel
        .decide(|| async {
            let now = kernel.now();
            let stored = kernel.must::<Credential>("credential", id).await?;
            let identity = kernel.must::<Identity>("identity", stored.identity).await?;
            kernel.allow(
                caller,
                Action::Revoke,
                inventory("credential", id, &stored.environment),
                owns(owns_identity(caller, &identity)),
            )?;
            Ok(revoking(kernel, caller.author(), &stored, reason, now))
        })
        .await
}

/// The changes that revoke one credential. Revoking it again keeps the first time: terminal is terminal.
pub(crate) fn revoking(
    kernel: &Kernel,
    author: impl Into<Author>,
    stored: &Stored<Credential>,
    reason: &str,
    now: Timestamp,
) -> (Changeset, ReceiptId) {
    let credential = Credential { revoked_at: stored.revoked_at.or(Some(now)), ..(*stored.value).clone() };
    let event = kernel
        .event(now, EventKind::CredentialRevoked)
        .subject(stored.id)
        .subject(stored.identity)
        .fact("reason", reason)
        .fact("expires_at", stored.expires_at);
    let mut changeset = Changeset::new(author, now, event);
    changeset.replace(stored, &credential);
    let receipt = ask_receipt(kernel, &mut changeset, Target::Credential(stored.id), None, reason, now);
    (changeset, receipt)
}

async fn cut(
    kernel: &Kernel,
    caller: &Caller,
    scope: &Scope,
    reason: &str,
    suspend: bool,
) -> Result<(ReceiptId, tenure_core::store::port::Committed), OpError> {
    kernel
        .decide(|| async {
            let now = kernel.now();
            let own = holds::owns_scope(kernel, caller, scope).await?;
            kernel.allow(caller, Action::Revoke, inventory("scope", scope, ""), owns(own))?;
            let event = kernel
                .event(now, EventKind::ScopeCut)
                .subject(scope.subject())
                .fact("scope", scope.kind())
                .fact("reason", reason)
                .fact("suspend", suspend);
            let mut changeset = Changeset::new(caller.author(), now, event);
            let receipt = cut_with_receipt(kernel, &mut changeset, scope.clone(), reason, now).await?;
            if suspend {
                stop_scope(kernel, caller, &mut changeset, scope, own, reason, now).await?;
            }
            Ok((changeset, receipt))
        })
        .await
}

/// Keeps what was cut from coming back: an identity is suspended, another scope held. What is stopped already stays so.
async fn stop_scope(
    kernel: &Kernel,
    caller: &Caller,
    changeset: &mut Changeset,
    scope: &Scope,
    own: bool,
    reason: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    if let Scope::Identity(id) = scope {
        kernel.allow(caller, Action::Suspend, inventory("identity", id, ""), owns(own))?;
        let stored = kernel.must::<Identity>("identity", id).await?;
        return suspension::suspend_with_cut(kernel, caller, changeset, &stored, reason, now);
    }
    let by = caller.must_be_person()?;
    kernel.allow(caller, Action::Suspend, inventory("scope", scope, ""), owns(own))?;
    if holds::hold_in(kernel, changeset, by, scope, reason, now).await?.is_some() {
        changeset.event(holds::held_event(kernel, scope, reason, now));
    }
    Ok(())
}

/// Adds a cut of a scope and the request for its receipt.
pub(crate) async fn cut_with_receipt(
    kernel: &Kernel,
    changeset: &mut Changeset,
    scope: Scope,
    reason: &str,
    now: Timestamp,
) -> Result<ReceiptId, OpError> {
    let cut = Cut { scope: scope.clone(), reason: reason.to_owned(), at: now };
    let read = kernel.one::<Cut>(&scope).await?;
    let previous = read.as_ref().map(|cut| cut.position);
    match &read {
        Some(read) => changeset.replace(read, &cut),
        None => changeset.insert(&cut),
    };
    Ok(ask_receipt(kernel, changeset, Target::Scope(scope), previous, reason, now))
}

/// Adds what proves that a suspension is in force everywhere: of what is cut by it, the cut and its receipt, else a
/// receipt of its own (R103).
pub(crate) async fn suspended_with_receipt(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &Identity,
    reason: &str,
    now: Timestamp,
) -> Result<ReceiptId, OpError> {
    let scope = Scope::Identity(identity.id);
    if identity.charter.auto_revocation.contains(&RevocationTrigger::Suspension) {
        return cut_with_receipt(kernel, changeset, scope, reason, now).await;
    }
    Ok(held_with_receipt(kernel, changeset, scope, reason, now))
}

/// Adds the request for the receipt of a hold on a scope, or of a suspension.
pub(crate) fn held_with_receipt(
    kernel: &Kernel,
    changeset: &mut Changeset,
    scope: Scope,
    reason: &str,
    now: Timestamp,
) -> ReceiptId {
    let receipt = open_receipt(kernel, changeset, ReceiptOf::Suspension, Target::Scope(scope), reason, now);
    asked(changeset, receipt, now)
}

/// Adds the request for the receipt of a person's suspension, or of their leaving: of what stands for them and of what
/// they hold.
pub(crate) fn person_with_receipt(
    kernel: &Kernel,
    changeset: &mut Changeset,
    what: ReceiptOf,
    person: PersonId,
    reason: &str,
    now: Timestamp,
) -> ReceiptId {
    let receipt = open_receipt(kernel, changeset, what, Target::Person(person), reason, now);
    asked(changeset, receipt, now)
}

/// Adds the request for the receipt of a narrowing: what was dropped has to be refused beside what was kept.
pub(crate) fn narrowed_with_receipt(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: IdentityId,
    narrowed: Vec<Narrowed>,
    reason: &str,
    now: Timestamp,
) -> ReceiptId {
    let target = Target::Scope(Scope::Identity(identity));
    let receipt = open_receipt(kernel, changeset, ReceiptOf::Narrowing, target, reason, now);
    asked(changeset, Receipt { narrowed, ..receipt }, now)
}

/// Adds an open receipt of a revocation and the work that fills it.
fn ask_receipt(
    kernel: &Kernel,
    changeset: &mut Changeset,
    target: Target,
    previous: Option<Position>,
    reason: &str,
    now: Timestamp,
) -> ReceiptId {
    let receipt = open_receipt(kernel, changeset, ReceiptOf::Revocation, target, reason, now);
    asked(changeset, Receipt { previous, ..receipt }, now)
}

fn asked(changeset: &mut Changeset, receipt: Receipt, now: Timestamp) -> ReceiptId {
    changeset.insert(&receipt);
    changeset.due.push(DueChange::Set(DueKind::Receipt, receipt.id.to_string(), now));
    receipt.id
}

fn open_receipt(
    kernel: &Kernel,
    changeset: &Changeset,
    what: ReceiptOf,
    target: Target,
    reason: &str,
    now: Timestamp,
) -> Receipt {
    Receipt {
        what,
        narrowed: Vec::new(),
        lifted_at: None,
        accounts: None,
        person: None,
        id: ReceiptId::generate(now, kernel.entropy.as_ref()),
        target,
        reason: reason.to_owned(),
        requested_by: changeset.actor.clone(),
        asked_at: now,
        in_force_at: now,
        position: None,
        previous: None,
        points: Vec::new(),
        progress: None,
        left: Vec::new(),
        returning: None,
        attempts: 0,
        signed: None,
    }
}

/// Revokes a credential at its client's own request (RFC 7009).
///
/// # Errors
/// The store can't take it.
pub(crate) async fn revoke_own(
    kernel: &Kernel,
    identity: IdentityId,
    id: CredentialId,
) -> Result<Option<ReceiptId>, OpError> {
    let Some(read) = kernel.one::<Credential>(id).await? else {
        return Ok(None);
    };
    if read.identity != identity {
        return Ok(None);
    }
    let (receipt, _) = kernel
        .decide(|| async {
            let stored = kernel.must::<Credential>("credential", id).await?;
            Ok(revoking(kernel, Actor::Identity { id: identity }, &stored, "asked by its client", kernel.now()))
        })
        .await?;
    Ok(Some(receipt))
}
