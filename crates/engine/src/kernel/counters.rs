//! What the engine counts since it started, for operators.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

macro_rules! counters {
    ($($(#[doc = $help:literal])* $field:ident = $name:literal;)*) => {
        /// Counters since the start of the process.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[doc = $help])* pub(crate) $field: Counter,)* }

        impl Counters {
            pub(crate) fn register(&self, registry: &mut Registry) {
                $(register(registry, $name, concat!($($help),*), &self.$field);)*
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

/// The registry puts the full stop and the suffix there by itself, and they stand here so that the name is found by
/// whoever looks for it.
fn register(registry: &mut Registry, name: &str, help: &str, counter: &Counter) {
    let (name, help) = (name.trim_end_matches("_total"), help.trim().trim_end_matches('.'));
    registry.register(name, help, counter.clone());
}

pub(crate) fn count(counter: &Counter) {
    counter.inc();
}
