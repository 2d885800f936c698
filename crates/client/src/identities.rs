//! Identities: registration, the steps of their life, grants, credentials, enrolment.

use reqwest::Method;
use tenure_api::api_keys::{ApiKeyIssued, NewApiKey};
use tenure_api::bulk::{BulkReport, NewBulk};
use tenure_api::overview::Census;
use tenure_api::request::NewVote;
use tenure_api::requests::{Because, ConsumerEnd, Enrol, NewIdentity, NewSuspension, Resume, TaskCompleted};
use tenure_api::templates::Registered;
use tenure_api::usage::{NewRightSize, RightSizeView, UsageView};
use tenure_api::views::{AccessReport, CredentialView, IdentityView, JoinTokenIssued, Page, Revised};
use tenure_core::base::id::{CredentialId, GrantId, IdentityId};
use tenure_core::identity::CharterDraft;
use tenure_core::identity::binding::Binding;
use tenure_core::identity::grant::Grant;
use tenure_core::identity::right_size::UseWindow;

use crate::transport::{at_revision, json};
use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/identities`; with its first credential, if it asks for one (R61).
    pub async fn register(&self, ask: &NewIdentity) -> Result<Registered, ClientError> {
        self.post("/v1/identities", ask).await
    }

    /// `GET /v1/identities`; filters: `name`, `state`, `kind`, `tier`, `owner`, `unowned`, `application`, `environment`, `enforces`.
    pub async fn identities(&self, query: &ListQuery) -> Result<Page<IdentityView>, ClientError> {
        self.list("/v1/identities", query).await
    }

    /// `POST /v1/bulk`: the same to several, or what that would come to.
    pub async fn bulk(&self, ask: &NewBulk) -> Result<BulkReport, ClientError> {
        self.post("/v1/bulk", ask).await
    }

    /// `GET /v1/census`: how many there are, at most a minute ago.
    pub async fn census(&self) -> Result<Census, ClientError> {
        self.get("/v1/census").await
    }

    /// `GET /v1/identities/{id}`.
    pub async fn identity(&self, id: IdentityId) -> Result<IdentityView, ClientError> {
        self.get(&format!("/v1/identities/{id}")).await
    }

    /// `PUT /v1/identities/{id}/charter` with `If-Match`: fails if the identity is at another revision.
    pub async fn write_charter(
        &self,
        id: IdentityId,
        revision: u64,
        charter: &CharterDraft,
    ) -> Result<IdentityView, ClientError> {
        let request = self.request(Method::PUT, &format!("/v1/identities/{id}/charter"));
        json(at_revision(request, Some(revision)).json(charter)).await
    }

    /// `POST /v1/identities/{id}/submit`.
    pub async fn submit(&self, id: IdentityId) -> Result<IdentityView, ClientError> {
        self.step(&format!("/v1/identities/{id}/submit")).await
    }

    /// `POST /v1/identities/{id}/activate`: a vote for its open request, as the voter read that.
    pub async fn activate(&self, id: IdentityId, vote: &NewVote) -> Result<IdentityView, ClientError> {
        self.post(&format!("/v1/identities/{id}/activate"), vote).await
    }

    /// `POST /v1/identities/{id}/api-keys`: an API key, shown this once.
    pub async fn create_api_key(&self, id: IdentityId, ask: &NewApiKey) -> Result<ApiKeyIssued, ClientError> {
        self.post(&format!("/v1/identities/{id}/api-keys"), ask).await
    }

    /// `POST /v1/identities/{id}/end-consumer`.
    pub async fn end_consumer(&self, id: IdentityId, ask: &ConsumerEnd) -> Result<IdentityView, ClientError> {
        self.post(&format!("/v1/identities/{id}/end-consumer"), ask).await
    }

    /// `POST /v1/identities/{id}/suspend`.
    pub async fn suspend(&self, id: IdentityId, ask: &NewSuspension) -> Result<IdentityView, ClientError> {
        self.post(&format!("/v1/identities/{id}/suspend"), ask).await
    }

    /// `POST /v1/identities/{id}/resume`: releases one cause of suspension.
    pub async fn resume(&self, id: IdentityId, ask: &Resume) -> Result<IdentityView, ClientError> {
        self.post(&format!("/v1/identities/{id}/resume"), ask).await
    }

    /// `POST /v1/identities/{id}/retire`: ends it for ever.
    pub async fn retire(&self, id: IdentityId, because: &Because) -> Result<IdentityView, ClientError> {
        self.post(&format!("/v1/identities/{id}/retire"), because).await
    }

    /// `POST /v1/identities/{id}/close`: ends a draft or a pending one that never worked.
    pub async fn close(&self, id: IdentityId, because: &Because) -> Result<IdentityView, ClientError> {
        self.post(&format!("/v1/identities/{id}/close"), because).await
    }

    /// `POST /v1/identities/{id}/complete-task`: by a person's token, or by the identity's own assertion in the report.
    pub async fn complete_task(&self, id: IdentityId, report: &TaskCompleted) -> Result<IdentityView, ClientError> {
        self.post(&format!("/v1/identities/{id}/complete-task"), report).await
    }

    /// `POST /v1/grants/{id}/revoke`.
    pub async fn revoke_grant(&self, id: GrantId, because: &Because) -> Result<Revised<Grant>, ClientError> {
        self.post(&format!("/v1/grants/{id}/revoke"), because).await
    }

    /// `GET /v1/identities/{id}/access`: what it holds, who approved it, for which need, and what ends it.
    pub async fn access(&self, id: IdentityId) -> Result<AccessReport, ClientError> {
        self.get(&format!("/v1/identities/{id}/access")).await
    }

    /// `GET /v1/identities/{id}/usage`: what it may do beside what it did over a window, and the scope that would do.
    pub async fn usage(&self, id: IdentityId, window: UseWindow) -> Result<UsageView, ClientError> {
        self.get(&format!("/v1/identities/{id}/usage?window={}", window.as_str())).await
    }

    /// `POST /v1/identities/{id}/forget-contexts`: what it is known in is learnt anew.
    pub async fn forget_contexts(&self, id: IdentityId, because: &Because) -> Result<UsageView, ClientError> {
        self.post(&format!("/v1/identities/{id}/forget-contexts"), because).await
    }

    /// `POST /v1/identities/{id}/right-size`: a request for the narrower charter.
    pub async fn right_size(&self, id: IdentityId, ask: &NewRightSize) -> Result<RightSizeView, ClientError> {
        self.post(&format!("/v1/identities/{id}/right-size"), ask).await
    }

    /// `GET /v1/identities/{id}/credentials`.
    pub async fn credentials(&self, id: IdentityId, query: &ListQuery) -> Result<Page<CredentialView>, ClientError> {
        self.list(&format!("/v1/identities/{id}/credentials"), query).await
    }

    /// `GET /v1/credentials/{id}`.
    pub async fn credential(&self, id: CredentialId) -> Result<CredentialView, ClientError> {
        self.get(&format!("/v1/credentials/{id}")).await
    }

    /// `POST /v1/identities/{id}/join-tokens`: the token is shown this once.
    pub async fn create_join_token(&self, id: IdentityId) -> Result<JoinTokenIssued, ClientError> {
        self.step(&format!("/v1/identities/{id}/join-tokens")).await
    }

    /// `POST /v1/enrol`: binds a key of the workload's own; [`crate::assertion::WorkloadKey::enrolment_proof`] makes
    /// the proof.
    pub async fn enrol(&self, ask: &Enrol) -> Result<Revised<Binding>, ClientError> {
        self.post("/v1/enrol", ask).await
    }
}
