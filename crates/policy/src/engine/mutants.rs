//! Whether the table of cases would notice a change of any default policy.

use cedar_policy::{Policy, PolicySet};
use serde_json::json;

use super::{CedarPolicy, Memo};
use crate::bench::{self, Case};
use crate::{DEFAULT_CASES, PolicyInfo};

/// Asks the cases that the policy bears on while it is exchanged at each control point, or left out.
fn is_noticed(
    set: &mut CedarPolicy,
    cases: &[Case],
    policy: &PolicyInfo,
    exchange: impl Fn(&Policy) -> Option<Policy>,
) -> bool {
    let bearing: Vec<Case> =
        cases.iter().filter(|case| policy.actions.contains(&case.question.action)).cloned().collect();
    let mut saved: Vec<PolicySet> = Vec::new();
    for action in &policy.actions {
        let policies = &mut set.set.points.get_mut(action).unwrap().policies;
        saved.push(policies.clone());
        let own = policies.policies().find(|own| own.id().to_string() == policy.id).cloned().unwrap();
        policies.remove_static(own.id().clone()).unwrap();
        exchange(&own).into_iter().for_each(|other| policies.add(other).unwrap());
    }
    *set.answers.write() = Memo::default();
    let noticed = bench::run(set, &bearing).iter().any(|outcome| !outcome.passed());
    for (action, policies) in policy.actions.iter().zip(saved) {
        set.set.points.get_mut(action).unwrap().policies = policies;
    }
    noticed
}

fn with_conditions(policy: &Policy, change: impl Fn(&mut Vec<serde_json::Value>)) -> Policy {
    let mut form = policy.to_json().unwrap();
    let mut conditions = form["conditions"].as_array().unwrap().clone();
    change(&mut conditions);
    form["conditions"] = json!(conditions);
    Policy::from_json(Some(policy.id().clone()), form).unwrap()
}

#[test]
fn no_default_policy_can_go_or_lose_a_condition_unnoticed() {
    let cases = bench::parse(DEFAULT_CASES).unwrap();
    let mut set = CedarPolicy::default_set().unwrap();
    let mut unnoticed = Vec::new();
    for policy in set.policies().to_vec() {
        let id = &policy.id;
        if !is_noticed(&mut set, &cases, &policy, |_| None) {
            unnoticed.push(format!("{id}: no case needs it"));
        }
        let conditions = policy.text.matches("when {").count() + policy.text.matches("unless {").count();
        assert!(conditions > 0, "{id} always applies");
        for index in 0..conditions {
            let without = |own: &Policy| Some(with_conditions(own, |conditions| drop(conditions.remove(index))));
            if !is_noticed(&mut set, &cases, &policy, without) {
                unnoticed.push(format!("{id}: no case needs its condition {}", index + 1));
            }
        }
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}
