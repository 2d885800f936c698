//! What an agent says that it is for, and who acts for whom (R54, R57, S-14).

use serde::{Deserialize, Serialize};

use crate::base::id::{CredentialId, IdentityId, ResourceId};
use crate::inventory::entitlement::{Entitlement, WILDCARD};

/// How many times authority can be handed on (S-14).
pub const MAX_DEPTH: usize = 4;

/// A task that the charter declares: the only use of its entitlements that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Its name, by which a request declares it: 1 to 64 characters of a-z, 0-9, `_`, `.`, `-`.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// What it takes: inside the charter's scope.
    pub scope: Vec<Entitlement>,
}

/// The action on Tenure itself that lets an identity have another one act for it.
pub const DELEGATE: &str = "delegate";

impl Task {
    /// Whether the task takes this action on this resource.
    pub fn covers(&self, action: &str, resource: ResourceId) -> bool {
        self.scope.iter().any(|entitlement| entitlement.covers(action, resource))
    }
}

/// A delegation grant: another identity may act for this one, inside these bounds (S-14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegate {
    /// Who may act for it.
    pub actor: IdentityId,
    /// For what at most.
    pub scope: Vec<Entitlement>,
    /// How many times the actor's authority may be handed on further; 0: not at all.
    #[serde(default)]
    pub onward: u8,
}

impl Delegate {
    /// Whether the actor may do this for it.
    pub fn covers(&self, action: &str, resource: ResourceId) -> bool {
        self.scope.iter().any(|entitlement| entitlement.covers(action, resource))
    }
}

/// Whether some tasks allow nothing that others did not. No tasks at all means no bound by tasks: declaring some
/// narrows, dropping all of them widens.
pub fn tasks_narrow(from: &[Task], to: &[Task]) -> bool {
    let known = |task: &Task| {
        from.iter()
            .any(|known| known.name == task.name && known.purpose == task.purpose && within(&task.scope, &known.scope))
    };
    from.is_empty() || (!to.is_empty() && to.iter().all(known))
}

/// Whether some delegates may do nothing that others might not.
pub fn delegates_narrow(from: &[Delegate], to: &[Delegate]) -> bool {
    to.iter().all(|delegate| {
        from.iter().any(|known| {
            known.actor == delegate.actor && delegate.onward <= known.onward && within(&delegate.scope, &known.scope)
        })
    })
}

/// Whether every action of some entitlements is also one of others.
pub fn within(inner: &[Entitlement], outer: &[Entitlement]) -> bool {
    inner.iter().all(|entitlement| {
        entitlement.actions.iter().all(|action| {
            outer.iter().any(|other| {
                (other.resource == WILDCARD || other.resource == entitlement.resource)
                    && other.actions.iter().any(|a| a == WILDCARD || a == action)
            })
        })
    })
}

/// For whom a credential was issued besides its holder, and what it derives from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Who acts for whom: the subject first, then each actor, the holder last. At most [`MAX_DEPTH`] actors.
    pub chain: Vec<IdentityId>,
    /// The credentials that it was derived from, the first link first: it dies with each of them.
    pub parents: Vec<CredentialId>,
    /// For which task of its own charter each of the chain acts, in the chain's order; none where its charter declares
    /// no tasks.
    #[serde(default)]
    pub tasks: Vec<Option<String>>,
}

impl Delegation {
    /// How often authority was handed on.
    pub fn depth(&self) -> usize {
        self.chain.len().saturating_sub(1)
    }

    /// The tasks that its links act for, with whose each is.
    pub fn declared(&self) -> impl Iterator<Item = (IdentityId, &str)> {
        self.chain.iter().zip(&self.tasks).filter_map(|(link, task)| Some((*link, task.as_deref()?)))
    }
}

/// What a credential for Tenure itself lets its bearer's counterpart ask for: a token to act for its subject (RFC 8693,
/// `may_act`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MayAct {
    /// Who may act.
    pub actor: IdentityId,
    /// On which resource.
    pub resource: ResourceId,
    /// With which actions at most.
    pub actions: Vec<String>,
    /// For which task.
    pub task: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(actions: &[&str], resource: &str) -> Entitlement {
        Entitlement {
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resource: resource.to_owned(),
        }
    }

    fn task(name: &str, actions: &[&str]) -> Task {
        Task { name: name.into(), purpose: "p".into(), scope: vec![on(actions, "a")] }
    }

    fn delegate(actor: u128, actions: &[&str], onward: u8) -> Delegate {
        Delegate { actor: IdentityId::from_u128(actor), scope: vec![on(actions, "a")], onward }
    }

    #[test]
    fn fewer_or_smaller_tasks_narrow_and_no_tasks_widen() {
        let (read, write, both) = (task("t", &["read"]), task("t", &["write"]), task("t", &["read", "write"]));
        let other = task("u", &["read"]);
        let renamed = Task { purpose: "q".into(), ..read.clone() };
        for (from, to, narrows) in [
            (vec![], vec![both.clone()], true),
            (vec![], vec![], true),
            (vec![both.clone()], vec![read.clone()], true),
            (vec![both.clone(), other.clone()], vec![other.clone()], true),
            (vec![read.clone()], vec![], false),
            (vec![read.clone()], vec![both.clone()], false),
            (vec![read.clone()], vec![write], false),
            (vec![read.clone()], vec![read.clone(), other], false),
            (vec![read], vec![renamed], false),
        ] {
            assert_eq!(tasks_narrow(&from, &to), narrows, "{from:?} {to:?}");
        }
    }

    #[test]
    fn fewer_or_smaller_delegates_narrow() {
        let both = delegate(1, &["read", "write"], 1);
        for (to, narrows) in [
            (vec![], true),
            (vec![both.clone()], true),
            (vec![delegate(1, &["read"], 0)], true),
            (vec![delegate(1, &["read"], 2)], false),
            (vec![delegate(1, &["drop"], 0)], false),
            (vec![delegate(2, &["read"], 0)], false),
        ] {
            assert_eq!(delegates_narrow(std::slice::from_ref(&both), &to), narrows, "{to:?}");
        }
    }

    #[test]
    fn a_wildcard_is_within_a_wildcard_only() {
        assert!(within(&[on(&["*"], "a")], &[on(&["*"], "*")]) && within(&[on(&["read"], "*")], &[on(&["*"], "*")]));
        assert!(
            !within(&[on(&["*"], "a")], &[on(&["read"], "a")]) && !within(&[on(&["read"], "*")], &[on(&["read"], "a")])
        );
    }
}
