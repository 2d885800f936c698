//! What the deadline of a campaign would do.

use tenure_api::reviews::Forecast;
use tenure_core::base::id::{CampaignId, IdentityId};
use tenure_core::identity::RiskTier;
use tenure_core::request::campaign::Campaign;
use tenure_core::request::review::{Review, ReviewState, ReviewSubject};
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::digest::sha256;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;

/// Identities that a forecast names.
const NAMED: u16 = 50;

/// What the deadline of a campaign would do now.
pub(crate) async fn forecast_of(kernel: &Kernel, campaign: &Campaign) -> Result<Forecast, OpError> {
    let found = kernel.find(open_of(campaign.id).limit(NAMED)).await?.readable();
    let identity = |review: &Stored<Review>| match review.subject {
        ReviewSubject::Identity(id) => Some(id),
        ReviewSubject::PersonGrant(_) => None,
    };
    let first: Vec<IdentityId> = found.iter().filter_map(identity).collect();
    let identities = campaign.tally.waiting();
    let high = campaign.tally.open.get(RiskTier::High.as_str()).copied().unwrap_or_default();
    let bound = serde_json::json!([campaign.id, campaign.no_answer, campaign.tally.open, first]);
    let digest = sha256(&bound.to_string());
    Ok(Forecast { identities, high, first, beyond_cap: identities > campaign.cap, digest })
}

/// The open reviews of a campaign, in the order in which they were opened: high tier first.
pub(crate) fn open_of(campaign: CampaignId) -> Query<Review> {
    Query::of([Review::CAMPAIGN.of(campaign), Review::STATE.of(ReviewState::Open)])
}
