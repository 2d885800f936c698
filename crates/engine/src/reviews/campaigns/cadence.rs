//! The cadence of each tier: a campaign of what was not reviewed within it (R95, R119).

use tenure_core::base::id::CampaignId;
use tenure_core::base::state::InState;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::{Identity, RiskTier};
use tenure_core::request::campaign::{
    CAP, Campaign, CampaignCause, CampaignState, NoAnswer, Progress, Tally, cadence_of,
};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Claimed;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;
use crate::kernel::work::{self, system};
use crate::reviews::campaigns::opening;

/// How soon a cadence is looked at again whose last campaign is not over.
const AGAIN: Span = Span::from_days(1);

/// How often identities of a tier are reviewed.
fn every(kernel: &Kernel, tier: RiskTier) -> Span {
    kernel.settings.review_every.unwrap_or(tier.ceilings().review_every)
}

/// The tier whose cadence this is.
pub(crate) fn tier_of(subject: &str) -> Option<RiskTier> {
    RiskTier::ALL.iter().copied().find(|tier| cadence_of(*tier) == subject)
}

/// Has the cadences fall due that nobody has set, in a deployment of a release that knew none, or that are shorter by now.
///
/// # Errors
/// The store can't be read or written.
pub async fn schedule_cadences(kernel: &Kernel) -> Result<(), OpError> {
    let now = kernel.now();
    let subjects: Vec<(DueKind, String)> =
        RiskTier::ALL.iter().map(|tier| (DueKind::Campaign, cadence_of(*tier))).collect();
    let standing = kernel.store.deadlines(&subjects).await?;
    let set: Vec<(RiskTier, Timestamp)> = RiskTier::ALL
        .iter()
        .zip(standing)
        .map(|(tier, standing)| (*tier, now.plus(every(kernel, *tier)), standing))
        .filter(|(_, next, standing)| standing.as_ref().is_none_or(|standing| standing.due_at > *next))
        .map(|(tier, next, _)| (tier, next))
        .collect();
    if set.is_empty() {
        return Ok(());
    }
    let tiers: Vec<RiskTier> = set.iter().map(|(tier, _)| *tier).collect();
    let event = kernel.event(now, EventKind::CampaignScheduled).fact("tiers", tiers);
    let mut changeset = Changeset::new(system(), now, event);
    for (tier, next) in set {
        changeset.due.push(DueChange::Set(DueKind::Campaign, cadence_of(tier), next));
    }
    kernel.settle(changeset).await.map(drop)
}

/// Begins the campaign of a tier, and says when its next one is due. While the last one is under way, or nobody is to be
/// reviewed, none begins.
pub(crate) async fn work_cadence(
    kernel: &Kernel,
    claimed: &Claimed,
    tier: RiskTier,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let every = every(kernel, tier);
    let cause = CampaignCause::of(tier);
    for state in [CampaignState::Opening, CampaignState::Open, CampaignState::Waiting, CampaignState::Applying] {
        let under_way = Query::of([Campaign::CAUSE.of(cause), Campaign::STATE.of(state)]);
        if kernel.first(under_way).await?.is_some() {
            return Ok(work::postponed(kernel, claimed, now.plus(AGAIN.min(every)), now));
        }
    }
    let filters = vec![Identity::TIER.of(tier).to_string()];
    let campaign = Campaign {
        id: CampaignId::generate(now, kernel.entropy.as_ref()),
        name: format!("Tier {}, every {every}", tier.as_str()),
        cause,
        scope: format!("tier={}", tier.as_str()),
        text: None,
        filters,
        unless_reviewed_since: Some(now.minus(Span::from_secs(every.as_secs() / 2))),
        opened_by: None,
        reason: format!("what is of tier {} is reviewed every {every}", tier.as_str()),
        opened_at: now,
        due_at: now.plus(kernel.settings.review_within),
        no_answer: NoAnswer::default(),
        cap: CAP,
        state: InState::default(),
        tally: Tally::default(),
        progress: Progress::default(),
        confirmed_by: None,
        ended_at: None,
    };
    let in_scope = opening::in_scope(kernel, &campaign).await?;
    if in_scope == 0 {
        return Ok(work::postponed(kernel, claimed, now.plus(every), now));
    }
    let mut changeset = Changeset::new(system(), now, opening::started(kernel, &campaign, in_scope, now));
    changeset.insert(&campaign);
    changeset.due.push(DueChange::Set(DueKind::Campaign, campaign.id.to_string(), now));
    changeset.due.push(DueChange::Retry(DueKind::Campaign, claimed.subject.clone(), claimed.fence, now.plus(every)));
    Ok(changeset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cadence_of_each_tier_has_a_name_that_is_no_campaigns() {
        for tier in RiskTier::ALL {
            assert_eq!(tier_of(&cadence_of(*tier)), Some(*tier));
            assert!(cadence_of(*tier).parse::<CampaignId>().is_err());
        }
        assert_eq!(tier_of("cadence none"), None);
    }
}
