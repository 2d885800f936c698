//! Exceptions, findings, posture, business needs.

use tenure_api::exceptions::{BreachReport, ControlsRestored, ExceptionView, NewException, NewNeed, Renewal};
use tenure_api::findings::{DebtView, FindingSummary, FindingView, PostureView, Resolve, RuleList, RuleStanding};
use tenure_api::ownership::OwnerEdit;
use tenure_api::requests::Because;
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{ExceptionId, FindingId, IdentityId, NeedId};
use tenure_core::inventory::third_party::Need;

use crate::transport::segment;
use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/exceptions`: proposes one, with its request.
    pub async fn propose_exception(&self, ask: &NewException) -> Result<ExceptionView, ClientError> {
        self.post("/v1/exceptions", ask).await
    }

    /// `GET /v1/exceptions`; filters: `state`, `type`, `identity`.
    pub async fn exceptions(&self, query: &ListQuery) -> Result<Page<ExceptionView>, ClientError> {
        self.list("/v1/exceptions", query).await
    }

    /// `GET /v1/exceptions/{id}`.
    pub async fn exception(&self, id: ExceptionId) -> Result<ExceptionView, ClientError> {
        self.get(&format!("/v1/exceptions/{id}")).await
    }

    /// `POST /v1/exceptions/{id}/renew`: proposes the next one; the number is capped.
    pub async fn renew_exception(&self, id: ExceptionId, ask: &Renewal) -> Result<ExceptionView, ClientError> {
        self.post(&format!("/v1/exceptions/{id}/renew"), ask).await
    }

    /// `POST /v1/exceptions/{id}/withdraw`: what rests on it is suspended.
    pub async fn withdraw_exception(&self, id: ExceptionId, because: &Because) -> Result<ExceptionView, ClientError> {
        self.post(&format!("/v1/exceptions/{id}/withdraw"), because).await
    }

    /// `POST /v1/exceptions/{id}/report-breach`: a compensating control is not in place.
    pub async fn report_breach(&self, id: ExceptionId, report: &BreachReport) -> Result<ExceptionView, ClientError> {
        self.post(&format!("/v1/exceptions/{id}/report-breach"), report).await
    }

    /// `POST /v1/exceptions/{id}/restore-control`: every compensating control is in place again.
    pub async fn restore_controls(
        &self,
        id: ExceptionId,
        ask: &ControlsRestored,
    ) -> Result<ExceptionView, ClientError> {
        self.post(&format!("/v1/exceptions/{id}/restore-control"), ask).await
    }

    /// `GET /v1/findings`; filters: `state`, `severity`, `rule`, `subject`.
    pub async fn findings(&self, query: &ListQuery) -> Result<Page<FindingView>, ClientError> {
        self.list("/v1/findings", query).await
    }

    /// `GET /v1/findings/summary`: how many are open, and what debt is left.
    pub async fn finding_summary(&self) -> Result<FindingSummary, ClientError> {
        self.get("/v1/findings/summary").await
    }

    /// `GET /v1/debt`.
    pub async fn debt(&self) -> Result<DebtView, ClientError> {
        self.get("/v1/debt").await
    }

    /// `GET /v1/findings/{id}`.
    pub async fn finding(&self, id: FindingId) -> Result<FindingView, ClientError> {
        self.get(&format!("/v1/findings/{id}")).await
    }

    /// `POST /v1/findings/{id}/resolve`.
    pub async fn resolve_finding(&self, id: FindingId, ask: &Resolve) -> Result<FindingView, ClientError> {
        self.post(&format!("/v1/findings/{id}/resolve"), ask).await
    }

    /// `GET /v1/finding-rules`.
    pub async fn finding_rules(&self) -> Result<RuleList, ClientError> {
        self.get("/v1/finding-rules").await
    }

    /// `GET /v1/finding-rules/{id}`.
    pub async fn finding_rule(&self, id: &str) -> Result<RuleStanding, ClientError> {
        self.get(&format!("/v1/finding-rules/{}", segment(id))).await
    }

    /// `GET /v1/identities/{id}/posture`: every posture rule, computed now.
    pub async fn posture(&self, id: IdentityId) -> Result<PostureView, ClientError> {
        self.get(&format!("/v1/identities/{id}/posture")).await
    }

    /// `POST /v1/needs`.
    pub async fn create_need(&self, ask: &NewNeed) -> Result<Revised<Need>, ClientError> {
        self.post("/v1/needs", ask).await
    }

    /// `PATCH /v1/needs/{id}` with `If-Match`: fails if it is at another revision.
    pub async fn update_need(&self, id: NeedId, revision: u64, ask: &OwnerEdit) -> Result<Revised<Need>, ClientError> {
        self.patch(&format!("/v1/needs/{id}"), revision, ask).await
    }

    /// `GET /v1/needs`; filters: `name`, `owner`, `standing`.
    pub async fn needs(&self, query: &ListQuery) -> Result<Page<Revised<Need>>, ClientError> {
        self.list("/v1/needs", query).await
    }

    /// `GET /v1/needs/{id}`.
    pub async fn need(&self, id: NeedId) -> Result<Revised<Need>, ClientError> {
        self.get(&format!("/v1/needs/{id}")).await
    }

    /// `POST /v1/needs/{id}/close`: the identities that serve it are suspended.
    pub async fn close_need(&self, id: NeedId, because: &Because) -> Result<Revised<Need>, ClientError> {
        self.post(&format!("/v1/needs/{id}/close"), because).await
    }
}
