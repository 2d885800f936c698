//! What is known about what is asked, whatever it is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenure_core::base::id::{PersonId, TeamId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::RiskTier;
use tenure_core::people::person::Person;
use tenure_core::policy::{Attributes, PolicyEngine, Value};
use tenure_core::request::{Asker, Class, Clipped, Matter, Request};
use tenure_core::store::changeset::Expect;

use crate::requests::content::Subject;

/// What is known about what is asked.
#[derive(Clone)]
pub(crate) struct MatterFacts {
    /// What is asked for, cut down to ceilings where a template says so.
    pub matter: Matter,
    pub class: Class,
    pub owner: Option<PersonId>,
    pub manager: Option<PersonId>,
    /// Persons who may not approve it (S-8).
    pub interested: Vec<PersonId>,
    /// Teams none of whose members may.
    pub interested_teams: Vec<TeamId>,
    pub tier: Option<RiskTier>,
    /// Why it is that tier, in words.
    pub tier_because: Vec<&'static str>,
    pub environment: String,
    pub context: AskContext,
    /// What votes bind besides the matter: the charter, the template or the policy concerned.
    pub subject: Subject,
    pub clipped: Vec<Clipped>,
    pub starts_at: Option<Timestamp>,
    /// What must still be so at the commit.
    pub expects: Vec<Expect>,
    /// Whom the request concerns, for its events.
    pub subjects: Vec<String>,
    /// The policy set that is proposed, if one is.
    pub proposed_policy: Option<Arc<dyn PolicyEngine>>,
    /// The set that judges the request, if it isn't the one in force.
    pub judge: Option<Arc<dyn PolicyEngine>>,
}

/// The context of `request` and of the routes, as the schema's `Ask`.
#[derive(Debug, Clone)]
pub(crate) struct AskContext {
    pub owns: bool,
    pub matter: &'static str,
    pub class: Class,
    pub kind: &'static str,
    pub tier: Option<RiskTier>,
    pub production: bool,
    pub templated: bool,
    pub duration: Span,
    pub charter_complete: bool,
    pub owner_active: bool,
    pub in_transfer: bool,
    pub wildcard_scope: bool,
    pub weaker_credential: bool,
    pub shared: bool,
    pub vendor: bool,
    pub within_bounds: bool,
    pub need_verified: bool,
    pub waived: Vec<String>,
    pub compensated: bool,
    pub contractor: bool,
    pub fast_onboarding: bool,
    pub single_person: bool,
    pub touches: Touches,
}

/// What is asked for touches, by the names that policies have for it. An everything among it is the wildcard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touches {
    pub actions: BTreeSet<String>,
    pub resources: BTreeSet<String>,
    pub applications: BTreeSet<String>,
    pub data_domains: BTreeSet<String>,
    pub teams: BTreeSet<String>,
}

impl Touches {
    pub(crate) fn add(&mut self, more: Self) {
        self.actions.extend(more.actions);
        self.resources.extend(more.resources);
        self.applications.extend(more.applications);
        self.data_domains.extend(more.data_domains);
        self.teams.extend(more.teams);
    }
}

impl AskContext {
    /// A context in which nothing is so that would enable, and everything that stands in the way: whoever knows better
    /// says so of each fact. Only what a matter has nothing to do with is left out of it: how long a change of roles
    /// lasts, the controls of what is no exception.
    pub(crate) fn of(matter: &Matter) -> Self {
        let class = class_of(matter);
        let somewhere = !matches!(matter, Matter::Roles { .. } | Matter::Policy { .. } | Matter::Template { .. });
        Self {
            owns: false,
            matter: matter.as_str(),
            class,
            kind: "",
            tier: None,
            production: somewhere,
            templated: false,
            duration: if class == Class::Administration { Span::default() } else { Span::MAX },
            charter_complete: false,
            owner_active: false,
            in_transfer: true,
            wildcard_scope: true,
            weaker_credential: true,
            shared: true,
            vendor: true,
            within_bounds: false,
            need_verified: !matches!(matter, Matter::Renewal { .. }),
            waived: Vec::new(),
            compensated: !matches!(matter, Matter::Exception { .. }),
            contractor: false,
            fast_onboarding: class == Class::Human,
            single_person: false,
            touches: Touches::default(),
        }
    }

    /// A context in which nothing is said of a charter, since the matter concerns no identity; of one that does, it
    /// still denies.
    pub(crate) fn without_identity(matter: &Matter) -> Self {
        let context = Self::of(matter);
        if context.class == Class::NonHuman {
            return context;
        }
        Self {
            charter_complete: true,
            owner_active: true,
            in_transfer: false,
            wildcard_scope: false,
            weaker_credential: false,
            shared: false,
            vendor: false,
            within_bounds: true,
            ..context
        }
    }

    pub(crate) fn attributes(&self) -> Attributes {
        let set = |names: &BTreeSet<String>| Value::Set(names.iter().cloned().collect());
        Attributes::from([
            ("actions", set(&self.touches.actions)),
            ("resources", set(&self.touches.resources)),
            ("applications", set(&self.touches.applications)),
            ("data_domains", set(&self.touches.data_domains)),
            ("teams", set(&self.touches.teams)),
            ("owns", Value::Bool(self.owns)),
            ("matter", Value::Text(self.matter.to_owned())),
            ("class", Value::Text(self.class.as_str().to_owned())),
            ("kind", Value::Text(self.kind.to_owned())),
            ("tier", Value::Text(self.tier.map_or("", RiskTier::as_str).to_owned())),
            ("production", Value::Bool(self.production)),
            ("templated", Value::Bool(self.templated)),
            ("duration_secs", Value::Long(self.duration.as_secs())),
            ("charter_complete", Value::Bool(self.charter_complete)),
            ("owner_active", Value::Bool(self.owner_active)),
            ("in_transfer", Value::Bool(self.in_transfer)),
            ("wildcard_scope", Value::Bool(self.wildcard_scope)),
            ("weaker_credential", Value::Bool(self.weaker_credential)),
            ("shared", Value::Bool(self.shared)),
            ("vendor", Value::Bool(self.vendor)),
            ("within_bounds", Value::Bool(self.within_bounds)),
            ("need_verified", Value::Bool(self.need_verified)),
            ("waived", Value::Set(self.waived.clone())),
            ("compensated", Value::Bool(self.compensated)),
            ("contractor", Value::Bool(self.contractor)),
            ("fast_onboarding", Value::Bool(self.fast_onboarding)),
            ("single_person", Value::Bool(self.single_person)),
        ])
    }
}

impl MatterFacts {
    /// MatterFacts about a matter of which nothing is known yet: what would enable is not so.
    pub(crate) fn about(matter: &Matter, subject: Subject) -> Self {
        Self {
            matter: matter.clone(),
            class: class_of(matter),
            owner: None,
            manager: None,
            interested: Vec::new(),
            interested_teams: Vec::new(),
            tier: None,
            tier_because: Vec::new(),
            environment: String::new(),
            context: AskContext::without_identity(matter),
            subject,
            clipped: Vec::new(),
            starts_at: None,
            expects: Vec::new(),
            subjects: Vec::new(),
            proposed_policy: None,
            judge: None,
        }
    }

    /// Whether somebody may not approve it: who asks or gains, be it as a member of a team. The team is judged by the
    /// person's own record, so that a list which lacks somebody lets nobody in.
    pub(crate) fn keeps_out(&self, person: &Person) -> bool {
        self.interested.contains(&person.id) || self.interested_teams.iter().any(|team| person.is_or_was_in(*team))
    }

    /// Keeps out whoever was interested when it was asked, too: nobody becomes an approver by leaving the team that
    /// gains from it, whoever reports that, or by handing on the identity that asked for them (S-8).
    pub(crate) fn keep_out(&mut self, request: &Request) {
        self.interested.extend_from_slice(&request.interested);
        self.interested = distinct(std::mem::take(&mut self.interested));
        self.interested_teams.extend_from_slice(&request.interested_teams);
        self.interested_teams.sort_unstable();
        self.interested_teams.dedup();
    }

    pub(crate) fn serves(&mut self, served: Served) {
        self.interested.extend(served.people);
        self.interested_teams.extend(served.teams);
    }

    /// Whether who asks is the accountable owner of the identity concerned, the identity, or the person concerned or
    /// their manager.
    pub(crate) fn owns(&self, asker: Asker) -> bool {
        match asker {
            Asker::Person(id) => match self.class {
                Class::Human => self.matter.person() == Some(id) || self.manager == Some(id),
                Class::NonHuman => self.owner == Some(id),
                Class::Administration => false,
            },
            Asker::Identity(id) => self.matter.identity() == Some(id),
        }
    }
}

/// The class of a matter.
pub(crate) fn class_of(matter: &Matter) -> Class {
    match matter {
        Matter::PersonAccess { .. } => Class::Human,
        Matter::Roles { .. } | Matter::Policy { .. } | Matter::Template { .. } | Matter::Inventory { .. } => {
            Class::Administration
        }
        _ => Class::NonHuman,
    }
}

/// The persons of a list without repetition.
pub(crate) fn distinct(mut people: Vec<PersonId>) -> Vec<PersonId> {
    people.sort_unstable();
    people.dedup();
    people
}

/// Whom something serves: nobody of them approves it.
pub(crate) struct Served {
    pub(crate) people: Vec<PersonId>,
    pub(crate) teams: Vec<TeamId>,
}

#[cfg(test)]
mod tests {
    use tenure_core::policy::Question;
    use tenure_core::request::Route;

    use super::*;
    use crate::kernel::authority::{self, inventory};
    use crate::log::seal::tests::world;

    #[tokio::test]
    async fn a_context_of_which_nothing_is_said_leads_to_no_route() {
        let world = world().await;
        let admin = world.engine.must::<Person>("person", world.admin.person_id().unwrap()).await.unwrap();
        let by = authority::person(&admin);
        let id = |kind: &str| format!("{kind}_{}", "0".repeat(25) + "1");
        let entitlement = serde_json::json!({"actions": ["read"], "resource": id("res")});
        for matter in [
            serde_json::json!({"type": "activation", "identity": id("idn")}),
            serde_json::json!({"type": "access", "identity": id("idn"), "entitlement": entitlement, "duration": "1h"}),
            serde_json::json!({"type": "charter", "identity": id("idn"), "charter": {"scope": [entitlement]}}),
            serde_json::json!({"type": "renewal", "identity": id("idn"), "until": "2027-01-01T00:00:00Z"}),
            serde_json::json!({"type": "exception", "exception": id("exc")}),
            serde_json::json!({"type": "person_access", "person": id("per"), "entitlements": [entitlement], "duration": "1h"}),
        ] {
            let matter: Matter = serde_json::from_value(matter).unwrap();
            for context in [AskContext::of(&matter), AskContext::without_identity(&matter)] {
                for route in Route::ALL {
                    let answer = world.engine.policy.decide(&Question {
                        principal: by.clone(),
                        action: route.action(),
                        resource: inventory("request", "", ""),
                        context: AskContext {
                            owns: true,
                            tier: Some(RiskTier::Low),
                            templated: true,
                            ..context.clone()
                        }
                        .attributes(),
                    });
                    assert!(!answer.allowed(), "{}: {route:?}", matter.as_str());
                }
            }
        }
    }
}
