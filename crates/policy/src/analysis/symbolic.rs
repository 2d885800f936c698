//! The proof itself.
//!
//! A proof must hold for Tenure's way to answer, which differs from Cedar's in one point: where a policy fails, Tenure
//! denies what enables. So a policy that goes or changes must also be proven not to fail, for its failing denied.
//! A question that the solver finds counts only if the two sets, asked as they would be in force, do answer it so.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::{
    EntityUid, EvalResult, Policy, PolicySet, PrincipalConstraint, RequestEnv, ResourceConstraint, Schema,
};
use cedar_policy_symcc::err::{Error as SymError, SolverError};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{
    CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env, always_denies_asserts, never_errors_asserts,
};
use tenure_core::policy::{Action, Attributes, Entity, EntityType, Question, Value};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::{Analysis, NewlyAllowed, Solver, Verdict};
use crate::CedarPolicy;
use crate::bench::{ATTRIBUTES, attribute};

/// Looks for what `new` allows and `old` does not.
pub(super) async fn analyse(old: &CedarPolicy, new: &CedarPolicy, solver: &Solver) -> Analysis {
    if let Err(reason) = present(&solver.path).await {
        return Analysis::not_available(reason);
    }
    let places = places(old, new);
    let mut analysis = Analysis {
        verdict: Verdict::GrantsNothingNew,
        examined: places.iter().map(Place::name).collect(),
        newly_allowed: Vec::new(),
        undecided: Vec::new(),
        reason: None,
    };
    let mut over = pin!(sleep(solver.limit));
    for place in &places {
        let found = tokio::select! {
            biased;
            () = &mut over => Err(format!("the time limit of {} s was reached", solver.limit.as_secs())),
            found = place.examine(old, new, solver) => found,
        };
        match found {
            Ok(None) => {}
            Ok(Some(question)) => analysis.newly_allowed.push(question),
            Err(why) => analysis.undecided.push(format!("{}: {why}", place.name())),
        }
    }
    if !analysis.newly_allowed.is_empty() {
        analysis.verdict = Verdict::GrantsMore;
    } else if !analysis.undecided.is_empty() {
        analysis.verdict = Verdict::Undecided;
        analysis.reason = Some("not every question could be decided; read the differences with care".to_owned());
    }
    analysis
}

/// Runs the solver once, to tell a missing one from one that finds nothing.
async fn present(path: &Path) -> Result<(), String> {
    let mut command = command(path);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let hint = "install cvc5 (Debian: apt-get install cvc5) or say where it is";
    match timeout(Duration::from_secs(10), command.output()).await {
        Ok(Ok(output)) if output.status.success() && String::from_utf8_lossy(&output.stdout).contains("cvc5") => Ok(()),
        Ok(Ok(_)) => Err(format!("{} is not cvc5: {hint}", path.display())),
        Ok(Err(error)) => Err(format!("{} does not run ({error}): {hint}", path.display())),
        Err(_) => Err(format!("{} does not answer: {hint}", path.display())),
    }
}

/// A process of its own, without our environment, that dies with the analysis.
#[expect(
    clippy::disallowed_methods,
    reason = "where the solver is says the environment, at the edge that looks for it"
)]
fn command(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().kill_on_drop(true);
    if let Some(search) = std::env::var_os("PATH") {
        command.env("PATH", search);
    }
    command
}

/// One action of one type of principal on one type of resource, where the sets differ.
struct Place<'a> {
    action: Action,
    principal: EntityType,
    resource: EntityType,
    schema: &'a Schema,
    env: RequestEnv,
    old: PolicySet,
    new: PolicySet,
}

/// A place with the same policies in both sets has the same answers.
fn places<'a>(old: &'a CedarPolicy, new: &CedarPolicy) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    let types = &old.set().types;
    for (&action, before) in &old.set().points {
        let Some(after) = new.set().points.get(&action) else {
            continue;
        };
        for &principal in &before.form.principals {
            for &resource in &before.form.resources {
                let env =
                    RequestEnv::new(types.name(principal).clone(), before.uid.clone(), types.name(resource).clone());
                let (old_here, new_here) = (bearing(&before.policies, &env), bearing(&after.policies, &env));
                if same(&old_here, &new_here) {
                    continue;
                }
                places.push(Place {
                    action,
                    principal,
                    resource,
                    schema: &old.set().schema,
                    env,
                    old: old_here,
                    new: new_here,
                });
            }
        }
    }
    places
}

/// The policies without those whose scope names another type.
fn bearing(policies: &PolicySet, env: &RequestEnv) -> PolicySet {
    let principal = |policy: &Policy| match policy.principal_constraint() {
        PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => kind == *env.principal(),
        PrincipalConstraint::Eq(one) => one.type_name() == env.principal(),
        PrincipalConstraint::Any | PrincipalConstraint::In(_) => true,
    };
    let resource = |policy: &Policy| match policy.resource_constraint() {
        ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => kind == *env.resource(),
        ResourceConstraint::Eq(one) => one.type_name() == env.resource(),
        ResourceConstraint::Any | ResourceConstraint::In(_) => true,
    };
    let mut bearing = policies.clone();
    for policy in policies.policies().filter(|policy| !principal(policy) || !resource(policy)) {
        // A policy of the set can be taken out of it; were it not so, it would only be looked at in vain.
        let _ = bearing.remove_static(policy.id().clone());
    }
    bearing
}

/// Whether the policies are the same but for their annotations.
fn same(one: &PolicySet, other: &PolicySet) -> bool {
    let forms = forms(one);
    forms.is_some() && forms == self::forms(other)
}

fn forms(policies: &PolicySet) -> Option<BTreeMap<String, serde_json::Value>> {
    let form = |policy: &Policy| Some((policy.id().to_string(), form(policy)?));
    policies.policies().map(form).collect()
}

fn form(policy: &Policy) -> Option<serde_json::Value> {
    let mut form = policy.to_json().ok()?;
    form.as_object_mut()?.remove("annotations");
    Some(form)
}

impl Place<'_> {
    fn name(&self) -> String {
        format!("{} by {} on {}", self.action.as_str(), self.principal.as_str(), self.resource.as_str())
    }

    /// A question that becomes allowed, or nothing if there is none.
    async fn examine(
        &self,
        old: &CedarPolicy,
        new: &CedarPolicy,
        solver: &Solver,
    ) -> Result<Option<NewlyAllowed>, String> {
        let before = CompiledPolicySet::compile(&self.old, &self.env, self.schema).map_err(said)?;
        let after = CompiledPolicySet::compile(&self.new, &self.env, self.schema).map_err(said)?;
        let found = start(solver)?.check_implies_with_counterexample_opt(&after, &before).await.map_err(said)?;
        if let Some(found) = found {
            let confirmed = self.confirm(&found, old, new);
            return confirmed.map(Some).ok_or_else(|| "the solver found a question that Tenure never asks".to_owned());
        }
        if self.action.disables() {
            return Ok(None);
        }
        for policy in self.old.policies() {
            if self.new.policy(policy.id()).is_some_and(|stays| form(stays) == form(policy)) {
                continue;
            }
            let compiled = CompiledPolicy::compile(policy, &self.env, self.schema).map_err(said)?;
            if let Some(found) = self.failing(&compiled, &after, old, new, solver).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A question that becomes allowed because this policy, which failed over it, goes or changes.
    async fn failing(
        &self,
        policy: &CompiledPolicy,
        after: &CompiledPolicySet,
        old: &CedarPolicy,
        new: &CedarPolicy,
        solver: &Solver,
    ) -> Result<Option<NewlyAllowed>, String> {
        let (fails, allowed) = (never_errors_asserts(policy), always_denies_asserts(after));
        let both = fails.asserts().iter().chain(allowed.asserts().iter()).cloned().collect();
        let never = start(solver)?.check_unsat_raw(Arc::new(both), fails.symenv()).await.map_err(said)?;
        if never {
            return Ok(None);
        }
        // No model of both can be had, but that of the failing alone may do.
        let found = start(solver)?.check_sat(&fails).await.map_err(said)?;
        let confirmed = found.and_then(|found| self.confirm(&found, old, new));
        confirmed.map(Some).ok_or_else(|| {
            "a policy that goes or changes could fail, which denied; something of that becomes allowed".to_owned()
        })
    }

    /// The solver's question, if the old set denies it and the new one allows it, with nothing in it that doesn't
    /// matter.
    fn confirm(&self, found: &Env, old: &CedarPolicy, new: &CedarPolicy) -> Option<NewlyAllowed> {
        let (principal, resource) = (found.request.principal()?, found.request.resource()?);
        let mut question = Question {
            principal: entity(self.principal, principal, found),
            action: self.action,
            resource: entity(self.resource, resource, found),
            context: Attributes::new(),
        };
        let context = found.request.context()?;
        let point = old.set().points.get(&self.action)?;
        for name in point.form.context.names().filter_map(attribute) {
            question.context.extend(context.get(name).and_then(|given| value(&given)).map(|value| (name, value)));
        }
        let is_new = |question: &Question| new.evaluate(question).allowed() && !old.evaluate(question).allowed();
        if !is_new(&question) {
            return None;
        }
        simplify(&mut question, &is_new);
        Some(NewlyAllowed {
            was: (&old.evaluate(&question)).into(),
            becomes: (&new.evaluate(&question)).into(),
            question: (&question).into(),
        })
    }
}

/// A solver for one question to it.
fn start(solver: &Solver) -> Result<CedarSymCompiler<LocalSolver>, String> {
    let mut command = command(&solver.path);
    command.args(["--lang", "smt"]).arg(format!("--tlimit={}", solver.limit.as_millis()));
    let process = LocalSolver::from_command(&mut command).map_err(|error| said(error.into()))?;
    CedarSymCompiler::new(process).map_err(said)
}

fn said(error: SymError) -> String {
    match error {
        SymError::SolverUnknown => "the solver does not know".to_owned(),
        SymError::SolverError(SolverError::Io(error)) => format!("the solver stopped: {error}"),
        other => other.to_string(),
    }
}

fn entity(kind: EntityType, uid: &EntityUid, found: &Env) -> Entity {
    let mut attributes = Attributes::new();
    for (name, given) in found.entities.get(uid).into_iter().flat_map(cedar_policy::Entity::attrs) {
        let given = given.ok().and_then(|given| value(&given));
        attributes.extend(attribute(name).zip(given));
    }
    Entity { kind, id: uid.id().unescaped().to_owned(), attributes }
}

fn value(given: &EvalResult) -> Option<Value> {
    Some(match given {
        EvalResult::Bool(value) => Value::Bool(*value),
        EvalResult::Long(value) => Value::Long(*value),
        EvalResult::String(text) => Value::Text(text.clone()),
        EvalResult::EntityUid(uid) => {
            Value::Entity(crate::shape::entity_type(&uid.type_name().to_string())?, uid.id().unescaped().to_owned())
        }
        EvalResult::Set(values) => {
            let text = |value: &EvalResult| match value {
                EvalResult::String(text) => Some(text.clone()),
                _ => None,
            };
            Value::Set(values.iter().map(text).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// Empties whatever can be empty while the question stays a new one: solvers fill what does not matter at will.
fn simplify(question: &mut Question, is_new: &dyn Fn(&Question) -> bool) {
    let mut attempt = |change: &dyn Fn(&mut Question)| {
        let mut simpler = question.clone();
        change(&mut simpler);
        if is_new(&simpler) {
            *question = simpler;
        }
    };
    attempt(&|question| "someone".clone_into(&mut question.principal.id));
    attempt(&|question| "something".clone_into(&mut question.resource.id));
    let parts: [fn(&mut Question) -> &mut Attributes; 3] = [
        |question| &mut question.principal.attributes,
        |question| &mut question.resource.attributes,
        |question| &mut question.context,
    ];
    for part in parts {
        for name in ATTRIBUTES {
            attempt(&|question| part(question).get_mut(name).into_iter().for_each(empty));
        }
    }
}

fn empty(value: &mut Value) {
    match value {
        Value::Bool(value) => *value = false,
        Value::Long(value) => *value = 0,
        Value::Text(text) => text.clear(),
        Value::Set(texts) => texts.clear(),
        Value::Entity(..) => {}
    }
}
