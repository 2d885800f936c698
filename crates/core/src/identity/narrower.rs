//! Which of two charters allows no more than the other: such a change takes something away and needs nobody's approval.
//!
//! Each field has an order of its own, and a charter is narrower if it is in every field. The fields are taken apart by
//! name, so a new one doesn't compile until its order is here.

use std::collections::BTreeSet;

use crate::base::time::{Span, Timestamp};
use crate::identity::account_grants::accounts_narrow;
use crate::identity::delegation::{delegates_narrow, tasks_narrow, within};
use crate::identity::place;
use crate::identity::{
    AutoRenewal, CharterDraft, Coverage, CredentialType, DEFAULT_CREDENTIAL_TTL, Hours, RetirementCondition, Shared,
    Usage,
};

/// Whether a charter allows nothing that another one doesn't: the same facts, and in each field the same or less.
pub fn narrows(from: &CharterDraft, to: &CharterDraft) -> bool {
    let CharterDraft {
        owner,
        backup_owner,
        purpose,
        scope,
        trust_boundary,
        environment,
        application,
        workload_binding,
        expires_at,
        retirement,
        rotation_cadence,
        credential_types,
        credential_ttl,
        coverage,
        auto_revocation,
        data_domains,
        repositories,
        parties,
        shared,
        vendor,
        cloud_account,
        need,
        usage,
        renewal,
        tasks,
        // Whichever of its own tasks is meant, the identity could have named.
        default_task: _,
        delegates,
        places,
        sender_constrained,
        exact_scope,
        notification_endpoint,
        removal_group,
        account_grants,
    } = to;
    let same = *owner == from.owner
        && *backup_owner == from.backup_owner
        && *purpose == from.purpose
        && *trust_boundary == from.trust_boundary
        && *environment == from.environment
        && *application == from.application
        && *workload_binding == from.workload_binding
        && *parties == from.parties
        && *vendor == from.vendor
        && *cloud_account == from.cloud_account
        && *need == from.need
        && *notification_endpoint == from.notification_endpoint
        && *removal_group == from.removal_group;
    same && within(scope, &from.scope)
        && at_most(*expires_at, from.expires_at)
        && at_most(end_of(retirement), end_of(&from.retirement))
        && at_most(idle_of(retirement), idle_of(&from.retirement))
        && (ends_with_task(retirement) || !ends_with_task(&from.retirement))
        && rotation_cadence.unwrap_or_default() <= from.rotation_cadence.unwrap_or_default()
        && types_of(credential_types).is_subset(&types_of(&from.credential_types))
        && credential_ttl.unwrap_or(DEFAULT_CREDENTIAL_TTL) <= from.credential_ttl.unwrap_or(DEFAULT_CREDENTIAL_TTL)
        && coverage.map(standing) <= from.coverage.map(standing)
        && from.auto_revocation.iter().all(|trigger| auto_revocation.contains(trigger))
        && domains_narrow(vendor.is_some(), &from.data_domains, data_domains)
        && repositories.iter().all(|repository| from.repositories.contains(repository))
        && shared_narrows(from.shared.as_ref(), shared.as_ref())
        && usage_narrows(from.usage.as_ref(), usage.as_ref())
        && renewal_narrows(from.renewal.as_ref(), renewal.as_ref())
        && tasks_narrow(&from.tasks, tasks)
        && delegates_narrow(&from.delegates, delegates)
        && place::narrow(&from.places, places)
        && (*sender_constrained || !from.sender_constrained)
        && (*exact_scope || !from.exact_scope)
        && accounts_narrow(&from.account_grants, account_grants)
}

/// Of two bounds the tighter one, where none is no bound.
fn at_most<T: Ord>(to: Option<T>, from: Option<T>) -> bool {
    match (to, from) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(to), Some(from)) => to <= from,
    }
}

/// How much is held at rest, and how closely it is looked at: nothing, all under review, all.
const fn standing(coverage: Coverage) -> u8 {
    match coverage {
        Coverage::JustInTime => 0,
        Coverage::Privileged => 1,
        Coverage::RoleBased => 2,
    }
}

/// None named means the shortest-lived one (R63).
fn types_of(types: &[CredentialType]) -> BTreeSet<CredentialType> {
    match types {
        [] => BTreeSet::from([CredentialType::AccessToken]),
        named => named.iter().copied().collect(),
    }
}

fn end_of(retirement: &[RetirementCondition]) -> Option<Timestamp> {
    let dates = retirement.iter().filter_map(|condition| match condition {
        RetirementCondition::Date { at } => Some(*at),
        RetirementCondition::Idle { .. } | RetirementCondition::TaskCompleted => None,
    });
    dates.min()
}

fn idle_of(retirement: &[RetirementCondition]) -> Option<Span> {
    let limits = retirement.iter().filter_map(|condition| match condition {
        RetirementCondition::Idle { after } => Some(*after),
        RetirementCondition::Date { .. } | RetirementCondition::TaskCompleted => None,
    });
    limits.min()
}

fn ends_with_task(retirement: &[RetirementCondition]) -> bool {
    retirement.contains(&RetirementCondition::TaskCompleted)
}

/// No domains is no bound, but of a third party, which may touch those alone that it names (R35).
fn domains_narrow(third_party: bool, from: &[String], to: &[String]) -> bool {
    let unbounded = |domains: &[String]| domains.is_empty() && !third_party;
    unbounded(from) || (!unbounded(to) && to.iter().all(|domain| from.contains(domain)))
}

fn shared_narrows(from: Option<&Shared>, to: Option<&Shared>) -> bool {
    match (from, to) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(from), Some(to)) => to.narrows(from),
    }
}

fn usage_narrows(from: Option<&Usage>, to: Option<&Usage>) -> bool {
    let hours = |usage: Option<&Usage>| usage.and_then(|usage| usage.hours.as_ref().map(Hours::of_the_week));
    let posture = |usage: Option<&Usage>| usage.and_then(|usage| usage.posture.clone());
    let fewer = match (hours(from), hours(to)) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(from), Some(to)) => to.is_subset(&from),
    };
    fewer && (posture(from).is_none() || posture(to) == posture(from))
}

fn renewal_narrows(from: Option<&AutoRenewal>, to: Option<&AutoRenewal>) -> bool {
    match (from, to) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(from), Some(to)) => {
            to.window <= from.window && to.extend_by <= from.extend_by && to.used_within <= from.used_within
        }
    }
}

impl Hours {
    /// The hours of a week in which it holds, counted from Monday's first, UTC.
    fn of_the_week(&self) -> BTreeSet<u8> {
        // 1970-01-05 was a Monday.
        let monday = Timestamp::from_secs(4 * 86_400);
        (0..168).filter(|hour| self.contain(monday.plus(Span::from_secs(i64::from(*hour) * 3_600)))).collect()
    }
}

#[cfg(test)]
mod tests;
