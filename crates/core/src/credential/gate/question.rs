//! The question about an issuance: the gate puts it to the policy itself, so that no answer to another question lets
//! anything through.
//!
//! What enables (a complete charter, a live grant, the scope, the key that it is bound to) the gate says from what it
//! has proven. Whoever asks adds the circumstances that the gate doesn't know. One that is forgotten leaves a question
//! that doesn't fit the schema, which is denied.

use crate::base::problem::Reason;
use crate::credential::gate::{Ask, Delegated, Held, Permit, Standing, check, in_transfer};
use crate::identity::{CharterDraft, Identity};
use crate::inventory::resource::Resource;
use crate::policy::{Action, Answer, Attributes, Entity, EntityType, PolicyEngine, Question, Value};

/// An identity as policies know it.
pub fn identity_entity(identity: &Identity) -> Entity {
    let CharterDraft { environment, owner, .. } = &identity.charter;
    Entity {
        kind: EntityType::Identity,
        id: identity.id.to_string(),
        attributes: Attributes::from([
            ("kind", Value::Text(identity.kind.as_str().to_owned())),
            ("state", Value::Text(identity.state.as_str().to_owned())),
            ("environment", Value::Text(environment.clone().unwrap_or_default())),
            ("owner", Value::Text(owner.map(|owner| owner.to_string()).unwrap_or_default())),
            ("tier", Value::Text(identity.tier.as_str().to_owned())),
        ]),
    }
}

/// A resource as policies know it.
pub fn resource_entity(resource: &Resource) -> Entity {
    Entity {
        kind: EntityType::Resource,
        id: resource.id.to_string(),
        attributes: Attributes::from([
            ("type", Value::Text(resource.kind.clone())),
            ("environment", Value::Text(resource.environment.clone())),
            ("application", Value::Text(resource.application.to_string())),
            ("data_domains", Value::Set(resource.data_domains.clone())),
        ]),
    }
}

impl<'a> Standing<'a> {
    /// What policies may read of how the identity stands: all of it is proven, or comes from the rows that the gate
    /// looked at.
    pub fn circumstances(&self) -> Attributes {
        Attributes::from([
            // A charter that isn't complete gives no standing.
            ("charter_complete", Value::Bool(true)),
            ("owner_active", Value::Bool(self.owned)),
            ("in_transfer", Value::Bool(in_transfer(self.facts.identity, self.facts.now))),
            ("environment", Value::Text(self.charter.environment.clone())),
        ])
    }

    /// Asks the policy about one issuance. `others` are the circumstances that the gate doesn't know; of those that it
    /// does, its own word counts.
    pub fn consider(
        &'a self,
        policy: &dyn PolicyEngine,
        ask: Ask<'a>,
        held: &'a Held,
        others: Attributes,
    ) -> Considered<'a> {
        let held = ask.delegation.map_or(held, Delegated::held);
        let mut context = others;
        let covered = |action: &String| self.charter.covers(action, ask.resource.id);
        context.extend(self.circumstances());
        context.extend([
            ("credential_type", Value::Text(ask.kind.as_str().to_owned())),
            ("weaker_credential", Value::Bool(ask.kind.is_weaker())),
            ("shared", Value::Bool(self.facts.identity.charter.shared.is_some())),
            ("live_grant", Value::Bool(held.is_of(self.facts.identity, ask.resource))),
            ("in_scope", Value::Bool(held.actions.iter().all(covered))),
            // A token that names its actor serves nobody else, and is no use to whoever else has it.
            ("sender_constrained", Value::Bool(ask.is_bound())),
        ]);
        let question = Question {
            principal: identity_entity(self.facts.identity),
            action: Action::Issue,
            resource: resource_entity(ask.resource),
            context,
        };
        Considered { standing: self, ask, held, answer: policy.decide(&question), question }
    }
}

/// An issuance that the policy was asked about. Only [`Standing::consider`] makes it, and only it gives a [`Permit`].
#[derive(Debug)]
pub struct Considered<'a> {
    standing: &'a Standing<'a>,
    ask: Ask<'a>,
    held: &'a Held,
    question: Question,
    answer: Answer,
}

impl Considered<'_> {
    /// What was asked.
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// What the policy said to it.
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The permit to issue this one credential, once.
    ///
    /// # Errors
    /// Policy doesn't allow it, the environment is another's, what is held is another's or on another resource, or the
    /// type is weaker than the charter allows.
    pub fn permit(self) -> Result<Permit, Reason> {
        check(&self.answer)?;
        self.standing.permit(self.ask, self.held)
    }
}
