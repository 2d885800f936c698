//! How deep a set may nest, and that what may nest fits a worker's stack.

use tenure_core::policy::PolicyEngine as _;
use tenure_policy::{
    CedarPolicy, MAX_BRACKETS, MAX_LITERAL, MAX_OPERATORS, MAX_PATTERNS, PolicySetError, Solver, Verdict, analyse,
};

use crate::case;

/// A tokio worker's, and less than the main thread's.
const WORKER: usize = 2 * 1024 * 1024;

fn policy(condition: &str) -> String {
    format!("@id(\"deep\") permit (principal, action == Action::\"suspend\", resource) when {{ {condition} }};\n")
}

/// Each way to nest once per level; how many levels are `depth`.
fn ways(depth: usize) -> Vec<(&'static str, String)> {
    let times = |text: &str| text.repeat(depth);
    vec![
        ("parentheses", format!("{}true{}", times("("), times(")"))),
        ("lists", format!("{}1{} == 1", times("["), times("]"))),
        ("records", format!("{}1{} == 1", times("{\"a\": "), times("}"))),
        ("arguments", format!("principal.roles{}\"x\"{}", times(".contains("), times(")"))),
        ("indices", format!("{}context{}", times("context["), times("]"))),
        ("and", format!("true{}", times(" && true"))),
        ("or", format!("false{}", times(" || false"))),
        ("sums", format!("1{} > 0", times(" + 1"))),
        ("differences", format!("1{} > 0", times(" - 1"))),
        ("products", format!("1{} > 0", times(" * 1"))),
        ("accesses", format!("context{}", times(".a"))),
        ("conditions", format!("{}true", times("if true then true else "))),
        ("negations", format!("{}true", times("!"))),
        ("signs", format!("{}1 < 0", times("-"))),
        ("has", format!("context has a{}", times(".a"))),
    ]
}

fn problems(refused: PolicySetError) -> Vec<String> {
    refused.problems.iter().map(ToString::to_string).collect()
}

/// Just above the bounds, which the parser itself still takes.
#[test]
fn a01_a_set_that_nests_too_deep_is_refused_with_the_bound() {
    let bounds = [MAX_BRACKETS.to_string(), MAX_OPERATORS.to_string()];
    for (way, condition) in ways(MAX_OPERATORS + 1) {
        let problems = problems(CedarPolicy::with_policies(&policy(&condition)).unwrap_err());
        assert_eq!(problems.len(), 1, "{way}: {problems:?}");
        assert!(bounds.iter().any(|bound| problems[0].contains(&format!("more than {bound}"))), "{way}: {problems:?}");
    }
    // Each policy counts for itself, and what stands in strings and comments does not count.
    let brackets = "(".repeat(MAX_BRACKETS + 1);
    let quoted = policy(&format!("context.matter == \"\\\"{brackets}\" // {brackets}\n"));
    let twice = policy("true").replace("deep", "one") + &policy("true && ((true))").replace("deep", "two");
    for text in [quoted, twice] {
        let told = CedarPolicy::with_policies(&text).err().map(problems).unwrap_or_default();
        assert!(!told.iter().any(|problem| problem.contains("more than")), "{told:?}");
    }
    let places = problems(CedarPolicy::with_policies(&policy(&format!("{brackets}true"))).unwrap_err());
    assert!(places[0].starts_with("policies:1:"), "{places:?}");
}

/// `like` takes the length of its text times that of its pattern, at each decision: both are bounded.
#[test]
fn a01_a_set_whose_patterns_take_long_is_refused_with_the_bound() {
    let told = |text: &str| CedarPolicy::with_policies(text).err().map(problems).unwrap_or_default();
    let bounded = |text: &str| told(text).iter().filter(|problem| problem.contains("more than")).count();
    let long = |bytes: usize| "a".repeat(bytes);
    for (condition, refused) in [
        (format!("\"{}\" like \"*{}b\"", long(20_000), long(13_000)), 1),
        (format!("context.kind == \"{}\"", long(MAX_LITERAL + 1)), 1),
        (format!("context.kind == \"{}\"", long(MAX_LITERAL)), 0),
        (format!("context.kind == \"\\\"{}\"", long(MAX_LITERAL)), 1),
        (format!("context.kind like \"*{}\"", long(MAX_LITERAL)), 1),
    ] {
        assert_eq!(bounded(&policy(&condition)), refused, "{}", &condition[..40]);
    }
    // Those of a set count together, however they are written; annotations are as long as one likes, and no patterns.
    let patterns = |many: usize, like: &str| -> String {
        let some =
            |n: usize| policy(&format!("context.kind {like} \"{}\"", long(1_000))).replace("deep", &format!("p{n}"));
        (0..many).map(some).collect()
    };
    let fit = MAX_PATTERNS / 1_000;
    for like in ["like", "like // \"x\"\n", "like\n\n"] {
        assert_eq!((bounded(&patterns(fit, like)), bounded(&patterns(fit + 2, like))), (0, 2), "{like}");
    }
    assert_eq!(bounded(&patterns(fit + 2, "==")), 0);
    let noted = policy("true").replace("permit", &format!("@like(\"{}\") @doc(\"like\") permit", long(10_000)));
    assert_eq!(told(&noted), Vec::<String>::new());
}

/// What passes needs no more than a worker has, whichever way it nests.
#[test]
fn a01_what_may_nest_is_read_asked_and_dropped_on_a_workers_stack() {
    let question = case("security suspends anything").question;
    let worker = std::thread::Builder::new().stack_size(WORKER).spawn(move || {
        for depth in [MAX_BRACKETS - 2, MAX_OPERATORS - 8] {
            for (_, condition) in ways(depth) {
                drop(CedarPolicy::with_policies(&policy(&condition)));
            }
        }
        let condition = format!(
            "{}true{}{}",
            "(".repeat(MAX_BRACKETS - 2),
            " && true".repeat(MAX_OPERATORS - 8),
            ")".repeat(MAX_BRACKETS - 2)
        );
        let set = CedarPolicy::with_policies(&policy(&condition)).map_err(|error| error.to_string());
        set.map(|set| set.decide(&question).policies().to_vec())
    });
    assert_eq!(worker.unwrap().join().unwrap(), Ok(vec!["deep".to_owned()]));
}

/// The translation for the solver recurses as well.
#[test]
fn a01_what_may_nest_is_analysed_on_a_workers_stack() {
    let worker = std::thread::Builder::new().stack_size(WORKER).spawn(|| {
        let condition = |joint: &str| {
            format!(
                "{}context.owns{}{}",
                "(".repeat(MAX_BRACKETS - 2),
                joint.repeat(MAX_OPERATORS - 8),
                ")".repeat(MAX_BRACKETS - 2)
            )
        };
        let [old, new] = [" && true", " || false"].map(|joint| CedarPolicy::with_policies(&policy(&condition(joint))));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (old, new) = (old.map_err(std::io::Error::other)?, new.map_err(std::io::Error::other)?);
        std::io::Result::Ok(runtime.block_on(analyse(&old, &new, Some(&Solver::at("cvc5")))))
    });
    let analysis = worker.unwrap().join().unwrap().unwrap();
    assert_eq!(analysis.verdict, Verdict::GrantsNothingNew, "{analysis:?}");
}
