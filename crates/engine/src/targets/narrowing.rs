//! Narrowing an account: it keeps some of the grants that it has at its target, and has the others no more (R103).

use tenure_api::targets::NarrowAccount;
use tenure_api::views::{Names, Revised};
use tenure_core::base::id::AccountId;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::receipt::{AccountOutcome, Narrowed, NarrowedAt};
use tenure_core::identity::Identity;
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tenure_core::target::account::{Account, AccountNarrowing, AccountState};
use tenure_core::target::connector::{ConnectorError, MAX_TARGET_GRANTS, Mode, SeenAccount, words};
use tenure_core::target::system::TargetSystem;

use crate::credentials::revocation;
use crate::kernel::Kernel;
use crate::kernel::authority::{inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::work::{self, system};
use crate::targets::reach;
use crate::targets::systems;

const KIND: &str = "account";

/// Leaves an account these grants of those that it has at its target, and no others. What came of it is read back there
/// and stands in a receipt.
///
/// # Errors
/// No such account, it has none of these grants, it keeps all that it has, or the caller may not.
pub async fn narrow(
    kernel: &Kernel,
    caller: &Caller,
    id: AccountId,
    ask: NarrowAccount,
) -> Result<Revised<Account>, OpError> {
    check_reason(&ask.reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "account.narrow", id), async {
            let stored = kernel.one::<Account>(id).await?;
            let identity = match &stored {
                Some(stored) => kernel.one::<Identity>(stored.identity).await?,
                None => None,
            };
            let own = identity.as_ref().is_some_and(|identity| owns_identity(caller, identity));
            kernel.allow(caller, Action::Suspend, inventory(KIND, id, ""), owns(own))?;
            stored.ok_or(OpError::NotFound(KIND))?;
            let ((account, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Account>(KIND, id).await?;
                    let narrowing = narrowing(&stored, &ask.keep, now)?;
                    let event = kernel
                        .event(now, EventKind::AccountNarrowingAsked)
                        .subject(id)
                        .subject(stored.identity)
                        .subject(stored.target)
                        .fact("name", &stored.seen.name)
                        .fact("dropped", &narrowing.dropped)
                        .fact("kept", &narrowing.keep)
                        .fact("reason", &ask.reason);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    let dropped = narrowing.dropped.clone();
                    let account = Account { narrowing: Some(narrowing), ..(*stored.value).clone() };
                    changeset.replace(&stored, &account);
                    let narrowed = vec![Narrowed { at: NarrowedAt::Account(id), dropped }];
                    let identity = stored.identity;
                    revocation::narrowed_with_receipt(kernel, &mut changeset, identity, narrowed, &ask.reason, now);
                    changeset.due.push(DueChange::Set(DueKind::Account, id.to_string(), now));
                    Ok((changeset, (account, stored.revision + 1)))
                })
                .await?;
            let log = Some(kernel.logged(&committed).await?);
            Ok(Revised { record: account, revision, hold: None, log, names: Names::new() })
        })
        .await
}

/// What is to be dropped so that these grants are left.
fn narrowing(account: &Account, keep: &[String], now: Timestamp) -> Result<AccountNarrowing, OpError> {
    if account.state == AccountState::Ended {
        return Err(OpError::because(Reason::IllegalTransition, "the account was ended"));
    }
    if account.seen.more_grants > 0 {
        let detail = "it has more grants than are told one by one: narrow it at the target";
        return Err(OpError::because(Reason::IllegalTransition, detail));
    }
    let open = account.open_narrowing();
    let known =
        |grant: &&String| account.seen.grants.contains(grant) && open.is_none_or(|open| !open.dropped.contains(grant));
    if keep.len() > MAX_TARGET_GRANTS || keep.iter().any(|grant| !known(&grant)) {
        let hint = "name grants that it has, as `tenure account show` tells them";
        return Err(OpError::Invalid(vec![FieldProblem::new("keep", "grant_unknown", hint)]));
    }
    let mut dropped: Vec<String> = account.seen.grants.iter().filter(|grant| !keep.contains(grant)).cloned().collect();
    dropped.extend(open.into_iter().flat_map(|open| open.dropped.clone()));
    dropped.sort_unstable();
    dropped.dedup();
    if dropped.is_empty() {
        let hint = "it keeps everything that it has: leave something out";
        return Err(OpError::Invalid(vec![FieldProblem::new("keep", "nothing_dropped", hint)]));
    }
    let outcome = AccountOutcome::Requested;
    Ok(AccountNarrowing { keep: keep.to_vec(), dropped, since: now, tries: 0, outcome })
}

/// Narrows an account at its target, reads it back, and writes down what it came to.
pub(super) async fn work_narrowing(
    kernel: &Kernel,
    claimed: &Claimed,
    account: &Stored<Account>,
    target: &Stored<TargetSystem>,
    narrowing: &AccountNarrowing,
) -> Result<(), OpError> {
    let (outcome, seen) = done(kernel, account, target, narrowing).await?;
    for _ in 0..work::ATTEMPTS {
        let Some(stored) = kernel.one::<Account>(account.id).await? else { return Ok(()) };
        let Some(now_open) = stored.narrowing.clone().filter(|open| open.since == narrowing.since) else {
            return Ok(());
        };
        let now = kernel.now();
        let tries = now_open.tries.saturating_add(1);
        let mut changed = (*stored.value).clone();
        if let Some(seen) = &seen {
            changed.seen_at = now;
            changed.seen = seen.clone();
        }
        changed.narrowing = Some(AccountNarrowing { tries, outcome: outcome.clone(), ..now_open });
        let settled = outcome.is_settled();
        let kind = match &outcome {
            AccountOutcome::AttestedGone { .. } => EventKind::AccountAttestedGone,
            _ if settled => EventKind::AccountNarrowed,
            _ => EventKind::AccountActFailed,
        };
        let event = kernel
            .event(now, kind)
            .subject(stored.id)
            .subject(stored.identity)
            .subject(stored.target)
            .fact("name", &stored.seen.name)
            .fact("dropped", &narrowing.dropped)
            .fact("outcome", &outcome)
            .fact("tries", tries);
        let mut changeset = Changeset::new(system(), now, event);
        changeset.replace(&stored, &changed);
        reach::wake_receipts(kernel, &mut changeset, changed.identity, None, now).await?;
        let again = if settled { now } else { now.plus(reach::BACKOFF.after(tries)) };
        changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, again));
        if kernel.settle(changeset).await?.is_some() {
            if settled {
                kernel.timings.stopped_at_target(target.kind, outcome.as_str(), now.since(narrowing.since));
            }
            return Ok(());
        }
    }
    Ok(())
}

async fn done(
    kernel: &Kernel,
    account: &Account,
    target: &TargetSystem,
    narrowing: &AccountNarrowing,
) -> Result<(AccountOutcome, Option<SeenAccount>), OpError> {
    if let Some(outcome) = target.gone.as_ref().and_then(|gone| gone.outcome()) {
        return Ok((outcome, None));
    }
    let cannot = |at, why: &str| AccountOutcome::CannotRevoke { at, why: why.to_owned(), until: account.seen.ends_at };
    let reached = match systems::reached(kernel, target).await? {
        Ok(reached) => reached,
        Err(why) => return Ok((AccountOutcome::Unreachable { at: kernel.now(), why }, None)),
    };
    if target.mode < Mode::End {
        let why = "the connector may only observe there: narrow the account at the target, or let the connector do it";
        return Ok((cannot(kernel.now(), why), None));
    }
    let key = account.seen.key.as_str();
    let asked = async {
        let ending = reached.narrow(key, &narrowing.keep).await?;
        Ok::<_, ConnectorError>((ending, reached.read(key).await?))
    };
    let answered = asked.await;
    let at = kernel.now();
    Ok(match answered {
        Ok((ending, None)) => (AccountOutcome::NarrowedReadBack { at, words: ending.words }, None),
        Ok((ending, Some(seen))) => {
            let outcome = match narrowing.still(&seen) {
                Some(grant) => {
                    let why = words(&format!("the target narrowed it, and its catalogue has it with {grant}"));
                    AccountOutcome::Unproven { at, why }
                }
                None => AccountOutcome::NarrowedReadBack { at, words: ending.words },
            };
            (outcome, Some(seen))
        }
        Err(error) if error.is_of_the_target() => {
            (AccountOutcome::Unreachable { at, why: words(&error.to_string()) }, None)
        }
        Err(error) => (cannot(at, &words(&error.to_string())), None),
    })
}
