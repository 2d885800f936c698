//! A table of cases that a set of policies must answer, kept as JSON.
//!
//! ```json
//! {
//!   "entities": { "olga": { "type": "Person", "attributes": { "roles": ["owner"], "active": true } },
//!                 "payroll": { "type": "Inventory", "attributes": { "kind": "identity", "environment": "production" } } },
//!   "contexts": { "suspend": { "owns": false } },
//!   "cases": [ { "name": "an owner stops what is theirs", "principal": "olga", "action": "suspend", "resource": "payroll",
//!                "context": { "owns": true }, "expect": "allow", "because": ["disable"] } ]
//! }
//! ```
//!
//! `contexts` holds what an action's context is unless a case says otherwise, so that a case shows only what it is
//! about. An entity's key is its id.

use std::collections::BTreeMap;

use serde::Deserialize;
use tenure_core::policy::{Action, Answer, Attributes, Entity, EntityType, PolicyEngine, Question, Value};

use crate::plain::{Plain, PlainAttributes};
use crate::shape::entity_type;

/// The attributes that Tenure sends, of entities and of contexts.
pub(crate) const ATTRIBUTES: &[&str] = &[
    "action",
    "actions",
    "active",
    "addressed",
    "age_secs",
    "application",
    "applications",
    "blast",
    "cap",
    "charter_complete",
    "checks",
    "class",
    "compensated",
    "confirmed",
    "contractor",
    "credential_type",
    "data_domains",
    "depth",
    "duration_secs",
    "environment",
    "fast_onboarding",
    "fills",
    "first_use",
    "format",
    "fresh",
    "in_data_domains",
    "in_hours",
    "in_intent",
    "in_kinds",
    "in_posture",
    "in_scope",
    "in_subjects",
    "in_transfer",
    "kind",
    "live_grant",
    "matter",
    "method",
    "need_verified",
    "owner",
    "owner_active",
    "owns",
    "place",
    "placed_by_self",
    "production",
    "resources",
    "roles",
    "same_person",
    "second_instance",
    "sender_constrained",
    "shared",
    "single_person",
    "state",
    "teams",
    "templated",
    "through_agent",
    "tier",
    "ttl_secs",
    "type",
    "vendor",
    "waived",
    "weaker_credential",
    "wildcard_scope",
    "within_bounds",
];

/// The answer that a case wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
}

/// A question and the answer it must get.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What the case shows, in words; unique in its file.
    pub name: String,
    /// What is asked.
    pub question: Question,
    /// What must come out.
    pub expect: Expect,
    /// The policies that must determine it, by their ids and sorted: all of them and no others. Empty for a denial
    /// because nothing permits.
    pub because: Vec<String>,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<'a> {
    /// The case.
    pub case: &'a Case,
    /// The answer it got.
    pub answer: Answer,
}

impl Outcome<'_> {
    /// Whether the answer is the one that the case wants, for the same reasons and without an error.
    pub fn passed(&self) -> bool {
        let answer = &self.answer;
        !answer.errored()
            && answer.allowed() == (self.case.expect == Expect::Allow)
            && answer.policies() == self.case.because
    }
}

/// A file of cases was not understood.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// It is not JSON of the right form; the source says where.
    #[error("the cases are not in the expected form")]
    Form(#[source] serde_json::Error),
    /// Something in it is unknown, of the wrong type or there twice.
    #[error("{place}: {what}")]
    Content {
        /// The case, entity or context.
        place: String,
        /// What is wrong.
        what: String,
    },
}

/// Reads a file of cases.
///
/// # Errors
/// [`CasesError`] for the first thing that is not understood.
pub fn parse(text: &str) -> Result<Vec<Case>, CasesError> {
    let file: CaseFile = serde_json::from_str(text).map_err(CasesError::Form)?;
    let mut entities = BTreeMap::new();
    for (id, plain) in &file.entities {
        let place = format!("entity `{id}`");
        let attributes = attributes(&place, &plain.attributes)?;
        entities.insert(id.as_str(), Entity { kind: kind(&place, &plain.kind)?, id: id.clone(), attributes });
    }
    let mut contexts = BTreeMap::new();
    for (name, plain) in &file.contexts {
        let place = format!("context `{name}`");
        contexts.insert(action(&place, name)?, attributes(&place, plain)?);
    }
    let mut cases: Vec<Case> = Vec::new();
    for plain in file.cases {
        let place = format!("case `{}`", plain.name);
        let find =
            |id: &str| entities.get(id).cloned().ok_or_else(|| wrong(&place, format!("no entity is called `{id}`")));
        if cases.iter().any(|case| case.name == plain.name) {
            return Err(wrong(&place, "two cases have this name"));
        }
        let action = action(&place, &plain.action)?;
        let mut context = contexts.get(&action).cloned().unwrap_or_default();
        context.extend(attributes(&place, &plain.context)?);
        let question =
            Question { principal: find(&plain.principal)?, action, resource: find(&plain.resource)?, context };
        let mut because = plain.because;
        because.sort_unstable();
        cases.push(Case { name: plain.name, question, expect: plain.expect, because });
    }
    Ok(cases)
}

/// Asks every case's question.
pub fn run<'a>(policy: &dyn PolicyEngine, cases: &'a [Case]) -> Vec<Outcome<'a>> {
    cases.iter().map(|case| Outcome { case, answer: policy.decide(&case.question) }).collect()
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    entities: BTreeMap<String, CaseEntity>,
    #[serde(default)]
    contexts: BTreeMap<String, PlainAttributes>,
    cases: Vec<NamedCase>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct CaseEntity {
    #[serde(rename = "type")]
    kind: String,
    attributes: PlainAttributes,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct NamedCase {
    name: String,
    principal: String,
    action: String,
    resource: String,
    #[serde(default)]
    context: PlainAttributes,
    expect: Expect,
    #[serde(default)]
    because: Vec<String>,
}

fn attributes(place: &str, plain: &PlainAttributes) -> Result<Attributes, CasesError> {
    let mut all = Attributes::new();
    for (name, value) in plain {
        let name =
            attribute(name).ok_or_else(|| wrong(place, format!("`{name}` is no attribute that Tenure sends")))?;
        all.insert(name, sent(place, value)?);
    }
    Ok(all)
}

/// The attribute of that name, if Tenure sends one.
pub(crate) fn attribute(name: &str) -> Option<&'static str> {
    ATTRIBUTES.iter().find(|known| **known == name).copied()
}

fn sent(place: &str, value: &Plain) -> Result<Value, CasesError> {
    Ok(match value {
        Plain::Bool(value) => Value::Bool(*value),
        Plain::Long(value) => Value::Long(*value),
        Plain::Text(text) => Value::Text(text.clone()),
        Plain::Set(texts) => Value::Set(texts.clone()),
        Plain::Entity { kind: name, id } => Value::Entity(kind(place, name)?, id.clone()),
    })
}

fn kind(place: &str, name: &str) -> Result<EntityType, CasesError> {
    entity_type(name).ok_or_else(|| wrong(place, format!("`{name}` is no entity type")))
}

fn action(place: &str, name: &str) -> Result<Action, CasesError> {
    let found = Action::ALL.iter().find(|action| action.as_str() == name);
    found.copied().ok_or_else(|| wrong(place, format!("`{name}` is no action")))
}

fn wrong(place: &str, what: impl Into<String>) -> CasesError {
    CasesError::Content { place: place.to_owned(), what: what.into() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ATTRIBUTES;

    #[test]
    fn the_attributes_are_those_of_the_schema() {
        let lines = crate::SCHEMA.lines().filter(|line| !line.trim_start().starts_with("//"));
        let words = lines
            .flat_map(str::split_whitespace)
            .filter_map(|word| word.strip_suffix(':'))
            .map(|word| word.trim_end_matches('?'));
        let scope = ["principal", "resource", "context"];
        let declared: BTreeSet<&str> = words.filter(|word| !scope.contains(word)).collect();
        assert_eq!(declared, ATTRIBUTES.iter().copied().collect());
    }
}
