//! What a request declares in `authorization_details` (RFC 9396): its task, or to whom it wants to hand on authority.
//! Read strictly: what isn't understood in full is refused, never passed over.
//!
//! Stock clients know no such parameter and ask for every scope that a server offers. For them a task may stand in the
//! scope or be implied, and of what they ask for they get the part that is held (RFC 6749 §3.3). The record and the
//! answer say both.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tenure_core::base::id::IdentityId;
use tenure_core::base::problem::Reason;
use tenure_core::base::uri;
use tenure_core::credential::gate::{Held, Standing};
use tenure_core::inventory::resource::Resource;
use tenure_credentials::token::TASK_DETAIL;

use crate::kernel::error::OpError;

/// The type of a detail that hands authority on.
pub const DELEGATION_DETAIL: &str = "tenure_delegation";
/// The parameter.
pub(crate) const PARAMETER: &str = "authorization_details";
const MAX_BYTES: usize = 8_192;
const MAX_ACTIONS: usize = 32;
const MAX_TEXT: usize = 64;

/// What stands before a task's name in a scope.
const TASK_SCOPE: &str = "task:";
/// The most actions that are noted of a scope that asked for more than is held.
const MAX_NOTED: usize = 32;
/// The most words of a scope; a resource knows 64 actions.
const MAX_SCOPE: usize = 128;

/// The types of details that the token endpoint understands.
pub const DETAIL_TYPES: &[&str] = &[TASK_DETAIL, DELEGATION_DETAIL];

/// What a request declares.
#[derive(Debug, Default)]
pub(crate) struct Intent {
    pub task: Option<TaskDetail>,
    pub delegation: Option<DelegationDetail>,
}

/// For which task a credential is wanted, and for how much of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskDetail {
    pub task: String,
    #[serde(default)]
    locations: Vec<String>,
    #[serde(default)]
    actions: Vec<String>,
}

/// To whom authority is handed on, and how much of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DelegationDetail {
    pub actor: IdentityId,
    #[serde(default)]
    locations: Vec<String>,
    #[serde(default)]
    pub actions: Vec<String>,
    #[serde(default)]
    pub task: Option<String>,
}

impl Intent {
    /// Reads the parameter; nothing is declared without it.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, OpError> {
        let mut intent = Self::default();
        let Some(text) = text else { return Ok(intent) };
        let malformed = || {
            wrong(
                PARAMETER,
                "details_malformed",
                "give a JSON array of objects, each with a type, of at most 8192 bytes",
            )
        };
        if text.len() > MAX_BYTES {
            return Err(malformed());
        }
        let details: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|_| malformed())?;
        if details.is_empty() {
            return Err(malformed());
        }
        for (n, mut detail) in details.into_iter().enumerate() {
            let field = format!("{PARAMETER}[{n}]");
            let kind = detail.remove("type");
            match kind.as_ref().and_then(Value::as_str) {
                Some(TASK_DETAIL) if intent.task.is_none() => intent.task = Some(read(&field, detail)?),
                Some(DELEGATION_DETAIL) if intent.delegation.is_none() => {
                    intent.delegation = Some(read(&field, detail)?)
                }
                Some(TASK_DETAIL | DELEGATION_DETAIL) => {
                    return Err(wrong(&field, "detail_twice", "give each type at most once"));
                }
                _ => {
                    let hint = format!("use a type of {}", DETAIL_TYPES.join(", "));
                    return Err(wrong(&format!("{field}.type"), "detail_type_unknown", &hint));
                }
            }
        }
        intent.check()?;
        Ok(intent)
    }

    fn check(&self) -> Result<(), OpError> {
        if self.task.is_some() && self.delegation.is_some() {
            let hint = "of a delegation, the task stands in the tenure_delegation itself";
            return Err(wrong(PARAMETER, "details_conflict", hint));
        }
        let task = self.task.iter().map(|detail| (&detail.locations, &detail.actions));
        let delegation = self.delegation.iter().map(|detail| (&detail.locations, &detail.actions));
        for (locations, actions) in task.chain(delegation) {
            if locations.len() > 1 {
                return Err(wrong(PARAMETER, "locations_too_many", "name one resource: a token is for one"));
            }
            if actions.len() > MAX_ACTIONS || actions.iter().any(|action| action.is_empty() || action.len() > MAX_TEXT)
            {
                return Err(wrong(PARAMETER, "actions_malformed", "give at most 32 actions of 1 to 64 bytes"));
            }
        }
        Ok(())
    }

    /// The declared task.
    pub(crate) fn task(&self) -> Option<&str> {
        self.task.as_ref().map(|detail| detail.task.as_str())
    }

    /// The resource that is asked for: as `resource` or as a location, and if both then the same.
    pub(crate) fn resource<'a>(&'a self, parameter: Option<&'a str>) -> Result<Option<&'a str>, OpError> {
        let location = self.task.as_ref().and_then(|detail| detail.locations.first()).map(String::as_str);
        match (parameter, location) {
            (Some(parameter), Some(location)) if !uri::is_same(parameter, location) => Err(wrong(
                PARAMETER,
                "locations_conflict",
                "the location is another resource than the parameter `resource`",
            )),
            (parameter, location) => Ok(parameter.or(location)),
        }
    }

    /// The actions that are asked for: as `scope` or in the detail, and if both then those of `scope`, which the detail
    /// has to have.
    pub(crate) fn actions(&self, scope: Vec<String>) -> Result<Vec<String>, OpError> {
        let Some(detail) = self.task.as_ref().filter(|detail| !detail.actions.is_empty()) else {
            return Ok(scope);
        };
        if scope.iter().any(|action| !detail.actions.contains(action)) {
            return Err(wrong(
                PARAMETER,
                "actions_conflict",
                "the scope asks for an action that the detail doesn't have",
            ));
        }
        Ok(if scope.is_empty() { detail.actions.clone() } else { scope })
    }
}

impl DelegationDetail {
    /// The resource on which the actor is to act.
    pub(crate) fn location(&self) -> Result<&str, OpError> {
        let location = self.locations.first().map(String::as_str);
        location.ok_or_else(|| wrong(PARAMETER, "locations_missing", "name the resource on which the actor is to act"))
    }
}

/// How a request came to its task, as the record says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskBy {
    /// It stands in the details.
    Declared,
    /// It stands in the scope.
    Scope,
    /// It is the one that fits, or of several the charter's default.
    Implied,
}

impl TaskBy {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Scope => "scope",
            Self::Implied => "implied",
        }
    }
}

/// What a request asks for on its resource.
#[derive(Debug)]
pub(crate) struct Wish {
    /// The actions; what is held if empty.
    pub actions: Vec<String>,
    /// Actions that were asked for and are left out, as they are not held or not part of the task. The first of them.
    pub left_out: Vec<String>,
    /// The task, with how the request came to it.
    pub task: Option<(String, TaskBy)>,
}

impl Wish {
    /// Reads what is asked for. `held` tells whether the identity could have an action, apart from its task; `offered`
    /// is all that it could ask for.
    pub(crate) fn read(
        intent: &Intent,
        scope: Vec<String>,
        standing: &Standing<'_>,
        resource: &Resource,
        offered: &[String],
        held: impl Fn(&str) -> bool,
    ) -> Result<Self, OpError> {
        if scope.len() > MAX_SCOPE {
            return Err(wrong("scope", "scope_too_long", "ask for at most 128 actions"));
        }
        let is_task = |word: &String| word.starts_with(TASK_SCOPE) && !resource.actions.contains(word);
        let (tasks, words): (Vec<_>, Vec<_>) = scope.into_iter().partition(is_task);
        let named = match tasks.as_slice() {
            [] => None,
            [one] => one.strip_prefix(TASK_SCOPE),
            _ => {
                return Err(wrong("scope", "task_twice", "a token is for one task: name one as task:NAME"));
            }
        };
        let task = match (intent.task(), named) {
            (Some(declared), Some(named)) if declared != named => {
                return Err(wrong("scope", "task_conflict", "the scope names another task than authorization_details"));
            }
            (Some(declared), _) => Some((declared.to_owned(), TaskBy::Declared)),
            (None, Some(named)) => Some((named.to_owned(), TaskBy::Scope)),
            (None, None) => None,
        };
        // Whoever speaks in details is taken at their word.
        let is_exact = standing.charter().exact_scope || intent.task.is_some();
        let actions = intent.actions(words)?;
        let could: Vec<String> =
            if actions.is_empty() { offered } else { &actions }.iter().filter(|action| held(action)).cloned().collect();
        // Whoever asks for nothing in particular is not taken to mean the largest task.
        let best = if actions.is_empty() { 1 } else { could.len() };
        let implied =
            || standing.implied_task(&could, best, resource.id).map(|task| (task.name.clone(), TaskBy::Implied));
        let task = task.or_else(implied);
        let name = task.as_ref().map(|(name, _)| name.as_str());
        let fits =
            |action: &String| standing.intent(name).is_err() || standing.in_task(name, action, resource.id).is_ok();
        let kept: Vec<String> = could.into_iter().filter(fits).collect();
        // Where nothing is left, what was asked for is refused for what it is.
        if actions.is_empty() || is_exact || kept.is_empty() {
            return Ok(Self { actions, left_out: Vec::new(), task });
        }
        let left_out = actions.iter().filter(|action| !kept.contains(action)).take(MAX_NOTED);
        Ok(Self {
            left_out: left_out.map(|action| action.chars().take(MAX_TEXT).collect()).collect(),
            actions: kept,
            task,
        })
    }

    /// The task's name.
    pub(crate) fn task(&self) -> Option<&str> {
        self.task.as_ref().map(|(name, _)| name.as_str())
    }
}

/// Holds what an identity has against the task that it declares (R54). Where nothing in particular is asked for, what
/// the task takes is what is meant. Also tells whether it fails, for the policy to say so.
pub(crate) fn within_task(
    standing: &Standing<'_>,
    resource: &Resource,
    task: Option<&str>,
    asked: &[String],
    held: Held,
) -> (Held, Option<Reason>) {
    let in_task = |action: &String| standing.in_task(task, action, resource.id);
    if let Err(reason) = standing.intent(task) {
        return (held, Some(reason));
    }
    if let Some(reason) = asked.iter().find_map(|action| in_task(action).err()) {
        return (held, Some(reason));
    }
    let kept: Vec<String> = held.actions().iter().filter(|action| in_task(action).is_ok()).cloned().collect();
    match standing.held(resource, &kept) {
        Ok(held) if !kept.is_empty() => (held, None),
        _ => (held, Some(Reason::OutsideIntent)),
    }
}

/// What was granted of a task, as the answer says it (RFC 9396 §7).
pub(crate) fn granted_task(task: &str, resource: &Resource, actions: &[String]) -> Value {
    json!([{"type": TASK_DETAIL, "task": task, "locations": [resource.uri], "actions": actions}])
}

fn read<T: DeserializeOwned>(field: &str, detail: Map<String, Value>) -> Result<T, OpError> {
    serde_json::from_value(Value::Object(detail)).map_err(|error| wrong(field, "detail_malformed", &error.to_string()))
}

fn wrong(field: &str, code: &str, hint: &str) -> OpError {
    OpError::field(field, code, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        match Intent::parse(Some(text)) {
            Ok(_) => "read".to_owned(),
            Err(OpError::Invalid(fields)) => fields.into_iter().map(|field| field.code).collect(),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn details_are_read_strictly() {
        let actor = IdentityId::from_u128(1);
        let long = format!(r#"[{{"type":"tenure_task","task":"{}"}}]"#, "a".repeat(MAX_BYTES));
        let delegation = format!(r#"{{"type":"tenure_delegation","actor":"{actor}","locations":["https://a"]}}"#);
        for (text, expected) in [
            (r#"[{"type":"tenure_task","task":"a"}]"#, "read"),
            (r#"[{"type":"tenure_task","task":"a","locations":["https://a"],"actions":["read"]}]"#, "read"),
            (&format!("[{delegation}]"), "read"),
            ("", "details_malformed"),
            ("{}", "details_malformed"),
            ("[]", "details_malformed"),
            ("[1]", "details_malformed"),
            (&long, "details_malformed"),
            (r#"[{"task":"a"}]"#, "detail_type_unknown"),
            (r#"[{"type":1}]"#, "detail_type_unknown"),
            (r#"[{"type":"payment_initiation"}]"#, "detail_type_unknown"),
            (r#"[{"type":"tenure_task"}]"#, "detail_malformed"),
            (r#"[{"type":"tenure_task","task":"a","privileges":["admin"]}]"#, "detail_malformed"),
            (r#"[{"type":"tenure_task","task":["a"]}]"#, "detail_malformed"),
            (r#"[{"type":"tenure_delegation","actor":"per_1"}]"#, "detail_malformed"),
            (r#"[{"type":"tenure_task","task":"a"},{"type":"tenure_task","task":"b"}]"#, "detail_twice"),
            (&format!(r#"[{{"type":"tenure_task","task":"a"}},{delegation}]"#), "details_conflict"),
            (r#"[{"type":"tenure_task","task":"a","locations":["https://a","https://b"]}]"#, "locations_too_many"),
            (r#"[{"type":"tenure_task","task":"a","actions":[""]}]"#, "actions_malformed"),
        ] {
            assert_eq!(code(text), expected, "{}", text.get(..80).unwrap_or(text));
        }
        assert!(Intent::parse(None).unwrap().task().is_none());
    }

    #[test]
    fn what_is_said_twice_has_to_agree() {
        let intent =
            Intent::parse(Some(r#"[{"type":"tenure_task","task":"a","locations":["https://a"],"actions":["read"]}]"#))
                .unwrap();
        assert_eq!(intent.resource(None).unwrap(), Some("https://a"));
        assert!(intent.resource(Some("https://a")).is_ok() && intent.resource(Some("https://b")).is_err());
        assert_eq!(intent.actions(vec![]).unwrap(), ["read"]);
        assert!(intent.actions(vec!["read".into()]).is_ok() && intent.actions(vec!["write".into()]).is_err());
    }
}
