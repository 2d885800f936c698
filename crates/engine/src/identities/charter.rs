//! Another charter for an identity: its grants follow.

use tenure_core::base::id::GrantId;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::{Narrowed, NarrowedAt};
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::identity::{CharterDraft, Coverage, Identity, narrows};
use tenure_core::inventory::entitlement::{Entitlement, WILDCARD};
use tenure_core::request::{Matter, Request, RequestState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::credentials::revocation;
use crate::identities::{consumers, dormancy, grants};
use crate::inventory::references;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::load::charter_of;
use crate::people::teams::look_at_groups;

/// The identity gets another charter: its grants follow. What is no longer covered is taken back at once; what is new
/// is granted by the request; a narrowing needs none. The tier falls only by a request for this charter, which the old
/// tier's approvers decided.
pub(crate) async fn rechartered(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    charter: CharterDraft,
    request: Option<&mut Request>,
    now: Timestamp,
) -> Result<(), OpError> {
    let mut identity = (*stored.value).clone();
    identity.recharter(charter, now);
    consumers::follow(kernel, changeset, &mut identity, &stored.charter, now).await?;
    followed(kernel, changeset, stored, identity, request, now).await
}

/// The same for an identity of which a consumer has ended in this commit: its bindings are as they have to be.
pub(crate) async fn rechartered_from(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    mut identity: Identity,
    charter: CharterDraft,
    now: Timestamp,
) -> Result<(), OpError> {
    identity.recharter(charter, now);
    followed(kernel, changeset, stored, identity, None, now).await
}

/// What follows from another charter.
async fn followed(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    mut identity: Identity,
    request: Option<&mut Request>,
    now: Timestamp,
) -> Result<(), OpError> {
    let old_end = charter_of(stored)?.end();
    look_at_groups(
        changeset,
        stored.charter.removal_group.filter(|before| identity.charter.removal_group != Some(*before)),
        now,
    );
    // The same but for its end, which the rule of tiers does not read.
    let moved = CharterDraft { expires_at: identity.charter.expires_at, ..stored.charter.clone() };
    let complete = identity.complete_charter().map_err(OpError::Invalid)?;
    let end = complete.end();
    let mut problems = Vec::new();
    let references = references::check_references(kernel, identity.kind, &identity.charter, &mut problems).await?;
    // A backup who has left, say, must not stand in the way of taking something away.
    if request.is_some() && !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    let tier = references.tier(identity.kind, &identity.charter);
    if request.as_ref().is_some_and(|request| matches!(request.matter, Matter::Charter { .. })) {
        identity.tier_kept = None;
        identity.derive_tier(tier);
    } else if identity.charter == moved {
        identity.derive_tier(tier);
    } else {
        identity.keep_tier(tier);
    }
    let mut event = kernel
        .event(now, EventKind::IdentityCharterChanged)
        .subject(identity.id)
        .fact("charter", &identity.charter)
        .fact("tier", identity.tier)
        .fact("tier_by_rule", tier)
        .fact("request", request.as_ref().map(|request| request.id));
    event = event.fact("narrowed", request.is_none());
    changeset.event(event);
    let mut missing = identity.charter.scope.clone();
    for id in stored.grants.clone() {
        let Some(read) = kernel.one::<Grant>(id).await? else {
            continue;
        };
        let mut grant = (*read.value).clone();
        let mut left = match complete.coverage {
            // Nothing is held at rest any more (R58).
            Coverage::JustInTime if !grant.just_in_time => Vec::new(),
            _ => inside(&grant.entitlement, &identity.charter.scope),
        }
        .into_iter();
        match left.next() {
            Some(entitlement) => grant.entitlement = entitlement,
            None => grant.entitlement.actions.clear(),
        }
        // What lasts as long as the identity goes on with it; what was given for a while does not.
        let lasts = !grant.just_in_time && grant.ends_at == old_end;
        grant.ends_at = if lasts { end } else { grant.ends_at.min(end) };
        if grant.entitlement.actions.is_empty() {
            grant.state = GrantState::Revoked;
            identity.grants.retain(|held| *held != id);
            changeset.event(kernel.event(now, EventKind::GrantRevoked).subject(id).subject(identity.id));
            changeset.due.push(DueChange::Clear(DueKind::Grant, id.to_string()));
        } else if grant.just_in_time {
            changeset.due.push(DueChange::Set(DueKind::Grant, id.to_string(), grant.ends_at));
        } else {
            take(&mut missing, &grant.entitlement);
        }
        for entitlement in left {
            // What a wildcard gave is told apart from here on.
            take(&mut missing, &entitlement);
            let part = Grant { id: GrantId::generate(now, kernel.entropy.as_ref()), entitlement, ..grant.clone() };
            identity.grants.push(part.id);
            changeset.event(grants::granted_event(kernel, &part, now));
            if part.just_in_time {
                changeset.due.push(DueChange::Set(DueKind::Grant, part.id.to_string(), part.ends_at));
            }
            changeset.insert(&part);
        }
        if grant != *read.value {
            changeset.event(grants::granted_event(kernel, &grant, now));
            changeset.replace(&read, &grant);
        }
    }
    // A narrower charter gives nothing: what it names still and no grant gives any more was taken back by somebody.
    let gives = complete.coverage != Coverage::JustInTime && !narrows(&stored.charter, &identity.charter);
    if let Some(request) = request.filter(|_| gives) {
        for entitlement in missing.into_iter().filter(|entitlement| !entitlement.actions.is_empty()) {
            let grant = grants::grant_of(kernel, identity.id, entitlement, end, request, now);
            identity.grants.push(grant.id);
            request.outcome.grants.push(grant.id);
            changeset.event(grants::granted_event(kernel, &grant, now));
            changeset.insert(&grant);
        }
    }
    let id = identity.id.to_string();
    changeset.due.push(DueChange::Set(DueKind::IdentityExpiry, id.clone(), end));
    if complete.idle_limit().is_some() {
        changeset.due.push(DueChange::Set(DueKind::IdentityIdle, id.clone(), now));
    }
    if let Some(at) = crate::identities::renewals::plan::opens(&identity) {
        changeset.due.push(DueChange::Set(DueKind::Renewal, id, at));
    }
    dormancy::watch(changeset, &identity, now);
    let narrowed = dropped(&stored.charter.scope, &identity.charter.scope);
    if !narrowed.is_empty() {
        let reason = "its charter was narrowed";
        revocation::narrowed_with_receipt(kernel, changeset, identity.id, narrowed, reason, now);
    }
    changeset.replace(stored, &identity);
    Ok(())
}

/// What one scope names and another one doesn't cover, resource by resource.
fn dropped(before: &[Entitlement], after: &[Entitlement]) -> Vec<Narrowed> {
    let mut narrowed: Vec<Narrowed> = Vec::new();
    for entitlement in before {
        let Ok(resource) = entitlement.resource.parse() else { continue };
        let at = NarrowedAt::Resource(resource);
        let gone = entitlement.actions.iter().filter(|action| !covers(after, action, &entitlement.resource));
        for action in gone {
            match narrowed.iter_mut().find(|narrowed| narrowed.at == at) {
                Some(narrowed) if narrowed.dropped.contains(action) => {}
                Some(narrowed) => narrowed.dropped.push(action.clone()),
                None => narrowed.push(Narrowed { at, dropped: vec![action.clone()] }),
            }
        }
    }
    narrowed
}

/// Whether a scope covers an action on a resource, by name.
pub(crate) fn covers(scope: &[Entitlement], action: &str, resource: &str) -> bool {
    scope.iter().any(|e| {
        (e.resource == WILDCARD || e.resource == resource) && e.actions.iter().any(|a| a == WILDCARD || a == action)
    })
}

/// What is left of an entitlement inside a scope: one entitlement, or of a wildcard one for each that the scope names.
pub(crate) fn inside(entitlement: &Entitlement, scope: &[Entitlement]) -> Vec<Entitlement> {
    let mut left: Vec<Entitlement> = Vec::new();
    if !entitlement.is_wildcard() {
        let mut rest = entitlement.clone();
        rest.actions.retain(|action| covers(scope, action, &rest.resource));
        left.extend(Some(rest).filter(|rest| !rest.actions.is_empty()));
        return left;
    }
    let every = |actions: &[String]| actions.iter().any(|action| action == WILDCARD);
    for named in scope {
        let resource = match (entitlement.resource.as_str(), named.resource.as_str()) {
            (WILDCARD, resource) | (resource, WILDCARD) => resource,
            (held, named) if held == named => held,
            _ => continue,
        };
        let actions: Vec<String> = match (every(&entitlement.actions), every(&named.actions)) {
            (true, _) => named.actions.clone(),
            (false, true) => entitlement.actions.clone(),
            (false, false) => {
                named.actions.iter().filter(|action| entitlement.actions.contains(action)).cloned().collect()
            }
        };
        let part = Entitlement { actions, resource: resource.to_owned() };
        if !part.actions.is_empty() && !left.contains(&part) {
            left.push(part);
        }
    }
    left
}

/// Takes what a grant gives out of what is still missing.
pub(crate) fn take(missing: &mut [Entitlement], given: &Entitlement) {
    for entitlement in missing.iter_mut().filter(|entitlement| entitlement.resource == given.resource) {
        entitlement.actions.retain(|action| !given.actions.contains(action));
    }
}

/// What a change of charter can't change: those facts have ways of their own.
pub(crate) fn unchangeable(from: &CharterDraft, to: &CharterDraft) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let mut fixed = |same: bool, field: &str, hint: &str| {
        if !same {
            problems.push(FieldProblem::new(format!("charter.{field}"), "fact_fixed", hint));
        }
    };
    fixed(from.owner == to.owner, "owner", "an identity changes its owner by a transfer that the new owner accepts");
    fixed(
        from.environment == to.environment,
        "environment",
        "an identity stays in its environment: register another one",
    );
    fixed(
        from.application == to.application,
        "application",
        "an identity stays with its application: register another one",
    );
    fixed(from.vendor == to.vendor, "vendor", "an identity stays with its vendor: register another one");
    fixed(
        from.cloud_account == to.cloud_account,
        "cloud_account",
        "an identity stays with its cloud account: register another one",
    );
    fixed(
        from.workload_binding == to.workload_binding,
        "workload_binding",
        "a new key is enrolled with a join token: tenure identity join-token",
    );
    problems
}

/// The refusal of a change that needs an approval.
pub(crate) fn widens() -> OpError {
    OpError::because(
        Reason::ApprovalNeeded,
        "the new charter is not narrower in everything: open a request with the matter `charter`",
    )
}

/// The request about an identity's activation lapses, in the changeset that closes the identity.
pub(crate) async fn drop_activation(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &mut Identity,
    because: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some(id) = identity.request.take() else {
        return Ok(());
    };
    let Some(stored) = kernel.one::<Request>(id).await? else {
        return Ok(());
    };
    if let Ok(ended) = (*stored.value).clone().end(RequestState::Lapsed, Some(because.to_owned()), now) {
        let event = kernel
            .event(now, EventKind::RequestLapsed)
            .subject(id)
            .subject(identity.id)
            .fact("workflow", ended.workflow())
            .fact("because", because);
        changeset.event(event).replace(&stored, &ended);
        changeset.due.push(DueChange::Clear(DueKind::Request, id.to_string()));
    }
    Ok(())
}
