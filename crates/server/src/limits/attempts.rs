//! How often strangers may begin or end a sign-in or look at an approval: counted in memory, bounded, and written
//! nowhere.
//!
//! Each kind of attempt has its own budgets, and each budget is of what the attempt can prove: a sign-in that goes on,
//! of that sign-in; a link that is good, of that link; whatever proves nothing, of where it comes from. So nobody uses
//! up what somebody else needs.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tenure_api::problem::Problem;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Span;

use crate::contract::error::{Failure, whole_seconds};

const WINDOW: Duration = Duration::from_mins(1);
/// Attempts of one source in a minute, of each kind; behind a NAT many people are one source.
const OF_A_SOURCE: u16 = 600;
/// Attempts to end one sign-in.
const OF_A_FLOW: u16 = 20;
/// Looks at one approval, and answers to it.
const OF_A_LINK: u16 = 60;
/// The counters: a count–min sketch (Cormode and Muthukrishnan 2005) of eight rows. However many keys there are, memory
/// stays at 1 MiB, and a key shares its count with others in all eight rows, under hashes that nobody outside can
/// foresee, or else has its own: with ten thousand busy sources in a minute, one sign-in of some six million.
const ROWS: usize = 8;
const COLUMNS: usize = 64 * 1024;

/// What is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Attempt<'a> {
    /// A sign-in or a registration with a passkey is begun.
    Passkey { source: &'a str },
    /// A sign-in at a provider is begun.
    Provider { source: &'a str },
    /// An invitation is shown.
    Invitation { source: &'a str },
    /// A command line redeems its code.
    CommandLine { source: &'a str },
    /// A sign-in ends that this server began.
    Flow(&'a str),
    /// A sign-in ends that nobody began.
    NoFlow { source: &'a str },
    /// An approval is read or answered by a link that is good.
    Link(&'a str),
    /// A link is none.
    NoLink { source: &'a str },
}

impl Attempt<'_> {
    const fn limit(self) -> u16 {
        match self {
            Self::Flow(_) => OF_A_FLOW,
            Self::Link(_) => OF_A_LINK,
            _ => OF_A_SOURCE,
        }
    }
}

/// Attempts of the running minute.
pub(crate) struct Attempts {
    hashers: [RandomState; ROWS],
    counts: Mutex<Counts>,
}

struct Counts {
    since: Instant,
    rows: Vec<[u16; ROWS]>,
}

impl Attempts {
    /// No attempts yet.
    #[expect(
        clippy::disallowed_methods,
        reason = "how much one source may ask is measured at the edge, by the machine's clock"
    )]
    pub(crate) fn new() -> Self {
        Self {
            hashers: std::array::from_fn(|_| RandomState::new()),
            counts: Mutex::new(Counts { since: Instant::now(), rows: vec![[0; ROWS]; COLUMNS] }),
        }
    }

    /// Counts one more attempt.
    ///
    /// # Errors
    /// There were too many.
    #[expect(
        clippy::disallowed_methods,
        reason = "how much one source may ask is measured at the edge, by the machine's clock"
    )]
    pub(crate) fn count(&self, attempt: Attempt<'_>) -> Result<(), Failure> {
        let places = self.hashers.each_ref().map(|hasher| column(hasher.hash_one(attempt)));
        let now = Instant::now();
        let mut counts = self.counts.lock();
        if now.duration_since(counts.since) >= WINDOW {
            counts.since = now;
            counts.rows.fill([0; ROWS]);
        }
        let mut seen = u16::MAX;
        for (row, column) in places.into_iter().enumerate() {
            if let Some(count) = counts.rows.get_mut(column).and_then(|columns| columns.get_mut(row)) {
                *count = count.saturating_add(1);
                seen = seen.min(*count);
            }
        }
        let over_in = WINDOW.saturating_sub(now.duration_since(counts.since));
        drop(counts);
        if seen <= attempt.limit() {
            return Ok(());
        }
        let wait = whole_seconds(Span::from_micros(i64::try_from(over_in.as_micros()).unwrap_or(i64::MAX)));
        let mut problem = Problem::refusal(429, Reason::BudgetSpent)
            .detail(match attempt {
                Attempt::Flow(_) => "too many answers to one sign-in",
                Attempt::Link(_) => "this approval was looked at too often within a minute",
                Attempt::NoLink { .. } => "too many links that lead nowhere from this address within a minute",
                _ => "too many sign-ins from this address within a minute",
            })
            .hint(format!("try again in {wait} s"));
        problem.retry_after = Some(wait);
        Err(Failure::of(problem))
    }
}

fn column(hash: u64) -> usize {
    usize::try_from(hash % (COLUMNS as u64)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a06_each_budget_is_of_one_kind_and_one_key() {
        let attempts = Attempts::new();
        let (eve, bob) = ("192.0.2.1", "192.0.2.2");
        for _ in 0..OF_A_SOURCE {
            attempts.count(Attempt::Passkey { source: eve }).unwrap();
        }
        let refused = attempts.count(Attempt::Passkey { source: eve }).unwrap_err();
        assert!(refused.0.retry_after.is_some_and(|wait| (1..=60).contains(&wait)));
        attempts.count(Attempt::Passkey { source: bob }).unwrap();
        attempts.count(Attempt::NoLink { source: eve }).unwrap();
        for _ in 0..OF_A_FLOW {
            attempts.count(Attempt::Flow("a sign-in")).unwrap();
        }
        assert!(attempts.count(Attempt::Flow("a sign-in")).is_err());
        attempts.count(Attempt::Flow("another")).unwrap();
        attempts.count(Attempt::Link("a sign-in")).unwrap();
    }

    #[test]
    fn a06_a_crowd_of_addresses_uses_up_nobody_elses_budget() {
        let attempts = Attempts::new();
        for n in 0..10_000 {
            let source = format!("192.0.{}.{}", n / 256, n % 256);
            for _ in 0..40 {
                attempts.count(Attempt::Passkey { source: &source }).unwrap();
            }
        }
        for n in 0..100 {
            attempts.count(Attempt::Flow(&format!("sign-in {n}"))).unwrap();
        }
    }
}
