//! The risk tier: derived by rule from kind, environment, scope and data domains, never set by hand (R119).

use serde::{Deserialize, Serialize};

use crate::base::time::Span;
use crate::identity::{CharterDraft, Coverage, IdentityState, Kind};
use crate::inventory::third_party::Sensitivity;

/// How much harm an identity can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RiskTier {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// What the rule reads besides the charter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RiskFacts {
    /// The environment counts as production.
    pub production: bool,
    /// The most sensitive data domain of the charter or of a resource in its scope.
    pub sensitivity: Option<Sensitivity>,
}

/// What a tier allows, unless a template or a policy allows less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Ceilings {
    /// The longest life of an identity or a grant without a new approval.
    pub max_duration: Span,
    /// How often it is reviewed.
    pub review_every: Span,
    /// How long it may go unused before it is suspended (R76).
    pub dormant_after: Span,
    /// How long a key of its own is in use before it is stale, if its charter has it replaced less often (R104).
    pub key_stale_after: Span,
}

impl crate::identity::Identity {
    /// The tier under which a change is decided: the higher of what it has and what the rule says of the charter that
    /// it would get, so that nobody sheds the approvers of a tier by leaving it first. What was never approved has no
    /// tier to shed.
    pub fn judged_tier(&self, by_rule: RiskTier) -> RiskTier {
        match self.state {
            IdentityState::Discovered | IdentityState::Draft | IdentityState::Pending => by_rule,
            _ => by_rule.max(self.tier),
        }
    }

    /// The rule says another tier, of a charter that was narrowed or of data that was classified anew.
    pub fn derive_tier(&mut self, by_rule: RiskTier) {
        self.tier = self.tier_kept.map_or(by_rule, |kept| kept.max(by_rule));
    }

    /// Nobody approved what its charter lost, so the tier doesn't fall with it.
    pub fn keep_tier(&mut self, by_rule: RiskTier) {
        let judged = self.judged_tier(by_rule);
        self.tier_kept = self.tier_kept.max((judged > by_rule).then_some(judged));
        self.tier = judged;
    }

    /// What its tier and its kind allow.
    pub fn ceilings(&self) -> Ceilings {
        let ceilings = self.tier.ceilings();
        Ceilings {
            max_duration: self.kind.max_life().map_or(ceilings.max_duration, |life| life.min(ceilings.max_duration)),
            ..ceilings
        }
    }
}

impl RiskTier {
    /// Every tier.
    pub const ALL: &[Self] = &[Self::Low, Self::Medium, Self::High];

    /// The tier of an identity of this kind and charter. Up to 1 of the points of [`RiskTier::because`] is low, up to 3
    /// medium, more is high.
    pub fn of(kind: Kind, charter: &CharterDraft, facts: RiskFacts) -> Self {
        match Self::because(kind, charter, facts).iter().map(|(_, points)| points).sum() {
            0..=1_u8 => Self::Low,
            2..=3 => Self::Medium,
            _ => Self::High,
        }
    }

    /// What the rule counts, with the points of each.
    pub fn because(kind: Kind, charter: &CharterDraft, facts: RiskFacts) -> Vec<(&'static str, u8)> {
        let counted = [
            (facts.production, "it works in production", 2),
            (matches!(kind, Kind::Agent | Kind::Integration), "it is an agent or an integration", 1),
            (charter.coverage == Some(Coverage::Privileged), "its coverage is privileged", 2),
            (charter.has_wildcard(), "its scope has a wildcard", 3),
            (charter.shared.is_some(), "it is shared", 1),
            (charter.has_weaker_credential(), "its credentials are weaker than they could be", 1),
            (facts.sensitivity == Some(Sensitivity::Confidential), "it touches confidential data", 2),
            (facts.sensitivity == Some(Sensitivity::Restricted), "it touches restricted data", 3),
        ];
        counted.into_iter().filter(|(holds, _, _)| *holds).map(|(_, said, points)| (said, points)).collect()
    }

    /// The name in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// What the tier allows.
    pub const fn ceilings(self) -> Ceilings {
        match self {
            Self::Low | Self::Medium => Ceilings {
                max_duration: Span::from_days(90),
                review_every: Span::from_days(90),
                dormant_after: Span::from_days(60),
                key_stale_after: Span::from_days(90),
            },
            Self::High => Ceilings {
                max_duration: Span::from_days(30),
                review_every: Span::from_days(30),
                dormant_after: Span::from_days(30),
                key_stale_after: Span::from_days(30),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::{CredentialType, Shared};
    use crate::inventory::entitlement::Entitlement;
    use crate::inventory::entitlement::WILDCARD;

    /// Everything that the rule reads, as switches that only add risk, and the sensitivity.
    type Risks = ([bool; 6], Option<Sensitivity>);

    fn tier((switches, sensitivity): Risks) -> RiskTier {
        let [production, risky_kind, privileged, wildcard, shared, weaker] = switches;
        let charter = CharterDraft {
            coverage: Some(if privileged { Coverage::Privileged } else { Coverage::RoleBased }),
            scope: vec![Entitlement {
                actions: vec!["read".into()],
                resource: if wildcard { WILDCARD.into() } else { "res".into() },
            }],
            shared: shared.then(|| Shared {
                consumers: Vec::new(),
                migration_plan: String::new(),
                bindings: Vec::new(),
            }),
            credential_types: if weaker { vec![CredentialType::ApiKey] } else { Vec::new() },
            ..CharterDraft::default()
        };
        let kind = if risky_kind { Kind::Agent } else { Kind::Workload };
        RiskTier::of(kind, &charter, RiskFacts { production, sensitivity })
    }

    fn risks() -> impl Strategy<Value = Risks> {
        let sensitivity = prop::sample::select(vec![
            None,
            Some(Sensitivity::Public),
            Some(Sensitivity::Internal),
            Some(Sensitivity::Confidential),
            Some(Sensitivity::Restricted),
        ]);
        (any::<[bool; 6]>(), sensitivity)
    }

    proptest! {
        #[test]
        fn more_risk_never_lowers_the_tier(a in risks(), b in risks()) {
            let both = (std::array::from_fn(|n| a.0[n] || b.0[n]), a.1.max(b.1));
            prop_assert!(tier(both) >= tier(a) && tier(both) >= tier(b));
        }

        #[test]
        fn a_higher_tier_allows_no_more(a in risks(), b in risks()) {
            let (low, high) = (tier(a).min(tier(b)).ceilings(), tier(a).max(tier(b)).ceilings());
            prop_assert!(high.max_duration <= low.max_duration && high.review_every <= low.review_every && high.dormant_after <= low.dormant_after);
        }
    }

    #[test]
    fn the_rule_is_the_documented_one() {
        let none = [false; 6];
        let only = |n: usize| std::array::from_fn(|m| m == n);
        assert_eq!(tier((none, None)), RiskTier::Low);
        assert_eq!(tier((only(0), None)), RiskTier::Medium);
        assert_eq!(tier((only(1), None)), RiskTier::Low);
        assert_eq!(tier((only(3), Some(Sensitivity::Internal))), RiskTier::Medium);
        assert_eq!(tier((none, Some(Sensitivity::Confidential))), RiskTier::Medium);
        assert_eq!(tier((only(0), Some(Sensitivity::Confidential))), RiskTier::High);
        assert_eq!(tier((only(1), Some(Sensitivity::Restricted))), RiskTier::High);
    }
}
