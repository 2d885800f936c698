//! Revocations, holds and receipts.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_api::overview::RefusalTimes;
use tenure_api::requests::{HoldRelease, NewHold, Revocation};
use tenure_api::views::{HoldView, Page, Plain, ReceiptView, Revised};
use tenure_core::base::id::ReceiptId;
use tenure_core::credential::receipt::Receipt;
use tenure_core::identity::scope::Hold;

use crate::transport::text;
use crate::{Client, ClientError, ListQuery};

/// `GET /.well-known/tenure-keys`: what receipts and the log are checked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenureKeys {
    /// The receipts' keys, a JWK set (RFC 7517 §5).
    pub receipts: Value,
    /// The log's C2SP verifier key.
    pub log: String,
}

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/revocations`: in force when this returns.
    pub async fn revoke(&self, ask: &Revocation) -> Result<ReceiptView, ClientError> {
        self.post("/v1/revocations", ask).await
    }

    /// `GET /v1/receipts`; filter: `target`, e.g. `owner/per_…`.
    pub async fn receipts(&self, query: &ListQuery) -> Result<Page<Revised<Receipt>>, ClientError> {
        self.list("/v1/receipts", query).await
    }

    /// `GET /v1/refusal-times`: how long the last revocations took until what was revoked was refused.
    pub async fn refusal_times(&self) -> Result<RefusalTimes, ClientError> {
        self.get("/v1/refusal-times").await
    }

    /// `GET /v1/receipts/{id}`.
    pub async fn receipt(&self, id: ReceiptId) -> Result<ReceiptView, ClientError> {
        self.get(&format!("/v1/receipts/{id}")).await
    }

    /// `GET /v1/receipts/{id}.jws`: the signed form, once every point has answered.
    pub async fn signed_receipt(&self, id: ReceiptId) -> Result<String, ClientError> {
        text(self.request(Method::GET, &format!("/v1/receipts/{id}.jws"))).await
    }

    /// `GET /v1/holds`: those in force; filters: `kind`, `placed_by`.
    pub async fn holds(&self, query: &ListQuery) -> Result<Page<Hold>, ClientError> {
        self.list("/v1/holds", query).await
    }

    /// `POST /v1/holds`: nothing in the scope works until somebody else releases it.
    pub async fn place_hold(&self, ask: &NewHold) -> Result<HoldView, ClientError> {
        self.post("/v1/holds", ask).await
    }

    /// `POST /v1/holds/release`.
    pub async fn release_hold(&self, ask: &HoldRelease) -> Result<Plain<Hold>, ClientError> {
        self.post("/v1/holds/release", ask).await
    }

    /// `GET /.well-known/tenure-keys`.
    pub async fn keys(&self) -> Result<TenureKeys, ClientError> {
        self.get("/.well-known/tenure-keys").await
    }
}
