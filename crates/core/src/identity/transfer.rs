//! Transfers: an identity goes from one accountable owner to another, by a deadline (R91).

use serde::{Deserialize, Serialize};

use crate::base::id::{IdentityId, PersonId, TransferId};
use crate::base::state::{BadStep, InState, StateTable};
use crate::base::time::{Span, Timestamp};
use crate::store::row::{Record, RowKind};
use crate::store::term::{Field, Terms, words};

/// How long a transfer may take before the identity is suspended.
pub const TRANSFER_WINDOW: Span = Span::from_days(7);
/// How long an identity that nobody took stays suspended before it retires.
pub const LAPSED_GRACE: Span = Span::from_days(30);

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Nobody was asked yet, or whoever was asked declined.
    Open,
    /// Somebody was asked.
    Offered,
    /// The new owner took it; terminal.
    Accepted,
    /// The deadline passed; terminal.
    Lapsed,
    /// No longer needed: the identity ended, or its owner withdrew the offer; terminal.
    Closed,
}

impl TransferState {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Lapsed => "lapsed",
            Self::Closed => "closed",
        }
    }
}

/// open ⇄ offered, offered → offered to another · offered → accepted · open, offered → lapsed, closed.
impl StateTable for TransferState {
    const INITIAL: Self = Self::Open;
    fn as_str(self) -> &'static str {
        self.as_str()
    }
    fn may_become(self, next: Self) -> bool {
        match self {
            Self::Open => next != Self::Accepted,
            Self::Offered => true,
            Self::Accepted | Self::Lapsed | Self::Closed => false,
        }
    }
}

/// A transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// The identity that is transferred.
    pub identity: IdentityId,
    /// Who answered for it.
    pub from: PersonId,
    /// Who is asked to.
    pub offered_to: Option<PersonId>,
    /// Who declined already.
    pub declined_by: Vec<PersonId>,
    /// Where it stands.
    pub state: InState<TransferState>,
    /// Why: `owner_departed`, `owner_suspended`, `by_hand`.
    pub because: String,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it lapses.
    pub deadline: Timestamp,
}

words!(TransferState);

impl Transfer {
    /// Offered to somebody, or to nobody as long as there is nobody to ask.
    ///
    /// # Errors
    /// It is over.
    pub fn offer(self, to: Option<PersonId>) -> Result<Self, BadStep> {
        let next = if to.is_some() { TransferState::Offered } else { TransferState::Open };
        Ok(Self { offered_to: to, state: self.state.step(next)?, ..self })
    }

    /// Taken by whom it is offered to.
    ///
    /// # Errors
    /// It isn't offered.
    pub fn accept(self) -> Result<Self, BadStep> {
        self.to(TransferState::Accepted)
    }

    /// Nobody took it in time.
    ///
    /// # Errors
    /// It is over already.
    pub fn lapse(self) -> Result<Self, BadStep> {
        self.to(TransferState::Lapsed)
    }

    /// No longer needed.
    ///
    /// # Errors
    /// It is over already.
    pub fn close(self) -> Result<Self, BadStep> {
        self.to(TransferState::Closed)
    }

    fn to(self, next: TransferState) -> Result<Self, BadStep> {
        Ok(Self { state: self.state.step(next)?, ..self })
    }

    /// Listed by its identity.
    pub const IDENTITY: Field<Self, IdentityId> = Field::new("identity");
    /// Listed by its owner that it goes from.
    pub const FROM: Field<Self, PersonId> = Field::new("from");
    /// Listed by its state.
    pub const STATE: Field<Self, TransferState> = Field::new("state");
    /// Listed by its person whom it is offered to.
    pub const OFFERED_TO: Field<Self, PersonId> = Field::new("offered_to");
}

impl Record for Transfer {
    const KIND: RowKind = RowKind::Transfer;
    fn row_id(&self) -> String {
        self.id.to_string()
    }
    fn terms(&self) -> Terms<Self> {
        Terms::none()
            .with(Self::IDENTITY, self.identity)
            .with(Self::FROM, self.from)
            .with(Self::STATE, self.state.get())
            .each(Self::OFFERED_TO, self.offered_to)
    }
}

/// The window in which an identity acts while its owner has left (invariant 7). It stands in the identity's own row, so
/// that the gate needs nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferWindow {
    /// The transfer.
    pub transfer: TransferId,
    /// Until when.
    pub deadline: Timestamp,
    /// The backup, who answers meanwhile.
    pub interim: Option<PersonId>,
}
