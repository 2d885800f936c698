//! Teams: whom people belong to.

use serde::{Deserialize, Serialize};

use crate::base::id::TeamId;
use crate::base::time::Timestamp;
use crate::people::person::SourceRef;
use crate::store::document::{Document, Order};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};

/// A team. Its members are the people who name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its name, unique for ever.
    pub name: String,
    /// Where the record comes from; `None` if it was made by hand.
    pub source: Option<SourceRef>,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Team {
    /// Listed by its name.
    pub const NAME: Field<Self> = Field::new("name");
}

impl Record for Team {
    const KIND: RowKind = RowKind::Team;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    const ORDERS: &'static [Order] = &[Order::Name];
    fn document(&self) -> Document<'_> {
        Document { name: (&self.name).into(), ..Document::default() }
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::NAME, &self.name)
    }
}
