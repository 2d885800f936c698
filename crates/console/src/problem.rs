//! Problems as pages: what went wrong, and what to do about it.

use askama::Template;
use tenure_api::problem::Problem;
use tenure_core::base::problem::FieldProblem;

use crate::text;

/// Where a page of a problem leads.
#[derive(Debug, Clone)]
pub struct Way {
    /// An address of ours.
    pub to: String,
    /// What it is called.
    pub word: &'static str,
}

/// A whole page about a problem.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub struct ProblemPage {
    title: String,
    said: String,
    hint: String,
    code: String,
    fields: Vec<FieldProblem>,
    policies: Vec<String>,
    request_id: Option<String>,
    ways: Vec<Way>,
}

impl ProblemPage {
    fn title(&self) -> &str {
        &self.title
    }

    /// The page of a problem, with ways on.
    pub fn new(problem: Problem, ways: Vec<Way>) -> Self {
        let Problem { status, code, detail, hint, fields, policies, request_id, .. } = problem;
        let said = detail.unwrap_or_else(|| words(&code));
        Self {
            title: text::failed(status).to_owned(),
            said,
            hint: hint.unwrap_or_default(),
            code,
            fields,
            policies,
            request_id,
            ways,
        }
    }
}

/// What is wrong with a form that was sent, as it stands above the form that is shown again.
#[derive(Debug, Clone)]
pub struct Wrong {
    /// What.
    pub said: String,
    /// What to do about it.
    pub hint: String,
    /// The stable code.
    pub code: String,
    /// By field.
    pub fields: Vec<FieldProblem>,
}

impl Wrong {
    /// All of it in one line.
    pub fn told(&self) -> String {
        let fields = self.fields.iter().map(|field| format!("{}: {}", field.field, field.hint));
        let parts = std::iter::once(self.said.clone()).chain(Some(self.hint.clone())).chain(fields);
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(". ")
    }
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Self {
        let Problem { code, detail, hint, fields, .. } = problem;
        Self { said: detail.unwrap_or_else(|| words(&code)), hint: hint.unwrap_or_default(), code, fields }
    }
}

/// What was typed into a form that the page has no more, because what it was about has gone on meanwhile.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Why it wasn't taken.
    pub wrong: Wrong,
    /// What was typed; nothing if nothing was.
    pub typed: String,
}

impl Kept {
    /// What is kept of a form, if one was sent.
    pub fn of(wrong: Option<Wrong>, typed: String) -> Option<Self> {
        wrong.map(|wrong| Self { wrong, typed })
    }
}

/// A code as words, with a capital.
fn words(code: &str) -> String {
    text::sentence(&code.replace('_', " "))
}
