//! The deadline of a transfer, and what follows when nobody took the identity (R91).

use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::identity::{Identity, IdentityState, SuspensionKind};

/// What a transfer demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferPlan {
    /// It is over.
    Nothing,
    /// Nothing until then.
    Later(Timestamp),
    /// What it was about has ended, or somebody else answers for it by now.
    Close,
    /// Nobody took it; whether the identity is without an owner and has to stop.
    Lapse {
        /// The owner isn't there any more.
        stops: bool,
    },
    /// Nobody has taken it since it was stopped.
    Retire,
}

/// Decides, given whether the owner from whom it goes is active.
pub fn plan(transfer: &Transfer, identity: &Identity, owner_active: bool, grace: Span, now: Timestamp) -> TransferPlan {
    let lives = matches!(identity.state, IdentityState::Active | IdentityState::Suspended);
    let same_owner = identity.charter.owner == Some(transfer.from);
    match transfer.state.get() {
        TransferState::Open | TransferState::Offered if !lives || !same_owner => TransferPlan::Close,
        TransferState::Open | TransferState::Offered if transfer.deadline > now => {
            TransferPlan::Later(transfer.deadline)
        }
        TransferState::Open | TransferState::Offered => TransferPlan::Lapse {
            // Of what has stopped already nothing more is to be stopped.
            stops: !owner_active && !has_lapsed(identity),
        },
        TransferState::Lapsed => {
            let abandoned = lives && same_owner && !owner_active && has_lapsed(identity);
            let end = transfer.deadline.plus(grace);
            match abandoned {
                false => TransferPlan::Nothing,
                true if end > now => TransferPlan::Later(end),
                true => TransferPlan::Retire,
            }
        }
        TransferState::Accepted | TransferState::Closed => TransferPlan::Nothing,
    }
}

/// Whether an identity is suspended because nobody took it.
pub fn has_lapsed(identity: &Identity) -> bool {
    identity.suspensions.iter().any(|cause| cause.kind == SuspensionKind::TransferLapsed)
}
