//! Sources of signals and what they send (S-12).

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{PersonId, SignalId, SourceId};
use tenure_core::base::time::Timestamp;
use tenure_core::signal::{Format, SignalKind, SignalState, SignalSubject};
use tenure_core::trust::state::TrustState;

use crate::views::Revised;

/// `POST /v1/sources`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSource {
    /// Its name, unique for ever; part of the address that it sends to.
    pub name: String,
    /// How it words its signals.
    pub format: Format,
    /// Who answers for it here.
    pub owner: PersonId,
    /// What it may say.
    pub kinds: Vec<SignalKind>,
    /// About what: patterns such as `repository:acme/*` or `application:payments`.
    pub subjects: Vec<String>,
    /// The environments whose workloads and repositories it speaks of; all if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Signals that it may send in a minute; 600 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_minute: Option<u32>,
    /// Identities that its signals may hold in an hour before a person of security has to confirm; 25 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast_cap: Option<u32>,
    /// The template from which a new workload's identity is drafted; needed where the source tells of new workloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The URL of the registered issuer whose tokens prove the workloads that it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// How its signals are authenticated.
    pub auth: SourceAuth,
}

/// How a source's signals are authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", deny_unknown_fields)]
pub enum SourceAuth {
    /// HMAC-SHA-256 over the raw body, in the format's own header.
    Hmac {},
    /// A secret in a header, for formats that can't sign.
    Token {},
    /// Signatures under keys that the source publishes.
    Keys {
        /// The `iss` of its tokens.
        issuer: String,
        /// The `aud` that they must name, alone.
        audience: String,
        /// Where its key set is; found by the issuer's discovery document if left out, and fixed from then on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jwks_uri: Option<String>,
        /// Algorithms accepted of it; all that Tenure knows if left out.
        #[serde(default)]
        algorithms: Vec<String>,
    },
}

/// A source, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SourceView {
    /// Its id.
    pub id: SourceId,
    /// Its name.
    pub name: String,
    /// How it words its signals.
    pub format: Format,
    /// Who answers for it here.
    pub owner: PersonId,
    /// What it may say.
    pub kinds: Vec<SignalKind>,
    /// About what.
    pub subjects: Vec<String>,
    /// The environments whose workloads and repositories it speaks of; all if empty.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Signals that it may send in a minute.
    pub rate_per_minute: u32,
    /// Identities that its signals may hold in an hour before a person of security has to confirm.
    pub blast_cap: u32,
    /// The template from which a new workload's identity is drafted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The URL of the issuer whose tokens prove the workloads that it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// How its signals are authenticated.
    pub auth: SourceAuth,
    /// Where it sends its signals.
    pub delivery_url: String,
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

/// A source whose secret was made anew; it is shown this once.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SourceMade {
    /// The source.
    #[serde(flatten)]
    pub source: Revised<SourceView>,
    /// The HMAC key or the token, as the source has to hold it; none where the source signs with its own keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A signal that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SignalTaken {
    /// Its id.
    pub id: SignalId,
    /// What happened.
    pub kind: SignalKind,
    /// To what.
    pub subject: SignalSubject,
    /// Where it stands.
    pub state: SignalState,
}

/// The reply to a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeliveryTaken {
    /// What it says; nothing if it is of no interest.
    pub signals: Vec<SignalTaken>,
    /// Whether it came before: then nothing was done again.
    pub duplicate: bool,
}
