//! What no policy set takes away (S-9): whoever takes authority away does so under any set and reads what they take
//! away, and whoever goes back to the built-in set can read what that needs.
//!
//! What is allowed here is asked of no set: a set that fails, forbids or takes its time stands in nobody's way.

use tenure_core::people::person::{Person, Role};
use tenure_core::policy::{Action, Attributes, Entity, Value};

use crate::kernel::caller::Caller;

/// What an answer cites in a policy's place.
pub(crate) const KERNEL: &str = "kernel";

/// What of the inventory an administrator trusts or lets be reached, and so may take back or narrow: the sorts, as
/// policies name them.
const TRUSTED: [&str; 7] =
    ["issuer", "source", "sign_in_provider", "invitation", "resource", "data_domain", "environment"];

/// Whether the kernel lets the caller do this, whatever a set says.
pub(crate) fn allows(caller: &Caller, action: Action, resource: &Entity, context: &Attributes) -> bool {
    let owns = context.get("owns") == Some(&Value::Bool(true));
    match caller {
        Caller::Person { person, .. } if !acts(person) => false,
        Caller::Person { person, .. } if action.disables() => {
            owns || person.holds(Role::Security) || (action == Action::Revoke && trusts(person, resource))
        }
        Caller::Person { person, .. } => action == Action::Read && may_read(person, resource, owns),
        Caller::Identity { .. } => owns && action.disables(),
    }
}

/// Reading: security anything, as it ends anything; whose it is their own; an administrator what they may take back.
/// What going back to the built-in set needs is among it: what is in force, what is proposed, and the hash that a vote
/// quotes.
fn may_read(person: &Person, resource: &Entity, owns: bool) -> bool {
    let goes_back =
        || person.holds(Role::Administrator) && ["policy", "request"].iter().any(|kind| is_of(resource, kind));
    owns || person.holds(Role::Security) || trusts(person, resource) || goes_back()
}

fn trusts(person: &Person, resource: &Entity) -> bool {
    person.holds(Role::Administrator) && TRUSTED.iter().any(|kind| is_of(resource, kind))
}

fn is_of(resource: &Entity, kind: &str) -> bool {
    matches!(resource.attributes.get("kind"), Some(Value::Text(of)) if of == kind)
}

/// Whoever audits does nothing else, whatever other roles they have.
fn acts(person: &Person) -> bool {
    person.is_active() && !person.holds(Role::Auditor)
}
