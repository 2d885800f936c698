//! Entitlements: actions on a resource.

use serde::{Deserialize, Serialize};

use crate::base::id::ResourceId;

/// In an action or a resource: everything. Policy refuses or flags it (R24).
pub const WILDCARD: &str = "*";

/// Something that the identity may do on a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    /// The actions, by the resource's own names. `enforce` makes the identity an enforcement point of the resource.
    pub actions: Vec<String>,
    /// The resource: an id, or `*`.
    pub resource: String,
}

impl Entitlement {
    /// Whether it says everything on something, or something on everything.
    pub fn is_wildcard(&self) -> bool {
        self.resource == WILDCARD || self.actions.iter().any(|action| action == WILDCARD)
    }

    /// Whether it makes its holder an enforcement point.
    pub fn enforces(&self) -> bool {
        self.actions.iter().any(|action| action == ENFORCE || action == WILDCARD)
    }

    /// Whether it covers this action on this resource.
    pub fn covers(&self, action: &str, resource: ResourceId) -> bool {
        (self.resource == WILDCARD || self.resource == resource.to_string())
            && self.actions.iter().any(|a| a == WILDCARD || a == action)
    }
}

/// The action that makes an identity an enforcement point of a resource: it may ask Tenure about it.
pub const ENFORCE: &str = "enforce";
