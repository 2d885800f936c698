//! Grants: just-in-time ones are opened for a bounded time and end by themselves (R58).

pub mod plan;

use tenure_api::views::{Access, AccessReport, Names, Revised};
use tenure_core::base::id::{GrantId, IdentityId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::gate;
use tenure_core::credential::receipt::{Narrowed, NarrowedAt};
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::identity::{Identity, RetirementCondition};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::policy::Action;
use tenure_core::request::Request;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::credentials::revocation;
use crate::identities::charter;
use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::load::charter_of;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::Query;

/// Grants that an identity can hold at once.
pub(crate) const MAX_GRANTS: usize = 64;

/// Takes a grant back: every credential that rests on it dies with it.
///
/// # Errors
/// No such live grant, or the caller may not.
pub async fn revoke_grant(
    kernel: &Kernel,
    caller: &Caller,
    id: GrantId,
    reason: String,
) -> Result<Revised<Grant>, OpError> {
    check_reason(&reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "grant.revoke", id), async {
            let ((grant, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Grant>("grant", id).await?;
                    let identity = kernel.must::<Identity>("identity", stored.identity).await?;
                    kernel.allow(
                        caller,
                        Action::Revoke,
                        inventory("grant", id, ""),
                        owns(owns_identity(caller, &identity)),
                    )?;
                    if stored.state != GrantState::Live {
                        return Err(OpError::because(Reason::IllegalTransition, "the grant has ended already"));
                    }
                    let event = kernel
                        .event(now, EventKind::GrantRevoked)
                        .subject(id)
                        .subject(identity.id)
                        .fact("reason", &reason);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    let grant = end_grant(&mut changeset, &stored, &identity, GrantState::Revoked);
                    let narrowed = dropped_with(kernel, &stored, now).await?;
                    if !narrowed.is_empty() {
                        revocation::narrowed_with_receipt(kernel, &mut changeset, identity.id, narrowed, &reason, now);
                    }
                    changeset.due.push(DueChange::Clear(DueKind::Grant, id.to_string()));
                    Ok((changeset, (grant, stored.revision + 1)))
                })
                .await?;
            kernel.changed(grant, revision, &committed).await
        })
        .await
}

/// For each access of an identity: who approved it, for which need, and what ends it, in one call (R46).
///
/// # Errors
/// No such identity, or the caller may not read it.
pub async fn access(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<AccessReport, OpError> {
    let now = kernel.now();
    let Some(known) = kernel.know(id).await? else { return Err(kernel.missing(caller, "identity", id).await) };
    authority::may_read(kernel, caller, "identity", &id.to_string(), owns_identity(caller, &known.identity)).await?;
    let stands = gate::standing(known.facts(now)).is_ok();
    let access = known.grants.iter().flatten().map(|grant| Access {
        grant: grant.id,
        entitlement: grant.entitlement.clone(),
        request: grant.request,
        approved_by: grant.approved_by.clone(),
        policies: grant.policies.clone(),
        need: grant.purpose.clone(),
        ends: ends(&known.identity, grant),
        until: grant.ends_at,
        live: stands && grant.is_live(now),
    });
    Ok(AccessReport { identity: id, access: access.collect(), names: Names::new() })
}

/// What is dropped with a grant: what no other grant that lives gives.
async fn dropped_with(kernel: &Kernel, ended: &Stored<Grant>, now: Timestamp) -> Result<Vec<Narrowed>, OpError> {
    let Ok(resource) = ended.entitlement.resource.parse() else { return Ok(Vec::new()) };
    let mut dropped = ended.entitlement.actions.clone();
    let mut grants = kernel.pages(Query::<Grant>::of([Grant::IDENTITY.of(ended.identity)]));
    while let Some(found) = grants.next().await? {
        for other in found.whole()?.iter().filter(|other| other.id != ended.id && other.is_live(now)) {
            let scope = std::slice::from_ref(&other.entitlement);
            dropped.retain(|action| !charter::covers(scope, action, &ended.entitlement.resource));
        }
    }
    if dropped.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Narrowed { at: NarrowedAt::Resource(resource), dropped }])
}

/// The changes that end a grant and take it off its identity's list.
pub(crate) fn end_grant(
    changeset: &mut Changeset,
    stored: &Stored<Grant>,
    identity: &Stored<Identity>,
    state: GrantState,
) -> Grant {
    let grant = Grant { state, ..(*stored.value).clone() };
    let mut without = (*identity.value).clone();
    without.grants.retain(|held| *held != grant.id);
    changeset.replace(stored, &grant).replace(identity, &without);
    grant
}

fn ends(identity: &Identity, grant: &Grant) -> Vec<String> {
    let mut ends = vec![format!("date: {}", grant.ends_at)];
    ends.extend(retirement(identity));
    ends.extend(always());
    ends
}

/// What ends an identity, and with it whatever it holds.
pub(crate) fn conditions(identity: &Identity) -> Vec<String> {
    let date = identity.charter.expires_at.map(|at| format!("date: {at}"));
    date.into_iter().chain(retirement(identity)).chain(always()).collect()
}

fn retirement(identity: &Identity) -> impl Iterator<Item = String> + use<'_> {
    identity.charter.retirement.iter().map(|condition| match condition {
        RetirementCondition::Date { at } => format!("retirement on {at}"),
        RetirementCondition::Idle { after } => format!("retirement after {after} without use"),
        RetirementCondition::TaskCompleted => "retirement when the task is completed".to_owned(),
    })
}

fn always() -> impl Iterator<Item = String> {
    [
        "suspension",
        "revocation",
        "a cut or hold of its owner, application, environment, vendor or cloud account",
        "a narrower charter",
    ]
    .into_iter()
    .map(str::to_owned)
}

#[expect(clippy::too_many_arguments, reason = "a grant is made of that much")]
pub(crate) fn granted(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    entitlement: Entitlement,
    starts_at: Timestamp,
    duration: Span,
    request: &mut Request,
    now: Timestamp,
) -> Result<(), OpError> {
    let end = charter_of(stored)?.end();
    let grant = Grant {
        starts_at,
        ends_at: starts_at.plus(duration).min(end),
        just_in_time: true,
        ..grant_of(kernel, stored.id, entitlement, end, request, now)
    };
    let mut identity = (*stored.value).clone();
    identity.grants.push(grant.id);
    changeset.event(granted_event(kernel, &grant, now));
    changeset.due.push(DueChange::Set(DueKind::Grant, grant.id.to_string(), grant.ends_at));
    request.outcome.grants.push(grant.id);
    changeset.insert(&grant).replace(stored, &identity);
    Ok(())
}

/// A grant that a request gives for as long as the identity lives (R45).
pub(crate) fn grant_of(
    kernel: &Kernel,
    identity: IdentityId,
    entitlement: Entitlement,
    ends_at: Timestamp,
    request: &Request,
    now: Timestamp,
) -> Grant {
    Grant {
        id: GrantId::generate(now, kernel.entropy.as_ref()),
        identity,
        entitlement,
        starts_at: now,
        ends_at,
        state: GrantState::Live,
        request: request.id,
        approved_by: request.approvers(),
        policies: request.policies.clone(),
        purpose: request.purpose.clone(),
        just_in_time: false,
    }
}

pub(crate) fn granted_event(kernel: &Kernel, grant: &Grant, now: Timestamp) -> tenure_core::store::event::Event {
    kernel
        .event(now, EventKind::GrantOpened)
        .subject(grant.id)
        .subject(grant.identity)
        .subject(&grant.entitlement.resource)
        .fact("entitlement", &grant.entitlement)
        .fact("starts_at", grant.starts_at)
        .fact("ends_at", grant.ends_at)
        .fact("purpose", &grant.purpose)
        .fact("request", grant.request)
        .fact("approved_by", &grant.approved_by)
        .fact("policies", &grant.policies)
}
