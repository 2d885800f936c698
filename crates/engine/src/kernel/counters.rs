//! What the engine counts since it started, for operators.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $help:literal])* $field:ident = $name:literal;)*) => {
        /// Counters since the start of the process.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[doc = $help])* pub(crate) $field: AtomicU64,)* }

        impl Counters {
            /// Each counter: its metric's name, its help, its value.
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$(($name, concat!($($help),*), self.$field.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Credentials issued.
    issued = "tenure_credentials_issued_total";
    /// Refusals of known callers and of strangers.
    refused = "tenure_refusals_total";
    /// Introspections answered.
    introspected = "tenure_introspections_total";
    /// Decisions that allowed.
    allowed = "tenure_decisions_allowed_total";
    /// Decisions that denied.
    denied = "tenure_decisions_denied_total";
    /// Receipts checked.
    receipts = "tenure_receipts_checked_total";
    /// Decisions made again because what they rested on had changed.
    conflicts = "tenure_conflicts_total";
    /// Deadlines worked off.
    worked = "tenure_deadlines_worked_total";
    /// Attempts at a deadline that failed and are retried.
    retried = "tenure_deadlines_retried_total";
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
