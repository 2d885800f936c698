//! What was found beyond a charter is taken away at its target, and the target is read back (R102, S-18).
//!
//! The decision is in the log before anything is done, and is done again where nobody knows whether it was: an account
//! is left what its charter names, however often.

use tenure_core::base::id::DriftId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::AccountOutcome;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tenure_core::target::account::{self, Account};
use tenure_core::target::connector::{ConnectorError, Gone, SeenAccount, words};
use tenure_core::target::drift::{self, Drift, DriftState};
use tenure_core::target::system::TargetSystem;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::work::{self, system};
use crate::targets::drift as items;
use crate::targets::reach::{BACKOFF, Reached};
use crate::targets::systems;

/// What the rows say of an item whose turn it is.
struct Turn {
    item: Stored<Drift>,
    account: Stored<Account>,
    identity: Stored<Identity>,
    target: Stored<TargetSystem>,
}

/// Works off an item whose turn it is: what was left alone until now is asked about again, what is to be taken away is.
pub(crate) async fn work_drift(kernel: &Kernel, claimed: &Claimed) -> Result<(), OpError> {
    let now = kernel.now();
    let Some(turn) = turn(kernel, claimed).await? else {
        return kernel.settle(work::nothing_left(kernel, claimed, now)).await.map(drop);
    };
    if let Some(until) = turn.item.ignored_until() {
        return rested(kernel, claimed, &turn.item, until, now).await;
    }
    // Also what the last look didn't tell is taken away: it may not have seen it, and the account is read afterwards.
    let is_approved = matches!(turn.identity.state, IdentityState::Active | IdentityState::Suspended);
    if !turn.item.is_taken_away() || !turn.item.kind.is_access() || !is_approved {
        return kernel.settle(work::nothing_left(kernel, claimed, now)).await.map(drop);
    }
    if let Some(again_at) = turn.target.trouble.as_ref().map(|trouble| trouble.again_at()).filter(|at| *at > now) {
        return kernel.settle(work::postponed(kernel, claimed, again_at, now)).await.map(drop);
    }
    let (outcome, seen) = act(kernel, &turn).await?;
    write_down(kernel, claimed, turn.item.id, &outcome, seen).await
}

async fn turn(kernel: &Kernel, claimed: &Claimed) -> Result<Option<Turn>, OpError> {
    let Ok(id) = claimed.subject.parse::<DriftId>() else { return Ok(None) };
    let Some(item) = kernel.one::<Drift>(id).await?.filter(|item| item.state != DriftState::Closed) else {
        return Ok(None);
    };
    let account = kernel.one::<Account>(item.account).await?;
    let identity = kernel.one::<Identity>(item.identity).await?;
    let target = kernel.one::<TargetSystem>(item.target).await?;
    match (account, identity, target) {
        (Some(account), Some(identity), Some(target)) => Ok(Some(Turn { item, account, identity, target })),
        _ => Ok(None),
    }
}

async fn rested(
    kernel: &Kernel,
    claimed: &Claimed,
    item: &Stored<Drift>,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), OpError> {
    if until > now {
        return kernel.settle(work::postponed(kernel, claimed, until, now)).await.map(drop);
    }
    let mut changeset = work::nothing_left(kernel, claimed, now);
    items::reopen(kernel, &mut changeset, item, now).await?;
    kernel.settle(changeset).await.map(drop)
}

async fn act(kernel: &Kernel, turn: &Turn) -> Result<(AccountOutcome, Option<SeenAccount>), OpError> {
    let reached = match systems::reached(kernel, &turn.target).await? {
        Ok(reached) => reached,
        Err(why) => return Ok((AccountOutcome::Unreachable { at: kernel.now(), why }, None)),
    };
    let done = narrowed(&reached, turn).await;
    let at = kernel.now();
    Ok(match done {
        Ok((ending, Some(seen))) => {
            let after = Account { seen: seen.clone(), ..(*turn.account.value).clone() };
            let outcome = match drift::difference(&turn.identity, &after) {
                None => account::read_back(ending, at),
                Some(left) => {
                    let some = left.grants.first().map_or("it may do more than its charter names", String::as_str);
                    let why = words(&format!("the target took it away, and its catalogue still has it: {some}"));
                    AccountOutcome::Unproven { at, why }
                }
            };
            (outcome, Some(seen))
        }
        Ok((_, None)) => (AccountOutcome::Unproven { at, why: "its catalogue doesn't have the account".into() }, None),
        Err(error) if error.is_of_the_target() => (AccountOutcome::Unreachable { at, why: error.to_string() }, None),
        Err(error) => {
            let why = words(&error.to_string());
            (AccountOutcome::CannotRevoke { at, why, until: turn.account.seen.ends_at }, None)
        }
    })
}

/// Leaves the account what its charter names, and reads it back.
async fn narrowed(reached: &Reached<'_>, turn: &Turn) -> Result<Gone, ConnectorError> {
    let Turn { account, identity, .. } = turn;
    let approved = drift::approved(identity, account.id);
    let ending = reached.narrow(&account.seen.key, &approved.grants).await?;
    Ok((ending, reached.read(&account.seen.key).await?))
}

/// Writes down what it came to, whatever changed meanwhile.
async fn write_down(
    kernel: &Kernel,
    claimed: &Claimed,
    id: DriftId,
    outcome: &AccountOutcome,
    seen: Option<SeenAccount>,
) -> Result<(), OpError> {
    for _ in 0..work::ATTEMPTS {
        let Some(turn) = turn(kernel, claimed).await?.filter(|turn| turn.item.id == id) else { return Ok(()) };
        let now = kernel.now();
        let tries = turn.item.tries.saturating_add(1);
        let is_done = matches!(outcome, AccountOutcome::EndedReadBack { .. });
        let kind = if is_done { EventKind::DriftTakenAway } else { EventKind::DriftActFailed };
        let event = items::event_of(kernel, kind, &turn.item, now).fact("outcome", outcome).fact("tries", tries);
        let mut changeset = Changeset::new(system(), now, event);
        let mut item = Drift { tries, outcome: Some(outcome.clone()), ..(*turn.item.value).clone() };
        if let Some(seen) = &seen {
            let read =
                Account { seen: seen.clone(), seen_at: now, seen_in_part: false, ..(*turn.account.value).clone() };
            changeset.replace(&turn.account, &read);
        }
        if is_done {
            item = item.close("it was taken away at the target", now)?;
            items::taken(kernel, &mut changeset, &item, now).await?;
        }
        changeset.replace(&turn.item, &item);
        changeset.due.push(match outcome {
            AccountOutcome::Unreachable { .. } | AccountOutcome::Unproven { .. } => {
                let again = now.plus(BACKOFF.after(tries));
                DueChange::Retry(DueKind::Drift, claimed.subject.clone(), claimed.fence, again)
            }
            _ => DueChange::Ack(DueKind::Drift, claimed.subject.clone(), claimed.fence),
        });
        if kernel.settle(changeset).await?.is_some() {
            return Ok(());
        }
    }
    // The lease ends, and the target is asked again.
    Ok(())
}
