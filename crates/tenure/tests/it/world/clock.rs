//! The time of a test: the machine's, moved by what the test lets pass, or held.
//!
//! A deadline of hours is reached in one call, and while the time is held a slow machine brings none nearer. It is a
//! value that the test hands to
//! [`tenure::server::start`]: no flag, variable or header of the product leads here, since the product doesn't hold it
//! (`the_servers_time_can_not_be_moved_from_outside`).

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tenure_core::base::time::{Clock, Span, Timestamp};

/// What each reading takes while the time is held: ids and events keep their order.
const TICK: i64 = 1_000;
/// The time isn't held.
const RUNS: i64 = 0;

thread_local! {
    /// The clock of the test that runs on this thread. Tests have a thread and a runtime of one thread each.
    static CLOCK: RefCell<Option<TestClock>> = const { RefCell::new(None) };
}

/// A wall clock and a monotonic one that move together.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// How far it is ahead of the machine's, in microseconds.
    ahead: AtomicI64,
    /// The time at which it is held, in microseconds since 1970, or [`RUNS`].
    held: AtomicI64,
}

impl TestClock {
    /// A clock that begins at `start` and runs as the machine's does.
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(Inner {
            ahead: AtomicI64::new(start.as_micros() - Self::of_the_machine().as_micros()),
            held: AtomicI64::new(RUNS),
        }))
    }

    /// What the machine says.
    #[expect(clippy::disallowed_methods, reason = "a test's time begins with the machine's")]
    pub fn of_the_machine() -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }

    /// Holds the time: from now on it moves by a millisecond at each reading, and by what [`TestClock::advance`] says.
    pub fn hold(&self) {
        self.0.held.store(self.looked_at().as_micros(), Ordering::SeqCst);
    }

    /// Whether it is held.
    pub fn is_held(&self) -> bool {
        self.0.held.load(Ordering::SeqCst) != RUNS
    }

    /// Lets time pass.
    pub fn advance(&self, by: Span) {
        let clock = if self.is_held() { &self.0.held } else { &self.0.ahead };
        clock.fetch_add(by.as_micros(), Ordering::SeqCst);
    }

    /// The time, which a look doesn't move.
    fn looked_at(&self) -> Timestamp {
        match self.0.held.load(Ordering::SeqCst) {
            RUNS => Timestamp::from_micros(Self::of_the_machine().as_micros() + self.0.ahead.load(Ordering::SeqCst)),
            held => Timestamp::from_micros(held),
        }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        if self.is_held() {
            self.0.held.fetch_add(TICK, Ordering::SeqCst);
        }
        self.looked_at()
    }

    fn monotonic(&self) -> Span {
        Span::from_micros(self.looked_at().as_micros())
    }
}

/// Makes a clock the time of this thread's test, which [`thread_time`] tells from now on; the machine's without one.
pub fn set_thread_time(clock: Option<TestClock>) {
    CLOCK.set(clock);
}

/// The time as the server of this thread's test has it; the machine's if it runs by that.
pub fn thread_time() -> Timestamp {
    CLOCK.with_borrow(|clock| clock.as_ref().map(TestClock::looked_at)).unwrap_or_else(TestClock::of_the_machine)
}
