//! Answers to "why", told from the log.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::ResourceId;
use tenure_core::base::time::Timestamp;

use crate::views::Names;

/// A refusal as the log has it, with what to do.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RefusalView {
    /// Its entry in the log.
    pub index: u64,
    /// When.
    pub at: Timestamp,
    /// Who was refused.
    pub actor: String,
    /// At which control point.
    pub control: String,
    /// What they asked for.
    pub asked: String,
    /// What it was about.
    pub subjects: Vec<String>,
    /// Why, by stable code.
    pub reason: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// The fields that were missing or wrong, with their codes.
    pub fields: serde_json::Value,
    /// The policies that said no.
    pub policies: Vec<String>,
    /// The version of the policy set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy_version: Option<String>,
}

/// `GET /v1/refusals`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Refusals {
    /// The refusals, the newest first.
    pub items: Vec<RefusalView>,
    /// Give it as `before` to look further back; absent at the log's beginning.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<u64>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// Whether somebody could really touch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "reach")]
pub enum Reach {
    /// They could.
    Could,
    /// They held the grant, but were stopped.
    Blocked {
        /// By what.
        because: String,
    },
}

/// An access that was held at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PastAccess {
    /// The grant.
    pub grant: String,
    /// Who held it: an identity or a person.
    pub holder: String,
    /// On what: the resource, or `*`.
    pub resource: String,
    /// What they could do.
    pub actions: Vec<String>,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when at the latest.
    pub until: Timestamp,
    /// When it was ended earlier, if it was by then.
    pub ended_at: Option<Timestamp>,
    /// The request that it was derived from.
    pub request: String,
    /// Who approved it; nobody, if a named rule did.
    pub approved_by: Vec<String>,
    /// The policies that permitted it.
    pub policies: Vec<String>,
    /// For which need, as it read at the approval.
    pub purpose: String,
    /// Whether they could really use it.
    #[serde(flatten)]
    pub reach: Reach,
}

/// `GET /v1/resources/{id}/access`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PastAccessReport {
    /// The resource.
    pub resource: ResourceId,
    /// The moment.
    pub at: Timestamp,
    /// How many entries of the log tell it.
    pub entries: u64,
    /// Each access that was held then.
    pub access: Vec<PastAccess>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}
