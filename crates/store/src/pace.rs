//! How long a writer waits for company.
//!
//! The callers of a batch come back together, soon after they were told. A writer that takes the first of them at once
//! pays a sync of the disk for one, and another for the rest. So it waits for about as many as it had last, for a
//! fraction of what the last batch took; one caller alone never waits.

use std::time::{Duration, Instant};

/// The part of the last batch's time that may be spent on waiting.
const FRACTION: u32 = 4;
const LONGEST: Duration = Duration::from_micros(750);

/// What the last batches were like.
#[derive(Debug)]
pub(crate) struct Pace {
    size: usize,
    took: Duration,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self { size: 0, took: Duration::ZERO }
    }

    /// Notes a batch that was written.
    pub(crate) const fn note(&mut self, size: usize, took: Duration) {
        self.size = size;
        self.took = took;
    }

    /// Whether a batch of this size, begun then, should wait for more.
    pub(crate) fn waits(&self, size: usize, begun: Instant) -> bool {
        size < self.size && begun.elapsed() < (self.took / FRACTION).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the store paces its batches by the machine's clock, and decides nothing by it"
    )]
    fn only_a_smaller_batch_waits_and_not_for_long() {
        let mut pace = Pace::new();
        let now = Instant::now();
        assert!(!pace.waits(1, now));
        pace.note(32, Duration::from_secs(1));
        assert!(pace.waits(1, Instant::now()) && !pace.waits(32, now));
        assert!(!pace.waits(1, now - LONGEST));
        pace.note(32, Duration::ZERO);
        assert!(!pace.waits(1, now));
    }
}
