//! Virtual time: one true time, and each node's clock beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tenure_core::base::time::{Clock, Span, Timestamp};

/// When every simulation begins: 2027-01-15T08:00:00Z.
const START: i64 = 1_800_000_000_000_000;

/// The true time, which only the simulation moves.
#[derive(Debug)]
pub struct Time(AtomicI64);

impl Default for Time {
    fn default() -> Self {
        Self(AtomicI64::new(START))
    }
}

impl Time {
    /// The true time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }

    /// Lets time pass.
    pub fn pass(&self, span: Span) {
        self.0.fetch_add(span.as_micros(), Ordering::Relaxed);
    }
}

/// A node's wall clock: the true time and an error.
#[derive(Debug)]
pub struct NodeClock {
    time: Arc<Time>,
    error: AtomicI64,
}

impl NodeClock {
    /// A clock that is off by so many microseconds.
    pub const fn new(time: Arc<Time>, error: i64) -> Self {
        Self { time, error: AtomicI64::new(error) }
    }

    /// Steps the clock: it is off by so many microseconds from now on.
    pub fn set_error(&self, error: i64) {
        self.error.store(error, Ordering::Relaxed);
    }

    /// By how many microseconds it is off.
    pub fn error(&self) -> i64 {
        self.error.load(Ordering::Relaxed)
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.time.now().as_micros() + self.error())
    }

    fn monotonic(&self) -> Span {
        self.time.now().since(Timestamp::from_micros(START))
    }
}
