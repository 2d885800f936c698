//! Saved views of the inventory on the wire.

use serde::{Deserialize, Serialize};
use tenure_core::base::id::{PersonId, TeamId, ViewId};
use tenure_core::base::time::Timestamp;

use crate::given;
use crate::views::Names;

/// `POST /v1/views`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewView {
    /// What it is called: 1 to 80 characters, and none of the caller's own is called so.
    pub name: String,
    /// What the address of the inventory has behind its `?`: filters, `sort` and `columns`; empty for all of it.
    #[serde(default)]
    pub query: String,
    /// A team of the caller's own that is to see it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
}

/// `POST /v1/views/{id}/change`: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewChange {
    /// What it is called from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it shows from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The team that sees it from now on; `null` for none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub team: Option<Option<TeamId>>,
}

/// A saved view of the inventory.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedView {
    /// Its id.
    pub id: ViewId,
    /// What it is called.
    pub name: String,
    /// What the address of the inventory has behind its `?`, as that writes it.
    pub query: String,
    /// Who keeps it, and alone changes it.
    pub person: PersonId,
    /// The team that sees it too.
    pub team: Option<TeamId>,
    /// When it was saved, or last changed.
    pub saved_at: Timestamp,
    /// The names of the records whose ids it holds.
    #[serde(skip_serializing_if = "Names::is_empty", default)]
    pub names: Names,
}
