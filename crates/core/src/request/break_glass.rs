//! Break-glass of machines (R107): more for an hour at most, without waiting for anybody. It is possible only where an
//! exception of the type `break_glass` approved it before; whoever starts it is told to others at once; and until somebody
//! else has looked at it afterwards there is no next time.

use serde::{Deserialize, Serialize};

use crate::base::id::{BreakGlassId, ExceptionId, GrantId, IdentityId, PersonId};
use crate::base::time::{Span, Timestamp};
use crate::inventory::entitlement::Entitlement;
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// The longest that it lasts.
pub const LONGEST: Span = Span::from_mins(60);
/// Within which time somebody looks at it afterwards.
pub const REVIEW_WITHIN: Span = Span::from_days(2);

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakGlassState {
    /// Nobody has looked at it yet.
    Unreviewed,
    /// Somebody has, and it was needed.
    Justified,
    /// Somebody has, and it wasn't: its exception allows no other.
    Unjustified,
}

impl BreakGlassState {
    /// The name in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreviewed => "unreviewed",
            Self::Justified => "justified",
            Self::Unjustified => "unjustified",
        }
    }
}

/// What was found when somebody looked at it afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterReview {
    /// By whom: not by who started it.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// What was found.
    pub note: String,
}

/// One use of the glass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Its id.
    pub id: BreakGlassId,
    /// The identity that may do more.
    pub identity: IdentityId,
    /// What: within its charter.
    pub entitlement: Entitlement,
    /// The grant that was opened.
    pub grant: GrantId,
    /// The exception that approved it before.
    pub exception: ExceptionId,
    /// Why now.
    pub reason: String,
    /// Who started it.
    pub started_by: PersonId,
    /// When.
    pub started_at: Timestamp,
    /// Its end, which nobody puts off.
    pub ends_at: Timestamp,
    /// Until when somebody has to look at it.
    pub review_by: Timestamp,
    /// Where it stands.
    pub state: BreakGlassState,
    /// What was found afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<AfterReview>,
}

impl BreakGlass {
    /// Whether there is no next time under an exception because of this one.
    pub fn bars(&self, exception: ExceptionId) -> bool {
        match self.state {
            BreakGlassState::Unreviewed => true,
            BreakGlassState::Unjustified => self.exception == exception,
            BreakGlassState::Justified => false,
        }
    }
}

words!(BreakGlassState);

impl BreakGlass {
    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by where it stands.
    pub const STATE: Field<Self, BreakGlassState> = Field::new("state");
}

impl Record for BreakGlass {
    const KIND: RowKind = RowKind::BreakGlass;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none().with(Self::IDENTITY, self.identity).with(Self::STATE, self.state)
    }
}
