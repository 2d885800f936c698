//! Another secret for an account that stands: asked for by whoever answers for its identity, given by a worker, handed
//! out once (R34).
//!
//! The new secret is sealed in the row before the target is asked for anything. That the target takes it is tried where
//! the account may sign in, and that is the control beside which the one before is tried, where that was made here, too
//! (S-18).

use tenure_api::targets::AccountSecret;
use tenure_api::views::Revised;
use tenure_core::base::id::AccountId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::gate;
use tenure_core::credential::receipt::AccountOutcome;
use tenure_core::finding::rules;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::{Position, Stored};
use tenure_core::store::secret::{Pending, Secret};
use tenure_core::target::account::{self, Account, AccountState, Wanted};
use tenure_core::target::connector::{ConnectorError, Ending, Mode, Probe, TargetLogin, words};
use tenure_core::target::rotation::Rotation;
use tenure_core::target::system::TargetSystem;

use crate::identities::review_opening;
use crate::kernel::Kernel;
use crate::kernel::authority::{bootstrap, inventory, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::work::{self, system};
use crate::kernel::{finding, freshness};
use crate::targets::reach::{self, BACKOFF, Reached};
use crate::targets::systems;

/// What the secrets of accounts are sealed as.
const SEALED_AS: &str = "account-secret";
/// Tries after which the target's word is taken for it that it gave another secret.
const TRIES: u32 = 4;
/// How long after a rotation fell due it is looked for again.
const AGAIN: Span = Span::from_days(1);

/// Gives an account another secret: recorded now, done at the target by a worker, and handed out once by
/// [`fetch_secret`].
///
/// # Errors
/// No such account, its target isn't asked or its connector gives no secrets, one is under way, or the caller doesn't
/// answer for its identity or hasn't just signed in.
pub async fn rotate(kernel: &Kernel, caller: &Caller, id: AccountId) -> Result<Revised<Account>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Issue, "account.rotate", id), async {
            let by = caller.must_be_person()?;
            let ((account, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let (account, identity) = concerned(kernel, caller, id).await?;
                    let target = kernel.must::<TargetSystem>("target", account.target).await?;
                    may_rotate(&account, &target)?;
                    // The account of an identity that may do nothing gets no secret.
                    let known = kernel.know(identity.id).await?.ok_or(OpError::NotFound("identity"))?;
                    gate::standing(known.facts(now))?;
                    let secret = kernel.opaque.account_secret(id, kernel.entropy.as_ref());
                    let sealed = kernel
                        .root
                        .seal(SEALED_AS, &id.to_string(), secret.expose().as_bytes(), kernel.entropy.as_ref())
                        .map_err(|error| OpError::Internal(error.to_string()))?;
                    let head = kernel.store.head().await?.size;
                    let before = account.rotation.as_ref().and_then(|rotation| rotation.sealed.clone());
                    let rotation = Rotation {
                        by,
                        asked_at: now,
                        position: Position::at(head),
                        sealed: Some(sealed),
                        before,
                        rotated_at: None,
                        fetched_at: None,
                        tries: 0,
                        trouble: None,
                        old: None,
                    };
                    let event = kernel
                        .event(now, EventKind::AccountRotationAsked)
                        .subject(id)
                        .subject(identity.id)
                        .subject(target.id)
                        .fact("name", &account.seen.name)
                        .fact("assurance", freshness::assurance_fact(caller));
                    let changed = Account { rotation: Some(rotation), ..(*account.value).clone() };
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    known.expect(&mut changeset);
                    changeset.expect(&target);
                    changeset.replace(&account, &changed);
                    changeset.due.push(DueChange::Set(DueKind::Account, id.to_string(), now));
                    Ok((changeset, (changed, account.revision + 1)))
                })
                .await?;
            kernel.changed(account.shown(), revision, &committed).await
        })
        .await
}

/// The secret that an account was given, shown this once.
///
/// # Errors
/// No such account, it has none that was not shown, the target doesn't have it yet, or the caller doesn't answer for its
/// identity or hasn't just signed in.
pub async fn fetch_secret(kernel: &Kernel, caller: &Caller, id: AccountId) -> Result<AccountSecret, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Issue, "account.secret", id), async {
            caller.must_be_person()?;
            let ((pending, name), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let (account, identity) = concerned(kernel, caller, id).await?;
                    let illegal = |detail: &str| OpError::because(Reason::IllegalTransition, detail);
                    let rotation = account.rotation.as_ref().ok_or_else(|| illegal("no secret of it was made here"))?;
                    if rotation.fetched_at.is_some() {
                        return Err(illegal("its secret was shown already: give it another one"));
                    }
                    if rotation.rotated_at.is_none() {
                        return Err(illegal("the target hasn't got it yet: ask again in a moment"));
                    }
                    let secret = opened(kernel, id, rotation.sealed.as_deref())?;
                    let event = kernel
                        .event(now, EventKind::AccountSecretShown)
                        .subject(id)
                        .subject(identity.id)
                        .fact("name", &account.seen.name)
                        .fact("assurance", freshness::assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.expect(&identity);
                    let shown = Rotation { fetched_at: Some(now), ..rotation.clone() };
                    changeset.replace(&account, &Account { rotation: Some(shown), ..(*account.value).clone() });
                    let pending = Pending::new(secret, changeset.id);
                    Ok((changeset, (pending, account.seen.name.clone())))
                })
                .await?;
            let secret = Kernel::released(pending, &committed)?;
            Ok(AccountSecret {
                account: id,
                name,
                secret: secret.expose().clone(),
                log: kernel.logged(&committed).await?,
            })
        })
        .await
}

/// An account and its identity, for whoever answers for that.
pub(super) async fn concerned(
    kernel: &Kernel,
    caller: &Caller,
    id: AccountId,
) -> Result<(Stored<Account>, Stored<Identity>), OpError> {
    let account = kernel.must::<Account>("account", id).await?;
    let identity = kernel.must::<Identity>("identity", account.identity).await?;
    let environment = identity.charter.environment.clone().unwrap_or_default();
    kernel.allow(
        caller,
        Action::Bootstrap,
        inventory("identity", identity.id, &environment),
        bootstrap(owns_identity(caller, &identity), true, Span::default()),
    )?;
    Ok((account, identity))
}

pub(super) fn may_rotate(account: &Account, target: &TargetSystem) -> Result<(), OpError> {
    let illegal = |detail: &str| Err(OpError::because(Reason::IllegalTransition, detail));
    if account.state == AccountState::Ended || account.absent_since.is_some() {
        return illegal("the account was ended, or its target has it no more");
    }
    if account.rotation.as_ref().is_some_and(Rotation::is_open) {
        return illegal("it is being given another secret already");
    }
    if !target.is_asked() || target.mode < Mode::Issue {
        return illegal("the target isn't asked, or its connector gives no secrets: its mode is less than issue");
    }
    Ok(())
}

fn opened(kernel: &Kernel, id: AccountId, sealed: Option<&str>) -> Result<Secret<String>, OpError> {
    let broken = || OpError::Internal(format!("the secret of the account {id} can't be opened"));
    kernel.root.open_text(SEALED_AS, &id.to_string(), sealed.ok_or_else(broken)?).map_err(|_| broken())
}

/// The secret of an account, where it was given here and the target has it.
pub(crate) fn held(kernel: &Kernel, account: &Account) -> Result<Option<Secret<String>>, OpError> {
    let rotation = account.rotation.as_ref().filter(|rotation| rotation.rotated_at.is_some());
    let sealed = rotation.and_then(|rotation| rotation.sealed.as_deref());
    sealed.map(|sealed| opened(kernel, account.id, Some(sealed))).transpose()
}

/// What one step of a rotation came to.
enum Step {
    /// The target has the new secret.
    Rotated(Ending),
    /// The one before was tried.
    Tried(AccountOutcome),
    /// Not done.
    NotYet { why: String, unreachable: bool },
}

/// Goes on with the rotation of an account whose turn it is.
pub(crate) async fn work_rotation(
    kernel: &Kernel,
    claimed: &Claimed,
    account: &Stored<Account>,
    target: &Stored<TargetSystem>,
    wanted: Wanted,
) -> Result<(), OpError> {
    let Some(rotation) = account.rotation.clone() else { return Ok(()) };
    let step = step(kernel, account, &rotation, target, wanted).await?;
    for _ in 0..work::ATTEMPTS {
        let Some(read) = kernel.one::<Account>(account.id).await? else { return Ok(()) };
        let Some(known) = read.rotation.clone().filter(|known| known.asked_at == rotation.asked_at) else {
            return Ok(());
        };
        let now = kernel.now();
        let mut changed = (*read.value).clone();
        let (kind, next, unreachable) = match &step {
            Step::Rotated(_) => {
                changed.secret_after = Some(known.position);
                changed.rotation = Some(Rotation { rotated_at: Some(now), tries: 0, trouble: None, ..known });
                (EventKind::AccountRotated, now, None)
            }
            Step::Tried(outcome) if outcome.is_settled() => {
                changed.rotation = Some(Rotation { before: None, old: Some(outcome.clone()), trouble: None, ..known });
                (EventKind::AccountRotated, now, None)
            }
            Step::Tried(outcome) => {
                // What still takes the old secret has not been given another one.
                let again = matches!(outcome, AccountOutcome::Unproven { .. });
                let (tries, old) = (known.tries.saturating_add(1), Some(outcome.clone()));
                let rotated_at = known.rotated_at.filter(|_| !again);
                changed.rotation = Some(Rotation { rotated_at, tries, old, ..known });
                (EventKind::AccountActFailed, now.plus(BACKOFF.after(tries)), None)
            }
            Step::NotYet { why, unreachable } => {
                let tries = known.tries.saturating_add(1);
                changed.rotation = Some(Rotation { tries, trouble: Some(why.clone()), ..known });
                (EventKind::AccountActFailed, now.plus(BACKOFF.after(tries)), unreachable.then_some(why.as_str()))
            }
        };
        let mut event = kernel
            .event(now, kind)
            .subject(read.id)
            .subject(read.identity)
            .subject(read.target)
            .fact("name", &read.seen.name);
        event = match &step {
            Step::Rotated(ending) => event.fact("ending", ending),
            Step::Tried(outcome) => event.fact("old", outcome),
            Step::NotYet { why, .. } => event.fact("why", why),
        };
        let mut changeset = Changeset::new(system(), now, event);
        changeset.replace(&read, &changed);
        let answered = matches!(step, Step::Rotated(_));
        reach::note_target(kernel, &mut changeset, read.target, unreachable, answered, now).await?;
        if answered {
            let (rule, detail) = (&rules::ROTATION_DUE, read.id.to_string());
            let how = "it has another secret";
            finding::no_longer_about(kernel, &mut changeset, rule, read.identity, &detail, how, now).await?;
            // Whose secret was replaced is asked about (R81).
            let works = |identity: &Stored<Identity>| {
                matches!(identity.state, IdentityState::Active | IdentityState::Suspended)
            };
            if let Some(identity) = kernel.one::<Identity>(read.identity).await?.filter(works) {
                review_opening::review_rotation(kernel, &mut changeset, &identity, now).await?;
            }
        }
        changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, next));
        if kernel.settle(changeset).await?.is_some() {
            return Ok(());
        }
    }
    // The lease ends, and it is done again: it is the same secret.
    Ok(())
}

async fn step(
    kernel: &Kernel,
    account: &Account,
    rotation: &Rotation,
    target: &Stored<TargetSystem>,
    wanted: Wanted,
) -> Result<Step, OpError> {
    let reached = match systems::reached(kernel, target).await? {
        Ok(reached) => reached,
        Err(why) => return Ok(Step::NotYet { why, unreachable: false }),
    };
    let name = account.seen.name.clone();
    let new = TargetLogin { name: name.clone(), secret: opened(kernel, account.id, rotation.sealed.as_deref())? };
    let stands = wanted == Wanted::Standing && account.state == AccountState::Standing;
    let tries_it = stands && reached.can_probe() && rotation.tries < TRIES;
    if rotation.rotated_at.is_none() {
        return Ok(match given(&reached, account, &new, tries_it).await {
            Ok(ending) => Step::Rotated(ending),
            Err(error) => Step::NotYet { why: words(&error.to_string()), unreachable: error.is_of_the_target() },
        });
    }
    let before = TargetLogin { name, secret: opened(kernel, account.id, rotation.before.as_deref())? };
    Ok(Step::Tried(refused(kernel, &reached, &before, &new, tries_it).await))
}

/// Gives an account another secret at its target, and tries it.
async fn given(
    reached: &Reached<'_>,
    account: &Account,
    new: &TargetLogin,
    tries_it: bool,
) -> Result<Ending, ConnectorError> {
    let ending = reached.rotate(&account.seen.key, &new.secret).await?;
    if tries_it && let Probe::Refused { words: said } = reached.probe(new).await? {
        return Err(ConnectorError::Rejected(format!("it said that it took another secret, and refuses it: {said}")));
    }
    Ok(ending)
}

/// What the target says to the secret before, beside the new one.
async fn refused(
    kernel: &Kernel,
    reached: &Reached<'_>,
    before: &TargetLogin,
    new: &TargetLogin,
    tries_it: bool,
) -> AccountOutcome {
    let said = reached.probe(before).await;
    let at = kernel.now();
    let refusal = match said {
        Ok(Probe::Accepted) => {
            let why = "the target took another secret, and still takes the one before".to_owned();
            return AccountOutcome::Unproven { at, why };
        }
        Ok(Probe::Refused { words: said }) => words(&said),
        Err(error) if error.is_of_the_target() => {
            return AccountOutcome::Unreachable { at, why: words(&error.to_string()) };
        }
        // Nothing shows there whether a secret is one.
        Err(error) => {
            let words = words(&format!("another secret, which isn't tried: {error}"));
            return account::read_back(Ending { words, sessions_ended: 0, sessions_left: None }, at);
        }
    };
    let done = "another secret".to_owned();
    let is_taken = tries_it && matches!(reached.probe(new).await, Ok(Probe::Accepted));
    if is_taken {
        return AccountOutcome::RefusedVerified {
            at,
            words: refusal,
            done,
            control: format!("{} with its new secret", new.name),
            control_at: kernel.now(),
            sessions_ended: 0,
            sessions_left: None,
        };
    }
    let no_control = "the account may not sign in, or its new secret could not be tried".to_owned();
    AccountOutcome::Refused { at, words: refusal, done, no_control, sessions_ended: 0, sessions_left: None }
}

/// When an account has to be given another secret, if its target's connector gives secrets: the cadence of its charter
/// after the last one, or after it was found (R34).
pub(crate) fn due_at(account: &Account, identity: &Identity, target: &TargetSystem) -> Option<Timestamp> {
    let governed = identity.state == IdentityState::Active
        && target.mode >= Mode::Issue
        && account.state == AccountState::Standing
        && account.absent_since.is_none();
    let since = account.rotation.as_ref().and_then(|rotation| rotation.rotated_at).unwrap_or(account.found_at);
    identity.charter.rotation_cadence.filter(|_| governed).map(|cadence| since.plus(cadence))
}

/// Notes that an account should have had another secret by now, and gives when to look again.
pub(crate) async fn note_due(
    kernel: &Kernel,
    changeset: &mut Changeset,
    account: &Account,
    target: &TargetSystem,
    now: Timestamp,
) -> Result<Timestamp, OpError> {
    let mut evidence = serde_json::Map::new();
    evidence.insert("account".into(), account.seen.name.clone().into());
    evidence.insert("target".into(), target.name.clone().into());
    let rule = &rules::ROTATION_DUE;
    finding::raise(kernel, changeset, rule, account.identity, &account.id.to_string(), evidence, now).await?;
    Ok(now.plus(AGAIN))
}
