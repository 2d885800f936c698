//! Deprecations.

use tenure_api::deprecations::NewDeprecation;
use tenure_api::requests::Because;
use tenure_api::views::{Page, Revised};
use tenure_core::inventory::deprecation::{Deprecated, Deprecation};

use crate::{Client, ClientError, ListQuery};

impl Client {
    /// `POST /v1/deprecations`.
    pub async fn deprecate(&self, ask: &NewDeprecation) -> Result<Revised<Deprecation>, ClientError> {
        self.post("/v1/deprecations", ask).await
    }

    /// `GET /v1/deprecations`; filters: `state`, `type`.
    pub async fn deprecations(&self, query: &ListQuery) -> Result<Page<Revised<Deprecation>>, ClientError> {
        self.list("/v1/deprecations", query).await
    }

    /// `GET /v1/deprecations/{id}`.
    pub async fn deprecation(&self, of: Deprecated) -> Result<Revised<Deprecation>, ClientError> {
        self.get(&format!("/v1/deprecations/{of}")).await
    }

    /// `POST /v1/deprecations/{id}/withdraw`.
    pub async fn withdraw_deprecation(
        &self,
        of: Deprecated,
        because: &Because,
    ) -> Result<Revised<Deprecation>, ClientError> {
        self.post(&format!("/v1/deprecations/{of}/withdraw"), because).await
    }
}
