//! How exceptions end: withdrawn, breached for too long, or by their time; and what becomes of what rests on them
//! (R112).

use std::future::Future;

use serde_json::json;
use tenure_api::exceptions::{BreachReport, ControlsRestored, ExceptionView};
use tenure_core::base::id::ExceptionId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::rules;
use tenure_core::identity::{Identity, Releaser, SuspensionKind};
use tenure_core::people::person::Role;
use tenure_core::policy::Action;
use tenure_core::request::exception::{Exception, ExceptionState, ExceptionSubject, ExceptionType, MAX_RENEWALS};
use tenure_core::request::{Request, RequestState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Author, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::access::person_access;
use crate::identities::deferral;
use crate::identities::dormancy::{self, ByRule};
use crate::kernel::Kernel;
use crate::kernel::authority::{enabling, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::exceptional::{self, rests_on};
use crate::kernel::finding::{self, tell};
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::work::{self, acknowledge, system};
use crate::matters::exceptions::matter::{self, subject_of};
use crate::matters::exceptions::plan::{End, ExceptionPlan, next_look, plan};
use crate::matters::exceptions::{self};
use crate::matters::request;

/// Takes an exception back: what rests on it is suspended in the same commit.
///
/// # Errors
/// It is over already, or the caller is neither the owner, nor security, nor who proposed it.
pub async fn withdraw_exception(
    kernel: &Kernel,
    caller: &Caller,
    id: ExceptionId,
    reason: String,
) -> Result<ExceptionView, OpError> {
    check_reason(&reason)?;
    let reason = reason.as_str();
    exception_step(
        kernel,
        caller,
        Asked::new(ControlPoint::Revoke, "exception.withdraw", id),
        id,
        |stored, now| async move {
            let proposed = stored.state == ExceptionState::Proposed;
            let own = exceptions::owns_exception(kernel, caller, &stored).await?
                || (proposed && caller.person_id() == Some(stored.proposed_by));
            kernel.allow(caller, Action::Revoke, inventory("exception", id, ""), owns(own))?;
            if proposed {
                let request = kernel.must::<Request>("request", stored.request).await?;
                let event = kernel.event(now, EventKind::RequestWithdrawn).subject(request.id).fact("reason", reason);
                let mut changeset = Changeset::new(caller.author(), now, event);
                request::ended(
                    kernel,
                    &mut changeset,
                    &request,
                    RequestState::Withdrawn,
                    "its exception was withdrawn",
                    now,
                )
                .await?;
                return Ok(changeset);
            }
            if !stored.state.may_become(ExceptionState::Withdrawn) {
                return Err(OpError::because(
                    Reason::IllegalTransition,
                    format!("the exception is {}", stored.state.as_str()),
                ));
            }
            over(kernel, caller.author(), &stored, (*stored.value).clone().withdraw()?, reason, now).await
        },
    )
    .await
}

/// Reports that a compensating control is not in place: unless it is put back in time, the waiver is withdrawn.
///
/// # Errors
/// It is not active, has no such control, or the caller is neither the owner nor security.
pub async fn report_breach(
    kernel: &Kernel,
    caller: &Caller,
    id: ExceptionId,
    ask: BreachReport,
) -> Result<ExceptionView, OpError> {
    check_reason(&ask.note)?;
    let ask = &ask;
    exception_step(
        kernel,
        caller,
        Asked::new(ControlPoint::Suspend, "exception.report_breach", id),
        id,
        |stored, now| async move {
            kernel.allow(
                caller,
                Action::Suspend,
                inventory("exception", id, ""),
                owns(exceptions::owns_exception(kernel, caller, &stored).await?),
            )?;
            if stored.state != ExceptionState::Active {
                return Err(OpError::because(
                    Reason::IllegalTransition,
                    format!("the exception is {}", stored.state.as_str()),
                ));
            }
            if !stored.compensating.iter().any(|control| control.control == ask.control) {
                return Err(OpError::field(
                    "control",
                    "control_unknown",
                    "name one of the exception's compensating controls",
                ));
            }
            let exception = (*stored.value).clone().breach(now)?;
            let next = next_look(&exception, now);
            let event = kernel
                .event(now, EventKind::ExceptionBreached)
                .subject(id)
                .subject(subject_of(&exception))
                .fact("control", &ask.control)
                .fact("note", &ask.note)
                .fact("withdrawn_at", next);
            let text = format!(
                "The control {} of {id} is not in place. Put it back until {next}, or the waiver is withdrawn.",
                ask.control
            );
            let owner = exceptions::owner_of(kernel, &exception).await?;
            let event = notify(event, &owner, &[Role::Security], "A compensating control is not in place", &text);
            let mut changeset = Changeset::new(caller.author(), now, event);
            let evidence =
                json!({"exception": id, "control": ask.control, "note": ask.note, "reported_by": caller.person_id()});
            let evidence = evidence.as_object().cloned().unwrap_or_default();
            finding::raise(
                kernel,
                &mut changeset,
                &rules::EXCEPTION_BREACHED,
                subject_of(&exception),
                &id.to_string(),
                evidence,
                now,
            )
            .await?;
            changeset.due.push(DueChange::Set(DueKind::Exception, id.to_string(), next));
            changeset.replace(&stored, &exception);
            Ok(changeset)
        },
    )
    .await
}

/// Breached → active: somebody answers for every compensating control being in place again.
///
/// # Errors
/// It is not breached, or the caller is neither the owner nor security, or needs a fresh sign-in.
pub async fn restore_controls(
    kernel: &Kernel,
    caller: &Caller,
    id: ExceptionId,
    ask: ControlsRestored,
) -> Result<ExceptionView, OpError> {
    check_reason(&ask.note)?;
    let ask = &ask;
    exception_step(
        kernel,
        caller,
        Asked::new(ControlPoint::Resume, "exception.restore_control", id),
        id,
        |stored, now| async move {
            caller.must_be_person()?;
            let fresh = freshness::freshness(kernel, caller, now).await?;
            let is_owner = exceptions::owns_exception(kernel, caller, &stored).await?;
            kernel.allow(caller, Action::Enable, inventory("exception", id, ""), enabling(is_owner, false, fresh))?;
            if stored.state != ExceptionState::Breached {
                return Err(OpError::because(
                    Reason::IllegalTransition,
                    format!("the exception is {}", stored.state.as_str()),
                ));
            }
            let exception = (*stored.value).clone().restore(now)?;
            let event = kernel
                .event(now, EventKind::ExceptionRestored)
                .subject(id)
                .subject(subject_of(&exception))
                .fact("note", &ask.note)
                .fact("assurance", assurance_fact(caller));
            let mut changeset = Changeset::new(caller.author(), now, event);
            fresh.expect(&mut changeset);
            settle_breach(kernel, &mut changeset, &exception, "every control is in place again", now).await?;
            changeset.due.push(DueChange::Set(DueKind::Exception, id.to_string(), next_look(&exception, now)));
            changeset.replace(&stored, &exception);
            Ok(changeset)
        },
    )
    .await
}

/// One step of one exception: read, decide, commit, with its refusal recorded.
async fn exception_step<Fut: Future<Output = Result<Changeset, OpError>>>(
    kernel: &Kernel,
    caller: &Caller,
    asked: Asked,
    id: ExceptionId,
    step: impl Fn(Stored<Exception>, Timestamp) -> Fut,
) -> Result<ExceptionView, OpError> {
    kernel
        .recorded(caller, asked, async {
            let ((), committed) = kernel
                .decide(|| async {
                    let stored = kernel.must::<Exception>("exception", id).await?;
                    Ok((step(stored, kernel.now()).await?, ()))
                })
                .await?;
            let stored = kernel.must::<Exception>("exception", id).await?;
            exceptions::exception_view(kernel, (*stored.value).clone(), stored.revision, Some(&committed)).await
        })
        .await
}

/// Works off an exception's deadline: a warning, its end, or the end of a breach's grace period.
pub(crate) async fn work_exception(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<ExceptionId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Exception>(id).await? else {
        return Ok(None);
    };
    let (mut changeset, next) = match plan(&stored, now) {
        ExceptionPlan::Nothing => return Ok(None),
        ExceptionPlan::Later(at) => return Ok(Some(work::postponed(kernel, claimed, at, now))),
        ExceptionPlan::Warn(ends) => {
            let event = kernel
                .event(now, EventKind::ExceptionEnding)
                .subject(id)
                .subject(subject_of(&stored))
                .fact("ends_at", ends)
                .fact("renewals", stored.renewals);
            let text = format!(
                "{id} ({}) ends at {ends}, renewed {} of {MAX_RENEWALS} times. What needs it is suspended then.",
                stored.kind.as_str(),
                stored.renewals
            );
            let event = notify(
                event,
                &exceptions::owner_of(kernel, &stored).await?,
                &[],
                "An exception of yours ends soon",
                &text,
            );
            (Changeset::new(system(), now, event), ends)
        }
        ExceptionPlan::End(end, because) => {
            let exception = (*stored.value).clone();
            let ended = match end {
                End::Expires => exception.expire()?,
                End::Withdrawn => exception.withdraw()?,
            };
            let mut changeset = over(kernel, system(), &stored, ended, because, now).await?;
            acknowledge(&mut changeset, claimed);
            return Ok(Some(changeset));
        }
    };
    changeset.due.push(DueChange::Retry(DueKind::Exception, claimed.subject.clone(), claimed.fence, next));
    Ok(Some(changeset))
}

/// The end of an exception: what still rests on it doesn't go on without it (R112).
async fn over(
    kernel: &Kernel,
    author: impl Into<Author>,
    stored: &Stored<Exception>,
    exception: Exception,
    because: &str,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let mut changeset = Changeset::new(author, now, matter::over_event(kernel, &exception, because, now));
    changeset.replace(stored, &exception);
    changeset.due.push(DueChange::Clear(DueKind::Exception, exception.id.to_string()));
    let id = match exception.subject {
        ExceptionSubject::Identity(id) => id,
        ExceptionSubject::Person(person) => {
            person_access::end_boxed_grants(kernel, &mut changeset, person, exception.id, because, now).await?;
            return Ok(changeset);
        }
    };
    settle_breach(kernel, &mut changeset, &exception, "the exception is over", now).await?;
    let Some(read) = kernel.one::<Identity>(id).await? else {
        return Ok(changeset);
    };
    let mut identity = (*read.value).clone();
    identity.exceptions.retain(|held| *held != exception.id);
    let waived = exceptional::waived(kernel, &identity, now).await?;
    let still_waived = waived.iter().any(|waived| waived == exception.kind.as_str());
    if identity.deferred.iter().any(|deferred| deferred.exception == exception.id) {
        identity = deferral::go_on(kernel, &mut changeset, identity, exception.id, now).await?;
        dormancy::watch(&mut changeset, &identity, now);
    } else if rests_on(exception.kind, &identity.charter) && !still_waived {
        let reason = format!("the exception {} ({}) is over: {because}", exception.id, exception.kind.as_str());
        let evidence = json!({"exception": exception.id, "type": exception.kind, "because": because, "renewals": exception.renewals, "max_renewals": MAX_RENEWALS});
        let by = ByRule {
            kind: SuspensionKind::ExceptionEnded,
            releasable_by: Releaser::Security,
            reason: &reason,
            rule: &rules::EXCEPTION_ENDED,
            detail: &exception.id.to_string(),
            evidence: evidence.as_object().cloned().unwrap_or_default(),
            alert: true,
        };
        if let Some(suspended) = dormancy::suspended_by_rule(kernel, &mut changeset, identity.clone(), by, now).await? {
            identity = suspended;
        }
    } else {
        let owner: Vec<_> = identity.charter.owner.into_iter().collect();
        let text = format!("{} ({}) is over: {because}. Nothing rests on it.", exception.id, exception.kind.as_str());
        tell(&mut changeset, &owner, &[], "An exception of yours is over", &text);
    }
    let owner: Vec<_> = identity.charter.owner.into_iter().collect();
    finding::come_back(kernel, &mut changeset, &exception, &owner, now).await?;
    if matches!(exception.kind, ExceptionType::Dormancy | ExceptionType::AcceptedFinding) {
        dormancy::watch(&mut changeset, &identity, now);
    }
    changeset.replace(&read, &identity);
    Ok(changeset)
}

async fn settle_breach(
    kernel: &Kernel,
    changeset: &mut Changeset,
    exception: &Exception,
    how: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    finding::no_longer_about(
        kernel,
        changeset,
        &rules::EXCEPTION_BREACHED,
        subject_of(exception),
        &exception.id.to_string(),
        how,
        now,
    )
    .await
}
