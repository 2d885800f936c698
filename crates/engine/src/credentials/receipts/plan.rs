//! When a receipt is looked at again.

use tenure_core::base::backoff::Backoff;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::receipt::{Receipt, ReceiptState};

/// The time between two attempts to prove a refusal.
const BACKOFF: Backoff = Backoff::new(Span::from_millis(500), Span::from_mins(10));

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: every point has refused, or what it accepts has ended.
    Settled,
    /// Another look then.
    At(Timestamp),
}

/// Whether every point has given its answer, be it that it accepts until a time.
pub fn is_answered(receipt: &Receipt) -> bool {
    !matches!(receipt.state(), ReceiptState::Requested | ReceiptState::Unproven | ReceiptState::Unreachable)
}

/// When to look at it again.
pub fn next(receipt: &Receipt, now: Timestamp) -> Next {
    if receipt.progress.is_some() {
        return Next::At(now);
    }
    if !is_answered(receipt) {
        return Next::At(now.plus(BACKOFF.after(receipt.attempts)));
    }
    match receipt.accepted_until() {
        Some(until) if until > now => Next::At(until),
        _ => Next::Settled,
    }
}
