//! Sources of signals, and what they send.

use reqwest::Method;
use tenure_api::ownership::OwnerEdit;
use tenure_api::requests::Because;
use tenure_api::signals::{DeliveryTaken, NewSource, SourceMade, SourceView};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{SignalId, SourceId};
use tenure_core::signal::Signal;

use crate::transport::{json, segment};
use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/sources`: the reply has the source's secret, this once.
    pub async fn create_source(&self, ask: &NewSource) -> Result<SourceMade, ClientError> {
        self.post("/v1/sources", ask).await
    }

    /// `GET /v1/sources`; filters: `name`, `format`, `owner`, `state`.
    pub async fn sources(&self, query: &ListQuery) -> Result<Page<Revised<SourceView>>, ClientError> {
        self.list("/v1/sources", query).await
    }

    /// `GET /v1/sources/{id}`.
    pub async fn source(&self, id: SourceId) -> Result<Revised<SourceView>, ClientError> {
        self.get(&format!("/v1/sources/{id}")).await
    }

    /// `PATCH /v1/sources/{id}` with `If-Match`: fails if it is at another revision.
    pub async fn update_source(
        &self,
        id: SourceId,
        revision: u64,
        ask: &OwnerEdit,
    ) -> Result<Revised<SourceView>, ClientError> {
        self.patch(&format!("/v1/sources/{id}"), revision, ask).await
    }

    /// `POST /v1/sources/{id}/confirm`: by another administrator than who proposed it.
    pub async fn confirm_source(&self, id: SourceId) -> Result<Revised<SourceView>, ClientError> {
        self.step(&format!("/v1/sources/{id}/confirm")).await
    }

    /// `POST /v1/sources/{id}/remove`: for ever.
    pub async fn remove_source(&self, id: SourceId, because: &Because) -> Result<Revised<SourceView>, ClientError> {
        self.post(&format!("/v1/sources/{id}/remove"), because).await
    }

    /// `POST /v1/sources/{id}/rotate-key`: the old secret is dead, the reply has the new one.
    pub async fn rotate_source_key(&self, id: SourceId) -> Result<SourceMade, ClientError> {
        self.step(&format!("/v1/sources/{id}/rotate-key")).await
    }

    /// `GET /v1/signals`; filters: `source`, `kind`, `subject` as `type:name`, `state`.
    pub async fn signals(&self, query: &ListQuery) -> Result<Page<Revised<Signal>>, ClientError> {
        self.list("/v1/signals", query).await
    }

    /// `GET /v1/signals/{id}`.
    pub async fn signal(&self, id: SignalId) -> Result<Revised<Signal>, ClientError> {
        self.get(&format!("/v1/signals/{id}")).await
    }

    /// `POST /signals/{source}`: a delivery as the source makes it, with its headers and its raw body. The client's own
    /// token is not sent.
    pub async fn deliver(
        &self,
        source: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<DeliveryTaken, ClientError> {
        let mut request = self.unauthorized(Method::POST, &format!("/signals/{}", segment(source))).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        json(request).await
    }
}
