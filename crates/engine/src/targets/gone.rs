//! A target that is gone for good: two people say so (S-8), and what waits for its accounts ends with their word. It is no
//! proof, and nothing calls it one. Should the target answer again, their word is void, and its accounts are ended as any.

use tenure_api::targets::{GoneAsk, TargetView};
use tenure_api::views::Revised;
use tenure_core::base::id::TargetId;
use tenure_core::base::problem::Reason;
use tenure_core::credential::receipt::{AccountOutcome, AccountPoints, Receipt, Target as Revoked};
use tenure_core::finding::rules;
use tenure_core::identity::Identity;
use tenure_core::people::person::Role;
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::target::account::{Account, AccountState};
use tenure_core::target::system::{GoneAttestation, TargetSystem};
use tenure_core::trust::state::TrustState;

use crate::kernel::Kernel;
use crate::kernel::authority::inventory;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::finding;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::notice::notify;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::Query;
use crate::kernel::work::{self, system};
use crate::targets::systems::{self, KIND};

/// Accounts that are looked at in the commit that makes a word count; the others come to it by their own next try.
const WOKEN: u16 = 200;
/// Accounts that one commit takes up again.
const BATCH: usize = 25;

/// Says that a target is gone for good, and what shows it. It counts once somebody else has said so, too.
///
/// # Errors
/// No such target, it isn't trusted, somebody said so before, there is no reason or evidence, or the caller may not or
/// hasn't just signed in.
pub async fn attest(
    kernel: &Kernel,
    caller: &Caller,
    id: TargetId,
    ask: GoneAsk,
) -> Result<Revised<TargetView>, OpError> {
    check_reason(&ask.reason)?;
    if check_reason(&ask.evidence).is_err() {
        let hint = "say what shows it: a ticket, a record of its end, an order number";
        return Err(OpError::field("evidence", "evidence_missing", hint));
    }
    changed(kernel, caller, id, "target.attest_gone", |target, by, now| {
        if target.state == TrustState::Proposed {
            return Err(OpError::because(Reason::IllegalTransition, "the target isn't confirmed: nothing is there"));
        }
        if target.gone.is_some() {
            return Err(OpError::because(Reason::IllegalTransition, "somebody said so before: tenure target show"));
        }
        let GoneAsk { reason, evidence } = ask.clone();
        let gone = GoneAttestation { reason, evidence, by, at: now, confirmed_by: None, confirmed_at: None };
        Ok((EventKind::TargetGoneAttested, gone))
    })
    .await
}

/// Says so, too: from then on what is asked of the target's accounts ends as `attested_gone`.
///
/// # Errors
/// No such target, nobody said so before, or the caller did, may not, or hasn't just signed in.
pub async fn confirm(kernel: &Kernel, caller: &Caller, id: TargetId) -> Result<Revised<TargetView>, OpError> {
    changed(kernel, caller, id, "target.confirm_gone", |target, by, now| match &target.gone {
        None => Err(OpError::because(Reason::IllegalTransition, "nobody said that it is gone")),
        Some(gone) if gone.confirmed_by.is_some() => {
            Err(OpError::because(Reason::IllegalTransition, "two people said so before"))
        }
        Some(gone) if gone.by == by => Err(OpError::refused(Reason::SamePerson)),
        Some(gone) => {
            let gone = GoneAttestation { confirmed_by: Some(by), confirmed_at: Some(now), ..gone.clone() };
            Ok((EventKind::TargetGoneConfirmed, gone))
        }
    })
    .await
}

/// Takes the word back that a target is gone: whatever was left to it is asked of the target again.
///
/// # Errors
/// No such target, nobody said that it is gone, there is no reason, or the caller may not.
pub async fn withdraw(
    kernel: &Kernel,
    caller: &Caller,
    id: TargetId,
    reason: &str,
) -> Result<Revised<TargetView>, OpError> {
    check_reason(reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, "target.withdraw_gone", id), async {
            kernel.allow_taking_back(caller, Action::Trust, &inventory(KIND, id, ""))?;
            let stored = kernel.must::<TargetSystem>(KIND, id).await?;
            if stored.gone.is_none() {
                return Err(OpError::because(Reason::IllegalTransition, "nobody said that it is gone"));
            }
            let ((target, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<TargetSystem>(KIND, id).await?;
                    let event = kernel.event(now, EventKind::TargetGoneWithdrawn).subject(id).fact("reason", reason);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    let target = TargetSystem { gone: None, ..(*stored.value).clone() };
                    changeset.replace(&stored, &target);
                    systems::look_through(&mut changeset, &target, now);
                    Ok((changeset, (target, stored.revision + 1)))
                })
                .await?;
            take_up_again(kernel, id).await?;
            kernel.changed(systems::view_of(kernel, &target), revision, &committed).await
        })
        .await
}

async fn changed(
    kernel: &Kernel,
    caller: &Caller,
    id: TargetId,
    operation: &'static str,
    said: impl Fn(
        &TargetSystem,
        tenure_core::base::id::PersonId,
        tenure_core::base::time::Timestamp,
    ) -> Result<(EventKind, GoneAttestation), OpError>,
) -> Result<Revised<TargetView>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Revoke, operation, id), async {
            kernel.allow_taking_back(caller, Action::Trust, &inventory(KIND, id, ""))?;
            let by = caller.must_be_person()?;
            let ((target, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let stored = kernel.must::<TargetSystem>(KIND, id).await?;
                    let (kind, gone) = said(&stored, by, now)?;
                    let text = format!(
                        "{} is said to be gone for good: {}.\nWhat shows it: {}.\nLook: tenure target show {}\nWhere that is so and you are somebody else: tenure target confirm-gone {}",
                        stored.name, gone.reason, gone.evidence, stored.name, stored.name
                    );
                    let event = kernel
                        .event(now, kind)
                        .subject(id)
                        .subject(gone.by)
                        .fact("reason", &gone.reason)
                        .fact("evidence", &gone.evidence)
                        .fact("assurance", assurance_fact(caller));
                    let roles = [Role::Security, Role::Administrator];
                    let event = notify(event, &[stored.owner], &roles, "A target is said to be gone", &text);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    if gone.confirmed_by.is_some() {
                        wake(kernel, &mut changeset, id, now).await?;
                        let no_more = [&rules::TARGET_UNREACHABLE];
                        let how = "two people say that it is gone for good";
                        finding::no_longer(kernel, &mut changeset, &no_more, id, how, now).await?;
                    }
                    let target = TargetSystem { gone: Some(gone), ..(*stored.value).clone() };
                    changeset.replace(&stored, &target);
                    Ok((changeset, (target, stored.revision + 1)))
                })
                .await?;
            kernel.changed(systems::view_of(kernel, &target), revision, &committed).await
        })
        .await
}

/// Has the accounts looked at with which something is open.
async fn wake(
    kernel: &Kernel,
    changeset: &mut Changeset,
    id: TargetId,
    now: tenure_core::base::time::Timestamp,
) -> Result<(), OpError> {
    let mut woken = 0;
    let mut pages = kernel.pages(Query::<Account>::of([Account::TARGET.of(id)]));
    while let Some(found) = pages.next().await? {
        for account in found.whole()?.iter().filter(|account| {
            account.open().is_some_and(|intent| intent.to != AccountState::Standing)
                || account.open_narrowing().is_some()
        }) {
            changeset.due.push(DueChange::Set(DueKind::Account, account.id.to_string(), now));
            woken += 1;
            if woken >= WOKEN {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A target answers that two people, or one, said is gone: their word is void, security is told, and everything that
/// ended with it is asked of the target again.
pub(crate) async fn answers(kernel: &Kernel, id: TargetId) -> Result<(), OpError> {
    take_up_again(kernel, id).await?;
    for _ in 0..work::ATTEMPTS {
        let now = kernel.now();
        let Some(stored) = kernel.one::<TargetSystem>(id).await? else { return Ok(()) };
        let Some(gone) = stored.gone.clone() else { return Ok(()) };
        let event = kernel
            .event(now, EventKind::TargetAnswersAgain)
            .subject(id)
            .subject(gone.by)
            .fact("reason", &gone.reason)
            .fact("confirmed_by", gone.confirmed_by);
        let mut changeset = Changeset::new(system(), now, event);
        let mut evidence = serde_json::Map::new();
        evidence.insert("target".into(), stored.name.clone().into());
        evidence.insert("said_by".into(), gone.by.to_string().into());
        evidence.insert("said_too_by".into(), gone.confirmed_by.map(|by| by.to_string()).into());
        finding::raise(kernel, &mut changeset, &rules::TARGET_NOT_GONE, id, "", evidence, now).await?;
        changeset.replace(&stored, &TargetSystem { gone: None, ..(*stored.value).clone() });
        if kernel.settle(changeset).await?.is_some() {
            return Ok(());
        }
    }
    // Whoever looks through it next sees the same.
    Ok(())
}

/// Whatever ended by the word that a target is gone is to be done there after all: its accounts stand until it is, and
/// receipts that ended with them are open again.
async fn take_up_again(kernel: &Kernel, id: TargetId) -> Result<(), OpError> {
    let mut ended = Vec::new();
    let mut pages = kernel.pages(Query::<Account>::of([Account::TARGET.of(id)]));
    while let Some(found) = pages.next().await? {
        ended.extend(found.whole()?.into_iter().filter(|account| is_attested(account)).map(|account| account.id));
    }
    for batch in ended.chunks(BATCH) {
        kernel
            .decide(|| async {
                let now = kernel.now();
                let event = kernel.event(now, EventKind::TargetAnswersAgain).subject(id).fact("accounts", batch);
                let mut changeset = Changeset::new(system(), now, event);
                let mut opened = Vec::new();
                for account in batch {
                    let Some(stored) = kernel.one::<Account>(account).await?.filter(|account| is_attested(account))
                    else {
                        continue;
                    };
                    let mut again = (*stored.value).clone();
                    if again.intent.as_ref().is_some_and(|intent| is_word(&intent.outcome)) {
                        again.state = AccountState::Standing;
                        again.intent = None;
                    }
                    if let Some(narrowing) = again.narrowing.as_mut().filter(|narrowing| is_word(&narrowing.outcome)) {
                        narrowing.outcome = AccountOutcome::Requested;
                    }
                    changeset.replace(&stored, &again);
                    changeset.due.push(DueChange::Set(DueKind::Account, stored.id.to_string(), now));
                    open_receipts(kernel, &mut changeset, &mut opened, &stored, now).await?;
                }
                Ok((changeset, ()))
            })
            .await?;
    }
    Ok(())
}

const fn is_word(outcome: &AccountOutcome) -> bool {
    matches!(outcome, AccountOutcome::AttestedGone { .. })
}

fn is_attested(account: &Account) -> bool {
    account.intent.as_ref().is_some_and(|intent| is_word(&intent.outcome))
        || account.narrowing.as_ref().is_some_and(|narrowing| is_word(&narrowing.outcome))
}

/// Opens the receipts again that ended with the word about an account.
async fn open_receipts(
    kernel: &Kernel,
    changeset: &mut Changeset,
    opened: &mut Vec<tenure_core::base::id::ReceiptId>,
    account: &Account,
    now: tenure_core::base::time::Timestamp,
) -> Result<(), OpError> {
    let Some(identity) = kernel.one::<Identity>(account.identity).await? else { return Ok(()) };
    let scopes =
        identity.memberships.iter().map(|membership| Receipt::TARGET.of(Revoked::Scope(membership.scope.clone())));
    let mut receipts = kernel.pages(Query::every().any(scopes));
    while let Some(found) = receipts.next().await? {
        let rests = |receipt: &&Stored<Receipt>| {
            receipt.signed.is_some()
                && receipt.accounts.as_ref().is_some_and(|accounts: &AccountPoints| accounts.attested_gone > 0)
        };
        for receipt in found.whole()?.iter().filter(rests) {
            if opened.contains(&receipt.id) {
                continue;
            }
            opened.push(receipt.id);
            changeset.replace(receipt, &Receipt { signed: None, ..(*receipt.value).clone() });
            changeset.due.push(DueChange::Set(DueKind::Receipt, receipt.id.to_string(), now));
        }
    }
    Ok(())
}
