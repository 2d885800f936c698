//! Packages, and what people hold.

use reqwest::Method;
use tenure_api::ownership::Edited;
use tenure_api::person_access::{PersonAccessReport, PutPackage};
use tenure_api::requests::Because;
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{PersonGrantId, PersonId};
use tenure_core::people::person_grant::{Package, PersonGrant};

use crate::transport::{at_revision, edited, segment};
use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `GET /v1/packages`.
    pub async fn packages(&self, query: &ListQuery) -> Result<Page<Revised<Package>>, ClientError> {
        self.list("/v1/packages", query).await
    }

    /// `GET /v1/packages/{name}`.
    pub async fn package(&self, name: &str) -> Result<Revised<Package>, ClientError> {
        self.get(&format!("/v1/packages/{}", segment(name))).await
    }

    /// `PUT /v1/packages/{name}`, with `If-Match` if there is one: to give more by a request; fails if it is at another
    /// revision.
    pub async fn put_package(
        &self,
        name: &str,
        revision: Option<u64>,
        ask: &PutPackage,
    ) -> Result<Edited<Revised<Package>>, ClientError> {
        let request = self.request(Method::PUT, &format!("/v1/packages/{}", segment(name)));
        edited(at_revision(request, revision).json(ask)).await
    }

    /// `GET /v1/person-grants`; filters: `state`, `person`, `resource`.
    pub async fn person_grants(&self, query: &ListQuery) -> Result<Page<Revised<PersonGrant>>, ClientError> {
        self.list("/v1/person-grants", query).await
    }

    /// `GET /v1/people/{id}/access`: what a person holds, by whose approval, for which need, and what ends it.
    pub async fn person_access(&self, id: PersonId) -> Result<PersonAccessReport, ClientError> {
        self.get(&format!("/v1/people/{id}/access")).await
    }

    /// `POST /v1/person-grants/{id}/revoke`.
    pub async fn revoke_person_grant(
        &self,
        id: PersonGrantId,
        reason: String,
    ) -> Result<Revised<PersonGrant>, ClientError> {
        self.post(&format!("/v1/person-grants/{id}/revoke"), &Because { reason }).await
    }
}
