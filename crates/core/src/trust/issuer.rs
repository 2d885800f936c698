//! External issuers of proofs, such as an OIDC provider of a platform (S-13).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::id::{IssuerId, PersonId};
use crate::base::state::{BadStep, InState};
use crate::base::time::Timestamp;
use crate::store::document::{Document, Order};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};
use crate::trust::state::{TrustState, confirmable};

/// The claim that names a Kubernetes service account for good.
const SERVICE_ACCOUNT: &str = "kubernetes.io/serviceaccount/uid";
/// Where GitHub's shared runners get their tokens.
const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// GitLab's own instance, which everybody shares.
const GITLAB: &str = "https://gitlab.com";

/// What sort of platform an issuer is: which immutable ids its tokens carry, and what a binding to it has to fix
/// (S-13).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// Every preset.
    pub const ALL: &[Self] = &[Self::Oidc, Self::GithubActions, Self::Gitlab, Self::Kubernetes];

    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::GithubActions => "github_actions",
            Self::Gitlab => "gitlab",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// The issuer that is meant where none is named.
    pub const fn default_url(self) -> Option<&'static str> {
        match self {
            Self::GithubActions => Some(GITHUB),
            Self::Gitlab => Some(GITLAB),
            Self::Oidc | Self::Kubernetes => None,
        }
    }

    /// The platform whose issuer everybody shares at this URL, whatever its registration says: its rules can't be got
    /// round.
    pub fn at_shared(url: &str) -> Option<Self> {
        let same = |shared: &str| url.strip_prefix(shared).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Self::ALL.iter().copied().find(|preset| preset.default_url().is_some_and(same))
    }

    /// The algorithms that are meant where none is named; empty for all that are known.
    pub const fn algorithms(self) -> &'static [&'static str] {
        match self {
            Self::GithubActions | Self::Gitlab => &["RS256"],
            // A cluster signs with the key that its operator gave it.
            Self::Kubernetes => &["RS256", "ES256", "ES384"],
            Self::Oidc => &[],
        }
    }

    /// The claim with the immutable id of a tenant, which the issuer's registration has to fix where others share the
    /// issuer (S-13).
    pub fn tenant_claim(self, url: &str) -> Option<&'static str> {
        match self {
            Self::GithubActions => Some("repository_owner_id"),
            // An instance of one's own has no other tenant.
            Self::Gitlab if url.trim_end_matches('/') == GITLAB => Some("namespace_id"),
            Self::Gitlab | Self::Kubernetes | Self::Oidc => None,
        }
    }

    /// The claim by which every binding names its workload, once and for ever.
    pub const fn workload_claim(self) -> &'static str {
        match self {
            Self::Oidc => "sub",
            Self::GithubActions => "repository_id",
            Self::Gitlab => "project_id",
            Self::Kubernetes => SERVICE_ACCOUNT,
        }
    }

    /// Claims of which a binding has to fix one besides: without it, every branch and every job would do.
    pub const fn narrowing_claims(self) -> &'static [&'static str] {
        match self {
            Self::GithubActions => &["sub", "environment", "ref", "job_workflow_ref"],
            Self::Gitlab => &["sub", "environment", "ref", "ref_path", "ref_protected", "ci_config_ref_uri"],
            Self::Oidc | Self::Kubernetes => &[],
        }
    }

    /// The claims that name the repository of a run: its name first, which may change hands, and then its id, where
    /// there is one.
    pub const fn repository_claims(self) -> &'static [&'static str] {
        match self {
            Self::GithubActions => &["repository", "repository_id"],
            Self::Gitlab => &["project_path", "project_id"],
            Self::Oidc => &["repository", "project_path"],
            Self::Kubernetes => &[],
        }
    }

    /// A claim's value as it compares on this platform. GitHub and GitLab don't tell names of repositories and of whom
    /// they belong to apart by case, and write them as whoever made them did, or as they were renamed; what stands
    /// behind the name (a branch, a path) has a case. The ids decide who it is; names are told apart as the platform
    /// tells them.
    pub fn comparable(self, name: &str, value: &Value) -> Value {
        let Some(text) = value.as_str() else {
            return value.clone();
        };
        let folded = match (self, name) {
            (Self::GithubActions, "repository" | "repository_owner")
            | (Self::Gitlab, "project_path" | "namespace_path") => text.len(),
            // repo:OWNER/NAME:environment:production
            (Self::GithubActions, "sub") if text.starts_with("repo:") => nth(text, ':', 2),
            (Self::Gitlab, "sub") if text.starts_with("project_path:") => nth(text, ':', 2),
            // OWNER/NAME/.github/workflows/release.yml@refs/heads/main
            (Self::GithubActions, "job_workflow_ref" | "workflow_ref") => nth(text, '/', 2),
            // gitlab.example.com/GROUP/PROJECT//.gitlab-ci.yml@refs/heads/main
            (Self::Gitlab, "ci_config_ref_uri") => text.find("//").unwrap_or(0),
            _ => 0,
        };
        match text.split_at_checked(folded) {
            Some((name, rest)) => Value::from(name.to_lowercase() + rest),
            None => value.clone(),
        }
    }

    /// Whether two names are of one repository there.
    pub fn is_same_repository(self, one: &str, other: &str) -> bool {
        match self {
            Self::GithubActions | Self::Gitlab => one.to_lowercase() == other.to_lowercase(),
            Self::Oidc | Self::Kubernetes => one == other,
        }
    }

    /// Whether every token of it names its repository.
    pub const fn names_repositories(self) -> bool {
        matches!(self, Self::GithubActions | Self::Gitlab)
    }

    /// Whether a value can be one of these ids as the platform writes it: GitHub and GitLab write their numbers as
    /// text.
    pub fn is_id(self, value: &Value) -> bool {
        let Some(text) = value.as_str() else { return false };
        match self {
            Self::GithubActions | Self::Gitlab => {
                !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit())
            }
            Self::Kubernetes => text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'),
            Self::Oidc => !text.is_empty(),
        }
    }

    /// Whether its platform puts this audience into tokens unasked: what is meant for the platform itself proves
    /// nothing to us.
    pub fn is_default_audience(self, url: &str, audience: &str) -> bool {
        let audience = audience.trim_end_matches('/');
        match self {
            Self::GithubActions => {
                audience.strip_prefix("https://github.com/").is_some_and(|owner| !owner.contains('/'))
            }
            Self::Gitlab => audience == url.trim_end_matches('/'),
            Self::Kubernetes => {
                audience == url.trim_end_matches('/') || audience.starts_with("https://kubernetes.default")
            }
            Self::Oidc => false,
        }
    }

    /// How one finds the id that the workload claim wants.
    pub const fn where_to_find(self) -> &'static str {
        match self {
            Self::Oidc => "the token's own claim sub",
            Self::GithubActions => "gh api repos/OWNER/NAME --jq .id (and .owner.id for repository_owner_id)",
            Self::Gitlab => "the project's page shows its id; glab api projects/GROUP%2FNAME gives id and namespace.id",
            Self::Kubernetes => "kubectl get serviceaccount NAME -n NAMESPACE -o jsonpath={.metadata.uid}",
        }
    }
}

/// Where a mark stands in a text for the nth time; nowhere is its beginning.
fn nth(text: &str, mark: char, n: usize) -> usize {
    text.match_indices(mark).nth(n.saturating_sub(1)).map_or(0, |(at, _)| at)
}

/// Who handed in the login by which a cluster is asked about tokens. Its secret is in no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewLogin {
    /// Its bearer token, sealed by the root key.
    pub sealed: String,
    /// Who handed it in.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
}

/// Where a cluster says whether a token of its still counts, also after the pod that has it is gone: its API's
/// TokenReview (`authentication.k8s.io/v1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenReview {
    /// The URL of the cluster's API server.
    pub url: String,
    /// The certificate authorities that its certificate is checked against, in PEM; those of the system if there are
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// What Tenure signs in there with; until it is handed in, no proof of the issuer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<ReviewLogin>,
}

/// An external issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// Claims that every token of it must have with exactly these values, or one of a list: of a shared issuer, the
    /// immutable id of our tenant (S-13).
    #[serde(default)]
    pub fixed_claims: std::collections::BTreeMap<String, Value>,
    /// Who is asked about each token besides, before it counts (R14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_review: Option<TokenReview>,
    /// Where the registration stands.
    pub state: InState<TrustState>,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// Who confirmed it.
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, because there was no second administrator (S-10).
    pub single_person: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

confirmable!(Issuer);

impl Issuer {
    /// Trusted no more, and without the login for its reviews.
    ///
    /// # Errors
    /// It was removed before.
    pub fn remove(self) -> Result<Self, BadStep> {
        let token_review = self.token_review.map(|review| TokenReview { login: None, ..review });
        Ok(Self { state: self.state.step(TrustState::Removed)?, token_review, ..self })
    }

    /// With another login for the cluster's reviews; itself where none are asked for.
    #[must_use]
    pub fn with_review_login(self, login: ReviewLogin) -> Self {
        let token_review = self.token_review.map(|review| TokenReview { login: Some(login), ..review });
        Self { token_review, ..self }
    }

    /// Listed by its URL.
    pub const URL: Field<Self> = Field::new("url");
}

impl Record for Issuer {
    const KIND: RowKind = RowKind::Issuer;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    const ORDERS: &'static [Order] = &[Order::Name];
    fn document(&self) -> Document<'_> {
        Document { name: (&self.url).into(), ..Document::default() }
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::URL, &self.url)
    }
}
