//! The end of one consumer of a shared identity, and of no other (R105).

use tenure_api::requests::ConsumerEnd;
use tenure_api::views::IdentityView;
use tenure_core::base::id::{BindingId, IdentityId, ReceiptId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::identity::binding::Binding;
use tenure_core::identity::{CharterDraft, CredentialType, Identity, IdentityState};
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::credentials::revocation;
use crate::identities::consumers::{bindings_in, remove};
use crate::identities::{charter, lifecycle, view};
use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::Query;

/// Credentials of a consumer that are revoked with a receipt each when it ends. Whatever else it holds is dead by the same
/// commit, since its binding is.
const RECEIPTS: usize = 50;

/// Ends one consumer of a shared identity: its binding is gone for ever, what it holds is dead, and the others go on.
///
/// # Errors
/// The identity isn't shared by it, or it is the last one, or it isn't told apart; or the caller is neither the owner nor
/// of security.
pub async fn end_consumer(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    ask: ConsumerEnd,
) -> Result<IdentityView, OpError> {
    let ask = &ask;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "identity.end_consumer", id), async {
            check_reason(&ask.reason)?;
            let ((), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Identity>("identity", id).await?;
                    Ok((ending(kernel, caller, &stored, ask, now).await?, ()))
                })
                .await?;
            let stored = kernel.must::<Identity>("identity", id).await?;
            view::identity_view(kernel, (*stored.value).clone(), stored.revision, Some(&committed)).await
        })
        .await
}

async fn ending(
    kernel: &Kernel,
    caller: &Caller,
    stored: &Stored<Identity>,
    ask: &ConsumerEnd,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let environment = stored.charter.environment.as_deref().unwrap_or("");
    let own = owns(owns_identity(caller, stored));
    kernel.allow(caller, Action::Revoke, inventory("identity", stored.id, environment), own)?;
    let narrower = without(stored, &ask.consumer)?;
    // The charter's own binding goes with the only consumer that proves itself by it.
    let own_binding = !bindings_in(&stored.charter).iter().any(|bound| bound.consumer == ask.consumer);
    let event = kernel
        .event(now, EventKind::ConsumerEnded)
        .subject(stored.id)
        .fact("consumer", &ask.consumer)
        .fact("reason", &ask.reason);
    let mut changeset = Changeset::new(caller.author(), now, event);
    let mut identity = (*stored.value).clone();
    let ended = |binding: &Binding| {
        if own_binding { binding.consumer.is_none() } else { binding.consumer.as_ref() == Some(&ask.consumer) }
    };
    let bindings = remove(kernel, &mut changeset, &mut identity, ended, now).await?;
    let receipts = revoked(kernel, &mut changeset, stored.id, &bindings, &ask.reason, now).await?;
    if let Some(first) = changeset.events.first_mut() {
        *first = first.clone().fact("bindings", &bindings).fact("receipts", &receipts);
    }
    charter::rechartered_from(kernel, &mut changeset, stored, identity, narrower, now).await?;
    Ok(changeset)
}

/// The charter without a consumer.
fn without(identity: &Identity, consumer: &str) -> Result<CharterDraft, OpError> {
    if !matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("the identity is {}: its charter is written anew", identity.state.as_str()),
        ));
    }
    let mut charter = identity.charter.clone();
    let shared = charter.shared.as_mut().filter(|shared| shared.consumers.iter().any(|name| name == consumer));
    let Some(shared) = shared else {
        return Err(OpError::field("consumer", "consumer_unknown", "name one of the consumers of its charter"));
    };
    if shared.consumers.len() == 1 {
        return Err(OpError::because(
            Reason::IllegalTransition,
            "it is the last consumer: retire the identity, or narrow its charter by `shared`",
        ));
    }
    let has_own = shared.bindings.iter().any(|bound| bound.consumer == consumer);
    if !has_own && shared.untold().count() > 1 {
        return Err(OpError::because(
            Reason::IllegalTransition,
            "it proves itself as others do: give each a binding of its own first (`shared.bindings`, by a request)",
        ));
    }
    shared.consumers.retain(|name| name != consumer);
    shared.bindings.retain(|bound| bound.consumer != consumer);
    if shared.consumers.len() == 1 && shared.bindings.is_empty() {
        charter.shared = None;
    }
    Ok(charter)
}

/// Revokes what was issued on bindings, with a receipt each: every login, and of the rest as much as one commit takes.
async fn revoked(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: IdentityId,
    bindings: &[BindingId],
    reason: &str,
    now: Timestamp,
) -> Result<Vec<ReceiptId>, OpError> {
    let (mut receipts, mut others) = (Vec::new(), 0_usize);
    let mut pages = kernel.pages(Query::of([Credential::IDENTITY.of(identity)]).newest_first(true));
    while let Some(found) = pages.next().await? {
        for credential in found.readable() {
            let is_theirs = credential.binding.is_some_and(|binding| bindings.contains(&binding));
            if !is_theirs || credential.revoked_at.is_some() || credential.expires_at <= now {
                continue;
            }
            // What stands at a target is taken away there by its own record.
            others += usize::from(credential.kind != CredentialType::Login);
            if others > RECEIPTS && credential.kind != CredentialType::Login {
                continue;
            }
            let author = changeset.actor.clone();
            let (one, receipt) = revocation::revoking(kernel, author, &credential, reason, now);
            lifecycle::absorb(changeset, one);
            receipts.push(receipt);
        }
    }
    Ok(receipts)
}
