//! Templates on the wire, and the one call that gives a decision and a credential (R61).

use serde::{Deserialize, Serialize};
use tenure_core::identity::template::Template;

use crate::views::{IdentityView, TokenIssued};

/// `PUT /v1/templates/{name}`: opens the request about it.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateChange {
    /// The template as it is to be.
    pub template: Template,
    /// For which need.
    pub purpose: String,
}

/// The credential that a registration wants in the same call.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstToken {
    /// A JWS by the key of the charter's `workload_binding`: typ `tenure-enrol+jwt`, `sub` the identity's name, `aud`
    /// the environment's issuer, with `jti`, `iat` and `exp`.
    pub proof: String,
    /// The resource's identifier (RFC 8707); may be left out if only one is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The actions wanted, separated by spaces; all that are held if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The task of the charter that it is for; an identity whose charter declares tasks names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

impl std::fmt::Debug for FirstToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstToken").field("resource", &self.resource).finish_non_exhaustive()
    }
}

/// The reply to `POST /v1/identities`.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Registered {
    /// The identity; its `request` or its `activation` names the request that decided.
    #[serde(flatten)]
    pub identity: IdentityView,
    /// The credential, if one was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenIssued>,
    /// Why there is none although one was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_refused: Option<TokenRefused>,
}

/// Why a registration came without the credential that it wanted: the identity is there, and may ask again at the token
/// endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TokenRefused {
    /// The stable code.
    pub code: String,
    /// What to do.
    pub hint: String,
}
