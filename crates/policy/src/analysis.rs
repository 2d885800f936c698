//! Whether a change of policy can allow anything that was not allowed: asked of a solver, for all questions that can
//! be.
//!
//! The compiler of policies to the solver's language is a crate of its own and builds long, so it is behind the feature
//! `solver`: tests and releases have it, and the demo builds without. What a build without it says of a change is that
//! it can't say anything.

#[cfg(feature = "solver")]
mod symbolic;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::CedarPolicy;
use crate::plain::{PlainAnswer, PlainQuestion};

/// Where the solver is, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solver {
    /// The cvc5 to run: a path, or a name that is looked up in PATH.
    pub path: PathBuf,
    /// For the whole analysis.
    pub limit: Duration,
}

impl Solver {
    /// Whether this build can ask one.
    pub const BUILT_IN: bool = cfg!(feature = "solver");

    /// The limit that lets an approver wait.
    pub const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

    /// That solver, with the default limit.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), limit: Self::DEFAULT_LIMIT }
    }
}

/// What an analysis came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proven: whatever the new set allows, the old one allowed.
    GrantsNothingNew,
    /// The new set allows something that the old one did not, and here it is.
    GrantsMore,
    /// Neither proven nor disproven.
    Undecided,
    /// There is no solver.
    NotAvailable,
}

/// What the solver says of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Analysis {
    /// What it came to.
    pub verdict: Verdict,
    /// For what was looked: each as `action by principal on resource`. Elsewhere the policies are the same.
    pub examined: Vec<String>,
    /// For each of these at most one question that becomes allowed, confirmed by asking both sets.
    pub newly_allowed: Vec<NewlyAllowed>,
    /// Where nothing is proven, and why.
    pub undecided: Vec<String>,
    /// Why there is no verdict, if so.
    pub reason: Option<String>,
}

/// A question that the old set denies and the new one allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NewlyAllowed {
    /// The question.
    pub question: PlainQuestion,
    /// What the old set answers.
    pub was: PlainAnswer,
    /// What the new set answers.
    pub becomes: PlainAnswer,
}

impl Analysis {
    pub(crate) fn not_available(reason: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::NotAvailable,
            examined: Vec::new(),
            newly_allowed: Vec::new(),
            undecided: Vec::new(),
            reason: Some(reason.into()),
        }
    }
}

/// Looks for what `new` allows and `old` does not. Both must be over the same schema.
pub async fn analyse(old: &CedarPolicy, new: &CedarPolicy, solver: Option<&Solver>) -> Analysis {
    let Some(solver) = solver else {
        return Analysis::not_available("no solver is configured: install cvc5 and say where it is");
    };
    #[cfg(feature = "solver")]
    return crate::nesting::await_on_deep_stack(symbolic::analyse(old, new, solver)).await;
    #[cfg(not(feature = "solver"))]
    {
        let _ = (old, new, solver);
        Analysis::not_available("this build can't ask a solver: build it with `--features solver`, as releases are")
    }
}
