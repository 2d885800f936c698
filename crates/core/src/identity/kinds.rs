//! What each kind's charter must say besides what every charter says (R9–R13, R18, R36, R37), and the bounds of use that any may name.
//!
//! Here stands what the charter alone tells. What it takes the directory for (a vendor's contract, where people sign in, an agent's
//! end seen from today) is checked with the references.

use super::charter::Checker;
use super::{CharterDraft, Hours, Kind, Usage, WorkloadBinding};
use crate::time::{Span, Timestamp};

/// The longest life of an agent's credential.
const AGENT_CREDENTIAL_TTL: Span = Span::from_mins(15);
/// The longest that an agent lives from the moment that its end is set or moved.
const AGENT_LIFE: Span = Span::from_days(30);
/// Claims of CI platforms that name the repository of a run.
const REPOSITORY_CLAIMS: &[&str] = &["repository", "repository_id", "project_path"];
const MAX_POSTURE: usize = 64;

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

    /// Whether the posture that an enforcement point reports is the one that is demanded; one that reports none has not looked.
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
            "bind it to what the workload itself proves: public_key, oidc of its platform, or join_token; never to a person's directory",
        );
    }
    if let Some(usage) = &charter.usage {
        check_usage(usage, check);
    }
    match kind {
        Kind::ServiceAccount | Kind::Workload | Kind::Bot => {}
        Kind::Pipeline => pipeline(charter, check),
        Kind::Agent => agent(charter, check),
        Kind::Integration => integration(charter, check),
        Kind::Device => device(charter, check),
    }
}

fn check_usage(usage: &Usage, check: &mut Checker) {
    let wrong =
        |hours: &Hours| hours.from > 23 || !(1..=24).contains(&hours.until) || hours.days.len() > 7 || hours.days.iter().any(|day| !(1..=7).contains(day));
    if usage.hours.as_ref().is_some_and(wrong) {
        check.wrong(
            "usage.hours",
            "hours_malformed",
            "give from 0 to 23, until 1 to 24 (UTC), and days 1 (Monday) to 7",
        );
    }
    if let Some(posture) = &usage.posture {
        let good = !posture.is_empty() && posture.len() <= MAX_POSTURE && posture.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
        if !good {
            check.wrong(
                "usage.posture",
                "posture_malformed",
                "give the word that the enforcement point reports, e.g. compliant: 1 to 64 characters of a-z, A-Z, 0-9 and _ . : -",
            );
        }
    }
}

fn pipeline(charter: &CharterDraft, check: &mut Checker) {
    if charter.repositories.is_empty() {
        check.wrong("repositories", "repositories_missing", "list the repositories that it may run for");
    } else if let Some(other) = bound_repositories(charter).into_iter().find(|bound| !charter.repositories.contains(bound)) {
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

/// The repositories to which the binding's claims are fixed, by name or by id.
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
    use crate::id::{ApplicationId, PersonId, ResourceId, VendorId};
    use crate::time::Timestamp;

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
            (Kind::Agent, json!({"credential_ttl": "15m"}), &[]),
            (Kind::Agent, json!({"credential_ttl": "16m"}), &["credential_ttl_out_of_range"]),
            (Kind::Agent, json!({"shared": shared}), &["agent_shared"]),
            (
                Kind::Agent,
                json!({"scope": [{"actions": ["*"], "resource": ResourceId::from_u128(3)}]}),
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
            (
                Kind::Pipeline,
                with(&ci, "workload_binding", oidc(json!({"sub": "s", "repository": "acme/app"}))),
                &[],
            ),
            (
                Kind::Pipeline,
                with(&ci, "workload_binding", oidc(json!({"sub": "s", "repository": "acme/other"}))),
                &["repository_not_permitted"],
            ),
            (
                Kind::Pipeline,
                with(&ci, "workload_binding", oidc(json!({"sub": "s", "repository": "acme/app", "repository_id": 7}))),
                &["repository_not_permitted"],
            ),
        ] {
            assert_eq!(codes(kind, &with), expected, "{kind:?} {with}");
        }
        for kind in Kind::ALL {
            let user = json!({"workload_binding": {"type": "directory_user", "workload": "w", "user": "ada"}});
            assert!(codes(*kind, &user).contains(&"binding_is_directory_user".to_owned()), "{kind:?}");
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
        let hours = |from, until, days: &[u8]| super::super::Hours {
            from,
            until,
            days: days.to_vec(),
        };
        // 2023-11-14 was a Tuesday.
        let at = |day: i64, hour: i64| Timestamp::from_secs(1_699_920_000 + day * 86_400 + hour * 3_600);
        assert!(hours(8, 18, &[2]).contain(at(0, 8)) && hours(8, 18, &[2]).contain(at(0, 17)));
        assert!(!hours(8, 18, &[2]).contain(at(0, 18)) && !hours(8, 18, &[2]).contain(at(1, 9)) && !hours(8, 18, &[2]).contain(at(0, 7)));
        let night = hours(22, 6, &[2]);
        assert!(night.contain(at(0, 23)) && night.contain(at(1, 5)));
        assert!(!night.contain(at(0, 5)) && !night.contain(at(1, 6)) && !night.contain(at(1, 23)));
        assert!(hours(0, 24, &[]).contain(at(3, 0)) && hours(0, 24, &[]).contain(at(3, 23)));
    }
}
