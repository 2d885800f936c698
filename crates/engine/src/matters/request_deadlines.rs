//! A request's deadlines: who may approve is reminded, others are told when nobody answers, it lapses, or its start has
//! come.

use tenure_core::base::id::{PersonId, RequestId};
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::{Person, Role};
use tenure_core::request::{Asker, Request, RequestState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::work::{self, system};
use crate::matters::{fulfilment, matter_facts, request, votes};
use crate::requests::route;

/// Works off a request's deadline.
pub(crate) async fn work_request(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<RequestId>() else {
        return Ok(None);
    };
    let Some(stored) = kernel.one::<Request>(id).await? else {
        return Ok(None);
    };
    match stored.state {
        RequestState::Open if stored.lapses_at <= now => {
            lapsed(kernel, claimed, &stored, "nobody answered in time", now).await.map(Some)
        }
        RequestState::Open => reminded(kernel, claimed, &stored, now).await.map(Some),
        RequestState::Approved => match stored.starts_at {
            Some(start) if start > now => Ok(Some(work::postponed(kernel, claimed, start, now))),
            _ => started(kernel, claimed, &stored, now).await.map(Some),
        },
        _ => Ok(None),
    }
}

async fn reminded(
    kernel: &Kernel,
    claimed: &Claimed,
    stored: &Stored<Request>,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let escalates = now.since(stored.opened_at) >= kernel.settings.request_escalate_after;
    let kind = if escalates { EventKind::RequestEscalated } else { EventKind::RequestReminded };
    let mut changeset = Changeset::new(system(), now, kernel.event(now, kind).subject(stored.id));
    if escalates {
        escalate(kernel, &mut changeset, stored).await?;
    } else {
        let title = "A request still waits for your answer";
        route::tell_approvers(kernel, &mut changeset, stored, title, now).await?;
    }
    let request = Request { reminders: stored.reminders.saturating_add(1), ..(*stored.value).clone() };
    let next = now.plus(kernel.settings.request_remind_after).min(stored.lapses_at);
    changeset.replace(stored, &request);
    changeset.due.push(DueChange::Retry(DueKind::Request, claimed.subject.clone(), claimed.fence, next));
    Ok(changeset)
}

/// Tells those above who may approve, and security. Nobody gains a vote by it.
async fn escalate(kernel: &Kernel, changeset: &mut Changeset, stored: &Request) -> Result<(), OpError> {
    let mut people: Vec<PersonId> = Vec::new();
    for id in [stored.owner, stored.manager].into_iter().flatten() {
        people.push(id);
        people.extend(kernel.one::<Person>(id).await?.and_then(|person| person.manager));
    }
    if let Asker::Person(asker) = stored.requested_by {
        people.push(asker);
    }
    let text = format!(
        "{} ({}) has waited since {} and lapses at {}.\nPurpose: {}\nIts approvers have not answered: tenure request show {}",
        stored.id,
        stored.workflow(),
        stored.opened_at,
        stored.lapses_at,
        stored.purpose,
        stored.id
    );
    if let Some(event) = changeset.events.first_mut() {
        let told = event.clone().fact("to", &people);
        *event = notify(told, &people, &[Role::Security], "Nobody has answered a request", &text);
    }
    Ok(())
}

async fn lapsed(
    kernel: &Kernel,
    claimed: &Claimed,
    stored: &Stored<Request>,
    because: &str,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let mut event = kernel
        .event(now, EventKind::RequestLapsed)
        .subject(stored.id)
        .fact("workflow", stored.workflow())
        .fact("because", because);
    if let Asker::Person(asker) = stored.requested_by {
        event = notify(event, &[asker], &[], "Your request has lapsed", &format!("{}: {because}.", stored.id));
    }
    let mut changeset = Changeset::new(system(), now, event);
    request::ended(kernel, &mut changeset, stored, RequestState::Lapsed, because, now).await?;
    work::acknowledge(&mut changeset, claimed);
    Ok(changeset)
}

/// The start of an approved request has come: everybody who approved it must still be one who may (S-8).
async fn started(
    kernel: &Kernel,
    claimed: &Claimed,
    stored: &Stored<Request>,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let mut facts = match matter_facts::facts(kernel, stored.requested_by, &stored.matter, now).await {
        Ok(facts) => facts,
        Err(OpError::Refused { reason, .. }) => return lapsed(kernel, claimed, stored, reason.code(), now).await,
        Err(OpError::Invalid(_) | OpError::NotFound(_)) => {
            return lapsed(kernel, claimed, stored, "what it was about has changed", now).await;
        }
        Err(other) => return Err(other),
    };
    facts.keep_out(stored);
    let mut request = match votes::as_it_stands(kernel, stored, &mut facts).await {
        Ok(request) => request,
        Err(OpError::Refused { reason, .. }) => return lapsed(kernel, claimed, stored, reason.code(), now).await,
        Err(other) => return Err(other),
    };
    if !crate::requests::content::is_hash_of(&stored.content_hash, &facts, &stored.purpose)?
        || !request.open_steps().is_empty()
    {
        return lapsed(kernel, claimed, stored, "an approval no longer counts", now).await;
    }
    let event = kernel.event(now, EventKind::RequestStarted).subject(stored.id).fact("workflow", stored.workflow());
    let mut changeset = Changeset::new(system(), now, event);
    changeset.expects.extend(facts.expects);
    fulfilment::fulfil(kernel, &mut changeset, &mut request, now).await?;
    changeset.replace(stored, &request);
    work::acknowledge(&mut changeset, claimed);
    Ok(changeset)
}
