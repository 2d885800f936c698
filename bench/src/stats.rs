//! Latencies: all of them are kept, so that percentiles are exact.

use std::time::Duration;

/// Latencies as they come.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

/// What they amount to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Half took at most this long.
    pub p50: Duration,
    /// 99 of 100 took at most this long.
    pub p99: Duration,
    /// None took longer.
    pub max: Duration,
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Sums them up.
    pub fn finish(mut self) -> Summary {
        self.0.sort_unstable();
        Summary { p50: self.percentile(50), p99: self.percentile(99), max: self.percentile(100) }
    }

    /// The nearest-rank percentile: the smallest latency that is at least as long as `percent` of all. Zero if there
    /// are none.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(millis: impl IntoIterator<Item = u64>) -> [u128; 3] {
        let mut latencies = Latencies::default();
        for one in millis {
            latencies.add(Duration::from_millis(one));
        }
        let Summary { p50, p99, max } = latencies.finish();
        [p50, p99, max].map(|duration| duration.as_millis())
    }

    #[test]
    fn percentiles_are_nearest_ranks_in_any_order_of_arrival() {
        assert_eq!(summary((1..=1000).rev()), [500, 990, 1000]);
        assert_eq!(summary(1..=100), [50, 99, 100]);
    }

    #[test]
    fn few_or_none_are_no_special_case() {
        assert_eq!(summary([7]), [7, 7, 7]);
        assert_eq!(summary([3, 9]), [3, 9, 9]);
        assert_eq!(summary([]), [0, 0, 0]);
    }

    #[test]
    fn merged_latencies_count_together() {
        let (mut a, mut b) = (Latencies::default(), Latencies::default());
        a.add(Duration::from_millis(1));
        b.add(Duration::from_millis(5));
        a.merge(b);
        assert_eq!(a.count(), 2);
        assert_eq!(a.finish().max, Duration::from_millis(5));
    }
}
