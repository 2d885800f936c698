//! How the reviews of a campaign stand, counted in the commit that changes one.

use tenure_core::request::campaign::{Campaign, CampaignState, Tally};
use tenure_core::request::review::{Review, ReviewAnswer};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;

/// One of a campaign was answered. With its last open one, the campaign is over.
pub(crate) async fn answered(
    kernel: &Kernel,
    changeset: &mut Changeset,
    review: &Stored<Review>,
    answer: ReviewAnswer,
) -> Result<(), OpError> {
    let tier = review.tier;
    count(kernel, changeset, review, |tally| {
        if let Some(tier) = tier {
            tally.answered(tier, answer);
        }
    })
    .await
}

/// Counts what became of a review in its campaign, if it is of one.
pub(crate) async fn count(
    kernel: &Kernel,
    changeset: &mut Changeset,
    review: &Stored<Review>,
    counted: impl FnOnce(&mut Tally),
) -> Result<(), OpError> {
    let Some(id) = review.campaign else { return Ok(()) };
    let Some(stored) = kernel.one::<Campaign>(id).await? else { return Ok(()) };
    let mut campaign = (*stored.value).clone();
    counted(&mut campaign.tally);
    let waits = matches!(campaign.state.get(), CampaignState::Open | CampaignState::Waiting);
    if waits && campaign.tally.waiting() == 0 {
        let now = kernel.now();
        campaign = campaign.close(now)?;
        changeset.event(kernel.event(now, EventKind::CampaignClosed).subject(id).fact("tally", &campaign.tally));
        changeset.due.push(DueChange::Set(DueKind::Campaign, id.to_string(), now));
    }
    changeset.replace(&stored, &campaign);
    Ok(())
}
