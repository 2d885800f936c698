//! Consumers of a shared identity (R105): each proves itself by a binding of its own, and its use is told apart.

use tenure_api::views::ConsumerView;
use tenure_core::base::id::BindingId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::binding::{Binding, BindingState};
use tenure_core::identity::{CharterDraft, ConsumerBinding, Identity, WorkloadBinding};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event_kind::EventKind;
use tenure_core::trust::claim;
use tenure_core::trust::issuer::Issuer;

use crate::identities::bindings::{self, Bound};
use crate::inventory::references;
use crate::kernel::error::OpError;
use crate::kernel::{Kernel, work};

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
        let Some((binding, mut once)) = bindings::bound(kernel, identity.id, what, now).await? else { continue };
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
pub(crate) async fn remove(
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
