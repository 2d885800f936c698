//! What each kind's charter must say besides what every charter says (R9–R13, R18, R36, R37), and the bounds of use
//! that any may name.
//!
//! Here stands what the charter alone tells. What it takes the directory for (a vendor's contract, where people sign
//! in, an agent's end seen from today) is checked with the references.

use crate::base::time::{Span, Timestamp};
use crate::identity::checker::Checker;
use crate::identity::delegation::{MAX_DEPTH, within};
use crate::identity::{CharterDraft, Hours, Kind, Usage, WorkloadBinding};
use crate::inventory::entitlement::Entitlement;

/// The longest life of an agent's credential.
const AGENT_CREDENTIAL_TTL: Span = Span::from_mins(15);
/// The longest that an agent lives from the moment that its end is set or moved.
const AGENT_LIFE: Span = Span::from_days(30);
/// Claims of CI platforms that name the repository of a run. A fixed id need not be listed beside the name: each proof
/// shows both, and one of the two has to be on the list then.
const REPOSITORY_CLAIMS: &[&str] = &["repository", "project_path"];
const MAX_POSTURE: usize = 64;
const MAX_TASK_NAME: usize = 64;

impl Kind {
    /// How far ahead an identity's end may be, where the kind bounds it more than its tier.
    pub const fn max_life(self) -> Option<Span> {
        match self {
            Self::Agent => Some(AGENT_LIFE),
            _ => None,
        }
    }
}

impl Usage {
    /// Whether this is a time of use.
    pub fn in_hours(&self, at: Timestamp) -> bool {
        self.hours.as_ref().is_none_or(|hours| hours.contain(at))
    }

    /// Whether the posture that an enforcement point reports is the one that is demanded; one that reports none has not
    /// looked.
    pub fn in_posture(&self, reported: Option<&str>) -> bool {
        self.posture.as_deref().is_none_or(|demanded| reported == Some(demanded))
    }
}

/// Checks what the kind demands.
pub(super) fn check(kind: Kind, charter: &CharterDraft, check: &mut Checker) {
    if let Some(WorkloadBinding::DirectoryUser { .. }) = charter.workload_binding {
        check.wrong(
            "workload_binding",
            "binding_is_directory_user",
            "bind it to what the workload itself proves: public_key, oidc of its platform, certificate, or join_token; never to a person's directory",
        );
    }
    if let Some(usage) = &charter.usage {
        check_usage(usage, check);
    }
    check_tasks(charter, check);
    check_delegates(charter, check);
    match kind {
        Kind::ServiceAccount | Kind::Workload | Kind::Bot => {}
        Kind::Pipeline => pipeline(charter, check),
        Kind::Agent => agent(charter, check),
        Kind::Integration => integration(charter, check),
        Kind::Device => device(charter, check),
    }
}

fn check_usage(usage: &Usage, check: &mut Checker) {
    let wrong = |hours: &Hours| {
        hours.from > 23
            || !(1..=24).contains(&hours.until)
            || hours.days.len() > 7
            || hours.days.iter().any(|day| !(1..=7).contains(day))
    };
    if usage.hours.as_ref().is_some_and(wrong) {
        check.wrong(
            "usage.hours",
            "hours_malformed",
            "give from 0 to 23, until 1 to 24 (UTC), and days 1 (Monday) to 7",
        );
    }
    if let Some(posture) = &usage.posture {
        let good = !posture.is_empty()
            && posture.len() <= MAX_POSTURE
            && posture.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
        if !good {
            check.wrong(
                "usage.posture",
                "posture_malformed",
                "give the word that the enforcement point reports, e.g. compliant: 1 to 64 characters of a-z, A-Z, 0-9 and _ . : -",
            );
        }
    }
}

fn check_tasks(charter: &CharterDraft, check: &mut Checker) {
    check.list("tasks", &charter.tasks);
    if let Some(default) = &charter.default_task
        && !charter.tasks.iter().any(|task| task.name == *default)
    {
        check.wrong("default_task", "default_task_unknown", "name one of the charter's tasks, or leave it out");
    }
    for (n, task) in charter.tasks.iter().enumerate() {
        let named = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_.-".contains(&c);
        if task.name.is_empty() || task.name.len() > MAX_TASK_NAME || !task.name.bytes().all(named) {
            let hint = "use 1 to 64 characters of a-z, 0-9 and _ . - in a task's name";
            check.wrong(&format!("tasks[{n}].name"), "task_name_malformed", hint);
        } else if charter.tasks.iter().take(n).any(|other| other.name == task.name) {
            check.wrong(&format!("tasks[{n}].name"), "task_twice", "give each task a name of its own");
        }
        let _ =
            check.text(&format!("tasks[{n}].purpose"), "task_purpose", Some(&task.purpose), "say what the task is for");
        check_part(&task.scope, charter, &format!("tasks[{n}].scope"), "task", check);
    }
}

fn check_delegates(charter: &CharterDraft, check: &mut Checker) {
    check.list("delegates", &charter.delegates);
    for (n, delegate) in charter.delegates.iter().enumerate() {
        if charter.delegates.iter().take(n).any(|other| other.actor == delegate.actor) {
            let hint = "say in one delegate all that the actor may do";
            check.wrong(&format!("delegates[{n}].actor"), "delegate_twice", hint);
        }
        if usize::from(delegate.onward) >= MAX_DEPTH {
            let hint = "authority is handed on at most 4 times in all: use 0 to 3";
            check.wrong(&format!("delegates[{n}].onward"), "onward_out_of_range", hint);
        }
        check_part(&delegate.scope, charter, &format!("delegates[{n}].scope"), "delegate", check);
    }
}

/// A part of the charter's scope that something is bounded to.
fn check_part(part: &[Entitlement], charter: &CharterDraft, field: &str, what: &str, check: &mut Checker) {
    check.list(field, part);
    let empty = part.iter().any(|entitlement| entitlement.actions.is_empty());
    if part.is_empty() || empty {
        check.wrong(field, &format!("{what}_scope_missing"), "list the actions that it takes on each resource");
    } else if !within(part, &charter.scope) {
        let hint = "name only what the charter's own scope has";
        check.wrong(field, &format!("{what}_outside_scope"), hint);
    }
}

fn pipeline(charter: &CharterDraft, check: &mut Checker) {
    if charter.repositories.is_empty() {
        check.wrong("repositories", "repositories_missing", "list the repositories that it may run for");
    } else if let Some(other) = bound_repositories(charter).into_iter().find(|bound| !is_listed(charter, bound)) {
        check.wrong(
            "workload_binding.claims",
            "repository_not_permitted",
            &format!("the claims are fixed to {other}, which `repositories` doesn't list"),
        );
    }
    if charter.auto_revocation.is_empty() {
        check.wrong(
            "auto_revocation",
            "auto_revocation_missing",
            "say what revokes its credentials by itself, e.g. suspension",
        );
    }
}

/// Whether a charter lists a repository. Each proof is held to it again, as its platform compares names.
fn is_listed(charter: &CharterDraft, repository: &str) -> bool {
    charter.repositories.iter().any(|listed| listed.to_lowercase() == repository.to_lowercase())
}

/// The repositories to which the binding's claims are fixed by name.
fn bound_repositories(charter: &CharterDraft) -> Vec<String> {
    let Some(WorkloadBinding::Oidc { claims, .. }) = &charter.workload_binding else {
        return Vec::new();
    };
    REPOSITORY_CLAIMS
        .iter()
        .filter_map(|name| claims.get(*name))
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect()
}

fn agent(charter: &CharterDraft, check: &mut Checker) {
    if charter.shared.is_some() {
        check.wrong("shared", "agent_shared", "each agent has an identity of its own: register one for each");
    }
    if charter.has_wildcard() {
        check.wrong("scope", "agent_scope_unbounded", "name what the agent may do on what");
    }
    if charter.credential_ttl.is_some_and(|ttl| ttl > AGENT_CREDENTIAL_TTL) {
        check.wrong("credential_ttl", "credential_ttl_out_of_range", "an agent's credentials live at most 15m");
    }
    if charter.tasks.is_empty() {
        let hint = "declare at least one task: its name, its purpose, and which part of the scope it takes";
        check.wrong("tasks", "tasks_missing", hint);
    }
}

fn integration(charter: &CharterDraft, check: &mut Checker) {
    if charter.vendor.is_none() {
        check.wrong("vendor", "vendor_missing", "name the registered vendor that operates it");
    }
    if charter.data_domains.is_empty() {
        check.wrong("data_domains", "data_domains_missing", "list the data domains that the third party may touch");
    }
}

fn device(charter: &CharterDraft, check: &mut Checker) {
    if charter.shared.is_some() {
        check.wrong(
            "shared",
            "device_shared",
            "each device has a key and an identity of its own: register one for each",
        );
    }
    if let Some(WorkloadBinding::Oidc { .. }) = charter.workload_binding {
        check.wrong(
            "workload_binding",
            "device_without_key",
            "a device proves itself with its own key: public_key or join_token",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::base::id::{ApplicationId, IdentityId, PersonId, ResourceId, VendorId};
    use crate::base::time::Timestamp;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn charter() -> Value {
        json!({
            "owner": PersonId::from_u128(1), "purpose": "p", "environment": "prod", "application": ApplicationId::from_u128(2),
            "scope": [{"actions": ["read"], "resource": ResourceId::from_u128(3)}],
            "trust_boundary": {"type": "trust_domain", "value": "x"},
            "workload_binding": {"type": "public_key", "workload": "w", "jwk": {}},
            "expires_at": NOW.plus(Span::from_days(1)), "retirement": [{"type": "task_completed"}], "rotation_cadence": "30d",
            "coverage": "role_based",
            "parties": {"requester": PersonId::from_u128(1), "operator": "o", "beneficiary": "b"},
        })
    }

    fn codes(kind: Kind, with: &Value) -> Vec<String> {
        let mut charter = charter();
        for (name, value) in with.as_object().unwrap() {
            charter[name] = value.clone();
        }
        let charter: CharterDraft = serde_json::from_value(charter).unwrap();
        let problems = charter.complete(kind, NOW).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn each_kind_demands_its_own_facts() {
        let ci = json!({"repositories": ["acme/app"], "auto_revocation": ["suspension"]});
        let vendor = json!({"vendor": VendorId::from_u128(9), "data_domains": ["orders"]});
        let shared = json!({"consumers": ["a", "b"], "migration_plan": "split"});
        let tasks = json!([task("reconcile", "read")]);
        let oidc = |claims: Value| json!({"type": "oidc", "workload": "w", "issuer": "https://ci", "claims": claims});
        let with = |base: &Value, name: &str, value: Value| {
            let mut base = base.clone();
            base[name] = value;
            base
        };
        for (kind, with, expected) in [
            (Kind::ServiceAccount, json!({}), &[][..]),
            (Kind::Workload, json!({}), &[]),
            (Kind::Bot, json!({}), &[]),
            (Kind::Bot, json!({"owner": null}), &["owner_missing"]),
            (Kind::Agent, json!({}), &["tasks_missing"]),
            (Kind::Agent, json!({"tasks": tasks, "credential_ttl": "15m"}), &[]),
            (Kind::Agent, json!({"tasks": tasks, "credential_ttl": "16m"}), &["credential_ttl_out_of_range"]),
            (Kind::Agent, json!({"tasks": tasks, "shared": shared}), &["agent_shared"]),
            (
                Kind::Agent,
                json!({"tasks": tasks, "scope": [{"actions": ["*"], "resource": ResourceId::from_u128(3)}]}),
                &["agent_scope_unbounded"],
            ),
            (Kind::Integration, json!({}), &["vendor_missing", "data_domains_missing"]),
            (Kind::Integration, vendor, &[]),
            (Kind::Device, json!({}), &[]),
            (Kind::Device, json!({"workload_binding": {"type": "join_token", "workload": "w"}}), &[]),
            (Kind::Device, json!({"shared": shared}), &["device_shared"]),
            (Kind::Device, json!({"workload_binding": oidc(json!({"sub": "s"}))}), &["device_without_key"]),
            (Kind::Pipeline, json!({}), &["repositories_missing", "auto_revocation_missing"]),
            (Kind::Pipeline, ci.clone(), &[]),
            (Kind::Pipeline, with(&ci, "workload_binding", oidc(json!({"sub": "s", "repository": "acme/app"}))), &[]),
            (
                Kind::Pipeline,
                with(&ci, "workload_binding", oidc(json!({"sub": "s", "repository": "acme/other"}))),
                &["repository_not_permitted"],
            ),
            (
                Kind::Pipeline,
                with(&ci, "workload_binding", oidc(json!({"repository": "acme/app", "repository_id": "7"}))),
                &[],
            ),
        ] {
            assert_eq!(codes(kind, &with), expected, "{kind:?} {with}");
        }
        for kind in Kind::ALL {
            let user = json!({"workload_binding": {"type": "directory_user", "workload": "w", "user": "ada"}});
            assert!(codes(*kind, &user).contains(&"binding_is_directory_user".to_owned()), "{kind:?}");
        }
    }

    fn task(name: &str, action: &str) -> Value {
        json!({"name": name, "purpose": "p", "scope": [{"actions": [action], "resource": ResourceId::from_u128(3)}]})
    }

    #[test]
    fn tasks_and_delegates_stay_inside_the_scope() {
        let delegate = |actor: u128, action: &str, onward: u8| {
            let scope = json!([{"actions": [action], "resource": ResourceId::from_u128(3)}]);
            json!({"actor": IdentityId::from_u128(actor), "scope": scope, "onward": onward})
        };
        let many: Vec<Value> = (0..33).map(|n| delegate(n, "read", 0)).collect();
        for (with, expected) in [
            (json!({"tasks": [task("a.b-c_1", "read"), task("d", "read")]}), &[][..]),
            (json!({"tasks": [task("Upper", "read")]}), &["task_name_malformed"]),
            (json!({"tasks": [task("", "read")]}), &["task_name_malformed"]),
            (json!({"tasks": [task("a", "read"), task("a", "read")]}), &["task_twice"]),
            (json!({"tasks": [task("a", "write")]}), &["task_outside_scope"]),
            (json!({"tasks": [task("a", "read")], "default_task": "a"}), &[]),
            (json!({"tasks": [task("a", "read")], "default_task": "b"}), &["default_task_unknown"]),
            (json!({"default_task": "a"}), &["default_task_unknown"]),
            (
                json!({"tasks": [{"name": "a", "purpose": " ", "scope": []}]}),
                &["task_purpose_missing", "task_scope_missing"],
            ),
            (json!({"delegates": [delegate(1, "read", 3), delegate(2, "read", 0)]}), &[]),
            (json!({"delegates": [delegate(1, "read", 4)]}), &["onward_out_of_range"]),
            (json!({"delegates": [delegate(1, "read", 0), delegate(1, "read", 0)]}), &["delegate_twice"]),
            (json!({"delegates": [delegate(1, "write", 0)]}), &["delegate_outside_scope"]),
            (json!({"delegates": many}), &["too_many"]),
        ] {
            assert_eq!(codes(Kind::Workload, &with), expected, "{with}");
        }
    }

    #[test]
    fn bounds_of_use_are_well_formed() {
        for (usage, good) in [
            (json!({"hours": {"from": 8, "until": 18, "days": [1, 5]}, "posture": "compliant"}), true),
            (json!({"hours": {"from": 22, "until": 6}}), true),
            (json!({"hours": {"from": 24, "until": 6}}), false),
            (json!({"hours": {"from": 0, "until": 0}}), false),
            (json!({"hours": {"from": 0, "until": 25}}), false),
            (json!({"hours": {"from": 0, "until": 24, "days": [0]}}), false),
            (json!({"hours": {"from": 0, "until": 24, "days": [8]}}), false),
            (json!({"posture": ""}), false),
            (json!({"posture": "with space"}), false),
        ] {
            assert_eq!(codes(Kind::Workload, &json!({"usage": usage})).is_empty(), good, "{usage}");
        }
    }

    #[test]
    fn hours_wrap_midnight_and_belong_to_the_day_on_which_they_began() {
        let hours = |from, until, days: &[u8]| crate::identity::Hours { from, until, days: days.to_vec() };
        // 2023-11-14 was a Tuesday.
        let at = |day: i64, hour: i64| Timestamp::from_secs(1_699_920_000 + day * 86_400 + hour * 3_600);
        assert!(hours(8, 18, &[2]).contain(at(0, 8)) && hours(8, 18, &[2]).contain(at(0, 17)));
        assert!(
            !hours(8, 18, &[2]).contain(at(0, 18))
                && !hours(8, 18, &[2]).contain(at(1, 9))
                && !hours(8, 18, &[2]).contain(at(0, 7))
        );
        let night = hours(22, 6, &[2]);
        assert!(night.contain(at(0, 23)) && night.contain(at(1, 5)));
        assert!(!night.contain(at(0, 5)) && !night.contain(at(1, 6)) && !night.contain(at(1, 23)));
        assert!(hours(0, 24, &[]).contain(at(3, 0)) && hours(0, 24, &[]).contain(at(3, 23)));
    }
}
