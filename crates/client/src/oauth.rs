//! OAuth endpoints of an environment (RFC 6749, 7523, 7662, 7009, 8414), and decisions (OpenID AuthZEN).

use reqwest::Method;
use serde_json::Value;
use tenure_api::requests::Evaluation;
use tenure_api::views::{Decision, Introspection, TokenIssued};

use crate::{Client, ClientError, json, segment, send};

pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a workload asks of the token endpoint.
#[derive(Clone)]
pub enum TokenRequest {
    /// With an assertion by its own key (RFC 7523 §2.2).
    Assertion {
        /// The signed assertion, good for one use.
        assertion: String,
        /// The resource's identifier (RFC 8707); may be left out if the identity holds exactly one.
        resource: Option<String>,
        /// The actions, separated by spaces; all that it holds if left out.
        scope: Option<String>,
    },
    /// With a token of a registered issuer (RFC 7523 §2.1).
    External {
        /// The identity's id.
        client_id: String,
        /// The issuer's token.
        assertion: String,
        /// The resource's identifier (RFC 8707); may be left out if the identity holds exactly one.
        resource: Option<String>,
        /// The actions, separated by spaces; all that it holds if left out.
        scope: Option<String>,
    },
}

/// Every method fails with [`ClientError`]: what OAuth says if the server refuses, else what broke.
impl Client {
    /// `POST /env/{environment}/token`.
    pub async fn token(&self, environment: &str, ask: &TokenRequest) -> Result<TokenIssued, ClientError> {
        let (mut form, resource, scope) = match ask {
            TokenRequest::Assertion { assertion, resource, scope } => (
                vec![
                    ("grant_type", "client_credentials"),
                    ("client_assertion_type", ASSERTION_TYPE),
                    ("client_assertion", assertion.as_str()),
                ],
                resource,
                scope,
            ),
            TokenRequest::External {
                client_id,
                assertion,
                resource,
                scope,
            } => (
                vec![
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("client_id", client_id.as_str()),
                    ("assertion", assertion.as_str()),
                ],
                resource,
                scope,
            ),
        };
        form.extend(resource.iter().map(|resource| ("resource", resource.as_str())));
        form.extend(scope.iter().map(|scope| ("scope", scope.as_str())));
        json(self.form(environment, "token", &form)).await
    }

    /// `POST /env/{environment}/introspect`, authenticated by the enforcement point's own assertion.
    pub async fn introspect(&self, environment: &str, assertion: &str, token: &str) -> Result<Introspection, ClientError> {
        json(self.form(
            environment,
            "introspect",
            &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion), ("token", token)],
        ))
        .await
    }

    /// `POST /env/{environment}/revoke`: a workload gives its own token back.
    pub async fn revoke_token(&self, environment: &str, assertion: &str, token: &str) -> Result<(), ClientError> {
        send(self.form(
            environment,
            "revoke",
            &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion), ("token", token)],
        ))
        .await
        .map(drop)
    }

    /// `GET /env/{environment}/jwks.json`.
    pub async fn key_set(&self, environment: &str) -> Result<Value, ClientError> {
        self.get(&format!("/env/{}/jwks.json", segment(environment))).await
    }

    /// `GET /.well-known/oauth-authorization-server/env/{environment}`.
    pub async fn metadata(&self, environment: &str) -> Result<Value, ClientError> {
        self.get(&format!("/.well-known/oauth-authorization-server/env/{}", segment(environment))).await
    }

    /// `POST /access/v1/evaluation`: asks for a decision; the client's token is the enforcement point's own access token.
    pub async fn evaluate(&self, ask: &Evaluation) -> Result<Decision, ClientError> {
        self.post("/access/v1/evaluation", ask).await
    }

    // Whoever is asked here is told who asks by the form, never by the operator token of the same client.
    pub(crate) fn form(&self, environment: &str, endpoint: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let url = format!("{}/env/{}/{endpoint}", self.base, segment(environment));
        self.http.request(Method::POST, url).timeout(self.timeout).form(form)
    }
}
