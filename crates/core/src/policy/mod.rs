//! The port to the policy engine, in plain values: `core` knows no policy language.

pub mod set;

use std::collections::BTreeMap;

/// A control point that policy decides on. Enabling actions fail closed; disabling ones are never blocked by an error
/// (S-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Read records of the inventory.
    Read,
    /// Read the log.
    Audit,
    /// Ask for something: propose an identity, ask for access, amend what one asked for.
    Request,
    /// Route: no approval, by a named rule.
    RouteAuto,
    /// Route: the accountable owner, or the manager.
    RouteOwnerOrManager,
    /// Route: the manager.
    RouteManager,
    /// Route: security.
    RouteSecurity,
    /// Route: the accountable owner and security.
    RouteOwnerAndSecurity,
    /// Route: the manager and security.
    RouteManagerAndSecurity,
    /// Route: two people of security.
    RouteTwoOfSecurity,
    /// Route: an administrator other than who asks.
    RouteAdministrator,
    /// Vote on a request, in a place of its route.
    Approve,
    /// Renew an identity by itself, its conditions being met.
    Renew,
    /// Answer a review.
    Review,
    /// Offer an identity to another owner, accept or decline it.
    Transfer,
    /// Issue a credential.
    Issue,
    /// Enrol a key with a join token, or hand one out.
    Bootstrap,
    /// Use an entitlement on a resource.
    Use,
    /// Ask for introspection or decisions about a resource.
    Enforce,
    /// Suspend, hold, retire.
    Suspend,
    /// Revoke a credential or cut a scope.
    Revoke,
    /// Resume or release.
    Enable,
    /// Report an identity's task as done.
    Complete,
    /// Administer Tenure itself: people, applications, environments, resources.
    Administer,
    /// Hand in what an authoritative source of people says.
    Import,
    /// Register or confirm an external issuer, a sign-in provider or an invitation.
    Trust,
    /// Erase personal values.
    Erase,
    /// Say that something happened: a registered source.
    Signal,
}

impl Action {
    /// Every action.
    pub const ALL: &[Self] = &[
        Self::Read,
        Self::Audit,
        Self::Request,
        Self::RouteAuto,
        Self::RouteOwnerOrManager,
        Self::RouteManager,
        Self::RouteSecurity,
        Self::RouteOwnerAndSecurity,
        Self::RouteManagerAndSecurity,
        Self::RouteTwoOfSecurity,
        Self::RouteAdministrator,
        Self::Approve,
        Self::Renew,
        Self::Review,
        Self::Transfer,
        Self::Issue,
        Self::Bootstrap,
        Self::Use,
        Self::Enforce,
        Self::Suspend,
        Self::Revoke,
        Self::Enable,
        Self::Complete,
        Self::Administer,
        Self::Import,
        Self::Trust,
        Self::Erase,
        Self::Signal,
    ];

    /// The name in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Audit => "audit",
            Self::Request => "request",
            Self::RouteAuto => "route_auto",
            Self::RouteOwnerOrManager => "route_owner_or_manager",
            Self::RouteManager => "route_manager",
            Self::RouteSecurity => "route_security",
            Self::RouteOwnerAndSecurity => "route_owner_and_security",
            Self::RouteManagerAndSecurity => "route_manager_and_security",
            Self::RouteTwoOfSecurity => "route_two_of_security",
            Self::RouteAdministrator => "route_administrator",
            Self::Approve => "approve",
            Self::Renew => "renew",
            Self::Review => "review",
            Self::Transfer => "transfer",
            Self::Issue => "issue",
            Self::Bootstrap => "bootstrap",
            Self::Use => "use",
            Self::Enforce => "enforce",
            Self::Suspend => "suspend",
            Self::Revoke => "revoke",
            Self::Enable => "enable",
            Self::Complete => "complete",
            Self::Administer => "administer",
            Self::Import => "import",
            Self::Trust => "trust",
            Self::Erase => "erase",
            Self::Signal => "signal",
        }
    }

    /// Whether it takes authority away: such an action is not blocked by a policy that errors (S-9). A source's word
    /// may: what it takes away waits for a person then, so that no failing policy lifts the source's bounds.
    pub const fn disables(self) -> bool {
        matches!(self, Self::Suspend | Self::Revoke | Self::Complete)
    }
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A text.
    Text(String),
    /// A set of texts.
    Set(Vec<String>),
    /// Another entity, by type and id.
    Entity(EntityType, String),
}

/// Types of entities in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityType {
    /// A person.
    Person,
    /// A non-human identity.
    Identity,
    /// A resource that entitlements are on.
    Resource,
    /// Tenure itself, or a part of its inventory.
    Inventory,
    /// A registered source of signals.
    Source,
}

impl EntityType {
    /// The name in the schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "Person",
            Self::Identity => "Identity",
            Self::Resource => "Resource",
            Self::Inventory => "Inventory",
            Self::Source => "Source",
        }
    }
}

/// Attributes by name.
pub type Attributes = BTreeMap<&'static str, Value>;

/// An entity with what policies may read of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entity {
    /// Its type.
    pub kind: EntityType,
    /// Its id.
    pub id: String,
    /// Its attributes, as the schema demands for the type.
    pub attributes: Attributes,
}

/// A question to the policy engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// Who.
    pub principal: Entity,
    /// Does what.
    pub action: Action,
    /// To what.
    pub resource: Entity,
    /// Under which circumstances, as the schema demands for the action.
    pub context: Attributes,
}

/// An answer of the policy engine. Nobody changes what it says, and the gate takes none from others: it asks by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    allowed: bool,
    errored: bool,
    version: String,
    policies: Vec<String>,
}

impl Answer {
    /// What a policy engine says: whether it is allowed, whether a policy failed to evaluate, the set that was asked,
    /// and the policies that determined it. Only engines answer: `clippy.toml` has a lint for it.
    pub const fn by_engine(allowed: bool, errored: bool, version: String, policies: Vec<String>) -> Self {
        Self { allowed, errored, version, policies }
    }
    /// What several denials have in common: the policies that each of them names. Those that only some name don't
    /// explain why nothing was allowed.
    pub fn common_denial(denials: &[Self]) -> Self {
        let everywhere = |policy: &&String| denials.iter().all(|denial| denial.policies.contains(policy));
        let first = denials.first();
        Self {
            allowed: false,
            errored: false,
            version: first.map(|first| first.version.clone()).unwrap_or_default(),
            policies: first.into_iter().flat_map(|first| &first.policies).filter(everywhere).cloned().collect(),
        }
    }
    /// Whether it is allowed.
    pub const fn allowed(&self) -> bool {
        self.allowed
    }
    /// Whether a policy failed to evaluate: then it is not allowed, if it enables.
    pub const fn errored(&self) -> bool {
        self.errored
    }
    /// The policy set that was asked: the hash of its text.
    pub fn version(&self) -> &str {
        &self.version
    }
    /// The policies that determined the answer, by their `@id`.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }
}

/// A policy engine.
pub trait PolicyEngine: Send + Sync {
    /// Decides. A question that doesn't fit the schema is answered as an error.
    fn decide(&self, question: &Question) -> Answer;
    /// The version in force.
    fn version(&self) -> String;
    /// Questions that were asked lately with their answers, for a replay against another set; bounded.
    fn recent(&self) -> Vec<(Question, Answer)>;
}

/// Reads policy sets: a change becomes an engine only if it is valid.
pub trait PolicyLoader: Send + Sync {
    /// The policy text that is in force where nothing else was decided.
    fn default_text(&self) -> &'static str;
    /// An engine for these policies, validated strictly.
    ///
    /// # Errors
    /// Everything that is wrong with the text.
    fn load(&self, text: &str) -> Result<std::sync::Arc<dyn PolicyEngine>, Vec<crate::base::problem::FieldProblem>>;
}
