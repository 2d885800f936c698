//! How failures read: what happened, each field that is wrong, and what to do about it.

use std::fmt;
use std::io::ErrorKind;
use std::process::ExitCode;

use tenure_api::problem::Problem;
use tenure_client::{ClientError, OAuthFailure};

use super::output::clean;

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// A failure with a way out.
#[derive(Debug)]
pub struct Failure {
    message: String,
    hint: Option<String>,
    exit: u8,
}

impl Failure {
    /// Something that failed.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit: FAILED }
    }

    /// Something that was asked for in the wrong way.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: USAGE, ..Self::new(message) }
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Prints a failure to standard error and gives the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // Whoever reads our output has had enough of it.
    if error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
    {
        return ExitCode::SUCCESS;
    }
    let (lines, exit) = describe(error);
    for line in lines {
        eprintln!("{}", clean(&line));
    }
    ExitCode::from(exit)
}

fn describe(error: &anyhow::Error) -> (Vec<String>, u8) {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        let mut lines = vec![format!("error: {error:#}")];
        lines.extend(failure.hint.iter().map(|hint| format!("hint: {hint}")));
        return (lines, failure.exit);
    }
    let lines = match error.downcast_ref::<ClientError>() {
        Some(ClientError::Problem(problem)) => of_problem(problem),
        Some(ClientError::OAuth(failure)) => of_oauth(failure),
        Some(ClientError::Transport(text)) => vec![
            format!("error: {text}"),
            "hint: is the server running, and is --server (TENURE_SERVER) its address? `tenure server` starts one"
                .to_owned(),
        ],
        Some(ClientError::Configuration(text)) => {
            let mut lines = vec![format!("error: {text}")];
            if text.contains("in the clear") {
                lines.push("hint: if the network between is yours alone, say --plain-http".to_owned());
            }
            lines
        }
        // A server's own errors may bring their hints on further lines.
        _ => format!("error: {error:#}").lines().map(str::to_owned).collect(),
    };
    (lines, FAILED)
}

fn of_problem(problem: &Problem) -> Vec<String> {
    let mut lines = vec![format!("error[{}]: {}", problem.code, problem.detail.as_ref().unwrap_or(&problem.title))];
    lines.extend(problem.fields.iter().map(|field| format!("  {}: {} [{}]", field.field, field.hint, field.code)));
    lines.extend(problem.hint.iter().map(|hint| format!("hint: {hint}")));
    if problem.status == 401 {
        lines.push("hint: an operator token, where one is wanted, comes from TENURE_TOKEN, --token-file or DATA/operator-token".to_owned());
    }
    if !problem.policies.is_empty() {
        let version =
            problem.policy_version.as_ref().map(|version| format!(" (policy set {version})")).unwrap_or_default();
        lines.push(format!("policies: {}{version}", problem.policies.join(", ")));
    }
    lines
}

fn of_oauth(failure: &OAuthFailure) -> Vec<String> {
    let code = failure.reason_code.as_ref().unwrap_or(&failure.error);
    let mut lines = vec![format!("error[{code}]: {}", failure.error), format!("hint: {}", failure.description)];
    if !failure.policies.is_empty() {
        lines.push(format!("policies: {}", failure.policies.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::base::problem::{FieldProblem, Reason};

    #[test]
    fn a_problem_reads_field_by_field() {
        let problem = Problem::new(422, "fields_invalid", "fields are missing or wrong")
            .detail("2 field(s) are missing or wrong")
            .fields(vec![
                FieldProblem::new("charter.owner", "owner_missing", "name the person who is accountable for it"),
                FieldProblem::new("charter.expires_at", "expiry_missing", "set its end"),
            ]);
        let (lines, exit) = describe(&ClientError::Problem(Box::new(problem)).into());
        assert_eq!(exit, FAILED);
        assert_eq!(
            lines,
            [
                "error[fields_invalid]: 2 field(s) are missing or wrong",
                "  charter.owner: name the person who is accountable for it [owner_missing]",
                "  charter.expires_at: set its end [expiry_missing]",
            ]
        );
    }

    #[test]
    fn a_refusal_names_the_policies() {
        let mut problem = Problem::refusal(403, Reason::PolicyDenied);
        problem.policies = vec!["agent-use".into()];
        problem.policy_version = Some("3".into());
        let (lines, _) = describe(&ClientError::Problem(Box::new(problem)).into());
        assert_eq!(lines.last().map(String::as_str), Some("policies: agent-use (policy set 3)"));
        assert!(lines.iter().any(|line| line.starts_with("hint: ")));
    }

    #[test]
    fn usage_has_its_own_exit_code() {
        let (lines, exit) = describe(&Failure::usage("there is no terminal to ask on").hint("say --yes").into());
        assert_eq!((lines.len(), exit), (2, USAGE));
    }
}
