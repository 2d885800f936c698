//! External issuers of proofs, such as an OIDC provider of a platform (S-13).

use serde::{Deserialize, Serialize};

use crate::id::{IssuerId, PersonId};
use crate::row::{Record, RowKind};
use crate::time::Timestamp;

/// Where an issuer's registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerState {
    /// Waits for a second person.
    Proposed,
    /// Trusted.
    Active,
    /// No longer trusted; terminal.
    Removed,
}

/// What sort of platform an issuer is: which immutable ids its tokens carry, and what a binding to it has to fix (S-13).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Any OpenID Connect provider: bindings fix `sub`.
    #[default]
    Oidc,
    /// GitHub Actions: bindings fix `repository_id`, the issuer `repository_owner_id`.
    GithubActions,
    /// GitLab CI/CD: bindings fix `project_id`, the issuer `namespace_id`.
    Gitlab,
    /// A Kubernetes cluster's service account tokens: bindings fix the service account's uid.
    Kubernetes,
}

impl Preset {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::GithubActions => "github_actions",
            Self::Gitlab => "gitlab",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// An external issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its id.
    pub id: IssuerId,
    /// The issuer identifier: compared exactly with `iss`.
    pub url: String,
    /// The key set's URL as discovery gave it when the issuer was registered; it stays fixed.
    pub jwks_uri: String,
    /// Signature algorithms accepted of it.
    pub algorithms: Vec<String>,
    /// The audience that its tokens must name, exactly and alone.
    pub audience: String,
    /// The environments in which its proofs count.
    pub environments: Vec<String>,
    /// Claims that every binding to this issuer must fix, e.g. an immutable tenant id.
    pub required_claims: Vec<String>,
    /// What sort of platform it is.
    #[serde(default)]
    pub preset: Preset,
    /// Claims that every token of it must have with exactly these values: of a shared issuer, the immutable id of our tenant (S-13).
    #[serde(default)]
    pub fixed_claims: std::collections::BTreeMap<String, serde_json::Value>,
    /// Where the registration stands.
    pub state: IssuerState,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// Who confirmed it.
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, because there was no second administrator (S-10).
    pub single_person: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Record for Issuer {
    const KIND: RowKind = RowKind::Issuer;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Vec<String> {
        vec![format!("url={}", self.url)]
    }
}
