//! How long to wait between tries: a time that doubles with each failure, between the shortest and the longest.

use crate::base::time::Span;

/// A time that doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    shortest: Span,
    longest: Span,
}

impl Backoff {
    /// The time after the first failure, and the longest one.
    pub const fn new(shortest: Span, longest: Span) -> Self {
        Self { shortest, longest }
    }

    /// The time after so many failures; that of the first after none.
    pub fn after(self, failures: u32) -> Span {
        let doublings = failures.clamp(1, 32) - 1;
        Span::from_micros(self.shortest.as_micros().saturating_mul(1 << doublings)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest_and_never_beyond() {
        let backoff = Backoff::new(Span::from_secs(2), Span::from_mins(15));
        let after = [0, 1, 2, 3, 9, 10, 1_000].map(|failures| backoff.after(failures).as_secs());
        assert_eq!(after, [2, 2, 4, 8, 512, 900, 900]);
        assert_eq!(Backoff::new(Span::from_days(30), Span::from_days(60)).after(u32::MAX), Span::from_days(60));
    }
}
