//! Deprecations: said of applications, vendors, needs and identities; at their sunset what they concern is suspended
//! (R99).

use tenure_api::deprecations::NewDeprecation;
use tenure_api::views::Revised;
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::text;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::deprecation::{Deprecated, Deprecation, DeprecationState};
use tenure_core::inventory::third_party::{Need, Vendor};
use tenure_core::people::person::Role;
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tenure_core::store::term::Term;

use crate::credentials::deprecated_use;
use crate::identities::{deferral, dormancy};
use crate::kernel::Kernel;
use crate::kernel::authority::{self, administration, enabling, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness;
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::Listed;
use crate::kernel::work::{self, acknowledge, system};

const MAX_TEXT: usize = 200;

impl Listed for Deprecation {
    const NAME: &'static str = "deprecation";
    fn accountable(&self) -> Option<PersonId> {
        Some(self.declared_by)
    }
}

/// Says that something goes on a day, or on another day than was said.
///
/// # Errors
/// There is no such thing, the sunset is past, the caller is neither its owner, nor security, nor an administrator; or its
/// sunset has passed, and they are not somebody else of security with a fresh sign-in.
pub async fn deprecate(kernel: &Kernel, caller: &Caller, ask: NewDeprecation) -> Result<Revised<Deprecation>, OpError> {
    check_reason(&ask.reason)?;
    let declared = kernel
        .recorded(caller, Asked::new(ControlPoint::Suspend, "deprecation.declare", ask.of), async {
            let by = caller.must_be_person()?;
            let ((deprecation, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let owner = owner_of(kernel, ask.of).await?;
                    let known = kernel.one::<Deprecation>(ask.of).await?;
                    let was_past = known.as_ref().is_some_and(|known| known.is_past(now));
                    if let Some(known) = known.as_ref().filter(|_| was_past) {
                        may_undo(kernel, caller, known, now).await?;
                    } else {
                        may_end(kernel, caller, ask.of, owner)?;
                    }
                    check(&ask, now)?;
                    let deprecation = Deprecation {
                        of: ask.of,
                        deprecated_since: known.as_ref().map_or(now, |known| known.deprecated_since),
                        sunset: ask.sunset,
                        reason: ask.reason.clone(),
                        instead: ask.instead.clone(),
                        declared_by: by,
                        state: DeprecationState::Announced,
                        callers: known.as_ref().map(|known| known.callers.clone()).unwrap_or_default(),
                        other_uses: known.as_ref().map_or(0, |known| known.other_uses),
                    };
                    let event = kernel
                        .event(
                            now,
                            if was_past { EventKind::DeprecationPutOff } else { EventKind::DeprecationDeclared },
                        )
                        .subject(ask.of)
                        .fact("sunset", ask.sunset)
                        .fact("sunset_before", known.as_ref().map(|known| known.sunset))
                        .fact("reason", &ask.reason)
                        .fact("instead", &ask.instead);
                    let text = format!(
                        "{} is deprecated, and goes at {}: {}\nWho still uses it: tenure deprecation show {}",
                        ask.of, ask.sunset, ask.reason, ask.of
                    );
                    let to: Vec<PersonId> = owner.into_iter().collect();
                    let event = notify(event, &to, &[], "Something of yours is deprecated", &text);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    match &known {
                        Some(known) => changeset.replace(known, &deprecation),
                        None => changeset.insert(&deprecation),
                    };
                    changeset.due.push(DueChange::Set(DueKind::Sunset, ask.of.to_string(), ask.sunset));
                    Ok((changeset, (deprecation, known.map_or(1, |known| known.revision + 1))))
                })
                .await?;
            kernel.changed(deprecation, revision, &committed).await
        })
        .await?;
    deprecated_use::changed(kernel, declared.record.of, true);
    Ok(declared)
}

/// Takes a deprecation back. What its sunset suspended is resumed by hand.
///
/// # Errors
/// It was taken back before, or the caller may not: as for [`deprecate`].
pub async fn withdraw(
    kernel: &Kernel,
    caller: &Caller,
    of: Deprecated,
    reason: String,
) -> Result<Revised<Deprecation>, OpError> {
    check_reason(&reason)?;
    let withdrawn = kernel
        .recorded(caller, Asked::new(ControlPoint::Resume, "deprecation.withdraw", of), async {
            caller.must_be_person()?;
            let ((deprecation, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.one::<Deprecation>(of).await?.ok_or_else(|| untold(kernel, caller, of))?;
                    if stored.is_past(now) {
                        may_undo(kernel, caller, &stored, now).await?;
                    } else {
                        may_end(kernel, caller, of, owner_of(kernel, of).await?)?;
                    }
                    if stored.state == DeprecationState::Withdrawn {
                        return Err(OpError::because(Reason::IllegalTransition, "it was taken back already"));
                    }
                    let deprecation = Deprecation { state: DeprecationState::Withdrawn, ..(*stored.value).clone() };
                    let event = kernel.event(now, EventKind::DeprecationWithdrawn).subject(of).fact("reason", &reason);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.replace(&stored, &deprecation);
                    changeset.due.push(DueChange::Clear(DueKind::Sunset, of.to_string()));
                    Ok((changeset, (deprecation, stored.revision + 1)))
                })
                .await?;
            kernel.changed(deprecation, revision, &committed).await
        })
        .await?;
    deprecated_use::changed(kernel, of, false);
    Ok(withdrawn)
}

/// What a caller is told of a deprecation that isn't there: that, if they may read all of them.
fn untold(kernel: &Kernel, caller: &Caller, of: Deprecated) -> OpError {
    match authority::can_read(kernel, caller, Deprecation::NAME, &of.to_string(), false) {
        Ok(()) => OpError::NotFound("deprecation"),
        Err(refused) => refused,
    }
}

fn check(ask: &NewDeprecation, now: Timestamp) -> Result<(), OpError> {
    let mut problems = Vec::new();
    if ask.sunset <= now {
        problems.push(FieldProblem::new(
            "sunset",
            "end_past",
            "set a sunset in the future; what has to end now is cut",
        ));
    }
    let is_good = |text: &String| text.len() <= MAX_TEXT && text::check_line(text).is_ok();
    if !ask.instead.as_ref().is_none_or(is_good) {
        problems.push(FieldProblem::new("instead", "text_unfit", "say what to use instead on one line of 200 bytes"));
    }
    if problems.is_empty() { Ok(()) } else { Err(OpError::Invalid(problems)) }
}

/// Who may say that something goes: its owner, security, an administrator.
fn may_end(kernel: &Kernel, caller: &Caller, of: Deprecated, owner: Option<PersonId>) -> Result<(), OpError> {
    let own = owner.is_some() && caller.person_id() == owner;
    let what = || inventory(of.kind(), of, "");
    let asked = kernel.allow(caller, Action::Suspend, what(), owns(own));
    if let Err(refused) = asked {
        kernel.allow(caller, Action::Administer, what(), administration(false, false)).map_err(|_| refused)?;
    }
    Ok(())
}

/// Who may let something be used again whose sunset has passed.
async fn may_undo(kernel: &Kernel, caller: &Caller, known: &Deprecation, now: Timestamp) -> Result<(), OpError> {
    let fresh = freshness::freshness(kernel, caller, now).await?;
    let by_self = caller.person_id() == Some(known.declared_by);
    let what = inventory(known.of.kind(), known.of, "");
    kernel.allow(caller, Action::Enable, what, enabling(false, by_self, fresh)).map(drop)
}

async fn owner_of(kernel: &Kernel, of: Deprecated) -> Result<Option<PersonId>, OpError> {
    Ok(match of {
        Deprecated::Application(id) => Some(kernel.must::<Application>("application", id).await?.owner),
        Deprecated::Vendor(id) => Some(kernel.must::<Vendor>("vendor", id).await?.owner),
        Deprecated::Need(id) => Some(kernel.must::<Need>("need", id).await?.owner),
        Deprecated::Identity(id) => kernel.must::<Identity>("identity", id).await?.charter.owner,
    })
}

/// Works off a sunset: what it concerns is suspended, fifty in one commit.
pub(crate) async fn work_sunset(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Some(of) = Deprecated::parse(&claimed.subject) else { return Ok(None) };
    let Some(stored) = kernel.one::<Deprecation>(of).await? else { return Ok(None) };
    if stored.state == DeprecationState::Withdrawn {
        return Ok(None);
    }
    if now < stored.sunset {
        return Ok(Some(work::postponed(kernel, claimed, stored.sunset, now)));
    }
    let deprecation = Deprecation { state: DeprecationState::Past, ..(*stored.value).clone() };
    let event = kernel
        .event(now, EventKind::DeprecationSunset)
        .subject(of)
        .fact("sunset", stored.sunset)
        .fact("callers", stored.callers.len());
    let text =
        format!("{of} is past its sunset: whatever belongs to it is suspended. Look: tenure deprecation show {of}");
    let to: Vec<PersonId> = owner_of(kernel, of).await?.into_iter().collect();
    let event = match stored.state {
        DeprecationState::Announced => notify(event, &to, &[Role::Security], "Something is past its sunset", &text),
        _ => event,
    };
    let mut changeset = Changeset::new(system(), now, event);
    changeset.replace(&stored, &deprecation);
    let more = suspend(kernel, &mut changeset, &deprecation, now).await?;
    if more {
        changeset.due.push(DueChange::Retry(DueKind::Sunset, claimed.subject.clone(), claimed.fence, now));
    } else {
        acknowledge(&mut changeset, claimed);
    }
    Ok(Some(changeset))
}

async fn suspend(
    kernel: &Kernel,
    changeset: &mut Changeset,
    deprecation: &Deprecation,
    now: Timestamp,
) -> Result<bool, OpError> {
    let term: Term<Identity> = match deprecation.of {
        Deprecated::Application(id) => Identity::APPLICATION.of(id),
        Deprecated::Vendor(id) => Identity::VENDOR.of(id),
        Deprecated::Need(id) => Identity::NEED.of(id),
        Deprecated::Identity(id) => {
            if let Some(stored) = kernel.one::<Identity>(id).await? {
                stop(kernel, changeset, &stored, deprecation, now).await?;
            }
            return Ok(false);
        }
    };
    let (rows, more) = dormancy::next_to_stop(kernel, term, &dormancy::past_sunset(deprecation).as_fired()).await?;
    for stored in rows {
        stop(kernel, changeset, &stored, deprecation, now).await?;
    }
    Ok(more)
}

/// Suspends an identity that is past its sunset, unless its removal waits for an exception.
async fn stop(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    deprecation: &Deprecation,
    now: Timestamp,
) -> Result<(), OpError> {
    let past = dormancy::past_sunset(deprecation);
    if deferral::put_off(kernel, changeset, stored, past.as_fired(), now).await?.is_none() {
        dormancy::suspend_by_rule(kernel, changeset, stored, past.as_rule(), now).await?;
    }
    Ok(())
}
