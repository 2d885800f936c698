//! OAuth endpoints of an environment (RFC 6749, 7523, 7662, 7009, 8414), and decisions (OpenID AuthZEN).

use reqwest::{Method, Url};
use serde_json::Value;
use tenure_api::requests::Evaluation;
use tenure_api::views::{Decision, Introspection, TokenIssued};

use crate::transport::{json, segment, send};
use crate::{Client, ClientError};

pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Whether a URL's host is a name of this machine.
fn is_of_this_machine(url: &str) -> bool {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| crate::transport::is_local(&host))
}

/// All of a URL but its host.
fn behind_the_host(url: &str) -> Option<(String, Option<u16>, String)> {
    let url = Url::parse(url).ok()?;
    Some((url.scheme().to_owned(), url.port_or_known_default(), url.path().to_owned()))
}

/// What a workload asks of the token endpoint.
#[derive(Clone)]
pub struct TokenRequest {
    /// How it proves itself.
    pub proof: TokenProof,
    /// The resource's identifier (RFC 8707); may be left out if the identity holds exactly one.
    pub resource: Option<String>,
    /// The actions, separated by spaces; all that it holds if left out.
    pub scope: Option<String>,
    /// The declared task, or to whom authority is handed on (RFC 9396): an array of objects with a `type`.
    pub authorization_details: Option<Value>,
    /// The token by which another identity handed on authority, to be exchanged (RFC 8693).
    pub subject_token: Option<String>,
}

/// How a workload proves itself at the token endpoint.
#[derive(Clone)]
pub enum TokenProof {
    /// By a signed assertion of its own key (RFC 7523 §2.2), good for one use.
    Assertion(String),
    /// By a token of a registered issuer (RFC 7523 §2.1, for an exchange §2.2).
    External {
        /// The identity's id.
        client_id: String,
        /// The issuer's token.
        assertion: String,
    },
}

impl TokenRequest {
    /// A request for all that the identity holds on its only resource.
    pub const fn new(proof: TokenProof) -> Self {
        Self { proof, resource: None, scope: None, authorization_details: None, subject_token: None }
    }

    pub(crate) fn form(&self) -> Vec<(&'static str, String)> {
        let mut form = Vec::new();
        match (&self.proof, &self.subject_token) {
            (TokenProof::External { client_id, assertion }, None) => {
                form.push(("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()));
                form.push(("client_id", client_id.clone()));
                form.push(("assertion", assertion.clone()));
            }
            (TokenProof::Assertion(assertion) | TokenProof::External { assertion, .. }, subject_token) => {
                form.push(("client_assertion_type", ASSERTION_TYPE.to_owned()));
                form.push(("client_assertion", assertion.clone()));
                if let TokenProof::External { client_id, .. } = &self.proof {
                    form.push(("client_id", client_id.clone()));
                }
                match subject_token {
                    None => form.push(("grant_type", "client_credentials".to_owned())),
                    Some(token) => {
                        form.push(("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()));
                        form.push(("subject_token", token.clone()));
                        form.push(("subject_token_type", "urn:ietf:params:oauth:token-type:access_token".to_owned()));
                    }
                }
            }
        }
        form.extend(self.resource.iter().map(|resource| ("resource", resource.clone())));
        form.extend(self.scope.iter().map(|scope| ("scope", scope.clone())));
        form.extend(self.authorization_details.iter().map(|details| ("authorization_details", details.to_string())));
        form
    }
}

/// Every method fails with [`ClientError`]: what OAuth says if the server refuses, else what broke.
impl Client {
    /// `POST /env/{environment}/token`.
    pub async fn token(&self, environment: &str, ask: &TokenRequest) -> Result<TokenIssued, ClientError> {
        let form = ask.form();
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        json(self.form(environment, "token", &form)).await
    }

    /// `POST /env/{environment}/introspect`, authenticated by the enforcement point's own assertion.
    pub async fn introspect(
        &self,
        environment: &str,
        assertion: &str,
        token: &str,
    ) -> Result<Introspection, ClientError> {
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

    /// The issuer identifier of an environment that proofs are addressed to: as this client knows the server. A server
    /// on this machine has several names, such as `localhost` and `127.0.0.1`, and which of them it was set up under is
    /// its own to say; no other host's name is taken from it, so that a proof is never addressed to somebody else.
    pub async fn proof_audience(&self, environment: &str) -> String {
        let known = self.issuer_of(environment);
        if !is_of_this_machine(&known) {
            return known;
        }
        let said = self.metadata(environment).await.ok();
        let said = said.as_ref().and_then(|metadata| metadata.get("issuer")).and_then(Value::as_str);
        match said {
            Some(said) if is_of_this_machine(said) && behind_the_host(said) == behind_the_host(&known) => {
                said.to_owned()
            }
            _ => known,
        }
    }

    /// `POST /access/v1/evaluation`: asks for a decision; the client's token is the enforcement point's own access
    /// token.
    pub async fn evaluate(&self, ask: &Evaluation) -> Result<Decision, ClientError> {
        self.post("/access/v1/evaluation", ask).await
    }

    // Whoever is asked here is told who asks by the form, never by the operator token of the same client.
    pub(crate) fn form(&self, environment: &str, endpoint: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.unauthorized(Method::POST, &format!("/env/{}/{endpoint}", segment(environment))).form(form)
    }
}
