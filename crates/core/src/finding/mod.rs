//! Findings: a rule that something breaks, with what shows it and what fixes it.

pub mod debt;
pub mod exceptional;
pub mod rules;
mod watch_rules;

use serde::{Deserialize, Serialize};

use crate::base::id::{ExceptionId, FindingId, PersonId};
use crate::base::time::Timestamp;
use crate::request::exception::ExceptionType;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth fixing.
    Medium,
    /// To be fixed soon.
    High,
    /// To be fixed now; blocks renewal.
    Critical,
}

impl Severity {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Where a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// It is so.
    Open,
    /// It is so, and an exception lets it be until its end.
    Accepted,
    /// It is no longer so, or somebody answered for it; terminal.
    Resolved,
}

impl FindingState {
    /// The name in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Resolved => "resolved",
        }
    }
}

/// What Tenure does about a breach by itself, besides telling of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fix {
    /// Nothing: it is about no identity, or whoever causes it could have anybody's identity stopped.
    Note,
    /// Its identity is suspended where the setting `hold_findings` names the rule.
    BySetting,
    /// What it is about is stopped at once.
    Hold,
}

impl Fix {
    /// The name in replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::BySetting => "by_setting",
            Self::Hold => "hold",
        }
    }
}

/// A rule: what it computes, which risks it answers, and what it can't see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Rule {
    /// Its id.
    pub id: &'static str,
    /// What it says.
    pub title: &'static str,
    /// How bad a breach is.
    pub severity: Severity,
    /// The risks by framework id, corrected: OWASP NHI Top 10 2025, NIST CSF 2.0, SP 800-207.
    pub frameworks: &'static [&'static str],
    /// Ids under which older texts cite the same (REQUIREMENTS.md, "Framework ids: corrections").
    pub aliases: &'static [&'static str],
    /// What shows a breach.
    pub evidence: &'static str,
    /// What it can't see.
    pub blind_spots: &'static str,
    /// What looks like a breach and is none.
    pub false_positives: &'static str,
    /// What fixes it.
    pub action: &'static str,
    /// What Tenure does about it by itself.
    pub fix: Fix,
    /// The exception by which it is suppressed, as long as that is in force.
    pub suppressed_by: Option<ExceptionType>,
}

impl Rule {
    /// The rule with this id.
    pub fn find(id: &str) -> Option<&'static Self> {
        rules::ALL.iter().copied().find(|rule| rule.id == id)
    }

    /// Whether a finding of it may be accepted for a while: neither what is critical, which bars renewal, nor what may be an
    /// attack, nor what says that an exception isn't kept.
    pub fn may_be_accepted(&self) -> bool {
        self.severity < Severity::Critical && !rules::NEVER_ACCEPTED.iter().any(|never| never.id == self.id)
    }
}

/// That a finding is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// By which exception.
    pub exception: ExceptionId,
    /// Until when, at the latest.
    pub until: Timestamp,
}

/// A finding. There is one for each rule, subject and detail at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Its id.
    pub id: FindingId,
    /// The rule, by id.
    pub rule: String,
    /// What breaks it: the id of an identity, a credential, a person, an exception, or of what somebody answers for.
    pub subject: String,
    /// What exactly, so that one subject can break a rule in several ways.
    pub detail: String,
    /// What shows it.
    pub evidence: serde_json::Map<String, serde_json::Value>,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: FindingState,
    /// How often it was seen.
    pub seen: u32,
    /// When it was seen first.
    pub opened_at: Timestamp,
    /// When it was last seen and counted.
    pub last_seen_at: Timestamp,
    /// When it was resolved, by whom (nobody: it is no longer so) and how.
    pub resolved: Option<Resolution>,
    /// That it is accepted, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Acceptance>,
}

/// The end of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// When.
    pub at: Timestamp,
    /// By whom; nobody, if it is no longer so.
    pub by: Option<PersonId>,
    /// How.
    pub how: String,
}

words!(FindingState, Severity);

impl Finding {
    /// Listed by its subject.
    pub const SUBJECT: Field<Self> = Field::new("subject");
    /// Listed by its rule.
    pub const RULE: Field<Self> = Field::new("rule");
    /// Listed by its state.
    pub const STATE: Field<Self, FindingState> = Field::new("state");
    /// Listed by its severity.
    pub const SEVERITY: Field<Self, Severity> = Field::new("severity");
}

impl Record for Finding {
    const KIND: RowKind = RowKind::Finding;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::SUBJECT, &self.subject)
            .with(Self::RULE, &self.rule)
            .with(Self::STATE, self.state)
            .with(Self::SEVERITY, self.severity)
    }
}
