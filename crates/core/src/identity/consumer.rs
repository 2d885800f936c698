//! Shared identities (R105): debt with an end, of which each consumer is told apart by a binding of its own.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::identity::checker::{Checker, check_claims};
use crate::identity::workload::WorkloadBinding;

/// Consumers of one identity that can have a binding of their own.
pub const MAX_CONSUMER_BINDINGS: usize = 16;
/// The longest name of a consumer that has one, in bytes.
const MAX_NAME: usize = 200;

/// A shared identity is debt: who uses it, and how that ends (R105).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// Who uses it.
    pub consumers: Vec<String>,
    /// How each gets an identity of its own.
    pub migration_plan: String,
    /// How each of them proves itself apart from the others. The charter's own binding is left to those without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<ConsumerBinding>,
}

/// How one consumer of a shared identity proves itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsumerBinding {
    /// Which of the consumers.
    pub consumer: String,
    /// By its own key, its own certificate, or its own claims in an issuer's tokens.
    pub binding: WorkloadBinding,
}

impl Shared {
    /// The consumers that have no binding of their own: who proves itself by the charter's own is one of them.
    pub fn untold(&self) -> impl Iterator<Item = &String> {
        let has_own = |name: &String| self.bindings.iter().any(|bound| bound.consumer == *name);
        self.consumers.iter().filter(move |name| !has_own(name))
    }

    /// Whether this lets nobody use it whom another one doesn't let, or by another proof.
    pub(super) fn narrows(&self, from: &Self) -> bool {
        self.migration_plan == from.migration_plan
            && self.consumers.iter().all(|consumer| from.consumers.contains(consumer))
            && self.bindings.iter().all(|bound| from.bindings.contains(bound))
    }

    pub(super) fn check(&self, check: &mut Checker) {
        check.list("shared.consumers", &self.consumers);
        // The last one that is told apart may be left: its others have ended.
        if self.consumers.is_empty() || (self.consumers.len() == 1 && self.bindings.is_empty()) {
            check.wrong(
                "shared.consumers",
                "consumers_missing",
                "list who uses it; for a single consumer leave out `shared`",
            );
        }
        let _ = check.text(
            "shared.migration_plan",
            "migration_plan",
            Some(&self.migration_plan),
            "say how each consumer gets an identity of its own",
        );
        if self.bindings.len() > MAX_CONSUMER_BINDINGS {
            check.wrong("shared.bindings", "too_many", "use at most 16 items");
            return;
        }
        let mut named = BTreeSet::new();
        for (n, bound) in self.bindings.iter().enumerate() {
            let at = |member: &str| format!("shared.bindings[{n}].{member}");
            let fits = bound.consumer.len() <= MAX_NAME && self.consumers.contains(&bound.consumer);
            if !fits || !named.insert(&bound.consumer) {
                let hint = "name each of the consumers once, in at most 200 bytes";
                check.wrong(&at("consumer"), "consumer_unknown", hint);
            }
            let hint = "name the intended workload";
            let _ = check.text(&at("binding.workload"), "workload", Some(bound.binding.workload()), hint);
            match &bound.binding {
                WorkloadBinding::PublicKey { .. } | WorkloadBinding::Certificate { .. } => {}
                WorkloadBinding::Oidc { claims, .. } => check_claims(check, &at("binding.claims"), claims),
                WorkloadBinding::JoinToken { .. }
                | WorkloadBinding::Account { .. }
                | WorkloadBinding::DirectoryUser { .. } => check.wrong(
                    &at("binding.type"),
                    "binding_not_of_consumer",
                    "a consumer proves itself by public_key, certificate or oidc",
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::CharterDraft;

    fn shared(consumers: &[&str], bound: &[&str]) -> Shared {
        let key =
            |name: &&str| json!({"consumer": name, "binding": {"type": "public_key", "workload": name, "jwk": {}}});
        let bindings: Vec<_> = bound.iter().map(key).collect();
        serde_json::from_value(json!({"consumers": consumers, "migration_plan": "split", "bindings": bindings}))
            .unwrap()
    }

    #[test]
    fn r105_fewer_consumers_and_fewer_proofs_are_narrower() {
        let from = shared(&["a", "b", "c"], &["a", "b"]);
        assert!(shared(&["b", "c"], &["b"]).narrows(&from) && shared(&["a", "b", "c"], &[]).narrows(&from));
        assert!(!shared(&["a", "d"], &["a"]).narrows(&from), "another consumer");
        assert!(!shared(&["a", "b", "c"], &["c"]).narrows(&from), "another proof");
        let untold: Vec<&String> = from.untold().collect();
        assert_eq!(untold, ["c"]);
    }

    #[test]
    fn r105_a_consumer_is_named_once_and_proves_itself() {
        let codes = |shared: Shared| {
            let charter = CharterDraft { shared: Some(shared), ..CharterDraft::default() };
            let problems = charter
                .complete(crate::identity::Kind::Workload, crate::base::time::Timestamp::from_secs(0))
                .unwrap_err();
            let of_it = problems.into_iter().filter(|problem| problem.field.starts_with("charter.shared"));
            of_it.map(|problem| problem.code).collect::<Vec<_>>()
        };
        assert!(codes(shared(&["a", "b"], &["a"])).is_empty() && codes(shared(&["a"], &["a"])).is_empty());
        assert_eq!(codes(shared(&["a"], &[])), ["consumers_missing"]);
        assert_eq!(codes(shared(&["a", "b"], &["a", "a"])), ["consumer_unknown"]);
        assert_eq!(codes(shared(&["a", "b"], &["c"])), ["consumer_unknown"]);
        let many: Vec<String> = (0..17).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(codes(shared(&many, &many)), ["too_many"]);
    }
}
