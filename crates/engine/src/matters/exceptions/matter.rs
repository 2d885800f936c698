//! An exception as what is asked for: its facts, and what follows from the answer.

use crate::identities::dormancy;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::load::expect;
use crate::matters::exceptions;
use crate::matters::exceptions::endings;
use crate::matters::exceptions::plan::next_look;
use crate::requests::facts::Facts;
use tenure_core::changeset::Changeset;
use tenure_core::changeset::DueChange;
use tenure_core::event::ControlPoint;
use tenure_core::exception::Exception;
use tenure_core::exception::ExceptionState;
use tenure_core::exception::ExceptionSubject;
use tenure_core::exception::MAX_RENEWALS;
use tenure_core::id::ExceptionId;
use tenure_core::identity::Identity;
use tenure_core::port::DueKind;
use tenure_core::problem::Reason;
use tenure_core::request::Matter;
use tenure_core::request::Request;
use tenure_core::time::Timestamp;

/// What is known about a proposed exception.
pub(crate) async fn facts_of_exception(kernel: &Kernel, matter: &Matter, id: ExceptionId, now: Timestamp) -> Result<Facts, OpError> {
    let stored = kernel.must::<Exception>("exception", id).await?;
    if stored.state != ExceptionState::Proposed {
        return Err(exceptions::not_proposed(&stored));
    }
    let mut facts = exceptions::exception_facts(kernel, matter, &stored, now).await?;
    facts.expects.push(expect(&stored));
    Ok(facts)
}

/// Proposed → active: the waiver begins, and so does its end.
pub(crate) async fn fulfil_exception(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &mut Request,
    id: ExceptionId,
    now: Timestamp,
) -> Result<(), OpError> {
    let stored = kernel.must::<Exception>("exception", id).await?;
    let ExceptionSubject::Identity(subject) = stored.subject else {
        return Err(exceptions::not_proposed(&stored));
    };
    if stored.state != ExceptionState::Proposed {
        return Err(exceptions::not_proposed(&stored));
    }
    if stored.request != request.id {
        return Err(OpError::because(Reason::IllegalTransition, "another request is about this exception"));
    }
    let identity = kernel.must::<Identity>("identity", subject).await?;
    let ends_at = identity
        .charter
        .expires_at
        .map_or(now.plus(stored.duration), |end| end.min(now.plus(stored.duration)));
    let mut exception = Exception {
        state: ExceptionState::Active,
        starts_at: Some(now),
        ends_at: Some(ends_at),
        approved_by: request.approvers(),
        ..(*stored.value).clone()
    };
    for control in &mut exception.compensating {
        // Whoever approves has checked them: the request's text says so.
        control.checked_at = Some(now);
    }
    let event = kernel
        .event(now, "exception.granted", ControlPoint::Approve)
        .subject(id)
        .subject(subject)
        .fact("workflow", request.workflow())
        .fact("type", exception.kind)
        .fact("ends_at", ends_at)
        .fact("renewals", exception.renewals)
        .fact("max_renewals", MAX_RENEWALS)
        .fact("compensating", &exception.compensating)
        .fact("request", request.id)
        .fact("approved_by", request.approvers())
        .fact("policies", &request.policies)
        .fact("policy_version", &request.policy_version);
    changeset.event(event);
    changeset
        .due
        .push(DueChange::Set(DueKind::Exception, id.to_string(), next_look(&exception, now)));
    let mut held = (*identity.value).clone();
    held.exceptions.push(id);
    dormancy::watch(changeset, &held, now);
    changeset.replace(&stored, &exception).replace(&identity, &held);
    Ok(())
}

/// Proposed → withdrawn: its request came to nothing.
pub(crate) async fn drop_exception(kernel: &Kernel, changeset: &mut Changeset, id: ExceptionId, now: Timestamp) -> Result<(), OpError> {
    let Some(stored) = kernel.one::<Exception>(id).await?.filter(|stored| stored.state == ExceptionState::Proposed) else {
        return Ok(());
    };
    let exception = Exception {
        state: ExceptionState::Withdrawn,
        ..(*stored.value).clone()
    };
    changeset.event(endings::over_event(kernel, &exception, "its request came to nothing", now));
    changeset.replace(&stored, &exception);
    Ok(())
}
