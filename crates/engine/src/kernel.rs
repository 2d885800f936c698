//! What no policy set takes away (S-9): whoever takes authority away does so under any set, and whoever goes back to the built-in set can read
//! what that needs.

use tenure_core::person::{Person, Role};
use tenure_core::policy::{Action, Attributes, Value};

use crate::caller::Caller;

/// What an answer cites in a policy's place.
pub(crate) const KERNEL: &str = "kernel";

/// Whether the kernel lets the caller take authority away: security anything, whose it is their own.
pub(crate) fn may_disable(caller: &Caller, action: Action, context: &Attributes) -> bool {
    let owns = context.get("owns") == Some(&Value::Bool(true));
    let may = match caller {
        Caller::Person { person, .. } => acts(person) && (owns || person.holds(Role::Security)),
        Caller::Identity { .. } => owns,
    };
    action.disables() && may
}

/// Whether the kernel lets the caller read what they need to go back to the built-in set: what is in force, what is proposed, and the hash that
/// a vote quotes.
pub(crate) fn may_read(caller: &Caller, kind: &str) -> bool {
    let Caller::Person { person, .. } = caller else { return false };
    let proposes = person.holds(Role::Administrator) || person.holds(Role::Security);
    acts(person) && proposes && ["policy", "request"].contains(&kind)
}

/// Whoever audits does nothing else, whatever other roles they have.
fn acts(person: &Person) -> bool {
    person.is_active() && !person.holds(Role::Auditor)
}
