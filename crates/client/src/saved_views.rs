//! Saved views of the inventory.

use tenure_api::saved_views::{NewView, SavedView, ViewChange};
use tenure_api::views::{IdentityView, Page};
use tenure_core::base::id::ViewId;

use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `GET /v1/views`: one's own, and those shared with a team of one's own.
    pub async fn views(&self) -> Result<Page<SavedView>, ClientError> {
        self.get("/v1/views").await
    }

    /// `POST /v1/views`.
    pub async fn save_view(&self, ask: &NewView) -> Result<SavedView, ClientError> {
        self.post("/v1/views", ask).await
    }

    /// `POST /v1/views/{id}/change`.
    pub async fn change_view(&self, id: ViewId, ask: &ViewChange) -> Result<SavedView, ClientError> {
        self.post(&format!("/v1/views/{id}/change"), ask).await
    }

    /// `POST /v1/views/{id}/delete`.
    pub async fn delete_view(&self, id: ViewId) -> Result<SavedView, ClientError> {
        self.step(&format!("/v1/views/{id}/delete")).await
    }

    /// `GET /v1/identities` as a view shows it; columns are of pages alone.
    pub async fn identities_of(&self, view: &SavedView, query: &ListQuery) -> Result<Page<IdentityView>, ClientError> {
        let asked: Vec<&str> = view.query.split('&').filter(|pair| !pair.starts_with("columns=")).collect();
        self.list(&format!("/v1/identities?{}", asked.join("&")), query).await
    }
}
