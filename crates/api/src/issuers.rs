//! External issuers as they are shown, and the cluster that is asked about their tokens.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_core::base::id::{IssuerId, PersonId};
use tenure_core::base::time::Timestamp;
use tenure_core::trust::issuer::{Issuer, Preset};
use tenure_core::trust::state::TrustState;

/// Where a cluster is asked whether a token still counts.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTokenReview {
    /// The URL of the cluster's API server.
    pub url: String,
    /// The certificate authorities that its certificate is checked against, in PEM; those of the system if there are
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// `POST /v1/issuers/{id}/review-login`: with what Tenure signs in to the cluster to ask about tokens. It is sealed, and
/// shown to nobody.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewLoginAsk {
    /// A bearer token of the cluster's that may create tokenreviews.
    pub secret: String,
}

impl fmt::Debug for ReviewLoginAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReviewLoginAsk").finish_non_exhaustive()
    }
}

/// A login for reviews, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReviewLoginView {
    /// Who handed it in.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
}

/// Who is asked about each token of an issuer.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TokenReviewView {
    /// The URL of the cluster's API server.
    pub url: String,
    /// The certificate authorities that its certificate is checked against, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Who handed in the login there; until somebody has, no proof of the issuer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<ReviewLoginView>,
}

/// An external issuer, without secrets.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IssuerView {
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
    pub preset: Preset,
    /// Claims that every token of it must have with exactly these values, or one of a list (S-13).
    pub fixed_claims: BTreeMap<String, Value>,
    /// Who is asked about each token besides, before it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_review: Option<TokenReviewView>,
    /// Where the registration stands.
    pub state: TrustState,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// Who confirmed it.
    pub confirmed_by: Option<PersonId>,
    /// Whether one person did both, because there was no second administrator (S-10).
    pub single_person: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl From<Issuer> for IssuerView {
    fn from(issuer: Issuer) -> Self {
        Self {
            id: issuer.id,
            url: issuer.url,
            jwks_uri: issuer.jwks_uri,
            algorithms: issuer.algorithms,
            audience: issuer.audience,
            environments: issuer.environments,
            required_claims: issuer.required_claims,
            preset: issuer.preset,
            fixed_claims: issuer.fixed_claims,
            token_review: issuer.token_review.map(|review| TokenReviewView {
                url: review.url,
                ca: review.ca,
                login: review.login.map(|login| ReviewLoginView { by: login.by, at: login.at }),
            }),
            state: issuer.state.get(),
            proposed_by: issuer.proposed_by,
            confirmed_by: issuer.confirmed_by,
            single_person: issuer.single_person,
            created_at: issuer.created_at,
        }
    }
}
