//! Scopes that many identities share, and what can be done to all of them with one record: a cut or a hold (S-11).

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::id::{ApplicationId, CloudAccountId, IdentityId, PersonId, VendorId};
use crate::base::placed::Placed;
use crate::base::time::Timestamp;
use crate::store::row::{Position, Record, RowKey, RowKind};
use crate::store::term::{Field, TermValue, Terms};

/// Who may lift a suspension or a hold; never the person who placed it (S-11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Releaser {
    /// The accountable owner, or security: it was not placed by the owner.
    Owner,
    /// Security alone: it was placed by security, by the owner, who doesn't release their own, or on suspicion.
    Security,
}

/// A set of identities that is cut or held as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum Scope {
    /// One identity.
    Identity(IdentityId),
    /// Every identity of an owner.
    Owner(PersonId),
    /// Every identity of an application.
    Application(ApplicationId),
    /// Every identity of an environment.
    Environment(String),
    /// Every identity that a vendor operates.
    Vendor(VendorId),
    /// Every identity bound to a cloud account.
    CloudAccount(CloudAccountId),
}

impl Scope {
    /// The sorts of scopes.
    pub const KINDS: &[&str] = &["identity", "owner", "application", "environment", "vendor", "cloud_account"];

    /// The sort of scope.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Identity(_) => "identity",
            Self::Owner(_) => "owner",
            Self::Application(_) => "application",
            Self::Environment(_) => "environment",
            Self::Vendor(_) => "vendor",
            Self::CloudAccount(_) => "cloud_account",
        }
    }
    /// The key of the scope's cut.
    pub fn cut_key(&self) -> RowKey {
        RowKey::new(RowKind::Cut, self)
    }
    /// The key of the scope's hold.
    pub fn hold_key(&self) -> RowKey {
        RowKey::new(RowKind::Hold, self)
    }
    /// The id of what the scope is about.
    pub fn subject(&self) -> String {
        match self {
            Self::Identity(id) => id.to_string(),
            Self::Owner(id) => id.to_string(),
            Self::Application(id) => id.to_string(),
            Self::Environment(name) => name.clone(),
            Self::Vendor(id) => id.to_string(),
            Self::CloudAccount(id) => id.to_string(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.subject())
    }
}

impl Scope {
    /// The scope of this text, as it is shown ([`fmt::Display`]).
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        match kind {
            "identity" => id.parse().ok().map(Self::Identity),
            "owner" => id.parse().ok().map(Self::Owner),
            "application" => id.parse().ok().map(Self::Application),
            "environment" => Some(Self::Environment(id.to_owned())),
            "vendor" => id.parse().ok().map(Self::Vendor),
            "cloud_account" => id.parse().ok().map(Self::CloudAccount),
            _ => None,
        }
    }
}

impl TermValue for Scope {
    type Of = Self;
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

/// That an identity belongs to a scope, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The scope.
    pub scope: Scope,
    /// A position before which every cut of the scope does not count for this identity: the log's length when the
    /// joining was decided. The joining commits under the precondition that no cut of the scope happened since.
    pub joined: Position,
}

/// A cut: everything issued in the scope before the row's position is refused for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// What was cut.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Record for Cut {
    const KIND: RowKind = RowKind::Cut;
    fn row_id(&self) -> String {
        self.scope.to_string()
    }
}

/// A hold: nothing in the scope works until somebody other than who placed it releases it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// What is held.
    pub scope: Scope,
    /// Who placed it; `None` once released.
    pub placed_by: Option<PersonId>,
    /// Who may release it.
    pub releasable_by: Releaser,
    /// Why.
    pub reason: String,
    /// When it was placed.
    pub at: Timestamp,
    /// Who else holds it; each for themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Placed>,
}

impl Hold {
    /// Everybody who holds it.
    pub fn placers(&self) -> impl Iterator<Item = PersonId> {
        self.placed_by.into_iter().chain(self.also.iter().map(|placed| placed.by))
    }

    /// Without the hold of one person: another's takes its place, and once there is none, it is released for this
    /// reason.
    pub fn released(mut self, by: PersonId, reason: &str, at: Timestamp) -> Self {
        self.also.retain(|placed| placed.by != by);
        if self.placed_by != Some(by) {
            return self;
        }
        if self.also.is_empty() {
            return Self { placed_by: None, reason: reason.to_owned(), at, ..self };
        }
        let next = self.also.remove(0);
        Self { placed_by: Some(next.by), releasable_by: Releaser::Security, reason: next.reason, at: next.at, ..self }
    }
}

impl Hold {
    /// Listed by `held` while somebody holds it, then `released`.
    pub const STATE: Field<Self> = Field::new("state");
    /// Listed by its sort of scope.
    pub const KIND_OF_SCOPE: Field<Self> = Field::new("kind");
    /// Listed by its people who hold it.
    pub const PLACED_BY: Field<Self, PersonId> = Field::new("placed_by");
    /// The state of one that is in force.
    pub const HELD: &str = "held";
}

impl Record for Hold {
    const KIND: RowKind = RowKind::Hold;
    fn row_id(&self) -> String {
        self.scope.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::STATE, if self.placed_by.is_some() { Self::HELD } else { "released" })
            .with(Self::KIND_OF_SCOPE, self.scope.kind())
            .each(Self::PLACED_BY, self.placers())
    }
}
