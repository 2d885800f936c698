//! Sightings: what a list from elsewhere says of an account that no connector sees. It is evidence, and no account: what
//! becomes of its identity is done at no target.

use serde::{Deserialize, Serialize};

use crate::base::id::{IdentityId, PersonId, SightingId};
use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};
use crate::target::account::ProposedOwner;

/// An account as a list told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// Its id.
    pub id: SightingId,
    /// The identity that was made of it.
    pub identity: IdentityId,
    /// The list, e.g. `cmdb`.
    pub source: String,
    /// What names it there for good.
    pub key: String,
    /// The system that it is at, in the list's words.
    pub system: String,
    /// Its name there.
    pub name: String,
    /// The line, or the place counted from 1, where it stood.
    pub line: u32,
    /// When it was seen there, as the list says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// What else the list says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Whom the list names as its owner, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_said: Option<String>,
    /// To whom it is proposed, who may claim it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<ProposedOwner>,
    /// Until when somebody has to answer for it.
    pub claim_by: Timestamp,
    /// The digest of the import that brought it in.
    pub import: String,
    /// Who did.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
}

impl Sighting {
    /// Listed by its list.
    pub const SOURCE: Field<Self> = Field::new("source");
    /// Listed by its list and its key there.
    pub const KEY: Field<Self> = Field::new("key");
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by whom it was proposed to.
    pub const PROPOSED: Field<Self, PersonId> = Field::new("proposed");

    /// The text of [`Sighting::KEY`].
    pub fn place(source: &str, key: &str) -> String {
        format!("{source}/{key}")
    }
}

impl Record for Sighting {
    const KIND: RowKind = RowKind::Sighting;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::SOURCE, &self.source)
            .with(Self::KEY, Self::place(&self.source, &self.key))
            .with(Self::IDENTITY, self.identity)
            .each(Self::PROPOSED, self.proposed.as_ref().map(|proposed| proposed.owner))
    }
}
