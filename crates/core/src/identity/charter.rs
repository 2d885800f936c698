//! The charter: the facts fixed before a non-human identity may authenticate.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::base::id::{ApplicationId, CloudAccountId, NeedId, PersonId, ResourceId, TeamId, VendorId};
use crate::base::problem::FieldProblem;
use crate::base::time::{Span, Timestamp};
use crate::identity::Kind;
use crate::identity::account_grants::AccountGrants;
use crate::identity::checker::{Checker, MAX_ITEMS, MAX_TEXT, check_claims};
use crate::identity::consumer::Shared;
use crate::identity::delegation::{Delegate, Task};
use crate::identity::place::Place;
use crate::identity::workload::WorkloadBinding;
use crate::inventory::entitlement::{Entitlement, WILDCARD};
use crate::inventory::environment::parse_name;

/// The longest life of an access token.
pub const MAX_CREDENTIAL_TTL: Span = Span::from_mins(60);
/// The longest life of an API key, whatever its cadence says.
pub const MAX_KEY_LIFE: Span = Span::from_days(90);
/// The life of an access token where the charter names none.
pub const DEFAULT_CREDENTIAL_TTL: Span = Span::from_mins(10);

/// The boundary inside which the identity is trusted (R25).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "value", deny_unknown_fields)]
pub enum TrustBoundary {
    /// A trust domain, e.g. `prod.example.com`.
    TrustDomain(String),
    /// What an issuer vouches for: the issuer's URL.
    Issuer(String),
    /// A network, e.g. `10.20.0.0/16`.
    Network(String),
    /// A part of the organisation.
    Organisation(String),
}

impl TrustBoundary {
    fn value(&self) -> &str {
        match self {
            Self::TrustDomain(v) | Self::Issuer(v) | Self::Network(v) | Self::Organisation(v) => v,
        }
    }
}

/// What ends the identity, besides its expiry and a person's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", deny_unknown_fields)]
pub enum RetirementCondition {
    /// A date.
    Date {
        /// When.
        at: Timestamp,
    },
    /// Not used for this long.
    Idle {
        /// How long.
        after: Span,
    },
    /// Its task is done: reported by itself, its owner, or by whoever orchestrates it.
    TaskCompleted,
}

/// The types of credentials, the shortest-lived first. What comes after logins just in time is weaker and needs an exception
/// (R32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    /// A JWT of minutes (RFC 9068).
    AccessToken,
    /// A login at a target system, made just in time: it ends with the grants that it rests on, within the life that the
    /// charter gives credentials (R58).
    Login,
    /// A static API key.
    ApiKey,
    /// A static secret of a legacy system.
    ManagedSecret,
}

impl CredentialType {
    /// The name in policies and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::Login => "login",
            Self::ApiKey => "api_key",
            Self::ManagedSecret => "managed_secret",
        }
    }

    /// Whether it lives longer than what the platform offers.
    pub const fn is_weaker(self) -> bool {
        !matches!(self, Self::AccessToken | Self::Login)
    }
}

/// Which regime covers its access (R33).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Role-based: entitlements are held as long as the identity is active.
    RoleBased,
    /// Privileged: as role-based, but marked for closer review.
    Privileged,
    /// Just-in-time: nothing is held at rest; a bounded grant must be opened (R58).
    JustInTime,
}

impl Coverage {
    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoleBased => "role_based",
            Self::Privileged => "privileged",
            Self::JustInTime => "just_in_time",
        }
    }
}

/// What revokes its credentials by itself, besides retirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevocationTrigger {
    /// The identity was suspended: what it held is revoked rather than held back.
    Suspension,
}

impl RevocationTrigger {
    /// The name in the log and in the credential's record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspension => "suspension",
        }
    }
}

/// Who asked for it, who runs it, whom it serves (R40).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parties {
    /// Who asked.
    pub requester: PersonId,
    /// Who runs it: a team's or a company's name.
    pub operator: String,
    /// Whom it serves: a team's or a company's name.
    pub beneficiary: String,
}

impl Parties {
    /// Who runs it and whom it serves, as they are named.
    pub fn named(&self) -> [&str; 2] {
        [self.operator.trim(), self.beneficiary.trim()]
    }
}

/// A charter as handed in: what is missing is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CharterDraft {
    /// The accountable owner, a person (R22).
    pub owner: Option<PersonId>,
    /// Who stands in while ownership is being transferred; not the owner.
    pub backup_owner: Option<PersonId>,
    /// The business need (R23).
    pub purpose: Option<String>,
    /// What it may do on what (R24).
    pub scope: Vec<Entitlement>,
    /// Inside which boundary it is trusted (R25).
    pub trust_boundary: Option<TrustBoundary>,
    /// The environment it belongs to (R26).
    pub environment: Option<String>,
    /// The application it works for.
    pub application: Option<ApplicationId>,
    /// How the workload proves itself (R27).
    pub workload_binding: Option<WorkloadBinding>,
    /// Its end (R29).
    pub expires_at: Option<Timestamp>,
    /// What else ends it (R28).
    pub retirement: Vec<RetirementCondition>,
    /// How often long-lived key material is replaced (R34).
    pub rotation_cadence: Option<Span>,
    /// The credential types it may get; none named means the shortest-lived one (R63).
    pub credential_types: Vec<CredentialType>,
    /// How long each credential lives; at most an hour, ten minutes if not named.
    pub credential_ttl: Option<Span>,
    /// Which regime covers its access (R33).
    pub coverage: Option<Coverage>,
    /// What revokes its credentials by itself.
    pub auto_revocation: Vec<RevocationTrigger>,
    /// Data domains a third party may touch (R35).
    pub data_domains: Vec<String>,
    /// Repositories a pipeline may run for (R36).
    pub repositories: Vec<String>,
    /// Requester, operator, beneficiary (R40).
    pub parties: Option<Parties>,
    /// Set if several workloads use it.
    pub shared: Option<Shared>,
    /// The third party that operates it (R12).
    pub vendor: Option<VendorId>,
    /// The cloud account that it is bound to (R15).
    pub cloud_account: Option<CloudAccountId>,
    /// The business need that it serves; it ends with it (R76).
    pub need: Option<NeedId>,
    /// When and in which posture it may be used (R53).
    pub usage: Option<Usage>,
    /// How it is renewed by itself, if it is (R51).
    pub renewal: Option<AutoRenewal>,
    /// The tasks that it may declare; an agent has at least one (R54).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
    /// Of several tasks that fit what is asked, the one that a request means which declares none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_task: Option<String>,
    /// Who may act for it, and within which bounds (S-14).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<Delegate>,
    /// Where it runs; a proof from elsewhere is refused. Of sorts that aren't named, anywhere (R21).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// Whether it gets only credentials that are bound to a key (RFC 9449, RFC 8705).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sender_constrained: bool,
    /// Whether a request for more than is held is refused, rather than answered with the part that is held (RFC 6749
    /// §3.3).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exact_scope: bool,
    /// Where it is called back when what it asked for is decided (OpenID CIBA, ping mode): an `https` URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_endpoint: Option<String>,
    /// The team that answers for its removal; its application's if it names none (R115).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal_group: Option<TeamId>,
    /// What its accounts at targets may do there; what a target gives them besides is drift (R102). A claim fills it in
    /// from what the target's catalogue says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub account_grants: Vec<AccountGrants>,
}

/// Bounds on use that are checked at each decision (R53).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Only in these hours, UTC.
    pub hours: Option<Hours>,
    /// Only while the enforcement point reports this posture in the context's `posture`, e.g. `compliant`.
    pub posture: Option<String>,
}

/// Hours of the day, UTC, on days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// From this hour on, 0 to 23.
    pub from: u8,
    /// Until this hour, 1 to 24; past midnight if not later than `from`.
    pub until: u8,
    /// On these days, 1 (Monday) to 7; every day if empty.
    #[serde(default)]
    pub days: Vec<u8>,
}

impl Hours {
    /// Whether a time falls inside.
    pub fn contain(&self, at: Timestamp) -> bool {
        let secs = at.as_secs();
        let hour = secs.div_euclid(3_600).rem_euclid(24);
        // 1970-01-01 was a Thursday, day 4.
        let day = (secs.div_euclid(86_400) + 3).rem_euclid(7) + 1;
        let (from, until) = (i64::from(self.from), i64::from(self.until));
        let wraps = until <= from;
        let in_hours = if wraps { hour >= from || hour < until } else { (from..until).contains(&hour) };
        // The hours after midnight belong to the day on which they began.
        let began = if wraps && hour < until { (day + 5).rem_euclid(7) + 1 } else { day };
        in_hours && (self.days.is_empty() || self.days.iter().any(|d| i64::from(*d) == began))
    }
}

/// Automatic renewal: in the window before the end, if its conditions are met, the end moves (R50, R51).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoRenewal {
    /// How long before the end it is decided.
    pub window: Span,
    /// By how much the end moves.
    pub extend_by: Span,
    /// It must have been used within this time.
    pub used_within: Span,
}

/// A complete charter: the proof that every fact is there and well-formed. Only [`CharterDraft::complete`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Charter {
    /// The accountable owner.
    pub owner: PersonId,
    /// The business need.
    pub purpose: String,
    /// What it may do on what.
    pub scope: Vec<Entitlement>,
    /// Its environment.
    pub environment: String,
    /// Its application.
    pub application: ApplicationId,
    /// How the workload proves itself.
    pub workload_binding: WorkloadBinding,
    /// Its end.
    pub expires_at: Timestamp,
    /// What else ends it.
    pub retirement: Vec<RetirementCondition>,
    /// The credential types it may get, the shortest-lived first.
    pub credential_types: Vec<CredentialType>,
    /// How long each credential lives.
    pub credential_ttl: Span,
    /// How often long-lived key material is replaced; nothing if it has none.
    pub rotation_cadence: Span,
    /// Which regime covers its access.
    pub coverage: Coverage,
    /// What revokes its credentials by itself.
    pub auto_revocation: Vec<RevocationTrigger>,
    /// The data domains that it may touch; of a third party these are all that it may (R35).
    pub data_domains: Vec<String>,
    /// The third party that operates it.
    pub vendor: Option<VendorId>,
    /// The cloud account that it is bound to.
    pub cloud_account: Option<CloudAccountId>,
    /// When and in which posture it may be used.
    pub usage: Option<Usage>,
    /// The tasks that it may declare.
    pub tasks: Vec<Task>,
    /// The task that a request means which declares none, of several that fit.
    pub default_task: Option<String>,
    /// Who may act for it.
    pub delegates: Vec<Delegate>,
    /// Whether it gets only credentials that are bound to a key.
    pub sender_constrained: bool,
    /// Whether it gets exactly what it asks for, or nothing.
    pub exact_scope: bool,
}

impl CharterDraft {
    /// Whom it names as those whom it serves: who runs it and who gains by it, who stands in for its owner, and the
    /// identities that may act for it (S-8, R40). Ids, and names of teams or companies.
    pub fn served(&self) -> BTreeSet<String> {
        let mut served: BTreeSet<String> = self.delegates.iter().map(|delegate| delegate.actor.to_string()).collect();
        served.extend(self.backup_owner.map(|backup| backup.to_string()));
        served.extend(self.parties.iter().flat_map(Parties::named).map(str::to_owned));
        served
    }

    /// Checks every fact and gives the complete charter. `registered` is when the identity was registered: ends must
    /// lie after it.
    ///
    /// # Errors
    /// Every field that is missing or wrong, in the order of the charter.
    pub fn complete(&self, kind: Kind, registered: Timestamp) -> Result<Charter, Vec<FieldProblem>> {
        let mut check = Checker(Vec::new());
        let owner = check.present(
            "owner",
            "owner_missing",
            self.owner,
            "name the person who is accountable for it; an approver is no owner",
        );
        if self.backup_owner.is_some() && self.backup_owner == self.owner {
            check.wrong("backup_owner", "backup_is_owner", "name somebody else than the owner");
        }
        let purpose = check.text("purpose", "purpose", self.purpose.as_deref(), "say which business need it serves");
        self.check_scope(&mut check);
        match &self.trust_boundary {
            None => check.wrong(
                "trust_boundary",
                "trust_boundary_missing",
                "say inside which trust domain, issuer, network or organisation it is trusted",
            ),
            Some(boundary) => {
                let _ =
                    check.text("trust_boundary.value", "trust_boundary", Some(boundary.value()), "name the boundary");
            }
        }
        let environment =
            check.present("environment", "environment_missing", self.environment.clone(), "name its environment");
        if let Some(Err(problem)) = environment.as_deref().map(|name| parse_name("charter.environment", name)) {
            check.0.push(problem);
        }
        let application =
            check.present("application", "application_missing", self.application, "name the application it works for");
        let binding = check.present(
            "workload_binding",
            "workload_binding_missing",
            self.workload_binding.clone(),
            "say how the workload proves itself: public_key, oidc, certificate or join_token",
        );
        if let Some(binding) = &binding {
            let _ = check.text(
                "workload_binding.workload",
                "workload",
                Some(binding.workload()),
                "name the intended workload",
            );
            if let WorkloadBinding::Oidc { claims, .. } = binding {
                check_claims(&mut check, "workload_binding.claims", claims);
            }
        }
        let expires_at =
            check.present("expires_at", "expiry_missing", self.expires_at, "set its end; every identity has one");
        if expires_at.is_some_and(|at| at <= registered) {
            check.wrong("expires_at", "expiry_past", "set an end in the future");
        }
        self.check_retirement(&mut check, registered);
        if let Some(cadence) = self.rotation_cadence {
            if cadence < Span::from_mins(1) {
                check.wrong("rotation_cadence", "rotation_cadence_too_short", "use at least 1m");
            }
        } else if !matches!(self.workload_binding, Some(WorkloadBinding::Oidc { .. })) {
            // The key that proves the workload outlives each token; an OIDC binding holds no key material of ours.
            check.wrong("rotation_cadence", "rotation_cadence_missing", "say how often its key is replaced, e.g. 30d");
        }
        let ttl = self.credential_ttl.unwrap_or(DEFAULT_CREDENTIAL_TTL);
        if ttl > MAX_CREDENTIAL_TTL || ttl < Span::from_secs(10) {
            check.wrong("credential_ttl", "credential_ttl_out_of_range", "use 10s to 1h");
        }
        let coverage = check.present(
            "coverage",
            "coverage_missing",
            self.coverage,
            "say what covers its access: role_based, privileged or just_in_time",
        );
        for (field, items) in [("data_domains", &self.data_domains), ("repositories", &self.repositories)] {
            check.list(field, items);
            if items.iter().any(|item| item.trim().is_empty() || item.len() > MAX_TEXT) {
                check.wrong(field, "item_malformed", "give names of 1 to 1000 bytes");
            }
        }
        match &self.parties {
            None => check.wrong("parties", "parties_missing", "name requester, operator and beneficiary"),
            Some(parties) => {
                let _ = check.text("parties.operator", "operator", Some(&parties.operator), "name who runs it");
                let _ =
                    check.text("parties.beneficiary", "beneficiary", Some(&parties.beneficiary), "name whom it serves");
            }
        }
        if let Some(shared) = &self.shared {
            shared.check(&mut check);
        }
        let consumers = self.shared.iter().flat_map(|shared| &shared.bindings).map(|bound| &bound.binding);
        crate::identity::place::check(&self.places, self.workload_binding.iter().chain(consumers), &mut check);
        if !self.places.is_empty() && self.has_weaker_credential() {
            let hint = "a static key is used from anywhere: name no places, or no such type";
            check.wrong("credential_types", "places_unproven", hint);
        }
        if let Some(url) = &self.notification_endpoint
            && !is_endpoint(url)
        {
            let hint = "give an https:// URL without user, fragment or spaces; http:// only where the operator allows its address";
            check.wrong("notification_endpoint", "endpoint_malformed", hint);
        }
        crate::identity::account_grants::check(&self.account_grants, &mut check);
        crate::identity::kinds::check(kind, self, &mut check);
        match (owner, environment, application, binding, expires_at, coverage) {
            (
                Some(owner),
                Some(environment),
                Some(application),
                Some(workload_binding),
                Some(expires_at),
                Some(coverage),
            ) if check.0.is_empty() => Ok(Charter {
                owner,
                purpose,
                scope: self.scope.clone(),
                environment,
                application,
                workload_binding,
                expires_at,
                retirement: self.retirement.clone(),
                credential_types: if self.credential_types.is_empty() {
                    vec![CredentialType::AccessToken]
                } else {
                    self.credential_types.clone()
                },
                credential_ttl: ttl,
                rotation_cadence: self.rotation_cadence.unwrap_or_default(),
                coverage,
                auto_revocation: self.auto_revocation.clone(),
                data_domains: self.data_domains.clone(),
                vendor: self.vendor,
                cloud_account: self.cloud_account,
                usage: self.usage.clone(),
                tasks: self.tasks.clone(),
                default_task: self.default_task.clone(),
                delegates: self.delegates.clone(),
                sender_constrained: self.sender_constrained,
                exact_scope: self.exact_scope,
            }),
            _ => Err(check.0),
        }
    }

    fn check_scope(&self, check: &mut Checker) {
        check.list("scope", &self.scope);
        if self.scope.is_empty() {
            check.wrong("scope", "scope_missing", "list the actions that it needs on each resource");
        }
        for (n, entitlement) in self.scope.iter().enumerate() {
            if entitlement.resource != WILDCARD && entitlement.resource.parse::<ResourceId>().is_err() {
                check.wrong(
                    &format!("scope[{n}].resource"),
                    "resource_malformed",
                    "give the id of a registered resource, res_…",
                );
            }
            if entitlement.actions.is_empty() || entitlement.actions.len() > MAX_ITEMS {
                check.wrong(&format!("scope[{n}].actions"), "actions_missing", "list 1 to 32 actions");
            }
            if entitlement.actions.iter().any(|action| !is_action(action)) {
                check.wrong(
                    &format!("scope[{n}].actions"),
                    "action_malformed",
                    "use 1 to 64 characters of a-z, 0-9 and _ . : - in an action",
                );
            }
        }
    }

    fn check_retirement(&self, check: &mut Checker, registered: Timestamp) {
        check.list("retirement", &self.retirement);
        if self.retirement.is_empty() {
            check.wrong(
                "retirement",
                "retirement_condition_missing",
                "say what ends it besides its expiry: date, idle or task_completed",
            );
        }
        for (n, condition) in self.retirement.iter().enumerate() {
            match condition {
                RetirementCondition::Date { at } if *at <= registered => {
                    check.wrong(&format!("retirement[{n}].at"), "retirement_past", "set a date in the future")
                }
                RetirementCondition::Idle { after } if *after < Span::from_secs(1) => {
                    check.wrong(&format!("retirement[{n}].after"), "idle_too_short", "use at least 1s")
                }
                _ => {}
            }
        }
    }

    /// Whether it may get a credential that lives longer than what the platform offers (R32).
    pub fn has_weaker_credential(&self) -> bool {
        self.credential_types.iter().any(|kind| kind.is_weaker())
    }

    /// Whether an entitlement says everything (R24).
    pub fn has_wildcard(&self) -> bool {
        self.scope.iter().any(Entitlement::is_wildcard)
    }
}

/// Whether this is an address that can be called. Where it leads is checked when it is.
fn is_endpoint(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    let plain = url.len() <= MAX_TEXT && url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    plain && !host.is_empty() && !host.contains('@')
}

/// Whether a text can be an action: an OAuth scope token, so that it can stand in a token's `scope`.
fn is_action(action: &str) -> bool {
    action == WILDCARD
        || (!action.is_empty()
            && action.len() <= 64
            && action.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.:-".contains(&b)))
}
impl Charter {
    /// When the identity ends at the latest: its expiry or the earliest date among its retirement conditions.
    pub fn end(&self) -> Timestamp {
        self.retirement
            .iter()
            .filter_map(|condition| match condition {
                RetirementCondition::Date { at } => Some(*at),
                _ => None,
            })
            .fold(self.expires_at, Timestamp::min)
    }

    /// How long it may go unused, if that ends it.
    pub fn idle_limit(&self) -> Option<Span> {
        self.retirement
            .iter()
            .filter_map(|condition| match condition {
                RetirementCondition::Idle { after } => Some(*after),
                _ => None,
            })
            .min()
    }

    /// Whether a completed task ends it.
    pub fn ends_with_task(&self) -> bool {
        self.retirement.contains(&RetirementCondition::TaskCompleted)
    }

    /// The task that it declares by this name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// Whether the charter covers this action on this resource.
    pub fn covers(&self, action: &str, resource: ResourceId) -> bool {
        self.scope.iter().any(|entitlement| entitlement.covers(action, resource))
    }
}
