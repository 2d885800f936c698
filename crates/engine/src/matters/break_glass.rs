//! Break-glass of machines (R107): started where an exception approved it before, told at once, ended by its time, looked
//! at afterwards by somebody else.

use serde_json::json;
use tenure_api::break_glass::{AfterReviewed, NewBreakGlass};
use tenure_api::views::Revised;
use tenure_core::base::id::{BreakGlassId, GrantId, IdentityId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::exceptional::Access;
use tenure_core::finding::rules;
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::people::person::Role;
use tenure_core::policy::{Action, Answer};
use tenure_core::request::break_glass::{AfterReview, BreakGlass, BreakGlassState, LONGEST, REVIEW_WITHIN};
use tenure_core::request::exception::{Exception, ExceptionSubject, ExceptionType};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::identities::charter;
use crate::identities::grants::{MAX_GRANTS, granted_event};
use crate::kernel::authority::{enabling, inventory, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::exceptional::{self, About};
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::load::charter_of;
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::{Listed, Query};
use crate::kernel::work::{self, acknowledge, system};
use crate::kernel::{Kernel, finding};

impl Listed for BreakGlass {
    const NAME: &'static str = "break_glass";
    fn accountable(&self) -> Option<PersonId> {
        Some(self.started_by)
    }
}

/// Lets an identity do more for an hour at most, at once. Its owner and security are told, and it stands in the log of
/// exceptional access.
///
/// # Errors
/// No exception of the type `break_glass` is in force for it; an earlier one wasn't looked at; what is asked for isn't in
/// its charter; or the caller is neither its owner nor of security, or needs a fresh sign-in.
pub async fn start(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    ask: NewBreakGlass,
) -> Result<Revised<BreakGlass>, OpError> {
    check_reason(&ask.reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Approve, "break_glass.start", id), async {
            let by = caller.must_be_person()?;
            let (started, committed) = kernel.decide(|| started(kernel, caller, by, id, &ask)).await?;
            kernel.changed(started, 1, &committed).await
        })
        .await
}

async fn started(
    kernel: &Kernel,
    caller: &Caller,
    by: PersonId,
    id: IdentityId,
    ask: &NewBreakGlass,
) -> Result<(Changeset, BreakGlass), OpError> {
    let now = kernel.now();
    let stored = kernel.must::<Identity>("identity", id).await?;
    let fresh = freshness::freshness(kernel, caller, now).await?;
    let environment = stored.charter.environment.clone().unwrap_or_default();
    let question = enabling(owns_identity(caller, &stored), false, fresh);
    let answer = kernel.allow(caller, Action::Enable, inventory("identity", id, &environment), question)?;
    let exception = may_start(kernel, &stored, ask, now).await?;
    let ends_at = now.plus(ask.duration).min(charter_of(&stored)?.end());
    let ends_at = exception.ends_at.map_or(ends_at, |end| ends_at.min(end));
    let grant = grant_of(kernel, &stored, &exception, ask, (now, ends_at), &answer);
    let started = BreakGlass {
        id: BreakGlassId::generate(now, kernel.entropy.as_ref()),
        identity: id,
        entitlement: ask.entitlement.clone(),
        grant: grant.id,
        exception: exception.id,
        reason: ask.reason.clone(),
        started_by: by,
        started_at: now,
        ends_at,
        review_by: now.plus(REVIEW_WITHIN),
        state: BreakGlassState::Unreviewed,
        review: None,
    };
    let event = kernel
        .event(now, EventKind::BreakGlassStarted)
        .subject(started.id)
        .subject(id)
        .subject(grant.id)
        .fact("entitlement", &ask.entitlement)
        .fact("reason", &ask.reason)
        .fact("ends_at", ends_at)
        .fact("review_by", started.review_by)
        .fact("exception", exception.id)
        .fact("alert", true)
        .fact("assurance", assurance_fact(caller));
    let text = format!(
        "{id} may do more until {ends_at}: {}\nEnd it: tenure grant revoke {}\nLook at it until {}: tenure break-glass review {}",
        ask.reason, grant.id, started.review_by, started.id
    );
    let owner: Vec<PersonId> = stored.charter.owner.into_iter().collect();
    let event = notify(event, &owner, &[Role::Security], "Break-glass access was started", &text);
    let mut changeset = Changeset::new(caller.author(), now, event);
    fresh.expect(&mut changeset);
    changeset.expect(&exception);
    let about = About {
        access: Access::BreakGlassStarted,
        with: grant.id.to_string(),
        identity: Some(id),
        allowed_by: Some(exception.id.to_string()),
        refused: None,
    };
    exceptional::exceptional(kernel, &mut changeset, about);
    let mut identity = (*stored.value).clone();
    identity.grants.push(grant.id);
    changeset.event(granted_event(kernel, &grant, now));
    changeset.due.push(DueChange::Set(DueKind::Grant, grant.id.to_string(), ends_at));
    changeset.due.push(DueChange::Set(DueKind::BreakGlass, started.id.to_string(), started.review_by));
    changeset.insert(&grant).insert(&started).replace(&stored, &identity);
    Ok((changeset, started))
}

/// The exception that approved it before, if nothing is in the way.
async fn may_start(
    kernel: &Kernel,
    identity: &Stored<Identity>,
    ask: &NewBreakGlass,
    now: Timestamp,
) -> Result<Stored<Exception>, OpError> {
    if ask.duration < Span::from_secs(1) || ask.duration > LONGEST {
        return Err(OpError::field("duration", "duration_out_of_range", &format!("use 1s to {LONGEST}")));
    }
    if identity.state != IdentityState::Active {
        let detail = format!("the identity is {}: nothing opens for it", identity.state.as_str());
        return Err(OpError::because(Reason::IllegalTransition, detail));
    }
    let Some(exception) = approved_before(kernel, identity, now).await? else {
        return Err(OpError::because(
            Reason::NotAllowed,
            "nobody approved it before: tenure exception propose break_glass",
        ));
    };
    let wanted = &ask.entitlement;
    let scope = &identity.charter.scope;
    let within = |action: &String| charter::covers(scope, action, &wanted.resource);
    if wanted.actions.is_empty() || wanted.is_wildcard() || !wanted.actions.iter().all(within) {
        return Err(OpError::refused(Reason::OutsideScope));
    }
    let mut earlier = kernel.pages(Query::of([BreakGlass::IDENTITY.of(identity.id)]));
    while let Some(found) = earlier.next().await? {
        // One that can't be read bars the next one, too.
        if let Some(bars) = found.whole()?.iter().find(|earlier| earlier.bars(exception.id)) {
            let detail = match bars.state {
                BreakGlassState::Unreviewed => {
                    format!("nobody has looked at {} yet: tenure break-glass review", bars.id)
                }
                _ => format!("{} wasn't justified: have another exception approved", bars.id),
            };
            return Err(OpError::because(Reason::IllegalTransition, detail));
        }
    }
    if identity.grants.len() >= MAX_GRANTS {
        return Err(OpError::because(Reason::BudgetSpent, format!("the identity has {MAX_GRANTS} grants already")));
    }
    Ok(exception)
}

async fn approved_before(
    kernel: &Kernel,
    identity: &Identity,
    now: Timestamp,
) -> Result<Option<Stored<Exception>>, OpError> {
    let subject = ExceptionSubject::Identity(identity.id);
    for id in &identity.exceptions {
        let found = kernel.one::<Exception>(id).await?;
        let fits = |found: &Stored<Exception>| {
            found.kind == ExceptionType::BreakGlass && found.subject == subject && found.is_in_force(now)
        };
        if let Some(exception) = found.filter(fits) {
            return Ok(Some(exception));
        }
    }
    Ok(None)
}

fn grant_of(
    kernel: &Kernel,
    identity: &Identity,
    exception: &Exception,
    ask: &NewBreakGlass,
    (now, ends_at): (Timestamp, Timestamp),
    answer: &Answer,
) -> Grant {
    Grant {
        id: GrantId::generate(now, kernel.entropy.as_ref()),
        identity: identity.id,
        entitlement: ask.entitlement.clone(),
        starts_at: now,
        ends_at,
        state: GrantState::Live,
        request: exception.request,
        approved_by: exception.approved_by.clone(),
        policies: answer.policies().to_vec(),
        purpose: ask.reason.clone(),
        just_in_time: true,
    }
}

/// Says what was found when somebody looked at it afterwards: only then there may be a next time.
///
/// # Errors
/// It was looked at already, or the caller started it, isn't of security, or needs a fresh sign-in.
pub async fn review(
    kernel: &Kernel,
    caller: &Caller,
    id: BreakGlassId,
    ask: AfterReviewed,
) -> Result<Revised<BreakGlass>, OpError> {
    check_reason(&ask.note)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Review, "break_glass.review", id), async {
            let by = caller.must_be_person()?;
            let ((reviewed, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<BreakGlass>("break_glass", id).await?;
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let question = enabling(false, stored.started_by == by, fresh);
                    kernel.allow(caller, Action::Enable, inventory("break_glass", id, ""), question)?;
                    if stored.state != BreakGlassState::Unreviewed {
                        return Err(OpError::because(Reason::IllegalTransition, "it was looked at already"));
                    }
                    let state = if ask.justified { BreakGlassState::Justified } else { BreakGlassState::Unjustified };
                    let review = AfterReview { by, at: now, note: ask.note.clone() };
                    let reviewed = BreakGlass { state, review: Some(review), ..(*stored.value).clone() };
                    let event = kernel
                        .event(now, EventKind::BreakGlassReviewed)
                        .subject(id)
                        .subject(stored.identity)
                        .fact("justified", ask.justified)
                        .fact("note", &ask.note)
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    let over = [&rules::BREAK_GLASS_UNREVIEWED];
                    finding::no_longer(kernel, &mut changeset, &over, stored.identity, "it was looked at", now).await?;
                    changeset.due.push(DueChange::Clear(DueKind::BreakGlass, id.to_string()));
                    changeset.replace(&stored, &reviewed);
                    Ok((changeset, (reviewed, stored.revision + 1)))
                })
                .await?;
            kernel.changed(reviewed, revision, &committed).await
        })
        .await
}

/// Works off that nobody has looked at it in time.
pub(crate) async fn work_break_glass(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<BreakGlassId>() else { return Ok(None) };
    let Some(stored) = kernel.one::<BreakGlass>(id).await? else { return Ok(None) };
    if stored.state != BreakGlassState::Unreviewed {
        return Ok(None);
    }
    if now < stored.review_by {
        return Ok(Some(work::postponed(kernel, claimed, stored.review_by, now)));
    }
    let event = kernel.event(now, EventKind::BreakGlassOverdue).subject(id).subject(stored.identity);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.expect(&stored);
    let evidence = json!({"break_glass": id, "started_by": stored.started_by, "started_at": stored.started_at,
        "reason": stored.reason, "review_by": stored.review_by});
    let evidence = evidence.as_object().cloned().unwrap_or_default();
    let rule = &rules::BREAK_GLASS_UNREVIEWED;
    if finding::raise(kernel, &mut changeset, rule, stored.identity, &id.to_string(), evidence, now).await?.is_some() {
        let text = format!("Nobody has looked at {id}. Look: tenure break-glass show {id}");
        finding::tell(&mut changeset, &[], &[Role::Security], "Nobody has looked at a break-glass access", &text);
    }
    acknowledge(&mut changeset, claimed);
    Ok(Some(changeset))
}
