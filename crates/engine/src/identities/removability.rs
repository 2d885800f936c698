//! Whether an identity can be removed, answered by what did happen (R97): its last drill, and what came of that.

use tenure_api::views::LastDrill;
use tenure_core::base::id::{IdentityId, ReceiptId};
use tenure_core::credential::drill::{CanaryResult, Drill};
use tenure_core::credential::receipt::{Receipt, ReceiptState};

use crate::kernel::Kernel;
use crate::kernel::error::OpError;

/// Where a receipt stands.
pub(crate) async fn state_of(kernel: &Kernel, id: ReceiptId) -> Result<Option<ReceiptState>, OpError> {
    Ok(kernel.one::<Receipt>(id).await?.map(|receipt| receipt.state()))
}

/// Whether a receipt proves that what was revoked is refused: beside something that was accepted, and not otherwise (S-18).
pub(crate) const fn is_proven(state: ReceiptState) -> bool {
    matches!(state, ReceiptState::RefusedVerified)
}

/// Whether a drill proves that its identity can be removed; `receipts`: whether each of its receipts does.
pub(crate) fn is_proof(drill: &Drill, receipts: bool) -> bool {
    let canaries = drill.canaries.iter().all(|canary| canary.result() == CanaryResult::RefusedVerified);
    receipts && canaries && !(drill.drilled.is_empty() && drill.canaries.is_empty())
}

/// The last drill of an identity.
pub(crate) async fn last_drill(kernel: &Kernel, id: IdentityId) -> Result<Option<LastDrill>, OpError> {
    let Some(drill) = kernel.one::<Drill>(id).await? else { return Ok(None) };
    let mut proven = true;
    for part in &drill.drilled {
        proven &= state_of(kernel, part.receipt).await?.is_some_and(is_proven);
    }
    let receipt = drill.drilled.first().map(|part| part.receipt);
    Ok(Some(LastDrill { at: drill.at, proven: is_proof(&drill, proven), receipt }))
}
