//! Differences between an authoritative source and the inventory: each is one question with one decision (R92).

use serde::{Deserialize, Serialize};

use crate::base::id::{DifferenceId, PersonId};
use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms};

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum DifferenceKind {
    /// The source no longer has a record that it had. Never read as a deletion (invariant 6).
    MissingInSource,
    /// The source has a record that looks like one made by hand.
    LooksLike {
        /// The person that it may be.
        person: PersonId,
    },
    /// The source says something that can't be followed, e.g. an unknown manager.
    NotFollowed {
        /// Which field.
        field: String,
        /// Why not.
        why: String,
    },
}

impl DifferenceKind {
    /// What it is about: a record has at most one standing difference about each.
    pub fn about(&self) -> &str {
        match self {
            Self::MissingInSource => "record",
            Self::LooksLike { .. } => "person",
            Self::NotFollowed { field, .. } => field,
        }
    }

    /// Whether this answers it.
    pub const fn takes(&self, decision: DifferenceDecision) -> bool {
        use DifferenceDecision as D;
        match self {
            Self::MissingInSource => matches!(decision, D::Keep | D::Depart),
            Self::LooksLike { .. } => matches!(decision, D::Keep | D::Bind | D::Create),
            Self::NotFollowed { .. } => matches!(decision, D::Keep),
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceDecision {
    /// The inventory is right.
    Keep,
    /// The person has left.
    Depart,
    /// They are the same: the record is bound to the source.
    Bind,
    /// They are two persons: the source's record becomes one of its own.
    Create,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Its id.
    pub id: DifferenceId,
    /// The source.
    pub source: String,
    /// The record's key there.
    pub source_key: String,
    /// The person concerned, if they are known here.
    pub person: Option<PersonId>,
    /// What differs.
    pub kind: DifferenceKind,
    /// When it was found first.
    pub found_at: Timestamp,
    /// What was decided, by whom and when.
    pub decision: Option<Decided>,
    /// Since when the source and the inventory agree about it again. Until then it stands, and its decision with it: a
    /// feed that says the same once more asks nobody twice.
    #[serde(default)]
    pub over_since: Option<Timestamp>,
}

/// A decision about a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// What; `None` if the source and the inventory agree again by themselves.
    pub what: Option<DifferenceDecision>,
    /// By whom; `None` if nobody had to.
    pub by: Option<PersonId>,
    /// When.
    pub at: Timestamp,
}

impl Difference {
    /// Listed by its source.
    pub const SOURCE: Field<Self> = Field::new("source");
    /// Listed by its source and the key of the person there.
    pub const KEY: Field<Self> = Field::new("key");
    /// Listed by `open` until somebody decides it, then `decided`.
    pub const STATE: Field<Self> = Field::new("state");
    /// Listed by its source, while the difference is still there.
    pub const STANDING: Field<Self> = Field::new("standing");
    /// Listed by its person.
    pub const PERSON: Field<Self, PersonId> = Field::new("person");
}

impl Record for Difference {
    const KIND: RowKind = RowKind::Difference;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::SOURCE, &self.source)
            .with(Self::KEY, format!("{}/{}", self.source, self.source_key))
            .with(Self::STATE, if self.decision.is_some() { "decided" } else { "open" })
            .each(Self::STANDING, self.over_since.is_none().then_some(&self.source))
            .each(Self::PERSON, self.person)
    }
}
