//! Policy sets from text, for whoever changes them.

use std::sync::Arc;

use tenure_core::base::problem::FieldProblem;
use tenure_core::policy::{PolicyEngine, PolicyLoader};

use crate::problem::PolicySetError;
use crate::{CedarPolicy, DEFAULT_POLICIES, PolicyProblem};

/// Loads sets over Tenure's own schema.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loader;

impl PolicyLoader for Loader {
    fn default_text(&self) -> &'static str {
        DEFAULT_POLICIES
    }

    fn load(&self, text: &str) -> Result<Arc<dyn PolicyEngine>, Vec<FieldProblem>> {
        match CedarPolicy::with_policies(text) {
            Ok(policy) => Ok(Arc::new(policy)),
            Err(PolicySetError { problems }) => Err(problems.iter().map(field).collect()),
        }
    }
}

/// The place is the field: `policies:3:8`.
fn field(problem: &PolicyProblem) -> FieldProblem {
    let said = match &problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message.clone(),
    };
    FieldProblem::new(problem.place(), "policy_invalid", said)
}
