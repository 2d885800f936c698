//! All that an approver of a policy change should see.

use serde::{Deserialize, Serialize};
use tenure_core::policy::{Answer, Question};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::analysis::{Analysis, Solver, analyse};
use crate::change::{Changed, PolicyDiff, diff, replay};
use crate::problem::{PolicyProblem, Source};
use crate::{CedarPolicy, PolicySetError};

/// Changed decisions that a review lists; it counts all.
const MAX_CHANGED: usize = 100;

/// What a proposed set would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PolicyReview {
    /// Why the proposed set can't be loaded; then there is nothing else.
    pub problems: Vec<PolicyProblem>,
    /// The texts that differ.
    pub diff: PolicyDiff,
    /// Recent questions, asked again.
    pub replay: Replay,
    /// What the solver says.
    pub analysis: Analysis,
}

/// Recent questions, asked again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Replay {
    /// How many.
    pub asked: usize,
    /// How many are decided otherwise.
    pub changed_count: usize,
    /// The first hundred of these.
    pub changed: Vec<Changed>,
}

impl Replay {
    fn of(recent: &[(Question, Answer)], new: &CedarPolicy) -> Self {
        let mut changed = replay(recent, new);
        let changed_count = changed.len();
        changed.truncate(MAX_CHANGED);
        Self { asked: recent.len(), changed_count, changed }
    }
}

/// Reviews a change under Tenure's own schema, on a thread of its own. Takes up to the solver's limit.
///
/// # Errors
/// The set in force does not load.
pub async fn review(
    in_force: &str,
    proposed: &str,
    recent: &[(Question, Answer)],
    solver: Option<&Solver>,
) -> Result<PolicyReview, PolicySetError> {
    let (in_force, proposed, recent) = (in_force.to_owned(), proposed.to_owned(), recent.to_vec());
    let (solver, runtime) = (solver.cloned(), Handle::current());
    // Loading and compiling are work for the processor, which would hold up everybody else's requests.
    let reviewed = spawn_blocking(move || runtime.block_on(reviewed(&in_force, &proposed, &recent, solver.as_ref())));
    reviewed.await.unwrap_or_else(|stopped| {
        let stopped = PolicyProblem {
            source: Source::Policies,
            position: None,
            message: format!("the review stopped: {stopped}"),
            hint: None,
        };
        Err(PolicySetError::new(vec![stopped]))
    })
}

async fn reviewed(
    in_force: &str,
    proposed: &str,
    recent: &[(Question, Answer)],
    solver: Option<&Solver>,
) -> Result<PolicyReview, PolicySetError> {
    let old = CedarPolicy::with_policies(in_force)?;
    let new = match CedarPolicy::with_policies(proposed) {
        Ok(new) => new,
        Err(PolicySetError { problems }) => {
            return Ok(PolicyReview {
                problems,
                diff: PolicyDiff::default(),
                replay: Replay::default(),
                analysis: Analysis::not_available("the proposed set can't be loaded"),
            });
        }
    };
    Ok(PolicyReview {
        problems: Vec::new(),
        diff: diff(&old, &new),
        replay: Replay::of(recent, &new),
        analysis: analyse(&old, &new, solver).await,
    })
}
