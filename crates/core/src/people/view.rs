//! Saved views: ways of looking through the inventory that somebody keeps under a name.

use serde::{Deserialize, Serialize};

use crate::base::id::{PersonId, TeamId, ViewId};
use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};

/// A view: what the inventory is narrowed by, in which order, with which columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Its id.
    pub id: ViewId,
    /// What its person calls it: of theirs, no other is called so.
    pub name: String,
    /// What the address of the inventory has behind its `?`.
    pub query: String,
    /// The team that sees it too.
    pub team: Option<TeamId>,
    /// When it was saved, or last changed.
    pub saved_at: Timestamp,
}

impl View {
    /// Characters of its name, at most.
    pub const LONGEST_NAME: usize = 80;
    /// Bytes of its query, at most.
    pub const LONGEST_QUERY: usize = 1_000;
}

/// Every view that one person keeps: one row, so that how many there are is bounded whoever saves at once, and what was
/// deleted or erased stands nowhere any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedViews {
    /// Whose.
    pub person: PersonId,
    /// The views, in the order in which they were first saved.
    pub views: Vec<View>,
}

impl SavedViews {
    /// Views of one person, at most.
    pub const MOST: usize = 50;
    /// Listed by the teams that see one of them.
    pub const TEAM: Field<Self, TeamId> = Field::new("team");
}

impl Record for SavedViews {
    const KIND: RowKind = RowKind::SavedViews;
    fn row_id(&self) -> String {
        self.person.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().each(Self::TEAM, self.views.iter().filter_map(|view| view.team))
    }
}
