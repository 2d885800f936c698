//! Posture: which rules an identity breaks by what it is, computed from its record at any time (R41).

use serde_json::{Map, Value, json};
use tenure_core::base::id::ReviewId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::gate;
use tenure_core::finding::{Rule, rules};
use tenure_core::identity::{Identity, IdentityState};
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
    let mut found = |is_so: bool, rule: &'static Rule, detail: String, evidence: Value| {
        if is_so {
            let evidence = match evidence {
                Value::Object(map) => map,
                _ => Map::new(),
            };
            broken.push(Broken { rule, detail, evidence });
        }
    };
    found(charter.owner.is_none(), &rules::MISSING_OWNER, String::new(), json!({}));
    found(charter.expires_at.is_none(), &rules::MISSING_EXPIRY, String::new(), json!({}));
    found(charter.scope.is_empty(), &rules::MISSING_SCOPE, String::new(), json!({}));
    found(charter.retirement.is_empty(), &rules::MISSING_TRIGGER, String::new(), json!({}));
    found(
        charter.owner.is_some() && !around.owner_active && !gate::in_transfer(identity, now),
        &rules::ORPHANED,
        String::new(),
        json!({"owner": charter.owner, "transfer": identity.transfer}),
    );
    // Debt stays debt while it is allowed: it is the exception that ends, and the plan that pays it off.
    found(
        charter.shared.is_some(),
        &rules::SHARED_IDENTITY,
        String::new(),
        json!({"shared": charter.shared, "waived": waives(ExceptionType::SharedUse)}),
    );
    found(
        charter.has_weaker_credential() && !waives(ExceptionType::WeakerCredential),
        &rules::WEAKER_CREDENTIAL,
        String::new(),
        json!({"credential_types": charter.credential_types}),
    );
    found(
        charter.has_wildcard() && !waives(ExceptionType::WildcardScope),
        &rules::WILDCARD_SCOPE,
        String::new(),
        json!({"scope": charter.scope}),
    );
    // One that is stopped has nothing that works.
    if let (Some(breach), IdentityState::Active) = (&around.breach, identity.state) {
        let evidence = json!({"vendor": charter.vendor, "breach": breach});
        found(true, &rules::VENDOR_BREACHED, String::new(), evidence);
    }
    if !waives(ExceptionType::LateReview) {
        for review in &around.overdue {
            found(true, &rules::OVERDUE_REVIEW, review.to_string(), json!({"review": review}));
        }
    }
    broken
}
