//! Set-up, operator tokens, applications, environments, resources, issuers.

use serde_json::Value;
use tenure_api::issuers::{IssuerView, ReviewLoginAsk};
use tenure_api::ownership::{ApplicationEdit, Edited, EnvironmentEdit, ResourceEdit};
use tenure_api::requests::{
    IssuerToken, NewApplication, NewEnvironment, NewIssuer, NewOperatorToken, NewResource, Setup, SignWith,
};
use tenure_api::views::{IssuerTrial, OperatorTokenIssued, Page, Revised, SetupDone};
use tenure_core::base::id::{ApplicationId, IssuerId, OperatorTokenId, PersonId, ResourceId};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;

use crate::transport::segment;
use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/setup`: makes the first administrator.
    pub async fn set_up(&self, ask: &Setup) -> Result<SetupDone, ClientError> {
        self.post("/v1/setup", ask).await
    }

    /// `POST /v1/people/{id}/operator-tokens`: the token is shown this once.
    pub async fn create_operator_token(
        &self,
        id: PersonId,
        ask: &NewOperatorToken,
    ) -> Result<OperatorTokenIssued, ClientError> {
        self.post(&format!("/v1/people/{id}/operator-tokens"), ask).await
    }

    /// `POST /v1/operator-tokens/{id}/revoke`.
    pub async fn revoke_operator_token(&self, id: OperatorTokenId) -> Result<Value, ClientError> {
        self.step(&format!("/v1/operator-tokens/{id}/revoke")).await
    }

    /// `POST /v1/applications`.
    pub async fn create_application(&self, ask: &NewApplication) -> Result<Revised<Application>, ClientError> {
        self.post("/v1/applications", ask).await
    }

    /// `PATCH /v1/applications/{id}` with `If-Match`: fails if it is at another revision.
    pub async fn update_application(
        &self,
        id: ApplicationId,
        revision: u64,
        ask: &ApplicationEdit,
    ) -> Result<Revised<Application>, ClientError> {
        self.patch(&format!("/v1/applications/{id}"), revision, ask).await
    }

    /// `GET /v1/applications`; filters: `name`, `owner`.
    pub async fn applications(&self, query: &ListQuery) -> Result<Page<Revised<Application>>, ClientError> {
        self.list("/v1/applications", query).await
    }

    /// `GET /v1/applications/{id}`.
    pub async fn application(&self, id: ApplicationId) -> Result<Revised<Application>, ClientError> {
        self.get(&format!("/v1/applications/{id}")).await
    }

    /// `POST /v1/environments`.
    pub async fn create_environment(&self, ask: &NewEnvironment) -> Result<Revised<Environment>, ClientError> {
        self.post("/v1/environments", ask).await
    }

    /// `GET /v1/environments`.
    pub async fn environments(&self, query: &ListQuery) -> Result<Page<Revised<Environment>>, ClientError> {
        self.list("/v1/environments", query).await
    }

    /// `GET /v1/environments/{name}`.
    pub async fn environment(&self, name: &str) -> Result<Revised<Environment>, ClientError> {
        self.get(&format!("/v1/environments/{}", segment(name))).await
    }

    /// `POST /v1/environments/{name}/rotate-key`: publishes a new signing key, which signs after the overlap.
    pub async fn rotate_key(&self, name: &str) -> Result<Revised<Environment>, ClientError> {
        self.step(&format!("/v1/environments/{}/rotate-key", segment(name))).await
    }

    /// `POST /v1/resources`.
    pub async fn create_resource(&self, ask: &NewResource) -> Result<Revised<Resource>, ClientError> {
        self.post("/v1/resources", ask).await
    }

    /// `PATCH /v1/environments/{name}` with `If-Match`: away from production by a request; fails if it is at another
    /// revision.
    pub async fn update_environment(
        &self,
        name: &str,
        revision: u64,
        ask: &EnvironmentEdit,
    ) -> Result<Edited<Revised<Environment>>, ClientError> {
        self.patch_or_ask(&format!("/v1/environments/{}", segment(name)), revision, ask).await
    }

    /// `PATCH /v1/resources/{id}` with `If-Match`: wider by a request; fails if it is at another revision.
    pub async fn update_resource(
        &self,
        id: ResourceId,
        revision: u64,
        ask: &ResourceEdit,
    ) -> Result<Edited<Revised<Resource>>, ClientError> {
        self.patch_or_ask(&format!("/v1/resources/{id}"), revision, ask).await
    }

    /// `GET /v1/resources`; filters: `uri`, `environment`, `application`.
    pub async fn resources(&self, query: &ListQuery) -> Result<Page<Revised<Resource>>, ClientError> {
        self.list("/v1/resources", query).await
    }

    /// `GET /v1/resources/{id}`.
    pub async fn resource(&self, id: ResourceId) -> Result<Revised<Resource>, ClientError> {
        self.get(&format!("/v1/resources/{id}")).await
    }

    /// `POST /v1/resources/{id}/sign-with`: what its tokens are signed with from now on.
    pub async fn sign_with(&self, id: ResourceId, ask: &SignWith) -> Result<Revised<Resource>, ClientError> {
        self.post(&format!("/v1/resources/{id}/sign-with"), ask).await
    }

    /// `POST /v1/issuers`: proposes an issuer; a second person confirms it.
    pub async fn create_issuer(&self, ask: &NewIssuer) -> Result<Revised<IssuerView>, ClientError> {
        self.post("/v1/issuers", ask).await
    }

    /// `GET /v1/issuers`; filter: `url`.
    pub async fn issuers(&self, query: &ListQuery) -> Result<Page<Revised<IssuerView>>, ClientError> {
        self.list("/v1/issuers", query).await
    }

    /// `GET /v1/issuers/{id}`.
    pub async fn issuer(&self, id: IssuerId) -> Result<Revised<IssuerView>, ClientError> {
        self.get(&format!("/v1/issuers/{id}")).await
    }

    /// `POST /v1/issuers/{id}/confirm`.
    pub async fn confirm_issuer(&self, id: IssuerId) -> Result<Revised<IssuerView>, ClientError> {
        self.step(&format!("/v1/issuers/{id}/confirm")).await
    }

    /// `POST /v1/issuers/{id}/review-login`: what its cluster is asked about tokens with.
    pub async fn set_review_login(
        &self,
        id: IssuerId,
        ask: &ReviewLoginAsk,
    ) -> Result<Revised<IssuerView>, ClientError> {
        self.post(&format!("/v1/issuers/{id}/review-login"), ask).await
    }

    /// `POST /v1/issuers/{id}/try`: which check of a token of the issuer fails; the token is not used up.
    pub async fn try_issuer(&self, id: IssuerId, ask: &IssuerToken) -> Result<IssuerTrial, ClientError> {
        self.post(&format!("/v1/issuers/{id}/try"), ask).await
    }

    /// `POST /v1/issuers/{id}/remove`: its proofs no longer count, and it never comes back.
    pub async fn remove_issuer(&self, id: IssuerId) -> Result<Revised<IssuerView>, ClientError> {
        self.step(&format!("/v1/issuers/{id}/remove")).await
    }
}
