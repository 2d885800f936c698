//! Floors (S-2): a row that was put back to an older body is not believed, although that body's MAC is good.

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::store::row::{Record, RowKey, RowKind};

/// The revision below which a row of authority is not believed, nor its absence. It is written in the commit that
/// writes that row, and read with it: whoever puts the one back has to put the other back too, and the log names both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// The row: its kind and its id.
    pub of: String,
    /// Its revision when this was written.
    pub revision: u64,
    /// When both may be dropped without an event.
    pub droppable_after: Option<Timestamp>,
}

impl Floor {
    /// The key of a row's floor.
    pub fn key_of(row: &RowKey) -> RowKey {
        RowKey::new(RowKind::Floor, row)
    }

    /// Whether rows of a kind have one: those that give authority or take it away.
    pub const fn guards(kind: RowKind) -> bool {
        matches!(
            kind,
            RowKind::Person
                | RowKind::OperatorToken
                | RowKind::Session
                | RowKind::Passkey
                | RowKind::Invitation
                | RowKind::SignInProvider
                | RowKind::SignInBinding
                | RowKind::Identity
                | RowKind::Binding
                | RowKind::JoinToken
                | RowKind::Grant
                | RowKind::PersonGrant
                | RowKind::Credential
                | RowKind::Issuer
                | RowKind::Source
                | RowKind::Environment
                | RowKind::Exception
                | RowKind::Policy
                | RowKind::Deployment
                | RowKind::Cut
                | RowKind::Hold
                | RowKind::Epoch
                | RowKind::Contradiction
        )
    }

    /// Whether a row takes authority away by being there, so that its first writing has a floor already: a cut, a hold,
    /// that people sign in, which policy set is in force, who administers. Of the others there is nothing older than
    /// the first.
    pub fn guards_absence(key: &RowKey) -> bool {
        matches!(
            (key.kind, key.id.as_str()),
            (RowKind::Cut | RowKind::Hold | RowKind::Epoch | RowKind::Contradiction, _)
                | (RowKind::Deployment, "sign-in" | "administrators")
                | (RowKind::Policy, "in-force")
        )
    }

    /// Whether a row goes at its end without an event, or is the floor of one that does: then its absence says nothing,
    /// and refuses whoever comes with it.
    pub fn may_be_dropped(key: &RowKey) -> bool {
        let dropped = [
            RowKind::Credential,
            RowKind::Login,
            RowKind::Session,
            RowKind::Invitation,
            RowKind::Backchannel,
            RowKind::Idempotency,
        ];
        let of = |kind: &RowKind| key.id.strip_prefix(kind.as_str()).is_some_and(|id| id.starts_with('/'));
        dropped.contains(&key.kind) || (key.kind == RowKind::Floor && dropped.iter().any(of))
    }

    /// Whether a row, if it is there, at this revision, is one to believe at a time.
    pub fn holds(&self, revision: Option<u64>, now: Timestamp) -> bool {
        match revision {
            Some(revision) => revision >= self.revision,
            None => self.droppable_after.is_some_and(|after| now >= after),
        }
    }
}

impl Record for Floor {
    const KIND: RowKind = RowKind::Floor;
    fn row_id(&self) -> String {
        self.of.clone()
    }
    fn droppable_after(&self) -> Option<Timestamp> {
        self.droppable_after
    }
}
