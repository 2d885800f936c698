//! Asking for more while a workload runs (OpenID CIBA in shape): the question, and fetching its answer.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenure_api::views::TokenIssued;
use tenure_core::base::id::RequestId;

use crate::oauth::ASSERTION_TYPE;
use crate::transport::json;
use crate::{Client, ClientError};

const GRANT: &str = "urn:openid:params:grant-type:ciba";

/// How the workload proves itself for one question.
#[derive(Clone)]
pub enum ClientProof {
    /// An assertion by its own key, good for one use.
    Assertion(String),
    /// A token of a registered issuer, and the identity that it is for.
    External {
        /// The identity's id.
        client_id: String,
        /// The issuer's token, good for one use.
        assertion: String,
    },
}

/// What is asked for: actions on a resource, for a while and a purpose.
#[derive(Debug, Clone)]
pub struct AccessAsk {
    /// The resource's identifier.
    pub resource: String,
    /// The actions.
    pub actions: Vec<String>,
    /// For which of the charter's tasks.
    pub task: Option<String>,
    /// For how many seconds.
    pub duration_secs: i64,
    /// For which need; the approvers read it.
    pub purpose: String,
    /// How many seconds the request may wait; as long as requests do if not given.
    pub requested_expiry: Option<i64>,
    /// The token with which the charter's notification endpoint is called.
    pub notification_token: Option<String>,
}

/// A question that waits for its answer.
#[derive(Clone, Serialize, Deserialize)]
pub struct AccessWaits {
    /// What the answer is fetched with.
    pub auth_req_id: String,
    /// For how many seconds it can be.
    pub expires_in: i64,
    /// How many seconds to wait between two attempts.
    pub interval: u64,
    /// The request, as people know it.
    pub request: RequestId,
}

impl ClientProof {
    pub(crate) fn form(&self) -> Vec<(&'static str, &str)> {
        let (client_id, assertion) = match self {
            Self::Assertion(assertion) => (None, assertion),
            Self::External { client_id, assertion } => (Some(client_id), assertion),
        };
        let mut form = vec![("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
        form.extend(client_id.map(|id| ("client_id", id.as_str())));
        form
    }
}

/// Every method fails with [`ClientError`]: what OAuth says if the server refuses, else what broke.
impl Client {
    /// `POST /env/{environment}/bc-authorize`.
    pub async fn ask_for_access(
        &self,
        environment: &str,
        proof: &ClientProof,
        ask: &AccessAsk,
    ) -> Result<AccessWaits, ClientError> {
        let mut details = json!({"type": "tenure_access", "locations": [ask.resource], "actions": ask.actions, "duration_secs": ask.duration_secs});
        if let (Some(details), Some(task)) = (details.as_object_mut(), &ask.task) {
            details.insert("task".into(), json!(task));
        }
        let details = Value::Array(vec![details]).to_string();
        let expiry = ask.requested_expiry.map(|secs| secs.to_string());
        let mut form = proof.form();
        form.extend([("authorization_details", details.as_str()), ("binding_message", ask.purpose.as_str())]);
        form.extend(expiry.as_deref().map(|secs| ("requested_expiry", secs)));
        form.extend(ask.notification_token.as_deref().map(|token| ("client_notification_token", token)));
        json(self.form(environment, "bc-authorize", &form)).await
    }

    /// `POST /env/{environment}/token`: fetches the answer. While there is none, the error's code is
    /// `authorization_pending`, or `slow_down` if this came too soon.
    pub async fn fetch_access(
        &self,
        environment: &str,
        proof: &ClientProof,
        auth_req_id: &str,
    ) -> Result<TokenIssued, ClientError> {
        let mut form = proof.form();
        form.extend([("grant_type", GRANT), ("auth_req_id", auth_req_id)]);
        json(self.form(environment, "token", &form)).await
    }
}
