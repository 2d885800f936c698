//! Templates: what an identity of a sort starts from, and what it can't go beyond (R47–R49, R61).

use serde::{Deserialize, Serialize};

use crate::base::time::{Span, Timestamp};
use crate::identity::{CharterDraft, Kind, RiskTier};
use crate::inventory::entitlement::Entitlement;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};

/// What happens to a request that wants more than a ceiling (R49).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenOver {
    /// It is refused.
    #[default]
    Refuse,
    /// It is cut down to the ceiling, and says so.
    Clip,
}

/// A template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// The kind of identities that it makes.
    pub kind: Kind,
    /// What it is for.
    pub description: String,
    /// What a charter has where the request says nothing.
    #[serde(default)]
    pub defaults: CharterDraft,
    /// How long an identity made from it lives where the request says nothing; never longer than `max_life`.
    pub default_life: Span,
    /// The longest life.
    pub max_life: Span,
    /// The longest life of a credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_credential_ttl: Option<Span>,
    /// The widest scope; empty: whatever the other rules allow.
    #[serde(default)]
    pub max_scope: Vec<Entitlement>,
    /// Environments in which it may be used; empty: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Repositories that a pipeline made from it may run for; policy confirms them, not the requester (R36).
    #[serde(default)]
    pub repositories: Vec<String>,
    /// The highest tier that an identity made from it may have.
    pub max_tier: RiskTier,
    /// What happens to a request that wants more.
    #[serde(default)]
    pub when_over: WhenOver,
    /// Its version: one more with each change.
    #[serde(default)]
    pub version: u32,
    /// When it was last changed.
    #[serde(default)]
    pub changed_at: Timestamp,
}

impl Template {
    /// Listed by its kind of identities.
    pub const OF_KIND: Field<Self, Kind> = Field::new("kind");
}

impl Record for Template {
    const KIND: RowKind = RowKind::Template;
    fn row_id(&self) -> String {
        self.name.clone()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::OF_KIND, self.kind)
    }
}
