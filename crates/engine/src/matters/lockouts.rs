//! Sets that would leave nobody to take authority away or to change the policy, refused when they are proposed (S-9).

use tenure_core::base::id::PolicySetId;
use tenure_core::base::problem::FieldProblem;
use tenure_core::people::person::{JoinerCheckKind, PersonClass, Role};
use tenure_core::policy::{Action, Attributes, Entity, EntityType, PolicyEngine, Question, Value};
use tenure_core::request::{Class, Matter, Place};

use crate::kernel::authority::{inventory, owns};
use crate::kernel::freshness::Freshness;
use crate::requests::facts::AskContext;
use crate::requests::vote::Voter;
use crate::requests::vote::vote_context;

/// What a set would take away that has to stay, each with what to do about it.
///
/// The questions are examples. That security disables, and reads what it disables, rests on the kernel and not on them;
/// they are for the author, who means something else than what they wrote.
pub fn lockouts(set: &dyn PolicyEngine) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for action in Action::ALL.iter().copied().filter(|action| action.disables()) {
        for (who, role, own) in [("security", Role::Security, false), ("an owner", Role::Owner, true)] {
            let allowed = ["", "production", "staging"].iter().all(|environment| {
                let resource = inventory("identity", "", environment);
                passes(set, role, action, resource, owns(own))
            });
            if !allowed {
                let told = format!(
                    "{who} could not {} any more: taking authority away is nobody's to forbid; leave `suspend`, `revoke` and `complete` out of it",
                    action.as_str()
                );
                problems.push(FieldProblem::new("policies", "policy_locks_out", told));
            }
        }
    }
    if !passes(set, Role::Security, Action::Read, inventory("identity", "", ""), owns(false)) {
        let told =
            "security could not read any more what it ends: that is nobody's to forbid; leave `read` to security";
        problems.push(FieldProblem::new("policies", "policy_locks_out", told));
    }
    if !changes_policy(set, false) || !changes_policy(set, true) {
        let told = "nobody could change the policy any more: an administrator has to be able to ask for it, by a route that another one approves, and alone where there is no other";
        problems.push(FieldProblem::new("policies", "policy_locks_out", told));
    }
    problems
}

/// Whether an administrator could propose a set, and another one (or they themselves, alone) put it in force.
fn changes_policy(set: &dyn PolicyEngine, alone: bool) -> bool {
    let matter = Matter::Policy { policy: PolicySetId::from_u128(0) };
    let mut asked = AskContext::without_identity(&matter);
    asked.single_person = alone;
    let about = || inventory("request", "", "");
    let ask = |action| passes(set, Role::Administrator, action, about(), asked.attributes());
    let approve = || {
        let voter =
            Voter { place: Place::Administrator, fills: true, same_person: false, fresh: Freshness::supposed() };
        let context = vote_context(voter, &matter, Class::Administration, None, alone);
        passes(set, Role::Administrator, Action::Approve, about(), context)
    };
    ask(Action::Request) && asked.class.routes().iter().any(|route| ask(route.action())) && approve()
}

fn passes(set: &dyn PolicyEngine, role: Role, action: Action, resource: Entity, context: Attributes) -> bool {
    let principal = Entity {
        kind: EntityType::Person,
        id: "someone".to_owned(),
        attributes: Attributes::from([
            ("roles", Value::Set(vec![role.as_str().to_owned()])),
            ("active", Value::Bool(true)),
            ("class", Value::Text(PersonClass::Employee.as_str().to_owned())),
            ("checks", Value::Set(JoinerCheckKind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect())),
        ]),
    };
    let answer = set.decide(&Question { principal, action, resource, context });
    tenure_core::credential::gate::check(&answer).is_ok()
}
