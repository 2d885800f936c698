//! Requests: opened on the lightest route that policy permits, voted on, fulfilled in the commit of the last vote.

use tenure_api::request::{Amendment, NewRequest, RequestView};
use tenure_api::views::Page;
use tenure_core::base::id::RequestId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Person;
use tenure_core::request::{Edited, Matter, Request, RequestState, Route, Voter};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::authority::{self};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::{ListAsk, Query};
use crate::matters::matter_facts::{self};
use crate::matters::{brief, fulfilment, votes};
use crate::people::stand_ins;
use crate::requests::{route, stand_in};

/// Asks for something. It is fulfilled at once where a named rule approves it, and otherwise waits for its approvers.
///
/// # Errors
/// What is asked for is wrong or over a ceiling, no route is permitted, or the caller may not ask.
pub async fn open_request(kernel: &Kernel, caller: &Caller, ask: NewRequest) -> Result<RequestView, OpError> {
    let subject = ask.matter.identity().map(|id| id.to_string()).unwrap_or_default();
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "request.open", subject), async {
            if matches!(ask.matter, Matter::Exception { .. } | Matter::Policy { .. }) {
                // One proposal, one request: a second one could be denied or approved in the first one's place.
                return Err(OpError::field(
                    "matter",
                    "matter_proposed_elsewhere",
                    "propose it, and its request opens with it: POST /v1/exceptions, POST /v1/policies",
                ));
            }
            let ((request, revision), committed) = kernel
                .decide(|| async {
                    let (changeset, request) = opening(kernel, caller, &ask.matter, &ask.purpose, kernel.now()).await?;
                    Ok((changeset, (request, 1)))
                })
                .await?;
            route::request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

/// The request about a matter, as its changeset opens it: with its approvers told, or fulfilled where nobody's vote is
/// needed or there is nobody else.
pub(crate) async fn opening(
    kernel: &Kernel,
    caller: &Caller,
    matter: &Matter,
    purpose: &str,
    now: Timestamp,
) -> Result<(Changeset, Request), OpError> {
    route::check_purpose(purpose)?;
    let facts = matter_facts::facts(kernel, route::asker(caller), matter, now).await?;
    route::may_ask(kernel, caller, &facts)?;
    let mut request = route::draft_request(kernel, caller, &facts, purpose, now).await?;
    let mut changeset = Changeset::new(caller.author(), now, route::opened_event(kernel, &request, &facts, now));
    changeset.expects.extend(facts.expects);
    carry_on(kernel, caller, &mut changeset, &mut request, now).await?;
    changeset.insert(&request);
    Ok((changeset, request))
}

/// What follows from a fresh request in the same commit: it is fulfilled if no vote is wanted, else its approvers are
/// told and its deadlines begin.
pub(crate) async fn carry_on(
    kernel: &Kernel,
    caller: &Caller,
    changeset: &mut Changeset,
    request: &mut Request,
    now: Timestamp,
) -> Result<(), OpError> {
    if request.route == Route::Auto {
        route::approve_by_rule(kernel, changeset, request, now);
        return fulfilment::fulfil_or_wait(kernel, changeset, request, now).await;
    }
    if votes::decides_alone(caller, request) {
        // There is nobody else yet who could vote (S-10); the record says so.
        return votes::vote_alone(kernel, caller, changeset, request, now).await;
    }
    route::wait_for_votes(kernel, changeset, request, now).await
}

/// Takes a request back.
///
/// # Errors
/// It isn't open, or the caller didn't ask for it.
pub async fn withdraw_request(kernel: &Kernel, caller: &Caller, id: RequestId) -> Result<RequestView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "request.withdraw", id), async {
            let ((request, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Request>("request", id).await?;
                    if stored.requested_by != route::asker(caller) {
                        return Err(OpError::because(Reason::NotAllowed, "a request is withdrawn by who asked"));
                    }
                    let mut changeset = Changeset::new(
                        caller.author(),
                        now,
                        kernel.event(now, EventKind::RequestWithdrawn).subject(id),
                    );
                    let request =
                        ended(kernel, &mut changeset, &stored, RequestState::Withdrawn, "withdrawn", now).await?;
                    Ok((changeset, (request, stored.revision + 1)))
                })
                .await?;
            route::request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

/// Changes an open request: what was voted on is no longer what is asked for, so votes are void (S-8).
///
/// # Errors
/// It isn't open, the caller didn't ask for it, or what is asked for now is wrong.
pub async fn amend_request(
    kernel: &Kernel,
    caller: &Caller,
    id: RequestId,
    ask: Amendment,
) -> Result<RequestView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Change, "request.amend", id), async {
            route::check_purpose(&ask.purpose)?;
            let ((request, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Request>("request", id).await?;
                    if stored.requested_by != route::asker(caller) {
                        return Err(OpError::because(Reason::NotAllowed, "a request is changed by who asked"));
                    }
                    if stored.state != RequestState::Open {
                        return Err(route::not_open(stored.state));
                    }
                    let matter = ask.matter.as_ref().unwrap_or(&stored.matter);
                    if matter.as_str() != stored.matter.as_str()
                        || matter.identity() != stored.matter.identity()
                        || matter.person() != stored.matter.person()
                    {
                        return Err(OpError::field(
                            "matter",
                            "matter_changed",
                            "keep what it is about; for something else open another request",
                        ));
                    }
                    let mut facts = matter_facts::facts(kernel, stored.requested_by, matter, now).await?;
                    facts.keep_out(&stored);
                    route::may_ask(kernel, caller, &facts)?;
                    let fresh = route::draft_request(kernel, caller, &facts, &ask.purpose, now).await?;
                    let mut request = Request {
                        id: stored.id,
                        opened_at: stored.opened_at,
                        lapses_at: stored.lapses_at,
                        reminders: stored.reminders,
                        notes: stored.notes.clone(),
                        before: Some(Box::new(Edited {
                            matter: stored.matter.clone(),
                            purpose: stored.purpose.clone(),
                            at: now,
                        })),
                        ..fresh
                    };
                    let event = kernel
                        .event(now, EventKind::RequestAmended)
                        .subject(id)
                        .fact("matter", &request.matter)
                        .fact("purpose", &request.purpose)
                        .fact("route", request.route)
                        .fact("votes_voided", stored.votes.len())
                        .fact("content_hash", &request.content_hash);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.expects.extend(facts.expects);
                    carry_on(kernel, caller, &mut changeset, &mut request, now).await?;
                    changeset.replace(&stored, &request);
                    Ok((changeset, (request, stored.revision + 1)))
                })
                .await?;
            route::request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

/// One request.
///
/// # Errors
/// No such request, or the caller may not read it.
pub async fn request(kernel: &Kernel, caller: &Caller, id: RequestId) -> Result<RequestView, OpError> {
    let stored = kernel.sought::<Request>(caller, "request", id).await?;
    let owned = route::concerns_now(kernel, caller, &stored).await?;
    authority::may_read(kernel, caller, "request", &id.to_string(), owned).await?;
    let mut view = route::request_view(kernel, (*stored.value).clone(), stored.revision, None).await?;
    view.stand_ins = stand_in::standing_in(kernel, &stored, kernel.now()).await?;
    if caller.person_id().is_some() {
        view.brief = Some(brief::brief(kernel, &stored).await?);
    }
    Ok(view)
}

/// A page of requests. Who may not read all of them sees their own.
///
/// # Errors
/// The caller may read none.
pub async fn requests(
    kernel: &Kernel,
    caller: &Caller,
    mut ask: ListAsk<Request>,
) -> Result<Page<RequestView>, OpError> {
    if authority::can_read(kernel, caller, "request", "", false).is_err() {
        authority::may_read(kernel, caller, "request", "", true).await?;
        ask = ask.only(Request::REQUESTER.of(route::asker(caller)));
    }
    let (rows, end) = kernel.page(ask).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(route::request_view(kernel, (*row.value).clone(), row.revision, None).await?);
    }
    Ok(end.page(items))
}

/// A page of the open requests that wait for the caller's vote, the oldest first: those of which a step is still open
/// that they fill by name or by role, and that don't keep them out (S-8). Whether their vote counts is said when they
/// cast it.
///
/// # Errors
/// The caller is no person, or the cursor is of no such page.
pub async fn waiting_votes(
    kernel: &Kernel,
    caller: &Caller,
    after: Option<String>,
    limit: Option<u16>,
) -> Result<Page<RequestView>, OpError> {
    let Caller::Person { person, .. } = caller else {
        return Err(OpError::NotFound("vote of software"));
    };
    let by_role = person.roles.iter().map(|role| Voter::Role(*role));
    let now = kernel.now();
    let mut absent = stand_ins::who_named(kernel, person.id, now).await?;
    absent.retain(|absent| absent.is_active() && absent.stand_in_at(now).is_some());
    let by_name = std::iter::once(person.id).chain(absent.iter().map(|absent| absent.id)).map(Voter::Person);
    let voters = by_name.chain(by_role);
    let query =
        Query::of([]).any(voters.map(|voter| Request::WAITS_FOR.of(voter))).without([Request::KEEPS_OUT.of(person.id)]);
    let is_wanted = |request: &Stored<Request>| {
        let names = |absent: &Stored<Person>| [request.owner, request.manager].contains(&Some(absent.id));
        let owned = route::concerns(request, caller) || absent.iter().any(names);
        let may_read = || authority::can_read(kernel, caller, "request", &request.id.to_string(), owned).is_ok();
        route::may_fill(request, person, &absent) && may_read()
    };
    let (rows, end) = kernel.sifted(query, after.as_deref(), limit, is_wanted).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(route::request_view(kernel, (*row.value).clone(), row.revision, None).await?);
    }
    Ok(end.page(items))
}

/// Ends a request by another way than its fulfilment, with what that means for what it was about.
pub(crate) async fn ended(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Request>,
    state: RequestState,
    because: &str,
    now: Timestamp,
) -> Result<Request, OpError> {
    let request = (*stored.value).clone().end(state, Some(because.to_owned()), now).map_err(route::not_open)?;
    fulfilment::undo_proposal(kernel, changeset, &request, now).await?;
    changeset.replace(stored, &request);
    changeset.due.push(DueChange::Clear(DueKind::Request, request.id.to_string()));
    Ok(request)
}
