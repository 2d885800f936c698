//! The default set against its table of cases, and how sets are loaded and errors answered.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what the tests share fails by panicking, like the tests themselves"
)]

mod analysis;
mod changes;
mod nesting;

use tenure_core::policy::{Action, Attributes, Entity, EntityType, PolicyEngine, Question, Value};
use tenure_policy::bench::{self, Case, Expect};
use tenure_policy::{CedarPolicy, DEFAULT_CASES, DEFAULT_POLICIES, PolicySetError, SCHEMA, Source};

fn default_set() -> CedarPolicy {
    CedarPolicy::default_set().unwrap_or_else(|error| panic!("{error}"))
}

fn cases() -> Vec<Case> {
    bench::parse(DEFAULT_CASES).unwrap()
}

fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

fn refused(schema: &str, policies: &str) -> PolicySetError {
    CedarPolicy::load(schema, policies).unwrap_err()
}

fn with_default(extra: &str) -> CedarPolicy {
    CedarPolicy::with_policies(&format!("{DEFAULT_POLICIES}\n{extra}")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_default_set_answers_every_case() {
    let (set, cases) = (default_set(), cases());
    let failed: Vec<String> = bench::run(&set, &cases)
        .iter()
        .filter(|outcome| !outcome.passed())
        .map(|outcome| {
            let (case, answer) = (outcome.case, &outcome.answer);
            format!("{}: wants {:?} {:?}, got {answer:?}", case.name, case.expect, case.because)
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_cases_show_each_policy_at_work_and_at_rest() {
    let cases = cases();
    for policy in default_set().policies() {
        let bearing = || cases.iter().filter(|case| policy.actions.contains(&case.question.action));
        let at_work = bearing().any(|case| case.because.contains(&policy.id));
        let at_rest = bearing().any(|case| match case.expect {
            Expect::Allow => !policy.permits,
            Expect::Deny => policy.permits && case.because.is_empty(),
        });
        assert!(at_work && at_rest, "{}: at work {at_work}, at rest {at_rest}", policy.id);
    }
    for &action in Action::ALL {
        for expect in [Expect::Allow, Expect::Deny] {
            assert!(
                cases.iter().any(|case| case.question.action == action && case.expect == expect),
                "{action:?} {expect:?}"
            );
        }
    }
}

#[test]
fn each_default_policy_says_what_it_is_for() {
    for policy in default_set().policies() {
        let known =
            policy.control.starts_with("NHI") && policy.control.ends_with(":2025") || policy.control == "ASI03:2026";
        assert!(known, "{policy:?}");
        assert!(policy.doc.len() > 20 && !policy.actions.is_empty(), "{policy:?}");
    }
}

#[test]
fn the_version_is_the_hash_of_the_exact_text() {
    let set = default_set();
    assert_eq!(set.version().len(), "sha256:".len() + 64);
    assert_eq!(set.version(), default_set().version());
    assert_ne!(set.version(), with_default("// a remark").version());
    let empty = CedarPolicy::load(SCHEMA, "").unwrap();
    assert_ne!(set.version(), empty.version());
    assert_eq!(empty.decide(&case("an active workload uses what it was granted").question).version(), empty.version());
}

#[test]
fn a_set_is_refused_with_all_that_is_wrong() {
    let policies = "@id(\"one\")\npermit (principal, action == Action::\"read\", resource)\nwhen { context.own };\n\
                    @id(\"two\")\npermit (principal is Persom, action, resource);\n\
                    permit (principal, action, resource);\n\
                    @id(\"one\") permit (principal, action, resource);\n\
                    @id(\"t\") permit (principal == ?principal, action, resource);\n";
    let error = refused(SCHEMA, policies);
    let at = |line, part: &str| {
        let found = error.problems.iter().find(|problem| problem.message.contains(part));
        let problem = found.unwrap_or_else(|| panic!("{part} is not in\n{error}"));
        assert_eq!((problem.source, problem.position.map(|(line, _)| line)), (Source::Policies, Some(line)), "{error}");
        assert!(problem.hint.is_some(), "{error}");
    };
    at(3, "attribute `own`");
    at(5, "Persom");
    at(6, "no name");
    at(7, "two policies are named `one`");
    at(8, "templates");
    assert!(error.to_string().contains("policies:3:8: for policy `one`"), "{error}");
}

#[test]
fn a_set_with_broken_syntax_is_refused_with_its_place() {
    let error = refused(SCHEMA, "@id(\"é\") permit (principal action, resource);");
    assert_eq!(error.problems[0].position, Some((1, 28)), "{error}");
    let error = refused("entity Person = {;", "@id(\"x\") permit (principal, action,, resource);");
    assert!(error.problems.iter().any(|problem| problem.source == Source::Schema && problem.position.is_some()));
    assert!(error.problems.iter().any(|problem| problem.source == Source::Policies && problem.position.is_some()));
}

#[test]
fn a_schema_without_something_that_tenure_asks_is_refused() {
    let error = refused(&SCHEMA.replace("action use ", "action utilise ").replace("action issue ", "action emit "), "");
    assert!(error.to_string().contains("the schema lacks `action use`"), "{error}");
    assert!(error.to_string().contains("the schema lacks `action issue`"), "{error}");
    let error = refused("entity Person; action read appliesTo { principal: Person, resource: Person };", "");
    assert!(error.to_string().contains("the schema lacks `entity Inventory`"), "{error}");
}

#[test]
fn a_schema_that_demands_what_cannot_be_sent_is_refused() {
    for (from, to) in [
        ("age_secs: Long", "age_secs: { from: Long }"),
        ("roles: Set<String>", "roles: Set<Long>"),
        ("owner: String", "owner: ipaddr"),
    ] {
        let error = refused(&SCHEMA.replace(from, to), "");
        assert!(error.to_string().contains("a type that Tenure does not send"), "{error}");
    }
    let mut rooms = SCHEMA.replace("action erase ", "action erased ");
    rooms.push_str("action erase appliesTo { principal: Person, resource: Inventory, context: { note?: String } };");
    let rooms = rooms.replace("action administer, trust, erase", "action administer, trust");
    let set =
        CedarPolicy::load(&rooms, "@id(\"erase\") permit (principal, action == Action::\"erase\", resource);").unwrap();
    let mut question = case("a manager erases nothing").question;
    question.context = Attributes::new();
    assert!(set.decide(&question).allowed(), "an optional attribute may be absent");
    question.context.insert("note", Value::Long(1));
    assert!(set.decide(&question).errored(), "but not of another type");
}

#[test]
fn a_policy_that_can_never_apply_is_refused() {
    let error = refused(SCHEMA, "@id(\"never\") forbid (principal is Resource, action, resource);");
    assert!(error.to_string().contains("never"), "{error}");
    let error = refused(
        SCHEMA,
        "@id(\"bidi\") permit (principal is Identity, action == Action::\"use\", resource) when { context.action == \"user\u{202e}\" };",
    );
    assert!(error.to_string().contains("bidi"), "{error}");
}

#[test]
fn a_group_of_actions_reaches_its_members() {
    let schema = SCHEMA.replace(
        "action suspend, revoke, complete appliesTo",
        "action stop;\naction suspend, revoke, complete in [stop] appliesTo",
    );
    let set =
        CedarPolicy::load(&schema, "@id(\"stop\") permit (principal, action in Action::\"stop\", resource);").unwrap();
    assert_eq!(set.policies()[0].actions, [Action::Suspend, Action::Revoke, Action::Complete]);
    let stop = set.decide(&case("an owner suspends what is theirs").question);
    assert!(stop.allowed() && stop.policies() == ["stop"], "{stop:?}");
}

#[test]
fn a_remembered_answer_is_that_of_its_own_question() {
    let set = default_set();
    let asked = case("an active workload uses what it was granted").question;
    let first = set.decide(&asked);
    assert!(first.allowed());
    assert_eq!(set.decide(&asked), first);
    let mut other = asked.clone();
    other.context.insert("live_grant", Value::Bool(false));
    assert_eq!(set.decide(&other), default_set().decide(&other));
    assert!(!set.decide(&other).allowed());
    assert_eq!(set.decide(&asked), first);
}

// The entity is not among those that are sent, which no validation can know.
const FAILS: &str = "when { Person::\"ghost\".active }";

#[test]
fn s9_a_failing_policy_denies_what_enables() {
    let question = case("an active workload uses what it was granted").question;
    assert!(default_set().decide(&question).allowed());
    for effect in ["permit", "forbid"] {
        let set = with_default(&format!("@id(\"broken\") {effect} (principal, action, resource) {FAILS};"));
        let answer = set.decide(&question);
        assert_eq!((answer.allowed(), answer.errored()), (false, true));
        assert_eq!((answer.version(), answer.policies()), (set.version().as_str(), ["broken".to_owned()].as_slice()));
    }
}

#[test]
fn s9_an_overflow_is_an_error_and_names_the_forbid_that_also_denies() {
    let set = with_default(
        "@id(\"broken\") forbid (principal, action == Action::\"issue\", resource) when { context.ttl_secs + 9223372036854775807 > 0 };",
    );
    let answer = set.decide(&case("no credential beyond the scope").question);
    assert!(!answer.allowed() && answer.errored());
    assert_eq!(answer.policies(), ["broken", "outside-scope"]);
}

#[test]
fn s9_a_failing_policy_never_blocks_what_disables() {
    let security = case("security suspends anything").question;
    for action in [Action::Suspend, Action::Revoke, Action::Complete] {
        let question = Question { action, ..security.clone() };
        let sound = default_set().decide(&question);
        let broken =
            with_default(&format!("@id(\"broken\") forbid (principal, action, resource) {FAILS};")).decide(&question);
        assert!(broken.allowed() && broken.errored());
        assert_eq!(broken.policies(), sound.policies());
    }
}

#[test]
fn s9_a_failing_policy_gives_nobody_the_right_to_disable() {
    let question = case("an administrator does not revoke").question;
    let set = with_default(&format!("@id(\"broken\") permit (principal, action, resource) {FAILS};"));
    let answer = set.decide(&question);
    assert!(!answer.allowed() && answer.errored());
    // A forbid that does not fail still counts.
    let inactive = case("a person who has left does nothing").question;
    assert!(!set.decide(&Question { action: Action::Suspend, context: question.context, ..inactive }).allowed());
}

#[test]
fn s12_a_source_can_signal_and_no_policy_lets_it_do_anything_else() {
    let set = with_default("@id(\"all\") permit (principal, action, resource);");
    let source = case("S-12: a source tells of the end of what it was registered for").question.principal;
    for case in cases().into_iter().filter(|case| case.expect == Expect::Allow) {
        let question = Question { principal: source.clone(), ..case.question };
        let answer = set.decide(&question);
        let signals = question.action == Action::Signal;
        assert!(answer.allowed() == signals && answer.errored() != signals, "{question:?}: {answer:?}");
    }
    // Nor does anybody else signal.
    let person = case("security suspends anything").question.principal;
    let signal = case("S-12: a source tells of the end of what it was registered for").question;
    assert!(!set.decide(&Question { principal: person, ..signal }).allowed());
}

#[test]
fn s12_a_failing_policy_does_not_lift_a_sources_bounds() {
    // What the source's word takes away waits for a person then; the answer says that it is an error, and no denial.
    let set = with_default(&format!("@id(\"broken\") forbid (principal, action, resource) {FAILS};"));
    let answer = set.decide(&case("S-12: a source tells of the end of what it was registered for").question);
    assert!(!answer.allowed() && answer.errored(), "{answer:?}");
}

#[test]
fn a_question_that_does_not_fit_is_an_error_whatever_it_asks() {
    let set = default_set();
    let fits = case("security suspends anything").question;
    assert!(set.decide(&fits).allowed());
    let spoil = |spoil: &dyn Fn(&mut Question)| {
        let mut question = fits.clone();
        spoil(&mut question);
        let answer = set.decide(&question);
        assert!(!answer.allowed() && answer.errored() && answer.policies().is_empty(), "{question:?}");
    };
    spoil(&|question| drop(question.context.remove("owns")));
    spoil(&|question| drop(question.context.insert("extra", Value::Bool(true))));
    spoil(&|question| drop(question.context.insert("owns", Value::Text("true".into()))));
    spoil(&|question| drop(question.principal.attributes.remove("roles")));
    spoil(&|question| drop(question.principal.attributes.insert("roles", Value::Text("security".into()))));
    spoil(&|question| drop(question.resource.attributes.insert("extra", Value::Long(1))));
    spoil(&|question| question.resource.kind = EntityType::Resource);
    spoil(&|question| question.principal = question.resource.clone());
    spoil(&|question| question.action = Action::Use);
    let owner = Value::Entity(EntityType::Person, "olga".into());
    spoil(&|question| drop(question.resource.attributes.insert("kind", owner.clone())));
}

#[test]
fn an_attribute_may_be_another_entity() {
    let schema = SCHEMA.replace("owner: String", "owner: Person");
    let rule = "@id(\"theirs\") permit (principal is Identity, action, resource) when { principal.owner == Person::\"olga\" };";
    let set = CedarPolicy::load(&schema, rule).unwrap();
    let mut question = case("an identity reads its own record").question;
    question.principal.attributes.insert("owner", Value::Entity(EntityType::Person, "olga".into()));
    assert!(set.decide(&question).allowed());
}

#[test]
fn strange_ids_are_only_ids() {
    let set = default_set();
    for id in ["", "\"::", "*", "Person::\"olga\"", "a\u{0}b", "ß∂"] {
        let question = Question {
            principal: Entity { id: id.into(), ..case("security suspends anything").question.principal },
            ..case("security suspends anything").question
        };
        assert!(set.decide(&question).allowed(), "{id:?}");
    }
}

#[test]
fn cases_that_are_not_understood_are_refused() {
    let says = |text: &str, part: &str| {
        let error = bench::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    says("{", "expected form");
    says(r#"{"entities":{},"cases":[],"more":1}"#, "expected form");
    says(r#"{"entities":{"a":{"type":"Robot","attributes":{}}},"cases":[]}"#, "entity `a`: `Robot` is no entity type");
    says(r#"{"entities":{"a":{"type":"Person","attributes":{"role":true}}},"cases":[]}"#, "`role` is no attribute");
    says(r#"{"entities":{},"contexts":{"fly":{}},"cases":[]}"#, "`fly` is no action");
    let twice = DEFAULT_CASES.replace("\"security suspends anything\"", "\"an owner suspends what is theirs\"");
    says(&twice, "two cases have this name");
    let nobody =
        r#"{"entities":{},"cases":[{"name":"n","principal":"x","action":"read","resource":"y","expect":"deny"}]}"#;
    says(nobody, "case `n`: no entity is called `x`");
}

#[test]
fn a_case_fails_on_another_answer_another_reason_or_an_error() {
    let set = default_set();
    let right = case("security suspends anything");
    let other = Case { expect: Expect::Deny, ..right.clone() };
    let reason = Case { because: vec!["enable".into()], ..right.clone() };
    let mut error = Case { expect: Expect::Deny, because: Vec::new(), ..right.clone() };
    error.question.context = Attributes::new();
    let passed: Vec<bool> =
        bench::run(&set, &[right, other, reason, error]).iter().map(bench::Outcome::passed).collect();
    assert_eq!(passed, [true, false, false, false]);
}
