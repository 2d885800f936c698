//! Exceptions: proposed with their request in one commit, approved by the owner and security, ended by themselves (R39,
//! R105–R112).

pub mod checks;
pub mod matter;
pub mod plan;

pub mod endings;

use serde_json::{Value, json};
use tenure_api::exceptions::{ExceptionView, NewControl, NewException, Renewal};
use tenure_api::views::Page;
use tenure_core::base::id::{ExceptionId, IdentityId, PersonId, RequestId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::state::InState;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::{Finding, FindingState, Rule};
use tenure_core::identity::place::Place;
use tenure_core::identity::{Identity, MAX_ITEMS};
use tenure_core::request::exception::{
    AcceptedFinding, CompensatingControl, Exception, ExceptionSubject, ExceptionType, MAX_RENEWALS,
};
use tenure_core::request::{Matter, Route};
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Committed;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::authority::{self, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::ListAsk;
use crate::matters::request;
use crate::requests::route;

const MAX_DESCRIPTION: usize = 500;

/// Proposes an exception for one identity, and opens the request about it, in one commit.
///
/// # Errors
/// What it would waive can't be waived, or for a class or a person; a control is missing; the renewals are used up; no
/// route is permitted; or the caller may not ask.
pub async fn propose_exception(kernel: &Kernel, caller: &Caller, ask: NewException) -> Result<ExceptionView, OpError> {
    let subject = ask.subject.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "exception.propose", subject), async {
            let by = caller.must_be_person()?;
            let (kind, identity) = waivable(&ask)?;
            let problems = wrong(&ask, kind);
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            let of = (kind, identity);
            let (exception, committed) = kernel.decide(|| proposed(kernel, caller, by, &ask, of)).await?;
            exception_view(kernel, exception, 1, Some(&committed)).await
        })
        .await
}

async fn proposed(
    kernel: &Kernel,
    caller: &Caller,
    by: PersonId,
    ask: &NewException,
    (kind, identity): (ExceptionType, IdentityId),
) -> Result<(Changeset, Exception), OpError> {
    let now = kernel.now();
    let accepts = accepts(kernel, ask, kind, identity).await?;
    let chain = matter::chain(kernel, identity, kind, accepts.as_ref()).await?;
    let about = accepts.as_ref().map(|accepts| format!(" {} {}", accepts.rule, accepts.detail)).unwrap_or_default();
    let mut exception = Exception {
        id: ExceptionId::generate(now, kernel.entropy.as_ref()),
        kind,
        subject: ExceptionSubject::Identity(identity),
        reason: ask.reason.clone(),
        compensating: ask.compensating.iter().map(control).collect(),
        places: ask.places.clone(),
        proposed_by: by,
        request: RequestId::from_u128(0),
        approved_by: Vec::new(),
        duration: ask.duration,
        starts_at: None,
        ends_at: None,
        renews: chain.granted.last().copied(),
        renewals: u8::try_from(chain.granted.len()).unwrap_or(u8::MAX),
        state: InState::default(),
        breached_at: None,
        accepts,
        created_at: now,
    };
    let matter = Matter::Exception { exception: exception.id };
    let mut facts = matter::exception_facts(kernel, &matter, &exception, now).await?;
    facts.interested.push(by);
    facts.interested.sort_unstable();
    facts.interested.dedup();
    route::may_ask(kernel, caller, &facts)?;
    if ask.renews.is_some() && ask.renews != exception.renews {
        return Err(OpError::field(
            "renews",
            "renews_unknown",
            "name the last exception of this type that the identity had, or leave it out",
        ));
    }
    if let Some(waiting) = chain.proposed {
        return Err(OpError::because(Reason::IllegalTransition, format!("{waiting} waits for its request already")));
    }
    if exception.renewals > MAX_RENEWALS {
        return Err(OpError::because(
            Reason::RenewalsUsedUp,
            format!("renewed {MAX_RENEWALS} of {MAX_RENEWALS} times; the last one is {}", shown(exception.renews)),
        ));
    }
    let mut request = route::draft_request(kernel, caller, &facts, &ask.reason, now).await?;
    if request.route == Route::Auto {
        return Err(OpError::because(Reason::NoRoute, "no rule by itself waives a control: people approve it"));
    }
    exception.request = request.id;
    let mut changeset = Changeset::new(caller.author(), now, proposed_event(kernel, &exception, identity, now));
    changeset.event(route::opened_event(kernel, &request, &facts, now));
    changeset.expects.extend(facts.expects);
    // Two proposals at once follow the same one: only one of them stands.
    changeset.once.push(Once {
        space: "exception",
        key: format!("{identity} {} {}{about}", kind.as_str(), shown(chain.last)),
        until: None,
    });
    changeset.insert(&exception);
    request::carry_on(kernel, caller, &mut changeset, &mut request, now).await?;
    changeset.insert(&request);
    Ok((changeset, exception))
}

/// The finding that is to be let be: one that stands, about this identity, of a rule whose findings may be.
async fn accepts(
    kernel: &Kernel,
    ask: &NewException,
    kind: ExceptionType,
    identity: IdentityId,
) -> Result<Option<AcceptedFinding>, OpError> {
    let id = match (kind == ExceptionType::AcceptedFinding, ask.finding) {
        (false, None) => return Ok(None),
        (true, Some(id)) => id,
        (wanted, _) => {
            let hint = if wanted { "name the finding that is let be" } else { "only an accepted_finding names one" };
            return Err(OpError::field("finding", if wanted { "finding_missing" } else { "finding_not_taken" }, hint));
        }
    };
    let found = kernel.one::<Finding>(id).await?.filter(|finding| finding.subject == identity.to_string());
    let found =
        found.ok_or_else(|| OpError::field("finding", "finding_unknown", "name a finding about the identity"))?;
    if !Rule::find(&found.rule).is_some_and(Rule::may_be_accepted) {
        let rule = &found.rule;
        let why = format!("findings of {rule} are never accepted: they are critical, or may be an attack");
        return Err(OpError::because(Reason::NotWaivable, why));
    }
    if found.state == FindingState::Resolved && ask.renews.is_none() {
        return Err(OpError::because(Reason::IllegalTransition, "the finding is resolved already"));
    }
    Ok(Some(AcceptedFinding { finding: id, rule: found.rule.clone(), detail: found.detail.clone() }))
}

/// Proposes the next exception after one, for the same identity. It counts, and there is a cap (R112).
///
/// # Errors
/// As [`Kernel::propose_exception`]; or it is not the last one, or was never in force.
pub async fn renew_exception(
    kernel: &Kernel,
    caller: &Caller,
    id: ExceptionId,
    ask: Renewal,
) -> Result<ExceptionView, OpError> {
    let stored = kernel.must::<Exception>("exception", id).await?;
    let before = || {
        let kept = |control: &CompensatingControl| NewControl {
            control: control.control.clone(),
            description: control.description.clone(),
        };
        stored.compensating.iter().map(kept).collect()
    };
    let next = NewException {
        kind: stored.kind.as_str().to_owned(),
        subject: json!(stored.subject),
        reason: ask.reason,
        compensating: ask.compensating.unwrap_or_else(before),
        places: stored.places.clone(),
        duration: ask.duration,
        renews: Some(id),
        finding: stored.accepts.as_ref().map(|accepts| accepts.finding),
    };
    propose_exception(kernel, caller, next).await
}

fn proposed_event(kernel: &Kernel, exception: &Exception, identity: IdentityId, now: Timestamp) -> Event {
    kernel
        .event(now, EventKind::ExceptionProposed)
        .subject(exception.id)
        .subject(identity)
        .fact("type", exception.kind)
        .fact("reason", &exception.reason)
        .fact("compensating", &exception.compensating)
        .fact("places", &exception.places)
        .fact("duration", exception.duration)
        .fact("renews", exception.renews)
        .fact("renewals", exception.renewals)
        .fact("accepts", &exception.accepts)
        .fact("request", exception.request)
}

/// A page of exceptions. Who may not read all of them names an identity of theirs.
///
/// # Errors
/// The caller may not read them.
pub async fn exceptions(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<Exception>,
) -> Result<Page<ExceptionView>, OpError> {
    let identity = ask.value_of(Exception::IDENTITY).and_then(|id| id.parse::<IdentityId>().ok());
    let owned = match identity {
        Some(id) => kernel.one::<Identity>(id).await?.is_some_and(|identity| owns_identity(caller, &identity)),
        None => false,
    };
    authority::may_read(kernel, caller, "exception", "", owned).await?;
    let (rows, end) = kernel.page(ask).await?;
    let view = |row: Stored<Exception>| ExceptionView::new((*row.value).clone(), row.revision, None);
    Ok(end.page(rows.into_iter().map(view).collect()))
}

/// One exception.
///
/// # Errors
/// No such exception, or the caller may not read it.
pub async fn exception(kernel: &Kernel, caller: &Caller, id: ExceptionId) -> Result<ExceptionView, OpError> {
    let stored = kernel.sought::<Exception>(caller, "exception", id).await?;
    let owned = caller.person_id() == Some(stored.proposed_by) || owns_exception(kernel, caller, &stored).await?;
    authority::may_read(kernel, caller, "exception", &id.to_string(), owned).await?;
    exception_view(kernel, (*stored.value).clone(), stored.revision, None).await
}

async fn exception_view(
    kernel: &Kernel,
    record: Exception,
    revision: u64,
    committed: Option<&Committed>,
) -> Result<ExceptionView, OpError> {
    let log = match committed {
        Some(committed) => Some(kernel.logged(committed).await?),
        None => None,
    };
    Ok(ExceptionView::new(record, revision, log))
}

async fn owns_exception(kernel: &Kernel, caller: &Caller, exception: &Exception) -> Result<bool, OpError> {
    match exception.subject {
        ExceptionSubject::Identity(id) => {
            Ok(kernel.one::<Identity>(id).await?.is_some_and(|identity| owns_identity(caller, &identity)))
        }
        ExceptionSubject::Person(id) => Ok(caller.person_id() == Some(id)),
    }
}

async fn owner_of(kernel: &Kernel, exception: &Exception) -> Result<Vec<PersonId>, OpError> {
    Ok(match exception.subject {
        ExceptionSubject::Identity(id) => kernel.one::<Identity>(id).await?.and_then(|identity| identity.charter.owner),
        ExceptionSubject::Person(id) => Some(id),
    }
    .into_iter()
    .collect())
}

/// What is to be waived, and for which identity; refused by name if nothing waives it, or for a class (R19, R39).
fn waivable(ask: &NewException) -> Result<(ExceptionType, IdentityId), OpError> {
    let not_waivable = |detail: String| Err(OpError::because(Reason::NotWaivable, detail));
    let Some(kind) = ExceptionType::ALL.iter().find(|kind| kind.as_str() == ask.kind) else {
        let types: Vec<&str> =
            ExceptionType::ALL.iter().filter(|kind| !kind.is_human()).map(|kind| kind.as_str()).collect();
        return not_waivable(format!("there is no such type; there are {}", types.join(", ")));
    };
    if kind.is_human() {
        return not_waivable("a contractor's early start is asked for as person_access with fast_onboarding".into());
    }
    match serde_json::from_value::<ExceptionSubject>(ask.subject.clone()) {
        Ok(ExceptionSubject::Identity(id)) => Ok((*kind, id)),
        Ok(ExceptionSubject::Person(_)) => {
            not_waivable(format!("{} is waived for a non-human identity only, never for a person", kind.as_str()))
        }
        Err(_) => not_waivable(
            "an exception is for one identity, {\"type\": \"identity\", \"id\": \"idn_…\"}, never for a class".into(),
        ),
    }
}

/// What is missing or wrong in a proposal.
fn wrong(ask: &NewException, kind: ExceptionType) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if let Err(OpError::Invalid(reason)) = check_reason(&ask.reason) {
        problems.extend(reason);
    }
    if ask.duration < Span::from_secs(1) || ask.duration > kind.max_duration() {
        problems.push(FieldProblem::new(
            "duration",
            "duration_out_of_range",
            format!("use 1s to {}: an exception always ends", kind.max_duration()),
        ));
    }
    if !ask.places.is_empty() && kind != ExceptionType::SharedUse {
        problems.push(FieldProblem::new("places", "places_not_of_type", "only a shared_use exception lists places"));
    }
    if ask.places.len() > MAX_ITEMS || !ask.places.iter().all(Place::is_well_formed) {
        let hint = "list at most 32, each with a name of 1 to 500 bytes without control characters";
        problems.push(FieldProblem::new("places", "item_malformed", hint));
    }
    let controls: Vec<_> = ask.compensating.iter().map(control).collect();
    for name in matter::missing(kind, &controls) {
        problems.push(FieldProblem::new(
            "compensating",
            "control_missing",
            format!("name the control {name}, and say how it is done here"),
        ));
    }
    for (n, control) in controls.iter().enumerate() {
        if !kind.compensating().contains(&control.control.as_str())
            || controls.iter().take(n).any(|earlier| earlier.control == control.control)
        {
            problems.push(FieldProblem::new(
                format!("compensating[{n}].control"),
                "control_unknown",
                format!("name each of {} once", kind.compensating().join(", ")),
            ));
        }
        if control.description.len() > MAX_DESCRIPTION {
            problems.push(FieldProblem::new(
                format!("compensating[{n}].description"),
                "description_too_long",
                "use at most 500 bytes",
            ));
        }
    }
    problems
}

fn control(ask: &NewControl) -> CompensatingControl {
    CompensatingControl { control: ask.control.clone(), description: ask.description.clone(), checked_at: None }
}

fn shown(id: Option<ExceptionId>) -> String {
    id.map_or_else(|| "none".to_owned(), |id| id.to_string())
}

#[cfg(test)]
pub(crate) mod tests;
