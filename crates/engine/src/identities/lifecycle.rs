//! Steps of an identity's life after it is registered. Illegal ones are refused and recorded (R42).

pub mod expiry;
pub mod idle;

use std::future::Future;

use tenure_api::requests::{Resume, TaskCompleted};
use tenure_api::views::{IdentityView, Releasers};
use tenure_core::base::id::IdentityId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::scope::{Cut, Membership, Scope};
use tenure_core::identity::{
    Activation, BadTransition, Charter, Coverage, Identity, IdentityState, Releaser, SuspensionCause, SuspensionKind,
};
use tenure_core::policy::Action;
use tenure_core::request::{Matter, Request};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, Author, ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Position, Stored};

use crate::credentials::{holds, revocation, suspension};
use crate::identities::{charter, dormancy, grants, identity_facts, registration, view};
use crate::inventory::{references, removal_groups};
use crate::kernel::authority::{self, inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::load::{self, expect_optional};
use crate::kernel::operation::{self, Asked};
use crate::kernel::{Kernel, finding};
use crate::requests::route;

impl From<BadTransition> for OpError {
    fn from(bad: BadTransition) -> Self {
        Self::because(Reason::IllegalTransition, bad.to_string())
    }
}

/// What a step does to the identity, besides its own event.
struct Stepped {
    changeset: Changeset,
    identity: Identity,
}

/// Draft → pending: the charter must be complete, and its request opens; by a named rule it is active at once.
///
/// # Errors
/// Every field that is missing or wrong; or it is no draft; or the caller may not.
pub async fn submit(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<IdentityView, OpError> {
    step(kernel, caller, Asked::new(ControlPoint::Request, "identity.submit", id), id, |stored, now| async move {
        let again = stored.state == IdentityState::Pending && stored.request.is_none();
        let mut problems = stored.complete_charter().err().unwrap_or_default();
        let references =
            Box::pin(references::check_references(kernel, stored.kind, &stored.charter, &mut problems)).await?;
        Box::pin(removal_groups::needs_removal_group(kernel, &stored.charter, &mut problems)).await?;
        let matter = Matter::Activation { identity: id };
        let mut facts =
            Box::pin(identity_facts::facts_of_identity(kernel, &matter, &stored, &stored.charter, &references, now))
                .await?;
        facts.interested.extend(caller.person_id());
        route::may_ask(kernel, caller, &facts)?;
        // A pending identity whose request ended is handed in again.
        let mut identity = if again { (*stored.value).clone() } else { (*stored.value).clone().submit()? };
        if !problems.is_empty() {
            return Err(OpError::Invalid(problems));
        }
        identity.tier = references.tier(identity.kind, &identity.charter);
        let event = kernel.event(now, EventKind::IdentitySubmitted).subject(id);
        let mut changeset = Changeset::new(caller.author(), now, event);
        identity = registration::ask_for_activation(kernel, caller, &mut changeset, identity, facts, now).await?;
        Ok(Stepped { changeset, identity })
    })
    .await
}

/// Pending → active, by an approved request: grants what the charter says, unless it is just-in-time (R45).
pub(crate) async fn activated(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: Identity,
    request: &mut Request,
    now: Timestamp,
) -> Result<Identity, OpError> {
    let charter = load::charter_of(&identity)?;
    let activation = Activation {
        request: request.id,
        by: request.approvers(),
        at: now,
        purpose: request.purpose.clone(),
        policies: request.policies.clone(),
        policy_version: request.policy_version.clone(),
    };
    let mut identity = identity.activate(activation)?;
    identity.request = None;
    join_scopes(kernel, changeset, &mut identity, &charter).await?;
    let event = kernel
        .event(now, EventKind::IdentityActivated)
        .subject(identity.id)
        .subject(charter.owner)
        .fact("workflow", "non_human.activation")
        .fact("request", request.id)
        .fact("approved_by", request.approvers())
        .fact("purpose", &request.purpose)
        .fact("tier", identity.tier)
        .fact("policies", &request.policies)
        .fact("policy_version", &request.policy_version);
    changeset.event(event);
    if charter.coverage != Coverage::JustInTime {
        for entitlement in &charter.scope {
            let grant = grants::grant_of(kernel, identity.id, entitlement.clone(), charter.end(), request, now);
            identity.grants.push(grant.id);
            request.outcome.grants.push(grant.id);
            changeset.event(grants::granted_event(kernel, &grant, now));
            changeset.insert(&grant);
        }
    }
    let id = identity.id.to_string();
    changeset.due.push(DueChange::Set(DueKind::IdentityExpiry, id.clone(), charter.end()));
    if let Some(limit) = charter.idle_limit() {
        changeset.due.push(DueChange::Set(DueKind::IdentityIdle, id.clone(), now.plus(limit)));
    }
    if let Some(at) = crate::identities::renewals::plan::opens(&identity) {
        changeset.due.push(DueChange::Set(DueKind::Renewal, id, at));
    }
    dormancy::watch(changeset, &identity, now);
    Ok(identity)
}

/// Makes the identity a member of its scopes as they stand now; a cut that comes between conflicts.
async fn join_scopes(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &mut Identity,
    charter: &Charter,
) -> Result<(), OpError> {
    let mut scopes = vec![
        Scope::Identity(identity.id),
        Scope::Owner(charter.owner),
        Scope::Application(charter.application),
        Scope::Environment(charter.environment.clone()),
    ];
    scopes.extend(charter.vendor.map(Scope::Vendor));
    scopes.extend(charter.cloud_account.map(Scope::CloudAccount));
    let keys: Vec<_> = scopes.iter().map(Scope::cut_key).collect();
    let snapshot = kernel.store.load(&keys).await?;
    identity.memberships.clear();
    for (n, scope) in scopes.into_iter().enumerate() {
        let cut = snapshot.get::<Cut>(n)?;
        expect_optional(changeset, scope.cut_key(), cut.as_ref());
        let joined = cut.map_or(Position::at(snapshot.head), |cut| Position::at(snapshot.head).later(cut.position));
        identity.memberships.push(Membership { scope, joined });
    }
    Ok(())
}

/// Suspends: nothing works until every cause is released. What somebody suspends a second time is their one cause, with
/// the newer reason.
///
/// # Errors
/// It is neither active nor suspended, or the caller may not.
pub async fn suspend(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    reason: String,
) -> Result<IdentityView, OpError> {
    operation::check_reason(&reason)?;
    let reason = reason.as_str();
    let mut view =
        step(kernel, caller, Asked::new(ControlPoint::Suspend, "identity.suspend", id), id, |stored, now| async move {
            kernel.allow(
                caller,
                Action::Suspend,
                inventory("identity", id, ""),
                owns(owns_identity(caller, &stored)),
            )?;
            suspended(kernel, caller.author(), &stored, suspension::cause_by_hand(caller, reason, now), now).await
        })
        .await?;
    view.releasers = Some(Box::pin(releasers_of_newest(kernel, &view.record)).await?);
    Ok(view)
}

/// What a suspension would be, and who could release it: nothing is suspended.
///
/// # Errors
/// As of [`Self::suspend`].
pub async fn suspension_planned(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    reason: String,
) -> Result<IdentityView, OpError> {
    operation::check_reason(&reason)?;
    let planned = kernel.recorded(caller, Asked::new(ControlPoint::Suspend, "identity.suspend", id), async {
        let stored = kernel.must::<Identity>("identity", id).await?;
        kernel.allow(caller, Action::Suspend, inventory("identity", id, ""), owns(owns_identity(caller, &stored)))?;
        let identity = (*stored.value).clone().suspend(suspension::cause_by_hand(caller, &reason, kernel.now()))?;
        view::identity_view(kernel, identity, stored.revision, None).await
    });
    let mut view = planned.await?;
    view.releasers = Some(Box::pin(releasers_of_newest(kernel, &view.record)).await?);
    Ok(view)
}

async fn releasers_of_newest(kernel: &Kernel, identity: &Identity) -> Result<Releasers, OpError> {
    match identity.suspensions.last() {
        Some(cause) => {
            holds::releasers(kernel, &Scope::Identity(identity.id), cause.placed_by, cause.releasable_by).await
        }
        None => Ok(Releasers::default()),
    }
}

async fn suspended(
    kernel: &Kernel,
    author: impl Into<Author>,
    stored: &Stored<Identity>,
    cause: SuspensionCause,
    now: Timestamp,
) -> Result<Stepped, OpError> {
    let event = suspension::suspended_event(kernel, stored.id, &cause, now);
    let reason = cause.reason.clone();
    let identity = (*stored.value).clone().suspend(cause)?;
    let mut changeset = Changeset::new(author, now, event);
    revocation::suspended_with_receipt(kernel, &mut changeset, &identity, &reason, now).await?;
    Ok(Stepped { changeset, identity })
}

/// Releases a cause of suspension. Who placed it may not release it (S-11).
///
/// # Errors
/// It is not suspended, has no such cause, or the caller may not.
pub async fn resume(kernel: &Kernel, caller: &Caller, id: IdentityId, ask: Resume) -> Result<IdentityView, OpError> {
    operation::check_reason(&ask.reason)?;
    let (reason, cause) = (ask.reason.as_str(), ask.cause);
    step(kernel, caller, Asked::new(ControlPoint::Resume, "identity.resume", id), id, |stored, now| async move {
        let by = caller.must_be_person()?;
        let fresh = freshness::freshness(kernel, caller, now).await?;
        if stored.suspensions.len() > 1 && ask.revision.is_none() {
            // The place of a cause means nothing without the list it was read from.
            return Err(OpError::field(
                "revision",
                "revision_missing",
                "there is more than one cause: name the revision that you saw",
            ));
        }
        if ask.revision.is_some_and(|seen| seen != stored.revision) {
            return Err(OpError::Stale(Some(stored.revision)));
        }
        let released = stored.suspensions.get(cause);
        let placed_by = released.and_then(|cause| cause.placed_by);
        if placed_by == Some(by) && released.is_some_and(|cause| cause.kind == SuspensionKind::Signalled) {
            let detail = "a signal of a source that you answer for holds it: security releases it";
            return Err(OpError::because(Reason::SamePerson, detail));
        }
        // The kernel of S-9: no policy can let somebody release their own hold. They hear who can.
        if let (true, Some(released)) = (placed_by == Some(by), released) {
            return Err(Box::pin(holds::placed_by_self(
                kernel,
                &Scope::Identity(id),
                placed_by,
                released.releasable_by,
            ))
            .await?);
        }
        let owner_may = released.is_some_and(|cause| cause.releasable_by == Releaser::Owner);
        let answer = kernel.allow(
            caller,
            Action::Enable,
            inventory("identity", id, ""),
            authority::enabling(owner_may && owns_identity(caller, &stored), placed_by == Some(by), fresh),
        )?;
        let mut identity = (*stored.value).clone().resume(cause)?;
        dormancy::may_return(kernel, &identity, released.map(|cause| cause.kind), now).await?;
        let event = kernel
            .event(now, EventKind::IdentityResumed)
            .subject(id)
            .fact("reason", reason)
            .fact("causes_left", identity.suspensions.len())
            .fact("policies", answer.policies())
            .fact("assurance", assurance_fact(caller));
        let mut changeset = Changeset::new(caller.author(), now, event);
        fresh.expect(&mut changeset);
        dormancy::resumed(kernel, &mut changeset, &mut identity, now).await?;
        Ok(Stepped { changeset, identity })
    })
    .await
}

/// Begins the identity's end: irreversible, and everything it holds is cut at once.
///
/// # Errors
/// It is neither active nor suspended, or the caller may not.
pub async fn retire(kernel: &Kernel, caller: &Caller, id: IdentityId, reason: String) -> Result<IdentityView, OpError> {
    operation::check_reason(&reason)?;
    let reason = reason.as_str();
    let view =
        step(kernel, caller, Asked::new(ControlPoint::Retire, "identity.retire", id), id, |stored, now| async move {
            kernel.allow(
                caller,
                Action::Suspend,
                inventory("identity", id, ""),
                owns(owns_identity(caller, &stored)),
            )?;
            retiring(kernel, caller.author(), &stored, "by_hand", reason, now).await
        })
        .await?;
    Ok(view)
}

/// Gives up a draft or a pending identity.
///
/// # Errors
/// It is neither, or the caller may not.
pub async fn close(kernel: &Kernel, caller: &Caller, id: IdentityId, reason: String) -> Result<IdentityView, OpError> {
    operation::check_reason(&reason)?;
    let reason = reason.as_str();
    step(kernel, caller, Asked::new(ControlPoint::Retire, "identity.close", id), id, |stored, now| async move {
        let own = owns_identity(caller, &stored) || caller.person_id() == Some(stored.registered_by);
        kernel.allow(caller, Action::Suspend, inventory("identity", id, ""), owns(own))?;
        let event = kernel.event(now, EventKind::IdentityClosed).subject(id).fact("reason", reason);
        let mut identity = (*stored.value).clone().close()?;
        let mut changeset = Changeset::new(caller.author(), now, event);
        charter::drop_activation(kernel, &mut changeset, &mut identity, "the identity was given up", now).await?;
        Ok(Stepped { changeset, identity })
    })
    .await
}

/// The identity's task is done, or its workload has ended: what the charter says about that happens (R16, R68).
///
/// # Errors
/// It is neither active nor suspended, or the caller may not report it.
pub async fn complete_task(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    report: TaskCompleted,
) -> Result<IdentityView, OpError> {
    let report = &report;
    let view = step(
        kernel,
        caller,
        Asked::new(ControlPoint::Retire, "identity.complete_task", id),
        id,
        |stored, now| async move {
            kernel.allow(
                caller,
                Action::Complete,
                inventory("identity", id, ""),
                owns(owns_identity(caller, &stored)),
            )?;
            if !matches!(stored.state, IdentityState::Active | IdentityState::Suspended) {
                return Err(BadTransition { from: stored.state, step: tenure_core::identity::Step::Retire }.into());
            }
            let charter = stored.complete_charter().map_err(OpError::Invalid)?;
            let outcome = if report.outcome.is_empty() { "completed" } else { report.outcome.as_str() };
            if outcome.len() > 200 {
                return Err(OpError::field("outcome", "outcome_too_long", "use at most 200 bytes"));
            }
            let ended = kernel.event(now, EventKind::IdentityTaskCompleted).subject(id).fact("outcome", outcome);
            if charter.ends_with_task() {
                let mut stepped = retiring(kernel, caller.author(), &stored, "task_completed", outcome, now).await?;
                stepped.changeset.event(ended);
                return Ok(stepped);
            }
            let mut changeset = Changeset::new(caller.author(), now, ended);
            revocation::cut_with_receipt(kernel, &mut changeset, Scope::Identity(id), "the workload ended", now)
                .await?;
            Ok(Stepped { changeset, identity: (*stored.value).clone() })
        },
    )
    .await?;
    Ok(view)
}

/// The changes that begin an identity's end.
async fn retiring(
    kernel: &Kernel,
    author: impl Into<Author>,
    stored: &Stored<Identity>,
    because: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Stepped, OpError> {
    let event = retiring_event(kernel, stored, because, reason, now);
    let identity = (*stored.value).clone().retire(because.to_owned(), now)?;
    let mut changeset = Changeset::new(author, now, event);
    end(kernel, &mut changeset, &identity, reason, now).await?;
    Ok(Stepped { changeset, identity })
}

fn retiring_event(kernel: &Kernel, stored: &Identity, because: &str, reason: &str, now: Timestamp) -> Event {
    kernel.event(now, EventKind::IdentityRetiring).subject(stored.id).fact("because", because).fact("reason", reason)
}

/// Cuts the identity, asks for the receipt that its end waits for, and takes its deadlines away.
async fn end(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &Identity,
    reason: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    revocation::cut_with_receipt(kernel, changeset, Scope::Identity(identity.id), reason, now).await?;
    changeset.due.push(DueChange::Clear(DueKind::IdentityExpiry, identity.id.to_string()));
    changeset.due.push(DueChange::Clear(DueKind::IdentityIdle, identity.id.to_string()));
    changeset.due.push(DueChange::Clear(DueKind::Dormancy, identity.id.to_string()));
    finding::no_longer(kernel, changeset, tenure_core::finding::rules::ALL, identity.id, "the identity has ended", now)
        .await?;
    Ok(())
}

/// The changes with which a deadline retires an identity, for the worker that holds the deadline.
pub(crate) async fn retire_by_deadline(
    kernel: &Kernel,
    stored: &Stored<Identity>,
    because: &str,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let stepped = retiring(kernel, Actor::System { part: "deadlines".into() }, stored, because, because, now).await?;
    let mut changeset = stepped.changeset;
    changeset.replace(stored, &stepped.identity);
    Ok(changeset)
}

/// The changes with which a second presentation of a join token suspends the identity (S-15), unless it is suspended
/// for that already.
pub(crate) async fn suspend_for_replay(
    kernel: &Kernel,
    stored: &Stored<Identity>,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let suspended_for_it = stored.suspensions.iter().any(|cause| cause.kind == SuspensionKind::JoinTokenReplayed);
    if suspended_for_it || !matches!(stored.state, IdentityState::Active | IdentityState::Suspended) {
        return Ok(None);
    }
    let cause = SuspensionCause {
        kind: SuspensionKind::JoinTokenReplayed,
        placed_by: None,
        releasable_by: Releaser::Security,
        reason: "a join token was presented a second time".into(),
        at: now,
    };
    let stepped = suspended(kernel, Actor::System { part: "enrolment".into() }, stored, cause, now).await?;
    let mut changeset = stepped.changeset;
    changeset.replace(stored, &stepped.identity);
    let rule = &tenure_core::finding::rules::JOIN_TOKEN_REPLAYED;
    finding::raise(kernel, &mut changeset, rule, stored.id, "", serde_json::Map::new(), now).await?;
    Ok(Some(changeset))
}

/// Begins an identity's end inside the commit of another decision.
pub(crate) async fn retire_in(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    because: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let stepped = retiring(kernel, changeset.actor.clone(), stored, because, reason, now).await?;
    absorb(changeset, stepped.changeset);
    changeset.replace(stored, &stepped.identity);
    Ok(())
}

/// Suspends an identity inside the commit of another decision.
pub(crate) async fn suspend_in(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    cause: SuspensionCause,
    now: Timestamp,
) -> Result<(), OpError> {
    let stepped = suspended(kernel, changeset.actor.clone(), stored, cause, now).await?;
    absorb(changeset, stepped.changeset);
    changeset.replace(stored, &stepped.identity);
    Ok(())
}

/// One step of one identity: read, decide, commit, with its refusal recorded.
async fn step<Fut: Future<Output = Result<Stepped, OpError>>>(
    kernel: &Kernel,
    caller: &Caller,
    asked: Asked,
    id: IdentityId,
    decide: impl Fn(Stored<Identity>, Timestamp) -> Fut,
) -> Result<IdentityView, OpError> {
    kernel
        .recorded(caller, asked, async {
            let ((identity, revision), committed) = kernel
                .decide(|| async {
                    let stored = kernel.must::<Identity>("identity", id).await?;
                    let Stepped { mut changeset, identity } = decide(stored.clone(), kernel.now()).await?;
                    changeset.replace(&stored, &identity);
                    Ok((changeset, (identity, stored.revision + 1)))
                })
                .await?;
            view::identity_view(kernel, identity, revision, Some(&committed)).await
        })
        .await
}

/// Adds what one decision changes to the commit of another.
pub(super) fn absorb(changeset: &mut Changeset, more: Changeset) {
    changeset.events.extend(more.events);
    changeset.expects.extend(more.expects);
    changeset.puts.extend(more.puts);
    changeset.once.extend(more.once);
    changeset.spends.extend(more.spends);
    changeset.due.extend(more.due);
}
