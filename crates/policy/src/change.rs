//! What a change of policy does: to the text, and to questions that were asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenure_core::policy::{Answer, PolicyEngine, Question};

use crate::plain::{PlainAnswer, PlainQuestion};
use crate::{CedarPolicy, PolicyInfo};

/// A policy's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PolicyText {
    /// Its `@id`.
    pub id: String,
    /// The policy as it is written.
    pub text: String,
}

/// A policy that stays under its name and reads otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChangedPolicy {
    /// Its `@id`.
    pub id: String,
    /// As it is.
    pub was: String,
    /// As it is to be.
    pub becomes: String,
}

/// What differs between two sets, each list by `@id`. Remarks outside policies and their order don't count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PolicyDiff {
    /// Only in the new set.
    pub added: Vec<PolicyText>,
    /// Only in the old set.
    pub removed: Vec<PolicyText>,
    /// In both, with other texts.
    pub changed: Vec<ChangedPolicy>,
}

impl PolicyDiff {
    /// Whether the sets have the same policies.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares two sets.
pub fn diff(old: &CedarPolicy, new: &CedarPolicy) -> PolicyDiff {
    let (before, after) = (texts(old.policies()), texts(new.policies()));
    let mut diff = PolicyDiff::default();
    for (&id, &text) in &before {
        match after.get(id) {
            Some(&same) if same == text => {}
            Some(&other) => {
                diff.changed.push(ChangedPolicy { id: id.to_owned(), was: text.to_owned(), becomes: other.to_owned() })
            }
            None => diff.removed.push(policy_text(id, text)),
        }
    }
    let added = after.iter().filter(|(id, _)| !before.contains_key(*id));
    diff.added.extend(added.map(|(id, text)| policy_text(id, text)));
    diff
}

fn texts(policies: &[PolicyInfo]) -> BTreeMap<&str, &str> {
    policies.iter().map(|policy| (policy.id.as_str(), policy.text.as_str())).collect()
}

fn policy_text(id: &str, text: &str) -> PolicyText {
    PolicyText { id: id.to_owned(), text: text.to_owned() }
}

/// A question that another set answers otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Changed {
    /// The question.
    pub question: PlainQuestion,
    /// What was answered.
    pub was: PlainAnswer,
    /// What the other set answers.
    pub becomes: PlainAnswer,
}

/// Asks another set the same questions; gives those that it decides otherwise. Other reasons for the same decision
/// don't count.
pub fn replay<'a>(asked: impl IntoIterator<Item = &'a (Question, Answer)>, new: &dyn PolicyEngine) -> Vec<Changed> {
    let mut changed = Vec::new();
    for (question, was) in asked {
        let becomes = new.decide(question);
        if becomes.allowed() != was.allowed() {
            changed.push(Changed { question: question.into(), was: was.into(), becomes: (&becomes).into() });
        }
    }
    changed
}
