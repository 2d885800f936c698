//! Exceptions and business needs on the wire.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{ExceptionId, FindingId, PersonId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::place::Place;
use tenure_core::inventory::third_party::NeedKind;
use tenure_core::request::exception::{Exception, MAX_RENEWALS};

use crate::views::{Logged, Names};

/// `POST /v1/exceptions`: proposes one, and opens the request about it.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewException {
    /// What is to be waived. Any text, so that what no exception waives is refused by name (R39).
    #[serde(rename = "type")]
    pub kind: String,
    /// For whom: `{"type": "identity", "id": "idn_…"}`. Any form, so that a class is refused by name (R19).
    pub subject: serde_json::Value,
    /// Why; the request's purpose.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// What makes up for it.
    #[serde(default)]
    pub compensating: Vec<NewControl>,
    /// Of a shared use, where else the identity runs than its charter says (R21).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// For how long.
    pub duration: Span,
    /// The exception that it renews: the last one of this type that the identity had. It counts as one if this is left
    /// out, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<ExceptionId>,
    /// The finding that is let be, of an `accepted_finding`: one about this identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<FindingId>,
}

/// A compensating control that is proposed.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewControl {
    /// Which, by the names that the type demands.
    pub control: String,
    /// How it is done here.
    pub description: String,
}

/// `POST /v1/exceptions/{id}/renew`: proposes the next one for the same identity.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// Why it is still needed.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// For how long.
    pub duration: Span,
    /// What makes up for it; as before if not given.
    #[serde(default)]
    pub compensating: Option<Vec<NewControl>>,
}

/// `POST /v1/exceptions/{id}/report-breach`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreachReport {
    /// Which compensating control is not in place.
    pub control: String,
    /// What was seen.
    pub note: String,
}

/// `POST /v1/exceptions/{id}/restore-control`: every compensating control was checked and is in place.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlsRestored {
    /// What was checked, and how.
    pub note: String,
}

/// An exception with what is computed about it.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ExceptionView {
    /// The record.
    #[serde(flatten)]
    pub record: Exception,
    /// How many renewals may follow it (R112).
    pub renewals_left: u8,
    /// The compensating controls that its type demands.
    pub demands: Vec<String>,
    /// Its revision.
    pub revision: u64,
    /// Where its last change stands in the log; only in replies to changes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<Logged>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

impl ExceptionView {
    /// What is shown of an exception.
    pub fn new(record: Exception, revision: u64, log: Option<Logged>) -> Self {
        Self {
            renewals_left: MAX_RENEWALS.saturating_sub(record.renewals),
            demands: record.kind.compensating().iter().map(|control| (*control).to_owned()).collect(),
            record,
            revision,
            log,
            names: Names::new(),
        }
    }
}

/// `POST /v1/needs`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNeed {
    /// What it is: project, integration or contract.
    #[serde(rename = "type")]
    pub kind: NeedKind,
    /// Its name, unique for ever.
    pub name: String,
    /// Who answers for it.
    pub owner: PersonId,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}
