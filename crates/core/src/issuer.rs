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
