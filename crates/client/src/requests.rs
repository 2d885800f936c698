//! Requests, their votes, and the policy set.

use reqwest::Method;
use tenure_api::policies::{NewPolicySet, PolicyInForceView};
use tenure_api::request::{Amendment, NewNote, NewRequest, NewVote, RequestView};
use tenure_api::views::{Page, Revised};
use tenure_api::why::{PastAccessReport, Refusals};
use tenure_core::base::id::{PolicySetId, RequestId, ResourceId};
use tenure_core::base::time::Timestamp;
use tenure_core::policy::set::PolicySet;

use crate::transport::json;
use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/requests`.
    pub async fn open_request(&self, ask: &NewRequest) -> Result<RequestView, ClientError> {
        self.post("/v1/requests", ask).await
    }

    /// `GET /v1/requests`; filters: `state`, `type`, `class`, `identity`, `person`, `requester`.
    pub async fn requests(&self, query: &ListQuery) -> Result<Page<RequestView>, ClientError> {
        self.list("/v1/requests", query).await
    }

    /// `GET /v1/waiting`: open requests that wait for the caller's vote, the oldest first.
    pub async fn waiting(&self, query: &ListQuery) -> Result<Page<RequestView>, ClientError> {
        self.list("/v1/waiting", query).await
    }

    /// `GET /v1/requests/{id}`.
    pub async fn access_request(&self, id: RequestId) -> Result<RequestView, ClientError> {
        self.get(&format!("/v1/requests/{id}")).await
    }

    /// `PUT /v1/requests/{id}`: changes an open request and voids its votes.
    pub async fn amend_request(&self, id: RequestId, ask: &Amendment) -> Result<RequestView, ClientError> {
        json(self.request(Method::PUT, &format!("/v1/requests/{id}")).json(ask)).await
    }

    /// `POST /v1/requests/{id}/approve`.
    pub async fn approve(&self, id: RequestId, vote: &NewVote) -> Result<RequestView, ClientError> {
        self.post(&format!("/v1/requests/{id}/approve"), vote).await
    }

    /// `POST /v1/requests/{id}/deny`.
    pub async fn deny(&self, id: RequestId, vote: &NewVote) -> Result<RequestView, ClientError> {
        self.post(&format!("/v1/requests/{id}/deny"), vote).await
    }

    /// `POST /v1/requests/{id}/notes`: asks back, or answers.
    pub async fn write_note(&self, id: RequestId, ask: &NewNote) -> Result<RequestView, ClientError> {
        self.post(&format!("/v1/requests/{id}/notes"), ask).await
    }

    /// `POST /v1/requests/{id}/withdraw`.
    pub async fn withdraw(&self, id: RequestId) -> Result<RequestView, ClientError> {
        self.post(&format!("/v1/requests/{id}/withdraw"), &serde_json::json!({})).await
    }

    /// `GET /v1/refusals`: what was refused about a subject, the newest first.
    pub async fn refusals(&self, subject: &str, before: Option<u64>, limit: u16) -> Result<Refusals, ClientError> {
        let mut query = vec![("subject", subject.to_owned()), ("limit", limit.to_string())];
        query.extend(before.map(|before| ("before", before.to_string())));
        json(self.request(Method::GET, "/v1/refusals").query(&query)).await
    }

    /// `GET /v1/resources/{id}/access`: who could touch it at a moment.
    pub async fn past_access(
        &self,
        resource: ResourceId,
        at: Option<Timestamp>,
    ) -> Result<PastAccessReport, ClientError> {
        let query: Vec<_> = at.map(|at| ("at", at.to_string())).into_iter().collect();
        json(self.request(Method::GET, &format!("/v1/resources/{resource}/access")).query(&query)).await
    }

    /// `GET /v1/policy`: the set in force.
    pub async fn policy(&self) -> Result<PolicyInForceView, ClientError> {
        self.get("/v1/policy").await
    }

    /// `GET /v1/policies`; filter: `state`.
    pub async fn policy_sets(&self, query: &ListQuery) -> Result<Page<Revised<PolicySet>>, ClientError> {
        self.list("/v1/policies", query).await
    }

    /// `GET /v1/policies/{id}`: a set with its review, as JSON.
    pub async fn policy_set(&self, id: PolicySetId) -> Result<serde_json::Value, ClientError> {
        self.get(&format!("/v1/policies/{id}")).await
    }

    /// `POST /v1/policies`: proposes a set.
    pub async fn propose_policy(&self, ask: &NewPolicySet) -> Result<RequestView, ClientError> {
        self.post("/v1/policies", ask).await
    }
}
