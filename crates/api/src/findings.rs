//! Findings, their rules, and posture on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::finding::debt::DebtDay;
use tenure_core::finding::{Finding, Fix, Rule, Severity};
use tenure_core::request::exception::ExceptionType;

use crate::views::{Logged, Names};

/// A rule, as `GET /v1/finding-rules` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RuleView {
    /// Its id.
    pub id: String,
    /// What it says.
    pub title: String,
    /// How bad a breach is.
    pub severity: Severity,
    /// The risks by framework id, corrected.
    pub frameworks: Vec<String>,
    /// Ids under which older texts cite the same.
    pub aliases: Vec<String>,
    /// What shows a breach.
    pub evidence: String,
    /// What it can't see.
    pub blind_spots: String,
    /// What looks like a breach and is none.
    pub false_positives: String,
    /// What fixes it.
    pub action: String,
    /// What Tenure does about it by itself.
    pub fix: Fix,
    /// The type of exception by which it is suppressed, as long as one is in force.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suppressed_by: Option<ExceptionType>,
}

impl From<&Rule> for RuleView {
    fn from(rule: &Rule) -> Self {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Self {
            id: rule.id.to_owned(),
            title: rule.title.to_owned(),
            severity: rule.severity,
            frameworks: owned(rule.frameworks),
            aliases: owned(rule.aliases),
            evidence: rule.evidence.to_owned(),
            blind_spots: rule.blind_spots.to_owned(),
            false_positives: rule.false_positives.to_owned(),
            action: rule.action.to_owned(),
            fix: rule.fix,
            suppressed_by: rule.suppressed_by,
        }
    }
}

/// A rule with how it stands here.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RuleStanding {
    /// The rule.
    #[serde(flatten)]
    pub rule: RuleView,
    /// Whether an identity that breaks it is suspended by that, as things are set here.
    pub holds: bool,
    /// How many of its findings are open, for those who may read all findings.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub open: Option<u64>,
}

/// `GET /v1/finding-rules`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RuleList {
    /// Every rule.
    pub items: Vec<RuleStanding>,
    /// Whether more findings are open than are counted: then each number is at least that.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub capped: bool,
}

/// A finding with its rule.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FindingView {
    /// The record.
    #[serde(flatten)]
    pub record: Finding,
    /// What the rule says, can't see, and what fixes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub explanation: Option<RuleView>,
    /// Its revision.
    pub revision: u64,
    /// Where its last change stands in the log; only in replies to changes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<Logged>,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}

/// `POST /v1/findings/{id}/resolve`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// What was done about it, or why nothing has to be.
    pub how: String,
}

/// `GET /v1/findings/summary`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FindingSummary {
    /// How many are open, by severity.
    pub open_by_severity: BTreeMap<String, u64>,
    /// How many are open, by rule.
    pub open_by_rule: BTreeMap<String, u64>,
    /// What is allowed for a while and has to be paid off.
    pub debt: Debt,
    /// Whether there was more than is counted: then each number is at least that.
    pub capped: bool,
}

/// Technical debt with an end (R105, R112).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Debt {
    /// Identities, active or suspended, that several consumers share.
    pub shared_identities: u64,
    /// Exceptions in force.
    pub exceptions: u64,
    /// Those among them that renew an earlier one.
    pub renewed_exceptions: u64,
    /// Those among them of which a compensating control is not in place.
    #[serde(default)]
    pub breached_exceptions: u64,
    /// Identities that were found and are nobody's.
    #[serde(default)]
    pub unowned: u64,
}

/// `GET /v1/debt`: what is owed now, and how that went.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DebtView {
    /// What is owed now.
    pub debt: Debt,
    /// Whether there was more than is counted: then each number is at least that.
    pub capped: bool,
    /// What was owed day by day, as it was counted each night, the oldest first; at most 400 days.
    pub trend: Vec<DebtDay>,
}

/// `GET /v1/identities/{id}/posture`: every rule that is computed from the record, computed now.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PostureView {
    /// Whose.
    pub identity: IdentityId,
    /// When it was computed.
    pub at: Timestamp,
    /// The rules that were looked at.
    pub rules: Vec<String>,
    /// Those that it breaks.
    pub broken: Vec<BrokenView>,
}

/// A broken rule.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BrokenView {
    /// The rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What exactly.
    pub detail: String,
    /// What shows it.
    pub evidence: Map<String, Value>,
    /// What fixes it.
    pub action: String,
}
