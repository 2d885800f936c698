//! Templates: defaults for what a request leaves out, ceilings for what it wants (R47–R49, R61).
//!
//! A template is changed by a request ([`Matter::Template`]). Its ceilings bind what is made from it for as long as it
//! lives: a wider charter or a later end is held against the template as it then stands.

use tenure_api::requests::NewIdentity;
use tenure_core::base::id::ResourceId;
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::template::{Template, WhenOver};
use tenure_core::identity::{
    CharterDraft, DEFAULT_CREDENTIAL_TTL, Identity, Kind, MAX_CREDENTIAL_TTL, RiskTier, WorkloadBinding,
};
use tenure_core::inventory::entitlement::{Entitlement, WILDCARD};
use tenure_core::inventory::environment::parse_name;
use tenure_core::request::Clipped;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Listed;

const MAX_TEXT: usize = 1_000;
const MAX_ITEMS: usize = 32;
const MIN_LIFE: Span = Span::from_secs(10);
const MAX_LIFE: Span = Span::from_days(3_650);

impl Listed for Template {
    const NAME: &'static str = "template";
    // Whoever is to ask by a template has to see what it gives and allows.
    const OPEN: bool = true;
}

/// The charter as its template completes and bounds it, with what was cut down.
pub(crate) async fn templated(
    kernel: &Kernel,
    ask: &NewIdentity,
    now: Timestamp,
) -> Result<(CharterDraft, Vec<Clipped>), OpError> {
    match &ask.template {
        None => Ok((ask.charter.clone(), Vec::new())),
        Some(name) => {
            let template = match parse_name("template", name) {
                Ok(()) => kernel.one::<Template>(name).await?,
                Err(_) => None,
            };
            let template = template.ok_or_else(|| {
                OpError::field("template", "template_unknown", "name a template: tenure template list")
            })?;
            apply(&template, ask, now)
        }
    }
}

/// That the derived tier isn't above the template's.
pub(crate) async fn check_template_tier(kernel: &Kernel, ask: &NewIdentity, tier: RiskTier) -> Result<(), OpError> {
    let Some(name) = &ask.template else { return Ok(()) };
    let template = kernel.must::<Template>("template", name).await?;
    below_max_tier(&template, tier)
}

/// That a charter which an identity is to get is still inside the ceilings of the template that it was made from (R49).
pub(crate) async fn within_template(
    kernel: &Kernel,
    identity: &Identity,
    charter: &CharterDraft,
    tier: RiskTier,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some(name) = &identity.template else { return Ok(()) };
    let Some(template) = kernel.one::<Template>(name).await? else {
        return Ok(());
    };
    let over = cut_down(&template, &mut charter.clone(), now);
    if over.is_empty() { below_max_tier(&template, tier) } else { Err(over_ceiling(&template, &over)) }
}

fn below_max_tier(template: &Template, tier: RiskTier) -> Result<(), OpError> {
    if tier <= template.max_tier {
        return Ok(());
    }
    let (name, max) = (&template.name, template.max_tier.as_str());
    let detail = format!("the risk tier is {}, and the template {name} is for {max} at most", tier.as_str());
    Err(OpError::because(Reason::OverCeiling, detail))
}

/// The charter that a template makes of what is asked.
pub(crate) fn apply(
    template: &Template,
    ask: &NewIdentity,
    now: Timestamp,
) -> Result<(CharterDraft, Vec<Clipped>), OpError> {
    if ask.kind != template.kind {
        let hint = format!("the template {} makes identities of the kind {}", template.name, template.kind.as_str());
        return Err(OpError::field("kind", "kind_not_of_template", &hint));
    }
    let mut charter = filled(&ask.charter, template, now);
    let over = cut_down(template, &mut charter, now);
    let refused = template.when_over == WhenOver::Refuse || over.iter().any(|clipped| clipped.given.is_empty());
    if !over.is_empty() && refused {
        return Err(over_ceiling(template, &over));
    }
    Ok((charter, over))
}

/// Names what is over a ceiling, what was wanted and what is allowed.
fn over_ceiling(template: &Template, over: &[Clipped]) -> OpError {
    let each = over.iter().map(|over| {
        let allowed = if over.given.is_empty() { "nothing of it" } else { &over.given };
        format!("{}: wanted {}, allowed {allowed}", over.field, over.wanted)
    });
    let detail =
        format!("over the ceilings of the template {}: {}", template.name, each.collect::<Vec<_>>().join("; "));
    OpError::because(Reason::OverCeiling, detail)
}

/// The charter with the template's defaults where it says nothing.
fn filled(charter: &CharterDraft, template: &Template, now: Timestamp) -> CharterDraft {
    fn or<T: Clone>(own: &Option<T>, default: &Option<T>) -> Option<T> {
        own.as_ref().or(default.as_ref()).cloned()
    }
    fn list<T: Clone>(own: &[T], default: &[T]) -> Vec<T> {
        if own.is_empty() { default.to_vec() } else { own.to_vec() }
    }
    let defaults = &template.defaults;
    CharterDraft {
        owner: charter.owner.or(defaults.owner),
        backup_owner: charter.backup_owner.or(defaults.backup_owner),
        purpose: or(&charter.purpose, &defaults.purpose),
        scope: list(&charter.scope, &defaults.scope),
        trust_boundary: or(&charter.trust_boundary, &defaults.trust_boundary),
        environment: or(&charter.environment, &defaults.environment),
        application: charter.application.or(defaults.application),
        workload_binding: or(&charter.workload_binding, &defaults.workload_binding),
        expires_at: charter.expires_at.or_else(|| Some(now.plus(template.default_life))),
        retirement: list(&charter.retirement, &defaults.retirement),
        rotation_cadence: charter.rotation_cadence.or(defaults.rotation_cadence),
        credential_types: list(&charter.credential_types, &defaults.credential_types),
        credential_ttl: charter.credential_ttl.or(defaults.credential_ttl).or_else(|| {
            // What Tenure gives where nobody says anything is no wish that a ceiling would have to refuse.
            template.max_credential_ttl.filter(|max| *max < DEFAULT_CREDENTIAL_TTL)
        }),
        coverage: charter.coverage.or(defaults.coverage),
        auto_revocation: list(&charter.auto_revocation, &defaults.auto_revocation),
        data_domains: list(&charter.data_domains, &defaults.data_domains),
        repositories: list(&charter.repositories, &list(&defaults.repositories, &template.repositories)),
        parties: or(&charter.parties, &defaults.parties),
        shared: or(&charter.shared, &defaults.shared),
        vendor: charter.vendor.or(defaults.vendor),
        cloud_account: charter.cloud_account.or(defaults.cloud_account),
        need: charter.need.or(defaults.need),
        usage: or(&charter.usage, &defaults.usage),
        renewal: or(&charter.renewal, &defaults.renewal),
        tasks: list(&charter.tasks, &defaults.tasks),
        // A default names a task of the list that it was written for.
        default_task: or(&charter.default_task, if charter.tasks.is_empty() { &defaults.default_task } else { &None }),
        delegates: list(&charter.delegates, &defaults.delegates),
        places: list(&charter.places, &defaults.places),
        sender_constrained: charter.sender_constrained || defaults.sender_constrained,
        exact_scope: charter.exact_scope || defaults.exact_scope,
        account_grants: charter.account_grants.clone(),
        notification_endpoint: or(&charter.notification_endpoint, &defaults.notification_endpoint),
        removal_group: or(&charter.removal_group, &defaults.removal_group),
    }
}

/// Cuts a charter down to a template's ceilings. Where nothing can be given instead of what was wanted, `given` is
/// empty.
fn cut_down(template: &Template, charter: &mut CharterDraft, now: Timestamp) -> Vec<Clipped> {
    let mut over = Vec::new();
    let mut clip = |field: &str, wanted: String, given: String| {
        over.push(Clipped { field: format!("charter.{field}"), wanted, given });
    };
    let latest = now.plus(template.max_life);
    if let Some(end) = charter.expires_at.filter(|end| *end > latest) {
        clip("expires_at", end.to_string(), latest.to_string());
        charter.expires_at = Some(latest);
    }
    if let (Some(ttl), Some(max)) = (charter.credential_ttl, template.max_credential_ttl)
        && ttl > max
    {
        clip("credential_ttl", ttl.to_string(), max.to_string());
        charter.credential_ttl = Some(max);
    }
    if let Some(environment) = charter
        .environment
        .clone()
        .filter(|name| !template.environments.is_empty() && !template.environments.contains(name))
    {
        clip("environment", environment, String::new());
    }
    if !template.max_scope.is_empty() {
        let narrow = narrowed(&charter.scope, &template.max_scope);
        if narrow != charter.scope {
            clip("scope", scope_text(&charter.scope), scope_text(&narrow));
            charter.scope = narrow;
        }
    }
    if !template.repositories.is_empty() {
        let mut permitted = charter.repositories.clone();
        let is_listed = |repository: &String| {
            template.repositories.iter().any(|listed| listed.to_lowercase() == repository.to_lowercase())
        };
        permitted.retain(is_listed);
        if permitted != charter.repositories {
            clip("repositories", charter.repositories.join(" "), permitted.join(" "));
            charter.repositories = permitted;
        }
    }
    over
}

/// The part of a scope that another covers.
fn narrowed(scope: &[Entitlement], max: &[Entitlement]) -> Vec<Entitlement> {
    let covered = |action: &String, resource: &str| {
        max.iter().any(|e| {
            (e.resource == WILDCARD || e.resource == resource)
                && (e.actions.contains(action) || e.actions.iter().any(|a| a == WILDCARD))
        })
    };
    let mut narrow = scope.to_vec();
    for entitlement in &mut narrow {
        let resource = entitlement.resource.clone();
        entitlement.actions.retain(|action| covered(action, &resource));
    }
    narrow.retain(|entitlement| !entitlement.actions.is_empty());
    narrow
}

fn scope_text(scope: &[Entitlement]) -> String {
    let each = scope.iter().map(|e| format!("{} on {}", e.actions.join(","), e.resource));
    each.collect::<Vec<_>>().join("; ")
}

/// What is wrong with a template.
pub(crate) fn check(template: &Template) -> Vec<FieldProblem> {
    let mut problems: Vec<FieldProblem> =
        parse_name("matter.template.name", &template.name).err().into_iter().collect();
    let mut wrong = |good: bool, field: &str, code: &str, hint: &str| {
        if !good {
            problems.push(FieldProblem::new(format!("matter.template.{field}"), code, hint));
        }
    };
    let text = &template.description;
    wrong(
        !text.trim().is_empty() && text.len() <= MAX_TEXT,
        "description",
        "description_missing",
        "say what it is for, in at most 1000 bytes",
    );
    let longest = template.kind.max_life().unwrap_or(MAX_LIFE);
    wrong(
        (MIN_LIFE..=longest).contains(&template.max_life),
        "max_life",
        "max_life_out_of_range",
        &format!("use {MIN_LIFE} to {longest}"),
    );
    wrong(
        (MIN_LIFE..=template.max_life).contains(&template.default_life),
        "default_life",
        "default_life_out_of_range",
        "use 10s to max_life",
    );
    let ttl = template.max_credential_ttl;
    wrong(
        ttl.is_none_or(|ttl| (MIN_LIFE..=MAX_CREDENTIAL_TTL).contains(&ttl)),
        "max_credential_ttl",
        "credential_ttl_out_of_range",
        "use 10s to 1h",
    );
    wrong(
        template.environments.len() <= MAX_ITEMS
            && template.environments.iter().all(|name| parse_name("", name).is_ok()),
        "environments",
        "environments_malformed",
        "list at most 32 environments by name",
    );
    let named = |e: &Entitlement| {
        (e.resource == WILDCARD || e.resource.parse::<ResourceId>().is_ok())
            && !e.actions.is_empty()
            && e.actions.len() <= MAX_ITEMS
    };
    wrong(
        template.max_scope.len() <= MAX_ITEMS && template.max_scope.iter().all(named),
        "max_scope",
        "scope_malformed",
        "list at most 32 resources by id, each with 1 to 32 actions",
    );
    let repositories = &template.repositories;
    wrong(
        repositories.len() <= MAX_ITEMS
            && repositories.iter().all(|name| !name.trim().is_empty() && name.len() <= MAX_TEXT),
        "repositories",
        "item_malformed",
        "list at most 32 repositories",
    );
    wrong(
        template.kind != Kind::Pipeline || !repositories.is_empty(),
        "repositories",
        "repositories_missing",
        "a pipeline's template lists the repositories that it is for: they are the template's to permit, not the requester's",
    );
    let defaults = &template.defaults;
    wrong(
        defaults.expires_at.is_none(),
        "defaults.expires_at",
        "default_is_a_date",
        "a template gives a life: use default_life",
    );
    wrong(
        !matches!(defaults.workload_binding, Some(WorkloadBinding::PublicKey { .. })),
        "defaults.workload_binding",
        "default_is_a_key",
        "a key is one identity's own: leave it to the request, or use join_token",
    );
    // What it gives by itself has to pass its own ceilings.
    let over = cut_down(template, &mut defaults.clone(), Timestamp::default());
    wrong(
        over.is_empty(),
        "defaults",
        "defaults_over_ceiling",
        &over.iter().map(|over| over.field.replacen("charter.", "", 1)).collect::<Vec<_>>().join(", "),
    );
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tenure_api::requests::Stage;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn resource(n: u128) -> String {
        ResourceId::from_u128(n).to_string()
    }

    fn template(with: &Value) -> Template {
        let mut template = json!({
            "name": "job", "kind": "workload", "description": "short jobs", "default_life": "10m", "max_life": "1h",
            "max_credential_ttl": "5m", "max_scope": [{"actions": ["read", "list"], "resource": resource(1)}],
            "environments": ["staging"], "max_tier": "low",
            "defaults": {"purpose": "a job", "environment": "staging", "retirement": [{"type": "task_completed"}]},
        });
        for (name, value) in with.as_object().unwrap() {
            template[name] = value.clone();
        }
        serde_json::from_value(template).unwrap()
    }

    fn ask(kind: Kind, charter: Value) -> NewIdentity {
        NewIdentity {
            kind,
            name: "x".into(),
            template: Some("job".into()),
            charter: serde_json::from_value(charter).unwrap(),
            stage: Stage::Pending,
            token: None,
        }
    }

    fn detail(error: OpError) -> String {
        match error {
            OpError::Refused { reason: Reason::OverCeiling, detail: Some(detail), .. } => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_fill_what_is_missing_and_nothing_else() {
        let (charter, clipped) =
            apply(&template(&json!({})), &ask(Kind::Workload, json!({"purpose": "mine"})), NOW).unwrap();
        assert_eq!(clipped, []);
        assert_eq!(charter.purpose.as_deref(), Some("mine"));
        assert_eq!(charter.environment.as_deref(), Some("staging"));
        assert_eq!(charter.expires_at, Some(NOW.plus(Span::from_mins(10))));
        assert_eq!(charter.credential_ttl, Some(Span::from_mins(5)));
        assert_eq!(charter.retirement.len(), 1);
    }

    #[test]
    fn what_is_over_a_ceiling_is_refused_by_name_or_cut_down_to_it() {
        let wide = json!({
            "expires_at": NOW.plus(Span::from_days(1)), "credential_ttl": "10m",
            "scope": [{"actions": ["read", "write"], "resource": resource(1)}, {"actions": ["read"], "resource": resource(2)}],
        });
        let refused = detail(apply(&template(&json!({})), &ask(Kind::Workload, wide.clone()), NOW).unwrap_err());
        for part in [
            "charter.expires_at: wanted 2023-11-15",
            "allowed 2023-11-14",
            "charter.credential_ttl: wanted 10m, allowed 5m",
            "charter.scope: wanted read,write on",
        ] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        let clips = template(&json!({"when_over": "clip"}));
        let (charter, clipped) = apply(&clips, &ask(Kind::Workload, wide), NOW).unwrap();
        assert_eq!(
            clipped.iter().map(|c| c.field.as_str()).collect::<Vec<_>>(),
            ["charter.expires_at", "charter.credential_ttl", "charter.scope"]
        );
        assert_eq!(charter.expires_at, Some(NOW.plus(Span::from_mins(60))));
        assert_eq!(charter.scope, [Entitlement { actions: vec!["read".into()], resource: resource(1) }]);
    }

    #[test]
    fn where_nothing_is_left_clipping_refuses() {
        let clips = template(&json!({"when_over": "clip", "repositories": ["acme/app"], "kind": "pipeline"}));
        for charter in [
            json!({"environment": "production"}),
            json!({"scope": [{"actions": ["write"], "resource": resource(1)}]}),
            json!({"scope": [{"actions": ["*"], "resource": resource(1)}]}),
            json!({"scope": [{"actions": ["read"], "resource": "*"}]}),
            json!({"repositories": ["acme/other"]}),
        ] {
            detail(apply(&clips, &ask(Kind::Pipeline, charter), NOW).unwrap_err());
        }
        let (charter, clipped) =
            apply(&clips, &ask(Kind::Pipeline, json!({"repositories": ["acme/app", "acme/other"]})), NOW).unwrap();
        assert_eq!((charter.repositories, clipped.len()), (vec!["acme/app".to_owned()], 1));
        let (charter, _) = apply(&clips, &ask(Kind::Pipeline, json!({})), NOW).unwrap();
        assert_eq!(charter.repositories, ["acme/app"]);
        assert!(matches!(apply(&clips, &ask(Kind::Workload, json!({})), NOW), Err(OpError::Invalid(_))));
    }

    #[test]
    fn a_template_keeps_its_own_rules() {
        assert_eq!(check(&template(&json!({}))), []);
        for (with, code) in [
            (json!({"name": "A"}), "name_malformed"),
            (json!({"description": " "}), "description_missing"),
            (json!({"max_life": "1s"}), "max_life_out_of_range"),
            (json!({"kind": "agent", "max_life": "31d"}), "max_life_out_of_range"),
            (json!({"default_life": "2h"}), "default_life_out_of_range"),
            (json!({"max_credential_ttl": "2h"}), "credential_ttl_out_of_range"),
            (json!({"kind": "pipeline"}), "repositories_missing"),
            (json!({"environments": ["A"], "defaults": {}}), "environments_malformed"),
            (json!({"max_scope": [{"actions": ["read"], "resource": "orders"}]}), "scope_malformed"),
            (json!({"defaults": {"expires_at": NOW}}), "default_is_a_date"),
            (json!({"defaults": {"environment": "production"}}), "defaults_over_ceiling"),
            (
                json!({"defaults": {"workload_binding": {"type": "public_key", "workload": "w", "jwk": {}}}}),
                "default_is_a_key",
            ),
        ] {
            let codes: Vec<String> = check(&template(&with)).into_iter().map(|problem| problem.code).collect();
            assert!(codes.contains(&code.to_owned()), "{with}: {codes:?}");
        }
    }
}
