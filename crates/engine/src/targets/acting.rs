//! Acts at targets: an account is stopped, let go or ended, and its target is read back.
//!
//! What is about to be done is in the log before it is begun, and done again where nobody knows whether it was. A
//! target's "ok" ends nothing: its catalogue, read afterwards, does (S-18).

use tenure_core::base::id::{AccountId, TargetId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::receipt::AccountOutcome;
use tenure_core::finding::rules;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::store::changeset::{Changeset, DueChange, Spend};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tenure_core::target::account::{self, Account, AccountState, Because, Intent, Wanted};
use tenure_core::target::connector::{ConnectorError, Ending, Mode, SeenAccount, TargetKind, TargetLogin, words};
use tenure_core::target::login::KEPT_FOR_PROBING;
use tenure_core::target::rotation::Rotation;
use tenure_core::target::system::{GoneAttestation, TargetSystem, Trouble};

use crate::kernel::error::OpError;
use crate::kernel::finding;
use crate::kernel::work::{self, system};
use crate::kernel::{Kernel, epoch};
use crate::targets::proving::{self, Ended};
use crate::targets::reach::{BACKOFF, Reached, note_target, wake_receipts};
use crate::targets::{narrowing, rotation, scanning, systems};

/// What the rows say of an account whose turn it is.
struct Turn {
    account: Stored<Account>,
    identity: Stored<Identity>,
    target: Stored<TargetSystem>,
    wanted: Wanted,
}

/// Works off an account whose turn it is: notes what is to be done, or does what was noted and reads it back.
pub(crate) async fn work_account(kernel: &Kernel, claimed: &Claimed) -> Result<(), OpError> {
    let Some(turn) = turn(kernel, claimed).await? else {
        return kernel.settle(work::nothing_left(kernel, claimed, kernel.now())).await.map(drop);
    };
    let now = kernel.now();
    let to = turn.wanted.state();
    let noted = turn.account.open().is_some_and(|intent| intent.to == to);
    let is_reconciled = turn.target.is_reconciled(epoch::trust(kernel).await?);
    if rotates(&turn) {
        let busy = turn.target.trouble.as_ref().map(Trouble::again_at).filter(|at| *at > now);
        // Nothing is given at a target before it was looked through in this epoch (S-1).
        let early = (!is_reconciled).then(|| now.plus(BACKOFF.after(1)));
        if let Some(again_at) = busy.or(early) {
            return kernel.settle(work::postponed(kernel, claimed, again_at, now)).await.map(drop);
        }
        let Turn { account, target, wanted, .. } = &turn;
        return Box::pin(rotation::work_rotation(kernel, claimed, account, target, *wanted)).await;
    }
    let at_rest = to == turn.account.state && turn.account.open().is_none();
    if at_rest {
        if revived(kernel, claimed, &turn).await? {
            return Ok(());
        }
        if turn.account.open_narrowing().is_none() {
            return rest(kernel, claimed, &turn, now).await;
        }
    } else if !noted {
        return intend(kernel, claimed, &turn, now).await;
    }
    // A target that can't be asked has its own time: nobody waits for it in the place of others. One that is gone isn't
    // asked.
    let trouble = turn.target.trouble.as_ref().filter(|_| !turn.target.is_gone());
    if let Some(trouble) = trouble.filter(|trouble| trouble.again_at() > now) {
        return not_now(kernel, claimed, &turn, trouble, now).await;
    }
    // Nothing is let go at a target before it was looked through in this epoch (S-1).
    if to == AccountState::Standing && !at_rest && !is_reconciled {
        let again_at = now.plus(BACKOFF.after(1));
        return kernel.settle(work::postponed(kernel, claimed, again_at, now)).await.map(drop);
    }
    if let (true, Some(narrowing)) = (at_rest, turn.account.open_narrowing()) {
        return narrowing::work_narrowing(kernel, claimed, &turn.account, &turn.target, narrowing).await;
    }
    let acted = act(kernel, &turn).await?;
    write_down(kernel, claimed, &acted).await
}

/// An act waits for its target. That it can't be asked is said at once to whoever waits for it, and not when its own time
/// comes.
async fn not_now(
    kernel: &Kernel,
    claimed: &Claimed,
    turn: &Turn,
    trouble: &Trouble,
    now: Timestamp,
) -> Result<(), OpError> {
    let is_told =
        |intent: &&Intent| intent.outcome != AccountOutcome::Requested && !is_kept_too_long(&turn.account, now);
    let Some(intent) = turn.account.open().filter(|intent| !is_told(intent)) else {
        return kernel.settle(work::postponed(kernel, claimed, trouble.again_at(), now)).await.map(drop);
    };
    let acted = Acted {
        account: turn.account.id,
        to: intent.to,
        outcome: AccountOutcome::Unreachable { at: trouble.last, why: trouble.why.clone() },
        seen: None,
        target: turn.target.id,
        kind: turn.target.kind,
        unreachable: None,
    };
    write_down(kernel, claimed, &acted).await
}

/// Whether a secret that was made here is kept for the proof of an end that nobody could give for thirty days (S-18).
fn is_kept_too_long(account: &Account, now: Timestamp) -> bool {
    let ends = account
        .open()
        .is_some_and(|intent| intent.to == AccountState::Ended && now.since(intent.since) > KEPT_FOR_PROBING);
    ends && account.rotation.as_ref().is_some_and(|rotation| rotation.sealed.is_some() || rotation.before.is_some())
}

/// Whether another secret is what the account needs first: one that was cut is let go with another alone.
fn rotates(turn: &Turn) -> bool {
    let is_open = turn.account.rotation.as_ref().is_some_and(Rotation::is_open);
    let may_have_one = matches!(turn.wanted, Wanted::Standing | Wanted::Held(Because::Cut));
    is_open && may_have_one && turn.account.state != AccountState::Ended && !turn.target.is_gone()
}

async fn turn(kernel: &Kernel, claimed: &Claimed) -> Result<Option<Turn>, OpError> {
    let Ok(id) = claimed.subject.parse::<AccountId>() else { return Ok(None) };
    let Some(account) = kernel.one::<Account>(id).await? else { return Ok(None) };
    let Some(known) = kernel.know(account.identity).await? else { return Ok(None) };
    let Some(target) = kernel.one::<TargetSystem>(account.target).await? else { return Ok(None) };
    let wanted = account.wanted(&known.identity, known.scopes(), kernel.now());
    Ok(Some(Turn { account, identity: known.identity, target, wanted }))
}

/// Nothing has to be done: the deadline stands for the day by which somebody has to answer for the account.
async fn rest(kernel: &Kernel, claimed: &Claimed, turn: &Turn, now: Timestamp) -> Result<(), OpError> {
    let stands = turn.wanted == Wanted::Standing;
    let claim_by = Some(turn.account.claim_by).filter(|at| stands && *at > now);
    let due_at = rotation::due_at(&turn.account, &turn.identity, &turn.target);
    if due_at.is_some_and(|at| at <= now) {
        let event = kernel.event(now, EventKind::DeadlinePostponed).subject(turn.account.id);
        let mut changeset = Changeset::new(system(), now, event.fact("kind", claimed.kind.as_str()));
        let again = rotation::note_due(kernel, &mut changeset, &turn.account, &turn.target, now).await?;
        changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, again));
        return kernel.settle(changeset).await.map(drop);
    }
    let mut changeset = match claim_by.into_iter().chain(due_at).min() {
        Some(at) => work::postponed(kernel, claimed, at, now),
        None => work::nothing_left(kernel, claimed, now),
    };
    if turn.account.seen.built_in {
        note_built_in(kernel, &mut changeset, turn, now).await?;
    }
    kernel.settle(changeset).await.map(drop)
}

/// Notes that nobody claimed in time what its target has from the start, or that it lets nobody in any more.
async fn note_built_in(kernel: &Kernel, changeset: &mut Changeset, turn: &Turn, now: Timestamp) -> Result<(), OpError> {
    let Account { id, seen, claim_by, .. } = &*turn.account.value;
    let (rule, subject, detail) = (&rules::UNCLAIMED_BUILT_IN, turn.account.identity, id.to_string());
    if !seen.enabled {
        let how = "its target has it disabled";
        return finding::no_longer_about(kernel, changeset, rule, subject, &detail, how, now).await;
    }
    if turn.identity.state != IdentityState::Discovered || now < *claim_by {
        return Ok(());
    }
    let mut evidence = serde_json::Map::new();
    evidence.insert("account".into(), seen.name.clone().into());
    evidence.insert("target".into(), turn.target.name.clone().into());
    // A claim that comes meanwhile closes what it finds open, and leaves nothing to be opened behind it.
    changeset.expect(&turn.identity);
    finding::raise(kernel, changeset, rule, subject, &detail, evidence, now).await.map(drop)
}

/// Notes that an account which is stopped or ended works again by somebody else's doing, and has it stopped again. Gives
/// whether that is so.
async fn revived(kernel: &Kernel, claimed: &Claimed, turn: &Turn) -> Result<bool, OpError> {
    let Turn { account, wanted, .. } = turn;
    if account.absent_since.is_some() {
        return Ok(false);
    }
    let since = account.intent.as_ref().map(|intent| intent.since);
    let works =
        *wanted != Wanted::Standing && account.seen.enabled && since.is_some_and(|since| account.seen_at > since);
    // What it was narrowed by was given back to it.
    let widened = account
        .narrowing
        .as_ref()
        .filter(|narrowing| narrowing.outcome.is_settled() && account.seen_at > narrowing.since)
        .and_then(|narrowing| narrowing.still(&account.seen));
    if !works && widened.is_none() {
        return Ok(false);
    }
    let now = kernel.now();
    let event = kernel
        .event(now, EventKind::AccountRevived)
        .subject(account.id)
        .subject(account.identity)
        .subject(account.target)
        .fact("name", &account.seen.name)
        .fact("was", account.state)
        .fact("widened", widened);
    let mut changeset = Changeset::new(system(), now, event);
    let mut evidence = serde_json::Map::new();
    evidence.insert("account".into(), account.seen.name.clone().into());
    evidence.insert("target".into(), turn.target.name.clone().into());
    if let Some(grant) = widened {
        evidence.insert("grant".into(), grant.into());
    }
    finding::raise(
        kernel,
        &mut changeset,
        &rules::ACCOUNT_REVIVED,
        account.identity,
        &account.id.to_string(),
        evidence,
        now,
    )
    .await?;
    let mut again = (*account.value).clone();
    if works {
        again.state = AccountState::Standing;
        again.intent = None;
    }
    if let Some(narrowing) = again.narrowing.as_mut().filter(|_| widened.is_some()) {
        narrowing.outcome = AccountOutcome::Requested;
    }
    changeset.replace(account, &again);
    changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, now));
    kernel.settle(changeset).await?;
    Ok(true)
}

/// Notes what is to be done, before anything is. What nobody claimed is held under a cap for each target and day: a
/// registration that was wrong stops no whole database.
async fn intend(kernel: &Kernel, claimed: &Claimed, turn: &Turn, now: Timestamp) -> Result<(), OpError> {
    let Turn { account, target, wanted, .. } = turn;
    let because = match wanted {
        Wanted::Standing => None,
        Wanted::Held(because) | Wanted::Ended(because) => Some(*because),
    };
    let intent = Intent { to: wanted.state(), because, since: now, tries: 0, outcome: AccountOutcome::Requested };
    let event = kernel
        .event(now, EventKind::AccountActIntended)
        .subject(account.id)
        .subject(account.identity)
        .subject(account.target)
        .fact("name", &account.seen.name)
        .fact("to", intent.to)
        .fact("because", because);
    let mut changeset = Changeset::new(system(), now, event);
    changeset.replace(account, &Account { intent: Some(intent), ..(*account.value).clone() });
    changeset.expect(&turn.identity);
    changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, now));
    let uncapped = target.uncapped_until.is_some_and(|until| now < until);
    if because == Some(Because::Unclaimed) && !uncapped {
        let day = Span::from_days(1);
        let start = Timestamp::from_micros(now.as_micros() - now.as_micros().rem_euclid(day.as_micros()));
        changeset.spends.push(Spend {
            budget: format!("unclaimed/{}", target.id),
            window: start,
            until: start.plus(day).plus(day),
            by: 1,
            limit: target.blast_cap,
        });
        return match kernel.settle(changeset).await {
            Err(OpError::Refused { .. }) => capped(kernel, claimed, turn, start.plus(day)).await,
            settled => settled.map(drop),
        };
    }
    kernel.settle(changeset).await.map(drop)
}

/// More accounts than the cap would be held: somebody of security has to say that they shall be.
async fn capped(kernel: &Kernel, claimed: &Claimed, turn: &Turn, again: Timestamp) -> Result<(), OpError> {
    let now = kernel.now();
    let mut changeset = work::postponed(kernel, claimed, again, now);
    let mut evidence = serde_json::Map::new();
    evidence.insert("cap".into(), turn.target.blast_cap.into());
    let rule = &rules::UNCLAIMED_OVER_CAP;
    finding::raise(kernel, &mut changeset, rule, turn.target.id, "", evidence, now).await?;
    kernel.settle(changeset).await.map(drop)
}

/// What an act came to.
struct Acted {
    account: AccountId,
    to: AccountState,
    outcome: AccountOutcome,
    /// What the catalogue said afterwards: none if it wasn't read, `Some(None)` if the account is not in it.
    seen: Option<Option<SeenAccount>>,
    target: TargetId,
    kind: TargetKind,
    /// Whether the target could be asked at all, and why not.
    unreachable: Option<String>,
}

async fn act(kernel: &Kernel, turn: &Turn) -> Result<Acted, OpError> {
    let Turn { account, target, wanted, .. } = turn;
    let to = wanted.state();
    let mut acted = Acted {
        account: account.id,
        to,
        outcome: AccountOutcome::Requested,
        seen: None,
        target: target.id,
        kind: target.kind,
        unreachable: None,
    };
    if let Some(outcome) =
        target.gone.as_ref().and_then(GoneAttestation::outcome).filter(|_| to != AccountState::Standing)
    {
        acted.outcome = outcome;
        return Ok(acted);
    }
    let reached = match systems::reached(kernel, target).await? {
        Ok(reached) => reached,
        Err(why) => {
            acted.outcome = AccountOutcome::Unreachable { at: kernel.now(), why };
            return Ok(acted);
        }
    };
    if target.mode < Mode::End && to != AccountState::Standing {
        let why = "the connector may only observe there: stop the account at the target, or let the connector end it";
        acted.outcome =
            AccountOutcome::CannotRevoke { at: kernel.now(), why: why.to_owned(), until: account.seen.ends_at };
        return Ok(acted);
    }
    let done = done(kernel, &reached, turn).await;
    let at = kernel.now();
    match done {
        Ok((outcome, seen)) => {
            acted.outcome = tried(kernel, &reached, turn, outcome).await?;
            acted.seen = Some(seen);
        }
        Err(error) if error.is_of_the_target() => {
            acted.unreachable = Some(error.to_string());
            acted.outcome = AccountOutcome::Unreachable { at, why: error.to_string() };
        }
        Err(error) => {
            acted.outcome =
                AccountOutcome::CannotRevoke { at, why: words(&error.to_string()), until: account.seen.ends_at };
        }
    }
    Ok(acted)
}

/// What an account that is stopped or ended comes to: where its secret was given here, that is tried (S-18).
async fn tried(
    kernel: &Kernel,
    reached: &Reached<'_>,
    turn: &Turn,
    outcome: AccountOutcome,
) -> Result<AccountOutcome, OpError> {
    let Turn { account, target, .. } = turn;
    let AccountOutcome::EndedReadBack { words, sessions_ended, sessions_left, .. } = &outcome else {
        return Ok(outcome);
    };
    let Some(secret) = rotation::held(kernel, account)?.filter(|_| reached.can_probe()) else {
        return Ok(outcome);
    };
    let ending = Ending { words: words.clone(), sessions_ended: *sessions_ended, sessions_left: *sessions_left };
    let own = TargetLogin { name: account.seen.name.clone(), secret };
    let tries = account.intent.as_ref().map_or(0, |intent| intent.tries);
    proving::proved(kernel, reached, target, Ended { login: &own, ending, tries }).await
}

/// Does at the target what was noted, and reads it back.
async fn done(
    kernel: &Kernel,
    reached: &Reached<'_>,
    turn: &Turn,
) -> Result<(AccountOutcome, Option<SeenAccount>), ConnectorError> {
    let Turn { account, wanted, .. } = turn;
    let key = account.seen.key.as_str();
    let ending = match wanted.state() {
        AccountState::Standing => {
            reached.release(key).await?;
            None
        }
        AccountState::Held => Some(reached.hold(key).await?),
        AccountState::Ended => Some(reached.revoke(key).await?),
    };
    let seen = reached.read(key).await?;
    Ok((read_back(wanted.state(), ending, seen.as_ref(), kernel.now()), seen))
}

/// What the catalogue shows after an act.
fn read_back(to: AccountState, ending: Option<Ending>, seen: Option<&SeenAccount>, at: Timestamp) -> AccountOutcome {
    let unproven = |why: &str| AccountOutcome::Unproven { at, why: why.to_owned() };
    match (to, ending, seen) {
        (AccountState::Standing, _, Some(seen)) if seen.enabled => AccountOutcome::StandsAgain { at },
        (AccountState::Standing, _, Some(_)) => unproven("the target let it go, and its catalogue has it disabled"),
        (AccountState::Standing, _, None) => unproven("the target let it go, and its catalogue doesn't have it"),
        (_, Some(ending), seen) => account::stopped(ending, seen, at),
        (_, None, _) => unproven("nothing is known of what was done"),
    }
}

/// Writes down what an act came to, whatever changed meanwhile: what was done is not done again because somebody else
/// was quick. Open receipts that wait for it look again.
async fn write_down(kernel: &Kernel, claimed: &Claimed, acted: &Acted) -> Result<(), OpError> {
    for _ in 0..work::ATTEMPTS {
        let Some(account) = kernel.one::<Account>(acted.account).await? else { return Ok(()) };
        let Some(intent) = account.intent.clone().filter(|intent| intent.to == acted.to) else { return Ok(()) };
        let now = kernel.now();
        let mut changed = (*account.value).clone();
        if let Some(seen) = &acted.seen {
            changed.seen_at = now;
            changed.absent_since = seen.is_none().then_some(now);
            if let Some(seen) = seen {
                changed.seen = seen.clone();
            }
        }
        let settled = acted.outcome.is_settled();
        let (tries, intent_since) = (intent.tries.saturating_add(1), intent.since);
        if settled {
            changed.state = acted.to;
        }
        let is_stopped = settled && acted.to != AccountState::Standing;
        if changed.state == AccountState::Ended || is_kept_too_long(&account, now) {
            // Nothing is tried with it any more.
            changed.rotation = changed.rotation.map(|known| Rotation { sealed: None, before: None, ..known });
        }
        changed.intent = Some(Intent { tries, outcome: acted.outcome.clone(), ..intent });
        let kind = match (settled, acted.to) {
            _ if matches!(acted.outcome, AccountOutcome::AttestedGone { .. }) => EventKind::AccountAttestedGone,
            (false, _) => EventKind::AccountActFailed,
            (true, AccountState::Standing) => EventKind::AccountReleased,
            (true, AccountState::Held) => EventKind::AccountHeld,
            (true, AccountState::Ended) => EventKind::AccountEnded,
        };
        let event = kernel
            .event(now, kind)
            .subject(account.id)
            .subject(account.identity)
            .subject(account.target)
            .fact("name", &account.seen.name)
            .fact("to", acted.to)
            .fact("outcome", &acted.outcome)
            .fact("tries", tries);
        let mut changeset = Changeset::new(system(), now, event);
        changeset.replace(&account, &changed);
        let (unreachable, answered) = (acted.unreachable.as_deref(), acted.seen.is_some());
        note_target(kernel, &mut changeset, acted.target, unreachable, answered, now).await?;
        wake_receipts(kernel, &mut changeset, changed.identity, None, now).await?;
        if is_stopped {
            scanning::look_for_drift(&mut changeset, &changed, now);
        }
        changeset.due.push(if settled {
            // One that stands has its next day: to be claimed, or given another secret.
            match acted.to {
                AccountState::Standing => DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, now),
                AccountState::Held | AccountState::Ended => {
                    DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence)
                }
            }
        } else {
            DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, now.plus(BACKOFF.after(tries)))
        });
        if kernel.settle(changeset).await?.is_some() {
            if settled && acted.to != AccountState::Standing {
                let took = now.since(intent_since);
                kernel.timings.stopped_at_target(acted.kind, acted.outcome.as_str(), took);
            }
            return Ok(());
        }
    }
    // The lease ends, and the target is read again.
    Ok(())
}
