//! The clock of a demo that has a past. It is handed in here and nowhere else: no other server has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tenure_core::base::time::{Clock, Span, Timestamp};

use crate::server::SystemClock;

/// A clock that is behind the machine's, and comes nearer whenever the demo lets time pass.
#[derive(Debug)]
pub struct PastClock {
    /// How far it is behind, in microseconds.
    behind: AtomicI64,
    began: i64,
}

impl PastClock {
    /// A clock that is so far behind the machine's.
    pub fn behind(by: Span) -> Arc<Self> {
        Arc::new(Self { behind: AtomicI64::new(by.as_micros()), began: by.as_micros() })
    }

    /// Lets time pass; the machine's own is never overtaken.
    pub fn pass(&self, by: Span) {
        let left = self.behind.load(Ordering::SeqCst).saturating_sub(by.as_micros()).max(0);
        self.behind.store(left, Ordering::SeqCst);
    }

    /// How far it is behind yet.
    pub fn left(&self) -> Span {
        Span::from_micros(self.behind.load(Ordering::SeqCst))
    }
}

impl Clock for PastClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().minus(self.left())
    }

    fn monotonic(&self) -> Span {
        let passed = self.began.saturating_sub(self.left().as_micros());
        Span::from_micros(SystemClock.monotonic().as_micros().saturating_add(passed))
    }
}
