//! Identities as records: what is kept of one, and the terms that lists find it by.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::base::id::{BindingId, ExceptionId, GrantId, IdentityId, PersonId, RequestId};
use crate::base::problem::FieldProblem;
use crate::base::time::{Span, Timestamp};
use crate::identity::charter::{Charter, CharterDraft};
use crate::identity::kind::Kind;
use crate::identity::scope::Membership;
use crate::identity::state::{IdentityState, SuspensionCause};
use crate::identity::tier::RiskTier;
use crate::identity::transfer::TransferWindow;
use crate::inventory::application::removal_group_term;
use crate::inventory::entitlement::WILDCARD;
use crate::store::row::{Position, Record, RowKind};

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
    /// The tier that it had before its charter was narrowed, if that was higher: it is held to it until a request for its charter is
    /// approved under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier_kept: Option<RiskTier>,
    /// Whom its charter no longer names as one whom it serves: striking a name lets nobody approve what they were kept out of (S-8).
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
    /// When it was last resumed: its idleness is counted anew from there (R76).
    #[serde(default)]
    pub resumed_at: Option<Timestamp>,
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

impl Record for Identity {
    const KIND: RowKind = RowKind::Identity;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Vec<String> {
        let mut terms = vec![
            format!("state={}", self.state.as_str()),
            format!("kind={}", self.kind.as_str()),
            format!("name={}", self.name),
        ];
        if let Some(owner) = self.charter.owner {
            terms.push(format!("owner={owner}"));
        }
        if let Some(application) = self.charter.application {
            terms.push(format!("application={application}"));
        }
        if let Some(environment) = &self.charter.environment {
            terms.push(format!("environment={environment}"));
        }
        terms.extend(self.charter.vendor.map(|vendor| format!("vendor={vendor}")));
        terms.extend(self.charter.cloud_account.map(|account| format!("cloud_account={account}")));
        terms.extend(self.charter.need.map(|need| format!("need={need}")));
        terms.extend(self.charter.removal_group.map(removal_group_term));
        terms.extend(self.charter.shared.is_some().then(|| "shared=true".to_owned()));
        terms.extend(self.charter.scope.iter().filter(|e| e.enforces()).map(|e| enforces_term(&e.resource)));
        terms.extend(self.charter.workload_binding.as_ref().map(|binding| workload_term(binding.workload())));
        terms.extend(self.charter.repositories.iter().map(|name| repository_term(name)));
        terms
    }
}

/// The term that v0.1 gave to identities whose charters list more repositories than it had room for: what it wrote is read on.
pub const MORE_REPOSITORIES: &str = "repositories=more";

fn enforces_term(resource: &str) -> String {
    format!("enforces={resource}")
}

/// The terms one of which every identity has that may enforce a resource: by its name, or whatever there is.
pub fn enforcer_terms(resource: &str) -> [String; 2] {
    [enforces_term(resource), enforces_term(WILDCARD)]
}

/// The term of the identities that a workload is bound to.
pub fn workload_term(workload: &str) -> String {
    format!("workload={workload}")
}

/// The term of the identities whose charters list a repository; platforms don't tell names apart by case.
pub fn repository_term(repository: &str) -> String {
    format!("repository={}", repository.to_lowercase())
}
