//! Break-glass of machines, and drills of their removal.

use tenure_api::break_glass::{AfterReviewed, NewBreakGlass};
use tenure_api::drills::DrillView;
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{BreakGlassId, IdentityId};
use tenure_core::request::break_glass::BreakGlass;

use crate::{Client, ClientError, ListQuery};

impl Client {
    /// `POST /v1/identities/{id}/break-glass`.
    pub async fn start_break_glass(
        &self,
        id: IdentityId,
        ask: &NewBreakGlass,
    ) -> Result<Revised<BreakGlass>, ClientError> {
        self.post(&format!("/v1/identities/{id}/break-glass"), ask).await
    }

    /// `POST /v1/identities/{id}/drill`.
    pub async fn drill(&self, id: IdentityId) -> Result<DrillView, ClientError> {
        self.step(&format!("/v1/identities/{id}/drill")).await
    }

    /// `GET /v1/identities/{id}/drill`.
    pub async fn last_drill(&self, id: IdentityId) -> Result<DrillView, ClientError> {
        self.get(&format!("/v1/identities/{id}/drill")).await
    }

    /// `GET /v1/break-glass`; filters: `identity`, `state`.
    pub async fn break_glass_accesses(&self, query: &ListQuery) -> Result<Page<Revised<BreakGlass>>, ClientError> {
        self.list("/v1/break-glass", query).await
    }

    /// `GET /v1/break-glass/{id}`.
    pub async fn break_glass(&self, id: BreakGlassId) -> Result<Revised<BreakGlass>, ClientError> {
        self.get(&format!("/v1/break-glass/{id}")).await
    }

    /// `POST /v1/break-glass/{id}/review`.
    pub async fn review_break_glass(
        &self,
        id: BreakGlassId,
        ask: &AfterReviewed,
    ) -> Result<Revised<BreakGlass>, ClientError> {
        self.post(&format!("/v1/break-glass/{id}/review"), ask).await
    }
}
