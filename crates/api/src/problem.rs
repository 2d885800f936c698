//! Problem bodies (RFC 9457) with stable codes.

use serde::{Deserialize, Serialize};
use tenure_core::problem::{FieldProblem, Reason};

/// A refusal or failure as a client sees it. It never carries an internal error's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A page that explains the code.
    #[serde(rename = "type")]
    pub page: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// Every field that is missing or wrong.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub fields: Vec<FieldProblem>,
    /// The policies that determined the answer.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<String>,
    /// The policy set that was asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy_version: Option<String>,
}

impl Problem {
    /// A problem with a code.
    pub fn new(status: u16, code: &str, title: &str) -> Self {
        Self {
            page: format!("https://tenure.dev/problems/{code}"),
            title: title.to_owned(),
            status,
            code: code.to_owned(),
            detail: None,
            hint: None,
            fields: Vec::new(),
            policies: Vec::new(),
            policy_version: None,
        }
    }

    /// A refusal for one of the domain's reasons.
    pub fn refusal(status: u16, reason: Reason) -> Self {
        let mut problem = Self::new(status, reason.code(), &reason.code().replace('_', " "));
        problem.hint = Some(reason.hint().to_owned());
        problem
    }

    /// Says what happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the fields.
    #[must_use]
    pub fn fields(mut self, fields: Vec<FieldProblem>) -> Self {
        self.fields = fields;
        self
    }
}
