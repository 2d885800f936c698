//! Deprecations: something is said to go on a day, its sunset. Before it, whoever still uses it is counted; after it, use
//! is denied (R99). The words are those of RFC 9745 and RFC 8594.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::id::{ApplicationId, IdentityId, NeedId, PersonId, VendorId};
use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// Callers that are counted one by one; those beyond are counted together.
pub const MAX_CALLERS: usize = 64;

/// What is deprecated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum Deprecated {
    /// An application, with the identities that work for it.
    Application(ApplicationId),
    /// A vendor, with the identities that it operates.
    Vendor(VendorId),
    /// A business need, with the identities that serve it.
    Need(NeedId),
    /// One identity.
    Identity(IdentityId),
}

impl Deprecated {
    /// The sort of thing.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Application(_) => "application",
            Self::Vendor(_) => "vendor",
            Self::Need(_) => "need",
            Self::Identity(_) => "identity",
        }
    }

    /// What has this id, by its prefix.
    pub fn parse(id: &str) -> Option<Self> {
        let application = id.parse().map(Self::Application);
        let vendor = || id.parse().map(Self::Vendor);
        let need = || id.parse().map(Self::Need);
        application.or_else(|_| vendor()).or_else(|_| need()).or_else(|_| id.parse().map(Self::Identity)).ok()
    }
}

impl std::str::FromStr for Deprecated {
    type Err = ();
    fn from_str(id: &str) -> Result<Self, ()> {
        Self::parse(id).ok_or(())
    }
}

/// The id of what is deprecated.
impl fmt::Display for Deprecated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(id) => id.fmt(f),
            Self::Vendor(id) => id.fmt(f),
            Self::Need(id) => id.fmt(f),
            Self::Identity(id) => id.fmt(f),
        }
    }
}

/// Where a deprecation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeprecationState {
    /// It goes on its day, and is used until then.
    Announced,
    /// Its day has come: use is denied.
    Past,
    /// It was taken back.
    Withdrawn,
}

impl DeprecationState {
    /// The name in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Past => "past",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What one caller used of it since it was deprecated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerUse {
    /// Who: an identity of what is deprecated; of one identity the resource for which it was used.
    pub caller: String,
    /// How often: tokens and logins that were issued to it, and what enforcement points asked about it and was allowed.
    pub uses: u64,
    /// When first.
    pub first_at: Timestamp,
    /// When last.
    pub last_at: Timestamp,
}

/// A deprecation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deprecation {
    /// What is deprecated; there is one of each thing.
    pub of: Deprecated,
    /// Since when.
    pub deprecated_since: Timestamp,
    /// From when on use is denied.
    pub sunset: Timestamp,
    /// Why.
    pub reason: String,
    /// What to use instead, if there is anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// Who said so last.
    pub declared_by: PersonId,
    /// Where it stands.
    pub state: DeprecationState,
    /// Who used it since, the latest 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<CallerUse>,
    /// Uses by others than those.
    #[serde(default)]
    pub other_uses: u64,
}

impl Deprecation {
    /// Counts uses of a caller. The one that was seen longest ago gives way where there are too many.
    pub fn count(&mut self, caller: &str, uses: u64, at: Timestamp) {
        if let Some(known) = self.callers.iter_mut().find(|known| known.caller == caller) {
            known.uses = known.uses.saturating_add(uses);
            known.last_at = known.last_at.max(at);
            return;
        }
        if self.callers.len() >= MAX_CALLERS {
            let oldest = self.callers.iter().enumerate().min_by_key(|(_, known)| known.last_at).map(|(n, _)| n);
            if let Some(gone) = oldest.map(|n| self.callers.remove(n)) {
                self.other_uses = self.other_uses.saturating_add(gone.uses);
            }
        }
        self.callers.push(CallerUse { caller: caller.to_owned(), uses, first_at: at, last_at: at });
    }

    /// Whether use is denied.
    pub fn is_past(&self, now: Timestamp) -> bool {
        self.state == DeprecationState::Past || (self.state == DeprecationState::Announced && self.sunset <= now)
    }
}

words!(DeprecationState);

impl Deprecation {
    /// Listed by where it stands.
    pub const STATE: Field<Self, DeprecationState> = Field::new("state");
    /// Listed by its sort of thing.
    pub const OF_KIND: Field<Self> = Field::new("type");
}

impl Record for Deprecation {
    const KIND: RowKind = RowKind::Deprecation;
    fn row_id(&self) -> String {
        self.of.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::STATE, self.state).with(Self::OF_KIND, self.of.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_counted_and_bounded_and_none_is_lost() {
        let at = Timestamp::from_secs;
        let mut deprecation = Deprecation {
            of: Deprecated::Need(NeedId::from_u128(1)),
            deprecated_since: at(0),
            sunset: at(1_000),
            reason: String::new(),
            instead: None,
            declared_by: PersonId::from_u128(1),
            state: DeprecationState::Announced,
            callers: Vec::new(),
            other_uses: 0,
        };
        for n in 0..100 {
            deprecation.count(&format!("c{n}"), 2, at(n));
        }
        deprecation.count("c99", u64::MAX, at(200));
        assert_eq!((deprecation.callers.len(), deprecation.other_uses), (MAX_CALLERS, 72));
        let last = deprecation.callers.last().unwrap();
        assert_eq!((last.uses, last.first_at, last.last_at), (u64::MAX, at(99), at(200)));
        assert!(!deprecation.is_past(at(999)) && deprecation.is_past(at(1_000)));
        assert_eq!(Deprecated::parse(&deprecation.of.to_string()), Some(deprecation.of));
    }
}
