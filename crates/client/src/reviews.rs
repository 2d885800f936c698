//! Reviews, and campaigns of them.

use tenure_api::reviews::{
    CampaignStatistics, CampaignView, CancelCampaign, ConfirmCampaign, NewCampaign, ReviewCompleted, ReviewHandOver,
    ReviewView, SeveralReviewed, SeveralReviews,
};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{CampaignId, PersonId, ReviewId};
use tenure_core::request::campaign::Campaign;
use tenure_core::request::review::Review;

use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `GET /v1/reviews`; filters: `state`, `identity`, `person_grant`, `reviewer`, `trigger`, `campaign`.
    pub async fn reviews(&self, query: &ListQuery) -> Result<Page<Revised<Review>>, ClientError> {
        self.list("/v1/reviews", query).await
    }

    /// `GET /v1/reviews/{id}`: with what helps to answer it.
    pub async fn review(&self, id: ReviewId) -> Result<ReviewView, ClientError> {
        self.get(&format!("/v1/reviews/{id}")).await
    }

    /// `POST /v1/reviews/{id}/complete`.
    pub async fn complete_review(&self, id: ReviewId, ask: &ReviewCompleted) -> Result<Revised<Review>, ClientError> {
        self.post(&format!("/v1/reviews/{id}/complete"), ask).await
    }

    /// `POST /v1/reviews/{id}/hand-over`: its identity goes with it.
    pub async fn hand_over_review(&self, id: ReviewId, to: PersonId) -> Result<Revised<Review>, ClientError> {
        self.post(&format!("/v1/reviews/{id}/hand-over"), &ReviewHandOver { to }).await
    }

    /// `POST /v1/reviews/bulk`.
    pub async fn several_reviews(&self, ask: &SeveralReviews) -> Result<SeveralReviewed, ClientError> {
        self.post("/v1/reviews/bulk", ask).await
    }

    /// `POST /v1/campaigns`: opens one, or says what it would come to.
    pub async fn open_campaign(&self, ask: &NewCampaign) -> Result<CampaignView, ClientError> {
        self.post("/v1/campaigns", ask).await
    }

    /// `GET /v1/campaigns`; filters: `state`, `cause`.
    pub async fn campaigns(&self, query: &ListQuery) -> Result<Page<Revised<Campaign>>, ClientError> {
        self.list("/v1/campaigns", query).await
    }

    /// `GET /v1/campaigns/{id}`: with what its deadline would do now.
    pub async fn campaign(&self, id: CampaignId) -> Result<CampaignView, ClientError> {
        self.get(&format!("/v1/campaigns/{id}")).await
    }

    /// `GET /v1/campaigns/{id}/statistics`.
    pub async fn campaign_statistics(&self, id: CampaignId) -> Result<CampaignStatistics, ClientError> {
        self.get(&format!("/v1/campaigns/{id}/statistics")).await
    }

    /// `POST /v1/campaigns/{id}/confirm`: what its deadline does was seen.
    pub async fn confirm_campaign(&self, id: CampaignId, digest: String) -> Result<Revised<Campaign>, ClientError> {
        self.post(&format!("/v1/campaigns/{id}/confirm"), &ConfirmCampaign { digest }).await
    }

    /// `POST /v1/campaigns/{id}/cancel`.
    pub async fn cancel_campaign(&self, id: CampaignId, reason: String) -> Result<Revised<Campaign>, ClientError> {
        self.post(&format!("/v1/campaigns/{id}/cancel"), &CancelCampaign { reason }).await
    }
}
