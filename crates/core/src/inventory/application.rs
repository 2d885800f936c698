//! Applications: what identities work for, and a scope that can be cut at once.

use serde::{Deserialize, Serialize};

use crate::base::id::{ApplicationId, PersonId, TeamId};
use crate::base::time::Timestamp;
use crate::inventory::third_party::Standing;
use crate::store::document::{Document, Order};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Its name, unique for ever.
    pub name: String,
    /// Who answers for it.
    pub owner: PersonId,
    /// The team that answers for the removal of its identities, unless their charters name another (R115).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal_group: Option<TeamId>,
    /// Where it stands: closed once it is retired (R84).
    #[serde(default = "open")]
    pub standing: Standing,
    /// When the record was made.
    pub created_at: Timestamp,
}

const fn open() -> Standing {
    Standing::Open
}

impl Application {
    /// Listed by its name.
    pub const NAME: Field<Self> = Field::new("name");
    /// Listed by its owner.
    pub const OWNER: Field<Self, PersonId> = Field::new("owner");
    /// Listed by its standing.
    pub const STANDING: Field<Self, Standing> = Field::new("standing");
    /// Listed by its team that answers for the removal of its identities.
    pub const REMOVAL_GROUP: Field<Self, TeamId> = Field::new("removal_group");
}

impl Record for Application {
    const KIND: RowKind = RowKind::Application;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    const ORDERS: &'static [Order] = &[Order::Name];
    fn document(&self) -> Document<'_> {
        Document { name: (&self.name).into(), ..Document::default() }
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::NAME, &self.name)
            .with(Self::OWNER, self.owner)
            .with(Self::STANDING, self.standing)
            .each(Self::REMOVAL_GROUP, self.removal_group)
    }
}
