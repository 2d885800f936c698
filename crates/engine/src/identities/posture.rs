//! Posture: which rules an identity breaks by what it is, computed from its record at any time (R41).

use serde_json::{Map, Value, json};
use tenure_core::base::id::ReviewId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::gate;
use tenure_core::finding::{Rule, rules};
use tenure_core::identity::{Identity, IdentityState, Shared};
use tenure_core::inventory::third_party::Breach;
use tenure_core::request::exception::ExceptionType;

/// The rules that are computed here; a finding of one of them is resolved once the rule is kept again.
pub static RULES: &[&Rule] = &[
    &rules::MISSING_OWNER,
    &rules::MISSING_EXPIRY,
    &rules::MISSING_SCOPE,
    &rules::MISSING_TRIGGER,
    &rules::ORPHANED,
    &rules::SHARED_IDENTITY,
    &rules::WEAKER_CREDENTIAL,
    &rules::WILDCARD_SCOPE,
    &rules::OVERDUE_REVIEW,
    &rules::VENDOR_BREACHED,
];

/// What is looked at besides the identity's own record.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Whether its owner is an active person.
    pub owner_active: bool,
    /// The names of what exceptions in force waive for it.
    pub waived: Vec<String>,
    /// Its reviews that were not answered in time.
    pub overdue: Vec<ReviewId>,
    /// That its vendor was breached, as long as that isn't over.
    pub breach: Option<Breach>,
}

/// A rule that is broken, with what shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// The rule.
    pub rule: &'static Rule,
    /// What exactly, where one identity can break a rule in several ways.
    pub detail: String,
    /// What shows it.
    pub evidence: Map<String, Value>,
}

/// The rules that an identity breaks. What has ended, or was never in force, breaks none.
pub fn posture(identity: &Identity, around: &Around, now: Timestamp) -> Vec<Broken> {
    if matches!(identity.state, IdentityState::Retiring | IdentityState::Retired | IdentityState::Closed) {
        return Vec::new();
    }
    let charter = &identity.charter;
    let waives = |kind: ExceptionType| around.waived.iter().any(|waived| waived == kind.as_str());
    let mut broken = Vec::new();
    let mut found = |rule: &'static Rule, detail: String, evidence: Value| {
        let evidence = match evidence {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        broken.push(Broken { rule, detail, evidence });
    };
    let missing = [
        (charter.owner.is_none(), &rules::MISSING_OWNER),
        (charter.expires_at.is_none(), &rules::MISSING_EXPIRY),
        (charter.scope.is_empty(), &rules::MISSING_SCOPE),
        (charter.retirement.is_empty(), &rules::MISSING_TRIGGER),
    ];
    missing.into_iter().filter(|(is_so, _)| *is_so).for_each(|(_, rule)| found(rule, String::new(), json!({})));
    if charter.owner.is_some() && !around.owner_active && !gate::in_transfer(identity, now) {
        let evidence = json!({"owner": charter.owner, "transfer": identity.transfer});
        found(&rules::ORPHANED, String::new(), evidence);
    }
    // Debt stays debt while it is allowed: it is the exception that ends, and the plan that pays it off.
    if charter.shared.is_some() {
        let untold: Vec<&String> = charter.shared.iter().flat_map(Shared::untold).collect();
        let evidence =
            json!({"shared": charter.shared, "waived": waives(ExceptionType::SharedUse), "not_told_apart": untold});
        found(&rules::SHARED_IDENTITY, String::new(), evidence);
    }
    if charter.has_weaker_credential() && !waives(ExceptionType::WeakerCredential) {
        let evidence = json!({"credential_types": charter.credential_types});
        found(&rules::WEAKER_CREDENTIAL, String::new(), evidence);
    }
    if charter.has_wildcard() && !waives(ExceptionType::WildcardScope) {
        found(&rules::WILDCARD_SCOPE, String::new(), json!({"scope": charter.scope}));
    }
    // One that is stopped has nothing that works.
    if let (Some(breach), IdentityState::Active) = (&around.breach, identity.state) {
        let evidence = json!({"vendor": charter.vendor, "breach": breach});
        found(&rules::VENDOR_BREACHED, String::new(), evidence);
    }
    if !waives(ExceptionType::LateReview) {
        for review in &around.overdue {
            found(&rules::OVERDUE_REVIEW, review.to_string(), json!({"review": review}));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use tenure_core::base::id::{IdentityId, PersonId, VendorId};
    use tenure_core::identity::{CharterDraft, CredentialType, RetirementCondition, SuspensionCause, SuspensionKind};
    use tenure_core::inventory::entitlement::Entitlement;

    use super::*;
    use crate::matters::exceptions::tests::active;

    fn broken(identity: &Identity, around: &Around) -> Vec<&'static str> {
        posture(identity, around, Timestamp::from_secs(1_000)).iter().map(|broken| broken.rule.id).collect()
    }

    /// An identity that breaks nothing, with what is around it.
    fn good() -> (Identity, Around) {
        let charter = CharterDraft {
            scope: vec![Entitlement { actions: vec!["read".into()], resource: "res".into() }],
            expires_at: Some(Timestamp::from_secs(9_000)),
            retirement: vec![RetirementCondition::TaskCompleted],
            vendor: Some(VendorId::from_u128(1)),
            ..CharterDraft::default()
        };
        let identity = active(1, charter, PersonId::from_u128(1), Timestamp::from_secs(0));
        (identity, Around { owner_active: true, ..Around::default() })
    }

    #[test]
    fn r41_each_rule_of_posture_is_broken_by_what_breaks_it_and_by_nothing_else() {
        let (identity, around) = good();
        assert!(broken(&identity, &around).is_empty());
        let with = |change: fn(&mut CharterDraft)| {
            let mut changed = identity.clone();
            change(&mut changed.charter);
            broken(&changed, &around)
        };
        let around_with = |change: &dyn Fn(&mut Around)| {
            let mut changed = around.clone();
            change(&mut changed);
            broken(&identity, &changed)
        };
        let breach =
            Breach { declared_by: PersonId::from_u128(2), reason: "taken over".into(), at: Timestamp::from_secs(9) };
        let is_breached = |around: &mut Around| around.breach = Some(breach.clone());
        let found = [
            ("missing-owner", with(|charter| charter.owner = None)),
            ("missing-expiry", with(|charter| charter.expires_at = None)),
            ("missing-scope", with(|charter| charter.scope.clear())),
            ("missing-trigger", with(|charter| charter.retirement.clear())),
            ("orphaned", around_with(&|around| around.owner_active = false)),
            (
                "shared-identity",
                with(|charter| {
                    charter.shared = Some(Shared {
                        consumers: vec!["a".into()],
                        migration_plan: "split".into(),
                        bindings: Vec::new(),
                    })
                }),
            ),
            ("weaker-credential", with(|charter| charter.credential_types = vec![CredentialType::ApiKey])),
            ("wildcard-scope", with(|charter| charter.scope[0].resource = "*".into())),
            ("overdue-review", around_with(&|around| around.overdue.push(ReviewId::from_u128(1)))),
            ("vendor-breached", around_with(&is_breached)),
        ];
        for (rule, broken) in &found {
            assert_eq!(*broken, [*rule]);
        }
        let all: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(all, found.map(|(rule, _)| rule));
        // One that is stopped holds nothing that works.
        let cause = SuspensionCause {
            kind: SuspensionKind::ByHand,
            placed_by: None,
            releasable_by: tenure_core::identity::Releaser::Security,
            reason: String::new(),
            at: Timestamp::from_secs(9),
        };
        let mut breached = around.clone();
        is_breached(&mut breached);
        assert!(broken(&identity.clone().suspend(cause).unwrap(), &breached).is_empty());
    }

    #[test]
    fn r41_what_suppresses_a_rule_is_the_exception_that_it_names() {
        let (mut identity, mut around) = good();
        identity.charter.scope[0].resource = "*".into();
        identity.charter.credential_types = vec![CredentialType::ApiKey];
        around.overdue.push(ReviewId::from_u128(1));
        for rule in RULES.iter().filter(|rule| rule.suppressed_by.is_some()) {
            let kind = rule.suppressed_by.unwrap();
            assert!(broken(&identity, &around).contains(&rule.id), "{}", rule.id);
            let waived = Around { waived: vec![kind.as_str().to_owned()], ..around.clone() };
            assert!(!broken(&identity, &waived).contains(&rule.id), "{}", rule.id);
        }
        assert_eq!(identity.id, IdentityId::from_u128(1));
    }
}
