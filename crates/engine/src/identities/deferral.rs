//! Removals that wait (R109): of a long-lived account on which others depend, for as long as an exception says that was
//! approved before anything fired.
//!
//! The exception is the only clock: when it is over, whether by its time or withdrawn, what it put off goes on in the
//! same commit. A compromise waits for nothing.

use tenure_core::base::id::ExceptionId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::deferral::{DeferredRemoval, RemovalTrigger};
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{Identity, IdentityState, Releaser, SuspensionCause, SuspensionKind};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::third_party::{Standing, Vendor};
use tenure_core::people::person::{Person, Role};
use tenure_core::request::exception::{Exception, ExceptionSubject, ExceptionType};
use tenure_core::signal::SubjectKind;
use tenure_core::signal::removal::{Removal, RemovalState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;

use crate::credentials::{deprecated_use, revocation};
use crate::identities::dormancy;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work;

/// When what waits is looked at again, where the end of its exception is past and wasn't worked off yet.
const LOOK_AGAIN: Span = Span::from_mins(1);

/// What would remove an identity now.
pub(crate) struct Fired<'a> {
    pub trigger: RemovalTrigger,
    /// The id of the removal, of what ended, of the transfer, or the identity's own.
    pub of: &'a str,
    pub reason: &'a str,
}

/// The exception that puts removals of an identity off, if one is in force and the identity isn't compromised.
pub(crate) async fn in_force(
    kernel: &Kernel,
    identity: &Identity,
    now: Timestamp,
) -> Result<Option<Stored<Exception>>, OpError> {
    for id in &identity.exceptions {
        let found = kernel.one::<Exception>(id).await?.filter(|exception| {
            exception.kind == ExceptionType::RemovalDeferred
                && exception.subject == ExceptionSubject::Identity(identity.id)
                && exception.is_in_force(now)
        });
        if found.is_some() {
            return Ok(if is_compromised(kernel, identity).await? { None } else { found });
        }
    }
    Ok(None)
}

/// Whether what an identity holds may be in other hands.
async fn is_compromised(kernel: &Kernel, identity: &Identity) -> Result<bool, OpError> {
    let replayed = identity.suspensions.iter().any(|cause| cause.kind == SuspensionKind::JoinTokenReplayed);
    let breached = match identity.charter.vendor {
        Some(id) => kernel.one::<Vendor>(id).await?.is_some_and(|vendor| vendor.breach.is_some()),
        None => false,
    };
    Ok(replayed || breached)
}

/// Puts what fired off, if an exception in force says so: until when. The identity is written with it the first time;
/// its owner and security are told of the first one.
pub(crate) async fn put_off(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    fired: Fired<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, OpError> {
    let Some(exception) = in_force(kernel, stored, now).await? else { return Ok(None) };
    if let Some(known) = stored.deferred_by(fired.trigger, fired.of) {
        return Ok(Some(known.until));
    }
    let Some(ends_at) = exception.ends_at else { return Ok(None) };
    let until = stored.charter.expires_at.map_or(ends_at, |expiry| expiry.min(ends_at));
    let deferred = DeferredRemoval {
        exception: exception.id,
        trigger: fired.trigger,
        of: fired.of.to_owned(),
        reason: fired.reason.to_owned(),
        at: now,
        until,
    };
    let Some(next) = stored.with_deferred(deferred) else { return Ok(None) };
    let event = kernel
        .event(now, EventKind::IdentityRemovalDeferred)
        .subject(stored.id)
        .subject(exception.id)
        .fact("trigger", fired.trigger)
        .fact("of", fired.of)
        .fact("reason", fired.reason)
        .fact("until", until);
    let event = if stored.deferred.is_empty() {
        let owner: Vec<_> = stored.charter.owner.into_iter().collect();
        let text = format!(
            "{} would be removed now: {}. {} puts that off until {until}; then it goes on by itself.\nAt once: tenure exception withdraw {}",
            stored.id, fired.reason, exception.id, exception.id
        );
        notify(event, &owner, &[Role::Security], "The removal of an identity waits", &text)
    } else {
        event
    };
    changeset.event(event).expect(&exception).replace(stored, &next);
    Ok(Some(until))
}

/// Works a deadline off that would remove an identity now, if an exception puts that off.
pub(crate) async fn postponed(
    kernel: &Kernel,
    claimed: &Claimed,
    stored: &Stored<Identity>,
    fired: Fired<'_>,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let event =
        kernel.event(now, EventKind::DeadlinePostponed).subject(&claimed.subject).fact("kind", claimed.kind.as_str());
    let mut changeset = Changeset::new(work::system(), now, event);
    let Some(until) = put_off(kernel, &mut changeset, stored, fired, now).await? else { return Ok(None) };
    let again = until.max(now.plus(LOOK_AGAIN));
    changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, again));
    Ok(Some(changeset))
}

/// That nothing has fired yet: a removal is put off only by what was approved before.
///
/// # Errors
/// Something has, or the identity isn't active.
pub(crate) async fn nothing_fired(kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<(), OpError> {
    if identity.state != IdentityState::Active {
        return Err(OpError::because(
            Reason::IllegalTransition,
            format!("the removal of an identity that is {} is not put off", identity.state.as_str()),
        ));
    }
    match fired(kernel, identity, now).await? {
        Some(what) => Err(OpError::because(Reason::RemovalTriggered, what)),
        None => Ok(()),
    }
}

/// What of the things that remove an identity has fired already.
async fn fired(kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<Option<String>, OpError> {
    if let Some(deferred) = identity.deferred.first() {
        return Ok(Some(format!("its removal waits already: {}", deferred.reason)));
    }
    if is_compromised(kernel, identity).await? {
        return Ok(Some("it is compromised, which waits for nothing".to_owned()));
    }
    let owner = match identity.charter.owner {
        Some(owner) => kernel.one::<Person>(owner).await?,
        None => None,
    };
    if identity.transfer.is_some() || !owner.is_some_and(|owner| owner.is_active()) {
        return Ok(Some("its owner has left".to_owned()));
    }
    if let Some(ended) = dormancy::ended_service(kernel, identity).await? {
        return Ok(Some(ended.reason));
    }
    let application = match identity.charter.application {
        Some(id) => kernel.one::<Application>(id).await?,
        None => None,
    };
    if let Some(closed) = application.filter(|application| application.standing == Standing::Closed) {
        return Ok(Some(format!("the application {} is retired", closed.id)));
    }
    if let Some(deprecation) = deprecated_use::past_sunset(kernel, identity, now).await? {
        return Ok(Some(format!("{} is past its sunset", deprecation.of)));
    }
    let removals = removals_of(kernel, identity).await?;
    Ok(removals.first().map(|removal| format!("{} is under way: {}", removal.id, removal.reason)))
}

/// The removals that wait, hold or retire, and concern an identity.
async fn removals_of(kernel: &Kernel, identity: &Identity) -> Result<Vec<Stored<Removal>>, OpError> {
    let scopes = identity.memberships.iter().map(|membership| Removal::SCOPE.of(&membership.scope));
    let terms: Vec<_> = std::iter::once(Removal::IDENTITY.of(identity.id)).chain(scopes).collect();
    let mut removals = Vec::new();
    for state in [RemovalState::Waiting, RemovalState::Held, RemovalState::Retiring] {
        let about = Query::of([Removal::STATE.of(state)]).any(terms.iter().cloned());
        // What can't be read may concern it.
        let found = kernel.pages(about).whole().await?;
        removals.extend(found.into_iter().filter(|removal| concerns(removal, identity)));
    }
    Ok(removals)
}

/// Whether a removal concerns an identity. Of those that don't name all that they concern, what can't be told apart does.
fn concerns(removal: &Removal, identity: &Identity) -> bool {
    let meant = removal.environments.is_empty()
        || identity.charter.environment.as_ref().is_some_and(|name| removal.environments.contains(name));
    if removal.blast.identities.contains(&identity.id) {
        return true;
    }
    let is_member = |scope: &Scope| identity.memberships.iter().any(|membership| membership.scope == *scope);
    if removal.scope.as_ref().is_some_and(is_member) {
        return meant;
    }
    let all_named = usize::try_from(removal.blast.count).is_ok_and(|count| count <= removal.blast.identities.len());
    let charter = &identity.charter;
    let name = &removal.subject.id;
    let lives_by_it = match removal.subject.kind {
        SubjectKind::Repository => charter.repositories.iter().any(|at| at.to_lowercase() == name.to_lowercase()),
        SubjectKind::Workload => charter.workload_binding.as_ref().is_some_and(|binding| binding.workload() == name),
        SubjectKind::Need => charter.need.is_some(),
        SubjectKind::Application => charter.application.is_some(),
        SubjectKind::Vendor => charter.vendor.is_some(),
        SubjectKind::CloudAccount => charter.cloud_account.is_some(),
        SubjectKind::Identity | SubjectKind::Person => false,
    };
    !all_named && lives_by_it && meant
}

/// The end of an exception that put removals off: what it put off goes on, in the same commit. What stops here and now
/// is stopped by it; deadlines do the rest.
pub(crate) async fn go_on(
    kernel: &Kernel,
    changeset: &mut Changeset,
    mut identity: Identity,
    exception: ExceptionId,
    now: Timestamp,
) -> Result<Identity, OpError> {
    let (over, others): (Vec<_>, Vec<_>) =
        std::mem::take(&mut identity.deferred).into_iter().partition(|deferred| deferred.exception == exception);
    identity.deferred = others;
    if !matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
        return Ok(identity);
    }
    if over.is_empty() {
        return Ok(identity);
    }
    let mut removed = false;
    for removal in removals_of(kernel, &identity).await? {
        if removal.state == RemovalState::Waiting {
            continue;
        }
        if over.iter().any(|deferred| deferred.is_of(removal.id)) {
            identity = held_by(kernel, changeset, identity, &removal, exception, now)?;
            removed = true;
        }
        changeset.due.push(DueChange::Set(DueKind::Removal, removal.id.to_string(), now));
    }
    for deferred in &over {
        match deferred.trigger {
            RemovalTrigger::Idle => {
                changeset.due.push(DueChange::Set(DueKind::IdentityIdle, identity.id.to_string(), now));
            }
            RemovalTrigger::OwnerLeft => {
                changeset.due.push(DueChange::Set(DueKind::Transfer, deferred.of.clone(), now));
            }
            RemovalTrigger::Removal | RemovalTrigger::ServiceEnded | RemovalTrigger::Sunset => {}
        }
    }
    if removed {
        let reason = format!("{exception}, which put its removal off, is over");
        revocation::cut_with_receipt(kernel, changeset, Scope::Identity(identity.id), &reason, now).await?;
        return Ok(identity);
    }
    stopped(kernel, changeset, identity, &over, now).await
}

/// Suspends an identity as a removal that put it aside would have.
fn held_by(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: Identity,
    removal: &Removal,
    exception: ExceptionId,
    now: Timestamp,
) -> Result<Identity, OpError> {
    let cause = SuspensionCause {
        kind: SuspensionKind::Signalled,
        placed_by: None,
        releasable_by: Releaser::Security,
        reason: format!("{}{}", removal.mark(), removal.reason),
        at: now,
    };
    let event = kernel
        .event(now, EventKind::IdentitySuspended)
        .subject(identity.id)
        .subject(removal.id)
        .fact("cause", cause.kind)
        .fact("reason", &cause.reason)
        .fact("releasable_by", cause.releasable_by)
        .fact("exception", exception);
    let owner: Vec<_> = identity.charter.owner.into_iter().collect();
    let text = format!(
        "{exception} is over, and with it the time for which the removal of {} waited: it is suspended, and retires with {}.\nLook: tenure removal show {}",
        identity.id, removal.id, removal.id
    );
    changeset.event(notify(event, &owner, &[Role::Security], "A removal goes on", &text));
    Ok(identity.suspend(cause)?)
}

/// Suspends an identity for what it served that has ended, or for the sunset that has passed.
async fn stopped(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: Identity,
    over: &[DeferredRemoval],
    now: Timestamp,
) -> Result<Identity, OpError> {
    let fired = |trigger: RemovalTrigger| over.iter().any(|deferred| deferred.trigger == trigger);
    if fired(RemovalTrigger::ServiceEnded)
        && let Some(ended) = dormancy::ended_service(kernel, &identity).await?
    {
        let by = dormancy::need_ended(kernel, &identity, &ended, &[]).await?;
        let next = dormancy::suspended_by_rule(kernel, changeset, identity.clone(), by, now).await?;
        return Ok(next.unwrap_or(identity));
    }
    if fired(RemovalTrigger::Sunset)
        && let Some(deprecation) = deprecated_use::past_sunset(kernel, &identity, now).await?
    {
        let past = dormancy::past_sunset(&deprecation);
        let next = dormancy::suspended_by_rule(kernel, changeset, identity.clone(), past.as_rule(), now).await?;
        return Ok(next.unwrap_or(identity));
    }
    Ok(identity)
}
