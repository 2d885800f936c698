//! Who calls, sessions, invitations, and providers that people sign in with.

use serde_json::Value;
use tenure_api::sign_in::{
    CliExchange, CliSession, InvitationMade, InvitationView, Me, NewInvitation, NewSignInProvider, SessionView,
    SignInProviderView,
};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{InvitationId, SessionId, SignInProviderId};

use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `GET /v1/me`: who calls, and what their sign-in is worth.
    pub async fn me(&self) -> Result<Me, ClientError> {
        self.get("/v1/me").await
    }

    /// `POST /sign-in/cli/token`: a session for the code that the browser brought.
    pub async fn redeem_cli_code(&self, ask: &CliExchange) -> Result<CliSession, ClientError> {
        self.post("/sign-in/cli/token", ask).await
    }

    /// `POST /sign-out`: ends this client's session.
    pub async fn sign_out(&self) -> Result<Value, ClientError> {
        self.step("/sign-out").await
    }

    /// `GET /v1/sessions`: one's own that have not ended.
    pub async fn sessions(&self) -> Result<Page<SessionView>, ClientError> {
        self.get("/v1/sessions").await
    }

    /// `POST /v1/sessions/{id}/revoke`.
    pub async fn revoke_session(&self, id: SessionId) -> Result<SessionView, ClientError> {
        self.step(&format!("/v1/sessions/{id}/revoke")).await
    }

    /// `POST /v1/invitations`: the invitation is shown this once.
    pub async fn create_invitation(&self, ask: &NewInvitation) -> Result<InvitationMade, ClientError> {
        self.post("/v1/invitations", ask).await
    }

    /// `GET /v1/invitations`.
    pub async fn invitations(&self, query: &ListQuery) -> Result<Page<Revised<InvitationView>>, ClientError> {
        self.list("/v1/invitations", query).await
    }

    /// `POST /v1/invitations/{id}/confirm`.
    pub async fn confirm_invitation(&self, id: InvitationId) -> Result<Revised<InvitationView>, ClientError> {
        self.step(&format!("/v1/invitations/{id}/confirm")).await
    }

    /// `POST /v1/invitations/{id}/revoke`.
    pub async fn revoke_invitation(&self, id: InvitationId) -> Result<Revised<InvitationView>, ClientError> {
        self.step(&format!("/v1/invitations/{id}/revoke")).await
    }

    /// `POST /v1/sign-in-providers`.
    pub async fn create_sign_in_provider(
        &self,
        ask: &NewSignInProvider,
    ) -> Result<Revised<SignInProviderView>, ClientError> {
        self.post("/v1/sign-in-providers", ask).await
    }

    /// `GET /v1/sign-in-providers`.
    pub async fn sign_in_providers(&self) -> Result<Page<Revised<SignInProviderView>>, ClientError> {
        self.get("/v1/sign-in-providers").await
    }

    /// `POST /v1/sign-in-providers/{id}/confirm`.
    pub async fn confirm_sign_in_provider(
        &self,
        id: SignInProviderId,
    ) -> Result<Revised<SignInProviderView>, ClientError> {
        self.step(&format!("/v1/sign-in-providers/{id}/confirm")).await
    }

    /// `POST /v1/sign-in-providers/{id}/remove`.
    pub async fn remove_sign_in_provider(
        &self,
        id: SignInProviderId,
    ) -> Result<Revised<SignInProviderView>, ClientError> {
        self.step(&format!("/v1/sign-in-providers/{id}/remove")).await
    }
}
