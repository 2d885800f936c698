//! Compensating controls, checked and not only described (R108, R109): each night, of each exception in force, as far as
//! Tenure can see. One that isn't in place breaches the exception, as if somebody had reported it; unless people put it
//! back and confirm that, the waiver is withdrawn after the grace.
//!
//! What can't be seen from here (a limit that an enforcement point keeps by itself) is neither found nor confirmed: it
//! stays as old as the last person's word on it.

use serde_json::json;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::{Credential, gate};
use tenure_core::finding::rules;
use tenure_core::identity::{CredentialType, Identity};
use tenure_core::inventory::entitlement::WILDCARD;
use tenure_core::people::person::{Person, Role};
use tenure_core::request::exception::{Exception, ExceptionState, ExceptionSubject};
use tenure_core::request::review::{Review, ReviewState};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::target::account::{Account, AccountState};

use crate::identities::silence;
use crate::kernel::error::OpError;
use crate::kernel::notice::notify;
use crate::kernel::query::Query;
use crate::kernel::work::system;
use crate::kernel::{Kernel, finding};
use crate::matters::exceptions;
use crate::matters::exceptions::plan::next_look;

/// How old a check may be before it is written anew.
const CHECKED_EVERY: Span = Span::from_secs(20 * 60 * 60);

/// What is known of an identity whose exception is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFacts {
    /// Whether its owner is active and has accepted it.
    pub owner_answers: bool,
    /// When the oldest secret that it holds was given to it.
    pub oldest_secret: Option<Timestamp>,
    /// An account of its whose secret Tenure never gave.
    pub unvaulted: Option<String>,
    /// Whether it has accounts whose secret Tenure gave.
    pub has_vaulted: bool,
    /// A review that nobody answered in time.
    pub overdue_review: Option<String>,
    /// What it is watched by and isn't heard.
    pub unheard: Option<String>,
    /// Whether a break-glass access wasn't looked at.
    pub unreviewed_glass: bool,
}

/// What a check of a control came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is in place.
    InPlace,
    /// It isn't, for this reason.
    Missing(String),
    /// It can't be seen from here.
    CannotTell,
}

/// Checks a control of an identity.
pub fn check(control: &str, identity: &Identity, facts: &ControlFacts, now: Timestamp) -> Verdict {
    let charter = &identity.charter;
    let unless = |wrong: bool, why: &str| if wrong { Verdict::Missing(why.to_owned()) } else { Verdict::InPlace };
    let unless_some = |wrong: Option<String>| wrong.map_or(Verdict::InPlace, Verdict::Missing);
    match control {
        "ownership" => {
            unless(!facts.owner_answers, "nobody answers for it: its owner isn't active, or hasn't accepted it")
        }
        "rotation" => match (facts.oldest_secret, charter.rotation_cadence) {
            (Some(_), None) => Verdict::Missing("its charter names no rotation cadence".to_owned()),
            (Some(since), Some(cadence)) if since.plus(cadence) < now => {
                Verdict::Missing(format!("a secret of its is as old as {since}, and the cadence is {cadence}"))
            }
            (Some(_), Some(_)) => Verdict::InPlace,
            (None, _) => Verdict::CannotTell,
        },
        "vaulting" => match &facts.unvaulted {
            Some(account) => Verdict::Missing(format!("the secret of {account} was never given by Tenure")),
            None if facts.has_vaulted => Verdict::InPlace,
            None => Verdict::CannotTell,
        },
        "revalidation" => unless_some(facts.overdue_review.as_ref().map(|id| format!("{id} wasn't answered in time"))),
        "monitoring" => unless_some(facts.unheard.as_ref().map(|name| format!("{name} isn't heard or reached"))),
        "scope_reduction" => {
            let everything = charter.scope.iter().any(|entitlement| {
                entitlement.resource == WILDCARD && entitlement.actions.iter().any(|action| action == WILDCARD)
            });
            unless(everything, "its scope is everything on everything")
        }
        "documented_expiry" => unless(charter.expires_at.is_none(), "its charter has no end"),
        "consumers" => {
            let named = charter.shared.as_ref().is_some_and(|shared| !shared.consumers.is_empty());
            unless(charter.shared.is_some() && !named, "its charter names no consumers")
        }
        "migration_plan" => {
            let planned = charter.shared.as_ref().is_some_and(|shared| !shared.migration_plan.trim().is_empty());
            unless(charter.shared.is_some() && !planned, "its charter says no plan")
        }
        "after_review" => unless(facts.unreviewed_glass, "nobody has looked at a break-glass access in time"),
        _ => Verdict::CannotTell,
    }
}

/// Checks the controls of every exception in force; returns how many aren't kept.
///
/// # Errors
/// The store can't be read or written.
pub async fn check_controls(kernel: &Kernel) -> Result<u64, OpError> {
    let mut missing = 0;
    let mut pages = kernel.pages(Query::of([Exception::STATE.of(ExceptionState::Active)]));
    while let Some(found) = pages.next().await? {
        for stored in found.readable() {
            missing += u64::from(check_one(kernel, &stored).await?);
        }
    }
    Ok(missing)
}

/// Checks the controls of an exception; whether one isn't in place.
async fn check_one(kernel: &Kernel, stored: &Stored<Exception>) -> Result<bool, OpError> {
    let ExceptionSubject::Identity(id) = stored.subject else { return Ok(false) };
    let Some(identity) = kernel.one::<Identity>(id).await? else { return Ok(false) };
    let now = kernel.now();
    let facts = facts_of(kernel, &identity, now).await?;
    let mut checked = (*stored.value).clone();
    let mut is_news = false;
    for control in &mut checked.compensating {
        match check(&control.control, &identity, &facts, now) {
            Verdict::Missing(why) => {
                let control = control.control.clone();
                return breached(kernel, stored, &control, &why, now).await;
            }
            Verdict::InPlace if control.checked_at.is_none_or(|at| now.since(at) >= CHECKED_EVERY) => {
                control.checked_at = Some(now);
                is_news = true;
            }
            Verdict::InPlace | Verdict::CannotTell => {}
        }
    }
    if is_news {
        let event = kernel
            .event(now, EventKind::ExceptionChecked)
            .subject(stored.id)
            .subject(id)
            .fact("compensating", &checked.compensating);
        let mut changeset = Changeset::new(system(), now, event);
        changeset.expect(&identity).replace(stored, &checked);
        // Who changed one of them meanwhile has it checked tomorrow.
        kernel.settle(changeset).await?;
    }
    Ok(false)
}

/// A control isn't in place: the exception is breached.
async fn breached(
    kernel: &Kernel,
    stored: &Stored<Exception>,
    control: &str,
    why: &str,
    now: Timestamp,
) -> Result<bool, OpError> {
    let exception = (*stored.value).clone().breach(now)?;
    let subject = exceptions::matter::subject_of(&exception);
    let next = next_look(&exception, now);
    let event = kernel
        .event(now, EventKind::ExceptionBreached)
        .subject(stored.id)
        .subject(&subject)
        .fact("control", control)
        .fact("note", why)
        .fact("checked", true)
        .fact("withdrawn_at", next);
    let text = format!(
        "The control {control} of {} is not in place: {why}. Put it back and confirm it until {next}, or the waiver is withdrawn.",
        stored.id
    );
    let owner = exceptions::owner_of(kernel, &exception).await?;
    let event = notify(event, &owner, &[Role::Security], "A compensating control is not in place", &text);
    let mut changeset = Changeset::new(system(), now, event);
    let evidence = json!({"exception": stored.id, "control": control, "note": why, "checked": true});
    let evidence = evidence.as_object().cloned().unwrap_or_default();
    let (rule, detail) = (&rules::EXCEPTION_BREACHED, stored.id.to_string());
    finding::raise(kernel, &mut changeset, rule, subject, &detail, evidence, now).await?;
    changeset.due.push(DueChange::Set(DueKind::Exception, stored.id.to_string(), next));
    changeset.replace(stored, &exception);
    Ok(kernel.settle(changeset).await?.is_some())
}

async fn facts_of(kernel: &Kernel, identity: &Stored<Identity>, now: Timestamp) -> Result<ControlFacts, OpError> {
    let owner = match identity.charter.owner {
        Some(owner) => kernel.one::<Person>(owner).await?,
        None => None,
    };
    let reviews = kernel.find(Query::of([Review::IDENTITY.of(identity.id)]).newest_first(true)).await?.readable();
    let is_late = |review: &&Stored<Review>| match review.state.get() {
        ReviewState::Open => review.due_at <= now,
        ReviewState::Lapsed => true,
        ReviewState::Answered | ReviewState::Closed => false,
    };
    let answered = reviews.iter().filter_map(|review| review.answer.as_ref().map(|answer| answer.at)).max();
    let late = reviews.iter().filter(is_late).find(|review| answered.is_none_or(|at| at < review.opened_at));
    let mut facts = ControlFacts {
        owner_answers: owner.is_some_and(|owner| owner.is_active()) && !gate::in_transfer(identity, now),
        oldest_secret: None,
        unvaulted: None,
        has_vaulted: false,
        overdue_review: late.map(|review| review.id.to_string()),
        unheard: silence::silent_for(kernel, identity).await?.into_iter().next().map(|silent| silent.name),
        unreviewed_glass: finding::has_finding(kernel, &rules::BREAK_GLASS_UNREVIEWED, &identity.id.to_string())
            .await?,
    };
    let mut secrets = Vec::new();
    let mut keys = kernel.pages(Query::of([Credential::IDENTITY.of(identity.id)]));
    while let Some(found) = keys.next().await? {
        let static_keys = found.readable().into_iter().filter(|key| key.kind == CredentialType::ApiKey);
        secrets.extend(static_keys.filter(|key| now < key.expires_at).map(|key| key.issued_at));
    }
    if identity.has_accounts {
        let mut accounts = kernel.pages(Query::of([Account::IDENTITY.of(identity.id)]));
        while let Some(found) = accounts.next().await? {
            for account in found.readable().iter().filter(|account| account.state == AccountState::Standing) {
                match &account.rotation {
                    Some(_) => facts.has_vaulted = true,
                    None => facts.unvaulted = facts.unvaulted.take().or_else(|| Some(account.id.to_string())),
                }
            }
        }
    }
    facts.oldest_secret = secrets.into_iter().min();
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use tenure_core::base::id::PersonId;
    use tenure_core::identity::CharterDraft;
    use tenure_core::inventory::entitlement::Entitlement;
    use tenure_core::request::exception::ExceptionType;

    use super::*;
    use crate::matters::exceptions::tests::active;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_secs(days * 86_400)
    }

    fn good() -> (Identity, ControlFacts) {
        let charter = CharterDraft {
            rotation_cadence: Some(Span::from_days(30)),
            expires_at: Some(at(400)),
            ..CharterDraft::default()
        };
        let facts = ControlFacts {
            owner_answers: true,
            oldest_secret: Some(at(80)),
            unvaulted: None,
            has_vaulted: true,
            overdue_review: None,
            unheard: None,
            unreviewed_glass: false,
        };
        (active(1, charter, PersonId::from_u128(1), at(0)), facts)
    }

    #[test]
    fn r108_each_control_of_a_legacy_exception_is_checked() {
        let (identity, good) = good();
        let holds = |control: &str, facts: &ControlFacts| check(control, &identity, facts, at(100)) == Verdict::InPlace;
        for control in ExceptionType::WeakerCredential.compensating() {
            assert!(holds(control, &good), "{control}");
        }
        type Spoil = fn(&mut ControlFacts);
        let spoil: [(&str, Spoil); 4] = [
            ("vaulting", |facts| facts.unvaulted = Some("acc_1".into())),
            ("rotation", |facts| facts.oldest_secret = Some(at(69))),
            ("ownership", |facts| facts.owner_answers = false),
            ("revalidation", |facts| facts.overdue_review = Some("rvw_1".into())),
        ];
        for (control, spoil) in spoil {
            let mut facts = good.clone();
            spoil(&mut facts);
            assert!(matches!(check(control, &identity, &facts, at(100)), Verdict::Missing(_)), "{control}");
        }
    }

    #[test]
    fn r109_each_control_of_a_long_lived_account_is_checked() {
        let (identity, facts) = good();
        for control in ExceptionType::Dormancy.compensating() {
            assert_eq!(check(control, &identity, &facts, at(100)), Verdict::InPlace, "{control}");
        }
        let unheard = ControlFacts { unheard: Some("github".into()), ..facts.clone() };
        assert!(matches!(check("monitoring", &identity, &unheard, at(100)), Verdict::Missing(_)));
        let mut wide = identity.clone();
        wide.charter.scope = vec![Entitlement { actions: vec!["*".into()], resource: "*".into() }];
        assert!(matches!(check("scope_reduction", &wide, &facts, at(100)), Verdict::Missing(_)));
        let mut endless = identity;
        endless.charter.expires_at = None;
        assert!(matches!(check("documented_expiry", &endless, &facts, at(100)), Verdict::Missing(_)));
        // What can't be seen from here is never confirmed.
        assert_eq!(check("local_limit", &endless, &facts, at(100)), Verdict::CannotTell);
    }
}
