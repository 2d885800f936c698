//! Target systems and their accounts.

use tenure_api::requests::Because;
use tenure_api::targets::{
    AccountSecret, Claim, GoneAsk, NarrowAccount, NewTarget, Proposal, ProposedAccounts, Suggestions, TargetEdit,
    TargetLoginAsk, TargetView,
};
use tenure_api::views::{IdentityView, Page, Revised};
use tenure_core::base::id::{AccountId, IdentityId, TargetId};
use tenure_core::target::account::Account;

use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/targets`.
    pub async fn create_target(&self, ask: &NewTarget) -> Result<Revised<TargetView>, ClientError> {
        self.post("/v1/targets", ask).await
    }

    /// `GET /v1/targets`; filters: `name`, `kind`, `state`, `owner`, `identity`.
    pub async fn targets(&self, query: &ListQuery) -> Result<Page<Revised<TargetView>>, ClientError> {
        self.list("/v1/targets", query).await
    }

    /// `GET /v1/targets/{id}`.
    pub async fn target(&self, id: TargetId) -> Result<Revised<TargetView>, ClientError> {
        self.get(&format!("/v1/targets/{id}")).await
    }

    /// `PATCH /v1/targets/{id}` with `If-Match`: fails if it is at another revision.
    pub async fn update_target(
        &self,
        id: TargetId,
        revision: u64,
        ask: &TargetEdit,
    ) -> Result<Revised<TargetView>, ClientError> {
        self.patch(&format!("/v1/targets/{id}"), revision, ask).await
    }

    /// `POST /v1/targets/{id}/confirm`: by another administrator than who registered it.
    pub async fn confirm_target(&self, id: TargetId) -> Result<Revised<TargetView>, ClientError> {
        self.step(&format!("/v1/targets/{id}/confirm")).await
    }

    /// `POST /v1/targets/{id}/remove`: for ever.
    pub async fn remove_target(&self, id: TargetId, because: &Because) -> Result<Revised<TargetView>, ClientError> {
        self.post(&format!("/v1/targets/{id}/remove"), because).await
    }

    /// `POST /v1/targets/{id}/login`: what its connector signs in with.
    pub async fn set_target_login(
        &self,
        id: TargetId,
        ask: &TargetLoginAsk,
    ) -> Result<Revised<TargetView>, ClientError> {
        self.post(&format!("/v1/targets/{id}/login"), ask).await
    }

    /// `POST /v1/targets/{id}/scan`: looks through its accounts now.
    pub async fn scan_target(&self, id: TargetId) -> Result<Revised<TargetView>, ClientError> {
        self.step(&format!("/v1/targets/{id}/scan")).await
    }

    /// `POST /v1/targets/{id}/confirm-holds`: lets more of its unclaimed accounts be held today.
    pub async fn confirm_target_holds(&self, id: TargetId) -> Result<Revised<TargetView>, ClientError> {
        self.step(&format!("/v1/targets/{id}/confirm-holds")).await
    }

    /// `POST /v1/targets/{id}/attest-gone`: it is gone for good.
    pub async fn attest_target_gone(&self, id: TargetId, ask: &GoneAsk) -> Result<Revised<TargetView>, ClientError> {
        self.post(&format!("/v1/targets/{id}/attest-gone"), ask).await
    }

    /// `POST /v1/targets/{id}/confirm-gone`: by somebody else than who said so first.
    pub async fn confirm_target_gone(&self, id: TargetId) -> Result<Revised<TargetView>, ClientError> {
        self.step(&format!("/v1/targets/{id}/confirm-gone")).await
    }

    /// `POST /v1/targets/{id}/withdraw-gone`: it isn't gone.
    pub async fn withdraw_target_gone(
        &self,
        id: TargetId,
        because: &Because,
    ) -> Result<Revised<TargetView>, ClientError> {
        self.post(&format!("/v1/targets/{id}/withdraw-gone"), because).await
    }

    /// `POST /v1/accounts/{id}/narrow`: what it keeps of what it may do at its target.
    pub async fn narrow_account(&self, id: AccountId, ask: &NarrowAccount) -> Result<Revised<Account>, ClientError> {
        self.post(&format!("/v1/accounts/{id}/narrow"), ask).await
    }

    /// `POST /v1/targets/{id}/propose`: to whom its accounts may belong.
    pub async fn propose_accounts(&self, id: TargetId, ask: &Proposal) -> Result<ProposedAccounts, ClientError> {
        self.post(&format!("/v1/targets/{id}/propose"), ask).await
    }

    /// `GET /v1/accounts`; filters: `target`, `identity`, `state`, `name`, `proposed`.
    pub async fn accounts(&self, query: &ListQuery) -> Result<Page<Revised<Account>>, ClientError> {
        self.list("/v1/accounts", query).await
    }

    /// `GET /v1/accounts/{id}`.
    pub async fn account(&self, id: AccountId) -> Result<Revised<Account>, ClientError> {
        self.get(&format!("/v1/accounts/{id}")).await
    }

    /// `GET /v1/accounts/{id}/suggestions`: who may answer for it, and why.
    pub async fn suggestions(&self, id: AccountId) -> Result<Suggestions, ClientError> {
        self.get(&format!("/v1/accounts/{id}/suggestions")).await
    }

    /// `POST /v1/identities/{id}/claim`: the caller answers for what was found at a target.
    pub async fn claim_identity(&self, id: IdentityId, ask: &Claim) -> Result<IdentityView, ClientError> {
        self.post(&format!("/v1/identities/{id}/claim"), ask).await
    }

    /// `POST /v1/accounts/{id}/rotate`: another secret, given by a worker.
    pub async fn rotate_account(&self, id: AccountId) -> Result<Revised<Account>, ClientError> {
        self.step(&format!("/v1/accounts/{id}/rotate")).await
    }

    /// `POST /v1/accounts/{id}/secret`: once, as soon as the target has it.
    pub async fn account_secret(&self, id: AccountId) -> Result<AccountSecret, ClientError> {
        self.step(&format!("/v1/accounts/{id}/secret")).await
    }
}
