//! Drift: what targets have and nobody approved, found, decided and closed (R92, R102).
//!
//! An item is opened, changed and closed by [`compare`] alone, which holds an account against its identity's charter
//! whenever either changed. People decide what becomes of an item: it is taken away, which a worker does at the target
//! ([`drift_acts`](crate::targets::drift_acts)); it is asked for as a wider charter, which others approve; or somebody
//! who answers for nothing of it leaves it alone until a day (S-8).

use serde_json::{Map, Value, json};
use tenure_api::drift::{DriftAccept, DriftFix, DriftIgnore};
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::{DriftId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::{CharterDraft, Identity, IdentityState};
use tenure_core::policy::Action;
use tenure_core::request::Matter;
use tenure_core::store::changeset::{Changeset, DueChange, Once};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{ControlPoint, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Committed;
use tenure_core::store::row::Stored;
use tenure_core::target::account::{Account, AccountState};
use tenure_core::target::connector::{AccountSort, Mode};
use tenure_core::target::drift::{
    self, Difference, Drift, DriftChoice, DriftDecision, DriftKind, DriftState, MAX_IGNORED,
};
use tenure_core::target::system::TargetSystem;

use crate::kernel::Kernel;
use crate::kernel::authority::{self, enabling, inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::finding;
use crate::kernel::freshness;
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::{ListAsk, Listed, Query};
use crate::matters::request;
use crate::targets::systems;

pub(crate) const KIND: &str = "drift";
/// Grants that an event names one by one.
const TOLD: usize = 32;

impl Listed for Drift {
    const NAME: &'static str = KIND;
}

/// Holds an account against what was approved for it, and brings its items up to date in the changeset.
pub(crate) async fn compare(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &Stored<Identity>,
    account: &Stored<Account>,
    now: Timestamp,
) -> Result<(), OpError> {
    let (open, last) = items(kernel, account).await?;
    let difference = match drift::difference(identity, account) {
        Some(difference) => Some(difference),
        None => namesake(kernel, identity, account).await?.map(Difference::of),
    };
    let mut is_known = false;
    for item in open {
        match difference.as_ref().filter(|difference| difference.kind == item.kind) {
            Some(difference) => {
                is_known = true;
                still(kernel, changeset, &item, difference, account, now).await?;
            }
            // A look that could not see everything is no evidence that something is gone (R92): only a charter that names
            // what was gained closes it, or taking it away, after which the account itself is read.
            None if account.seen_in_part && difference.is_none() && !is_named(identity, account, &item) => {}
            None => close(kernel, changeset, &item, how(identity, difference.as_ref()), now).await?,
        }
    }
    match difference {
        Some(difference) if !is_known => open_item(kernel, changeset, account, difference, last, now).await,
        _ => Ok(()),
    }
}

/// The same of an account that nobody has seen before, with an identity that nobody answers for yet.
pub(crate) async fn compare_new(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: &Identity,
    account: &Account,
    now: Timestamp,
) -> Result<(), OpError> {
    match namesake(kernel, identity, account).await? {
        Some(kind) => open_item(kernel, changeset, account, Difference::of(kind), None, now).await,
        None => Ok(()),
    }
}

/// Whether a charter names whatever an item tells, or is none that anybody approved.
fn is_named(identity: &Identity, account: &Account, item: &Drift) -> bool {
    if !item.kind.is_access() || !matches!(identity.state, IdentityState::Active | IdentityState::Suspended) {
        return true;
    }
    let approved = drift::approved(identity, account.id);
    item.grants.iter().all(|grant| approved.grants.contains(grant))
        && item.more_grants <= approved.more_grants
        && (approved.privileged || item.kind != DriftKind::PrivilegeGained)
}

fn how(identity: &Identity, difference: Option<&Difference>) -> &'static str {
    match (difference, identity.state) {
        (Some(_), _) => "it is another difference now",
        (None, IdentityState::Active | IdentityState::Suspended) => "the target has what was approved",
        (None, IdentityState::Retiring | IdentityState::Retired) => "its identity is at its end",
        (None, _) => "it is no longer so",
    }
}

/// The items of an account that aren't closed, and the last one, closed or not.
async fn items(kernel: &Kernel, account: &Account) -> Result<(Vec<Stored<Drift>>, Option<DriftId>), OpError> {
    let mut pages = kernel.pages(Query::<Drift>::of([Drift::ACCOUNT.of(account.id)]));
    let (mut open, mut last) = (Vec::new(), None);
    while let Some(found) = pages.next().await? {
        for item in found.whole()? {
            last = last.max(Some(item.id));
            if item.state != DriftState::Closed {
                open.push(item);
            }
        }
    }
    Ok((open, last))
}

/// Whether a login that nobody answers for bears the name of one that is ended or gone, or of an identity.
async fn namesake(kernel: &Kernel, identity: &Identity, account: &Account) -> Result<Option<DriftKind>, OpError> {
    let stands = account.seen.enabled && account.absent_since.is_none() && account.state == AccountState::Standing;
    // A lease bears its path and a token what it is for, as others do before and after it: that is nobody's name.
    let is_named = matches!(account.seen.sort, AccountSort::Login | AccountSort::Role);
    if identity.state != IdentityState::Discovered || !stands || !is_named {
        return Ok(None);
    }
    let same = Query::<Account>::of([Account::NAME.of(&account.seen.name), Account::TARGET.of(account.target)]);
    let mut others = kernel.pages(same);
    while let Some(found) = others.next().await? {
        let is_other = |other: &&Stored<Account>| other.id != account.id && other.seen.sort == account.seen.sort;
        for other in found.whole()?.iter().filter(is_other) {
            if other.state == AccountState::Ended || other.absent_since.is_some() {
                return Ok(Some(DriftKind::CameBack));
            }
        }
    }
    let named = kernel.first(Query::<Identity>::of([Identity::NAME.of(&account.seen.name)])).await?;
    Ok(named.filter(|named| named.id != identity.id).map(|_| DriftKind::TookName))
}

async fn open_item(
    kernel: &Kernel,
    changeset: &mut Changeset,
    account: &Account,
    difference: Difference,
    last: Option<DriftId>,
    now: Timestamp,
) -> Result<(), OpError> {
    let item = Drift::found(DriftId::generate(now, kernel.entropy.as_ref()), account, difference, now);
    changeset.event(event_of(kernel, EventKind::DriftFound, &item, now));
    changeset.insert(&item);
    let last = last.map(|last| last.to_string()).unwrap_or_default();
    changeset.once.push(Once { space: "drift", key: format!("{} {last}", account.id), until: None });
    raise(kernel, changeset, &item, now).await
}

/// An item that is so yet: it is told anew where it is another thing, and asked about again where it is more than what
/// is left alone.
async fn still(
    kernel: &Kernel,
    changeset: &mut Changeset,
    item: &Stored<Drift>,
    difference: &Difference,
    account: &Account,
    now: Timestamp,
) -> Result<(), OpError> {
    let over = item.ignored_until().is_some_and(|until| until <= now);
    let reopens = item.state == DriftState::Ignored && (over || !difference.is_within(item));
    let mut changed = (*item.value).clone().now_is(difference.clone(), account.seen_in_part);
    if !reopens && (changed == *item.value || item.state == DriftState::Ignored) {
        return Ok(());
    }
    if reopens {
        changed = changed.reopen()?;
        changeset.due.push(DueChange::Clear(DueKind::Drift, item.id.to_string()));
    }
    changeset.event(event_of(kernel, EventKind::DriftChanged, &changed, now));
    changeset.replace(item, &changed);
    raise(kernel, changeset, &changed, now).await
}

/// Closes an item: the facts did.
pub(crate) async fn close(
    kernel: &Kernel,
    changeset: &mut Changeset,
    item: &Stored<Drift>,
    how: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let closed = (*item.value).clone().close(how, now)?;
    changeset.event(event_of(kernel, EventKind::DriftClosed, &closed, now).fact("how", how));
    changeset.replace(item, &closed);
    changeset.due.push(DueChange::Clear(DueKind::Drift, item.id.to_string()));
    resolve(kernel, changeset, item, how, now).await
}

/// The finding of an item that was taken away at the target is resolved with it.
pub(crate) async fn taken(
    kernel: &Kernel,
    changeset: &mut Changeset,
    item: &Drift,
    now: Timestamp,
) -> Result<(), OpError> {
    changeset.event(event_of(kernel, EventKind::DriftClosed, item, now).fact("how", "taken away"));
    resolve(kernel, changeset, item, "it was taken away at the target", now).await
}

/// Leaves alone no longer what was left alone until now.
pub(crate) async fn reopen(
    kernel: &Kernel,
    changeset: &mut Changeset,
    item: &Stored<Drift>,
    now: Timestamp,
) -> Result<(), OpError> {
    let open = (*item.value).clone().reopen()?;
    changeset.event(event_of(kernel, EventKind::DriftChanged, &open, now));
    changeset.replace(item, &open);
    raise(kernel, changeset, &open, now).await
}

async fn raise(kernel: &Kernel, changeset: &mut Changeset, item: &Drift, now: Timestamp) -> Result<(), OpError> {
    let mut evidence = Map::<String, Value>::new();
    evidence.insert("drift".into(), json!(item.id));
    evidence.insert("what".into(), item.kind.as_str().into());
    evidence.insert("account".into(), item.name.clone().into());
    evidence.insert("target".into(), json!(item.target));
    let told: Vec<&String> = item.grants.iter().take(TOLD).collect();
    evidence.insert("grants".into(), json!(told));
    evidence.insert("more_grants".into(), json!(beyond(item)));
    let rule = item.kind.rule();
    finding::raise(kernel, changeset, rule, item.identity, &item.id.to_string(), evidence, now).await.map(drop)
}

async fn resolve(
    kernel: &Kernel,
    changeset: &mut Changeset,
    item: &Drift,
    how: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let detail = item.id.to_string();
    finding::no_longer_about(kernel, changeset, item.kind.rule(), item.identity, &detail, how, now).await
}

/// Grants of an item beyond those that an event names.
fn beyond(item: &Drift) -> usize {
    item.grants.len().saturating_sub(TOLD).saturating_add(usize::try_from(item.more_grants).unwrap_or(usize::MAX))
}

pub(crate) fn event_of(kernel: &Kernel, kind: EventKind, item: &Drift, now: Timestamp) -> Event {
    kernel
        .event(now, kind)
        .subject(item.id)
        .subject(item.account)
        .subject(item.identity)
        .subject(item.target)
        .fact("kind", item.kind)
        .fact("name", &item.name)
        .fact("grants", item.grants.iter().take(TOLD).collect::<Vec<_>>())
        .fact("more_grants", beyond(item))
}

/// A page of differences. Who may not read all of them names an identity of theirs.
///
/// # Errors
/// The caller may not read them.
pub async fn items_of(kernel: &Kernel, caller: &Caller, ask: ListAsk<Drift>) -> Result<Page<Revised<Drift>>, OpError> {
    let own = match ask.value_of(Drift::IDENTITY) {
        Some(subject) => authority::owns_subject(kernel, caller, subject).await?,
        None => false,
    };
    authority::may_read(kernel, caller, KIND, "", own).await?;
    let (rows, end) = kernel.page(ask).await?;
    Ok(end.page(rows.into_iter().map(|row| shown((*row.value).clone(), row.revision)).collect()))
}

/// One difference.
///
/// # Errors
/// No such difference, or the caller may not read it.
pub async fn item(kernel: &Kernel, caller: &Caller, id: DriftId) -> Result<Revised<Drift>, OpError> {
    let stored = kernel.sought::<Drift>(caller, KIND, id).await?;
    let own = authority::owns_subject(kernel, caller, &stored.identity.to_string()).await?;
    authority::may_read(kernel, caller, KIND, &id.to_string(), own).await?;
    Ok(shown((*stored.value).clone(), stored.revision))
}

fn shown(record: Drift, revision: u64) -> Revised<Drift> {
    Revised { record, revision, hold: None, log: None, names: Names::new() }
}

/// What a decision rests on.
struct Item {
    item: Stored<Drift>,
    account: Stored<Account>,
    identity: Stored<Identity>,
    target: Stored<TargetSystem>,
}

async fn read(kernel: &Kernel, id: DriftId) -> Result<Item, OpError> {
    let item = kernel.must::<Drift>(KIND, id).await?;
    if item.state == DriftState::Closed {
        return Err(OpError::because(Reason::IllegalTransition, "the difference is closed: it is no longer so"));
    }
    let account = kernel.must::<Account>("account", item.account).await?;
    let identity = kernel.must::<Identity>("identity", item.identity).await?;
    let target = kernel.must::<TargetSystem>(systems::KIND, item.target).await?;
    Ok(Item { item, account, identity, target })
}

/// Has a difference taken away at its target: what an account gained beyond its charter is revoked there, and a login
/// that nobody answers for is stopped. The owner of the identity, the target's, and security may; nobody has to agree.
///
/// # Errors
/// It is closed, its connector may only observe, it can't be taken away, there is no reason, or the caller may not.
pub async fn fix(kernel: &Kernel, caller: &Caller, id: DriftId, ask: DriftFix) -> Result<Revised<Drift>, OpError> {
    check_reason(&ask.reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Suspend, "drift.fix", id), async {
            let by = caller.must_be_person()?;
            let ((item, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let read = read(kernel, id).await?;
                    let own = owns_identity(caller, &read.identity) || caller.person_id() == Some(read.target.owner);
                    kernel.allow(caller, Action::Suspend, inventory(KIND, id, ""), owns(own))?;
                    can_be_taken(&read)?;
                    let decision = decision(DriftChoice::TakeAway, by, &ask.reason, now);
                    let (mut changeset, item) = decided(kernel, caller, &read.item, decision, now)?;
                    if item.kind.is_access() {
                        changeset.due.push(DueChange::Set(DueKind::Drift, id.to_string(), now));
                    } else {
                        // Its time to be claimed is over: what nobody claimed is stopped.
                        let late = Account { claim_by: now, ..(*read.account.value).clone() };
                        changeset.replace(&read.account, &late);
                        changeset.due.push(DueChange::Set(DueKind::Account, read.account.id.to_string(), now));
                    }
                    Ok((changeset, (item, read.item.revision + 1)))
                })
                .await?;
            kernel.changed(item, revision, &committed).await
        })
        .await
}

fn can_be_taken(read: &Item) -> Result<(), OpError> {
    let no = |detail: &'static str| Err(OpError::because(Reason::IllegalTransition, detail));
    match read.item.kind {
        DriftKind::AccountMissing => {
            no("what is gone can't be taken away: retire the identity, or have the account made again and claim it")
        }
        _ if read.target.mode < Mode::End => {
            no("the connector may only observe there: take it away at the target, or let the connector end accounts")
        }
        kind if kind.is_access() && drift::approved(&read.identity, read.account.id).more_grants > 0 => no(
            "the charter counts grants that it doesn't name, so what to leave isn't known: take it away at the target",
        ),
        _ => Ok(()),
    }
}

fn decision(choice: DriftChoice, by: PersonId, reason: &str, now: Timestamp) -> DriftDecision {
    DriftDecision { choice, by, at: now, reason: reason.to_owned(), request: None, until: None }
}

fn decided(
    kernel: &Kernel,
    caller: &Caller,
    stored: &Stored<Drift>,
    decision: DriftDecision,
    now: Timestamp,
) -> Result<(Changeset, Drift), OpError> {
    let event = decided_event(kernel, stored, &decision, now);
    let item = (*stored.value).clone().decide(decision)?;
    let mut changeset = Changeset::new(caller.author(), now, event);
    changeset.replace(stored, &item);
    Ok((changeset, item))
}

fn decided_event(kernel: &Kernel, item: &Drift, decision: &DriftDecision, now: Timestamp) -> Event {
    event_of(kernel, EventKind::DriftDecided, item, now)
        .fact("choice", decision.choice.as_str())
        .fact("reason", &decision.reason)
        .fact("request", decision.request)
        .fact("until", decision.until)
}

/// Asks that what an account gained be approved: a request for a wider charter, whose approvers read what it would name.
/// The difference is closed once the charter names it.
///
/// # Errors
/// It isn't about what an account may do, its identity isn't active, there is no reason, or the caller may not ask.
pub async fn accept(
    kernel: &Kernel,
    caller: &Caller,
    id: DriftId,
    ask: DriftAccept,
) -> Result<Revised<Drift>, OpError> {
    check_reason(&ask.reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "drift.accept", id), async {
            let by = caller.must_be_person()?;
            let ((item, revision), committed): ((Drift, u64), Committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let read = read(kernel, id).await?;
                    let own = owns_identity(caller, &read.identity);
                    authority::can_read(kernel, caller, KIND, &id.to_string(), own)?;
                    if !read.item.kind.is_access() {
                        let detail = "only what an account may do is accepted: claim what nobody answers for, and have \
                                      made again what is gone";
                        return Err(OpError::because(Reason::IllegalTransition, detail));
                    }
                    let charter = Box::new(wider(&read.identity, &read.account));
                    let matter = Matter::Charter { identity: read.identity.id, charter };
                    let opening = Box::pin(request::opening(kernel, caller, &matter, &ask.reason, now));
                    let (mut changeset, opened) = opening.await?;
                    let mut decision = decision(DriftChoice::Accept, by, &ask.reason, now);
                    decision.request = Some(opened.id);
                    changeset.event(decided_event(kernel, &read.item, &decision, now));
                    let item = (*read.item.value).clone().decide(decision)?;
                    changeset.replace(&read.item, &item);
                    Ok((changeset, (item, read.item.revision + 1)))
                })
                .await?;
            kernel.changed(item, revision, &committed).await
        })
        .await
}

/// The identity's charter with what the account has now.
fn wider(identity: &Identity, account: &Account) -> CharterDraft {
    let mut charter = identity.charter.clone();
    let grants = drift::grants_of(account);
    match charter.account_grants.iter_mut().find(|named| named.account == account.id) {
        Some(named) => *named = grants,
        None => charter.account_grants.push(grants),
    }
    charter
}

/// Leaves a difference alone until a day: by somebody of security with a fresh sign-in who neither answers for the
/// identity or the target nor gains by it (S-8). What is found beyond it meanwhile is asked about again.
///
/// # Errors
/// The day is past or too far off, there is no reason, the caller may not or has a part in it.
pub async fn ignore(
    kernel: &Kernel,
    caller: &Caller,
    id: DriftId,
    ask: DriftIgnore,
) -> Result<Revised<Drift>, OpError> {
    check_reason(&ask.reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Review, "drift.ignore", id), async {
            let by = caller.must_be_person()?;
            let ((item, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let read = read(kernel, id).await?;
                    let has_part = has_part(&read, by, now);
                    kernel.allow(caller, Action::Enable, inventory(KIND, id, ""), enabling(false, has_part, fresh))?;
                    if has_part {
                        let detail = "you answer for what differs, or gain by it: somebody else of security leaves it \
                                      alone";
                        return Err(OpError::because(Reason::SamePerson, detail));
                    }
                    if ask.until <= now.plus(Span::from_secs(60)) || ask.until > now.plus(MAX_IGNORED) {
                        return Err(OpError::field("until", "until_out_of_range", "name a day in the next 90 days"));
                    }
                    let mut decision = decision(DriftChoice::Ignore, by, &ask.reason, now);
                    decision.until = Some(ask.until);
                    let how = format!("left alone until {}: {}", ask.until, ask.reason);
                    let (mut changeset, item) = decided(kernel, caller, &read.item, decision, now)?;
                    fresh.expect(&mut changeset);
                    changeset.expect(&read.identity).expect(&read.target);
                    changeset.due.push(DueChange::Set(DueKind::Drift, id.to_string(), ask.until));
                    resolve(kernel, &mut changeset, &item, &how, now).await?;
                    Ok((changeset, (item, read.item.revision + 1)))
                })
                .await?;
            kernel.changed(item, revision, &committed).await
        })
        .await
}

/// Whether a person answers for what an item is about, or gains by it.
fn has_part(read: &Item, person: PersonId, now: Timestamp) -> bool {
    let identity = &read.identity;
    let charter = &identity.charter;
    let requester = charter.parties.as_ref().map(|parties| parties.requester);
    [charter.owner, charter.backup_owner, requester, Some(identity.registered_by), Some(read.target.owner)]
        .contains(&Some(person))
        || identity.serves(charter, now).contains(&person.to_string())
}
