//! Transfers: an identity goes from one accountable owner to another who accepts it, or stops by a deadline (R91,
//! invariant 7).
//!
//! While its owner is away an identity goes on inside a window that stands in its own row; an offer by an owner who is
//! there opens no window, since they go on answering for it. Accepting is the only way to another owner, and only a
//! person who holds the role accepts.

pub mod plan;

use tenure_api::people::NewOffer;
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::{IdentityId, PersonId, TransferId};
use tenure_core::base::problem::Reason;
use tenure_core::base::state::InState;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::scope::{Cut, Hold, Membership, Scope};
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::identity::{Identity, IdentityState, Kind, Releaser, SuspensionCause, SuspensionKind};
use tenure_core::people::person::{Person, PersonClass, Role};
use tenure_core::policy::{Action, Answer, Attributes, Value};
use tenure_core::request::review::{Review, ReviewState, ReviewSubject, ReviewTrigger};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Position, Stored};

use crate::access::leavers;
use crate::access::transfers::plan::has_lapsed;
use crate::credentials::receipts;
use crate::identities::{dormancy, review_opening};
use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::load::expect_optional;
use crate::kernel::notice::notify;
use crate::kernel::operation::Asked;
use crate::kernel::query::{ListAsk, Listed, Query};

/// The workflow of transfers: non-human identities change owners.
const WORKFLOW: &str = "non_human.transfer";

impl Listed for Transfer {
    const NAME: &'static str = "transfer";
}

/// An open transfer with its identity, both as read.
struct Offering {
    transfer: Stored<Transfer>,
    identity: Stored<Identity>,
}

/// Offers an identity to another owner: by its owner, by whoever stands in for them, by security or an administrator.
/// Where an offer is open it goes to this person instead.
///
/// # Errors
/// The identity isn't in use, the person can't own it, or the caller may not.
pub async fn start_transfer(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    ask: NewOffer,
) -> Result<Revised<Transfer>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Transfer, "identity.transfer", id), async {
            let ((transfer, revision), committed) = kernel
                .decide(|| async {
                    let identity = kernel.must::<Identity>("identity", id).await?;
                    offering_to(kernel, caller, identity, ask.to, kernel.now()).await
                })
                .await?;
            kernel.changed(transfer, revision, &committed).await
        })
        .await
}

/// What offers an identity to somebody, as it is decided: by a transfer of its own, or by the one that is open.
pub(crate) async fn offering_to(
    kernel: &Kernel,
    caller: &Caller,
    identity: Stored<Identity>,
    to: PersonId,
    now: Timestamp,
) -> Result<(Changeset, (Transfer, u64)), OpError> {
    let answer = may_offer(kernel, caller, &identity)?;
    let from = must_be_in_use(&identity)?;
    if let Some(transfer) = open_transfer_of(kernel, identity.id).await? {
        let revision = transfer.revision + 1;
        let offering = Offering { transfer, identity };
        let (changeset, transfer) = offered(kernel, caller, &offering, to, &answer, now).await?;
        return Ok((changeset, (transfer, revision)));
    }
    let taker = able_to_own(kernel, to, &identity).await?;
    not_to_oneself(caller, to)?;
    let transfer = new_transfer(kernel, identity.id, from, "by_hand", now).offer(Some(to))?;
    let event =
        transfer_event(kernel, EventKind::IdentityTransferOpened, &transfer, now).fact("policies", answer.policies());
    let mut changeset = Changeset::new(caller.author(), now, tell_offered(event, &transfer));
    // The row is written although it stays the same: of two who open a transfer at once, one comes second.
    changeset.expect(&taker).replace(&identity, &identity.value).insert(&transfer);
    changeset.due.push(DueChange::Set(DueKind::Transfer, transfer.id.to_string(), transfer.deadline));
    Ok((changeset, (transfer, 1)))
}

/// Offers it to somebody else.
///
/// # Errors
/// It isn't open, the person can't own it, or the caller may not.
pub async fn offer_transfer(
    kernel: &Kernel,
    caller: &Caller,
    id: TransferId,
    ask: NewOffer,
) -> Result<Revised<Transfer>, OpError> {
    transfer_step(kernel, caller, "transfer.offer", id, |offering, now| async move {
        let answer = may_offer(kernel, caller, &offering.identity)?;
        offered(kernel, caller, &offering, ask.to, &answer, now).await
    })
    .await
}

async fn offered(
    kernel: &Kernel,
    caller: &Caller,
    offering: &Offering,
    to: PersonId,
    answer: &Answer,
    now: Timestamp,
) -> Result<(Changeset, Transfer), OpError> {
    must_be_open(&offering.transfer)?;
    let person = able_to_own(kernel, to, &offering.identity).await?;
    not_to_oneself(caller, to)?;
    let transfer = (*offering.transfer.value).clone().offer(Some(to))?;
    let event =
        transfer_event(kernel, EventKind::IdentityTransferOffered, &transfer, now).fact("policies", answer.policies());
    let mut changeset = Changeset::new(caller.author(), now, tell_offered(event, &transfer));
    changeset.expect(&person).expect(&offering.identity).replace(&offering.transfer, &transfer);
    Ok((changeset, transfer))
}

/// The person to whom it was offered answers for it from now on. Nothing that was dead comes alive by it.
///
/// # Errors
/// It wasn't offered to the caller, who can't own it, or needs a fresh sign-in.
pub async fn accept_transfer(kernel: &Kernel, caller: &Caller, id: TransferId) -> Result<Revised<Transfer>, OpError> {
    transfer_step(kernel, caller, "transfer.accept", id, |offering, now| async move {
        let to = must_be_addressed(caller, &offering.transfer)?;
        let fresh = freshness::freshness(kernel, caller, now).await?;
        let answer = may_answer_offer(kernel, caller, &offering)?;
        let person = able_to_own(kernel, to, &offering.identity).await?;
        if must_be_in_use(&offering.identity)? != offering.transfer.from {
            return Err(OpError::because(Reason::IllegalTransition, "somebody else answers for it by now"));
        }
        let transfer = (*offering.transfer.value).clone().accept()?;
        let event = transfer_event(kernel, EventKind::IdentityTransferred, &transfer, now)
            .fact("to", to)
            .fact("policies", answer.policies())
            .fact("policy_version", answer.version())
            .fact("assurance", assurance_fact(caller));
        let event = notify(
            event,
            &[transfer.from],
            &[],
            "An identity has another owner",
            &format!("{to} answers for {} now.", transfer.identity),
        );
        let mut changeset = Changeset::new(caller.author(), now, event);
        fresh.expect(&mut changeset);
        changeset.expect(&person);
        let identity = taken_over(kernel, &mut changeset, &offering.identity, &person, now).await?;
        changeset.replace(&offering.identity, &identity).replace(&offering.transfer, &transfer);
        changeset.due.push(DueChange::Clear(DueKind::Transfer, id.to_string()));
        Ok((changeset, transfer))
    })
    .await
}

/// The identity as its new owner gets it.
async fn taken_over(
    kernel: &Kernel,
    changeset: &mut Changeset,
    stored: &Stored<Identity>,
    to: &Person,
    now: Timestamp,
) -> Result<Identity, OpError> {
    let mut identity = (*stored.value).clone();
    identity.charter.owner = Some(to.id);
    // Where the backup takes over, the two change places: nobody stops standing in for the other by handing it there
    // and back (S-8).
    let backup = match identity.charter.backup_owner {
        Some(backup) if backup == to.id => stored.charter.owner,
        backup => backup,
    };
    identity.charter.backup_owner = match backup {
        // A backup who isn't there any more stands in for nobody.
        Some(backup) => kernel.one::<Person>(backup).await?.filter(|backup| backup.is_active()).map(|backup| backup.id),
        None => None,
    };
    identity.transfer = None;
    if let Some(n) = identity.suspensions.iter().position(|cause| cause.kind == SuspensionKind::TransferLapsed) {
        identity = identity.resume(n)?;
        let event = kernel
            .event(now, EventKind::IdentityResumed)
            .subject(identity.id)
            .fact("reason", "it has an accountable owner again")
            .fact("causes_left", identity.suspensions.len());
        changeset.event(event);
        dormancy::resumed(kernel, changeset, &mut identity, now).await?;
    }
    let identity = change_owner_scope(kernel, changeset, identity, to.id, now).await?;
    let asked =
        Query::of([Review::IDENTITY.of(identity.id), Review::STATE.of(ReviewState::Open), Review::REVIEWER.of(to.id)]);
    // Who was handed a review with it is asked already.
    if kernel.find(asked.limit(1)).await?.readable().is_empty() {
        let about = ReviewSubject::Identity(identity.id);
        review_opening::open_review(kernel, changeset, about, ReviewTrigger::Offboarding, Some(to.id), now);
    }
    Ok(identity)
}

/// Leaves the old owner's scope and joins the new one's. A cut of the old one is folded into the identity's own, so
/// that nothing it killed comes alive; a hold becomes a suspension of its own, which the same may release; what the new
/// one's cuts were about is not this identity's.
async fn change_owner_scope(
    kernel: &Kernel,
    changeset: &mut Changeset,
    mut identity: Identity,
    to: PersonId,
    now: Timestamp,
) -> Result<Identity, OpError> {
    let scope = Scope::Owner(to);
    let Some(n) = identity.memberships.iter().position(|membership| matches!(membership.scope, Scope::Owner(_))) else {
        return Ok(identity);
    };
    let Some(left) = identity.memberships.get(n).cloned() else {
        return Ok(identity);
    };
    let keys = [left.scope.cut_key(), left.scope.hold_key(), scope.cut_key()];
    let snapshot = kernel.store.load(&keys).await?;
    let (old_cut, old_hold, new_cut) = (snapshot.get::<Cut>(0)?, snapshot.get::<Hold>(1)?, snapshot.get::<Cut>(2)?);
    expect_optional(changeset, left.scope.cut_key(), old_cut.as_ref());
    expect_optional(changeset, left.scope.hold_key(), old_hold.as_ref());
    if left.scope != scope {
        expect_optional(changeset, scope.cut_key(), new_cut.as_ref());
    }
    if let Some(cut) = old_cut.filter(|cut| cut.position.is_after(left.joined)) {
        identity.valid_after = Some(identity.valid_after.map_or(cut.position, |after| after.later(cut.position)));
    }
    if let Some(hold) = old_hold.filter(|hold| hold.placed_by.is_some()) {
        let event = kernel
            .event(now, EventKind::IdentitySuspended)
            .subject(identity.id)
            .fact("cause", SuspensionKind::ByHand)
            .fact("reason", "the hold of its former owner goes with it");
        changeset.event(event);
        identity = identity.suspend(SuspensionCause {
            kind: SuspensionKind::ByHand,
            placed_by: hold.placed_by,
            releasable_by: hold.releasable_by,
            reason: hold.reason.clone(),
            at: now,
        })?;
        // Whoever held the old owner's scope as well holds the identity from now on.
        for placed in &hold.also {
            identity = identity.suspend(SuspensionCause {
                kind: SuspensionKind::ByHand,
                placed_by: Some(placed.by),
                releasable_by: Releaser::Security,
                reason: placed.reason.clone(),
                at: now,
            })?;
        }
    }
    if left.scope != scope {
        receipts::note_leaving(kernel, changeset, &left, identity.id).await?;
    }
    let head = Position::at(snapshot.head);
    if let Some(membership) = identity.memberships.get_mut(n) {
        *membership = Membership { scope, joined: new_cut.map_or(head, |cut| head.later(cut.position)) };
    }
    Ok(identity)
}

/// The person to whom it was offered doesn't take it: it goes on to the next who could.
///
/// # Errors
/// It wasn't offered to the caller.
pub async fn decline_transfer(kernel: &Kernel, caller: &Caller, id: TransferId) -> Result<Revised<Transfer>, OpError> {
    transfer_step(kernel, caller, "transfer.decline", id, |offering, now| async move {
        must_be_addressed(caller, &offering.transfer)?;
        may_answer_offer(kernel, caller, &offering)?;
        let (event, transfer) = leavers::passed_on(
            kernel,
            &offering.transfer,
            &offering.identity,
            EventKind::IdentityTransferDeclined,
            now,
        )
        .await?;
        let mut changeset = Changeset::new(caller.author(), now, event);
        changeset.replace(&offering.transfer, &transfer);
        Ok((changeset, transfer))
    })
    .await
}

/// Takes an offer back. Only an owner who is there can: where there is none, somebody has to take it.
///
/// # Errors
/// It isn't open, its owner is away, or the caller may not.
pub async fn withdraw_transfer(kernel: &Kernel, caller: &Caller, id: TransferId) -> Result<Revised<Transfer>, OpError> {
    transfer_step(kernel, caller, "transfer.withdraw", id, |offering, now| async move {
        may_offer(kernel, caller, &offering.identity)?;
        must_be_open(&offering.transfer)?;
        if offering.identity.transfer.is_some() {
            return Err(OpError::because(Reason::IllegalTransition, "its owner is away: offer it to somebody else"));
        }
        let transfer = (*offering.transfer.value).clone().close()?;
        let event =
            transfer_event(kernel, EventKind::IdentityTransferClosed, &transfer, now).fact("because", "withdrawn");
        let mut changeset = Changeset::new(caller.author(), now, event);
        changeset.expect(&offering.identity).replace(&offering.transfer, &transfer);
        changeset.due.push(DueChange::Clear(DueKind::Transfer, id.to_string()));
        Ok((changeset, transfer))
    })
    .await
}

/// A page of transfers. Who may not read all of them sees what is offered to them, or what goes from them.
///
/// # Errors
/// The caller may read none.
pub async fn transfers(
    kernel: &Kernel,
    caller: &Caller,
    mut ask: ListAsk<Transfer>,
) -> Result<Page<Revised<Transfer>>, OpError> {
    if authority::can_read(kernel, caller, Transfer::NAME, "", false).is_err() {
        authority::may_read(kernel, caller, Transfer::NAME, "", true).await?;
        let me = kernel.only_person(caller, "transfer.list").await?;
        if !ask.filters.contains(&Transfer::FROM.of(me)) {
            ask = ask.only(Transfer::OFFERED_TO.of(me));
        }
    }
    let (rows, end) = kernel.page(ask).await?;
    let view = |row: Stored<Transfer>| Revised {
        record: (*row.value).clone(),
        revision: row.revision,
        hold: None,
        log: None,
        names: Names::new(),
    };
    Ok(end.page(rows.into_iter().map(view).collect()))
}

/// One transfer.
///
/// # Errors
/// No such transfer, or it isn't the caller's to read.
pub async fn transfer(kernel: &Kernel, caller: &Caller, id: TransferId) -> Result<Revised<Transfer>, OpError> {
    let stored = kernel.sought::<Transfer>(caller, Transfer::NAME, id).await?;
    let own = caller.person_id().is_some_and(|me| stored.from == me || stored.offered_to == Some(me));
    authority::may_read(kernel, caller, Transfer::NAME, &id.to_string(), own).await?;
    Ok(Revised {
        record: (*stored.value).clone(),
        revision: stored.revision,
        hold: None,
        log: None,
        names: Names::new(),
    })
}

async fn transfer_step<Fut: Future<Output = Result<(Changeset, Transfer), OpError>>>(
    kernel: &Kernel,
    caller: &Caller,
    operation: &'static str,
    id: TransferId,
    decide: impl Fn(Offering, Timestamp) -> Fut,
) -> Result<Revised<Transfer>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Transfer, operation, id), async {
            let ((transfer, revision), committed) = kernel
                .decide(|| async {
                    let transfer = kernel.must::<Transfer>("transfer", id).await?;
                    let identity = kernel.must::<Identity>("identity", transfer.identity).await?;
                    let revision = transfer.revision + 1;
                    let (changeset, transfer) = decide(Offering { transfer, identity }, kernel.now()).await?;
                    Ok((changeset, (transfer, revision)))
                })
                .await?;
            kernel.changed(transfer, revision, &committed).await
        })
        .await
}

/// That the caller may offer the identity, or take an offer back: its owner, whoever stands in, security, or an
/// administrator.
fn may_offer(kernel: &Kernel, caller: &Caller, identity: &Identity) -> Result<Answer, OpError> {
    let by = caller.must_be_person()?;
    let stands_in = identity.transfer.as_ref().and_then(|window| window.interim) == Some(by);
    let owns = identity.charter.owner == Some(by) || stands_in;
    ask_transfer(kernel, caller, "identity", identity, owns, false)
}

/// That the caller may answer an offer that is addressed to them.
fn may_answer_offer(kernel: &Kernel, caller: &Caller, offering: &Offering) -> Result<Answer, OpError> {
    ask_transfer(kernel, caller, Transfer::NAME, &offering.identity, false, true)
}

fn ask_transfer(
    kernel: &Kernel,
    caller: &Caller,
    kind: &str,
    identity: &Identity,
    owns: bool,
    addressed: bool,
) -> Result<Answer, OpError> {
    let context = Attributes::from([("owns", Value::Bool(owns)), ("addressed", Value::Bool(addressed))]);
    let environment = identity.charter.environment.as_deref().unwrap_or_default();
    kernel.allow(caller, Action::Transfer, inventory(kind, identity.id, environment), context)
}

/// The kernel of S-9: no policy lets anybody else answer an offer.
fn must_be_addressed(caller: &Caller, transfer: &Transfer) -> Result<PersonId, OpError> {
    let by = caller.must_be_person()?;
    must_be_open(transfer)?;
    if transfer.state == TransferState::Offered && transfer.offered_to == Some(by) {
        Ok(by)
    } else {
        Err(OpError::because(Reason::NotEligible, "only the person to whom it is offered accepts or declines"))
    }
}

/// An active person who holds the role owner, and isn't the owner already.
async fn able_to_own(kernel: &Kernel, to: PersonId, identity: &Identity) -> Result<Stored<Person>, OpError> {
    let person = kernel.one::<Person>(to).await?;
    let third_party = identity.kind == Kind::Integration || identity.charter.vendor.is_some();
    if identity.charter.owner == Some(to) {
        return Err(OpError::field("to", "owner_already", "name somebody other than the owner"));
    }
    match person {
        Some(person) if third_party && person.class != PersonClass::Employee => {
            Err(OpError::field("to", "owner_not_internal", "what a third party operates is owned by an employee"))
        }
        Some(person) if person.holds(Role::Owner) => Ok(person),
        Some(person) if person.is_active() => Err(OpError::field(
            "to",
            "owner_without_role",
            "an accountable owner holds the role owner, which an administrator gives",
        )),
        _ => Err(OpError::field("to", "person_unknown", "name an active person of this deployment")),
    }
}

/// The transfer of an identity that is open, if one is.
pub(crate) async fn open_transfer_of(
    kernel: &Kernel,
    identity: IdentityId,
) -> Result<Option<Stored<Transfer>>, OpError> {
    for state in [TransferState::Offered, TransferState::Open] {
        let open = Query::of([Transfer::IDENTITY.of(identity), Transfer::STATE.of(state)]);
        if let Some(transfer) = kernel.find(open.limit(1)).await?.readable().pop() {
            return Ok(Some(transfer));
        }
    }
    Ok(None)
}

pub(crate) fn new_transfer(
    kernel: &Kernel,
    identity: IdentityId,
    from: PersonId,
    because: &str,
    now: Timestamp,
) -> Transfer {
    Transfer {
        id: TransferId::generate(now, kernel.entropy.as_ref()),
        identity,
        from,
        offered_to: None,
        declined_by: Vec::new(),
        state: InState::default(),
        because: because.to_owned(),
        opened_at: now,
        deadline: now.plus(kernel.settings.transfer_window),
    }
}

pub(crate) fn transfer_event(kernel: &Kernel, kind: EventKind, transfer: &Transfer, now: Timestamp) -> Event {
    kernel
        .event(now, kind)
        .subject(transfer.identity)
        .subject(transfer.id)
        .subject(transfer.from)
        .fact("workflow", WORKFLOW)
        .fact("because", &transfer.because)
        .fact("from", transfer.from)
        .fact("offered_to", transfer.offered_to)
        .fact("deadline", transfer.deadline)
}

/// Has whoever is asked told; where nobody is, security.
pub(crate) fn tell_offered(event: Event, transfer: &Transfer) -> Event {
    let id = transfer.id;
    match transfer.offered_to {
        Some(to) => {
            let text = format!(
                "{} is to be yours to answer for. Take it before {}, or decline so that it can go to somebody else:\ntenure transfer accept {id}",
                transfer.identity, transfer.deadline
            );
            notify(event, &[to], &[], "An identity is offered to you", &text)
        }
        None => {
            let text = format!(
                "{} has no owner, and nobody to offer it to. It stops at {}:\ntenure transfer offer {id} --to per_…",
                transfer.identity, transfer.deadline
            );
            notify(event, &[], &[Role::Security], "An identity has no owner", &text)
        }
    }
}

/// The accountable owner of an identity that can be handed over.
fn must_be_in_use(identity: &Identity) -> Result<PersonId, OpError> {
    match (identity.state, identity.charter.owner) {
        (IdentityState::Active | IdentityState::Suspended, Some(owner)) => Ok(owner),
        (state, _) => Err(OpError::because(
            Reason::IllegalTransition,
            format!("an identity that is {} is not transferred", state.as_str()),
        )),
    }
}

/// The kernel of S-9: whoever may offer any identity and accept what is offered to them could take each of them alone.
fn not_to_oneself(caller: &Caller, to: PersonId) -> Result<(), OpError> {
    if caller.person_id() == Some(to) {
        return Err(OpError::because(
            Reason::SamePerson,
            "who offers an identity is not who takes it: somebody else offers it to you",
        ));
    }
    Ok(())
}

fn must_be_open(transfer: &Transfer) -> Result<(), OpError> {
    match transfer.state.get() {
        TransferState::Open | TransferState::Offered => Ok(()),
        state => Err(OpError::because(Reason::IllegalTransition, format!("the transfer is {}", state.as_str()))),
    }
}

/// Whether an identity needs a window, its owner being away.
pub(crate) fn needs_window(identity: &Identity) -> bool {
    identity.transfer.is_none() && !has_lapsed(identity)
}
