//! Why a set of policies is refused: everything at once, each with its place.

use std::fmt;

use miette::Diagnostic;
use serde::{Deserialize, Serialize};

/// Which of the two texts a problem is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The schema.
    Schema,
    /// The policies.
    Policies,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schema => "schema",
            Self::Policies => "policies",
        })
    }
}

/// One thing that is wrong with a set of policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PolicyProblem {
    /// The text it is in.
    pub source: Source,
    /// Line and column, both from 1, the column in characters; absent where a problem has no one place.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl PolicyProblem {
    pub(crate) fn new(
        source: Source,
        text: &str,
        offset: Option<usize>,
        message: impl Into<String>,
        hint: &str,
    ) -> Self {
        Self {
            source,
            position: offset.map(|offset| position(text, offset)),
            message: message.into(),
            hint: Some(hint.to_owned()),
        }
    }

    /// The text and the place in it: `policies:3:8`.
    pub fn place(&self) -> String {
        match self.position {
            Some((line, column)) => format!("{}:{line}:{column}", self.source),
            None => self.source.to_string(),
        }
    }
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

/// A set of policies was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy set is refused:{}", lines(.problems))]
pub struct PolicySetError {
    /// Everything that was found, never empty.
    pub problems: Vec<PolicyProblem>,
}

impl PolicySetError {
    /// In the order of the texts.
    pub(crate) fn new(mut problems: Vec<PolicyProblem>) -> Self {
        problems.sort_by_key(|problem| (problem.source, problem.position));
        Self { problems }
    }
}

fn lines(problems: &[PolicyProblem]) -> String {
    problems.iter().map(|problem| format!("\n{problem}")).collect()
}

/// Appends what Cedar reports: a report may carry related ones.
pub(crate) fn collect(source: Source, text: &str, report: &dyn Diagnostic, into: &mut Vec<PolicyProblem>) {
    let label = report.labels().and_then(|mut labels| labels.next());
    // A parse error says what it expected only in its label.
    let expected = label.as_ref().and_then(|label| label.label().map(str::to_owned));
    into.push(PolicyProblem {
        source,
        position: label.map(|label| position(text, label.offset())),
        message: report.to_string(),
        hint: report.help().map(|help| help.to_string()).or(expected),
    });
    for related in report.related().into_iter().flatten() {
        collect(source, text, related, into);
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}
