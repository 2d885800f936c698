//! What no policy set takes away (S-9): whoever takes authority away does so under any set, and whoever goes back to the built-in set can read
//! what that needs.

use tenure_core::person::{Person, Role};
use tenure_core::policy::{Action, Attributes, Entity, Value};

use crate::caller::Caller;

/// What an answer cites in a policy's place.
pub(crate) const KERNEL: &str = "kernel";

/// Whether the kernel lets the caller do this, whatever a set says.
pub(crate) fn allows(caller: &Caller, action: Action, resource: &Entity, context: &Attributes) -> bool {
    may_disable(caller, action, context) || (action == Action::Read && may_read(caller, resource))
}

/// Taking authority away: security anything, whose it is their own.
fn may_disable(caller: &Caller, action: Action, context: &Attributes) -> bool {
    let owns = context.get("owns") == Some(&Value::Bool(true));
    let may = match caller {
        Caller::Person { person, .. } => acts(person) && (owns || person.holds(Role::Security)),
        Caller::Identity { .. } => owns,
    };
    action.disables() && may
}

/// Reading what going back to the built-in set needs: what is in force, what is proposed, and the hash that a vote quotes.
fn may_read(caller: &Caller, resource: &Entity) -> bool {
    let Caller::Person { person, .. } = caller else { return false };
    let proposes = person.holds(Role::Administrator) || person.holds(Role::Security);
    let about = |kind: &str| resource.attributes.get("kind") == Some(&Value::Text(kind.to_owned()));
    acts(person) && proposes && (about("policy") || about("request"))
}

/// Whoever audits does nothing else, whatever other roles they have.
fn acts(person: &Person) -> bool {
    person.is_active() && !person.holds(Role::Auditor)
}
