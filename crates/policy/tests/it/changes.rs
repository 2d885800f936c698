//! Differences between sets, questions asked again, reviews for approvers.

use tenure_core::policy::{PolicyEngine, PolicyLoader, Question, Value};
use tenure_policy::{CedarPolicy, DEFAULT_POLICIES, Loader, PolicyReview, Verdict, diff, replay, review};

use crate::{case, default_set, with_default};

const OLD: &str = "@id(\"a\") permit (principal, action == Action::\"read\", resource);\n// a remark\n\
                   @id(\"b\") permit (principal, action == Action::\"audit\", resource) when { context.owns };";
const NEW: &str = "@id(\"c\")\npermit (principal, action == Action::\"erase\", resource);\n// another\n\
                   @id(\"b\") permit (principal, action == Action::\"audit\", resource);";

#[test]
fn the_difference_is_by_name_with_both_texts() {
    let (old, new) = (CedarPolicy::with_policies(OLD).unwrap(), CedarPolicy::with_policies(NEW).unwrap());
    let found = diff(&old, &new);
    assert_eq!(found.added.len(), 1);
    assert_eq!(found.added[0].text, "@id(\"c\")\npermit (principal, action == Action::\"erase\", resource);");
    assert_eq!((found.removed.len(), found.removed[0].id.as_str()), (1, "a"));
    assert_eq!((found.changed.len(), found.changed[0].id.as_str()), (1, "b"));
    assert!(found.changed[0].was.contains("when { context.owns }") && !found.changed[0].becomes.contains("when"));
    assert!(diff(&old, &old).is_empty());
    assert!(diff(&default_set(), &with_default("// a remark")).is_empty());
}

/// A set that was asked: a manager's reading, a stranger's, and a token.
fn asked() -> CedarPolicy {
    let set = default_set();
    for name in [
        "a manager reads any record",
        "an owner does not read what is somebody else's",
        "an active workload gets a token of an hour",
    ] {
        set.decide(&case(name).question);
    }
    set
}

#[test]
fn what_was_asked_lately_is_known_once_each_and_bounded() {
    let set = asked();
    assert_eq!(set.recent().len(), 3);
    set.decide(&case("a manager reads any record").question);
    assert_eq!(set.recent().len(), 3);
    assert_eq!(set.recent(), asked().recent(), "in a stable order");
    let question = case("an owner does not read what is somebody else's").question;
    for n in 0..9_000 {
        let mut other = question.clone();
        other.resource.id = n.to_string();
        set.decide(&other);
    }
    let recent = set.recent();
    assert_eq!(recent.len(), 4_096);
    assert!(
        recent.iter().any(|(question, _)| question.resource.id == "8999")
            && recent.iter().all(|(question, _)| question.resource.id != "0")
    );
}

#[test]
fn a_replay_shows_each_decision_that_changes_and_no_other() {
    let set = asked();
    let stricter = with_default("@id(\"no-tokens\") forbid (principal, action == Action::\"issue\", resource);");
    let changed = replay(&set.recent(), &stricter);
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0].question.action, "issue");
    assert_eq!(changed[0].was.to_string(), "allowed by issue-and-use");
    assert_eq!(changed[0].becomes.to_string(), "denied by no-tokens");
    assert!(replay(&set.recent(), &with_default("// a remark")).is_empty());
}

#[tokio::test]
async fn a_review_holds_all_that_an_approver_should_see() {
    let recent = asked().recent();
    let proposed = format!(
        "{DEFAULT_POLICIES}\n@id(\"readers\") permit (principal is Person, action == Action::\"read\", resource);"
    );
    let found = review(DEFAULT_POLICIES, &proposed, &recent, None).await.unwrap();
    assert!(found.problems.is_empty());
    assert_eq!((found.diff.added.len(), found.replay.asked, found.replay.changed_count), (1, 3, 1));
    assert_eq!(found.replay.changed[0].becomes.policies, ["readers"]);
    assert_eq!(found.analysis.verdict, Verdict::NotAvailable);
    let read: PolicyReview = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(read, found);

    let sendable: &dyn Fn() -> Box<dyn Future<Output = _> + Send> =
        &|| Box::new(review(DEFAULT_POLICIES, DEFAULT_POLICIES, &[], None));
    drop(sendable());

    let broken = review(DEFAULT_POLICIES, "permit (principal, action, resource);", &recent, None).await.unwrap();
    assert_eq!(broken.problems.len(), 1);
    assert_eq!(broken.analysis.verdict, Verdict::NotAvailable);
    assert!(review("nonsense", DEFAULT_POLICIES, &recent, None).await.is_err());
}

#[test]
fn the_loader_gives_an_engine_or_every_problem_with_its_place() {
    let engine = Loader.load(Loader.default_text()).unwrap();
    assert_eq!(engine.version(), default_set().version());
    let Err(problems) = Loader.load("permit (principal, action, resource);\n@id(\"x\") permit (principal, action, resource) when { context.nothing };") else {
        panic!("it has two mistakes");
    };
    assert!(problems.len() >= 2, "{problems:?}");
    assert!(
        problems.iter().any(|problem| problem.field == "policies:1:1" && problem.code == "policy_invalid"),
        "{problems:?}"
    );
    assert!(problems.iter().all(|problem| !problem.hint.is_empty()));
}

#[test]
fn s9_a_forbid_on_a_light_route_pushes_to_a_heavier_one() {
    let routes = [
        "route_auto",
        "route_owner_or_manager",
        "route_manager",
        "route_security",
        "route_owner_and_security",
        "route_manager_and_security",
    ];
    let first = |set: &CedarPolicy, ask: &Question| {
        let mut open = tenure_core::policy::Action::ALL.iter().filter(|action| routes.contains(&action.as_str()));
        let open = open.find(|action| {
            let question = Question { action: **action, ..ask.clone() };
            set.decide(&question).allowed()
        });
        open.map(|action| action.as_str())
    };
    let ask = case("owner or manager approve 90 days in production").question;
    assert_eq!(first(&default_set(), &ask), Some("route_owner_or_manager"));
    let one = "@id(\"pipelines-are-heavier\") forbid (principal, action == Action::\"route_owner_or_manager\", resource) when { context.production };";
    assert_eq!(first(&with_default(one), &ask), Some("route_security"));
    let two = one.replace(
        "== Action::\"route_owner_or_manager\"",
        "in [Action::\"route_owner_or_manager\", Action::\"route_security\"]",
    );
    assert_eq!(first(&with_default(&two), &ask), Some("route_owner_and_security"));
    let all = one.replace("== Action::\"route_owner_or_manager\"", "in Action::\"routes\"");
    assert_eq!(first(&with_default(&all), &ask), None, "no permitted route is a refusal");
    let mut light = ask;
    light.context.extend([
        ("templated", Value::Bool(true)),
        ("tier", Value::Text("low".into())),
        ("production", Value::Bool(false)),
        ("duration_secs", Value::Long(3600)),
    ]);
    assert_eq!(first(&default_set(), &light), Some("route_auto"));
    let never = with_default("@id(\"somebody-looks\") forbid (principal, action == Action::\"route_auto\", resource);");
    assert_eq!(first(&never, &light), Some("route_owner_or_manager"));
}
