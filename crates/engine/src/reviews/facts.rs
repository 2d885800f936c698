//! What helps to answer the review of an identity: granted beside used, findings, others like it, what ends it, and what
//! is recommended (R81, R88, R95).

use tenure_api::reviews::{GrantedUse, Peers, Recommendation, ReviewFacts, ReviewFinding};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::finding::{Finding, FindingState};
use tenure_core::identity::{Coverage, Identity, IdentityState};
use tenure_core::inventory::entitlement::{Entitlement, WILDCARD};
use tenure_core::request::review::Privilege;
use tenure_core::store::row::Stored;

use crate::identities::{charter, grants};
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, work};
use crate::reviews::recommendation::{Seen, recommended};

/// How far back use counts as use.
pub(crate) const WINDOW: Span = Span::from_days(90);
/// Others like an identity that are looked at.
const PEERS: u16 = 50;
/// Findings that are told.
const FINDINGS: u16 = 20;

/// What is known of an identity that is reviewed.
pub(crate) async fn facts_of(
    kernel: &Kernel,
    identity: &Stored<Identity>,
    now: Timestamp,
) -> Result<ReviewFacts, OpError> {
    let others = peers_of(kernel, identity).await?;
    let mut granted = granted_of(kernel, identity, now).await?;
    for one in &mut granted {
        let may = others.iter().filter(|other| charter::covers(&other.charter.scope, &one.action, &one.resource));
        one.peers = u16::try_from(may.count()).unwrap_or(u16::MAX);
    }
    let proposal = proposal_of(identity, &granted, now);
    let findings = findings_of(kernel, identity).await?;
    let last_used = work::last_used(kernel, &identity.id.to_string()).await?;
    let seen = Seen {
        since: [identity.activation.as_ref().map(|activation| activation.at), identity.resumed_at]
            .into_iter()
            .flatten()
            .max(),
        last_used,
        dormant_after: kernel.settings.dormant_after.unwrap_or(identity.ceilings().dormant_after),
        granted: granted.len(),
        unused: granted.iter().filter(|one| !is_used(one, now)).count(),
        can_be_narrowed: proposal.is_some(),
        worst: findings.first().map(|finding| finding.severity),
    };
    let (answer, because) = recommended(&seen, now);
    Ok(ReviewFacts {
        owner: identity.charter.owner,
        last_used,
        reviewed_at: identity.reviewed_at,
        peers: summed_up(&others),
        ends: grants::conditions(identity),
        recommendation: Recommendation { answer, because },
        findings,
        granted,
        proposal,
    })
}

/// What an identity may now, each action beside when it last was allowed one: by its live grants, and by its charter where
/// it is granted just in time.
pub(crate) async fn granted_of(
    kernel: &Kernel,
    identity: &Stored<Identity>,
    now: Timestamp,
) -> Result<Vec<GrantedUse>, OpError> {
    let known = kernel.know_rest(identity.clone()).await?;
    let live = known.grants.iter().flatten().filter(|grant| grant.is_live(now));
    let held = live.map(|grant| (Some(grant.id), &grant.entitlement));
    let just_in_time = identity.charter.coverage == Some(Coverage::JustInTime);
    let asked_for = identity.charter.scope.iter().filter(|_| just_in_time).map(|entitlement| (None, entitlement));
    let mut granted: Vec<GrantedUse> = Vec::new();
    for (grant, entitlement) in held.chain(asked_for) {
        for action in &entitlement.actions {
            let resource = entitlement.resource.clone();
            if !granted.iter().any(|known| known.resource == resource && known.action == *action) {
                granted.push(GrantedUse { resource, action: action.clone(), grant, last_used: None, peers: 0 });
            }
        }
    }
    let stamps: Vec<String> =
        granted.iter().map(|one| work::use_stamp(&identity.id, &one.resource, &one.action)).collect();
    for (one, last_used) in granted.iter_mut().zip(work::last_used_each(kernel, &stamps).await?) {
        one.last_used = last_used;
    }
    granted.sort_by(|a, b| (&a.resource, &a.action).cmp(&(&b.resource, &b.action)));
    Ok(granted)
}

/// The same as a review of a release keeps it.
pub(crate) async fn privileges_of(
    kernel: &Kernel,
    identity: &Stored<Identity>,
    now: Timestamp,
) -> Result<Vec<Privilege>, OpError> {
    let granted = granted_of(kernel, identity, now).await?;
    let kept = granted.into_iter().map(|GrantedUse { resource, action, last_used, .. }| Privilege {
        resource,
        action,
        last_used,
    });
    Ok(kept.collect())
}

/// The scope of an identity without what was not used within the window; nothing if that is all of it, or none. What a
/// wildcard was used for nobody noted: it stays.
pub(crate) fn proposal_of(identity: &Identity, granted: &[GrantedUse], now: Timestamp) -> Option<Vec<Entitlement>> {
    let is_kept = |resource: &str, action: &str| {
        let named = granted.iter().find(|one| one.resource == resource && one.action == action);
        resource == WILDCARD || action == WILDCARD || named.is_some_and(|one| is_used(one, now))
    };
    let narrowed = |entitlement: &Entitlement| {
        let kept = entitlement.actions.iter().filter(|action| is_kept(&entitlement.resource, action));
        Entitlement { actions: kept.cloned().collect(), resource: entitlement.resource.clone() }
    };
    let scope: Vec<Entitlement> =
        identity.charter.scope.iter().map(narrowed).filter(|entitlement| !entitlement.actions.is_empty()).collect();
    (!scope.is_empty() && scope != identity.charter.scope).then_some(scope)
}

fn is_used(one: &GrantedUse, now: Timestamp) -> bool {
    one.last_used.is_some_and(|at| at.plus(WINDOW) > now)
}

async fn findings_of(kernel: &Kernel, identity: &Identity) -> Result<Vec<ReviewFinding>, OpError> {
    let open = Query::of([Finding::SUBJECT.of(identity.id.to_string()), Finding::STATE.of(FindingState::Open)]);
    let mut found: Vec<ReviewFinding> = kernel
        .find(open.limit(FINDINGS))
        .await?
        .readable()
        .iter()
        .map(|finding| ReviewFinding { id: finding.id, rule: finding.rule.clone(), severity: finding.severity })
        .collect();
    found.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.id.cmp(&b.id)));
    Ok(found)
}

/// Others of its kind, for its application, in its environment.
async fn peers_of(kernel: &Kernel, identity: &Identity) -> Result<Vec<Stored<Identity>>, OpError> {
    let Some(application) = identity.charter.application else { return Ok(Vec::new()) };
    let like = Query::of([
        Identity::APPLICATION.of(application),
        Identity::OF_KIND.of(identity.kind),
        Identity::STATE.of(IdentityState::Active),
    ]);
    let mut found = kernel.find(like.limit(PEERS + 1)).await?.readable();
    found.retain(|other| other.id != identity.id && other.charter.environment == identity.charter.environment);
    found.truncate(usize::from(PEERS));
    Ok(found)
}

fn summed_up(others: &[Stored<Identity>]) -> Peers {
    let actions = |other: &Stored<Identity>| other.charter.scope.iter().map(|held| held.actions.len()).sum::<usize>();
    let mut each: Vec<usize> = others.iter().map(actions).collect();
    each.sort_unstable();
    let median = each.get(each.len() / 2).copied().unwrap_or_default();
    Peers { count: u16::try_from(each.len()).unwrap_or(u16::MAX), actions: u16::try_from(median).unwrap_or(u16::MAX) }
}
