//! Holds on scopes: nothing in one works until somebody other than who placed it releases it (S-11), and everybody sees
//! that.

use std::collections::{BTreeMap, BTreeSet};

use tenure_api::requests::{HoldRelease, NewHold};
use tenure_api::views::{HoldView, Names, Page, Releasers};
use tenure_core::base::id::PersonId;
use tenure_core::base::placed::Placed;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::scope::{Hold, Scope};
use tenure_core::identity::{Identity, Releaser};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::third_party::{CloudAccount, Vendor};
use tenure_core::people::person::{Person, PersonState, Role};
use tenure_core::policy::{Action, Question};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::RowKey;

use crate::credentials::revocation;
use crate::inventory::third_party;
use crate::kernel::Kernel;
use crate::kernel::authority::{self, enabling, inventory, owns, owns_identity};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::Freshness;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::operation::{Asked, check_reason};
use crate::kernel::query::{ListAsk, Query};

/// People who could release something that are named.
const NAMED: usize = 16;

/// Who may lift what the caller places. Nobody lifts their own, so that of a person's, be it the owner's, security is
/// left.
pub(crate) fn releaser(caller: &Caller) -> Releaser {
    match caller {
        Caller::Identity { .. } => Releaser::Owner,
        Caller::Person { .. } => Releaser::Security,
    }
}

/// What an identity is held with. Before it is active it belongs to nothing but itself.
pub(crate) fn scopes_of(identity: &Identity) -> Vec<Scope> {
    if identity.memberships.is_empty() {
        return vec![Scope::Identity(identity.id)];
    }
    identity.memberships.iter().map(|membership| membership.scope.clone()).collect()
}

/// Places a hold on a scope: nothing in it works until somebody else releases it (S-11), also where others hold it as
/// well. A dry run says who could.
///
/// # Errors
/// The caller holds it already, or may not.
pub async fn hold(kernel: &Kernel, caller: &Caller, ask: NewHold) -> Result<HoldView, OpError> {
    check_reason(&ask.reason)?;
    let scope = &ask.scope;
    let (hold, by) = kernel
        .recorded(caller, Asked::new(ControlPoint::Suspend, "scope.hold", scope), async {
            let by = caller.must_be_person()?;
            let decide = async || {
                let now = kernel.now();
                let own = owns_scope(kernel, caller, scope).await?;
                kernel.allow(caller, Action::Suspend, inventory("scope", scope, ""), owns(own))?;
                let event = held_event(kernel, scope, &ask.reason, now);
                let mut changeset = Changeset::new(caller.author(), now, event);
                match hold_in(kernel, &mut changeset, by, scope, &ask.reason, now).await? {
                    Some(hold) => {
                        revocation::held_with_receipt(kernel, &mut changeset, scope.clone(), &ask.reason, now);
                        Ok((changeset, hold))
                    }
                    None => {
                        Err(OpError::because(Reason::IllegalTransition, "you hold the scope already: tenure hold list"))
                    }
                }
            };
            let hold = if ask.dry_run { decide().await?.1 } else { kernel.decide(decide).await?.0 };
            Ok((hold, by))
        })
        .await?;
    let releasers = Box::pin(releasers(kernel, &hold.scope, Some(by), Releaser::Security)).await?;
    Ok(HoldView { hold, releasers, names: Names::new() })
}

pub(crate) fn held_event(
    kernel: &Kernel,
    scope: &Scope,
    reason: &str,
    now: Timestamp,
) -> tenure_core::store::event::Event {
    kernel.event(now, EventKind::ScopeHeld).subject(scope.subject()).fact("scope", scope.kind()).fact("reason", reason)
}

/// Adds a hold of a person's to a changeset, beside those of others; nothing if they hold the scope already. One that
/// its owner placed, or may lift, somebody else takes over: from then on it is theirs.
pub(crate) async fn hold_in(
    kernel: &Kernel,
    changeset: &mut Changeset,
    by: PersonId,
    scope: &Scope,
    reason: &str,
    now: Timestamp,
) -> Result<Option<Hold>, OpError> {
    let read = kernel.one::<Hold>(scope).await?;
    if let Some(placed) = read.as_ref().filter(|hold| hold.placed_by.is_some()) {
        if placed.placers().any(|placer| placer == by) {
            changeset.expect(placed);
            return Ok(None);
        }
        let owner = answers_for(kernel, scope).await?;
        let takes_over = owner != Some(by) && (placed.placed_by == owner || placed.releasable_by == Releaser::Owner);
        if !takes_over {
            let mut hold = (*placed.value).clone();
            hold.also.push(Placed { by, reason: reason.to_owned(), at: now });
            changeset.replace(placed, &hold);
            return Ok(Some(hold));
        }
    }
    let hold = Hold {
        scope: scope.clone(),
        placed_by: Some(by),
        releasable_by: Releaser::Security,
        reason: reason.to_owned(),
        at: now,
        also: read.as_ref().map(|read| read.also.clone()).unwrap_or_default(),
    };
    match &read {
        Some(read) => changeset.replace(read, &hold),
        None => changeset.insert(&hold),
    };
    Ok(Some(hold))
}

/// Releases the hold of one person on a scope. Who placed it may not (S-11). Where several hold it, the others' stay.
///
/// # Errors
/// It is not on hold, several hold it and none of them is named, or the caller may not.
pub async fn release(kernel: &Kernel, caller: &Caller, ask: HoldRelease) -> Result<Hold, OpError> {
    let HoldRelease { scope, reason, placed_by } = ask;
    check_reason(&reason)?;
    kernel
        .recorded(caller, Asked::new(ControlPoint::Resume, "scope.release", &scope), async {
            let by = caller.must_be_person()?;
            let (hold, _) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let read = kernel.one::<Hold>(&scope).await?.ok_or(OpError::NotFound("hold"))?;
                    third_party::still_open(kernel, &scope).await?;
                    let whose = authority::whose(read.placed_by, &read.also, placed_by);
                    let placer = whose.as_ref().ok().copied().flatten();
                    let releasable_by = if placer == read.placed_by { read.releasable_by } else { Releaser::Security };
                    let own = releasable_by == Releaser::Owner && owns_scope(kernel, caller, &scope).await?;
                    // Who placed it hears who releases it, whatever else stands in their way.
                    if placer == Some(by) {
                        return Err(Box::pin(placed_by_self(kernel, &scope, placer, releasable_by)).await?);
                    }
                    kernel.allow(
                        caller,
                        Action::Enable,
                        inventory("scope", &scope, ""),
                        enabling(own, placer == Some(by), fresh),
                    )?;
                    let Some(placer) = whose? else {
                        return Err(OpError::because(Reason::IllegalTransition, "the scope is not on hold"));
                    };
                    let hold = (*read.value).clone().released(placer, &reason, now);
                    let event = kernel
                        .event(now, EventKind::ScopeReleased)
                        .subject(scope.subject())
                        .fact("scope", scope.kind())
                        .fact("reason", &reason)
                        .fact("placed_by", placer)
                        .fact("holds_left", hold.placers().count())
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&read, &hold);
                    Ok((changeset, hold))
                })
                .await?;
            Ok(hold)
        })
        .await
}

/// A page of the holds that are in force.
///
/// # Errors
/// The caller may not read them.
pub async fn holds(kernel: &Kernel, caller: &Caller, mut ask: ListAsk<Hold>) -> Result<Page<Hold>, OpError> {
    authority::may_read(kernel, caller, "scope", "", false).await?;
    ask.filters.push(Hold::STATE.of(Hold::HELD));
    let (rows, end) = kernel.page(ask).await?;
    Ok(end.page(rows.into_iter().map(|row| (*row.value).clone()).collect()))
}

/// How many holds of each sort are in force, for operators.
///
/// # Errors
/// The store can't be read.
pub async fn holds_in_force(kernel: &Kernel) -> Result<BTreeMap<&'static str, u64>, OpError> {
    let mut counts: BTreeMap<_, _> = Scope::KINDS.iter().map(|kind| (*kind, 0)).collect();
    let mut held = kernel.pages(Query::of([Hold::STATE.of(Hold::HELD)]));
    while let Some(found) = held.next().await? {
        for hold in found.readable() {
            *counts.entry(hold.scope.kind()).or_default() += 1;
        }
    }
    Ok(counts)
}

/// The holds on what these identities belong to, by scope, in one read.
pub(crate) async fn holds_of<'i>(
    kernel: &Kernel,
    identities: impl Iterator<Item = &'i Identity>,
) -> Result<BTreeMap<Scope, Hold>, OpError> {
    let scopes: BTreeSet<Scope> = identities.flat_map(scopes_of).collect();
    let keys: Vec<RowKey> = scopes.iter().map(Scope::hold_key).collect();
    let snapshot = kernel.store.load(&keys).await?;
    let mut holds = BTreeMap::new();
    for (n, scope) in scopes.into_iter().enumerate() {
        if let Some(hold) = snapshot.get::<Hold>(n)?.filter(|hold| hold.placed_by.is_some()) {
            holds.insert(scope, (*hold.value).clone());
        }
    }
    Ok(holds)
}

/// Who could release a hold or a suspension on this now.
pub(crate) async fn releasers(
    kernel: &Kernel,
    scope: &Scope,
    placed_by: Option<PersonId>,
    by: Releaser,
) -> Result<Releasers, OpError> {
    let mut found = Releasers::default();
    if by == Releaser::Owner
        && let Some(owner) = answers_for(kernel, scope).await?
        && let Some(owner) = kernel.one::<Person>(owner).await?
        && could_release(kernel, &owner, scope, true, placed_by)
    {
        found.people.push(owner.id);
    }
    let mut security =
        kernel.pages(Query::of([Person::ROLE.of(Role::Security), Person::STATE.of(PersonState::Active)]));
    while let Some(page) = security.next().await? {
        for person in page.readable() {
            if found.people.contains(&person.id) || !could_release(kernel, &person, scope, false, placed_by) {
                continue;
            }
            if found.people.len() >= NAMED {
                found.more = true;
                return Ok(found);
            }
            found.people.push(person.id);
        }
    }
    Ok(found)
}

fn could_release(kernel: &Kernel, person: &Person, scope: &Scope, owns: bool, placed_by: Option<PersonId>) -> bool {
    let (kind, id) = match scope {
        Scope::Identity(id) => ("identity", id.to_string()),
        other => ("scope", other.to_string()),
    };
    let answer = kernel.policy.engine().decide(&Question {
        principal: authority::person(person),
        action: Action::Enable,
        resource: inventory(kind, id, ""),
        context: enabling(owns, placed_by == Some(person.id), Freshness::supposed()),
    });
    person.is_active() && placed_by != Some(person.id) && answer.allowed()
}

async fn answers_for(kernel: &Kernel, scope: &Scope) -> Result<Option<PersonId>, OpError> {
    Ok(match scope {
        Scope::Identity(id) => kernel.one::<Identity>(id).await?.and_then(|identity| identity.charter.owner),
        Scope::Owner(id) => Some(*id),
        Scope::Application(id) => kernel.one::<Application>(id).await?.map(|application| application.owner),
        Scope::Environment(name) => kernel.one::<Environment>(name).await?.and(None),
        Scope::Vendor(id) => kernel.one::<Vendor>(id).await?.map(|vendor| vendor.owner),
        Scope::CloudAccount(id) => kernel.one::<CloudAccount>(id).await?.map(|account| account.owner),
    })
}

/// The refusal of who placed something themselves: it says who releases it (S-11).
pub(crate) async fn placed_by_self(
    kernel: &Kernel,
    scope: &Scope,
    placed_by: Option<PersonId>,
    by: Releaser,
) -> Result<OpError, OpError> {
    let releasers = releasers(kernel, scope, placed_by, by).await?;
    let who = match by {
        Releaser::Owner => "the accountable owner or somebody of security",
        Releaser::Security => "somebody of security",
    };
    let now = if releasers.people.is_empty() {
        "nobody else could now, so give a second person the role security".to_owned()
    } else {
        format!("now {}", releasers.people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    };
    Ok(OpError::because(Reason::SamePerson, format!("you placed it; {who} other than you releases it: {now}")))
}

/// Whether the caller answers for the scope; fails if there is no such thing.
pub(crate) async fn owns_scope(kernel: &Kernel, caller: &Caller, scope: &Scope) -> Result<bool, OpError> {
    Ok(match scope {
        Scope::Identity(id) => owns_identity(caller, &*kernel.must::<Identity>("identity", id).await?),
        Scope::Owner(id) => {
            kernel.must::<Person>("person", id).await.map(|person| caller.person_id() == Some(person.id))?
        }
        Scope::Application(id) => kernel
            .must::<Application>("application", id)
            .await
            .map(|application| caller.person_id() == Some(application.owner))?,
        Scope::Environment(name) => kernel.must::<Environment>("environment", name).await.map(|_| false)?,
        Scope::Vendor(id) => {
            kernel.must::<Vendor>("vendor", id).await.map(|vendor| caller.person_id() == Some(vendor.owner))?
        }
        Scope::CloudAccount(id) => kernel
            .must::<CloudAccount>("cloud account", id)
            .await
            .map(|account| caller.person_id() == Some(account.owner))?,
    })
}
