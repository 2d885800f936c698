//! The gate: the one place that lets an identity get or use anything (invariant 1).
//!
//! [`Permit`] has no public constructor, and every signer uses one up: there is no second path, and the compiler says
//! so. What a permit rests on can't be made elsewhere either: [`Held`] comes from a [`Standing`] alone, and the
//! policy's [`Answer`] from the gate's own question ([`Standing::consider`]), so that neither what another identity
//! holds nor what was answered to somebody else's question leads to one.

mod chain;
mod question;

pub use self::chain::{Delegated, HandOn, HandedOn, Link, delegated, hand_on, handed_on};
pub use self::question::{Considered, identity_entity, resource_entity};
use crate::base::id::{BindingId, CredentialId, GrantId, IdentityId, ResourceId};
use crate::base::problem::Reason;
use crate::base::time::{Span, Timestamp};
use crate::credential::liveness::{Scopes, identity_may_act};
use crate::identity::delegation::{Delegation, MAX_DEPTH, MayAct};
use crate::identity::grant::Grant;
use crate::identity::{Charter, CredentialType, Identity, MAX_CREDENTIAL_TTL, MAX_KEY_LIFE};
use crate::inventory::environment::Environment;
use crate::inventory::resource::Resource;
use crate::people::person::{Person, PersonState};
use crate::policy::Answer;
use crate::store::row::{Position, Stored};
use crate::trust::confirmation::Confirmation;

/// What the gate looks at, as it was read in one snapshot; the commit demands that it is still so.
#[derive(Debug, Clone, Copy)]
pub struct IdentityFacts<'a> {
    /// The identity.
    pub identity: &'a Stored<Identity>,
    /// Its accountable owner.
    pub owner: Option<&'a Stored<Person>>,
    /// Its scopes.
    pub scopes: Scopes<'a>,
    /// Its grants.
    pub grants: &'a [Option<Stored<Grant>>],
    /// The time of the decision.
    pub now: Timestamp,
}

/// An identity that stands: active, complete, owned, not held.
#[derive(Debug)]
pub struct Standing<'a> {
    facts: IdentityFacts<'a>,
    charter: Charter,
    /// Whether its accountable owner is active.
    owned: bool,
}

/// Lets an identity through to a question about what exactly it wants.
///
/// # Errors
/// Why it may do nothing at all now.
pub fn standing(facts: IdentityFacts<'_>) -> Result<Standing<'_>, Reason> {
    identity_may_act(facts.identity, facts.scopes, facts.now)?;
    let charter = facts.identity.complete_charter().map_err(|_| Reason::CharterIncomplete)?;
    if facts.now >= charter.end() {
        return Err(Reason::IdentityExpired);
    }
    let owned = facts.owner.is_some_and(|owner| owner.id == charter.owner && owner.state == PersonState::Active);
    if !owned && !in_transfer(facts.identity, facts.now) {
        return Err(Reason::OwnerNotActive);
    }
    Ok(Standing { facts, charter, owned })
}

/// Whether the identity is inside the window in which it acts although its owner has left (invariant 7).
pub fn in_transfer(identity: &Identity, now: Timestamp) -> bool {
    identity.transfer.as_ref().is_some_and(|window| now < window.deadline)
}

/// What an identity may do on a resource now, and what that rests on: proven by [`Standing::held`], and good for that
/// identity and resource alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    identity: IdentityId,
    /// As it was read: what was held before a change is held no more.
    revision: u64,
    resource: ResourceId,
    actions: Vec<String>,
    grants: Vec<GrantId>,
    until: Timestamp,
}

impl Held {
    /// The actions, in the order they were asked for.
    pub fn actions(&self) -> &[String] {
        &self.actions
    }
    /// The grants that give them.
    pub fn grants(&self) -> &[GrantId] {
        &self.grants
    }
    /// When the first of these grants ends.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether it is what this identity holds, as it was read, on this resource.
    fn is_of(&self, identity: &Stored<Identity>, resource: &Resource) -> bool {
        self.identity == identity.id && self.revision == identity.revision && self.resource == resource.id
    }
}

impl Standing<'_> {
    /// The charter.
    pub const fn charter(&self) -> &Charter {
        &self.charter
    }

    /// The effective entitlements on a resource: live grants ∩ charter ∩ what the resource knows.
    /// With no `asked` actions, everything held there.
    ///
    /// # Errors
    /// The resource is in another environment, or something asked for is not held.
    pub fn held(&self, resource: &Resource, asked: &[String]) -> Result<Held, Reason> {
        if resource.environment != self.charter.environment {
            return Err(Reason::WrongEnvironment);
        }
        if !self.within_data_domains(resource) {
            return Err(Reason::OutsideDataDomains);
        }
        let asked: &[String] = if asked.is_empty() { &resource.actions } else { asked };
        let mut held = Held {
            identity: self.facts.identity.id,
            revision: self.facts.identity.revision,
            resource: resource.id,
            actions: Vec::new(),
            grants: Vec::new(),
            until: self.charter.end(),
        };
        let exact = !std::ptr::eq(asked, resource.actions.as_slice());
        for action in asked {
            let known = resource.actions.contains(action) && self.charter.covers(action, resource.id);
            if exact && !known {
                return Err(Reason::OutsideScope);
            }
            let grant = self
                .facts
                .grants
                .iter()
                .flatten()
                .filter(|grant| grant.is_live(self.facts.now) && grant.entitlement.covers(action, resource.id))
                .max_by_key(|grant| grant.ends_at);
            match grant {
                Some(grant) if known => {
                    held.actions.push(action.clone());
                    if !held.grants.contains(&grant.id) {
                        held.grants.push(grant.id);
                    }
                    held.until = held.until.min(grant.ends_at);
                }
                _ if exact => return Err(Reason::NoLiveGrant),
                _ => {}
            }
        }
        if held.actions.is_empty() { Err(Reason::NoLiveGrant) } else { Ok(held) }
    }

    /// Whether the charter lets it touch the data that the resource holds. It bounds third parties, and whoever names
    /// domains (R35).
    pub fn within_data_domains(&self, resource: &Resource) -> bool {
        let bounded = self.charter.vendor.is_some() || !self.charter.data_domains.is_empty();
        !bounded || resource.data_domains.iter().all(|domain| self.charter.data_domains.contains(domain))
    }

    /// What is left now of actions that a credential was issued with: those that the charter still covers and that a
    /// live grant still gives which was there when the credential was issued. What is granted later revives no
    /// credential; of overlapping grants one is enough.
    pub fn left(&self, resource: &Resource, actions: &[String], issued: Position) -> Vec<String> {
        let given = |action: &str| {
            let mut grants = self.facts.grants.iter().flatten();
            grants.any(|grant| {
                grant.is_live(self.facts.now)
                    && !grant.created.is_after(issued)
                    && grant.entitlement.covers(action, resource.id)
            })
        };
        let stands = resource.environment == self.charter.environment && self.within_data_domains(resource);
        let mut left = actions.to_vec();
        left.retain(|action| {
            stands && resource.actions.contains(action) && self.charter.covers(action, resource.id) && given(action)
        });
        left
    }

    /// The permit to issue one credential, the policy having allowed it.
    fn permit(&self, ask: Ask<'_>, held: &Held) -> Result<Permit, Reason> {
        if ask.environment.name != self.charter.environment || ask.resource.environment != self.charter.environment {
            return Err(Reason::WrongEnvironment);
        }
        if !self.charter.credential_types.contains(&ask.kind) {
            return Err(Reason::WeakerCredential);
        }
        let longest = match ask.kind {
            CredentialType::AccessToken | CredentialType::Login => self.charter.credential_ttl.min(MAX_CREDENTIAL_TTL),
            // A key that outlived its cadence would be one that nobody rotates (R34).
            CredentialType::ApiKey | CredentialType::ManagedSecret => self.charter.rotation_cadence.min(MAX_KEY_LIFE),
        };
        let life = longest.min(ask.ttl.unwrap_or(longest));
        let constrained = self.charter.sender_constrained || ask.delegation.is_some_and(Delegated::bound);
        if constrained && ask.kind == CredentialType::AccessToken && !ask.is_bound() {
            return Err(Reason::SenderConstraintNeeded);
        }
        if let Some(delegated) = ask.delegation {
            let delegation = delegated.delegation();
            if delegation.chain.last() != Some(&self.facts.identity.id) || delegated.resource() != ask.resource.id {
                return Err(Reason::DelegationNotAllowed);
            }
            if delegation.depth() > MAX_DEPTH {
                return Err(Reason::DelegationTooDeep);
            }
        }
        if !held.is_of(self.facts.identity, ask.resource) {
            return Err(Reason::NoLiveGrant);
        }
        let parents_end = ask.delegation.map_or(self.charter.end(), Delegated::until);
        let expires_at = self.facts.now.plus(life).min(held.until).min(self.charter.end()).min(parents_end);
        if expires_at.since(self.facts.now) < Span::from_secs(1) {
            return Err(Reason::NoLiveGrant);
        }
        Ok(Permit {
            credential: ask.credential,
            identity: self.facts.identity.id,
            kind: ask.kind,
            environment: self.charter.environment.clone(),
            resource: ask.resource.id,
            audience: ask.resource.uri.clone(),
            actions: held.actions.clone(),
            grants: held.grants.clone(),
            binding: ask.binding,
            issued_at: self.facts.now,
            expires_at,
            revoked_by: revoked_by(&self.charter),
            confirmation: ask.confirmation.cloned(),
            task: ask.task.map(str::to_owned),
            delegation: ask.delegation.map(|delegated| delegated.delegation().clone()),
            may_act: ask.may_act.cloned(),
        })
    }
}

/// What ends a credential before its expiry, by name (R67).
fn revoked_by(charter: &Charter) -> Vec<String> {
    let mut triggers: Vec<String> =
        ["revocation", "cut", "workload_end", "suspension_of_identity", "retirement_of_identity"]
            .map(str::to_owned)
            .into();
    triggers.extend(charter.auto_revocation.iter().map(|trigger| trigger.as_str().to_owned()));
    triggers
}

/// The policy's answer as a gate result: an error denies what enables (S-9).
///
/// # Errors
/// Denied, or not to be evaluated.
pub const fn check(answer: &Answer) -> Result<(), Reason> {
    match (answer.allowed(), answer.errored()) {
        (true, false) => Ok(()),
        (_, true) => Err(Reason::PolicyError),
        (false, false) => Err(Reason::PolicyDenied),
    }
}

/// What is asked of [`Standing::consider`]: one credential.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The new credential's id.
    pub credential: CredentialId,
    /// Its type.
    pub kind: CredentialType,
    /// The environment whose issuer was asked.
    pub environment: &'a Environment,
    /// The resource it is for.
    pub resource: &'a Resource,
    /// The binding that was proven, where one was.
    pub binding: Option<BindingId>,
    /// A shorter life than the charter's, if wanted.
    pub ttl: Option<Span>,
    /// The key that it is bound to.
    pub confirmation: Option<&'a Confirmation>,
    /// The task that it is for.
    pub task: Option<&'a str>,
    /// For whom its holder acts, and what it derives from.
    pub delegation: Option<&'a Delegated>,
    /// Who may ask for a token to act for its subject with it.
    pub may_act: Option<&'a MayAct>,
}

impl Ask<'_> {
    /// Whether nobody but its holder gets anything for it. Who may act is bound more tightly than to a key: to the
    /// actor, with a proof of its own.
    const fn is_bound(&self) -> bool {
        self.confirmation.is_some() || self.may_act.is_some()
    }
}

/// Leave to sign one credential, exactly as it says. Only the gate makes it, and a signer uses it up: it is no `Clone`.
#[derive(Debug)]
pub struct Permit {
    credential: CredentialId,
    identity: IdentityId,
    kind: CredentialType,
    environment: String,
    resource: ResourceId,
    audience: String,
    actions: Vec<String>,
    grants: Vec<GrantId>,
    binding: Option<BindingId>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    revoked_by: Vec<String>,
    confirmation: Option<Confirmation>,
    task: Option<String>,
    delegation: Option<Delegation>,
    may_act: Option<MayAct>,
}

impl Permit {
    /// The credential's id.
    pub const fn credential(&self) -> CredentialId {
        self.credential
    }
    /// Whose it is.
    pub const fn identity(&self) -> IdentityId {
        self.identity
    }
    /// The environment whose issuer signs.
    pub fn environment(&self) -> &str {
        &self.environment
    }
    /// The audience.
    pub fn audience(&self) -> &str {
        &self.audience
    }
    /// What it may be used for.
    pub fn actions(&self) -> &[String] {
        &self.actions
    }
    /// When it is issued.
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }
    /// When it ends.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
    /// The key that it is bound to.
    pub const fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }
    /// The task that it is for.
    pub fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }
    /// For whom its holder acts.
    pub const fn delegation(&self) -> Option<&Delegation> {
        self.delegation.as_ref()
    }
    /// Who may ask for a token to act for its subject.
    pub const fn may_act(&self) -> Option<&MayAct> {
        self.may_act.as_ref()
    }

    /// The inventory's record of the credential (R31).
    pub fn record(&self) -> crate::credential::Credential {
        crate::credential::Credential {
            id: self.credential,
            identity: self.identity,
            kind: self.kind,
            environment: self.environment.clone(),
            resource: self.resource,
            actions: self.actions.clone(),
            grants: self.grants.clone(),
            binding: self.binding,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            revoked_by: self.revoked_by.clone(),
            revoked_at: None,
            hash: None,
            confirmation: self.confirmation.clone(),
            task: self.task.clone(),
            delegation: self.delegation.clone(),
            may_act: self.may_act.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
