//! Enforcement: whatever becomes of an identity, or of a scope, is brought to the accounts at targets.
//!
//! Whoever changes an identity that has accounts, or cuts or holds a scope, leaves a deadline here in the same commit
//! (`Record::follows`, `Kernel::settle_under`), so nobody has to think of it. It is told nothing: what an account should
//! be is worked out from the rows.

use tenure_core::base::id::ResourceId;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::identity::scope::Scope;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;
use tenure_core::store::row::Stored;
use tenure_core::target::account::Account;
use tenure_core::target::login::{Login, LoginState};

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::work::{acknowledge, system};
use crate::targets::drift;

/// Identities of a scope that one commit has looked at.
const BATCH: u16 = 100;
/// What stands before a resource in the subject of the deadline by which the logins for it are looked at.
pub(crate) const RESOURCE: &str = "resource/";
/// What stands behind a scope in the subject of the deadline that goes on behind an identity.
const AFTER: char = ' ';

/// Works off what may have to be brought to accounts: of one identity, each that isn't what it should be is done
/// something to; of a scope, its identities are gone through.
pub(crate) async fn work_enforcement(
    kernel: &Kernel,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let (scope, after) = match claimed.subject.split_once(AFTER) {
        Some((scope, after)) => (scope, Some(after.to_owned())),
        None => (claimed.subject.as_str(), None),
    };
    if let Some(resource) = scope.strip_prefix(RESOURCE) {
        return of_resource(kernel, claimed, resource, now).await;
    }
    let Some(scope) = Scope::parse(scope) else { return Ok(None) };
    let mut changeset = Changeset::new(
        system(),
        now,
        kernel.event(now, EventKind::DeadlineDropped).subject(scope.subject()).fact("kind", claimed.kind.as_str()),
    );
    acknowledge(&mut changeset, claimed);
    if let Scope::Identity(id) = scope {
        if let Some(identity) = kernel.one::<Identity>(id).await? {
            of_identity(kernel, &mut changeset, identity, now).await?;
        }
        return Ok(Some(changeset));
    }
    let of_scope = match &scope {
        Scope::Identity(id) => return Err(OpError::Internal(format!("{id} is no scope of many"))),
        Scope::Owner(id) => Identity::OWNER.of(id),
        Scope::Application(id) => Identity::APPLICATION.of(id),
        Scope::Environment(name) => Identity::ENVIRONMENT.of(name),
        Scope::Vendor(id) => Identity::VENDOR.of(id),
        Scope::CloudAccount(id) => Identity::CLOUD_ACCOUNT.of(id),
    };
    let found = kernel.find(Query::of([of_scope, Identity::HAS_ACCOUNTS.of("true")]).after(after).limit(BATCH)).await?;
    let next = found.next();
    for identity in found.whole()? {
        let subject = Scope::Identity(identity.id).to_string();
        changeset.due.push(DueChange::Set(DueKind::Enforcement, subject, now));
    }
    if let Some(next) = next {
        changeset.due.push(DueChange::Set(DueKind::Enforcement, format!("{scope}{AFTER}{next}"), now));
    }
    Ok(Some(changeset))
}

/// Has each account of an identity that isn't what it should be looked at, and holds each against what was approved.
async fn of_identity(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: Stored<Identity>,
    now: Timestamp,
) -> Result<(), OpError> {
    let id = identity.id;
    let known = kernel.know_rest(identity.clone()).await?;
    let mut accounts = kernel.pages(Query::<Account>::of([Account::IDENTITY.of(id)]));
    while let Some(found) = accounts.next().await? {
        for account in found.whole()? {
            let wanted = account.wanted(&known.identity, known.scopes(), now).state();
            let under_way = account.open().map(|intent| intent.to);
            if wanted != account.state || under_way.is_some_and(|to| to != wanted) {
                changeset.due.push(DueChange::Set(DueKind::Account, account.id.to_string(), now));
            }
            drift::compare(kernel, changeset, &identity, &account, now).await?;
        }
    }
    let mut logins = kernel.pages(Query::<Login>::of([Login::LEFT.of(id)]));
    while let Some(found) = logins.next().await? {
        // What is under way goes on by itself.
        for login in found.whole()?.iter().filter(|login| login.state != LoginState::Ending) {
            changeset.due.push(DueChange::Set(DueKind::Login, login.id.to_string(), now));
        }
    }
    Ok(())
}

/// Has the logins for a resource looked at, whose mapping was changed.
async fn of_resource(
    kernel: &Kernel,
    claimed: &Claimed,
    resource: &str,
    now: Timestamp,
) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = resource.parse::<ResourceId>() else { return Ok(None) };
    let event = kernel.event(now, EventKind::DeadlineDropped).subject(id).fact("kind", claimed.kind.as_str());
    let mut changeset = Changeset::new(system(), now, event);
    acknowledge(&mut changeset, claimed);
    let mut logins = kernel.pages(Query::<Login>::of([Login::LEFT_AT.of(id)]));
    while let Some(found) = logins.next().await? {
        for login in found.whole()?.iter().filter(|login| login.state != LoginState::Ending) {
            changeset.due.push(DueChange::Set(DueKind::Login, login.id.to_string(), now));
        }
    }
    Ok(Some(changeset))
}
