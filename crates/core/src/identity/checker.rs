//! What the checks of a charter's parts share: what is wrong, where, and how much of each there may be.

use std::collections::BTreeMap;

use crate::base::problem::FieldProblem;

pub(super) const MAX_TEXT: usize = 1_000;
/// What a list of a charter holds, at most.
pub const MAX_ITEMS: usize = 32;

/// What is wrong with a charter, as it is found.
#[derive(Default)]
pub(super) struct Checker(pub(super) Vec<FieldProblem>);

impl Checker {
    pub(super) fn wrong(&mut self, field: &str, code: &str, hint: &str) {
        self.0.push(FieldProblem::new(format!("charter.{field}"), code, hint));
    }

    pub(super) fn text(&mut self, field: &str, code: &str, value: Option<&str>, hint: &str) -> String {
        match value.map(str::trim) {
            None | Some("") => self.wrong(field, &format!("{code}_missing"), hint),
            Some(text) if text.len() > MAX_TEXT => {
                self.wrong(field, &format!("{code}_too_long"), "use at most 1000 bytes")
            }
            Some(text) => return text.to_owned(),
        }
        String::new()
    }

    pub(super) fn present<T>(&mut self, field: &str, code: &str, value: Option<T>, hint: &str) -> Option<T> {
        if value.is_none() {
            self.wrong(field, code, hint);
        }
        value
    }

    pub(super) fn list<T>(&mut self, field: &str, items: &[T]) {
        if items.len() > MAX_ITEMS {
            self.wrong(field, "too_many", "use at most 32 items");
        }
    }
}

/// Checks the claims that a binding fixes. Which of them identify the workload is the issuer's to say, and checked with the
/// references.
pub(super) fn check_claims(check: &mut Checker, field: &str, claims: &BTreeMap<String, serde_json::Value>) {
    if claims.is_empty() {
        check.wrong(field, "claims_missing", "fix the claims that name the workload to exact values");
    }
    let exact = |value: &serde_json::Value| value.is_string() || value.is_boolean() || value.is_i64() || value.is_u64();
    if claims.len() > MAX_ITEMS
        || !claims.keys().all(|name| crate::trust::claim::is_name(name))
        || !claims.values().all(exact)
    {
        let hint =
            "give at most 32 claims by name (inner ones as outer/inner), each a text, a whole number or a truth value";
        check.wrong(field, "claims_malformed", hint);
    }
}
