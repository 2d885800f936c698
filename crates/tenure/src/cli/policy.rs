//! Policy sets: checked, tested, compared and analysed on this machine, before anybody is asked to approve them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tenure_api::policies::NewPolicySet;
use tenure_core::base::id::PolicySetId;
use tenure_core::base::problem::FieldProblem;
use tenure_core::request::RequestState;
use tenure_engine::matters::lockouts::lockouts;
use tenure_policy::bench::{self, Expect, Outcome};
use tenure_policy::{
    Analysis, CedarPolicy, DEFAULT_CASES, DEFAULT_POLICIES, PlainAnswer, PolicyDiff, PolicyInfo, PolicyProblem,
    PolicySetError, SCHEMA, Solver, Source, Verdict, analyse, diff,
};

use super::context::{Context, read_input};
use super::directory::filtered;
use super::failure::Failure;
use super::output::{Column, Paging, clean, line};

const SETS: &[Column] = &[
    ("ID", "/id"),
    ("STATE", "/state"),
    ("VERSION", "/version"),
    ("AUTHOR", "/author"),
    ("PURPOSE", "/purpose"),
    ("REQUEST", "/request"),
];
/// The name of the built-in set where a file is wanted.
const BUILT_IN: &str = "default";

/// The policies that decide on everything.
#[derive(Subcommand)]
#[command(after_help = "\
A change of policy starts from the set in force and is tried out on this machine before it is proposed to the server:

  tenure policy show > policies.cedar          the built-in set, to be edited
  tenure policy schema                         the vocabulary: what a policy may read
  tenure policy check policies.cedar           mistakes, with their places
  tenure policy test policies.cedar            what the built-in set's cases say of it
  tenure policy diff default policies.cedar    policy by policy
  tenure policy analyse default policies.cedar is anything allowed that was not?
  tenure policy propose policies.cedar --purpose \"…\"   another administrator approves its request
  tenure policy review pol_…                   what that administrator should read

How policies are written: docs/reference/policies.md; how a change is made: docs/how-to/change-policy.md")]
pub enum Policy {
    /// Checks a set: syntax, and strictly against the schema. Exit code 1 if it would be refused.
    ///
    /// Example: tenure policy check policies.cedar
    Check {
        /// The policies, in Cedar; `-` is standard input.
        file: PathBuf,
    },
    Test(Test),
    /// Compares two sets by the names of their policies.
    ///
    /// Example: tenure policy diff default policies.cedar
    Diff {
        /// The old set: a file, or `default` for the built-in one.
        old: PathBuf,
        /// The new set.
        new: PathBuf,
    },
    /// Prints the built-in set, or one policy of it. With `-o json`: what each says of itself.
    ///
    /// Example: tenure policy show self-approval
    Show {
        /// The policy's name; the whole set if not given.
        id: Option<String>,
    },
    /// Prints the vocabulary: every attribute that a policy may read, with what it means.
    ///
    /// Example: tenure policy schema
    Schema,
    Analyse(Analyse),
    /// Prints the set that is in force at the server.
    ///
    /// Example: tenure policy in-force > policies.cedar
    InForce,
    /// Proposes a set to the server: it comes into force once another administrator has approved its request.
    ///
    /// Going back to the built-in set is possible whatever the set in force says: propose `default`.
    ///
    /// Example: tenure policy propose policies.cedar --purpose "staging needs no approval"
    Propose {
        /// The policies, in Cedar; `-` is standard input, and `default` the built-in set.
        file: PathBuf,
        /// For which need.
        #[arg(long)]
        purpose: String,
    },
    /// Lists the sets that were proposed to the server.
    List {
        /// Only in this state: proposed, in_force, replaced, dropped.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a proposed set with its review: what differs, which recent decisions would change, what the solver proves.
    Review {
        /// The set.
        id: PolicySetId,
    },
}

/// Asks a set a table of questions, and compares the answers and their reasons. Exit code 1 if one differs.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tenure policy test policies.cedar                      with the cases of the built-in set: what it no longer does
  tenure policy test policies.cedar --cases cases.json   with cases of your own

A file of cases, with every attribute that the schema demands of a context and an entity:
  {\"entities\": {\"otto\": {\"type\": \"Person\", \"attributes\": {\"roles\": [\"auditor\"], \"active\": true, \"class\": \"employee\"}},
                \"the-log\": {\"type\": \"Inventory\", \"attributes\": {\"kind\": \"log\", \"environment\": \"\"}}},
   \"contexts\": {\"audit\": {\"owns\": false}},
   \"cases\": [{\"name\": \"an auditor reads the log\", \"principal\": \"otto\", \"action\": \"audit\", \"resource\": \"the-log\",
              \"expect\": \"allow\", \"because\": [\"audit-log\"]}]}")]
pub struct Test {
    /// The policies, or `default` for the built-in set.
    file: PathBuf,
    /// The cases, as JSON; those of the built-in set if not given.
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
}

/// Proves that a new set allows nothing that the old one denies, or shows a request that it newly allows.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tenure policy analyse default policies.cedar
  tenure policy analyse default policies.cedar --solver /opt/cvc5/bin/cvc5 -o json

It needs the solver cvc5 (Debian: apt-get install cvc5). Exit code 0 only if it is proven that nothing new is allowed; a request that is newly
allowed, an undecided one and a missing solver are 1. What is false, 0 or empty in a request is left out.")]
pub struct Analyse {
    /// The old set: a file, or `default` for the built-in one.
    old: PathBuf,
    /// The new set.
    new: PathBuf,
    /// The solver.
    #[arg(long, value_name = "PATH", env = "TENURE_SOLVER", default_value = "cvc5")]
    solver: PathBuf,
    /// How many seconds it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = Solver::DEFAULT_LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    limit: u64,
}

impl Policy {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Check { file } => check(&file, context),
            Self::Test(test) => test.run(context),
            Self::Diff { old, new } => {
                let found = diff(&load(&old)?, &load(&new)?);
                if context.out.is_json() {
                    return context.out.record(&found);
                }
                line(&diff_text(&found))
            }
            Self::Show { id } => show(id.as_deref(), context),
            Self::Schema => line(SCHEMA),
            Self::Analyse(analyse) => analyse.run(context).await,
            Self::InForce => {
                let in_force = context.client()?.policy().await?;
                if context.out.is_json() {
                    return context.out.record(&in_force);
                }
                eprintln!("version {}", in_force.version);
                line(&in_force.text)
            }
            Self::Propose { file, purpose } => {
                let text = read(&file)?;
                let view = context.client()?.propose_policy(&NewPolicySet { text, purpose }).await?;
                match view.request.state {
                    RequestState::Open => eprintln!(
                        "{} waits for another administrator: tenure request show {}",
                        view.request.id, view.request.id
                    ),
                    _ => eprintln!("it is in force; there is no second administrator, and the record says so"),
                }
                context.out.record(&view)
            }
            Self::List { state, paging } => {
                let client = context.client()?;
                context
                    .out
                    .list(&paging, filtered([("state", state)]), SETS, async |query| client.policy_sets(&query).await)
                    .await
            }
            Self::Review { id } => context.out.record(&context.client()?.policy_set(id).await?),
        }
    }
}

fn check(file: &Path, context: &Context) -> anyhow::Result<()> {
    let text = read(file)?;
    let (problems, set) = match CedarPolicy::with_policies(&text) {
        Ok(set) => match lockouts(&set) {
            none if none.is_empty() => (Vec::new(), Some(set)),
            lockouts => (lockouts.into_iter().map(problem).collect(), None),
        },
        Err(PolicySetError { problems }) => (problems, None),
    };
    if context.out.is_json() {
        use tenure_core::policy::PolicyEngine as _;
        let version = set.as_ref().map(CedarPolicy::version);
        let policies = set.as_ref().map(|set| set.policies().len());
        context
            .out
            .record(&json!({"valid": set.is_some(), "version": version, "policies": policies, "problems": problems}))?;
    } else if let Some(set) = &set {
        use tenure_core::policy::PolicyEngine as _;
        line(&format!("valid: {} policies, version {}", set.policies().len(), set.version()))?;
    }
    match set {
        Some(_) => Ok(()),
        None => Err(refused(file, &PolicySetError { problems })),
    }
}

/// A set that can be read and would lock somebody out is refused as the server refuses it.
fn problem(lockout: FieldProblem) -> PolicyProblem {
    PolicyProblem { source: Source::Policies, position: None, message: lockout.hint, hint: None }
}

/// Says everything that is wrong with a file, as compilers do.
fn refused(file: &Path, error: &PolicySetError) -> anyhow::Error {
    for problem in &error.problems {
        let place = problem.position.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
        eprintln!("{}{place}: {}", file.display(), clean(&problem.message));
        if let Some(hint) = &problem.hint {
            eprintln!("  hint: {}", clean(hint));
        }
    }
    let count = error.problems.len();
    Failure::new(format!("{} is refused for {count} problem(s)", file.display()))
        .hint("docs/reference/policies.md says what a policy may read")
        .into()
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new(BUILT_IN) { Ok(DEFAULT_POLICIES.to_owned()) } else { read_input(file) }
}

fn load(file: &Path) -> anyhow::Result<CedarPolicy> {
    CedarPolicy::with_policies(&read(file)?).map_err(|error| refused(file, &error))
}

impl Test {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let set = load(&self.file)?;
        let (name, text) = match &self.cases {
            Some(path) => (path.display().to_string(), read_input(path)?),
            None => ("the built-in cases".to_owned(), DEFAULT_CASES.to_owned()),
        };
        let cases = bench::parse(&text).map_err(|error| {
            let error = anyhow::Error::new(error);
            Failure::new(format!("{name}: {error:#}")).hint("`tenure policy test --help` shows a file of cases")
        })?;
        let outcomes = bench::run(&set, &cases);
        let failed: Vec<&Outcome<'_>> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
        if context.out.is_json() {
            let failed: Vec<_> = failed
                .iter()
                .map(|outcome| json!({"name": outcome.case.name, "wanted": wanted(outcome), "got": PlainAnswer::from(&outcome.answer)}))
                .collect();
            context.out.record(&json!({"cases": cases.len(), "failed": failed}))?;
        } else {
            for outcome in &failed {
                line(&format!(
                    "FAILED  {}\n        wanted: {}\n        got:    {}",
                    clean(&outcome.case.name),
                    wanted(outcome),
                    PlainAnswer::from(&outcome.answer)
                ))?;
            }
            line(&format!("{} of {} cases pass", cases.len() - failed.len(), cases.len()))?;
        }
        if failed.is_empty() {
            return Ok(());
        }
        let hint = "change the policies, or the cases if the new answers are meant";
        Err(Failure::new(format!("{} case(s) of {name} fail", failed.len())).hint(hint).into())
    }
}

fn wanted(outcome: &Outcome<'_>) -> PlainAnswer {
    PlainAnswer {
        allowed: outcome.case.expect == Expect::Allow,
        errored: false,
        policies: outcome.case.because.clone(),
    }
}

fn show(id: Option<&str>, context: &Context) -> anyhow::Result<()> {
    let set = load(Path::new(BUILT_IN))?;
    let Some(id) = id else {
        if context.out.is_json() {
            return context.out.record(&json!({"policies": set.policies().iter().map(described).collect::<Vec<_>>()}));
        }
        return line(DEFAULT_POLICIES);
    };
    let Some(policy) = set.policies().iter().find(|policy| policy.id == id) else {
        return Err(Failure::new(format!("the built-in set has no policy `{}`", clean(id)))
            .hint("`tenure policy show -o json` lists their names")
            .into());
    };
    if context.out.is_json() {
        return context.out.record(&described(policy));
    }
    line(&policy.text)
}

fn described(policy: &PolicyInfo) -> serde_json::Value {
    json!({
        "id": policy.id,
        "effect": if policy.permits { "permit" } else { "forbid" },
        "actions": policy.actions.iter().map(|action| action.as_str()).collect::<Vec<_>>(),
        "control": policy.control,
        "doc": policy.doc,
        "text": policy.text,
    })
}

impl Analyse {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        let solver = Solver { path: self.solver, limit: Duration::from_secs(self.limit) };
        let found = analyse(&load(&self.old)?, &load(&self.new)?, Some(&solver)).await;
        if context.out.is_json() {
            context.out.record(&found)?;
        } else {
            line(&analysis_text(&found))?;
        }
        let failure = match found.verdict {
            Verdict::GrantsNothingNew => return Ok(()),
            Verdict::GrantsMore => Failure::new("the new set allows what the old one denies")
                .hint("fine if it is meant: each request above stands for more of its kind"),
            Verdict::Undecided => Failure::new("nothing is proven")
                .hint("give it more time with --limit, or read the differences with care"),
            Verdict::NotAvailable => Failure::new(found.reason.unwrap_or_default())
                .hint("without it, `tenure policy diff` and `tenure policy test` say what changes"),
        };
        Err(failure.into())
    }
}

/// What a solver said, for people.
pub fn analysis_text(analysis: &Analysis) -> String {
    let mut text = match analysis.verdict {
        Verdict::GrantsNothingNew if analysis.examined.is_empty() => {
            "proven: both sets decide alike; no policy differs".to_owned()
        }
        Verdict::GrantsNothingNew => format!(
            "proven: the new set allows nothing that the old one denies\nexamined: {}",
            analysis.examined.join(", ")
        ),
        Verdict::GrantsMore => "newly allowed:".to_owned(),
        Verdict::Undecided => "undecided: it is not proven that the new set allows nothing new".to_owned(),
        Verdict::NotAvailable => "not analysed".to_owned(),
    };
    for found in &analysis.newly_allowed {
        let question =
            found.question.to_string().lines().map(|line| format!("\n  {}", clean(line))).collect::<String>();
        let _ = write!(text, "\n{question}\n  was        {}\n  becomes    {}", found.was, found.becomes);
    }
    for place in &analysis.undecided {
        let _ = write!(text, "\nundecided: {}", clean(place));
    }
    text
}

/// What differs between two sets, for people.
pub fn diff_text(diff: &PolicyDiff) -> String {
    if diff.is_empty() {
        return "no policy differs".to_owned();
    }
    let mut text = String::new();
    for policy in &diff.removed {
        let _ = writeln!(text, "removed {}", clean(&policy.id));
        marked(&mut text, '-', policy.text.lines());
    }
    for policy in &diff.added {
        let _ = writeln!(text, "added {}", clean(&policy.id));
        marked(&mut text, '+', policy.text.lines());
    }
    for policy in &diff.changed {
        let _ = writeln!(text, "changed {}", clean(&policy.id));
        let (was, becomes): (Vec<&str>, Vec<&str>) = (policy.was.lines().collect(), policy.becomes.lines().collect());
        let same = |(one, other): &(&&str, &&str)| one == other;
        let before = was.iter().zip(&becomes).take_while(same).count();
        let most = was.len().min(becomes.len()) - before;
        let after = was.iter().rev().zip(becomes.iter().rev()).take(most).take_while(same).count();
        marked(&mut text, ' ', was.iter().take(before).copied());
        marked(&mut text, '-', was.iter().take(was.len() - after).skip(before).copied());
        marked(&mut text, '+', becomes.iter().take(becomes.len() - after).skip(before).copied());
        marked(&mut text, ' ', was.iter().skip(was.len() - after).copied());
    }
    text
}

fn marked<'a>(text: &mut String, mark: char, lines: impl Iterator<Item = &'a str>) {
    for line in lines {
        let _ = writeln!(text, "  {mark} {}", clean(line));
    }
}
