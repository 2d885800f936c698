//! Differences between what targets have and what was approved, and lists of accounts from elsewhere.

use tenure_api::drift::{DriftAccept, DriftFix, DriftIgnore};
use tenure_api::intake::{ImportAccounts, IntakeReport};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::DriftId;
use tenure_core::target::drift::Drift;
use tenure_core::target::sighting::Sighting;

use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `GET /v1/drift`; filters: `target`, `identity`, `account`, `kind`, `state`.
    pub async fn drift(&self, query: &ListQuery) -> Result<Page<Revised<Drift>>, ClientError> {
        self.list("/v1/drift", query).await
    }

    /// `GET /v1/drift/{id}`.
    pub async fn drift_item(&self, id: DriftId) -> Result<Revised<Drift>, ClientError> {
        self.get(&format!("/v1/drift/{id}")).await
    }

    /// `POST /v1/drift/{id}/fix`: it is taken away at the target.
    pub async fn fix_drift(&self, id: DriftId, ask: &DriftFix) -> Result<Revised<Drift>, ClientError> {
        self.post(&format!("/v1/drift/{id}/fix"), ask).await
    }

    /// `POST /v1/drift/{id}/accept`: others are asked to approve it.
    pub async fn accept_drift(&self, id: DriftId, ask: &DriftAccept) -> Result<Revised<Drift>, ClientError> {
        self.post(&format!("/v1/drift/{id}/accept"), ask).await
    }

    /// `POST /v1/drift/{id}/ignore`: it is left alone until a day.
    pub async fn ignore_drift(&self, id: DriftId, ask: &DriftIgnore) -> Result<Revised<Drift>, ClientError> {
        self.post(&format!("/v1/drift/{id}/ignore"), ask).await
    }

    /// `POST /v1/identities/import`: a list of accounts that no connector sees.
    pub async fn import_accounts(&self, ask: &ImportAccounts) -> Result<IntakeReport, ClientError> {
        self.post("/v1/identities/import", ask).await
    }

    /// `GET /v1/sightings`; filters: `source`, `identity`, `proposed`.
    pub async fn sightings(&self, query: &ListQuery) -> Result<Page<Revised<Sighting>>, ClientError> {
        self.list("/v1/sightings", query).await
    }
}
