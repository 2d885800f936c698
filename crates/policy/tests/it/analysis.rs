//! What the solver says of changes. It needs cvc5 in PATH: `cargo xtask peers` installs it.

use std::time::Duration;

use tenure_policy::{Analysis, CedarPolicy, DEFAULT_POLICIES, Plain, Solver, Verdict, analyse};

use crate::{default_set, with_default};

async fn analysed(old: &CedarPolicy, new: &CedarPolicy) -> Analysis {
    let analysis = analyse(old, new, Some(&Solver::at("cvc5"))).await;
    assert_ne!(analysis.verdict, Verdict::NotAvailable, "{analysis:?}; `cargo xtask peers` installs cvc5");
    analysis
}

fn changed(from: &str, to: &str) -> CedarPolicy {
    assert_eq!(DEFAULT_POLICIES.matches(from).count(), 1, "{from}");
    CedarPolicy::with_policies(&DEFAULT_POLICIES.replace(from, to)).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_stricter_set_is_proven_to_grant_nothing_new() {
    // As access tokens and logins have it.
    let hour = "context.ttl_secs > 0 && context.ttl_secs <= 3600";
    assert_eq!(DEFAULT_POLICIES.matches(hour).count(), 2);
    let stricter = DEFAULT_POLICIES.replace(hour, "context.ttl_secs > 0 && context.ttl_secs <= 1800");
    let stricter = CedarPolicy::with_policies(&stricter).unwrap();
    let analysis = analysed(&default_set(), &stricter).await;
    assert_eq!(analysis.verdict, Verdict::GrantsNothingNew, "{analysis:?}");
    assert_eq!(analysis.examined, ["issue by Identity on Resource", "use by Identity on Resource"]);
    let forbids = with_default(
        "@id(\"no-bots\") forbid (principal is Identity, action, resource) when { principal.kind == \"bot\" };",
    );
    let analysis = analysed(&default_set(), &forbids).await;
    assert_eq!(analysis.verdict, Verdict::GrantsNothingNew, "{analysis:?}");
}

#[tokio::test]
async fn the_same_rules_in_other_words_are_proven_the_same() {
    let other = changed(
        "when { context.placed_by_self };",
        "// Who is not active does nothing anyway.\nwhen { principal.active && context.placed_by_self };",
    );
    let analysis = analysed(&default_set(), &other).await;
    assert_eq!(analysis.verdict, Verdict::GrantsNothingNew, "{analysis:?}");
    assert_eq!(analysis.examined, ["enable by Person on Inventory"]);
    let remarked = changed("@id(\"vote\")", "@note(\"a remark\")\n@id(\"vote\")");
    let analysis = analysed(&default_set(), &remarked).await;
    assert!(analysis.verdict == Verdict::GrantsNothingNew && analysis.examined.is_empty(), "{analysis:?}");
}

#[tokio::test]
async fn a_wider_permit_is_shown_with_a_request_that_it_newly_allows() {
    let wider = changed(
        "context.templated && context.tier == \"low\" && context.duration_secs <= 3600",
        "context.templated && context.tier == \"low\" && context.duration_secs <= 7200",
    );
    let analysis = analysed(&default_set(), &wider).await;
    assert_eq!(analysis.verdict, Verdict::GrantsMore, "{analysis:?}");
    assert_eq!(analysis.newly_allowed.len(), 2, "for people and for identities: {analysis:?}");
    for found in &analysis.newly_allowed {
        assert_eq!(found.question.action, "route_auto");
        let Some(Plain::Long(secs)) = found.question.context.get("duration_secs") else { panic!("{found:?}") };
        assert!((3601..=7200).contains(secs), "{secs}");
        assert_eq!(found.question.context.get("tier"), Some(&Plain::Text("low".into())));
        assert!(!found.was.allowed && found.becomes.allowed);
        assert_eq!(found.becomes.policies, ["auto-approve-ephemeral"]);
    }
}

#[tokio::test]
async fn a_forbid_that_goes_is_shown_with_what_it_held_back() {
    let start = DEFAULT_POLICIES.find("@id(\"self-release\")").unwrap();
    let end = start + DEFAULT_POLICIES[start..].find(';').unwrap() + 1;
    let without =
        CedarPolicy::with_policies(&format!("{}{}", &DEFAULT_POLICIES[..start], &DEFAULT_POLICIES[end..])).unwrap();
    let analysis = analysed(&default_set(), &without).await;
    assert_eq!((analysis.verdict, analysis.newly_allowed.len()), (Verdict::GrantsMore, 1), "{analysis:?}");
    let found = &analysis.newly_allowed[0];
    assert_eq!(found.was.policies, ["self-release"]);
    assert_eq!(found.question.context.get("placed_by_self"), Some(&Plain::Bool(true)));
    assert_eq!(found.becomes.policies, ["enable"]);
}

#[tokio::test]
async fn a_failing_policy_that_goes_is_not_taken_for_nothing() {
    let overflow = "@id(\"odd\") forbid (principal, action == Action::\"issue\", resource) when { context.ttl_secs + 9223372036854775807 > 0 && context.ttl_secs + 9223372036854775807 < 0 };";
    let analysis = analysed(&with_default(overflow), &default_set()).await;
    assert_eq!(analysis.verdict, Verdict::Undecided, "while it fails, every token is denied: {analysis:?}");
    assert!(analysis.undecided[0].contains("could fail, which denied"), "{analysis:?}");
    let harmless = overflow.replace("when { ", "when { principal.state != \"active\" && ");
    let analysis = analysed(&with_default(&harmless), &default_set()).await;
    assert_eq!(analysis.verdict, Verdict::GrantsNothingNew, "it fails only where another forbid denies: {analysis:?}");
    let alone = CedarPolicy::with_policies(&format!(
        "@id(\"all\") permit (principal, action == Action::\"issue\", resource);{overflow}"
    ))
    .unwrap();
    let all =
        CedarPolicy::with_policies("@id(\"all\") permit (principal, action == Action::\"issue\", resource);").unwrap();
    let analysis = analysed(&alone, &all).await;
    assert_eq!(analysis.verdict, Verdict::GrantsMore, "{analysis:?}");
    assert!(analysis.newly_allowed[0].was.errored && analysis.newly_allowed[0].becomes.allowed, "{analysis:?}");
}

#[tokio::test]
async fn a_question_that_tenure_never_asks_is_no_false_alarm_and_no_proof() {
    let ghost = "@id(\"ghost\") permit (principal is Person, action == Action::\"erase\", resource) when { Person::\"ghost\".active && principal.active };";
    let analysis = analysed(&default_set(), &with_default(ghost)).await;
    assert_eq!(analysis.verdict, Verdict::Undecided, "{analysis:?}");
    assert!(
        analysis.undecided[0]
            .starts_with("erase by Person on Inventory: the solver found a question that Tenure never asks"),
        "{analysis:?}"
    );
}

#[tokio::test]
async fn without_a_solver_or_time_nothing_is_called_proven() {
    let (old, new) = (default_set(), with_default("@id(\"all\") permit (principal, action, resource);"));
    let none = analyse(&old, &new, None).await;
    assert_eq!(none.verdict, Verdict::NotAvailable);
    let missing = analyse(&old, &new, Some(&Solver::at("/nowhere/cvc5"))).await;
    assert_eq!(missing.verdict, Verdict::NotAvailable);
    assert!(missing.reason.as_ref().unwrap().contains("/nowhere/cvc5 does not run"), "{missing:?}");
    let other = analyse(&old, &new, Some(&Solver::at("/bin/true"))).await;
    assert!(
        other.verdict == Verdict::NotAvailable && other.reason.as_ref().unwrap().contains("is not cvc5"),
        "{other:?}"
    );
    let hasty = Solver { limit: Duration::ZERO, ..Solver::at("cvc5") };
    let hasty = analyse(&old, &new, Some(&hasty)).await;
    assert_eq!(hasty.verdict, Verdict::Undecided, "{hasty:?}");
    assert!(hasty.newly_allowed.is_empty() && !hasty.undecided.is_empty());
}
