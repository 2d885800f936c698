//! Consumers of a shared identity (R105): each proves itself by a binding of its own, its use is told apart, and it ends
//! alone.

use tenure_api::requests::ConsumerEnd;
use tenure_api::views::{ConsumerView, IdentityView};
use tenure_core::base::id::{BindingId, IdentityId, ReceiptId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::identity::binding::{Binding, BindingState};
use tenure_core::identity::{CharterDraft, ConsumerBinding, CredentialType, Identity, IdentityState, WorkloadBinding};
use tenure_core::policy::Action;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::trust::claim;
use tenure_core::trust::issuer::Issuer;

use crate::credentials::revocation;
use crate::identities::registration::{self, Bound};
use crate::identities::{charter, lifecycle, view};
use crate::inventory::references;
use crate::kernel::authority::{inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::Query;
use crate::kernel::{Kernel, work};

/// Credentials of a consumer that are revoked with a receipt each when it ends. Whatever else it holds is dead by the same
/// commit, since its binding is.
const RECEIPTS: usize = 50;

/// What a charter names of consumers that prove themselves apart.
pub(crate) fn bindings_in(charter: &CharterDraft) -> &[ConsumerBinding] {
    charter.shared.as_ref().map_or(&[], |shared| &shared.bindings)
}

/// Makes the bindings of consumers that a charter names and another one didn't, and takes those away that it names no
/// more.
pub(crate) async fn follow(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &mut Identity,
    before: &CharterDraft,
    now: Timestamp,
) -> Result<(), OpError> {
    let (old, new) = (bindings_in(before), bindings_in(&identity.charter).to_vec());
    for gone in old.iter().filter(|bound| !new.contains(bound)) {
        remove(kernel, changeset, identity, |binding| binding.consumer.as_ref() == Some(&gone.consumer), now).await?;
    }
    let added: Vec<ConsumerBinding> = new.into_iter().filter(|bound| !old.contains(bound)).collect();
    insert(kernel, changeset, identity, &added, now).await
}

/// Makes bindings of consumers.
pub(crate) async fn insert(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &mut Identity,
    added: &[ConsumerBinding],
    now: Timestamp,
) -> Result<(), OpError> {
    let charter = identity.charter.clone();
    let mut claimed: Vec<&WorkloadBinding> = charter.workload_binding.iter().collect();
    for (n, bound) in added.iter().enumerate() {
        let issuer = references::issuer_of(kernel, &bound.binding).await?;
        if claimed.iter().any(|other| overlap(other, &bound.binding, issuer.as_ref())) {
            return Err(OpError::because(
                Reason::KeyAlreadyBound,
                format!(
                    "a token that fits {} would fit another binding too: fix a claim in which they differ",
                    bound.consumer
                ),
            ));
        }
        claimed.push(&bound.binding);
        let field = format!("charter.shared.bindings[{n}].binding");
        let what =
            Bound { binding: &bound.binding, issuer: issuer.as_ref(), consumer: Some(&bound.consumer), field: &field };
        let Some((binding, mut once)) = registration::bound(kernel, identity.id, what, now).await? else { continue };
        if changeset.once.iter().any(|used| used.space == once.space && used.key == once.key) {
            // Two keys are the same one; of claims about one workload each takes a number of its own.
            if once.space != "oidc_subject" {
                return Err(OpError::because(
                    Reason::KeyAlreadyBound,
                    "two consumers can't prove themselves by one key",
                ));
            }
            once.key = format!("{} {n}", once.key);
        }
        identity.bindings.push(binding.id);
        changeset.insert(&binding);
        changeset.once.push(once);
    }
    Ok(())
}

/// Whether a token of one issuer could fit both.
fn overlap(one: &WorkloadBinding, other: &WorkloadBinding, issuer: Option<&Issuer>) -> bool {
    let (
        WorkloadBinding::Oidc { issuer: first, claims: one, .. },
        WorkloadBinding::Oidc { issuer: second, claims: other, .. },
    ) = (one, other)
    else {
        return false;
    };
    first == second && issuer.is_some_and(|issuer| claim::overlap(issuer.preset, one, other))
}

/// Takes bindings of an identity away for ever: what was issued on them is dead from here on.
async fn remove(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &mut Identity,
    which: impl Fn(&Binding) -> bool,
    now: Timestamp,
) -> Result<Vec<BindingId>, OpError> {
    let mut removed = Vec::new();
    for id in identity.bindings.clone() {
        let stored = kernel.must::<Binding>("binding", id).await?;
        if !which(&stored) {
            continue;
        }
        let event = kernel
            .event(now, EventKind::BindingRemoved)
            .subject(id)
            .subject(identity.id)
            .fact("consumer", &stored.consumer);
        changeset.event(event);
        changeset.replace(&stored, &Binding { state: BindingState::Removed, ..(*stored.value).clone() });
        identity.bindings.retain(|held| *held != id);
        removed.push(id);
    }
    Ok(removed)
}

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

/// The consumers of a shared identity, each with how it is told apart and when it was used last.
pub(crate) async fn consumers_of(kernel: &Kernel, identity: &Identity) -> Result<Vec<ConsumerView>, OpError> {
    let Some(shared) = &identity.charter.shared else { return Ok(Vec::new()) };
    let mut bindings = Vec::new();
    for id in &identity.bindings {
        bindings.extend(kernel.one::<Binding>(id).await?);
    }
    let mut consumers = Vec::with_capacity(shared.consumers.len());
    for name in &shared.consumers {
        let own = bindings.iter().find(|binding| identity.consumer_of(binding) == Some(name));
        let last_used = match own {
            Some(binding) => work::last_used(kernel, &binding.id.to_string()).await?,
            None => None,
        };
        consumers.push(ConsumerView {
            consumer: name.clone(),
            binding: own.map(|binding| binding.id),
            workload: own.map(|binding| binding.workload.clone()),
            last_used,
        });
    }
    Ok(consumers)
}
