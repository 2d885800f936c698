//! What helps to answer the review of an identity: granted beside used, findings, others like it, what ends it, and what
//! is recommended (R81, R88, R95).

use tenure_api::reviews::{GrantedUse, Peers, Recommendation, ReviewFacts, ReviewFinding};
use tenure_core::base::time::Timestamp;
use tenure_core::finding::{Finding, FindingState};
use tenure_core::identity::right_size::{self, UseVerdict, UseWindow, Withheld};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::review::Privilege;
use tenure_core::store::row::Stored;

use crate::identities::{charter, grants, usage};
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::{Kernel, work};
use crate::reviews::recommendation::{Seen, recommended};

/// How far back use counts as use.
const WINDOW: UseWindow = UseWindow::Quarter;
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
    let sized = usage::right_size(kernel, identity, WINDOW, now).await?;
    let used = sized.granted.iter().filter(|one| one.verdict == UseVerdict::Used).count();
    let findings = findings_of(kernel, identity).await?;
    let last_used = work::last_used(kernel, &identity.id.to_string()).await?;
    let seen = Seen {
        since: [identity.activation.as_ref().map(|activation| activation.at), identity.resumed_at]
            .into_iter()
            .flatten()
            .max(),
        last_used,
        dormant_after: kernel.settings.dormant_after.unwrap_or(identity.ceilings().dormant_after),
        granted: sized.granted.len(),
        used,
        unused: sized.unused.len(),
        can_be_narrowed: sized.proposal.is_some(),
        withheld: sized.withheld,
        worst: findings.first().map(|finding| finding.severity),
    };
    let (answer, because) = recommended(&seen, now);
    let peers_with = |one: &right_size::GrantedUse| {
        let may = others.iter().filter(|other| charter::covers(&other.charter.scope, &one.action, &one.resource));
        u16::try_from(may.count()).unwrap_or(u16::MAX)
    };
    let granted = sized.granted.iter().map(|one| GrantedUse {
        resource: one.resource.clone(),
        action: one.action.clone(),
        grant: one.grants.first().copied(),
        allowed: one.allowed,
        last_used: one.last_used,
        verdict: one.verdict,
        peers: peers_with(one),
    });
    Ok(ReviewFacts {
        owner: identity.charter.owner,
        last_used,
        reviewed_at: identity.reviewed_at,
        granted: granted.collect(),
        findings,
        peers: summed_up(&others),
        ends: grants::conditions(identity),
        recommendation: Recommendation { answer, because },
        replayed: sized.proposal.is_some().then_some(sized.replayed),
        proposal: sized.proposal,
    })
}

/// What is shown of it where the one question is whether it is still theirs: no list to go through.
pub(crate) fn lightly(facts: ReviewFacts) -> ReviewFacts {
    ReviewFacts { granted: Vec::new(), findings: Vec::new(), proposal: None, replayed: None, ..facts }
}

/// The scope of an identity without what was not used; nothing, if nothing can be left out, or it can't be told.
pub(crate) async fn proposal_of(
    kernel: &Kernel,
    identity: &Stored<Identity>,
    now: Timestamp,
) -> Result<Result<Vec<Entitlement>, Option<Withheld>>, OpError> {
    let sized = usage::right_size(kernel, identity, WINDOW, now).await?;
    Ok(sized.proposal.ok_or(sized.withheld))
}

/// What an identity may now by its live grants, each action beside when it last was allowed one: a review of a release
/// keeps it (R88).
pub(crate) async fn privileges_of(
    kernel: &Kernel,
    identity: &Stored<Identity>,
    now: Timestamp,
) -> Result<Vec<Privilege>, OpError> {
    let known = kernel.know_rest(identity.clone()).await?;
    let mut privileges: Vec<Privilege> = Vec::new();
    for grant in known.grants.iter().flatten().filter(|grant| grant.is_live(now)) {
        for action in &grant.entitlement.actions {
            let resource = grant.entitlement.resource.clone();
            if privileges.iter().any(|known| known.resource == resource && known.action == *action) {
                continue;
            }
            let stamp = work::use_stamp(&identity.id, &resource, action);
            let last_used = work::last_used(kernel, &stamp).await?;
            privileges.push(Privilege { resource, action: action.clone(), last_used });
        }
    }
    privileges.sort_by(|a, b| (&a.resource, &a.action).cmp(&(&b.resource, &b.action)));
    Ok(privileges)
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
