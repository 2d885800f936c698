//! How often strangers may begin a sign-in: counted in memory, bounded, and written nowhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tenure_api::problem::Problem;
use tenure_core::problem::Reason;

use crate::error::Failure;

const WINDOW: Duration = Duration::from_mins(1);
/// Attempts of one source in a minute; behind a proxy or a NAT many people are one source.
const MAX_ATTEMPTS: u32 = 600;
/// Sources told apart; the rest share a count.
const MAX_SOURCES: usize = 10_000;

/// Attempts of the running minute.
pub(crate) struct Attempts(Mutex<Counts>);

struct Counts {
    since: Instant,
    by_source: HashMap<String, u32>,
}

impl Attempts {
    /// No attempts yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Counts {
            since: Instant::now(),
            by_source: HashMap::new(),
        }))
    }

    /// Counts one more attempt.
    ///
    /// # Errors
    /// There were too many.
    pub(crate) fn count(&self, source: &str) -> Result<(), Failure> {
        let now = Instant::now();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(counts.since) >= WINDOW {
            counts.since = now;
            counts.by_source.clear();
        }
        let known = counts.by_source.contains_key(source) || counts.by_source.len() < MAX_SOURCES;
        let attempts = counts.by_source.entry(if known { source } else { "others" }.to_owned()).or_default();
        *attempts += 1;
        if *attempts <= MAX_ATTEMPTS {
            return Ok(());
        }
        Err(Failure::of(
            Problem::refusal(429, Reason::BudgetSpent)
                .detail("too many sign-ins from this address within a minute")
                .hint("wait a minute"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_uses_up_its_own_attempts_only() {
        let attempts = Attempts::new();
        for _ in 0..MAX_ATTEMPTS {
            attempts.count("192.0.2.1").unwrap();
        }
        assert!(attempts.count("192.0.2.1").is_err());
        attempts.count("192.0.2.2").unwrap();
    }
}
