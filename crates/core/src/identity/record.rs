//! Identities as records: what is kept of one, and the terms that lists find it by.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::base::id::{
    ApplicationId, BindingId, CloudAccountId, ExceptionId, GrantId, IdentityId, NeedId, PersonId, RequestId, TeamId,
    VendorId,
};
use crate::base::problem::FieldProblem;
use crate::base::time::{Span, Timestamp};
use crate::identity::binding::Binding;
use crate::identity::charter::{Charter, CharterDraft};
use crate::identity::deferral::{DeferredRemoval, MAX_DEFERRED, RemovalTrigger};
use crate::identity::kind::Kind;
use crate::identity::scope::{Membership, Scope};
use crate::identity::state::{IdentityState, SuspensionCause};
use crate::identity::tier::RiskTier;
use crate::identity::transfer::TransferWindow;
use crate::identity::workload::WorkloadBinding;
use crate::inventory::entitlement::WILDCARD;
use crate::store::document::{Document, Order};
use crate::store::due::DueKind;
use crate::store::row::{Position, Record, RowKind};
use crate::store::term::{Field, Term, Terms, words};

/// A non-human identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its id: the OAuth `client_id` and the `sub` of its tokens.
    pub id: IdentityId,
    /// Its kind.
    pub kind: Kind,
    /// Its name, unique for ever.
    pub name: String,
    /// Where it stands.
    pub state: IdentityState,
    /// The facts fixed before it may authenticate; complete from `pending` on.
    pub charter: CharterDraft,
    /// Its risk tier, as derived when its charter or what the charter names last changed (R119).
    pub tier: RiskTier,
    /// The tier that it had before its charter was narrowed, if that was higher: it is held to it until a request for
    /// its charter is approved under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier_kept: Option<RiskTier>,
    /// Whom its charter no longer names as one whom it serves: striking a name lets nobody approve what they were kept
    /// out of (S-8).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub struck: Vec<Struck>,
    /// Causes of suspension; it is suspended while there is one.
    pub suspensions: Vec<SuspensionCause>,
    /// Credentials issued at or before this position are dead; cuts of scopes that it left are folded in here.
    pub valid_after: Option<Position>,
    /// Its bindings that were not removed.
    pub bindings: Vec<BindingId>,
    /// Its grants that have not ended.
    pub grants: Vec<GrantId>,
    /// Its scopes and since when it belongs to each.
    pub memberships: Vec<Membership>,
    /// Who activated it, for which purpose as it then read (R44, R46).
    pub activation: Option<Activation>,
    /// Why and when it began to retire.
    pub retirement: Option<Retirement>,
    /// The template that it was made from, if any.
    pub template: Option<String>,
    /// The request that is open about its activation, if one is.
    pub request: Option<RequestId>,
    /// The window in which it acts although its owner has left (invariant 7).
    pub transfer: Option<TransferWindow>,
    /// Exceptions that are in force for it.
    pub exceptions: Vec<ExceptionId>,
    /// Removals of it that wait for the end of an exception (R109).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deferred: Vec<DeferredRemoval>,
    /// When it was last resumed: its idleness is counted anew from there (R76).
    #[serde(default)]
    pub resumed_at: Option<Timestamp>,
    /// When a review last found that it is still needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed_at: Option<Timestamp>,
    /// Whether it has accounts at targets, which follow whatever becomes of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_accounts: bool,
    /// Who registered it.
    pub registered_by: PersonId,
    /// When the record was made.
    pub created_at: Timestamp,
}

/// Somebody whom a charter named as one whom it serves, and names no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Struck {
    /// As the charter named them ([`CharterDraft::served`]).
    pub party: String,
    /// When they were struck.
    pub at: Timestamp,
}

impl Struck {
    /// For how long they are kept out yet.
    pub const COUNTS: Span = Span::from_days(90);
    /// How many are remembered, the latest: each was once let in by an approval.
    const MAX: usize = 256;
}

/// The approval that made an identity active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// The request that it rests on.
    pub request: RequestId,
    /// Who approved it; nobody, if a named rule did (R47).
    pub by: Vec<PersonId>,
    /// When.
    pub at: Timestamp,
    /// The purpose as it read.
    pub purpose: String,
    /// The policies that permitted it.
    pub policies: Vec<String>,
    /// The policy version.
    pub policy_version: String,
}

/// The end of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retirement {
    /// Which condition came true, or `by_hand`.
    pub because: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was complete: the last receipt was in.
    pub retired_at: Option<Timestamp>,
}

impl Identity {
    /// Gives it another charter, and remembers whom the one before served and this one doesn't.
    pub fn recharter(&mut self, charter: CharterDraft, now: Timestamp) {
        let served = charter.served();
        let before = self.charter.served().into_iter().map(|party| Struck { party, at: now });
        self.struck.retain(|struck| now.since(struck.at) < Struck::COUNTS);
        self.struck.extend(before);
        self.struck.retain(|struck| !served.contains(&struck.party));
        let past = self.struck.len().saturating_sub(Struck::MAX);
        self.struck.drain(..past);
        self.charter = charter;
    }

    /// Whom a charter for it serves, and whom its own served until lately, as charters name them.
    pub fn serves(&self, charter: &CharterDraft, now: Timestamp) -> BTreeSet<String> {
        let lately = self.struck.iter().filter(|struck| now.since(struck.at) < Struck::COUNTS);
        let mut served = charter.served();
        served.extend(lately.map(|struck| struck.party.clone()));
        served
    }

    /// The complete charter.
    ///
    /// # Errors
    /// Every field that is missing or wrong.
    pub fn complete_charter(&self) -> Result<Charter, Vec<FieldProblem>> {
        self.complete_with(&self.charter)
    }

    /// Another charter for it, complete.
    ///
    /// # Errors
    /// Every field that is missing or wrong.
    pub fn complete_with(&self, charter: &CharterDraft) -> Result<Charter, Vec<FieldProblem>> {
        let complete = charter.complete(self.kind, self.created_at)?;
        if matches!(complete.workload_binding, WorkloadBinding::Account { .. }) && !self.has_accounts {
            return Err(vec![FieldProblem::new(
                "charter.workload_binding",
                "account_missing",
                "an identity without an account at a target proves itself otherwise: public_key, oidc, certificate or \
                 join_token",
            )]);
        }
        match charter.delegates.iter().position(|delegate| delegate.actor == self.id) {
            None => Ok(complete),
            Some(n) => Err(vec![FieldProblem::new(
                format!("charter.delegates[{n}].actor"),
                "delegate_is_self",
                "name another identity: what it does itself needs no delegate",
            )]),
        }
    }
}

words!(IdentityState, Kind, RiskTier);

impl Identity {
    /// Listed by its state.
    pub const STATE: Field<Self, IdentityState> = Field::new("state");
    /// Listed by its kind.
    pub const OF_KIND: Field<Self, Kind> = Field::new("kind");
    /// Listed by its name.
    pub const NAME: Field<Self> = Field::new("name");
    /// Listed by its owner.
    pub const OWNER: Field<Self, PersonId> = Field::new("owner");
    /// Listed by its application.
    pub const APPLICATION: Field<Self, ApplicationId> = Field::new("application");
    /// Listed by its environment.
    pub const ENVIRONMENT: Field<Self> = Field::new("environment");
    /// Listed by its vendor.
    pub const VENDOR: Field<Self, VendorId> = Field::new("vendor");
    /// Listed by its cloud account.
    pub const CLOUD_ACCOUNT: Field<Self, CloudAccountId> = Field::new("cloud_account");
    /// Listed by its need.
    pub const NEED: Field<Self, NeedId> = Field::new("need");
    /// Listed by the team that answers for its removal.
    pub const REMOVAL_GROUP: Field<Self, TeamId> = Field::new("removal_group");
    /// Listed by `true` if many share it.
    pub const SHARED: Field<Self> = Field::new("shared");
    /// Found by its risk tier.
    pub const TIER: Field<Self, RiskTier> = Field::facet("tier");
    /// Found by `true` if nobody owns it, and it isn't at its end.
    pub const UNOWNED: Field<Self> = Field::facet("unowned");
    /// Listed by the resources that it may enforce, by id; or whatever there is.
    pub const ENFORCES: Field<Self> = Field::new("enforces").or_as("enforces", WILDCARD);
    /// Listed by `true` if it has accounts at targets.
    pub const HAS_ACCOUNTS: Field<Self> = Field::new("has_accounts");
    /// Listed by the workload that it is bound to.
    pub const WORKLOAD: Field<Self> = Field::new("workload");
    /// Listed by the repositories of its charter. v0.1 gave `repositories=more` to those that list more than it had
    /// room for: what it wrote is read on.
    const REPOSITORY: Field<Self> = Field::new("repository").or_as("repositories", "more");

    /// The term of the identities whose charters list a repository; platforms don't tell names apart by case.
    pub fn by_repository(repository: &str) -> Term<Self> {
        Self::REPOSITORY.of(repository.to_lowercase())
    }
}

impl Identity {
    fn is_unowned(&self) -> bool {
        !matches!(self.state, IdentityState::Retired | IdentityState::Closed) && self.charter.owner.is_none()
    }
}

impl Record for Identity {
    const KIND: RowKind = RowKind::Identity;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    const ORDERS: &'static [Order] = &[Order::Name, Order::End, Order::Risk, Order::LastUse];
    fn document(&self) -> Document<'_> {
        let charter = &self.charter;
        let bindings = charter.workload_binding.as_ref().map(WorkloadBinding::workload);
        let texts = charter.purpose.iter().chain(&charter.repositories).map(|text| text.as_str().into());
        Document {
            name: (&self.name).into(),
            texts: texts.chain(bindings.map(Into::into)).collect(),
            end: charter.expires_at,
            risk: self.tier as u8,
        }
    }
    fn facets(&self) -> Terms<Self> {
        Terms::none().with(Self::TIER, self.tier).each(Self::UNOWNED, self.is_unowned().then_some("true"))
    }
    fn terms(&self) -> Terms<Self> {
        let charter = &self.charter;
        Terms::none()
            .with(Self::STATE, self.state)
            .with(Self::OF_KIND, self.kind)
            .with(Self::NAME, &self.name)
            .each(Self::OWNER, charter.owner)
            .each(Self::APPLICATION, charter.application)
            .each(Self::ENVIRONMENT, &charter.environment)
            .each(Self::VENDOR, charter.vendor)
            .each(Self::CLOUD_ACCOUNT, charter.cloud_account)
            .each(Self::NEED, charter.need)
            .each(Self::REMOVAL_GROUP, charter.removal_group)
            .each(Self::SHARED, charter.shared.is_some().then_some("true"))
            .each(Self::ENFORCES, charter.scope.iter().filter(|e| e.enforces()).map(|e| &e.resource))
            .each(Self::WORKLOAD, charter.workload_binding.as_ref().map(WorkloadBinding::workload))
            .each(Self::REPOSITORY, charter.repositories.iter().map(|name| name.to_lowercase()))
            .each(Self::HAS_ACCOUNTS, self.has_accounts.then_some("true"))
    }
    fn follows(&self) -> Option<(DueKind, String)> {
        self.has_accounts.then(|| (DueKind::Enforcement, Scope::Identity(self.id).to_string()))
    }
}

impl Identity {
    /// The consumer that a binding tells apart: its own, or the only one that has none.
    pub fn consumer_of<'a>(&'a self, binding: &'a Binding) -> Option<&'a str> {
        if binding.consumer.is_some() {
            return binding.consumer.as_deref();
        }
        let mut untold = self.charter.shared.as_ref()?.untold();
        match (untold.next(), untold.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }
}

impl Identity {
    /// The removal that waits since this fired, if one does.
    pub fn deferred_by(&self, trigger: RemovalTrigger, of: &str) -> Option<&DeferredRemoval> {
        self.deferred.iter().find(|deferred| deferred.trigger == trigger && deferred.of == of)
    }

    /// Until when a removal of it waits, if one does.
    pub fn deferred_until(&self) -> Option<Timestamp> {
        self.deferred.iter().map(|deferred| deferred.until).max()
    }

    /// The same with one more removal that waits; none, if it fired before, or as many wait as may.
    pub fn with_deferred(&self, deferred: DeferredRemoval) -> Option<Self> {
        let is_known = self.deferred_by(deferred.trigger, &deferred.of).is_some();
        if is_known || self.deferred.len() >= MAX_DEFERRED {
            return None;
        }
        let mut next = self.clone();
        next.deferred.push(deferred);
        Some(next)
    }
}
