//! Answering questions.

#[cfg(test)]
mod mutants;

use std::collections::HashMap;

use aws_lc_rs::digest;
use cedar_policy::{AuthorizationError, Authorizer, Decision, Request, Response};
use parking_lot::RwLock;
use tenure_core::policy::{Action, Answer, Attributes, PolicyEngine, Question, Value};

use crate::plain::PlainQuestion;
use crate::problem::PolicySetError;
use crate::set::{ControlPoint, Loaded, PolicyInfo, load};
use crate::{DEFAULT_POLICIES, SCHEMA};

/// Answers in each of two generations of [`Memo`]; with [`MAX_KEPT_TEXT`] both are some 20 MB at most.
const MAX_KEPT: usize = 4_096;
/// The longest question that is kept, in bytes of text.
const MAX_KEPT_TEXT: usize = 1_024;

/// A valid set of policies, parsed once and asked from any thread.
#[derive(Debug)]
pub struct CedarPolicy {
    version: String,
    set: Loaded,
    authorizer: Authorizer,
    /// The answers given so far. An answer follows from its question and the set alone, and a `CedarPolicy` has one set
    /// for life.
    answers: RwLock<Memo>,
}

/// The answers given lately: when the newer generation is full, the older one goes.
#[derive(Debug, Default)]
struct Memo {
    newer: HashMap<Question, Answer>,
    older: HashMap<Question, Answer>,
}

impl Memo {
    fn get(&self, question: &Question) -> Option<&Answer> {
        self.newer.get(question).or_else(|| self.older.get(question))
    }

    fn keep(&mut self, question: Question, answer: Answer) {
        if self.newer.len() >= MAX_KEPT {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(question, answer);
    }

    /// At most [`MAX_KEPT`], each question once, in a stable order.
    fn recent(&self) -> Vec<(Question, Answer)> {
        let older = self.older.iter().filter(|(question, _)| !self.newer.contains_key(question));
        let both = self.newer.iter().chain(older).take(MAX_KEPT);
        let mut recent: Vec<(Question, Answer)> =
            both.map(|(question, answer)| (question.clone(), answer.clone())).collect();
        recent.sort_by_cached_key(|(question, _)| PlainQuestion::from(question).to_string());
        recent
    }
}

impl CedarPolicy {
    /// Reads a set of policies.
    ///
    /// # Errors
    /// [`PolicySetError`] names everything that is wrong with either text: syntax, what strict validation finds
    /// (its warnings too), a policy without an `@id` of its own, a template, an action or entity type of Tenure
    /// that the schema lacks.
    pub fn load(schema: &str, policies: &str) -> Result<Self, PolicySetError> {
        let set = load(schema, policies)?;
        Ok(Self { version: version(schema, policies), set, authorizer: Authorizer::new(), answers: RwLock::default() })
    }

    /// Reads a set of policies over Tenure's own schema.
    ///
    /// # Errors
    /// As [`CedarPolicy::load`].
    pub fn with_policies(policies: &str) -> Result<Self, PolicySetError> {
        Self::load(SCHEMA, policies)
    }

    /// The default set.
    ///
    /// # Errors
    /// None in a build whose tests pass.
    pub fn default_set() -> Result<Self, PolicySetError> {
        Self::with_policies(DEFAULT_POLICIES)
    }

    /// The policies of the set, by their ids.
    pub fn policies(&self) -> &[PolicyInfo] {
        &self.set.policies
    }

    #[cfg(feature = "solver")]
    pub(crate) const fn set(&self) -> &Loaded {
        &self.set
    }

    /// What the policies say, or nothing if the question does not fit the schema.
    fn ask(&self, question: &Question) -> Option<Response> {
        let Loaded { types, shapes, points, .. } = &self.set;
        let ControlPoint { uid: action, policies, entities, form } = points.get(&question.action)?;
        if !form.fits(question, shapes) {
            return None;
        }
        let principal = types.uid(question.principal.kind, &question.principal.id);
        let resource = types.uid(question.resource.kind, &question.resource.id);
        let known =
            [types.entity(principal.clone(), &question.principal), types.entity(resource.clone(), &question.resource)];
        let entities = entities.clone().add_entities(known, None).ok()?;
        let context = types.context(&question.context);
        let request = Request::new(principal, action.clone(), resource, context, None).ok()?;
        Some(self.authorizer.is_authorized(&request, policies, &entities))
    }
}

impl PolicyEngine for CedarPolicy {
    fn decide(&self, question: &Question) -> Answer {
        if let Some(answer) = self.answers.read().get(question) {
            return answer.clone();
        }
        let answer = self.evaluate(question);
        if text_bytes(question) <= MAX_KEPT_TEXT {
            self.answers.write().keep(question.clone(), answer.clone());
        }
        answer
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn recent(&self) -> Vec<(Question, Answer)> {
        self.answers.read().recent()
    }
}

impl CedarPolicy {
    /// Decides without keeping the answer.
    pub(crate) fn evaluate(&self, question: &Question) -> Answer {
        let version = self.version.clone();
        match self.ask(question) {
            Some(response) => answer(question.action, &response, version),
            None => said(false, true, version, Vec::new()),
        }
    }
}

/// How much text a question brings with it: what callers can make long.
fn text_bytes(question: &Question) -> usize {
    let values = |attributes: &Attributes| {
        let bytes = attributes.values().map(|value| match value {
            Value::Bool(_) | Value::Long(_) => 0,
            Value::Text(text) | Value::Entity(_, text) => text.len(),
            Value::Set(texts) => texts.iter().map(String::len).sum(),
        });
        bytes.sum::<usize>()
    };
    let (principal, resource) = (&question.principal, &question.resource);
    principal.id.len()
        + values(&principal.attributes)
        + resource.id.len()
        + values(&resource.attributes)
        + values(&question.context)
}

/// A policy that fails denies what enables. For what disables, Cedar's own way is the right one (S-9): it leaves
/// failing policies out, so that a broken `forbid` stands in nobody's way and a broken `permit` gives nothing.
fn answer(action: Action, response: &Response, version: String) -> Answer {
    let diagnostics = response.diagnostics();
    let errored = diagnostics.errors().next().is_some();
    let permitted = response.decision() == Decision::Allow;
    let allowed = permitted && (!errored || action.disables());
    let mut policies: Vec<String> = Vec::new();
    // Permits did not determine a denial that is due to an error: the failing policies did.
    if allowed == permitted {
        policies.extend(diagnostics.reason().map(ToString::to_string));
    }
    if !allowed {
        policies.extend(diagnostics.errors().map(failing));
    }
    policies.sort_unstable();
    policies.dedup();
    said(allowed, errored, version, policies)
}

#[expect(clippy::disallowed_methods, reason = "here the policy engine answers")]
const fn said(allowed: bool, errored: bool, version: String, policies: Vec<String>) -> Answer {
    Answer::by_engine(allowed, errored, version, policies)
}

fn failing(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id().to_string()
}

/// The hash of one text after the other, as `cat schema policies | sha256sum` prints it. Where the one ends and the
/// other begins need not be marked: nothing but blanks and comments is valid in both.
fn version(schema: &str, policies: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(schema.as_bytes());
    context.update(policies.as_bytes());
    let hex = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}
