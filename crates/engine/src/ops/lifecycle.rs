//! Steps of an identity's life after it is registered. Illegal ones are refused and recorded (R42).

use std::future::Future;

use tenure_api::requests::{Resume, TaskCompleted};
use tenure_api::views::IdentityView;
use tenure_core::changeset::{Changeset, DueChange};
use tenure_core::event::{Actor, ControlPoint, Event};
use tenure_core::gate;
use tenure_core::grant::{Grant, GrantState};
use tenure_core::id::{GrantId, IdentityId, PersonId};
use tenure_core::identity::{
    Activation, BadTransition, Charter, Coverage, Identity, IdentityState, Releaser, RevocationTrigger, SuspensionCause, SuspensionKind,
};
use tenure_core::policy::{Action, Attributes, Value};
use tenure_core::port::DueKind;
use tenure_core::problem::Reason;
use tenure_core::row::{Position, Stored};
use tenure_core::scope::{Cut, Hold, Membership, Scope};
use tenure_core::time::Timestamp;

use super::Asked;
use super::identities::{owns_identity, request_context};
use crate::Engine;
use crate::caller::Caller;
use crate::error::OpError;
use crate::load::expect_optional;
use crate::questions::{inventory, owns};

impl From<BadTransition> for OpError {
    fn from(bad: BadTransition) -> Self {
        Self::because(Reason::IllegalTransition, bad.to_string())
    }
}

/// Causes of suspension that are kept; one is enough to refuse everything.
const MAX_CAUSES: usize = 16;

/// What a step does to the identity, besides its own event.
struct Stepped {
    changeset: Changeset,
    identity: Identity,
}

impl Engine {
    /// Draft → pending: the charter must be complete.
    ///
    /// # Errors
    /// Every field that is missing or wrong; or it is no draft; or it is at another revision than `if_match`; or the caller may not.
    pub async fn submit(&self, caller: &Caller, id: IdentityId, if_match: Option<u64>) -> Result<IdentityView, OpError> {
        self.step(caller, Asked::new(ControlPoint::Request, "identity.submit", id), id, |stored, now| async move {
            seen(if_match, &stored)?;
            let mut problems = stored.complete_charter().err().unwrap_or_default();
            let references = self.check_references(&stored.charter, &mut problems).await?;
            let environment = stored.charter.environment.as_deref().unwrap_or("");
            self.allow(
                caller,
                Action::Request,
                inventory("identity", id, environment),
                request_context(caller, &stored.charter, &references, now),
            )?;
            let identity = (*stored.value).clone().submit()?;
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            let event = self.event(now, "identity.submitted", ControlPoint::Request).subject(id);
            Ok(Stepped {
                changeset: Changeset::new(caller.actor(), now, event),
                identity,
            })
        })
        .await
    }

    /// Pending → active: the approval of the owner or of security. Grants what the charter says, unless it is just-in-time.
    ///
    /// # Errors
    /// It is not pending; a fact is missing; or the caller may not.
    pub async fn activate(&self, caller: &Caller, id: IdentityId, if_match: Option<u64>) -> Result<IdentityView, OpError> {
        self.step(
            caller,
            Asked::new(ControlPoint::Approve, "identity.activate", id),
            id,
            |stored, now| async move {
                let by = caller.must_be_person()?;
                seen(if_match, &stored)?;
                if stored.state != IdentityState::Pending {
                    return Err(BadTransition {
                        from: stored.state,
                        step: tenure_core::identity::Step::Activate,
                    }
                    .into());
                }
                let mut problems = stored.complete_charter().err().unwrap_or_default();
                let references = self.check_references(&stored.charter, &mut problems).await?;
                if !problems.is_empty() {
                    return Err(OpError::Invalid(problems));
                }
                let environment = stored.charter.environment.as_deref().unwrap_or("");
                let answer = self.allow(
                    caller,
                    Action::Activate,
                    inventory("identity", id, environment),
                    request_context(caller, &stored.charter, &references, now),
                )?;
                gate::check(&answer).map_err(OpError::refused)?;
                let charter = stored.complete_charter().map_err(OpError::Invalid)?;
                let activation = Activation {
                    by,
                    at: now,
                    purpose: charter.purpose.clone(),
                    policies: answer.policies.clone(),
                    policy_version: answer.version.clone(),
                };
                let mut identity = (*stored.value).clone().activate(activation)?;
                let event = self
                    .event(now, "identity.activated", ControlPoint::Approve)
                    .subject(id)
                    .subject(charter.owner)
                    .fact("purpose", &charter.purpose)
                    .fact("policies", &answer.policies)
                    .fact("policy_version", &answer.version);
                let mut changeset = Changeset::new(caller.actor(), now, event);
                self.join_scopes(&mut changeset, &mut identity, &charter).await?;
                if charter.coverage != Coverage::JustInTime {
                    for entitlement in &charter.scope {
                        let grant = Grant {
                            id: GrantId::generate(now, self.entropy.as_ref()),
                            identity: id,
                            entitlement: entitlement.clone(),
                            starts_at: now,
                            ends_at: charter.end(),
                            state: GrantState::Live,
                            approved_by: by,
                            policies: answer.policies.clone(),
                            purpose: charter.purpose.clone(),
                            just_in_time: false,
                        };
                        identity.grants.push(grant.id);
                        changeset.insert(&grant);
                    }
                }
                changeset.due.push(DueChange::Set(DueKind::IdentityExpiry, id.to_string(), charter.end()));
                if let Some(limit) = charter.idle_limit() {
                    changeset.due.push(DueChange::Set(DueKind::IdentityIdle, id.to_string(), now.plus(limit)));
                }
                Ok(Stepped { changeset, identity })
            },
        )
        .await
    }

    /// Makes the identity a member of its scopes as they stand now; a cut that comes between conflicts.
    async fn join_scopes(&self, changeset: &mut Changeset, identity: &mut Identity, charter: &Charter) -> Result<(), OpError> {
        let scopes = [
            Scope::Identity(identity.id),
            Scope::Owner(charter.owner),
            Scope::Application(charter.application),
            Scope::Environment(charter.environment.clone()),
        ];
        let keys: Vec<_> = scopes.iter().map(Scope::cut_key).collect();
        let snapshot = self.store.load(&keys).await?;
        identity.memberships.clear();
        for (n, scope) in scopes.into_iter().enumerate() {
            let cut = snapshot.get::<Cut>(n)?;
            expect_optional(changeset, scope.cut_key(), cut.as_ref());
            let joined = cut.map_or(Position::at(snapshot.head), |cut| Position::at(snapshot.head).later(cut.position));
            identity.memberships.push(Membership { scope, joined });
        }
        Ok(())
    }

    /// Suspends: nothing works until every cause is released.
    ///
    /// # Errors
    /// It is neither active nor suspended, or the caller may not.
    pub async fn suspend(&self, caller: &Caller, id: IdentityId, reason: String) -> Result<IdentityView, OpError> {
        check_reason(&reason)?;
        let reason = reason.as_str();
        self.step(
            caller,
            Asked::new(ControlPoint::Suspend, "identity.suspend", id),
            id,
            |stored, now| async move {
                self.allow(caller, Action::Suspend, inventory("identity", id, ""), owns(owns_identity(caller, &stored)))?;
                if stored.suspensions.len() >= MAX_CAUSES {
                    return Err(OpError::because(Reason::IllegalTransition, "it is suspended for 16 causes already"));
                }
                let cause = SuspensionCause {
                    kind: SuspensionKind::ByHand,
                    placed_by: caller.person_id(),
                    releasable_by: releaser(caller, owns_identity(caller, &stored)),
                    reason: reason.to_owned(),
                    at: now,
                };
                self.suspended(caller.actor(), &stored, cause, now).await
            },
        )
        .await
    }

    async fn suspended(&self, actor: Actor, stored: &Stored<Identity>, cause: SuspensionCause, now: Timestamp) -> Result<Stepped, OpError> {
        let event = self
            .event(now, "identity.suspended", ControlPoint::Suspend)
            .subject(stored.id)
            .fact("cause", cause.kind)
            .fact("reason", &cause.reason);
        let reason = cause.reason.clone();
        let identity = (*stored.value).clone().suspend(cause)?;
        let mut changeset = Changeset::new(actor, now, event);
        if identity.charter.auto_revocation.contains(&RevocationTrigger::Suspension) {
            self.cut_with_receipt(&mut changeset, Scope::Identity(identity.id), &reason, now).await?;
        }
        Ok(Stepped { changeset, identity })
    }

    /// Releases a cause of suspension. Who placed it may not release it (S-11).
    ///
    /// # Errors
    /// It is not suspended, has no such cause, or the caller may not.
    pub async fn resume(&self, caller: &Caller, id: IdentityId, ask: Resume) -> Result<IdentityView, OpError> {
        check_reason(&ask.reason)?;
        let (reason, cause) = (ask.reason.as_str(), ask.cause);
        self.step(caller, Asked::new(ControlPoint::Resume, "identity.resume", id), id, |stored, now| async move {
            let by = caller.must_be_person()?;
            if stored.suspensions.len() > 1 && ask.revision.is_none() {
                // The place of a cause means nothing without the list it was read from.
                return Err(OpError::field(
                    "revision",
                    "revision_missing",
                    "there is more than one cause: name the revision that you saw",
                ));
            }
            seen(ask.revision, &stored)?;
            let released = stored.suspensions.get(cause);
            let placed_by = released.and_then(|cause| cause.placed_by);
            let owner_may = released.is_some_and(|cause| cause.releasable_by == Releaser::Owner);
            let answer = self.allow(
                caller,
                Action::Enable,
                inventory("identity", id, ""),
                enabling(owner_may && owns_identity(caller, &stored), placed_by, by),
            )?;
            // The kernel of S-9: no policy can let somebody release their own hold.
            if placed_by == Some(by) {
                return Err(OpError::refused(Reason::SamePerson));
            }
            let identity = (*stored.value).clone().resume(cause)?;
            let event = self
                .event(now, "identity.resumed", ControlPoint::Resume)
                .subject(id)
                .fact("reason", reason)
                .fact("causes_left", identity.suspensions.len())
                .fact("policies", &answer.policies);
            Ok(Stepped {
                changeset: Changeset::new(caller.actor(), now, event),
                identity,
            })
        })
        .await
    }

    /// Begins the identity's end: irreversible, and everything it holds is cut at once.
    ///
    /// # Errors
    /// It is neither active nor suspended, or the caller may not.
    pub async fn retire(&self, caller: &Caller, id: IdentityId, reason: String) -> Result<IdentityView, OpError> {
        check_reason(&reason)?;
        let reason = reason.as_str();
        let view = self
            .step(caller, Asked::new(ControlPoint::Retire, "identity.retire", id), id, |stored, now| async move {
                self.allow(caller, Action::Suspend, inventory("identity", id, ""), owns(owns_identity(caller, &stored)))?;
                self.retiring(caller.actor(), &stored, "by_hand", reason, now).await
            })
            .await?;
        self.poke.notify_one();
        Ok(view)
    }

    /// Gives up a draft or a pending identity.
    ///
    /// # Errors
    /// It is neither, or the caller may not.
    pub async fn close(&self, caller: &Caller, id: IdentityId, reason: String) -> Result<IdentityView, OpError> {
        check_reason(&reason)?;
        let reason = reason.as_str();
        self.step(caller, Asked::new(ControlPoint::Retire, "identity.close", id), id, |stored, now| async move {
            let own = owns_identity(caller, &stored) || caller.person_id() == Some(stored.registered_by);
            self.allow(caller, Action::Suspend, inventory("identity", id, ""), owns(own))?;
            let event = self.event(now, "identity.closed", ControlPoint::Retire).subject(id).fact("reason", reason);
            Ok(Stepped {
                changeset: Changeset::new(caller.actor(), now, event),
                identity: (*stored.value).clone().close()?,
            })
        })
        .await
    }

    /// The identity's task is done, or its workload has ended: what the charter says about that happens (R16, R68).
    ///
    /// # Errors
    /// It is neither active nor suspended, or the caller may not report it.
    pub async fn complete_task(&self, caller: &Caller, id: IdentityId, report: TaskCompleted) -> Result<IdentityView, OpError> {
        let report = &report;
        let view = self
            .step(
                caller,
                Asked::new(ControlPoint::Retire, "identity.complete_task", id),
                id,
                |stored, now| async move {
                    self.allow(caller, Action::Complete, inventory("identity", id, ""), owns(owns_identity(caller, &stored)))?;
                    if !matches!(stored.state, IdentityState::Active | IdentityState::Suspended) {
                        return Err(BadTransition {
                            from: stored.state,
                            step: tenure_core::identity::Step::Retire,
                        }
                        .into());
                    }
                    let charter = stored.complete_charter().map_err(OpError::Invalid)?;
                    let outcome = if report.outcome.is_empty() { "completed" } else { report.outcome.as_str() };
                    if outcome.len() > 200 {
                        return Err(OpError::field("outcome", "outcome_too_long", "use at most 200 bytes"));
                    }
                    let ended = self
                        .event(now, "identity.task_completed", ControlPoint::Retire)
                        .subject(id)
                        .fact("outcome", outcome);
                    if charter.ends_with_task() {
                        let mut stepped = self.retiring(caller.actor(), &stored, "task_completed", outcome, now).await?;
                        stepped.changeset.event(ended);
                        return Ok(stepped);
                    }
                    let mut changeset = Changeset::new(caller.actor(), now, ended);
                    self.cut_with_receipt(&mut changeset, Scope::Identity(id), "the workload ended", now).await?;
                    Ok(Stepped {
                        changeset,
                        identity: (*stored.value).clone(),
                    })
                },
            )
            .await?;
        self.poke.notify_one();
        Ok(view)
    }

    /// The changes that begin an identity's end.
    async fn retiring(&self, actor: Actor, stored: &Stored<Identity>, because: &str, reason: &str, now: Timestamp) -> Result<Stepped, OpError> {
        let event = self.retiring_event(stored, because, reason, now);
        let identity = (*stored.value).clone().retire(because.to_owned(), now)?;
        let mut changeset = Changeset::new(actor, now, event);
        self.end(&mut changeset, &identity, reason, now).await?;
        Ok(Stepped { changeset, identity })
    }

    fn retiring_event(&self, stored: &Identity, because: &str, reason: &str, now: Timestamp) -> Event {
        self.event(now, "identity.retiring", ControlPoint::Retire)
            .subject(stored.id)
            .fact("because", because)
            .fact("reason", reason)
    }

    /// Cuts the identity, asks for the receipt that its end waits for, and takes its deadlines away.
    async fn end(&self, changeset: &mut Changeset, identity: &Identity, reason: &str, now: Timestamp) -> Result<(), OpError> {
        self.cut_with_receipt(changeset, Scope::Identity(identity.id), reason, now).await?;
        changeset.due.push(DueChange::Clear(DueKind::IdentityExpiry, identity.id.to_string()));
        changeset.due.push(DueChange::Clear(DueKind::IdentityIdle, identity.id.to_string()));
        Ok(())
    }

    /// The changes with which a deadline retires an identity, for the worker that holds the deadline.
    pub(crate) async fn retire_by_deadline(&self, stored: &Stored<Identity>, because: &str, now: Timestamp) -> Result<Changeset, OpError> {
        let stepped = self.retiring(Actor::System { part: "deadlines".into() }, stored, because, because, now).await?;
        let mut changeset = stepped.changeset;
        changeset.replace(stored, &stepped.identity);
        Ok(changeset)
    }

    /// The changes with which a second presentation of a join token suspends the identity (S-15), unless it is suspended for that already.
    pub(crate) async fn suspend_for_replay(&self, stored: &Stored<Identity>, now: Timestamp) -> Result<Option<Changeset>, OpError> {
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
        let stepped = self.suspended(Actor::System { part: "enrolment".into() }, stored, cause, now).await?;
        let mut changeset = stepped.changeset;
        changeset.replace(stored, &stepped.identity);
        Ok(Some(changeset))
    }

    /// One step of one identity: read, decide, commit, with its refusal recorded.
    async fn step<Fut: Future<Output = Result<Stepped, OpError>>>(
        &self,
        caller: &Caller,
        asked: Asked,
        id: IdentityId,
        decide: impl Fn(Stored<Identity>, Timestamp) -> Fut,
    ) -> Result<IdentityView, OpError> {
        self.recorded(caller, asked, async {
            let ((identity, revision), committed) = self
                .decide(|| async {
                    let stored = self.must::<Identity>("identity", id).await?;
                    let Stepped { mut changeset, identity } = decide(stored.clone(), self.now()).await?;
                    changeset.replace(&stored, &identity);
                    Ok((changeset, (identity, stored.revision + 1)))
                })
                .await?;
            self.identity_view(identity, revision, Some(&committed)).await
        })
        .await
    }

    /// Places a hold on a scope: nothing in it works until somebody else releases it (S-11).
    ///
    /// # Errors
    /// It is on hold already, or the caller may not.
    pub async fn hold(&self, caller: &Caller, scope: Scope, reason: String) -> Result<Hold, OpError> {
        check_reason(&reason)?;
        self.recorded(caller, Asked::new(ControlPoint::Suspend, "scope.hold", &scope), async {
            let by = caller.must_be_person()?;
            let (hold, _) = self
                .decide(|| async {
                    let now = self.now();
                    let own = self.owns_scope(caller, &scope).await?;
                    self.allow(caller, Action::Suspend, inventory("scope", &scope, ""), owns(own))?;
                    let read = self.one::<Hold>(&scope).await?;
                    let placed = read.as_ref().filter(|hold| hold.placed_by.is_some());
                    let takes_over = placed.is_some_and(|hold| hold.releasable_by == Releaser::Owner) && releaser(caller, own) == Releaser::Security;
                    if placed.is_some() && !takes_over {
                        return Err(OpError::because(Reason::IllegalTransition, "the scope is on hold already"));
                    }
                    let hold = Hold {
                        scope: scope.clone(),
                        placed_by: Some(by),
                        releasable_by: releaser(caller, own),
                        reason: reason.clone(),
                        at: now,
                    };
                    let event = self
                        .event(now, "scope.held", ControlPoint::Suspend)
                        .subject(scope.subject())
                        .fact("scope", scope.kind())
                        .fact("reason", &reason);
                    let mut changeset = Changeset::new(caller.actor(), now, event);
                    match &read {
                        Some(read) => changeset.replace(read, &hold),
                        None => changeset.insert(&hold),
                    };
                    Ok((changeset, hold))
                })
                .await?;
            Ok(hold)
        })
        .await
    }

    /// Releases a hold on a scope. Who placed it may not (S-11).
    ///
    /// # Errors
    /// It is not on hold, or the caller may not.
    pub async fn release(&self, caller: &Caller, scope: Scope, reason: String) -> Result<Hold, OpError> {
        check_reason(&reason)?;
        self.recorded(caller, Asked::new(ControlPoint::Resume, "scope.release", &scope), async {
            let by = caller.must_be_person()?;
            let (hold, _) = self
                .decide(|| async {
                    let now = self.now();
                    let read = self.one::<Hold>(&scope).await?.ok_or(OpError::NotFound("hold"))?;
                    let own = read.releasable_by == Releaser::Owner && self.owns_scope(caller, &scope).await?;
                    self.allow(caller, Action::Enable, inventory("scope", &scope, ""), enabling(own, read.placed_by, by))?;
                    match read.placed_by {
                        None => return Err(OpError::because(Reason::IllegalTransition, "the scope is not on hold")),
                        Some(placed_by) if placed_by == by => return Err(OpError::refused(Reason::SamePerson)),
                        Some(_) => {}
                    }
                    let hold = Hold {
                        scope: scope.clone(),
                        placed_by: None,
                        releasable_by: read.releasable_by,
                        reason: reason.clone(),
                        at: now,
                    };
                    let event = self
                        .event(now, "scope.released", ControlPoint::Resume)
                        .subject(scope.subject())
                        .fact("scope", scope.kind())
                        .fact("reason", &reason);
                    let mut changeset = Changeset::new(caller.actor(), now, event);
                    changeset.replace(&read, &hold);
                    Ok((changeset, hold))
                })
                .await?;
            Ok(hold)
        })
        .await
    }
}

/// That the record is the one that the caller saw, if they say which.
fn seen(wanted: Option<u64>, stored: &Stored<Identity>) -> Result<(), OpError> {
    if wanted.is_some_and(|wanted| wanted != stored.revision) {
        Err(OpError::Stale(stored.revision))
    } else {
        Ok(())
    }
}

/// A reason that a person gives: never empty, so that the record says why.
pub(crate) fn check_reason(reason: &str) -> Result<(), OpError> {
    if reason.trim().is_empty() || reason.len() > 500 {
        Err(OpError::field("reason", "reason_missing", "say why, in at most 500 bytes"))
    } else {
        Ok(())
    }
}

/// What a security officer places, an owner can't lift.
fn releaser(caller: &Caller, owns: bool) -> Releaser {
    if owns || matches!(caller, Caller::Identity { .. }) {
        Releaser::Owner
    } else {
        Releaser::Security
    }
}

fn enabling(owns: bool, placed_by: Option<PersonId>, by: PersonId) -> Attributes {
    Attributes::from([("owns", Value::Bool(owns)), ("placed_by_self", Value::Bool(placed_by == Some(by)))])
}
