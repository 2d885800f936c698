//! Naming standards: for each kind the pattern that its names must match (R30).

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::identity::Kind;
use crate::store::row::{Record, RowKind};

/// The naming standard of a kind, on top of the pattern that every name has to match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamingStandard {
    /// The kind.
    pub kind: Kind,
    /// A regular expression that the whole name must match.
    pub pattern: String,
    /// A name that does.
    pub example: String,
    /// When it was set.
    pub set_at: Timestamp,
}

impl Record for NamingStandard {
    const KIND: RowKind = RowKind::NamingStandard;
    fn row_id(&self) -> String {
        self.kind.as_str().into()
    }
}
