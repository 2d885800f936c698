//! What a charter names has to exist and to fit together: people, places, resources, third parties, and whoever vouches
//! for the workload.

use std::collections::BTreeMap;

use serde_json::Value;
use tenure_core::base::id::{PersonId, ResourceId};
use tenure_core::base::problem::FieldProblem;
use tenure_core::base::time::Timestamp;
use tenure_core::identity::{
    CharterDraft, Identity, IdentityState, Kind, MAX_CONSUMER_BINDINGS, MAX_ITEMS, RiskFacts, RiskTier, WorkloadBinding,
};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::entitlement::WILDCARD;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Need, Sensitivity, Standing, Vendor};
use tenure_core::people::person::{Person, PersonClass, Role};
use tenure_core::people::sign_in::SignInProvider;
use tenure_core::store::changeset::Expect;
use tenure_core::store::row::Stored;
use tenure_core::trust::claim;
use tenure_core::trust::issuer::{Issuer, Preset};
use tenure_core::trust::state::TrustState;
use tenure_credentials::assertion::parse_workload_key;
use tenure_credentials::certificate::ClientCertificate;

use crate::inventory::{removal_groups, templates, third_party};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::load::expect;
use crate::kernel::query::Query;

/// What the charter's references turned out to be.
pub(crate) struct References {
    pub owner_active: bool,
    /// That the owner is as they were read.
    pub owner: Option<Expect>,
    /// The owner's manager, as recorded now, if they may approve.
    pub owner_manager: Option<PersonId>,
    pub production: bool,
    /// The most sensitive data domain of the charter or of a resource in its scope.
    pub sensitivity: Option<Sensitivity>,
    /// What a third party or a pipeline is to touch is inside what is allowed for it; false until all of it was looked
    /// at.
    pub within_bounds: bool,
    pub issuer: Option<Issuer>,
}

impl References {
    /// The risk tier of a charter with these references (R119).
    pub(crate) fn tier(&self, kind: Kind, charter: &CharterDraft) -> RiskTier {
        RiskTier::of(kind, charter, self.risk())
    }

    /// Why it is that tier, in words.
    pub(crate) fn tier_because(&self, kind: Kind, charter: &CharterDraft) -> Vec<&'static str> {
        RiskTier::because(kind, charter, self.risk()).into_iter().map(|(said, _)| said).collect()
    }

    fn risk(&self) -> RiskFacts {
        RiskFacts { production: self.production, sensitivity: self.sensitivity }
    }
}

/// Problems of the charter's fields; one that is already named as malformed or missing is not named twice.
struct Wrong<'a>(&'a mut Vec<FieldProblem>);

impl Wrong<'_> {
    fn add(&mut self, field: &str, code: &str, hint: &str) {
        let field = format!("charter.{field}");
        if !self.0.iter().any(|problem| problem.field == field) {
            self.0.push(FieldProblem::new(field, code, hint));
        }
    }
}

/// Checks that what a charter names exists and fits together.
pub(crate) async fn check_references(
    kernel: &Kernel,
    kind: Kind,
    charter: &CharterDraft,
    problems: &mut Vec<FieldProblem>,
) -> Result<References, OpError> {
    let mut wrong = Wrong(problems);
    // Of drafts too: whatever they name is looked up, and is what lists find them by.
    for (field, items) in [("scope", charter.scope.len()), ("repositories", charter.repositories.len())] {
        if items > MAX_ITEMS {
            wrong.add(field, "too_many", "use at most 32 items");
        }
    }
    let mut references = References {
        owner_active: false,
        owner: None,
        owner_manager: None,
        // Until an environment says otherwise.
        production: true,
        sensitivity: None,
        within_bounds: false,
        issuer: None,
    };
    Box::pin(check_people(kernel, kind, charter, &mut references, &mut wrong)).await?;
    Box::pin(check_places(kernel, charter, &mut references, &mut wrong)).await?;
    let resources_fit = Box::pin(check_data(kernel, charter, &mut references, &mut wrong)).await?;
    let contract_fits = Box::pin(check_vendor(kernel, charter, &mut wrong)).await?;
    references.within_bounds = resources_fit && contract_fits;
    Box::pin(check_binding(kernel, charter, &mut references, &mut wrong)).await?;
    Box::pin(check_delegates(kernel, charter, &mut wrong)).await?;
    if let (Some(end), Some(life)) = (charter.expires_at, kind.max_life())
        && end.since(kernel.now()) > life
    {
        let hint = format!("set its end at most {life} from now; it is renewed while its need is verified");
        wrong.add("expires_at", "life_too_long", &hint);
    }
    Ok(references)
}

/// What stands in the way of a later end of an identity, besides its need: a vendor's contract, the life of its kind,
/// its template.
pub(crate) async fn end_problems(
    kernel: &Kernel,
    identity: &Identity,
    until: Timestamp,
    now: Timestamp,
) -> Result<Vec<FieldProblem>, OpError> {
    let later = CharterDraft { expires_at: Some(until), ..identity.charter.clone() };
    let mut problems = Vec::new();
    let references = check_references(kernel, identity.kind, &later, &mut problems).await?;
    problems.retain(|problem| ["charter.expires_at", "charter.vendor"].contains(&problem.field.as_str()));
    let tier = references.tier(identity.kind, &later);
    match templates::within_template(kernel, identity, &later, tier, now).await {
        Err(OpError::Refused { reason, detail, .. }) => {
            problems.push(FieldProblem::new("charter.expires_at", reason.code(), detail.unwrap_or_default()));
        }
        other => other?,
    }
    Ok(problems)
}

async fn check_people(
    kernel: &Kernel,
    kind: Kind,
    charter: &CharterDraft,
    references: &mut References,
    wrong: &mut Wrong<'_>,
) -> Result<(), OpError> {
    for (field, person) in [
        ("owner", charter.owner),
        ("backup_owner", charter.backup_owner),
        ("parties.requester", charter.parties.as_ref().map(|p| p.requester)),
    ] {
        let Some(id) = person else { continue };
        let person = kernel.one::<Person>(id).await?;
        let active = person.as_ref().filter(|person| person.is_active());
        // Who asked for it once may have left since; who answers for it may not.
        let known = if field == "parties.requester" { person.is_some() } else { active.is_some() };
        if !known {
            wrong.add(field, "person_unknown", "name an active person of this deployment");
        }
        if field != "owner" {
            continue;
        }
        references.owner_active = active.is_some();
        references.owner = person.as_ref().map(expect);
        references.owner_manager = match person.as_ref().and_then(|person| person.manager) {
            // A manager who may not approve is none: the request goes past them (S-8).
            Some(manager) => kernel
                .one::<Person>(manager)
                .await?
                .filter(|manager| manager.holds(Role::Manager))
                .map(|manager| manager.id),
            None => None,
        };
        let Some(owner) = active else { continue };
        if !owner.roles.contains(&Role::Owner) {
            let hint = "an accountable owner holds the role owner, which an administrator gives";
            wrong.add(field, "owner_without_role", hint);
        }
        let third_party = kind == Kind::Integration || charter.vendor.is_some();
        if third_party && owner.class != PersonClass::Employee {
            wrong.add(field, "owner_not_internal", "what a third party operates is owned by an employee");
        }
    }
    Ok(())
}

async fn check_places(
    kernel: &Kernel,
    charter: &CharterDraft,
    references: &mut References,
    wrong: &mut Wrong<'_>,
) -> Result<(), OpError> {
    if let Some(team) = charter.removal_group
        && let Some(problem) = Box::pin(removal_groups::removal_group_problem(kernel, "removal_group", team)).await?
    {
        wrong.add(&problem.field, &problem.code, &problem.hint);
    }
    if let Some(id) = charter.application {
        match kernel.one::<Application>(id).await? {
            Some(application) if application.standing == Standing::Closed => {
                wrong.add("application", "application_retired", "name an application that is not retired");
            }
            Some(_) => {}
            None => wrong.add("application", "application_unknown", "name a registered application"),
        }
    }
    if let Some(name) = &charter.environment {
        match kernel.one::<Environment>(name).await? {
            Some(environment) => references.production = environment.production,
            None => wrong.add("environment", "environment_unknown", "name a registered environment"),
        }
    }
    if let Some(id) = charter.cloud_account {
        match kernel.one::<CloudAccount>(id).await? {
            Some(account) if account.standing == Standing::Closed => {
                wrong.add("cloud_account", "cloud_account_ended", "name an account that is open")
            }
            Some(account) if charter.environment.as_ref().is_some_and(|name| *name != account.environment) => {
                wrong.add("cloud_account", "wrong_environment", "name an account of the charter's own environment");
            }
            Some(_) => {}
            None => wrong.add(
                "cloud_account",
                "cloud_account_unknown",
                "name a registered account: tenure cloud-account list",
            ),
        }
    }
    if let Some(id) = charter.need {
        match kernel.one::<Need>(id).await? {
            Some(need) if need.standing == Standing::Closed => {
                wrong.add("need", "need_ended", "name a need that is open")
            }
            Some(_) => {}
            None => wrong.add("need", "need_unknown", "name a registered need: tenure need list"),
        }
    }
    Ok(())
}

/// The scope's resources and the data domains that they hold.
async fn check_data(
    kernel: &Kernel,
    charter: &CharterDraft,
    references: &mut References,
    wrong: &mut Wrong<'_>,
) -> Result<bool, OpError> {
    for problem in third_party::unknown_domains(kernel, "data_domains", &charter.data_domains).await? {
        wrong.add(&problem.field, &problem.code, &problem.hint);
    }
    references.sensitivity = sensitivity_of(kernel, &charter.data_domains).await?;
    // As the gate holds it against the resource at each use.
    let mut fits = charter.scope.len() <= MAX_ITEMS;
    let bounded = charter.vendor.is_some() || !charter.data_domains.is_empty();
    for (n, entitlement) in charter.scope.iter().take(MAX_ITEMS).enumerate() {
        let Ok(id) = entitlement.resource.parse::<ResourceId>() else {
            continue;
        };
        let Some(resource) = kernel.one::<Resource>(id).await? else {
            wrong.add(&format!("scope[{n}].resource"), "resource_unknown", "name a registered resource");
            fits = false;
            continue;
        };
        if charter.environment.as_ref().is_some_and(|name| *name != resource.environment) {
            let hint = "name a resource of the charter's own environment";
            wrong.add(&format!("scope[{n}].resource"), "wrong_environment", hint);
            fits = false;
            continue;
        }
        references.sensitivity = references.sensitivity.max(sensitivity_of(kernel, &resource.data_domains).await?);
        if let Some(action) =
            entitlement.actions.iter().find(|action| *action != WILDCARD && !resource.actions.contains(action))
        {
            let hint = format!("the resource doesn't know the action {action}");
            wrong.add(&format!("scope[{n}].actions"), "action_unknown", &hint);
        }
        if let Some(domain) =
            resource.data_domains.iter().find(|domain| bounded && !charter.data_domains.contains(domain))
        {
            fits = false;
            let hint = format!("the resource holds {domain}, which the charter's data_domains don't allow");
            wrong.add(&format!("scope[{n}].resource"), "outside_data_domains", &hint);
        }
    }
    Ok(fits)
}

/// Who may act for it: other non-human identities of the same environment, none of them at its end (S-14).
async fn check_delegates(kernel: &Kernel, charter: &CharterDraft, wrong: &mut Wrong<'_>) -> Result<(), OpError> {
    for (n, delegate) in charter.delegates.iter().enumerate() {
        let field = format!("delegates[{n}].actor");
        let Some(actor) = kernel.one::<Identity>(delegate.actor).await? else {
            wrong.add(&field, "identity_unknown", "name a registered non-human identity: tenure identity list");
            continue;
        };
        if matches!(actor.state, IdentityState::Retiring | IdentityState::Retired | IdentityState::Closed) {
            wrong.add(&field, "identity_retired", "name an identity that has not ended");
        } else if charter.environment.is_some() && actor.charter.environment != charter.environment {
            wrong.add(&field, "wrong_environment", "name an identity of the charter's own environment");
        }
    }
    Ok(())
}

/// The third party, and whether the charter keeps to what its contract allows (R12, R35).
async fn check_vendor(kernel: &Kernel, charter: &CharterDraft, wrong: &mut Wrong<'_>) -> Result<bool, OpError> {
    let Some(id) = charter.vendor else { return Ok(true) };
    let Some(vendor) = kernel.one::<Vendor>(id).await? else {
        wrong.add("vendor", "vendor_unknown", "name a registered vendor: tenure vendor list");
        return Ok(false);
    };
    if vendor.standing == Standing::Closed || vendor.ends_at.is_some_and(|end| end <= kernel.now()) {
        wrong.add("vendor", "vendor_ended", "the vendor has ended, and nothing of it begins again");
        return Ok(false);
    }
    if let (Some(contract), Some(end)) = (vendor.ends_at, charter.expires_at)
        && end > contract
    {
        wrong.add("expires_at", "expiry_after_contract", &format!("end it with the vendor's contract, {contract}"));
    }
    if let Some(domain) = charter.data_domains.iter().find(|domain| !vendor.data_domains.contains(domain)) {
        let hint = format!("the vendor's contract allows {}, not {domain}", vendor.data_domains.join(", "));
        wrong.add("data_domains", "outside_vendor_contract", &hint);
        return Ok(false);
    }
    Ok(true)
}

async fn check_binding(
    kernel: &Kernel,
    charter: &CharterDraft,
    references: &mut References,
    wrong: &mut Wrong<'_>,
) -> Result<(), OpError> {
    if let Some(binding) = &charter.workload_binding {
        references.issuer = check_one_binding(kernel, charter, binding, "workload_binding", wrong).await?;
    }
    let consumers = charter.shared.as_ref().map_or(&[][..], |shared| &shared.bindings);
    if consumers.len() > MAX_CONSUMER_BINDINGS {
        wrong.add("shared.bindings", "too_many", "use at most 16 items");
        return Ok(());
    }
    for (n, bound) in consumers.iter().enumerate() {
        let field = format!("shared.bindings[{n}].binding");
        check_one_binding(kernel, charter, &bound.binding, &field, wrong).await?;
    }
    Ok(())
}

/// Checks one binding; the issuer that vouches for it, if one does.
async fn check_one_binding(
    kernel: &Kernel,
    charter: &CharterDraft,
    binding: &WorkloadBinding,
    field: &str,
    wrong: &mut Wrong<'_>,
) -> Result<Option<Issuer>, OpError> {
    let at = |member: &str| format!("{field}.{member}");
    match binding {
        WorkloadBinding::PublicKey { jwk, .. } => {
            if let Err(error) = parse_workload_key(jwk) {
                wrong.add(&at("jwk"), error.code(), &error.to_string());
            }
        }
        WorkloadBinding::Oidc { issuer, claims, .. } => {
            if is_directory(kernel, issuer).await? {
                let hint = "people sign in with this issuer: name the issuer of the workload's own platform";
                wrong.add(&at("issuer"), "directory_issuer", hint);
                return Ok(None);
            }
            let Some(found) = find_issuer(kernel, issuer).await? else {
                wrong.add(&at("issuer"), "issuer_unknown", "name a registered, confirmed issuer by its URL");
                return Ok(None);
            };
            if charter.environment.as_ref().is_some_and(|name| !found.environments.contains(name)) {
                let hint = "the issuer doesn't count in the charter's environment";
                wrong.add(&at("issuer"), "issuer_not_for_environment", hint);
            } else if let Some((code, hint)) = against_issuer(&found, claims) {
                wrong.add(&at("claims"), code, &hint);
            }
            return Ok(Some(found));
        }
        WorkloadBinding::Certificate { certificate, .. } => {
            if let Err(error) = ClientCertificate::of_pem(certificate) {
                wrong.add(&at("certificate"), error.code(), &error.to_string());
            }
        }
        WorkloadBinding::JoinToken { .. } | WorkloadBinding::Account { .. } | WorkloadBinding::DirectoryUser { .. } => {
        }
    }
    Ok(None)
}

/// The active issuer that a binding names, if one vouches for it.
pub(crate) async fn issuer_of(kernel: &Kernel, binding: &WorkloadBinding) -> Result<Option<Issuer>, OpError> {
    match binding {
        WorkloadBinding::Oidc { issuer, .. } => find_issuer(kernel, issuer).await,
        _ => Ok(None),
    }
}

/// Whether people sign in with this issuer: it vouches for members of a directory, not for workloads (R18).
async fn is_directory(kernel: &Kernel, url: &str) -> Result<bool, OpError> {
    let bare = url.trim_end_matches('/');
    for issuer in [bare.to_owned(), format!("{bare}/")] {
        let same = Query::of([SignInProvider::ISSUER.of(&issuer)]);
        for provider in kernel.find(same.limit(10)).await?.whole()? {
            if provider.issuer == issuer && provider.state != TrustState::Removed {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The active issuer with this URL.
pub(crate) async fn find_issuer(kernel: &Kernel, url: &str) -> Result<Option<Issuer>, OpError> {
    for issuer in kernel.find(Query::of([Issuer::URL.of(url)]).limit(10)).await?.whole()? {
        if issuer.url == url && issuer.state == TrustState::Active {
            return Ok(Some((*issuer.value).clone()));
        }
    }
    Ok(None)
}

/// What the risk rule reads besides the charter.
pub(crate) async fn risk_facts(kernel: &Kernel, charter: &CharterDraft) -> Result<RiskFacts, OpError> {
    let environment = match &charter.environment {
        Some(name) => kernel.one::<Environment>(name).await?,
        None => None,
    };
    let mut sensitivity = sensitivity_of(kernel, &charter.data_domains).await?;
    for resource in resources_of(kernel, charter).await? {
        sensitivity = sensitivity.max(sensitivity_of(kernel, &resource.data_domains).await?);
    }
    Ok(RiskFacts { production: environment.is_none_or(|environment| environment.production), sensitivity })
}

/// The resources that a charter's scope names.
pub(crate) async fn resources_of(kernel: &Kernel, charter: &CharterDraft) -> Result<Vec<Stored<Resource>>, OpError> {
    let mut resources = Vec::new();
    for entitlement in &charter.scope {
        if let Ok(id) = entitlement.resource.parse::<ResourceId>() {
            resources.extend(kernel.one::<Resource>(id).await?);
        }
    }
    Ok(resources)
}

/// The sensitivity of the most sensitive of these data domains.
async fn sensitivity_of(kernel: &Kernel, domains: &[String]) -> Result<Option<Sensitivity>, OpError> {
    let mut highest = None;
    for name in domains {
        // What nobody has classified is treated as a secret.
        let domain = kernel.one::<DataDomain>(name).await?;
        highest = highest.max(Some(domain.map_or(Sensitivity::Confidential, |domain| domain.sensitivity)));
    }
    Ok(highest)
}

/// What is wrong with the claims to which a charter binds a workload of this issuer (S-13): the first in the order of
/// weight.
fn against_issuer(issuer: &Issuer, claims: &BTreeMap<String, Value>) -> Option<(&'static str, String)> {
    let preset = issuer.preset;
    let workload = preset.workload_claim();
    match claims.get(workload) {
        None if preset == Preset::Oidc => {
            return Some(("subject_claim_missing", "fix the claim sub to one exact value".to_owned()));
        }
        None => {
            let hint = format!("fix {workload}, which stays when names change hands: {}", preset.where_to_find());
            return Some(("workload_claim_missing", hint));
        }
        Some(value) if !preset.is_id(value) => {
            let hint =
                format!("give {workload} as text, exactly as the platform writes it: {}", preset.where_to_find());
            return Some(("workload_claim_malformed", hint));
        }
        Some(_) => {}
    }
    let narrowing = preset.narrowing_claims();
    if !narrowing.is_empty() && !narrowing.iter().any(|name| claims.contains_key(*name)) {
        let hint = format!(
            "fix one of {} as well: without it every branch and every job of the repository would do",
            narrowing.join(", ")
        );
        return Some(("narrowing_claim_missing", hint));
    }
    if let Some(missing) = issuer.required_claims.iter().find(|name| !claims.contains_key(*name)) {
        return Some(("required_claim_missing", format!("fix the claim {missing}, as this issuer is shared")));
    }
    let contradicts = |name: &&String| {
        let wanted = issuer.fixed_claims.get(*name);
        claims.get(*name).zip(wanted).is_some_and(|(given, wanted)| !claim::is_one_of(preset, name, given, wanted))
    };
    issuer.fixed_claims.keys().find(contradicts).map(|name| {
        let hint = format!(
            "leave {name} out: the issuer's registration fixes it to another value, so that no token has this one"
        );
        ("claim_contradicts_issuer", hint)
    })
}
