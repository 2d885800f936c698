//! Where the registration of something stands that is trusted to speak for others: an external issuer, a provider of
//! sign-ins, a source of signals.

use serde::{Deserialize, Serialize};

use crate::base::state::{InState, StateTable};
use crate::store::term::words;

/// Where the registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrustState {
    /// Waits for a second person.
    Proposed,
    /// Trusted.
    Active,
    /// No longer trusted; terminal.
    Removed,
}

impl TrustState {
    /// The name in the log and in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Active => "active",
            Self::Removed => "removed",
        }
    }
}

/// proposed → active · proposed, active → removed.
impl StateTable for TrustState {
    const INITIAL: Self = Self::Proposed;
    fn as_str(self) -> &'static str {
        self.as_str()
    }
    fn may_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Proposed, Self::Active) | (Self::Proposed | Self::Active, Self::Removed))
    }
}

impl InState<TrustState> {
    /// What is proposed now: active at once if there is no second administrator to confirm it, which the record says
    /// (S-10).
    pub fn proposed(single_person: bool) -> Self {
        let proposed = Self::default();
        if single_person { proposed.step(TrustState::Active).unwrap_or(proposed) } else { proposed }
    }
}

words!(TrustState);

/// What becomes of a registration that a second person confirms, for records with `state` and `confirmed_by`.
macro_rules! confirmable {
    ($record:ty) => {
        impl $record {
            /// Confirmed by a second person.
            ///
            /// # Errors
            /// It isn't proposed.
            pub fn confirm(self, by: $crate::base::id::PersonId) -> Result<Self, $crate::base::state::BadStep> {
                Ok(Self {
                    state: self.state.step($crate::trust::state::TrustState::Active)?,
                    confirmed_by: Some(by),
                    ..self
                })
            }
        }
    };
}
pub(crate) use confirmable;
