//! Logins just in time.

use serde_json::Value;
use tenure_api::logins::{LoginAwaited, LoginIssued, LoginView};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::CredentialId;

use crate::transport::json;
use crate::{Client, ClientError, ClientProof, ListQuery};

/// What a workload asks for.
#[derive(Debug, Clone, Default)]
pub struct LoginRequest {
    /// The resource; may be left out if the identity holds exactly one.
    pub resource: Option<String>,
    /// The actions, separated by spaces; all that logins are made for if left out.
    pub scope: Option<String>,
    /// What is asked for in the form of RFC 9396.
    pub authorization_details: Option<Value>,
    /// A shorter life than the charter gives, in seconds.
    pub ttl: Option<i64>,
    /// What the asker calls its question, so that asking twice is asking once.
    pub request_id: Option<String>,
    /// The login that was asked for before.
    pub login: Option<CredentialId>,
}

/// What came of a question.
#[derive(Debug)]
pub enum LoginReply {
    /// It is there.
    Issued(Box<LoginIssued>),
    /// It isn't there yet: ask again by its id.
    Awaited(LoginAwaited),
}

/// Every method fails with [`ClientError`]: what OAuth says if the server refuses, else what broke.
impl Client {
    /// `POST /env/{environment}/logins`: waits for some seconds until it is there.
    pub async fn login_just_in_time(
        &self,
        environment: &str,
        proof: &ClientProof,
        ask: &LoginRequest,
    ) -> Result<LoginReply, ClientError> {
        let mut form: Vec<(&str, String)> =
            proof.form().into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        form.extend(ask.resource.iter().map(|resource| ("resource", resource.clone())));
        form.extend(ask.scope.iter().map(|scope| ("scope", scope.clone())));
        form.extend(ask.authorization_details.iter().map(|details| ("authorization_details", details.to_string())));
        form.extend(ask.ttl.iter().map(|ttl| ("ttl", ttl.to_string())));
        form.extend(ask.request_id.iter().map(|name| ("request_id", name.clone())));
        form.extend(ask.login.iter().map(|login| ("login", login.to_string())));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply: Value = json(self.form(environment, "logins", &form)).await?;
        let bad = |error: serde_json::Error| ClientError::Unexpected(error.to_string());
        // Only what stands has a secret.
        if reply.get("secret").is_none() {
            return serde_json::from_value(reply).map(LoginReply::Awaited).map_err(bad);
        }
        serde_json::from_value(reply).map(|issued| LoginReply::Issued(Box::new(issued))).map_err(bad)
    }

    /// `GET /v1/logins`; filters: `target`, `identity`, `state`.
    pub async fn logins(&self, query: &ListQuery) -> Result<Page<Revised<LoginView>>, ClientError> {
        self.list("/v1/logins", query).await
    }

    /// `GET /v1/logins/{id}`.
    pub async fn login_made(&self, id: CredentialId) -> Result<Revised<LoginView>, ClientError> {
        self.get(&format!("/v1/logins/{id}")).await
    }
}
