//! An exception as what is asked for: its facts, and what follows from the answer.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{ExceptionId, IdentityId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{CharterDraft, Identity, IdentityState, Kind};
use tenure_core::request::exception::{
    AcceptedFinding, CompensatingControl, Exception, ExceptionState, ExceptionSubject, ExceptionType, MAX_RENEWALS,
};
use tenure_core::request::{Matter, Request};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;

use crate::identities::{deferral, dormancy, identity_facts};
use crate::inventory::references;
use crate::kernel::error::OpError;
use crate::kernel::load::expect;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, finding};
use crate::matters::exceptions::plan::next_look;
use crate::requests::content::Subject;
use crate::requests::facts::MatterFacts;

/// What is known about a proposed exception.
pub(crate) async fn facts_of_exception(
    kernel: &Kernel,
    matter: &Matter,
    id: ExceptionId,
    now: Timestamp,
) -> Result<MatterFacts, OpError> {
    let stored = kernel.must::<Exception>("exception", id).await?;
    if stored.state != ExceptionState::Proposed {
        return Err(not_proposed(&stored));
    }
    let mut facts = exception_facts(kernel, matter, &stored, now).await?;
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
        return Err(not_proposed(&stored));
    };
    if stored.state != ExceptionState::Proposed {
        return Err(not_proposed(&stored));
    }
    if stored.request != request.id {
        return Err(OpError::because(Reason::IllegalTransition, "another request is about this exception"));
    }
    let identity = kernel.must::<Identity>("identity", subject).await?;
    if stored.kind == ExceptionType::RemovalDeferred {
        deferral::nothing_fired(kernel, &identity, now).await?;
    }
    let ends_at =
        identity.charter.expires_at.map_or(now.plus(stored.duration), |end| end.min(now.plus(stored.duration)));
    // Whoever approves has checked the compensating controls: the request's text says so.
    let exception = (*stored.value).clone().activate(request.approvers(), now, ends_at, now)?;
    let event = kernel
        .event(now, EventKind::ExceptionGranted)
        .subject(id)
        .subject(subject)
        .fact("workflow", request.workflow())
        .fact("type", exception.kind)
        .fact("ends_at", ends_at)
        .fact("renewals", exception.renewals)
        .fact("max_renewals", MAX_RENEWALS)
        .fact("compensating", &exception.compensating)
        .fact("places", &exception.places)
        .fact("request", request.id)
        .fact("approved_by", request.approvers())
        .fact("policies", &request.policies)
        .fact("policy_version", &request.policy_version);
    changeset.event(event);
    changeset.due.push(DueChange::Set(DueKind::Exception, id.to_string(), next_look(&exception, now)));
    let mut held = (*identity.value).clone();
    held.exceptions.push(id);
    dormancy::watch(changeset, &held, now);
    changeset.replace(&stored, &exception).replace(&identity, &held);
    finding::accept(kernel, changeset, &exception, now).await?;
    Ok(())
}

/// Proposed → withdrawn: its request came to nothing.
pub(crate) async fn drop_exception(
    kernel: &Kernel,
    changeset: &mut Changeset,
    id: ExceptionId,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some(stored) = kernel.one::<Exception>(id).await?.filter(|stored| stored.state == ExceptionState::Proposed)
    else {
        return Ok(());
    };
    let exception = (*stored.value).clone().withdraw()?;
    changeset.event(over_event(kernel, &exception, "its request came to nothing", now));
    changeset.replace(&stored, &exception);
    Ok(())
}

pub(crate) async fn exception_facts(
    kernel: &Kernel,
    matter: &Matter,
    exception: &Exception,
    now: Timestamp,
) -> Result<MatterFacts, OpError> {
    let ExceptionSubject::Identity(id) = exception.subject else {
        return Err(OpError::because(
            Reason::NotWaivable,
            "it is about a person, whose access is asked for as person_access",
        ));
    };
    let stored = kernel.must::<Identity>("identity", id).await?;
    if matches!(stored.state, IdentityState::Retiring | IdentityState::Retired | IdentityState::Closed) {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("nothing is waived for an identity that is {}", stored.state.as_str()),
        ));
    }
    if exception.kind == ExceptionType::RemovalDeferred {
        deferral::nothing_fired(kernel, &stored, now).await?;
    }
    let granted = chain(kernel, id, exception.kind, exception.accepts.as_ref()).await?.granted.len();
    // A draft may still lack facts: the exception confers nothing until its charter is judged.
    let references = references::check_references(kernel, stored.kind, &stored.charter, &mut Vec::new()).await?;
    let mut facts =
        identity_facts::facts_of_identity(kernel, matter, &stored, &stored.charter, &references, now).await?;
    facts.context.kind = exception.kind.as_str();
    facts.context.duration = exception.duration;
    facts.context.compensated = missing(exception.kind, &exception.compensating).is_empty()
        && exception.renewals <= MAX_RENEWALS
        && usize::from(exception.renewals) == granted;
    let waived = Waived { id, kind: stored.kind, charter: stored.charter.clone() };
    facts.subject = Subject::default()
        .with("identity", &waived)?
        .with("type", &exception.kind)?
        .with("compensating", &exception.compensating)?
        .with("duration", &exception.duration)?
        .with("renews", &exception.renews)?
        .with("renewals", &exception.renewals)?;
    if let Some(accepts) = &exception.accepts {
        facts.subject = facts.subject.with("accepts", accepts)?;
    }
    if !exception.places.is_empty() {
        facts.subject = facts.subject.with("places", &exception.places)?;
    }
    facts.expects.push(expect(&stored));
    facts.subjects = vec![exception.id.to_string(), id.to_string()];
    Ok(facts)
}

pub(crate) fn not_proposed(exception: &Exception) -> OpError {
    OpError::because(Reason::IllegalTransition, format!("the exception is {}", exception.state.as_str()))
}

pub(crate) fn over_event(kernel: &Kernel, exception: &Exception, because: &str, now: Timestamp) -> Event {
    let kind = if exception.state == ExceptionState::Expired {
        EventKind::ExceptionExpired
    } else {
        EventKind::ExceptionWithdrawn
    };
    kernel
        .event(now, kind)
        .subject(exception.id)
        .subject(subject_of(exception))
        .fact("type", exception.kind)
        .fact("because", because)
        .fact("renewals", exception.renewals)
}

/// The identity for which a control is waived, as the votes bind it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waived {
    id: IdentityId,
    kind: Kind,
    charter: CharterDraft,
}

/// The exceptions of one type that an identity had; of accepted findings those about the same one.
pub(crate) async fn chain(
    kernel: &Kernel,
    identity: IdentityId,
    kind: ExceptionType,
    accepts: Option<&AcceptedFinding>,
) -> Result<Chain, OpError> {
    // One that can't be read counts, too.
    let of_kind = Query::of([Exception::IDENTITY.of(identity), Exception::TYPE.of(kind)]);
    let mut all = kernel.pages(of_kind).whole().await?;
    all.retain(|row| match (&row.accepts, accepts) {
        (Some(other), Some(accepts)) => other.is_of(&accepts.rule, &accepts.detail),
        (other, accepts) => other.is_none() && accepts.is_none(),
    });
    let mut granted: Vec<_> = all.iter().filter_map(|row| row.starts_at.map(|start| (start, row.id))).collect();
    granted.sort_unstable();
    Ok(Chain {
        granted: granted.into_iter().map(|(_, id)| id).collect(),
        proposed: all.iter().find(|row| row.state == ExceptionState::Proposed).map(|row| row.id),
        last: all.last().map(|row| row.id),
    })
}

/// The controls that the type demands and that nobody describes.
pub(crate) fn missing(kind: ExceptionType, controls: &[CompensatingControl]) -> Vec<&'static str> {
    let described =
        |name: &str| controls.iter().any(|control| control.control == name && !control.description.trim().is_empty());
    kind.compensating().iter().copied().filter(|name| !described(name)).collect()
}

/// The exceptions of one type that an identity had.
pub(crate) struct Chain {
    /// Those that were in force once, in the order of their start.
    pub(crate) granted: Vec<ExceptionId>,
    /// One that waits for its request.
    pub(crate) proposed: Option<ExceptionId>,
    /// The last of any state.
    pub(crate) last: Option<ExceptionId>,
}

pub(crate) fn subject_of(exception: &Exception) -> String {
    match exception.subject {
        ExceptionSubject::Identity(id) => id.to_string(),
        ExceptionSubject::Person(id) => id.to_string(),
    }
}
