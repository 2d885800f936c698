//! Removals.

use tenure_api::removals::{ConfirmRemoval, NewRemoval};
use tenure_api::requests::Because;
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::RemovalId;
use tenure_core::signal::removal::Removal;

use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/removals`: what ended, and everything with it, is cut and held when this returns; nothing is done in a
    /// dry run.
    pub async fn raise_removal(&self, ask: &NewRemoval) -> Result<Revised<Removal>, ClientError> {
        self.post("/v1/removals", ask).await
    }

    /// `GET /v1/removals`; filters: `state`, `subject`, `kind`, `identity`.
    pub async fn removals(&self, query: &ListQuery) -> Result<Page<Revised<Removal>>, ClientError> {
        self.list("/v1/removals", query).await
    }

    /// `GET /v1/removals/{id}`.
    pub async fn removal(&self, id: RemovalId) -> Result<Revised<Removal>, ClientError> {
        self.get(&format!("/v1/removals/{id}")).await
    }

    /// `POST /v1/removals/{id}/confirm`.
    pub async fn confirm_removal(&self, id: RemovalId, ask: &ConfirmRemoval) -> Result<Revised<Removal>, ClientError> {
        self.post(&format!("/v1/removals/{id}/confirm"), ask).await
    }

    /// `POST /v1/removals/{id}/release`.
    pub async fn release_removal(&self, id: RemovalId, because: &Because) -> Result<Revised<Removal>, ClientError> {
        self.post(&format!("/v1/removals/{id}/release"), because).await
    }
}
